//! Hosts of a cluster become one: what each host has is combined once more, field by field, by the field's nature.
//!
//! | nature | over hosts | why |
//! |---|---|---|
//! | counter, gauge, rate, limit | sum | each host has a part of the traffic |
//! | limit, 0 for none | sum, 0 where one host has none | |
//! | limit, blank for none | sum, none where one host has none | |
//! | largest value | largest | the maxima of two hosts need not be of the same moment |
//! | average of times | mean, weighted by the requests that it is over | as over processes, whatever host they run on; one without traffic has none |
//! | other average, configured value, what every host sees alike | mean | |
//! | age | smallest | the latest event on any host |
//! | duration | largest | |
//!
//! What a host does not know its part of is not known either, be it a figure, an object, or the objects of a process.

use super::daemon::{Figure, Overall};
use super::group::{Grouped, Groups, Values};
use super::latency::Latencies;
use crate::haproxy::columns::{Column, Combine, Kind, Nature};
use crate::haproxy::info;
use crate::haproxy::per_kind::PerKind;
use crate::names::{NameId, Names, Pairs};
use crate::parse::doubt::{Doubts, Named, Unknown, Which};
use crate::plan::KindPlan;
use crate::value::{ABSENT, Value};
use std::collections::{BTreeMap, HashMap, HashSet};

/// How a field of this nature is combined over hosts; `processes` is what is done over processes.
pub(super) fn over_hosts(nature: Nature, processes: Combine) -> Combine {
    match (nature, processes) {
        (Nature::Max | Nature::Duration, _) | (_, Combine::Max) => Combine::Max,
        (Nature::Age, _) => Combine::Min,
        (_, Combine::BusyMean | Combine::WeightedMean) => Combine::WeightedMean,
        (Nature::Average, _) | (_, Combine::Mean) => Combine::Mean,
        (_, Combine::Min | Combine::MinPresent) => Combine::Min,
        (_, Combine::Limit) => Combine::Limit,
        (_, Combine::LimitOrBlank) => Combine::LimitOrBlank,
        (_, Combine::Sum) => Combine::Sum,
    }
}

/// What the hosts so far make of one figure.
#[derive(Debug, Clone, Copy, Default)]
struct Cell {
    /// Sum of whole numbers, and of others.
    whole: i128,
    fraction: f64,
    /// Sum of products with the weights, and of the weights.
    weighted: f64,
    weight: f64,
    extreme: Option<f64>,
    count: u32,
    has_fraction: bool,
    /// Whether it is a limit, and some host has none.
    unlimited: bool,
    /// Whether a host does not know its part.
    unknown: bool,
}

impl Cell {
    fn add(&mut self, rule: Combine, value: Value, weight: f64) {
        self.unlimited |= rule == Combine::Limit && value.is_zero();
        let number = match value {
            Value::Int(whole) => {
                self.whole += i128::from(whole);
                as_f64(i128::from(whole))
            }
            Value::Float(number) if number.is_finite() => {
                self.fraction += number;
                self.has_fraction = true;
                number
            }
            Value::Float(_) => return,
        };
        self.count += 1;
        self.weighted += number * weight;
        self.weight += weight;
        self.extreme = Some(match (rule, self.extreme) {
            (Combine::Min, Some(extreme)) => extreme.min(number),
            (_, Some(extreme)) => extreme.max(number),
            (_, None) => number,
        });
    }

    fn total(&self) -> f64 {
        as_f64(self.whole) + self.fraction
    }

