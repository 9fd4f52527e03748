//! What a snapshot carries of histograms: for each server of a host the counters since counting began, and what came to them
//! since the snapshot before. Written by haproxystats-pull, which sees every tick in order, and read by haproxystats-process,
//! which remembers nothing.
//!
//! ```text
//! # latency since 1796025970
//! www/s1/response/1,2,5 40,90,99,100,310 1,1,1,1,1
//! www/s2/response/1,2,5 7,8,9,9,20
//! ```
//!
//! The object, its counters, and their increments, which are missing where there was no request. Unlike HAProxy's, counters do
//! not wrap, and do not step back when HAProxy is reloaded.

use super::histogram::Histogram;
use super::key;
use super::layout::{Layout, Timer};
use crate::snapshot::Epoch;

/// How the file begins.
const BEGIN: &[u8] = b"# latency since ";

/// Why this is no such file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CarriedError {
    /// The first line is another one.
    #[error("the first line is not \"# latency since <second>\"")]
    Header,
    /// No object, or counters that do not fit it.
    #[error("line {0} is not <backend>/<server>/<timers>/<bounds> and its counters")]
    Line(usize),
}

/// Counters of one timer of one server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Counted<'a> {
    /// The name of the backend.
    pub backend: &'a str,
    /// That of the server.
    pub server: &'a str,
    /// Of what.
    pub timer: Timer,
    /// Since counting began.
    pub total: Histogram,
    /// Since the snapshot before.
    pub recent: Histogram,
}

/// Begins a file; counting began at this second.
pub fn begin(since: Epoch, out: &mut Vec<u8>) {
    out.extend_from_slice(BEGIN);
    out.extend_from_slice(since.to_string().as_bytes());
    out.push(b'\n');
}

/// Appends an object, its counters, and what they were in the snapshot before.
pub fn push(object: &str, counters: &[u64], before: &[u64], out: &mut Vec<u8>) {
    out.extend_from_slice(object.as_bytes());
    numbers(counters.iter().copied(), out);
    if counters != before {
        let before = before.iter().copied().chain(std::iter::repeat(0));
        numbers(counters.iter().zip(before).map(|(now, before)| now.saturating_sub(before)), out);
    }
    out.push(b'\n');
}

fn numbers(values: impl Iterator<Item = u64>, out: &mut Vec<u8>) {
    for (place, value) in values.enumerate() {
        out.push(if place == 0 { b' ' } else { b',' });
        out.extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
    }
}

/// An object as the file has it, with its counters and their increments.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Object<'a> {
    /// Backend, server, timers and bounds.
    pub object: &'a str,
    /// Timers and bounds.
    pub layout: Layout,
    /// Since counting began.
    pub counters: Vec<u64>,
    /// Since the snapshot before; empty where that is nothing.
    pub increments: Vec<u64>,
}

impl Object<'_> {
    /// Each of its timers.
    pub fn timers(&self) -> impl Iterator<Item = Counted<'_>> {
        let (backend, server, _) = key::parts(self.object).unwrap_or_default();
        let (size, bounds) = (self.layout.of_timer(), self.layout.bounds());
        self.layout.timers().iter().enumerate().map(move |(place, timer)| {
            let part =
                |all: &[u64]| Histogram::with(bounds, all.get(place * size..(place + 1) * size).unwrap_or_default());
            Counted { backend, server, timer: *timer, total: part(&self.counters), recent: part(&self.increments) }
        })
    }
}

/// Tells `take` all objects of a file; returns the second in which counting began.
///
/// # Errors
/// It is no such file.
pub fn read<'a>(text: &'a [u8], mut take: impl FnMut(Object<'a>)) -> Result<Epoch, CarriedError> {
    let mut lines = text.split(|byte| *byte == b'\n').enumerate();
    let since = lines.next().and_then(|(_, line)| std::str::from_utf8(line.strip_prefix(BEGIN)?).ok()?.parse().ok());
    let since = since.map(Epoch).ok_or(CarriedError::Header)?;
    // Objects with the same layout follow each other more often than not.
    let mut last: Option<(&str, Layout)> = None;
    for (number, line) in lines.filter(|(_, line)| !line.is_empty()) {
        take(object(line, &mut last).ok_or(CarriedError::Line(number + 1))?);
    }
    Ok(since)
}

