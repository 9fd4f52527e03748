//! Which process a reply to `show info` is from, and whether two replies are from the same one.
//!
//! A process is known by what it says of itself, never by the path or address through which it was reached: an admin and
//! a read-only socket, 127.0.0.1 and ::1 all lead to the same figures. `node`, `Pid` and `Start_time_sec` tell processes
//! of one machine apart. Containers may share all three, since each counts its processes from 1 and may have been given
//! the name of its host; so two replies are one process only if their counters agree as well: they may differ by what
//! can happen between two replies, and two processes that are alike in everything soon differ by more.

use std::collections::HashSet;
use std::fmt;

/// Connections and requests a second that are believed of any HAProxy, however quiet it is: our own commands, checks.
const FEW: u64 = 20;
/// How much the traffic of one moment may be above that of the whole life of a process.
const BURST: u64 = 10;
/// How much it may be above the connections of the last second.
const RISE: u64 = 4;
/// Bytes of an ordinary answer. HAProxy does not tell its rate of requests; that of its bytes shows a burst of them on few
/// connections.
const ANSWER: u64 = 512;

/// What tells a process from every other one.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ProcessKey {
    /// `node`
    pub node: String,
    /// `Pid`
    pub pid: u64,
    /// `Start_time_sec`
    pub started: u64,
    /// `Version`, `Nbthread`, `Process_num` and `description`: what does not change while a process lives.
    constant: [Option<String>; 4],
}

impl fmt::Display for ProcessKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "node {}, Pid {}, Start_time_sec {}", self.node, self.pid, self.started)
    }
}

/// What one reply says about its process.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Reading {
    /// `None` where `show info` lacks `node`, `Pid` or `Start_time_sec`, which HAProxy has since 2.4.
    pub key: Option<ProcessKey>,
    /// `node` and `Pid`, whatever else is missing.
    partial: Option<(String, u64)>,
    /// `Version`
    pub version: Option<String>,
    /// `Nbproc`
    pub nbproc: Option<u64>,
    /// `Process_num`
    pub number: Option<u64>,
    /// `Pid`
    pub pid: Option<u64>,
    /// `Uptime_sec`
    pub uptime: Option<u64>,
    connections: Option<u64>,
    requests: Option<u64>,
    connection_rate: u64,
    byte_rate: u64,
}

/// What two replies have to do with each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kinship {
    /// One process.
    Same,
    /// Two processes.
    Other,
    /// It cannot be told; both count. The reason, for the log.
    Doubtful(&'static str),
}

impl Reading {
    /// Reads a reply to `show info`.
    #[must_use]
    pub fn of(info: &[u8]) -> Self {
        let mut reading = Self::default();
        let (mut node, mut started) = (None, None);
        let mut constant: [Option<String>; 4] = Default::default();
        for line in info.split(|byte| *byte == b'\n') {
            let Some(colon) = memchr::memchr(b':', line) else { continue };
            let (name, value) = line.split_at(colon);
            let text = || String::from_utf8_lossy(value.get(1..).unwrap_or_default()).trim().to_owned();
            let number = || text().parse::<u64>().ok();
            match name {
                b"node" => node = Some(text()).filter(|text| !text.is_empty()),
                b"Start_time_sec" => started = number(),
                b"Pid" => reading.pid = number(),
                b"Version" => reading.version = Some(text()),
                b"Nbthread" => constant[1] = Some(text()),
                b"description" => constant[3] = Some(text()),
                b"Nbproc" => reading.nbproc = number(),
                b"Process_num" => reading.number = number(),
                b"Uptime_sec" => reading.uptime = number(),
                b"CumConns" => reading.connections = number(),
                b"CumReq" => reading.requests = number(),
                b"ConnRate" => reading.connection_rate = number().unwrap_or(0),
                b"BytesOutRate" => reading.byte_rate = number().unwrap_or(0),
                _ => {}
            }
        }
        constant[0].clone_from(&reading.version);
        constant[2] = reading.number.map(|number| number.to_string());
        reading.partial = node.clone().zip(reading.pid);
        reading.key = node.zip(reading.pid).zip(started).map(|((node, pid), started)| ProcessKey {
            node,
            pid,
            started,
            constant,
        });
        reading
    }

