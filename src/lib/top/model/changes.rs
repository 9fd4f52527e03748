//! Describes what has changed from one tick to the next, in sentences.

use super::group::Pair;
use super::object::Object;
use crate::haproxy::status::State;
use crate::parse::part::Part;
use crate::top::model::NEAR;
use crate::top::read::field::Field;
use crate::top::read::tick::{Certificate, Key, Process, Rank, Row, Tick};
use crate::top::text::{plural, time};
use serde::Serialize;
use std::collections::HashMap;

/// A change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::top) struct Change {
    pub(in crate::top) gravity: Gravity,
    pub(in crate::top) what: What,
    /// The frontend, backend or server, if the change is about one.
    pub(in crate::top) key: Option<Key>,
    pub(in crate::top) text: String,
}

/// How serious a change is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::top) enum Gravity {
    Bad,
    Notable,
    Good,
}

/// The kind of a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(in crate::top) enum What {
    State,
    Flap,
    Weight,
    Appeared,
    Gone,
    Restarted,
    Cleared,
    Leaving,
    Left,
    Silent,
    Answers,
    Certificate,
}

/// An object in the previous tick.
struct Past {
    /// The worst state of all processes.
    state: &'static State,
    /// The sum of weights over processes, and the number of processes.
    weights: (i64, i64),
}

impl Past {
    fn weight(&self) -> Option<f64> {
        #[expect(clippy::cast_precision_loss, reason = "weights end at 256")]
        (self.weights.1 > 0).then(|| self.weights.0 as f64 / self.weights.1 as f64)
    }
}

/// The changes, the worst first.
pub(super) fn changes(
    before: &Tick,
    now: &Tick,
    pairs: &[Pair<'_>],
    objects: &[Object],
    within: &dyn Fn(&str) -> bool,
) -> Vec<Change> {
    let mut changes = Vec::new();
    silence(before, now, &mut changes);
    processes(before, now, pairs, within, &mut changes);
    // While a socket does not answer, the objects that only it has are neither new nor gone.
    let all_answer = before.silent.is_empty() && now.silent.is_empty();
    let mut past = past(before, within);
    for object in objects {
        match past.remove(&object.key) {
            Some(past) => changed(object, &past, &mut changes),
            None if all_answer => changes.push(appeared(object)),
            None => {}
        }
    }
    let mut gone: Vec<&Key> = past.into_keys().filter(|_| all_answer).collect();
    gone.sort();
    changes.extend(gone.into_iter().map(|key| {
        let text = format!("{} {} is gone", noun(key.kind), name(key));
        Change { gravity: Gravity::Notable, what: What::Gone, key: Some(key.clone()), text }
    }));
    certificates(before, now, within, &mut changes);
    changes.sort_by_key(|change| change.gravity);
    changes
}

/// All objects of the previous tick, with their worst states.
fn past<'a>(before: &'a Tick, within: &dyn Fn(&str) -> bool) -> HashMap<&'a Key, Past, foldhash::fast::RandomState> {
    let mut past: HashMap<&Key, Past, foldhash::fast::RandomState> = HashMap::default();
    let live = before.processes.iter().filter(|process| process.part == Part::Live && within(&process.host));
    for row in live.flat_map(|process| &process.rows) {
        let known = past.entry(&row.key).or_insert(Past { state: row.state, weights: (0, 0) });
        if row.state.severity > known.state.severity {
            known.state = row.state;
        }
        if let Some(weight) = row.get(Field::Weight) {
            known.weights = (known.weights.0 + weight, known.weights.1 + 1);
        }
    }
    past
}

fn noun(kind: Rank) -> &'static str {
    kind.kind().word()
}

/// The name of an object: `web`, `web/web3`.
pub(in crate::top) fn name(key: &Key) -> String {
    if key.name.is_empty() { key.proxy.to_string() } else { format!("{}/{}", key.proxy, key.name) }
}

