//! `send-unchanged-every`: leaves out lines whose value is that of the previous snapshot, except in every N-th snapshot.
//!
//! A line may only be left out if the destination has the previous value, or will certainly get it. This is ensured as follows.
//!
//! - A worker only compares with the previous snapshot, and only if it has rendered that one itself: the parent says which was
//!   the newest one that any worker was given. Otherwise, and after a restart, the whole snapshot is sent.
//! - The line that it is compared with was sent, or left out for the same reason. So at the beginning of every such chain is a
//!   line that this worker has put into a batch. If the worker dies before the batch has arrived, its snapshot is rendered again
//!   in full, by a worker that remembers nothing.
//! - If a destination dropped a batch to make room, or a snapshot failed halfway, everything is forgotten.

use crate::snapshot::Epoch;
use foldhash::quality::FixedState;
use std::collections::HashMap;
use std::hash::{BuildHasher, Hasher};
use std::num::NonZeroU64;

/// What is done with the present snapshot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Present {
    /// There is no present snapshot.
    None,
    /// It is sent in full, and not remembered.
    Full,
    /// It is compared with the previous one, and remembered.
    Compared,
}

/// The values of the snapshot that was rendered last.
#[derive(Debug)]
pub struct Unchanged {
    every: NonZeroU64,
    /// The newest snapshot that was seen.
    last: Option<Epoch>,
    /// What is done with the present snapshot.
    present: Present,
    /// Number of the snapshot.
    number: u64,
    /// By path: the number of the snapshot in which it was last seen, and its value. Path and value are 64-bit hashes: with a
    /// million paths, the chance that two collide is one in forty million.
    values: HashMap<u64, (u64, u64), foldhash::fast::FixedState>,
    hash: FixedState,
}

impl Unchanged {
    /// Sends unchanged values in one of `every` snapshots.
    #[must_use]
    pub fn new(every: NonZeroU64) -> Self {
        Self {
            every,
            last: None,
            present: Present::None,
            number: 0,
            values: HashMap::default(),
            hash: FixedState::with_seed(0),
        }
    }

    /// Forgets everything: the next snapshot is sent in full.
    pub fn forget(&mut self) {
        self.last = None;
        self.present = Present::None;
        self.values.clear();
    }

    /// Begins the snapshot `epoch`; `before` is the newest that any worker was given before this one.
    pub fn begin(&mut self, epoch: Epoch, before: Option<Epoch>) {
        if self.present == Present::Compared {
            // The last snapshot was not ended.
            self.forget();
        }
        if self.last.is_some_and(|last| epoch <= last) {
            // This is an older snapshot, or the same again. What is remembered is of a later one.
            self.present = Present::Full;
            return;
        }
        if self.last.is_none() || self.last != before {
            self.values.clear();
        }
        self.present = Present::Compared;
        self.last = Some(epoch);
        self.number += 1;
    }

    /// Ends the snapshot, and forgets paths that were not in it. [`Self::leaves_out`] must have been called for all of its lines.
    pub fn end(&mut self) {
        if self.present == Present::Compared {
            let number = self.number;
            self.values.retain(|_, (seen, _)| *seen == number);
        }
        self.present = Present::None;
    }

