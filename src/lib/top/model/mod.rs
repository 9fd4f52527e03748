//! Derives what is shown from two ticks: rates, states, shares, changes. A pure function.

mod changes;
mod group;
mod object;
mod process;
mod share;
mod totals;

pub(super) use changes::{Change, Gravity, What, name, state, summary};
pub(super) use object::{Known, Object};
pub(super) use process::{HostLine, ProcessLine};
pub(super) use totals::{Counts, Totals};

use super::read::tick::{Key, Rank, Silent, Tick};
use crate::snapshot::Epoch;
use std::sync::Arc;

/// Seconds before its expiry when a certificate is first mentioned.
pub(super) const NEAR: i64 = 30 * 86_400;

/// Everything that can be shown for a tick.
#[derive(Debug, Default)]
pub(super) struct Model {
    pub(super) epoch: Epoch,
    /// The period of rates in seconds; `None` if there is nothing to compare with.
    pub(super) interval: Option<f64>,
    /// The host, if the model is limited to one.
    pub(super) scope: Option<String>,
    pub(super) totals: Totals,
    /// Servers by their state.
    pub(super) counts: Counts,
    pub(super) hosts: Vec<HostLine>,
    pub(super) processes: Vec<ProcessLine>,
    pub(super) frontends: Vec<Object>,
    pub(super) backends: Vec<Object>,
    pub(super) servers: Vec<Object>,
    pub(super) certificates: Vec<Expiry>,
    pub(super) silent: Vec<Silent>,
    pub(super) changes: Vec<Change>,
    pub(super) sockets: usize,
    pub(super) refused: u64,
    /// The selected object as each process sees it, if there is one.
    pub(super) parts: Vec<Part>,
}

/// A certificate, and the time until it expires.
#[derive(Debug, Clone)]
pub(super) struct Expiry {
    pub(super) host: Arc<str>,
    pub(super) file: String,
    /// Seconds; negative when it has expired.
    pub(super) left: i64,
}

impl Model {
    /// The model of `now`, compared with `before`; limited to the host `scope`, if given.
    pub(super) fn of(before: Option<&Tick>, now: &Tick, scope: Option<&str>) -> Self {
        let interval = before.map(|before| now.seconds - before.seconds).filter(|seconds| *seconds > 0.0);
        let before = before.filter(|_| interval.is_some());
        let within = |host: &str| scope.is_none_or(|scope| scope == host);
        let pairs = group::pairs(before, now, &within);
        let groups = group::groups(&pairs);
        let mut objects: Vec<Object> = groups.iter().map(|group| Object::of(group, &pairs, interval)).collect();
        share::shares(&mut objects);
        let changes = before.map(|before| changes::changes(before, now, &pairs, &objects, &within)).unwrap_or_default();
        let processes: Vec<ProcessLine> = pairs.iter().map(|pair| ProcessLine::of(pair, interval)).collect();
        let mut model = Self {
            epoch: now.epoch,
            interval,
            scope: scope.map(str::to_owned),
            totals: Totals::of(&processes),
            hosts: process::hosts(&processes),
            processes,
            silent: now.silent.clone(),
            changes,
            sockets: now.sockets,
            refused: now.refused,
            certificates: expiries(now, &within),
            ..Self::default()
        };
        for object in objects {
            match object.key.kind {
                Rank::Frontend => model.frontends.push(object),
                Rank::Backend => model.backends.push(object),
                Rank::Server => model.servers.push(object),
            }
        }
        model.counts = Counts::of(&model.servers);
        model
    }

    /// Number of workers that are leaving, and of their sessions.
    pub(super) fn leaving(&self) -> (usize, f64) {
        let leaving = self.processes.iter().filter(|process| process.is_leaving());
        leaving.fold((0, 0.0), |(count, sessions), process| (count + 1, sessions + process.totals.sessions))
    }

    /// The certificates that expire soon.
    pub(super) fn near_expiry(&self) -> impl Iterator<Item = &Expiry> {
        self.certificates.iter().filter(|certificate| certificate.left < NEAR)
    }
}

/// An object as one process sees it.
#[derive(Debug, Clone)]
pub(super) struct Part {
    pub(super) socket: String,
    pub(super) host: Arc<str>,
    pub(super) object: Object,
}

/// An object, process by process.
pub(super) fn parts(before: Option<&Tick>, now: &Tick, key: &Key, scope: Option<&str>) -> Vec<Part> {
    let interval = before.map(|before| now.seconds - before.seconds).filter(|seconds| *seconds > 0.0);
    let within = |host: &str| scope.is_none_or(|scope| scope == host);
    let pairs = group::pairs(before.filter(|_| interval.is_some()), now, &within);
    let whole = group::groups(&pairs).into_iter().find(|group| group.key == key);
    let members = whole.map(|group| group.members).unwrap_or_default();
    let part = |member: group::Member<'_>| {
        let process = pairs.get(member.process)?.now;
        let group = group::Group { key, members: vec![member] };
        let object = Object::of(&group, &pairs, interval);
        Some(Part { socket: process.socket.clone(), host: Arc::clone(&process.host), object })
    };
    members.into_iter().filter_map(part).collect()
}

fn expiries(now: &Tick, within: &dyn Fn(&str) -> bool) -> Vec<Expiry> {
    let known = now.certificates.iter().filter(|certificate| within(&certificate.host));
    let left = |end: i64| end.saturating_sub(now.epoch.0.cast_signed());
    let mut expiries: Vec<Expiry> = known
        .map(|known| Expiry { host: Arc::clone(&known.host), file: known.file.clone(), left: left(known.end) })
        .collect();
    expiries.sort_by(|a, b| (a.left, &a.file, &a.host).cmp(&(b.left, &b.file, &b.host)));
    expiries
}

#[cfg(test)]
mod tests;
