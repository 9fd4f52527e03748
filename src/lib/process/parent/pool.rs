//! The running worker processes: starts and kills them, and turns their messages and their ends into events.

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

/// How many messages may wait for the parent before workers block.
const BACKLOG: usize = 256;

/// What a worker did.
#[derive(Debug)]
pub(crate) enum Event {
    /// It sent a message.
    Said(ToParent),
    /// It sent something that is not a message.
    Garbled(String),
    /// Its channel has ended.
    Silent,
}

/// An event, and the worker that it is from.
#[derive(Debug)]
pub(crate) struct WorkerEvent {
    /// The slot of the worker.
    pub slot: Slot,
    generation: u64,
    /// The event.
    pub event: Event,
}

/// A worker process.
#[derive(Debug)]
pub(crate) struct Worker {
    child: Child,
    channel: Arc<Channel>,
    reader: JoinHandle<()>,
    generation: u64,
    /// Number of its configuration.
    configuration: u64,
    known: Circumstances,
    status: Option<ExitStatus>,
    silent: bool,
    /// Its CPU times when it was last pinged.
    times: Option<Times>,
    /// Whether it has sent its first message.
    pub started: bool,
    /// Whether it has asked for a snapshot and not got one yet.
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
        // If the message does not reach it, it is killed when the grace period is over.
        let _ = self.channel.send_now(&ToWorker::Drain(grace).encode());
    }
}

/// A worker that has ended, and whose messages have all been read.
#[derive(Debug)]
pub(crate) struct Gone {
    /// Its slot.
    pub slot: Slot,
    /// Its process id.
    pub pid: u32,
    /// How it ended.
    pub status: ExitStatus,
    /// What is known about it.
    pub known: Circumstances,
}

/// All worker processes.
#[derive(Debug)]
pub(crate) struct Pool {
    spawner: Spawner,
    workers: BTreeMap<Slot, Worker>,
    generation: u64,
    /// Number of the current configuration, with which workers are started.
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

    /// Starts workers with another configuration from now on; the existing ones become outdated.
    pub(crate) fn configure(&mut self, spawner: Spawner) {
        self.spawner = spawner;
        self.configuration += 1;
    }

