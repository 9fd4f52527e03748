//! A receiver of OTLP and of Prometheus remote write, as strict as Prometheus: it takes no sample that is older than another one of
//! the same series, or that has another value at the same time, and refuses the whole request for it. Everything that can be
//! wrong with a receiver can be asked of it. Bodies are decompressed by the crates that compress them, and read as requests;
//! what real receivers make of them is for the tests with real receivers.

use super::{SOON, lock, wait_for};
use haproxystats::prometheus::request::{self, Protocol};
use nix::errno::Errno;
use nix::sys::socket::{MsgFlags, recv};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::os::fd::AsRawFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// What it does with a request in place of taking it.
#[derive(Debug, Clone)]
pub enum Fault {
    /// Answers with this status, these header lines and this body, and takes nothing.
    Answer(u16, String, Vec<u8>),
    /// Takes it, and answers like this nevertheless.
    TakeAndAnswer(u16, String, Vec<u8>),
    /// Takes it, and closes the connection in place of an answer.
    TakeAndClose,
    /// Closes the connection before it has read the body.
    Close,
    /// Never answers.
    Hang,
    /// Answers after so long.
    Slow(Duration),
    /// Says something that is no HTTP.
    Garbage,
}

impl Fault {
    /// A status without more.
    pub fn status(status: u16) -> Self {
        Self::Answer(status, String::new(), Vec::new())
    }
}

/// How it behaves.
#[derive(Debug, Default)]
pub struct Behaviour {
    /// What it does with the next requests, one after the other.
    pub next: VecDeque<Fault>,
    /// What it does with all requests after those.
    pub always: Option<Fault>,
    /// Refuses requests that have a series with this in its name or labels.
    pub refuses: Option<String>,
    /// Refuses requests of more samples: 413.
    pub most: Option<usize>,
    /// Says of so many samples of each request that it has not taken them (OTLP).
    pub rejects: Option<u64>,
    /// Wants this line among the headers, and answers 401 otherwise.
    pub wants: Option<String>,
    /// Takes samples that are older than others of their series.
    pub any_order: bool,
}

/// What it has got.
#[derive(Debug, Default, Clone)]
pub struct Taken {
    /// Values by series and time in milliseconds.
    pub samples: BTreeMap<String, BTreeMap<i64, String>>,
    /// The newest of each series.
    newest: BTreeMap<String, i64>,
    /// Requests that were answered.
    pub requests: usize,
    /// When the last request was answered.
    pub answered: Option<Instant>,
    /// Statuses of the answers.
    pub statuses: BTreeMap<u16, usize>,
    /// Requests that were refused since a sample was older than another one, and whose answers were waited for.
    pub out_of_order: usize,
    /// Samples that came again, with the same value.
    pub again: usize,
    /// Connections that were accepted.
    pub connections: usize,
    /// The head of the last request.
    pub head: String,
    /// Most samples of a request that was taken.
    pub largest: usize,
}

#[derive(Debug, Default)]
struct Shared {
    behaviour: Mutex<Behaviour>,
    taken: Mutex<Taken>,
    away: AtomicBool,
    open: Mutex<Vec<TcpStream>>,
}

/// See the module.
pub struct Receiver {
    protocol: Protocol,
    port: u16,
    shared: Arc<Shared>,
}

