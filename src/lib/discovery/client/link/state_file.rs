//! HAProxy's `server-state-file`: what servers are like outlives a reload with it.

use crate::config::discovery::{Backend, BackendMode};
use crate::discovery::client::disk::replace;
use crate::haproxy::runtime::{ServerState, Session};
use crate::logging::Chain;
use std::path::PathBuf;

/// The file, and what is known about it.
pub(super) struct StateFile {
    path: PathBuf,
    /// The servers when it was written.
    saved: Option<Vec<ServerState>>,
    /// Why it was not written, as logged.
    complaint: Option<String>,
}

impl StateFile {
    pub(super) fn new(path: PathBuf) -> Self {
        Self { path, saved: None, complaint: None }
    }

    /// Writes the file when `servers` are not those for which it was written. HAProxy says itself what belongs into it.
    pub(super) async fn save(&mut self, session: &Session, backends: &[Backend], servers: &[ServerState]) {
        if self.saved.as_deref() == Some(servers) {
            return;
        }
        match self.write(session, backends, servers).await {
            Ok(()) => {
                self.saved = Some(servers.to_vec());
                self.complaint = None;
            }
            Err(reason) => {
                if self.complaint.as_ref() != Some(&reason) {
                    tracing::error!(file = %self.path.display(), reason, "server-state-file is not written");
                }
                self.complaint = Some(reason);
            }
        }
    }

    async fn write(&self, session: &Session, backends: &[Backend], servers: &[ServerState]) -> Result<(), String> {
        // The state would come back without the address: a slot that is ready, at the placeholder of the template.
        if let Some(row) = servers.iter().find(|row| !row.has_name && is_slot(backends, row)) {
            return Err(format!(
                "{}/{} is configured by an address, which HAProxy does not replace by that of a state file; \
                 configure a name and init-addr last",
                row.backend, row.server
            ));
        }
        let state = session.ask("show servers state\n").await.map_err(|error| Chain(&error).to_string())?;
        if !state.starts_with("1\n") {
            return Err(state.lines().next().unwrap_or_default().to_owned());
        }
        replace(&self.path, state.as_bytes()).map_err(|error| Chain(&error).to_string())
    }
}

/// Whether a server is a slot of server-template that we fill.
fn is_slot(backends: &[Backend], row: &ServerState) -> bool {
    backends.iter().any(|backend| {
        backend.mode == BackendMode::Template
            && backend.name == row.backend
            && row.server.starts_with(&backend.base_name)
    })
}
