//! What lies in `socket-dir` and is no stats socket: the CLI of a master process, a frontend's socket, one for datagrams.
//!
//! A socket there may be anybody's. One that shows by its type or its words that it is something else is left out from
//! then on, with one warning, and so is one that says nothing while others answer: it costs the ticks nothing, neither
//! their snapshot nor their time. It is looked at again now and then, beside the ticks, since its path may become that
//! of a stats socket. What has answered as one before is none of this: when it fails, it has failed.

use super::failure::SocketError;
use super::job::Job;
use super::outcome::{Outcome, Standing};
use super::sockets::Target;
use crate::haproxy::address::Address;
use std::collections::{HashMap, HashSet};
use std::time::Duration;
use tokio::task::JoinSet;
use tokio::time::Instant;

/// Pulls in a row in which a socket accepts a connection and says nothing, until it is left out. A stats socket of a
/// HAProxy that hangs does that, too.
const SILENT_PULLS: u32 = 3;
/// First pause until it is looked at again; each is twice as long as the one before.
const FIRST_PAUSE: Duration = Duration::from_secs(5);
/// Longest pause. A frontend logs every look as a bad request.
const LONGEST_PAUSE: Duration = Duration::from_secs(600);
/// Time for an answer to a look: a HAProxy that hangs is taken back as soon as it goes on.
const LOOK: Duration = Duration::from_secs(60);

/// A device and inode.
type Inode = (u64, u64);

/// The sockets that are left out, and what is known of the others.
#[derive(Debug, Default)]
pub(super) struct Strangers {
    out: HashMap<Address, LeftOut>,
    /// Sockets that have answered once, with what they were then.
    good: HashMap<Address, Option<Inode>>,
    silent: HashMap<Address, u32>,
    looks: JoinSet<(Target, bool)>,
    told: HashSet<String>,
}

#[derive(Debug)]
struct LeftOut {
    name: String,
    reason: String,
    found: Option<Inode>,
    next: Instant,
    pause: Duration,
    looking: bool,
}

impl Strangers {
    /// Those of the sockets that are pulled now. `job` asks one of the others.
    pub(super) fn admit(&mut self, targets: Vec<Target>, job: impl Fn(Target) -> Job) -> Vec<Target> {
        self.take_looks();
        let present: HashSet<&Address> = targets.iter().map(|target| &target.server).collect();
        self.out.retain(|server, _| present.contains(server));
        self.silent.retain(|server, _| present.contains(server));
        self.good.retain(|server, _| present.contains(server));
        let now = Instant::now();
        let mut admitted = Vec::with_capacity(targets.len());
        for target in targets {
            match self.out.get_mut(&target.server) {
                // Another socket has its place, or somebody has written it into the file.
                Some(left) if left.found != target.found => {
                    self.out.remove(&target.server);
                    admitted.push(target);
                }
                Some(left) => {
                    if !left.looking && now >= left.next {
                        left.looking = true;
                        self.looks.spawn_local(job(target).answers(LOOK));
                    }
                }
                None => admitted.push(target),
            }
        }
        admitted
    }

    /// What has come of looking at sockets that are left out.
    fn take_looks(&mut self) {
        while let Some(look) = self.looks.try_join_next() {
            let (target, answered) = match look {
                Ok(look) => look,
                // Nobody aborts them, so this is a panic.
                Err(error) => std::panic::resume_unwind(error.into_panic()),
            };
            if answered {
                tracing::info!(socket = %target.name, "is a stats socket now; it is pulled from now on");
                self.out.remove(&target.server);
            } else if let Some(left) = self.out.get_mut(&target.server) {
                left.looking = false;
                left.pause = (left.pause * 2).min(LONGEST_PAUSE);
                left.next = Instant::now() + left.pause;
            }
        }
    }

    /// A line for each socket that is left out.
    pub(super) fn left_out(&self) -> impl Iterator<Item = String> {
        self.out.values().map(|left| format!("left out: {} is not a stats socket: {}", left.name, left.reason))
    }

    /// Says which of the sockets of a pull are none, and leaves them out from now on.
    pub(super) fn judge(&mut self, outcomes: &mut [Outcome]) {
        let any = outcomes.iter().any(|outcome| outcome.result.is_ok());
        for outcome in outcomes {
            let target = &outcome.target;
            let Err(error) = &outcome.result else {
                self.silent.remove(&target.server);
                if self.good.get(&target.server) != Some(&target.found) {
                    self.good.insert(target.server.clone(), target.found);
                }
                continue;
            };
            let Some(reason) = self.reason(target, error, any) else { continue };
            tracing::warn!(socket = %target.name, reason,
                "skipped: not a stats socket; list it in exclude-sockets of [pull] so that it is not tried again");
            let next = Instant::now() + FIRST_PAUSE;
            let (name, found) = (target.name.clone(), target.found);
            let left = LeftOut { name, reason, found, next, pause: FIRST_PAUSE, looking: false };
            self.out.insert(target.server.clone(), left);
            outcome.standing = Standing::LeftOut;
        }
    }

    /// Why a socket that failed is no stats socket; `None` when it may be one. `any`: whether another one has answered.
    fn reason(&mut self, target: &Target, error: &SocketError, any: bool) -> Option<String> {
        target.found?;
        let before = self.good.get(&target.server);
        if let Some(proof) = error.proof() {
            // The same socket can be neither first one thing, then another.
            return (before != Some(&target.found)).then_some(proof);
        }
        if before.is_some() || !error.is_silence() || !any {
            return None;
        }
        if let SocketError::TimedOut { .. } = error {
            let pulls = self.silent.entry(target.server.clone()).or_default();
            *pulls += 1;
            return (*pulls >= SILENT_PULLS)
                .then(|| format!("in {SILENT_PULLS} pulls it accepted the connection but sent nothing"));
        }
        Some("it closes every connection without an answer".to_owned())
    }

    /// Warns of what is not even a socket, once each.
    pub(super) fn others(&mut self, others: &[(String, &'static str)]) {
        self.told.retain(|told| others.iter().any(|(name, _)| name == told));
        for (name, what) in others {
            if self.told.insert(name.clone()) {
                tracing::warn!(file = %name, reason = what,
                    "skipped: not a stats socket; list it in exclude-sockets of [pull] to silence this message");
            }
        }
    }
}
