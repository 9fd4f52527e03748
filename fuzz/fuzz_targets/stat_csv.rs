//! `show stat`: any bytes are read or refused; the outcome does not depend on how they arrive; tables stay rectangular;
//! names are safe in a metric path.
#![no_main]

use haproxystats::haproxy::columns::{COLUMNS, Kind};
use haproxystats::parse::stat::Stats;
use haproxystats::plan::{Field, KindPlan};
use libfuzzer_sys::fuzz_target;
use std::io::Read;
use std::sync::{Arc, LazyLock};

/// Every field of every kind is read.
static PLANS: LazyLock<Arc<[KindPlan; 3]>> = LazyLock::new(|| {
    Arc::new(Kind::ALL.map(|kind| {
        KindPlan {
            kind,
            fields: COLUMNS
                .iter()
                .filter_map(|column| Some(Field { column, combine: column.combine(kind)?, default: false }))
                .collect(),
            send: Vec::new(),
            send_aggregated: Vec::new(),
        }
    }))
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
    let mut kept = 0;
    for (table, other) in stats.tables.iter().zip(&slow.tables) {
        assert_eq!(table.keys, other.keys);
        kept += table.rows() as u64;
        for (column, other) in table.columns.iter().zip(&other.columns) {
            let length = column.floats.as_ref().map_or(column.ints.len(), Vec::len);
            assert_eq!(length, table.rows());
            assert_eq!(column.ints, other.ints);
        }
    }
    if let Some((rows, _)) = whole {
        // Rows of listeners are counted and not kept.
        assert!(kept <= rows);
    }
    for number in 0..stats.names.len() {
        let name = stats.names.get(haproxystats::names::NameId(u32::try_from(number).expect("few names")));
        assert!(!name.is_empty());
        assert!(
            !name.contains(|c: char| c == '.' || c == ';' || c == '/' || c.is_whitespace() || c.is_control()),
            "{name:?}"
        );
    }
});
