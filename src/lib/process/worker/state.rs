//! What a worker knows, and what it does until the parent wants something that takes long.

use super::buffers::Buffers;
use super::destination::{Destination, PATIENCE, wants_more};
use super::error::WorkerError;
use super::{memory, panics};
use crate::config::Config;
use crate::daemon::signals;
use crate::dispatch::archive::Archive;
use crate::dispatch::http::Http;
use crate::dispatch::{Counters, Dispatcher, Notice, graphite, local_store::LocalStore};
use crate::looked::{self, Moment};
use crate::process::statistics::Writer;
use crate::process::wire::channel::Channel;
use crate::process::wire::message::{Figures, ToParent, ToWorker};
use crate::prometheus::request::Protocol;
use crate::snapshot::Epoch;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc::{self, UnboundedReceiver};

/// A worker that had nothing to do for this long gives unused memory back.
const IDLE: Duration = Duration::from_secs(5);

/// What is known of a snapshot that the dispatchers have.
#[derive(Debug, Clone)]
pub(super) struct Open {
    pub(super) destinations: usize,
    pub(super) waiting_for: usize,
    pub(super) dropped: bool,
    /// The dispatchers that say they have it.
    pub(super) confirmed: BTreeSet<&'static str>,
    /// Whether the parent knows that all of them say so.
    pub(super) settles: bool,
    /// What came along with it, should it be rendered again.
    pub(super) figures: Option<Figures>,
}

/// What the worker is to do next.
pub(super) enum Step {
    Take {
        epoch: Epoch,
        figures: Option<Figures>,
        before: Option<Epoch>,
        /// Dispatchers that have it already.
        had: Vec<String>,
    },
    /// Render it once more for this destination.
    Again {
        epoch: Epoch,
        destination: usize,
    },
    /// Deliver what can be delivered until then.
    Drain(tokio::time::Instant),
    Orphaned,
}

/// Why a snapshot is not rendered to its end.
pub(super) enum Stop {
    /// It is time to leave: deliver what can be delivered until then.
    Leaving(tokio::time::Instant),
    Orphaned,
    Failed(WorkerError),
}

impl From<WorkerError> for Stop {
    fn from(error: WorkerError) -> Self {
        Self::Failed(error)
    }
}

/// The snapshot that is being rendered.
#[derive(Debug, Clone, Copy)]
pub(super) struct Current {
    pub(super) epoch: Epoch,
    /// The one destination that it is rendered again for.
    pub(super) only: Option<usize>,
}

pub(super) struct Worker {
    pub(super) hostname: String,
    pub(super) channel: Channel,
    pub(super) destinations: Vec<Destination>,
    /// Those that send snapshots in the order of their time.
    pub(super) ordered: BTreeSet<&'static str>,
    pub(super) notices: UnboundedReceiver<Notice>,
    pub(super) open: BTreeMap<Epoch, Open>,
    /// What is being rendered.
    pub(super) current: Option<Current>,
    /// The parent knows that there is room.
    pub(super) asked: bool,
    /// What it gave while another snapshot was rendered once more. Seldom two: one unasked, and one for which the worker had
    /// asked just before.
    pub(super) given: VecDeque<Step>,
    /// Until when the parent wants it to leave, if it does.
    pub(super) leave_at: Option<tokio::time::Instant>,
    /// Since when there has been nothing to do; `None` when memory was released already.
    pub(super) idle_since: Option<Instant>,
    /// The figures that the parent has.
    pub(super) told: BTreeMap<&'static str, Counters>,
    /// Memory of rendered snapshots.
    pub(super) buffers: Buffers,
    /// Where the page of statistics is written, where there is one.
    pub(super) page: Option<Writer>,
    /// A destination has given up lines: values that have not changed since count as not sent.
    pub(super) gave_up: bool,
}

async fn sleep_until(moment: Option<Instant>) {
    until(moment.map(Into::into)).await;
}

pub(super) async fn moment(moment: Option<Moment>) {
    match moment {
        Some(moment) => looked::sleep_until(moment).await,
        None => std::future::pending().await,
    }
}

