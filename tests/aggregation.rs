//! Algebra of the aggregation: against a slow and obvious implementation, and over any split of rows into processes.
#![allow(clippy::expect_used, clippy::unwrap_used, reason = "a broken machine may fail the test")]

mod harness;

use haproxystats::haproxy::columns::{self, Combine, Kind};
use haproxystats::process::pipeline::Pipeline;
use haproxystats::snapshot::Epoch;
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// The fields of the made-up HAProxy: some of every nature, in an order of its own.
const FIELDS: [&str; 22] = [
    "scur",
    "smax",
    "stot",
    "bin",
    "dreq",
    "weight",
    "act",
    "bck",
    "throttle",
    "lbtot",
    "qtime",
    "ctime",
    "rtime",
    "ttime",
    "downtime",
    "lastchg",
    "lastsess",
    "check_code",
    "qtime_max",
    "wrew",
    "uweight",
    "check_health",
];

#[derive(Debug, Clone)]
struct Row {
    kind: Kind,
    proxy: String,
    server: String,
    cells: Vec<Option<i64>>,
}

impl Row {
    fn cell(&self, name: &str) -> Option<i64> {
        FIELDS.iter().position(|field| *field == name).and_then(|index| self.cells[index])
    }

    fn text(&self) -> String {
        let cells: Vec<_> =
            self.cells.iter().map(|cell| cell.map_or(String::new(), |value| value.to_string())).collect();
        let server = match self.kind {
            Kind::Frontend => "FRONTEND",
            Kind::Backend => "BACKEND",
            Kind::Server => &self.server,
        };
        format!("{},{server},{},{},\n", self.proxy, cells.join(","), self.kind as usize)
    }
}

fn rows() -> impl Strategy<Value = Vec<Row>> {
    let cell = prop_oneof![
        1 => Just(None),
        1 => Just(Some(0)),
        4 => (0_i64..1_000).prop_map(Some),
        1 => (0_i64..i64::MAX / 64).prop_map(Some),
    ];
    let row = (0_usize..3, 0_usize..4, 0_usize..4, proptest::collection::vec(cell, FIELDS.len()), any::<bool>())
        .prop_map(|(kind, proxy, server, mut cells, never)| {
            if never {
                cells[FIELDS.iter().position(|f| *f == "lastsess").unwrap()] = Some(-1);
            }
            // Two spellings of one path element.
            let proxy = ["a.b", "a_b", "c", "d-1"][proxy].to_owned();
            let server = ["s1", "s.2", "s_2", "BACKEND"][server].to_owned();
            Row { kind: Kind::ALL[kind], proxy, server, cells }
        });
    proptest::collection::vec(row, 1..40)
}

/// The output for these rows, spread over files by `split`, without times.
fn output(options: &str, rows: &[Row], split: &[usize]) -> BTreeMap<String, f64> {
    let place = tempfile::tempdir().unwrap();
    let mut files: BTreeMap<usize, String> = BTreeMap::new();
    for (row, file) in rows.iter().zip(split.iter().cycle()) {
        let header = || format!("# pxname,svname,{},type,\n", FIELDS.join(","));
        files.entry(*file).or_insert_with(header).push_str(&row.text());
    }
    for (file, text) in files {
        std::fs::write(place.path().join(format!("{file}_stat")), text + "\n").unwrap();
    }
    lines(options, place.path())
}

fn lines(options: &str, directory: &Path) -> BTreeMap<String, f64> {
    let config = harness::config(options);
    let mut text = Vec::new();
    Pipeline::new(&config, "host").run(directory, Epoch(1), &mut text).unwrap();
    let text = String::from_utf8(text).unwrap();
    let mut found = BTreeMap::new();
    for line in text.lines().filter(|line| !line.contains("WallClockTime")) {
        let (path, rest) = line.split_once(' ').unwrap();
        let value = rest.strip_suffix(" 1").unwrap().parse().unwrap();
        let path = path.strip_prefix("loadbalancers.host.haproxy.").unwrap();
        assert_eq!(found.insert(path.to_owned(), value), None, "{path} is sent twice");
    }
    found
}

