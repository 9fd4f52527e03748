//! The hosts of a snapshot: this one alone, or with `[hosts]` each of those that were pulled from afar, and the clusters
//! that they are part of.

use super::files::{Files, socket};
use crate::aggregate::cluster::Cluster;
use crate::config::{Config, HostName, Hosts};
use crate::encode::object::Host;
use crate::encode::sink::Sink;
use crate::haproxy::family::Family;
use crate::haproxy::per_kind::PerKind;
use crate::parse::stat::Stats;
use crate::plan::KindPlan;
use crate::render::objects::Objects;
use crate::render::path::Paths;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;

/// What is kept of a host from one snapshot to the next.
#[derive(Debug)]
pub(super) struct HostState {
    pub(super) paths: Paths,
    pub(super) stats: Stats,
    pub(super) objects: Objects,
    /// Files of the last snapshot with a header and no row: those HAProxies have no proxy.
    pub(super) bare: BTreeSet<String>,
}

/// A cluster, and what renders it.
#[derive(Debug)]
pub(super) struct ClusterState {
    pub(super) hosts: Cluster,
    pub(super) paths: Paths,
    pub(super) objects: Objects,
}

/// All hosts.
#[derive(Debug, Default)]
pub(super) struct Sites {
    /// This host; `None` only while nothing is rendered.
    local: Option<HostState>,
    /// This host.
    name: Host,
    hosts: Hosts,
    others: HashMap<HostName, HostState>,
    /// The memory to read into, which the others use one after the other.
    shared: Option<Stats>,
    /// Which of the others has it.
    lent: Option<HostName>,
    totals: BTreeMap<String, ClusterState>,
    /// How to make further ones.
    make: Option<Make>,
    /// Sources of which no host is known; told once each.
    unknown: HashSet<String>,
}

#[derive(Debug, Clone)]
struct Make {
    config: Box<Config>,
    plans: Arc<PerKind<KindPlan>>,
}

impl Make {
    /// Whether states are sent.
    fn status(&self) -> bool {
        self.config.process.status_metrics || self.config.pull.families.has(Family::States)
    }

    fn stats(&self) -> Stats {
        Stats::new(Arc::clone(&self.plans), self.status())
    }

    fn site(&self, paths: Paths, stats: Stats) -> HostState {
        let status = self.status();
        HostState { stats, objects: Objects::new(paths.clone(), status), paths, bare: BTreeSet::new() }
    }
}

impl Sites {
    /// For this configuration; `paths` are those of this host.
    pub(super) fn new(config: &Config, hostname: &str, paths: Paths, plans: &Arc<PerKind<KindPlan>>) -> Self {
        let make = Make { config: Box::new(config.clone()), plans: Arc::clone(plans) };
        let mut sites = Self { hosts: config.hosts.clone(), ..Self::default() };
        if config.process.cluster_metrics {
            for cluster in config.hosts.clusters() {
                let paths = Paths::of_cluster(config, cluster);
                let objects = Objects::new(paths.clone(), make.status());
                sites.totals.insert(cluster.to_owned(), ClusterState { hosts: Cluster::new(plans), paths, objects });
            }
        }
        let name = if config.graphite.fqdn { hostname } else { hostname.split('.').next().unwrap_or(hostname) };
        let cluster = config.kafka.as_ref().and_then(|kafka| kafka.cluster.clone());
        sites.name = Host { name: name.to_owned(), cluster };
        sites.local = Some(make.site(paths, make.stats()));
        sites.make = Some(make);
        sites
    }

    /// The files of each host, in the order of the hosts' names; those of no known host are this one's, and come first.
    pub(super) fn divide(&mut self, files: &Files) -> Vec<(Option<HostName>, Files)> {
        let mut parts: BTreeMap<Option<HostName>, Files> = BTreeMap::new();
        if self.hosts.is_empty() {
            return vec![(None, files.clone())];
        }
        for file in files.all() {
            let source = socket(file);
            let host = self.hosts.of(source).cloned();
            if host.is_none() && self.unknown.insert(source.to_owned()) {
                tracing::warn!(source, "is not listed in [hosts]; its metrics are sent under this host's name");
            }
            parts.entry(host).or_default().add(file.clone());
        }
        if parts.is_empty() {
            parts.insert(None, Files::default());
        }
        parts.into_iter().collect()
    }

    /// Before the hosts of a snapshot.
    pub(super) fn begin(&mut self) {
        self.totals.values_mut().for_each(|total| total.hosts.clear());
    }

    /// What belongs to a host, and its cluster. What is rendered from now on is noted as this host's.
    pub(super) fn enter(
        &mut self,
        host: Option<&HostName>,
        sink: &mut Sink,
    ) -> Option<(&mut HostState, Option<&mut Cluster>)> {
        let Some(host) = host else {
            self.leave(sink);
            return Some((self.local.as_mut()?, None));
        };
        sink.host(&Host { name: host.name.clone(), cluster: host.cluster.clone() });
        if !self.others.contains_key(host) {
            let make = self.make.as_ref()?;
            // The name stands as it was written, whatever `fqdn` says.
            let hollow = Stats::hollow(Arc::clone(&make.plans), make.status());
            let site = make.site(Paths::of_host(&make.config, &host.name), hollow);
            self.others.insert(host.clone(), site);
        }
        self.lend(host);
        let cluster = host.cluster.as_ref().and_then(|cluster| self.totals.get_mut(cluster));
        Some((self.others.get_mut(host)?, cluster.map(|total| &mut total.hosts)))
    }

    /// Gives a host the memory to read into, which another one has had.
    fn lend(&mut self, host: &HostName) {
        if self.lent.as_ref() == Some(host) {
            return;
        }
        let Some(make) = &self.make else { return };
        let shared = self.shared.get_or_insert_with(|| make.stats());
        for name in [self.lent.replace(host.clone()).as_ref(), Some(host)].into_iter().flatten() {
            if let Some(site) = self.others.get_mut(name) {
                site.stats.trade(shared);
            }
        }
    }

    /// What is told from now on is this host's.
    pub(super) fn leave(&self, sink: &mut Sink) {
        sink.host(&self.name);
    }

    /// The clusters, and what they have so far.
    pub(super) fn clusters(&mut self) -> impl Iterator<Item = (&String, &mut ClusterState)> {
        self.totals.iter_mut()
    }
}
