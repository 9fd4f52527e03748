//! A worker process: one thread that takes a snapshot, renders it, hands the lines to the dispatchers, and tells the
//! parent when every destination has them. It changes nothing on disk, so it may be killed at any moment.
//!
//! It obeys its channel alone. Signals to leave are the parent's to answer (systemd and terminals send them to the
//! whole group); the end of the channel means that the parent has died, and then there is nobody to work for.

use super::buffers::Buffers;
use super::channel::Channel;
use super::destination::{Destination, PATIENCE, wants_more};
use super::message::{Figures, MessageError, ToParent, ToWorker};
use super::pieces::Stopped;
use super::renderer::{Follows, Outcome, Renderer};
use super::rendering::Rendered;
use super::spawn::WORKER;
use super::{memory, panics};
use crate::config::{Config, LogLevel, Program, load};
use crate::daemon::signals;
use crate::dispatch::{Batch, Counters, Dispatcher, Notice, graphite, graphite::TlsError, local_store::LocalStore};
use crate::exit;
use crate::logging::{self, Chain};
use crate::looked::{self, Moment};
use crate::snapshot::Epoch;
use nix::sys::signal::Signal;
use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::runtime::Runtime;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc::{self, UnboundedReceiver};
use tokio::task::LocalSet;

/// A worker that had nothing to do for this long gives unused memory back.
const IDLE: Duration = Duration::from_secs(5);

/// How long a stopping worker waits for a destination to accept the rest of a snapshot.
const HURRY: Duration = Duration::from_secs(1);

