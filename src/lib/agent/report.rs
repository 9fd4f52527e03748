//! The figures of the agent: on the page for Prometheus, and to Graphite through the dispatcher of haproxystats-process.

use super::figures::{Program, Sample};
use super::service::Service;
use crate::config::{self, Config};
use crate::dispatch::graphite::Reports;
use crate::dispatch::{Batch, Dispatcher};
use crate::exporter::Page;
use crate::logging::Chain;
use crate::names::{base, sanitize};
use crate::snapshot::Epoch;
use crate::telemetry::{AGENT, AGENT_CHECK, AGENT_SERVICE, DISPATCHER, dispatcher_values, of_dispatcher};
use std::cell::RefCell;
use std::fmt::Write;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use tokio::sync::mpsc::unbounded_channel;

/// Everything that the figures are taken from.
#[derive(Clone)]
pub(super) struct Sources {
    pub(super) program: Rc<Program>,
    pub(super) services: Rc<[Rc<Service>]>,
    graphite: Rc<RefCell<Option<Reports>>>,
}

impl Sources {
    pub(super) fn new(program: Rc<Program>, services: &[Rc<Service>]) -> Self {
        program.services.set(u32::try_from(services.len()).unwrap_or(u32::MAX));
        Self { program, services: services.into(), graphite: Rc::default() }
    }

    fn samples(&self) -> Vec<Sample<'_>> {
        let now = Instant::now();
        let mut samples = self.program.samples();
        samples.extend(self.services.iter().flat_map(|service| service.samples(now)));
        samples
    }

    /// The page for Prometheus.
    pub(super) fn page(&self) -> Page {
        let mut page = Page::of("agent");
        let samples = self.samples();
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
        if let Some(graphite) = &*self.graphite.borrow() {
            for (definition, value) in DISPATCHER.iter().zip(dispatcher_values(&graphite.counters())) {
                let mut family = page.figure("haproxystats_agent_dispatcher_", definition);
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
        for Sample { definition, service, check, variant, value } in self.samples() {
            let mut path = String::new();
            if let Some(service) = service {
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
            line(path, value);
        }
        if let Some(graphite) = &*self.graphite.borrow() {
            for (name, value) in of_dispatcher(graphite.name(), &graphite.counters()) {
                line(format!("Agent{name}"), value);
            }
        }
        Batch { epoch, text: text.into_bytes(), lines, ..Batch::default() }
    }

    /// Reports to Graphite at every `interval`, for ever.
    pub(super) async fn report(self, config: config::Graphite, interval: Duration) {
        let (notices, mut said) = unbounded_channel();
        let host = nix::unistd::gethostname().unwrap_or_default().to_string_lossy().into_owned();
        let prefix = format!("{}.haproxystats.", base(&config, &host));
        match Reports::start(&config, &notices) {
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
                _ => self.program.skipped.add(),
            }
        }
    }

    /// Delivers what is on its way, within this time.
    pub(super) async fn drain(&self, limit: Duration) {
        let graphite = self.graphite.borrow_mut().take();
        if let Some(graphite) = graphite {
            graphite.drain(tokio::time::Instant::now() + limit).await;
        }
    }
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
