//! What rows that cannot be read leave unknown.
//!
//! A row is a process's part of the figures of an object. What is combined without one of the parts is a wrong number: a sum
//! is too small, which looks like a dip in every graph, a maximum may be that of the wrong process, a mean is one of others. So
//! the object is left out, of this snapshot and whatever is made of it.
//!
//! | what cannot be read | what is not known |
//! |---|---|
//! | a row with both names | the object of these names |
//! | a row with the name of the proxy alone | all objects of the proxy |
//! | a row without names, with a quote that nothing closes, too long, or cut off at the end of the file; a whole file | all objects that the file has no row of, and which servers there are |
//!
//! Whether a row of which no other process tells was one of a server cannot be told: then it is not known how many servers its
//! backend has either.

use super::table::Table;
use crate::haproxy::columns::Kind;
use crate::haproxy::per_kind::PerKind;
use crate::names::{NameId, Names, Pairs};
use std::collections::HashSet;
use std::ops::Range;

/// Rows whose names are kept. Beyond that the file is as good as one of which names cannot be read.
const MOST_NAMED: usize = 1024;

/// What a row that cannot be read says that it is of, as path elements.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Named {
    proxy: String,
    /// `FRONTEND`, `BACKEND`, or a server; nothing where that cannot be read.
    server: Option<String>,
}

/// Rows and files that cannot be read.
#[derive(Debug, Default)]
pub struct Doubts {
    /// How many rows there were before the current file, by kind.
    begin: PerKind<usize>,
    /// Whether the current file may have rows of any object.
    anything: bool,
    /// Where the rows of each such file are, by kind.
    files: Vec<PerKind<Range<usize>>>,
    named: HashSet<Named>,
}

impl Doubts {
    /// Forgets everything.
    pub fn clear(&mut self) {
        self.files.clear();
        self.named.clear();
    }

    /// Whether every row of every file could be read.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.files.is_empty() && self.named.is_empty()
    }

    /// Whether some file may have rows of any object.
    #[must_use]
    pub(crate) fn of_anything(&self) -> bool {
        !self.files.is_empty()
    }

    /// The rows of which the names can be read.
    pub fn named(&self) -> impl Iterator<Item = &Named> {
        self.named.iter()
    }

    /// A file of which no row can be read.
    pub(crate) fn refuse_file(&mut self) {
        self.files.push(PerKind::new(|_| 0..0));
    }

    pub(super) fn begin_file(&mut self, tables: &PerKind<Table>, anything: bool) {
        self.begin = tables.each(Table::rows);
        self.anything = anything;
    }

    pub(super) fn end_file(&mut self, tables: &PerKind<Table>) {
        if std::mem::take(&mut self.anything) {
            self.files.push(PerKind::new(|kind| self.begin[kind]..tables[kind].rows()));
        }
    }

    /// A row of the current file that may be of any object.
    pub(super) fn note_anything(&mut self) {
        self.anything = true;
    }

    /// A row of the current file with these path elements.
    pub(super) fn note(&mut self, proxy: String, server: Option<String>) {
        if self.named.len() < MOST_NAMED {
            self.named.insert(Named { proxy, server });
        } else {
            self.anything = true;
        }
    }

    /// What is not known of the objects in these tables; `None` where all is.
    #[must_use]
    pub fn unknown(&self, tables: &PerKind<Table>, names: &Names, servers: &Pairs) -> Option<Unknown> {
        if self.is_empty() {
            return None;
        }
        let there = tables.each(|table| table.keys.iter().copied().collect());
        let mut unknown = Unknown::of(self.named(), &there, names, servers);
        for ranges in &self.files {
            for (((unknown, there), table), range) in unknown.objects.iter_mut().zip(&there).zip(tables).zip(ranges) {
                let own: HashSet<u32> = table.keys.get(range.clone()).unwrap_or_default().iter().copied().collect();
                unknown.extend(there.difference(&own));
            }
            (unknown.servers_of, unknown.totals) = (Which::All, None);
        }
        Some(unknown)
    }
}

/// Some objects of a kind, or all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Which {
    /// Those of these numbers.
    These(HashSet<u32>),
    /// All.
    All,
}

impl Default for Which {
    fn default() -> Self {
        Self::These(HashSet::new())
    }
}

impl Which {
    /// Whether it is one of them.
    #[must_use]
    pub fn contains(&self, number: u32) -> bool {
        match self {
            Self::These(numbers) => !numbers.is_empty() && numbers.contains(&number),
            Self::All => true,
        }
    }

    fn add(&mut self, number: Option<NameId>) {
        if let (Self::These(numbers), Some(NameId(number))) = (self, number) {
            numbers.insert(number);
        }
    }
}

/// What is not known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unknown {
    /// Objects of which other processes tell, by kind.
    pub objects: PerKind<HashSet<u32>>,
    /// Proxies that may have more servers.
    pub servers_of: Which,
    /// Servers over all backends, by path element; `None` for all.
    pub totals: Option<HashSet<String>>,
}

impl Default for Unknown {
    fn default() -> Self {
        Self { objects: Default::default(), servers_of: Which::default(), totals: Some(HashSet::new()) }
    }
}

