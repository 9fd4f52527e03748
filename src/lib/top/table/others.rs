//! Tables of certificates, and of one object in each process.

use super::objects::state;
use super::{Cell, Column, Tone, descending, errors, number, rate};
use crate::top::model::{Expiry, NEAR, Part};
use crate::top::read::field::Field;
use crate::top::text::{milliseconds, short_time};

/// Columns of certificates.
pub(in crate::top) static CERTIFICATES: &[Column<Expiry>] = &[
    Column::text(
        "CERTIFICATE",
        "file of the certificate",
        16,
        0,
        |expiry| Cell::plain(&*expiry.file),
        |a, b| a.file.cmp(&b.file),
    ),
    Column::text(
        "HOST",
        "host that has loaded it",
        8,
        2,
        |expiry| Cell::plain(&*expiry.host),
        |a, b| a.host.cmp(&b.host),
    ),
    Column::figures(
        "EXPIRES",
        "time until it expires",
        8,
        1,
        |expiry| match expiry.left {
            ..=0 => Cell::toned("expired", Tone::Bad),
            left if left < NEAR => Cell::toned(short_time(left), Tone::Warning),
            left => Cell::plain(short_time(left)),
        },
        |a, b| a.left.cmp(&b.left),
    ),
];

/// Columns of an object in each process.
pub(in crate::top) static PARTS: &[Column<Part>] = &[
    Column::text(
        "SOCKET",
        "socket of the process",
        14,
        0,
        |part| Cell::plain(&*part.socket),
        |a, b| a.socket.cmp(&b.socket),
    ),
    Column::text("HOST", "host of the process", 8, 6, |part| Cell::plain(&*part.host), |a, b| a.host.cmp(&b.host)),
    Column::words(
        "STATE",
        "state in this process",
        8,
        1,
        |part| state(&part.object),
        |a, b| b.object.state.severity.cmp(&a.object.state.severity),
    ),
    Column::figures(
        "SINCE",
        "time in this state",
        5,
        4,
        |part| part.object.since.map_or_else(Cell::none, |since| Cell::plain(short_time(since))),
        |a, b| a.object.since.unwrap_or(i64::MAX).cmp(&b.object.since.unwrap_or(i64::MAX)),
    ),
    Column::figures(
        "REQ/S",
        "requests per second",
        6,
        1,
        |part| rate(part.object.requests(), part.object.known),
        |a, b| descending(a.object.requests(), b.object.requests()),
    ),
    Column::figures(
        "ERR/S",
        "errors per second",
        6,
        0,
        |part| errors(part.object.errors(), part.object.known),
        |a, b| descending(a.object.errors(), b.object.errors()),
    ),
    Column::figures(
        "TIME",
        "response time",
        6,
        2,
        |part| part.object.latency().map_or_else(Cell::none, |time| Cell::plain(milliseconds(time))),
        |a, b| descending(a.object.latency(), b.object.latency()),
    ),
    Column::figures(
        "QUEUE",
        "queued requests",
        5,
        3,
        |part| number(Some(part.object.waiting), Tone::Warning),
        |a, b| descending(Some(a.object.waiting), Some(b.object.waiting)),
    ),
    Column::figures(
        "SESS",
        "open sessions",
        5,
        5,
        |part| number(part.object.get(Field::Sessions), Tone::Plain),
        |a, b| descending(a.object.get(Field::Sessions), b.object.get(Field::Sessions)),
    ),
    Column::text(
        "LAST CHECK",
        "result of the last check by this process",
        12,
        10,
        |part| part.object.check.as_deref().map_or_else(Cell::none, Cell::faint),
        |a, b| a.object.check.cmp(&b.object.check),
    ),
];
