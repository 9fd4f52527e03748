//! The worker processes that run: starts and kills them, and turns what they say and how they end into events.

use super::death::Circumstances;
use super::processor::Times;
use super::spawn::{SpawnError, Spawner};
use super::supervisor::KillReason;
use crate::process::wire::channel::Channel;
use crate::process::wire::message::{ToParent, ToWorker};
use crate::queue::Slot;
use std::collections::BTreeMap;
use std::io;
use std::process::{Child, ExitStatus};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

/// Messages that may wait for the parent before their worker has to.
const BACKLOG: usize = 256;

/// What a worker did.
#[derive(Debug)]
pub(crate) enum Event {
    /// It said something.
    Said(ToParent),
    /// It said something that is not a message.
    Garbled(String),
    /// It will say nothing more.
    Silent,
}

/// An event and whose it is.
#[derive(Debug)]
pub(crate) struct WorkerEvent {
    /// Which worker.
    pub slot: Slot,
    generation: u64,
    /// What.
    pub event: Event,
}

/// A worker process.
#[derive(Debug)]
pub(crate) struct Worker {
    child: Child,
    channel: Arc<Channel>,
    reader: JoinHandle<()>,
    generation: u64,
    /// Which configuration it has.
    configuration: u64,
    known: Circumstances,
    status: Option<ExitStatus>,
    silent: bool,
    /// Its times when it was last asked whether it lives.
    times: Option<Times>,
    /// It has said its first word.
    pub started: bool,
    /// It has asked for a snapshot and not got one yet.
    pub has_room: bool,
}

impl Worker {
    /// Whether it may be given a snapshot when it has room.
    pub(crate) fn stays(&self) -> bool {
        !self.known.told_to_leave
    }

    fn drain(&mut self, grace: Duration) {
        self.known.told_to_leave = true;
        self.has_room = false;
        // One that does not hear it is killed when the grace period is over.
        let _ = self.channel.send_now(&ToWorker::Drain(grace).encode());
    }
}

/// A worker that is gone for good: everything that it said has been heard.
#[derive(Debug)]
pub(crate) struct Gone {
    /// Its place.
    pub slot: Slot,
    /// Its process id.
    pub pid: u32,
    /// How it ended.
    pub status: ExitStatus,
    /// What is known about it.
    pub known: Circumstances,
}

/// All of them.
#[derive(Debug)]
pub(crate) struct Pool {
    spawner: Spawner,
    workers: BTreeMap<Slot, Worker>,
    generation: u64,
    /// Counts the configurations; workers are started with the last one.
    configuration: u64,
    sender: mpsc::Sender<WorkerEvent>,
    receiver: mpsc::Receiver<WorkerEvent>,
}

impl Pool {
    /// An empty pool.
    #[must_use]
    pub(crate) fn new(spawner: Spawner) -> Self {
        let (sender, receiver) = mpsc::channel(BACKLOG);
        Self { spawner, workers: BTreeMap::new(), generation: 0, configuration: 0, sender, receiver }
    }

    /// From now on workers are started in this way; those that are there are outdated.
    pub(crate) fn configure(&mut self, spawner: Spawner) {
        self.spawner = spawner;
        self.configuration += 1;
    }

