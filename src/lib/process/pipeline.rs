//! One snapshot directory in, Graphite lines out: the only place that knows the order parse, aggregate, render.

mod own;
mod proxies;
mod source;
mod stranger;

pub use own::SnapshotFigure;

use crate::aggregate::cluster::Cluster;
use crate::aggregate::daemon;
use crate::config::{Config, KafkaFormat};
use crate::haproxy::columns::Kind;
use crate::messages::Messages;
use crate::names::sanitize;
use crate::parse::info::{self, Info};
use crate::plan::{DaemonPlan, KindPlan, is_daemon_counter};
use crate::process::exclude::Excluded;
use crate::process::pieces::{Pieces, Stopped, Taker};
use crate::process::sites::{Site, Sites};
use crate::process::twins::Twins;
use crate::render::line::{Lines, Skipped};
use crate::render::messages::Shape;
use crate::render::path::Paths;
use crate::render::record::{Host, Object, ObjectKind, Recorder};
use crate::snapshot::{Epoch, INFO_SUFFIX, STAT_SUFFIX};
use crate::value::Value;
use own::{own, own_count, own_seconds};
use proxies::Bounds;
use std::collections::HashMap;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Why a snapshot could not be processed at all. A bad row or a bad file is not among the reasons: those are counted
/// in the [`Report`].
#[derive(Debug, thiserror::Error)]
pub enum PipelineError {
    /// The directory cannot be listed.
    #[error("cannot read directory {}", path.display())]
    Directory {
        /// The snapshot.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A file cannot be opened or read. What the rest of the snapshot says would be sent as if it were all, and the
    /// snapshot removed; so it is kept instead.
    #[error("cannot read {}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// polars refused columns that were made for it.
    #[error("cannot aggregate {kind}s")]
    Aggregate {
        /// Which.
        kind: &'static str,
        /// Why.
        source: polars::error::PolarsError,
    },
    /// Whoever takes the pieces wants no more.
    #[error(transparent)]
    Stopped(#[from] Stopped),
}

/// What a run found, beside its lines.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    /// Lines of all pieces.
    pub lines: usize,
    /// Pieces that were handed over, without the last.
    pub pieces: usize,
    /// Lines of these pieces.
    pub handed_over: usize,
    /// Rows that were left out because they could not be read.
    pub refused_rows: u64,
    /// Files that were left out because nothing in them could be read.
    pub refused_files: u64,
    /// Frontends, backends and servers that were left out, though some processes tell of them: the part of another process
    /// could not be read.
    pub unknown_objects: u64,
    /// Sockets that were left out because another one leads to the same process.
    pub counted_once: u64,
    /// What was left out because less is to be sent.
    pub skipped: Skipped,
}

/// Renders snapshots. Keeps what does not change from one snapshot to the next: the plan of columns, paths by name.
#[derive(Debug)]
pub struct Pipeline {
    own: String,
    daemon: DaemonPlan,
    plans: Arc<[KindPlan; 3]>,
    /// The hosts whose statistics are processed: this one, or those of `[hosts]`.
    sites: Sites,
    /// Several sockets of one process.
    twins: Twins,
    exclude_frontends: Excluded,
    exclude_backends: Excluded,
    bounds: Bounds,
    /// Objects for messages, where those are wanted.
    recorded: Option<(Recorder, Shape)>,
}

impl Pipeline {
    /// Builds the plan for this configuration; `hostname` is what gethostname(2) says.
    #[must_use]
    pub fn new(config: &Config, hostname: &str) -> Self {
        let process = &config.process;
        let paths = Paths::new(config, hostname);
        let messages = config.kafka.as_ref().is_some_and(|kafka| kafka.format != KafkaFormat::Graphite);
        let plans = Arc::new(Kind::ALL.map(|kind| match KindPlan::new(kind, process) {
            plan if process.cluster_metrics || messages => plan.and_beyond(),
            plan => plan,
        }));
        Self {
            own: paths.own(),
            sites: Sites::new(config, hostname, paths, &plans),
            daemon: DaemonPlan::new(process),
            plans,
            twins: Twins::default(),
            exclude_frontends: Excluded::new(process.exclude_frontends.clone()),
            exclude_backends: Excluded::new(process.exclude_backends.clone()),
            bounds: Bounds::from_environment(),
            recorded: config.kafka.as_ref().map(|kafka| {
                let fqdn = config.graphite.fqdn;
                let name = if fqdn { hostname } else { hostname.split('.').next().unwrap_or(hostname) };
                let host = Host { name: name.to_owned(), cluster: kafka.cluster.clone() };
                let shape = Shape { format: kafka.format, key: kafka.key.clone(), limit: kafka.max_message_size.get() };
                (Recorder::new(kafka.format, host), shape)
            }),
        }
    }

