//! One HAProxy: look, decide, send, look again.

mod apply;
mod preview;
mod state_file;
mod told;

use super::disk::{Disk, DiskError};
use super::figures::{BackendFigures, Event, Shown};
use super::follow::Listed;
use super::reconcile::{Outcome, Settings, Step, View, reconcile};
use super::record::{Entry, Record};
use super::slots::{Desired, desired, slot_number};
use crate::config::discovery::{Backend, BackendMode, Client};
use crate::discovery::utc_seconds;
use crate::haproxy::address::Address;
use crate::haproxy::runtime::{InvalidValue, Observation, Process, ServerName, ServerState, Session, SessionError};
use crate::logging::Chain;
use state_file::StateFile;
use std::collections::{BTreeSet, HashMap, HashSet};
use tokio::time::Instant;
use told::Told;

/// Passes of a round: a slot that changes hands takes three when nobody has to be waited for, and a server that goes to
/// another slot is drained in the next one.
const PASSES: usize = 8;

/// Why a round ended early.
#[derive(Debug, thiserror::Error)]
pub enum RoundError {
    /// HAProxy does not answer.
    #[error(transparent)]
    Session(#[from] SessionError),
    /// What is about to be set cannot be noted. Without the note it could not be told from an operator's doing.
    #[error("the record cannot be kept")]
    Record(#[from] DiskError),
    /// The configuration has what HAProxy does not know.
    #[error("the configuration of the backend {backend} cannot be used")]
    Configuration {
        /// The backend.
        backend: String,
        /// What is wrong.
        source: InvalidValue,
    },
}

/// What came of a round.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Round {
    /// Changes that were made and read back.
    pub changes: usize,
    /// Commands that were sent.
    pub commands: usize,
    /// Changes that did not come about.
    pub failures: usize,
}

/// A HAProxy and what is known about it.
pub struct Link {
    session: Session,
    backends: Vec<Backend>,
    manage_weights: bool,
    settings: Settings,
    state_file: Option<StateFile>,
    disk: Disk,
    shown: Shown,
    record: Option<Record>,
    process: Option<Process>,
    /// Slots whose commands failed: how often, and when they are tried again.
    failures: HashMap<ServerName, (u32, Instant)>,
    /// Backends that take no weights, in this process.
    fixed_weights: HashSet<String>,
    told: Told,
    /// Whether the log has it that HAProxy lets nothing be changed.
    denied: bool,
}

impl Link {
    /// To one socket of the configuration.
    #[must_use]
    pub fn new(config: &Client, socket: Address, disk: Disk, shown: Shown) -> Self {
        // A state file has the servers of one process; further sockets are those of others.
        let state_file = config.state_file.clone().filter(|_| config.sockets.first() == Some(&socket));
        Self {
            session: Session::new(socket, config.socket_timeout),
            backends: config.backends.clone(),
            manage_weights: config.manage_weights,
            settings: Settings { drain_timeout: config.drain_timeout, shutdown_sessions: config.shutdown_sessions },
            state_file: state_file.map(StateFile::new),
            disk,
            shown,
            record: None,
            process: None,
            failures: HashMap::new(),
            fixed_weights: HashSet::new(),
            told: Told::default(),
            denied: false,
        }
    }

    /// The socket.
    #[must_use]
    pub fn socket(&self) -> &Address {
        self.session.socket()
    }

    /// Whether another process answers than in the last round.
    ///
    /// # Errors
    /// HAProxy does not answer.
    pub async fn is_replaced(&self) -> Result<bool, SessionError> {
        let Some(before) = &self.process else { return Ok(true) };
        Ok(self.session.process().await?.replaces(before))
    }

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
            file.save(&self.session, &self.slots_of(list, &observation)).await;
            self.state_file = Some(file);
        }
        Ok(round)
    }

    /// The servers that are slots of the list: those of server-template, up to its size or set by us. Whatever else has a
    /// name of that kind is somebody else's.
    fn slots_of<'o>(&self, list: &Listed, observation: &'o Observation) -> Vec<&'o ServerState> {
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

    async fn observe(&self, sessions: &BTreeSet<u32>) -> Result<Observation, SessionError> {
        let backends: Vec<&str> = self.backends.iter().map(|backend| backend.name.as_str()).collect();
        let sessions: Vec<u32> = sessions.iter().copied().collect();
        self.session.observe(&backends, &sessions).await
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

    fn plan(&mut self, list: &Listed, observation: &Observation) -> Result<Vec<(Desired, Outcome)>, RoundError> {
        let now = utc_seconds();
        if self.record.is_none() {
            let record = match self.disk.record(self.session.socket()) {
                Err(error @ DiskError::Decode { .. }) => {
                    tracing::warn!(error = %Chain(&error), "the record of what was set is lost; starting a new one");
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
    fn steps(&self, plans: &[(Desired, Outcome)]) -> Vec<Step> {
        let now = Instant::now();
        let due = |step: &&Step| self.failures.get(&step.server).is_none_or(|(_, again)| *again <= now);
        plans.iter().flat_map(|(_, outcome)| outcome.steps.iter().filter(due).cloned()).collect()
    }

    /// Notes entries, on the disk where they are new.
    fn note(&mut self, entries: Vec<(ServerName, Entry)>) -> Result<(), DiskError> {
        let Some(record) = &mut self.record else { return Ok(()) };
        let mut changed = false;
        for (server, entry) in entries {
            changed |= record.set(&server, entry);
        }
        if changed { self.disk.keep_record(self.session.socket(), record) } else { Ok(()) }
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