    /// Whether the line of this path, given in two parts, can be left out. Remembers its value.
    pub(crate) fn leaves_out(&mut self, path: [&[u8]; 2], value: &[u8]) -> bool {
        if self.present != Present::Compared {
            return false;
        }
        let mut hasher = self.hash.build_hasher();
        path.into_iter().for_each(|part| hasher.write(part));
        let (path, value) = (hasher.finish(), self.hash.hash_one(value));
        let before = self.values.insert(path, (self.number, value));
        // Depends on the path, so that not everything is due at the same time.
        let due = self.number.wrapping_add(path) % self.every == 0;
        !due && before == Some((self.number - 1, value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    fn unchanged(every: u64) -> Unchanged {
        Unchanged::new(NonZeroU64::new(every).unwrap())
    }

    /// Removes unchanged lines from a text, except those of haproxystats itself; returns how many.
    fn filter_some(memory: &mut Unchanged, text: &mut Vec<u8>) -> usize {
        let lines: Vec<Vec<u8>> = text.split_inclusive(|byte| *byte == b'\n').map(<[u8]>::to_vec).collect();
        let before = lines.len();
        let kept: Vec<Vec<u8>> = lines
            .into_iter()
            .filter(|line| {
                let mut words = line.splitn(3, |byte| *byte == b' ');
                let (path, value) = (words.next().unwrap(), words.next().unwrap());
                line.starts_with(b"own.") || !memory.leaves_out(path.split_at(path.len() / 2).into(), value)
            })
            .collect();
        *text = kept.concat();
        before - kept.len()
    }

    /// Filters all lines of a snapshot.
    fn filter(memory: &mut Unchanged, epoch: Epoch, before: Option<Epoch>, text: &mut Vec<u8>) -> usize {
        memory.begin(epoch, before);
        let left_out = filter_some(memory, text);
        memory.end();
        left_out
    }

    fn text(values: &[u8], epoch: u64) -> Vec<u8> {
        let line = |(path, value)| format!("lb.{path} {value} {epoch}\n");
        (values.iter().enumerate().map(line).collect::<String>() + &format!("own.x 1 {epoch}\n")).into_bytes()
    }

    #[test]
    fn only_who_knows_the_snapshot_before_leaves_something_out() {
        let mut memory = unchanged(1000);
        let mut left_out = |epoch, before: Option<u64>| {
            filter(&mut memory, Epoch(epoch), before.map(Epoch), &mut text(&[1, 2, 3], epoch))
        };
        assert_eq!(left_out(10, None), 0);
        assert!(left_out(20, Some(10)) >= 2, "at most one is due");
        assert_eq!(left_out(40, Some(30)), 0, "another worker had the one before");
        assert_eq!(left_out(30, Some(40)), 0, "an older one");
        assert!(left_out(50, Some(40)) >= 2);
        assert_eq!(left_out(50, Some(50)), 0, "once more");
        assert_eq!(left_out(60, None), 0);
        memory.forget();
        assert_eq!(filter(&mut memory, Epoch(70), Some(Epoch(60)), &mut text(&[1, 2, 3], 70)), 0);
    }

    #[test]
    fn what_failed_half_way_is_nothing_to_compare_with() {
        let mut memory = unchanged(1000);
        filter(&mut memory, Epoch(10), None, &mut text(&[1, 2, 3], 10));
        memory.begin(Epoch(20), Some(Epoch(10)));
        filter_some(&mut memory, &mut text(&[1, 5, 3], 20));
        assert_eq!(filter(&mut memory, Epoch(30), Some(Epoch(20)), &mut text(&[1, 5, 3], 30)), 0);
    }

    #[test]
    fn paths_that_are_gone_are_forgotten() {
        let mut memory = unchanged(1000);
        filter(&mut memory, Epoch(10), None, &mut text(&[1; 50], 10));
        filter(&mut memory, Epoch(20), Some(Epoch(10)), &mut text(&[1; 2], 20));
        assert_eq!(memory.values.len(), 2);
    }

    proptest! {
        /// Snapshots go to any of three workers, which die from time to time; snapshots whose batches had not arrived are
        /// rendered again. In the end, a store that carries values forward has all of them, and no gap is too long.
        #[test]
        fn nothing_is_lost_whoever_renders_and_whoever_dies(
            snapshots in proptest::collection::vec((proptest::collection::vec(0_u8..3, 4), 0_usize..3, 0_u8..12), 1..60),
            every in 1_u64..6,
        ) {
            let mut workers = [unchanged(every), unchanged(every), unchanged(every)];
            let mut newest: Option<Epoch> = None;
            // What has arrived, and what each worker has not delivered yet: by epoch, then path.
            let mut stored: BTreeMap<u64, BTreeMap<String, String>> = BTreeMap::new();
            let mut open: [BTreeMap<u64, Vec<u8>>; 3] = Default::default();
            let mut todo: Vec<(u64, usize, u8)> = Vec::new();
            for (place, (_, worker, fate)) in snapshots.iter().enumerate().rev() {
                todo.push((place as u64 + 1, *worker, *fate));
            }
            let mut deliver = |batches: &mut BTreeMap<u64, Vec<u8>>| {
                for (epoch, text) in std::mem::take(batches) {
                    for line in String::from_utf8(text).unwrap().lines() {
                        let words: Vec<&str> = line.split(' ').collect();
                        stored.entry(epoch).or_default().insert(words[0].to_owned(), words[1].to_owned());
                    }
                }
            };
            while let Some((epoch, worker, fate)) = todo.pop() {
                let mut batch = text(&snapshots[epoch as usize - 1].0, epoch);
                filter(&mut workers[worker], Epoch(epoch), newest, &mut batch);
                newest = newest.max(Some(Epoch(epoch)));
                open[worker].insert(epoch, batch);
                match fate {
                    0 => {
                        workers[worker] = unchanged(every);
                        let again = std::mem::take(&mut open[worker]);
                        todo.extend(again.keys().rev().map(|epoch| (*epoch, (worker + 1) % 3, 9)));
                    }
                    1..6 => deliver(&mut open[worker]),
                    _ => {}
                }
            }
            open.iter_mut().for_each(&mut deliver);
            let mut carried: BTreeMap<String, (String, u64)> = BTreeMap::new();
            for (place, (values, ..)) in snapshots.iter().enumerate() {
                let epoch = place as u64 + 1;
                for (path, value) in stored.remove(&epoch).unwrap_or_default() {
                    carried.insert(path, (value, epoch));
                }
                for (path, value) in values.iter().enumerate() {
                    let (known, since) = &carried[&format!("lb.{path}")];
                    prop_assert_eq!(known, &value.to_string(), "{} at {}", path, epoch);
                    prop_assert!(epoch - since < every, "{} at {}", path, epoch);
                }
                prop_assert_eq!(carried["own.x"].1, epoch);
            }
        }
    }
}
