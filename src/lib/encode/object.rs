//! What values belong to.

use crate::haproxy::facts::Thing;

/// What an object is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ObjectKind {
    /// All processes of HAProxy on a host.
    Daemon,
    /// One of them.
    Process,
    /// A frontend.
    Frontend,
    /// A backend.
    Backend,
    /// A server in its backend.
    Server,
    /// A server over all backends (`aggr-server-metrics`).
    ServerTotal,
    /// A listener of a frontend.
    Listener,
    /// What a family is about.
    Thing(Thing),
    /// haproxystats itself.
    Own,
}

impl ObjectKind {
    /// The word for it in messages.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Daemon => "daemon",
            Self::Process => "process",
            Self::Frontend => "frontend",
            Self::Backend => "backend",
            Self::Server => "server",
            Self::ServerTotal => "server-total",
            Self::Listener => "listener",
            Self::Thing(thing) => thing.word(),
            Self::Own => "haproxystats",
        }
    }

    /// What the names of an object are called: what it is in, and the object itself.
    #[must_use]
    pub const fn properties(self) -> (&'static str, &'static str) {
        match self {
            Self::Process => ("", "process"),
            Self::Listener => ("proxy", "listener"),
            Self::Thing(thing) => thing.names(),
            _ => ("proxy", "server"),
        }
    }
}

/// An object. Names are HAProxy's own, not path elements.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Object<'a> {
    /// What it is.
    pub kind: ObjectKind,
    /// The frontend or backend, or the section that it is in; empty where there is none.
    pub proxy: &'a str,
    /// The server, the process, or whatever else it is; empty where there is none. See [`ObjectKind::properties`].
    pub name: &'a str,
}

impl Object<'_> {
    /// An object without names.
    #[must_use]
    pub const fn unnamed(kind: ObjectKind) -> Self {
        Self { kind, proxy: "", name: "" }
    }
}

/// A host, and the cluster that it is part of.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Host {
    /// Its name.
    pub name: String,
    /// The cluster's.
    pub cluster: Option<String>,
}
