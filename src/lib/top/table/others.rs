//! Certificates, and one object as each process sees it.

use super::objects::state;
use super::{Align, Cell, Column, Tone, descending, errors, number, rate};
use crate::top::model::{Expiry, NEAR, Part};
use crate::top::read::field::Field;
use crate::top::text::{milliseconds, short_time};
use std::cmp::Ordering;

/// Columns of certificates.
pub(in crate::top) static CERTIFICATES: &[Column<Expiry>] = &[
    Column {
        title: "CERTIFICATE",
        about: "file of the certificate",
        width: 16,
        align: Align::Text,
        leaves: 0,
        cell: |expiry| Cell::plain(&*expiry.file),
        order: |a, b| a.file.cmp(&b.file),
    },
    Column {
        title: "HOST",
        about: "host that has loaded it",
        width: 8,
        align: Align::Text,
        leaves: 2,
        cell: |expiry| Cell::plain(&*expiry.host),
        order: |a, b| a.host.cmp(&b.host),
    },
    Column {
        title: "EXPIRES",
        about: "how long it is still good",
        width: 8,
        align: Align::Right,
        leaves: 1,
        cell: |expiry| match expiry.left {
            ..=0 => Cell::toned("expired", Tone::Bad),
            left if left < NEAR => Cell::toned(short_time(left), Tone::Warning),
            left => Cell::plain(short_time(left)),
        },
        order: |a, b| a.left.cmp(&b.left),
    },
];

const fn right(
    title: &'static str,
    about: &'static str,
    width: usize,
    leaves: u8,
    cell: fn(&Part) -> Cell,
    order: fn(&Part, &Part) -> Ordering,
) -> Column<Part> {
    Column { title, about, width, align: Align::Right, leaves, cell, order }
}

/// Columns of an object in each process.
pub(in crate::top) static PARTS: &[Column<Part>] = &[
    Column {
        title: "SOCKET",
        about: "socket of the process",
        width: 14,
        align: Align::Text,
        leaves: 0,
        cell: |part| Cell::plain(&*part.socket),
        order: |a, b| a.socket.cmp(&b.socket),
    },
    Column {
        title: "HOST",
        about: "its host",
        width: 8,
        align: Align::Text,
        leaves: 6,
        cell: |part| Cell::plain(&*part.host),
        order: |a, b| a.host.cmp(&b.host),
    },
    Column {
        title: "STATE",
        about: "state in this process",
        width: 8,
        align: Align::Left,
        leaves: 1,
        cell: |part| state(&part.object),
        order: |a, b| b.object.state.severity.cmp(&a.object.state.severity),
    },
    right(
        "SINCE",
        "how long it is in that state",
        5,
        4,
        |part| part.object.since.map_or_else(Cell::none, |since| Cell::plain(short_time(since))),
        |a, b| a.object.since.unwrap_or(i64::MAX).cmp(&b.object.since.unwrap_or(i64::MAX)),
    ),
    right(
        "REQ/S",
        "requests per second",
        6,
        1,
        |part| rate(part.object.requests(), part.object.known),
        |a, b| descending(a.object.requests(), b.object.requests()),
    ),
    right(
        "ERR/S",
        "errors per second",
        6,
        0,
        |part| errors(part.object.errors(), part.object.known),
        |a, b| descending(a.object.errors(), b.object.errors()),
    ),
    right(
        "TIME",
        "time to the response",
        6,
        2,
        |part| part.object.latency().map_or_else(Cell::none, |time| Cell::plain(milliseconds(time))),
        |a, b| descending(a.object.latency(), b.object.latency()),
    ),
    right(
        "QUEUE",
        "requests that wait",
        5,
        3,
        |part| number(Some(part.object.waiting), Tone::Warning),
        |a, b| descending(Some(a.object.waiting), Some(b.object.waiting)),
    ),
    right(
        "SESS",
        "sessions that are open",
        5,
        5,
        |part| number(part.object.get(Field::Sessions), Tone::Plain),
        |a, b| descending(a.object.get(Field::Sessions), b.object.get(Field::Sessions)),
    ),
    Column {
        title: "LAST CHECK",
        about: "what the last check of this process said",
        width: 12,
        align: Align::Text,
        leaves: 10,
        cell: |part| part.object.check.as_deref().map_or_else(Cell::none, Cell::faint),
        order: |a, b| a.object.check.cmp(&b.object.check),
    },
];
