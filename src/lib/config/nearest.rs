//! The nearest known name for a misspelt one.

/// The known name nearest to `word`: at most a third of its characters may differ. Capitals,
/// dashes, underscores and blanks are taken as equal, for they are what is most often mixed up.
#[must_use]
pub fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    // Longer words are no slips of a name, and the distance costs the product of the lengths.
    const LONGEST: usize = 64;
    let word = folded(word);
    if word.is_empty() || word.len() > LONGEST {
        return None;
    }
    // Two letters are as near to any other two.
    let limit = if word.len() < 3 { 0 } else { word.len() / 3 };
    let distances = known.into_iter().map(|name| (distance(&word, &folded(name)), name));
    distances.filter(|(distance, _)| *distance <= limit).min_by_key(|(distance, _)| *distance).map(|(_, name)| name)
}

/// `; did you mean "name"?` or nothing.
#[must_use]
pub(super) fn did_you_mean<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> String {
    nearest(word, known).map_or_else(String::new, |name| format!("; did you mean {name:?}?"))
}

fn folded(word: &str) -> Vec<char> {
    let same = |c| if matches!(c, '_' | ' ') { '-' } else { c };
    word.chars().flat_map(char::to_lowercase).map(same).collect()
}

/// Insertions, deletions, replacements and swaps of neighbours that lead from one word to the other.
fn distance(a: &[char], b: &[char]) -> usize {
    let mut before: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=b.len()).collect();
    let mut previous: Option<char> = None;
    for (i, &x) in a.iter().enumerate() {
        let mut row = Vec::with_capacity(b.len() + 1);
        let mut left = i + 1;
        row.push(left);
        let mut above_left = i;
        for (j, &y) in b.iter().enumerate() {
            let above = last.get(j + 1).copied().unwrap_or(usize::MAX - 1);
            let mut best = (above_left + usize::from(x != y)).min(above + 1).min(left + 1);
            let swapped = j > 0 && previous == Some(y) && b.get(j - 1) == Some(&x);
            if let Some(two_back) = before.get(j.wrapping_sub(1)).filter(|_| swapped) {
                best = best.min(two_back + 1);
            }
            row.push(best);
            left = best;
            above_left = above;
        }
        previous = Some(x);
        before = std::mem::replace(&mut last, row);
    }
    last.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn between(a: &str, b: &str) -> usize {
        distance(&folded(a), &folded(b))
    }

    #[test]
    fn counts_slips() {
        for (a, b, slips) in [
            ("", "", 0),
            ("", "abc", 3),
            ("abc", "", 3),
            ("kitten", "sitting", 3),
            ("retires", "retries", 1),
            ("ab", "ba", 1),
            ("Prefix_Hostname", "prefix-hostname", 0),
        ] {
            assert_eq!(between(a, b), slips, "{a} {b}");
        }
    }

    #[test]
    fn names_what_is_near_and_only_that() {
        let known = ["timeout", "interval", "retries"];
        assert_eq!(nearest("time-out", known), Some("timeout"));
        assert_eq!(nearest("retrys", known), Some("retries"));
        assert_eq!(nearest("frobnicate", known), None);
        assert_eq!(nearest("", known), None);
        assert_eq!(nearest(&"x".repeat(100_000), known), None);
    }
}
