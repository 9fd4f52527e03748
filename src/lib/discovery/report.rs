//! The figures of the program: on the page for Prometheus, and to Graphite through the dispatcher of
//! haproxystats-process.
//!
//! Server and client keep their own figures and [register](Reports::register) a function that tells them. The weights
//! of servers go by the name that HSDO gave them, `hsdo_server_weight`.

use crate::config;
use crate::dispatch::graphite::Reports as Graphite;
use crate::dispatch::{Batch, Dispatcher};
use crate::exporter::Page;
use crate::logging::Chain;
use crate::names::{base, sanitize};
use crate::snapshot::Epoch;
use crate::telemetry::{DISPATCHER, Definition, Kind, dispatcher_values, of_dispatcher};
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::fmt::Write;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::sync::mpsc::unbounded_channel;

/// One value of a figure.
#[derive(Debug, Clone)]
pub struct Sample {
    /// The figure.
    pub definition: &'static Definition,
    /// What of it: a backend, a socket, a word.
    pub labels: Vec<(&'static str, String)>,
    /// The value.
    pub value: f64,
}

impl Sample {
    /// A figure without labels.
    #[must_use]
    pub fn of(definition: &'static Definition, value: f64) -> Self {
        Self { definition, labels: Vec::new(), value }
    }
}

/// The weight of a server, with the labels of HSDO.
#[derive(Debug, Clone, PartialEq)]
pub struct ServerWeight {
    /// Its slot.
    pub id: u32,
    /// Its name.
    pub name: String,
    /// Its address.
    pub ip: String,
    /// Its group.
    pub asg: String,
    /// Its weight.
    pub weight: u16,
}

/// Who tells a weight. Where both do, what HAProxy has counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Side {
    /// The server: what the list says.
    Server,
    /// The client: what HAProxy was given.
    Client,
}

type Collector = Box<dyn Fn() -> Vec<Sample>>;

/// Everything that is reported.
#[derive(Default)]
pub struct Reports {
    collectors: RefCell<Vec<Collector>>,
    weights: RefCell<BTreeMap<Side, Vec<ServerWeight>>>,
    graphite: RefCell<Option<Graphite>>,
    skipped: Cell<u32>,
}

impl Reports {
    /// Adds figures, which are asked for with each report.
    pub fn register(&self, collector: impl Fn() -> Vec<Sample> + 'static) {
        self.collectors.borrow_mut().push(Box::new(collector));
    }

    /// Replaces the weights that one side tells.
    pub fn set_weights(&self, side: Side, weights: Vec<ServerWeight>) {
        self.weights.borrow_mut().insert(side, weights);
    }

    fn samples(&self) -> Vec<Sample> {
        self.collectors.borrow().iter().flat_map(|collect| collect()).collect()
    }

    /// The page for Prometheus.
    #[must_use]
    pub fn page(&self) -> Page {
        let mut page = Page::of("discovery");
        if let Some((_, weights)) = self.weights.borrow().last_key_value() {
            let mut family = page.family("hsdo_server_weight", Kind::Gauge, "Weight of server in backend");
            for ServerWeight { id, name, ip, asg, weight } in weights {
                let id = id.to_string();
                let labels = [("id", id.as_str()), ("name", name), ("ip", ip), ("asg", asg)];
                family.sample(&labels, f64::from(*weight));
            }
        }
        let samples = self.samples();
        let mut done: Vec<&Definition> = Vec::new();
        for Sample { definition, .. } in &samples {
            if done.iter().any(|known| std::ptr::eq(*known, *definition)) {
                continue;
            }
            done.push(definition);
            let mut family = page.figure("haproxystats_", definition);
            for sample in samples.iter().filter(|sample| std::ptr::eq(sample.definition, *definition)) {
                let labels: Vec<(&str, &str)> =
                    sample.labels.iter().map(|(name, text)| (*name, text.as_str())).collect();
                family.sample(&labels, sample.value);
            }
        }
        if let Some(graphite) = &*self.graphite.borrow() {
            for (definition, value) in DISPATCHER.iter().zip(dispatcher_values(&graphite.counters())) {
                let mut family = page.figure("haproxystats_discovery_dispatcher_", definition);
                family.sample(&[("dispatcher", graphite.name())], value);
            }
        }
        page
    }

    /// All figures as lines for Graphite; `prefix` ends with a dot.
    fn batch(&self, prefix: &str, epoch: Epoch) -> Batch {
        let mut text = String::new();
        let mut lines = 0;
        let mut line = |path: String, value: f64| {
            // Writing to a String cannot fail.
            let _ = writeln!(text, "{prefix}{path} {value} {epoch}");
            lines += 1;
        };
        if let Some((_, weights)) = self.weights.borrow().last_key_value() {
            for server in weights {
                line(format!("discovery.server.{}.Weight", sanitize(server.name.as_bytes())), f64::from(server.weight));
            }
        }
        for Sample { definition, labels, value } in self.samples() {
            let mut path = String::new();
            for (_, text) in &labels {
                let _ =
                    write!(path, "{}{}.", if path.is_empty() { "discovery." } else { "" }, sanitize(text.as_bytes()));
            }
            line(format!("{path}{}", definition.name), value);
        }
        if let Some(graphite) = &*self.graphite.borrow() {
            for (name, value) in of_dispatcher(graphite.name(), &graphite.counters()) {
                line(format!("Discovery{name}"), value);
            }
        }
        Batch { epoch, text: text.into_bytes(), lines, ..Batch::default() }
    }

    /// Reports to Graphite at every `interval`, for ever.
    pub(super) async fn report(self: Rc<Self>, config: config::Graphite, interval: Duration) {
        let (notices, mut said) = unbounded_channel();
        let host = nix::unistd::gethostname().unwrap_or_default().to_string_lossy().into_owned();
        let prefix = format!("{}.haproxystats.", base(&config, &host));
        match Graphite::start(&config, &notices) {
            Ok(graphite) => drop(self.graphite.replace(Some(graphite))),
            Err(error) => {
                tracing::error!(error = %Chain(&error), "nothing is reported to Graphite");
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
            let batch = self.batch(&prefix, Epoch(stamp / interval * interval));
            match &*self.graphite.borrow() {
                Some(graphite) if graphite.has_room() => graphite.submit(Arc::new(batch)),
                _ => self.skipped.set(self.skipped.get().saturating_add(1)),
            }
        }
    }

    /// Reports to Graphite that were left out because it had not taken the one before.
    #[must_use]
    pub fn skipped(&self) -> u32 {
        self.skipped.get()
    }

    /// Delivers what is on its way, within this time.
    pub(super) async fn drain(&self, limit: Duration) {
        let graphite = self.graphite.borrow_mut().take();
        if let Some(graphite) = graphite {
            graphite.drain(tokio::time::Instant::now() + limit).await;
        }
    }
}
