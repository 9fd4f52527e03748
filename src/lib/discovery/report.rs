//! The figures of the program: on the page for Prometheus, and to Graphite.
//!
//! Server and client keep their own figures and [register](Reports::register) a function that tells them. The weights
//! of servers go by the name that HSDO gave them, `hsdo_server_weight`.

use crate::config;
use crate::exporter::Page;
use crate::names::sanitize;
use crate::reporter::Reporter;
use crate::telemetry::{Kind, Sample};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

/// The weight of a server, with the labels of HSDO.
#[derive(Debug, Clone, PartialEq)]
pub struct ServerWeight {
    pub id: u32,
    pub name: String,
    pub ip: String,
    pub asg: String,
    pub weight: u16,
}

/// Which side reports a weight. If both do, the one in HAProxy counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Side {
    /// The server: what the list says.
    Server,
    /// The client: what HAProxy was given.
    Client,
}

type Collector = Box<dyn Fn() -> Vec<Sample<'static>>>;

/// Everything that is reported.
pub(crate) struct Reports {
    collectors: RefCell<Vec<Collector>>,
    weights: RefCell<BTreeMap<Side, Vec<ServerWeight>>>,
    reporter: Reporter,
}

impl Default for Reports {
    fn default() -> Self {
        Self { collectors: RefCell::default(), weights: RefCell::default(), reporter: Reporter::new("discovery") }
    }
}

impl Reports {
    /// Forgets who tells figures: others begin, with another configuration.
    pub(super) fn begin(&self) {
        self.collectors.borrow_mut().clear();
        self.weights.borrow_mut().clear();
    }

    /// Adds figures, which are asked for with each report.
    pub(crate) fn register(&self, collector: impl Fn() -> Vec<Sample<'static>> + 'static) {
        self.collectors.borrow_mut().push(Box::new(collector));
    }

    /// Replaces the weights that one side tells.
    pub(crate) fn set_weights(&self, side: Side, weights: Vec<ServerWeight>) {
        self.weights.borrow_mut().insert(side, weights);
    }

    fn samples(&self) -> Vec<Sample<'static>> {
        self.collectors.borrow().iter().flat_map(|collect| collect()).collect()
    }

    /// The page for Prometheus.
    pub(crate) fn page(&self) -> Page {
        let mut page = Page::of("discovery");
        if let Some((_, weights)) = self.weights.borrow().last_key_value() {
            let mut family = page.family("hsdo_server_weight", Kind::Gauge, "Weight of server in backend");
            for ServerWeight { id, name, ip, asg, weight } in weights {
                let id = id.to_string();
                let labels = [("id", id.as_str()), ("name", name), ("ip", ip), ("asg", asg)];
                family.sample(&labels, f64::from(*weight));
            }
        }
        page.samples(|_| "haproxystats_", &self.samples());
        self.reporter.append(&mut page);
        page
    }

    /// All figures with their paths in Graphite.
    fn figures(&self) -> Vec<(String, f64)> {
        let mut figures = Vec::new();
        if let Some((_, weights)) = self.weights.borrow().last_key_value() {
            figures.extend(weights.iter().map(|server| {
                (format!("discovery.server.{}.Weight", sanitize(server.name.as_bytes())), f64::from(server.weight))
            }));
        }
        figures.extend(self.samples().iter().map(|sample| (path(sample), sample.value)));
        figures
    }

    /// Reports to Graphite at every `interval`; never returns.
    pub(super) async fn report(self: Rc<Self>, config: config::Graphite, interval: Duration) {
        self.reporter.run(config, interval, || self.figures()).await;
    }

    /// Reports to Graphite that were left out because it had not taken the one before.
    pub(crate) fn skipped(&self) -> u64 {
        self.reporter.skipped()
    }

    /// Delivers what is on its way, within this time.
    pub(super) async fn drain(&self, limit: Duration) {
        self.reporter.drain(limit).await;
    }
}

/// `discovery.<label>.DiscoveryChanges`; a figure without labels stands by itself.
fn path(Sample { definition, labels, .. }: &Sample<'_>) -> String {
    let mut path = String::new();
    for (index, (_, text)) in labels.iter().enumerate() {
        if index == 0 {
            path.push_str("discovery.");
        }
        path.push_str(&sanitize(text.as_bytes()));
        path.push('.');
    }
    path + definition.name
}
