//! The end of the program, and the watchdog: what goes on beside any work.

use crate::daemon::signals::Signals;
use crate::daemon::systemd;
use std::io;
use std::pin::pin;
use std::time::Duration;
use tokio::time::{Instant, Interval, MissedTickBehavior, interval};

/// The signals that end the program, and systemd's watchdog.
pub(super) struct Stop {
    signals: Signals,
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
        Ok(Self { signals: Signals::listen()?, watchdog })
    }

    /// Does `work`, unless a signal comes first: then the work is dropped where it stands, and `None` is returned.
    ///
    /// The watchdog is fed from here, between two steps of the work: it starves when a step does not return, as a
    /// write to a dead disk does.
    pub(super) async fn or<F: Future>(&mut self, work: F) -> Option<F::Output> {
        let mut work = pin!(work);
        loop {
            let told = tokio::select! {
                biased;
                told = self.signals.next() => told,
                () = feed(&mut self.watchdog) => continue,
                done = &mut work => return Some(done),
            };
            tracing::info!(signal = %told, "haproxystats-pull stops");
            return None;
        }
    }

    /// As [`Stop::or`], but the first signal leaves the work `grace` to end. Whether the program is to go on.
    pub(super) async fn after(&mut self, work: impl Future<Output = ()>, grace: Duration) -> bool {
        let mut work = pin!(work);
        let mut signalled = None;
        loop {
            let end = signalled.map(|at: Instant| at + grace);
            let told = tokio::select! {
                biased;
                told = self.signals.next() => told,
                () = feed(&mut self.watchdog) => continue,
                () = &mut work => return signalled.is_none(),
                () = until(end) => {
                    tracing::warn!(seconds = grace.as_secs_f64(), "the pull is aborted: it did not finish in time");
                    return false;
                }
            };
            if signalled.is_some() {
                tracing::warn!(signal = %told, "the pull is aborted: second signal");
                return false;
            }
            tracing::info!(signal = %told, "haproxystats-pull stops when this pull has ended");
            signalled = Some(Instant::now());
        }
    }
}

async fn until(end: Option<Instant>) {
    match end {
        Some(end) => tokio::time::sleep_until(end).await,
        None => std::future::pending().await,
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