impl Receiver {
    /// Listens on a port of its own.
    #[track_caller]
    pub fn start(protocol: Protocol) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
        let port = listener.local_addr().expect("it has an address").port();
        let shared = Arc::new(Shared::default());
        let accepting = Arc::clone(&shared);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                if accepting.away.load(Ordering::SeqCst) {
                    // As if nobody were there.
                    drop(stream);
                    continue;
                }
                lock(&accepting.taken).connections += 1;
                lock(&accepting.open).extend(stream.try_clone());
                let serving = Arc::clone(&accepting);
                std::thread::spawn(move || serve(protocol, &stream, &serving));
            }
        });
        Self { protocol, port, shared }
    }

    /// Where it listens.
    pub fn address(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Its section of the configuration, without what is in [`Receiver::start`] anyway.
    pub fn section(&self) -> String {
        let (section, path) = match self.protocol {
            Protocol::Otlp => ("otlp", "v1/metrics"),
            Protocol::RemoteWrite => ("remote-write", "api/v1/write"),
        };
        format!("[{section}]\nurl = http://127.0.0.1:{}/{path}\ndelay = 0.1\nrequest-timeout = 20\n", self.port)
    }

    /// Changes how it behaves from now on.
    pub fn behave(&self, change: impl FnOnce(&mut Behaviour)) {
        change(&mut lock(&self.shared.behaviour));
    }

    /// Closes all connections, and takes no more.
    pub fn go_away(&self) {
        self.shared.away.store(true, Ordering::SeqCst);
        self.cut();
    }

    /// Takes connections again.
    pub fn come_back(&self) {
        self.shared.away.store(false, Ordering::SeqCst);
    }

    /// Breaks all connections that there are.
    pub fn cut(&self) {
        for stream in lock(&self.shared.open).drain(..) {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }

    /// What it has got so far.
    pub fn taken(&self) -> Taken {
        lock(&self.shared.taken).clone()
    }

    /// What HAProxy said, at these times: without what haproxystats says of itself.
    pub fn of_haproxy(&self) -> BTreeSet<String> {
        let taken = self.taken();
        let of_haproxy = taken.samples.iter().filter(|(series, _)| is_of_haproxy(series));
        of_haproxy
            .flat_map(|(series, values)| values.iter().map(move |(time, value)| format!("{series} {value} {time}")))
            .collect()
    }

    /// Waits until it has answered so many requests.
    #[track_caller]
    pub fn wait_for_requests(&self, requests: usize) {
        wait_for(SOON, "requests", || (self.taken().requests >= requests).then_some(()));
    }
}

/// Whether a series is HAProxy's, and not one of our own.
pub fn is_of_haproxy(series: &str) -> bool {
    !series.contains("haproxystats")
}

fn serve(protocol: Protocol, stream: &TcpStream, shared: &Shared) {
    let mut reader = BufReader::new(stream);
    while let Some(head) = head(&mut reader) {
        let length = header(&head, "content-length").and_then(|length| length.parse().ok()).unwrap_or(0);
        let fault = {
            let mut behaviour = lock(&shared.behaviour);
            behaviour.next.pop_front().or_else(|| behaviour.always.clone())
        };
        if matches!(fault, Some(Fault::Close)) {
            let _ = stream.shutdown(Shutdown::Both);
            return;
        }
        let mut body = vec![0; length];
        if reader.read_exact(&mut body).is_err() {
            return;
        }
        let answer = match fault {
            Some(Fault::Hang) => {
                // Until the other side has had enough.
                let _ = reader.read(&mut [0]);
                return;
            }
            Some(Fault::Garbage) => {
                let _ = (&*stream).write_all(b"\x00\x01 what do you want?\r\n\r\n");
                let _ = stream.shutdown(Shutdown::Both);
                return;
            }
            Some(Fault::Answer(status, headers, body)) => (status, headers, body),
            Some(Fault::TakeAndClose) => {
                take(protocol, &head, &body, stream, shared);
                let _ = stream.shutdown(Shutdown::Both);
                return;
            }
            Some(Fault::TakeAndAnswer(status, headers, text)) => {
                take(protocol, &head, &body, stream, shared);
                (status, headers, text)
            }
            Some(Fault::Slow(time)) => {
                std::thread::sleep(time);
                take(protocol, &head, &body, stream, shared)
            }
            Some(Fault::Close) | None => take(protocol, &head, &body, stream, shared),
        };
        {
            let mut taken = lock(&shared.taken);
            taken.requests += 1;
            taken.answered = Some(Instant::now());
            *taken.statuses.entry(answer.0).or_default() += 1;
            taken.head = head;
        }
        if (&*stream).write_all(&response(&answer)).is_err() {
            return;
        }
    }
}

/// Whether the other side does not wait for an answer any more.
fn is_given_up(stream: &TcpStream) -> bool {
    let flags = MsgFlags::MSG_PEEK | MsgFlags::MSG_DONTWAIT;
    !matches!(recv(stream.as_raw_fd(), &mut [0], flags), Ok(1) | Err(Errno::EAGAIN))
}

fn response((status, headers, body): &(u16, String, Vec<u8>)) -> Vec<u8> {
    let mut text =
        format!("HTTP/1.1 {status} Whatever\r\n{headers}Content-Length: {}\r\n\r\n", body.len()).into_bytes();
    text.extend_from_slice(body);
    text
}

fn head(reader: &mut impl BufRead) -> Option<String> {
    let mut head = String::new();
    loop {
        let before = head.len();
        if reader.read_line(&mut head).ok()? == 0 {
            return None;
        }
        if head[before..].trim().is_empty() {
            return Some(head);
        }
    }
}

fn header<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    let of = |line: &'a str| line.split_once(':').filter(|(found, _)| found.eq_ignore_ascii_case(name));
    head.lines().find_map(of).map(|(_, value)| value.trim())
}

