//! A dispatcher by itself, and what it tells.

use crate::harness::SOON;
use crate::harness::graphite::Record;
use haproxystats::batch::{Output, Piece};
use haproxystats::config::{self, Acknowledge, Endpoint, Mode, Protocol, QueueFull, Retries};
use haproxystats::dispatch::graphite::{self, Graphite};
use haproxystats::dispatch::local_store::LocalStore;
use haproxystats::dispatch::{Batch, Counters, Dispatcher, Notice};
use haproxystats::encode;
use haproxystats::encode::encoder::Encoder;
use haproxystats::encode::object::{Host, Object, ObjectKind};
use haproxystats::encode::prefix::{Prefix, Tagged};
use haproxystats::logging::Line;
use haproxystats::snapshot::Epoch;
use std::collections::BTreeSet;
use std::num::NonZeroUsize;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::time::Instant;

/// Patience of these tests with the dispatcher: short, so that they see it run out.
pub const DELAY: Duration = Duration::from_millis(600);
pub const SETTLE: Duration = Duration::from_millis(200);

pub fn endpoint(port: u16, instance: Option<&str>) -> Endpoint {
    Endpoint { host: "127.0.0.1".to_owned(), port, instance: instance.map(str::to_owned) }
}

pub fn options(port: u16) -> config::Graphite {
    config::Graphite {
        enabled: true,
        servers: vec![endpoint(port, None)],
        mode: Mode::Failover,
        protocol: Protocol::Plaintext,
        tagged: false,
        tls: None,
        retries: Retries::Times(3),
        interval: Duration::from_millis(100),
        backoff: 1.5,
        delay: DELAY,
        connect_timeout: Duration::from_secs(1),
        write_timeout: Duration::from_millis(200),
        acknowledge: Acknowledge::Close,
        settle: SETTLE,
        connection_lifetime: Duration::from_secs(300),
        namespace: "loadbalancers".to_owned(),
        prefix_hostname: false,
        fqdn: false,
        queue_size: NonZeroUsize::new(1_000_000).unwrap(),
        queue_full: QueueFull::Keep,
        group_namespace: None,
    }
}

/// Lines about as long as real ones; no two are the same.
pub fn batch(epoch: u64, lines: usize) -> Arc<Batch> {
    let line = |line| format!("loadbalancers.lb-01.haproxy.backend.b{line:06}.server.s1.metric {line} {epoch}\n");
    let text: String = (0..lines).map(line).collect();
    Arc::new(Batch { epoch: Epoch(epoch), text: text.into_bytes(), lines, ..Batch::default() })
}

/// A dispatcher and what it has told.
pub struct Rig<D> {
    pub dispatcher: D,
    notices: UnboundedReceiver<Notice>,
    pub delivered: Vec<u64>,
    pub confirmed: Vec<u64>,
    pub dropped: Vec<u64>,
    pub lost: Vec<u64>,
    pub rooms: usize,
    /// Most lines that were held at any moment.
    pub most_lines: u64,
}

/// What a worker would make of these lines for the servers of `options`.
fn encoded(options: &config::Graphite, batch: &Arc<Batch>) -> Piece {
    let mut piece = Piece::default();
    if encode::graphite::is_plaintext(options) {
        piece.push(Output::Plaintext, Batch::clone(batch));
        return piece;
    }
    let mut encoder = encode::graphite::Graphite::new(options);
    encoder.begin();
    for line in std::str::from_utf8(&batch.text).unwrap().lines() {
        let [path, value, stamp] = line.split(' ').collect::<Vec<_>>()[..] else { panic!("{line}") };
        let stamp = Epoch(stamp.parse().unwrap());
        encoder.object(&Object::unnamed(ObjectKind::Server), &Host::default(), stamp);
        let elements: Vec<&str> = path.split('.').collect();
        let tagged = options.tagged.then(|| {
            Tagged::new("server", &[("host", elements[1]), ("backend", elements[4]), ("server", elements[6])])
        });
        let (prefix, metric) = path.split_at(path.rfind('.').unwrap() + 1);
        let prefix = Prefix { plain: prefix.as_bytes(), tagged: tagged.as_ref() };
        encoder.line(prefix, metric.as_bytes(), value.as_bytes(), value.parse().unwrap());
    }
    for (output, batch) in encoder.take(batch) {
        piece.push(output, batch);
    }
    piece
}

/// Dispatchers that all get every batch. The notices of a batch are all there when the last has delivered.
pub struct All {
    pub all: Vec<Graphite>,
    options: config::Graphite,
}

impl Rig<All> {
    /// Of one server, or of several of which one is chosen.
    pub fn start(options: &config::Graphite) -> Self {
        let rig = Self::all(options);
        assert_eq!(rig.dispatcher.all.len(), 1);
        rig
    }

    pub fn all(options: &config::Graphite) -> Self {
        let (sender, notices) = tokio::sync::mpsc::unbounded_channel();
        let all = graphite::start(options, &sender).unwrap();
        Self::with(All { all, options: options.clone() }, notices)
    }

    /// Batches of which every dispatcher has delivered its part.
    pub fn complete(&mut self) -> BTreeSet<u64> {
        self.collect();
        let times = |epoch: u64| self.delivered.iter().filter(|delivered| **delivered == epoch).count();
        self.delivered.iter().copied().filter(|epoch| times(*epoch) == self.dispatcher.all.len()).collect()
    }
}

