//! `[pull]`: what haproxystats-pull does.

use super::ini::Ini;
use super::names::NamePatterns;
use super::problem::Report;
use super::section::Section;
use super::servers::{Server, servers};
use super::{LogLevel, Retries, value};
use std::num::{NonZeroU64, NonZeroUsize};
use std::path::PathBuf;
use std::time::Duration;

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
    /// Time over which the sockets of a pull are spread.
    pub jitter: Duration,
    /// Distance of two pulls, whole seconds.
    pub pull_interval: Duration,
    /// Names in `socket_dir` that are left out.
    pub exclude_sockets: NamePatterns,
    /// Most bytes of one reply.
    pub max_reply_size: NonZeroU64,
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

/// Reads the section; `None` when a value cannot be right, which is in the report then.
pub(super) fn read(ini: &Ini, report: &mut Report) -> Option<Pull> {
    let mut section = Section::new("pull", ini, report);
    let loglevel = section.get("loglevel", value::loglevel);
    let socket_dir = section.optional("socket-dir", value::path);
    let servers = section.optional("servers", servers);
    let retries = section.get("retries", value::retries);
    let timeout = section.get("timeout", value::time_limit);
    let interval = section.get("interval", value::pause);
    let pull_timeout = section.get("pull-timeout", value::optional_time_limit);
    let pull_interval = section.get("pull-interval", value::whole_seconds);
    let jitter = section.get("jitter", value::pause);
    let exclude_sockets = section.optional("exclude-sockets", NamePatterns::parse);
    // The original's read buffer. Its value still has to be one, and means nothing.
    let buffer_limit = section.get("buffer-limit", value::bytes);
    let max_reply_size = section.get("max-reply-size", value::bytes);
    let dst_dir = section.get("dst-dir", value::path);
    let tmp_dst_dir = section.get("tmp-dst-dir", value::path);
    let workers = section.get("workers", value::count);
    let queue_size = section.get("queue-size", value::count);
    let on_socket_failure = section.get("on-socket-failure", |text| {
        value::choice(text, &[("drop-all", OnSocketFailure::DropAll), ("keep-rest", OnSocketFailure::KeepRest)])
    });
    let fsync = section.get("fsync", value::boolean);

    // The original's own example has the default.
    if ini.is_written("pull", "buffer-limit") && buffer_limit.is_some_and(|limit| limit.get() != 6_291_456) {
        section.warn(
            "buffer-limit",
            "has no effect: replies of any size are read; max-reply-size bounds those without end",
        );
    }
    section.warn_if_relative("socket-dir", socket_dir.as_ref().and_then(Option::as_ref));
    section.warn_if_relative("dst-dir", dst_dir.as_ref());
    section.warn_if_relative("tmp-dst-dir", tmp_dst_dir.as_ref());
    if dst_dir.is_some() && dst_dir == tmp_dst_dir {
        section.error("tmp-dst-dir", "is dst-dir too; write another directory on the same file system");
    }
    if let (Some(Some(limit)), Some(distance)) = (pull_timeout, pull_interval)
        && limit >= distance
    {
        let seconds = distance.as_secs();
        section.warn(
            "pull-timeout",
            format!("is not below pull-interval ({seconds} s): a slow pull makes later ones late"),
        );
    }
    if let (Some(jitter), Some(limit), Some(distance)) = (jitter, pull_timeout, pull_interval)
        && !jitter.is_zero()
        && jitter + limit.unwrap_or_default() >= distance
    {
        let seconds = distance.as_secs();
        section.warn(
            "jitter",
            format!("with pull-timeout is not below pull-interval ({seconds} s): later pulls are late"),
        );
    }
    if let (Some(Some(limit)), Some(connect)) = (pull_timeout, timeout)
        && connect > limit
    {
        section.warn("timeout", "is above pull-timeout, which ends the pull before");
    }
    Some(Pull {
        loglevel: loglevel?,
        socket_dir: socket_dir?,
        servers: servers?.unwrap_or_default(),
        retries: retries?,
        timeout: timeout?,
        interval: interval?,
        pull_timeout: pull_timeout?,
        pull_interval: pull_interval?,
        jitter: jitter?,
        exclude_sockets: exclude_sockets?.unwrap_or_default(),
        max_reply_size: buffer_limit.and(max_reply_size)?,
        dst_dir: dst_dir?,
        tmp_dst_dir: tmp_dst_dir?,
        workers: workers?,
        queue_size: queue_size?,
        on_socket_failure: on_socket_failure?,
        fsync: fsync?,
    })
}
