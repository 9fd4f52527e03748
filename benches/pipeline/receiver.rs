//! A receiver of requests over HTTP that throws them away, and accepts each.

use super::os;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

#[derive(Debug, Clone)]
pub(crate) struct Receiver {
    port: u16,
    /// Bytes of bodies.
    bytes: Arc<AtomicU64>,
}

impl Receiver {
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let receiver = Self { port: listener.local_addr().unwrap().port(), bytes: Arc::default() };
        let shared = receiver.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let shared = shared.clone();
                std::thread::spawn(move || shared.accept_all(stream));
            }
        });
        receiver
    }

    fn accept_all(&self, mut stream: TcpStream) -> Option<()> {
        let mut reader = BufReader::with_capacity(1 << 16, stream.try_clone().ok()?);
        let (mut line, mut body) = (String::new(), Vec::new());
        loop {
            let mut length = 0;
            loop {
                line.clear();
                if reader.read_line(&mut line).ok()? == 0 {
                    return None;
                }
                if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                    length = value.trim().parse().ok()?;
                }
                if line == "\r\n" {
                    break;
                }
            }
            body.resize(length, 0);
            reader.read_exact(&mut body).ok()?;
            self.bytes.fetch_add(length as u64, Ordering::Relaxed);
            stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").ok()?;
        }
    }

    /// The URL, with this path.
    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }

    pub(crate) fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }
}

/// CPU milliseconds of a worker for each of `count` snapshots, MiB that it has had at most, and bytes that it has sent for each.
pub(crate) fn cost(
    process: &mut super::worker::Process,
    snapshot: &std::path::Path,
    count: u64,
    bytes: impl Fn() -> u64,
) -> [f64; 3] {
    process.work_off(snapshot, 2);
    let (worker, sent) = (process.worker(), bytes());
    let before = os::cpu(worker);
    process.work_off(snapshot, count);
    let cpu = (os::cpu(worker) - before).as_secs_f64() * 1000.0;
    [cpu / count as f64, os::peak(worker), (bytes() - sent) as f64 / count as f64]
}
