//! What is known about a process.

use super::super::packed::Packed;
use super::super::scratch::Scratch;
use super::super::seen::Identity;
use std::collections::HashSet;

/// See the module.
#[derive(Debug)]
pub(super) struct Process {
    pub(super) source: String,
    /// The counters of its objects when they were last seen.
    pub(super) last: Packed,
    /// If it is leaving: the counters of its objects in the snapshot before, as long as they are needed.
    pub(super) previous: Packed,
    /// If it is leaving: its master, and whether the master has reported that it has ended.
    pub(super) master: Option<String>,
    pub(super) ended: bool,
    /// For each object, the number of the last snapshot in which it was.
    pub(super) marks: Vec<u32>,
    /// The objects in the order of the last reply.
    pub(super) order: Vec<u32>,
    /// Number and time of the last snapshot in which the process was.
    pub(super) number: u32,
    pub(super) seen: u64,
    /// Objects whose counters a newer process shows as well.
    pub(super) superseded: HashSet<u32>,
    pub(super) predecessor: Option<Identity>,
    /// Whether it shares counters with its predecessor.
    pub(super) shares: bool,
}

impl Process {
    pub(super) fn new(source: &str, scratch: &Scratch) -> Self {
        Self {
            source: source.to_owned(),
            last: Packed::new(scratch),
            previous: Packed::new(scratch),
            master: None,
            ended: false,
            marks: Vec::new(),
            order: Vec::new(),
            number: 0,
            seen: 0,
            superseded: HashSet::new(),
            predecessor: None,
            shares: false,
        }
    }

    /// Whether an object was in the last snapshot in which the process was.
    pub(super) fn has(&self, object: u32) -> bool {
        self.marks.get(object as usize).is_some_and(|mark| *mark == self.number && *mark > 0)
    }

    /// Whether an object is in the snapshot with this number.
    pub(super) fn has_now(&self, object: u32, number: u32) -> bool {
        self.marks.get(object as usize) == Some(&number)
    }

    /// Objects that were in the last snapshot in which the process was.
    pub(super) fn objects(&self) -> Vec<u32> {
        (0..).zip(&self.marks).filter(|(_, mark)| **mark == self.number).map(|(object, _)| object).collect()
    }
}
