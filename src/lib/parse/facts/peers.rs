//! `show peers`: sections, their peers, and the tables that these share.
//!
//! ```text
//! 0x7f: [...] id=mesh disabled=0 flags=0x300003 resync_timeout=<PAST> task_calls=5
//!   0x7f: id=there(remote,active) addr=... last_status=ESTA last_hdshk=2s
//!         reconnect=<NEVER> heartbeat=3s confirm=0 tx_hbt=0 rx_hbt=0 no_hbt=0 new_conn=3 proto_err=0 coll=0
//!         shared tables:
//!               table:0x7f id=sessions update=0 localupdate=0 refcnt=1
//! ```

use super::{Facts, leading};
use crate::haproxy::facts::{PEER_STATES, Thing};
use std::collections::BTreeSet;

/// What both bits say of `flags` of a section: the lesson from this host and that from the others are over.
const LEARNT: i128 = 3;
const FIGURES: [&str; 6] = ["tx_hbt", "rx_hbt", "no_hbt", "new_conn", "proto_err", "coll"];

pub(super) fn read(text: &str, facts: &mut Facts) {
    let (mut section, mut peer) = (String::new(), None::<String>);
    // Each peer lists all tables.
    let mut tables: BTreeSet<String> = BTreeSet::new();
    for line in text.lines().filter(|line| !line.is_empty()) {
        let word = |name: &str| {
            let mut words = line.split_whitespace();
            words.find_map(|word| word.strip_prefix(name)?.strip_prefix('='))
        };
        if line.trim_start().starts_with("table:") {
            let (Some(id), Some(update), Some(local)) = (word("id"), word("update"), word("localupdate")) else {
                facts.unknown("table");
                continue;
            };
            if let (true, Some(update), Some(local)) = (tables.insert(id.to_owned()), leading(update), leading(local)) {
                facts.add((Thing::Table, id, ""), "update", update);
                facts.add((Thing::Table, id, ""), "localupdate", local);
            }
        } else if line.starts_with("0x") {
            peer = None;
            word("id").unwrap_or_default().clone_into(&mut section);
            of_section(&section, word("disabled"), word("flags"), facts);
        } else if line.starts_with("  0x") {
            let id = word("id").unwrap_or_default();
            peer = id.split_once("(remote").map(|(name, _)| name.to_owned());
            if let Some(name) = &peer {
                of_peer((Thing::Peer, &section, name), word("last_status"), word("last_hdshk"), facts);
            }
        } else if let Some(name) = peer.as_ref().filter(|_| line.contains("proto_err=")) {
            for figure in FIGURES {
                match word(figure).and_then(leading) {
                    Some(value) => facts.add((Thing::Peer, &section, name), figure, value),
                    None => facts.unknown(figure),
                }
            }
        }
    }
}

fn of_section(section: &str, disabled: Option<&str>, flags: Option<&str>, facts: &mut Facts) {
    let of = (Thing::Peers, section, "");
    match disabled.and_then(leading) {
        Some(disabled) => facts.add(of, "disabled", disabled),
        None => facts.unknown("disabled"),
    }
    let flags = flags.and_then(|flags| i128::from_str_radix(flags.strip_prefix("0x")?, 16).ok());
    match flags {
        Some(flags) => facts.add(of, "resync", i128::from(flags & LEARNT == LEARNT)),
        None => facts.unknown("flags"),
    }
}

fn of_peer(of: (Thing, &str, &str), status: Option<&str>, handshake: Option<&str>, facts: &mut Facts) {
    let Some(status) = status else { return facts.unknown("last_status") };
    let [.., (_, other, _)] = PEER_STATES;
    let code = PEER_STATES.iter().find(|(word, ..)| *word == status).map_or(other, |(_, code, _)| *code);
    facts.add(of, "status", code.into());
    facts.add(of, "connected", i128::from(status == "ESTA"));
    // <NEVER> where there was none.
    if let Some(seconds) = handshake.and_then(duration) {
        facts.add(of, "last_hdshk", seconds);
    }
}

/// Seconds of a duration as HAProxy writes it: `2s`, `1m3s`, `4h2m`, `1d4h`.
fn duration(text: &str) -> Option<i128> {
    let (mut seconds, mut rest) = (0, text);
    while !rest.is_empty() {
        let number = leading(rest)?;
        let digits = rest.find(|c: char| !c.is_ascii_digit())?;
        let unit = rest.get(digits..=digits)?;
        let factor = match unit {
            "s" => 1,
            "m" => 60,
            "h" => 3600,
            "d" => 86_400,
            _ => return None,
        };
        seconds += number.checked_mul(factor)?;
        rest = rest.get(digits + 1..)?;
    }
    (!text.is_empty()).then_some(seconds)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_of_haproxy_are_read() {
        for (text, expected) in
            [("2s", Some(2)), ("1m3s", Some(63)), ("1d4h", Some(100_800)), ("<NEVER>", None), ("", None), ("5", None)]
        {
            assert_eq!(duration(text), expected, "{text}");
        }
    }
}
