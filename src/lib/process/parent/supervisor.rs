//! Decides when to start, ping and kill workers, and when to give up. It uses neither processes nor a clock: the caller reports
//! what happened, and performs what [`Supervisor::step`] returns.

use crate::looked::Moment;
use crate::queue::Slot;
use std::collections::VecDeque;
use std::time::Duration;

/// Pause before a worker is replaced, doubled for each further death in a row in the same slot.
pub(crate) const BACKOFF_MIN: Duration = Duration::from_millis(100);
/// Longest pause before a worker is replaced.
pub(crate) const BACKOFF_MAX: Duration = Duration::from_secs(5);
/// After a worker has lived this long, its death starts a new row.
pub(crate) const HEALTHY_AFTER: Duration = Duration::from_secs(10);
/// The parent gives up if this many deaths per worker of the pool...
pub(crate) const DEATHS_PER_WORKER: usize = 10;
/// ...happen within this time, while no worker processed a single snapshot.
pub(crate) const DEATH_WINDOW: Duration = Duration::from_secs(60);
/// A worker that has not answered for this long is considered silent; an idle one answers much faster.
const SILENT: Duration = Duration::from_secs(2);
/// After the grace period, workers have this long to exit by themselves.
const DRAIN_SLACK: Duration = Duration::from_secs(1);

/// The configuration of the pool.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Policy {
    /// Number of workers.
    pub workers: usize,
    /// `liveness-check-interval`
    pub ask_every: Duration,
    /// `worker-timeout`: a worker that owes an answer and is silent for this long is killed.
    pub patience: Duration,
}

/// Something for the caller to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Action {
    /// Start a worker in this slot; then call [`Supervisor::spawned`] or [`Supervisor::not_started`].
    Spawn(Slot),
    /// Ping this worker; then call [`Supervisor::pinged`].
    Ping(Slot),
    /// Kill this worker; then call [`Supervisor::killed`], and [`Supervisor::died`] when it is gone.
    Kill(Slot, KillReason),
    /// Workers keep dying before they process anything. Exit with [`crate::exit::WORKERS_FAIL`].
    GiveUp,
    /// All workers have exited, as requested.
    Finished,
}

/// Why a worker is killed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum KillReason {
    /// It has owed an answer for longer than `worker-timeout`.
    Hang,
    /// The grace period is over.
    Grace,
}

#[derive(Debug, Clone, Copy)]
enum State {
    Empty { not_before: Moment },
    Alive(Alive),
    Dying,
}

#[derive(Debug, Clone, Copy)]
struct Alive {
    since: Moment,
    /// Number of answers that the worker owes.
    owes: u32,
    /// The last message from the worker, or the first request after that.
    quiet_since: Moment,
    asked_at: Moment,
    ping_open: bool,
    /// When the worker has to exit, because it is being replaced.
    leave_by: Option<Moment>,
}

#[derive(Debug, Clone, Copy)]
struct Place {
    state: State,
    deaths_in_a_row: u32,
}

/// The state of the pool.
#[derive(Debug)]
pub(crate) struct Supervisor {
    policy: Policy,
    places: Vec<Place>,
    /// Deaths since the last progress, within [`DEATH_WINDOW`].
    deaths: VecDeque<Moment>,
    leave_by: Option<Moment>,
}

impl Supervisor {
    /// A pool without any worker yet.
    #[must_use]
    pub(crate) fn new(policy: Policy, now: Moment) -> Self {
        let place = Place { state: State::Empty { not_before: now }, deaths_in_a_row: 0 };
        Self { policy, places: vec![place; policy.workers], deaths: VecDeque::new(), leave_by: None }
    }

    /// What to do now, and when to call this again at the latest.
    #[must_use]
    pub(crate) fn step(&self, now: Moment) -> (Vec<Action>, Moment) {
        let recent = self.deaths.iter().filter(|death| now.since(**death) < DEATH_WINDOW).count();
        if self.leave_by.is_none() && recent >= DEATHS_PER_WORKER * self.policy.workers {
            return (vec![Action::GiveUp], now + DEATH_WINDOW);
        }
        if self.leave_by.is_some() && self.places.iter().all(|place| matches!(place.state, State::Empty { .. })) {
            return (vec![Action::Finished], now + DEATH_WINDOW);
        }
        let mut actions = Vec::new();
        let mut wake = now + DEATH_WINDOW;
        let mut due = |at: Moment| {
            wake = wake.min(at.max(now));
            at <= now
        };
        for (index, place) in self.places.iter().enumerate() {
            let slot = Slot(index);
            match (place.state, self.leave_by) {
                (State::Empty { not_before }, None) if index < self.policy.workers && due(not_before) => {
                    actions.push(Action::Spawn(slot));
                }
                (State::Alive(_), Some(leave_by)) if due(leave_by + DRAIN_SLACK) => {
                    actions.push(Action::Kill(slot, KillReason::Grace));
                }
                (State::Alive(Alive { leave_by: Some(leave_by), .. }), None) if due(leave_by + DRAIN_SLACK) => {
                    actions.push(Action::Kill(slot, KillReason::Grace));
                }
                (State::Alive(alive), _) if alive.owes > 0 && due(alive.quiet_since + self.policy.patience) => {
                    actions.push(Action::Kill(slot, KillReason::Hang));
                }
                (State::Alive(alive), None) if !alive.ping_open && due(alive.asked_at + self.policy.ask_every) => {
                    actions.push(Action::Ping(slot));
                }
                _ => {}
            }
        }
        (actions, wake)
    }