impl Unknown {
    /// What these rows leave unknown, where there are these objects.
    #[must_use]
    pub fn of<'a>(
        named: impl Iterator<Item = &'a Named>,
        there: &PerKind<HashSet<u32>>,
        names: &Names,
        servers: &Pairs,
    ) -> Self {
        let mut unknown = Self::default();
        let PerKind([frontends, backends, all_servers]) = there;
        for Named { proxy, server } in named {
            let proxy = names.find(proxy);
            let PerKind([of_frontends, of_backends, of_servers]) = &mut unknown.objects;
            let key = proxy.map(|NameId(key)| key);
            let server_word = server.as_deref();
            if matches!(server_word, Some("FRONTEND") | None) {
                of_frontends.extend(key.filter(|key| frontends.contains(key)));
            }
            if matches!(server_word, Some("BACKEND") | None) {
                of_backends.extend(key.filter(|key| backends.contains(key)));
            }
            let Some(server) = server_word else {
                let of_proxy = |key: &&u32| servers.get(**key).is_some_and(|(of, _)| Some(of) == proxy);
                of_servers.extend(all_servers.iter().filter(of_proxy));
                unknown.servers_of.add(proxy);
                unknown.totals = None;
                continue;
            };
            let name = names.find(server);
            let pair = proxy.zip(name).and_then(|pair| servers.find(pair)).filter(|key| all_servers.contains(key));
            of_servers.extend(pair);
            let is_server = !["FRONTEND", "BACKEND"].contains(&server);
            if let Some(totals) = unknown.totals.as_mut().filter(|_| is_server || pair.is_some()) {
                totals.insert(server.to_owned());
            }
            if is_server && pair.is_none() {
                unknown.servers_of.add(proxy);
            }
        }
        unknown
    }

    /// Whether a server over all backends is one of them.
    #[must_use]
    pub(crate) fn has_total(&self, server: &str) -> bool {
        self.totals.as_ref().is_none_or(|totals| totals.contains(server))
    }

    /// The objects of a kind.
    #[must_use]
    pub(crate) fn of_kind(&self, kind: Kind) -> &HashSet<u32> {
        &self.objects[kind]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parse::stat::Stats;
    use crate::plan::KindPlan;
    use std::sync::Arc;

    const HEADER: &str = "# pxname,svname,type,scur,last_chk,\n";
    const ALL: &str = "a,FRONTEND,0,1,,\na,s1,2,1,,\na,s2,2,1,,\na,BACKEND,1,1,,\nb,s1,2,1,,\nb,BACKEND,1,1,,\n";

    /// What is not known with these files, in words.
    fn unknown(files: &[&str]) -> (Vec<String>, bool, bool) {
        let process = crate::testing::config().process;
        let mut stats = Stats::new(Arc::new(PerKind::new(|kind| KindPlan::new(kind, &process))), false);
        stats.clear();
        for file in files {
            let _ = stats.read(format!("{HEADER}{file}").as_bytes(), |_, _| {});
        }
        let collected = &stats.collected;
        let (names, servers) = (&collected.names, &collected.servers);
        let Some(unknown) = collected.doubts.unknown(&collected.tables, names, servers) else {
            return (Vec::new(), false, false);
        };
        let mut words = Vec::new();
        for kind in Kind::ALL {
            for key in unknown.of_kind(kind) {
                words.push(match kind {
                    Kind::Server => {
                        let (backend, server) = servers.get(*key).unwrap();
                        format!("{}/{}", names.get(backend), names.get(server))
                    }
                    _ => format!("{} {}", kind.word(), names.get(NameId(*key))),
                });
            }
        }
        words.sort();
        let a = names.find("a").unwrap();
        (words, unknown.servers_of.contains(a.0), unknown.totals.is_none())
    }

    fn words(words: &[&str]) -> Vec<String> {
        words.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_row_with_names_leaves_its_object_unknown() {
        assert_eq!(unknown(&[ALL, ALL]), (Vec::new(), false, false));
        for row in ["a,s1,2,x,,\n", "a,s1,2\n", "a,s1,2,1,,,,\n", "a,s1,9,1,,\n", "a,s1,2,1,\"x\",,,\n"] {
            assert_eq!(unknown(&[row, ALL]), (words(&["a/s1"]), false, false), "{row:?}");
        }
        assert_eq!(unknown(&[ALL, "a,BACKEND,1,x,,\n"]), (words(&["backend a"]), false, false));
        assert_eq!(unknown(&[ALL, "a,FRONTEND,,\n"]), (words(&["frontend a"]), false, false));
        // Whether it is one of a server is not known.
        assert_eq!(unknown(&[ALL, "a,s3,2,x,,\n"]), (Vec::new(), true, false));
        assert_eq!(unknown(&[ALL, "c,s3,2,x,,\n"]), (Vec::new(), false, false));
        assert_eq!(unknown(&[ALL, "a,\n"]), (words(&["a/s1", "a/s2", "backend a", "frontend a"]), true, true));
    }

    #[test]
    fn a_row_of_which_nothing_is_known_may_be_any_that_the_file_has_not() {
        let most = ALL.replace("a,s2,2,1,,\n", "");
        for row in ["garbage\n", ",s2,2,1,,\n", "a,s2,2,1,\"open,\n", "a,s2,2,1"] {
            assert_eq!(unknown(&[ALL, &format!("{most}{row}")]), (words(&["a/s2"]), true, true), "{row:?}");
            assert_eq!(unknown(&[&format!("{ALL}{row}")]), (Vec::new(), true, true), "{row:?}");
        }
        assert_eq!(unknown(&["garbage\n", ALL]).0.len(), 6);
    }
}
