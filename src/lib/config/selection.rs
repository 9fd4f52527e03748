//! Lists of metrics: names that HAProxy has, separated by spaces, or `all`.

use super::nearest::did_you_mean;
use super::reading::Refusal;
use crate::haproxy::columns::{self, COLUMNS, Kind};
use crate::haproxy::info;

/// A list of metrics: `frontend-metrics`, `backend-metrics`, `server-metrics`, `daemon-metrics`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Selection {
    /// Unset: the original's built-in list.
    Default,
    /// `all`: every field that this HAProxy has and the catalogue knows.
    All,
    /// HAProxy's field names in the order as written; duplicates are kept, and so is what the catalogue does not know.
    List(Vec<String>),
}

/// `frontend-metrics`, `backend-metrics`, `server-metrics`.
///
/// # Errors
/// Names that objects of this kind do not have, or that are nearly those of others, and what would be right.
pub(super) fn of_kind(text: &str, kind: Kind) -> Result<Selection, Refusal> {
    let usable = |name: &str| columns::find(name).is_some_and(|column| column.is_numeric() && column.on(kind));
    list(text, |name| {
        if usable(name) {
            return Ok(name.to_owned());
        }
        let word = kind.word();
        match columns::find(name) {
            Some(column) if column.is_numeric() => Err(format!("{name:?} is not a metric of a {word}")),
            Some(_) if matches!(name, "status" | "check_status") => {
                Err(format!("{name:?} is text; status-metrics = true sends states as numbers"))
            }
            Some(_) => Err(format!("{name:?} is text, which cannot be sent")),
            None => {
                let known = COLUMNS.iter().map(|column| column.name).filter(|name| usable(name));
                unknown(name, "HAProxy", &did_you_mean(name, known))
            }
        }
    })
}

/// `daemon-metrics`. A blank inside a name is written as an underscore: `Unstoppable_Jobs`.
///
/// # Errors
/// Names that `show info` does not have, and what would be right.
pub(super) fn of_daemon(text: &str) -> Result<Selection, Refusal> {
    list(text, |name| {
        let exact = info::find(name);
        let spaced =
            || info::FIELDS.iter().find(|field| field.name.contains(' ') && field.name.replace(' ', "_") == name);
        match exact.or_else(spaced) {
            Some(field) if field.is_numeric() => Ok(field.name.to_owned()),
            Some(_) => Err(format!("{name:?} is text, which cannot be sent")),
            None => {
                let known: Vec<String> = info::FIELDS
                    .iter()
                    .filter(|field| field.is_numeric())
                    .map(|field| field.name.replace(' ', "_"))
                    .collect();
                let advice = did_you_mean(name, known.iter().map(String::as_str));
                unknown(name, "the HAProxy daemon", &advice)
            }
        }
    })
}

/// A name that the catalogue does not have: HAProxy may have it one day, unless it is a slip of one that it has.
fn unknown(name: &str, of: &str, advice: &str) -> Result<String, Refusal> {
    let is_name = name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.'));
    if advice.is_empty() && is_name {
        Ok(name.to_owned())
    } else {
        Err(format!("{name:?} is not a metric of {of}{advice}"))
    }
}

/// Names in a list that the catalogue does not have.
pub(super) fn unknown_in(selection: &Selection) -> impl Iterator<Item = &str> {
    let names = if let Selection::List(names) = selection { names.as_slice() } else { &[] };
    names.iter().map(String::as_str).filter(|name| columns::find(name).is_none() && info::find(name).is_none())
}

/// Names separated by spaces; all wrong ones are named at once.
fn list(text: &str, check: impl Fn(&str) -> Result<String, Refusal>) -> Result<Selection, Refusal> {
    let names: Vec<&str> = text.split_whitespace().collect();
    match names.as_slice() {
        [] => Err("empty; write names of metrics separated by spaces, or remove the line".to_owned()),
        ["all"] => Ok(Selection::All),
        _ if names.contains(&"all") => {
            Err("\"all\" already selects every metric; write it alone, or the names without it".to_owned())
        }
        _ => {
            let mut refusals = Vec::new();
            let mut good = Vec::with_capacity(names.len());
            for name in names {
                match check(name) {
                    Ok(name) => good.push(name),
                    Err(refusal) => refusals.push(refusal),
                }
            }
            if refusals.is_empty() { Ok(Selection::List(good)) } else { Err(refusals.join("; ")) }
        }
    }
}

/// Names that a list has more than once, each once.
pub(super) fn repeated(selection: &Selection) -> Vec<&str> {
    let Selection::List(names) = selection else { return Vec::new() };
    let mut repeated: Vec<&str> = Vec::new();
    for (index, name) in names.iter().enumerate() {
        if names.iter().take(index).any(|earlier| earlier == name) && !repeated.contains(&name.as_str()) {
            repeated.push(name);
        }
    }
    repeated
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_in_the_order_as_written() {
        let list = |names: &[&str]| Ok(Selection::List(names.iter().map(|name| (*name).to_owned()).collect()));
        assert_eq!(of_kind("stot  bin\tbin\nscur", Kind::Server), list(&["stot", "bin", "bin", "scur"]));
        assert_eq!(of_kind(" all ", Kind::Frontend), Ok(Selection::All));
        assert_eq!(of_daemon("Unstoppable_Jobs Idle_pct"), list(&["Unstoppable Jobs", "Idle_pct"]));
    }

    #[test]
    fn refusals_name_each_wrong_metric() {
        for (text, words) in [
            ("", "empty"),
            ("all stot", "alone"),
            ("stot no,such", "\"no,such\" is not a metric of HAProxy"),
            ("stott", "did you mean \"stot\"?"),
            ("weight", "not a metric of a frontend"),
            ("pxname", "text"),
            ("status", "status-metrics = true"),
            ("stott scurr", "did you mean \"scur\"?"),
        ] {
            let refusal = of_kind(text, Kind::Frontend).unwrap_err();
            assert!(refusal.contains(words), "{text:?}: {refusal}");
        }
        let later = of_kind("stot from_tomorrow", Kind::Frontend).unwrap();
        assert_eq!(unknown_in(&later).collect::<Vec<_>>(), ["from_tomorrow"]);
        assert!(of_daemon("Idle_pkt").unwrap_err().contains("did you mean \"Idle_pct\"?"));
        assert!(of_daemon("Version").unwrap_err().contains("text"));
    }

    #[test]
    fn repeated_names() {
        assert_eq!(repeated(&of_kind("bin stot bin bin", Kind::Backend).unwrap()), ["bin"]);
    }
}