    /// Whether this reply and another one, of about the same moment, are from one process.
    #[must_use]
    pub fn compare(&self, other: &Self) -> Kinship {
        match (&self.key, &other.key) {
            (Some(key), Some(others)) if key != others => Kinship::Other,
            (Some(_), Some(_)) if self.counters_agree(other) => Kinship::Same,
            (Some(_), Some(_)) => Kinship::Doubtful("their counters differ too much"),
            (None, None) if self.looks_alike(other) => {
                Kinship::Doubtful("this HAProxy does not report when it was started (Start_time_sec)")
            }
            _ => Kinship::Other,
        }
    }

    /// Whether everything that old versions say of a process agrees.
    fn looks_alike(&self, other: &Self) -> bool {
        let near = |a: Option<u64>, b: Option<u64>| a.zip(b).is_some_and(|(a, b)| a.abs_diff(b) <= 2);
        self.partial.is_some()
            && self.partial == other.partial
            && (&self.version, self.number) == (&other.version, other.number)
            && near(self.uptime, other.uptime)
            && self.counters_agree(other)
    }

    /// Whether the counters differ by no more than the time between the replies allows.
    fn counters_agree(&self, other: &Self) -> bool {
        let up = self.uptime.unwrap_or(0).max(other.uptime.unwrap_or(0)).max(1);
        // Both are cut to whole seconds, and the replies may have been made within the same one.
        let seconds = self.uptime.zip(other.uptime).map_or(1, |(a, b)| a.abs_diff(b)).saturating_add(2);
        let now = RISE.saturating_mul(self.connection_rate.max(other.connection_rate));
        let bytes = self.byte_rate.max(other.byte_rate) / ANSWER;
        let within = |a: Option<u64>, b: Option<u64>, now: u64| {
            let Some((a, b)) = a.zip(b) else { return true };
            let usual = BURST.saturating_mul(a.min(b) / up);
            a.abs_diff(b) <= usual.max(now).saturating_add(FEW).saturating_mul(seconds)
        };
        within(self.connections, other.connections, now) && within(self.requests, other.requests, now.max(bytes))
    }

    /// Of which HAProxy with several processes this is one: node, version and number of processes; `None` for one alone.
    #[must_use]
    pub fn family(&self) -> Option<(Option<String>, Option<String>, u64)> {
        let count = self.nbproc.filter(|count| *count > 1)?;
        Some((self.partial.as_ref().map(|(node, _)| node.clone()), self.version.clone(), count))
    }
}

/// Warns, once for each pair in `told`, that two sockets may lead to one process.
pub(crate) fn warn_of_doubt(told: &mut HashSet<String>, one: &str, other: &str, reason: &'static str) {
    if told.insert(format!("doubt\n{one}\n{other}")) {
        tracing::warn!(
            socket = one,
            other,
            reason,
            "both sockets may belong to the same HAProxy process, but that is not certain: both are counted"
        );
    }
}

/// Warns of a HAProxy of so many processes (`nbproc`) of which fewer have answered through these sockets.
pub(crate) fn warn_of_missing(sockets: &str, processes: u64, answered: usize) {
    tracing::warn!(
        sockets,
        processes,
        answered,
        lines = socket_lines(processes),
        "HAProxy has more processes (nbproc) than there are sockets to tell them apart: metrics come from a different \
         process each time; give each process its own socket with these lines in the global section"
    );
}

