//! Replies about families: text in, figures of named things out. What is not understood is left out and counted: the formats of
//! some are not promised.

mod activity;
mod certificates;
mod peers;
mod pools;
mod resolvers;
pub mod rows;
mod tables;

use crate::haproxy::facts::{self, FACTS, Fact, Thing};
use crate::haproxy::family::Family;
use crate::haproxy::questions::Question;
use crate::value::Value;
use std::collections::{BTreeMap, BTreeSet};

/// Lines that are not understood are kept by name, up to this many; the rest is a number.
const NAMED: usize = 20;

/// What has a name: a table, a peer in its section.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Named {
    /// What it is.
    pub thing: Thing,
    /// Its name, or that of the section that it is in.
    pub first: String,
    /// Its name in the section; empty where there is none.
    pub second: String,
}

/// Figures of all processes of a host.
#[derive(Debug, Default)]
pub struct Facts {
    /// By the position of the figure in [`FACTS`], what each process said.
    objects: BTreeMap<Named, BTreeMap<usize, Vec<i128>>>,
    /// Lines and columns that were not understood.
    pub unknown: u64,
    /// Some of them.
    pub unknown_names: BTreeSet<String>,
}

impl Facts {
    /// Reads the replies to a question in one file, each of which ends with an empty line. `now` is the second of the snapshot.
    pub fn read(&mut self, question: &Question, text: &str, now: u64) {
        match question.family {
            Family::Tables => tables::read(text, self),
            Family::Resolvers => resolvers::read(text, self),
            Family::Certificates => certificates::read(text, now, self),
            Family::Activity => activity::read(text, self),
            Family::Pools => pools::read(text, self),
            Family::Peers => peers::read(text, self),
            Family::Listeners | Family::States | Family::Build | Family::Latency => {}
        }
    }

    /// Takes note of a process of this version, node and description.
    pub fn build(&mut self, info: &str) {
        let of = |name: &str| {
            let value = info.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
            value.unwrap_or_default().trim().to_owned()
        };
        for (thing, name) in [(Thing::Build, "Version"), (Thing::Node, "node"), (Thing::Description, "description")] {
            let text = of(name);
            if !text.is_empty() {
                self.add((thing, &text, ""), "processes", 1);
            }
        }
    }

    /// Everything that has figures, with them: combined over the processes, in the order of the names.
    pub fn combined(&self) -> impl Iterator<Item = (&Named, Vec<(&'static Fact, Value)>)> {
        self.objects.iter().map(|(named, figures)| {
            let value = |(index, values): (&usize, &Vec<i128>)| {
                let fact = FACTS.get(*index)?;
                Some((fact, fact.combine.over(values.iter().map(|value| (*value, 1)))?))
            };
            (named, figures.iter().filter_map(value).collect())
        })
    }

    /// Adds what a process says of a figure. One that the catalogue does not have counts as not understood.
    fn add(&mut self, (thing, first, second): (Thing, &str, &str), name: &str, value: i128) {
        let Some(index) = facts::find(thing, name) else { return self.unknown(name) };
        let named = Named { thing, first: first.to_owned(), second: second.to_owned() };
        self.objects.entry(named).or_default().entry(index).or_default().push(value);
    }

    /// Something was not understood.
    fn unknown(&mut self, name: &str) {
        self.unknown += 1;
        if self.unknown_names.len() < NAMED {
            let name = name.trim().chars().take(40).flat_map(char::escape_debug).collect();
            self.unknown_names.insert(name);
        }
    }
}

/// The number at the beginning of a text.
fn leading(text: &str) -> Option<i128> {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    text.get(..end)?.parse().ok()
}

/// The number in front of these words.
fn number_before(text: &str, words: &str) -> Option<i128> {
    let before = text.get(..text.find(words)?)?;
    let start = before.rfind(|c: char| !c.is_ascii_digit()).map_or(0, |at| at + 1);
    before.get(start..)?.parse().ok()
}

/// The number behind these words.
fn number_after(text: &str, words: &str) -> Option<i128> {
    leading(text.get(text.find(words)? + words.len()..)?)
}

#[cfg(test)]
mod tests;
