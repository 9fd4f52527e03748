//! Stores which counters several processes share, for the next start: this cannot be seen from their values once they have
//! changed.
//!
//! A line of two fields is a process and its predecessor, which share counters; a line of four fields is a process, and an object
//! of it that a newer process reports as well. Processes are identified by the names of the files with their replies to `show
//! stat`. Fields are separated by slashes, which occur neither in names of objects nor of files.

use super::ledger::Ledger;
use super::places::Places;
use super::replies;
use std::collections::HashMap;

/// The name of the file.
pub(super) const FILE: &str = ".shared";

/// The content of the file; empty if nothing is shared.
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

/// Restores the content of the file into a ledger, for these processes.
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
