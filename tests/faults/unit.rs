//! A daemon under supervision, as systemd does it with the units in contrib/systemd: restarted whenever it ends
//! (`Restart=always`), except with the code for a refused configuration (`RestartPreventExitStatus=78`). One that
//! cannot start since its directories are away is tried again, as often as it takes.

use crate::harness::{Daemon, SOON, children};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::process::Command;
use std::time::{Duration, Instant};

/// `RestartSec`, shortened.
const RESTART: Duration = Duration::from_millis(100);
/// The configuration is refused: systemd leaves it at that, and a human has to come.
const REFUSED: i32 = 78;
/// Workers die faster than they can be replaced.
const WORKERS_FAIL: i32 = 70;
/// There is no memory left.
const NO_MEMORY: i32 = 71;

/// A supervised daemon.
pub struct Unit {
    name: &'static str,
    command: Box<dyn Fn() -> Command + Send>,
    daemon: Option<Daemon>,
    restart_at: Instant,
    /// An end that a fault has brought about is due.
    excused: bool,
    /// Workers are killed so fast that it may give up.
    giving_up: bool,
    /// It has too little memory, and may end for that.
    lacking_memory: bool,
    /// What should not have happened.
    pub violations: Vec<String>,
    /// What earlier incarnations printed.
    log: String,
    pub restarts: u32,
}

impl Unit {
    /// Starts it.
    pub fn start(name: &'static str, command: impl Fn() -> Command + Send + 'static) -> Self {
        let daemon = Some(Daemon::spawn(command()));
        Self {
            name,
            command: Box::new(command),
            daemon,
            restart_at: Instant::now(),
            excused: false,
            giving_up: false,
            lacking_memory: false,
            violations: Vec::new(),
            log: String::new(),
            restarts: 0,
        }
    }

    /// Waits until it has got over its first start: nothing that is taken away excuses that.
    pub fn wait_until_up(&mut self) {
        if let Some(daemon) = &mut self.daemon {
            daemon.wait_for_output("is running", SOON);
        }
    }

    /// Whether it has got over its present start.
    pub fn is_up(&self) -> bool {
        self.daemon.as_ref().is_some_and(|daemon| daemon.output().contains("is running"))
    }

    /// Takes note of an end, and restarts. To be called every few milliseconds.
    pub fn tick(&mut self) {
        match &mut self.daemon {
            Some(daemon) => {
                if daemon.is_running() {
                    return;
                }
                let status = daemon.wait(Duration::from_secs(1));
                let output = daemon.output();
                let no_directories = status.code() == Some(1) && output.contains("directories cannot be used");
                let gave_up = self.giving_up && status.code() == Some(WORKERS_FAIL);
                let lacked_memory = self.lacking_memory && status.code() == Some(NO_MEMORY);
                let right = std::mem::take(&mut self.excused)
                    || gave_up
                    || lacked_memory
                    || (no_directories && self.restarts > 0);
                if !right {
                    let end = tail(&output, 15);
                    self.violations.push(format!("{} ended by itself with {status}; it said last:\n{end}", self.name));
                }
                if status.code() == Some(REFUSED) {
                    self.violations
                        .push(format!("{} refuses its configuration, systemd would not restart it", self.name));
                }
                self.keep_log(&output);
                self.daemon = None;
                self.restart_at = Instant::now() + RESTART;
            }
            None if Instant::now() >= self.restart_at => {
                self.daemon = Some(Daemon::spawn((self.command)()));
                self.restarts += 1;
            }
            None => {}
        }
    }

    /// The process id, when it runs.
    pub fn pid(&self) -> Option<Pid> {
        self.daemon.as_ref().map(Daemon::pid)
    }

    /// Its children that can be signalled.
    pub fn workers(&self) -> Vec<Pid> {
        self.pid().map(children).unwrap_or_default()
    }

    /// Whether it is right to give up when workers die too fast.
    pub fn may_give_up(&mut self, yes: bool) {
        self.giving_up = yes;
    }

    /// Whether it has too little memory, or may have noticed too late that it has enough again.
    pub fn may_lack_memory(&mut self, yes: bool) {
        self.lacking_memory = yes;
    }

    /// Sends a signal that may end it.
    pub fn end_by(&mut self, signal: Signal) {
        self.excused = true;
        self.signal(signal);
    }

    /// Sends a signal.
    pub fn signal(&self, signal: Signal) {
        if let Some(pid) = self.pid() {
            // It may have ended in this moment.
            let _ = kill(pid, signal);
        }
    }

    /// Ends it for good, in order; what it printed stays.
    pub fn stop(&mut self) {
        let Some(mut daemon) = self.daemon.take() else { return };
        daemon.signal(Signal::SIGTERM);
        let limit = Instant::now() + Duration::from_secs(25);
        while daemon.is_running() && Instant::now() < limit {
            std::thread::sleep(Duration::from_millis(10));
        }
        if daemon.is_running() {
            self.violations.push(format!("{} does not end after SIGTERM", self.name));
        } else {
            let status = daemon.wait(Duration::from_secs(1));
            if !status.success() {
                self.violations.push(format!("{} ended with {status} after SIGTERM", self.name));
            }
        }
        self.keep_log(&daemon.output());
    }

    /// Everything that it has printed, in all incarnations.
    pub fn log(&self) -> String {
        let now = self.daemon.as_ref().map(Daemon::output).unwrap_or_default();
        format!("{}{now}", self.log)
    }

    fn keep_log(&mut self, output: &str) {
        self.log.push_str(output);
        self.log.push_str("----\n");
    }
}

/// What no log may have, wherever the names in it come from: control characters, or a line that begins within a name.
pub fn forged(log: &str) -> Option<&str> {
    let raw = |letter: char| letter.is_control() && letter != '\t';
    log.lines().find(|line| line.contains(raw) || line.starts_with(FORGED))
}

/// A line that the names which scenes make up would begin, if they could.
pub const FORGED: &str = "2001-01-01T00:00:00Z ERROR forged";

/// The last lines of a text.
pub fn tail(text: &str, lines: usize) -> String {
    let all: Vec<&str> = text.lines().collect();
    all[all.len().saturating_sub(lines)..].join("\n")
}