fn appeared(object: &Object) -> Change {
    let text = format!("{} {} is new: {}", noun(object.key.kind), name(&object.key), object.state.word);
    Change { gravity: Gravity::Notable, what: What::Appeared, key: Some(object.key.clone()), text }
}

fn changed(object: &Object, past: &Past, changes: &mut Vec<Change>) {
    let mut push = |gravity, what, text| {
        changes.push(Change { gravity, what, key: Some(object.key.clone()), text });
    };
    let called = name(&object.key);
    if object.state.code != past.state.code {
        let gravity = gravity(object.state);
        push(gravity, What::State, format!("{} {}", subject(object), state(object)));
    } else if object.state.word.starts_with("UP") && object.get(Field::Downs).is_some_and(|downs| downs > 0.0) {
        let ago = object.since.map(|since| format!(" {} ago", time(since))).unwrap_or_default();
        let text = format!("{} went down and came back{ago}", subject(object));
        push(Gravity::Bad, What::Flap, text);
    }
    if let (Rank::Server, Some(before), Some(now)) = (object.key.kind, past.weight(), object.get(Field::Weight))
        && (before - now).abs() >= 1.0
        && object.takes_traffic()
    {
        push(Gravity::Notable, What::Weight, format!("{called} has weight {now:.0} instead of {before:.0}"));
    }
}

fn gravity(state: &State) -> Gravity {
    match state.word {
        "UP" | "OPEN" | "no check" => Gravity::Good,
        "DRAIN" | "MAINT" | "PAUSED" => Gravity::Notable,
        _ => Gravity::Bad,
    }
}

fn subject(object: &Object) -> String {
    match object.key.kind {
        Rank::Server => name(&object.key),
        kind => format!("{} {}", noun(kind), object.key.proxy),
    }
}

/// The state of an object, as the rest of a sentence.
pub(in crate::top) fn state(object: &Object) -> String {
    let said = object.said.as_deref().unwrap_or(object.state.word);
    let mut text = match object.state.word {
        "UP" => "is up".to_owned(),
        "DOWN" | "DOWN n/m" => "is down".to_owned(),
        "UP n/m" => format!("fails its check ({said})"),
        "NOLB" => "takes no new sessions, as set by its check".to_owned(),
        "DRAIN" => "is set to drain".to_owned(),
        "MAINT" => "is in maintenance".to_owned(),
        "no check" => "is not checked".to_owned(),
        "OPEN" => "is open".to_owned(),
        "STOP" => "is stopped".to_owned(),
        "FULL" => "is full".to_owned(),
        "PAUSED" => "is paused".to_owned(),
        _ => format!("is {said}"),
    };
    if let (alike, all @ 2..) = object.agree
        && alike < all
    {
        text.push_str(&format!(" in {alike} of {all} processes"));
    }
    if let Some(since) = object.since {
        text.push_str(&format!(" (for {})", time(since)));
    }
    if let Some(reason) = reason(object) {
        text.push_str(&format!(": {reason}"));
    }
    text
}

/// The reason for the state of an object.
fn reason(object: &Object) -> Option<String> {
    let said = object.said.as_deref();
    match (object.key.kind, object.state.word) {
        (Rank::Backend, "DOWN") => Some("no server takes traffic".to_owned()),
        (Rank::Server, "DOWN" | "DOWN n/m" | "DRAIN" | "MAINT")
            if said.is_some_and(|said| said.contains("(agent)")) =>
        {
            Some(object.agent.as_deref().map_or("set by its agent".to_owned(), |agent| format!("agent {agent}")))
        }
        (Rank::Server, "DOWN" | "DOWN n/m" | "UP n/m" | "NOLB") => object.check.clone(),
        (Rank::Server, "MAINT") => said.and_then(|said| Some(said.split_once('(')?.1.trim_end_matches(')').to_owned())),
        _ => None,
    }
}

fn of_host(gravity: Gravity, what: What, text: String) -> Change {
    Change { gravity, what, key: None, text }
}

