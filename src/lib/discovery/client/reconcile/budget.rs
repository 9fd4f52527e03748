//! How many servers may leave now: half of those that are wanted stay up, unless waiting would not help.

use super::places::At;
use super::slot::{Slot, endpoint_of, has_traffic};
use super::view::View;
use crate::discovery::client::slots::{Desired, Wanted};
use crate::haproxy::runtime::Endpoint;
use std::collections::HashMap;

/// How many servers that are up may leave now. Those whose slot another server waits for are asked first.
pub(super) struct Budget(usize);

impl Budget {
    pub(super) fn new(slots: &[Slot<'_>], desired: &Desired, view: View<'_>, places: &HashMap<Endpoint, At>) -> Self {
        let (mut wanted, mut good, mut leaving, mut coming) = (0_usize, 0_usize, 0_usize, 0_usize);
        for slot in slots.iter().filter(|slot| !slot.is_foreign(view.process)) {
            let up = slot.server.is_some_and(has_traffic);
            let serves = matches!(slot.wanted, Wanted::Serve(_));
            wanted += usize::from(serves);
            let place = slot.server.and_then(endpoint_of).and_then(|endpoint| places.get(&endpoint));
            match (serves && slot.occupant_is_there(), up) {
                (true, true) => good += 1,
                // Counted where it has come up.
                (false, true) if place.is_some_and(|at| at.serves_beside(slot.number)) => {}
                (false, true) => leaving += 1,
                (_, false) => coming += usize::from(serves && (slot.server.is_some() || desired.dynamic.is_some())),
            }
        }
        let needed = wanted.div_ceil(2);
        if good >= needed {
            return Self(usize::MAX);
        }
        let spare = (good + leaving).saturating_sub(needed);
        // Nobody is on the way: one has to leave so that another one can take its place.
        Self(if coming == 0 { spare.max(1) } else { spare })
    }

    /// Whether one more may leave.
    pub(super) fn take(&mut self) -> bool {
        let left = self.0.checked_sub(1);
        self.0 = left.unwrap_or(0);
        left.is_some()
    }
}
