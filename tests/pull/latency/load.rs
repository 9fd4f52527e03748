//! A server that answers after as long as the path says, and a client that measures every request.

use crate::harness::SOON;
use std::collections::HashMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// Times by the name of a mixture, in milliseconds.
pub type Times = Arc<Mutex<HashMap<String, Vec<f64>>>>;

fn note(times: &Times, mixture: &str, since: Instant) {
    let time = since.elapsed().as_secs_f64() * 1000.0;
    times.lock().unwrap().entry(mixture.to_owned()).or_default().push(time);
}

/// Answers `/<mixture>/<milliseconds>`; returns its port, and how long each answer has taken.
pub fn server() -> (u16, Times) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let times = Times::default();
    let taken = Arc::clone(&times);
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let times = Arc::clone(&times);
            std::thread::spawn(move || serve(stream, &times));
        }
    });
    (port, taken)
}

fn serve(mut stream: TcpStream, times: &Times) {
    stream.set_nodelay(true).unwrap();
    let mut lines = BufReader::new(stream.try_clone().unwrap()).lines().map_while(Result::ok);
    while let Some(first) = lines.next() {
        let begun = Instant::now();
        // The rest of the request; there is no body.
        lines.by_ref().take_while(|line| !line.is_empty()).for_each(drop);
        let path = first.split(' ').nth(1).unwrap_or_default();
        let (mixture, delay) = path.trim_start_matches('/').split_once('/').unwrap_or_default();
        std::thread::sleep(Duration::from_millis(delay.parse().unwrap_or(0)));
        note(times, mixture, begun);
        if stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").is_err() {
            return;
        }
    }
}

/// A client with one connection, which it opens again when HAProxy has closed it.
pub struct Client {
    port: u16,
    stream: Option<BufReader<TcpStream>>,
    pub times: Times,
}

impl Client {
    pub fn new(port: u16, times: &Times) -> Self {
        Self { port, stream: None, times: Arc::clone(times) }
    }

    /// One request, whose answer has come. One that was sent on a connection that HAProxy closed unasked is sent again, as every
    /// client does.
    pub fn get(&mut self, mixture: &str, delay: u64) {
        for _ in 0..100 {
            let begun = Instant::now();
            if self.attempt(mixture, delay).is_some() {
                return note(&self.times, mixture, begun);
            }
            self.stream = None;
            std::thread::sleep(Duration::from_millis(2));
        }
        panic!("no answer to /{mixture}/{delay}");
    }

    fn attempt(&mut self, mixture: &str, delay: u64) -> Option<()> {
        if self.stream.is_none() {
            let stream = TcpStream::connect(("127.0.0.1", self.port)).ok()?;
            stream.set_read_timeout(Some(SOON)).unwrap();
            stream.set_nodelay(true).unwrap();
            self.stream = Some(BufReader::new(stream));
        }
        let stream = self.stream.as_mut()?;
        stream.get_mut().write_all(format!("GET /{mixture}/{delay} HTTP/1.1\r\nHost: x\r\n\r\n").as_bytes()).ok()?;
        let (mut line, mut length, mut first) = (String::new(), 0, true);
        loop {
            line.clear();
            if stream.read_line(&mut line).ok()? == 0 {
                return None;
            }
            if std::mem::take(&mut first) {
                assert!(line.starts_with("HTTP/1.1 200"), "{line}");
            }
            match line.trim_end().split_once(": ") {
                Some((name, value)) if name.eq_ignore_ascii_case("content-length") => length = value.parse().unwrap(),
                _ if line.trim_end().is_empty() => break,
                _ => {}
            }
        }
        let mut body = vec![0; length];
        stream.read_exact(&mut body).ok()
    }
}

/// What the smallest time was that this share of requests did not exceed.
pub fn percentile(times: &[f64], share: f64) -> f64 {
    let mut sorted = times.to_vec();
    sorted.sort_by(f64::total_cmp);
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a position")]
    let rank = (share * sorted.len() as f64 - 1e-9).ceil().max(1.0) as usize;
    sorted[rank - 1]
}
