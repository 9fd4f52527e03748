//! The next document, from the present one, what the source says and the time: a pure function.
//!
//! - Who has a slot keeps it. Identity is instance, address and port; a server with another one is another server.
//! - A server gets a slot, the lowest that is free, when the source calls it healthy and in service: its ramp begins.
//! - A server that the source takes out of service drains at once. One that is unhealthy drains when `confirmations`
//!   listings in a row have said so, one that is missing when they have also lacked it for `hold_obsolete`; and the guard
//!   has to let it: see `guard`.
//! - Where healthy servers wait for slots, they take those of servers that drain, and of servers that leave, are
//!   unhealthy or are missing, as soon as `confirmations` listings have said so: as many come as go. The client lets the
//!   old server go on serving until enough others are up.
//! - A slot is free when its server has been drained for `drain_time`.
//! - The ramp is for growth. Where more than half of the weight leaves at once, those that have come take it over.
//! - Without a listing (the source does not answer) only time goes on: ramps, and drains that have begun. So it does for
//!   a group about which the source says nothing.

mod guard;
mod look;
mod place;
mod planning;
mod ramp;
mod tidy;

use super::document::Document;
use super::source::{Instance, Listing};
use crate::config::discovery::Plan as Settings;
use planning::{Planning, identity_in, serves};
use std::collections::HashSet;

/// The next document, with the reasons for what it changes; `now`: UTC milliseconds. It [`is_same`](Document::is_same) as
/// the present one where nothing changes; version, time and writer are left to the code that writes it.
#[must_use]
pub fn plan(present: Option<&Document>, listing: Option<&Listing>, now: u64, settings: &Settings) -> Document {
    let next = present.cloned().unwrap_or_else(|| Document::empty(settings.list_size, settings.ramp));
    let mut planning = Planning { next, now: now / 1000, millis: now, settings, names_are_sure: true };
    planning.next.reasons.clear();
    planning.next.ramp = settings.ramp.into();
    planning.correct_clocks();
    planning.resize();
    planning.part_doubles();
    match listing {
        None => planning.end_drains(),
        Some(listing) => {
            let instances = known(listing);
            planning.names_are_sure = names_are_sure(listing, settings);
            let serving = planning.serving();
            planning.look_at_servers(listing, &instances);
            planning.end_drains();
            let mut waiting = planning.place(&instances);
            planning.take_draining(&mut waiting);
            planning.let_go(&mut waiting, listing);
            planning.take_draining(&mut waiting);
            planning.tell_unplaced(&waiting);
            planning.take_over(&serving);
        }
    }
    planning.weigh();
    planning.next
}

/// The instances that have an address, each once, in an order that does not depend on the source's.
fn known(listing: &Listing) -> Vec<&Instance> {
    let mut seen = HashSet::new();
    let mut instances: Vec<&Instance> = listing.instances.iter().filter(|i| !i.addresses.is_empty()).collect();
    // Of two that contradict each other, the one that does not serve counts.
    instances.sort_by_cached_key(|instance| (identity_in(instance), serves(instance)));
    instances.retain(|instance| seen.insert(identity_in(instance)));
    instances
}

/// Whether the source knows all groups that it is asked for.
fn names_are_sure(listing: &Listing, settings: &Settings) -> bool {
    let listed: HashSet<&str> = listing.instances.iter().map(|instance| instance.group.as_str()).collect();
    let mut groups = settings.groups.iter().flatten();
    listing.failed.is_empty() && groups.all(|group| listed.contains(group.as_str()))
}

#[cfg(test)]
mod tests;
