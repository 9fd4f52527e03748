//! `[hosts]`: which host, and which cluster, an address that is pulled belongs to.
//!
//! ```text
//! [hosts]
//! 10.0.0.1 = lb-01 edge
//! lb-02.example.com:5555 = lb-02 edge
//! 10.0.0.9 =
//!     5001 = lb-91 edge
//!     5002 = lb-92 edge
//! node-3.sock = lb-03
//! ```
//!
//! An option is the host of `servers = tcp://host:port`, or the file name of a UNIX socket. Its value is the name of the
//! host and, if it is part of one, its cluster; a port may stand in front, with an equals sign, and there may be a line
//! for each of several ports. (The colon in `host:port = name` separates as the equals sign does, so that both ways of
//! writing it are the same.) In IPv6 addresses `_` stands for the colons.

use super::ini::Ini;
use super::problem::Report;
use super::reader::DEFAULT_SECTION;
use super::reading::Refusal;
use super::section::Section;
use crate::net::unbracketed;
use std::collections::{BTreeSet, HashMap};

/// Name of the section.
const SECTION: &str = "hosts";

/// A host.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HostName {
    /// Its name, in place of that of the machine on which this runs.
    pub name: String,
    /// The cluster that it is part of.
    pub cluster: Option<String>,
}

/// All hosts.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Hosts {
    /// By address: port, if it matters, and host.
    by_address: HashMap<String, Vec<(Option<u16>, HostName)>>,
}

impl Hosts {
    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.by_address.is_empty()
    }

    /// The host of files that are called `<source>_info` and `<source>_stat`.
    #[must_use]
    pub fn of(&self, source: &str) -> Option<&HostName> {
        let with_port = source.rsplit_once(':').and_then(|(host, port)| Some((host, port.parse::<u16>().ok()?)));
        let (address, port) = with_port.map_or((source, None), |(host, port)| (host, Some(port)));
        let known = self.by_address.get(&key(address))?;
        let exact = known.iter().find(|(wanted, _)| wanted.is_some() && *wanted == port);
        exact.or_else(|| known.iter().find(|(wanted, _)| wanted.is_none())).map(|(_, host)| host)
    }

    /// Names of all hosts.
    #[must_use]
    pub fn names(&self) -> BTreeSet<&str> {
        self.by_address.values().flatten().map(|(_, host)| host.name.as_str()).collect()
    }

    /// Names of all clusters.
    #[must_use]
    pub fn clusters(&self) -> BTreeSet<&str> {
        self.by_address.values().flatten().filter_map(|(_, host)| host.cluster.as_deref()).collect()
    }
}

/// As addresses are compared: without brackets, in lower case, `_` for the colons of IPv6.
fn key(address: &str) -> String {
    let bare = unbracketed(address);
    bare.to_lowercase().replace(':', "_")
}

/// Reads the section; `None` when a value cannot be right, which is in the report then.
pub(super) fn read(ini: &Ini, report: &mut Report) -> Option<Hosts> {
    let mut section = Section::new(SECTION, ini, report);
    let mut hosts = Some(Hosts::default());
    for option in ini.own_options(SECTION) {
        if ini.has_own(DEFAULT_SECTION, option) {
            section.warn(option, "is not a host, because [DEFAULT] has an option of this name");
            continue;
        }
        let entries = section.get_named(option, entries);
        hosts = hosts.zip(entries).map(|(mut hosts, entries)| {
            hosts.by_address.insert(key(option), entries);
            hosts
        });
    }
    let clusters = hosts.as_ref().map(|hosts| hosts.clusters().len());
    let is = |option, word| ini.get("process", option).is_ok_and(|text| text.as_deref() == Some(word));
    // Messages of Kafka say themselves whose they are.
    if clusters == Some(0) && is("cluster-metrics", "true") && !is("source", "kafka") {
        let mut process = Section::new("process", ini, report);
        process.warn("cluster-metrics", "has no effect: no host of [hosts] is part of a cluster");
    }
    hosts
}

fn entries(text: &str) -> Result<Vec<(Option<u16>, HostName)>, Refusal> {
    let mut entries: Vec<(Option<u16>, HostName)> = Vec::new();
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let (port, words) = match line.split_once(['=', ':']) {
            Some((port, words)) => (Some(super::value::port(port.trim())?), words),
            None => (None, line),
        };
        let words: Vec<&str> = words.split_whitespace().collect();
        let (name, cluster) = match words.as_slice() {
            [name] => (*name, None),
            [name, cluster] => (*name, Some((*cluster).to_owned())),
            [] => return Err("empty; write the name of the host, and its cluster if it has one".to_owned()),
            _ => return Err("more than two words; write the name of the host and its cluster".to_owned()),
        };
        if entries.iter().any(|(other, _)| *other == port) {
            return Err("has two names; write one line for each port, such as 5001 = lb-01 edge".to_owned());
        }
        entries.push((port, HostName { name: name.to_owned(), cluster }));
    }
    if entries.is_empty() {
        return Err("empty; write the name of the host, and its cluster if it has one".to_owned());
    }
    Ok(entries)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hosts(text: &str) -> Hosts {
        let mut ini = crate::config::options::defaults();
        ini.read("test", &format!("[hosts]\n{text}")).unwrap();
        let mut report = Report::default();
        read(&ini, &mut report).unwrap_or_else(|| panic!("{report:?}"))
    }

    fn host(name: &str, cluster: Option<&str>) -> HostName {
        HostName { name: name.to_owned(), cluster: cluster.map(str::to_owned) }
    }

    #[test]
    fn addresses_find_their_hosts() {
        let hosts = hosts(
            "10.0.0.1 = LB-01 edge\nlb-02.example.com:5555 = lb-02 edge\n10.0.0.9 =\n  5001 = lb-91 core\n  5002 = lb-92\n\
             Node-3.sock = lb-03\nfd00__1 = lb-6\n",
        );
        for (source, name, cluster) in [
            ("10.0.0.1:5555", "LB-01", Some("edge")),
            ("lb-02.example.com:5555", "lb-02", Some("edge")),
            ("10.0.0.9:5001", "lb-91", Some("core")),
            ("10.0.0.9:5002", "lb-92", None),
            ("node-3.sock", "lb-03", None),
            ("[fd00::1]:5555", "lb-6", None),
            ("fd00::1:5555", "lb-6", None),
        ] {
            assert_eq!(hosts.of(source), Some(&host(name, cluster)), "{source}");
        }
        for source in ["10.0.0.2:5555", "lb-02.example.com:5556", "10.0.0.9:5003", "other.sock"] {
            assert_eq!(hosts.of(source), None, "{source}");
        }
        assert_eq!(hosts.clusters(), BTreeSet::from(["core", "edge"]));
    }

    #[test]
    fn what_cannot_be_right_is_refused() {
        for text in ["", "a b c", "0 = a", "x = a", "5 =", "1 = a\n1 = b", "a\nb"] {
            assert!(entries(text).is_err(), "{text:?}");
        }
    }
}
