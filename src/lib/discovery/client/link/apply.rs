//! Steps to commands, and what came of them.

use super::state::{Link, Round, RoundError};
use crate::backoff::Backoff;
use crate::discovery::client::figures::Event;
use crate::discovery::client::reconcile::Step;
use crate::discovery::client::record::Entry;
use crate::haproxy::runtime::{Batch, Observation, Refusal, Reply, ServerName, ServerState, SessionError};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Duration;
use tokio::time::Instant;

/// Pauses after commands for a slot that did not do what they should.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// Most changes of a pass that have a line each in the log.
const LINES: usize = 20;

/// Why a change was refused: the kind, and what HAProxy says.
type Refused = (Refusal, String);

impl Link {
    /// Sends the commands of steps, looks again, and keeps what came of each.
    ///
    /// # Errors
    /// HAProxy does not answer, or the record cannot be kept.
    pub(super) async fn apply(
        &mut self,
        steps: &[Step],
        observation: &mut Observation,
        asked: &BTreeSet<u32>,
        round: &mut Round,
    ) -> Result<(), RoundError> {
        let before: Vec<Option<Entry>> = steps
            .iter()
            .map(|step| self.record.as_ref().and_then(|record| record.get(&step.server)).copied())
            .collect();
        // Noted first: should we end in between, what was set is known as ours.
        self.note(steps.iter().filter_map(|step| Some((step.server.clone(), step.entry?))).collect())?;
        let (refused, broken) = self.send(steps, round).await;
        *observation = self.observe(asked).await?;
        let rows = observation.servers.rows.iter();
        let rows: HashMap<(&str, &str), &ServerState> =
            rows.map(|row| ((row.backend.as_str(), row.server.as_str()), row)).collect();
        let mut entries = Vec::new();
        let mut done = Vec::new();
        for (step, before) in steps.iter().zip(before) {
            let server = rows.get(&(step.server.backend.as_str(), step.server.server.as_str())).copied();
            let refusal = refused.get(&step.server);
            let mut expected = step.expected;
            if refusal.is_some_and(|(refusal, _)| *refusal == Refusal::StaticWeights) {
                self.weights_are_fixed(&step.server);
                expected.weight = None;
            }
            if expected.is_met(server) {
                self.failures.remove(&step.server);
                done.push(step);
                match step.entry {
                    Some(entry) => entries.push((step.server.clone(), Entry { verified: true, ..entry })),
                    None => drop(self.record.as_mut().map(|record| record.remove(&step.server))),
                }
            } else if broken.is_none() {
                self.failed(step, refusal, server, round);
                // As it was: what it is now is not our doing.
                if let Some(before) = before.filter(|_| server.map(ServerState::state) != expected.state) {
                    entries.push((step.server.clone(), before));
                }
            }
        }
        self.succeeded(&done, round);
        self.note(entries)?;
        broken.map_or(Ok(()), |error| Err(error.into()))
    }

    /// Sends the commands; what HAProxy refuses, and why not all of them were sent.
    async fn send(&self, steps: &[Step], round: &mut Round) -> (HashMap<ServerName, Refused>, Option<SessionError>) {
        let mut refused = HashMap::new();
        for batch in Batch::pack(steps.iter().map(|step| step.commands.as_slice())) {
            round.commands += batch.commands().len();
            self.shown.count(self.socket(), Event::Commands, batch.commands().len());
            self.turn_to_haproxy();
            let replies = match self.session.apply(&batch).await {
                Ok(replies) => replies,
                Err(error) => return (refused, Some(error)),
            };
            for (command, reply) in batch.commands().iter().zip(replies) {
                if let Reply::Refused(refusal, text) = reply {
                    refused.entry(command.server().clone()).or_insert((refusal, format!("{command}: {text}")));
                }
            }
        }
        (refused, None)
    }

    /// Counts and tells what was changed: each change, or sums where there are many.
    fn succeeded(&self, steps: &[&Step], round: &mut Round) {
        round.changes += steps.len();
        self.shown.count(self.socket(), Event::Changes, steps.len());
        let socket = self.session.socket();
        let many = steps.len() > LINES;
        let mut sums: BTreeMap<(&str, String), (usize, &ServerName)> = BTreeMap::new();
        for step in steps {
            let (server, instance, change) = (&step.server, &step.instance, kind(step));
            if many {
                tracing::debug!(%socket, %server, instance, change, reason = step.reason, "changed");
                sums.entry((server.backend.as_str(), change)).or_insert((0, server)).0 += 1;
            } else {
                tracing::info!(%socket, %server, instance, change, reason = step.reason, "changed");
            }
        }
        for ((backend, change), (servers, first)) in sums {
            tracing::info!(%socket, backend, change, servers, %first, "changed");
        }
    }

    fn failed(&mut self, step: &Step, refusal: Option<&Refused>, server: Option<&ServerState>, round: &mut Round) {
        round.failures += 1;
        self.shown.count(self.session.socket(), Event::Failures, 1);
        let socket = self.session.socket().to_string();
        let (times, _) = self.failures.get(&step.server).copied().unwrap_or((0, Instant::now()));
        let times = times.saturating_add(1);
        let pause = Backoff::new(FIRST_PAUSE, 2.0, LONGEST_PAUSE).after(times);
        self.failures.insert(step.server.clone(), (times, Instant::now() + pause));
        let (name, change) = (&step.server, kind(step));
        match refusal {
            // One reason for all of them.
            Some((Refusal::PermissionDenied, text)) => {
                if !std::mem::replace(&mut self.denied, true) {
                    tracing::error!(socket, reply = text, "HAProxy refuses every change; the socket needs level admin");
                }
            }
            // Sessions and connections end by themselves.
            Some((Refusal::InUse, text)) => tracing::debug!(socket, server = %name, reply = text, "not deleted yet"),
            _ if times > 1 => {}
            Some((_, reply)) => tracing::warn!(socket, server = %name, change, reply, "HAProxy refuses a change"),
            None => {
                let state = server.map_or_else(|| "not there".to_owned(), |server| server.state().to_string());
                tracing::warn!(socket, server = %name, change, state, "a change has not taken effect");
            }
        }
    }

    fn weights_are_fixed(&mut self, server: &ServerName) {
        if self.fixed_weights.insert(server.backend.to_string()) {
            let (socket, backend) = (self.session.socket(), &server.backend);
            tracing::warn!(%socket, %backend,
                "the balance algorithm does not support changing weights; they are left unchanged");
        }
    }
}

/// A change in a word.
fn kind(step: &Step) -> String {
    match (step.expected.state, step.expected.weight) {
        (None, _) => "deleted".to_owned(),
        (Some(_), Some(weight)) if step.commands.len() == 1 => format!("weight {weight}"),
        (Some(state), _) => state.to_string(),
    }
}
