//! The hosts of a snapshot: this one alone, or with `[hosts]` each of those that were pulled from afar, and the clusters
//! that they are part of.

use super::files::{Files, socket};
use crate::aggregate::cluster::Cluster;
use crate::config::{Config, HostName, Hosts};
use crate::encode::object::Host;
use crate::encode::prefix::Prefixes;
use crate::encode::sink::Sink;
use crate::haproxy::family::Family;
use crate::haproxy::per_kind::PerKind;
use crate::parse::stat::Stats;
use crate::plan::KindPlan;
use crate::render::metrics::MetricNames;
use crate::render::objects::Objects;
use crate::render::path::{About, Paths};
use crate::snapshot::members::{Member, Members};
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;

/// Snapshots after which a host that was in none of them is forgotten, where they say themselves whose they are.
const REMEMBERED: u64 = 1000;

/// What is kept of a host from one snapshot to the next.
#[derive(Debug)]
pub(super) struct HostState {
    pub(super) paths: Paths,
    pub(super) stats: Stats,
    pub(super) objects: Objects,
    /// Files of the last snapshot with a header and no row: those HAProxies have no proxy.
    pub(super) bare: BTreeSet<String>,
    /// Number of the last snapshot that it was in.
    seen: u64,
}

/// A cluster, and what renders it.
#[derive(Debug)]
pub(super) struct ClusterState {
    pub(super) hosts: Cluster,
    pub(super) paths: Paths,
    pub(super) objects: Objects,
    /// How many hosts of it are missing, where that is known.
    pub(super) missing: Option<u64>,
    /// Hosts that are there.
    pub(super) count: u64,
    /// Number of the last snapshot that it was in.
    seen: u64,
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
    /// Sources of which no host is known; each is logged once.
    unknown: HashSet<String>,
    /// Whose files the snapshot has, where it was assembled from those of several hosts.
    pub(super) members: Option<Members>,
    /// Counts such snapshots.
    number: u64,
}

#[derive(Debug, Clone)]
struct Make {
    config: Box<Config>,
    plans: Arc<PerKind<KindPlan>>,
    metric_names: Arc<MetricNames>,
}

impl Make {
    /// Whether states are sent.
    fn status(&self) -> bool {
        self.config.process.status_metrics || self.config.pull.families.has(Family::States)
    }

    fn stats(&self) -> Stats {
        Stats::new(Arc::clone(&self.plans), self.status())
    }

    fn cluster(&self, name: &str) -> ClusterState {
        let paths = Paths::of_cluster(&self.config, name);
        let (hosts, objects) = (Cluster::new(&self.plans), self.objects(&paths));
        ClusterState { hosts, paths, objects, missing: None, count: 0, seen: 0 }
    }

    fn site(&self, paths: Paths, stats: Stats) -> HostState {
        HostState { stats, objects: self.objects(&paths), paths, bare: BTreeSet::new(), seen: 0 }
    }

    fn objects(&self, paths: &Paths) -> Objects {
        Objects::new(paths.clone(), self.status(), Arc::clone(&self.metric_names))
    }
}

impl Sites {
    /// For this configuration; `paths` are those of this host.
    pub(super) fn new(config: &Config, hostname: &str, paths: Paths, plans: &Arc<PerKind<KindPlan>>) -> Self {
        let metric_names = Arc::new(MetricNames::new(plans));
        let make = Make { config: Box::new(config.clone()), plans: Arc::clone(plans), metric_names };
        let mut sites = Self { hosts: config.hosts.clone(), ..Self::default() };
        if config.process.cluster_metrics {
            for cluster in config.hosts.clusters() {
                sites.totals.insert(cluster.to_owned(), make.cluster(cluster));
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
        if let Some(members) = self.members.take() {
            let parts = self.divide_members(files, &members);
            self.members = Some(members);
            return parts;
        }
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

    /// The same of a snapshot that says whose its files are. Hosts and clusters that have not been there for long are forgotten.
    fn divide_members(&mut self, files: &Files, members: &Members) -> Vec<(Option<HostName>, Files)> {
        self.number += 1;
        let number = self.number;
        let is_over = |seen: u64| seen > 0 && number - seen > REMEMBERED;
        self.others.retain(|_, host| !is_over(host.seen));
        self.totals.retain(|_, total| !is_over(total.seen));
        if self.lent.as_ref().is_some_and(|lent| !self.others.contains_key(lent)) {
            // The memory to read into went with it.
            (self.lent, self.shared) = (None, None);
        }
        if let Some(make) = self.make.as_ref().filter(|make| make.config.process.cluster_metrics) {
            for (name, missing) in &members.clusters {
                let total = self.totals.entry(name.clone()).or_insert_with(|| make.cluster(name));
                (total.missing, total.seen) = (Some(*missing), number);
            }
        }
        let mut parts: BTreeMap<Option<HostName>, Files> = BTreeMap::new();
        for file in files.all() {
            // A file of no host is none of ours.
            let Some(Member { name, cluster }) = members.of(file) else { continue };
            let host = HostName { name: name.clone(), cluster: cluster.clone() };
            parts.entry(Some(host)).or_default().add(file.clone());
        }
        if parts.is_empty() {
            parts.insert(None, Files::default());
        }
        parts.into_iter().collect()
    }

    /// Before the hosts of a snapshot.
    pub(super) fn begin(&mut self) {
        for total in self.totals.values_mut() {
            total.hosts.clear();
            total.count = 0;
        }
    }

    /// What haproxystats on a host is called; what is rendered from now on belongs to this host.
    pub(super) fn enter_own(&self, member: &Member, sink: &mut Sink) -> Option<Prefixes> {
        let make = self.make.as_ref()?;
        sink.host(&Host { name: member.name.clone(), cluster: member.cluster.clone() });
        Some(Paths::of_host(&make.config, &member.name).of(About::Own))
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
        let put_together = self.members.is_some();
        let rolled_up = |cluster: &&String| self.members.as_ref().is_none_or(|of| of.clusters.contains_key(*cluster));
        let cluster = host.cluster.as_ref().filter(rolled_up).and_then(|cluster| self.totals.get_mut(cluster));
        let site = self.others.get_mut(host)?;
        if put_together && std::mem::replace(&mut site.seen, self.number) == self.number {
            return Some((site, cluster.map(|total| &mut total.hosts)));
        }
        let counted = cluster.map(|total| {
            total.count += 1;
            &mut total.hosts
        });
        Some((site, counted))
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

    /// What is sent from now on belongs to this host.
    pub(super) fn leave(&self, sink: &mut Sink) {
        sink.host(&self.name);
    }

    /// The clusters, and what they have so far.
    pub(super) fn clusters(&mut self) -> impl Iterator<Item = (&String, &mut ClusterState)> {
        let members = self.members.as_ref();
        self.totals.iter_mut().filter(move |(name, _)| members.is_none_or(|of| of.clusters.contains_key(*name)))
    }
}
