//! What HAProxy does with a line, in words: `haproxystats-agent --explain LINE`.

use super::grammar::{Admin, Health, Reading, Version, Weight, read};
use std::fmt::Write;

/// Explains a line that an agent would send, for every version of HAProxy that takes it differently.
#[must_use]
pub fn explain(line: &str) -> String {
    let sent = if line.ends_with(['\n', '\r']) { line.to_owned() } else { format!("{line}\n") };
    let mut out = String::new();
    let readings: Vec<String> = Version::ALL.iter().map(|version| effect(sent.as_bytes(), *version)).collect();
    let alike = readings.windows(2).all(|pair| pair.first() == pair.last());
    if let (true, Some(effect)) = (alike, readings.first()) {
        let _ = write!(out, "HAProxy 2.4 and later:\n{effect}");
    } else {
        for (version, effect) in Version::ALL.iter().zip(&readings) {
            let _ = write!(out, "{}:\n{effect}", version.words());
        }
    }
    out
}

/// One indented line for each thing that changes, or deserves attention.
fn effect(answer: &[u8], version: Version) -> String {
    let reading = match read(answer, version) {
        Ok(reading) => reading,
        Err(ignored) => return format!("  {ignored}\n"),
    };
    let mut lines = changes(&reading);
    if lines.is_empty() {
        lines.push("nothing changes".to_owned());
    }
    lines.extend(reading.unknown.iter().map(|word| format!("skipped: {word:?} is not a word that HAProxy knows")));
    lines.extend(doubts(&reading));
    lines.iter().fold(String::new(), |out, line| format!("{out}  {line}\n"))
}

/// In the order in which HAProxy applies them.
fn changes(reading: &Reading) -> Vec<String> {
    let mut lines = Vec::new();
    match reading.admin {
        Some(Admin::Ready) => lines.push("admin: ready, which ends drain and maintenance, also if set by an operator"),
        Some(Admin::Drain) => lines.push("admin: drain, until an answer or an operator sets ready"),
        Some(Admin::Maint) => lines.push("admin: maintenance, until an answer or an operator sets ready"),
        None => {}
    }
    let mut lines: Vec<String> = lines.into_iter().map(str::to_owned).collect();
    match reading.weight {
        Some(Ok(weight @ Weight::Percent(percent))) => lines.push(format!(
            "weight: {percent} % of the configured weight: {} of 100, {} of 10, {} of 1",
            weight.of(100),
            weight.of(10),
            weight.of(1)
        )),
        Some(Ok(Weight::Absolute(weight))) => lines.push(format!("weight: {weight}")),
        Some(Err(refusal)) => lines.push(format!("weight: refused ({refusal})")),
        None => {}
    }
    match reading.maxconn {
        Some(Ok(maxconn)) => lines.push(format!("maxconn: {maxconn} for each HAProxy process")),
        Some(Err(refusal)) => lines.push(format!("maxconn: refused ({refusal})")),
        None => {}
    }
    match reading.health {
        Some(Health::Up) => lines.push("health: up, unless HAProxy's own check fails".to_owned()),
        Some(Health::Down) => lines.push("health: down, until an answer says up".to_owned()),
        None => {}
    }
    if let Some(text) = reading.description.as_ref().filter(|_| reading.health.is_some()) {
        lines.push(format!("description: {text:?}"));
    }
    lines
}

/// Traps that a line leaves open.
fn doubts(reading: &Reading) -> Vec<String> {
    let mut lines = Vec::new();
    let says_anything = reading.health.is_some() || reading.admin.is_some() || reading.weight.is_some();
    if says_anything && reading.health.is_none() {
        lines.push("note: without up or down, a server that an earlier answer set to down stays down".to_owned());
    }
    if reading.health == Some(Health::Up) && reading.admin.is_none() {
        lines.push("note: without ready, a server in drain or maintenance stays in it".to_owned());
    }
    if reading.health == Some(Health::Up) && reading.weight.is_none() {
        lines.push("note: without a weight, that of an earlier answer stays in effect, even 0%".to_owned());
    }
    if let Some(Ok(weight @ Weight::Percent(1..))) = reading.weight
        && weight.of(1) == 0
    {
        lines.push("note: HAProxy rounds down, to no traffic at all; give servers weight 100".to_owned());
    }
    if reading.description.is_some() && reading.health.is_none() {
        lines.push("note: the description is shown with up or down only".to_owned());
    }
    for word in reading.unknown.iter().filter(|word| word.contains(['#', ';'])) {
        lines.push(format!("note: {word:?}: words must be separated by spaces or commas, also before #"));
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_complete_line_leaves_no_note() {
        let words = explain("ready up 100% #fine");
        assert_eq!(
            words,
            "HAProxy 2.4 and later:\n  admin: ready, which ends drain and maintenance, also if set by an operator\n  \
             weight: 100 % of the configured weight: 100 of 100, 10 of 10, 1 of 1\n  health: up, unless HAProxy's own \
             check fails\n  description: \"fine\"\n"
        );
    }

    #[test]
    fn traps_are_told() {
        for (line, words) in [
            ("0% drain", "stays down"),
            ("up", "in drain or maintenance stays"),
            ("75% up", "rounds down"),
            ("down#text", "\"down#text\" is not a word"),
            ("up;ready", "separated by spaces"),
            ("failed", "not a word"),
            ("33.3%", "Trailing garbage"),
            ("", "nothing changes"),
            ("a\0b", "null byte"),
            ("drain #x", "with up or down only"),
        ] {
            assert!(explain(line).contains(words), "{line:?}: {}", explain(line));
        }
    }

    #[test]
    fn versions_that_differ_are_told_apart() {
        let words = explain("weight:50 up");
        assert!(
            words.contains("2.4 to 3.0:\n  health: up") && words.contains("3.1 and later:\n  weight: 50\n"),
            "{words}"
        );
    }
}
