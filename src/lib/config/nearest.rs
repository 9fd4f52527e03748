//! The nearest known name for a misspelt one.

use strsim::osa_distance;

/// The known name nearest to `word`: at most a third of its characters may differ. Capitals,
/// dashes, underscores and blanks are taken as equal, for they are what is most often mixed up.
#[must_use]
pub fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    // Longer words are no slips of a name, and the distance costs the product of the lengths.
    const LONGEST: usize = 64;
    let word = folded(word);
    let letters = word.chars().count();
    if letters == 0 || letters > LONGEST {
        return None;
    }
    // Two letters are as near to any other two.
    let limit = if letters < 3 { 0 } else { letters / 3 };
    let distances = known.into_iter().map(|name| (osa_distance(&word, &folded(name)), name));
    distances.filter(|(distance, _)| *distance <= limit).min_by_key(|(distance, _)| *distance).map(|(_, name)| name)
}

/// `; did you mean "name"?` or nothing.
pub(crate) fn did_you_mean<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> String {
    nearest(word, known).map_or_else(String::new, |name| format!("; did you mean {name:?}?"))
}

fn folded(word: &str) -> String {
    let same = |c| if matches!(c, '_' | ' ') { '-' } else { c };
    word.chars().flat_map(char::to_lowercase).map(same).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_what_is_near_and_only_that() {
        let known = ["timeout", "interval", "retries"];
        assert_eq!(nearest("time-out", known), Some("timeout"));
        assert_eq!(nearest("retires", known), Some("retries"), "two letters that changed places are one slip");
        assert_eq!(nearest("RET_IES", known), Some("retries"));
        assert_eq!(nearest("frobnicate", known), None);
        assert_eq!(nearest("", known), None);
        assert_eq!(nearest(&"x".repeat(100_000), known), None);
    }
}
