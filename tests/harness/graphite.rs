//! A Graphite that records what it gets and can be told to misbehave.
//!
//! [`Recorder`] listens on a port of the loopback interface, one thread per connection, and keeps every whole line,
//! every line that is not `path value timestamp`, and every unterminated end of a connection. [`Behaviour`] says what
//! it does with its connections, those that stand and those to come; [`Recorder::vanish`] and
//! [`Recorder::come_back`] take it away altogether.
//!
//! A line counts as arrived when this program has read it, not when its kernel has.

use super::lock;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use std::collections::HashMap;
use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// How often a thread looks whether it is to behave differently.
const TURN: Duration = Duration::from_millis(5);

/// Most bytes of one read.
const CHUNK: usize = 64 * 1024;

/// What the endpoint does with a connection.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Behaviour {
    /// Reads everything, and closes when the peer has.
    Read,
    /// Reads everything, and never closes.
    NeverClose,
    /// Does not read.
    Stall,
    /// Reads so many bytes per second.
    Trickle(usize),
    /// Closes after so many bytes, wherever that is in a line. With bytes left unread its kernel makes this a reset.
    CloseAfter(usize),
    /// Resets after so many bytes.
    ResetAfter(usize),
    /// Closes after each read.
    CloseEachRead,
    /// Closes without reading.
    CloseAtOnce,
    /// Sends without end, and reads everything.
    Talk,
    /// Ends its side at once, and reads everything.
    HalfClose,
}

/// What arrived.
#[derive(Debug, Clone, Default)]
pub struct Record {
    /// How often each whole line arrived.
    pub lines: HashMap<String, u32>,
    /// The last value of each `path timestamp`, which is what Graphite has in the end, if [`Recorder::note_last`] was called.
    pub last: HashMap<String, String>,
    /// Timestamps in the order in which they were first seen.
    pub timestamps: Vec<u64>,
    /// Whole lines that are not a path, a finite number and whole seconds, with single spaces between them.
    pub malformed: Vec<String>,
    /// What connections ended with instead of a newline; carbon and its relays ignore that.
    pub fragments: Vec<String>,
}

impl Record {
    /// Lines that arrived more than once, each time but the first.
    pub fn duplicates(&self) -> u64 {
        self.lines.values().map(|times| u64::from(*times) - 1).sum()
    }

    fn add(&mut self, line: &[u8], last: bool) {
        let line = String::from_utf8_lossy(line).into_owned();
        let Some(timestamp) = timestamp(&line) else {
            self.malformed.push(line);
            return;
        };
        if self.timestamps.last() != Some(&timestamp) && !self.timestamps.contains(&timestamp) {
            self.timestamps.push(timestamp);
        }
        if last && let Some((point, value)) = split(&line) {
            self.last.insert(point, value);
        }
        *self.lines.entry(line).or_default() += 1;
    }
}

/// `path timestamp`, and the value.
fn split(line: &str) -> Option<(String, String)> {
    let (path, rest) = line.split_once(' ')?;
    let (value, timestamp) = rest.split_once(' ')?;
    Some((format!("{path} {timestamp}"), value.to_owned()))
}

fn timestamp(line: &str) -> Option<u64> {
    let mut fields = line.split(' ');
    let (path, value, timestamp) = (fields.next()?, fields.next()?, fields.next()?);
    let value: f64 = value.parse().ok()?;
    let sound = !path.is_empty() && value.is_finite() && fields.next().is_none();
    timestamp.parse().ok().filter(|_| sound)
}

/// The endpoint. Everything ends when this value goes away.
pub struct Recorder {
    address: SocketAddr,
    shared: Arc<Shared>,
    listener: Option<JoinHandle<()>>,
}

struct Shared {
    behaviour: Mutex<Behaviour>,
    record: Mutex<Record>,
    /// Connections so far.
    connections: AtomicU64,
    /// Bytes read so far.
    bytes: AtomicU64,
    away: AtomicBool,
    /// Whether the last value of each point is noted.
    last: AtomicBool,
}

impl Recorder {
    /// Listens on a port of its own.
    pub fn start() -> Self {
        let mut recorder = Self::away();
        recorder.come_back();
        recorder
    }

    /// Listens at this address.
    pub fn start_at(address: SocketAddr) -> Self {
        let mut recorder = Self::away_at(address);
        recorder.come_back();
        recorder
    }

    /// Has a port, and does not listen yet.
    pub fn away() -> Self {
        Self::away_at(SocketAddr::from((Ipv4Addr::LOCALHOST, super::free_port())))
    }

    fn away_at(address: SocketAddr) -> Self {
        let shared = Shared {
            behaviour: Mutex::new(Behaviour::Read),
            record: Mutex::default(),
            connections: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
            away: AtomicBool::new(true),
            last: AtomicBool::new(false),
        };
        Self { address, shared: Arc::new(shared), listener: None }
    }

    /// Port on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// From now on, for all connections.
    pub fn behave(&self, behaviour: Behaviour) {
        *lock(&self.shared.behaviour) = behaviour;
    }

    /// From now on, the last value of each point is noted.
    pub fn note_last(&self) {
        self.shared.last.store(true, Ordering::Relaxed);
    }

    /// A copy of what has arrived so far.
    pub fn record(&self) -> Record {
        lock(&self.shared.record).clone()
    }

    /// Number of different lines that have arrived so far.
    pub fn distinct(&self) -> usize {
        lock(&self.shared.record).lines.len()
    }

    /// Number of connections so far.
    pub fn connections(&self) -> u64 {
        self.shared.connections.load(Ordering::Relaxed)
    }

    /// Number of bytes read so far.
    pub fn bytes(&self) -> u64 {
        self.shared.bytes.load(Ordering::Relaxed)
    }

