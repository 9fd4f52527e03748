//! `show stat`: any bytes are read or refused; the outcome does not depend on how they arrive; tables stay rectangular;
//! names are safe in a metric path.
#![no_main]

use haproxystats::config::{Program, load};
use haproxystats::haproxy::per_kind::PerKind;
use haproxystats::names::NameId;
use haproxystats::parse::stat::Stats;
use haproxystats::plan::KindPlan;
use libfuzzer_sys::fuzz_target;
use std::io::Read;
use std::sync::{Arc, LazyLock};

/// Every field of every kind is read.
static PLANS: LazyLock<Arc<PerKind<KindPlan>>> = LazyLock::new(|| {
    let all = "[process]\nfrontend-metrics = all\nbackend-metrics = all\nserver-metrics = all\n\
               aggr-server-metrics = true\nstatus-metrics = true\n";
    let loaded = load::from_text(Program::Process, all, "fuzz").expect("a good configuration");
    Arc::new(PerKind::new(|kind| KindPlan::new(kind, &loaded.config.process)))
});

/// Hands out a few bytes at a time.
struct Slow<'a>(&'a [u8], usize);

impl Read for Slow<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let end = self.1.min(self.0.len());
        let (now, later) = self.0.split_at(end);
        self.0 = later;
        let mut now = now;
        now.read(buffer)
    }
}

/// Rows of each kind, rows refused, and everything that was kept, as text.
fn read(input: impl Read) -> (Option<(u64, u64)>, Stats) {
    let mut stats = Stats::new(Arc::clone(&PLANS), true);
    let mut refused = 0;
    let report = stats.read(input, |_, _| refused += 1).ok();
    if let Some(report) = report {
        assert_eq!(report.refused, refused);
    }
    (report.map(|report| (report.rows, report.refused)), stats)
}

fuzz_target!(|data: &[u8]| {
    let Some((&size, input)) = data.split_last() else { return };
    let (whole, stats) = read(input);
    let (parts, slow) = read(Slow(input, usize::from(size).max(1)));
    assert_eq!(whole, parts);
    let (mut stats, mut slow) = (stats.collected, slow.collected);
    let mut kept = 0;
    for (table, other) in stats.tables.iter_mut().zip(&mut slow.tables) {
        table.finish();
        other.finish();
        assert_eq!(table.keys, other.keys);
        assert_eq!(table.weights, other.weights);
        kept += table.rows() as u64;
        for (column, other) in table.columns.iter().zip(&other.columns) {
            if column.present {
                let length = column.floats.as_ref().map_or(column.ints.len(), Vec::len);
                assert_eq!(length, table.rows());
            }
            assert_eq!(column.ints, other.ints);
        }
    }
    if let Some((rows, _)) = whole {
        // Rows of listeners are counted and not kept.
        assert!(kept <= rows);
    }
    for number in 0..stats.names.len() {
        let name = stats.names.get(NameId(u32::try_from(number).expect("few names")));
        let unsafe_in_a_path = |c: char| matches!(c, '.' | ';' | '/') || c.is_whitespace() || c.is_control();
        assert!(!name.is_empty() && !name.contains(unsafe_in_a_path), "{name:?}");
    }
});
