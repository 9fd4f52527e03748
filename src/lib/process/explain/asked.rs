//! The name that was asked for, and which metric of which object it is.

use crate::encode::prefix::{Prefixes, Tagged};
use std::collections::BTreeSet;

/// The name of a metric: a path, or with tags.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Asked {
    /// `lb.host.haproxy.backend.www.rtime`
    Path(String),
    /// `haproxy.backend.rtime;host=...`, whose tags may stand in any order.
    Tagged(String, BTreeSet<String>),
}

impl Asked {
    pub(super) fn new(text: &str) -> Self {
        let text = text.trim();
        match text.split_once(';') {
            Some((name, tags)) => Self::Tagged(name.to_owned(), tags.split(';').map(str::to_owned).collect()),
            None => Self::Path(text.to_owned()),
        }
    }

    /// The metric that this is of an object with these names, if it is one.
    pub(super) fn metric(&self, prefixes: &Prefixes) -> Option<&str> {
        let element = |metric: &&str| !metric.is_empty() && !metric.contains('.');
        match self {
            Self::Path(path) => {
                let behind = |prefix: &[u8]| path.strip_prefix(std::str::from_utf8(prefix).ok()?);
                prefixes.plain.iter().filter_map(|prefix| behind(prefix)).find(element)
            }
            Self::Tagged(name, tags) => {
                let behind = |of: &Tagged| {
                    let metric = name.strip_prefix(std::str::from_utf8(&of.name).ok()?)?;
                    (text(&of.tags).split(';').skip(1).map(str::to_owned).collect::<BTreeSet<_>>() == *tags)
                        .then_some(metric)
                };
                prefixes.tagged.iter().filter_map(behind).find(element)
            }
        }
    }

    /// Whether it is one of these names, as they are sent.
    pub(super) fn is_among(&self, names: &[String]) -> bool {
        names.iter().any(|name| Self::new(name) == *self)
    }
}

/// The names under which a metric is sent.
pub(super) fn sent_names(prefixes: &Prefixes, metric: &str) -> Vec<String> {
    if !prefixes.tagged.is_empty() {
        let name = |of: &Tagged| format!("{}{metric}{}", text(&of.name), text(&of.tags));
        return prefixes.tagged.iter().map(name).collect();
    }
    prefixes.plain.iter().map(|prefix| format!("{}{metric}", text(prefix))).collect()
}

pub(super) fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_metric_is_what_stands_behind_the_names_of_its_object() {
        let prefixes = Prefixes {
            plain: ["lb.h.backend.www.", "lb.h.g.x.backend.www."].map(|p| p.as_bytes().into()).into(),
            tagged: [Tagged::new("backend", &[("host", "h"), ("backend", "www")])].into(),
        };
        let metric = |text: &str| Asked::new(text).metric(&prefixes).map(str::to_owned);
        assert_eq!(metric("lb.h.backend.www.scur").as_deref(), Some("scur"));
        assert_eq!(metric(" lb.h.g.x.backend.www.scur\n").as_deref(), Some("scur"));
        assert_eq!(metric("haproxy.backend.scur;backend=www;host=h").as_deref(), Some("scur"));
        for other in [
            "lb.h.backend.www.server.s1.scur",
            "lb.h.backend.www.",
            "lb.h.backend.ww.scur",
            "haproxy.backend.scur;host=h",
            "haproxy.server.scur;backend=www;host=h",
        ] {
            assert_eq!(metric(other), None, "{other}");
        }
        let sent = sent_names(&prefixes, "scur");
        assert_eq!(sent, ["haproxy.backend.scur;host=h;backend=www"]);
        assert!(Asked::new("haproxy.backend.scur;backend=www;host=h").is_among(&sent));
    }
}
