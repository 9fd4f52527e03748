//! Reloads of a real HAProxy.

use super::{Daemon, SOON, poll};
use nix::sys::signal::Signal;
use nix::unistd::Pid;

/// Has HAProxy reload by a signal to its master; `replaced` says whether another worker answers. The signal is only sent once
/// the master has a handler for it again: while it still carries out the last reload, it ignores the signal. Sent
/// again after a long time, if that did not help.
#[track_caller]
pub fn reload_haproxy(master: &Daemon, mut replaced: impl FnMut() -> bool) {
    for _ in 0..3 {
        poll(SOON / 3, || catches(master.pid(), Signal::SIGUSR2).then_some(()));
        master.signal(Signal::SIGUSR2);
        if poll(SOON / 3, || replaced().then_some(())).is_some() {
            return;
        }
    }
    panic!("waited {SOON:?} in vain for another worker of HAProxy");
}

/// Whether a process has a handler for this signal, and does not block it.
fn catches(process: Pid, signal: Signal) -> bool {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
    let has = |name: &str| {
        let mask = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok())
            .is_some_and(|mask| mask >> (signal as u32 - 1) & 1 == 1)
    };
    has("SigCgt") && !has("SigBlk")
}
