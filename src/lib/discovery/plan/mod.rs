//! The next document, from the present one, what the source says and the time: a pure function.
//!
//! - Who has a slot keeps it. Identity is instance, address and port; whoever has another one is somebody else.
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
mod ramp;

use super::document::{Cause, Document, Doubt, Reason, Server, Slot, State, What};
use super::hint::Hint;
use super::source::{Instance, Life, Listing};
use crate::config::discovery::Plan as Settings;
use std::collections::{HashMap, HashSet};
use std::net::IpAddr;

/// Seconds for which losses count when `hold` is off.
const WINDOW: u64 = 300;

/// What makes two servers the same.
type Identity = (String, Option<IpAddr>, Option<u16>);

fn identity_of(server: &Server) -> Identity {
    (server.instance.clone(), server.address(), server.port)
}

fn identity_in(instance: &Instance) -> Identity {
    (instance.id.clone(), instance.addresses.first().copied(), instance.port)
}

/// The next document, with the reasons for what it changes; `now`: UTC milliseconds. It [`is_same`](Document::is_same) as
/// the present one where nothing changes; version, time and writer are left to whoever writes it.
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
            planning.names_are_sure = planning.names_are_sure(listing);
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

/// Whether a server may be given traffic.
fn serves(instance: &Instance) -> bool {
    instance.healthy && instance.life == Life::InService
}

struct Planning<'a> {
    next: Document,
    /// UTC seconds.
    now: u64,
    /// UTC milliseconds.
    millis: u64,
    settings: &'a Settings,
    /// Whether the source knows all groups that it is asked for. Otherwise a name may be misspelt, and servers of a group
    /// that is not asked for any more may be those that are meant.
    names_are_sure: bool,
}