    /// Slots of workers with an earlier configuration, and whether they have been told to exit.
    pub(crate) fn outdated(&self) -> impl Iterator<Item = (Slot, bool)> + '_ {
        let outdated = self.workers.iter().filter(|(_, worker)| worker.configuration != self.configuration);
        outdated.map(|(slot, worker)| (*slot, worker.known.told_to_leave))
    }

    /// Number of workers that are running with the current configuration.
    pub(crate) fn renewed(&self) -> usize {
        self.workers.values().filter(|worker| worker.configuration == self.configuration && worker.started).count()
    }

    /// Starts a worker. Must be called on a tokio runtime.
    ///
    /// # Errors
    /// The system is short of memory, descriptors or processes.
    pub(crate) fn spawn(&mut self, slot: Slot) -> Result<u32, SpawnError> {
        let (mut child, end) = self.spawner.spawn()?;
        let channel = match Channel::new(end) {
            Ok(channel) => Arc::new(channel),
            Err(error) => {
                // Without a channel it would exit by itself; this is quicker, and leaves no zombie.
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

    /// The worker that an event is from; `None` if it has been replaced since.
    pub(crate) fn of(&mut self, from: &WorkerEvent) -> Option<&mut Worker> {
        self.workers.get_mut(&from.slot).filter(|worker| worker.generation == from.generation)
    }

    /// The worker in a slot.
    pub(crate) fn get_mut(&mut self, slot: Slot) -> Option<&mut Worker> {
        self.workers.get_mut(&slot)
    }

    /// Slots of workers that wait for a snapshot.
    pub(crate) fn with_room(&self) -> impl Iterator<Item = Slot> + '_ {
        self.workers.iter().filter(|(_, worker)| worker.has_room && worker.status.is_none()).map(|(slot, _)| *slot)
    }

    /// Slots of workers that are ready for snapshots, whether or not they ask for one.
    pub(crate) fn started(&self) -> impl Iterator<Item = Slot> + '_ {
        let leaves = |known: &Circumstances| known.told_to_leave || known.killed.is_some();
        let ready = move |worker: &Worker| {
            worker.started && !worker.silent && worker.status.is_none() && !leaves(&worker.known)
        };
        self.workers.iter().filter(move |(_, worker)| ready(worker)).map(|(slot, _)| *slot)
    }

    /// Sends a message to a worker, without waiting for it to be read.
    ///
    /// # Errors
    /// The worker has ended, or has not read anything for a long time.
    pub(crate) fn say(&self, slot: Slot, message: &ToWorker) -> io::Result<()> {
        let worker = self.workers.get(&slot).ok_or(io::ErrorKind::NotConnected)?;
        worker.channel.send_now(&message.encode())
    }

    /// Records the CPU times of a worker for [`Pool::starved`].
    pub(crate) fn mark(&mut self, slot: Slot) {
        if let Some(worker) = self.workers.get_mut(&slot) {
            worker.times = Times::of(worker.child.id());
        }
    }

    /// How much of the time `quiet` the worker was ready to run but got no CPU time, if that is significant. The next call only
    /// counts the time after this one.
    pub(crate) fn starved(&mut self, slot: Slot, quiet: Duration) -> Option<Duration> {
        let worker = self.workers.get_mut(&slot)?;
        let now = Times::of(worker.child.id())?;
        let starved = now.excused(worker.times?, quiet)?;
        worker.times = Some(now);
        Some(starved)
    }

    /// Tells every worker to exit.
    pub(crate) fn drain(&mut self, grace: Duration) {
        self.workers.values_mut().for_each(|worker| worker.drain(grace));
    }

    /// Tells one worker to exit.
    pub(crate) fn drain_one(&mut self, slot: Slot, grace: Duration) {
        if let Some(worker) = self.workers.get_mut(&slot) {
            worker.drain(grace);
        }
    }

    /// Kills a worker that has been silent for `quiet`; `why` determines how its end is judged.
    pub(crate) fn kill(&mut self, slot: Slot, why: Option<KillReason>, quiet: Duration) {
        let Some(worker) = self.workers.get_mut(&slot) else { return };
        worker.has_room = false;
        if worker.known.killed.is_none() {
            worker.known.stopped = is_stopped(worker.child.id(), worker.times, quiet);
            worker.known.killed = why;
        }
        // It may just have ended by itself.
        let _ = worker.child.kill();
    }

    /// Kills all workers and waits until they have ended, which SIGKILL guarantees.
    pub(crate) fn kill_all(&mut self) {
        for worker in self.workers.values_mut() {
            let _ = worker.child.kill();
        }
        for (_, mut worker) in std::mem::take(&mut self.workers) {
            worker.reader.abort();
            let _ = worker.child.wait();
        }
    }

    /// Notes that the channel of a worker has ended.
    pub(crate) fn silent(&mut self, from: &WorkerEvent) {
        if let Some(worker) = self.of(from) {
            worker.silent = true;
            worker.has_room = false;
        }
    }

    /// Looks for processes that have ended, and removes those whose messages have all been read.
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

/// Passes on the messages of a worker until its channel ends.
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

/// Whether the process cannot answer for external reasons. It was stopped (SIGSTOP, a debugger), or it waits for a disk, either
/// uninterruptibly or, with many network file systems, sleeping in a system call that reads. Or it is running now, but was not
/// for most of the time since `before`, so that one of these applied until a moment ago.
fn is_stopped(pid: u32, before: Option<Times>, time: Duration) -> bool {
    // The name in parentheses can contain anything; the state is the first word after it.
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

/// Whether the process is in a system call that reads a file or a directory. These calls never block on anything else in a
/// worker: it waits for sockets and pipes with other calls.
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

    /// Whether the process, which sleeps for a minute, is soon found to be in this state.
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