fn silence(before: &Tick, now: &Tick, changes: &mut Vec<Change>) {
    let was = |socket: &str| before.silent.iter().any(|other| other.socket == socket);
    for silent in now.silent.iter().filter(|silent| !was(&silent.socket)) {
        let text = format!("{} does not answer: {}", silent.socket, silent.reason);
        changes.push(of_host(Gravity::Bad, What::Silent, text));
    }
    for silent in &before.silent {
        if now.processes.iter().any(|process| process.socket == silent.socket) {
            changes.push(of_host(Gravity::Good, What::Answers, format!("{} answers again", silent.socket)));
        }
    }
}

fn pid(process: &Process) -> String {
    process.pid.map_or_else(|| "?".to_owned(), |pid| pid.to_string())
}

fn processes(before: &Tick, now: &Tick, pairs: &[Pair<'_>], within: &dyn Fn(&str) -> bool, changes: &mut Vec<Change>) {
    for pair in pairs {
        let process = pair.now;
        let was_live = pair.before.is_some_and(|before| before.part == Part::Live);
        match process.part {
            Part::Leaving if was_live || pair.before.is_none() => {
                let sessions = process.figure("CurrConns").unwrap_or_default();
                let text =
                    format!("worker {} of {} is leaving with {sessions:.0} sessions", pid(process), process.host);
                changes.push(of_host(Gravity::Notable, What::Leaving, text));
            }
            Part::Live if pair.replaced => {
                let uptime = process.uptime.map_or(0, u64::cast_signed);
                let text = format!(
                    "{} ({}): now answered by process {}, started {} ago; its rates resume with the next tick",
                    process.socket,
                    process.host,
                    pid(process),
                    time(uptime)
                );
                changes.push(of_host(Gravity::Notable, What::Restarted, text));
            }
            Part::Live if cleared(pair) => {
                let text = format!("{} ({}): its counters were cleared", process.socket, process.host);
                changes.push(of_host(Gravity::Notable, What::Cleared, text));
            }
            _ => {}
        }
    }
    let leaving = before.processes.iter().filter(|process| process.part == Part::Leaving && within(&process.host));
    for process in leaving {
        if now.processes.iter().all(|other| other.socket != process.socket) {
            let text = format!("worker {} of {} has exited", pid(process), process.host);
            changes.push(of_host(Gravity::Good, What::Left, text));
        }
    }
}

/// Whether counters of a process have decreased although it is still the same process.
fn cleared(pair: &Pair<'_>) -> bool {
    let stepped = |(row, before): (&Row, &Option<&Row>)| {
        let total = |row: &Row| row.get(Field::SessionsTotal);
        before.and_then(total).zip(total(row)).is_some_and(|(before, now)| now < before)
    };
    pair.now.rows.iter().zip(&pair.rows).any(stepped)
}

fn certificates(before: &Tick, now: &Tick, within: &dyn Fn(&str) -> bool, changes: &mut Vec<Change>) {
    let left = |tick: &Tick, known: &Certificate| known.end.saturating_sub(tick.epoch.0.cast_signed());
    for known in now.certificates.iter().filter(|known| within(&known.host)) {
        let past = before.certificates.iter().find(|other| other.host == known.host && other.file == known.file);
        let Some(past) = past else { continue };
        let (was, is) = (left(before, past), left(now, known));
        let of = |end: &str| format!("certificate {} on {} {end}", known.file, known.host);
        let change = match () {
            () if was > 0 && is <= 0 => (Gravity::Bad, of("has expired")),
            () if was >= NEAR && is < NEAR => (Gravity::Notable, of(&format!("expires in {}", time(is)))),
            () if known.end > past.end => (Gravity::Good, of(&format!("was renewed and expires in {}", time(is)))),
            () => continue,
        };
        changes.push(of_host(change.0, What::Certificate, change.1));
    }
}

/// A line for changes that are not shown: `and 12 other changes`.
pub(in crate::top) fn summary(left_out: usize) -> String {
    format!("and {}", plural(left_out, "other change", "other changes"))
}
