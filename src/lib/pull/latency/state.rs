//! What is kept for the next start: `.latency` in dst-dir.
//!
//! ```text
//! # latency of 1796025980 since 1796025970
//! host lb-01
//! www/s1/response/1,2,5 1796025980 40,90,99,100,310 1,1,1,1,1
//! process lb-01 - node-1 28519 1796025000 1796025980
//! www/s1/response/1,2,5 40,90,99,100,310
//! ```
//!
//! It is written before the snapshot is published. Whether that was published in the end, the queue says: so increments are neither lost nor told twice when the program ends in between.

use super::ledger::{Known, Ledger, Object, Process};
use crate::snapshot::Epoch;
use std::collections::HashMap;
use std::fmt::Write as _;

/// Stands for no name.
const NONE: &str = "-";

/// Why this is no such file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {0} cannot be read")]
pub(super) struct StateError(usize);

/// All of it, as of the pull of this second.
pub(super) fn write(ledger: &Ledger, epoch: Epoch) -> String {
    let mut text = String::new();
    // Writing to a String cannot fail.
    let _ = writeln!(text, "# latency of {epoch} since {}", ledger.since.unwrap_or(epoch));
    for (host, objects) in &ledger.hosts {
        let _ = writeln!(text, "host {}", name(host.as_deref()));
        for (object, Object { total, published, seen }) in objects {
            let _ = write!(text, "{object} {seen}");
            numbers(&mut text, total.iter().copied());
            numbers(&mut text, total.iter().zip(published).map(|(total, published)| total.saturating_sub(*published)));
            text.push('\n');
        }
    }
    for (process, Known { seen, rows }) in &ledger.processes {
        let Process { host, node, pid, started, socket } = process;
        let (host, socket) = (name(host.as_deref()), name(socket.as_deref()));
        let _ = writeln!(text, "process {host} {socket} {} {pid} {started} {seen}", name(Some(node)));
        for (object, counters) in rows {
            text.push_str(object);
            numbers(&mut text, counters.iter().copied().map(u64::from));
            text.push('\n');
        }
    }
    text
}

/// Blanks separate words.
fn name(text: Option<&str>) -> String {
    let text = text.filter(|text| !text.is_empty()).unwrap_or(NONE);
    text.chars().map(|c| if c.is_whitespace() { '_' } else { c }).collect()
}

fn numbers(text: &mut String, values: impl Iterator<Item = u64>) {
    for (place, value) in values.enumerate() {
        text.push(if place == 0 { ' ' } else { ',' });
        text.push_str(itoa::Buffer::new().format(value));
    }
}

/// What an object that follows belongs to.
enum Part {
    Host(Option<String>),
    Process(Process, Known),
}

/// Reads it back; `published` says whether the snapshot of a second was published.
pub(super) fn read(text: &str, published: impl Fn(Epoch) -> bool) -> Result<Ledger, StateError> {
    let mut ledger = Ledger::default();
    let mut lines = text.lines().enumerate();
    let header = lines.next().and_then(|(_, line)| {
        let (epoch, since) = line.strip_prefix("# latency of ")?.split_once(" since ")?;
        Some((Epoch::from_name(epoch)?, Epoch::from_name(since)?))
    });
    let (epoch, since) = header.ok_or(StateError(1))?;
    ledger.since = Some(since);
    let was_published = published(epoch);
    let mut part = None;
    for (number, line) in lines {
        let mut words = line.split(' ');
        let first = words.next().unwrap_or_default();
        let read = match (first, &mut part) {
            ("host", _) => host(&mut words).map(|next| finish(&mut ledger, part.replace(next))),
            ("process", _) => process(&mut words).map(|next| finish(&mut ledger, part.replace(next))),
            (name, Some(Part::Host(host))) => object(&mut words, was_published).map(|object| {
                ledger.hosts.entry(host.clone()).or_default().insert(name.into(), object);
            }),
            (name, Some(Part::Process(_, known))) => list(&mut words).map(|counters| {
                known.rows.insert(name.into(), counters.into());
            }),
            (_, None) => None,
        };
        if read.is_none() || words.next().is_some() {
            return Err(StateError(number + 1));
        }
    }
    finish(&mut ledger, part);
    Ok(ledger)
}

fn finish(ledger: &mut Ledger, part: Option<Part>) {
    if let Some(Part::Process(process, known)) = part {
        ledger.processes.insert(process, known);
    }
}

type Words<'a> = std::str::Split<'a, char>;

fn optional(words: &mut Words<'_>) -> Option<Option<String>> {
    words.next().map(|word| Some(word.to_owned()).filter(|word| word != NONE))
}

fn host(words: &mut Words<'_>) -> Option<Part> {
    optional(words).map(Part::Host)
}

fn process(words: &mut Words<'_>) -> Option<Part> {
    let (host, socket, node) = (optional(words)?, optional(words)?, words.next()?.to_owned());
    let pid = words.next()?.parse().ok()?;
    let (started, seen) = (words.next()?.parse().ok()?, words.next()?.parse().ok()?);
    let process = Process { host, node, pid, started, socket };
    Some(Part::Process(process, Known { seen, rows: HashMap::new() }))
}

fn object(words: &mut Words<'_>, was_published: bool) -> Option<Object> {
    let seen = words.next()?.parse().ok()?;
    let total: Vec<u64> = list(words)?;
    let increments: Vec<u64> = list(words)?;
    if increments.len() != total.len() {
        return None;
    }
    let published = match was_published {
        true => total.clone(),
        false => total.iter().zip(&increments).map(|(total, more)| total.saturating_sub(*more)).collect(),
    };
    Some(Object { total: total.into(), published: published.into(), seen })
}

fn list<T: std::str::FromStr>(words: &mut Words<'_>) -> Option<Vec<T>> {
    words.next()?.split(',').map(|number| number.parse().ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_state_is_refused() {
        const GOOD: &str = "# latency of 20 since 10\nhost -\na/b/response/1 20 1,2,3 0,0,1\n\
                            process - - lb 7 5 20\na/b/response/1 1,2,3\n";
        assert_eq!(write(&read(GOOD, |_| false).unwrap(), Epoch(20)), GOOD);
        for (from, to, line) in [
            ("# latency", "# x", 1),
            ("host -\n", "", 2),
            ("20 1,2,3 0,0,1", "20 1,2,3", 3),
            ("20 1,2,3 0,0,1", "20 1,2,3 0,1", 3),
            ("20 1,2,3 0,0,1", "x 1,2,3 0,0,1", 3),
            ("lb 7 5 20", "lb 7 5", 4),
            ("lb 7 5 20", "lb 7 5 20 1", 4),
            ("response/1 1,2,3\n", "response/1 1,2,4294967296\n", 5),
        ] {
            assert_eq!(read(&GOOD.replace(from, to), |_| true).err(), Some(StateError(line)), "{from} {to}");
        }
        assert_eq!(read("", |_| true).err(), Some(StateError(1)));
    }
}