/// What should be sent, computed without polars, hashing or typed columns.
fn reference(rows: &[Row]) -> BTreeMap<String, f64> {
    let mut objects: BTreeMap<(usize, String), (Kind, Vec<&Row>)> = BTreeMap::new();
    let safe = |name: &str| name.replace('.', "_");
    for row in rows {
        let path = match row.kind {
            Kind::Server => format!("backend.{}.server.{}", safe(&row.proxy), safe(&row.server)),
            kind => format!("{}.{}", kind.word(), safe(&row.proxy)),
        };
        objects.entry((row.kind as usize, path)).or_insert((row.kind, Vec::new())).1.push(row);
    }
    let mut found = BTreeMap::new();
    for ((_, path), (kind, rows)) in &objects {
        for column in columns::COLUMNS {
            let Some(rule) = column.combine(*kind) else { continue };
            let default = columns::is_default(*kind, column.name);
            let present = FIELDS.contains(&column.name);
            // Not asked for: `all` selects what HAProxy has, but a sum of the default list.
            if !(present || default && rule == Combine::Sum) {
                continue;
            }
            let values: Vec<f64> = rows
                .iter()
                .filter(|row| rule != Combine::BusyMean || row.cell("lbtot").unwrap_or(0) > 0)
                .filter_map(|row| row.cell(column.name).or(default.then_some(0)))
                .filter(|value| rule != Combine::MinPresent || *value >= 0)
                .map(|value| value as f64)
                .collect();
            if values.is_empty() {
                continue;
            }
            let sum: f64 = values.iter().sum();
            let value = match rule {
                Combine::Sum => sum,
                Combine::Mean | Combine::BusyMean => sum / values.len() as f64,
                Combine::Max => values.iter().copied().fold(f64::MIN, f64::max),
                Combine::Min | Combine::MinPresent => values.iter().copied().fold(f64::MAX, f64::min),
            };
            found.insert(format!("{path}.{}", column.name), value);
        }
    }
    let backends: Vec<String> = objects
        .keys()
        .filter(|(kind, _)| *kind == Kind::Server as usize)
        .map(|(_, path)| path.split_once(".server.").unwrap().0.to_owned())
        .collect();
    for backend in backends {
        *found.entry(format!("{backend}.TotalServers")).or_default() += 1.0;
    }
    found
}

fn agree(ours: &BTreeMap<String, f64>, reference: &BTreeMap<String, f64>) -> Result<(), TestCaseError> {
    let ours: BTreeMap<_, _> = ours.iter().filter(|(path, _)| !path.starts_with("haproxystats.")).collect();
    let keys: Vec<_> = ours.keys().map(|key| key.as_str()).collect();
    prop_assert_eq!(keys, reference.keys().map(String::as_str).collect::<Vec<_>>());
    for (path, value) in ours {
        let expected = reference[path];
        prop_assert!((value - expected).abs() <= 1e-9 * expected.abs(), "{path}: {value} for {expected}");
    }
    Ok(())
}

const ALL: &str = "[process]\nfrontend-metrics = all\nbackend-metrics = all\nserver-metrics = all\n";

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_field_is_combined_as_the_catalogue_says(rows in rows()) {
        // A blank cell of a summed default counts as 0, absent elsewhere; servers called BACKEND are servers.
        agree(&output(ALL, &rows, &[0]), &reference(&rows))?;
    }

    #[test]
    fn any_split_over_processes_gives_the_same(rows in rows(), split in proptest::collection::vec(0_usize..5, 1..40)) {
        prop_assert_eq!(output(ALL, &rows, &[0]), output(ALL, &rows, &split));
    }

    /// The same objects in the same order in every process, which takes a shorter way, but for the last process, which
    /// may lack some.
    #[test]
    fn processes_with_the_same_objects_are_combined_all_the_same(
        rows in rows(),
        processes in 1_usize..5,
        turn in 1_usize..FIELDS.len(),
        lacking in 0_usize..3,
    ) {
        let safe = |name: &str| name.replace('.', "_");
        let mut objects = BTreeSet::new();
        let objects: Vec<Row> = rows
            .into_iter()
            .filter(|row| {
                let server = if row.kind == Kind::Server { safe(&row.server) } else { String::new() };
                objects.insert((row.kind as usize, safe(&row.proxy), server))
            })
            .collect();
        let mut rows = Vec::new();
        let mut split = Vec::new();
        for process in 0..processes {
            for row in &objects {
                let mut row = row.clone();
                row.cells.rotate_left(process * turn % FIELDS.len());
                rows.push(row);
                split.push(process);
            }
        }
        let kept = rows.len() - lacking.min(objects.len() - 1);
        rows.truncate(kept);
        agree(&output(ALL, &rows, &split), &reference(&rows))?;
    }

    #[test]
    fn servers_over_all_backends_sum_to_the_same(rows in rows()) {
        let options = "[process]\naggr-server-metrics = true\n";
        let found = output(options, &rows, &[0, 1]);
        let total = |prefix: &str, inner: &str| -> f64 {
            found.iter().filter(|(path, _)| path.starts_with(prefix) && path.contains(inner) && path.ends_with(".scur"))
                .map(|(_, value)| value).sum()
        };
        let (apart, together) = (total("backend.", ".server."), total("server.", "."));
        prop_assert!((apart - together).abs() <= 1e-9 * apart);
    }
}
