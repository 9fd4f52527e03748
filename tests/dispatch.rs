//! The dispatchers against peers that misbehave, and against a real carbon-cache and a real carbon-c-relay.

mod harness;

use haproxystats::config::{self, Acknowledge, QueueFull, Retries};
use haproxystats::dispatch::graphite::Graphite;
use haproxystats::dispatch::{Batch, Counters, Dispatcher, Notice};
use haproxystats::snapshot::Epoch;
use harness::carbon::Carbon;
use harness::graphite::{Behaviour, Record, Recorder};
use harness::{SOON, wait_until};
use std::collections::BTreeSet;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::time::Instant;

/// Patience of these tests with the dispatcher: short, so that they see it run out.
const DELAY: Duration = Duration::from_millis(600);
const SETTLE: Duration = Duration::from_millis(200);

fn options(port: u16) -> config::Graphite {
    config::Graphite {
        server: "127.0.0.1".to_owned(),
        port,
        retries: Retries::Times(3),
        interval: Duration::from_millis(100),
        backoff: 1.5,
        delay: DELAY,
        connect_timeout: Duration::from_secs(1),
        write_timeout: Duration::from_millis(200),
        acknowledge: Acknowledge::Close,
        settle: SETTLE,
        namespace: "loadbalancers".to_owned(),
        prefix_hostname: false,
        fqdn: false,
        queue_size: NonZeroUsize::new(1_000_000).unwrap(),
        queue_full: QueueFull::Keep,
        group_namespace: None,
    }
}

/// Lines about as long as real ones; no two are the same.
fn batch(epoch: u64, lines: usize) -> Arc<Batch> {
    let line = |line| format!("loadbalancers.lb-01.haproxy.backend.b{line:06}.server.s1.metric {line} {epoch}\n");
    let text: String = (0..lines).map(line).collect();
    Arc::new(Batch { epoch: Epoch(epoch), text: text.into_bytes(), lines })
}

/// A dispatcher and what it has told.
struct Rig {
    graphite: Graphite,
    notices: UnboundedReceiver<Notice>,
    delivered: Vec<u64>,
    dropped: Vec<u64>,
    rooms: usize,
}

impl Rig {
    fn start(options: &config::Graphite) -> Self {
        let (sender, notices) = tokio::sync::mpsc::unbounded_channel();
        let graphite = Graphite::start(options, sender);
        Self { graphite, notices, delivered: Vec::new(), dropped: Vec::new(), rooms: 0 }
    }

    fn submit(&self, epoch: u64, lines: usize) {
        self.graphite.submit(batch(epoch, lines));
    }

    fn collect(&mut self) {
        while let Ok(notice) = self.notices.try_recv() {
            match notice {
                Notice::Delivered { epoch, .. } => self.delivered.push(epoch.0),
                Notice::Dropped { epoch, .. } => self.dropped.push(epoch.0),
                Notice::Room { .. } => self.rooms += 1,
            }
        }
    }

    /// Lets the dispatcher run until the condition holds; the test fails when that takes too long.
    #[track_caller]
    fn until(&mut self, what: &str, mut condition: impl FnMut(&mut Self) -> bool) -> impl Future<Output = ()> {
        let caller = std::panic::Location::caller();
        async move {
            let end = Instant::now() + 2 * SOON;
            loop {
                self.collect();
                if condition(self) {
                    return;
                }
                assert!(Instant::now() < end, "{caller}: in vain: {what}; {:?}", self.counters());
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        }
    }

    async fn until_delivered(&mut self, batches: usize) {
        self.until("all is delivered", |rig| rig.delivered.len() >= batches).await;
    }

    fn counters(&self) -> Counters {
        self.graphite.counters()
    }
}

fn run<T>(test: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let result = tokio::task::LocalSet::new().block_on(&runtime, test);
    runtime.shutdown_background();
    result
}

/// Nothing missing, nothing malformed, nothing invented.
#[track_caller]
fn assert_complete(record: &Record, batches: impl IntoIterator<Item = Arc<Batch>>) {
    let mut wanted = BTreeSet::new();
    for batch in batches {
        wanted.extend(String::from_utf8(batch.text.clone()).unwrap().lines().map(str::to_owned));
    }
    let got: BTreeSet<String> = record.lines.keys().cloned().collect();
    let missing: Vec<_> = wanted.difference(&got).take(3).collect();
    let surplus: Vec<_> = got.difference(&wanted).take(3).collect();
    assert!(missing.is_empty() && surplus.is_empty(), "missing {missing:?}, surplus {surplus:?}");
    assert!(record.malformed.is_empty(), "{:?}", record.malformed);
}

#[test]
fn batches_arrive_once_in_order_and_are_told_in_order() {
    run(async {
        let recorder = Recorder::start();
        let mut rig = Rig::start(&options(recorder.port()));
        (1..=20).for_each(|epoch| rig.submit(epoch, 1000));
        rig.until_delivered(20).await;
        let record = recorder.record();
        assert_complete(&record, (1..=20).map(|epoch| batch(epoch, 1000)));
        assert_eq!(record.duplicates(), 0);
        assert_eq!(record.timestamps, (1..=20).collect::<Vec<_>>());
        assert_eq!(rig.delivered, record.timestamps);
        let counters = rig.counters();
        assert_eq!(counters.delivered_lines, 20_000);
        assert_eq!((counters.resent_lines, counters.reconnects, counters.retries, counters.stalls), (0, 0, 0, 0));
        assert_eq!((counters.queued_batches, counters.queued_lines), (0, 0));
    });
}