    fn value(&self, rule: Combine) -> Option<Value> {
        if self.count == 0 || self.unknown {
            return None;
        }
        Some(match rule {
            Combine::Limit if self.unlimited => Value::Int(0),
            Combine::Sum | Combine::Limit | Combine::LimitOrBlank if !self.has_fraction => Value::from_i128(self.whole),
            Combine::Sum | Combine::Limit | Combine::LimitOrBlank => Value::Float(self.total()),
            // Hosts without traffic have no average of times, and those with traffic weigh something.
            Combine::BusyMean | Combine::WeightedMean if self.weight > 0.0 => Value::Float(self.weighted / self.weight),
            Combine::Mean | Combine::BusyMean | Combine::WeightedMean => {
                Value::Float(self.total() / f64::from(self.count))
            }
            Combine::Max | Combine::Min | Combine::MinPresent => whole(self.extreme?),
        })
    }
}

#[expect(clippy::cast_precision_loss, reason = "Graphite stores doubles")]
fn as_f64(value: i128) -> f64 {
    value as f64
}

/// A whole number as one.
fn whole(number: f64) -> Value {
    #[expect(clippy::cast_possible_truncation, reason = "within the range in which doubles are exact")]
    if number.fract() == 0.0 && number.abs() < 9e15 { Value::Int(number as i64) } else { Value::Float(number) }
}

/// Objects of one kind.
#[derive(Debug, Default)]
struct Objects {
    rows: HashMap<u32, usize>,
    keys: Vec<u32>,
    /// By row, then by field.
    cells: Vec<Vec<Cell>>,
    states: Vec<[Option<i64>; 3]>,
    /// Rows of which some host knows nothing.
    unknown: HashSet<usize>,
}

impl Objects {
    /// Adds the object at `from` of a host, and returns where it stands here. `source` says, by field, which one of the host's
    /// it is made of.
    fn add(&mut self, key: u32, rules: &[Option<Combine>], source: &[usize], (host, from): (&Grouped, usize)) -> usize {
        let weight = host.weight(from).map_or(1.0, |weight| as_f64(i128::from(weight)));
        let row = *self.rows.entry(key).or_insert_with(|| {
            self.keys.push(key);
            self.cells.push(vec![Cell::default(); rules.len()]);
            self.states.push([None; 3]);
            self.keys.len() - 1
        });
        if host.is_left_out(from) {
            self.unknown.insert(row);
            return row;
        }
        for (index, cell) in self.cells.get_mut(row).into_iter().flatten().enumerate() {
            let (Some(rule), Some(index)) = (rules.get(index).copied().flatten(), source.get(index)) else { continue };
            match host.values(*index).and_then(|values| values.get(from)) {
                Some(value) => cell.add(rule, value, weight),
                None => cell.unknown |= host.is_unknown(*index, from),
            }
        }
        row
    }

    /// The states on one more host.
    fn note(&mut self, row: usize, severity: impl Fn(usize) -> Option<i64>) {
        for (place, state) in self.states.get_mut(row).into_iter().flatten().enumerate() {
            *state = (*state).max(severity(place));
        }
    }

    fn grouped(&self, rules: &[Option<Combine>]) -> Grouped {
        let column = |(index, rule): (usize, &Option<Combine>)| {
            let Some(rule) = rule else { return Values::Nothing };
            let cells = self.cells.iter().map(|cells| cells.get(index).and_then(|cell| cell.value(*rule)));
            let values: Vec<Option<Value>> = cells.collect();
            let ints = values.iter().map(|value| match value {
                None => Some(ABSENT),
                Some(Value::Int(whole)) => Some(*whole),
                Some(Value::Float(_)) => None,
            });
            if let Some(ints) = ints.collect::<Option<Vec<i64>>>() {
                return Values::Ints(ints);
            }
            let float = |value: &Option<Value>| match value {
                None => f64::NAN,
                Some(Value::Int(whole)) => as_f64(i128::from(*whole)),
                Some(Value::Float(number)) => *number,
            };
            Values::Floats(values.iter().map(float).collect())
        };
        let states = if self.states.iter().flatten().any(Option::is_some) {
            let state = |place: usize| {
                let severity = |states: &[Option<i64>; 3]| states.get(place).copied().flatten().unwrap_or(ABSENT);
                Values::Ints(self.states.iter().map(severity).collect())
            };
            vec![state(0), state(1), state(2)]
        } else {
            Vec::new()
        };
        Grouped::new(self.keys.clone(), rules.iter().enumerate().map(column).collect(), states)
    }

