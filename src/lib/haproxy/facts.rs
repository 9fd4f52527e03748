//! The catalogue of the families that have a command of their own: what they are about, their figures, and how these are combined
//! over processes.

use super::columns::{Nature, Unit};
use super::combine::Combine;
use std::collections::HashMap;
use std::sync::LazyLock;

/// What figures of a family are about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Thing {
    /// A stick table.
    Table,
    /// A name server in its `resolvers` section.
    NameServer,
    /// The file of a certificate.
    Certificate,
    /// All certificates.
    Certificates,
    /// A thread.
    Thread,
    /// All threads.
    Threads,
    /// A memory pool.
    Pool,
    /// All memory pools.
    Pools,
    /// A peer in its `peers` section.
    Peer,
    /// A `peers` section.
    Peers,
    /// Processes of a version.
    Build,
    /// Processes that call their node so.
    Node,
    /// Processes with this description.
    Description,
}

impl Thing {
    /// The word for it in paths, names with tags, and messages.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Table => "table",
            Self::NameServer => "nameserver",
            Self::Certificate => "certificate",
            Self::Certificates => "certificates",
            Self::Thread => "thread",
            Self::Threads => "threads",
            Self::Pool => "pool",
            Self::Pools => "pools",
            Self::Peer => "peer",
            Self::Peers => "peers",
            Self::Build => "build",
            Self::Node => "node",
            Self::Description => "description",
        }
    }

    /// What its names are called: that of the section that it is in, and its own; empty where it has none.
    #[must_use]
    pub const fn names(self) -> (&'static str, &'static str) {
        match self {
            Self::NameServer => ("resolvers", "nameserver"),
            Self::Peer => ("peers", "peer"),
            Self::Peers => ("peers", ""),
            Self::Certificates | Self::Threads | Self::Pools => ("", ""),
            Self::Build => ("", "version"),
            Self::Table | Self::Certificate | Self::Thread | Self::Pool | Self::Node | Self::Description => {
                ("", self.word())
            }
        }
    }
}

/// A figure.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Fact {
    /// What it is about.
    pub thing: Thing,
    /// Its name: HAProxy's word, where there is one.
    pub name: &'static str,
    /// What kind of figure it is.
    pub nature: Nature,
    /// What it counts.
    pub unit: Unit,
    /// How processes are combined.
    pub combine: Combine,
    /// One line of explanation.
    pub about: &'static str,
}

