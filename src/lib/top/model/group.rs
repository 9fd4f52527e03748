//! Finds which processes and rows of two ticks are the same, and which rows of several processes belong to one object.

use crate::top::read::tick::{Key, Process, Row, Tick};
use std::collections::HashMap;

/// A process, and the same process in the previous tick.
#[derive(Debug)]
pub(super) struct Pair<'a> {
    pub(super) now: &'a Process,
    pub(super) before: Option<&'a Process>,
    /// For each row, the same row in the previous tick.
    pub(super) rows: Vec<Option<&'a Row>>,
    /// Whether it has replaced another process.
    pub(super) replaced: bool,
}

/// The rows of an object.
#[derive(Debug)]
pub(super) struct Group<'a> {
    pub(super) key: &'a Key,
    pub(super) members: Vec<Member<'a>>,
}

/// A row of one process.
#[derive(Debug, Clone, Copy)]
pub(super) struct Member<'a> {
    /// Index of its process.
    pub(super) process: usize,
    pub(super) row: &'a Row,
    pub(super) before: Option<&'a Row>,
}

/// The processes of hosts for which `within` is true, each with itself in the previous tick.
pub(super) fn pairs<'a>(before: Option<&'a Tick>, now: &'a Tick, within: &dyn Fn(&str) -> bool) -> Vec<Pair<'a>> {
    let earlier: &[Process] = before.map_or(&[], |tick| &tick.processes);
    let processes = now.processes.iter().filter(|process| within(&process.host));
    processes
        .map(|process| {
            let here = earlier.iter().find(|other| other.socket == process.socket);
            // A leaving worker is reached in another way than before.
            let elsewhere = || earlier.iter().find(|other| other.host == process.host && process.is_later_of(other));
            let same = here.filter(|other| process.is_later_of(other));
            let same = same.or_else(|| elsewhere().filter(|_| process.pid.is_some()));
            Pair { now: process, before: same, rows: rows(process, same), replaced: same.is_none() && here.is_some() }
        })
        .collect()
}

/// For each row of a process, the same row in an earlier tick.
fn rows<'a>(now: &'a Process, before: Option<&'a Process>) -> Vec<Option<&'a Row>> {
    let Some(before) = before else { return vec![None; now.rows.len()] };
    let mut places: Option<HashMap<&Key, &Row>> = None;
    let of = |(index, row): (usize, &'a Row)| {
        // HAProxy always prints them in the same order, unless some are added or removed.
        if let Some(same) = before.rows.get(index).filter(|other| other.key == row.key) {
            return Some(same);
        }
        let places = places.get_or_insert_with(|| before.rows.iter().map(|row| (&row.key, row)).collect());
        places.get(&row.key).copied()
    };
    now.rows.iter().enumerate().map(of).collect()
}

/// The objects, in the order in which they first occur.
pub(super) fn groups<'a>(pairs: &[Pair<'a>]) -> Vec<Group<'a>> {
    let mut groups: Vec<Group<'a>> = Vec::new();
    let mut places: HashMap<&'a Key, usize, foldhash::fast::RandomState> = HashMap::default();
    for (process, pair) in pairs.iter().enumerate() {
        for (row, before) in pair.now.rows.iter().zip(&pair.rows) {
            let member = Member { process, row, before: *before };
            let place = *places.entry(&row.key).or_insert(groups.len());
            match groups.get_mut(place) {
                Some(group) => group.members.push(member),
                None => groups.push(Group { key: &row.key, members: vec![member] }),
            }
        }
    }
    groups
}