impl Planning<'_> {
    fn names_are_sure(&self, listing: &Listing) -> bool {
        let listed: HashSet<&str> = listing.instances.iter().map(|instance| instance.group.as_str()).collect();
        let mut groups = self.settings.groups.iter().flatten();
        listing.failed.is_empty() && groups.all(|group| listed.contains(group.as_str()))
    }

    /// Whether the source is asked for a group.
    fn is_asked_for(&self, group: &str) -> bool {
        self.settings.groups.as_ref().is_none_or(|groups| groups.iter().any(|name| name == group))
    }

    /// Whether a listing says neither that a server exists nor that it is gone.
    fn is_silent(&self, listing: &Listing, server: &Server) -> bool {
        listing.is_silent_about(&server.instance, &server.group)
            || (!listing.failed.is_empty() && !self.is_asked_for(&server.group))
    }

    fn reason(&mut self, slot: Option<u32>, instance: &str, what: What, why: impl Into<String>) {
        self.next.reasons.push(Reason { slot, instance: instance.to_owned(), what, why: why.into() });
    }

    fn size(&self) -> u32 {
        u32::try_from(self.settings.list_size).unwrap_or(u32::MAX)
    }

    /// The server of a slot.
    fn server_in(&mut self, id: u32) -> Option<&mut Server> {
        // Slots are in order.
        let at = self.next.slots.binary_search_by_key(&id, |slot| slot.id).ok()?;
        self.next.slots.get_mut(at)?.server.as_mut()
    }

    /// A document from the future comes from a clock that differs from ours: its durations are right. What lies ahead all
    /// the same would be waited for without end.
    fn correct_clocks(&mut self) {
        let (now, millis) = (self.now, self.millis);
        if self.next.written_at() > millis {
            let ahead = i64::try_from(self.next.written_at() - millis).unwrap_or(i64::MAX);
            self.next.shift(-ahead);
        }
        for server in self.next.slots.iter_mut().filter_map(|slot| slot.server.as_mut()) {
            server.set_ramp_start(server.ramp_start().min(millis));
            server.gained = server.gained.min(now);
            if let State::Draining { since } = &mut server.state {
                *since = now.min(*since);
            }
            if let Some(doubt) = &mut server.doubt {
                doubt.since = doubt.since.min(now);
            }
        }
        let window = if self.settings.hold.is_zero() { WINDOW } else { self.settings.hold.as_secs() };
        let groups = std::mem::take(&mut self.next.lost_groups).into_iter().chain(std::iter::repeat(String::new()));
        let lost = std::mem::take(&mut self.next.lost).into_iter().map(|at| at.min(now)).zip(groups);
        (self.next.lost, self.next.lost_groups) = lost.filter(|(at, _)| at.saturating_add(window) > now).unzip();
    }

    /// Makes the slots 1 to the size of the list: adds those that are missing, and moves servers from beyond the end.
    fn resize(&mut self) {
        let size = self.size();
        let mut slots: Vec<Slot> = std::mem::take(&mut self.next.slots);
        slots.sort_by_key(|slot| slot.id);
        slots.dedup_by_key(|slot| slot.id);
        let ids: HashSet<u32> = slots.iter().map(|slot| slot.id).collect();
        let missing: Vec<u32> = (1..=size).filter(|id| !ids.contains(id)).collect();
        if !missing.is_empty() {
            let why = format!("{} slots more: {size} in all", missing.len());
            self.reason(None, "", What::Resized, why);
        }
        slots.extend(missing.into_iter().map(|id| Slot { id, server: None }));
        slots.sort_by_key(|slot| slot.id);
        let (mut inside, beyond): (Vec<Slot>, Vec<Slot>) =
            slots.into_iter().partition(|slot| (1..=size).contains(&slot.id));
        let free = beyond.iter().filter(|slot| slot.server.is_none()).count();
        if free > 0 {
            self.reason(None, "", What::Resized, format!("{free} slots less: {size} in all"));
        }
        for Slot { id, server } in beyond {
            let Some(mut server) = server else { continue };
            if server.state == State::Active {
                if let Some(slot) = inside.iter_mut().find(|slot| slot.server.is_none()) {
                    let (to, instance) = (slot.id, server.instance.clone());
                    slot.server = Some(server);
                    self.reason(Some(to), &instance, What::Moved, format!("from slot {id}: {}", Cause::Shrunk));
                    continue;
                }
                server.state = State::Draining { since: self.now };
                self.reason(Some(id), &server.instance, What::Draining, Cause::Shrunk.to_string());
            }
            inside.push(Slot { id, server: Some(server) });
        }
        self.next.slots = inside;
        // A slot 0, written by somebody else, was put to the end.
        self.next.slots.sort_by_key(|slot| slot.id);
    }

    /// A server in two slots (written by somebody else) leaves the later one.
    fn part_doubles(&mut self) {
        let mut seen: HashMap<Identity, u32> = HashMap::new();
        let mut reasons = Vec::new();
        for slot in &mut self.next.slots {
            let Some(server) = slot.server.as_mut().filter(|server| server.state == State::Active) else { continue };
            if let Some(first) = seen.get(&identity_of(server)) {
                server.state = State::Draining { since: self.now };
                reasons.push((slot.id, server.instance.clone(), format!("it has slot {first} already")));
            } else {
                seen.insert(identity_of(server), slot.id);
            }
        }
        for (slot, instance, why) in reasons {
            self.reason(Some(slot), &instance, What::Draining, why);
        }
    }
}

fn occupant(instance: &Instance, millis: u64, settings: &Settings) -> Server {
    let mut server = Server {
        instance: instance.id.clone(),
        name: instance.name.clone(),
        addresses: instance.addresses.clone(),
        port: instance.port,
        group: instance.group.clone(),
        zone: instance.zone.clone(),
        hint: if settings.source_weights { instance.hint } else { Hint::FULL },
        since: 0,
        since_millis: 0,
        gained: 0,
        state: State::Active,
        weight: 0,
        doubt: None,
    };
    server.set_ramp_start(millis);
    server
}

/// Counts a listing against a server.
fn suspect(server: &mut Server, cause: Cause, taken: u64, now: u64, settings: &Settings) {
    let mut doubt = server.doubt.unwrap_or(Doubt { cause, since: now, listings: 0, last: 0 });
    doubt.cause = cause;
    if doubt.listings < settings.confirmations && (taken > doubt.last || doubt.listings == 0) {
        doubt.listings += 1;
        doubt.last = taken;
    }
    server.doubt = Some(doubt);
}

#[cfg(test)]
mod tests;
