//! The pull of one socket: commands, their replies, and the files that these go to.

use super::answer::{Answer, Done, Failure, First, News};
use super::failure::{Progress, SocketError};
use super::further::asking::Asking;
use super::further::{Asked, Told};
use super::gathering::Gathering;
use super::pages::PageWriter;
use super::sockets::Target;
use super::unknown::said;
use crate::config::Retries;
use crate::haproxy::identity::{Kinship, Reading};
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
use tokio::time::{Instant, sleep, timeout, timeout_at};

/// Bytes of the read buffer: somewhat more than HAProxy writes during one nap of [`super::pace::Pace`].
pub(super) const BUFFER: usize = 128 << 10;
/// How long a complete reply waits for the end of the connection, which HAProxy sends with it. What stands between us
/// and HAProxy may keep the connection open; that is no reason to doubt a complete reply.
const CLOSE_GRACE: Duration = Duration::from_millis(100);
/// As much of a reply to `show info` is kept, to know its process. HAProxy prints some two thousand bytes.
const INFO_KEPT: usize = 64 << 10;

/// The same of the header line of `show stat`; HAProxy 3.4 prints some two thousand bytes.
const HEADER_KEPT: usize = 32 << 10;

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
    /// Time for the further questions of one connection.
    pub(super) further_limit: Duration,
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
    pub(super) further: RefCell<Asking>,
    retried: Cell<u32>,
    /// Whether the replies are stored.
    storing: Cell<bool>,
    info: RefCell<Vec<u8>>,
    /// The header line of `show stat`.
    header: RefCell<Vec<u8>>,
    /// Bytes of complete replies to `show info` and `show stat`.
    bytes: Cell<u64>,
    /// What came of the socket; only further questions may be left.
    answer: Cell<Option<Answer>>,
}

