//! One HAProxy: look, decide, send, look again.

use super::disk::{Disk, DiskError, replace};
use super::figures::{BackendFigures, Event, Shown};
use super::reconcile::{Outcome, Settings, Step, View, Waiting, reconcile};
use super::record::{Entry, Record};
use super::slots::{Desired, desired};
use crate::backoff::Backoff;
use crate::config::Server;
use crate::config::discovery::{Backend, Client};
use crate::discovery::document::Document;
use crate::discovery::utc_seconds;
use crate::haproxy::runtime::{
    Batch, InvalidValue, Observation, Process, Refusal, Reply, ServerName, ServerState, Session, SessionError,
};
use crate::logging::Chain;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::path::PathBuf;
use std::time::Duration;
use tokio::time::Instant;

/// Passes of a round: a slot that changes hands takes three when nobody has to be waited for.
const PASSES: usize = 6;
/// Pauses after commands for a slot that did not do what they should.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

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
    state_file: Option<PathBuf>,
    disk: Disk,
    shown: Shown,
    record: Option<Record>,
    process: Option<Process>,
    /// Slots whose commands failed: how often, and when they are tried again.
    failures: HashMap<ServerName, (u32, Instant)>,
    /// Backends that take no weights, in this process.
    fixed_weights: HashSet<String>,
    /// What was logged, so that it is logged once.
    told: BTreeMap<(String, u32), Waiting>,
    unfit: BTreeSet<String>,
    missing: BTreeSet<String>,
    denied: bool,
    /// The servers when the state file was written.
    saved: Option<Vec<ServerState>>,
    unsaved: Option<String>,
}

impl Link {
    /// To one socket of the configuration.
    #[must_use]
    pub fn new(config: &Client, socket: Server, disk: Disk, shown: Shown) -> Self {
        // A state file has the servers of one process; further sockets are those of others.
        let state_file = config.state_file.clone().filter(|_| config.sockets.first() == Some(&socket));
        Self {
            session: Session::new(socket, config.socket_timeout),
            backends: config.backends.clone(),
            manage_weights: config.manage_weights,
            settings: Settings { drain_timeout: config.drain_timeout, shutdown_sessions: config.shutdown_sessions },
            state_file,
            disk,
            shown,
            record: None,
            process: None,
            failures: HashMap::new(),
            fixed_weights: HashSet::new(),
            told: BTreeMap::new(),
            unfit: BTreeSet::new(),
            missing: BTreeSet::new(),
            denied: false,
            saved: None,
            unsaved: None,
        }
    }

