//! Frontends, backends and servers, and the metrics of each.

use super::latency::Latency;
use super::metrics::{MetricNames, Metrics};
use super::path::{About, Paths};
use super::pieces::Outlet;
use crate::aggregate::group::{Grouped, Groups};
use crate::encode::object::{Object, ObjectKind};
use crate::encode::prefix::Prefixes;
use crate::encode::sink::{Sink, Told};
use crate::haproxy::columns::Kind;
use crate::haproxy::per_kind::PerKind;
use crate::haproxy::status::{self, State};
use crate::names::{NameId, Names, Pairs};
use crate::plan::KindPlan;
use crate::value::Value;
use std::collections::HashSet;
use std::sync::Arc;

/// Tells of objects. Paths are made once for each name, since names hardly change between snapshots.
#[derive(Debug)]
pub struct Objects {
    paths: Paths,
    status: bool,
    metric_names: Arc<MetricNames>,
    /// By the number of a name: frontends, backends, servers over all backends.
    by_name: PerKind<Vec<Option<Prefixes>>>,
    /// By the number of a pair of names.
    servers: Vec<Option<Prefixes>>,
    /// The place of each name in their order.
    ranks: Vec<u32>,
    generation: u64,
    /// Backends that were told of, and whose servers were not yet.
    backends: Vec<NameId>,
}

/// The objects of one kind, and what is told of them.
#[derive(Debug, Clone, Copy)]
pub struct Selected<'a> {
    /// Which metrics.
    pub plan: &'a KindPlan,
    /// The objects.
    pub groups: &'a Groups,
    /// Their names.
    pub names: &'a Names,
    /// The names of servers in their backends.
    pub servers: &'a Pairs,
    /// Names of proxies that are left out.
    pub excluded: &'a HashSet<NameId>,
    /// Response times that were counted, where there are any.
    pub latency: Option<Latency<'a>>,
}

/// Counts of a backend's servers by state, as `status-metrics` sends them: metric name and the states that count.
pub const SERVER_COUNTS: [(&str, &[&str]); 6] = [
    ("servers_up", &["UP", "UP n/m"]),
    ("servers_down", &["DOWN", "DOWN n/m", "unknown"]),
    ("servers_nolb", &["NOLB"]),
    ("servers_maint", &["MAINT"]),
    ("servers_drain", &["DRAIN"]),
    ("servers_no_check", &["no check"]),
];

impl Objects {
    /// With these paths, and the names of the metrics of all plans; `status` sends states as numbers.
    #[must_use]
    pub fn new(paths: Paths, status: bool, metric_names: Arc<MetricNames>) -> Self {
        Self {
            paths,
            status,
            metric_names,
            by_name: Default::default(),
            servers: Vec::new(),
            ranks: Vec::new(),
            generation: 0,
            backends: Vec::new(),
        }
    }

