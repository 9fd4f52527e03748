//! Messages to systemd (sd_notify): silent where `NOTIFY_SOCKET` is not set.

use sd_notify::NotifyState;
use std::time::Duration;

fn notify(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::debug!(%error, "cannot notify systemd");
    }
}

/// Start-up or a reload is complete.
pub fn ready() {
    notify(&[NotifyState::Ready]);
}

/// The configuration is being read again; [`ready`] ends that, whatever came of it.
pub fn reloading() {
    // systemd holds it against the moment at which it asked.
    let now = NotifyState::monotonic_usec_now().ok();
    let states: Vec<NotifyState<'_>> = std::iter::once(NotifyState::Reloading).chain(now).collect();
    notify(&states);
}

/// The program is on its way out.
pub fn stopping() {
    notify(&[NotifyState::Stopping]);
}

/// The main loop makes progress. Call it from that loop only: a watchdog fed by a timer proves nothing.
pub fn watchdog() {
    notify(&[NotifyState::Watchdog]);
}

/// One line for `systemctl status`.
pub fn status(line: &str) {
    notify(&[NotifyState::Status(line)]);
}

/// `WatchdogSec=`, the time after which systemd takes the program for dead; `None` without a watchdog.
#[must_use]
pub(crate) fn watchdog_limit() -> Option<Duration> {
    sd_notify::watchdog_enabled()
}

/// Half of `WatchdogSec=`, the rhythm in which [`watchdog`] should be called; `None` without a watchdog.
#[must_use]
pub(crate) fn watchdog_interval() -> Option<Duration> {
    watchdog_limit().map(|limit| limit / 2)
}
