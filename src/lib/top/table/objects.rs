//! Frontends, backends and servers.

use super::{Cell, Column, Tone, descending, errors, number, rate};
use crate::top::model::Object;
use crate::top::read::field::Field;
use crate::top::read::tick::Rank;
use crate::top::text::{count, milliseconds, percent, short_time};

const PROXY: Column<Object> = Column::text(
    "PROXY",
    "frontend or backend",
    14,
    0,
    |object| Cell::plain(&*object.key.proxy),
    |a, b| a.key.proxy.cmp(&b.key.proxy),
);
const KIND: Column<Object> = Column::words(
    "KIND",
    "whether it is a frontend or a backend",
    5,
    3,
    |object| Cell::faint(if object.key.kind == Rank::Frontend { "front" } else { "back" }),
    |a, b| a.key.kind.cmp(&b.key.kind),
);
const SERVER: Column<Object> = Column::text(
    "SERVER",
    "server of the backend",
    14,
    0,
    |object| Cell::plain(&*object.key.name),
    |a, b| (&a.key.name, &a.key.proxy).cmp(&(&b.key.name, &b.key.proxy)),
);
const FULL_NAME: Column<Object> = Column {
    about: "backend and server",
    width: 18,
    cell: |object| Cell::plain(format!("{}/{}", object.key.proxy, object.key.name)),
    order: |a, b| a.key.cmp(&b.key),
    ..SERVER
};
const STATE: Column<Object> =
    Column::words("STATE", "state in HAProxy's words, the worst of all processes", 8, 1, state, |a, b| {
        b.state.severity.cmp(&a.state.severity)
    });
const SINCE: Column<Object> = Column::figures(
    "SINCE",
    "time in this state",
    5,
    7,
    |object| object.since.map_or_else(Cell::none, |since| Cell::plain(short_time(since))),
    // The most recent change comes first.
    |a, b| a.since.unwrap_or(i64::MAX).cmp(&b.since.unwrap_or(i64::MAX)),
);
const REQUESTS: Column<Object> = Column::figures(
    "REQ/S",
    "requests per second; sessions in TCP mode",
    6,
    1,
    |object| rate(object.requests(), object.known),
    |a, b| descending(a.requests(), b.requests()),
);
const ERRORS: Column<Object> = Column::figures(
    "ERR/S",
    "errors per second: 5xx; for servers also failed connections and responses",
    6,
    0,
    |object| errors(object.errors(), object.known),
    |a, b| descending(a.errors(), b.errors()),
);
const TIME: Column<Object> = Column::figures(
    "TIME",
    "response time; connect time in TCP mode",
    6,
    2,
    |object| object.latency().map_or_else(Cell::none, |time| Cell::plain(milliseconds(time))),
    |a, b| descending(a.latency(), b.latency()),
);
const QUEUE: Column<Object> = Column::figures(
    "QUEUE",
    "queued requests; for backends including those of their servers",
    5,
    4,
    |object| number(Some(object.waiting).filter(|_| object.key.kind != Rank::Frontend), Tone::Warning),
    |a, b| descending(Some(a.waiting), Some(b.waiting)),
);
const SESSIONS: Column<Object> = Column::figures(
    "SESS",
    "open sessions",
    5,
    5,
    |object| number(object.get(Field::Sessions), Tone::Plain),
    |a, b| descending(a.get(Field::Sessions), b.get(Field::Sessions)),
);
const LIMIT: Column<Object> = Column::figures(
    "LIMIT",
    "maximum number of sessions",
    5,
    9,
    |object| number(object.get(Field::SessionLimit), Tone::Faint),
    |a, b| descending(a.get(Field::SessionLimit), b.get(Field::SessionLimit)),
);
const IN: Column<Object> = Column::figures(
    "IN/S",
    "bytes received from clients per second",
    6,
    8,
    |object| rate(object.get(Field::BytesIn), object.known),
    |a, b| descending(a.get(Field::BytesIn), b.get(Field::BytesIn)),
);
const OUT: Column<Object> = Column::figures(
    "OUT/S",
    "bytes sent to clients per second",
    6,
    8,
    |object| rate(object.get(Field::BytesOut), object.known),
    |a, b| descending(a.get(Field::BytesOut), b.get(Field::BytesOut)),
);
const SERVING: Column<Object> = Column::figures(
    "SRV",
    "servers in use",
    4,
    6,
    |object| {
        serving(object).map_or_else(Cell::none, |servers| {
            Cell::toned(count(servers), if servers < 1.0 { Tone::Bad } else { Tone::Plain })
        })
    },
    |a, b| descending(serving(b), serving(a)),
);
const SHARE: Column<Object> = Column::figures(
    "SHARE",
    "share of the requests of all servers that take traffic",
    5,
    6,
    |object| match object.share {
        Some(share) => share.requests.map_or_else(Cell::none, |part| {
            Cell::toned(percent(part), if share.off { Tone::Warning } else { Tone::Plain })
        }),
        None => Cell::none(),
    },
    |a, b| descending(a.share.and_then(|share| share.requests), b.share.and_then(|share| share.requests)),
);
const WEIGHT: Column<Object> = Column::figures(
    "OF WGT",
    "share of the weight of these servers, to compare with SHARE",
    6,
    6,
    |object| object.share.map_or_else(Cell::none, |share| Cell::plain(percent(share.weight))),
    |a, b| descending(a.share.map(|share| share.weight), b.share.map(|share| share.weight)),
);
const CHECK: Column<Object> = Column::text(
    "LAST CHECK",
    "result of the last check",
    12,
    10,
    |object| object.check.as_deref().map_or_else(Cell::none, Cell::faint),
    |a, b| a.check.cmp(&b.check),
);

/// Columns of frontends and backends.
pub(in crate::top) static PROXIES: &[Column<Object>] =
    &[PROXY, KIND, STATE, SINCE, REQUESTS, ERRORS, TIME, QUEUE, SESSIONS, LIMIT, IN, OUT, SERVING];

/// Columns of the servers of a backend.
pub(in crate::top) static SERVERS: &[Column<Object>] =
    &[SERVER, STATE, SINCE, REQUESTS, ERRORS, TIME, QUEUE, SESSIONS, SHARE, WEIGHT, CHECK];

/// Columns of servers of any backend.
pub(in crate::top) static SERVERS_OF_ALL: &[Column<Object>] =
    &[FULL_NAME, STATE, SINCE, REQUESTS, ERRORS, TIME, QUEUE, SESSIONS, SHARE, WEIGHT, CHECK];

fn serving(object: &Object) -> Option<f64> {
    let backend = object.key.kind == Rank::Backend;
    let sum = object.get(Field::Active)? + object.get(Field::Backup).unwrap_or_default();
    Some(sum).filter(|_| backend)
}

/// A state, with the number of processes if they do not agree. The words are sufficient without the colour.
pub(super) fn state(object: &Object) -> Cell {
    let word = match (object.state.word, object.said.as_deref()) {
        ("UP n/m" | "DOWN n/m", Some(said)) => said.to_owned(),
        (word, _) => word.to_owned(),
    };
    let tone = match object.state.word {
        "UP" | "OPEN" => Tone::Good,
        "no check" => Tone::Plain,
        "UP n/m" | "NOLB" | "DRAIN" | "MAINT" | "WAITING" | "PAUSED" => Tone::Warning,
        _ => Tone::Bad,
    };
    let text = match object.agree {
        (alike, all) if alike < all => format!("{word}*"),
        _ => word,
    };
    Cell::toned(text, tone)
}
