//! Frontends, backends and servers of a host. A small snapshot is read at once; of a large one, batches of whole proxies are
//! read, aggregated and rendered one after the other, so that its size does not matter to memory.

use super::own::{SnapshotFigure, own_count, own_seconds};
use super::source::{Source, batches};
use super::{Pipeline, PipelineError, Report, Tally, refuse_file};
use crate::aggregate::cluster::Cluster;
use crate::aggregate::group::{self, Groups};
use crate::aggregate::totals::Totals;
use crate::haproxy::columns::Kind;
use crate::injection;
use crate::names::{NameId, Names, Pairs};
use crate::parse::doubt::{Unknown, Which};
use crate::parse::split::Parts;
use crate::parse::stat::{Collected, FileError, RowError};
use crate::process::pieces::Pieces;
use crate::process::sites::Site;
use crate::render::line::Lines;
use crate::snapshot::STAT_SUFFIX;
use std::collections::{BTreeSet, HashSet};
use std::fs::File;
use std::path::Path;
use std::time::Instant;

/// Rows of one file that are logged one by one; the rest is a number.
const LOGGED_ROWS: u64 = 5;

/// Objects that are named in the log; the rest is a number.
const LOGGED_OBJECTS: usize = 5;

/// Statistics of a host up to so many bytes are read at once.
const WHOLE: u64 = 4 << 20;

/// Bytes of statistics in a batch, of all processes together; more only where one proxy alone has more.
const BATCH: u64 = 1 << 20;

/// A part of a batch is at least as large, however many files there are: what is known of a part takes memory, too.
const SMALLEST_PART: u64 = 4 << 10;

/// For tests only: the name of an environment variable with a number of bytes, which takes the place of both bounds.
const VARIABLE: &str = "HAPROXYSTATS_TEST_BATCH";

/// From which size on, and in which portions, proxies are read in batches.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bounds {
    whole: u64,
    batch: u64,
}

impl Bounds {
    pub(super) fn from_environment() -> Self {
        match injection::variable(VARIABLE).and_then(|bytes| bytes.parse().ok()) {
            Some(bytes) => Self::both(bytes),
            None => Self { whole: WHOLE, batch: BATCH },
        }
    }

    pub(super) fn both(bytes: u64) -> Self {
        Self { whole: bytes, batch: bytes }
    }

    fn part(self, files: usize) -> u64 {
        (self.batch / (files as u64).max(1)).max(SMALLEST_PART.min(self.batch))
    }
}

impl Pipeline {
    /// Frontends, backends and servers.
    pub(super) fn proxies(
        &mut self,
        dir: &Path,
        files: &[String],
        of_host: (&mut Site, &mut Tally),
        cluster: Option<&mut Cluster>,
        (lines, pieces): (&mut Lines<'_>, &mut Pieces<'_>),
        report: &mut Report,
    ) -> Result<(), PipelineError> {
        let mut cluster = cluster;
        cluster.iter_mut().for_each(|cluster| cluster.begin_host());
        let sizes = files.iter().filter_map(|file| std::fs::metadata(dir.join(file)).ok());
        if sizes.map(|metadata| metadata.len()).sum::<u64>() > self.bounds.whole {
            self.in_batches(dir, files, of_host, cluster, (lines, pieces), report)
        } else {
            self.at_once(dir, files, of_host, cluster, (lines, pieces), report)
        }
    }

    fn at_once(
        &mut self,
        dir: &Path,
        files: &[String],
        (site, tally): (&mut Site, &mut Tally),
        mut cluster: Option<&mut Cluster>,
        (lines, pieces): (&mut Lines<'_>, &mut Pieces<'_>),
        report: &mut Report,
    ) -> Result<(), PipelineError> {
        site.stats.clear();
        let mut found = Found::default();
        for file in files {
            let path = dir.join(file);
            let mut refused = Refused::default();
            let read = File::open(&path)
                .map_err(Into::into)
                .and_then(|input| site.stats.read(input, |line, reason| refused.row(&path, line, reason)));
            refused.end(&path, report);
            if found.file(dir, file, read.map(|read| read.rows), report)? {
                site.stats.collected.doubts.refuse_file();
            }
        }
        let readable = found.end(dir, &mut site.bare);
        cluster.iter_mut().for_each(|cluster| cluster.doubt(&site.stats.collected.doubts));
        if !readable {
            return Ok(());
        }
        let names = &site.stats.collected.names;
        let excluded = [self.exclude_frontends.read().among(names), self.exclude_backends.read().among(names)];
        let mut lost = Lost::default();
        self.kinds(site, (tally, &mut lost), cluster, &excluded, Share::All, (&mut *lines, &mut *pieces))?;
        lost.say(dir, report);
        pieces.flush(lines)
    }

