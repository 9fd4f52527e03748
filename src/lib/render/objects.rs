//! Lines of frontends, backends and servers.

use super::line::Lines;
use super::path::Paths;
use super::piece::Piece;
use super::record::{Object, ObjectKind};
use crate::aggregate::group::{Grouped, Groups, Values};
use crate::haproxy::columns::Kind;
use crate::haproxy::status::{self, State};
use crate::names::{NameId, Names, Pairs};
use crate::plan::KindPlan;
use crate::value::ABSENT;
use crate::value::Value;
use std::collections::HashSet;

/// Beginnings of the lines of one object: one, or two with double writes.
type Prefixes = Box<[Box<[u8]>]>;

/// Renders objects. Paths are made once for each name, since names hardly change between snapshots.
#[derive(Debug)]
pub struct Objects {
    paths: Paths,
    status: bool,
    /// By the number of a name: frontends, backends, servers over all backends.
    by_name: [Vec<Option<Prefixes>>; 3],
    /// By the number of a pair of names.
    servers: Vec<Option<Prefixes>>,
    /// The place of each name in their order.
    ranks: Vec<u32>,
    generation: u64,
}

/// In messages, how many requests the averages of times of an object are over.
pub const TIME_SAMPLES: &[u8] = b"time_samples";

/// Counts of a backend's servers by state, as `status-metrics` sends them: metric name and the states that count.
pub const SERVER_COUNTS: [(&str, &[&str]); 5] = [
    ("servers_up", &["UP", "UP n/m"]),
    ("servers_down", &["DOWN", "DOWN n/m", "NOLB", "unknown"]),
    ("servers_maint", &["MAINT"]),
    ("servers_drain", &["DRAIN"]),
    ("servers_no_check", &["no check"]),
];

impl Objects {
    /// With these paths; `status` sends states as numbers.
    #[must_use]
    pub fn new(paths: Paths, status: bool) -> Self {
        Self { paths, status, by_name: Default::default(), servers: Vec::new(), ranks: Vec::new(), generation: 0 }
    }

    /// Follows changes of the names before the objects of a snapshot are rendered.
    pub fn begin(&mut self, names: &Names, generation: u64) {
        if generation != self.generation {
            self.generation = generation;
            self.by_name = Default::default();
            self.servers.clear();
            self.ranks.clear();
        }
        if self.ranks.len() != names.len() {
            let mut order: Vec<u32> = (0..u32::try_from(names.len()).unwrap_or(u32::MAX)).collect();
            order.sort_unstable_by_key(|id| names.get(NameId(*id)));
            self.ranks = vec![0; names.len()];
            for (rank, id) in (0..).zip(order) {
                if let Some(slot) = self.ranks.get_mut(id as usize) {
                    *slot = rank;
                }
            }
        }
    }

