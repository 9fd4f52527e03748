//! Fields that the catalogue does not know: what HAProxy itself says of their nature, by `show stat typed` and `show info typed`
//! (management guide 9.2).
//!
//! ```text
//! F.2.0.33.rate.1:MGP:u32:0          frontend, ids, position, name, process; origin, nature, scope; type; value
//! 3.Nbthread.1:CGS:u32:1             position, name, process; ...
//! ```
//!
//! haproxystats-pull asks once for each process and stores what it has learnt in every snapshot, in a file of a line for each field:
//! `stat NAME NATURE`, `info NAME NATURE`.

use super::columns::{self, Nature};
use super::combine::Combine;
use super::info;
use std::collections::{BTreeMap, BTreeSet};

/// Where a field is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Place {
    /// A column of `show stat`.
    Stat,
    /// A line of `show info`.
    Info,
}

impl Place {
    const fn word(self) -> &'static str {
        match self {
            Self::Stat => "stat",
            Self::Info => "info",
        }
    }
}

/// The natures that can be sent, and the words for them in the file.
const NATURES: [(Nature, &str); 8] = [
    (Nature::Counter, "counter"),
    (Nature::Gauge, "gauge"),
    (Nature::Rate, "rate"),
    (Nature::Max, "max"),
    (Nature::Limit, "limit"),
    (Nature::Average, "average"),
    (Nature::Age, "age"),
    (Nature::Duration, "duration"),
];

/// Beginnings of names of counters that HAProxy calls gauges, as it does with ten of those in the catalogue.
const COUNTED: [&str; 2] = ["Total", "Cum"];
/// Ends of such names.
const COUNTED_ENDS: [&str; 7] = ["_tot", "_total", "Issued", "Logs", "Warnings", "Added", "Freed"];
/// Longest name of a field.
const LONGEST: usize = 64;

/// The fields that the catalogue does not know: names in the header line of `show stat`.
#[must_use]
pub fn unknown_columns(header: &str) -> BTreeSet<String> {
    let names = header.trim_start_matches(['#', ' ']).trim_end().split(',');
    // One column stands between HAProxy's own and those of its modules, and has no figures.
    let unknown = names.filter(|name| is_name(name) && *name != "-" && columns::find(name).is_none());
    unknown.map(str::to_owned).collect()
}

/// The same of the lines of `show info`.
#[must_use]
pub fn unknown_lines(reply: &str) -> BTreeSet<String> {
    let names = reply.lines().filter_map(|line| line.split_once(": ")).map(|(name, _)| name);
    names.filter(|name| is_name(name) && info::find(name).is_none()).map(str::to_owned).collect()
}

fn is_name(name: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | ' ' | '.');
    !name.is_empty() && name.len() <= LONGEST && name.chars().all(plain)
}

/// Natures by place and name. `None` for a field that is no figure.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Learnt(BTreeMap<(Place, String), Option<Nature>>);

impl Learnt {
    /// Takes what a reply to `show stat typed` or `show info typed` says of these fields.
    pub fn learn(&mut self, place: Place, unknown: &BTreeSet<String>, reply: &str) {
        for line in reply.lines() {
            let mut parts = line.splitn(4, ':');
            let (Some(field), Some(tags), Some(kind)) = (parts.next(), parts.next(), parts.next()) else { continue };
            let Some(name) = name(place, field).filter(|name| unknown.contains(*name)) else { continue };
            let learnt = self.0.entry((place, name.to_owned())).or_default();
            // What one kind of object has as a text is a figure of no other.
            *learnt = learnt.or_else(|| nature(name, tags, kind));
        }
    }

    /// The nature of a field.
    #[must_use]
    pub fn nature(&self, place: Place, name: &str) -> Option<Nature> {
        self.0.get(&(place, name.to_owned())).copied().flatten()
    }

    /// The figures in this place.
    pub fn figures(&self, place: Place) -> impl Iterator<Item = (&str, Nature)> {
        self.0
            .iter()
            .filter(move |((of, _), _)| *of == place)
            .filter_map(|((_, name), nature)| Some((name.as_str(), (*nature)?)))
    }

    /// Adds what another process has said.
    pub fn add(&mut self, other: &Self) {
        other.0.iter().for_each(|(key, nature)| {
            self.0.entry(key.clone()).or_insert(*nature);
        });
    }

    /// Whether there is nothing to send.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.values().all(Option::is_none)
    }

    /// The content of the file.
    #[must_use]
    pub fn render(&self) -> String {
        let lines = self.0.iter().filter_map(|((place, name), nature)| {
            let (_, word) = NATURES.iter().find(|(known, _)| Some(*known) == *nature)?;
            Some(format!("{} {name}\t{word}\n", place.word()))
        });
        lines.collect()
    }

    /// Reads the file; lines that are none of ours are left out.
    #[must_use]
    pub fn read(text: &str) -> Self {
        let line = |line: &str| {
            let (field, word) = line.split_once('\t')?;
            let (place, name) = field.split_once(' ')?;
            let place = [Place::Stat, Place::Info].into_iter().find(|known| known.word() == place)?;
            let (nature, _) = NATURES.iter().find(|(_, known)| *known == word)?;
            is_name(name).then(|| ((place, name.to_owned()), Some(*nature)))
        };
        Self(text.lines().filter_map(line).collect())
    }
}

