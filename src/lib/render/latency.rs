//! Percentiles and buckets of objects whose response times HAProxy has counted.

use crate::aggregate::latency::{Latencies, Sums, Timers};
use crate::encode::sink::Told;
use crate::latency::layout::Timer;
use crate::snapshot::Epoch;
use crate::value::Value;

/// The percentiles: name and share.
const PERCENTILES: [(&str, f64); 4] = [("p50", 0.50), ("p90", 0.90), ("p95", 0.95), ("p99", 0.99)];

/// What is told of them.
#[derive(Debug, Clone, Copy)]
pub struct Latency<'a> {
    /// What was counted.
    pub counted: &'a Latencies,
    /// Whether each bucket is a metric.
    pub buckets: bool,
    /// Whether counters that are 0 are left out.
    pub skip_zero: bool,
}

/// Names of the metrics of a timer begin with this.
fn name(timer: Timer) -> String {
    format!("latency_{}", timer.word())
}

impl Latency<'_> {
    /// Tells those of an object; returns how many metrics there are.
    ///
    /// | metric | |
    /// |---|---|
    /// | `latency_<timer>_p50`, `_p90`, `_p95`, `_p99` | percentiles since the snapshot before, in milliseconds |
    /// | `latency_<timer>_max` | the smallest bound that none exceeded since then |
    /// | `latency_<timer>_mean` | the mean since then, exact |
    /// | `latency_<timer>_count` | requests since counting began |
    /// | `latency_<timer>_sum`, `_le_<bound>`, `_le_inf` | with `latency-buckets`: the sum of their times, and how many took at most so long |
    pub(super) fn tell(self, timers: Option<&Timers>, told: &mut Told<'_>) -> i64 {
        let Some(timers) = timers else { return 0 };
        let since = self.counted.since.unwrap_or(Epoch(0));
        let mut count = 0;
        for (timer, sums) in timers.each() {
            let name = name(timer);
            count += self.metrics(&name, sums, told);
            told.histogram(timer.word().as_bytes(), &sums.total, since);
        }
        count
    }

    fn metrics(self, name: &str, Sums { total, recent }: &Sums, told: &mut Told<'_>) -> i64 {
        let mut count = 0;
        let mut metric = |suffix: &str, value: Option<Value>| {
            if let Some(value) = value {
                told.metric(format!("{name}_{suffix}").as_bytes(), value);
                count += 1;
            }
        };
        for (suffix, share) in PERCENTILES {
            // What lies within a bucket is an assumption: digits beyond a microsecond say nothing.
            let rounded = |value: f64| Value::Float((value * 1000.0).round() / 1000.0);
            metric(suffix, recent.quantile(share).map(rounded));
        }
        metric("max", recent.max().map(|max| Value::Int(max.into())));
        metric("mean", recent.mean().map(Value::Float));
        let mut skipped = 0;
        let mut counter = |suffix: &str, value: u64| match value {
            0 if self.skip_zero => skipped += 1,
            value => metric(suffix, Some(Value::Int(i64::try_from(value).unwrap_or(i64::MAX)))),
        };
        counter("count", total.count());
        if self.buckets {
            counter("sum", total.sum());
            for (bound, value) in total.bounds().iter().zip(total.counts()) {
                counter(&format!("le_{bound}"), *value);
            }
            counter("le_inf", total.count());
        }
        if skipped > 0 {
            told.skip_zeros(skipped);
        }
        count
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::encode::object::{Object, ObjectKind};
    use crate::encode::prefix::Prefixes;
    use crate::encode::sink::Sink;
    use crate::latency::carried;

    fn lines(file: &str, buckets: bool, skip_zero: bool) -> (Vec<String>, i64) {
        let mut counted = Latencies::default();
        carried::read(file.as_bytes(), |object| object.timers().for_each(|one| counted.add(&one))).unwrap();
        let mut sink = Sink::plaintext(&crate::testing::config());
        sink.begin(Epoch(1234), Vec::new());
        let prefixes = Prefixes { plain: [b"x.".to_vec().into_boxed_slice()].into(), tagged: Box::default() };
        let mut told = sink.object(Object { kind: ObjectKind::Backend, proxy: "a", name: "" }, &prefixes);
        let count = Latency { counted: &counted, buckets, skip_zero }.tell(counted.backend("a"), &mut told);
        let mut piece = sink.take(false, Vec::new());
        let text = piece.take(crate::batch::Output::Plaintext).unwrap().text;
        let text = String::from_utf8(text).unwrap();
        (
            text.lines()
                .map(|line| line.trim_start_matches("x.latency_").trim_end_matches(" 1234").to_owned())
                .collect(),
            count,
        )
    }

    #[test]
    fn an_object_with_requests_and_one_without() {
        let file = "# latency since 1\na/s/response/10,100,1000 5,8,9,10,3000 0,2,4,4,360\n";
        let (all, count) = lines(file, false, false);
        assert_eq!(
            all,
            [
                "response_p50 100",
                "response_p90 820",
                "response_p95 910",
                "response_p99 982",
                "response_max 1000",
                "response_mean 90",
                "response_count 10"
            ]
        );
        assert_eq!(count, 7);
        let (all, _) = lines("# latency since 1\na/s/queue/10,100 0,8,9,300\n", true, true);
        assert_eq!(all, ["queue_count 9", "queue_sum 300", "queue_le_100 8", "queue_le_inf 9"]);
    }
}
