//! Words in the one form that docopt takes: each option spelt in full, its value behind it. The original's docopt also
//! understood abbreviations (`--vers`) and letters together (`-pv`).

use super::known::{IN_FULL, Known, known};
use crate::config::Program;

/// A word, and its value when it is an option that takes one.
pub(super) type Word = (String, Option<String>);

/// Spells every option in full and puts its value behind it. What is no option of the program stays as it is.
pub(super) fn canonical(program: Program, words: Vec<String>) -> Result<Vec<Word>, String> {
    let known = || known(program);
    let mut out = Vec::with_capacity(words.len());
    let mut words = words.into_iter().peekable();
    while let Some(word) = words.next() {
        if word == "--" {
            out.extend(std::iter::once((word, None)).chain(words.by_ref().map(|word| (word, None))));
        } else if word.starts_with("--") {
            let (name, value) = match word.split_once('=') {
                Some((name, value)) => (name, Some(value.to_owned())),
                None => (word.as_str(), None),
            };
            let exact: Vec<_> = known().filter(|(long, ..)| *long == name).collect();
            let begins = |option: &Known| option.0.starts_with(name) && !IN_FULL.contains(&option.0);
            let found = if exact.is_empty() { known().filter(begins).collect() } else { exact };
            match (found.as_slice(), value) {
                ([], _) => out.push((word, None)),
                ([(long, _, true)], Some(value)) => out.push(((*long).to_owned(), Some(value))),
                ([(long, _, true)], None) => out.push(((*long).to_owned(), Some(value_of(long, words.next())?))),
                ([(long, _, false)], None) => out.push(((*long).to_owned(), None)),
                ([(long, _, false)], Some(_)) => return Err(format!("{long} must not have an argument")),
                (several, _) => {
                    let names: Vec<&str> = several.iter().map(|(long, ..)| *long).collect();
                    return Err(format!("{name} is not a unique prefix: {}?", names.join(", ")));
                }
            }
        } else if let Some(cluster) = word.strip_prefix('-').filter(|cluster| !cluster.is_empty()) {
            let mut rest = cluster;
            while let Some(letter) = rest.chars().next() {
                rest = rest.get(letter.len_utf8()..).unwrap_or_default();
                match known().find(|(_, short, _)| *short == Some(letter)) {
                    None => out.push((format!("-{letter}"), None)),
                    Some((long, _, false)) => out.push((long.to_owned(), None)),
                    Some((long, _, true)) => {
                        let attached = std::mem::take(&mut rest);
                        let value = if attached.is_empty() {
                            value_of(&format!("-{letter}"), words.next())?
                        } else {
                            attached.to_owned()
                        };
                        out.push((long.to_owned(), Some(value)));
                    }
                }
            }
        } else {
            out.push((word, None));
        }
    }
    Ok(out)
}

fn value_of(option: &str, next: Option<String>) -> Result<String, String> {
    next.filter(|word| word != "--").ok_or_else(|| format!("{option} requires argument"))
}
