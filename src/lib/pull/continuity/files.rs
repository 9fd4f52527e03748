//! Writes the carried counters of a host as files next to the replies, in the same format.

use super::ledger::{Host, Ledger};
use super::packed::Sparse;
use super::replies::{self, DAEMON, INFO, SEEN, STAT};
use std::io::{self, Write};

/// The first line of carried counters of `show info`: since when the counters of the host have been continuous.
const START: &str = "Start_time_sec: ";

/// The start time in such a file.
pub(super) fn start(text: &[u8]) -> Option<u64> {
    let line = text.split(|byte| *byte == b'\n').next()?.strip_prefix(START.as_bytes())?;
    std::str::from_utf8(line).ok()?.parse().ok()
}

/// The carried counters of `show info`; `start` is since when the counters have been continuous. Empty if there are none.
pub(super) fn info(ledger: &Ledger, host: &Host, start: Option<u64>) -> String {
    let mut text = start.map_or_else(String::new, |start| format!("{START}{start}\n"));
    for (place, value) in ledger.carried_of(host, DAEMON) {
        let name = INFO.get(usize::from(place)).copied().unwrap_or_default();
        text.extend([name, ": ", itoa::Buffer::new().format(value), "\n"]);
    }
    if !text.is_empty() {
        // A reply of HAProxy ends like this.
        text.push('\n');
    }
    text
}

/// The places of the counters of `show stat` that are carried for this host: HAProxy has hundreds, a row usually dozens.
pub(super) fn places(ledger: &Ledger, host: &Host) -> Vec<u8> {
    let mut places: Vec<u8> = Vec::new();
    ledger.carried(host, |object, values, _| {
        if object != DAEMON {
            values.iter().for_each(|(place, _)| add(&mut places, *place));
        }
    });
    places
}

/// Writes the carried counters of `show stat`: these counters of each object, and when it was last seen if it is not in the
/// snapshot.
///
/// # Errors
/// Writing failed.
pub(super) fn stat(ledger: &Ledger, host: &Host, places: &[u8], mut out: impl Write) -> io::Result<()> {
    let mut written = out.write_all(&header(places));
    let mut text = Vec::new();
    ledger.carried(host, |object, values, seen| {
        if let Some(names) = replies::parts(object)
            && written.is_ok()
        {
            text.clear();
            row(&mut text, names, places, values, Some(seen).filter(|seen| *seen != ledger.epoch()));
            written = out.write_all(&text);
        }
    });
    written?;
    // A reply of HAProxy ends like this.
    out.write_all(b"\n")
}

fn add(places: &mut Vec<u8>, place: u8) {
    if let Err(index) = places.binary_search(&place) {
        places.insert(index, place);
    }
}

fn header(places: &[u8]) -> Vec<u8> {
    let names = places.iter().filter_map(|place| STAT.get(usize::from(*place)).copied());
    let names: Vec<&str> = ["# pxname", "svname", "type"].into_iter().chain(names).chain([SEEN]).collect();
    format!("{},\n", names.join(",")).into_bytes()
}

/// Writes a row. Values are sorted by their places, like the columns.
fn row(
    out: &mut Vec<u8>,
    (kind, proxy, server): (&[u8], &[u8], &[u8]),
    places: &[u8],
    values: &Sparse,
    seen: Option<u64>,
) {
    for name in [proxy, server] {
        if name.iter().any(|byte| b",\"\n".contains(byte)) {
            out.push(b'"');
            for byte in name {
                out.extend_from_slice(if *byte == b'"' { b"\"\"" } else { std::slice::from_ref(byte) });
            }
            out.push(b'"');
        } else {
            out.extend_from_slice(name);
        }
        out.push(b',');
    }
    out.extend_from_slice(kind);
    out.push(b',');
    let (mut text, mut values) = (itoa::Buffer::new(), values.iter().peekable());
    for place in places {
        if let Some((_, value)) = values.next_if(|(of, _)| of == place) {
            out.extend_from_slice(text.format(*value).as_bytes());
        }
        out.push(b',');
    }
    if let Some(seen) = seen {
        out.extend_from_slice(text.format(seen).as_bytes());
    }
    out.extend_from_slice(b",\n");
}
