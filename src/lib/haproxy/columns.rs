//! The catalogue of `show stat`: every field that HAProxy 1.3 to 3.5 prints, the objects that have it, its nature, and
//! how it is combined over processes (management guide, sections 9.1 and 9.2).
//!
//! The guide leaves some cases open, and HAProxy tags some fields wrongly. The choices made here: fields that the
//! Python program summed stay sums, maxima and limits included, because dashboards rest on them; other maxima are
//! the maximum; states of servers that every process sees alike (`act`, `downtime` of a server) are never summed.

pub use super::combine::Combine;
use super::per_kind::PerKind;
use std::collections::HashMap;
use std::sync::LazyLock;

/// What a row of `show stat` is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// `FRONTEND` rows (type 0).
    Frontend,
    /// `BACKEND` rows (type 1).
    Backend,
    /// Servers (type 2).
    Server,
}

impl Kind {
    /// All kinds, in the order in which they are sent.
    pub const ALL: [Self; 3] = [Self::Frontend, Self::Backend, Self::Server];

    /// What a row is of: a server may be called BACKEND, so the type decides where there is one. `None` for what is not read: a
    /// listener, or a type that is not known.
    #[inline(always)]
    #[must_use]
    pub(crate) fn of_row(row_type: Option<&[u8]>, svname: &[u8]) -> Option<Self> {
        match (row_type, svname) {
            (Some(b"0"), _) | (None, b"FRONTEND") => Some(Self::Frontend),
            (Some(b"1"), _) | (None, b"BACKEND") => Some(Self::Backend),
            (Some(b"2"), _) | (None, _) => Some(Self::Server),
            (Some(_), _) => None,
        }
    }

    /// The word in metric paths and option names: `frontend`, `backend`, `server`.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Frontend => "frontend",
            Self::Backend => "backend",
            Self::Server => "server",
        }
    }
}

/// The nature of a field (management guide 9.2), corrected where HAProxy's own tag is wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Nature {
    /// Grows from start on.
    Counter,
    /// A figure of now.
    Gauge,
    /// A figure of the last second.
    Rate,
    /// The largest value seen.
    Max,
    /// A configured limit.
    Limit,
    /// An average.
    Average,
    /// Time since something happened.
    Age,
    /// How long something took or lasts.
    Duration,
    /// A configured value.
    Config,
    /// Identifies something; no figure.
    Key,
    /// A state in words, sent as a number by `status-metrics`.
    Status,
    /// Text; never sent.
    Text,
}

impl Nature {
    /// The nature in words.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Rate => "rate",
            Self::Max => "maximum",
            Self::Limit => "limit",
            Self::Average => "average",
            Self::Age => "time since something happened",
            Self::Duration => "duration",
            Self::Config => "configured value",
            Self::Key => "key",
            Self::Status => "state",
            Self::Text => "text",
        }
    }
}

/// What a figure counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// Things.
    Count,
    /// Bytes.
    Bytes,
    /// Mebibytes.
    Megabytes,
    /// Things per second.
    PerSecond,
    /// Bytes per second.
    BytesPerSecond,
    /// Microseconds.
    Microseconds,
    /// Milliseconds.
    Milliseconds,
    /// Seconds.
    Seconds,
    /// Percent.
    Percent,
    /// No figure.
    None,
}

impl Unit {
    /// The unit in words, for documents.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Count => "count",
            Self::Bytes => "bytes",
            Self::Megabytes => "MiB",
            Self::PerSecond => "per second",
            Self::BytesPerSecond => "bytes per second",
            Self::Microseconds => "µs",
            Self::Milliseconds => "ms",
            Self::Seconds => "s",
            Self::Percent => "%",
            Self::None => "",
        }
    }
}

/// The mode that a row is of, by its field `mode`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// HTTP.
    Http,
    /// Any other.
    Other,
    /// The row does not say it.
    Unsaid,
}

impl Mode {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Http, Self::Other, Self::Unsaid];

    /// That of a cell.
    #[inline]
    #[must_use]
    pub fn of(cell: &[u8]) -> Self {
        match cell.first_chunk() {
            Some(b"http") => Self::Http,
            None if cell.is_empty() => Self::Unsaid,
            _ => Self::Other,
        }
    }
}

/// One field of `show stat`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Column {
    /// HAProxy's name, as in the header line.
    pub name: &'static str,
    /// What kind of figure it is.
    pub nature: Nature,
    /// What it counts.
    pub unit: Unit,
    /// How frontends, backends and servers combine it; `None` where such a row never has it.
    combine: PerKind<Option<Combine>>,
    /// First HAProxy release line that prints it.
    pub since: &'static str,
    /// One line of explanation.
    pub about: &'static str,
}

impl Column {
    /// How rows of `kind` combine this field; `None` when they do not have it as a number.
    #[must_use]
    pub fn combine(&self, kind: Kind) -> Option<Combine> {
        self.combine[kind]
    }

    /// Whether rows of `kind` have it as a number.
    #[must_use]
    pub fn on(&self, kind: Kind) -> bool {
        self.combine(kind).is_some()
    }