fn object<'a>(line: &'a [u8], last: &mut Option<(&'a str, Layout)>) -> Option<Object<'a>> {
    let mut words = std::str::from_utf8(line).ok()?.split(' ');
    let object = words.next()?;
    let (_, _, text) = key::parts(object)?;
    let layout = match last {
        Some((known, layout)) if *known == text => layout.clone(),
        _ => {
            let (timers, bounds) = text.split_once('/')?;
            let layout = Layout::parse(timers, bounds).ok()?;
            last.insert((text, layout)).1.clone()
        }
    };
    let list = |word: &str| -> Option<Vec<u64>> {
        let list: Vec<u64> = word.split(',').map(|number| number.parse().ok()).collect::<Option<_>>()?;
        (list.len() == layout.elements()).then_some(list)
    };
    let counters = list(words.next()?)?;
    let increments = words.next().map_or(Some(Vec::new()), list)?;
    words.next().is_none().then_some(Object { object, layout, counters, increments })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_file_as_the_head_has_it() {
        let mut file = Vec::new();
        begin(Epoch(1_796_025_970), &mut file);
        push("www/s1/response/1,2,5", &[40, 90, 99, 100, 310], &[39, 89, 98, 99, 309], &mut file);
        push("www/s2/response/1,2,5", &[7, 8, 9, 9, 20], &[7, 8, 9, 9, 20], &mut file);
        let text = "# latency since 1796025970\nwww/s1/response/1,2,5 40,90,99,100,310 1,1,1,1,1\n\
                    www/s2/response/1,2,5 7,8,9,9,20\n";
        assert_eq!(String::from_utf8_lossy(&file), text);
        let mut objects = Vec::new();
        assert_eq!(read(&file, |object| objects.push(object)), Ok(Epoch(1_796_025_970)));
        let first: Vec<Counted<'_>> = objects[0].timers().collect();
        assert_eq!((first[0].backend, first[0].server, first[0].timer), ("www", "s1", Timer::Response));
        assert_eq!((first[0].total.count(), first[0].total.sum(), first[0].recent.count()), (100, 310, 1));
        assert_eq!(objects[1].timers().next().unwrap().recent.count(), 0);
    }

    #[test]
    fn what_is_no_such_file() {
        for (text, error) in [
            ("", CarriedError::Header),
            ("# latency since x\n", CarriedError::Header),
            ("# latency since 1\na/b/response/1 1,2\n", CarriedError::Line(2)),
            ("# latency since 1\na/b/response/1 1,2,3 1\n", CarriedError::Line(2)),
            ("# latency since 1\na/b/response/1 1,2,3 1,2,3 1\n", CarriedError::Line(2)),
            ("# latency since 1\n\na/b/total/1 1,2,3\n", CarriedError::Line(3)),
        ] {
            assert_eq!(read(text.as_bytes(), |_| {}), Err(error), "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(
            counters in proptest::collection::vec((any::<u64>(), any::<u64>()), 8),
            since in any::<u64>(),
        ) {
            let (now, more): (Vec<u64>, Vec<u64>) = counters.iter().map(|(a, b)| (*a.max(b), a.abs_diff(*b))).unzip();
            let before: Vec<u64> = now.iter().zip(&more).map(|(now, more)| now - more).collect();
            let mut file = Vec::new();
            begin(Epoch(since), &mut file);
            push("a/b/response,queue/1,2", &now, &before, &mut file);
            let mut seen = Vec::new();
            prop_assert_eq!(read(&file, |object| seen.push((object.counters, object.increments))), Ok(Epoch(since)));
            let more = if now == before { Vec::new() } else { more };
            prop_assert_eq!(seen, vec![(now, more)]);
        }
    }
}
