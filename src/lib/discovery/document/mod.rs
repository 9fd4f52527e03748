//! The list of servers as the store keeps it: one document, which one server writes and all clients read.

mod ramp;
mod reason;
mod server;

use crate::config::discovery::Ramp;
use crate::haproxy::runtime::LARGEST_WEIGHT;
pub(crate) use ramp::StoredRamp;
pub(super) use ramp::weight;
pub(crate) use reason::Unplaced;
pub use reason::{Held, Reason, What};
use serde::{Deserialize, Serialize};
use server::parts;
pub(crate) use server::{Cause, Doubt};
pub use server::{Server, Slot, State};
use std::time::Duration;

/// The form of the document that this program writes.
pub(crate) const FORMAT: u32 = 1;

/// The whole list.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Document {
    /// [`FORMAT`].
    pub format: u32,
    /// Grows by one with each document that is written.
    pub version: u64,
    /// When it was written, UTC seconds.
    pub written: u64,
    /// And milliseconds: steps of a ramp may be shorter than a second.
    #[serde(default)]
    pub written_millis: u16,
    /// Name of the server that wrote it.
    pub by: String,
    /// How weights grow, so that a client knows them without the server.
    pub ramp: StoredRamp,
    /// The slots in their order; the first has the id 1.
    pub slots: Vec<Slot>,
    /// Servers for which there is no slot.
    pub unplaced: Vec<Unplaced>,
    /// Servers that the source lacks or calls unhealthy, and which are kept all the same.
    pub held: Vec<Held>,
    /// When servers were lost (gone or unhealthy) lately, UTC seconds, in order: what the guard counts.
    pub lost: Vec<u64>,
    /// Their groups, in the same order.
    #[serde(default)]
    pub lost_groups: Vec<String>,
    /// What this document changed, and why.
    pub reasons: Vec<Reason>,
}

impl Document {
    /// A list of free slots.
    #[must_use]
    pub fn empty(size: usize, ramp: Ramp) -> Self {
        let size = u32::try_from(size).unwrap_or(u32::MAX);
        Self {
            format: FORMAT,
            version: 0,
            written: 0,
            written_millis: 0,
            by: String::new(),
            ramp: ramp.into(),
            slots: (1..=size).map(|id| Slot { id, server: None }).collect(),
            unplaced: Vec::new(),
            held: Vec::new(),
            lost: Vec::new(),
            lost_groups: Vec::new(),
            reasons: Vec::new(),
        }
    }

    /// The weight of a server at a time (UTC milliseconds by the clock of the writer), by its ramp and the hint of its
    /// source. A server for which the source wants a weight has one of at least 1.
    #[must_use]
    pub(crate) fn weight_at(&self, server: &Server, now: u64) -> u16 {
        weight(&self.ramp, server.ramp_start(), server.hint, now)
    }

    /// When it was written, UTC milliseconds by the clock of the writer.
    #[must_use]
    pub(crate) fn written_at(&self) -> u64 {
        self.written.saturating_mul(1000).saturating_add(u64::from(self.written_millis))
    }

    /// Notes when it was written, UTC milliseconds.
    pub(crate) fn set_written(&mut self, at: u64) {
        (self.written, self.written_millis) = parts(at);
    }

    /// The next moment after `now` at which the weight of a server grows, both UTC milliseconds; `None` when all have
    /// their full weight.
    #[must_use]
    pub(crate) fn next_step(&self, now: u64) -> Option<u64> {
        let active = self.servers().filter(|(_, server)| server.state == State::Active);
        let steps = active.filter_map(|(_, server)| {
            let since = now.saturating_sub(server.ramp_start());
            let grows = self.ramp.after(Duration::from_millis(since)) < self.ramp.max.min(LARGEST_WEIGHT);
            grows.then(|| now + self.ramp.interval_ms.max(1) - since % self.ramp.interval_ms.max(1))
        });
        steps.min()
    }

    /// Moves its times to a clock that is ahead of the writer's: by ours it is `now` (UTC milliseconds), and `passed` since we
    /// first saw it. Differences of a few seconds are those of the network.
    pub(crate) fn catch_up(&mut self, passed: Duration, now: u64) {
        const TOLERANCE: u64 = 5000;
        let passed = u64::try_from(passed.as_millis()).unwrap_or(u64::MAX);
        let expected = self.written_at().saturating_add(passed);
        // Rows of HSDO do not say when they were written.
        if self.written_at() > 0 && now > expected.saturating_add(TOLERANCE) {
            self.shift(i64::try_from(now - expected).unwrap_or(i64::MAX));
        }
    }