    /// Whether a row of `kind` in this mode always has a value, in a file whose header has what `in_header` knows: then a blank
    /// cell is a defect of that HAProxy, and says nothing of the value.
    #[must_use]
    pub fn is_always_filled(&self, kind: Kind, mode: Mode, in_header: impl Fn(&str) -> bool) -> bool {
        // Releases before 1.7 do not say it, and were not looked at.
        if mode == Mode::Unsaid {
            return false;
        }
        // Servers have had their requests counted since 2.2, which brought `eint` as well.
        let is_counted = || (self.name, kind) != ("req_tot", Kind::Server) || in_header("eint");
        ALWAYS_FILLED[kind].contains(&self.name)
            || (mode == Mode::Http && FILLED_IN_HTTP[kind].contains(&self.name) && is_counted())
    }

    /// Whether any row has it as a number.
    #[must_use]
    pub fn is_numeric(&self) -> bool {
        self.combine.iter().any(Option::is_some)
    }
}

/// The field of this name.
#[must_use]
pub fn find(name: &str) -> Option<&'static Column> {
    static BY_NAME: LazyLock<HashMap<&'static str, &'static Column>> =
        LazyLock::new(|| COLUMNS.iter().map(|column| (column.name, column)).collect());
    BY_NAME.get(name).copied()
}

/// The metrics that are sent for `kind` when nothing is selected, sums first: the Python program's list in its order.
#[must_use]
pub const fn default_sums(kind: Kind) -> &'static [&'static str] {
    match kind {
        Kind::Frontend => &FRONTEND_SUMS,
        Kind::Backend => &BACKEND_SUMS,
        Kind::Server => &SERVER_SUMS,
    }
}

/// The averages and times that are sent for `kind` beside the sums or beside a selection.
#[must_use]
pub const fn default_means(kind: Kind) -> &'static [&'static str] {
    match kind {
        Kind::Frontend => &[],
        Kind::Backend => &["act", "bck", "weight", "rtime", "ctime", "qtime", "ttime"],
        Kind::Server => &["throttle", "weight", "ctime", "qtime", "rtime", "ttime"],
    }
}

/// Whether `name` is among the metrics of the Python program for `kind`. For these a blank cell counts as 0, and a sum
/// is sent (as 0) even when this HAProxy does not print the field at all; any other field is sent only where HAProxy
/// prints a value.
#[must_use]
pub fn is_default(kind: Kind, name: &str) -> bool {
    default_sums(kind).contains(&name) || default_means(kind).contains(&name)
}

#[rustfmt::skip]
const FRONTEND_SUMS: [&str; 31] = [
    "comp_byp", "comp_in", "comp_out", "comp_rsp", "conn_rate", "conn_rate_max", "conn_tot", "dcon", "dses", "dreq",
    "ereq", "intercepted", "rate_lim", "req_rate", "req_rate_max", "req_tot",
    "bin", "bout", "dresp", "hrsp_1xx", "hrsp_2xx", "hrsp_3xx", "hrsp_4xx", "hrsp_5xx", "hrsp_other",
    "rate", "rate_max", "scur", "slim", "smax", "stot",
];

#[rustfmt::skip]
const BACKEND_SUMS: [&str; 33] = [
    "chkdown", "cli_abrt", "comp_byp", "comp_in", "comp_out", "comp_rsp", "downtime", "dreq", "econ", "eresp",
    "intercepted", "lbtot", "qcur", "qmax", "req_tot", "srv_abrt", "wredis", "wretr",
    "bin", "bout", "dresp", "hrsp_1xx", "hrsp_2xx", "hrsp_3xx", "hrsp_4xx", "hrsp_5xx", "hrsp_other",
    "rate", "rate_max", "scur", "slim", "smax", "stot",
];

#[rustfmt::skip]
const SERVER_SUMS: [&str; 26] = [
    "chkfail", "chkdown", "cli_abrt", "econ", "eresp", "lbtot", "qcur", "qmax", "srv_abrt", "wredis", "wretr",
    "bin", "bout", "dresp", "hrsp_1xx", "hrsp_2xx", "hrsp_3xx", "hrsp_4xx", "hrsp_5xx", "hrsp_other",
    "rate", "rate_max", "scur", "slim", "smax", "stot",
];

/// Figures that HAProxy prints in every row of frontends, backends and servers, as it has done since 1.7 in each release
/// that knows them.
#[rustfmt::skip]
static ALWAYS_FILLED: PerKind<&[&str]> = PerKind([
    &["scur", "smax", "slim", "stot", "bin", "bout", "dreq", "dresp", "ereq", "rate", "rate_lim", "rate_max", "req_rate",
      "req_rate_max", "req_tot", "comp_in", "comp_out", "comp_byp", "comp_rsp", "conn_rate", "conn_rate_max", "conn_tot",
      "dcon", "dses", "wrew", "eint", "sess_other", "h1sess", "h2sess", "h3sess", "req_other", "h1req", "h2req", "h3req",
      "reqbin", "reqbout", "resbin", "resbout"],
    &["qcur", "qmax", "scur", "smax", "slim", "stot", "bin", "bout", "dreq", "dresp", "econ", "eresp", "wretr", "wredis",
      "weight", "act", "bck", "chkdown", "lbtot", "rate", "rate_max", "cli_abrt", "srv_abrt", "comp_in", "comp_out",
      "comp_byp", "comp_rsp", "qtime", "ctime", "rtime", "ttime", "wrew", "connect", "reuse", "eint", "uweight", "reqbin",
      "reqbout", "resbin", "resbout"],
    &["qcur", "qmax", "scur", "smax", "stot", "bin", "bout", "dresp", "econ", "eresp", "wretr", "wredis", "weight",
      "lbtot", "rate", "rate_max", "cli_abrt", "srv_abrt", "qtime", "ctime", "rtime", "ttime", "wrew", "connect", "reuse",
      "srv_icur", "eint", "idle_conn_cur", "safe_conn_cur", "used_conn_cur", "need_conn_est", "uweight", "priv_idle_cur",
      "reqbin", "reqbout", "resbin", "resbout"],
]);

