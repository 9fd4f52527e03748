//! The pull of one socket: commands, their replies, and the files that these go to.

use super::failure::{Progress, SocketError};
use super::pages::PageWriter;
use super::sockets::Target;
use crate::config::Retries;
use crate::haproxy::identity::{Kinship, ProcessKey, Reading};
use crate::haproxy::master;
use crate::haproxy::reply::{Event, Part, Splitter};
use crate::haproxy::socket::{Stream, connect};
use crate::logging::Chain;
use crate::snapshot::stage::{Folder, StageError};
use crate::snapshot::{INFO_SUFFIX, OLD_INFO_SUFFIX, OLD_STAT_SUFFIX, STAT_SUFFIX};
use std::cell::{Cell, RefCell};
use std::io::{self, ErrorKind};
use std::rc::Rc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout, timeout_at};

/// Bytes of the read buffer: somewhat more than HAProxy writes during one nap of [`super::pace::Pace`].
pub(super) const BUFFER: usize = 128 << 10;
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
/// As much of a reply to `show info` is kept, to know its process. HAProxy prints some two thousand bytes.
const INFO_KEPT: usize = 64 << 10;

const BOTH: (&[Part], &[u8]) = (&[Part::Info, Part::Stat], b"show info;show stat\n");
const INFO: (&[Part], &[u8]) = (&[Part::Info], b"show info\n");
const STAT: (&[Part], &[u8]) = (&[Part::Stat], b"show stat\n");

/// How a socket is asked.
#[derive(Debug, Clone, Copy)]
pub(super) struct Manner {
    /// For a connection to be accepted.
    pub(super) timeout: Duration,
    pub(super) retries: Retries,
    /// Pause before a connection is tried again.
    pub(super) interval: Duration,
    /// Most bytes of a reply.
    pub(super) limit: u64,
}

/// What the pull of one socket needs.
pub(super) struct Job {
    pub(super) target: Target,
    pub(super) manner: Manner,
    pub(super) one_command_only: Cell<bool>,
    pub(super) buffer: Rc<RefCell<Box<[u8]>>>,
    /// Where the replies go; nowhere, when only the process is asked for.
    pub(super) folder: Option<Folder>,
    pub(super) progress: Rc<RefCell<Progress>>,
    retried: Cell<u32>,
    /// Whether the replies are stored.
    storing: Cell<bool>,
    info: RefCell<Vec<u8>>,
}

/// How the pull of another socket has ended.
#[derive(Debug, Clone, Default)]
pub(super) enum News {
    /// Not yet.
    #[default]
    Pending,
    Failed,
    Answered(Rc<Reading>),
}

/// Another socket that leads to the same process, and is asked first.
pub(super) struct First {
    /// Its name.
    pub(super) name: String,
    pub(super) news: watch::Receiver<News>,
    pub(super) key: Rc<ProcessKey>,
    /// So long it is waited for; then both are asked.
    pub(super) patience: Duration,
    /// Whether this socket is asked for its process, to see whether it still is the same.
    pub(super) look: bool,
}

/// What came of it.
#[derive(Debug)]
pub(super) enum Answer {
    /// Both replies, of so many bytes in all.
    Stored(u64),
    /// The other socket has answered for the same process.
    Spared {
        /// Whether it was seen just now that it is the same.
        looked: bool,
    },
}

/// Whose fault it is.
pub(super) enum Failure {
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

pub(super) struct Done {
    pub(super) target: Target,
    pub(super) result: Result<Answer, Failure>,
    pub(super) retries: u32,
    pub(super) one_command_only: bool,
    /// What the last complete reply to `show info` says.
    pub(super) reading: Option<Reading>,
}

impl Job {
    pub(super) fn new(target: Target, manner: Manner, buffer: Rc<RefCell<Box<[u8]>>>, folder: Option<Folder>) -> Self {
        Self {
            target,
            manner,
            one_command_only: Cell::new(false),
            buffer,
            storing: Cell::new(folder.is_some()),
            folder,
            progress: Rc::default(),
            retried: Cell::new(0),
            info: RefCell::default(),
        }
    }

    /// From `begin` until the end of the pull, which is so long after it.
    pub(super) async fn run(self, begin: Instant, limit: Option<Duration>, first: Option<First>) -> Done {
        if begin > Instant::now() {
            tokio::time::sleep_until(begin).await;
        }
        let result = match limit {
            None => self.work(first).await,
            Some(limit) => match timeout_at(begin + limit, self.work(first)).await {
                Ok(result) => result,
                Err(_) => Err(SocketError::TimedOut { limit, progress: self.progress.take() }.into()),
            },
        };
        let one_command_only = self.one_command_only.get();
        let reading = self.reading();
        Done { target: self.target, result, retries: self.retried.get(), one_command_only, reading }
    }

    /// Whether a stats socket answers here, and nothing else.
    pub(super) async fn answers(self, limit: Duration) -> (Target, bool) {
        let answered = timeout(limit, self.exchange(INFO)).await.is_ok_and(|result| result.is_ok());
        (self.target, answered)
    }

