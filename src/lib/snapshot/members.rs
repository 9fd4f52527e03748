//! Whose files are in a snapshot that was assembled from those of several hosts: `.members` among its files.
//!
//! The files of a host begin with its mark, followed by [`MARK`]. What stands in `.members` is for `haproxystats-process` on the
//! same machine, which has written it:
//!
//! ```text
//! host<TAB>mark<TAB>name<TAB>cluster
//! cluster<TAB>name<TAB>hosts that are missing
//! ```
//!
//! A host of which no roll-up is to be made has its cluster, and the cluster has no line of its own.

use super::MEMBERS;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

/// What stands between the mark of a host and the name of a file.
pub(crate) const MARK: char = '~';

/// Most bytes of the file that are read: a million hosts.
const MOST: u64 = 256 << 20;

/// A host.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Member {
    /// Its name.
    pub name: String,
    /// The cluster that it is part of.
    pub cluster: Option<String>,
}

/// All hosts of a snapshot.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Members {
    /// By mark.
    pub hosts: BTreeMap<String, Member>,
    /// The clusters that roll-ups are to be made of, each with the number of its hosts that are missing.
    pub clusters: BTreeMap<String, u64>,
}

impl Members {
    /// Those of the snapshot in `dir`; `None` where it was not assembled.
    ///
    /// # Errors
    /// The file is there and cannot be read, or says something that it should not.
    pub fn read(dir: &Path) -> io::Result<Option<Self>> {
        let mut text = String::new();
        match File::open(dir.join(MEMBERS)) {
            Ok(file) => file.take(MOST).read_to_string(&mut text)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let bad = || io::Error::new(io::ErrorKind::InvalidData, format!("{MEMBERS} is damaged"));
        Self::parse(&text).ok_or_else(bad).map(Some)
    }

    fn parse(text: &str) -> Option<Self> {
        let mut members = Self::default();
        for line in text.lines() {
            let mut words = line.split('\t');
            match (words.next()?, words.next()?, words.next()?, words.next()) {
                ("host", mark, name, cluster) => {
                    let cluster = cluster.map(ToOwned::to_owned);
                    members.hosts.insert(mark.to_owned(), Member { name: name.to_owned(), cluster });
                }
                ("cluster", name, missing, None) => {
                    members.clusters.insert(name.to_owned(), missing.parse().ok()?);
                }
                // For later versions.
                _ => {}
            }
        }
        Some(members)
    }

    /// The text of the file. Names must have no control characters.
    #[must_use]
    pub fn text(&self) -> String {
        let mut text = String::new();
        for (mark, Member { name, cluster }) in &self.hosts {
            text.push_str(&format!("host\t{mark}\t{name}"));
            if let Some(cluster) = cluster {
                text.push_str(&format!("\t{cluster}"));
            }
            text.push('\n');
        }
        for (name, missing) in &self.clusters {
            text.push_str(&format!("cluster\t{name}\t{missing}\n"));
        }
        text
    }

    /// The host of a file.
    #[must_use]
    pub fn of(&self, file: &str) -> Option<&Member> {
        file.split_once(MARK).and_then(|(mark, _)| self.hosts.get(mark))
    }
}

/// The mark of the host with this number.
#[must_use]
pub fn mark(number: usize) -> String {
    format!("h{number}")
}

/// The name of a file, or of its source, without the mark of its host.
#[must_use]
pub(crate) fn unmarked(name: &str) -> &str {
    let is_mark = |mark: &str| {
        mark.strip_prefix('h').is_some_and(|number| !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit()))
    };
    name.split_once(MARK).filter(|(mark, _)| is_mark(mark)).map_or(name, |(_, name)| name)
}

/// What a file of a host is called in such a snapshot.
#[must_use]
pub fn marked(mark: &str, file: &str) -> String {
    format!("{mark}{MARK}{file}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(Members::read(dir.path()).unwrap(), None);
        let member = |name: &str, cluster: Option<&str>| Member {
            name: name.to_owned(),
            cluster: cluster.map(ToOwned::to_owned),
        };
        let members = Members {
            hosts: [("h0".to_owned(), member("lb 1", Some("ams"))), ("h1".to_owned(), member("lb-2", None))].into(),
            clusters: [("ams".to_owned(), 3)].into(),
        };
        std::fs::write(dir.path().join(MEMBERS), members.text()).unwrap();
        let read = Members::read(dir.path()).unwrap().unwrap();
        assert_eq!(read, members);
        assert_eq!(read.of(&marked("h0", "a~b_stat")).map(|host| host.name.as_str()), Some("lb 1"));
        assert_eq!((read.of("h2~a_stat"), read.of("a_stat")), (None, None));
        let names = [marked(&mark(12), "a~b_stat"), "a~b_stat".to_owned(), "h~a".to_owned()];
        assert_eq!(names.each_ref().map(|name| unmarked(name)), ["a~b_stat", "a~b_stat", "h~a"]);
        std::fs::write(dir.path().join(MEMBERS), "cluster\tams\tmany\n").unwrap();
        assert!(Members::read(dir.path()).is_err());
    }
}
