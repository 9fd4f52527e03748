//! `[pull] families`: words, separated by spaces, or `all`.

use super::nearest::did_you_mean;
use super::reading::Refusal;
use crate::haproxy::family::{Families, Family};

/// Reads the list.
///
/// # Errors
/// A word that is no family, or none at all.
pub(super) fn read(text: &str) -> Result<Families, Refusal> {
    if text.trim() == "all" {
        return Ok(Families::all());
    }
    let words = || Family::ALL.map(Family::word);
    let families: Families = text
        .split_whitespace()
        .map(|word| {
            Family::ALL.into_iter().find(|family| family.word() == word).ok_or_else(|| {
                format!(
                    "{word:?} is not a family{}; write some of {}, or all",
                    did_you_mean(word, words().into_iter()),
                    words().join(" ")
                )
            })
        })
        .collect::<Result<_, _>>()?;
    if families.is_empty() {
        return Err(format!("empty; write some of {}, or all, or remove the line", words().join(" ")));
    }
    Ok(families)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn families_are_listed_or_all() {
        let families = read("tables  peers").unwrap();
        assert!(families.has(Family::Tables) && families.has(Family::Peers) && !families.has(Family::Pools));
        assert_eq!(read("all"), Ok(Families::all()));
        for (text, said) in [("", "empty"), ("table", "tables"), ("tables all", "\"all\" is not a family")] {
            assert!(read(text).unwrap_err().contains(said), "{text:?}: {:?}", read(text));
        }
    }
}
