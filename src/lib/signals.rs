//! Signals that mean nothing to these programs, but would end them.
//!
//! They get a handler that does nothing rather than being ignored: what is ignored stays ignored in programs that are
//! executed later, such as the commands of checks, and a command may well need its SIGALRM.
//!
//! SIGQUIT is left alone: it ends a program with a core dump, for whoever wants to know what it is doing. So are the signals
//! for faults of the program itself, and those that stop it.

use std::io;
use tokio::signal::unix::{SignalKind, signal};

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

/// Ignores them for the time until [`outlive_meaningless`] can be called: reading a configuration takes longer than somebody may wait
/// with a signal. To be called first of all, by programs that execute no others before that.
pub fn ignore_meaningless() {
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
pub fn outlive_meaningless() -> io::Result<()> {
    for number in MEANINGLESS.into_iter().chain(libc::SIGRTMIN()..=libc::SIGRTMAX()) {
        // The handler stays when its stream is dropped.
        drop(signal(SignalKind::from_raw(number))?);
    }
    Ok(())
}
