//! Names of proxies and servers: made safe for Graphite in one place, and interned, because they hardly change from one
//! snapshot to the next.

use crate::config::Graphite;
use foldhash::fast::RandomState;
use std::collections::HashMap;

/// Most bytes of a name in a path. A path element becomes a file name with `.wsp` behind it in whisper, where 255 bytes
/// are the limit of the file system; the rest is left to the store's own additions.
pub(crate) const MAX_NAME: usize = 200;

/// `<namespace>[.<host>].haproxy`, with which every path begins. `hostname` is what gethostname(2) says.
#[must_use]
pub fn base(config: &Graphite, hostname: &str) -> String {
    match host(config, hostname) {
        Some(host) => format!("{}.{host}.haproxy", config.namespace),
        None => format!("{}.haproxy", config.namespace),
    }
}

/// The element for this host, where paths have one.
#[must_use]
pub fn host(config: &Graphite, hostname: &str) -> Option<String> {
    let name = if config.fqdn { hostname } else { hostname.split('.').next().unwrap_or(hostname) };
    config.prefix_hostname.then(|| sanitize(name.as_bytes()))
}

/// The path element for a name.
///
/// | in the name | in the path | why |
/// |---|---|---|
/// | `.` | `_` | Graphite separates path elements by dots |
/// | white space, control characters | `_` | a line is split at blanks and ends at a newline |
/// | `;` | `_` | begins the tags of a tagged series |
/// | `/` | `_` | becomes a directory in whisper |
/// | bytes that are not UTF-8 | `_` each | carbon closes the connection over them |
/// | more than 200 bytes | cut, `-` and eight hexadecimal digits of a checksum | the limit of file names |
/// | nothing at all | `_` | an empty element would vanish |
///
/// Everything else stays as HAProxy wrote it.
#[must_use]
pub fn sanitize(name: &[u8]) -> String {
    if let Some(safe) = sanitize_short(name) {
        return safe;
    }
    let mut safe = String::with_capacity(name.len());
    for chunk in name.utf8_chunks() {
        safe.extend(chunk.valid().chars().map(|c| match c {
            '.' | ';' | '/' => '_',
            c if c.is_whitespace() || c.is_control() => '_',
            c => c,
        }));
        safe.extend(chunk.invalid().iter().map(|_| '_'));
    }
    if safe.is_empty() {
        safe.push('_');
    } else if safe.len() > MAX_NAME {
        let checksum = fnv1a(safe.as_bytes());
        let mut end = MAX_NAME - 9;
        while !safe.is_char_boundary(end) {
            end -= 1;
        }
        safe.truncate(end);
        safe.push_str(&format!("-{checksum:08x}"));
    }
    safe
}

/// The same for what nearly all names are: a tenth of the instructions.
fn sanitize_short(name: &[u8]) -> Option<String> {
    if name.is_empty() || name.len() > MAX_NAME || !name.is_ascii() {
        return None;
    }
    let safe = name.iter().map(|byte| match byte {
        b'.' | b';' | b'/' | 0..=b' ' | 0x7f => b'_',
        byte => *byte,
    });
    String::from_utf8(safe.collect()).ok()
}

/// FNV-1a, 32 bits: tells cut names apart, the same on every machine and in every version.
fn fnv1a(bytes: &[u8]) -> u32 {
    bytes.iter().fold(0x811c_9dc5, |hash, byte| (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193))
}

/// A name, by number. Names that become the same path element have the same number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NameId(pub u32);

/// All names seen, each sanitized once.
#[derive(Debug, Default)]
pub struct Names {
    /// Those that are not the path element themselves.
    by_raw: HashMap<Box<[u8]>, NameId, RandomState>,
    by_safe: HashMap<String, NameId, RandomState>,
    safe: Vec<String>,
    /// The first spelling of those names that are not the path element themselves.
    spelled: HashMap<NameId, String, RandomState>,
}

impl Names {
    /// Forgets all names, and keeps the memory for others.
    pub fn clear(&mut self) {
        self.by_raw.clear();
        self.by_safe.clear();
        self.safe.clear();
        self.spelled.clear();
    }

    /// The number of the name that HAProxy wrote as `raw`.
    pub(crate) fn intern(&mut self, raw: &[u8]) -> NameId {
        // A path element is its own.
        let found = std::str::from_utf8(raw).ok().and_then(|safe| self.by_safe.get(safe));
        if let Some(id) = found.or_else(|| self.by_raw.get(raw)) {
            return *id;
        }
        let safe = sanitize(raw);
        let same = safe.as_bytes() == raw;
        let id = match self.by_safe.get(&safe) {
            Some(id) => *id,
            None => {
                // Four thousand million names would have exhausted memory long before.
                let id = NameId(u32::try_from(self.safe.len()).unwrap_or(u32::MAX));
                if !same && !raw.is_empty() {
                    self.spelled.insert(id, String::from_utf8_lossy(raw).into_owned());
                }
                self.by_safe.insert(safe.clone(), id);
                self.safe.push(safe);
                id
            }
        };
        if !same {
            self.by_raw.insert(raw.into(), id);
        }
        id
    }

