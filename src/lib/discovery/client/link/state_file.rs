//! HAProxy's `server-state-file`: what our slots are like outlives a reload with it. Other servers are not in it: they
//! begin as the configuration has them, which may have been changed for the sake of this very reload.

use crate::discovery::client::disk::replace;
use crate::haproxy::runtime::{ServerState, Session};
use crate::logging::Chain;
use std::collections::HashSet;
use std::path::PathBuf;

/// The file, and what is known about it.
pub(super) struct StateFile {
    path: PathBuf,
    /// The slots when it was written.
    saved: Option<Vec<ServerState>>,
    /// Why it was not written, as logged.
    complaint: Option<String>,
}

impl StateFile {
    pub(super) fn new(path: PathBuf) -> Self {
        Self { path, saved: None, complaint: None }
    }

    /// Writes the file when our `slots` are not those for which it was written. HAProxy says itself what belongs into it.
    pub(super) async fn save(&mut self, session: &Session, slots: &[&ServerState]) {
        if self.saved.as_ref().is_some_and(|saved| saved.iter().eq(slots.iter().copied())) {
            return;
        }
        match self.write(session, slots).await {
            Ok(()) => {
                self.saved = Some(slots.iter().copied().cloned().collect());
                self.complaint = None;
            }
            Err(reason) => {
                if self.complaint.as_ref() != Some(&reason) {
                    tracing::error!(file = %self.path.display(), reason, "cannot write server-state-file");
                }
                self.complaint = Some(reason);
            }
        }
    }

    async fn write(&self, session: &Session, slots: &[&ServerState]) -> Result<(), String> {
        // The state would come back without the address: a slot that is ready, at the placeholder of the template.
        if let Some(row) = slots.iter().find(|row| !row.has_name) {
            return Err(format!(
                "{}/{} is configured with an address, which HAProxy does not replace with the one in a state file; \
                 configure a name and init-addr last",
                row.backend, row.server
            ));
        }
        let state = session.ask("show servers state\n").await.map_err(|error| Chain(&error).to_string())?;
        let names: HashSet<(&str, &str)> =
            slots.iter().map(|row| (row.backend.as_str(), row.server.as_str())).collect();
        let text = only(&state, &names).ok_or_else(|| state.lines().next().unwrap_or_default().to_owned())?;
        replace(&self.path, text.as_bytes()).map_err(|error| Chain(&error).to_string())
    }
}

/// The rows of these servers (backend and name), with what comes before all rows; `None` where that is not as it should
/// be.
fn only(state: &str, names: &HashSet<(&str, &str)>) -> Option<String> {
    let mut lines = state.lines();
    let version = lines.next().filter(|version| *version == "1")?;
    let header = lines.next()?;
    let columns: Vec<&str> = header.trim_start_matches('#').split_ascii_whitespace().collect();
    let at = |name: &str| columns.iter().position(|column| *column == name);
    let (backend, server) = (at("be_name")?, at("srv_name")?);
    let mut text = format!("{version}\n{header}\n");
    for line in lines {
        let cells: Vec<&str> = line.split(' ').collect();
        if let (Some(backend), Some(server)) = (cells.get(backend), cells.get(server))
            && names.contains(&(*backend, *server))
        {
            text.push_str(line);
            text.push('\n');
        }
    }
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_rows_that_are_asked_for_stay() {
        let head = "1\n# be_id be_name srv_id srv_name srv_addr\n";
        let state = format!("{head}3 web 1 web1 10.0.0.1\n3 web 2 web2 -\n3 web 3 web10 -\n4 other 1 web1 -\n\n");
        let names = HashSet::from([("web", "web1"), ("web", "web2")]);
        assert_eq!(only(&state, &names).unwrap(), format!("{head}3 web 1 web1 10.0.0.1\n3 web 2 web2 -\n"));
        assert_eq!(only(&state, &HashSet::new()).unwrap(), head);
        assert_eq!(only("Permission denied\n", &names), None);
        assert_eq!(only("1\n# be_id\n", &names), None);
    }
}
