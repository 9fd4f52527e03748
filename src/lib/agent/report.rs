//! The figures of the agent: on the page for Prometheus, and to Graphite.

use super::figures::{Program, Sample};
use super::service::Service;
use crate::config::{self, Config};
use crate::exporter::Page;
use crate::names::sanitize;
use crate::reporter::Reporter;
use crate::telemetry::{AGENT, AGENT_CHECK, AGENT_SERVICE};
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
        for definition in AGENT.iter().chain(&AGENT_SERVICE).chain(&AGENT_CHECK) {
            let prefix = if definition.name.starts_with("Agent") { "haproxystats_" } else { "haproxystats_agent_" };
            let mut family = page.figure(prefix, definition);
            for sample in samples.iter().filter(|sample| std::ptr::eq(sample.definition, definition)) {
                let of = |label, text: Option<_>| text.map(|text| (label, text));
                let labels = [of("service", sample.service), of("check", sample.check), sample.variant];
                let labels: Vec<(&str, &str)> = labels.into_iter().flatten().collect();
                family.sample(&labels, sample.value);
            }
        }
        self.reporter.append(&mut page);
        page
    }

    /// All figures with their paths in Graphite.
    fn figures(&self) -> Vec<(String, f64)> {
        let services = self.services.borrow();
        self.samples(&services).iter().map(|sample| (path(sample), sample.value)).collect()
    }

    /// Reports to Graphite at every `interval`, for ever.
    pub(super) async fn report(self, config: config::Graphite, interval: Duration) {
        self.reporter.run(config, interval, || self.figures()).await;
    }

    /// Delivers what is on its way, within this time.
    pub(super) async fn drain(&self, limit: Duration) {
        self.reporter.drain(limit).await;
    }
}

/// `agent.web.http.CheckFailuresTimeout`
fn path(Sample { definition, service, check, variant, .. }: &Sample<'_>) -> String {
    let mut path = String::new();
    if let Some(service) = service {
        // Writing to a String cannot fail; so below.
        let _ = write!(path, "agent.{}.", sanitize(service.as_bytes()));
    }
    if let Some(check) = check {
        let _ = write!(path, "{check}.");
    }
    path.push_str(definition.name);
    if let Some((_, word)) = variant {
        let (first, rest) = word.split_at(1);
        path.push_str(&first.to_ascii_uppercase());
        path.push_str(rest);
    }
    path
}

/// How the agent reports, out of the whole configuration.
pub(super) struct Reporting {
    pub(super) listen: Option<std::net::SocketAddr>,
    pub(super) graphite: Option<(config::Graphite, Duration)>,
}

impl Reporting {
    pub(super) fn of(config: &Config) -> Self {
        let graphite = config.agent.self_metrics.map(|interval| (config.graphite.clone(), interval));
        Self { listen: config.exporter.listen, graphite }
    }
}