    /// Places whose worker has an earlier configuration, and whether it has been told to leave.
    pub(crate) fn outdated(&self) -> impl Iterator<Item = (Slot, bool)> + '_ {
        let outdated = self.workers.iter().filter(|(_, worker)| worker.configuration != self.configuration);
        outdated.map(|(slot, worker)| (*slot, worker.known.told_to_leave))
    }

    /// Number of workers that have begun with the last configuration.
    pub(crate) fn renewed(&self) -> usize {
        self.workers.values().filter(|worker| worker.configuration == self.configuration && worker.started).count()
    }

    /// Starts a worker. Must be called on a tokio runtime.
    ///
    /// # Errors
    /// When the system is short of something.
    pub(crate) fn spawn(&mut self, slot: Slot) -> Result<u32, SpawnError> {
        let (mut child, end) = self.spawner.spawn()?;
        let channel = match Channel::new(end) {
            Ok(channel) => Arc::new(channel),
            Err(error) => {
                // Without a channel it would end by itself; this is quicker and leaves no zombie.
                let _ = child.kill();
                let _ = child.wait();
                return Err(SpawnError::Channel(error));
            }
        };
        self.generation += 1;
        let reader = tokio::spawn(read(Arc::clone(&channel), slot, self.generation, self.sender.clone()));
        let pid = child.id();
        let worker = Worker {
            child,
            channel,
            reader,
            generation: self.generation,
            configuration: self.configuration,
            known: Circumstances::default(),
            status: None,
            silent: false,
            times: Times::of(pid),
            started: false,
            has_room: false,
        };
        self.workers.insert(slot, worker);
        Ok(pid)
    }

    /// The next event. Cancelling it loses nothing.
    pub(crate) async fn event(&mut self) -> Option<WorkerEvent> {
        self.receiver.recv().await
    }

    /// The next event if there is one now.
    pub(crate) fn event_now(&mut self) -> Option<WorkerEvent> {
        self.receiver.try_recv().ok()
    }

    /// The worker that an event is about; `None` when it has been replaced since.
    pub(crate) fn of(&mut self, from: &WorkerEvent) -> Option<&mut Worker> {
        self.workers.get_mut(&from.slot).filter(|worker| worker.generation == from.generation)
    }

    /// The worker in a place.
    pub(crate) fn get_mut(&mut self, slot: Slot) -> Option<&mut Worker> {
        self.workers.get_mut(&slot)
    }

    /// Places whose worker waits for a snapshot.
    pub(crate) fn with_room(&self) -> impl Iterator<Item = Slot> + '_ {
        self.workers.iter().filter(|(_, worker)| worker.has_room && worker.status.is_none()).map(|(slot, _)| *slot)
    }

    /// Places whose worker is ready for snapshots, whether it asks for one or not.
    pub(crate) fn started(&self) -> impl Iterator<Item = Slot> + '_ {
        let leaves = |known: &Circumstances| known.told_to_leave || known.killed.is_some();
        let ready = move |worker: &Worker| {
            worker.started && !worker.silent && worker.status.is_none() && !leaves(&worker.known)
        };
        self.workers.iter().filter(move |(_, worker)| ready(worker)).map(|(slot, _)| *slot)
    }

    /// Says something to a worker, without waiting for it to listen.
    ///
    /// # Errors
    /// When it has ended, or has not read anything for a long time.
    pub(crate) fn say(&self, slot: Slot, message: &ToWorker) -> io::Result<()> {
        let worker = self.workers.get(&slot).ok_or(io::ErrorKind::NotConnected)?;
        worker.channel.send_now(&message.encode())
    }

    /// Takes note of its times: see [`Pool::starved`].
    pub(crate) fn mark(&mut self, slot: Slot) {
        if let Some(worker) = self.workers.get_mut(&slot) {
            worker.times = Times::of(worker.child.id());
        }
    }

    /// Of the time in which the worker has said nothing, as much as it got no processor, if that is worth speaking of. Next time
    /// only what comes after this counts.
    pub(crate) fn starved(&mut self, slot: Slot, quiet: Duration) -> Option<Duration> {
        let worker = self.workers.get_mut(&slot)?;
        let now = Times::of(worker.child.id())?;
        let starved = now.excused(worker.times?, quiet)?;
        worker.times = Some(now);
        Some(starved)
    }

    /// Tells every worker to leave.
    pub(crate) fn drain(&mut self, grace: Duration) {
        self.workers.values_mut().for_each(|worker| worker.drain(grace));
    }

    /// Tells one worker to leave.
    pub(crate) fn drain_one(&mut self, slot: Slot, grace: Duration) {
        if let Some(worker) = self.workers.get_mut(&slot) {
            worker.drain(grace);
        }
    }

    /// Kills a worker that has said nothing for so long; `why` decides what its end will mean.
    pub(crate) fn kill(&mut self, slot: Slot, why: Option<KillReason>, quiet: Duration) {
        let Some(worker) = self.workers.get_mut(&slot) else { return };
        worker.has_room = false;
        if worker.known.killed.is_none() {
            worker.known.stopped = is_stopped(worker.child.id(), worker.times, quiet);
            worker.known.killed = why;
        }
        // It may have ended by itself a moment ago.
        let _ = worker.child.kill();
    }

    /// Kills all of them and waits for their ends: SIGKILL cannot be put off.
    pub(crate) fn kill_all(&mut self) {
        for worker in self.workers.values_mut() {
            let _ = worker.child.kill();
        }
        for (_, mut worker) in std::mem::take(&mut self.workers) {
            worker.reader.abort();
            let _ = worker.child.wait();
        }
    }

    /// Notes that a worker will say nothing more.
    pub(crate) fn silent(&mut self, from: &WorkerEvent) {
        if let Some(worker) = self.of(from) {
            worker.silent = true;
            worker.has_room = false;
        }
    }

    /// Looks which processes have ended, and takes out those of which everything has been heard.
    pub(crate) fn reap(&mut self) -> Vec<Gone> {
        for worker in self.workers.values_mut() {
            if worker.status.is_none() {
                worker.status = worker.child.try_wait().ok().flatten();
            }
        }
        let ended = self.workers.iter().filter_map(|(slot, worker)| {
            let status = worker.status.filter(|_| worker.silent)?;
            Some(Gone { slot: *slot, pid: worker.child.id(), status, known: worker.known })
        });
        let ended: Vec<Gone> = ended.collect();
        for gone in &ended {
            self.workers.remove(&gone.slot);
        }
        ended
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.kill_all();
    }
}