pub(super) async fn until(moment: Option<tokio::time::Instant>) {
    match moment {
        Some(moment) => tokio::time::sleep_until(moment).await,
        None => std::future::pending().await,
    }
}

impl Worker {
    /// Must be called on the runtime and its set of tasks, where the dispatchers live.
    pub(super) fn new(config: &Config, end: OwnedFd) -> Result<Self, WorkerError> {
        // Handlers that do nothing; they last as long as the process.
        for kind in [SignalKind::terminate(), SignalKind::hangup(), SignalKind::interrupt()] {
            drop(signal(kind).map_err(WorkerError::SetUp)?);
        }
        signals::outlive_meaningless().map_err(WorkerError::SetUp)?;
        let hostname = nix::unistd::gethostname().map_err(|errno| WorkerError::SetUp(errno.into()))?;
        let hostname = hostname.to_string_lossy().into_owned();
        let (sender, notices) = mpsc::unbounded_channel();
        let mut dispatchers: Vec<Box<dyn Dispatcher>> = Vec::new();
        if config.graphite.enabled {
            dispatchers.extend(
                graphite::start(&config.graphite, &sender)?.into_iter().map(|one| Box::new(one) as Box<dyn Dispatcher>),
            );
        }
        #[cfg(feature = "kafka")]
        if let Some(kafka) = &config.kafka {
            dispatchers.push(Box::new(crate::dispatch::kafka::Kafka::start(kafka, config, &hostname, sender.clone())));
        }
        for (protocol, remote) in [(Protocol::Otlp, &config.otlp), (Protocol::RemoteWrite, &config.remote_write)] {
            if let Some(remote) = remote {
                dispatchers.push(Box::new(Http::start(protocol, remote, &config.process.src_dir, sender.clone())));
            }
        }
        if let Some(store) = &config.local_store {
            dispatchers.push(Box::new(LocalStore::start(store, sender.clone())));
        }
        if let Some(archive) = &config.archive {
            let archive = Archive::start(archive, &config.process.src_dir, &hostname, sender);
            dispatchers.push(Box::new(archive));
        }
        let ordered = dispatchers.iter().filter(|one| one.is_ordered()).map(|one| one.name()).collect();
        Ok(Self {
            hostname,
            channel: Channel::new(end).map_err(WorkerError::SetUp)?,
            destinations: dispatchers.into_iter().map(Destination::new).collect(),
            ordered,
            notices,
            open: BTreeMap::new(),
            current: None,
            asked: false,
            given: VecDeque::new(),
            leave_at: None,
            idle_since: Some(Instant::now()),
            told: BTreeMap::new(),
            buffers: Buffers::default(),
            page: config.exporter.statistics.then(|| Writer::new(&config.process.src_dir)),
            gave_up: false,
        })
    }

    /// Does what there is to do until the parent wants something that cannot be done in between.
    pub(super) async fn next(&mut self) -> Result<Step, WorkerError> {
        loop {
            if panics::seen() {
                return Err(WorkerError::Panicked);
            }
            if let Some(deadline) = self.leave_at {
                return Ok(Step::Drain(deadline));
            }
            if let Some(given) = self.given.pop_front() {
                return Ok(given);
            }
            let again = self.put_off();
            let now = Moment::now();
            if !self.asked && wants_more(&mut self.destinations, now) {
                self.asked = true;
                self.say(&ToParent::Room).await?;
            }
            // Looked at again when the last of patience ends.
            let impatient_at = self.destinations.iter().filter_map(|destination| destination.full_since);
            let impatient_at = impatient_at.map(|since| since + PATIENCE).filter(|at| !self.asked && *at > now).min();
            let release_at = self.idle_since.filter(|_| self.open.is_empty()).map(|since| since + IDLE);
            tokio::select! {
                packet = self.channel.receive() => {
                    let Some(packet) = packet.map_err(WorkerError::Channel)? else { return Ok(Step::Orphaned) };
                    self.hear(&packet).await?;
                }
                Some(notice) = self.notices.recv() => self.heed(notice).await?,
                // In turns with what the parent and the destinations have to say.
                () = tokio::task::yield_now(), if again.is_some() => {
                    if let Some((epoch, destination)) = again {
                        return Ok(Step::Again { epoch, destination });
                    }
                }
                () = moment(impatient_at), if impatient_at.is_some() => {}
                () = sleep_until(release_at), if release_at.is_some() => {
                    self.buffers.release();
                    memory::release();
                    self.idle_since = None;
                }
            }
        }
    }

