//! What a command line may ask for.

use crate::snapshot::moment::Span;
use std::num::NonZeroU64;
use std::path::PathBuf;

/// A command line that was understood.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Arguments {
    /// The configuration file.
    pub file: PathBuf,
    /// The directory of further ones.
    pub dir: Option<PathBuf>,
    /// What the command line sets, as text of a configuration file.
    pub overrides: String,
    /// What is asked for.
    pub action: Action,
}

/// What is asked for.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Action {
    /// Run the daemon.
    Run,
    /// What haproxystats-discovery is to do.
    Discover(Discover),
    /// Process one snapshot (`haproxystats-process --once`).
    Once {
        /// The directory, or an archive.
        snapshot: PathBuf,
        /// Count series instead of printing metrics (`--count`).
        count: bool,
    },
    /// Explain how a metric is calculated (`haproxystats-process --explain`).
    ExplainMetric {
        /// Its name.
        metric: String,
        /// The snapshot; by default the newest one that waits.
        snapshot: Option<PathBuf>,
    },
    /// Send stored snapshots again (`haproxystats-process --replay`).
    Replay(Box<Replay>),
    /// Say what HAProxy does with this answer (`haproxystats-agent --explain`).
    Explain(String),
    /// Print another agent's configuration as ours (`haproxystats-agent --import-datawave`).
    Import(PathBuf),
    /// Print rules that make HAProxy count response times (`haproxystats-pull --latency-rules`).
    LatencyRules(LatencyRules),
    /// `--check`, and whether warnings count as errors.
    Check {
        /// `--strict`
        strict: bool,
    },
    /// What haproxystats-top is to show.
    Top(Top),
    /// Ask every socket for every family (`haproxystats-pull --check --ask`), or every destination
    /// (`haproxystats-process --check --ask`).
    Ask,
    /// `haproxystats-pull --setup`, and the files or directories of HAProxy's configuration.
    Setup(Vec<PathBuf>),
    /// `--status`, and whether as JSON.
    Status(bool),
    /// `--nagios` and what follows it.
    Nagios(Vec<String>),
    /// `--print`
    PrintDefaults,
    /// `--print-conf`
    PrintConfiguration,
    /// `--help`
    Help,
    /// `--version`
    Version,
}

/// What haproxystats-top is to show, and how.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Top {
    /// One table or document, and no screen.
    pub once: bool,
    /// Documents instead of the screen or the table.
    pub json: bool,
    /// Seconds from one tick to the next.
    pub interval: f64,
    /// The only host to look at.
    pub host: Option<String>,
    /// An archive, a directory of snapshots, or a single one, in place of the sockets.
    pub replay: Option<PathBuf>,
    /// The period of the snapshots to show.
    pub span: Span,
}

/// Where snapshots are stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Place {
    /// An archive, a directory of snapshots, or a single one.
    Stored(PathBuf),
    /// A Kafka topic.
    Topic(String),
}

/// Stored snapshots that are to be sent again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Replay {
    /// Where they are.
    pub place: Place,
    /// Their period.
    pub span: Span,
    /// Most metrics in a second.
    pub rate: NonZeroU64,
    /// File that records the progress.
    pub resume: Option<PathBuf>,
    /// Destination instead of the configured ones.
    pub to_graphite: Option<String>,
    /// The host of snapshots without an origin.
    pub hostname: Option<String>,
}

/// What the rules that count response times are to be like, in the words of the command line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LatencyRules {
    /// Bounds of the buckets, in milliseconds.
    pub buckets: String,
    /// What is counted.
    pub timers: String,
    /// Name of the table.
    pub table: String,
    /// The `defaults` section that the rules build on.
    pub base: String,
    /// Where workers of HAProxy hand the table on; empty where they do not.
    pub peers: String,
}

/// What haproxystats-discovery is asked for: a server, a client, or both.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Discover {
    /// Source to store.
    pub server: bool,
    /// Store to HAProxy.
    pub client: bool,
    pub run: Run,
}

/// How long haproxystats-discovery runs, and whether it changes anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Run {
    /// Until a signal comes.
    Loop,
    /// One round (`--once`).
    Once,
    /// One round that changes nothing and prints what it would change (`--dry-run`).
    Dry,
}