/// The name in the first part of a line.
fn name(place: Place, field: &str) -> Option<&str> {
    let skip = if place == Place::Stat { 4 } else { 1 };
    let (rest, _) = field.rsplit_once('.')?;
    let mut rest = rest;
    for _ in 0..skip {
        rest = rest.split_once('.')?.1;
    }
    Some(rest)
}

/// The nature that HAProxy's tags say, corrected where it is known to call things by another one.
fn nature(name: &str, tags: &str, kind: &str) -> Option<Nature> {
    if kind == "str" {
        return None;
    }
    let mut tags = tags.chars();
    let (origin, nature) = (tags.next()?, tags.next()?);
    let counted =
        COUNTED.iter().any(|begin| name.starts_with(begin)) || COUNTED_ENDS.iter().any(|end| name.ends_with(end));
    Some(match (origin, nature) {
        ('K', _) => return None,
        (_, 'G' | 'R') if name.ends_with("_max") || (name.starts_with("Max") && name.ends_with("Rate")) => Nature::Max,
        (_, 'G') if counted => Nature::Counter,
        (_, 'G') => Nature::Gauge,
        (_, 'L') => Nature::Limit,
        (_, 'M') => Nature::Max,
        (_, 'R') => Nature::Rate,
        (_, 'C') => Nature::Counter,
        (_, 'D') => Nature::Duration,
        (_, 'A') => Nature::Age,
        (_, 'a') => Nature::Average,
        _ => return None,
    })
}

/// How processes are combined.
#[must_use]
pub fn combine(nature: Nature) -> Combine {
    match nature {
        Nature::Max | Nature::Duration | Nature::Config => Combine::Max,
        Nature::Average => Combine::Mean,
        Nature::Age => Combine::Min,
        _ => Combine::Sum,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(names: &[&str]) -> BTreeSet<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn what_the_catalogue_does_not_have_is_found() {
        assert_eq!(unknown_columns("# pxname,svname,scur,new_one,-,h2_new,\n"), set(&["h2_new", "new_one"]));
        assert_eq!(unknown_lines("Name: HAProxy\nNew thing: 7\nUnstoppable Jobs: 1\n<x>: 1\n"), set(&["New thing"]));
    }

    #[test]
    fn natures_are_those_of_haproxy_with_the_known_corrections() {
        let stat = "F.2.0.4.new_g.1:MGP:u32:0\nF.2.0.4.new_max.1:MGP:u32:0\nS.3.1.9.new_c.1:MCPV:u64:7\n\
                    B.2.0.5.new_text.1:MOP:str:a:b\nS.3.1.5.other.1:MCP:u64:7\nF.2.0.6.new_key.1:KGP:u32:1\n";
        let info = "3.New thing.1:MGPV:u32:1\n4.TotalNew.1:MGP:u64:9\n5.new.with.dots.1:MRP:u32:1\n";
        let mut learnt = Learnt::default();
        learnt.learn(Place::Stat, &set(&["new_g", "new_max", "new_c", "new_text", "new_key"]), stat);
        learnt.learn(Place::Info, &set(&["New thing", "TotalNew", "new.with.dots"]), info);
        for (place, name, nature) in [
            (Place::Stat, "new_g", Some(Nature::Gauge)),
            (Place::Stat, "new_max", Some(Nature::Max)),
            (Place::Stat, "new_c", Some(Nature::Counter)),
            (Place::Stat, "new_text", None),
            (Place::Stat, "new_key", None),
            (Place::Stat, "other", None),
            (Place::Info, "New thing", Some(Nature::Gauge)),
            (Place::Info, "TotalNew", Some(Nature::Counter)),
            (Place::Info, "new.with.dots", Some(Nature::Rate)),
        ] {
            assert_eq!(learnt.nature(place, name), nature, "{name}");
        }
        let read = Learnt::read(&learnt.render());
        assert_eq!(read.figures(Place::Stat).collect::<Vec<_>>(), learnt.figures(Place::Stat).collect::<Vec<_>>());
        assert_eq!(read.nature(Place::Info, "New thing"), Some(Nature::Gauge));
        assert!(Learnt::read("stat a\nfoo b\tgauge\n").is_empty());
    }

    /// The rules for names that are not known agree with what is known of those in the catalogue.
    #[test]
    fn corrections_fit_the_catalogue() {
        for (name, tags) in [
            ("DroppedLogs", "MGP"),
            ("FailedResolutions", "MGP"),
            ("TotalBytesOut", "MGP"),
            ("CumStreams", "MGPV"),
            ("BlockedTrafficWarnings", "MGPV"),
            ("PatternsAdded", "MGPV"),
            ("DebugCommandsIssued", "MGP"),
            ("MaxSessRate", "MRP"),
        ] {
            let expected = info::find(name).unwrap().nature;
            // One name says nothing of the kind.
            let found = if name == "FailedResolutions" { Some(expected) } else { nature(name, tags, "u32") };
            assert_eq!(found, Some(expected), "{name}");
        }
        assert_eq!(nature("rate_max", "MGP", "u32"), Some(Nature::Max));
    }
}