    /// The objects of which some host knows nothing.
    fn unknown(&self) -> impl Iterator<Item = u32> {
        self.unknown.iter().filter_map(|row| self.keys.get(*row).copied())
    }
}

/// The hosts of a cluster so far.
#[derive(Debug)]
pub struct Cluster {
    rules: PerKind<Vec<Option<Combine>>>,
    /// By field, which one of the hosts' it is made of.
    sources: PerKind<Vec<usize>>,
    /// Names of its proxies and servers.
    pub names: Names,
    /// Servers in their backends.
    pub servers: Pairs,
    objects: PerKind<Objects>,
    /// Servers over all backends.
    totals: Objects,
    daemon: BTreeMap<&'static str, (usize, Cell)>,
    /// Whether the daemon of some host is not known.
    daemon_unknown: bool,
    /// Rows of hosts that cannot be read.
    named: HashSet<Named>,
    /// The objects of hosts that may have others as well, by kind.
    doubtful: Vec<PerKind<HashSet<u32>>>,
    /// Whether the present host is the last of them.
    noting: bool,
    /// What was counted of response times on all hosts.
    pub latencies: Latencies,
}

impl Cluster {
    /// Without any host.
    #[must_use]
    pub fn new(plans: &PerKind<KindPlan>) -> Self {
        let rules = |plan: &KindPlan| {
            let rule = |column: &Column, combine| Some(over_hosts(column.nature, combine));
            plan.fields.iter().map(|field| rule(field.column, field.combine)).collect()
        };
        Self {
            rules: plans.each(rules),
            sources: plans.each(|plan| plan.beyond.clone()),
            names: Names::default(),
            servers: Pairs::default(),
            objects: Default::default(),
            totals: Objects::default(),
            daemon: BTreeMap::new(),
            daemon_unknown: false,
            named: HashSet::new(),
            doubtful: Vec::new(),
            noting: false,
            latencies: Latencies::default(),
        }
    }

    /// Forgets all figures; names stay, since they come again.
    pub fn clear(&mut self) {
        self.objects = Default::default();
        self.totals = Objects::default();
        self.daemon.clear();
        self.daemon_unknown = false;
        self.named.clear();
        self.doubtful.clear();
        self.latencies.clear();
    }

    /// Before what a host has.
    pub(crate) fn begin_host(&mut self) {
        self.noting = false;
    }

    /// What of the present host could not be read; before what could be is added.
    pub fn doubt(&mut self, doubts: &Doubts) {
        self.named.extend(doubts.named().cloned());
        if doubts.of_anything() && !self.noting {
            self.noting = true;
            self.doubtful.push(Default::default());
        }
    }

    /// Adds what a host has of one kind.
    pub fn add(&mut self, kind: Kind, groups: &Groups, names: &Names, servers: &Pairs) {
        let Self { rules, sources, objects, .. } = self;
        let (rules, source, objects) = (&rules[kind], &sources[kind], &mut objects[kind]);
        let own = &mut self.names;
        let mut name = |id: NameId| own.intern(names.spelled(id).as_bytes());
        for (row, key) in groups.objects.keys.iter().enumerate() {
            let key = match kind {
                Kind::Frontend | Kind::Backend => name(NameId(*key)).0,
                Kind::Server => {
                    let Some((backend, server)) = servers.get(*key) else { continue };
                    let pair = (name(backend), name(server));
                    self.servers.intern(pair)
                }
            };
            let added = objects.add(key, rules, source, (&groups.objects, row));
            objects.note(added, |place| groups.objects.severity(place, row));
            if let Some(seen) = self.doubtful.last_mut().filter(|_| self.noting) {
                seen[kind].insert(key);
            }
        }
        if let Some(totals) = &groups.servers {
            for (row, key) in totals.keys.iter().enumerate() {
                let key = name(NameId(*key)).0;
                let added = self.totals.add(key, rules, source, (totals, row));
                self.totals.note(added, |place| totals.severity(place, row));
            }
        }
    }

