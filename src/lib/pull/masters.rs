//! Workers that are leaving: after a reload of HAProxy they go on with the connections that they have, for hours perhaps, and no
//! stats socket leads to them any more. Their master does.
//!
//! They are asked beside the ordinary sockets, in the same pull. A worker that ends in between is none any more, which is no
//! failure; nor does a master that does not answer fail the pull: its workers are missing then, and that is logged and counted.

use super::answer::{Answer, Done, Failure};
use super::failure::{PullFailure, SocketError};
use super::further::Asked;
use super::further::inquiry::Count;
use super::job::{Job, Manner};
use super::outcome::{Outcome, Standing};
use super::sockets::{self, Target};
use crate::config::Hosts;
use crate::haproxy::address::Address;
use crate::haproxy::identity::{Kinship, Reading};
use crate::haproxy::master::{self, NoMaster, Processes};
use crate::haproxy::questions::QUESTIONS;
use crate::haproxy::socket::{ConnectError, Stream, connect};
use crate::logging::Chain;
use crate::snapshot::stage::{Folder, StageError};
use crate::snapshot::{OLD_INFO_SUFFIX, OLD_STAT_SUFFIX, WORKER_MARK};
use std::borrow::Cow;
use std::cell::RefCell;
use std::collections::{HashMap, HashSet};
use std::io;
use std::rc::Rc;
use std::time::Duration;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};

/// Most bytes of a list of processes: some eighty for each.
const LONGEST: usize = 1 << 20;
/// Time for a master and its workers, where `pull-timeout` sets none.
const LIMIT: Duration = Duration::from_secs(5);

