//! `show stat`: the fast way reads any bytes as the slow and obvious one does, the one that is kept in the tests.
#![no_main]

#[path = "../../tests/process/reference/mod.rs"]
mod reference;

use haproxystats::config::{Program, load};
use haproxystats::haproxy::per_kind::PerKind;
use haproxystats::parse::stat::Stats;
use haproxystats::plan::KindPlan;
use libfuzzer_sys::fuzz_target;
use std::sync::{Arc, LazyLock};

/// The default fields, some of which must not be absent, and all of them.
static PLANS: LazyLock<[Arc<PerKind<KindPlan>>; 2]> = LazyLock::new(|| {
    let all = "[process]\nfrontend-metrics = all\nbackend-metrics = all\nserver-metrics = all\n";
    ["[process]\n", all].map(|text| {
        let loaded = load::from_text(Program::Process, text, "fuzz").expect("a good configuration");
        Arc::new(PerKind::new(|kind| KindPlan::new(kind, &loaded.config.process)))
    })
});

fuzz_target!(|data: &[u8]| {
    for plans in PLANS.iter() {
        let mut stats = Stats::new(Arc::clone(plans), false);
        // The second time names are known and rows expected.
        for _ in 0..2 {
            reference::assert_agree(plans, &mut stats, data);
        }
    }
});
