//! What is carried for a host, as files that lie beside the replies, in their form.

use super::ledger::{Host, Ledger};
use super::packed::Sparse;
use super::replies::{self, DAEMON, INFO, SEEN, STAT};
use crate::snapshot::{CARRIED_INFO_SUFFIX, CARRIED_STAT_SUFFIX};

/// What the first line of what is carried of `show info` says: since when the counters of the host go on.
const START: &str = "Start_time_sec: ";

/// What it says.
pub(super) fn start(text: &[u8]) -> Option<u64> {
    let line = text.split(|byte| *byte == b'\n').next()?.strip_prefix(START.as_bytes())?;
    std::str::from_utf8(line).ok()?.parse().ok()
}

/// The end of the name of each file, and its text; empty where nothing is carried. `start` is since when the counters go on.
pub(super) fn of(ledger: &Ledger, host: &Host, start: Option<u64>) -> [(&'static str, Vec<u8>); 2] {
    let (mut info, mut stat) = (Vec::new(), Vec::new());
    // HAProxy knows of hundreds of counters, of which a row has dozens: those that no row has are no columns.
    let mut places: Vec<u8> = Vec::new();
    ledger.carried(host, |object, values, _| {
        if object != DAEMON {
            values.iter().for_each(|(place, _)| add(&mut places, *place));
        }
    });
    ledger.carried(host, |object, values, seen| {
        if object == DAEMON {
            for (place, value) in values {
                let name = INFO.get(usize::from(*place)).copied().unwrap_or_default();
                info.extend_from_slice(format!("{name}: {value}\n").as_bytes());
            }
        } else if let Some(names) = replies::parts(object) {
            if stat.is_empty() {
                stat = header(&places);
            }
            row(&mut stat, names, &places, values, seen);
        }
    });
    if let Some(start) = start.filter(|_| !info.is_empty() || !stat.is_empty()) {
        info.splice(0..0, format!("{START}{start}\n").into_bytes());
    }
    for text in [&mut info, &mut stat] {
        // As HAProxy ends a reply.
        if !text.is_empty() {
            text.push(b'\n');
        }
    }
    [(CARRIED_INFO_SUFFIX, info), (CARRIED_STAT_SUFFIX, stat)]
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

/// Values are in the order of their places, as columns are.
fn row(out: &mut Vec<u8>, (kind, proxy, server): (&[u8], &[u8], &[u8]), places: &[u8], values: &Sparse, seen: u64) {
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
    out.extend_from_slice(text.format(seen).as_bytes());
    out.extend_from_slice(b",\n");
}
