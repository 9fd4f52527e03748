//! What metrics are about: the word for it in names, and the labels that hold its name.

use crate::config::NameStyle;
pub use crate::haproxy::facts::Thing;

/// What a metric is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Subject {
    /// All processes of a host together: what the exporter calls the process.
    Process,
    /// Each process.
    Worker,
    /// A frontend.
    Frontend,
    /// A backend.
    Backend,
    /// A server in its backend.
    Server,
    /// A server over all backends.
    Servers,
    /// A listener of a frontend.
    Listener,
    /// What a family is about.
    Thing(Thing),
    /// haproxystats itself.
    Own,
}

impl Subject {
    /// All of HAProxy.
    pub const ALL: [Self; 6] =
        [Self::Process, Self::Worker, Self::Frontend, Self::Backend, Self::Server, Self::Servers];

    /// The word for it in names, in the order of the styles. Sums and their parts have different names, so that a sum over all
    /// series of a name counts nothing twice.
    const fn words(self) -> (&'static str, &'static str) {
        match self {
            Self::Process => ("process", "daemon"),
            Self::Worker => ("worker", "process"),
            Self::Frontend => ("frontend", "frontend"),
            Self::Backend => ("backend", "backend"),
            Self::Server => ("server", "server"),
            Self::Servers => ("servers", "servers"),
            Self::Listener => ("listener", "listener"),
            Self::Thing(thing) => words(thing),
            Self::Own => ("haproxystats", "haproxystats"),
        }
    }

    /// What names begin with: those of a cluster are kept apart from those of its hosts.
    #[must_use]
    pub fn prefix(self, style: NameStyle, of_cluster: bool) -> String {
        let (promex, own) = self.words();
        let word = if style == NameStyle::Promex { promex } else { own };
        match (self, of_cluster) {
            (Self::Own, _) => "haproxystats_".to_owned(),
            (_, false) => format!("haproxy_{word}_"),
            (_, true) => format!("haproxy_cluster_{word}_"),
        }
    }

    /// The labels that hold the names of an object: its proxy, and what it is within that.
    #[must_use]
    pub const fn labels(self, style: NameStyle) -> (&'static str, &'static str) {
        match (self, style) {
            (Self::Worker, _) => ("", "process"),
            (Self::Listener, NameStyle::Promex) => ("proxy", "listener"),
            (Self::Listener, NameStyle::Haproxystats) => ("frontend", "listener"),
            (Self::Thing(thing), style) => labels(thing, matches!(style, NameStyle::Promex)),
            (Self::Frontend, NameStyle::Haproxystats) => ("frontend", ""),
            (Self::Backend | Self::Server, NameStyle::Haproxystats) => ("backend", "server"),
            _ => ("proxy", "server"),
        }
    }
}

/// The word for what a family is about, in the order of the styles.
const fn words(thing: Thing) -> (&'static str, &'static str) {
    let promex = match thing {
        Thing::Table => "sticktable",
        Thing::NameServer => "resolver",
        Thing::Build | Thing::Node | Thing::Description => "process",
        _ => thing.word(),
    };
    (promex, thing.word())
}

/// The labels of what a family is about.
const fn labels(thing: Thing, promex: bool) -> (&'static str, &'static str) {
    match thing {
        Thing::Table if promex => ("", "name"),
        Thing::NameServer if promex => ("resolver", "nameserver"),
        Thing::Description if promex => ("", "desc"),
        _ => thing.names(),
    }
}