/// Where a figure stands in [`FACTS`].
#[must_use]
pub fn find(thing: Thing, name: &str) -> Option<usize> {
    static BY_NAME: LazyLock<HashMap<(Thing, &'static str), usize>> =
        LazyLock::new(|| FACTS.iter().enumerate().map(|(index, fact)| ((fact.thing, fact.name), index)).collect());
    BY_NAME.get(&(thing, name)).copied()
}

/// Lines of `show activity` that are no figures.
pub(crate) const ACTIVITY_TEXTS: [&str; 3] = ["thread_id", "date_now", "uptime_now"];

const fn fact(
    thing: Thing,
    name: &'static str,
    nature: Nature,
    unit: Unit,
    combine: Combine,
    about: &'static str,
) -> Fact {
    Fact { thing, name, nature, unit, combine, about }
}

/// The same of each thread and of all.
macro_rules! activity {
    ($($name:literal $nature:ident $unit:ident $combine:ident $about:literal;)*) => {
        [
            $(fact(Thing::Thread, $name, Nature::$nature, Unit::$unit, Combine::$combine, $about),)*
            $(fact(Thing::Threads, $name, Nature::$nature, Unit::$unit, Combine::$combine, $about),)*
        ]
    };
}

static ACTIVITY: [Fact; 60] = activity! {
    "ctxsw" Counter Count Sum "context switches";
    "tasksw" Counter Count Sum "task switches";
    "empty_rq" Counter Count Sum "look-ups in an empty run queue";
    "long_rq" Counter Count Sum "rounds that left tasks in the run queue";
    "curr_rq" Gauge Count Sum "tasks in the run queue now";
    "loops" Counter Count Sum "rounds of the event loop";
    "wake_tasks" Counter Count Sum "rounds that did not wait, since tasks were ready";
    "wake_signal" Counter Count Sum "rounds that did not wait, since a signal had come";
    "poll_io" Counter Count Sum "waits that ended with events of connections";
    "poll_exp" Counter Count Sum "waits that ended with an expired timer";
    "poll_drop_fd" Counter Count Sum "events of connections that are gone";
    "poll_skip_fd" Counter Count Sum "events of connections that another thread has";
    "conn_dead" Counter Count Sum "events of connections that are dead";
    "stream_calls" Counter Count Sum "calls of the function that handles streams";
    "pool_fail" Counter Count Sum "allocations from pools that failed";
    "buf_wait" Counter Count Sum "allocations of buffers that had to wait";
    "cpust_ms_tot" Counter Milliseconds Sum "time that the system has taken from the thread, since the start";
    "cpust_ms_1s" Gauge Milliseconds Sum "the same, in the last second";
    "cpust_ms_15s" Gauge Milliseconds Sum "the same, in the last 15 seconds";
    "avg_cpu_pct" Average Percent Mean "share of time with work, of the last loops";
    "avg_loop_us" Average Microseconds Mean "duration of a round of the event loop";
    "accepted" Counter Count Sum "connections that the thread has accepted";
    "accq_pushed" Counter Count Sum "connections that were handed to the thread";
    "accq_full" Counter Count Sum "connections that were not handed over, since the queue was full";
    "accq_ring" Gauge Count Sum "connections in the queue of the thread now";
    "fd_takeover" Counter Count Sum "idle connections that were taken from another thread";
    "check_adopted" Counter Count Sum "checks that were taken from another thread";
    "check_started" Counter Count Sum "checks that were started";
    "check_active" Gauge Count Sum "checks that run now";
    "check_running" Gauge Count Sum "checks that are under way or wait for their turn";
};

use Combine::{Max as Most, Min as Least, Sum};
use Nature::{Counter, Duration, Gauge, Limit};
use Unit::{Bytes, Count, Percent, Seconds};

#[rustfmt::skip]
static OTHERS: [Fact; 45] = [
    fact(Thing::Table, "size", Limit, Count, Sum, "entries that fit"),
    fact(Thing::Table, "used", Gauge, Count, Sum, "entries"),
    fact(Thing::Table, "fill_pct", Gauge, Percent, Most, "entries in percent of those that fit; of several processes the fullest"),
    fact(Thing::Table, "update", Counter, Count, Sum, "number of the last update, as peers count them (family peers)"),
    fact(Thing::Table, "localupdate", Counter, Count, Sum, "number of the last update of this process' own (family peers)"),
    fact(Thing::NameServer, "sent", Counter, Count, Sum, "requests sent"),
    fact(Thing::NameServer, "send_error", Counter, Count, Sum, "requests that could not be sent"),
    fact(Thing::NameServer, "valid", Counter, Count, Sum, "valid responses"),
    fact(Thing::NameServer, "update", Counter, Count, Sum, "responses that changed the address of a server"),
    fact(Thing::NameServer, "cname", Counter, Count, Sum, "responses with a CNAME"),
    fact(Thing::NameServer, "cname_error", Counter, Count, Sum, "errors in CNAMEs"),
    fact(Thing::NameServer, "any_err", Counter, Count, Sum, "empty responses"),
    fact(Thing::NameServer, "nx", Counter, Count, Sum, "responses that there is no such name"),
    fact(Thing::NameServer, "timeout", Counter, Count, Sum, "requests without a response in time"),
    fact(Thing::NameServer, "refused", Counter, Count, Sum, "refused requests"),
    fact(Thing::NameServer, "other", Counter, Count, Sum, "any other error"),
    fact(Thing::NameServer, "invalid", Counter, Count, Sum, "invalid responses"),
    fact(Thing::NameServer, "too_big", Counter, Count, Sum, "responses that were too large"),
    fact(Thing::NameServer, "truncated", Counter, Count, Sum, "truncated responses"),
    fact(Thing::NameServer, "outdated", Counter, Count, Sum, "responses that came too late"),
    fact(Thing::Certificate, "expires_in", Gauge, Seconds, Least, "time until it expires; negative afterwards"),
    fact(Thing::Certificates, "expires_in", Gauge, Seconds, Least, "time until the first one expires"),
    fact(Thing::Certificates, "expired", Gauge, Count, Most, "certificates that have expired"),
    fact(Thing::Certificates, "count", Gauge, Count, Most, "certificates"),
    fact(Thing::Threads, "count", Gauge, Count, Sum, "threads"),
    fact(Thing::Pool, "allocated_bytes", Gauge, Bytes, Sum, "memory of the pool"),
    fact(Thing::Pool, "used_bytes", Gauge, Bytes, Sum, "memory of the pool that is in use"),
    fact(Thing::Pool, "failures", Counter, Count, Sum, "allocations that failed"),
    fact(Thing::Pools, "allocated_bytes", Gauge, Bytes, Sum, "memory of all pools"),
    fact(Thing::Pools, "used_bytes", Gauge, Bytes, Sum, "memory of all pools that is in use"),
    fact(Thing::Pools, "count", Gauge, Count, Most, "pools"),
    fact(Thing::Peer, "connected", Gauge, Count, Least, "1 when the session is established"),
    fact(Thing::Peer, "status", Gauge, Count, Most, "state of the session: the codes are below"),
    fact(Thing::Peer, "last_hdshk", Duration, Seconds, Most, "time since the last handshake"),
    fact(Thing::Peer, "tx_hbt", Counter, Count, Sum, "heartbeats sent"),
    fact(Thing::Peer, "rx_hbt", Counter, Count, Sum, "heartbeats received"),
    fact(Thing::Peer, "no_hbt", Counter, Count, Sum, "sessions that ended without a heartbeat"),
    fact(Thing::Peer, "new_conn", Counter, Count, Sum, "connections that were tried"),
    fact(Thing::Peer, "proto_err", Counter, Count, Sum, "errors of the protocol"),
    fact(Thing::Peer, "coll", Counter, Count, Sum, "connections in both directions at once"),
    fact(Thing::Peers, "resync", Gauge, Count, Least, "1 when all that others knew has been learnt after the start, or given up"),
    fact(Thing::Peers, "disabled", Gauge, Count, Most, "1 when the section is disabled"),
    fact(Thing::Build, "processes", Gauge, Count, Sum, "processes of this version"),
    fact(Thing::Node, "processes", Gauge, Count, Sum, "processes of this node"),
    fact(Thing::Description, "processes", Gauge, Count, Sum, "processes with this description"),
];

/// Every figure.
pub static FACTS: LazyLock<Vec<Fact>> = LazyLock::new(|| OTHERS.iter().chain(&ACTIVITY).copied().collect());

/// States of a session with a peer: HAProxy's word, and the code that is sent. Codes never change their meaning.
#[rustfmt::skip]
pub const PEER_STATES: [(&str, i64, &str); 9] = [
    ("NONE", 0, "no attempt to connect so far"),
    ("CONN", 1, "connecting"),
    ("HSHK", 2, "in the handshake"),
    ("ESTA", 3, "established"),
    ("RETR", 4, "to be tried again later"),
    ("PROT", 5, "error of the protocol"),
    ("VERS", 6, "another version of the protocol"),
    ("NAME", 7, "the other side has another name for this peer"),
    ("UNKN", 8, "the other side does not know this peer, or a word that is not in this table"),
];

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn every_figure_is_found_by_its_name() {
        let names: HashSet<_> = FACTS.iter().map(|fact| (fact.thing, fact.name)).collect();
        assert_eq!(names.len(), FACTS.len());
        for (index, fact) in FACTS.iter().enumerate() {
            assert_eq!(find(fact.thing, fact.name), Some(index));
        }
        assert_eq!(find(Thing::Table, "valid"), None);
    }
}
