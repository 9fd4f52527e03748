//! `[pull]`: what haproxystats-pull does.

use super::families;
use super::ini::Ini;
use super::names::NamePatterns;
use super::problem::Report;
use super::program::{OTLP, REMOTE_WRITE};
use super::section::{Section, gather};
use super::servers::servers;
use super::value::{self, LogLevel, Retries};
use crate::config::option::{choice, options};
use crate::config::reading::{Reading, Refusal, Type};
use crate::haproxy::address::Address;
use crate::haproxy::family::Families;
use crate::latency::rules::is_name;
use std::num::{NonZeroU64, NonZeroUsize};
use std::path::PathBuf;
use std::time::Duration;

options! {
    pub(crate) static ROWS: "pull", Pull {
        LOGLEVEL: LogLevel = value::LOGLEVEL, "loglevel", None,
            "Log level of haproxystats-pull; unset: that of [DEFAULT].";
        SOCKET_DIR: PathBuf = value::DIRECTORY, "socket-dir", None, Both,
            "Directory with HAProxy's UNIX sockets; every socket found in it when a pull starts is pulled.";
        SERVERS: Vec<Address> = Reading::new(Type::Servers, servers), "servers", None, Both,
            "Sockets by URL: unix:///path, tcp://host:port, tcp://[IPv6 address]:port, or abns@name and abnsz@name as \
             in HAProxy's configuration.";
        MASTER_SOCKETS: Vec<Address> = Reading::new(Type::Servers, servers), "master-sockets", None,
            "Sockets of HAProxy's master processes (-S), written as in servers. With these, workers that are leaving \
             after a reload are pulled as well, and their traffic counts until they exit.";
        CONTINUOUS_COUNTERS: bool = value::BOOLEAN, "continuous-counters", Some("false"),
            "Published counters never decrease: the counts of processes that are gone are added, across reloads, \
             restarts, crashes and clear counters.";
        FORGET_AFTER: Duration = value::TIME_LIMIT, "forget-after", Some("604800"),
            "With continuous-counters, how long the counts of a proxy or server that HAProxy no longer has are kept.";
        MARK_ENDED: bool = value::BOOLEAN, "mark-ended", None,
            "Record in each snapshot which frontends, backends and servers no longer exist, so that [otlp] and \
             [remote-write] can end their series; unset: true if this file has one of those sections.";
        FAMILIES: Families = Reading::new(Type::Text, families::read), "families", None, Both,
            "Further kinds of HAProxy statistics to collect, separated by spaces: listeners states tables resolvers \
             certificates activity pools peers build, or all. The socket needs level operator for activity, and for \
             certificates before HAProxy 3.2.";
        FAMILIES_INTERVAL: Duration = value::WHOLE_SECONDS, "families-interval", Some("60"),
            "Time between pulls of families that require a command of their own: all but listeners, states and build, \
             which are part of every pull.";
        UNKNOWN_FIELDS: UnknownFields = choice![("report", UnknownFields::Report), ("send", UnknownFields::Send)], "unknown-fields", Some("report"),
            "Fields of HAProxy that this version of haproxystats does not know: log and count them (report), or also \
             send them (send). Each HAProxy process is asked once how they are to be combined.";
        LATENCY_TABLE: String = Reading::new(Type::Text, latency_table), "latency-table", None,
            "Stick table in which HAProxy counts response times by the rules of --latency-rules; read with every pull, \
             and sent as percentiles. The socket needs level operator.";
        EXCLUDE_SOCKETS: NamePatterns = Reading::new(Type::Text, NamePatterns::parse), "exclude-sockets", None,
            "File names in socket-dir to skip, separated by spaces; * matches any text and ? any character, as in \
             *.master master.sock. Sockets that turn out not to be stats sockets are skipped anyway.";
        RETRIES: Retries = value::RETRIES, "retries", Some("1"),
            "How many times a failed connection to a socket is retried; 0: never, -1: until pull-timeout.";
        TIMEOUT: Duration = value::TIME_LIMIT, "timeout", Some("0.1"),
            "Time allowed for a socket to accept a connection; HAProxy needs one or two milliseconds.";
        INTERVAL: Duration = value::PAUSE, "interval", Some("0.5"),
            "Pause before a connection to a socket is retried; about as long as a reload of HAProxy takes.";
        PULL_TIMEOUT: Option<Duration> = value::OPTIONAL_TIME_LIMIT, "pull-timeout", Some("2"),
            "Time allowed for a whole pull; should be less than pull-interval. 0: no limit.";
        JITTER: Duration = value::PAUSE, "jitter", Some("0"),
            "Time over which the sockets of a pull are spread, each always at the same offset; pull-timeout counts \
             from that offset. Useful when one host pulls many others.";
        PULL_INTERVAL: Duration = value::WHOLE_SECONDS, "pull-interval", Some("10"),
            "Time between pulls. With thousands of servers, 1 second can overload HAProxy.";
        BUFFER_LIMIT: NonZeroU64 = value::BYTES, "buffer-limit", Some("6291456"), Both,
            "Kept for existing files; has no effect. It was the size of a read buffer; see max-reply-size.";
        MAX_REPLY_SIZE: NonZeroU64 = value::BYTES, "max-reply-size", Some("1073741824"),
            "Largest reply accepted, as a guard against one that never ends; if a reply is longer, the pull of that \
             socket fails. A server takes about 350 bytes.";
        DST_DIR: PathBuf = value::DIRECTORY, "dst-dir", Some("/var/lib/haproxystats/incoming"),
            "Directory in which complete snapshots appear, one directory per pull. Created if it does not exist.";
        TMP_DST_DIR: PathBuf = value::DIRECTORY, "tmp-dst-dir", Some("/var/lib/haproxystats/incoming.tmp"),
            "Directory in which snapshots are staged; it must be on the same file system as dst-dir, so that \
             publishing is a rename. Created if it does not exist.";
        WORKERS: NonZeroUsize = value::COUNT, "workers", Some("8"),
            "Kept for existing files; has no effect. It was the number of threads that write to disk; one thread \
             does all the work now.";
        QUEUE_SIZE: NonZeroUsize = value::COUNT, "queue-size", Some("360"),
            "Pulling is suspended while dst-dir holds this many snapshots or more; the default is one hour at the \
             default pull-interval.";
        ON_SOCKET_FAILURE: OnSocketFailure = choice![("drop-all", OnSocketFailure::DropAll), ("keep-rest", OnSocketFailure::KeepRest)], "on-socket-failure", Some("drop-all"),
            "What happens when a socket fails: discard the whole pull (drop-all), or publish what the other sockets \
             returned (keep-rest); sums are then over fewer processes.";
        FSYNC: bool = value::BOOLEAN, "fsync", Some("false"),
            "Flush a snapshot to disk before publishing it, so that it survives a power loss.";
    }
}

