//! Patterns of file names, as a shell has them: `*` is any text, `?` any character.

use super::reading::Refusal;

/// Patterns, separated by spaces. A name matches when it matches one of them as a whole.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NamePatterns(Vec<String>);

impl NamePatterns {
    /// Reads the list.
    ///
    /// # Errors
    /// It is empty, or holds a path: names have no folder.
    pub(super) fn parse(text: &str) -> Result<Self, Refusal> {
        let all: Vec<String> = text.split_whitespace().map(str::to_owned).collect();
        if all.is_empty() {
            return Err("empty; write names such as master.sock or *.master, or remove the line".to_owned());
        }
        if let Some(path) = all.iter().find(|pattern| pattern.contains('/')) {
            return Err(format!("{path:?} is a path; write only the file name"));
        }
        Ok(Self(all))
    }

    #[cfg(test)]
    pub(crate) fn parse_for_tests(text: &str) -> Self {
        Self::parse(text).unwrap()
    }

    /// Whether one of them matches the name.
    #[must_use]
    pub fn matches(&self, name: &str) -> bool {
        let name: Vec<char> = name.chars().collect();
        self.0.iter().any(|pattern| matches(&pattern.chars().collect::<Vec<_>>(), &name))
    }
}

/// Where a mismatch follows a `*`, one more character goes to it: no pattern takes longer than its length times that of
/// the name.
fn matches(pattern: &[char], name: &[char]) -> bool {
    let (mut at, mut from) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while let Some(character) = name.get(from) {
        match pattern.get(at) {
            Some('*') => {
                star = Some((at, from));
                at += 1;
            }
            Some(wanted) if *wanted == '?' || wanted == character => {
                at += 1;
                from += 1;
            }
            _ => match star {
                Some((place, taken)) => {
                    star = Some((place, taken + 1));
                    at = place + 1;
                    from = taken + 1;
                }
                None => return false,
            },
        }
    }
    pattern.iter().skip(at).all(|rest| *rest == '*')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_match_as_a_whole() {
        let patterns = NamePatterns::parse("master.sock  *.fe\n?x*y").unwrap();
        for name in ["master.sock", "www.fe", ".fe", "axy", "xx1y2y", "żxy"] {
            assert!(patterns.matches(name), "{name}");
        }
        for name in ["master.sock2", "amaster.sock", "www.fe.sock", "xy", "axz", ""] {
            assert!(!patterns.matches(name), "{name}");
        }
        assert!(!NamePatterns::default().matches("x"));
        assert!(NamePatterns::parse("*").unwrap().matches("anything"));
        let long = "*a".repeat(100) + "b";
        assert!(!NamePatterns::parse(&long).unwrap().matches(&"a".repeat(2000)));
    }

    #[test]
    fn paths_and_nothing_are_refused() {
        for text in ["", "  ", "a /run/b"] {
            assert!(NamePatterns::parse(text).is_err(), "{text:?}");
        }
    }
}
