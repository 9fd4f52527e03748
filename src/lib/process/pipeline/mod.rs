//! One snapshot directory in, objects and their values out: the only place that knows the order parse, aggregate, render.
//!
//! ```text
//! files ─► sites (whose they are) ─► twins (a process once) ─► daemon, proxies ─► aggregate ─► render ─► sink
//! ```

mod bounds;
mod daemon;
mod ended;
mod exclude;
mod families;
mod files;
mod found;
mod hosts;
mod inventory;
mod latency;
mod own;
mod proxies;
mod run;
mod sites;
mod source;
mod stranger;
mod twins;

pub(crate) use inventory::Holding;
pub use own::SnapshotFigure;
pub use run::{PipelineError, Report};

use crate::aggregate::latency::Latencies;
use crate::batch::messages::Messages;
use crate::batch::{Batch, Output, Piece};
use crate::config::Config;
use crate::encode::encoder::Encoder;
use crate::encode::prefix::Prefixes;
use crate::encode::sink::{Sink, Skipped};
use crate::encode::unchanged::Unchanged;
use crate::haproxy::family::Families;
use crate::haproxy::per_kind::PerKind;
use crate::plan::{DaemonPlan, KindPlan};
use crate::render::path::{About, Paths};
use crate::render::pieces::{self, Outlet};
use crate::snapshot::Epoch;
use crate::snapshot::members::{Member, Members};
use bounds::Bounds;
use exclude::Excluded;
use families::Unknowns;
use files::Files;
use run::Run;
use sites::Sites;
use std::num::NonZeroU64;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};
use twins::Twins;

/// Renders snapshots. Keeps what does not change from one snapshot to the next: the plan of columns, paths by name.
#[derive(Debug)]
pub struct Pipeline {
    own: Prefixes,
    figures: own::Known,
    daemon: DaemonPlan,
    plans: Arc<PerKind<KindPlan>>,
    /// The hosts whose statistics are processed: this one, or those of `[hosts]`.
    sites: Sites,
    /// Several sockets of one process.
    twins: Twins,
    exclude_frontends: Excluded,
    exclude_backends: Excluded,
    families: Families,
    state_series: bool,
    /// Lines of replies that are not understood.
    unknowns: Unknowns,
    epoch: Epoch,
    bounds: Bounds,
    /// The snapshot was processed before: how long it takes now says nothing about that time.
    again: bool,
    /// Whether buckets of response times are sent.
    buckets: bool,
    sink: Sink,
    /// What [`Pipeline::run`] made for others than those who take lines.
    rest: Piece,
}

impl Pipeline {
    /// For all destinations of this configuration; `hostname` is what gethostname(2) says.
    #[must_use]
    pub fn new(config: &Config, hostname: &str) -> Self {
        let every = NonZeroU64::try_from(config.process.send_unchanged_every).ok().filter(|every| every.get() > 1);
        Self::with(config, hostname, Sink::new(config, every.map(Unchanged::new)))
    }

    /// For lines in plaintext, whatever the destinations take.
    #[must_use]
    pub fn plaintext(config: &Config, hostname: &str) -> Self {
        Self::with(config, hostname, Sink::plaintext(config))
    }

    /// For this encoder alone, whatever the destinations take.
    #[must_use]
    pub fn only(config: &Config, hostname: &str, encoder: Box<dyn Encoder>) -> Self {
        Self::with(config, hostname, Sink::only(encoder))
    }

    fn with(config: &Config, hostname: &str, sink: Sink) -> Self {
        let process = &config.process;
        let paths = Paths::new(config, hostname);
        let plans = Arc::new(PerKind::new(|kind| match KindPlan::new(kind, process) {
            plan if process.cluster_metrics || sink.takes_fields() => plan.and_beyond(),
            plan => plan,
        }));
        Self {
            own: paths.of(About::Own),
            figures: own::Known::default(),
            sites: Sites::new(config, hostname, paths, &plans),
            daemon: DaemonPlan::new(process),
            plans,
            twins: Twins::default(),
            exclude_frontends: Excluded::new(process.exclude_frontends.clone()),
            exclude_backends: Excluded::new(process.exclude_backends.clone()),
            families: config.pull.families,
            state_series: process.state_series,
            unknowns: Unknowns::default(),
            epoch: Epoch(0),
            bounds: Bounds::from_environment(),
            again: false,
            buckets: process.latency_buckets,
            sink,
            rest: Piece::default(),
        }
    }

    /// For tests only: proxies are read in batches of so many bytes, however few there are.
    #[doc(hidden)]
    #[must_use]
    pub fn in_batches_of(self, bytes: u64) -> Self {
        Self { bounds: Bounds::both(bytes), ..self }
    }

    /// Begins a snapshot: what is left of another is forgotten. Lines go to `buffer`, which is to be empty.
    pub fn begin(&mut self, epoch: Epoch, buffer: Vec<u8>) {
        self.epoch = epoch;
        self.sink.begin(epoch, buffer);
    }

    /// Whether snapshots were processed before, from now on: then nothing is sent about how long it takes.
    pub fn again(&mut self, again: bool) {
        self.again = again;
    }

    /// Leaves out what has not changed since `before`, where less is to be sent: the newest snapshot that any worker was given
    /// before this one.
    pub fn compare(&mut self, before: Option<Epoch>) {
        self.sink.compare(before);
    }

    /// The next snapshot is sent in full.
    pub fn forget(&mut self) {
        self.sink.forget();
    }

