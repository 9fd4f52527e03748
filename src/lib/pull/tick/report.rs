//! What is logged and counted about the sockets, and their part of the status line.

use super::Puller;
use crate::logging::Chain;
use crate::pull::failure::SocketError;
use crate::pull::health::Change;
use crate::pull::outcome::{Outcome, Standing};
use crate::telemetry::pull::Counter;
use std::collections::BTreeMap;
use std::io;

impl Puller {
    /// Counts failures, and logs what changed about the sockets.
    pub(super) fn report(&mut self, outcomes: &[Outcome]) {
        let (left_out, outcomes): (Vec<&Outcome>, Vec<&Outcome>) =
            outcomes.iter().partition(|outcome| outcome.standing == Standing::LeftOut);
        left_out.iter().for_each(|outcome| self.health.forget(&outcome.target.name));
        self.shown.borrow_mut().sockets =
            outcomes.iter().map(|outcome| (outcome.target.name.clone(), outcome.result.is_ok())).collect();
        for outcome in &outcomes {
            self.counters.add(Counter::Retries, outcome.retries.into());
            if let Err(error) = &outcome.result {
                self.counters.add(Counter::FailedSockets, 1);
                self.counters.add(error.kind().counter(), 1);
            }
        }
        let failures = outcomes.iter().map(|outcome| {
            let failure = outcome.result.as_ref().err().map(SocketError::kind);
            (outcome.target.name.as_str(), failure)
        });
        for (name, change) in self.health.update(failures) {
            match change {
                Change::Appeared => tracing::info!(socket = name, "socket appeared"),
                Change::Gone => tracing::warn!(socket = name, "socket is gone"),
                Change::Recovered(pulls) => tracing::info!(socket = name, pulls, "socket answers again"),
                Change::Failed => {
                    let outcome = outcomes.iter().find(|outcome| outcome.target.name == name);
                    if let Some(error) = outcome.and_then(|outcome| outcome.result.as_ref().err()) {
                        tracing::error!(socket = name, error = %Chain(error), "socket failed");
                    }
                }
            }
        }
    }

    pub(super) fn socket_dir(&mut self, scanned: io::Result<()>) {
        let error = scanned.as_ref().err().map(io::Error::kind);
        if error != self.socket_dir_error {
            let directory = self.config.socket_dir.as_deref().unwrap_or(std::path::Path::new("")).display();
            match scanned {
                Ok(()) => tracing::info!(%directory, "socket-dir can be read again"),
                Err(error) => tracing::error!(%directory, %error, "socket-dir cannot be read"),
            }
        }
        self.socket_dir_error = error;
    }
}

/// Which sockets fail, for the status line.
pub(super) fn failing(sockets: &BTreeMap<String, bool>) -> String {
    const SHOWN: usize = 3;
    let failing: Vec<&str> = sockets.iter().filter(|(_, up)| !**up).map(|(name, _)| name.as_str()).collect();
    match failing.split_at_checked(SHOWN) {
        _ if failing.is_empty() => String::new(),
        Some((first, more)) if !more.is_empty() => format!("; failing: {} and {} more", first.join(", "), more.len()),
        _ => format!("; failing: {}", failing.join(", ")),
    }
}

/// Which sockets stand for others.
pub(super) fn notes(outcomes: &[Outcome]) -> impl Iterator<Item = String> {
    let mut groups: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for outcome in outcomes {
        if let Standing::Twin(first) = &outcome.standing {
            groups.entry(first).or_default().push(&outcome.target.name);
        }
    }
    groups.into_iter().map(|(first, others)| {
        format!(
            "counted once: {first}, {} belong to the same HAProxy process, pulled through {first}",
            others.join(", ")
        )
    })
}
