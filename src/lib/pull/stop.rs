//! The end of the program, and the watchdog: what goes on beside any work.

use crate::systemd;
use std::io;
use std::pin::pin;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::{Interval, MissedTickBehavior, interval};

/// The signals that end the program, and systemd's watchdog.
pub(super) struct Stop {
    term: Signal,
    int: Signal,
    hup: Signal,
    watchdog: Option<Interval>,
}

impl Stop {
    /// Takes over the signals.
    pub(super) fn listen() -> io::Result<Self> {
        let watchdog = systemd::watchdog_interval().map(|period| {
            let mut interval = interval(period);
            interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
            interval
        });
        Ok(Self {
            term: signal(SignalKind::terminate())?,
            int: signal(SignalKind::interrupt())?,
            hup: signal(SignalKind::hangup())?,
            watchdog,
        })
    }

    /// Does `work`, unless a signal comes first: then the work is dropped where it stands, and `None` is returned.
    ///
    /// The watchdog is fed from here, between two steps of the work: it starves when a step does not return, as a
    /// write to a dead disk does.
    pub(super) async fn or<F: Future>(&mut self, work: F) -> Option<F::Output> {
        let mut work = pin!(work);
        loop {
            let name = tokio::select! {
                biased;
                _ = self.term.recv() => "SIGTERM",
                _ = self.int.recv() => "SIGINT",
                _ = self.hup.recv() => "SIGHUP",
                () = feed(&mut self.watchdog) => continue,
                done = &mut work => return Some(done),
            };
            tracing::info!(signal = name, "haproxystats-pull stops");
            return None;
        }
    }
}

async fn feed(watchdog: &mut Option<Interval>) {
    match watchdog {
        Some(interval) => {
            interval.tick().await;
            systemd::watchdog();
        }
        None => std::future::pending().await,
    }
}