/// Figures that HAProxy prints in every such row in HTTP mode, and in no other.
#[rustfmt::skip]
static FILLED_IN_HTTP: PerKind<&[&str]> = PerKind([
    &["hrsp_1xx", "hrsp_2xx", "hrsp_3xx", "hrsp_4xx", "hrsp_5xx", "hrsp_other", "intercepted", "cache_lookups", "cache_hits"],
    &["hrsp_1xx", "hrsp_2xx", "hrsp_3xx", "hrsp_4xx", "hrsp_5xx", "hrsp_other", "req_tot", "cache_lookups", "cache_hits"],
    &["hrsp_1xx", "hrsp_2xx", "hrsp_3xx", "hrsp_4xx", "hrsp_5xx", "hrsp_other", "req_tot"],
]);

const NO: Option<Combine> = None;
const SUM: Option<Combine> = Some(Combine::Sum);
const LIMIT: Option<Combine> = Some(Combine::Limit);
const OR_BLANK: Option<Combine> = Some(Combine::LimitOrBlank);
const MEAN: Option<Combine> = Some(Combine::Mean);
const BUSY: Option<Combine> = Some(Combine::BusyMean);
const MAX: Option<Combine> = Some(Combine::Max);
const MIN: Option<Combine> = Some(Combine::Min);
const MIN_PRESENT: Option<Combine> = Some(Combine::MinPresent);
const NONE: [Option<Combine>; 3] = [NO, NO, NO];

const fn col(
    name: &'static str,
    nature: Nature,
    unit: Unit,
    combine: [Option<Combine>; 3],
    since: &'static str,
    about: &'static str,
) -> Column {
    Column { name, nature, unit, combine: PerKind(combine), since, about }
}

use Nature::{Age, Average, Config, Counter, Duration, Gauge, Key, Limit, Max, Rate, Status, Text};
use Unit::{Bytes, Count, Milliseconds, None as None_, PerSecond, Percent, Seconds};