    /// Appends the lines of all objects of one kind, in the order of their names, and returns the number of metrics: paths
    /// of groups do not count twice, values that are not finite count although they are not sent.
    pub fn render(
        &mut self,
        plan: &KindPlan,
        groups: &Groups,
        (names, servers): (&Names, &Pairs),
        excluded: &HashSet<NameId>,
        lines: &mut Lines<'_>,
        between: &mut dyn FnMut(&mut Lines<'_>),
    ) -> i64 {
        match plan.kind {
            Kind::Frontend | Kind::Backend => self.proxies(plan, &groups.objects, names, excluded, lines, between),
            Kind::Server => {
                let mut count = self.servers(plan, groups, (names, servers), excluded, lines, between);
                if let Some(grouped) = &groups.servers {
                    count += self.aggregated(plan, grouped, names, lines);
                }
                count
            }
        }
    }

    fn proxies(
        &mut self,
        plan: &KindPlan,
        grouped: &Grouped,
        names: &Names,
        excluded: &HashSet<NameId>,
        lines: &mut Lines<'_>,
        between: &mut dyn FnMut(&mut Lines<'_>),
    ) -> i64 {
        let metrics = Metrics::new(plan, &plan.send, grouped);
        let mut count = 0;
        for (row, name) in self.by_rank(grouped) {
            if excluded.contains(&name) || grouped.is_left_out(row) {
                continue;
            }
            let paths = &self.paths;
            let cache = self.by_name.get_mut(plan.kind as usize);
            let Some(prefixes) = cached(cache, name.0, || named(paths, plan.kind, names.get(name))) else { continue };
            between(lines);
            lines.begin(|| Object::named(proxy_kind(plan.kind), names.spelled(name), ""));
            count += metrics.push(row, prefixes, lines);
            if self.status && plan.kind == Kind::Backend {
                let state = grouped.severity(0, row).and_then(|severity| by_severity(&status::STATUS, severity));
                if let Some(state) = state {
                    count += each(prefixes, b"status_up", Value::Int(i64::from(status::is_up(state))), lines);
                }
            }
        }
        count
    }

    fn servers(
        &mut self,
        plan: &KindPlan,
        groups: &Groups,
        (names, servers): (&Names, &Pairs),
        excluded: &HashSet<NameId>,
        lines: &mut Lines<'_>,
        between: &mut dyn FnMut(&mut Lines<'_>),
    ) -> i64 {
        let grouped = &groups.objects;
        let mut rows: Vec<(u64, usize, (NameId, NameId))> = Vec::with_capacity(grouped.keys.len());
        for (row, key) in grouped.keys.iter().enumerate() {
            let Some((backend, server)) = servers.get(*key) else { continue };
            if !excluded.contains(&backend) {
                let rank = (u64::from(self.rank(backend)) << 32) | u64::from(self.rank(server));
                rows.push((rank, row, (backend, server)));
            }
        }
        rows.sort_unstable();
        let metrics = Metrics::new(plan, &plan.send, grouped);
        let mut count = 0;
        for rows in rows.chunk_by(|a, b| a.2.0 == b.2.0) {
            if rows.first().is_some_and(|(_, _, (backend, _))| groups.with_more.contains(backend.0)) {
                continue;
            }
            count += self.server_counts(plan, grouped, rows, names, lines);
        }
        for (_, row, (backend, server)) in rows {
            if grouped.is_left_out(row) {
                continue;
            }
            if plan.skip_unused && grouped.is_unused(row) {
                lines.skipped.slots += 1;
                continue;
            }
            let Some(key) = grouped.keys.get(row) else { continue };
            let paths = &self.paths;
            let prefixes = cached(Some(&mut self.servers), *key, || {
                let (backend, server) = (names.get(backend), names.get(server));
                boxed(paths.of(Kind::Backend, backend, &["backend", backend, "server", server]))
            });
            let Some(prefixes) = prefixes else { continue };
            between(lines);
            lines.begin(|| Object::named(ObjectKind::Server, names.spelled(backend), names.spelled(server)));
            count += metrics.push(row, prefixes, lines);
            if self.status {
                count += states(grouped, row, prefixes, lines);
            }
        }
        count
    }

    /// `TotalServers` of one backend, and with `status-metrics` how many of them are in which state.
    fn server_counts(
        &mut self,
        plan: &KindPlan,
        grouped: &Grouped,
        rows: &[(u64, usize, (NameId, NameId))],
        names: &Names,
        lines: &mut Lines<'_>,
    ) -> i64 {
        let Some((_, _, (backend, _))) = rows.first() else { return 0 };
        let paths = &self.paths;
        let cache = self.by_name.get_mut(Kind::Backend as usize);
        let Some(prefixes) = cached(cache, backend.0, || named(paths, Kind::Backend, names.get(*backend))) else {
            return 0;
        };
        lines.begin(|| Object::named(ObjectKind::Backend, names.spelled(*backend), ""));
        let mut count = 0;
        if plan.total_servers {
            let total = i64::try_from(rows.len()).unwrap_or(i64::MAX);
            count += each(prefixes, b"TotalServers", Value::Int(total), lines);
        }
        if self.status && !rows.iter().any(|(_, row, _)| grouped.is_left_out(*row)) {
            let words: Vec<&str> = rows
                .iter()
                .filter_map(|(_, row, _)| by_severity(&status::STATUS, grouped.severity(0, *row)?))
                .map(|state| state.word)
                .collect();
            if !words.is_empty() {
                for (metric, counted) in SERVER_COUNTS {
                    let found = words.iter().filter(|word| counted.contains(word)).count();
                    let found = Value::Int(i64::try_from(found).unwrap_or(i64::MAX));
                    count += each(prefixes, metric.as_bytes(), found, lines);
                }
            }
        }
        count
    }

    /// Servers over all backends; exclusions and selections do not touch them.
    fn aggregated(&mut self, plan: &KindPlan, grouped: &Grouped, names: &Names, lines: &mut Lines<'_>) -> i64 {
        let metrics = Metrics::new(plan, &plan.send_aggregated, grouped);
        let mut count = 0;
        for (row, name) in self.by_rank(grouped) {
            // Its slots are counted where they are left out one by one.
            if grouped.is_left_out(row) || plan.skip_unused && grouped.is_unused(row) {
                continue;
            }
            let paths = &self.paths;
            let cache = self.by_name.get_mut(Kind::Server as usize);
            let Some(prefixes) = cached(cache, name.0, || named(paths, Kind::Server, names.get(name))) else {
                continue;
            };
            lines.begin(|| Object::named(ObjectKind::ServerTotal, "", names.spelled(name)));
            count += metrics.push(row, prefixes, lines);
        }
        count
    }

    /// Rows of objects whose key is a name, in the order of the names.
    fn by_rank(&self, grouped: &Grouped) -> Vec<(usize, NameId)> {
        let mut rows: Vec<_> = grouped.keys.iter().map(|key| NameId(*key)).enumerate().collect();
        rows.sort_unstable_by_key(|(_, name)| self.rank(*name));
        rows
    }

    fn rank(&self, name: NameId) -> u32 {
        self.ranks.get(name.0 as usize).copied().unwrap_or(u32::MAX)
    }
}

/// A metric that is sent for every object.
struct Metric<'a> {
    /// Its name, with the blank that follows it in a line.
    name: Piece,
    values: &'a Values,
    /// Values for messages.
    recorded: &'a Values,
    /// Left out where it is 0: nothing was counted.
    skip_zero: bool,
    /// Counts even where there is no value.
    default: bool,
    /// Was listed before: it is sent once more, but an object has it once.
    again: bool,
}

/// The metrics of one kind of object.
struct Metrics<'a> {
    all: Vec<Metric<'a>>,
    grouped: &'a Grouped,
    /// Whether some of them are left out where they are 0.
    skip_zeros: bool,
}

impl<'a> Metrics<'a> {
    /// Those at these places of the plan.
    fn new(plan: &KindPlan, send: &[usize], grouped: &'a Grouped) -> Self {
        let metric = |(place, index): (usize, &usize)| {
            let (field, values) = (plan.fields.get(*index)?, grouped.values(*index)?);
            let recorded = grouped.values(*plan.beyond.get(*index)?)?;
            let name = Piece::new([field.column.name, " "].concat().as_bytes());
            let again = send.iter().take(place).any(|before| before == index);
            let skip_zero = plan.skip_zero && field.counter;
            Some(Metric { name, values, recorded, skip_zero, default: field.default, again })
        };
        Self { all: send.iter().enumerate().filter_map(metric).collect(), grouped, skip_zeros: plan.skip_zero }
    }

