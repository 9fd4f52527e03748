//! The signals of a daemon: those that tell it to stop, and those that mean nothing to it, but would end it.
//!
//! The latter get a handler that does nothing rather than being ignored: what is ignored stays ignored in programs that are
//! executed later, such as the commands of checks, and a command may well need its SIGALRM.
//!
//! SIGQUIT is left alone: it ends a program with a core dump, which shows what it is doing. So are the signals
//! for faults of the program itself, and those that stop it.

use nix::sys::signal::{SigSet, Signal as Number};
use std::fmt;
use std::io;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// A signal that has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Told {
    /// SIGTERM.
    Terminate,
    /// SIGINT.
    Interrupt,
    /// SIGHUP.
    Hangup,
}

impl fmt::Display for Told {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Terminate => "SIGTERM",
            Self::Interrupt => "SIGINT",
            Self::Hangup => "SIGHUP",
        })
    }
}

/// SIGTERM, SIGINT and SIGHUP of this process.
#[derive(Debug)]
pub struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
}

impl Signals {
    /// Takes over the signals, and survives those that mean nothing. To be called on a tokio runtime.
    ///
    /// # Errors
    /// The system refuses a handler.
    pub fn listen() -> io::Result<Self> {
        outlive_meaningless()?;
        let signals = Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hangup: signal(SignalKind::hangup())?,
        };
        // What was held back is delivered now, to us.
        let _ = hangup().thread_unblock();
        Ok(signals)
    }

    /// The next one. Nothing is lost when it is not waited for to the end.
    pub async fn next(&mut self) -> Told {
        tokio::select! {
            biased;
            _ = self.terminate.recv() => Told::Terminate,
            _ = self.interrupt.recv() => Told::Interrupt,
            _ = self.hangup.recv() => Told::Hangup,
        }
    }
}

/// Holds SIGHUP back until [`Signals::listen`]: a reload that is asked for before the program can do it waits until it can.
pub(crate) fn hold_hangup() {
    let _ = hangup().thread_block();
}

/// Undoes [`hold_hangup`], for what ends by itself and reloads nothing.
pub(crate) fn release_hangup() {
    let _ = hangup().thread_unblock();
}

fn hangup() -> SigSet {
    [Number::SIGHUP].into_iter().collect()
}

/// Signals without a meaning here. SIGXFSZ is among them, so that a write beyond a limit for the size of files fails like any
/// other instead of ending the program.
const MEANINGLESS: [i32; 9] = [
    libc::SIGUSR1,
    libc::SIGUSR2,
    libc::SIGALRM,
    libc::SIGVTALRM,
    libc::SIGPROF,
    libc::SIGIO,
    libc::SIGPWR,
    libc::SIGSTKFLT,
    libc::SIGXFSZ,
];

/// Ignores them for the time until [`Signals::listen`] can be called: reading a configuration takes longer than the sender may wait
/// with a signal. To be called first of all, by programs that execute no others before that.
pub(crate) fn ignore_meaningless() {
    for number in MEANINGLESS.into_iter().chain(libc::SIGRTMIN()..=libc::SIGRTMAX()) {
        // SAFETY: no handler is installed that could run at a bad moment; one that the system refuses is not there.
        unsafe {
            libc::signal(number, libc::SIG_IGN);
        }
    }
}

/// Makes this process, until its end, survive signals that mean nothing to it, those for real time included. To be called on
/// a tokio runtime.
///
/// # Errors
/// The system refuses a handler.
pub(crate) fn outlive_meaningless() -> io::Result<()> {
    for number in MEANINGLESS.into_iter().chain(libc::SIGRTMIN()..=libc::SIGRTMAX()) {
        // The handler stays when its stream is dropped.
        drop(signal(SignalKind::from_raw(number))?);
    }
    Ok(())
}