    /// The socket.
    #[must_use]
    pub fn socket(&self) -> &Server {
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
    pub async fn round(&mut self, list: &Document) -> Result<Round, RoundError> {
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
        self.save_state(&observation).await;
        Ok(round)
    }

    /// What a round would do: lines for people.
    ///
    /// # Errors
    /// HAProxy does not answer, or the record cannot be read.
    pub async fn preview(&mut self, list: &Document) -> Result<Vec<String>, RoundError> {
        let mut observation = self.observe(&BTreeSet::new()).await?;
        let mut plans = self.plan(list, &observation)?;
        let ask: BTreeSet<u32> = plans.iter().flat_map(|(_, outcome)| &outcome.ask_sessions).copied().collect();
        if !ask.is_empty() {
            observation = self.observe(&ask).await?;
            plans = self.plan(list, &observation)?;
        }
        let process = &observation.process;
        let mut lines = vec![format!("{}: HAProxy {}, process {}", self.socket(), process.version, process.id)];
        lines.extend(observation.missing.iter().map(|backend| format!("  {backend}: HAProxy has no such backend")));
        for (wanted, outcome) in &plans {
            for step in &outcome.steps {
                lines.push(format!("  {}: {}{}", step.server, of(&step.instance), step.reason));
                lines.extend(step.commands.iter().map(|command| format!("    {command}")));
            }
            for (slot, waiting) in &outcome.waiting {
                lines.push(format!("  {}/{}{slot}: {}", wanted.backend, wanted.base, words(*waiting)));
            }
            for (slot, instance, reason) in &wanted.unfit {
                lines.push(format!("  {}: {instance} of slot {slot} is left out: {reason}", wanted.backend));
            }
        }
        if plans.iter().all(|(_, outcome)| outcome.steps.is_empty()) {
            lines.push("  nothing to send".to_owned());
        }
        Ok(lines)
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

    fn plan(&mut self, list: &Document, observation: &Observation) -> Result<Vec<(Desired, Outcome)>, RoundError> {
        let now = utc_seconds();
        if self.record.is_none() {
            let record = match self.disk.record(self.session.socket()) {
                Err(error @ DiskError::Decode { .. }) => {
                    tracing::warn!(error = %Chain(&error), "the record of what was set is lost; it begins anew");
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
            let wanted = desired(list, backend, self.manage_weights, now)
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

    async fn apply(
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
        let mut refused: HashMap<ServerName, (Refusal, String)> = HashMap::new();
        let mut broken = None;
        for batch in Batch::pack(steps.iter().map(|step| step.commands.as_slice())) {
            round.commands += batch.commands().len();
            self.shown.count(self.socket(), Event::Commands, batch.commands().len());
            match self.session.apply(&batch).await {
                Ok(replies) => {
                    for (command, reply) in batch.commands().iter().zip(replies) {
                        if let Reply::Refused(refusal, text) = reply {
                            refused.entry(command.server().clone()).or_insert((refusal, format!("{command}: {text}")));
                        }
                    }
                }
                Err(error) => {
                    broken = Some(error);
                    break;
                }
            }
        }
        *observation = self.observe(asked).await?;
        let mut entries = Vec::new();
        for (step, before) in steps.iter().zip(before) {
            let server = observation.servers.find(step.server.backend.as_str(), step.server.server.as_str());
            let refusal = refused.get(&step.server);
            let mut expected = step.expected;
            if refusal.is_some_and(|(refusal, _)| *refusal == Refusal::StaticWeights) {
                self.weights_are_fixed(&step.server);
                expected.weight = None;
            }
            if expected.is_met(server) {
                self.succeeded(step, round);
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
        self.note(entries)?;
        broken.map_or(Ok(()), |error| Err(error.into()))
    }

    fn succeeded(&mut self, step: &Step, round: &mut Round) {
        round.changes += 1;
        self.failures.remove(&step.server);
        self.shown.count(self.socket(), Event::Changes, 1);
        let (socket, server, instance) = (self.session.socket(), &step.server, &step.instance);
        tracing::info!(%socket, %server, instance, change = kind(step), reason = step.reason, "changed");
    }

    fn failed(
        &mut self,
        step: &Step,
        refusal: Option<&(Refusal, String)>,
        server: Option<&ServerState>,
        round: &mut Round,
    ) {
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
                    tracing::error!(
                        socket,
                        reply = text,
                        "HAProxy lets nothing be changed; the socket needs level admin"
                    );
                }
            }
            // Sessions and connections end by themselves.
            Some((Refusal::InUse, text)) => tracing::debug!(socket, server = %name, reply = text, "not deleted yet"),
            _ if times > 1 => {}
            Some((_, reply)) => tracing::warn!(socket, server = %name, change, reply, "HAProxy refuses a change"),
            None => {
                let state = server.map_or_else(|| "not there".to_owned(), |server| server.state().to_string());
                tracing::warn!(socket, server = %name, change, state, "a change did not come about");
            }
        }
    }

    fn weights_are_fixed(&mut self, server: &ServerName) {
        if self.fixed_weights.insert(server.backend.to_string()) {
            let (socket, backend) = (self.session.socket(), &server.backend);
            tracing::warn!(%socket, %backend, "the balance algorithm takes no weights; they are left as they are");
        }
    }

    /// What waits, in figures, and in the log where it is new.
    fn report(&mut self, plans: &[(Desired, Outcome)], observation: &Observation) {
        let mut waiting = BTreeMap::new();
        let mut unfit = BTreeSet::new();
        for (wanted, outcome) in plans {
            let backend = wanted.backend.as_str();
            let figures = BackendFigures::new(wanted, outcome, &observation.servers);
            self.shown.backend(self.session.socket(), backend, figures);
            for (slot, why) in &outcome.waiting {
                waiting.insert((format!("{backend}/{}", wanted.base), *slot), *why);
            }
            for (slot, instance, reason) in &wanted.unfit {
                unfit.insert(format!("{backend}: {instance} of slot {slot} is left out: {reason}"));
            }
        }
        self.shown.rows(self.session.socket(), observation.servers.refused);
        let socket = self.session.socket().to_string();
        for ((base, slot), why) in &waiting {
            let server = format!("{base}{slot}");
            match (self.told.get(&(base.clone(), *slot)), why) {
                (Some(before), now) if before == now => {}
                (_, Waiting::Draining) => {}
                (_, Waiting::Capacity) => tracing::info!(socket, server, "{}", words(*why)),
                _ => tracing::warn!(socket, server, "{}", words(*why)),
            }
        }
        for ((base, slot), why) in &self.told {
            let now = waiting.get(&(base.clone(), *slot));
            if matches!(why, Waiting::Held(_)) && !matches!(now, Some(Waiting::Held(_))) {
                tracing::info!(socket, server = format!("{base}{slot}"), "not held any more");
            }
        }
        for text in unfit.difference(&self.unfit) {
            tracing::warn!(socket, "{text}");
        }
        let missing: BTreeSet<String> = observation.missing.iter().cloned().collect();
        for backend in missing.difference(&self.missing) {
            tracing::error!(socket, backend, "HAProxy has no such backend");
        }
        (self.told, self.unfit, self.missing) = (waiting, unfit, missing);
    }

    /// Writes HAProxy's state file when something has changed since it was written.
    async fn save_state(&mut self, observation: &Observation) {
        let Some(path) = self.state_file.clone() else { return };
        let rows = &observation.servers.rows;
        if self.saved.as_ref() == Some(rows) {
            return;
        }
        let templates: Vec<&Backend> = self.backends.iter().filter(|backend| is_template(backend)).collect();
        let ours = |row: &&ServerState| {
            templates.iter().any(|backend| backend.name == row.backend && row.server.starts_with(&backend.base_name))
        };
        // The state would come back without the address: a slot that is ready, at the placeholder of the template.
        let problem = match rows.iter().filter(ours).find(|row| !row.has_name) {
            Some(row) => Some(format!(
                "{}/{} is configured by an address, which HAProxy does not replace by that of a state file; \
                 configure a name and init-addr last",
                row.backend, row.server
            )),
            None => match self.session.ask("show servers state\n").await {
                Ok(state) if state.starts_with("1\n") => {
                    replace(&path, state.as_bytes()).err().map(|error| Chain(&error).to_string())
                }
                Ok(state) => Some(state.lines().next().unwrap_or_default().to_owned()),
                Err(error) => Some(Chain(&error).to_string()),
            },
        };
        match problem {
            None => {
                self.saved = Some(rows.clone());
                self.unsaved = None;
            }
            Some(problem) => {
                if self.unsaved.as_ref() != Some(&problem) {
                    let file = path.display();
                    tracing::error!(%file, reason = problem, "server-state-file is not written");
                }
                self.unsaved = Some(problem);
            }
        }
    }
}

fn is_template(backend: &Backend) -> bool {
    backend.mode == crate::config::discovery::BackendMode::Template
}

fn of(instance: &str) -> String {
    if instance.is_empty() { String::new() } else { format!("{instance}: ") }
}

/// A change in a word.
fn kind(step: &Step) -> String {
    match (step.expected.state, step.expected.weight) {
        (None, _) => "deleted".to_owned(),
        (Some(_), Some(weight)) if step.commands.len() == 1 => format!("weight {weight}"),
        (Some(state), _) => state.to_string(),
    }
}

/// Why a slot waits, in words.
fn words(waiting: Waiting) -> String {
    match waiting {
        Waiting::Held(state) => {
            format!("held: somebody else has set it to {state}; it is left alone until it is ready again")
        }
        Waiting::HeldElsewhere(slot) => format!("held: somebody else has taken its server out in slot {slot}"),
        Waiting::Draining => "waits for its sessions to end".to_owned(),
        Waiting::Capacity => "goes on serving until others are up".to_owned(),
        Waiting::Missing => "HAProxy has no such server; make server-template larger".to_owned(),
        Waiting::NotOurs => "follows another server or a resolver, or is a UNIX socket; it is left alone".to_owned(),
        Waiting::TooOld => "servers can be added from HAProxy 2.6 on".to_owned(),
    }
}