    /// The worker was started. It owes its first message.
    pub(crate) fn spawned(&mut self, slot: Slot, now: Moment) {
        if let Some(place) = self.places.get_mut(slot.0) {
            let alive =
                Alive { since: now, owes: 1, quiet_since: now, asked_at: now, ping_open: false, leave_by: None };
            place.state = State::Alive(alive);
        }
    }

    /// The worker was given work, and owes an answer.
    pub(crate) fn asked(&mut self, slot: Slot, now: Moment) {
        self.alive(slot, |alive| {
            if alive.owes == 0 {
                alive.quiet_since = now;
            }
            alive.owes += 1;
        });
    }

    /// The worker was pinged.
    pub(crate) fn pinged(&mut self, slot: Slot, now: Moment) {
        self.asked(slot, now);
        self.alive(slot, |alive| (alive.ping_open, alive.asked_at) = (true, now));
    }

    /// The worker sent a message.
    pub(crate) fn heard(&mut self, slot: Slot, now: Moment) {
        self.alive(slot, |alive| alive.quiet_since = now);
    }

    /// The worker sent an answer that it owed.
    pub(crate) fn answered(&mut self, slot: Slot, now: Moment) {
        self.alive(slot, |alive| {
            alive.owes = alive.owes.saturating_sub(1);
            alive.quiet_since = now;
        });
    }

    /// The worker answered a ping.
    pub(crate) fn ponged(&mut self, slot: Slot, now: Moment) {
        self.answered(slot, now);
        self.alive(slot, |alive| alive.ping_open = false);
    }

    /// The worker made progress with a snapshot.
    pub(crate) fn progress(&mut self, slot: Slot) {
        self.deaths.clear();
        if let Some(place) = self.places.get_mut(slot.0) {
            place.deaths_in_a_row = 0;
        }
    }

    /// The worker was killed, but has not been reaped yet.
    pub(crate) fn killed(&mut self, slot: Slot) {
        if let Some(place) = self.places.get_mut(slot.0) {
            place.state = State::Dying;
        }
    }

    /// The worker is gone.
    pub(crate) fn died(&mut self, slot: Slot, now: Moment) {
        self.not_started(slot, now);
        self.deaths.push_back(now);
        while self.deaths.len() > DEATHS_PER_WORKER * self.policy.workers {
            self.deaths.pop_front();
        }
    }

    /// The worker could not be started. A shortage in the system says nothing about workers, so it is no reason to give up.
    pub(crate) fn not_started(&mut self, slot: Slot, now: Moment) {
        let Some(place) = self.places.get_mut(slot.0) else { return };
        if let State::Alive(alive) = place.state
            && now.since(alive.since) >= HEALTHY_AFTER
        {
            place.deaths_in_a_row = 0;
        }
        let pause = BACKOFF_MIN.saturating_mul(1 << place.deaths_in_a_row.min(16)).min(BACKOFF_MAX);
        place.deaths_in_a_row += 1;
        place.state = State::Empty { not_before: now + pause };
    }

    /// Continues with another policy. Surplus slots stay empty once their workers have exited.
    pub(crate) fn configure(&mut self, policy: Policy, now: Moment) {
        self.policy = policy;
        let place = Place { state: State::Empty { not_before: now }, deaths_in_a_row: 0 };
        let places = self.places.len().max(policy.workers);
        self.places.resize(places, place);
    }

    /// The worker was told to exit within `grace`, because it is being replaced.
    pub(crate) fn replaced(&mut self, slot: Slot, now: Moment, grace: Duration) {
        self.alive(slot, |alive| alive.leave_by = Some(now + grace));
    }

    /// The worker has exited because it is being replaced, which is not a failure.
    pub(crate) fn left(&mut self, slot: Slot, now: Moment) {
        if let Some(place) = self.places.get_mut(slot.0) {
            *place = Place { state: State::Empty { not_before: now }, deaths_in_a_row: 0 };
        }
    }

    /// All workers were told to exit within `grace`.
    pub(crate) fn drain(&mut self, now: Moment, grace: Duration) {
        self.leave_by = Some(now + grace);
    }

    /// Does not count `time` of the time for which the worker was silent.
    pub(crate) fn excused(&mut self, slot: Slot, time: Duration, now: Moment) {
        self.alive(slot, |alive| alive.quiet_since = now.min(alive.quiet_since + time));
    }

    /// How long the worker has been silent while it owes an answer; zero if it owes none.
    #[must_use]
    pub(crate) fn quiet(&self, slot: Slot, now: Moment) -> Duration {
        match self.places.get(slot.0).map(|place| place.state) {
            Some(State::Alive(alive)) if alive.owes > 0 => now.since(alive.quiet_since),
            _ => Duration::ZERO,
        }
    }

    /// Whether some worker has been silent for a while although it owes an answer, so that its figures may be out of date.
    #[must_use]
    pub(crate) fn some_are_silent(&self, now: Moment) -> bool {
        let silent = |alive: &Alive| alive.ping_open && now.since(alive.quiet_since) >= SILENT;
        self.places.iter().any(|place| matches!(&place.state, State::Alive(alive) if silent(alive)))
    }

    /// Number of running workers.
    #[must_use]
    pub(crate) fn running(&self) -> usize {
        self.places.iter().filter(|place| matches!(place.state, State::Alive(_))).count()
    }

    fn alive(&mut self, slot: Slot, change: impl FnOnce(&mut Alive)) {
        if let Some(Place { state: State::Alive(alive), .. }) = self.places.get_mut(slot.0) {
            change(alive);
        }
    }
}

#[cfg(test)]
mod tests;