    pub(super) async fn say(&self, message: &ToParent) -> Result<(), WorkerError> {
        self.channel.send(&message.encode()).await.map_err(WorkerError::Channel)
    }

    /// Answers the parent, or takes note of what it wants.
    pub(super) async fn hear(&mut self, packet: &[u8]) -> Result<(), WorkerError> {
        match ToWorker::decode(packet)? {
            ToWorker::Take { epoch, figures, before, had } => {
                self.given.push_back(Step::Take { epoch, figures, before, had });
            }
            ToWorker::Go { dispatcher, epoch } => go(&self.destinations, &dispatcher, epoch),
            ToWorker::Drain(grace) => self.leave_at = Some(tokio::time::Instant::now() + grace),
            ToWorker::Ping => {
                self.tell_counters().await?;
                self.say(&ToParent::Pong).await?;
            }
        }
        Ok(())
    }

    /// The oldest snapshot that was put off for a destination that has room now.
    fn put_off(&mut self) -> Option<(Epoch, usize)> {
        self.destinations.iter_mut().enumerate().find_map(|(number, destination)| {
            // Some were given to another worker, or are gone.
            while destination.put_off.first().is_some_and(|epoch| !self.open.contains_key(epoch)) {
                destination.put_off.pop_first();
            }
            let oldest = *destination.put_off.first()?;
            destination.dispatcher.has_room_for(oldest).then_some((oldest, number))
        })
    }

    /// From now on this snapshot is rendered: for all destinations that are not away and have not `had` it, or for this one only.
    pub(super) fn begin(&mut self, epoch: Epoch, only: Option<usize>, had: &[String]) {
        let now = Moment::now();
        self.idle_since = Some(Instant::now());
        self.current = Some(Current { epoch, only });
        for (number, destination) in self.destinations.iter_mut().enumerate() {
            let had = had.iter().any(|name| name == destination.dispatcher.name());
            destination.begin(epoch, had, only.map(|only| only == number), now);
        }
    }
}

/// A destination may send a snapshot.
pub(super) fn go(destinations: &[Destination], dispatcher: &str, epoch: Epoch) {
    for destination in destinations.iter().filter(|destination| destination.dispatcher.name() == dispatcher) {
        destination.dispatcher.go(epoch);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::process::wire::channel;

    fn worker(end: OwnedFd) -> Worker {
        Worker {
            hostname: String::new(),
            channel: Channel::new(end).unwrap(),
            destinations: Vec::new(),
            ordered: BTreeSet::new(),
            notices: mpsc::unbounded_channel().1,
            open: BTreeMap::new(),
            current: None,
            asked: true,
            given: VecDeque::new(),
            leave_at: None,
            idle_since: None,
            told: BTreeMap::new(),
            buffers: Buffers::default(),
            page: None,
            gave_up: false,
        }
    }

    #[test]
    fn what_comes_while_a_snapshot_is_rendered_once_more_is_kept() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let (end, _parent) = channel::pair().unwrap();
            let mut worker = worker(end);
            for epoch in [7, 8] {
                let take = ToWorker::Take { epoch: Epoch(epoch), figures: None, before: None, had: Vec::new() };
                worker.hear(take.encode().as_bytes()).await.unwrap();
            }
            for given in [7, 8] {
                let next = worker.next().await.unwrap();
                assert!(matches!(next, Step::Take { epoch: Epoch(epoch), .. } if epoch == given));
            }
        });
    }
}
