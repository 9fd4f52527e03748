//! `show table` of response times: any bytes are read or refused, and what was read survives being carried in a snapshot.
#![no_main]

use haproxystats::latency::counter::growth;
use haproxystats::latency::key::Key;
use haproxystats::latency::table::Reader;
use haproxystats::latency::{carried, histogram::Histogram};
use haproxystats::snapshot::Epoch;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let mut file = Vec::new();
    carried::begin(Epoch(1), &mut file);
    let mut before: Vec<u32> = Vec::new();
    let mut rows: Vec<(String, Vec<u64>)> = Vec::new();
    let _ = Reader::default().read(data, |row| {
        let Ok(row) = row else { return };
        let text = row.key.to_string();
        assert_eq!(Key::parse(&text), Ok(row.key));
        assert!(row.of_timer > 2 && row.counters.len() % row.of_timer == 0);
        if let Some(grown) = growth(&before, row.counters, row.of_timer) {
            assert_eq!(grown.len(), before.len().min(row.counters.len()));
        }
        before = row.counters.to_vec();
        let counters: Vec<u64> = row.counters.iter().copied().map(u64::from).collect();
        carried::push(row.key.object, &counters, &vec![0; counters.len()], &mut file);
        rows.push((row.key.object.to_owned(), counters));
    });
    let mut read = Vec::new();
    let since = carried::read(&file, |object| {
        for counted in object.timers() {
            look(&counted.total);
        }
        read.push((object.object.to_owned(), object.counters.clone()));
    });
    assert_eq!((since, read), (Ok(Epoch(1)), rows));
    // A file that somebody else has written.
    let _ = carried::read(data, |object| object.timers().for_each(|counted| look(&counted.recent)));
});

fn look(histogram: &Histogram) {
    let all: Vec<f64> = [0.0, 0.5, 0.99, 1.0].into_iter().filter_map(|share| histogram.quantile(share)).collect();
    assert!(all.is_sorted() && all.iter().all(|value| value.is_finite() && *value >= 0.0), "{all:?} {histogram:?}");
    assert_eq!(all.is_empty(), histogram.count() == 0 || histogram.bounds().is_empty());
    assert!(histogram.counts().is_sorted());
    assert!(histogram.mean().is_none_or(f64::is_finite));
}
