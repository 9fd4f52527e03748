//! What HAProxy tells beside the figures of frontends, backends, servers and the process: replies to further questions, and a second
//! look at the rows of `show stat` where something is switched on that needs it.

use super::files::{Files, Further};
use super::own::SnapshotFigure;
use super::run::{PipelineError, Run};
use crate::encode::object::{Object, ObjectKind};
use crate::encode::sink::Told;
use crate::haproxy::columns::{Kind, Nature};
use crate::haproxy::facts::Thing;
use crate::haproxy::family::Family;
use crate::haproxy::learnt::{self, Learnt, Place};
use crate::haproxy::status::{self, State};
use crate::names::sanitize;
use crate::parse::facts::rows::{Of, Seen, Wanted, of_listeners};
use crate::parse::facts::{Facts, Named};
use crate::render::path::{About, Paths};
use crate::value::Value;
use std::collections::{BTreeMap, HashSet};
use std::fs::File;
use std::io::{self, Read};
use std::time::Instant;

/// Most bytes of a file of replies that are read.
const MOST: u64 = 64 << 20;
/// The same of one of `show info`.
const MOST_INFO: u64 = 1 << 20;
/// Names that were not understood and are in the log, until all are logged again.
const MOST_TOLD: usize = 1000;

/// What the log says of replies so far.
#[derive(Debug, Default)]
pub(super) struct Unknowns {
    /// Names that were not understood.
    names: HashSet<String>,
}

impl Run<'_> {
    /// Tells of the families of a host.
    pub(super) fn families(&mut self, files: &Files, paths: &Paths) -> Result<(), PipelineError> {
        let start = Instant::now();
        let learnt = self.learnt(files)?;
        let build = self.families.has(Family::Build) && !files.info.is_empty();
        let mut count = 0;
        if !files.further.is_empty() || build {
            count += self.facts(files, build, paths)?;
        }
        let wanted = self.wanted(learnt);
        if !wanted.listeners.is_empty() || wanted.states || !wanted.learnt.is_empty() {
            count += self.rows(files, &wanted, paths)?;
            count += self.lines(files, &wanted.learnt, paths)?;
        }
        self.tally.families.metrics += count;
        self.tally.families.time += start.elapsed();
        Ok(())
    }

    /// How many metrics of families there were, and how long they took; nothing where there were none.
    pub(super) fn say_families(&mut self) {
        let share = self.tally.families;
        if share.metrics > 0 {
            self.own_count(SnapshotFigure::MetricsFamilies, share.metrics + 1);
            self.own_seconds(SnapshotFigure::WallClockTimeFamilies, share.time);
        }
    }

    /// What is looked for in the rows of `show stat`: listeners by the metrics of frontends.
    fn wanted(&self, learnt: Learnt) -> Wanted {
        let plan = &self.plans[Kind::Frontend];
        let sent = |name: &str| {
            let mut fields = plan.send.iter().filter_map(|index| plan.fields.get(*index));
            fields.any(|field| field.column.name == name)
        };
        let listeners = if self.families.has(Family::Listeners) { of_listeners(sent) } else { Vec::new() };
        Wanted { listeners, states: self.families.has(Family::States), series: self.state_series, learnt }
    }

    /// What haproxystats-pull has learnt about fields that the catalogue does not know.
    fn learnt(&self, files: &Files) -> Result<Learnt, PipelineError> {
        let mut learnt = Learnt::default();
        for file in &files.learnt {
            learnt.add(&Learnt::read(&self.text(file, MOST_INFO)?));
        }
        Ok(learnt)
    }

    fn text(&self, file: &str, most: u64) -> Result<String, PipelineError> {
        let path = self.dir.join(file);
        let mut bytes = Vec::new();
        let read = File::open(&path).and_then(|file| file.take(most).read_to_end(&mut bytes));
        match read {
            Ok(_) => Ok(String::from_utf8_lossy(&bytes).into_owned()),
            Err(source) => Err(PipelineError::File { path, source }),
        }
    }

    /// Replies to further questions.
    fn facts(&mut self, files: &Files, build: bool, paths: &Paths) -> Result<i64, PipelineError> {
        let mut facts = Facts::default();
        for Further { question, leaving, name } in &files.further {
            // What a worker that is leaving says of the same things is no part of a sum.
            if !leaving {
                facts.read(question, &self.text(name, MOST)?, self.epoch.0);
            }
        }
        if build {
            for file in &files.info {
                facts.build(&self.text(file, MOST_INFO)?);
            }
        }
        self.say_unknown(&facts);
        let mut count = 0;
        for (Named { thing, first, second }, figures) in facts.combined() {
            let safe = [first, second].map(|name| sanitize(name.as_bytes()));
            let prefixes = paths.of(About::Thing(*thing, &safe[0], &safe[1]));
            let (proxy, name) =
                if second.is_empty() && *thing != Thing::Peers { ("", first) } else { (first.as_str(), second) };
            let mut told = self.sink.object(Object { kind: ObjectKind::Thing(*thing), proxy, name }, &prefixes);
            let skip_zero = self.daemon.skip_zero;
            for (fact, value) in figures {
                count += metric(&mut told, fact.name, value, skip_zero && fact.nature == Nature::Counter);
            }
        }
        Ok(count)
    }

    /// Tells once of what was not understood, and counts it.
    fn say_unknown(&mut self, facts: &Facts) {
        self.report.unknown_lines += facts.unknown;
        let told = &mut self.told.names;
        if told.len() > MOST_TOLD {
            told.clear();
        }
        let new: Vec<String> =
            facts.unknown_names.iter().filter(|name| told.insert((*name).clone())).cloned().collect();
        if !new.is_empty() {
            tracing::info!(snapshot = %self.dir.display(), names = new.join(", "),
                "left out: this version does not know these lines of HAProxy's replies");
        }
    }

    /// Listeners, states, and columns that the catalogue does not know.
    fn rows(&mut self, files: &Files, wanted: &Wanted, paths: &Paths) -> Result<i64, PipelineError> {
        let mut seen = Seen::default();
        for file in &files.stat {
            let path = self.dir.join(file);
            let read = File::open(&path).and_then(|file| seen.read(file, wanted));
            match read {
                Err(source) if source.kind() != io::ErrorKind::InvalidData => {
                    return Err(PipelineError::File { path, source });
                }
                _ => {}
            }
        }
        let (frontends, backends) = &mut self.excluded;
        let (frontends, backends) = (frontends.read(), backends.read());
        let skip_zero = self.daemon.skip_zero;
        let mut count = 0;
        for ((of, proxy, name), figures) in seen.combined(wanted.series) {
            let safe = [proxy, name].map(|name| sanitize(name.as_bytes()));
            let listed = if matches!(of, Of::Frontend | Of::Listener) { &frontends } else { &backends };
            if listed.has(&safe[0]) {
                continue;
            }
            let (kind, about, plan) = row_of(of, &safe);
            let plan = &self.plans[plan];
            let is_sent = |field: &str| wanted.learnt.nature(Place::Stat, field).is_none() || plan.takes_unknown(field);
            let mut figures = figures.into_iter().filter(|(field, _)| is_sent(field)).peekable();
            if figures.peek().is_none() {
                continue;
            }
            let prefixes = paths.of(about);
            let mut told = self.sink.object(Object { kind, proxy, name }, &prefixes);
            for (field, value) in figures {
                let skip_zero = skip_zero && is_counter(&field, &wanted.learnt);
                count += metric(&mut told, &sanitize(field.as_bytes()), value, skip_zero);
            }
            if told.has_encoders() {
                seen.states((of, proxy, name)).for_each(|(field, state)| tell_state(field, state, &mut told));
            }
        }
        Ok(count)
    }

    /// Lines of `show info` that the catalogue does not know.
    fn lines(&mut self, files: &Files, learnt: &Learnt, paths: &Paths) -> Result<i64, PipelineError> {
        let mut values: BTreeMap<&str, (Nature, Vec<i128>)> = BTreeMap::new();
        let wanted = learnt.figures(Place::Info).filter(|(name, _)| self.daemon.takes_unknown(name));
        let wanted: BTreeMap<&str, Nature> = wanted.collect();
        if wanted.is_empty() {
            return Ok(0);
        }
        for file in &files.info {
            let text = self.text(file, MOST_INFO)?;
            for (name, value) in text.lines().filter_map(|line| line.split_once(": ")) {
                let Some((name, nature)) = wanted.get_key_value(name) else { continue };
                if let Ok(value) = value.trim().parse() {
                    values.entry(name).or_insert((*nature, Vec::new())).1.push(value);
                }
            }
        }
        let prefixes = paths.of(About::Daemon);
        let mut told = self.sink.object(Object::unnamed(ObjectKind::Daemon), &prefixes);
        let mut count = 0;
        for (name, (nature, values)) in values {
            let value = learnt::combine(nature).over(values.into_iter().map(|value| (value, 1)));
            let skip = self.daemon.skip_zero && nature == Nature::Counter;
            count += value.map_or(0, |value| metric(&mut told, &sanitize(name.as_bytes()), value, skip));
        }
        Ok(count)
    }
}

