//! All sockets of one tick at once, each with its own outcome.
//!
//! Everything runs on one thread: HAProxy needs some ten times longer to write a reply than we to read it and to
//! write it to a file, so there is nothing to share out. Files are written in line; handing the writes to threads
//! costs more than they do. The sockets share one read buffer, because nothing waits between a read and its write:
//! memory does not grow with the number of sockets or the size of the replies.

use super::failure::{Progress, SocketError};
use super::pace::Pace;
use super::pages::PageWriter;
use super::sockets::Target;
use crate::config::{self, Retries, Server};
use crate::haproxy::reply::{Event, Part, Splitter};
use crate::haproxy::socket::{Stream, connect};
use crate::logging::Chain;
use crate::snapshot::stage::{Folder, StageError};
use crate::snapshot::{INFO_SUFFIX, STAT_SUFFIX};
use std::cell::{Cell, RefCell};
use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{self, ErrorKind};
use std::rc::Rc;
use std::time::Duration;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout, timeout_at};

/// Bytes of the read buffer: somewhat more than HAProxy writes during one nap of [`Pace`].
const BUFFER: usize = 128 << 10;
/// A socket is left alone until HAProxy has written this much, or all. One of many sockets gets a piece of 16 KiB at a
/// time; reading and writing four of them at once costs little more than one. Less than half of what a UNIX socket
/// holds, so that HAProxy does not wait for us.
const GATHER: usize = 48 << 10;
/// What has come is read after this time, even if it is less, and no more than that is waited for from then on: either
/// HAProxy is slow, or the socket holds less than usual.
const GATHER_LIMIT: Duration = Duration::from_millis(100);
/// How long a complete reply waits for the end of the connection, which HAProxy sends with it. What stands between us
/// and HAProxy may keep the connection open; that is no reason to doubt a complete reply.
const CLOSE_GRACE: Duration = Duration::from_millis(100);
/// Least pause before a socket is asked again, for `interval = 0`.
const SHORTEST_INTERVAL: Duration = Duration::from_millis(10);

const BOTH: (&[Part], &[u8]) = (&[Part::Info, Part::Stat], b"show info;show stat\n");
const INFO: (&[Part], &[u8]) = (&[Part::Info], b"show info\n");
const STAT: (&[Part], &[u8]) = (&[Part::Stat], b"show stat\n");

/// What came of one socket.
#[derive(Debug)]
pub struct Outcome {
    /// The socket.
    pub target: Target,
    /// Bytes of its two complete replies, or why there are none.
    pub result: Result<u64, SocketError>,
    /// Attempts after the first.
    pub retries: u32,
}

/// Asks sockets. Remembers those that take a single command per connection.
#[derive(Debug)]
pub struct Poller {
    timeout: Duration,
    retries: Retries,
    interval: Duration,
    pull_timeout: Option<Duration>,
    jitter: Duration,
    limit: u64,
    one_command_only: HashSet<Server>,
    buffer: Rc<RefCell<Box<[u8]>>>,
    pace: Pace,
}

/// What the pull of one socket needs.
struct Job {
    target: Target,
    timeout: Duration,
    retries: Retries,
    interval: Duration,
    limit: u64,
    one_command_only: Cell<bool>,
    buffer: Rc<RefCell<Box<[u8]>>>,
    folder: Folder,
    progress: RefCell<Progress>,
    retried: Cell<u32>,
}

/// Whose fault it is.
enum Failure {
    /// This socket's.
    Socket(SocketError),
    /// Everybody's.
    Disk(StageError),
}

impl From<SocketError> for Failure {
    fn from(error: SocketError) -> Self {
        Self::Socket(error)
    }
}

impl From<StageError> for Failure {
    fn from(error: StageError) -> Self {
        Self::Disk(error)
    }
}

struct Done {
    target: Target,
    result: Result<u64, Failure>,
    retries: u32,
    one_command_only: bool,
}

/// When a socket has its turn in a pull: always at the same moment, so that its figures keep their distance.
fn phase(name: &str, jitter: Duration) -> Duration {
    let mut hasher = DefaultHasher::new();
    name.hash(&mut hasher);
    #[expect(clippy::cast_precision_loss, reason = "a moment within seconds")]
    jitter.mul_f64(hasher.finish() as f64 / u64::MAX as f64)
}