    /// Which process answers here; where none does, why this is no stats socket, if that is certain.
    pub(super) async fn process(self, limit: Duration) -> (Target, Result<Reading, Option<String>>) {
        let answer = match timeout(limit, self.exchange(INFO)).await {
            Ok(Ok(_)) => self.reading().ok_or(None),
            Ok(Err(Failure::Socket(error))) => Err(error.proof()),
            Ok(Err(Failure::Disk(_))) | Err(_) => Err(None),
        };
        (self.target, answer)
    }

    /// What the reply to `show info` says, where one came.
    fn reading(&self) -> Option<Reading> {
        let info = self.info.borrow();
        info.ends_with(b"\n\n").then(|| Reading::of(&info))
    }

    async fn work(&self, first: Option<First>) -> Result<Answer, Failure> {
        if let Some(mut first) = first
            && self.is_spared(&mut first).await?
        {
            return Ok(Answer::Spared { looked: first.look });
        }
        self.ask().await.map(Answer::Stored)
    }

    /// Whether the other socket has answered for the process of this one.
    async fn is_spared(&self, first: &mut First) -> Result<bool, Failure> {
        let ended = timeout(first.patience, first.news.wait_for(|news| !matches!(news, News::Pending))).await;
        let reading = match ended {
            Ok(Ok(news)) => match &*news {
                News::Answered(reading) if reading.key.as_ref() == Some(&*first.key) => Rc::clone(reading),
                _ => return Ok(false),
            },
            _ => return Ok(false),
        };
        if !first.look {
            return Ok(true);
        }
        self.storing.set(false);
        let asked = self.exchange(INFO).await;
        self.storing.set(true);
        asked?;
        Ok(self.reading().is_some_and(|own| own.compare(&reading) == Kinship::Same))
    }

    /// Both replies; returns their bytes. A peer that does not understand two commands gets one at a time.
    async fn ask(&self) -> Result<u64, Failure> {
        if self.target.worker.is_some() {
            return self.exchange(BOTH).await;
        }
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
            if matches!(self.manner.retries, Retries::Times(times) if attempts >= times) || error.is_wrong_type() {
                return Err(error.into());
            }
            attempts = attempts.saturating_add(1);
            self.retried.set(self.retried.get().saturating_add(1));
            tracing::debug!(socket = %self.target.name, error = %Chain(&error), attempts, "trying again");
            self.progress.replace(Progress::Retrying(Chain(&error).to_string()));
            sleep(self.manner.interval).await;
        }
    }

    async fn attempt(&self, (parts, commands): (&'static [Part], &'static [u8])) -> Result<u64, Failure> {
        let stream = connect(&self.target.server, self.manner.timeout).await.map_err(SocketError::from)?;
        self.progress.replace(Progress::Connected(0));
        if parts.contains(&Part::Info) {
            self.info.borrow_mut().clear();
        }
        match self.target.worker {
            None => stream.send(commands).await.map_err(SocketError::Send)?,
            Some(pid) => {
                stream.send(&master::ask(pid)).await.map_err(SocketError::Send)?;
                // A master waits for that.
                stream.end().map_err(SocketError::Send)?;
            }
        }
        self.receive(&stream, parts).await
    }

    /// Stores the replies to `parts` as they come, and returns their bytes.
    async fn receive(&self, stream: &Stream, parts: &'static [Part]) -> Result<u64, Failure> {
        let mut splitter = Splitter::new(parts, self.manner.limit);
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
                    if part == Part::Info {
                        let mut info = self.info.borrow_mut();
                        let room = INFO_KEPT.saturating_sub(info.len());
                        info.extend_from_slice(bytes.get(..bytes.len().min(room)).unwrap_or_default());
                    }
                    let Some(folder) = self.folder.as_ref().filter(|_| self.storing.get()) else { continue };
                    let open = match file {
                        Some(open) => open,
                        None => file.insert(PageWriter::new(folder.file(&self.file_name(part))?)),
                    };
                    open.write(bytes).map_err(|source| self.write_error(folder, part, source))?;
                }
                Event::End(part) => {
                    if let (Some(file), Some(folder)) = (file.take(), &self.folder) {
                        file.finish().map_err(|source| self.write_error(folder, part, source))?;
                    }
                }
            }
        }
        Ok(())
    }

    fn file_name(&self, part: Part) -> String {
        let suffix = match (part, self.target.worker) {
            (Part::Info, None) => INFO_SUFFIX,
            (Part::Stat, None) => STAT_SUFFIX,
            (Part::Info, Some(_)) => OLD_INFO_SUFFIX,
            (Part::Stat, Some(_)) => OLD_STAT_SUFFIX,
        };
        format!("{}{suffix}", self.target.name)
    }

    fn write_error(&self, folder: &Folder, part: Part, source: io::Error) -> StageError {
        StageError::Write { path: folder.path(&self.file_name(part)), source }
    }
}
