//! Own figures to Graphite, through the dispatcher of haproxystats-process: for the programs that send nothing else, the
//! agent and discovery.

use crate::batch::Piece;
use crate::config;
use crate::daemon::host as machine;
use crate::dispatch::graphite::Reports;
use crate::encode::object::{Object, ObjectKind};
use crate::encode::prefix::{Prefixes, Tagged};
use crate::encode::sink::Sink;
use crate::exporter::Page;
use crate::logging::Chain;
use crate::names::{base, host};
use crate::snapshot::Epoch;
use crate::value::Value;
use std::cell::{Cell, RefCell};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::sync::mpsc::unbounded_channel;

/// Time for the reports of a configuration that is replaced to be delivered.
const REST: Duration = Duration::from_secs(30);

/// Reports of one program.
#[derive(Debug)]
pub(crate) struct Reporter {
    program: &'static str,
    graphite: RefCell<Option<Reports>>,
    skipped: Cell<u64>,
}

impl Reporter {
    /// `program` is its name behind `haproxystats-`. Nothing is reported so far.
    #[must_use]
    pub(crate) fn new(program: &'static str) -> Self {
        Self { program, graphite: RefCell::default(), skipped: Cell::new(0) }
    }

    /// Sends what `figures` tells at every `interval`, and never returns: paths below `<namespace>.haproxystats.`, and their
    /// values. Ends at once, with a line in the log, where the files for TLS cannot be used.
    pub(crate) async fn run(
        &self,
        config: config::Graphite,
        interval: Duration,
        figures: impl Fn() -> Vec<(String, f64)>,
    ) {
        let (notices, mut said) = unbounded_channel();
        let mut reporting = Reporting::new(&config, &machine::name());
        match Reports::start(&config, &notices) {
            Ok(graphite) => {
                if let Some(before) = self.graphite.replace(Some(graphite)) {
                    let end = tokio::time::Instant::now() + REST;
                    tokio::task::spawn_local(async move { before.drain(end).await });
                }
            }
            Err(error) => {
                tracing::error!(error = %Chain(&error), "cannot report to Graphite");
                return;
            }
        }
        let interval = interval.as_secs().max(1);
        loop {
            let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
            let next = (now.as_secs() / interval + 1) * interval;
            // Delivered or not: the dispatcher's own counters tell.
            while said.try_recv().is_ok() {}
            tokio::time::sleep(Duration::from_secs(next).saturating_sub(now)).await;
            // The clock may have been set meanwhile.
            let stamp = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
            let epoch = Epoch(stamp / interval * interval);
            match &*self.graphite.borrow() {
                Some(graphite) if graphite.has_room() => {
                    let own = graphite.counters().named(&format!("{}-{}", self.program, graphite.name()));
                    graphite.submit(&reporting.report(epoch, figures().into_iter().chain(own)));
                }
                _ => self.skipped.set(self.skipped.get().saturating_add(1)),
            }
        }
    }

    /// Reports that were left out because Graphite had not taken the one before.
    #[must_use]
    pub(crate) fn skipped(&self) -> u64 {
        self.skipped.get()
    }

    /// Adds the figures of the connection to Graphite to the page for Prometheus.
    pub(crate) fn append(&self, page: &mut Page) {
        if let Some(graphite) = &*self.graphite.borrow() {
            let prefix = format!("haproxystats_{}_dispatcher_", self.program);
            for (definition, value) in graphite.counters().values_of(graphite.name()) {
                page.figure(&prefix, definition).sample(&[("dispatcher", graphite.name())], value);
            }
        }
    }

    /// Delivers what is on its way, within this time.
    pub(crate) async fn drain(&self, limit: Duration) {
        let graphite = self.graphite.borrow_mut().take();
        if let Some(graphite) = graphite {
            graphite.drain(tokio::time::Instant::now() + limit).await;
        }
    }
}

/// Where reports are told.
struct Reporting {
    sink: Sink,
    prefixes: Prefixes,
}

