//! Additional labels of every series.

use crate::config::reading::Refusal;

type Pairs = Vec<(String, String)>;

/// Labels of Prometheus.
pub(super) fn labels(text: &str) -> Result<Pairs, Refusal> {
    let label = |name: &str| {
        let begins = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
        begins && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') && !name.starts_with("__")
    };
    let right = "write letters, digits and underscores, not beginning with a digit or with two underscores";
    pairs(text, label, &|name| format!("{name:?} is not a valid label name; {right}"))
}

/// Attributes of OpenTelemetry.
pub(super) fn attributes(text: &str) -> Result<Pairs, Refusal> {
    let attribute = |name: &str| !name.is_empty() && !name.contains(|c: char| c.is_whitespace() || c.is_control());
    pairs(text, attribute, &|name| {
        format!("{name:?} is not a valid attribute name; write for example deployment.environment")
    })
}

fn pairs(text: &str, good: impl Fn(&str) -> bool, refusal: &dyn Fn(&str) -> String) -> Result<Pairs, Refusal> {
    let mut pairs = Pairs::new();
    for pair in text.split(['\n', ',']).map(str::trim).filter(|pair| !pair.is_empty()) {
        let wrong = || format!("{pair:?} is not name=value; separate several by commas or line ends");
        let (name, value) = pair.split_once('=').ok_or_else(wrong)?;
        let (name, value) = (name.trim(), value.trim());
        if !good(name) {
            return Err(refusal(name));
        }
        if value.is_empty() {
            return Err(wrong());
        }
        if pairs.iter().any(|(other, _)| other == name) {
            return Err(format!("{name} is listed twice"));
        }
        pairs.push((name.to_owned(), value.to_owned()));
    }
    Ok(pairs)
}