impl Dispatcher for All {
    fn name(&self) -> &'static str {
        "all"
    }

    fn output(&self) -> Output {
        Output::Plaintext
    }

    fn submit(&self, batch: Arc<Batch>) {
        let piece = encoded(&self.options, &batch);
        self.all.iter().for_each(|one| one.submit(Arc::clone(piece.of(one.output()).unwrap())));
    }

    fn has_room(&self) -> bool {
        self.all.iter().all(Dispatcher::has_room)
    }

    fn takes_more(&self) -> bool {
        self.all.iter().all(Dispatcher::takes_more)
    }

    fn counters(&self) -> Counters {
        let mut sum = Counters::default();
        self.all.iter().for_each(|one| sum.add(&one.counters()));
        sum
    }

    fn drain(&self, deadline: Instant) -> std::pin::Pin<Box<dyn Future<Output = ()> + '_>> {
        Box::pin(async move {
            for one in &self.all {
                one.drain(deadline).await;
            }
        })
    }
}

impl Rig<LocalStore> {
    pub fn store(dir: &Path) -> Self {
        let (sender, notices) = tokio::sync::mpsc::unbounded_channel();
        Self::with(
            LocalStore::start(&config::LocalStore { dir: dir.to_owned(), keep: config::Keep::default() }, sender),
            notices,
        )
    }
}

impl<D: Dispatcher> Rig<D> {
    pub fn with(dispatcher: D, notices: UnboundedReceiver<Notice>) -> Self {
        Self {
            dispatcher,
            notices,
            delivered: Vec::new(),
            confirmed: Vec::new(),
            dropped: Vec::new(),
            lost: Vec::new(),
            rooms: 0,
            most_lines: 0,
        }
    }

    pub fn submit(&self, epoch: u64, lines: usize) {
        self.dispatcher.submit(batch(epoch, lines));
    }

    pub fn collect(&mut self) {
        while let Ok(notice) = self.notices.try_recv() {
            match notice {
                Notice::Delivered { epoch, .. } => self.delivered.push(epoch.0),
                Notice::Dropped { epoch, .. } => self.dropped.push(epoch.0),
                Notice::Lost { epoch, .. } => self.lost.push(epoch.0),
                Notice::Room { .. } => self.rooms += 1,
                Notice::Confirmed { epoch, .. } => self.confirmed.push(epoch.0),
            }
        }
        self.most_lines = self.most_lines.max(self.counters().queued_lines);
    }

    /// Lets the dispatcher run until the condition holds; the test fails when that takes too long.
    #[track_caller]
    pub fn until(&mut self, what: &str, mut condition: impl FnMut(&mut Self) -> bool) -> impl Future<Output = ()> {
        let caller = std::panic::Location::caller();
        async move {
            let end = Instant::now() + 3 * SOON;
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

    #[track_caller]
    pub fn until_delivered(&mut self, batches: usize) -> impl Future<Output = ()> {
        self.until("all is delivered", move |rig| rig.delivered.len() >= batches)
    }

    /// Lets the dispatcher run for a while.
    pub async fn run_for(&mut self, time: Duration) {
        let end = Instant::now() + time;
        self.until("time passes", |_| Instant::now() >= end).await;
    }

    /// Submits as a worker does: one after the other, each as soon as there is room.
    pub async fn feed(&mut self, epochs: std::ops::RangeInclusive<u64>, lines: usize) {
        for epoch in epochs {
            self.until("there is room", |rig| rig.dispatcher.has_room()).await;
            self.submit(epoch, lines);
        }
    }

    pub fn counters(&self) -> Counters {
        self.dispatcher.counters()
    }

    /// Batches that are not delivered.
    pub fn held(&self) -> u64 {
        self.counters().queued_batches + self.counters().settling
    }
}

pub fn run<T>(test: impl Future<Output = T>) -> T {
    // Shown when a test fails.
    let _ = tracing_subscriber::fmt().with_max_level(tracing::Level::DEBUG).with_test_writer().try_init();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let result = tokio::task::LocalSet::new().block_on(&runtime, test);
    runtime.shutdown_background();
    result
}

/// What is logged, from info on, while this value lives.
pub struct Log {
    pub text: Arc<Mutex<Vec<u8>>>,
    _guard: tracing::subscriber::DefaultGuard,
}

impl Log {
    pub fn start() -> Self {
        let text = Arc::new(Mutex::new(Vec::new()));
        let writer = Arc::new(Keep(Arc::clone(&text)));
        let subscriber =
            tracing_subscriber::fmt().with_writer(writer).with_ansi(false).event_format(Line::default()).finish();
        Self { text, _guard: tracing::subscriber::set_default(subscriber) }
    }

    /// Whether it has this.
    pub fn has(&self, wanted: &str) -> bool {
        String::from_utf8_lossy(&self.text.lock().unwrap()).contains(wanted)
    }

    /// Level and message of each line.
    pub fn lines(&self) -> Vec<String> {
        let text = String::from_utf8(self.text.lock().unwrap().clone()).unwrap();
        let line = |line: &str| {
            let (_, rest) = line.split_once("Z ").unwrap();
            let (level, message) = rest.trim_start().split_once(' ').unwrap();
            format!("{level} {}", message.split(" dispatcher=").next().unwrap())
        };
        text.lines().map(line).collect()
    }
}

struct Keep(Arc<Mutex<Vec<u8>>>);

impl std::io::Write for &Keep {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Nothing missing, nothing malformed, nothing invented.
#[track_caller]
pub fn assert_complete(record: &Record, batches: impl IntoIterator<Item = Arc<Batch>>) {
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
