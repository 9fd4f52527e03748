//! Decides which messages of a partition a replay takes, and when the partition is over.
//!
//! ```text
//! | before --from | in the span | --to and later           | written after the start |
//! | done          | taken       | left for another replay: it would continue there   |
//! ```
//!
//! A message can follow later messages of other hosts, because it was delayed, or because clocks differ. So a partition is over when
//! all of its hosts are some time past the end of the span. A minority of hosts that no longer send does not prolong it.

use super::places::Position;
use crate::parcel::Label;
use crate::snapshot::Epoch;
use crate::snapshot::moment::Span;
use std::collections::{BTreeMap, HashMap};

/// A host is past the span when it has sent something this many seconds after the end of it.
const LATE: u64 = 60;

/// When most hosts have sent something this many seconds after the end of the span, the others are not waited for.
const GONE: u64 = 3600;

/// What to do with a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    Take,
    /// It is before the span: nothing has to be done.
    Pass,
    /// It is after the span or the end, and left for another replay.
    Leave,
}

/// A partition.
#[derive(Debug, Default)]
struct Part {
    /// Its end offset at the start.
    end: Option<i64>,
    /// The offset after the last message that was read.
    next: i64,
    /// The last second of each host.
    hosts: HashMap<String, Epoch>,
    /// How many of them are past the end of the span, and far past it.
    past: usize,
    far_past: usize,
    /// The first message that was left for another replay.
    left: Option<i64>,
    /// Set when it is over. Messages up to this second are still taken, so that the last second becomes complete.
    over: Option<Option<Epoch>>,
}

impl Part {
    /// Notes a second of a host.
    fn saw(&mut self, host: &str, second: Epoch, to: Option<Epoch>) {
        let before = self.hosts.get(host).copied();
        let last = before.map_or(second, |before| before.max(second));
        self.hosts.insert(host.to_owned(), last);
        let Some(to) = to else { return };
        let reaches = |seconds: u64| {
            let bound = Epoch(to.0.saturating_add(seconds));
            last >= bound && before.is_none_or(|before| before < bound)
        };
        self.past += usize::from(reaches(LATE));
        self.far_past += usize::from(reaches(GONE));
    }

    /// The number of hosts that are not past the span, if the partition counts as past it.
    fn is_past(&self) -> Option<usize> {
        let all = self.hosts.len();
        let over = all > 0 && (self.past == all || 2 * self.far_past > all);
        over.then(|| all.saturating_sub(self.past))
    }

    fn look(&mut self, wall_clock: Epoch) {
        if self.over.is_none() && self.end.is_some_and(|end| self.next >= end) {
            self.over = Some(self.hosts.values().max().map(|last| (*last).min(wall_clock)));
        }
    }
}

/// See the module.
#[derive(Debug)]
pub(super) struct Reach {
    span: Span,
    parts: BTreeMap<i32, Part>,
}

impl Reach {
    pub(super) fn new(span: Span, partitions: impl Iterator<Item = i32>) -> Self {
        Self { span, parts: partitions.map(|number| (number, Part::default())).collect() }
    }

    /// Decides about a message.
    pub(super) fn verdict(&mut self, (partition, offset): (i32, i64), label: &Label, wall_clock: Epoch) -> Verdict {
        let Some(part) = self.parts.get_mut(&partition) else { return Verdict::Leave };
        part.next = part.next.max(offset.saturating_add(1));
        let second = label.time;
        let verdict = match part.over {
            _ if self.span.from.is_some_and(|from| second < from) => Verdict::Pass,
            Some(last) if last.is_none_or(|last| second > last) => Verdict::Leave,
            _ if self.span.has(second) => Verdict::Take,
            _ => Verdict::Leave,
        };
        if verdict == Verdict::Leave {
            part.left.get_or_insert(offset);
        }
        if part.over.is_none() {
            part.saw(&label.host, second, self.span.to);
            if let Some(behind) = part.is_past() {
                part.over = Some(self.span.to);
                if behind > 0 {
                    tracing::warn!(
                        partition,
                        hosts = behind,
                        "these hosts sent nothing in the hour after --to; what they sent later is not replayed"
                    );
                }
            }
        }
        part.look(wall_clock);
        verdict
    }

    /// Notes a message without a valid label.
    pub(super) fn passed(&mut self, (partition, offset): (i32, i64), wall_clock: Epoch) {
        if let Some(part) = self.parts.get_mut(&partition) {
            part.next = part.next.max(offset.saturating_add(1));
            part.look(wall_clock);
        }
    }

    /// Notes the current end offsets. Only the first ones count.
    pub(super) fn ends(&mut self, ends: &BTreeMap<i32, i64>, wall_clock: Epoch) {
        for (partition, end) in ends {
            if let Some(part) = self.parts.get_mut(partition) {
                part.end.get_or_insert(*end);
                part.look(wall_clock);
            }
        }
    }

    /// Notes that a partition was read to its end.
    pub(super) fn at_end(&mut self, partition: i32, wall_clock: Epoch) {
        if let Some(part) = self.parts.get_mut(&partition) {
            part.end = Some(part.next);
            part.look(wall_clock);
        }
    }

