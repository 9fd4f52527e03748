//! Weights of a moment.

use super::planning::{Identity, Planning, identity_of};
use crate::discovery::document::{State, What, weight};
use std::collections::HashSet;

/// A server that served before the listing was looked at.
pub(super) struct Serving {
    identity: Identity,
    weight: u64,
    ramp_start: u64,
}

impl Planning<'_> {
    /// Those who serve now.
    pub(super) fn serving(&self) -> Vec<Serving> {
        let active = self.next.servers().filter(|(_, server)| server.state == State::Active);
        let serving = active.map(|(_, server)| Serving {
            identity: identity_of(server),
            weight: u64::from(self.next.weight_at(server, self.millis)),
            ramp_start: server.ramp_start(),
        });
        serving.collect()
    }

    /// Where less than half of the weight stays, those who are left and those who have come are given that of those who
    /// go. A ramp that went on would leave all requests to a few.
    pub(super) fn take_over(&mut self, before: &[Serving]) {
        let millis = self.millis;
        let sure = |state: State, doubtful: bool| state == State::Active && !doubtful;
        let kept: HashSet<Identity> = self
            .next
            .servers()
            .filter(|(_, server)| sure(server.state, server.doubt.is_some()))
            .map(|(_, server)| identity_of(server))
            .collect();
        // Those that come now do not belong to what there was, also when the same listing is looked at twice.
        let come = self.next.servers().filter(|(_, server)| server.gained == self.now);
        let came: HashSet<Identity> = come.map(|(_, server)| identity_of(server)).collect();
        let all: u64 = before.iter().filter(|was| !came.contains(&was.identity)).map(|was| was.weight).sum();
        let staying: u64 = self
            .next
            .servers()
            .filter(|(_, server)| sure(server.state, server.doubt.is_some()))
            .map(|(_, server)| u64::from(self.next.weight_at(server, millis)))
            .sum();
        let leaving = before.iter().filter(|serving| !kept.contains(&serving.identity));
        let Some(oldest) = leaving.map(|serving| serving.ramp_start).min().filter(|_| staying * 2 < all) else {
            return;
        };
        for server in self.next.slots.iter_mut().filter_map(|slot| slot.server.as_mut()) {
            if sure(server.state, server.doubt.is_some()) && server.ramp_start() > oldest {
                server.set_ramp_start(oldest);
            }
        }
    }

    /// The weights of this moment.
    pub(super) fn weigh(&mut self) {
        let (ramp, now, millis) = (self.next.ramp, self.now, self.millis);
        let mut changes = Vec::new();
        for slot in &mut self.next.slots {
            let Some(server) = slot.server.as_mut().filter(|server| server.state == State::Active) else { continue };
            let weight = weight(&ramp, server.ramp_start(), server.hint, millis);
            let before = std::mem::replace(&mut server.weight, weight);
            // A server that has just come has no weight before.
            if before != weight && before != 0 {
                let why =
                    format!("{before} to {weight}, {} s after its ramp started", now.saturating_sub(server.since));
                changes.push((slot.id, server.instance.clone(), why));
            }
        }
        for (slot, instance, why) in changes {
            self.reason(Some(slot), &instance, What::Weight, why);
        }
    }
}