    /// The path element of a name; empty for a number that [`Names::intern`] never gave.
    #[must_use]
    pub fn get(&self, id: NameId) -> &str {
        self.safe.get(id.0 as usize).map_or("", String::as_str)
    }

    /// The name as HAProxy wrote it; of several spellings that share a number, the first.
    #[must_use]
    pub(crate) fn spelled(&self, id: NameId) -> &str {
        self.spelled.get(&id).map_or_else(|| self.get(id), String::as_str)
    }

    /// The number of a path element that was seen.
    #[must_use]
    pub fn find(&self, safe: &str) -> Option<NameId> {
        self.by_safe.get(safe).copied()
    }

    /// Number of different path elements.
    #[must_use]
    pub fn len(&self) -> usize {
        self.safe.len()
    }

    /// Whether nothing was interned yet.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.safe.is_empty()
    }

    /// Number of spellings seen, that of the path element included.
    #[must_use]
    pub fn spellings(&self) -> usize {
        self.by_raw.len() + self.by_safe.len()
    }
}

/// Pairs of names (a server in its backend), numbered.
#[derive(Debug, Default)]
pub struct Pairs {
    ids: HashMap<(NameId, NameId), u32, RandomState>,
    pairs: Vec<(NameId, NameId)>,
}

impl Pairs {
    /// Forgets all pairs, and keeps the memory for others.
    pub fn clear(&mut self) {
        self.ids.clear();
        self.pairs.clear();
    }

    /// The number of a pair.
    pub(crate) fn intern(&mut self, pair: (NameId, NameId)) -> u32 {
        *self.ids.entry(pair).or_insert_with(|| {
            self.pairs.push(pair);
            u32::try_from(self.pairs.len() - 1).unwrap_or(u32::MAX)
        })
    }

    /// The number of a pair that was seen.
    #[must_use]
    pub fn find(&self, pair: (NameId, NameId)) -> Option<u32> {
        self.ids.get(&pair).copied()
    }

    /// The pair of a number.
    #[must_use]
    pub fn get(&self, id: u32) -> Option<(NameId, NameId)> {
        self.pairs.get(id as usize).copied()
    }

    /// Number of pairs.
    #[must_use]
    pub fn len(&self) -> usize {
        self.pairs.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.pairs.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_table_holds() {
        for (raw, safe) in [
            (b"www.example.com".as_slice(), "www_example_com"),
            (b"a-b:c_d@3", "a-b:c_d@3"),
            (b"a b\tc\nd\x00e", "a_b_c_d_e"),
            (b"x;dc=1/y", "x_dc=1_y"),
            ("żółw".as_bytes(), "żółw"),
            (b"a\xff\xfeb", "a__b"),
            (b"", "_"),
        ] {
            assert_eq!(sanitize(raw), safe);
        }
    }

    #[test]
    fn cut_names_stay_apart() {
        let long = "x".repeat(300);
        let (a, b) = (sanitize(format!("{long}a").as_bytes()), sanitize(format!("{long}b").as_bytes()));
        assert_ne!(a, b);
        assert_eq!((a.len(), b.len()), (MAX_NAME, MAX_NAME));
    }

    #[test]
    fn spellings_of_one_path_element_share_a_number() {
        let mut names = Names::default();
        let (dotted, plain, other) = (names.intern(b"a.b"), names.intern(b"a_b"), names.intern(b"c"));
        assert_eq!(dotted, plain);
        assert_ne!(dotted, other);
        assert_eq!((names.get(dotted), names.spelled(dotted), names.spelled(other)), ("a_b", "a.b", "c"));
        assert_eq!((names.len(), names.spellings()), (2, 3));
    }

    proptest! {
        #[test]
        fn a_path_element_never_breaks_a_line(raw in proptest::collection::vec(any::<u8>(), 0..400)) {
            let safe = sanitize(&raw);
            prop_assert!(!safe.is_empty() && safe.len() <= MAX_NAME);
            prop_assert!(!safe.contains(|c: char| c.is_whitespace() || c.is_control() || ".;/".contains(c)));
            prop_assert_eq!(sanitize(safe.as_bytes()), safe.clone());
        }

        #[test]
        fn names_in_ascii_are_names(raw in proptest::collection::vec(0..=127_u8, 0..300)) {
            let expected: String = raw.iter().map(|byte| match char::from(*byte) {
                '.' | ';' | '/' => '_',
                c if c.is_whitespace() || c.is_control() => '_',
                c => c,
            }).collect();
            let short = (1..=MAX_NAME).contains(&raw.len());
            prop_assert_eq!(sanitize_short(&raw), short.then_some(expected));
        }

        #[test]
        fn every_spelling_has_one_number(names in proptest::collection::vec("[ab._]{0,3}", 0..20)) {
            let mut interned = Names::default();
            for _ in 0..2 {
                for name in &names {
                    let id = interned.intern(name.as_bytes());
                    prop_assert_eq!(interned.get(id), sanitize(name.as_bytes()));
                    prop_assert_eq!(interned.find(&sanitize(name.as_bytes())), Some(id));
                }
            }
            let different: std::collections::HashSet<_> = names.iter().map(|name| sanitize(name.as_bytes())).collect();
            prop_assert_eq!(interned.len(), different.len());
        }
    }
}