    /// For tests only: proxies are read in batches of so many bytes, however few there are.
    #[doc(hidden)]
    #[must_use]
    pub fn in_batches_of(self, bytes: u64) -> Self {
        Self { bounds: Bounds::both(bytes), ..self }
    }

    /// Appends the lines of the snapshot in `dir` to `out`.
    ///
    /// # Errors
    /// When the directory cannot be read; then nothing was appended.
    pub fn run(&mut self, dir: &Path, epoch: Epoch, out: &mut Vec<u8>) -> Result<Report, PipelineError> {
        self.run_in_pieces(dir, epoch, out, None)
    }

    /// The same, where a large snapshot goes to `taker` piece by piece; the rest of it is in `out`, which is to be empty.
    ///
    /// # Errors
    /// As above; what went to `taker` is void then.
    pub fn run_in_pieces(
        &mut self,
        dir: &Path,
        epoch: Epoch,
        out: &mut Vec<u8>,
        taker: Option<&mut Taker<'_>>,
    ) -> Result<Report, PipelineError> {
        let start = Instant::now();
        let files = Files::list(dir).map_err(|source| PipelineError::Directory { path: dir.to_owned(), source })?;
        let own = self.own.clone().into_bytes();
        let before = out.len();
        let (mut recorder, shape) = self.recorded.take().unzip();
        if let Some(recorder) = &mut recorder {
            recorder.clear();
        }
        let mut report = Report::default();
        let result = {
            let mut pieces = Pieces::new(epoch, taker.map(|taker| -> &mut Taker<'_> { taker }), shape.as_ref());
            let mut lines = Lines::recorded(out, epoch, recorder.as_mut());
            let result = self.all(dir, &files, &own, &mut lines, &mut pieces, &mut report);
            own_seconds(&own, SnapshotFigure::WallClockTimeAllStats, start.elapsed(), &mut lines);
            report.lines = lines.count();
            report.skipped = lines.skipped;
            (report.pieces, report.handed_over) = (pieces.count, pieces.lines);
            result
        };
        self.recorded = recorder.zip(shape);
        if let Err(error) = result {
            out.truncate(if report.pieces > 0 { 0 } else { before });
            return Err(error);
        }
        Ok(report)
    }

    /// The beginning of the paths of lines about haproxystats itself.
    #[must_use]
    pub fn own(&self) -> &str {
        &self.own
    }

    /// The messages of the snapshot that was last rendered, or of the last piece of it, `text` being all of its lines; none
    /// where they are not wanted.
    pub fn messages(&mut self, text: &[u8]) -> Messages {
        match &mut self.recorded {
            Some((recorder, shape)) => {
                recorder.end(text.len());
                shape.messages(recorder, text, false)
            }
            None => Messages::default(),
        }
    }

    /// Appends one line `<namespace>[.<host>].haproxy.haproxystats.<name> <value> <epoch>`, and returns how many
    /// lines that were: none when the value is not finite.
    pub fn own_metric(&mut self, name: &str, value: f64, epoch: Epoch, out: &mut Vec<u8>) -> usize {
        let recorder = self.recorded.as_mut().map(|(recorder, _)| recorder);
        let mut lines = Lines::recorded(out, epoch, recorder);
        own(self.own.as_bytes(), name.as_bytes(), Value::Float(value), &mut lines);
        lines.count()
    }

    /// Host after host: the daemon, then the proxies; then the clusters.
    fn all(
        &mut self,
        dir: &Path,
        files: &Files,
        own: &[u8],
        lines: &mut Lines<'_>,
        pieces: &mut Pieces<'_>,
        report: &mut Report,
    ) -> Result<(), PipelineError> {
        if files.info.is_empty() {
            tracing::warn!(snapshot = %dir.display(), "no file with statistics of the daemon");
        }
        if files.stat.is_empty() {
            tracing::warn!(snapshot = %dir.display(), "no file with statistics of proxies");
        }
        let mut sites = std::mem::take(&mut self.sites);
        let result = self.hosts(dir, files, own, &mut sites, (lines, pieces), report);
        self.sites = sites;
        result
    }

    fn hosts(
        &mut self,
        dir: &Path,
        files: &Files,
        own: &[u8],
        sites: &mut Sites,
        (lines, pieces): (&mut Lines<'_>, &mut Pieces<'_>),
        report: &mut Report,
    ) -> Result<(), PipelineError> {
        let parts = sites.divide(files);
        let last = parts.len().saturating_sub(1);
        let mut tally = Tally::default();
        sites.begin();
        for (number, (host, mut files)) in parts.into_iter().enumerate() {
            report.counted_once += self.twins.leave_out(dir, &mut files);
            let Some((site, cluster)) = sites.enter(host.as_ref(), lines) else { continue };
            tally.last = number == last;
            if !files.info.is_empty() {
                let start = Instant::now();
                self.daemon(dir, &files.info, (&mut *site, &mut tally), cluster, lines, report)?;
                tally.daemon.1 += start.elapsed();
            }
            if tally.last && tally.daemon.0 > 0 {
                sites.leave(lines);
                own_count(own, SnapshotFigure::MetricsHAProxy, tally.daemon.0, lines);
                own_seconds(own, SnapshotFigure::WallClockTimeHAProxy, tally.daemon.1, lines);
            } else if tally.last && !files.info.is_empty() {
                own_seconds(own, SnapshotFigure::WallClockTimeHAProxy, tally.daemon.1, lines);
            }
            let Some((site, cluster)) = sites.enter(host.as_ref(), lines) else { continue };
            if !files.stat.is_empty() {
                self.proxies(dir, &files.stat, (site, &mut tally), cluster, (&mut *lines, pieces), report)?;
            }
        }
        sites.clusters(&self.plans, lines);
        sites.leave(lines);
        Ok(())
    }

    /// The daemon: all processes together, and each.
    fn daemon(
        &self,
        dir: &Path,
        files: &[String],
        (site, tally): (&mut Site, &mut Tally),
        mut cluster: Option<&mut Cluster>,
        lines: &mut Lines<'_>,
        report: &mut Report,
    ) -> Result<(), PipelineError> {
        let mut processes = Vec::with_capacity(files.len());
        let mut missing = 0;
        for file in files {
            let path = dir.join(file);
            let read = File::open(&path).map_err(Into::into).and_then(|input| {
                Info::read(input, |line, field| {
                    tracing::warn!(file = %path.display(), line, field, "skipped: not a 64-bit integer");
                })
            });
            match read {
                Ok(info) => {
                    report.refused_rows += info.refused;
                    processes.push((file.strip_suffix(INFO_SUFFIX).unwrap_or(file), info));
                }
                Err(info::FileError::Io(source)) => return Err(PipelineError::File { path, source }),
                Err(error) => missing += usize::from(refuse_file(dir, file, INFO_SUFFIX, &error, report)),
            }
        }
        if missing > 0 {
            let snapshot = dir.display();
            tracing::warn!(%snapshot, missing, "figures of the daemon left out: those of a process could not be read, and those of all would be wrong without them");
            cluster.iter_mut().for_each(|cluster| cluster.doubt_daemon());
        }
        if processes.is_empty() {
            return Ok(());
        }
        let infos: Vec<Info> = processes.iter().map(|(_, info)| info.clone()).collect();
        // The count of metrics counts itself.
        tally.daemon.0 = tally.daemon.0.max(1);
        lines.begin(|| Object::unnamed(ObjectKind::Daemon));
        let overall = daemon::overall(&self.daemon, &infos, missing);
        if missing == 0 && !overall.unknown.is_empty() {
            let (snapshot, figures) = (dir.display(), overall.unknown.join(" "));
            tracing::warn!(%snapshot, figures, "figures of the daemon left out: that of a process could not be read, and that of all would be wrong without it");
        }
        if let Some(cluster) = cluster {
            cluster.add_daemon(&overall);
        }
        let skip_zero = self.daemon.skip_zero;
        tally.daemon.0 += send(&site.paths.daemon(), overall.figures, skip_zero, lines);
        if self.daemon.per_process {
            for (name, info) in process_names(&processes).into_iter().zip(&infos) {
                lines.begin(|| Object::named(ObjectKind::Process, "", &name));
                let figures = daemon::of_process(&self.daemon, info);
                tally.daemon.0 += send(&site.paths.process(&name), figures, skip_zero, lines);
            }
        }
        Ok(())
    }
}

/// What is said about the processing of all hosts together.
#[derive(Debug, Default)]
struct Tally {
    /// Metrics of the daemon, and the time that they took.
    daemon: (i64, Duration),
    /// The same of each kind of object.
    kinds: [(i64, Duration); 3],
    /// Whether no host follows.
    last: bool,
}

/// The files of a snapshot, in the order of their names.
#[derive(Debug, Default)]
pub(super) struct Files {
    pub(super) info: Vec<String>,
    pub(super) stat: Vec<String>,
}

impl Files {
    /// Regular files whose names end as ours do; hidden files, links and anything else are not read.
    fn list(dir: &Path) -> std::io::Result<Self> {
        let mut files = Self::default();
        for entry in std::fs::read_dir(dir)? {
            let entry = entry?;
            let Ok(name) = entry.file_name().into_string() else { continue };
            if name.starts_with('.') || !entry.file_type()?.is_file() {
                continue;
            }
            if name.ends_with(INFO_SUFFIX) {
                files.info.push(name);
            } else if name.ends_with(STAT_SUFFIX) {
                files.stat.push(name);
            }
        }
        files.info.sort_unstable();
        files.stat.sort_unstable();
        Ok(files)
    }
}

/// Counts and reports a file of which nothing could be used. Returns whether figures of a process are missing without it.
fn refuse_file(dir: &Path, file: &str, suffix: &str, error: &dyn std::error::Error, report: &mut Report) -> bool {
    report.refused_files += 1;
    let path = dir.join(file);
    match error.source() {
        Some(source) => tracing::error!(file = %path.display(), %error, %source, "file left out"),
        None => tracing::error!(file = %path.display(), %error, "file left out"),
    }
    !stranger::is_stranger(dir, file.strip_suffix(suffix).unwrap_or(file))
}

/// Sends figures, and returns how many there were, those without a value included.
fn send(prefix: &str, figures: Vec<daemon::Figure>, skip_zero: bool, lines: &mut Lines<'_>) -> i64 {
    let mut count = 0;
    lines.record(|recorder| {
        for (place, (name, value)) in figures.iter().enumerate() {
            // One that is listed twice is sent twice, but an object has it once.
            let again = figures.iter().take(place).any(|(before, _)| before == name);
            if let (Some(value), false) = (value, again) {
                recorder.field(sanitize(name.as_bytes()).as_bytes(), *value);
            }
        }
    });
    for (name, value) in figures {
        if skip_zero && value.is_some_and(Value::is_zero) && is_daemon_counter(name) {
            lines.skipped.zeros += 1;
            continue;
        }
        count += 1;
        if let Some(value) = value {
            lines.push(prefix.as_bytes(), sanitize(name.as_bytes()).as_bytes(), value);
        }
    }
    count
}

/// The path element of each process: its number, or the name of its socket where another process has the same number
/// (every HAProxy since 2.5 says 1) or where it has none.
fn process_names(processes: &[(&str, Info)]) -> Vec<String> {
    let number = |info: &Info| info.get("Process_num");
    let mut uses: HashMap<i128, usize> = HashMap::new();
    for number in processes.iter().filter_map(|(_, info)| number(info)) {
        *uses.entry(number).or_default() += 1;
    }
    processes
        .iter()
        .map(|(socket, info)| match number(info) {
            Some(number) if uses.get(&number) == Some(&1) => number.to_string(),
            _ => sanitize(socket.as_bytes()),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn info(text: &str) -> Info {
        Info::read(text.as_bytes(), |_, _| {}).unwrap()
    }

    #[test]
    fn a_file_that_cannot_be_read_keeps_the_snapshot() {
        let place = tempfile::tempdir().unwrap();
        std::fs::write(place.path().join("a_info"), "Maxconn: 1\n").unwrap();
        std::fs::write(place.path().join("a_stat"), "# pxname,svname,type,\nb,BACKEND,1,\n").unwrap();
        let mut pipeline = Pipeline::new(&crate::testing::config(), "host");
        let mut out = b"before".to_vec();
        let files = Files { info: vec!["a_info".to_owned()], stat: vec!["gone_stat".to_owned()] };
        let mut lines = Lines::new(&mut out, Epoch(1));
        let error = pipeline
            .all(
                place.path(),
                &files,
                b"own.",
                &mut lines,
                &mut Pieces::new(Epoch(1), None, None),
                &mut Report::default(),
            )
            .unwrap_err();
        assert!(matches!(error, PipelineError::File { path, .. } if path.ends_with("gone_stat")));
        assert!(pipeline.run(place.path(), Epoch(1), &mut out).is_ok());
    }

    #[test]
    fn processes_that_share_a_number_go_by_their_sockets() {
        let processes = [
            ("a.sock", info("Process_num: 1\n")),
            ("b.sock", info("Process_num: 1\n")),
            ("c.sock", info("Process_num: 2\n")),
            ("d.sock", info("Maxconn: 2\n")),
        ];
        assert_eq!(process_names(&processes), ["a_sock", "b_sock", "2", "d_sock"]);
    }
}
