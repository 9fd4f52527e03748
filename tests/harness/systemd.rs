//! What systemd is to a program that it watches: the socket that it is told at.

use super::{SOON, wait_until};
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// The feed of the watchdog.
const FEED: &str = "WATCHDOG=1";

/// The socket, read all the time as systemd does: few messages fit into it, and a program that sends one more waits.
pub struct Systemd {
    path: PathBuf,
    told: Arc<Mutex<Vec<(Instant, String)>>>,
}

impl Systemd {
    #[track_caller]
    pub fn new(directory: &Path) -> Self {
        let path = directory.join("notify");
        let socket = UnixDatagram::bind(&path).unwrap();
        let told = Arc::<Mutex<Vec<_>>>::default();
        let messages = Arc::clone(&told);
        // The thread ends with the test program.
        std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(length) = socket.recv(&mut buffer) {
                let message = String::from_utf8_lossy(&buffer[..length]).into_owned();
                messages.lock().unwrap().push((Instant::now(), message));
            }
        });
        Self { path, told }
    }

    /// The program is to be watched: `WatchdogSec=` of this length.
    pub fn watch(&self, program: &mut Command, limit: Duration) {
        let limit = limit.as_micros().to_string();
        program.env("NOTIFY_SOCKET", &self.path).env("WATCHDOG_USEC", limit).env_remove("WATCHDOG_PID");
    }

    /// Waits for a message that holds this.
    #[track_caller]
    pub fn wait_for(&self, wanted: &str) {
        wait_until(SOON, wanted, || self.told.lock().unwrap().iter().any(|(_, message)| message.contains(wanted)));
    }

    /// How often the watchdog is fed in this time.
    pub fn feeds(&self, time: Duration) -> usize {
        let begun = Instant::now();
        std::thread::sleep(time);
        let told = self.told.lock().unwrap();
        told.iter().filter(|(at, message)| *at >= begun && message.contains(FEED)).count()
    }
}
