//! The configuration: what was written ([`ini`]), and what it means (the section structs below).
//!
//! Section structs hold durations, addresses and paths, never text that has to be parsed later. A value that
//! cannot be right is refused when the configuration is loaded, all such values at once.

use std::num::{NonZeroU64, NonZeroUsize};
use std::path::PathBuf;
use std::time::Duration;

/// The whole configuration of both daemons, checked.
#[derive(Debug, Clone)]
pub struct Config {
    /// `[pull]`
    pub pull: Pull,
    /// `[process]`
    pub process: Process,
    /// `[graphite]`
    pub graphite: Graphite,
    /// `[local-store]`; `None` when the section is not there.
    pub local_store: Option<LocalStore>,
    /// `[frontend-groups]`, `[backend-groups]`, `[server-groups]`
    pub groups: Groups,
}

/// `loglevel`: the original's five names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum LogLevel {
    /// Everything, one line per file and connection.
    Debug,
    /// Start, stop and one line per snapshot.
    Info,
    /// Something is odd, nothing is lost.
    Warning,
    /// Data is lost or late, or a human is needed.
    Error,
    /// The program cannot go on.
    Critical,
}

/// `retries`: how often a failed connection is tried again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Retries {
    /// -1: for ever.
    Forever,
    /// 0 or more: after the first attempt, this many more.
    Times(u32),
}

/// One element of `[pull] servers`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Server {
    /// `unix:///run/haproxy.sock`
    Unix(PathBuf),
    /// `tcp://host:port`; the host is a name, an IPv4 or an IPv6 address without brackets.
    Tcp {
        /// Name or address.
        host: String,
        /// 1 to 65535.
        port: u16,
    },
}

/// `on-socket-failure`: what happens to a pull in which a socket failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnSocketFailure {
    /// Publish nothing for this tick, as the original does.
    DropAll,
    /// Publish what came.
    KeepRest,
}

/// `[pull]`
#[derive(Debug, Clone)]
pub struct Pull {
    /// Messages below this level are not printed.
    pub loglevel: LogLevel,
    /// Directory whose UNIX sockets are pulled; looked at anew for every pull.
    pub socket_dir: Option<PathBuf>,
    /// Sockets by URL.
    pub servers: Vec<Server>,
    /// Further attempts to connect to a socket.
    pub retries: Retries,
    /// Time for a connection to be accepted.
    pub timeout: Duration,
    /// Pause before a connection is tried again.
    pub interval: Duration,
    /// Time for a whole pull; `None` (written 0) is no limit.
    pub pull_timeout: Option<Duration>,
    /// Distance of two pulls, whole seconds.
    pub pull_interval: Duration,
    /// Most bytes of one reply.
    pub buffer_limit: NonZeroU64,
    /// Where complete snapshots appear.
    pub dst_dir: PathBuf,
    /// Where snapshots are staged.
    pub tmp_dst_dir: PathBuf,
    /// Number of threads that write to disk. Kept for the original's files; one thread does all the work here.
    pub workers: NonZeroUsize,
    /// Number of directories in `dst_dir` at which pulling is suspended.
    pub queue_size: NonZeroUsize,
    /// What a failed socket means for the others of its tick.
    pub on_socket_failure: OnSocketFailure,
    /// Flush files and directories to the disk before a snapshot is published.
    pub fsync: bool,
}

/// A list of metrics: `frontend-metrics`, `backend-metrics`, `server-metrics`, `daemon-metrics`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Selection {
    /// Unset: the original's built-in list.
    Default,
    /// `all`: every field that this HAProxy has and the catalogue knows.
    All,
    /// HAProxy's field names in the order as written; duplicates are kept.
    List(Vec<String>),
}

/// `[process]`
#[derive(Debug, Clone)]
pub struct Process {
    /// Messages below this level are not printed.
    pub loglevel: LogLevel,
    /// The directory to watch: `dst-dir` of `[pull]`.
    pub src_dir: PathBuf,
    /// Number of worker processes.
    pub workers: NonZeroUsize,
    /// Metrics of frontends.
    pub frontend_metrics: Selection,
    /// Metrics of backends.
    pub backend_metrics: Selection,
    /// Metrics of servers.
    pub server_metrics: Selection,
    /// Metrics of the daemon (`show info`).
    pub daemon_metrics: Selection,
    /// Send what is selected and nothing else; without it averages and times come besides a selection.
    pub exact_selection: bool,
    /// Also send servers summed over all backends.
    pub aggr_server_metrics: bool,
    /// Also send the daemon's metrics for each process.
    pub per_process_metrics: bool,
    /// Also send the percentages of limits.
    pub calculate_percentages: bool,
    /// Also send states as numbers.
    pub status_metrics: bool,
    /// File with names of frontends to leave out.
    pub exclude_frontends: Option<PathBuf>,
    /// File with names of backends to leave out.
    pub exclude_backends: Option<PathBuf>,
    /// How often the workers are asked whether they live.
    pub liveness_check_interval: Duration,
    /// A worker without progress for this long is replaced.
    pub worker_timeout: Duration,
    /// Send figures about haproxystats itself beyond those of the original.
    pub self_metrics: bool,
}

/// `queue-full`: what happens when `[graphite] queue-size` is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum QueueFull {
    /// Take no further snapshot; they wait on disk.
    Keep,
    /// Forget the oldest metrics, as the original does.
    DropOldest,
}

/// `group-namespace` and `group-namespace-double-writes`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupNamespace {
    /// Path element in front of the group's name.
    pub name: String,
    /// Send the path without group as well.
    pub double_writes: bool,
}

/// `[graphite]`
#[derive(Debug, Clone)]
pub struct Graphite {
    /// Name, IPv4 or IPv6 address.
    pub server: String,
    /// TCP port of the plaintext protocol.
    pub port: u16,
    /// Further attempts to connect before `delay`.
    pub retries: Retries,
    /// Pause before the first further attempt.
    pub interval: Duration,
    /// Factor on `interval` for each further attempt.
    pub backoff: f64,
    /// Pause after `retries` failed.
    pub delay: Duration,
    /// Time for a connection to be accepted.
    pub connect_timeout: Duration,
    /// Time without a byte taken by the peer after which the connection counts as stalled.
    pub write_timeout: Duration,
    /// First element(s) of every path.
    pub namespace: String,
    /// Put the host's name after the namespace.
    pub prefix_hostname: bool,
    /// The whole host name with dots as underscores, or only its first label.
    pub fqdn: bool,
    /// Most metrics that one worker holds in memory.
    pub queue_size: NonZeroUsize,
    /// What happens at `queue_size`.
    pub queue_full: QueueFull,
    /// Groups are on when this is set.
    pub group_namespace: Option<GroupNamespace>,
}

/// `[local-store]`
#[derive(Debug, Clone)]
pub struct LocalStore {
    /// Directory that receives `<epoch>/stats`.
    pub dir: PathBuf,
}

/// A group: its name (lower case, as option names are) and its pattern, searched anywhere in a name.
#[derive(Debug, Clone)]
pub struct Group {
    /// Path element.
    pub name: String,
    /// Searched in the name after dots became underscores.
    pub pattern: regex::Regex,
}

/// The groups of each kind, in the order of the file: the first match wins.
#[derive(Debug, Clone, Default)]
pub struct Groups {
    /// `[frontend-groups]`
    pub frontend: Vec<Group>,
    /// `[backend-groups]`
    pub backend: Vec<Group>,
    /// `[server-groups]`
    pub server: Vec<Group>,
}
