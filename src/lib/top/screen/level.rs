//! The places of the screen, from all hosts down to one server.

use super::items::Id;
use crate::top::model;
use crate::top::read::tick::{Key, Rank};
use std::sync::Arc;

/// A place: which table is shown, and of what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Level {
    Hosts,
    /// Frontends and backends of a host, or of all hosts.
    Proxies(Option<String>),
    /// Servers of a backend, or of all backends.
    Servers(Option<Arc<str>>),
    /// One object in every process.
    Object(Key),
    Processes,
    Certificates,
    Changes,
}

impl Level {
    /// Number of sorted tables.
    pub(super) const TABLES: usize = 7;

    /// The index of its table.
    pub(super) const fn table(&self) -> usize {
        match self {
            Self::Hosts => 0,
            Self::Proxies(_) => 1,
            Self::Servers(_) => 2,
            Self::Processes => 3,
            Self::Certificates => 4,
            Self::Changes => 5,
            Self::Object(_) => 6,
        }
    }

    /// The place for a digit key.
    pub(super) const fn numbered(number: usize) -> Self {
        match number {
            1 => Self::Hosts,
            3 => Self::Servers(None),
            4 => Self::Processes,
            5 => Self::Certificates,
            6 => Self::Changes,
            _ => Self::Proxies(None),
        }
    }

    /// The next place.
    pub(super) const fn next(&self) -> Self {
        match self {
            Self::Hosts => Self::Proxies(None),
            Self::Proxies(_) => Self::Servers(None),
            Self::Servers(_) | Self::Object(_) => Self::Processes,
            Self::Processes => Self::Certificates,
            Self::Certificates => Self::Changes,
            Self::Changes => Self::Hosts,
        }
    }

    /// The host of this place, if it is limited to one.
    pub(super) fn host(&self) -> Option<&str> {
        match self {
            Self::Proxies(host) => host.as_deref(),
            _ => None,
        }
    }

    /// The place below the selected row.
    pub(super) fn below(&self, id: &Id) -> Option<Self> {
        match (self, id) {
            (Self::Hosts, Id::Host(host)) => Some(Self::Proxies(Some(host.to_string()))),
            (Self::Proxies(_), Id::Object(key)) if key.kind == Rank::Backend => {
                Some(Self::Servers(Some(Arc::clone(&key.proxy))))
            }
            (Self::Proxies(_) | Self::Servers(_) | Self::Changes, Id::Object(key)) => Some(Self::Object(key.clone())),
            _ => None,
        }
    }

    /// The row that leads to this place.
    pub(super) fn id(&self) -> Option<Id> {
        match self {
            Self::Proxies(host) => host.as_deref().map(|host| Id::Host(host.into())),
            Self::Servers(Some(proxy)) => {
                Some(Id::Object(Key { kind: Rank::Backend, proxy: Arc::clone(proxy), name: "".into() }))
            }
            Self::Object(key) => Some(Id::Object(key.clone())),
            _ => None,
        }
    }

    /// The title of the place.
    pub(super) fn title(&self) -> String {
        match self {
            Self::Hosts => "hosts".to_owned(),
            Self::Proxies(None) => "frontends and backends".to_owned(),
            Self::Proxies(Some(host)) => host.clone(),
            Self::Servers(None) => "servers".to_owned(),
            Self::Servers(Some(proxy)) => proxy.to_string(),
            Self::Object(key) => model::name(key),
            Self::Processes => "processes".to_owned(),
            Self::Certificates => "certificates".to_owned(),
            Self::Changes => "changes".to_owned(),
        }
    }
}