/// What a row is of: as an object, in paths, and which plan says what is sent of it.
fn row_of<'a>(of: Of, [proxy, name]: &'a [String; 2]) -> (ObjectKind, About<'a>, Kind) {
    match of {
        Of::Frontend => (ObjectKind::Frontend, About::Frontend(proxy), Kind::Frontend),
        Of::Backend => (ObjectKind::Backend, About::Backend(proxy), Kind::Backend),
        Of::Server => (ObjectKind::Server, About::Server(proxy, name), Kind::Server),
        Of::Listener => (ObjectKind::Listener, About::Listener(proxy, name), Kind::Frontend),
    }
}

/// A state for formats that have a series for each, as HAProxy's exporter.
fn tell_state(field: &str, state: &State, told: &mut Told<'_>) {
    let is = |word: &'static str| (word, i64::from(word == state.word));
    match field {
        "status" => told.states(field, &status::OF_LISTENERS.map(is)),
        _ => told.states(field, &status::of_checks().map(is).collect::<Vec<_>>()),
    }
}

fn is_counter(field: &str, learnt: &Learnt) -> bool {
    let known = crate::haproxy::columns::find(field).map(|column| column.nature);
    known.or_else(|| learnt.nature(Place::Stat, field)) == Some(Nature::Counter)
}

/// Tells a metric, unless it is 0 and such are left out. Returns how many were told.
fn metric(told: &mut Told<'_>, name: &str, value: Value, skip_zero: bool) -> i64 {
    if skip_zero && value.is_zero() {
        told.skip_zeros(1);
        return 0;
    }
    told.metric(name.as_bytes(), value);
    1
}