/// Why a worker ends other than by being told.
#[derive(Debug, thiserror::Error)]
enum WorkerError {
    #[error("{WORKER} is for haproxystats-process itself: standard input is not a channel")]
    NoChannel,
    #[error("cannot set up the worker")]
    SetUp(#[source] io::Error),
    #[error("cannot read the configuration from the parent")]
    Config(#[source] io::Error),
    #[error("the configuration from the parent is refused: {0}")]
    Refused(String),
    #[error("the channel to the parent is broken")]
    Channel(#[source] io::Error),
    #[error("the connections to Graphite cannot be encrypted")]
    Tls(#[from] TlsError),
    #[error("a dispatcher panicked")]
    Panicked,
    #[error("invalid message from the parent")]
    Message(#[from] MessageError),
}

/// Runs a worker whose configuration lies in this descriptor; returns the exit code.
#[must_use]
pub fn main(config: i32) -> u8 {
    match start(config) {
        Ok(()) => exit::OK,
        // Nobody is left to hear of it.
        Err(WorkerError::Channel(error)) if error.kind() == io::ErrorKind::BrokenPipe => orphaned(),
        Err(error) => {
            logging::init(LogLevel::Info, logging::Output::Stdout);
            tracing::error!(error = %Chain(&error), "worker ends");
            match error {
                WorkerError::SetUp(_) | WorkerError::Config(_) | WorkerError::Channel(_) => exit::SYSTEM,
                _ => exit::FAILURE,
            }
        }
    }
}

fn orphaned() -> u8 {
    tracing::warn!("the parent has died; leaving");
    exit::OK
}

fn start(config: i32) -> Result<(), WorkerError> {
    // Should the parent die while this process is busy or stopped, the kernel ends it. Before anything else; should
    // the parent be dead already, the channel says so.
    nix::sys::prctl::set_pdeathsig(Signal::SIGKILL).map_err(|errno| WorkerError::SetUp(errno.into()))?;
    name_process();
    memory::tune();
    let end = take_channel()?;
    let config = read_config(config)?;
    logging::init(config.process.loglevel, logging::Output::Stdout);
    panics::watch();
    let eyes = Eyes::open()?;
    let mut worker = eyes.look(async { Worker::new(&config, end) })?;
    let mut renderer = Renderer::new(&config, worker.hostname.clone());
    loop {
        let (epoch, figures, only, follows) = match eyes.look(worker.next())? {
            Step::Take { epoch, figures, before } => {
                worker.asked = false;
                (epoch, figures, None, Follows::Any(before))
            }
            Step::Again { epoch, destination } => {
                let figures = worker.open.get(&epoch).and_then(|open| open.figures.clone());
                (epoch, figures, Some(destination), Follows::Nothing)
            }
            Step::Drain(deadline) => return eyes.look(worker.drain(deadline)),
            Step::Orphaned => {
                orphaned();
                return Ok(());
            }
        };
        worker.begin(epoch, only);
        if std::mem::take(&mut worker.gave_up) {
            renderer.forget();
        }
        let mut end = None;
        let buffer = worker.buffers.take();
        // Outside of the runtime: polars refuses to run inside of one that has a single thread.
        let outcome = renderer.render(epoch, figures.as_ref(), follows, buffer, &mut |piece| {
            eyes.look(worker.piece(piece)).map_err(|stop| {
                end = Some(stop);
                Stopped
            })
        });
        match end {
            None => eyes.look(worker.hand_over(figures, outcome))?,
            // The rest of it stays on disk.
            Some(Stop::Leaving(deadline)) => return eyes.look(worker.drain(deadline)),
            Some(Stop::Orphaned) => {
                orphaned();
                return Ok(());
            }
            Some(Stop::Failed(error)) => return Err(error),
        }
    }
}

/// The runtime, on which the dispatchers live. They see nothing of the world but in [`Eyes::look`].
struct Eyes {
    runtime: Runtime,
    tasks: LocalSet,
}

impl Eyes {
    fn open() -> Result<Self, WorkerError> {
        let mut builder = tokio::runtime::Builder::new_current_thread();
        let runtime = builder.enable_all().on_thread_park(looked::parks).build().map_err(WorkerError::SetUp)?;
        Ok(Self { runtime, tasks: LocalSet::new() })
    }

    /// Runs this, and the dispatchers beside it. First they hear what has come since the last time: before that nobody is judged.
    fn look<T>(&self, work: impl Future<Output = T>) -> T {
        looked::back();
        let done = self.tasks.block_on(&self.runtime, async {
            looked::turn().await;
            work.await
        });
        looked::leave();
        done
    }
}

/// The name by which tools that look at names see this process: that of the program, not that of the link through
/// which it was started.
fn name_process() {
    let name = std::env::args_os().next().map(PathBuf::from);
    let name =
        name.as_deref().and_then(Path::file_name).and_then(|name| name.to_str()).unwrap_or(env!("CARGO_PKG_NAME"));
    // The kernel cuts it to 15 bytes.
    if let Ok(name) = std::ffi::CString::new(name) {
        let _ = nix::sys::prctl::set_name(&name);
    }
}

/// The channel arrives as standard input; a copy is taken, closed on exec, and the original replaced.
fn take_channel() -> Result<OwnedFd, WorkerError> {
    use nix::sys::socket::{SockType, getsockopt, sockopt};
    let stdin = io::stdin();
    match getsockopt(&stdin, sockopt::SockType) {
        Ok(SockType::SeqPacket) => {}
        _ => return Err(WorkerError::NoChannel),
    }
    let end = stdin.as_fd().try_clone_to_owned().map_err(WorkerError::SetUp)?;
    let null = File::open("/dev/null").map_err(WorkerError::SetUp)?;
    nix::unistd::dup2_stdin(null).map_err(|errno| WorkerError::SetUp(errno.into()))?;
    Ok(end)
}

fn read_config(descriptor: i32) -> Result<Config, WorkerError> {
    let mut text = String::new();
    // Opened anew, since the position in the parent's descriptor is shared by all workers.
    File::open(format!("/proc/self/fd/{descriptor}"))
        .and_then(|mut file| file.read_to_string(&mut text))
        .map_err(WorkerError::Config)?;
    let _ = nix::unistd::close(descriptor);
    match load::from_text(Program::Process, &text, "the parent's configuration") {
        Ok(loaded) => Ok(loaded.config),
        Err(refused) => {
            let errors: Vec<String> = refused.report.errors.iter().map(ToString::to_string).collect();
            Err(WorkerError::Refused(errors.join("; ")))
        }
    }
}

/// What is known of a snapshot that the dispatchers have.
#[derive(Debug, Clone)]
struct Open {
    destinations: usize,
    waiting_for: usize,
    dropped: bool,
    /// The dispatchers that say they have it.
    confirmed: BTreeSet<&'static str>,
    /// Whether the parent knows that all of them say so.
    settles: bool,
    /// What came along with it, should it be rendered again.
    figures: Option<Figures>,
}

/// What the worker is to do next.
enum Step {
    Take {
        epoch: Epoch,
        figures: Option<Figures>,
        before: Option<Epoch>,
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
enum Stop {
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
struct Current {
    epoch: Epoch,
    /// The one destination that it is rendered again for.
    only: Option<usize>,
}

struct Worker {
    hostname: String,
    channel: Channel,
    destinations: Vec<Destination>,
    notices: UnboundedReceiver<Notice>,
    open: BTreeMap<Epoch, Open>,
    /// What is being rendered.
    current: Option<Current>,
    /// The parent knows that there is room.
    asked: bool,
    /// What it gave while another snapshot was rendered once more.
    given: Option<Step>,
    /// Until when the parent wants it to leave, if it does.
    leave_at: Option<tokio::time::Instant>,
    /// Since when there has been nothing to do; `None` when memory was released already.
    idle_since: Option<Instant>,
    /// The figures that the parent has.
    told: BTreeMap<&'static str, Counters>,
    /// Memory of rendered snapshots.
    buffers: Buffers,
    /// A destination has given up lines: values that have not changed since count as not sent.
    gave_up: bool,
}

async fn sleep_until(moment: Option<Instant>) {
    until(moment.map(Into::into)).await;
}

async fn moment(moment: Option<Moment>) {
    match moment {
        Some(moment) => looked::sleep_until(moment).await,
        None => std::future::pending().await,
    }
}

async fn until(moment: Option<tokio::time::Instant>) {
    match moment {
        Some(moment) => tokio::time::sleep_until(moment).await,
        None => std::future::pending().await,
    }
}

impl Worker {
    /// Must be called on the runtime and its set of tasks, where the dispatchers live.
    fn new(config: &Config, end: OwnedFd) -> Result<Self, WorkerError> {
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
                graphite::start(&config.graphite, &config.groups, &sender)?
                    .into_iter()
                    .map(|one| Box::new(one) as Box<dyn Dispatcher>),
            );
        }
        #[cfg(feature = "kafka")]
        if let Some(kafka) = &config.kafka {
            dispatchers.push(Box::new(crate::dispatch::kafka::Kafka::start(kafka, sender.clone())));
        }
        if let Some(store) = &config.local_store {
            dispatchers.push(Box::new(LocalStore::start(store, sender)));
        }
        Ok(Self {
            hostname,
            channel: Channel::new(end).map_err(WorkerError::SetUp)?,
            destinations: dispatchers.into_iter().map(Destination::new).collect(),
            notices,
            open: BTreeMap::new(),
            current: None,
            asked: false,
            given: None,
            leave_at: None,
            idle_since: Some(Instant::now()),
            told: BTreeMap::new(),
            buffers: Buffers::default(),
            gave_up: false,
        })
    }

    /// Does what there is to do until the parent wants something that cannot be done in between.
    async fn next(&mut self) -> Result<Step, WorkerError> {
        loop {
            if panics::seen() {
                return Err(WorkerError::Panicked);
            }
            if let Some(deadline) = self.leave_at {
                return Ok(Step::Drain(deadline));
            }
            if let Some(given) = self.given.take() {
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

    async fn say(&self, message: &ToParent) -> Result<(), WorkerError> {
        self.channel.send(&message.encode()).await.map_err(WorkerError::Channel)
    }

    /// Answers the parent, or takes note of what it wants.
    async fn hear(&mut self, packet: &[u8]) -> Result<(), WorkerError> {
        match ToWorker::decode(packet)? {
            ToWorker::Take { epoch, figures, before } => self.given = Some(Step::Take { epoch, figures, before }),
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
            destination.dispatcher.has_room().then_some((oldest, number))
        })
    }

    /// From now on this snapshot is rendered: for all destinations that are not away, or for this one only.
    fn begin(&mut self, epoch: Epoch, only: Option<usize>) {
        let now = Moment::now();
        self.idle_since = Some(Instant::now());
        self.current = Some(Current { epoch, only });
        for (number, destination) in self.destinations.iter_mut().enumerate() {
            destination.takes = match only {
                Some(only) => only == number,
                None => destination.has_room() || !destination.is_away(now),
            };
        }
    }

    /// Gives a piece to the destinations that get the snapshot, as soon as they take more. One of several is not waited for
    /// longer than a while: what it does not take then waits in memory, up to the end of this snapshot.
    async fn piece(&mut self, piece: Batch) -> Result<Vec<u8>, Stop> {
        let patient_until = (self.destinations.len() > 1).then(|| Moment::now() + PATIENCE);
        let mut hurry = None;
        // A snapshot that takes long is no reason not to answer.
        while let Ok(packet) = tokio::time::timeout(Duration::ZERO, self.channel.receive()).await {
            let packet = packet.map_err(WorkerError::Channel)?.ok_or(Stop::Orphaned)?;
            self.hear(&packet).await?;
        }
        loop {
            // Before any piece is handed over it is known who has lost those before.
            while let Ok(notice) = self.notices.try_recv() {
                self.heed(notice).await?;
            }
            if panics::seen() {
                return Err(Stop::Failed(WorkerError::Panicked));
            }
            let mut takers = self.destinations.iter().filter(|destination| destination.takes);
            if takers.all(|destination| destination.dispatcher.takes_more())
                || patient_until.is_some_and(|until| until <= Moment::now())
            {
                break;
            }
            if let Some(deadline) = self.leave_at {
                let until = *hurry.get_or_insert_with(|| deadline.min(tokio::time::Instant::now() + HURRY));
                if until <= tokio::time::Instant::now() {
                    return Err(Stop::Leaving(deadline));
                }
            }
            tokio::select! {
                packet = self.channel.receive() => {
                    let packet = packet.map_err(WorkerError::Channel)?.ok_or(Stop::Orphaned)?;
                    self.hear(&packet).await?;
                }
                Some(notice) = self.notices.recv() => self.heed(notice).await?,
                () = moment(patient_until), if patient_until.is_some() => {}
                () = until(hurry), if hurry.is_some() => {}
            }
        }
        self.submit(piece);
        Ok(self.buffers.take())
    }

    /// Hands a piece over.
    fn submit(&mut self, piece: Batch) {
        let piece = Arc::new(piece);
        for destination in self.destinations.iter().filter(|destination| destination.takes) {
            destination.dispatcher.submit(Arc::clone(&piece));
        }
        self.buffers.lend(piece);
    }

    /// Tells the parent what became of the snapshot, and gives the last of its lines to the destinations that get it.
    async fn hand_over(&mut self, figures: Option<Figures>, outcome: Outcome) -> Result<(), WorkerError> {
        let Some(Current { epoch, only }) = self.current else { return Ok(()) };
        self.idle_since = Some(Instant::now());
        let Outcome::Rendered(rendered) = outcome else {
            // Rendered again: the parent decides, it is gone for good or comes again.
            self.gave_up = true;
            self.open.remove(&epoch);
            self.current = None;
            return self.say_failed(epoch, outcome).await;
        };
        let Rendered { last, lines, refused_rows, refused_files, unknown_objects, skipped } = rendered;
        if only.is_none() {
            let lines = u64::try_from(lines).unwrap_or(u64::MAX);
            // First the word, then the hand-over: what happens from now on is not the snapshot's fault.
            let rendered = ToParent::Rendered { epoch, lines, refused_rows, refused_files, unknown_objects, skipped };
            self.say(&rendered).await?;
        }
        while let Ok(notice) = self.notices.try_recv() {
            self.heed(notice).await?;
        }
        self.submit(last);
        self.current = None;
        if only.is_none() {
            let destinations = self.destinations.len();
            let (waiting_for, confirmed) = (destinations, BTreeSet::new());
            let open = Open { destinations, waiting_for, dropped: false, confirmed, settles: false, figures };
            self.open.insert(epoch, open);
        }
        for (number, destination) in self.destinations.iter_mut().enumerate() {
            let name = destination.dispatcher.name();
            match (destination.takes, only) {
                (true, None) => {}
                (true, Some(_)) => {
                    destination.put_off.remove(&epoch);
                    if destination.put_off.is_empty() && std::mem::take(&mut destination.away) {
                        tracing::info!(dispatcher = name, "has received what stayed on disk for it");
                    }
                }
                (false, Some(only)) if only != number => {}
                (false, _) => {
                    destination.put_off.insert(epoch);
                    if only.is_none() && !std::mem::replace(&mut destination.away, true) {
                        tracing::warn!(
                            dispatcher = name,
                            "is unavailable: the other destinations go on, snapshots stay on disk for it"
                        );
                    }
                }
            }
        }
        Ok(())
    }

    async fn say_failed(&mut self, epoch: Epoch, outcome: Outcome) -> Result<(), WorkerError> {
        match outcome {
            Outcome::Rendered(_) => Ok(()),
            Outcome::Gone => self.say(&ToParent::Gone(epoch)).await,
            Outcome::Failed { failure, reason } => self.say(&ToParent::failed(epoch, failure, &reason)).await,
        }
    }

    /// Acts on what a dispatcher says.
    async fn heed(&mut self, notice: Notice) -> Result<(), WorkerError> {
        self.idle_since = Some(Instant::now());
        let (dispatcher, epoch, dropped) = match notice {
            Notice::Delivered { dispatcher, epoch } => (dispatcher, epoch, false),
            Notice::Dropped { dispatcher, epoch } => (dispatcher, epoch, true),
            Notice::Confirmed { dispatcher, epoch } => return self.confirmed(dispatcher, epoch, true).await,
            Notice::Lost { dispatcher, epoch } => {
                self.lost(dispatcher, epoch);
                return self.confirmed(dispatcher, epoch, false).await;
            }
            Notice::Room { .. } => return Ok(()),
        };
        self.gave_up |= dropped;
        let Some(open) = self.open.get_mut(&epoch) else { return Ok(()) };
        open.confirmed.insert(dispatcher);
        open.waiting_for = open.waiting_for.saturating_sub(1);
        open.dropped |= dropped;
        if open.waiting_for > 0 {
            return self.tell_settles(epoch).await;
        }
        let dropped = open.dropped;
        self.open.remove(&epoch);
        self.tell_counters().await?;
        self.say(&ToParent::Done { epoch, dropped }).await
    }

    /// A dispatcher says that it has a snapshot, or that it has not, although it had said so.
    async fn confirmed(&mut self, dispatcher: &'static str, epoch: Epoch, confirmed: bool) -> Result<(), WorkerError> {
        let Some(open) = self.open.get_mut(&epoch) else { return Ok(()) };
        if confirmed {
            open.confirmed.insert(dispatcher);
        } else {
            open.confirmed.remove(dispatcher);
        }
        self.tell_settles(epoch).await
    }

    /// Tells the parent whether all say that they have it, where that has changed.
    async fn tell_settles(&mut self, epoch: Epoch) -> Result<(), WorkerError> {
        let Some(open) = self.open.get_mut(&epoch) else { return Ok(()) };
        let settles = open.confirmed.len() >= open.destinations;
        if std::mem::replace(&mut open.settles, settles) == settles {
            return Ok(());
        }
        self.say(&ToParent::Settles { epoch, settles }).await
    }

    /// A dispatcher has lost a snapshot that it had: it gets it again.
    fn lost(&mut self, dispatcher: &str, epoch: Epoch) {
        let Some(destination) = self.destinations.iter_mut().find(|one| one.dispatcher.name() == dispatcher) else {
            return;
        };
        if self.current.is_some_and(|current| current.epoch == epoch) {
            destination.takes = false;
        }
        destination.put_off.insert(epoch);
    }

    /// Tells the parent the figures that have changed. They are told before what they count is done: should this
    /// process die, the parent has them.
    async fn tell_counters(&mut self) -> Result<(), WorkerError> {
        for Destination { dispatcher, put_off, .. } in &self.destinations {
            let (name, mut counters) = (dispatcher.name(), dispatcher.counters());
            counters.put_off = put_off.len() as u64;
            if self.told.insert(name, counters) != Some(counters) {
                self.say(&ToParent::Counters { dispatcher: name.to_owned(), counters }).await?;
            }
        }
        Ok(())
    }

    /// Delivers what can be delivered until `deadline`.
    async fn drain(&mut self, deadline: tokio::time::Instant) -> Result<(), WorkerError> {
        // Out of the worker, so that it can go on hearing while they drain.
        let destinations = std::mem::take(&mut self.destinations);
        let all = async {
            // One after the other, but each drains by itself meanwhile.
            for Destination { dispatcher, .. } in &destinations {
                dispatcher.drain(deadline).await;
            }
        };
        tokio::pin!(all);
        loop {
            tokio::select! {
                () = &mut all => break,
                Some(notice) = self.notices.recv() => self.heed(notice).await?,
                packet = self.channel.receive() => match packet.map_err(WorkerError::Channel)? {
                    None => return Ok(()),
                    Some(packet) => {
                        if ToWorker::decode(&packet)? == ToWorker::Ping {
                            self.say(&ToParent::Pong).await?;
                        }
                    }
                },
            }
        }
        while let Ok(notice) = self.notices.try_recv() {
            self.heed(notice).await?;
        }
        Ok(())
    }
}
