//! Patterns of groups: Python's `re` syntax for the regex crate.
//!
//! The two agree on nearly everything that a name of a frontend needs. What they write differently is rewritten here;
//! what needs backtracking (look-around, back-references) is refused, because the regex crate promises linear time on
//! any pattern and any name, and has no such thing.

use super::reading::Refusal;
use regex::Regex;

/// Compiles a pattern that is searched anywhere in a name, as Python's `re.search` does.
///
/// # Errors
/// What is wrong with the pattern, and what would be right.
pub fn compile(pattern: &str) -> Result<Regex, Refusal> {
    let translated = translate(pattern)?;
    Regex::new(&translated).map_err(|error| {
        // The crate draws the pattern with a marker over several lines; the last one says what is wrong.
        let words = error.to_string();
        let last = words.lines().last().unwrap_or_default();
        let reason = last.strip_prefix("error: ").unwrap_or(last);
        format!("not a regular expression ({reason}); a backslash makes a special character plain")
    })
}

/// Whether the pattern asks for a dot, which no name has: dots are underscores before the pattern is searched.
#[must_use]
pub(crate) fn wants_dot(pattern: &str) -> bool {
    let mut characters = pattern.chars();
    while let Some(c) = characters.next() {
        if c == '\\' && characters.next() == Some('.') {
            return true;
        }
    }
    false
}

fn translate(pattern: &str) -> Result<String, Refusal> {
    let mut out = String::with_capacity(pattern.len() + 8);
    let mut rest = pattern;
    let mut class = None;
    while let Some(c) = rest.chars().next() {
        let tail = rest.get(c.len_utf8()..).unwrap_or_default();
        let next = tail.chars().next();
        match (c, next) {
            ('\\', Some(escaped)) => {
                match escaped {
                    '1'..='9' if class.is_none() => return Err(unsupported("back-references such as \\1")),
                    'Z' if class.is_none() => out.push_str(r"\z"),
                    // The regex crate gives these a meaning of their own.
                    '<' | '>' => out.push(escaped),
                    _ => out.extend(['\\', escaped]),
                }
                rest = tail.get(escaped.len_utf8()..).unwrap_or_default();
                continue;
            }
            ('[', _) if class.is_none() => {
                out.push('[');
                rest = tail;
                if let Some(negated) = rest.strip_prefix('^') {
                    out.push('^');
                    rest = negated;
                }
                // A bracket at the start of a class is a character of it.
                if let Some(bracket) = rest.strip_prefix(']') {
                    out.push_str(r"\]");
                    rest = bracket;
                }
                class = Some(());
                continue;
            }
            (']', _) if class.is_some() => {
                class = None;
                out.push(']');
            }
            // Classes within classes and operations on them are the regex crate's own.
            ('[' | '&' | '~', _) if class.is_some() => out.extend(['\\', c]),
            ('-', Some('-')) if class.is_some() => out.push_str(r"\-"),
            ('(', Some('?')) if class.is_none() => {
                refuse_group(tail)?;
                out.push('(');
            }
            ('{', Some(',')) if class.is_none() => out.push_str("{0"),
            _ => out.push(c),
        }
        rest = tail;
    }
    Ok(out)
}

/// Refuses what begins with `(?` and needs backtracking; `tail` begins with the question mark.
fn refuse_group(tail: &str) -> Result<(), Refusal> {
    let kinds = [
        ("?=", "look-ahead (?=...)"),
        ("?!", "look-ahead (?!...)"),
        ("?<=", "look-behind (?<=...)"),
        ("?<!", "look-behind (?<!...)"),
        ("?P=", "back-references (?P=...)"),
        ("?(", "conditions (?(...)...)"),
        ("?#", "comments (?#...)"),
        ("?>", "atomic groups (?>...)"),
    ];
    match kinds.iter().find(|(start, _)| tail.starts_with(start)) {
        Some((_, what)) => Err(unsupported(what)),
        None => Ok(()),
    }
}

fn unsupported(what: &str) -> Refusal {
    format!("{what} are not supported; the first group that matches wins, so put the exceptions in a group before it")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn finds(pattern: &str, name: &str) -> bool {
        compile(pattern).unwrap().is_match(name)
    }

    #[test]
    fn searched_anywhere() {
        assert!(finds("oo-0", "foo-001"));
        assert!(!finds("^oo", "foo-001"));
        assert!(finds("", "anything"));
    }

    #[test]
    fn what_python_writes_differently() {
        assert!(finds(r"foo\Z", "foo") && !finds(r"foo\Z", "foox"));
        assert!(finds("[[]", "a[b") && !finds("[[]", "ab"));
        assert!(finds("[]x]", "]") && finds("[^]]", "a"));
        assert!(finds("^[a&&b]$", "&"));
        assert!(finds("^ab{,2}$", "abb") && !finds("^ab{,2}$", "abbb"));
        assert!(finds(r"\<x\>", "<x>"));
        assert!(finds(r"[\w.-]+:\d", "a-b:1"));
    }

    #[test]
    fn what_needs_backtracking_is_refused_by_name() {
        for (pattern, words) in [
            ("^(?!api)", "look-ahead"),
            (r"(?<=a)b", "look-behind"),
            (r"(a)\1", "back-references"),
            ("(?(1)a|b)", "conditions"),
        ] {
            let refusal = compile(pattern).unwrap_err();
            assert!(refusal.contains(words) && refusal.contains("not supported"), "{refusal}");
        }
    }

    #[test]
    fn faults_are_named() {
        let refusal = compile("(a").unwrap_err();
        assert!(refusal.contains("unclosed group"), "{refusal}");
        assert!(!refusal.contains('\n'));
    }

    #[test]
    fn a_dot_to_find() {
        assert!(wants_dot(r"^a\.b") && !wants_dot(r"^a.b") && !wants_dot(r"a\\.b"));
    }
}
