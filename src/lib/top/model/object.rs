//! A frontend, a backend or a server: its rows of all processes, combined.

use super::group::{Group, Member, Pair};
use super::share::Share;
use crate::haproxy::columns::{Combine, Nature};
use crate::haproxy::status::State;
use crate::parse::part::Part;
use crate::top::read::field::{COUNT, Field, rules};
use crate::top::read::tick::{Key, Rank};
use std::cmp::Ordering;

/// For how many processes rates are known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::top) enum Known {
    /// For all processes.
    All,
    /// For some: another process was replaced, or its counters were cleared.
    Part,
    /// For none.
    Nothing,
}

/// See the module.
#[derive(Debug, Clone)]
pub(in crate::top) struct Object {
    pub(in crate::top) key: Key,
    pub(in crate::top) http: bool,
    /// By field: a rate for each counter, and the present value of everything else; NaN if it is not known.
    figures: [f64; COUNT],
    pub(in crate::top) known: Known,
    /// The worst state of all processes.
    pub(in crate::top) state: &'static State,
    /// The state as HAProxy writes it, if that is more specific.
    pub(in crate::top) said: Option<Box<str>>,
    /// Seconds since the state changed.
    pub(in crate::top) since: Option<i64>,
    /// The number of processes in which it is in that state, and the number of all.
    pub(in crate::top) agree: (usize, usize),
    /// The result of the last check, in a process where it is in that state.
    pub(in crate::top) check: Option<String>,
    pub(in crate::top) agent: Option<Box<str>>,
    pub(in crate::top) address: Option<Box<str>>,
    pub(in crate::top) share: Option<Share>,
    /// Requests that wait for a server of this backend.
    pub(in crate::top) waiting: f64,
}

impl Object {
    pub(super) fn of(group: &Group<'_>, pairs: &[Pair<'_>], interval: Option<f64>) -> Self {
        let part = |member: &Member<'_>| pairs.get(member.process).map_or(Part::Live, |pair| pair.now.part);
        let members: Vec<(Member<'_>, Part)> = group.members.iter().map(|member| (*member, part(member))).collect();
        // States of leaving workers do not count, unless there are no other processes.
        let live = members.iter().filter(|(_, part)| *part == Part::Live).map(|(member, _)| member);
        let mut voters: Vec<&Member<'_>> = live.collect();
        if voters.is_empty() {
            voters = group.members.iter().collect();
        }
        let worst = voters.iter().max_by_key(|member| member.row.state.severity);
        let row = worst.map(|member| member.row).or_else(|| group.members.first().map(|member| member.row));
        let state = row.map_or(&NONE, |row| row.state);
        let alike = voters.iter().filter(|member| member.row.state.code == state.code);
        let since = alike.clone().filter_map(|member| member.row.get(Field::LastChange)).min();
        let (figures, known) = figures(group.key, &members, interval);
        let queued = figures.get(Field::Queued as usize).copied().filter(|value| value.is_finite());
        Self {
            key: group.key.clone(),
            http: row.is_some_and(|row| row.http),
            figures,
            known,
            state,
            said: row.and_then(|row| row.said.clone()),
            since,
            agree: (alike.count(), voters.len()),
            check: row.and_then(|row| row.last_check()),
            agent: row.and_then(|row| row.agent.clone()),
            address: row.and_then(|row| row.address.clone()),
            share: None,
            waiting: queued.unwrap_or_default(),
        }
    }

    /// The value of a field: a rate, if it is a counter.
    pub(in crate::top) fn get(&self, field: Field) -> Option<f64> {
        self.figures.get(field as usize).copied().filter(|value| value.is_finite())
    }

    fn sum(&self, fields: &[Field]) -> Option<f64> {
        fields.iter().filter_map(|field| self.get(*field)).reduce(|sum, value| sum + value)
    }

    /// Requests per second; sessions if it does not use HTTP, or HAProxy does not count requests of servers.
    pub(in crate::top) fn requests(&self) -> Option<f64> {
        let requests = self.get(Field::Requests).filter(|_| self.http);
        requests.or_else(|| self.get(Field::SessionsTotal))
    }

    /// Errors per second: responses with status 5xx to clients; for servers also failed connections and responses, which HAProxy
    /// answers in their place.
    pub(in crate::top) fn errors(&self) -> Option<f64> {
        match (self.key.kind, self.http) {
            (Rank::Frontend | Rank::Backend, true) => self.get(Field::Status5xx),
            (Rank::Frontend, false) => None,
            (Rank::Backend, false) => self.sum(&[Field::FailedConnects, Field::BadResponses]),
            (Rank::Server, _) => self.sum(&[Field::Status5xx, Field::FailedConnects, Field::BadResponses]),
        }
    }

    /// Milliseconds to the response, or to the connection if it does not use HTTP. Only while there are requests, since HAProxy's
    /// averages do not change without any.
    pub(in crate::top) fn latency(&self) -> Option<f64> {
        let busy = self.requests().is_some_and(|requests| requests > 0.0);
        let field = if self.http { Field::ResponseTime } else { Field::ConnectTime };
        self.get(field).filter(|_| busy)
    }

    /// Whether requests are sent to it.
    pub(in crate::top) fn takes_traffic(&self) -> bool {
        matches!(self.state.word, "UP" | "UP n/m" | "no check")
            && self.get(Field::Weight).is_some_and(|weight| weight > 0.0)
    }

    /// Whether it needs attention.
    pub(in crate::top) fn is_in_trouble(&self) -> bool {
        let fails = self.errors().is_some_and(|errors| errors > 0.0);
        fails || self.waiting > 0.0 || !matches!(self.state.word, "UP" | "OPEN" | "no check")
    }

    /// Orders by what is worst: errors, then latency, then the queue, then the state; by name if all are equal.
    pub(in crate::top) fn worse(&self, other: &Self) -> Ordering {
        let ranks = |object: &Self| {
            [object.errors(), object.latency(), Some(object.waiting)].map(|value| value.unwrap_or_default())
        };
        let [errors, latency, waiting] = ranks(self);
        let [others_errors, others_latency, others_waiting] = ranks(other);
        others_errors
            .total_cmp(&errors)
            .then(others_latency.total_cmp(&latency))
            .then(others_waiting.total_cmp(&waiting))
            .then(other.state.severity.cmp(&self.state.severity))
            .then_with(|| (&self.key.proxy, &self.key.name).cmp(&(&other.key.proxy, &other.key.name)))
    }
}

