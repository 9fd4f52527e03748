//! Host after host, the daemon, then the proxies; then the clusters.

use super::daemon;
use super::files::Files;
use super::own::{self, SnapshotFigure};
use super::run::{PipelineError, Run, Share};
use super::sites::{ClusterState, Sites};
use super::twins::Twins;
use crate::encode::object::Host;
use crate::haproxy::columns::Kind;
use crate::render::objects::Selected;
use crate::render::path::About;
use crate::render::pieces::{self, Outlet};
use crate::value::Value;
use std::collections::HashSet;
use std::time::Instant;

impl Run<'_> {
    pub(super) async fn hosts(
        &mut self,
        files: &Files,
        sites: &mut Sites,
        twins: &mut Twins,
    ) -> Result<(), PipelineError> {
        if files.info.is_empty() {
            tracing::warn!(snapshot = %self.dir.display(), "no file with daemon statistics");
        }
        if files.stat.is_empty() {
            tracing::warn!(snapshot = %self.dir.display(), "no file with proxy statistics");
        }
        let parts = sites.divide(files);
        let last = parts.len().saturating_sub(1);
        sites.begin();
        for (number, (host, mut files)) in parts.into_iter().enumerate() {
            self.report.counted_once += twins.leave_out(self.dir, &mut files);
            self.tally.last = number == last;
            let Some((site, cluster)) = sites.enter(host.as_ref(), self.sink) else { continue };
            self.sink.since(None);
            if !files.info.is_empty() {
                let start = Instant::now();
                self.daemon(&files, &site.paths, cluster)?;
                self.tally.daemon.time += start.elapsed();
            }
            if self.tally.last {
                self.say_daemon(sites, !files.info.is_empty());
            }
            let Some((site, cluster)) = sites.enter(host.as_ref(), self.sink) else { continue };
            let mut cluster = cluster;
            self.read_latency(&files, cluster.as_deref_mut())?;
            if !files.stat.is_empty() {
                self.proxies(&files, site, cluster).await?;
            }
            let Some((site, _)) = sites.enter(host.as_ref(), self.sink) else { continue };
            self.ended(&files, site).await?;
            let Some((site, _)) = sites.enter(host.as_ref(), self.sink) else { continue };
            self.families(&files, &site.paths)?;
        }
        sites.leave(self.sink);
        self.say_families();
        self.clusters(sites);
        sites.leave(self.sink);
        Ok(())
    }

    /// How many metrics of the daemon there were, and how long they took, once no host follows.
    fn say_daemon(&mut self, sites: &Sites, has_files: bool) {
        let Share { metrics, time } = self.tally.daemon;
        if metrics > 0 {
            sites.leave(self.sink);
            self.own_count(SnapshotFigure::MetricsHAProxy, metrics);
        }
        if metrics > 0 || has_files {
            self.own_seconds(SnapshotFigure::WallClockTimeHAProxy, time);
        }
    }

    fn clusters(&mut self, sites: &mut Sites) {
        let skip_zero = self.plans.iter().any(|plan| plan.skip_zero);
        self.sink.clusters(true);
        for (name, ClusterState { hosts, paths, objects, missing, count, .. }) in sites.clusters() {
            self.sink.host(&Host { name: String::new(), cluster: Some(name.clone()) });
            self.sink.since(None);
            if let Some(missing) = missing {
                let prefixes = paths.of(About::Own);
                for (figure, value) in
                    [(SnapshotFigure::ClusterHosts, *count), (SnapshotFigure::ClusterHostsMissing, *missing)]
                {
                    own::own(&prefixes, figure, Value::Int(i64::try_from(value).unwrap_or(i64::MAX)), self.sink);
                }
            }
            daemon::of_cluster(hosts.daemon(), skip_zero, paths, self.sink);
            objects.begin(&hosts.names, 0);
            for (kind, plan) in Kind::ALL.into_iter().zip(self.plans) {
                let mut groups = hosts.groups(kind);
                hosts.latencies.put_means(plan, &mut groups, &hosts.names, &hosts.servers, true);
                let latency = self.latency(&hosts.latencies, plan);
                let (names, servers, excluded) = (&hosts.names, &hosts.servers, &HashSet::new());
                let selected = Selected { plan, groups: &groups, names, servers, excluded, latency };
                let outlet = Outlet::whole();
                pieces::whole(&outlet, objects.render(selected, self.sink, &outlet));
            }
        }
        self.sink.clusters(false);
    }
}
