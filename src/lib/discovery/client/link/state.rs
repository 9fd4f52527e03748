//! A HAProxy and what is known about it.

use super::state_file::StateFile;
use super::told::Told;
use crate::config::discovery::{Backend, Client};
use crate::daemon::duty::Duty;
use crate::discovery::client::disk::{Disk, DiskError};
use crate::discovery::client::figures::Shown;
use crate::discovery::client::reconcile::Settings;
use crate::discovery::client::record::{Entry, Record};
use crate::haproxy::address::Address;
use crate::haproxy::runtime::{InvalidValue, Observation, Process, ServerName, Session, SessionError};
use std::collections::{BTreeSet, HashMap, HashSet};
use std::time::Duration;
use tokio::time::Instant;

/// Why a round ended early.
#[derive(Debug, thiserror::Error)]
pub enum RoundError {
    /// HAProxy does not answer.
    #[error(transparent)]
    Session(#[from] SessionError),
    /// What is about to be set cannot be noted. Without the note it could not be told from an operator's doing.
    #[error("cannot save the record of what was set")]
    Record(#[from] DiskError),
    /// The configuration has what HAProxy does not know.
    #[error("invalid configuration of backend {backend}")]
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
    /// Changes that did not take effect.
    pub failures: usize,
}

/// A HAProxy and what is known about it.
pub struct Link {
    pub(super) session: Session,
    pub(super) backends: Vec<Backend>,
    pub(super) manage_weights: bool,
    pub(super) settings: Settings,
    pub(super) state_file: Option<StateFile>,
    pub(super) disk: Disk,
    pub(super) shown: Shown,
    pub(super) record: Option<Record>,
    pub(super) process: Option<Process>,
    /// Slots whose commands failed: how often, and when they are tried again.
    pub(super) failures: HashMap<ServerName, (u32, Instant)>,
    /// Backends that take no weights, in this process.
    pub(super) fixed_weights: HashSet<String>,
    pub(super) told: Told,
    /// Whether the log has it that HAProxy lets nothing be changed.
    pub(super) denied: bool,
    /// Time for a connection, and for an answer.
    limit: Duration,
    duty: Duty,
}

impl Link {
    /// To one socket of the configuration. `duty` is reported to before HAProxy is asked.
    #[must_use]
    pub fn new(config: &Client, socket: Address, disk: Disk, shown: Shown, duty: Duty) -> Self {
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
            limit: config.socket_timeout,
            duty,
        }
    }

    /// The socket.
    #[must_use]
    pub fn socket(&self) -> &Address {
        self.session.socket()
    }

    /// What is reported to.
    #[must_use]
    pub fn duty(&self) -> &Duty {
        &self.duty
    }

    /// HAProxy is asked next.
    pub(super) fn turn_to_haproxy(&self) {
        self.duty.report(self.limit.saturating_mul(2));
    }

    /// Whether another process answers than in the last round.
    ///
    /// # Errors
    /// HAProxy does not answer.
    pub(crate) async fn is_replaced(&self) -> Result<bool, SessionError> {
        let Some(before) = &self.process else { return Ok(true) };
        self.turn_to_haproxy();
        Ok(self.session.process().await?.replaces(before))
    }

    pub(super) async fn observe(&self, sessions: &BTreeSet<u32>) -> Result<Observation, SessionError> {
        let backends: Vec<&str> = self.backends.iter().map(|backend| backend.name.as_str()).collect();
        let sessions: Vec<u32> = sessions.iter().copied().collect();
        self.turn_to_haproxy();
        self.session.observe(&backends, &sessions).await
    }

    /// Notes entries, on the disk where they are new.
    pub(super) fn note(&mut self, entries: Vec<(ServerName, Entry)>) -> Result<(), DiskError> {
        let Some(record) = &mut self.record else { return Ok(()) };
        let mut changed = false;
        for (server, entry) in entries {
            changed |= record.set(&server, entry);
        }
        if changed { self.disk.keep_record(self.session.socket(), record) } else { Ok(()) }
    }
}