/// Passes on what a worker says, until its end.
async fn read(channel: Arc<Channel>, slot: Slot, generation: u64, to: mpsc::Sender<WorkerEvent>) {
    loop {
        let (event, last) = match channel.receive().await {
            Ok(Some(packet)) => match ToParent::decode(&packet) {
                Ok(message) => (Event::Said(message), false),
                Err(error) => (Event::Garbled(error.to_string()), false),
            },
            Ok(None) => (Event::Silent, true),
            Err(error) if error.kind() == io::ErrorKind::InvalidData => (Event::Garbled(error.to_string()), false),
            Err(_) => (Event::Silent, true),
        };
        if to.send(WorkerEvent { slot, generation, event }).await.is_err() || last {
            return;
        }
    }
}

/// Whether the process cannot answer for reasons outside of it: it was stopped (SIGSTOP, a debugger), or it
/// waits for a disk: uninterruptibly, or, as with many network file systems, asleep in a call that reads. Or it runs, and has not
/// for most of the time since `before`: it was one of these until a moment ago.
fn is_stopped(pid: u32, before: Option<Times>, time: Duration) -> bool {
    // The name in parentheses may hold anything; the state is the first word after it.
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let state = stat.rsplit(')').next().and_then(|rest| rest.trim_start().chars().next());
    let rested = || before.zip(Times::of(pid)).is_some_and(|(before, now)| now.rested(before, time));
    match state {
        Some('T' | 't' | 'D') => true,
        Some('S') => reads(pid),
        Some('R') => rested(),
        _ => false,
    }
}

/// Whether the process is in a system call that reads a file or a directory. It reads nothing else that makes it wait: sockets
/// and pipes are waited for by other calls.
fn reads(pid: u32) -> bool {
    const CALLS: [i64; 8] = [
        libc::SYS_close,
        libc::SYS_fstat,
        libc::SYS_getdents64,
        libc::SYS_newfstatat,
        libc::SYS_openat,
        libc::SYS_pread64,
        libc::SYS_read,
        libc::SYS_statx,
    ];
    let text = std::fs::read_to_string(format!("/proc/{pid}/syscall")).unwrap_or_default();
    text.split(' ').next().and_then(|number| number.parse().ok()).is_some_and(|number: i64| CALLS.contains(&number))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::{Command, Stdio};
    use std::time::Instant;

    /// Whether the process, which does nothing for a minute, is soon found to be in this state.
    fn soon(mut child: Child, stopped: bool) -> bool {
        let limit = Instant::now() + Duration::from_secs(20);
        let asleep = |pid| {
            let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
            stat.contains(") S ")
        };
        let mut found = false;
        while !found && Instant::now() < limit {
            found = asleep(child.id()) && is_stopped(child.id(), None, Duration::ZERO) == stopped;
            std::thread::sleep(Duration::from_millis(5));
        }
        let _ = child.kill();
        let _ = child.wait();
        found
    }

    #[test]
    fn a_process_that_waits_in_a_read_is_told_from_one_that_hangs() {
        assert!(soon(Command::new("cat").stdin(Stdio::piped()).spawn().unwrap(), true));
        assert!(soon(Command::new("sleep").arg("60").spawn().unwrap(), false));
    }
}
