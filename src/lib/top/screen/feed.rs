//! The ticks that are compared, and the changes so far.

use super::level::Level;
use super::view::View;
use crate::snapshot::Epoch;
use crate::top::model::{Change, Model, parts};
use crate::top::read::tick::Tick;

/// How many changes are kept.
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
    /// The tick to compare with instead of the previous one.
    mark: Option<Tick>,
    /// The latest first.
    pub(super) log: Vec<Logged>,
    pub(super) model: Model,
}

impl Feed {
    /// Adds the next live tick, and keeps the changes since the last one.
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

    /// Shows another tick and the one before it, with only the changes between the two.
    pub(super) fn replace(&mut self, before: Option<Tick>, now: Tick, view: &View) {
        (self.before, self.now) = (before, Some(now));
        self.again(view);
    }

    /// Compares with this tick from now on; with `None`, with the previous one.
    pub(super) fn compare_with(&mut self, mark: Option<Tick>, view: &View) {
        self.mark = mark;
        self.again(view);
    }

    /// The time that everything is compared with.
    pub(super) fn mark(&self) -> Option<Epoch> {
        self.mark.as_ref().map(|tick| tick.epoch)
    }

    /// The time of the tick that the user has gone to.
    pub(super) fn shown(&self) -> Option<Epoch> {
        self.now.as_ref().map(|tick| tick.epoch)
    }

    fn again(&mut self, view: &View) {
        self.model(view);
        let epoch = self.model.epoch;
        self.log = self.model.changes.iter().map(|change| Logged { epoch, change: change.clone() }).collect();
    }

    /// Rebuilds the model, for example for another place.
    pub(super) fn model(&mut self, view: &View) {
        let Some(now) = &self.now else { return };
        // The later tick is compared with the earlier one.
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