    fn in_batches(
        &mut self,
        dir: &Path,
        files: &[String],
        (site, tally): (&mut Site, &mut Tally),
        mut cluster: Option<&mut Cluster>,
        (lines, pieces): (&mut Lines<'_>, &mut Pieces<'_>),
        report: &mut Report,
    ) -> Result<(), PipelineError> {
        let mut found = Found::default();
        let (mut missing, mut lost) = (false, Lost::default());
        let mut parts = Parts::new(self.bounds.part(files.len()));
        let mut sources = Vec::with_capacity(files.len());
        for file in files {
            let path = dir.join(file);
            let mut refused = Refused::default();
            match Source::split(&path, &mut site.stats, &mut parts, |line, reason| refused.row(&path, line, reason)) {
                Ok(source) => sources.push((file, path, refused, source)),
                Err(error) => missing |= found.file(dir, file, Err(error), report)?,
            }
        }
        let batches = batches(&parts.into_sizes(), self.bounds.batch);
        let (frontends, backends) = (self.exclude_frontends.read(), self.exclude_backends.read());
        let servers = self.plans.get(Kind::Server as usize);
        let mut totals = servers.and_then(Totals::new);
        for batch in batches {
            site.stats.forget();
            for (file, path, refused, source) in &mut sources {
                let read = source.read(&batch, path, &mut site.stats, |line, reason| refused.row(path, line, reason));
                if let Err(error) = read {
                    missing |= found.file(dir, file, Err(error), report)?;
                }
            }
            if missing {
                site.stats.collected.doubts.refuse_file();
            }
            cluster.iter_mut().for_each(|cluster| cluster.doubt(&site.stats.collected.doubts));
            let names = &site.stats.collected.names;
            let excluded = [frontends.among(names), backends.among(names)];
            let share = Share::Batch(totals.as_mut());
            let cluster = cluster.as_deref_mut();
            self.kinds(site, (&mut *tally, &mut lost), cluster, &excluded, share, (&mut *lines, &mut *pieces))?;
            pieces.flush(lines)?;
        }
        lost.say(dir, report);
        site.stats.forget();
        if missing || sources.iter().any(|(.., source)| source.is_doubtful()) {
            // Where there was no batch.
            site.stats.collected.doubts.refuse_file();
            cluster.iter_mut().for_each(|cluster| cluster.doubt(&site.stats.collected.doubts));
            site.stats.forget();
        }
        if let Some(totals) = totals {
            self.totals(totals, site, tally, cluster, lines);
        }
        for (file, path, refused, source) in sources {
            refused.end(&path, report);
            found.file(dir, file, source.rows(), report)?;
        }
        if found.end(dir, &mut site.bare) {
            Kind::ALL.into_iter().for_each(|kind| tally.say(self.own.as_bytes(), kind, lines));
        }
        Ok(())
    }

    /// Aggregates and renders what was read.
    fn kinds(
        &self,
        site: &mut Site,
        (tally, lost): (&mut Tally, &mut Lost),
        mut cluster: Option<&mut Cluster>,
        [frontends, backends]: &[HashSet<NameId>; 2],
        mut share: Share<'_>,
        (lines, pieces): (&mut Lines<'_>, &mut Pieces<'_>),
    ) -> Result<(), PipelineError> {
        let Site { stats, objects, .. } = site;
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
        for ((kind, table), plan) in Kind::ALL.into_iter().zip(tables).zip(self.plans.iter()) {
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
            let excluded = if kind == Kind::Frontend { frontends } else { backends };
            let count = objects
                .render(plan, &groups, (names, servers), excluded, lines, &mut |lines| pieces.flush_early(lines));
            if let Some((all, elapsed)) = tally.kinds.get_mut(kind as usize) {
                *all += count;
                *elapsed += start.elapsed();
            }
            if matches!(share, Share::All) {
                tally.say(self.own.as_bytes(), kind, lines);
            }
        }
        Ok(())
    }

    /// Renders servers over all backends, behind all batches.
    fn totals(
        &self,
        mut totals: Totals,
        site: &mut Site,
        tally: &mut Tally,
        cluster: Option<&mut Cluster>,
        lines: &mut Lines<'_>,
    ) {
        let start = Instant::now();
        let Some(plan) = self.plans.get(Kind::Server as usize) else { return };
        let groups = Groups { servers: Some(totals.grouped(plan)), ..Groups::default() };
        if let Some(cluster) = cluster {
            cluster.add(Kind::Server, &groups, &totals.names, &Pairs::default());
        }
        site.objects.begin(&totals.names, site.stats.generation());
        let count =
            site.objects.render(plan, &groups, (&totals.names, &Pairs::default()), &HashSet::new(), lines, &mut |_| ());
        if let Some((all, elapsed)) = tally.kinds.get_mut(Kind::Server as usize) {
            *all += count;
            *elapsed += start.elapsed();
        }
        // The numbers of these names are no other's.
        site.stats.forget();
    }
}

