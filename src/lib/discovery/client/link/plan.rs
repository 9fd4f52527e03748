//! What there is to do, by what was seen.

use super::state::{Link, RoundError};
use crate::config::discovery::BackendMode;
use crate::discovery::client::disk::DiskError;
use crate::discovery::client::follow::Listed;
use crate::discovery::client::reconcile::{Outcome, Step, View, reconcile};
use crate::discovery::client::record::Record;
use crate::discovery::client::slots::{Desired, desired, slot_number};
use crate::discovery::clock::utc_seconds;
use crate::haproxy::runtime::{Observation, ServerName, ServerState};
use crate::logging::Chain;
use std::collections::HashSet;
use tokio::time::Instant;

impl Link {
    /// The servers that are slots of the list: those of server-template, up to its size or set by us. Whatever else has a
    /// name of that kind is somebody else's.
    pub(super) fn slots_of<'o>(&self, list: &Listed, observation: &'o Observation) -> Vec<&'o ServerState> {
        let numbers: HashSet<u32> = list.slots.iter().map(|slot| slot.id).collect();
        let is_known = |row: &ServerState| {
            let (backend, server) = (row.backend.parse().ok(), row.server.parse().ok());
            let name = backend.zip(server).map(|(backend, server)| ServerName { backend, server });
            name.is_some_and(|name| self.record.as_ref().is_some_and(|record| record.get(&name).is_some()))
        };
        let is_slot = |row: &&ServerState| {
            let mut backends = self.backends.iter().filter(|backend| backend.name == row.backend);
            let number = backends
                .find(|backend| backend.mode == BackendMode::Template)
                .and_then(|backend| slot_number(&backend.base_name, &row.server));
            number.is_some_and(|number| numbers.contains(&number) || is_known(row))
        };
        observation.servers.rows.iter().filter(is_slot).collect()
    }

    pub(super) fn plan(
        &mut self,
        list: &Listed,
        observation: &Observation,
    ) -> Result<Vec<(Desired, Outcome)>, RoundError> {
        let now = utc_seconds();
        if self.record.is_none() {
            let record = match self.disk.record(self.session.socket()) {
                Err(error @ DiskError::Decode { .. }) => {
                    tracing::warn!(error = %Chain(&error), "cannot read the record of what was set; starting a new one");
                    Record::default()
                }
                read => read?,
            };
            self.record = Some(record);
        }
        let empty = Record::default();
        let record = self.record.as_ref().unwrap_or(&empty);
        let mut plans = Vec::with_capacity(self.backends.len());
        for backend in &self.backends {
            let wanted = desired(list, backend, self.manage_weights, list.now())
                .map_err(|source| RoundError::Configuration { backend: backend.name.clone(), source })?;
            let outcome = if observation.missing.contains(&backend.name) {
                Outcome::default()
            } else {
                let view = View {
                    process: &observation.process,
                    servers: &observation.servers,
                    sessions: &observation.sessions,
                    fixed_weights: self.fixed_weights.contains(&backend.name),
                    now,
                };
                reconcile(&wanted, view, record, self.settings)
            };
            plans.push((wanted, outcome));
        }
        Ok(plans)
    }

    /// The steps that are due: those that failed lately wait.
    pub(super) fn steps(&self, plans: &[(Desired, Outcome)]) -> Vec<Step> {
        let now = Instant::now();
        let due = |step: &&Step| self.failures.get(&step.server).is_none_or(|(_, again)| *again <= now);
        plans.iter().flat_map(|(_, outcome)| outcome.steps.iter().filter(due).cloned()).collect()
    }
}