    /// Moves all its times: it was written by a clock that differs from ours by so many milliseconds.
    pub fn shift(&mut self, millis: i64) {
        let moved = |at: u64| at.saturating_add_signed(millis);
        let seconds = |at: u64| if at == 0 { 0 } else { moved(at.saturating_mul(1000)) / 1000 };
        self.set_written(moved(self.written_at()));
        self.lost.iter_mut().for_each(|at| *at = seconds(*at));
        for server in self.slots.iter_mut().filter_map(|slot| slot.server.as_mut()) {
            server.set_ramp_start(moved(server.ramp_start()));
            server.gained = seconds(server.gained);
            if let State::Draining { since } = &mut server.state {
                *since = seconds(*since);
            }
            if let Some(doubt) = &mut server.doubt {
                doubt.since = seconds(doubt.since);
                doubt.last = moved(doubt.last);
            }
        }
    }

    /// The occupied slots.
    pub fn servers(&self) -> impl Iterator<Item = (u32, &Server)> {
        self.slots.iter().filter_map(|slot| slot.server.as_ref().map(|server| (slot.id, server)))
    }

    /// Whether both say the same about servers; when and by whom they were written does not count.
    #[must_use]
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        self.format == other.format
            && self.ramp == other.ramp
            && self.slots == other.slots
            && self.unplaced == other.unplaced
            && self.held == other.held
            && self.lost == other.lost
            && self.lost_groups == other.lost_groups
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::discovery::hint::Hint;

    #[test]
    fn steps_come_in_fractions_of_a_second() {
        let mut document = Document::empty(1, Ramp { min: 1, max: 4, step: 1, interval: Duration::from_millis(300) });
        assert_eq!(document.next_step(5000), None);
        let server = Server { state: State::Active, hint: Hint::FULL, ..server() };
        document.slots[0].server = Some(server.clone());
        assert_eq!([5250, 5549, 5550, 5850, 6150].map(|at| document.weight_at(&server, at)), [1, 1, 2, 3, 4]);
        let steps = [5250, 5549, 5550, 6149, 6150].map(|at| document.next_step(at));
        assert_eq!(steps, [Some(5550), Some(5550), Some(5850), Some(6150), None]);
    }

    #[test]
    fn a_document_of_another_clock_keeps_its_durations() {
        let mut document = Document::empty(1, Ramp { min: 1, max: 4, step: 1, interval: Duration::from_secs(1) });
        document.slots[0].server = Some(Server { state: State::Draining { since: 7000 }, since: 6900, ..server() });
        document.set_written(7_001_500);
        document.lost = vec![6990, 0];
        document.shift(-3_600_000);
        let server = document.slots[0].server.clone().unwrap();
        assert_eq!((server.ramp_start(), server.state), (3_300_250, State::Draining { since: 3400 }));
        assert_eq!((document.written_at(), document.lost.as_slice()), (3_401_500, [3390, 0].as_slice()));
    }

    #[test]
    fn a_clock_that_is_ahead_makes_no_ramp_longer() {
        let mut document = Document::empty(1, Ramp { min: 1, max: 9, step: 1, interval: Duration::from_secs(10) });
        document.slots[0].server = Some(Server { state: State::Active, hint: Hint::FULL, since: 1000, ..server() });
        document.set_written(1_010_250);
        let weight = |passed: u64, now: u64| {
            let mut document = document.clone();
            document.catch_up(Duration::from_secs(passed), now);
            let server = document.slots[0].server.clone().unwrap();
            document.weight_at(&server, now)
        };
        assert_eq!(weight(10, 1_020_250), 3);
        assert_eq!(weight(10, 4_620_250), 3, "an hour ahead");
        assert_eq!(weight(10, 1_023_000), 3, "the network");
    }

    fn server() -> Server {
        Server {
            instance: "i-1".to_owned(),
            name: "web".to_owned(),
            addresses: vec!["10.0.0.1".parse().unwrap(), "::1".parse().unwrap()],
            port: Some(8080),
            group: "asg".to_owned(),
            zone: String::new(),
            hint: Hint::relative(300, 65535),
            since: 5,
            since_millis: 250,
            gained: 5,
            state: State::Draining { since: 7 },
            weight: 3,
            doubt: Some(Doubt { cause: Cause::Missing, since: 6, listings: 2, last: 6500 }),
        }
    }

    #[test]
    fn reads_what_it_writes() {
        let mut document = Document::empty(2, Ramp { min: 1, max: 10, step: 1, interval: Duration::from_secs(30) });
        document.slots[1].server = Some(server());
        let text = serde_json::to_string(&document).unwrap();
        assert_eq!(serde_json::from_str::<Document>(&text).unwrap(), document, "{text}");
    }
}
