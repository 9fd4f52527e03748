//! A snapshot that is read in batches of whole proxies gives the lines that it gives when it is read at once, in another
//! order.
#![allow(clippy::expect_used, clippy::unwrap_used, reason = "a broken machine may fail the test")]

#[path = "reference/files.rs"]
mod files;
mod harness;

use files::file;
use haproxystats::process::pipeline::{Pipeline, PipelineError, Report};
use haproxystats::snapshot::Epoch;
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::path::Path;

/// What a snapshot became: values by path, in their order where a path is there several times.
#[derive(Debug, PartialEq)]
struct Outcome {
    points: BTreeMap<String, Vec<String>>,
    report: Report,
}

fn outcome(pipeline: &mut Pipeline, directory: &Path) -> Result<Outcome, PipelineError> {
    let mut text = Vec::new();
    let report = pipeline.run(directory, Epoch(1), &mut text)?;
    let text = String::from_utf8(text).unwrap();
    assert_eq!(report.lines, text.lines().count());
    let mut points: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for line in text.lines().filter(|line| !line.contains("WallClockTime")) {
        let (path, value) = line.strip_suffix(" 1").unwrap().split_once(' ').unwrap();
        points.entry(path.to_owned()).or_default().push(value.to_owned());
    }
    points.values_mut().for_each(|values| values.sort());
    Ok(Outcome { points, report })
}

/// Beyond 2^53 the last digits depend on the order of additions, and on whether some other object is as large.
fn near(one: &str, other: &str) -> bool {
    let (a, b): (f64, f64) = (one.parse().unwrap(), other.parse().unwrap());
    one == other || a.abs() > 9e15 && (a - b).abs() <= 1e-12 * a.abs()
}

fn assert_same(at_once: &Outcome, in_batches: &Outcome) {
    let missing: Vec<_> = at_once.points.iter().filter(|(path, _)| !in_batches.points.contains_key(*path)).collect();
    let surplus: Vec<_> = in_batches.points.iter().filter(|(path, _)| !at_once.points.contains_key(*path)).collect();
    assert!(missing.is_empty() && surplus.is_empty(), "missing: {missing:?}\nsurplus: {surplus:?}");
    assert_eq!(at_once.report, in_batches.report);
    for ((path, one), other) in at_once.points.iter().zip(in_batches.points.values()) {
        let same = one.len() == other.len() && one.iter().zip(other).all(|(one, other)| near(one, other));
        assert!(same, "{path}: {one:?} at once, {other:?} in batches");
    }
}

const OPTIONS: [&str; 4] = [
    "[process]\n",
    "[process]\nfrontend-metrics = all\nbackend-metrics = all\nserver-metrics = all\nstatus-metrics = true\n",
    "[process]\naggr-server-metrics = true\n",
    "[process]\ncluster-metrics = true\naggr-server-metrics = true\nserver-metrics = rtime stot\n[hosts]\n0_stat = lb-0 edge\n\
     1_stat = lb-1 edge\n",
];

fn pipelines(options: &str, bytes: u64) -> [Pipeline; 2] {
    let config = harness::config(options);
    let batches = Pipeline::new(&config, "host").in_batches_of(bytes);
    [Pipeline::new(&config, "host").in_batches_of(u64::MAX), batches]
}

fn snapshot(files: &[impl AsRef<[u8]>]) -> tempfile::TempDir {
    let place = tempfile::tempdir().unwrap();
    for (number, file) in files.iter().enumerate() {
        harness::write(place.path(), &format!("{number}_stat"), file);
    }
    place
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn batches_change_nothing(
        files in proptest::collection::vec(file(), 1..4),
        options in 0..OPTIONS.len(),
        bytes in prop_oneof![0_u64..200, 0_u64..20_000],
    ) {
        let [mut at_once, mut in_batches] = pipelines(OPTIONS[options], bytes);
        // What is kept from one snapshot to the next must not matter.
        for files in [&files[..], &files[1..], &files[..1]] {
            let place = snapshot(files);
            let expected = outcome(&mut at_once, place.path()).unwrap();
            assert_same(&expected, &outcome(&mut in_batches, place.path()).unwrap());
        }
    }
}