/// `on-socket-failure`: what happens to a pull in which a socket failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnSocketFailure {
    /// Publish nothing for this tick, as the original does.
    DropAll,
    /// Publish what came.
    KeepRest,
}

/// `unknown-fields`: what becomes of fields that the catalogue does not know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UnknownFields {
    /// They are logged and counted.
    Report,
    /// They are sent as well.
    Send,
}

/// `[pull]`
#[derive(Debug, Clone)]
pub struct Pull {
    /// Least severe level that is logged.
    pub loglevel: LogLevel,
    /// Directory whose UNIX sockets are pulled; read again for every pull.
    pub socket_dir: Option<PathBuf>,
    /// Sockets by URL.
    pub servers: Vec<Address>,
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
    /// Sockets of masters, through which workers that are leaving are asked.
    pub master_sockets: Vec<Address>,
    /// Whether what processes that are gone had counted is added.
    pub continuous_counters: bool,
    /// Whether snapshots record what has ended: by default, if a destination uses it.
    pub mark_ended: bool,
    /// How long that is kept for what is gone.
    pub forget_after: Duration,
    /// What is asked and sent beside the figures of `show info` and `show stat`.
    pub families: Families,
    /// How often.
    pub families_interval: Duration,
    /// What becomes of fields that the catalogue does not know.
    pub unknown_fields: UnknownFields,
    /// The stick table in which HAProxy counts response times.
    pub latency_table: Option<String>,
    /// Names in `socket_dir` that are left out.
    pub exclude_sockets: NamePatterns,
    /// Most bytes of one reply.
    pub max_reply_size: NonZeroU64,
    /// Where complete snapshots appear.
    pub dst_dir: PathBuf,
    /// Where snapshots are staged.
    pub tmp_dst_dir: PathBuf,
    /// Number of directories in `dst_dir` at which pulling is suspended.
    pub queue_size: NonZeroUsize,
    /// What a failed socket means for the others of its tick.
    pub on_socket_failure: OnSocketFailure,
    /// Flush files and directories to the disk before a snapshot is published.
    pub fsync: bool,
}

