//! Notifications to systemd while the daemon runs. Only the main loop sends them: a watchdog that is fed by a timer proves
//! nothing.

use crate::daemon::systemd;
use std::time::{Duration, Instant};

/// Minimum time between two status lines.
const STATUS_EVERY: Duration = Duration::from_secs(1);

/// Sends the status line and watchdog notifications.
#[derive(Debug)]
pub(crate) struct Heartbeat {
    watchdog: Option<Duration>,
    next_watchdog: Instant,
    next_status: Instant,
    status: String,
}

impl Heartbeat {
    /// Nothing has been sent so far.
    #[must_use]
    pub(crate) fn new(now: Instant) -> Self {
        Self { watchdog: systemd::watchdog_interval(), next_watchdog: now, next_status: now, status: String::new() }
    }

    /// Must be called in each turn of the main loop; returns when the next turn has to happen at the latest.
    pub(crate) fn tell(&mut self, now: Instant, status: impl FnOnce() -> String) -> Instant {
        if now >= self.next_status {
            self.next_status = now + STATUS_EVERY;
            let status = status();
            if status != self.status {
                systemd::status(&status);
                self.status = status;
            }
        }
        let Some(interval) = self.watchdog else { return now + Duration::from_secs(3600) };
        if now >= self.next_watchdog {
            systemd::watchdog();
            self.next_watchdog = now + interval;
        }
        self.next_watchdog
    }
}
