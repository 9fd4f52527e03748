//! A Graphite that throws away what it gets, as cheaply as the kernel can, and knows when the last byte came.

use nix::sys::socket::{MsgFlags, recv};
use std::net::{TcpListener, TcpStream};
use std::os::fd::AsRawFd;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

#[derive(Debug, Clone)]
pub(crate) struct Sink {
    port: u16,
    bytes: Arc<AtomicU64>,
    last: Arc<Mutex<Instant>>,
}

impl Sink {
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let sink = Self { port, bytes: Arc::default(), last: Arc::new(Mutex::new(Instant::now())) };
        let shared = sink.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let shared = shared.clone();
                std::thread::spawn(move || shared.drop_all(&stream));
            }
        });
        sink
    }

    fn drop_all(&self, stream: &TcpStream) {
        let mut buffer = vec![0; 1 << 20];
        // MSG_TRUNC: TCP drops the bytes without copying them (tcp(7)).
        while let Ok(count @ 1..) = recv(stream.as_raw_fd(), &mut buffer, MsgFlags::MSG_TRUNC) {
            self.bytes.fetch_add(count as u64, Ordering::Relaxed);
            *self.last.lock().unwrap() = Instant::now();
        }
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    pub(crate) fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    pub(crate) fn last(&self) -> Instant {
        *self.last.lock().unwrap()
    }

    /// Waits until so many bytes have come since the start; returns when the last came.
    pub(crate) fn wait(&self, bytes: u64, limit: Duration) -> Instant {
        super::os::wait("bytes at the sink", limit, || self.bytes() >= bytes);
        self.last()
    }
}
