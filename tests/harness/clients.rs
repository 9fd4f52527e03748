//! Those who read a page of metrics: the scraper, and twenty who are slow.

use super::prometheus::exchange;
use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

const REQUEST: &str = "GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n";

/// More than there are places.
const SLOW: usize = 20;

/// Whether the page is there.
pub fn answers(port: u16) -> bool {
    exchange(port, REQUEST).is_some_and(|reply| reply.starts_with("HTTP/1.1 200 "))
}

/// The value of a sample; `None` where there is no page, or no such sample on it.
pub fn sample(port: u16, key: &str) -> Option<f64> {
    let reply = exchange(port, REQUEST)?;
    reply.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(' ')?.trim().parse().ok())
}

/// How many of so many scrapes are not answered while slow clients come again and again.
pub fn unanswered(port: u16, scrapes: usize) -> usize {
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for client in 0..SLOW {
            let done = &done;
            scope.spawn(move || {
                while !done.load(Ordering::Relaxed) {
                    linger(port, client, done);
                }
            });
        }
        let unanswered = (0..scrapes)
            .filter(|_| {
                std::thread::sleep(Duration::from_millis(100));
                !answers(port)
            })
            .count();
        done.store(true, Ordering::Relaxed);
        unanswered
    })
}

/// Some say nothing, some half a request, some ask and do not read; each stays until it is closed.
fn linger(port: u16, client: usize, done: &AtomicBool) {
    let words: &[u8] = [&b""[..], b"GET /metrics HTTP/1.1\r\n", REQUEST.as_bytes()][client % 3];
    if let Ok(mut stream) = TcpStream::connect(("127.0.0.1", port)) {
        let _ = stream.write_all(words);
        let _ = stream.set_read_timeout(Some(Duration::from_millis(200)));
        let mut byte = [0];
        while !done.load(Ordering::Relaxed) && client % 3 != 2 {
            match stream.read(&mut byte) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                _ => break,
            }
        }
    }
    std::thread::sleep(Duration::from_millis(50));
}