impl Poller {
    /// For the time-outs and limits of `[pull]`; `pace` is that of the event loop.
    #[must_use]
    pub fn new(config: &config::Pull, pace: Pace) -> Self {
        Self {
            timeout: config.timeout,
            retries: config.retries,
            interval: config.interval.max(SHORTEST_INTERVAL),
            pull_timeout: config.pull_timeout,
            jitter: config.jitter,
            limit: config.buffer_limit.get(),
            one_command_only: HashSet::new(),
            buffer: Rc::new(RefCell::new(vec![0; BUFFER].into_boxed_slice())),
            pace,
        }
    }

    /// Asks all sockets at once and stores their answers in `folder`, in files of which those of failed sockets are
    /// removed. Must run within a [`tokio::task::LocalSet`]; ends all it has begun when it is dropped.
    ///
    /// # Errors
    /// A file could not be written; that ends the round, because the next socket would meet the same disk.
    pub async fn round(&mut self, targets: Vec<Target>, folder: &Folder) -> Result<Vec<Outcome>, StageError> {
        let _flow = self.pace.flow();
        let start = Instant::now();
        let mut running = JoinSet::new();
        let mut outcomes = Vec::with_capacity(targets.len());
        for target in targets {
            let begin = start + phase(&target.name, self.jitter);
            let deadline = self.pull_timeout.map(|limit| (limit, begin + limit));
            let job = Job {
                timeout: self.timeout,
                retries: self.retries,
                interval: self.interval,
                limit: self.limit,
                one_command_only: Cell::new(self.one_command_only.contains(&target.server)),
                target,
                buffer: Rc::clone(&self.buffer),
                folder: folder.clone(),
                progress: RefCell::default(),
                retried: Cell::new(0),
            };
            running.spawn_local(job.run(begin, deadline));
        }
        while let Some(joined) = running.join_next().await {
            let done = match joined {
                Ok(done) => done,
                // Tasks are aborted only with the whole round, so this is a panic: a bug, which belongs in the open.
                Err(error) => std::panic::resume_unwind(error.into_panic()),
            };
            let result = match done.result {
                Ok(bytes) => Ok(bytes),
                Err(Failure::Socket(error)) => Err(error),
                Err(Failure::Disk(error)) => {
                    running.shutdown().await;
                    return Err(error);
                }
            };
            match &result {
                Ok(_) if done.one_command_only && self.one_command_only.insert(done.target.server.clone()) => {
                    tracing::info!(socket = %done.target.name, "takes one command per connection; asked with two from now on");
                }
                Ok(_) => {}
                Err(_) => {
                    for suffix in [INFO_SUFFIX, STAT_SUFFIX] {
                        folder.remove(&format!("{}{suffix}", done.target.name))?;
                    }
                }
            }
            outcomes.push(Outcome { target: done.target, result, retries: done.retries });
        }
        Ok(outcomes)
    }
}

impl Job {
    async fn run(self, begin: Instant, deadline: Option<(Duration, Instant)>) -> Done {
        if begin > Instant::now() {
            tokio::time::sleep_until(begin).await;
        }
        let result = match deadline {
            None => self.ask().await,
            Some((limit, end)) => match timeout_at(end, self.ask()).await {
                Ok(result) => result,
                Err(_) => Err(SocketError::TimedOut { limit, progress: self.progress.take() }.into()),
            },
        };
        let one_command_only = self.one_command_only.get();
        Done { target: self.target, result, retries: self.retried.get(), one_command_only }
    }

    /// Both replies; returns their bytes. A peer that does not understand two commands gets one at a time.
    async fn ask(&self) -> Result<u64, Failure> {
        if !self.one_command_only.get() {
            match self.exchange(BOTH).await {
                Err(Failure::Socket(error)) if error.may_be_one_command_only() => self.one_command_only.set(true),
                result => return result,
            }
        }
        Ok(self.exchange(INFO).await? + self.exchange(STAT).await?)
    }

