//! What the end of a worker means for the counters, and for the snapshot that it was processing.

use super::supervisor::KillReason;
use crate::exit;
use crate::queue::Blame;
use nix::sys::signal::Signal;
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;

/// How a worker ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Death {
    /// It was told to exit, and did.
    Left,
    /// It exited by itself with this status.
    Exit(i32),
    /// It was ended by a signal that a program causes itself, such as SIGSEGV or SIGABRT.
    Crash(i32),
    /// It was ended by a signal from outside: from an operator, or from the kernel because memory is short, the program's own
    /// pages cannot be read from disk (SIGBUS), or a limit is reached.
    Killed(i32),
    /// It owed an answer for longer than `worker-timeout`, and was killed.
    Hang,
    /// Like `Hang`, but it had been stopped (SIGSTOP), or was waiting for a disk.
    Stopped,
    /// It could not even be started.
    NotStarted,
}

/// What the parent knows about the end of a worker.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Circumstances {
    /// Why the parent killed it, if it did.
    pub killed: Option<KillReason>,
    /// Whether it was stopped, or waited for a disk, when the parent killed it.
    pub stopped: bool,
    /// Whether it had been told to exit.
    pub told_to_leave: bool,
}

/// Classifies an end.
#[must_use]
pub(crate) fn classify(status: ExitStatus, known: Circumstances) -> Death {
    match (known.killed, status.signal()) {
        (Some(KillReason::Hang), _) if known.stopped => Death::Stopped,
        (Some(KillReason::Hang), _) => Death::Hang,
        (Some(KillReason::Grace), _) => Death::Left,
        (None, None) if known.told_to_leave && status.success() => Death::Left,
        (None, None) => Death::Exit(status.code().unwrap_or_default()),
        (None, Some(signal)) if is_own_fault(signal) => Death::Crash(signal),
        (None, Some(signal)) => Death::Killed(signal),
    }
}

fn is_own_fault(signal: i32) -> bool {
    use Signal::{SIGABRT, SIGFPE, SIGILL, SIGSEGV, SIGTRAP};
    let own = [SIGABRT, SIGFPE, SIGILL, SIGSEGV, SIGTRAP];
    Signal::try_from(signal).is_ok_and(|signal| own.contains(&signal))
}

impl Death {
    /// Whether the snapshot that was being processed is to blame.
    #[must_use]
    pub(crate) fn blame(self) -> Blame {
        match self {
            Self::Left | Self::Stopped | Self::NotStarted => Blame::None,
            Self::Killed(_) => Blame::Outside,
            Self::Exit(code) if code == i32::from(exit::SYSTEM) => Blame::Outside,
            Self::Exit(_) | Self::Crash(_) | Self::Hang => Blame::Snapshot,
        }
    }

    /// A description for the log.
    #[must_use]
    pub(crate) fn words(self) -> String {
        let name = |signal| Signal::try_from(signal).map_or_else(|_| format!("signal {signal}"), |s| s.to_string());
        match self {
            Self::Left => "exited as requested".to_owned(),
            Self::Exit(code) if code == i32::from(exit::SYSTEM) => {
                "exited for lack of memory or another resource".to_owned()
            }
            Self::Exit(code) => format!("exited with status {code}"),
            Self::Crash(signal) => format!("crashed ({})", name(signal)),
            Self::Killed(signal) => format!("was killed from outside ({})", name(signal)),
            Self::Hang => "did not respond and was killed".to_owned(),
            Self::Stopped => "was stopped or waiting for a disk, did not respond, and was killed".to_owned(),
            Self::NotStarted => "could not be started".to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KNOWN: Circumstances = Circumstances { killed: None, stopped: false, told_to_leave: false };

    fn signal(number: Signal) -> ExitStatus {
        ExitStatus::from_raw(number as i32)
    }

    fn ended(code: i32) -> ExitStatus {
        ExitStatus::from_raw(code << 8)
    }

    #[test]
    fn a_crash_is_the_snapshots_and_a_kill_perhaps() {
        assert_eq!(classify(signal(Signal::SIGABRT), KNOWN).blame(), Blame::Snapshot);
        assert_eq!(classify(signal(Signal::SIGSEGV), KNOWN).blame(), Blame::Snapshot);
        assert_eq!(classify(ended(101), KNOWN), Death::Exit(101));
        assert_eq!(classify(ended(101), KNOWN).blame(), Blame::Snapshot);
        assert_eq!(classify(signal(Signal::SIGKILL), KNOWN), Death::Killed(9));
        assert_eq!(classify(signal(Signal::SIGKILL), KNOWN).blame(), Blame::Outside);
        // The snapshot is not to blame for an unreadable page of the program, or for a limit.
        for system in [Signal::SIGBUS, Signal::SIGXCPU, Signal::SIGXFSZ, Signal::SIGSYS] {
            assert_eq!(classify(signal(system), KNOWN).blame(), Blame::Outside, "{system}");
        }
        assert_eq!(classify(ended(i32::from(exit::SYSTEM)), KNOWN).blame(), Blame::Outside);
    }

    #[test]
    fn a_hang_is_the_snapshots_unless_somebody_stopped_the_worker() {
        let hang = Circumstances { killed: Some(KillReason::Hang), ..KNOWN };
        assert_eq!(classify(signal(Signal::SIGKILL), hang), Death::Hang);
        let stopped = Circumstances { stopped: true, ..hang };
        assert_eq!(classify(signal(Signal::SIGKILL), stopped).blame(), Blame::None);
    }

    #[test]
    fn leaving_as_told_is_nobodys_fault() {
        let told = Circumstances { told_to_leave: true, ..KNOWN };
        assert_eq!(classify(ended(0), told), Death::Left);
        assert_eq!(classify(ended(1), told), Death::Exit(1));
        assert_eq!(classify(ended(0), KNOWN), Death::Exit(0));
        let late = Circumstances { killed: Some(KillReason::Grace), ..told };
        assert_eq!(classify(signal(Signal::SIGKILL), late), Death::Left);
    }
}
