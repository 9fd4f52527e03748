//! Stop, reload and watchdog: what happens during any work.

use crate::daemon::signals::{Signals, Told};
use crate::daemon::systemd;
use std::io;
use std::pin::pin;
use std::time::Duration;
use tokio::time::{Instant, Interval, MissedTickBehavior, interval};

/// The signals that end the program or reload its configuration, and systemd's watchdog.
pub(super) struct Stop {
    signals: Signals,
    watchdog: Option<Interval>,
}

/// What comes after some work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Next {
    /// What comes anyway.
    GoOn,
    /// A reload of the configuration; then what comes anyway.
    Reload,
    /// The end.
    End,
}

/// How long a pull that is under way may take after a signal.
#[derive(Debug, Clone, Copy)]
pub(super) struct Grace {
    /// Before the end.
    pub(super) end: Duration,
    /// Before a reload; `None`: it has a limit of its own.
    pub(super) reload: Option<Duration>,
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

    /// Waits so long, unless a signal comes first.
    ///
    /// The watchdog is fed from here, between two steps of the work: it starves when a step does not return, as a
    /// write to a dead disk does.
    pub(super) async fn wait(&mut self, time: Duration) -> Next {
        let mut end = pin!(tokio::time::sleep(time));
        loop {
            let told = tokio::select! {
                biased;
                told = self.signals.next() => told,
                () = feed(&mut self.watchdog) => continue,
                () = &mut end => return Next::GoOn,
            };
            if told == Told::Hangup {
                return Next::Reload;
            }
            tracing::info!(signal = %told, "haproxystats-pull is stopping");
            return Next::End;
        }
    }

    /// Does `work`, which the first signal leaves its grace to end.
    pub(super) async fn after(&mut self, work: impl Future<Output = ()>, grace: Grace) -> Next {
        let mut work = pin!(work);
        let mut next = Next::GoOn;
        let mut end = None;
        loop {
            let told = tokio::select! {
                biased;
                told = self.signals.next() => told,
                () = feed(&mut self.watchdog) => continue,
                () = &mut work => return next,
                () = until(end) => {
                    tracing::warn!("the pull is aborted: it did not finish in time");
                    return next;
                }
            };
            match (next, told) {
                (Next::GoOn, Told::Hangup) => {
                    tracing::info!("SIGHUP: reading the configuration again after this pull");
                    next = Next::Reload;
                    end = grace.reload.map(|grace| Instant::now() + grace);
                }
                // Of a reload one is enough, and at the end none is of use.
                (_, Told::Hangup) => {}
                (Next::End, _) => {
                    tracing::warn!(signal = %told, "the pull is aborted: second signal");
                    return Next::End;
                }
                _ => {
                    tracing::info!(signal = %told, "haproxystats-pull is stopping after this pull");
                    next = Next::End;
                    end = Some(Instant::now() + grace.end);
                }
            }
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