    /// Renders the snapshot in `dir`, all pieces but the last of which go to `outlet`.
    ///
    /// # Errors
    /// When the directory cannot be read; what went to `outlet` is void then.
    pub async fn render(&mut self, dir: &Path, outlet: &Outlet) -> Result<Report, PipelineError> {
        let failed = |source| PipelineError::Directory { path: dir.to_owned(), source };
        if self.sink.is_idle() {
            // All destinations take the files as they are.
            return Files::is_there(dir).map(|()| Report::default()).map_err(failed);
        }
        let files = Files::list(dir).map_err(failed)?;
        self.sites.members = Members::read(dir).map_err(failed)?;
        self.render_files(dir, &files, outlet).await
    }

    async fn render_files(&mut self, dir: &Path, files: &Files, outlet: &Outlet) -> Result<Report, PipelineError> {
        let start = Instant::now();
        let mut run = Run {
            dir,
            plans: &self.plans,
            daemon: &self.daemon,
            own: &self.own,
            excluded: (&mut self.exclude_frontends, &mut self.exclude_backends),
            families: self.families,
            state_series: self.state_series,
            told: &mut self.unknowns,
            epoch: self.epoch,
            bounds: self.bounds,
            times: !self.again,
            sink: &mut self.sink,
            outlet,
            latencies: Latencies::default(),
            buckets: self.buckets,
            report: Report::default(),
            tally: run::Tally::default(),
        };
        run.hosts(files, &mut self.sites, &mut self.twins).await?;
        run.own_seconds(SnapshotFigure::WallClockTimeAllStats, start.elapsed());
        Ok(run.report)
    }

    /// A figure about haproxystats itself, of the moment `stamp`; nothing when it is not finite.
    pub(crate) fn own_metric(&mut self, name: &str, value: f64, stamp: Epoch) {
        self.sink.stamp(stamp);
        own::named(&self.own, &mut self.figures, name, value, &mut self.sink);
    }

    /// The hosts that the last snapshot was assembled from, by the marks of their files; none where it was not.
    #[must_use]
    pub fn members(&self) -> Vec<(String, Member)> {
        let hosts = self.sites.members.iter().flat_map(|members| &members.hosts);
        hosts.map(|(mark, member)| (mark.clone(), member.clone())).collect()
    }

    /// The same as [`Pipeline::own_metric`] about haproxystats on another host.
    pub(crate) fn metric_of(&mut self, member: &Member, name: &str, value: f64) {
        let Some(paths) = self.sites.enter_own(member, &mut self.sink) else { return };
        self.sink.stamp(self.epoch);
        own::named(&paths, &mut self.figures, name, value, &mut self.sink);
        self.sites.leave(&mut self.sink);
    }

    /// A time that the processing took, with three decimals.
    pub(crate) fn own_time(&mut self, figure: SnapshotFigure, time: Duration, stamp: Epoch) {
        if !self.again {
            let seconds = (time.as_secs_f64() * 1000.0).round() / 1000.0;
            self.own_metric(figure.definition().name, seconds, stamp);
        }
    }

    /// Lines so far.
    #[must_use]
    pub fn lines(&self) -> usize {
        self.sink.count()
    }

    /// Ends the snapshot with the last piece, and says what was left out of it.
    pub fn end(&mut self) -> (Piece, Skipped) {
        self.sink.end();
        (self.sink.take(false, Vec::new()), self.sink.skipped)
    }

    /// Appends the lines of the snapshot in `dir` to `out`, and returns with what was found how many those are.
    ///
    /// # Errors
    /// When the directory cannot be read; then nothing was appended.
    pub fn run(&mut self, dir: &Path, epoch: Epoch, out: &mut Vec<u8>) -> Result<(usize, Report), PipelineError> {
        let outlet = Outlet::whole();
        // Its memory serves where there is nothing in it.
        let buffer = if out.is_empty() { std::mem::take(out) } else { Vec::new() };
        self.begin(epoch, buffer);
        let report = pieces::whole(&outlet, self.render(dir, &outlet))?;
        let lines = self.lines();
        let (mut piece, _) = self.end();
        let text = piece.take(Output::Plaintext).map(|batch| batch.text).unwrap_or_default();
        if out.is_empty() {
            *out = text;
        } else {
            out.extend(text);
        }
        self.rest = piece;
        Ok((lines, report))
    }

    /// What destinations of this kind get of the snapshot that was last [`Pipeline::run`]; nothing where there are none.
    pub fn batch(&mut self, output: Output) -> Option<Batch> {
        self.rest.take(output)
    }

    /// The messages of the snapshot that was last [`Pipeline::run`]; none where they are not wanted.
    pub fn messages(&mut self) -> Messages {
        self.messages_for(Output::Kafka)
    }

    /// The same for another destination that takes messages.
    pub fn messages_for(&mut self, output: Output) -> Messages {
        self.rest.take(output).map(|batch| batch.messages).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_cannot_be_read_keeps_the_snapshot() {
        let place = tempfile::tempdir().unwrap();
        std::fs::write(place.path().join("a_info"), "Maxconn: 1\n").unwrap();
        std::fs::write(place.path().join("a_stat"), "# pxname,svname,type,\nb,BACKEND,1,\n").unwrap();
        let mut pipeline = Pipeline::new(&crate::testing::config(), "host");
        let mut out = b"before".to_vec();
        let mut files = Files::default();
        ["a_info", "gone_stat"].into_iter().for_each(|name| files.add(name.to_owned()));
        let outlet = Outlet::whole();
        pipeline.begin(Epoch(1), Vec::new());
        let error = pieces::whole(&outlet, pipeline.render_files(place.path(), &files, &outlet)).unwrap_err();
        assert!(matches!(error, PipelineError::File { path, .. } if path.ends_with("gone_stat")));
        assert!(pipeline.run(place.path(), Epoch(1), &mut out).is_ok());
    }
}