    /// Adds the figures of a host's daemon.
    pub(crate) fn add_daemon(&mut self, overall: &Overall) {
        for (name, value) in &overall.figures {
            let next = self.daemon.len();
            let (_, cell) = self.daemon.entry(name).or_insert((next, Cell::default()));
            if let Some(value) = value {
                cell.add(daemon_rule(name), *value, weight_of(name, &overall.figures));
            }
        }
        for name in &overall.unknown {
            let next = self.daemon.len();
            self.daemon.entry(name).or_insert((next, Cell::default())).1.unknown = true;
        }
    }

    /// Some reply of a host's daemons could not be read.
    pub(crate) fn doubt_daemon(&mut self) {
        self.daemon_unknown = true;
    }

    /// The objects of one kind.
    #[must_use]
    pub fn groups(&self, kind: Kind) -> Groups {
        let (rules, objects) = (&self.rules[kind], &self.objects[kind]);
        let totals = (kind == Kind::Server && !self.totals.keys.is_empty()).then(|| self.totals.grouped(rules));
        let mut groups = Groups { objects: objects.grouped(rules), servers: totals, ..Groups::default() };
        if let Some(unknown) = self.unknown() {
            groups.leave_out(kind, &unknown, &self.names);
        }
        groups
    }

    /// What is not known of all hosts together; `None` where all is.
    fn unknown(&self) -> Option<Unknown> {
        let certain = self.objects.iter().chain([&self.totals]).all(|objects| objects.unknown.is_empty());
        if certain && self.named.is_empty() && self.doubtful.is_empty() {
            return None;
        }
        let there = self.objects.each(|objects| objects.keys.iter().copied().collect());
        let mut unknown = Unknown::of(self.named.iter(), &there, &self.names, &self.servers);
        for (unknown, objects) in unknown.objects.iter_mut().zip(&self.objects) {
            unknown.extend(objects.unknown());
        }
        for seen in &self.doubtful {
            for ((unknown, there), seen) in unknown.objects.iter_mut().zip(&there).zip(seen) {
                unknown.extend(there.difference(seen));
            }
            (unknown.servers_of, unknown.totals) = (Which::All, None);
        }
        if let Some(totals) = &mut unknown.totals {
            totals.extend(self.totals.unknown().map(|name| self.names.get(NameId(name)).to_owned()));
        }
        Some(unknown)
    }

    /// The figures of the daemons, in the order in which they were added.
    #[must_use]
    pub fn daemon(&self) -> Vec<Figure> {
        let mut figures: Vec<_> = self.daemon.iter().collect();
        figures.sort_by_key(|(_, (place, _))| *place);
        let value = |name, cell: &Cell| cell.value(daemon_rule(name)).filter(|_| !self.daemon_unknown);
        figures.into_iter().map(|(name, (_, cell))| (*name, value(name, cell))).collect()
    }
}

/// The figure of the same host that a mean is weighted by.
fn weight_of(name: &str, figures: &[Figure]) -> f64 {
    let weight = info::weight_of(name).and_then(|weight| figures.iter().find(|(name, _)| *name == weight));
    weight.and_then(|(_, value)| *value).map_or(0.0, Value::as_f64)
}

/// Percentages and what is worked out of several figures are means.
fn daemon_rule(name: &str) -> Combine {
    match info::find(name) {
        Some(field) => field.combine.map_or(Combine::Mean, |combine| over_hosts(field.nature, combine)),
        None => Combine::Mean,
    }
}

#[cfg(test)]
mod tests;
