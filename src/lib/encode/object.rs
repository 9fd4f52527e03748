//! What values belong to.

/// What an object is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
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
    /// A stick table.
    Table,
    /// A name server in its `resolvers` section.
    NameServer,
    /// A certificate.
    Certificate,
    /// All certificates.
    Certificates,
    /// A thread.
    Thread,
    /// All threads.
    Threads,
    /// A memory pool.
    Pool,
    /// All memory pools.
    Pools,
    /// A peer in its `peers` section.
    Peer,
    /// A `peers` section.
    Peers,
    /// Processes of a version.
    Build,
    /// Processes of a node.
    Node,
    /// Processes with a description.
    Description,
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
            Self::Table => "table",
            Self::NameServer => "nameserver",
            Self::Certificate => "certificate",
            Self::Certificates => "certificates",
            Self::Thread => "thread",
            Self::Threads => "threads",
            Self::Pool => "pool",
            Self::Pools => "pools",
            Self::Peer => "peer",
            Self::Peers => "peers",
            Self::Build => "build",
            Self::Node => "node",
            Self::Description => "description",
            Self::Own => "haproxystats",
        }
    }

    /// What the names of an object are called: what it is in, and the object itself.
    #[must_use]
    pub const fn properties(self) -> (&'static str, &'static str) {
        match self {
            Self::Process => ("", "process"),
            Self::Listener => ("proxy", "listener"),
            Self::Table => ("", "table"),
            Self::NameServer => ("resolvers", "nameserver"),
            Self::Certificate => ("", "certificate"),
            Self::Thread => ("", "thread"),
            Self::Pool => ("", "pool"),
            Self::Peer | Self::Peers => ("peers", "peer"),
            Self::Build => ("", "version"),
            Self::Node => ("", "node"),
            Self::Description => ("", "description"),
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