    /// Stops listening and drops all connections: new ones are refused.
    pub fn vanish(&mut self) {
        self.shared.away.store(true, Ordering::Relaxed);
        if let Some(listener) = self.listener.take() {
            listener.join().expect("the thread that listens does not panic");
        }
    }

    /// Listens again, on the same port.
    pub fn come_back(&mut self) {
        self.vanish();
        self.shared.away.store(false, Ordering::Relaxed);
        // A program that another thread starts at this moment holds a copy of what tried the port, until it is executed.
        let listener =
            super::poll(super::SOON, || TcpListener::bind(self.address).ok()).expect("the port is still free");
        listener.set_nonblocking(true).expect("a listener can be made not to block");
        let shared = Arc::clone(&self.shared);
        self.listener = Some(std::thread::spawn(move || listen(&listener, &shared)));
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        self.shared.away.store(true, Ordering::Relaxed);
        if let Some(listener) = self.listener.take() {
            // A panic there has been reported already.
            let _ = listener.join();
        }
    }
}

fn listen(listener: &TcpListener, shared: &Arc<Shared>) {
    let mut connections = Vec::new();
    while !shared.away.load(Ordering::Relaxed) {
        match listener.accept() {
            Ok((stream, _)) => {
                shared.connections.fetch_add(1, Ordering::Relaxed);
                let shared = Arc::clone(shared);
                connections.push(std::thread::spawn(move || Connection::new(stream, &shared).serve()));
            }
            Err(_) => std::thread::sleep(TURN),
        }
        connections.retain(|connection| !connection.is_finished());
    }
    for connection in connections {
        connection.join().expect("a connection does not panic");
    }
}

struct Connection<'a> {
    stream: TcpStream,
    shared: &'a Shared,
    /// An unfinished line.
    rest: Vec<u8>,
    read: usize,
    /// The peer has ended its side, and this side stays open.
    ended: bool,
}

impl<'a> Connection<'a> {
    fn new(stream: TcpStream, shared: &'a Shared) -> Self {
        stream.set_nonblocking(true).expect("a socket can be made not to block");
        Self { stream, shared, rest: Vec::new(), read: 0, ended: false }
    }

    fn serve(mut self) {
        let start = Instant::now();
        loop {
            self.wait();
            // Held while acting: once `behave` has returned, nothing more happens in the old manner.
            let behaviour = lock(&self.shared.behaviour);
            if self.shared.away.load(Ordering::Relaxed) || !self.act(*behaviour, start.elapsed()) {
                break;
            }
        }
        if !self.rest.is_empty() {
            let fragment = String::from_utf8_lossy(&self.rest).into_owned();
            lock(&self.shared.record).fragments.push(fragment);
        }
    }

    /// Waits for data, or for a turn.
    fn wait(&self) {
        let readable = PollFd::new(self.stream.as_fd(), PollFlags::POLLIN);
        let turn = PollTimeout::try_from(TURN).expect("a turn is short");
        // An error shows when the socket is read.
        let ready = poll(&mut [readable], turn);
        let idle = self.ended || matches!(*lock(&self.shared.behaviour), Behaviour::Stall | Behaviour::Trickle(_));
        if idle && ready.is_ok_and(|ready| ready > 0) {
            std::thread::sleep(TURN);
        }
    }

    /// False when the connection is to be closed.
    fn act(&mut self, behaviour: Behaviour, age: Duration) -> bool {
        let before = self.read;
        match behaviour {
            Behaviour::Read => self.read(CHUNK),
            Behaviour::NeverClose => {
                self.ended = self.ended || !self.read(CHUNK);
                true
            }
            Behaviour::Stall => true,
            Behaviour::Trickle(rate) => {
                let due = (age.as_secs_f64() * rate as f64) as usize;
                due <= before || self.read((due - before).min(CHUNK))
            }
            Behaviour::CloseAfter(bytes) => before < bytes && self.read((bytes - before).min(CHUNK)),
            Behaviour::ResetAfter(bytes) => {
                let open = before < bytes && self.read((bytes - before).min(CHUNK));
                if self.read >= bytes {
                    self.reset();
                }
                open && self.read < bytes
            }
            Behaviour::CloseEachRead => self.read(CHUNK) && self.read == before,
            Behaviour::CloseAtOnce => false,
            Behaviour::HalfClose => {
                // A second time it does nothing.
                let _ = self.stream.shutdown(Shutdown::Write);
                self.read(CHUNK)
            }
            Behaviour::Talk => {
                // A peer that does not listen fills the buffers; then this writes nothing.
                let _ = self.stream.write(&[b'?'; 16 * 1024]);
                self.read(CHUNK)
            }
        }
    }

    /// Reads once. False at the end.
    fn read(&mut self, most: usize) -> bool {
        let mut buffer = vec![0; most];
        match self.stream.read(&mut buffer) {
            Ok(0) => false,
            Ok(length) => {
                self.read += length;
                self.shared.bytes.fetch_add(length as u64, Ordering::Relaxed);
                self.rest.extend_from_slice(&buffer[..length]);
                let last = self.shared.last.load(Ordering::Relaxed);
                let mut record = lock(&self.shared.record);
                let whole = self.rest.iter().rposition(|byte| *byte == b'\n').map_or(0, |newline| newline + 1);
                for line in self.rest[..whole].split_inclusive(|byte| *byte == b'\n') {
                    record.add(&line[..line.len() - 1], last);
                }
                self.rest.drain(..whole);
                true
            }
            Err(error) => matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted),
        }
    }

    fn reset(&self) {
        let linger = nix::libc::linger { l_onoff: 1, l_linger: 0 };
        nix::sys::socket::setsockopt(&self.stream, nix::sys::socket::sockopt::Linger, &linger)
            .expect("a socket can be made to reset");
    }
}
