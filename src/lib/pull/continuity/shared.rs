//! Which counters several processes share, for the next start: what they show does not say it once they have gone on.
//!
//! A line of two fields is a process and its predecessor, which share counters; one of four is a process, and an object of it
//! that a newer process shows as well. Processes are called as their replies to `show stat` are. No name of an object has a
//! slash, and no file.

use super::ledger::Ledger;
use super::places::Places;
use super::replies;
use std::collections::HashMap;

/// The name of the file.
pub(super) const FILE: &str = ".shared";

/// The text of the file; empty where nothing is shared.
pub(super) fn write(ledger: &Ledger, places: &Places) -> String {
    let mut text = String::new();
    for identity in places.identities() {
        let file = |identity| places.file(identity).map(|file| file.escape_default().to_string());
        let (Some(shared), Some(process)) = (ledger.shared(identity), file(identity)) else { continue };
        if let Some(predecessor) = shared.predecessor.and_then(file) {
            text.extend([&process, "/", &predecessor, "\n"]);
        }
        for (kind, proxy, server) in shared.superseded.filter_map(replies::parts) {
            let [kind, proxy, server] = [kind, proxy, server].map(|part| part.escape_ascii().to_string());
            text.extend([&process, "/", &kind, "/", &proxy, "/", &server, "\n"]);
        }
    }
    text
}

/// Tells a ledger what the text says of these processes.
pub(super) fn read(text: &str, ledger: &mut Ledger, places: &Places) {
    let named = places.identities().filter_map(|one| Some((places.file(one)?.escape_default().to_string(), one)));
    let processes: HashMap<String, _> = named.collect();
    for line in text.lines() {
        let fields: Vec<&str> = line.split('/').collect();
        match fields.as_slice() {
            [process, predecessor] => {
                if let (Some(process), Some(predecessor)) = (processes.get(*process), processes.get(*predecessor)) {
                    ledger.restore_predecessor(process, predecessor);
                }
            }
            [process, kind, proxy, server] => {
                if let Some(process) = processes.get(*process) {
                    ledger.restore_superseded(process, &replies::key(kind, proxy, server));
                }
            }
            _ => {}
        }
    }
}