fn decoded(protocol: Protocol, head: &str, body: &[u8]) -> Option<Vec<u8>> {
    match (protocol, header(head, "content-encoding")) {
        (Protocol::RemoteWrite, Some("snappy")) => snap::raw::Decoder::new().decompress_vec(body).ok(),
        (Protocol::Otlp, Some("gzip")) => {
            let mut message = Vec::new();
            flate2::read::GzDecoder::new(body).read_to_end(&mut message).ok().map(|_| message)
        }
        (Protocol::Otlp, None) => Some(body.to_vec()),
        _ => None,
    }
}

/// A sample as [`request::text`] has it.
struct Sample<'a> {
    series: &'a str,
    value: &'a str,
    time: i64,
}

fn samples(text: &str) -> Vec<Sample<'_>> {
    let sample = |line| {
        let line: &str = line;
        let (series, rest) = line.rsplit_once("} ").unwrap_or_else(|| panic!("{line}"));
        let (value, time) = rest.split_once(' ').unwrap_or_else(|| panic!("{line}"));
        let time = time.split(' ').next().and_then(|time| time.parse().ok()).unwrap_or_else(|| panic!("{line}"));
        Sample { series, value, time }
    };
    text.lines().map(sample).collect()
}

/// Takes a request as Prometheus does: all of it, or nothing.
fn take(protocol: Protocol, head: &str, body: &[u8], stream: &TcpStream, shared: &Shared) -> (u16, String, Vec<u8>) {
    let refused = |status: u16, words: &str| (status, String::new(), words.as_bytes().to_vec());
    let behaviour = lock(&shared.behaviour);
    if behaviour.wants.as_ref().is_some_and(|wanted| !head.lines().any(|line| line.eq_ignore_ascii_case(wanted))) {
        return refused(401, "who are you?");
    }
    let Some(message) = decoded(protocol, head, body) else { return refused(400, "cannot be decoded") };
    let text = request::text(protocol, &message);
    let samples = samples(&text);
    if behaviour.most.is_some_and(|most| samples.len() > most) {
        return refused(413, "too much");
    }
    if let Some(pattern) = &behaviour.refuses
        && samples.iter().any(|sample| sample.series.contains(pattern.as_str()))
    {
        return refused(400, "invalid metric name");
    }
    let mut taken = lock(&shared.taken);
    let mut again = 0;
    for sample in &samples {
        match taken.newest.get(sample.series) {
            Some(newest) if *newest > sample.time && !behaviour.any_order => {
                // One that was given up has been sent again meanwhile, and the next ones as well: nobody hears of it.
                taken.out_of_order += usize::from(!is_given_up(stream));
                return refused(400, "out of order sample");
            }
            Some(newest) if *newest == sample.time => {
                if taken.samples[sample.series][&sample.time] != sample.value {
                    return refused(400, "duplicate sample for timestamp");
                }
                again += 1;
            }
            _ => {}
        }
    }
    taken.again += again;
    taken.largest = taken.largest.max(samples.len());
    for Sample { series, value, time } in samples {
        taken.newest.insert(series.to_owned(), time);
        taken.samples.entry(series.to_owned()).or_default().insert(time, value.to_owned());
    }
    match (protocol, behaviour.rejects) {
        (Protocol::RemoteWrite, _) => (204, String::new(), Vec::new()),
        (Protocol::Otlp, None) => (200, "Content-Type: application/x-protobuf\r\n".to_owned(), Vec::new()),
        (Protocol::Otlp, Some(rejected)) => {
            use haproxystats::prometheus::wire::{bytes, number};
            let (mut partial, mut body) = (Vec::new(), Vec::new());
            number(1, rejected, &mut partial);
            bytes(2, b"not today", &mut partial);
            bytes(1, &partial, &mut body);
            (200, "Content-Type: application/x-protobuf\r\n".to_owned(), body)
        }
    }
}