    /// Appends those of an object; returns how many there are.
    fn push(&self, row: usize, prefixes: &Prefixes, lines: &mut Lines<'_>) -> i64 {
        lines.record(|recorder| {
            for metric in self.all.iter().filter(|metric| !metric.again) {
                if let Some(value) = metric.recorded.get(row) {
                    recorder.field(metric.name.word(), value);
                }
            }
            // Whoever adds hosts up weighs their averages by this.
            if let Some(weight) = self.grouped.weight(row).filter(|weight| *weight > 0) {
                recorder.field(TIME_SAMPLES, Value::Int(weight));
            }
        });
        if self.skip_zeros {
            self.push_by(|metric, value| !metric.skip_zero || !value.is_zero(), row, prefixes, lines)
        } else {
            self.push_by(|_, _| true, row, prefixes, lines)
        }
    }

    /// Compiled once for everything and once for a choice, so that whoever does not choose does not pay for it.
    #[inline(never)]
    fn push_by(
        &self,
        wanted: impl Fn(&Metric<'_>, Value) -> bool,
        row: usize,
        prefixes: &Prefixes,
        lines: &mut Lines<'_>,
    ) -> i64 {
        let mut object = lines.object(prefixes);
        let (mut count, mut left_out) = (0, 0);
        for metric in &self.all {
            // By type from here to the text: values that could be of either cost ten instructions more each.
            let there = match metric.values {
                Values::Ints(values) => match values.get(row) {
                    Some(value) if *value == ABSENT => false,
                    Some(value) if !wanted(metric, Value::Int(*value)) => {
                        left_out += 1;
                        continue;
                    }
                    Some(value) => {
                        object.integer(&metric.name, *value);
                        true
                    }
                    None => false,
                },
                values => match values.get(row) {
                    Some(value) if !wanted(metric, value) => {
                        left_out += 1;
                        continue;
                    }
                    Some(value) => {
                        object.push(&metric.name, value);
                        true
                    }
                    None => false,
                },
            };
            count += i64::from(metric.default || there);
        }
        lines.skipped.zeros += left_out * prefixes.len() as u64;
        count
    }
}

/// A server's states as numbers; returns how many there are.
fn states(grouped: &Grouped, row: usize, prefixes: &Prefixes, lines: &mut Lines<'_>) -> i64 {
    let mut count = 0;
    if let Some(state) = grouped.severity(0, row).and_then(|severity| by_severity(&status::STATUS, severity)) {
        count += each(prefixes, b"status_up", Value::Int(i64::from(status::is_up(state))), lines);
        count += each(prefixes, b"status", Value::Int(state.code), lines);
    }
    if let Some(state) = grouped.severity(1, row).and_then(|severity| by_severity(&status::CHECK_STATUS, severity)) {
        count += each(prefixes, b"check_status", Value::Int(state.code), lines);
    }
    count
}

fn by_severity(table: &'static [State], severity: i64) -> Option<&'static State> {
    table.iter().find(|state| state.severity == severity)
}

/// One metric on every path of the object; counts as one.
fn each(prefixes: &Prefixes, metric: &[u8], value: Value, lines: &mut Lines<'_>) -> i64 {
    lines.record(|recorder| recorder.field(metric, value));
    for prefix in prefixes {
        lines.push(prefix, metric, value);
    }
    1
}

fn proxy_kind(kind: Kind) -> ObjectKind {
    match kind {
        Kind::Frontend => ObjectKind::Frontend,
        Kind::Backend => ObjectKind::Backend,
        Kind::Server => ObjectKind::Server,
    }
}

fn named(paths: &Paths, kind: Kind, name: &str) -> Prefixes {
    boxed(paths.of(kind, name, &[kind.word(), name]))
}

fn boxed(paths: Vec<String>) -> Prefixes {
    paths.into_iter().map(|path| path.into_bytes().into_boxed_slice()).collect()
}

/// The prefixes at `index`, made when they are first asked for.
fn cached(cache: Option<&mut Vec<Option<Prefixes>>>, index: u32, make: impl FnOnce() -> Prefixes) -> Option<&Prefixes> {
    let (cache, index) = (cache?, index as usize);
    if cache.len() <= index {
        cache.resize_with(index + 1, || None);
    }
    cache.get_mut(index).map(|slot| &*slot.get_or_insert_with(make))
}
