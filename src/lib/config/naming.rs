//! What series are called for destinations that have names and labels: `[otlp]` and `[remote-write]`.

/// `names`: where the names of metrics come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum NameStyle {
    /// HAProxy's own exporter: names, labels and base units.
    #[default]
    Promex,
    /// Our own: HAProxy's words for fields, and HAProxy's units.
    Haproxystats,
}

/// How series are named and labelled.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Naming {
    /// Where names come from.
    pub style: NameStyle,
    /// Labels that every series has, or attributes that every resource has: name and value. Those that a host or an object
    /// has by itself come before them.
    pub labels: Vec<(String, String)>,
}
