//! The objects that values belong to.

use crate::haproxy::facts::Thing;

/// The kind of an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ObjectKind {
    /// All processes of HAProxy on a host.
    Daemon,
    /// One process of HAProxy.
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
    /// An object of another family.
    Thing(Thing),
    /// haproxystats itself.
    Own,
}

impl ObjectKind {
    /// The name of the kind in messages.
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

    /// What the two names of such an object are called: that of its container, and its own.
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
    /// Its kind.
    pub kind: ObjectKind,
    /// The frontend, backend or section that it belongs to; empty if there is none.
    pub proxy: &'a str,
    /// Its own name, such as that of a server or a process; empty if there is none. See [`ObjectKind::properties`].
    pub name: &'a str,
}

impl Object<'_> {
    /// An object without names.
    #[must_use]
    pub const fn unnamed(kind: ObjectKind) -> Self {
        Self { kind, proxy: "", name: "" }
    }
}

/// A host, and the cluster that it belongs to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Host {
    /// Name of the host.
    pub name: String,
    /// Name of its cluster.
    pub cluster: Option<String>,
}
