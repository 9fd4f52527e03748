//! The figures of the agent: on the page for Prometheus, and to Graphite.

use super::figures::Program;
use super::service::Service;
use crate::config::{self, Config};
use crate::exporter::Page;
use crate::names::sanitize;
use crate::reporter::Reporter;
use crate::telemetry::Sample;
use std::cell::RefCell;
use std::fmt::Write;
use std::rc::Rc;
use std::time::{Duration, Instant};

/// Everything that the figures are taken from.
#[derive(Clone)]
pub(super) struct Sources {
    pub(super) program: Rc<Program>,
    /// Others after a reload.
    services: Rc<RefCell<Vec<Rc<Service>>>>,
    reporter: Rc<Reporter>,
}

impl Sources {
    pub(super) fn new(program: Rc<Program>) -> Self {
        Self { program, services: Rc::default(), reporter: Rc::new(Reporter::new("agent")) }
    }

    /// From now on the figures are of these services.
    pub(super) fn set(&self, services: Vec<Rc<Service>>) {
        self.program.services.set(u32::try_from(services.len()).unwrap_or(u32::MAX));
        *self.services.borrow_mut() = services;
    }

    fn samples<'a>(&self, services: &'a [Rc<Service>]) -> Vec<Sample<'a>> {
        let now = Instant::now();
        let mut samples = self.program.samples(self.reporter.skipped());
        samples.extend(services.iter().flat_map(|service| service.samples(now)));
        samples
    }

    /// The page for Prometheus.
    pub(super) fn page(&self) -> Page {
        let mut page = Page::of("agent");
        let services = self.services.borrow();
        let samples = self.samples(&services);
        let prefix = |name: &str| if name.starts_with("Agent") { "haproxystats_" } else { "haproxystats_agent_" };
        page.samples(prefix, &samples);
        self.reporter.append(&mut page);
        page
    }

    /// All figures with their paths in Graphite.
    fn figures(&self) -> Vec<(String, f64)> {
        let services = self.services.borrow();
        self.samples(&services).iter().map(|sample| (path(sample), sample.value)).collect()
    }

    /// Reports to Graphite at every `interval`; never returns.
    pub(super) async fn report(self, config: config::Graphite, interval: Duration) {
        self.reporter.run(config, interval, || self.figures()).await;
    }

    /// Delivers what is on its way, within this time.
    pub(super) async fn drain(&self, limit: Duration) {
        self.reporter.drain(limit).await;
    }
}

/// `agent.web.http.CheckFailuresTimeout`: the service and the check stand before the name, any other label behind it.
fn path(sample: &Sample<'_>) -> String {
    let (mut before, mut behind) = (String::new(), String::new());
    for (label, text) in &sample.labels {
        // Writing to a String cannot fail; so below.
        let _ = match *label {
            "service" => write!(before, "agent.{}.", sanitize(text.as_bytes())),
            "check" => write!(before, "{text}."),
            _ => {
                let (first, rest) = text.split_at(1);
                write!(behind, "{}{rest}", first.to_ascii_uppercase())
            }
        };
    }
    format!("{before}{}{behind}", sample.definition.name)
}

/// How the agent reports, out of the whole configuration.
pub(super) struct Reporting {
    pub(super) exporter: config::Exporter,
    pub(super) graphite: Option<(config::Graphite, Duration)>,
}

impl Reporting {
    pub(super) fn of(config: &Config) -> Self {
        let graphite = config.agent.self_metrics.map(|interval| (config.graphite.clone(), interval));
        Self { exporter: config.exporter.clone(), graphite }
    }
}
