//! The ticks that are compared, and what has changed so far.

use super::level::Level;
use super::view::View;
use crate::snapshot::Epoch;
use crate::top::model::{Change, Model, parts};
use crate::top::read::tick::Tick;

/// Changes that are kept.
const KEPT: usize = 1000;

/// A change, and when it was seen.
#[derive(Debug, Clone)]
pub(super) struct Logged {
    pub(super) epoch: Epoch,
    pub(super) change: Change,
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Feed {
    before: Option<Tick>,
    now: Option<Tick>,
    /// What is compared with in place of the tick before.
    mark: Option<Tick>,
    /// The latest first.
    pub(super) log: Vec<Logged>,
    pub(super) model: Model,
}

impl Feed {
    /// The next tick of sockets: what has changed since the last one is kept.
    pub(super) fn push(&mut self, tick: Tick, view: &View) {
        self.before = self.now.take();
        let whole = Model::of(self.before.as_ref(), &tick, None);
        let logged = whole.changes.iter().map(|change| Logged { epoch: tick.epoch, change: change.clone() });
        self.log.splice(0..0, logged);
        self.log.truncate(KEPT);
        self.now = Some(tick);
        if view.scope().is_none() && !matches!(view.level(), Level::Object(_)) {
            self.model = whole;
        } else {
            self.model(view);
        }
    }

    /// Any other moment, with the one before it: what has changed is between these alone.
    pub(super) fn replace(&mut self, before: Option<Tick>, now: Tick, view: &View) {
        (self.before, self.now) = (before, Some(now));
        self.again(view);
    }

    /// Compares with this moment from now on; with none, with the one before each.
    pub(super) fn compare_with(&mut self, mark: Option<Tick>, view: &View) {
        self.mark = mark;
        self.again(view);
    }

    /// The moment that everything is compared with.
    pub(super) fn mark(&self) -> Option<Epoch> {
        self.mark.as_ref().map(|tick| tick.epoch)
    }

    fn again(&mut self, view: &View) {
        self.model(view);
        let epoch = self.model.epoch;
        self.log = self.model.changes.iter().map(|change| Logged { epoch, change: change.clone() }).collect();
    }

    /// Makes the model anew, for another place.
    pub(super) fn model(&mut self, view: &View) {
        let Some(now) = &self.now else { return };
        // What is earlier of the two is what the other one is compared with.
        let (before, now) = match (&self.mark, &self.before) {
            (Some(mark), _) if mark.seconds > now.seconds => (Some(now), mark),
            (Some(mark), _) if mark.seconds < now.seconds => (Some(mark), now),
            (_, before) => (before.as_ref(), now),
        };
        self.model = Model::of(before, now, view.scope());
        if let Level::Object(key) = view.level() {
            self.model.parts = parts(before, now, key, view.scope());
        }
    }

    /// Whether there is anything to show.
    pub(super) fn is_empty(&self) -> bool {
        self.now.is_none()
    }
}