/// The lines of HAProxy's configuration that give each of `count` processes a socket of its own.
pub(crate) fn socket_lines(count: u64) -> String {
    let line = |number: u64| format!("stats socket /run/haproxy/{number}.sock process {number}");
    match count {
        0..=2 => (1..=count).map(line).collect::<Vec<_>>().join("; "),
        _ => format!("{}; {}; and so on to process {count}", line(1), line(2)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn info(pid: u64, start: u64, more: &str) -> Reading {
        Reading::of(
            format!("Name: HAProxy\nVersion: 2.6.12\nPid: {pid}\nnode: lb\nStart_time_sec: {start}\n{more}\n")
                .as_bytes(),
        )
    }

    #[test]
    fn one_process_is_one_whatever_the_way_to_it() {
        let (a, b) = (info(7, 100, "Uptime_sec: 9\nCumReq: 50"), info(7, 100, "Uptime_sec: 10\nCumReq: 60"));
        assert_eq!(a.compare(&b), Kinship::Same);
        assert_eq!(a.compare(&a), Kinship::Same);
        assert_eq!(a.key.unwrap().to_string(), "node lb, Pid 7, Start_time_sec 100");
    }

    #[test]
    fn whatever_differs_and_cannot_change_makes_it_another() {
        let a = info(7, 100, "Process_num: 1");
        for other in [
            info(8, 100, "Process_num: 1"),
            info(7, 101, "Process_num: 1"),
            info(7, 100, "Process_num: 2"),
            info(7, 100, "Process_num: 1\ndescription: other"),
            info(7, 100, "Process_num: 1\nNbthread: 2"),
            Reading::of(b"Name: HAProxy\nVersion: 2.6.12\nProcess_num: 1\nPid: 7\nnode: other\nStart_time_sec: 100\n"),
            Reading::of(b"Name: HAProxy\nVersion: 2.8.0\nProcess_num: 1\nPid: 7\nnode: lb\nStart_time_sec: 100\n"),
            Reading::of(b"Name: HAProxy\n"),
        ] {
            assert_eq!(a.compare(&other), Kinship::Other, "{other:?}");
        }
    }

    #[test]
    fn counters_that_time_cannot_explain_make_it_doubtful() {
        let of = |up: u64, conns: u64, requests: u64, more: &str| {
            info(7, 100, &format!("Uptime_sec: {up}\nCumConns: {conns}\nCumReq: {requests}\n{more}"))
        };
        let doubt = Kinship::Doubtful("their counters differ too much");
        // A busy one: 11 connections and 57 requests a second.
        let a = of(86_400, 1_000_000, 5_000_000, "ConnRate: 12");
        assert_eq!(a.compare(&of(86_400, 1_000_100, 5_001_000, "")), Kinship::Same);
        assert_eq!(a.compare(&of(86_402, 1_000_400, 5_002_000, "")), Kinship::Same);
        assert_eq!(a.compare(&of(86_400, 1_001_000, 5_000_000, "")), doubt);
        assert_eq!(a.compare(&of(86_400, 1_000_000, 5_010_000, "")), doubt);
        // A burst on few connections shows in the bytes, one of connections in their rate.
        assert_eq!(a.compare(&of(86_400, 1_000_010, 5_010_000, "BytesOutRate: 10000000")), Kinship::Same);
        assert_eq!(a.compare(&of(86_400, 1_001_000, 5_001_000, "ConnRate: 800")), Kinship::Same);
        // Quiet twins cannot be told apart as long as they are alike; some requests do.
        assert_eq!(of(900, 5, 5, "").compare(&of(900, 7, 9, "")), Kinship::Same);
        assert_eq!(of(900, 5, 5, "").compare(&of(900, 5, 60, "")), doubt);
    }

    #[test]
    fn without_a_start_both_count() {
        let old = |uptime: u64| {
            Reading::of(format!("Version: 2.0.0\nPid: 7\nUptime_sec: {uptime}\nnode: lb\nProcess_num: 1\n").as_bytes())
        };
        assert!(matches!(old(5).compare(&old(6)), Kinship::Doubtful(_)));
        assert_eq!(old(5).compare(&old(60)), Kinship::Other);
        assert_eq!(Reading::of(b"Version: 2.0.0\n").compare(&Reading::of(b"Version: 2.0.0\n")), Kinship::Other);
    }

    #[test]
    fn families_have_several_processes() {
        assert_eq!(info(1, 1, "Nbproc: 1").family(), None);
        let (a, b) = (info(1, 1, "Nbproc: 2\nProcess_num: 1"), info(2, 1, "Nbproc: 2\nProcess_num: 2"));
        assert!(a.family().is_some() && a.family() == b.family());
        assert!(socket_lines(2).contains("2.sock process 2"));
        assert!(socket_lines(64).ends_with("and so on to process 64"));
    }
}
