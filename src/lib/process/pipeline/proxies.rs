//! Frontends, backends and servers of a host. A small snapshot is read at once; of a large one, batches of whole proxies are
//! read, aggregated and rendered one after the other, so that its size does not matter to memory.

mod batches;

use super::files::Files;
use super::found::{Found, Lost, Refused};
use super::run::{PipelineError, Run};
use super::sites::HostState;
use crate::aggregate::cluster::Cluster;
use crate::aggregate::group;
use crate::aggregate::totals::Totals;
use crate::haproxy::columns::Kind;
use crate::names::{NameId, Names};
use crate::parse::collected::Collected;
use crate::parse::part::Part;
use crate::parse::refused::FileError;
use crate::render::objects::Selected;
use std::collections::HashSet;
use std::fs::File;
use std::time::Instant;

/// Names of proxies that are left out, by kind: those of servers are those of their backends.
struct Excluded([HashSet<NameId>; 2]);

impl Excluded {
    fn of(&self, kind: Kind) -> &HashSet<NameId> {
        let Self([frontends, backends]) = self;
        if kind == Kind::Frontend { frontends } else { backends }
    }
}

/// What is aggregated.
#[derive(Debug)]
enum Share<'a> {
    /// All there is.
    All,
    /// Some proxies; servers over all backends are summed here, where they are wanted.
    Batch(Option<&'a mut Totals>),
}

impl Run<'_> {
    /// Frontends, backends and servers.
    pub(super) async fn proxies(
        &mut self,
        files: &Files,
        site: &mut HostState,
        mut cluster: Option<&mut Cluster>,
    ) -> Result<(), PipelineError> {
        cluster.iter_mut().for_each(|cluster| cluster.begin_host());
        let sizes = files.stat.iter().filter_map(|file| std::fs::metadata(self.dir.join(file)).ok());
        if sizes.map(|metadata| metadata.len()).sum::<u64>() > self.bounds.whole {
            self.in_batches(files, site, cluster).await
        } else {
            self.at_once(files, site, cluster).await
        }
    }

    async fn at_once(
        &mut self,
        files: &Files,
        site: &mut HostState,
        mut cluster: Option<&mut Cluster>,
    ) -> Result<(), PipelineError> {
        site.stats.clear();
        let mut found = Found::default();
        for file in &files.stat {
            let path = self.dir.join(file);
            let mut refused = Refused::default();
            let read = File::open(&path)
                .map_err(Into::into)
                .and_then(|input| site.stats.read(input, |line, reason| refused.row(&path, line, reason)));
            refused.end(&path, self);
            if found.file(file, read.map(|read| read.rows), self)? {
                site.stats.collected.doubts.refuse_file();
            }
        }
        self.others(&files.other_stat, site)?;
        let readable = found.end(self.dir, &mut site.bare);
        cluster.iter_mut().for_each(|cluster| cluster.doubt(&site.stats.collected.doubts));
        if !readable {
            return Ok(());
        }
        let excluded = self.excluded(&site.stats.collected.names);
        let mut lost = Lost::default();
        self.kinds(site, &mut lost, cluster, &excluded, Share::All).await?;
        lost.say(self);
        self.outlet.between(self.sink).await;
        Ok(())
    }

    /// Reads what other processes add to the objects of the live ones.
    fn others(&mut self, files: &[(Part, String)], site: &mut HostState) -> Result<(), PipelineError> {
        if files.is_empty() {
            return Ok(());
        }
        site.stats.begin_others();
        for (part, file) in files {
            let path = self.dir.join(file);
            let mut refused = Refused::default();
            let read = File::open(&path)
                .map_err(Into::into)
                .and_then(|input| site.stats.read_as(*part, input, |line, reason| refused.row(&path, line, reason)));
            refused.end(&path, self);
            match read {
                Ok(_) => {}
                Err(FileError::Io(source)) => return Err(PipelineError::File { path, source }),
                Err(error) => drop(self.refuse_file(file, "", &error)),
            }
        }
        site.stats.end_others();
        Ok(())
    }

    fn excluded(&mut self, names: &Names) -> Excluded {
        let (frontends, backends) = &mut self.excluded;
        Excluded([frontends.read().among(names), backends.read().among(names)])
    }

    /// Aggregates and renders what was read.
    async fn kinds(
        &mut self,
        site: &mut HostState,
        lost: &mut Lost,
        mut cluster: Option<&mut Cluster>,
        excluded: &Excluded,
        mut share: Share<'_>,
    ) -> Result<(), PipelineError> {
        let HostState { stats, objects, .. } = site;
        let generation = stats.generation();
        let Collected { tables, names, servers, doubts, .. } = &mut stats.collected;
        objects.begin(names, generation);
        let unknown = doubts.unknown(tables, names, servers);
        if let Some(unknown) = &unknown {
            lost.note(unknown, names, servers);
            if let Share::Batch(Some(totals)) = &mut share {
                totals.leave_out(unknown);
            }
        }
        for ((kind, table), plan) in Kind::ALL.into_iter().zip(tables).zip(self.plans) {
            let start = Instant::now();
            let groups = match &mut share {
                Share::All => group::group(plan, table),
                Share::Batch(totals) => {
                    if let Some(totals) = totals.as_mut().filter(|_| kind == Kind::Server) {
                        totals.add(table, names);
                    }
                    group::objects(plan, table)
                }
            };
            let mut groups = groups.map_err(|source| PipelineError::Aggregate { kind: kind.word(), source })?;
            if let Some(unknown) = &unknown {
                groups.leave_out(kind, unknown, names);
            }
            if let Some(cluster) = cluster.as_deref_mut() {
                cluster.add(kind, &groups, names, servers);
            }
            self.latencies.put_means(plan, &mut groups, names, servers, plan.exact_means);
            let latency = self.latency(&self.latencies, plan);
            let selected = Selected { plan, groups: &groups, names, servers, excluded: excluded.of(kind), latency };
            let metrics = objects.render(selected, self.sink, self.outlet).await;
            self.count(kind, metrics, start);
            if matches!(share, Share::All) {
                self.say(kind);
            }
        }
        Ok(())
    }

    fn count(&mut self, kind: Kind, metrics: i64, since: Instant) {
        let share = &mut self.tally.kinds[kind];
        share.metrics += metrics;
        share.time += since.elapsed();
    }
}