    /// Commands and their replies on one connection, tried again as configured.
    async fn exchange(&self, commands: (&'static [Part], &'static [u8])) -> Result<u64, Failure> {
        let mut attempts = 0;
        loop {
            let error = match self.attempt(commands).await {
                Err(Failure::Socket(error)) if error.is_before_answer() => error,
                result => return result,
            };
            if matches!(self.retries, Retries::Times(times) if attempts >= times) {
                return Err(error.into());
            }
            attempts = attempts.saturating_add(1);
            self.retried.set(self.retried.get().saturating_add(1));
            tracing::debug!(socket = %self.target.name, error = %Chain(&error), attempts, "trying again");
            self.progress.replace(Progress::Retrying(Chain(&error).to_string()));
            sleep(self.interval).await;
        }
    }

    async fn attempt(&self, (parts, commands): (&'static [Part], &'static [u8])) -> Result<u64, Failure> {
        let stream = connect(&self.target.server, self.timeout).await.map_err(SocketError::from)?;
        self.progress.replace(Progress::Connected(0));
        stream.send(commands).await.map_err(SocketError::Send)?;
        self.receive(&stream, parts).await
    }

    /// Stores the replies to `parts` as they come, and returns their bytes.
    async fn receive(&self, stream: &Stream, parts: &'static [Part]) -> Result<u64, Failure> {
        let mut splitter = Splitter::new(parts, self.limit);
        let mut file = None;
        let mut bytes = 0;
        let mut least = GATHER;
        loop {
            let mut gathered = true;
            if splitter.is_complete() {
                if timeout(CLOSE_GRACE, stream.readable()).await.is_err() {
                    break;
                }
            } else {
                stream.readable().await.map_err(|source| SocketError::Read { bytes, source })?;
                // What is wrong shows when reading.
                gathered = timeout(GATHER_LIMIT, stream.gathered(least)).await.is_ok();
            }
            match self.read(stream, &mut splitter, &mut file)? {
                Ok(0) => break,
                Ok(length) => {
                    bytes += length as u64;
                    if !gathered {
                        least = least.min(length);
                    }
                    self.progress.replace(Progress::Connected(bytes));
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(_) if splitter.is_complete() => break,
                Err(source) => return Err(SocketError::Read { bytes, source }.into()),
            }
        }
        splitter.finish().map_err(SocketError::from)?;
        Ok(bytes)
    }

    /// Reads once and stores what came; 0 is the end. Nothing here waits, so that all sockets can share the buffer.
    fn read(
        &self,
        stream: &Stream,
        splitter: &mut Splitter,
        file: &mut Option<PageWriter>,
    ) -> Result<io::Result<usize>, Failure> {
        let mut buffer = self.buffer.borrow_mut();
        let length = match stream.read_now(&mut buffer) {
            Ok(length) => length,
            Err(error) => return Ok(Err(error)),
        };
        self.store(splitter, buffer.get(..length).unwrap_or_default(), file)?;
        Ok(Ok(length))
    }

    /// Writes what was received to the file of the reply it belongs to.
    fn store(&self, splitter: &mut Splitter, mut chunk: &[u8], file: &mut Option<PageWriter>) -> Result<(), Failure> {
        while let Some(event) = splitter.next(&mut chunk).map_err(SocketError::from)? {
            match event {
                Event::Bytes(part, bytes) => {
                    let open = match file {
                        Some(open) => open,
                        None => file.insert(PageWriter::new(self.folder.file(&self.file_name(part))?)),
                    };
                    open.write(bytes).map_err(|source| self.write_error(&self.file_name(part), source))?;
                }
                Event::End(part) => {
                    if let Some(file) = file.take() {
                        file.finish().map_err(|source| self.write_error(&self.file_name(part), source))?;
                    }
                }
            }
        }
        Ok(())
    }

    fn file_name(&self, part: Part) -> String {
        let suffix = match part {
            Part::Info => INFO_SUFFIX,
            Part::Stat => STAT_SUFFIX,
        };
        format!("{}{suffix}", self.target.name)
    }

    fn write_error(&self, name: &str, source: io::Error) -> StageError {
        StageError::Write { path: self.folder.path(name), source }
    }
}
