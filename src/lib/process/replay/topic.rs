//! Snapshots from a Kafka topic, assembled as a member of its consumer group does it.

use super::note::{Note, NoteError};
use super::supply::{Inside, Offer, Summary, Supply};
use crate::config::KafkaSource;
use crate::consume::{Place, Replay, ReplayError};
use crate::snapshot::Epoch;
use crate::snapshot::moment::{Rfc3339, Span};
use std::collections::BTreeMap;
use std::future::Future;
use std::path::Path;
use std::pin::Pin;
use std::time::{Duration, Instant};

/// Keyword before a partition in the file of `--resume`; its number, the next offset and the last settled second follow.
const PARTITION: &str = "partition ";

/// See the module.
pub(super) struct Topic {
    replay: Replay,
    note: Note,
    span: Span,
    /// A second that was received while waiting.
    entered: Option<(Epoch, u64)>,
    /// The first and the last second in the source directory so far, and their number.
    first: Option<Epoch>,
    last: Option<Epoch>,
    count: u64,
    /// There are no more seconds.
    ended: bool,
}

/// Why a topic cannot be replayed.
#[derive(Debug, thiserror::Error)]
pub(super) enum TopicError {
    #[error(transparent)]
    Replay(#[from] ReplayError),
    #[error(transparent)]
    Note(#[from] NoteError),
}

impl Topic {
    /// Starts reading.
    pub(super) fn open(
        source: &KafkaSource,
        src_dir: &Path,
        roll_ups: bool,
        span: Span,
        note: Note,
    ) -> Result<Self, TopicError> {
        let places = note.found().map(|text| places(text).ok_or_else(|| note.foreign())).transpose()?;
        let replay = Replay::start(source, src_dir, roll_ups, span, &places.unwrap_or_default())?;
        Ok(Self { replay, note, span, entered: None, first: None, last: None, count: 0, ended: false })
    }
}

/// Parses the progress in the file of `--resume`.
fn places(text: &str) -> Option<BTreeMap<i32, Place>> {
    let place = |line: &str| {
        let mut words = line.strip_prefix(PARTITION)?.split(' ');
        let (number, offset) = (words.next()?.parse().ok()?, words.next()?.parse().ok()?);
        let settled = words.next().map(Epoch::from_name);
        if settled == Some(None) { None } else { Some((number, Place { offset, settled: settled.flatten() })) }
    };
    text.lines().map(place).collect()
}

/// The progress as text.
fn text(places: &BTreeMap<i32, Place>) -> String {
    let line = |(number, Place { offset, settled }): (&i32, &Place)| {
        let settled = settled.map_or_else(String::new, |settled| format!(" {settled}"));
        format!("{PARTITION}{number} {offset}{settled}\n")
    };
    places.iter().map(line).collect()
}

impl Supply for Topic {
    fn next(&mut self, _: Instant, has_room: &dyn Fn(u64) -> bool) -> Offer {
        if let Some((epoch, bytes)) = self.entered.take().or_else(|| self.replay.entered_now()) {
            self.first.get_or_insert(epoch);
            self.last = self.last.max(Some(epoch));
            self.count += 1;
            return Offer::Entered(epoch, bytes);
        }
        if self.ended || self.replay.is_over() {
            return Offer::Exhausted;
        }
        // Its size is not known yet.
        if !has_room(0) {
            return Offer::Full;
        }
        self.replay.ask();
        Offer::Later
    }

    fn ready(&mut self) -> Pin<Box<dyn Future<Output = ()> + '_>> {
        Box::pin(async move {
            if self.ended {
                return std::future::pending().await;
            }
            self.entered = self.replay.entered().await;
            self.ended = self.entered.is_none();
        })
    }

    fn save(&mut self, _: &Inside) -> Result<(), NoteError> {
        self.note.save(&text(&self.replay.state().places))
    }

    fn first_open(&self, inside: &Inside) -> Epoch {
        let behind_the_last = self.last.map(|last| Epoch(last.0 + 1));
        let open = self.replay.state().open.into_iter().chain(inside.keys().next().copied()).min();
        open.or(behind_the_last).or(self.span.from).unwrap_or_default()
    }

    fn progress(&self, inside: &Inside, since: Duration) -> String {
        let open = self.first_open(inside);
        let mut line = format!("{} seconds, up to {}", self.count - inside.len() as u64, Rfc3339(open));
        let now = crate::snapshot::list::wall_clock().as_secs();
        if let Some(done) = self.first.and_then(|first| open.0.checked_sub(first.0)).filter(|done| *done > 0) {
            let left = self.span.to.map_or(now, |to| to.0.min(now)).saturating_sub(open.0);
            let seconds = since.as_secs().saturating_mul(left) / done;
            line.push_str(&format!("; about {seconds} s left"));
        }
        line
    }

    fn end(&self, _: &Inside, failed: &[Epoch]) -> Summary {
        let state = self.replay.state();
        let mut lines: Vec<String> = Vec::new();
        if state.refused > 0 {
            lines.push(format!("{} messages were left out: they are damaged, or not from haproxystats", state.refused));
        }
        if state.incomplete > 0 {
            lines.push(format!("{} snapshots of a host lacked files", state.incomplete));
        }
        for (partition, offset) in &state.stuck {
            lines.push(format!("partition {partition} cannot be read beyond offset {offset}"));
        }
        if self.ended && !state.over {
            lines.push("the topic could not be read to its end".to_owned());
        }
        let complete = state.over && lines.is_empty() && failed.is_empty();
        Summary { lines, replayed: format!("{} seconds", self.count), complete }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let of = |offset, settled: Option<u64>| Place { offset, settled: settled.map(Epoch) };
        let all = BTreeMap::from([(0, of(17, Some(1_796_025_600))), (11, of(0, None))]);
        assert_eq!(places(&text(&all)), Some(all));
        for bad in ["next 5\n", "partition 1\n", "partition 1 x\n", "partition 1 2 y\n"] {
            assert_eq!(places(bad), None, "{bad}");
        }
    }
}
