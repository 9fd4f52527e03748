//! The ways in which columns are combined, against the rule itself.

use super::cluster::{Cluster, over_hosts};
use super::group::{Grouped, Groups, group, objects};
use super::totals::Totals;
use crate::config::Selection;
use crate::haproxy::columns::{Combine, Kind};
use crate::haproxy::per_kind::PerKind;
use crate::haproxy::traffic;
use crate::parse::stat::Stats;
use crate::plan::KindPlan;
use crate::value::Value;
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::sync::Arc;

const ALL: [Combine; 9] = [
    Combine::Sum,
    Combine::Limit,
    Combine::LimitOrBlank,
    Combine::Mean,
    Combine::BusyMean,
    Combine::WeightedMean,
    Combine::Max,
    Combine::Min,
    Combine::MinPresent,
];

/// Columns whose cells may be anything, one for each way to combine.
const COLUMNS: [&str; 9] = ["qcur", "slim", "src_ilim", "weight", "rtime", "ttime", "smax", "qlimit", "lastsess"];

/// A server of a process: its backend, its name, its sessions, and its cells.
type Row = (usize, usize, i64, [Option<i64>; 9]);

/// What one host has of an object, and the weight of that.
type Part = (Vec<Option<Value>>, i64);

fn rows() -> impl Strategy<Value = Vec<Row>> {
    let cell = proptest::option::weighted(0.8, prop_oneof![-1_i64..50, Just(1_i64 << 40)]);
    let row = (0_usize..3, 0_usize..3, prop_oneof![Just(0_i64), 1_i64..3000], proptest::array::uniform9(cell));
    proptest::collection::vec(row, 1..12).prop_map(|mut rows| {
        // Limits that are not there are 0 and others are more: a sum of 0 must not come of others.
        rows.iter_mut().for_each(|row| row.3[1] = row.3[1].map(i64::abs));
        // A process has a server once.
        let once: BTreeMap<(usize, usize), Row> = rows.into_iter().map(|row| ((row.0, row.1), row)).collect();
        once.into_values().collect()
    })
}

fn plans() -> Arc<PerKind<KindPlan>> {
    let mut config = crate::testing::config().process;
    config.server_metrics = Selection::List(COLUMNS.map(str::to_owned).to_vec());
    (config.exact_selection, config.aggr_server_metrics) = (true, true);
    Arc::new(PerKind::new(|kind| {
        let mut plan = KindPlan::new(kind, &config);
        if kind == Kind::Server {
            plan.fields.truncate(COLUMNS.len());
            for (field, combine) in plan.fields.iter_mut().zip(ALL) {
                (field.combine, field.default, field.counter) = (combine, false, false);
            }
            plan.beyond = (0..COLUMNS.len()).collect();
            (plan.weights, plan.send_aggregated) = (true, (0..COLUMNS.len()).collect());
        }
        plan
    }))
}

fn text(rows: &[Row]) -> String {
    let mut text = format!("# pxname,svname,type,stot,lbtot,{},\n", COLUMNS.join(","));
    for (backend, server, sessions, cells) in rows {
        text.push_str(&format!("b{backend},s{server},2,{sessions},0,"));
        cells.iter().for_each(|cell| text.push_str(&cell.map_or(",".to_owned(), |cell| format!("{cell},"))));
        text.push('\n');
    }
    text
}

fn read(plans: &Arc<PerKind<KindPlan>>, processes: &[Vec<Row>]) -> Stats {
    let mut stats = Stats::new(Arc::clone(plans), false);
    for rows in processes {
        stats.read(text(rows).as_bytes(), |line, reason| panic!("{line}: {reason}")).unwrap();
    }
    stats
}

fn weight(sessions: i64) -> i64 {
    traffic::weight(|counter| match counter {
        traffic::Counter::Requests => None,
        traffic::Counter::Sessions => Some(sessions),
        traffic::Counter::Balanced => Some(0),
    })
}

/// What the rule makes of the rows of each object; `key` says which object a row is of.
fn expected(processes: &[Vec<Row>], key: impl Fn(&Row) -> String) -> BTreeMap<String, Vec<Option<Value>>> {
    let mut objects: BTreeMap<String, Vec<Row>> = BTreeMap::new();
    processes.iter().flatten().for_each(|row| objects.entry(key(row)).or_default().push(*row));
    let combined = |rows: Vec<Row>| -> Vec<Option<Value>> {
        let cells =
            |column: usize| rows.iter().filter_map(move |row| Some((i128::from(row.3[column]?), weight(row.2))));
        let blank = |column: usize| rows.iter().any(|row| row.3[column].is_none());
        let over = |(column, combine): (usize, Combine)| {
            combine.over(cells(column)).filter(|_| combine != Combine::LimitOrBlank || !blank(column))
        };
        ALL.into_iter().enumerate().map(over).collect()
    };
    objects.into_iter().map(|(name, rows)| (name, combined(rows))).collect()
}