impl Job {
    pub(super) fn new(target: Target, manner: Manner, buffer: Rc<RefCell<Box<[u8]>>>, folder: Option<Folder>) -> Self {
        let further = Asking::new(Vec::new(), &target, folder.clone(), manner.limit);
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
            header: RefCell::default(),
            bytes: Cell::new(0),
            answer: Cell::new(None),
            further: further.into(),
        }
    }

    /// The same, and further questions.
    pub(super) fn with(self, asked: Vec<Asked>) -> Self {
        self.further.replace(Asking::new(asked, &self.target, self.folder.clone(), self.manner.limit));
        self
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
        let (result, further) = self.settle(result);
        let one_command_only = self.one_command_only.get();
        let reading = self.reading();
        let said = said(self.info.take(), self.header.take());
        Done { target: self.target, result, retries: self.retried.get(), one_command_only, reading, further, said }
    }

    /// Asks further questions alone.
    pub(super) async fn questions(self, limit: Duration) -> Vec<(Asked, Told)> {
        self.answer.set(Some(Answer::Spared { looked: false }));
        let failed = timeout(limit, self.ask_further()).await.is_err();
        let mut further = self.further.borrow_mut();
        let ended = further.fail(if failed { "no answer in time" } else { "not asked" });
        ended.and_then(|()| further.finish()).unwrap_or_default()
    }

    /// What came of it all. Where only further questions were left when the time was up, nothing else is lost.
    fn settle(&self, result: Result<Answer, Failure>) -> (Result<Answer, Failure>, Vec<(Asked, Told)>) {
        let mut further = self.further.borrow_mut();
        let (result, reason) = match (result, self.answer.get()) {
            (Err(Failure::Socket(_)), Some(answer)) => (Ok(answer), "pull-timeout expired"),
            (Err(error), _) => return (Err(error), Vec::new()),
            (result, _) => (result, "not asked"),
        };
        match further.fail(reason).and_then(|()| further.finish()) {
            Ok(further) => (result, further),
            Err(error) => (Err(error.into()), Vec::new()),
        }
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
        let mut answer = None;
        if let Some(mut first) = first
            && self.is_spared(&mut first).await?
        {
            answer = Some(Answer::Spared { looked: first.look });
        }
        let answer = match answer {
            Some(answer) => answer,
            None => {
                self.ask().await?;
                Answer::Stored(self.bytes.get())
            }
        };
        self.answer.set(Some(answer));
        self.ask_further().await?;
        Ok(answer)
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

    /// Both replies. A peer that does not understand two commands gets one at a time.
    async fn ask(&self) -> Result<(), Failure> {
        if self.target.worker.is_some() {
            return self.exchange(BOTH).await;
        }
        if !self.one_command_only.get() {
            match self.exchange(BOTH).await {
                Err(Failure::Socket(error)) if error.may_be_one_command_only() => self.one_command_only.set(true),
                result => return result,
            }
        }
        self.exchange(INFO).await?;
        self.exchange(STAT).await
    }

    /// Commands and their replies on one connection, tried again as configured.
    async fn exchange(&self, commands: (&'static [Part], &'static [u8])) -> Result<(), Failure> {
        let mut attempts = 0;
        // Behind both commands there is room for others. When that fails, for whatever reason, they are asked alone.
        let mut further = commands.0 == BOTH.0 && !self.further.borrow().is_done();
        loop {
            let error = match self.attempt(commands, further).await {
                Err(Failure::Socket(error)) if error.is_before_answer() => error,
                Err(Failure::Socket(error)) if further && error.may_be_one_command_only() => {
                    further = false;
                    continue;
                }
                result => return result,
            };
            further = false;
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

    async fn attempt(&self, (parts, commands): (&'static [Part], &'static [u8]), further: bool) -> Result<(), Failure> {
        let stream = connect(&self.target.server, self.manner.timeout).await.map_err(SocketError::from)?;
        self.progress.replace(Progress::Connected(0));
        if parts.contains(&Part::Info) {
            self.info.borrow_mut().clear();
            self.header.borrow_mut().clear();
            self.bytes.set(0);
        }
        let line = if further { self.further.borrow_mut().line(false) } else { None };
        self.send(&stream, commands, line.as_deref()).await.map_err(SocketError::Send)?;
        let received = self.receive(&stream, parts, line.is_some()).await;
        if line.is_some() && self.answer.get().is_none() {
            self.further.borrow_mut().take_back();
        }
        received
    }

    /// Sends commands, and `line` behind them.
    pub(super) async fn send(&self, stream: &Stream, commands: &[u8], line: Option<&str>) -> io::Result<()> {
        let longer = line.map(|line| [commands.trim_ascii_end(), b";", line.as_bytes(), b"\n"].concat());
        let commands = longer.as_deref().unwrap_or(commands);
        match self.target.worker {
            None => stream.send(commands).await,
            Some(pid) => {
                stream.send(&master::ask(pid, commands)).await?;
                // A master waits for that.
                stream.end()
            }
        }
    }

    /// Stores the replies to `parts` as they come; `further`: others follow.
    async fn receive(&self, stream: &Stream, parts: &'static [Part], further: bool) -> Result<(), Failure> {
        let mut splitter = Splitter::new(parts, self.manner.limit);
        let mut file = None;
        let mut bytes = 0;
        let mut gathering = Gathering::default();
        loop {
            let mut gathered = true;
            if splitter.is_complete() {
                if further || timeout(CLOSE_GRACE, stream.readable()).await.is_err() {
                    break;
                }
            } else {
                gathered = gathering.wait(stream).await.map_err(|source| SocketError::Read { bytes, source })?;
            }
            match self.read(stream, &mut splitter, &mut file, further)? {
                Ok(0) => break,
                Ok(length) => {
                    bytes += length as u64;
                    gathering.took(length, gathered);
                    self.progress.replace(Progress::Connected(bytes));
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(_) if splitter.is_complete() => break,
                Err(source) => return Err(SocketError::Read { bytes, source }.into()),
            }
        }
        splitter.finish().map_err(SocketError::from)?;
        if further {
            self.answer.set(Some(Answer::Stored(self.bytes.get())));
            self.receive_further(stream).await?;
        }
        Ok(())
    }

    /// Reads once and stores what came; 0 is the end. Nothing here waits, so that all sockets can share the buffer.
    fn read(
        &self,
        stream: &Stream,
        splitter: &mut Splitter,
        file: &mut Option<PageWriter>,
        further: bool,
    ) -> Result<io::Result<usize>, Failure> {
        let mut buffer = self.buffer.borrow_mut();
        let length = match stream.read_now(&mut buffer) {
            Ok(length) => length,
            Err(error) => return Ok(Err(error)),
        };
        let mut chunk = buffer.get(..length).unwrap_or_default();
        self.store(splitter, &mut chunk, file, further)?;
        if further && splitter.is_complete() {
            self.further.borrow_mut().take(chunk)?;
        }
        Ok(Ok(length))
    }

    /// Writes what was received to the file of the reply it belongs to. What is left when all are complete stays in `chunk`,
    /// where it may belong to others.
    fn store(
        &self,
        splitter: &mut Splitter,
        chunk: &mut &[u8],
        file: &mut Option<PageWriter>,
        further: bool,
    ) -> Result<(), Failure> {
        while !(further && splitter.is_complete())
            && let Some(event) = splitter.next(chunk).map_err(SocketError::from)?
        {
            match event {
                Event::Bytes(part, bytes) => {
                    self.bytes.set(self.bytes.get() + bytes.len() as u64);
                    if part == Part::Info {
                        let mut info = self.info.borrow_mut();
                        let room = INFO_KEPT.saturating_sub(info.len());
                        info.extend_from_slice(bytes.get(..bytes.len().min(room)).unwrap_or_default());
                    } else {
                        self.keep_header(bytes);
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

    /// Keeps the first line of `show stat`.
    fn keep_header(&self, bytes: &[u8]) {
        let mut header = self.header.borrow_mut();
        if header.len() < HEADER_KEPT && !header.ends_with(b"\n") {
            let end = memchr::memchr(b'\n', bytes).map_or(bytes.len(), |end| end + 1);
            let room = HEADER_KEPT - header.len();
            header.extend_from_slice(bytes.get(..end.min(room)).unwrap_or_default());
        }
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