impl Reporting {
    fn new(config: &config::Graphite, hostname: &str) -> Self {
        let plain = format!("{}.haproxystats.", base(config, hostname)).into_bytes().into_boxed_slice();
        let host = host(config, hostname);
        let tags: Vec<(&str, &str)> = host.iter().map(|host| ("host", host.as_str())).collect();
        let tagged = config.tagged.then(|| Tagged::new("haproxystats", &tags));
        let prefixes = Prefixes { plain: [plain].into(), tagged: tagged.into_iter().collect() };
        Self { sink: Sink::reports(config), prefixes }
    }

    fn report(&mut self, epoch: Epoch, figures: impl Iterator<Item = (String, f64)>) -> Piece {
        self.sink.begin(epoch, Vec::new());
        let mut told = self.sink.object(Object::unnamed(ObjectKind::Own), &self.prefixes);
        figures.for_each(|(name, value)| told.line(name.as_bytes(), Value::Float(value)));
        self.sink.take(false, Vec::new())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::batch::{Batch, Output};
    use std::rc::Rc;
    use std::time::Instant;
    use tokio::io::AsyncReadExt;

    #[test]
    fn a_report_is_a_batch_of_its_own_with_one_stamp() {
        let figures = [("agent.checks".to_owned(), 7.0), ("agent.share".to_owned(), 0.5)];
        let mut config = crate::testing::config().graphite;
        let epoch = Epoch(1_500_000_000);
        let report = |config: &config::Graphite, output| {
            let mut report = Reporting::new(config, "lb").report(epoch, figures.clone().into_iter());
            report.take(output).unwrap()
        };
        let text = "loadbalancers.lb.haproxy.haproxystats.agent.checks 7 1500000000\n\
                    loadbalancers.lb.haproxy.haproxystats.agent.share 0.5 1500000000\n";
        let expected = Batch { epoch, text: text.into(), lines: 2, ..Batch::default() };
        assert_eq!(report(&config, Output::Plaintext), expected);
        config.tagged = true;
        let text = "haproxy.haproxystats.agent.checks;host=lb 7 1500000000\n\
                    haproxy.haproxystats.agent.share;host=lb 0.5 1500000000\n";
        assert_eq!(report(&config, Output::Graphite(0)), Batch { text: text.into(), ..expected });
    }

    #[test]
    fn there_is_one_report_an_interval_and_the_last_is_waited_for() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        tokio::task::LocalSet::new().block_on(&runtime, async {
            let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
            let mut config = crate::testing::config().graphite;
            config.servers[0].port = listener.local_addr().unwrap().port();
            config.settle = Duration::from_millis(50);
            let got = Rc::new(RefCell::new(String::new()));
            let text = Rc::clone(&got);
            tokio::task::spawn_local(async move {
                while let Ok((mut connection, _)) = listener.accept().await {
                    let text = Rc::clone(&text);
                    tokio::task::spawn_local(async move {
                        let mut all = String::new();
                        connection.read_to_string(&mut all).await.unwrap();
                        text.borrow_mut().push_str(&all);
                    });
                }
            });
            let (reporter, calls, start) = (Reporter::new("agent"), Cell::new(0_u32), Instant::now());
            let figures = || {
                calls.set(calls.get() + 1);
                vec![("agent.number".to_owned(), f64::from(calls.get()))]
            };
            let third = async {
                while calls.get() < 3 {
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
            };
            tokio::select! {
                () = reporter.run(config, Duration::from_secs(1), figures) => panic!("it never returns"),
                () = third => {}
            }
            assert!(start.elapsed() >= Duration::from_millis(1900), "{:?}", start.elapsed());
            assert_eq!(reporter.skipped(), 0);
            reporter.drain(Duration::from_secs(15)).await;
            let got = got.borrow();
            let numbers = got.lines().filter_map(|line| line.split_once(".haproxystats.agent.number "));
            let numbers: Vec<&str> = numbers.filter_map(|(_, rest)| rest.split(' ').next()).collect();
            assert_eq!(numbers, ["1", "2", "3"], "{got}");
        });
    }
}