impl Tally {
    /// How many metrics of a kind there were and how long they took, once no host follows.
    fn say(&self, own: &[u8], kind: Kind, lines: &mut Lines<'_>) {
        let (metrics, time) = match kind {
            Kind::Frontend => (SnapshotFigure::MetricsFrontend, SnapshotFigure::WallClockTimeFrontends),
            Kind::Backend => (SnapshotFigure::MetricsBackend, SnapshotFigure::WallClockTimeBackends),
            Kind::Server => (SnapshotFigure::MetricsServer, SnapshotFigure::WallClockTimeServers),
        };
        if let Some((count, elapsed)) = self.kinds.get(kind as usize).filter(|_| self.last) {
            // The count of metrics counts itself.
            own_count(own, metrics, *count + 1, lines);
            own_seconds(own, time, *elapsed, lines);
        }
    }
}

/// What is aggregated.
#[derive(Debug)]
enum Share<'a> {
    /// All there is.
    All,
    /// Some proxies; servers over all backends are put together here, where they are wanted.
    Batch(Option<&'a mut Totals>),
}

/// Objects that are left out, since a part of theirs cannot be read.
#[derive(Debug, Default)]
struct Lost {
    objects: u64,
    /// Some of them, in words.
    some: BTreeSet<String>,
    servers: bool,
}

impl Lost {
    fn note(&mut self, unknown: &Unknown, names: &Names, servers: &Pairs) {
        self.objects += unknown.objects.iter().map(|objects| objects.len() as u64).sum::<u64>();
        self.servers |= unknown.servers_of != Which::default();
        for kind in Kind::ALL {
            for key in unknown.of_kind(kind).into_iter().flatten() {
                let name = match kind {
                    Kind::Frontend | Kind::Backend => names.get(NameId(*key)).to_owned(),
                    Kind::Server => servers.get(*key).map_or_else(String::new, |(backend, server)| {
                        format!("{}/{}", names.get(backend), names.get(server))
                    }),
                };
                self.some.insert(format!("{} {name}", kind.word()));
                if self.some.len() > LOGGED_OBJECTS {
                    self.some.pop_last();
                }
            }
        }
    }

    fn say(self, dir: &Path, report: &mut Report) {
        report.unknown_objects += self.objects;
        let snapshot = dir.display();
        if self.objects > 0 {
            let some: Vec<String> = self.some.into_iter().collect();
            tracing::warn!(
                %snapshot,
                objects = self.objects,
                some = some.join(", "),
                "left out: what a process says of them cannot be read, and their figures would be wrong without it"
            );
        }
        if self.servers {
            tracing::warn!(%snapshot, "numbers of servers left out: a row that cannot be read may be one of a server");
        }
    }
}

/// Rows of one file that were left out.
#[derive(Debug, Default)]
struct Refused(u64);

impl Refused {
    fn row(&mut self, path: &Path, line: u64, reason: RowError) {
        self.0 += 1;
        if self.0 <= LOGGED_ROWS {
            tracing::warn!(file = %path.display(), line, %reason, "row left out");
        }
    }

    /// To be called when the file has no further row.
    fn end(&self, path: &Path, report: &mut Report) {
        report.refused_rows += self.0;
        if self.0 > LOGGED_ROWS {
            tracing::warn!(file = %path.display(), rows = self.0, "rows left out in this file");
        }
    }
}

/// What the files of a host turned out to be.
#[derive(Debug, Default)]
struct Found {
    readable: usize,
    /// Files with a header and no row.
    bare: BTreeSet<String>,
}

impl Found {
    /// Takes note of how many rows of a file could be read, if any. Returns whether all rows of a process are missing
    /// without it.
    fn file(
        &mut self,
        dir: &Path,
        file: &str,
        rows: Result<u64, FileError>,
        report: &mut Report,
    ) -> Result<bool, PipelineError> {
        match rows {
            Ok(0) => {
                self.bare.insert(file.to_owned());
            }
            Ok(_) => self.readable += 1,
            Err(FileError::Io(source)) => return Err(PipelineError::File { path: dir.join(file), source }),
            Err(error) => {
                let missing = refuse_file(dir, file, STAT_SUFFIX, &error, report);
                // What its rows say of themselves is known.
                return Ok(missing && !matches!(error, FileError::NoRows));
            }
        }
        Ok(false)
    }

    /// Whether any file could be read; `before` are those that were bare in the last snapshot.
    fn end(self, dir: &Path, before: &mut BTreeSet<String>) -> bool {
        for file in self.bare.difference(before) {
            tracing::info!(file = %dir.join(file).display(), "this HAProxy has no proxy");
        }
        *before = self.bare;
        if self.readable == 0 && before.is_empty() {
            tracing::error!(snapshot = %dir.display(), "no statistics of proxies could be read");
        }
        self.readable > 0
    }
}
