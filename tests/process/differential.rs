//! The fast way of reading statistics against the slow and obvious one; fuzz/fuzz_targets/stat_differential.rs does the same
//! with any bytes.

use crate::files::file;
use crate::{harness, reference};
use haproxystats::haproxy::per_kind::PerKind;
use haproxystats::parse::stat::Stats;
use haproxystats::plan::KindPlan;
use proptest::prelude::*;
use std::sync::Arc;

const SELECTIONS: [&str; 3] = [
    "[process]\n",
    "[process]\nfrontend-metrics = all\nbackend-metrics = all\nserver-metrics = all\n",
    "[process]\ntime-averages = weighted\naggr-server-metrics = true\n",
];

fn plans(selection: &str, beyond: bool) -> Arc<PerKind<KindPlan>> {
    let config = harness::config(selection);
    let plan = |kind| KindPlan::new(kind, &config.process);
    Arc::new(PerKind::new(|kind| if beyond { plan(kind).and_beyond() } else { plan(kind) }))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_fast_way_reads_what_the_slow_one_does(files in proptest::collection::vec(file(), 1..4), all in 0..SELECTIONS.len(), beyond in any::<bool>()) {
        let plans = plans(SELECTIONS[all], beyond);
        // What is kept between files must not matter.
        let mut stats = Stats::new(Arc::clone(&plans), false);
        for file in files.iter().chain(&files) {
            reference::assert_agree(&plans, &mut stats, file.as_bytes());
        }
    }
}