/// Why a master has not said which workers are leaving.
#[derive(Debug, thiserror::Error)]
enum MasterError {
    #[error(transparent)]
    Connect(#[from] ConnectError),
    #[error("the connection was closed")]
    Broken(#[from] io::Error),
    #[error(transparent)]
    NoMaster(#[from] NoMaster),
    #[error("the list of processes is longer than {LONGEST} bytes")]
    TooLong,
    #[error("no answer within {} s", .0.as_secs_f64())]
    TimedOut(Duration),
}

/// A worker that is leaving, and has answered.
#[derive(Debug)]
pub(super) struct Leaving {
    /// The name of its files, up to their suffix.
    pub(super) name: String,
    /// That of its master.
    pub(super) master: String,
    pub(super) reading: Option<Reading>,
}

/// What came of a round.
#[derive(Debug, Default)]
pub(super) struct Round {
    pub(super) workers: Vec<Leaving>,
    /// Masters and workers that have not answered, though they are there.
    pub(super) failed: u64,
    /// Further questions to the workers.
    pub(super) further: Count,
    /// The pids of all processes that each master has listed.
    listed: HashMap<String, HashSet<u64>>,
}

impl Round {
    /// Whether a worker is known to have ended: its master has listed all others.
    pub(super) fn has_ended(&self, master: &str, pid: u64) -> bool {
        self.listed.get(master).is_some_and(|listed| !listed.contains(&pid))
    }

    /// Leaves out workers that have answered on an ordinary socket as well, and count as live ones. Since 3.2 the master lists a
    /// worker as old while the one that is to take its place still starts, a second or more with a large configuration.
    ///
    /// # Errors
    /// A file could not be removed.
    pub(super) fn leave_out_live(
        &mut self,
        outcomes: &[Outcome],
        hosts: &Hosts,
        folder: &Folder,
    ) -> Result<(), StageError> {
        let live = outcomes.iter().filter(|outcome| outcome.result.is_ok() && outcome.standing == Standing::Counts);
        let live: Vec<_> = live.filter_map(|outcome| Some((&outcome.target.name, outcome.reading.as_ref()?))).collect();
        let (stay, live): (Vec<Leaving>, Vec<Leaving>) = self.workers.drain(..).partition(|worker| {
            let is_same = |name: &str, reading: &Reading| {
                hosts.of(name) == hosts.of(&worker.master)
                    && worker.reading.as_ref().is_some_and(|own| own.compare(reading) == Kinship::Same)
            };
            !live.iter().any(|(name, reading)| is_same(name, reading))
        });
        self.workers = stay;
        live.iter().try_for_each(|worker| remove(&worker.name, folder))
    }
}

/// Removes what a worker has answered.
fn remove(name: &str, folder: &Folder) -> Result<(), StageError> {
    let further = QUESTIONS.iter().filter(|question| question.leaving).map(|question| question.suffix(true));
    let suffixes = [OLD_INFO_SUFFIX, OLD_STAT_SUFFIX].into_iter().map(Cow::Borrowed).chain(further);
    suffixes.into_iter().try_for_each(|suffix| folder.remove(&format!("{name}{suffix}")))
}

/// The masters, and what was said of them.
#[derive(Debug)]
pub(super) struct Masters {
    all: Vec<Target>,
    manner: Manner,
    limit: Duration,
    buffer: Rc<RefCell<Box<[u8]>>>,
    failing: HashSet<String>,
}

impl Masters {
    pub(super) fn new(
        servers: &[Address],
        manner: Manner,
        limit: Option<Duration>,
        buffer: Rc<RefCell<Box<[u8]>>>,
    ) -> Self {
        let all = sockets::masters(servers);
        Self { all, manner, limit: limit.unwrap_or(LIMIT), buffer, failing: HashSet::new() }
    }

    /// Asks all masters at once, and then the workers that are leaving, whose replies go to `folder`; `further` is what those are
    /// asked beside their figures. Must run within a
    /// [`tokio::task::LocalSet`].
    ///
    /// # Errors
    /// A file could not be written.
    pub(super) async fn round(&mut self, folder: &Folder, further: Vec<Asked>) -> Result<Round, StageError> {
        let mut round = Round::default();
        if self.all.is_empty() {
            return Ok(round);
        }
        let mut lists = JoinSet::new();
        for master in self.all.clone() {
            let (manner, limit) = (self.manner, self.limit);
            lists.spawn_local(async move {
                let list = match timeout(limit, list(&master, manner)).await {
                    Ok(list) => list,
                    Err(_) => Err(MasterError::TimedOut(limit)),
                };
                (master, list)
            });
        }
        let mut workers = JoinSet::new();
        for (master, list) in lists.join_all().await {
            match list {
                Ok(Processes { all, leaving }) => {
                    round.listed.insert(master.name.clone(), all.into_iter().map(u64::from).collect());
                    if self.failing.remove(&master.name) {
                        tracing::info!(master = %master.name, "the master answers again");
                    }
                    leaving.into_iter().for_each(|pid| self.ask(&master, pid, folder, &further, &mut workers));
                }
                Err(error) => {
                    round.failed += 1;
                    if self.failing.insert(master.name.clone()) {
                        tracing::error!(master = %master.name, error = %Chain(&error),
                            "cannot find out which workers are leaving; their traffic is not counted");
                    }
                }
            }
        }
        for (master, name, done) in workers.join_all().await {
            done.further.iter().for_each(|(_, told)| round.further.add(told));
            match done.result {
                Ok(Answer::Stored(_)) => round.workers.push(Leaving { name, master, reading: done.reading }),
                Ok(Answer::Spared { .. }) => {}
                Err(Failure::Disk(error)) => return Err(error),
                Err(Failure::Socket(error)) => {
                    remove(&name, folder)?;
                    round.failed += u64::from(!has_ended(&error));
                    tracing::debug!(worker = %name, error = %Chain(&error), "a worker that is leaving has not answered");
                }
            }
        }
        round.workers.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(round)
    }

    fn ask(
        &self,
        master: &Target,
        pid: u32,
        folder: &Folder,
        further: &[Asked],
        workers: &mut JoinSet<(String, String, Done)>,
    ) {
        let name = format!("{}{WORKER_MARK}{pid}", master.name);
        let target = Target { name: name.clone(), worker: Some(pid), ..master.clone() };
        let job = Job::new(target, self.manner, Rc::clone(&self.buffer), Some(folder.clone())).with(further.to_vec());
        let (limit, master) = (self.limit, master.name.clone());
        workers.spawn_local(async move { (master, name, job.run(Instant::now(), Some(limit), None).await) });
    }
}

/// Whether the worker is gone: its master knows it no more, or its connection has ended.
fn has_ended(error: &SocketError) -> bool {
    matches!(error.kind(), PullFailure::Refused | PullFailure::Empty | PullFailure::Truncated)
}

/// How many workers of a master are leaving, or why that is not known.
pub(super) async fn leaving(master: &Target, manner: Manner, limit: Duration) -> Result<usize, String> {
    let list = timeout(limit, list(master, manner)).await.unwrap_or(Err(MasterError::TimedOut(limit)));
    list.map(|processes| processes.leaving.len()).map_err(|error| Chain(&error).to_string())
}

async fn list(master: &Target, manner: Manner) -> Result<Processes, MasterError> {
    let stream = connect(&master.server, manner.timeout).await?;
    stream.send(master::SHOW_PROC).await?;
    stream.end()?;
    Ok(master::processes(&read(&stream).await?)?)
}

/// All that comes until the end.
async fn read(stream: &Stream) -> Result<String, MasterError> {
    let (mut text, mut buffer) = (Vec::new(), [0; 4096]);
    loop {
        stream.readable().await?;
        match stream.try_read(&mut buffer) {
            Ok(0) => return Ok(String::from_utf8_lossy(&text).into_owned()),
            Ok(length) => text.extend_from_slice(buffer.get(..length).unwrap_or_default()),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error.into()),
        }
        if text.len() > LONGEST {
            return Err(MasterError::TooLong);
        }
    }
}
