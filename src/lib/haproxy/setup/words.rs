//! Lines of haproxy.cfg as words, as HAProxy takes them apart: quotes, escapes, comments, and variables of the environment in
//! double quotes.

use std::collections::{BTreeMap, BTreeSet};

/// Variables, and those that were asked for and are not there.
#[derive(Debug, Default)]
pub(super) struct Environment {
    pub(super) values: BTreeMap<String, String>,
    pub(super) missing: BTreeSet<String>,
}

/// The words of a line; none of one that is empty or a comment.
pub(super) fn words(line: &str, environment: &mut Environment) -> Vec<String> {
    let (mut words, mut word, mut begun) = (Vec::new(), String::new(), false);
    let (mut single, mut double) = (false, false);
    let mut letters = line.chars().peekable();
    while let Some(letter) = letters.next() {
        match letter {
            '\'' if !double => (single, begun) = (!single, true),
            '"' if !single => (double, begun) = (!double, true),
            '\\' if !single => {
                begun = true;
                word.extend(letters.next());
            }
            '#' if !single && !double => break,
            '$' if double => word.push_str(&variable(&mut letters, environment)),
            letter if letter.is_whitespace() && !single && !double => {
                if begun {
                    words.push(std::mem::take(&mut word));
                }
                begun = false;
            }
            letter => {
                begun = true;
                word.push(letter);
            }
        }
    }
    if begun {
        words.push(word);
    }
    words
}

/// An address: HAProxy replaces variables in it even without quotes.
pub(super) fn address(text: &str, environment: &mut Environment) -> String {
    let mut address = String::new();
    let mut letters = text.chars().peekable();
    while let Some(letter) = letters.next() {
        match letter {
            '$' => address.push_str(&variable(&mut letters, environment)),
            letter => address.push(letter),
        }
    }
    address
}

/// `$NAME`, `${NAME}` or `${NAME-default}`, without the dollar.
fn variable(letters: &mut std::iter::Peekable<std::str::Chars<'_>>, environment: &mut Environment) -> String {
    let braces = letters.next_if_eq(&'{').is_some();
    let mut name = String::new();
    while let Some(letter) = letters.next_if(|letter| letter.is_ascii_alphanumeric() || *letter == '_') {
        name.push(letter);
    }
    let mut default = String::new();
    if braces {
        for letter in letters.by_ref().take_while(|letter| *letter != '}') {
            default.push(letter);
        }
    }
    if let Some(value) = environment.values.get(&name) {
        return value.clone();
    }
    match default.strip_prefix('-') {
        Some(default) => default.to_owned(),
        None => {
            environment.missing.insert(name);
            String::new()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_those_of_haproxy() {
        let mut environment = Environment::default();
        environment.values.insert("DIR".to_owned(), "/run/x".to_owned());
        for (line, wanted) in [
            ("", &[][..]),
            ("  # stats socket /a", &[]),
            ("\tstats socket /a mode 660 # why", &["stats", "socket", "/a", "mode", "660"]),
            ("stats socket \"${DIR}/a b\"", &["stats", "socket", "/run/x/a b"]),
            ("a \"$DIR\" '$DIR' $DIR", &["a", "/run/x", "$DIR", "$DIR"]),
            ("a \"${NONE-b}c\" \"\" x\\ y\\#z", &["a", "bc", "", "x y#z"]),
        ] {
            assert_eq!(words(line, &mut environment), wanted, "{line}");
        }
        assert!(environment.missing.is_empty());
        assert_eq!(words("\"${NOT}\"", &mut environment), [""]);
        assert_eq!(address("unix@${DIR}/$DIR.a", &mut environment), "unix@/run/x//run/x.a");
        assert!(environment.missing.contains("NOT"));
    }
}
