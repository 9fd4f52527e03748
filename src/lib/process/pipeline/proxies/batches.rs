//! Proxies in batches.

use super::super::source::{Source, batches};
use super::{Excluded, Found, Lost, Refused, Share};
use crate::aggregate::cluster::Cluster;
use crate::aggregate::group::Groups;
use crate::aggregate::totals::Totals;
use crate::haproxy::columns::Kind;
use crate::names::Pairs;
use crate::parse::part::Part;
use crate::parse::refused::FileError;
use crate::parse::split::Parts;
use crate::process::pipeline::files::Files;
use crate::process::pipeline::run::{PipelineError, Run};
use crate::process::pipeline::sites::HostState;
use crate::render::objects::Selected;
use crate::render::pieces;
use std::collections::HashSet;
use std::ops::Range;
use std::path::PathBuf;
use std::time::Instant;

/// A file, and which of its rows were left out.
struct Reading<'a> {
    file: &'a String,
    path: PathBuf,
    refused: Refused,
    source: Source,
}

impl Reading<'_> {
    /// Reads the rows of a batch.
    fn batch(&mut self, batch: &Range<u32>, site: &mut HostState) -> Result<(), FileError> {
        let Self { path, refused, source, .. } = self;
        source.read(batch, path, &mut site.stats, |line, reason| refused.row(path, line, reason))
    }
}

impl Run<'_> {
    pub(super) async fn in_batches(
        &mut self,
        files: &Files,
        site: &mut HostState,
        mut cluster: Option<&mut Cluster>,
    ) -> Result<(), PipelineError> {
        let mut found = Found::default();
        let (mut missing, mut lost) = (false, Lost::default());
        let mut parts = Parts::new(self.bounds.part(files.stat.len()));
        let live = files.stat.iter().map(|file| (Part::Live, file));
        let mut readings = self.split(live, site, &mut parts, (&mut found, &mut missing))?;
        let others = files.other_stat.iter().map(|(part, file)| (*part, file));
        let mut others = self.split(others, site, &mut parts, (&mut Found::default(), &mut false))?;
        let batches = batches(&parts.into_sizes(), self.bounds.batch);
        let listed = (self.excluded.0.read(), self.excluded.1.read());
        let mut totals = Totals::new(&self.plans[Kind::Server]);
        for batch in batches {
            site.stats.forget();
            for reading in &mut readings {
                if let Err(error) = reading.batch(&batch, site) {
                    missing |= found.file(reading.file, Err(error), self)?;
                }
            }
            if missing {
                site.stats.collected.doubts.refuse_file();
            }
            site.stats.begin_others();
            for reading in &mut others {
                if let Err(FileError::Io(source)) = reading.batch(&batch, site) {
                    return Err(PipelineError::File { path: reading.path.clone(), source });
                }
            }
            site.stats.end_others();
            cluster.iter_mut().for_each(|cluster| cluster.doubt(&site.stats.collected.doubts));
            let names = &site.stats.collected.names;
            let excluded = Excluded([listed.0.among(names), listed.1.among(names)]);
            let share = Share::Batch(totals.as_mut());
            self.kinds(site, &mut lost, cluster.as_deref_mut(), &excluded, share).await?;
            self.outlet.between(self.sink).await;
        }
        lost.say(self);
        site.stats.forget();
        if missing || readings.iter().any(|reading| reading.source.is_doubtful()) {
            // Where there was no batch.
            site.stats.collected.doubts.refuse_file();
            cluster.iter_mut().for_each(|cluster| cluster.doubt(&site.stats.collected.doubts));
            site.stats.forget();
        }
        if let Some(totals) = totals {
            self.totals(totals, site, cluster);
        }
        for Reading { path, refused, .. } in others {
            refused.end(&path, self);
        }
        for Reading { file, path, refused, source } in readings {
            refused.end(&path, self);
            found.file(file, source.rows(), self)?;
        }
        if found.end(self.dir, &mut site.bare) {
            Kind::ALL.into_iter().for_each(|kind| self.say(kind));
        }
        Ok(())
    }

    /// Finds out where in the files which rows are.
    fn split<'f>(
        &mut self,
        files: impl Iterator<Item = (Part, &'f String)>,
        site: &mut HostState,
        parts: &mut Parts,
        (found, missing): (&mut Found, &mut bool),
    ) -> Result<Vec<Reading<'f>>, PipelineError> {
        let mut readings = Vec::new();
        for (part, file) in files {
            let path = self.dir.join(file);
            let mut refused = Refused::default();
            match Source::split(&path, part, &mut site.stats, parts, |line, reason| refused.row(&path, line, reason)) {
                Ok(source) => readings.push(Reading { file, path, refused, source }),
                Err(error) => *missing |= found.file(file, Err(error), self)?,
            }
        }
        Ok(readings)
    }

    /// Renders servers over all backends, behind all batches.
    fn totals(&mut self, mut totals: Totals, site: &mut HostState, cluster: Option<&mut Cluster>) {
        let start = Instant::now();
        let plan = &self.plans[Kind::Server];
        let mut groups = Groups { servers: Some(totals.grouped(plan)), ..Groups::default() };
        if let Some(cluster) = cluster {
            cluster.add(Kind::Server, &groups, &totals.names, &Pairs::default());
        }
        self.latencies.put_means(plan, &mut groups, &totals.names, &Pairs::default(), false);
        site.objects.begin(&totals.names, site.stats.generation());
        let latency = self.latency(&self.latencies, plan);
        let (names, servers, excluded) = (&totals.names, &Pairs::default(), &HashSet::new());
        let selected = Selected { plan, groups: &groups, names, servers, excluded, latency };
        let metrics = pieces::whole(self.outlet, site.objects.render(selected, self.sink, self.outlet));
        self.count(Kind::Server, metrics, start);
        // The numbers of these names are no other's.
        site.stats.forget();
    }
}
