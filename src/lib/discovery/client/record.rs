//! What we last set, for each slot of each HAProxy: without it, an operator's `maint` could not be told from ours.

use crate::haproxy::runtime::{AdminState, Endpoint, ProcessId, ServerName};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::net::IpAddr;

/// What is known about a slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry {
    /// The process that it was seen in.
    pub process: ProcessId,
    /// The state that we set, or found as we want it.
    pub state: AdminState,
    /// Whether it was read back. Until then a difference is a command that was lost; afterwards it is somebody else's.
    pub verified: bool,
    /// The state that an operator or another program has set.
    pub foreign: Option<AdminState>,
    /// Whether its agent was not asked at that time: it would end the state.
    pub unasked: bool,
    /// The address that it served last.
    pub endpoint: Option<Endpoint>,
    /// Whether it was up there when last seen.
    pub up: bool,
    /// When its draining began, UTC seconds; 0 when it does not drain.
    pub since: u64,
}

impl Entry {
    /// A slot that is as we want it.
    #[must_use]
    pub fn new(process: ProcessId, state: AdminState) -> Self {
        Self { process, state, verified: true, foreign: None, unasked: false, endpoint: None, up: false, since: 0 }
    }
}

/// The record of one HAProxy.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Record(BTreeMap<ServerName, Entry>);

impl Record {
    /// What is known about a server.
    #[must_use]
    pub fn get(&self, server: &ServerName) -> Option<&Entry> {
        self.0.get(server)
    }

    /// All servers of which something is known.
    pub fn iter(&self) -> impl Iterator<Item = (&ServerName, &Entry)> {
        self.0.iter()
    }

    /// Notes something; whether it is new.
    pub fn set(&mut self, server: &ServerName, entry: Entry) -> bool {
        if self.0.get(server) == Some(&entry) {
            return false;
        }
        self.0.insert(server.clone(), entry);
        true
    }

    /// Forgets a server; whether it was known.
    pub fn remove(&mut self, server: &ServerName) -> bool {
        self.0.remove(server).is_some()
    }

    /// For the disk.
    #[must_use]
    pub(crate) fn to_stored(&self) -> Vec<StoredEntry> {
        self.0.iter().map(|(server, entry)| StoredEntry::new(server, entry)).collect()
    }

    /// From the disk. What cannot be read is left out: it is as if we had never seen that slot.
    #[must_use]
    pub(crate) fn from_stored(stored: &[StoredEntry]) -> Self {
        Self(stored.iter().filter_map(StoredEntry::read).collect())
    }
}

/// An entry as the file has it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct StoredEntry {
    backend: String,
    server: String,
    pid: u32,
    started: u64,
    state: String,
    verified: bool,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    foreign: Option<String>,
    #[serde(skip_serializing_if = "std::ops::Not::not", default)]
    unasked: bool,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    endpoint: Option<(IpAddr, u16)>,
    up: bool,
    since: u64,
}

impl StoredEntry {
    fn new(server: &ServerName, entry: &Entry) -> Self {
        Self {
            backend: server.backend.to_string(),
            server: server.server.to_string(),
            pid: entry.process.pid,
            started: entry.process.started,
            state: entry.state.word().to_owned(),
            verified: entry.verified,
            foreign: entry.foreign.map(|state| state.word().to_owned()),
            unasked: entry.unasked,
            endpoint: entry.endpoint.map(|endpoint| (endpoint.ip(), endpoint.port())),
            up: entry.up,
            since: entry.since,
        }
    }

    fn read(&self) -> Option<(ServerName, Entry)> {
        let server = ServerName { backend: self.backend.parse().ok()?, server: self.server.parse().ok()? };
        let entry = Entry {
            process: ProcessId { pid: self.pid, started: self.started },
            state: AdminState::from_word(&self.state)?,
            verified: self.verified,
            foreign: self.foreign.as_deref().and_then(AdminState::from_word),
            unasked: self.unasked,
            endpoint: self.endpoint.and_then(|(ip, port)| Endpoint::new(ip, port).ok()),
            up: self.up,
            since: self.since,
        };
        Some((server, entry))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_stored_is_read_again_and_nonsense_is_left_out() {
        let server = |name: &str| ServerName { backend: "web".parse().unwrap(), server: name.parse().unwrap() };
        let process = ProcessId { pid: 7, started: 100 };
        let mut record = Record::default();
        let mut entry = Entry::new(process, AdminState::Drain);
        entry.foreign = Some(AdminState::Maint);
        entry.unasked = true;
        entry.endpoint = Endpoint::new("::1".parse().unwrap(), 80).ok();
        entry.since = 5;
        assert!(record.set(&server("web1"), entry));
        assert!(!record.set(&server("web1"), entry));
        record.set(&server("web2"), Entry::new(process, AdminState::Ready));
        let text = serde_json::to_string(&record.to_stored()).unwrap();
        let mut stored: Vec<StoredEntry> = serde_json::from_str(&text).unwrap();
        assert_eq!(Record::from_stored(&stored), record);
        stored[0].state = "up".into();
        stored[1].server = "a b".into();
        assert_eq!(Record::from_stored(&stored), Record::default());
    }
}
