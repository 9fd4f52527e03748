//! haproxystats-run: haproxystats-pull and haproxystats-process under one supervisor, for containers, where there is no systemd.
//!
//! Each of them is started again when it ends, unless its configuration is refused: then all of it ends with that exit code, as
//! systemd would leave it. Signals are passed on. As process 1 of a container it also takes leave of whatever has lost its parent.
//!
//! A command line that starts no daemon, such as `--check` or `--version`, is executed by both of them once.

use crate::cli;
use crate::config::{LogLevel, Program};
use crate::daemon::signals::{self, Signals, Told};
use crate::exit;
use crate::logging::{self, Output, Settings};
use nix::errno::Errno;
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;
use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::Duration;
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::{Instant, sleep_until};

/// Pauses before a program is started again, and how long it has to have run for the next pause to be the first again.
const PAUSES: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(30));
const HEALTHY: Duration = Duration::from_secs(60);
/// Where the first haproxystats looked for its configuration in a container.
const OLDER: &str = "/etc/haproxystats/haproxystats.conf";

const PROGRAMS: [Program; 2] = [Program::Pull, Program::Process];

/// One of the programs.
struct Charge {
    name: &'static str,
    pid: Option<Pid>,
    started: Instant,
    pause: Duration,
    again: Instant,
}

/// The whole program; its words are those of both programs.
#[must_use]
pub fn main() -> ExitCode {
    logging::init(Settings { level: LogLevel::Info, format: None }, Output::Stdout);
    let words = words();
    if !PROGRAMS.iter().all(|program| cli::daemon_configuration(*program, words.iter().cloned()).is_some()) {
        return ExitCode::from(once(&words));
    }
    signals::ignore_meaningless();
    signals::hold_hangup();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    match runtime.and_then(|runtime| runtime.block_on(supervise(&words))) {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            tracing::error!(%error, "haproxystats-run failed");
            ExitCode::from(exit::SYSTEM)
        }
    }
}

/// The words for both programs: the own ones, or the file where it used to be, if it is there.
fn words() -> Vec<OsString> {
    let words: Vec<OsString> = std::env::args_os().skip(1).collect();
    if words.is_empty() && Path::new(OLDER).exists() { vec!["-f".into(), OLDER.into()] } else { words }
}

/// Has each program execute these words; the first exit code that is not 0.
fn once(words: &[OsString]) -> u8 {
    let codes = PROGRAMS.map(|program| match Command::new(beside(program.name())).args(words).status() {
        Ok(status) => status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(exit::SYSTEM),
        Err(error) => {
            tracing::error!(program = program.name(), %error, "cannot be started");
            exit::SYSTEM
        }
    });
    codes.into_iter().find(|code| *code != exit::OK).unwrap_or(exit::OK)
}

async fn supervise(words: &[OsString]) -> io::Result<u8> {
    let mut signals = Signals::listen()?;
    let mut child = signal(SignalKind::child())?;
    let now = Instant::now();
    let charge =
        |program: Program| Charge { name: program.name(), pid: None, started: now, pause: PAUSES.0, again: now };
    let mut charges = PROGRAMS.map(charge);
    let (mut leaving, mut code) = (false, exit::OK);
    loop {
        if !leaving {
            charges.iter_mut().for_each(|charge| charge.start_if_due(words));
        } else if charges.iter().all(|charge| charge.pid.is_none()) {
            return Ok(code);
        }
        let next = charges.iter().filter(|charge| charge.pid.is_none()).map(|charge| charge.again).min();
        tokio::select! {
            told = signals.next() => {
                let number = match told {
                    Told::Hangup => Signal::SIGHUP,
                    Told::Interrupt => Signal::SIGINT,
                    Told::Terminate => Signal::SIGTERM,
                };
                leaving |= told != Told::Hangup;
                charges.iter().for_each(|charge| charge.tell(number));
            }
            _ = child.recv() => {
                if let Some(refused) = reap(&mut charges, leaving) {
                    (leaving, code) = (true, refused);
                    charges.iter().for_each(|charge| charge.tell(Signal::SIGTERM));
                }
            }
            () = sleep_until(next.unwrap_or(now)), if next.is_some() && !leaving => {}
        }
    }
}

impl Charge {
    fn start_if_due(&mut self, words: &[OsString]) {
        let now = Instant::now();
        if self.pid.is_some() || self.again > now {
            return;
        }
        match Command::new(beside(self.name)).args(words).spawn() {
            Ok(child) => {
                self.pid = i32::try_from(child.id()).ok().map(Pid::from_raw);
                self.started = now;
                tracing::info!(program = self.name, pid = child.id(), "started");
            }
            Err(error) => {
                tracing::error!(program = self.name, %error, "cannot be started");
                self.ended();
            }
        }
    }

    /// It is not there (any more): when it is started again.
    fn ended(&mut self) {
        self.pid = None;
        if self.started.elapsed() >= HEALTHY {
            self.pause = PAUSES.0;
        }
        self.again = Instant::now() + self.pause;
        self.pause = (self.pause * 2).min(PAUSES.1);
    }

    fn tell(&self, number: Signal) {
        if let Some(pid) = self.pid {
            // It may have ended a moment ago.
            let _ = kill(pid, number);
        }
    }
}

/// A program of the same directory, or of the path.
fn beside(name: &str) -> PathBuf {
    let own = std::env::current_exe().ok().and_then(|own| Some(own.parent()?.join(name)));
    own.filter(|path| path.exists()).unwrap_or_else(|| name.into())
}

/// Takes note of all that have ended; the exit code of one whose configuration is refused.
fn reap(charges: &mut [Charge], leaving: bool) -> Option<u8> {
    let mut refused = None;
    loop {
        let (pid, code) = match waitpid(Pid::from_raw(-1), Some(WaitPidFlag::WNOHANG)) {
            Ok(WaitStatus::Exited(pid, code)) => (pid, Some(code)),
            Ok(WaitStatus::Signaled(pid, ..)) => (pid, None),
            Ok(WaitStatus::StillAlive) | Err(Errno::ECHILD) => return refused,
            Ok(_) | Err(Errno::EINTR) => continue,
            Err(_) => return refused,
        };
        // Others are orphans of the container.
        let Some(charge) = charges.iter_mut().find(|charge| charge.pid == Some(pid)) else { continue };
        charge.ended();
        let (program, words) =
            (charge.name, code.map_or_else(|| "a signal".to_owned(), |code| format!("status {code}")));
        if code == Some(exit::CONFIG.into()) || code == Some(exit::USAGE.into()) && charge.started.elapsed() < PAUSES.0
        {
            tracing::error!(
                program,
                status = words,
                "exited because its configuration is refused; it is not restarted"
            );
            refused = refused.or(Some(exit::CONFIG));
        } else if leaving {
            tracing::info!(program, status = words, "ended");
        } else {
            tracing::warn!(program, status = words, "ended; restarting it");
        }
    }
}