/// Reads the section; `None` when a value cannot be right, which is in the report then.
pub(super) fn read(ini: &Ini, report: &mut Report) -> Option<Pull> {
    let is_set = |section| ini.get(section, "url").ok().flatten().is_some_and(|url| !url.is_empty());
    let wanted = [OTLP, REMOTE_WRITE].into_iter().any(is_set);
    let section = &mut Section::new("pull", ini, report);
    // Without effect; but a value still has to be one.
    let (buffer_limit, workers) = (section.get(&BUFFER_LIMIT), section.get(&WORKERS));
    let pull = gather!(
        Pull {
            loglevel: section.get(&LOGLEVEL),
            socket_dir: section.optional(&SOCKET_DIR),
            servers: section.or_default(&SERVERS),
            retries: section.get(&RETRIES),
            timeout: section.get(&TIMEOUT),
            interval: section.get(&INTERVAL),
            pull_timeout: section.get(&PULL_TIMEOUT),
            pull_interval: section.get(&PULL_INTERVAL),
            jitter: section.get(&JITTER),
            master_sockets: section.or_default(&MASTER_SOCKETS),
            continuous_counters: section.get(&CONTINUOUS_COUNTERS),
            mark_ended: section.optional(&MARK_ENDED).map(|asked| asked.unwrap_or(wanted)),
            forget_after: section.get(&FORGET_AFTER),
            families: section.or_default(&FAMILIES),
            families_interval: section.get(&FAMILIES_INTERVAL),
            unknown_fields: section.get(&UNKNOWN_FIELDS),
            latency_table: section.optional(&LATENCY_TABLE),
            exclude_sockets: section.or_default(&EXCLUDE_SOCKETS),
            max_reply_size: section.get(&MAX_REPLY_SIZE),
            dst_dir: section.get(&DST_DIR),
            tmp_dst_dir: section.get(&TMP_DST_DIR),
            queue_size: section.get(&QUEUE_SIZE),
            on_socket_failure: section.get(&ON_SOCKET_FAILURE),
            fsync: section.get(&FSYNC),
        },
        {
            section.warn_if_relative("socket-dir", socket_dir.as_ref().and_then(Option::as_ref));
            section.warn_if_relative("dst-dir", dst_dir.as_ref());
            section.warn_if_relative("tmp-dst-dir", tmp_dst_dir.as_ref());
            if dst_dir.is_some() && dst_dir == tmp_dst_dir {
                section.error("tmp-dst-dir", "is the same as dst-dir; write another directory on the same file system");
            }
            times(section, timeout, pull_timeout, pull_interval, jitter);
        }
    );
    // The original's own example has the default.
    if ini.is_written("pull", "buffer-limit") && buffer_limit.is_some_and(|limit| limit.get() != 6_291_456) {
        section.warn("buffer-limit", "has no effect: replies of any size are read, up to max-reply-size");
    }
    buffer_limit.and(workers).and(pull)
}

fn latency_table(text: &str) -> Result<String, Refusal> {
    match is_name(text) {
        true => Ok(text.to_owned()),
        false => Err("not a valid table name; HAProxy allows letters, digits and -_.:".to_owned()),
    }
}

/// Warns about times that do not fit together.
fn times(
    section: &mut Section<'_>,
    connect: Option<Duration>,
    limit: Option<Option<Duration>>,
    distance: Option<Duration>,
    jitter: Option<Duration>,
) {
    if let (Some(limit), Some(distance)) = (limit, distance) {
        let seconds = distance.as_secs();
        if limit.is_some_and(|limit| limit >= distance) {
            let message = format!("must be below pull-interval ({seconds} s), or a slow pull delays later ones");
            section.warn("pull-timeout", message);
        }
        if jitter.is_some_and(|jitter| !jitter.is_zero() && jitter + limit.unwrap_or_default() >= distance) {
            let message =
                format!("plus pull-timeout must be below pull-interval ({seconds} s), or later pulls are delayed");
            section.warn("jitter", message);
        }
    }
    if let (Some(Some(limit)), Some(connect)) = (limit, connect)
        && connect > limit
    {
        section.warn("timeout", "is above pull-timeout, which ends the pull earlier");
    }
}