/// The state of an object without rows, which does not occur.
static NONE: State = State { word: "unknown", code: 8, severity: 10, about: "no row" };

fn figures(key: &Key, members: &[(Member<'_>, Part)], interval: Option<f64>) -> ([f64; COUNT], Known) {
    let mut figures = [f64::NAN; COUNT];
    let (mut any, mut missing) = (false, false);
    for ((field, rule), figure) in Field::ALL.iter().zip(rules(key.kind.kind())).zip(&mut figures) {
        let Some((nature, combine)) = *rule else { continue };
        let taken = members.iter().filter(|(_, part)| part.takes(nature, combine));
        if nature == Nature::Counter {
            for (member, _) in taken {
                match delta(member, *field) {
                    Delta::Grown(by) => {
                        *figure = if figure.is_nan() { by } else { *figure + by };
                        any = true;
                    }
                    Delta::Unknown => missing = true,
                    Delta::Blank => {}
                }
            }
            if let Some(seconds) = interval {
                *figure /= seconds;
            }
        } else {
            let values = taken.filter_map(|(member, _)| {
                let weight = if combine.is_of_times() { member.row.traffic() } else { 1 };
                Some((i128::from(member.row.get(*field)?), weight))
            });
            *figure = combined(combine, values);
        }
    }
    let known = match (any, missing) {
        (_, false) => Known::All,
        (true, true) => Known::Part,
        (false, true) => Known::Nothing,
    };
    (figures, known)
}

fn combined(combine: Combine, values: impl Iterator<Item = (i128, i64)>) -> f64 {
    combine.over(values).map_or(f64::NAN, |value| value.as_f64())
}

/// The growth of a counter of a process.
pub(super) enum Delta {
    Grown(f64),
    /// Unknown, since the counter has decreased, or the process was not there before.
    Unknown,
    /// The row does not have the counter.
    Blank,
}

pub(super) fn delta(member: &Member<'_>, field: Field) -> Delta {
    #[expect(clippy::cast_precision_loss, reason = "it is looked at")]
    match (member.row.get(field), member.before.and_then(|row| row.get(field))) {
        (Some(now), Some(before)) if now >= before => Delta::Grown((now - before) as f64),
        (Some(_), _) => Delta::Unknown,
        (None, _) => Delta::Blank,
    }
}