    /// Follows changes of the names before the objects of a snapshot are rendered.
    pub fn begin(&mut self, names: &Names, generation: u64) {
        self.backends.clear();
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

    /// Tells of all objects of one kind, in the order of their names, and returns the number of metrics: paths of groups do
    /// not count twice, values that are not finite count although they are not sent. Pieces may end between objects.
    pub async fn render(&mut self, selected: Selected<'_>, sink: &mut Sink, outlet: &Outlet) -> i64 {
        if selected.plan.kind != Kind::Server {
            return self.proxies(selected, sink, outlet).await;
        }
        let count = self.servers(selected, sink, outlet).await;
        match &selected.groups.servers {
            Some(grouped) => count + self.aggregated(selected, grouped, sink),
            None => count,
        }
    }

    async fn proxies(&mut self, selected: Selected<'_>, sink: &mut Sink, outlet: &Outlet) -> i64 {
        let Selected { plan, names, excluded, .. } = selected;
        let grouped = &selected.groups.objects;
        let metrics = Metrics::of_objects(plan, &self.metric_names, grouped);
        let divides = sink.divides_anywhere();
        let kind = if plan.kind == Kind::Frontend { ObjectKind::Frontend } else { ObjectKind::Backend };
        let ended = sink.is_ended();
        let mut count = 0;
        for (row, name) in self.by_rank(grouped) {
            if excluded.contains(&name) || grouped.is_left_out(row) {
                continue;
            }
            let paths = &self.paths;
            let prefixes = cached(&mut self.by_name[plan.kind], name.0, || {
                let name = names.get(name);
                paths.of(if kind == ObjectKind::Frontend { About::Frontend(name) } else { About::Backend(name) })
            });
            let Some(prefixes) = prefixes else { continue };
            if divides {
                outlet.between(sink).await;
            }
            let mut told = sink.object(Object { kind, proxy: names.spelled(name), name: "" }, prefixes);
            count += metrics.tell(row, &mut told);
            if ended && kind == ObjectKind::Backend {
                numbers_of_servers(self.status, &mut told);
            } else if kind == ObjectKind::Backend {
                self.backends.push(name);
            }
            let state = grouped.severity(0, row).filter(|_| self.status);
            if let Some(state) = state.and_then(|severity| by_severity(&status::STATUS, severity)) {
                told.states("status", &status::OF_PROXIES.map(|word| (word, is(word, status::of_server(state)))));
                if kind == ObjectKind::Backend {
                    told.metric(b"status_up", Value::Int(i64::from(status::is_up(state))));
                    count += 1;
                }
            }
            if let Some(latency) = selected.latency.filter(|_| kind == ObjectKind::Backend) {
                count += latency.tell(latency.counted.backend(names.spelled(name)), &mut told);
            }
        }
        count
    }

    async fn servers(&mut self, selected: Selected<'_>, sink: &mut Sink, outlet: &Outlet) -> i64 {
        let Selected { plan, names, .. } = selected;
        let grouped = &selected.groups.objects;
        let rows = self.rows_of_servers(selected);
        let metrics = Metrics::of_objects(plan, &self.metric_names, grouped);
        let divides = sink.divides_anywhere();
        let mut count = 0;
        let mut without: HashSet<NameId> = self.backends.drain(..).collect();
        for rows in rows.chunk_by(|a, b| a.backend == b.backend) {
            if let Some(ServerRow { backend, .. }) = rows.first() {
                without.remove(backend);
                count += self.server_counts(selected, *backend, rows, sink);
            }
        }
        let mut without: Vec<NameId> = without.into_iter().collect();
        without.sort_unstable_by_key(|backend| self.rank(*backend));
        for backend in without {
            count += self.server_counts(selected, backend, &[], sink);
        }
        for ServerRow { row, backend, server, .. } in rows {
            if grouped.is_left_out(row) {
                continue;
            }
            if plan.skip_unused && grouped.is_unused(row) {
                sink.skipped.slots += 1;
                continue;
            }
            let Some(key) = grouped.keys.get(row) else { continue };
            let paths = &self.paths;
            let prefixes =
                cached(&mut self.servers, *key, || paths.of(About::Server(names.get(backend), names.get(server))));
            let Some(prefixes) = prefixes else { continue };
            if divides {
                outlet.between(sink).await;
            }
            let (proxy, name) = (names.spelled(backend), names.spelled(server));
            let mut told = sink.object(Object { kind: ObjectKind::Server, proxy, name }, prefixes);
            count += metrics.tell(row, &mut told);
            if self.status {
                count += states(grouped, row, &mut told);
            }
            if let Some(latency) = selected.latency {
                count += latency.tell(latency.counted.server(proxy, name), &mut told);
            }
        }
        count
    }

    /// Servers of backends that are not excluded, in the order of their names.
    fn rows_of_servers(&self, selected: Selected<'_>) -> Vec<ServerRow> {
        let keys = &selected.groups.objects.keys;
        let mut rows = Vec::with_capacity(keys.len());
        for (row, key) in keys.iter().enumerate() {
            let Some((backend, server)) = selected.servers.get(*key) else { continue };
            if !selected.excluded.contains(&backend) {
                let rank = (u64::from(self.rank(backend)) << 32) | u64::from(self.rank(server));
                rows.push(ServerRow { rank, row, backend, server });
            }
        }
        rows.sort_unstable_by_key(|row| (row.rank, row.row));
        rows
    }

    /// `TotalServers` of one backend, and with `status-metrics` how many of them are in which state.
    fn server_counts(&mut self, selected: Selected<'_>, backend: NameId, rows: &[ServerRow], sink: &mut Sink) -> i64 {
        let Selected { plan, groups, names, .. } = selected;
        if sink.is_ended() {
            // Their backend may be there without them.
            return 0;
        }
        if groups.with_more.contains(backend.0) {
            return 0;
        }
        let paths = &self.paths;
        let prefixes =
            cached(&mut self.by_name[Kind::Backend], backend.0, || paths.of(About::Backend(names.get(backend))));
        let Some(prefixes) = prefixes else { return 0 };
        let proxy = names.spelled(backend);
        let mut told = sink.object(Object { kind: ObjectKind::Backend, proxy, name: "" }, prefixes);
        let mut count = 0;
        let whole = |number: usize| Value::Int(i64::try_from(number).unwrap_or(i64::MAX));
        if plan.total_servers {
            told.metric(b"TotalServers", whole(rows.len()));
            count += 1;
        }
        let grouped = &groups.objects;
        if self.status && !rows.iter().any(|row| grouped.is_left_out(row.row)) {
            let words: Vec<&str> = rows
                .iter()
                .filter_map(|row| by_severity(&status::STATUS, grouped.severity(0, row.row)?))
                .map(|state| state.word)
                .collect();
            // No state at all is known where no file has the field.
            if !words.is_empty() || rows.is_empty() {
                for (metric, counted) in SERVER_COUNTS {
                    let found = words.iter().filter(|word| counted.contains(word)).count();
                    told.metric(metric.as_bytes(), whole(found));
                    count += 1;
                }
                if told.has_encoders() {
                    states_of_servers(grouped, rows, &mut told);
                }
            }
        }
        count
    }

    /// Servers over all backends; exclusions and selections do not touch them.
    fn aggregated(&mut self, selected: Selected<'_>, grouped: &Grouped, sink: &mut Sink) -> i64 {
        let Selected { plan, names, .. } = selected;
        if sink.is_ended() {
            // Servers of this name may be in other backends.
            return 0;
        }
        let metrics = Metrics::of_totals(plan, &self.metric_names, grouped);
        let mut count = 0;
        for (row, name) in self.by_rank(grouped) {
            // Its slots are counted where they are left out one by one.
            if grouped.is_left_out(row) || plan.skip_unused && grouped.is_unused(row) {
                continue;
            }
            let paths = &self.paths;
            let prefixes =
                cached(&mut self.by_name[Kind::Server], name.0, || paths.of(About::ServerTotal(names.get(name))));
            let Some(prefixes) = prefixes else { continue };
            let object = Object { kind: ObjectKind::ServerTotal, proxy: "", name: names.spelled(name) };
            let mut told = sink.object(object, prefixes);
            count += metrics.tell(row, &mut told);
            if let Some(latency) = selected.latency {
                count += latency.tell(latency.counted.total(object.name), &mut told);
            }
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

/// A server, and where it stands among the rows.
#[derive(Debug, Clone, Copy)]
struct ServerRow {
    rank: u64,
    row: usize,
    backend: NameId,
    server: NameId,
}

/// A server's states as numbers; returns how many there are.
fn states(grouped: &Grouped, row: usize, told: &mut Told<'_>) -> i64 {
    let mut count = 0;
    if let Some(state) = grouped.severity(0, row).and_then(|severity| by_severity(&status::STATUS, severity)) {
        told.metric(b"status_up", Value::Int(i64::from(status::is_up(state))));
        told.metric(b"status", Value::Int(state.code));
        count += 2;
        if told.has_encoders() {
            told.states("status", &status::OF_SERVERS.map(|word| (word, is(word, status::of_server(state)))));
        }
    }
    if let Some(state) = grouped.severity(1, row).and_then(|severity| by_severity(&status::CHECK_STATUS, severity)) {
        told.metric(b"check_status", Value::Int(state.code));
        count += 1;
        if told.has_encoders() {
            let states: Vec<_> = status::of_checks().map(|word| (word, is(word, state.word))).collect();
            told.states("check_status", &states);
        }
    }
    count
}

/// How many servers of a backend are in which state, and how many checks have had which result.
fn states_of_servers(grouped: &Grouped, rows: &[ServerRow], told: &mut Told<'_>) {
    let of = |place, table: &'static [State]| -> Vec<&'static State> {
        rows.iter().filter_map(|row| by_severity(table, grouped.severity(place, row.row)?)).collect()
    };
    let (states, checks) = (of(0, &status::STATUS), of(1, &status::CHECK_STATUS));
    let count = |found: usize| i64::try_from(found).unwrap_or(i64::MAX);
    let in_state = |word: &str| states.iter().filter(|state| status::of_server(state) == word).count();
    told.states("agg_server_status", &status::OF_SERVERS.map(|word| (word, count(in_state(word)))));
    let with_result = |word: &str| checks.iter().filter(|state| state.word == word).count();
    let results: Vec<_> = status::of_checks().map(|word| (word, count(with_result(word)))).collect();
    told.states("agg_check_status", &results);
}

/// What is told of a backend beside its servers, where it is no more: that there are such series is all that counts.
fn numbers_of_servers(status: bool, told: &mut Told<'_>) {
    told.field(b"TotalServers", Value::Int(0));
    if status {
        SERVER_COUNTS.iter().for_each(|(metric, _)| told.field(metric.as_bytes(), Value::Int(0)));
        told.states("agg_server_status", &status::OF_SERVERS.map(|word| (word, 0)));
        let results: Vec<_> = status::of_checks().map(|word| (word, 0)).collect();
        told.states("agg_check_status", &results);
    }
}

/// 1 when they are the same.
fn is(word: &str, other: &str) -> i64 {
    i64::from(word == other)
}

fn by_severity(table: &'static [State], severity: i64) -> Option<&'static State> {
    table.iter().find(|state| state.severity == severity)
}

/// The prefixes at `index`, made when they are first asked for.
fn cached(cache: &mut Vec<Option<Prefixes>>, index: u32, make: impl FnOnce() -> Prefixes) -> Option<&Prefixes> {
    let index = index as usize;
    if cache.len() <= index {
        cache.resize_with(index + 1, || None);
    }
    cache.get_mut(index).map(|slot| &*slot.get_or_insert_with(make))
}
