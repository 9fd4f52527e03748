//! What is carried for a host, as files that lie beside the replies, in their form.

use super::ledger::{Host, Ledger};
use super::packed::Sparse;
use super::replies::{self, DAEMON, INFO, SEEN, STAT};
use crate::snapshot::{CARRIED_INFO_SUFFIX, CARRIED_STAT_SUFFIX};

/// The end of the name of each file, and its text; empty where nothing is carried.
pub(super) fn of(ledger: &Ledger, host: &Host) -> [(&'static str, Vec<u8>); 2] {
    let (mut info, mut stat) = (Vec::new(), Vec::new());
    ledger.carried(host, |object, values, seen| {
        if object == DAEMON {
            for (place, value) in values {
                let name = INFO.get(usize::from(*place)).copied().unwrap_or_default();
                info.extend_from_slice(format!("{name}: {value}\n").as_bytes());
            }
        } else if let Some(names) = replies::parts(object) {
            if stat.is_empty() {
                stat = header();
            }
            row(&mut stat, names, values, seen);
        }
    });
    for text in [&mut info, &mut stat] {
        // As HAProxy ends a reply.
        if !text.is_empty() {
            text.push(b'\n');
        }
    }
    [(CARRIED_INFO_SUFFIX, info), (CARRIED_STAT_SUFFIX, stat)]
}

fn header() -> Vec<u8> {
    format!("# pxname,svname,type,{},{SEEN},\n", STAT.join(",")).into_bytes()
}

fn row(out: &mut Vec<u8>, (kind, proxy, server): (&[u8], &[u8], &[u8]), values: &Sparse, seen: u64) {
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
    let mut next = 0;
    for (place, value) in values {
        let place = usize::from(*place);
        out.extend(std::iter::repeat_n(b',', place.saturating_sub(next)));
        out.extend_from_slice(itoa::Buffer::new().format(*value).as_bytes());
        next = place;
    }
    out.extend(std::iter::repeat_n(b',', STAT.len().saturating_sub(next)));
    out.extend_from_slice(format!("{seen},\n").as_bytes());
}