/// Every field, in HAProxy's order. The array says: frontend, backend, server.
#[rustfmt::skip]
pub static COLUMNS: &[Column] = &[
    col("pxname", Text, None_, NONE, "1.3.14", "name of the proxy"),
    col("svname", Text, None_, NONE, "1.3.14", "FRONTEND, BACKEND, or name of the server or listener"),
    col("qcur", Gauge, Count, [NO, SUM, SUM], "1.3.14", "requests waiting in the queue now"),
    col("qmax", Max, Count, [NO, SUM, SUM], "1.3.14", "most requests that waited in the queue"),
    col("scur", Gauge, Count, [SUM, SUM, SUM], "1.3.14", "sessions open now"),
    col("smax", Max, Count, [SUM, SUM, SUM], "1.3.14", "most sessions open at once"),
    col("slim", Limit, Count, [LIMIT, LIMIT, LIMIT], "1.3.14", "limit of sessions, 0 for none"),
    col("stot", Counter, Count, [SUM, SUM, SUM], "1.3.14", "sessions since start"),
    col("bin", Counter, Bytes, [SUM, SUM, SUM], "1.3.14", "bytes received from clients (requests)"),
    col("bout", Counter, Bytes, [SUM, SUM, SUM], "1.3.14", "bytes sent to clients (responses)"),
    col("dreq", Counter, Count, [SUM, SUM, NO], "1.3.14", "requests denied by a rule"),
    col("dresp", Counter, Count, [SUM, SUM, SUM], "1.3.14", "responses denied by a rule"),
    col("ereq", Counter, Count, [SUM, NO, NO], "1.3.14", "requests in error"),
    col("econ", Counter, Count, [NO, SUM, SUM], "1.3.14", "attempts to connect to a server that failed"),
    col("eresp", Counter, Count, [NO, SUM, SUM], "1.3.14", "responses in error"),
    col("wretr", Counter, Count, [NO, SUM, SUM], "1.3.14", "times a connection to a server was tried again"),
    col("wredis", Counter, Count, [NO, SUM, SUM], "1.3.14", "times a request went to another server instead"),
    col("status", Status, None_, NONE, "1.3.14", "state as text; status-metrics sends it as a number"),
    col("weight", Average, Count, [NO, MEAN, MEAN], "1.3.14", "effective weight"),
    col("act", Gauge, Count, [NO, MEAN, MAX], "1.3.14", "servers in use that are not backups (backend), or 1 when it is one (server)"),
    col("bck", Gauge, Count, [NO, MEAN, MAX], "1.3.14", "backup servers in use (backend), or 1 when it is one (server)"),
    col("chkfail", Counter, Count, [NO, NO, SUM], "1.3.14", "checks that failed while the server was up"),
    col("chkdown", Counter, Count, [NO, SUM, SUM], "1.3.14", "transitions from up to down"),
    col("lastchg", Age, Seconds, [NO, MIN, MIN], "1.3.14", "time since the last change of state"),
    col("downtime", Counter, Seconds, [NO, SUM, MAX], "1.3.14", "time spent down"),
    col("qlimit", Limit, Count, [NO, NO, OR_BLANK], "1.3.14", "limit of the queue, blank for none"),
    col("pid", Key, None_, NONE, "1.3.14", "number of the process"),
    col("iid", Key, None_, NONE, "1.3.14", "number of the proxy"),
    col("sid", Key, None_, NONE, "1.3.14", "number of the server in its proxy"),
    col("throttle", Average, Percent, [NO, NO, MEAN], "1.3.14", "share of its weight that a starting server may use; 0 outside slow start, as blank cells count as 0"),
    col("lbtot", Counter, Count, [NO, SUM, SUM], "1.3.14", "times selected by load balancing"),
    col("tracked", Text, None_, NONE, "1.3.15", "server whose state is followed"),
    col("type", Key, None_, NONE, "1.3.15", "kind of row: 0 frontend, 1 backend, 2 server, 3 listener"),
    col("rate", Rate, PerSecond, [SUM, SUM, SUM], "1.3.16", "sessions in the last second"),
    col("rate_lim", Limit, PerSecond, [LIMIT, NO, NO], "1.3.18", "limit of sessions per second, 0 for none"),
    col("rate_max", Max, PerSecond, [SUM, SUM, SUM], "1.3.18", "most sessions in a second"),
    col("check_status", Status, None_, NONE, "1.4", "result of the last check as text; status-metrics sends it as a number"),
    col("check_code", Gauge, Count, [NO, NO, MAX], "1.4", "code that the last check got, such as an HTTP status"),
    col("check_duration", Duration, Milliseconds, [NO, NO, MAX], "1.4", "time that the last check took"),
    col("hrsp_1xx", Counter, Count, [SUM, SUM, SUM], "1.4", "responses with a status of 100 to 199"),
    col("hrsp_2xx", Counter, Count, [SUM, SUM, SUM], "1.4", "responses with a status of 200 to 299"),
    col("hrsp_3xx", Counter, Count, [SUM, SUM, SUM], "1.4", "responses with a status of 300 to 399"),
    col("hrsp_4xx", Counter, Count, [SUM, SUM, SUM], "1.4", "responses with a status of 400 to 499"),
    col("hrsp_5xx", Counter, Count, [SUM, SUM, SUM], "1.4", "responses with a status of 500 to 599"),
    col("hrsp_other", Counter, Count, [SUM, SUM, SUM], "1.4", "responses with any other status"),
    col("hanafail", Counter, Count, [NO, NO, SUM], "1.4", "checks that failed by observing traffic"),
    col("req_rate", Rate, PerSecond, [SUM, NO, NO], "1.4", "requests in the last second"),
    col("req_rate_max", Max, PerSecond, [SUM, NO, NO], "1.4", "most requests in a second"),
    col("req_tot", Counter, Count, [SUM, SUM, SUM], "1.4", "requests since start"),
    col("cli_abrt", Counter, Count, [NO, SUM, SUM], "1.5", "transfers that the client ended early"),
    col("srv_abrt", Counter, Count, [NO, SUM, SUM], "1.5", "transfers that the server ended early"),
    col("comp_in", Counter, Bytes, [SUM, SUM, NO], "1.5", "bytes given to the compressor"),
    col("comp_out", Counter, Bytes, [SUM, SUM, NO], "1.5", "bytes that the compressor made"),
    col("comp_byp", Counter, Bytes, [SUM, SUM, NO], "1.5", "bytes that went past the compressor"),
    col("comp_rsp", Counter, Count, [SUM, SUM, NO], "1.5", "responses that were compressed"),
    col("lastsess", Age, Seconds, [NO, MIN_PRESENT, MIN_PRESENT], "1.5", "time since the last session went to it"),
    col("last_chk", Text, None_, NONE, "1.5", "text of the last check"),
    col("last_agt", Text, None_, NONE, "1.5", "text of the last agent check"),
    col("qtime", Average, Milliseconds, [NO, BUSY, BUSY], "1.5", "time in the queue, average over the last 1024 requests"),
    col("ctime", Average, Milliseconds, [NO, BUSY, BUSY], "1.5", "time to connect, average over the last 1024 requests"),
    col("rtime", Average, Milliseconds, [NO, BUSY, BUSY], "1.5", "time to the response, average over the last 1024 requests"),
    col("ttime", Average, Milliseconds, [NO, BUSY, BUSY], "1.5", "total time, average over the last 1024 requests"),
    col("agent_status", Status, None_, NONE, "1.7", "result of the last agent check as text"),
    col("agent_code", Gauge, Count, [NO, NO, MAX], "1.7", "code of the last agent check"),
    col("agent_duration", Duration, Milliseconds, [NO, NO, MAX], "1.7", "time that the last agent check took"),
    col("check_desc", Text, None_, NONE, "1.7", "check_status in words"),
    col("agent_desc", Text, None_, NONE, "1.7", "agent_status in words"),
    col("check_rise", Config, Count, [NO, NO, MAX], "1.7", "checks that must succeed before it is up"),
    col("check_fall", Config, Count, [NO, NO, MAX], "1.7", "checks that must fail before it is down"),
    col("check_health", Gauge, Count, [NO, NO, MIN], "1.7", "position between 0 and rise + fall - 1"),
    col("agent_rise", Config, Count, [NO, NO, MAX], "1.7", "agent checks that must succeed before it is up"),
    col("agent_fall", Config, Count, [NO, NO, MAX], "1.7", "agent checks that must fail before it is down"),
    col("agent_health", Gauge, Count, [NO, NO, MIN], "1.7", "position between 0 and rise + fall - 1, by the agent"),
    col("addr", Text, None_, NONE, "1.7", "address"),
    col("cookie", Text, None_, NONE, "1.7", "cookie"),
    col("mode", Text, None_, NONE, "1.7", "mode"),
    col("algo", Text, None_, NONE, "1.7", "balance algorithm"),
    col("conn_rate", Rate, PerSecond, [SUM, NO, NO], "1.7", "connections in the last second"),
    col("conn_rate_max", Max, PerSecond, [SUM, NO, NO], "1.7", "most connections in a second"),
    col("conn_tot", Counter, Count, [SUM, NO, NO], "1.7", "connections since start"),
    col("intercepted", Counter, Count, [SUM, SUM, NO], "1.7", "requests answered by HAProxy itself"),
    col("dcon", Counter, Count, [SUM, NO, NO], "1.7", "connections denied by a rule"),
    col("dses", Counter, Count, [SUM, NO, NO], "1.7", "sessions denied by a rule"),
    col("wrew", Counter, Count, [SUM, SUM, SUM], "1.9", "header rewrites that failed"),
    col("connect", Counter, Count, [NO, SUM, SUM], "1.9", "attempts to connect to a server"),
    col("reuse", Counter, Count, [NO, SUM, SUM], "1.9", "times an open connection was used again"),
    col("cache_lookups", Counter, Count, [SUM, SUM, NO], "1.9", "look-ups in the cache"),
    col("cache_hits", Counter, Count, [SUM, SUM, NO], "1.9", "objects served from the cache"),
    col("srv_icur", Gauge, Count, [NO, NO, SUM], "2.1", "idle connections that can be used again"),
    col("src_ilim", Limit, Count, [NO, NO, OR_BLANK], "2.1", "limit of idle connections, blank for none"),
    col("qtime_max", Max, Milliseconds, [NO, MAX, MAX], "2.1", "longest time in the queue"),
    col("ctime_max", Max, Milliseconds, [NO, MAX, MAX], "2.1", "longest time to connect"),
    col("rtime_max", Max, Milliseconds, [NO, MAX, MAX], "2.1", "longest time to the response"),
    col("ttime_max", Max, Milliseconds, [NO, MAX, MAX], "2.1", "longest total time"),
    col("eint", Counter, Count, [SUM, SUM, SUM], "2.2", "internal errors"),
    col("idle_conn_cur", Gauge, Count, [NO, NO, SUM], "2.2", "unsafe idle connections"),
    col("safe_conn_cur", Gauge, Count, [NO, NO, SUM], "2.2", "safe idle connections"),
    col("used_conn_cur", Gauge, Count, [NO, NO, SUM], "2.2", "connections in use"),
    col("need_conn_est", Gauge, Count, [NO, NO, SUM], "2.2", "connections estimated to be needed"),
    col("uweight", Average, Count, [NO, MEAN, MEAN], "2.3", "weight before slow start, as configured or set"),
    col("agg_server_status", Key, None_, NONE, "2.8", "always 0 on the stats socket"),
    col("agg_server_check_status", Key, None_, NONE, "2.5", "always 0 on the stats socket"),
    col("agg_check_status", Key, None_, NONE, "2.8", "always 0 on the stats socket"),
    col("srid", Key, None_, NONE, "2.8", "revision of the server slot"),
    col("sess_other", Counter, Count, [SUM, NO, NO], "2.8", "sessions of other protocols"),
    col("h1sess", Counter, Count, [SUM, NO, NO], "2.8", "HTTP/1 sessions"),
    col("h2sess", Counter, Count, [SUM, NO, NO], "2.8", "HTTP/2 sessions"),
    col("h3sess", Counter, Count, [SUM, NO, NO], "2.8", "HTTP/3 sessions"),
    col("req_other", Counter, Count, [SUM, NO, NO], "2.8", "requests of other protocols"),
    col("h1req", Counter, Count, [SUM, NO, NO], "2.8", "HTTP/1 requests"),
    col("h2req", Counter, Count, [SUM, NO, NO], "2.8", "HTTP/2 requests"),
    col("h3req", Counter, Count, [SUM, NO, NO], "2.8", "HTTP/3 requests"),
    col("proto", Text, None_, NONE, "2.9", "protocol of the listener"),
    col("priv_idle_cur", Gauge, Count, [NO, NO, SUM], "3.3", "private idle connections"),
    col("reqbin", Counter, Bytes, [SUM, SUM, SUM], "3.3", "request bytes received from clients"),
    col("reqbout", Counter, Bytes, [SUM, SUM, SUM], "3.3", "request bytes sent to servers"),
    col("resbin", Counter, Bytes, [SUM, SUM, SUM], "3.3", "response bytes received from servers"),
    col("resbout", Counter, Bytes, [SUM, SUM, SUM], "3.3", "response bytes sent to clients"),
    col("cache_hint_hits", Counter, Count, [SUM, SUM, NO], "3.5-dev5", "objects served from the cache by a hint"),
    col("h2_headers_rcvd", Counter, Count, [SUM, SUM, NO], "2.3", "HTTP/2: headers rcvd"),
    col("h2_data_rcvd", Counter, Count, [SUM, SUM, NO], "2.3", "HTTP/2: data rcvd"),
    col("h2_settings_rcvd", Counter, Count, [SUM, SUM, NO], "2.3", "HTTP/2: settings rcvd"),
    col("h2_rst_stream_rcvd", Counter, Count, [SUM, SUM, NO], "2.3", "HTTP/2: rst stream rcvd"),
    col("h2_goaway_rcvd", Counter, Count, [SUM, SUM, NO], "2.3", "HTTP/2: goaway rcvd"),
    col("h2_detected_conn_protocol_errors", Counter, Count, [SUM, SUM, NO], "2.3", "HTTP/2: detected conn protocol errors"),
    col("h2_detected_strm_protocol_errors", Counter, Count, [SUM, SUM, NO], "2.3", "HTTP/2: detected strm protocol errors"),
    col("h2_rst_stream_resp", Counter, Count, [SUM, SUM, NO], "2.3", "HTTP/2: rst stream resp"),
    col("h2_goaway_resp", Counter, Count, [SUM, SUM, NO], "2.3", "HTTP/2: goaway resp"),
    col("h2_open_connections", Gauge, Count, [SUM, SUM, NO], "2.3", "HTTP/2: open connections"),
    col("h2_backend_open_streams", Gauge, Count, [SUM, SUM, NO], "2.3", "HTTP/2: backend open streams"),
    col("h2_total_connections", Counter, Count, [SUM, SUM, NO], "2.4", "HTTP/2: total connections"),
    col("h2_backend_total_streams", Counter, Count, [SUM, SUM, NO], "2.4", "HTTP/2: backend total streams"),
    col("ssl_sess", Counter, Count, [SUM, SUM, SUM], "2.4", "TLS: sess"),
    col("ssl_reused_sess", Counter, Count, [SUM, SUM, SUM], "2.4", "TLS: reused sess"),
    col("ssl_failed_handshake", Counter, Count, [SUM, SUM, SUM], "2.4", "TLS: failed handshake"),
    col("h1_open_connections", Gauge, Count, [SUM, SUM, NO], "2.6", "HTTP/1: open connections"),
    col("h1_open_streams", Gauge, Count, [SUM, SUM, NO], "2.6", "HTTP/1: open streams"),
    col("h1_total_connections", Counter, Count, [SUM, SUM, NO], "2.6", "HTTP/1: total connections"),
    col("h1_total_streams", Counter, Count, [SUM, SUM, NO], "2.6", "HTTP/1: total streams"),
    col("h1_bytes_in", Counter, Bytes, [SUM, SUM, NO], "2.6", "HTTP/1: bytes in"),
    col("h1_bytes_out", Counter, Bytes, [SUM, SUM, NO], "2.6", "HTTP/1: bytes out"),
    col("h1_spliced_bytes_in", Counter, Bytes, [SUM, SUM, NO], "2.6", "HTTP/1: spliced bytes in"),
    col("h1_spliced_bytes_out", Counter, Bytes, [SUM, SUM, NO], "2.6", "HTTP/1: spliced bytes out"),
    col("quic_rxbuf_full", Counter, Count, [SUM, SUM, NO], "2.7", "QUIC: rxbuf full"),
    col("quic_dropped_pkt", Counter, Count, [SUM, SUM, NO], "2.6", "QUIC: dropped pkt"),
    col("quic_dropped_pkt_bufoverrun", Counter, Count, [SUM, SUM, NO], "2.7", "QUIC: dropped pkt bufoverrun"),
    col("quic_dropped_parsing_pkt", Counter, Count, [SUM, SUM, NO], "2.6", "QUIC: dropped parsing pkt"),
    col("quic_socket_full", Counter, Count, [SUM, SUM, NO], "2.7", "QUIC: socket full"),
    col("quic_sendto_err", Counter, Count, [SUM, SUM, NO], "2.7", "QUIC: sendto err"),
    col("quic_sendto_err_unknwn", Counter, Count, [SUM, SUM, NO], "2.7", "QUIC: sendto err unknwn"),
    col("quic_sent_pkt", Counter, Count, [SUM, SUM, NO], "2.8", "QUIC: sent pkt"),
    col("quic_lost_pkt", Counter, Count, [SUM, SUM, NO], "2.6", "QUIC: lost pkt"),
    col("quic_too_short_dgram", Counter, Count, [SUM, SUM, NO], "2.6", "QUIC: too short dgram"),
    col("quic_retry_sent", Counter, Count, [SUM, SUM, NO], "2.6", "QUIC: retry sent"),
    col("quic_retry_validated", Counter, Count, [SUM, SUM, NO], "2.6", "QUIC: retry validated"),
    col("quic_retry_error", Counter, Count, [SUM, SUM, NO], "2.6", "QUIC: retry error"),
    col("quic_half_open_conn", Gauge, Count, [SUM, SUM, NO], "2.6", "QUIC: half open conn"),
    col("quic_hdshk_fail", Counter, Count, [SUM, SUM, NO], "2.6", "QUIC: hdshk fail"),
    col("quic_stless_rst_sent", Counter, Count, [SUM, SUM, NO], "2.6", "QUIC: stless rst sent"),
    col("quic_conn_migration_done", Counter, Count, [SUM, SUM, NO], "2.8", "QUIC: conn migration done"),
    col("quic_transp_err_no_error", Counter, Count, [SUM, SUM, NO], "2.6", "QUIC: transp err no error"),
    col("quic_transp_err_internal_error", Counter, Count, [SUM, SUM, NO], "2.6", "QUIC: transp err internal error"),
    col("quic_transp_err_connection_refused", Counter, Count, [SUM, SUM, NO], "2.6", "QUIC: transp err connection refused"),
    col("quic_transp_err_flow_control_error", Counter, Count, [SUM, SUM, NO], "2.6", "QUIC: transp err flow control error"),
    col("quic_transp_err_stream_limit_error", Counter, Count, [SUM, SUM, NO], "2.6", "QUIC: transp err stream limit error"),
    col("quic_transp_err_stream_state_error", Counter, Count, [SUM, SUM, NO], "2.6", "QUIC: transp err stream state error"),
    col("quic_transp_err_final_size_error", Counter, Count, [SUM, SUM, NO], "2.6", "QUIC: transp err final size error"),
    col("quic_transp_err_frame_encoding_error", Counter, Count, [SUM, SUM, NO], "2.6", "QUIC: transp err frame encoding error"),
    col("quic_transp_err_transport_parameter_error", Counter, Count, [SUM, SUM, NO], "2.6", "QUIC: transp err transport parameter error"),
    col("quic_transp_err_connection_id_limit", Counter, Count, [SUM, SUM, NO], "2.6", "QUIC: transp err connection id limit"),
    col("quic_transp_err_protocol_violation_error", Counter, Count, [SUM, SUM, NO], "2.6", "QUIC: transp err protocol violation error"),
    col("quic_transp_err_invalid_token", Counter, Count, [SUM, SUM, NO], "2.6", "QUIC: transp err invalid token"),
    col("quic_transp_err_application_error", Counter, Count, [SUM, SUM, NO], "2.6", "QUIC: transp err application error"),
    col("quic_transp_err_crypto_buffer_exceeded", Counter, Count, [SUM, SUM, NO], "2.6", "QUIC: transp err crypto buffer exceeded"),
    col("quic_transp_err_key_update_error", Counter, Count, [SUM, SUM, NO], "2.6", "QUIC: transp err key update error"),
    col("quic_transp_err_aead_limit_reached", Counter, Count, [SUM, SUM, NO], "2.6", "QUIC: transp err aead limit reached"),
    col("quic_transp_err_no_viable_path", Counter, Count, [SUM, SUM, NO], "2.6", "QUIC: transp err no viable path"),
    col("quic_transp_err_crypto_error", Counter, Count, [SUM, SUM, NO], "2.6", "QUIC: transp err crypto error"),
    col("quic_transp_err_unknown_error", Counter, Count, [SUM, SUM, NO], "2.6", "QUIC: transp err unknown error"),
    col("quic_data_blocked", Counter, Count, [SUM, SUM, NO], "2.6", "QUIC: data blocked"),
    col("quic_stream_data_blocked", Counter, Count, [SUM, SUM, NO], "2.6", "QUIC: stream data blocked"),
    col("quic_streams_blocked_bidi", Counter, Count, [SUM, SUM, NO], "2.8", "QUIC: streams blocked bidi"),
    col("quic_streams_blocked_uni", Counter, Count, [SUM, SUM, NO], "2.8", "QUIC: streams blocked uni"),
    col("h3_data", Counter, Count, [SUM, SUM, NO], "2.6", "HTTP/3: data"),
    col("h3_headers", Counter, Count, [SUM, SUM, NO], "2.6", "HTTP/3: headers"),
    col("h3_cancel_push", Counter, Count, [SUM, SUM, NO], "2.6", "HTTP/3: cancel push"),
    col("h3_push_promise", Counter, Count, [SUM, SUM, NO], "2.6", "HTTP/3: push promise"),
    col("h3_max_push_id", Counter, Count, [SUM, SUM, NO], "2.6", "HTTP/3: max push id"),
    col("h3_goaway", Counter, Count, [SUM, SUM, NO], "2.6", "HTTP/3: goaway"),
    col("h3_settings", Counter, Count, [SUM, SUM, NO], "2.6", "HTTP/3: settings"),
    col("h3_no_error", Counter, Count, [SUM, SUM, NO], "2.6", "HTTP/3: no error"),
    col("h3_general_protocol_error", Counter, Count, [SUM, SUM, NO], "2.6", "HTTP/3: general protocol error"),
    col("h3_internal_error", Counter, Count, [SUM, SUM, NO], "2.6", "HTTP/3: internal error"),
    col("h3_stream_creation_error", Counter, Count, [SUM, SUM, NO], "2.6", "HTTP/3: stream creation error"),
    col("h3_closed_critical_stream", Counter, Count, [SUM, SUM, NO], "2.6", "HTTP/3: closed critical stream"),
    col("h3_frame_unexpected", Counter, Count, [SUM, SUM, NO], "2.6", "HTTP/3: frame unexpected"),
    col("h3_frame_error", Counter, Count, [SUM, SUM, NO], "2.6", "HTTP/3: frame error"),
    col("h3_excessive_load", Counter, Count, [SUM, SUM, NO], "2.6", "HTTP/3: excessive load"),
    col("h3_id_error", Counter, Count, [SUM, SUM, NO], "2.6", "HTTP/3: id error"),
    col("h3_settings_error", Counter, Count, [SUM, SUM, NO], "2.6", "HTTP/3: settings error"),
    col("h3_missing_settings", Counter, Count, [SUM, SUM, NO], "2.6", "HTTP/3: missing settings"),
    col("h3_request_rejected", Counter, Count, [SUM, SUM, NO], "2.6", "HTTP/3: request rejected"),
    col("h3_request_cancelled", Counter, Count, [SUM, SUM, NO], "2.6", "HTTP/3: request cancelled"),
    col("h3_request_incomplete", Counter, Count, [SUM, SUM, NO], "2.6", "HTTP/3: request incomplete"),
    col("h3_message_error", Counter, Count, [SUM, SUM, NO], "2.6", "HTTP/3: message error"),
    col("h3_connect_error", Counter, Count, [SUM, SUM, NO], "2.6", "HTTP/3: connect error"),
    col("h3_version_fallback", Counter, Count, [SUM, SUM, NO], "2.6", "HTTP/3: version fallback"),
    col("pack_decompression_failed", Counter, Count, [SUM, SUM, NO], "2.6", "HTTP/3: decompression failed"),
    col("qpack_encoder_stream_error", Counter, Count, [SUM, SUM, NO], "2.6", "HTTP/3: encoder stream error"),
    col("qpack_decoder_stream_error", Counter, Count, [SUM, SUM, NO], "2.6", "HTTP/3: decoder stream error"),
    col("ssl_ocsp_staple", Counter, Count, [SUM, SUM, SUM], "3.2", "TLS: ocsp staple"),
    col("ssl_failed_ocsp_staple", Counter, Count, [SUM, SUM, SUM], "3.2", "TLS: failed ocsp staple"),
    col("quic_ncbuf_gap_limit", Counter, Count, [SUM, SUM, NO], "3.4", "QUIC: ncbuf gap limit"),];

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn names_are_unique_and_every_field_is_explained() {
        let names: HashSet<_> = COLUMNS.iter().map(|c| c.name).collect();
        assert_eq!(names.len(), COLUMNS.len());
        assert!(COLUMNS.iter().all(|c| !c.about.is_empty() && !c.since.is_empty()));
    }

    #[test]
    fn every_figure_has_a_rule_and_nothing_else_has() {
        for column in COLUMNS {
            let figure = !matches!(column.nature, Key | Status | Text);

            assert_eq!(column.is_numeric(), figure, "{}", column.name);
            assert_eq!(column.unit == Unit::None, !figure, "{}", column.name);
        }
    }

    #[test]
    fn the_default_metrics_keep_the_original_rules() {
        for kind in Kind::ALL {
            for name in default_sums(kind) {
                // A limit that is none is no part of a sum; the original adds it.
                assert!(matches!(find(name).and_then(|c| c.combine(kind)), SUM | LIMIT), "{name}");
            }
            for name in default_means(kind) {
                assert!(matches!(find(name).and_then(|c| c.combine(kind)), MEAN | BUSY), "{name}");
            }
        }
    }

    #[test]
    fn a_counter_is_summed_and_an_average_never() {
        for column in COLUMNS {
            for rule in Kind::ALL.iter().filter_map(|kind| column.combine(*kind)) {
                match column.nature {
                    Counter => assert!(rule == Combine::Sum || column.name == "downtime", "{}", column.name),
                    Average | Age => assert_ne!(rule, Combine::Sum, "{}", column.name),
                    _ => {}
                }
            }
        }
    }
}
