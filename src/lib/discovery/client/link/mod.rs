//! One HAProxy: look, decide, send, look again.

mod apply;
mod plan;
mod preview;
mod state;
mod state_file;
mod told;

use super::figures::{BackendFigures, Event};
use super::follow::Listed;
use super::reconcile::Outcome;
use super::slots::Desired;
use crate::haproxy::runtime::{Observation, Process};
pub(crate) use state::RoundError;
pub use state::{Link, Round};
use std::collections::BTreeSet;

/// Passes of a round: a slot that changes hands takes three when nobody has to be waited for, and a server that goes to
/// another slot is drained in the next one.
const PASSES: usize = 8;

impl Link {
    /// Makes HAProxy as the list says, as far as that goes without waiting.
    ///
    /// # Errors
    /// HAProxy does not answer, or the record cannot be kept. What was done is done; the next round goes on from there.
    pub async fn round(&mut self, list: &Listed) -> Result<Round, RoundError> {
        let mut round = Round::default();
        let mut asked = BTreeSet::new();
        let mut observation = self.observe(&asked).await?;
        self.take_process(&observation.process);
        // The process that replaces it has the traffic, and soon the socket.
        if observation.process.stopping {
            return Ok(round);
        }
        let mut pass = 0;
        loop {
            let plans = self.plan(list, &observation)?;
            self.told.agents(self.session.socket(), &plans, &observation, self.record.as_ref());
            let noted = plans.iter().flat_map(|(_, outcome)| &outcome.noted);
            self.note(noted.map(|(server, entry)| (server.clone(), *entry)).collect())?;
            let ask: BTreeSet<u32> = plans.iter().flat_map(|(_, outcome)| &outcome.ask_sessions).copied().collect();
            if !ask.is_subset(&asked) {
                asked.extend(ask);
                observation = self.observe(&asked).await?;
                continue;
            }
            let steps = self.steps(&plans);
            if pass == PASSES || steps.is_empty() {
                self.report(&plans, &observation);
                break;
            }
            pass += 1;
            self.apply(&steps, &mut observation, &asked, &mut round).await?;
            if self.process.as_ref().is_none_or(|process| observation.process.replaces(process)) {
                break;
            }
        }
        if let Some(mut file) = self.state_file.take() {
            self.turn_to_haproxy();
            file.save(&self.session, &self.slots_of(list, &observation)).await;
            self.state_file = Some(file);
        }
        Ok(round)
    }

    fn take_process(&mut self, process: &Process) {
        if let Some(before) = &self.process
            && process.replaces(before)
        {
            let (old, new) = (before.id.pid, process.id.pid);
            tracing::info!(socket = %self.socket(), old, new, version = process.version, "HAProxy was replaced");
            self.shown.count(self.socket(), Event::Replaced, 1);
            // What the old one refused, the new one may do.
            self.failures.clear();
            self.fixed_weights.clear();
            self.denied = false;
        }
        self.process = Some(process.clone());
    }

    /// What is so and cannot be changed now, in figures and in the log.
    fn report(&mut self, plans: &[(Desired, Outcome)], observation: &Observation) {
        let socket = self.session.socket();
        for (wanted, outcome) in plans {
            let figures = BackendFigures::new(wanted, outcome, &observation.servers);
            self.shown.backend(socket, wanted.backend.as_str(), figures);
        }
        self.shown.rows(socket, observation.servers.refused);
        self.told.update(socket, plans, observation);
    }
}
