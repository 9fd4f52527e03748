//! The rows of a place, filtered and sorted.

use super::feed::Logged;
use super::level::Level;
use super::view::{Sort, View};
use crate::top::model::{Expiry, Gravity, HostLine, Model, NEAR, Object, Part, ProcessLine, name};
use crate::top::order;
use crate::top::read::tick::Key;
use crate::top::table::{CERTIFICATES, Column, HOSTS, PARTS, PROCESSES, PROXIES, SERVERS, SERVERS_OF_ALL};
use std::cmp::Ordering;
use std::sync::Arc;

/// Identifies a row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Id {
    Host(Arc<str>),
    Object(Key),
    Socket(String),
    File(Arc<str>, String),
}

/// See the module.
#[derive(Debug)]
pub(super) enum Items<'a> {
    Hosts(Vec<&'a HostLine>),
    Proxies(Vec<&'a Object>),
    /// Servers of one backend.
    Servers(Vec<&'a Object>),
    ServersOfAll(Vec<&'a Object>),
    Processes(Vec<&'a ProcessLine>),
    Certificates(Vec<&'a Expiry>),
    Changes(Vec<&'a Logged>),
    Parts(Vec<&'a Part>),
}

/// The rows whose names contain the text of the filter and, if only those are wanted, that are in trouble; sorted.
fn chosen<'a, T>(
    all: impl Iterator<Item = &'a T>,
    view: &View,
    columns: &[Column<T>],
    worst: fn(&T, &T) -> Ordering,
    named: impl Fn(&T) -> String,
    troubled: impl Fn(&T) -> bool,
) -> Vec<&'a T> {
    let wanted = view.filter.to_lowercase();
    let fits = |item: &&T| {
        (wanted.is_empty() || named(item).to_lowercase().contains(&wanted)) && (!view.troubled || troubled(item))
    };
    let mut items: Vec<&T> = all.filter(fits).collect();
    let Sort { column, reverse } = view.sort();
    // Rows that are equal in the column keep the default order, the worst first.
    items.sort_by(|a, b| worst(a, b));
    if let Some(column) = column.and_then(|column| columns.get(column)) {
        items.sort_by(|a, b| (column.order)(a, b));
    }
    if reverse {
        items.reverse();
    }
    items
}

impl<'a> Items<'a> {
    /// The rows of a model, or of the changes so far, that the view shows.
    pub(super) fn of(model: &'a Model, log: &'a [Logged], view: &View) -> Self {
        let object = |object: &Object| name(&object.key);
        let in_trouble = Object::is_in_trouble;
        match view.level() {
            Level::Hosts => {
                let troubled = |host: &HostLine| is_troubled(&host.totals) || host.leaving > 0;
                let named = |host: &HostLine| host.name.to_string();
                Self::Hosts(chosen(model.hosts.iter(), view, HOSTS, order::hosts, named, troubled))
            }
            Level::Proxies(_) => {
                let all = model.frontends.iter().chain(&model.backends);
                Self::Proxies(chosen(all, view, PROXIES, Object::worse, object, in_trouble))
            }
            Level::Servers(Some(proxy)) => {
                let all = model.servers.iter().filter(|server| server.key.proxy == *proxy);
                Self::Servers(chosen(all, view, SERVERS, Object::worse, object, in_trouble))
            }
            Level::Servers(None) => {
                let all = model.servers.iter();
                Self::ServersOfAll(chosen(all, view, SERVERS_OF_ALL, Object::worse, object, in_trouble))
            }
            Level::Processes => {
                let troubled = |process: &ProcessLine| is_troubled(&process.totals);
                let named = |process: &ProcessLine| format!("{} {}", process.socket, process.host);
                Self::Processes(chosen(model.processes.iter(), view, PROCESSES, order::processes, named, troubled))
            }
            Level::Certificates => {
                let worst = |a: &Expiry, b: &Expiry| a.left.cmp(&b.left);
                let named = |expiry: &Expiry| format!("{} {}", expiry.file, expiry.host);
                let near = |expiry: &Expiry| expiry.left < NEAR;
                Self::Certificates(chosen(model.certificates.iter(), view, CERTIFICATES, worst, named, near))
            }
            Level::Changes => {
                let worst = |_: &Logged, _: &Logged| Ordering::Equal;
                let bad = |logged: &Logged| logged.change.gravity == Gravity::Bad;
                Self::Changes(chosen(log.iter(), view, &[], worst, |logged| logged.change.text.clone(), bad))
            }
            Level::Object(_) => {
                let worst = |a: &Part, b: &Part| a.object.worse(&b.object).then_with(|| a.socket.cmp(&b.socket));
                let named = |part: &Part| format!("{} {}", part.socket, part.host);
                let troubled = |part: &Part| part.object.is_in_trouble();
                Self::Parts(chosen(model.parts.iter(), view, PARTS, worst, named, troubled))
            }
        }
    }

    pub(super) fn len(&self) -> usize {
        match self {
            Self::Hosts(all) => all.len(),
            Self::Proxies(all) | Self::Servers(all) | Self::ServersOfAll(all) => all.len(),
            Self::Processes(all) => all.len(),
            Self::Certificates(all) => all.len(),
            Self::Changes(all) => all.len(),
            Self::Parts(all) => all.len(),
        }
    }

    /// Number of columns to sort by.
    pub(super) fn columns(&self) -> usize {
        match self {
            Self::Hosts(_) => HOSTS.len(),
            Self::Proxies(_) => PROXIES.len(),
            Self::Servers(_) | Self::ServersOfAll(_) => SERVERS.len(),
            Self::Processes(_) => PROCESSES.len(),
            Self::Certificates(_) => CERTIFICATES.len(),
            Self::Changes(_) => 0,
            Self::Parts(_) => PARTS.len(),
        }
    }

    /// The identity of the row at this index.
    pub(super) fn id(&self, index: usize) -> Option<Id> {
        match self {
            Self::Hosts(all) => all.get(index).map(|host| Id::Host(Arc::clone(&host.name))),
            Self::Proxies(all) | Self::Servers(all) | Self::ServersOfAll(all) => {
                all.get(index).map(|object| Id::Object(object.key.clone()))
            }
            Self::Processes(all) => all.get(index).map(|process| Id::Socket(process.socket.clone())),
            Self::Certificates(all) => all.get(index).map(|one| Id::File(Arc::clone(&one.host), one.file.clone())),
            Self::Changes(all) => all.get(index).and_then(|logged| Some(Id::Object(logged.change.key.clone()?))),
            Self::Parts(all) => all.get(index).map(|part| Id::Socket(part.socket.clone())),
        }
    }

    /// The index of the row with this identity.
    pub(super) fn position(&self, id: &Id) -> Option<usize> {
        match (self, id) {
            (Self::Hosts(all), Id::Host(name)) => all.iter().position(|host| host.name == *name),
            (Self::Proxies(all) | Self::Servers(all) | Self::ServersOfAll(all), Id::Object(key)) => {
                all.iter().position(|object| object.key == *key)
            }
            (Self::Processes(all), Id::Socket(socket)) => all.iter().position(|process| process.socket == *socket),
            (Self::Certificates(all), Id::File(host, file)) => {
                all.iter().position(|one| one.host == *host && one.file == *file)
            }
            (Self::Parts(all), Id::Socket(socket)) => all.iter().position(|part| part.socket == *socket),
            _ => None,
        }
    }
}

fn is_troubled(totals: &crate::top::model::Totals) -> bool {
    totals.errors.is_some_and(|errors| errors > 0.0) || totals.queued > 0.0 || totals.down > 0
}