fn close(one: Option<Value>, other: Option<Value>) -> bool {
    match (one.map(Value::as_f64).filter(|value| value.is_finite()), other.map(Value::as_f64)) {
        (Some(one), Some(other)) => (one - other).abs() <= other.abs() * 1e-12,
        (None, None) => true,
        _ => false,
    }
}

#[track_caller]
fn holds(grouped: &Grouped, name: impl Fn(u32) -> String, expected: &BTreeMap<String, Vec<Option<Value>>>) {
    assert_eq!(grouped.keys.len(), expected.len());
    for (row, key) in grouped.keys.iter().enumerate() {
        let (name, found) = (name(*key), |column| grouped.values(column).unwrap().get(row));
        for (column, (expected, combine)) in expected[&name].iter().zip(ALL).enumerate() {
            assert!(close(found(column), *expected), "{combine:?} of {name}: {:?}, not {expected:?}", found(column));
        }
    }
}

fn server(row: &Row) -> String {
    format!("b{}/s{}", row.0, row.1)
}

proptest! {
    #[test]
    fn whatever_combines_comes_to_what_the_rule_says(processes in proptest::collection::vec(rows(), 1..5)) {
        let plans = plans();
        let plan = &plans[Kind::Server];
        let (by_object, by_server) = (expected(&processes, server), expected(&processes, |row| format!("s{}", row.1)));
        // polars, of rows that lie anywhere.
        let mut stats = read(&plans, &processes);
        let collected = &mut stats.collected;
        let table = &mut collected.tables[Kind::Server];
        let Groups { objects: grouped, servers, .. } = group(plan, table).unwrap();
        let pair = |key| {
            let (backend, server) = collected.servers.get(key).unwrap();
            format!("{}/{}", collected.names.get(backend), collected.names.get(server))
        };
        holds(&grouped, pair, &by_object);
        holds(&servers.unwrap(), |key| collected.names.get(crate::names::NameId(key)).to_owned(), &by_server);
        // Whole columns, of rows at like places, and servers over all backends, batch by batch.
        let mut totals = Totals::new(plan).unwrap();
        for backend in 0..3 {
            let of_backend = |rows: &Vec<Row>| rows.iter().filter(|row| row.0 == backend).copied().collect::<Vec<_>>();
            let batch: Vec<Vec<Row>> = processes.iter().map(of_backend).filter(|rows| !rows.is_empty()).collect();
            let mut stats = read(&plans, &batch);
            let collected = &mut stats.collected;
            let table = &mut collected.tables[Kind::Server];
            totals.add(table, &collected.names);
            let grouped = objects(plan, table).unwrap().objects;
            let pair = |key| {
                let (backend, server) = collected.servers.get(key).unwrap();
                format!("{}/{}", collected.names.get(backend), collected.names.get(server))
            };
            holds(&grouped, pair, &expected(&batch, server));
        }
        let grouped = totals.grouped(plan);
        holds(&grouped, |key| totals.names.get(crate::names::NameId(key)).to_owned(), &by_server);
    }

    #[test]
    fn hosts_come_to_what_the_rule_for_hosts_says(hosts in proptest::collection::vec(rows(), 1..5)) {
        let plans = plans();
        let plan = &plans[Kind::Server];
        let mut cluster = Cluster::new(&plans);
        let mut of_hosts: BTreeMap<String, Vec<Part>> = BTreeMap::new();
        for rows in &hosts {
            let mut stats = read(&plans, std::slice::from_ref(rows));
            let collected = &mut stats.collected;
            let table = &mut collected.tables[Kind::Server];
            let groups = objects(plan, table).unwrap();
            cluster.add(Kind::Server, &groups, &collected.names, &collected.servers);
            for (name, values) in expected(std::slice::from_ref(rows), server) {
                let row = rows.iter().find(|row| server(row) == name).unwrap();
                of_hosts.entry(name).or_default().push((values, weight(row.2)));
            }
        }
        let grouped = cluster.groups(Kind::Server).objects;
        for (row, key) in grouped.keys.iter().enumerate() {
            let (backend, server) = cluster.servers.get(*key).unwrap();
            let name = format!("{}/{}", cluster.names.get(backend), cluster.names.get(server));
            for (column, combine) in ALL.into_iter().enumerate() {
                let rule = over_hosts(plan.fields[column].column.nature, combine);
                let parts = of_hosts[&name].iter().filter_map(|(values, weight)| {
                    // Of one process each, so that averages are whole.
                    values[column].map(|value| (value.as_f64() as i128, *weight))
                });
                let whole = combine != Combine::LimitOrBlank || of_hosts[&name].iter().all(|part| part.0[column].is_some());
                let (found, expected) = (grouped.values(column).unwrap().get(row), rule.over(parts).filter(|_| whole));
                prop_assert!(close(found, expected), "{combine:?}, {rule:?} of {name}: {found:?}, not {expected:?}");
            }
        }
    }
}
