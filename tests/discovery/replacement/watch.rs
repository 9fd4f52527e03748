//! What HAProxy has, seen every 100 ms.

use super::farm::Farm;
use crate::harness::haproxy::ask;
use std::collections::HashSet;
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

pub struct Watch {
    stopped: Arc<AtomicBool>,
    /// Time, and how many served then.
    seen: Arc<Mutex<Vec<(Duration, usize)>>>,
    thread: Option<JoinHandle<()>>,
}

/// Addresses of the servers of the backend `web` that are given requests: ready, up, with a weight.
pub fn serving(socket: &std::path::Path) -> Option<Vec<std::net::IpAddr>> {
    let reply = ask(socket, "show servers state web")?;
    let rows = reply.lines().skip(2).filter(|line| !line.is_empty());
    let rows = rows.filter_map(|line| {
        let cells: Vec<&str> = line.split(' ').collect();
        let number = |at: usize| cells.get(at)?.parse::<u32>().ok();
        let (operation, admin, weight) = (number(5)?, number(6)?, number(7)?);
        (operation != 0 && admin & (1 | 8) == 0 && weight > 0).then(|| cells[4].parse().ok()).flatten()
    });
    Some(rows.collect())
}

impl Watch {
    pub fn start(socket: PathBuf, farm: Arc<Farm>) -> Self {
        let (stopped, seen) = (Arc::new(AtomicBool::new(false)), Arc::new(Mutex::new(Vec::new())));
        let (stop, samples) = (Arc::clone(&stopped), Arc::clone(&seen));
        let thread = std::thread::spawn(move || {
            let began = Instant::now();
            while !stop.load(Ordering::SeqCst) {
                let started = Instant::now();
                if let Some(servers) = serving(&socket) {
                    // Each once, in however many slots it is.
                    let alive: HashSet<IpAddr> =
                        servers.into_iter().filter(|address| farm.is_alive(*address)).collect();
                    samples.lock().unwrap().push((began.elapsed(), alive.len()));
                }
                std::thread::sleep(Duration::from_millis(100).saturating_sub(started.elapsed()));
            }
        });
        Self { stopped, seen, thread: Some(thread) }
    }

    /// The fewest that served, and when.
    pub fn least(&self) -> (usize, Duration) {
        let seen = self.seen.lock().unwrap();
        let least = seen.iter().min_by_key(|(_, count)| *count).expect("something was seen");
        (least.1, least.0)
    }

    /// How many served at a time, where that changed.
    pub fn course(&self) -> String {
        let seen = self.seen.lock().unwrap();
        let mut text = String::new();
        let mut before = None;
        for (at, count) in &*seen {
            if before.replace(*count) != Some(*count) {
                text.push_str(&format!("{:.1}s:{count} ", at.as_secs_f64()));
            }
        }
        text
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.stopped.store(true, Ordering::SeqCst);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