    /// Ends a partition that cannot be read any further. True if it was not over before.
    pub(super) fn stop(&mut self, partition: i32) -> bool {
        let part = self.parts.get_mut(&partition).filter(|part| part.over.is_none());
        part.is_some_and(|part| part.over.replace(None).is_none())
    }

    /// Partitions that are not over, with the offset at which each is read next.
    pub(super) fn open(&self) -> impl Iterator<Item = (i32, i64)> {
        self.parts.iter().filter(|(_, part)| part.over.is_none()).map(|(number, part)| (*number, part.next))
    }

    /// Where another replay continues: not after any message that was left for it.
    pub(super) fn resume(&self, position: Position) -> Position {
        let left = self.parts.get(&position.partition).and_then(|part| part.left);
        Position { offset: left.map_or(position.offset, |left| left.min(position.offset)), ..position }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Epoch = Epoch(100_000);

    fn label(host: &str, second: u64) -> Label {
        let (host, file) = (host.to_owned(), "a_stat".to_owned());
        Label { host, cluster: None, time: Epoch(second), interval: 10, file, files: 1, offset: 0, size: 0 }
    }

    fn reach(from: u64, to: Option<u64>) -> Reach {
        Reach::new(Span { from: Some(Epoch(from)), to: to.map(Epoch) }, 0..1)
    }

    fn position(reach: &Reach, offset: i64) -> i64 {
        reach.resume(Position { partition: 0, offset, settled: None }).offset
    }

    fn is_open(reach: &Reach) -> bool {
        reach.open().next().is_some()
    }

    #[test]
    fn what_was_there_is_read_and_the_last_second_as_a_whole() {
        let mut reach = reach(10, None);
        let mut read = |offset, host: &str, second| reach.verdict((0, offset), &label(host, second), NOW);
        assert_eq!(read(4, "a", 0), Verdict::Pass);
        assert_eq!(read(5, "a", 10), Verdict::Take);
        reach.ends(&BTreeMap::from([(0, 7)]), NOW);
        reach.ends(&BTreeMap::from([(0, 900)]), NOW);
        assert!(is_open(&reach));
        assert_eq!(reach.verdict((0, 6), &label("a", 20), NOW), Verdict::Take);
        assert!(!is_open(&reach));
        // Written after the start: the rest of that second, and later ones.
        assert_eq!(reach.verdict((0, 7), &label("a", 30), NOW), Verdict::Leave);
        assert_eq!(reach.verdict((0, 8), &label("b", 20), NOW), Verdict::Take);
        assert_eq!((position(&reach, 9), position(&reach, 5)), (7, 5));
    }

    #[test]
    fn an_empty_partition_is_over_at_once_and_takes_nothing_that_comes() {
        let mut reach = reach(10, None);
        reach.at_end(0, NOW);
        assert!(!is_open(&reach));
        assert_eq!(reach.verdict((0, 0), &label("a", 10), NOW), Verdict::Leave);
    }

    #[test]
    fn a_clock_that_is_ahead_does_not_prolong_the_replay() {
        let mut reach = reach(10, None);
        reach.verdict((0, 0), &label("ahead", NOW.0 + 500), NOW);
        reach.at_end(0, NOW);
        assert_eq!(reach.verdict((0, 1), &label("a", NOW.0), NOW), Verdict::Take);
        assert_eq!(reach.verdict((0, 2), &label("a", NOW.0 + 10), NOW), Verdict::Leave);
    }

    #[test]
    fn a_span_is_over_when_its_hosts_are_past_it() {
        let mut reach = reach(10, Some(20));
        let mut offset = 0;
        let mut read = |reach: &mut Reach, host: &str, second: u64| {
            offset += 1;
            (reach.verdict((0, offset), &label(host, second), NOW), is_open(reach))
        };
        assert_eq!(read(&mut reach, "a", 10), (Verdict::Take, true));
        assert_eq!(read(&mut reach, "b", 0), (Verdict::Pass, true));
        assert_eq!(read(&mut reach, "a", 80), (Verdict::Leave, true));
        assert_eq!(read(&mut reach, "b", 10), (Verdict::Take, true), "it was late");
        assert_eq!(read(&mut reach, "b", 79), (Verdict::Leave, true));
        assert_eq!(read(&mut reach, "b", 80), (Verdict::Leave, false));
        assert_eq!(position(&reach, 100), 3);
    }

    #[test]
    fn a_host_that_is_gone_does_not_keep_a_span_and_one_clock_does_not_end_it() {
        let mut reach = reach(10, Some(20));
        for host in ["a", "b", "gone"] {
            reach.verdict((0, 0), &label(host, 10), NOW);
        }
        reach.verdict((0, 1), &label("a", 90_000), NOW);
        assert!(is_open(&reach));
        reach.verdict((0, 2), &label("b", 3619), NOW);
        assert!(is_open(&reach));
        reach.verdict((0, 3), &label("b", 3620), NOW);
        assert!(!is_open(&reach));
    }
}
