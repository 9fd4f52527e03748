//! The next document, from the present one, what the source says and the time: a pure function.
//!
//! - Who has a slot keeps it. Identity is instance, address and port; whoever has another one is somebody else.
//! - A server gets a slot, the lowest that is free, when the source calls it healthy and in service: its ramp begins.
//! - A server that the source takes out of service drains at once. One that is missing or unhealthy drains when
//!   `confirmations` listings in a row have said so and the guard lets it: no more than `ratio` of the servers within
//!   `hold`, or after `hold`; and never below `floor`.
//! - A slot is free when its server has been drained for `drain_time`.
//! - Without a listing (the source does not answer) only time goes on: ramps, and drains that have begun.

use super::document::{Cause, Document, Doubt, Held, Reason, Server, Slot, State, Unplaced, What, weight};
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

/// The next document, with the reasons for what it changes. It [`is_same`](Document::is_same) as the present one where
/// nothing changes; version, time and writer are left to whoever writes it.
#[must_use]
pub fn plan(present: Option<&Document>, listing: Option<&Listing>, now: u64, settings: &Settings) -> Document {
    let next = present.cloned().unwrap_or_else(|| Document::empty(settings.list_size, settings.ramp));
    let mut planning = Planning { next, now, settings };
    planning.next.reasons.clear();
    planning.next.ramp = settings.ramp.into();
    planning.correct_clocks();
    planning.resize();
    planning.part_doubles();
    match listing {
        None => planning.end_drains(),
        Some(listing) => {
            let instances = known(listing);
            planning.look_at_servers(listing, &instances);
            planning.end_drains();
            let waiting = planning.place(&instances);
            planning.let_go(waiting);
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
    now: u64,
    settings: &'a Settings,
}

impl Planning<'_> {
    fn reason(&mut self, slot: Option<u32>, instance: &str, what: What, why: impl Into<String>) {
        self.next.reasons.push(Reason { slot, instance: instance.to_owned(), what, why: why.into() });
    }

    fn active(&self) -> usize {
        self.next.servers().filter(|(_, server)| server.state == State::Active).count()
    }

    fn size(&self) -> u32 {
        u32::try_from(self.settings.list_size).unwrap_or(u32::MAX)
    }

    /// A moment that lies ahead comes from a clock that was wrong: waiting for it would take for ever.
    fn correct_clocks(&mut self) {
        let now = self.now;
        for server in self.next.slots.iter_mut().filter_map(|slot| slot.server.as_mut()) {
            server.since = server.since.min(now);
            if let State::Draining { since } = &mut server.state {
                *since = now.min(*since);
            }
            if let Some(doubt) = &mut server.doubt {
                doubt.since = doubt.since.min(now);
            }
        }
        let window = if self.settings.hold.is_zero() { WINDOW } else { self.settings.hold.as_secs() };
        self.next.lost.iter_mut().for_each(|at| *at = now.min(*at));
        self.next.lost.retain(|at| at.saturating_add(window) > now);
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

    /// Takes over what the source says about those who have a slot.
    fn look_at_servers(&mut self, listing: &Listing, instances: &[&Instance]) {
        let taken = listing.taken;
        let by_identity: HashMap<Identity, &Instance> = instances.iter().map(|i| (identity_in(i), *i)).collect();
        let serving = self.next.servers().filter(|(_, server)| server.state == State::Active);
        let actives: HashSet<Identity> = serving.map(|(_, server)| identity_of(server)).collect();
        let present: HashSet<Identity> = self.next.servers().map(|(_, server)| identity_of(server)).collect();
        // An address cannot be that of two: who has it now has taken it over.
        let heirs: HashMap<(IpAddr, Option<u16>), &Instance> = instances
            .iter()
            .filter(|instance| serves(instance) && !present.contains(&identity_in(instance)))
            .filter_map(|instance| Some(((instance.addresses.first().copied()?, instance.port), *instance)))
            .collect();
        let (size, now, settings) = (self.size(), self.now, self.settings);
        let mut reasons = Vec::new();
        let mut inherited: HashSet<Identity> = HashSet::new();
        let mut returned: HashSet<Identity> = HashSet::new();
        for slot in &mut self.next.slots {
            let id = slot.id;
            let Some(server) = slot.server.as_mut() else { continue };
            let active = server.state == State::Active;
            let Some(instance) = by_identity.get(&identity_of(server)) else {
                let heir = server.address().and_then(|address| heirs.get(&(address, server.port)));
                if let Some(heir) = heir.filter(|heir| active && inherited.insert(identity_in(heir))) {
                    let why = format!("it has the address of {}, which is gone", server.instance);
                    *server = occupant(heir, now, settings);
                    reasons.push((id, heir.id.clone(), What::Added, why));
                } else if active && !listing.is_silent_about(&server.instance, &server.group) {
                    suspect(server, Cause::Missing, taken, now, settings);
                }
                continue;
            };
            let identity = identity_of(server);
            let about = occupant(instance, now, settings);
            if (&server.name, &server.group, &server.zone, server.hint, &server.addresses)
                != (&about.name, &about.group, &about.zone, about.hint, &about.addresses)
            {
                let why = format!("name {}, group {}, weight hint {} %", about.name, about.group, about.hint);
                reasons.push((id, instance.id.clone(), What::Updated, why));
                (server.name, server.group, server.zone) = (about.name, about.group, about.zone);
                (server.hint, server.addresses) = (about.hint, about.addresses);
            }
            match (serves(instance), active) {
                (true, true) => server.doubt = None,
                // Who drains because it has another slot as well goes on draining.
                (true, false) if id <= size && !actives.contains(&identity) && returned.insert(identity) => {
                    (server.state, server.since, server.doubt) = (State::Active, now, None);
                    let why = "the source calls it healthy and in service again; its ramp begins anew";
                    reasons.push((id, instance.id.clone(), What::Returned, why.to_owned()));
                }
                (false, true) if instance.life == Life::Leaving => {
                    suspect(server, Cause::Leaving, taken, now, settings);
                }
                (false, true) => suspect(server, Cause::Unhealthy, taken, now, settings),
                (_, false) => {}
            }
        }
        for (slot, instance, what, why) in reasons {
            self.reason(Some(slot), &instance, what, why);
        }
    }

    /// Frees the slots of those who were drained long enough.
    fn end_drains(&mut self) {
        let (now, size, time) = (self.now, self.size(), self.settings.drain_time.as_secs());
        let mut freed = Vec::new();
        for slot in &mut self.next.slots {
            let since = match slot.server.as_ref().map(|server| server.state) {
                Some(State::Draining { since }) => since,
                _ => continue,
            };
            if now >= since.saturating_add(time)
                && let Some(server) = slot.server.take()
            {
                freed.push((slot.id, server.instance));
            }
        }
        self.next.slots.retain(|slot| slot.id <= size || slot.server.is_some());
        for (slot, instance) in freed {
            self.reason(Some(slot), &instance, What::Freed, format!("it was drained for {time} s"));
        }
    }

    /// Gives slots to those who have none, and returns those for whom there is none.
    fn place<'i>(&mut self, instances: &[&'i Instance]) -> Vec<&'i Instance> {
        let mut waiting = Vec::new();
        let size = self.size();
        let placed: HashSet<Identity> =
            self.next.servers().filter(|(id, _)| *id <= size).map(|(_, server)| identity_of(server)).collect();
        let mut free: Vec<u32> = self
            .next
            .slots
            .iter()
            .filter(|slot| slot.id <= size && slot.server.is_none())
            .map(|slot| slot.id)
            .collect();
        free.sort_unstable_by(|a, b| b.cmp(a));
        let before = std::mem::take(&mut self.next.unplaced);
        for instance in instances.iter().filter(|i| serves(i) && !placed.contains(&identity_in(i))) {
            let slot = free.pop().and_then(|id| self.next.slots.iter_mut().find(|slot| slot.id == id));
            if let Some(slot) = slot {
                let id = slot.id;
                slot.server = Some(occupant(instance, self.now, self.settings));
                let address = instance.addresses.first().map_or_else(String::new, ToString::to_string);
                let group =
                    if instance.group.is_empty() { String::new() } else { format!(" of group {}", instance.group) };
                let why = format!("{address}{group} is healthy and in service");
                self.reason(Some(id), &instance.id, What::Added, why);
                continue;
            }
            let unplaced = Unplaced { instance: instance.id.clone(), group: instance.group.clone() };
            if !before.contains(&unplaced) {
                let why = format!("none of the {size} slots is free");
                self.reason(None, &instance.id, What::Unplaced, why);
            }
            self.next.unplaced.push(unplaced);
            waiting.push(*instance);
        }
        waiting
    }

    /// Drains those about whom there is no doubt left, as far as the guard lets them go. Where it is only the floor that
    /// keeps somebody, one of those who are waiting takes the slot at once.
    fn let_go(&mut self, waiting: Vec<&Instance>) {
        let serving = self.active();
        let mut waiting = waiting.into_iter();
        let settings = self.settings;
        let hold = settings.hold.as_secs();
        let mut candidates: Vec<(Cause, u32, bool)> = self
            .next
            .servers()
            .filter(|(_, server)| server.state == State::Active)
            .filter_map(|(id, server)| {
                let doubt = server.doubt?;
                let sure = doubt.cause == Cause::Leaving || doubt.listings >= settings.confirmations;
                let old = hold > 0 && doubt.since.saturating_add(hold) <= self.now;
                sure.then_some((doubt.cause, id, old))
            })
            .collect();
        // Who is surely gone goes first.
        candidates.sort_by_key(|(cause, id, _)| (*cause == Cause::Leaving, *cause == Cause::Unhealthy, *id));
        let lost = candidates.iter().filter(|(cause, _, old)| *cause != Cause::Leaving && !old).count();
        let allowed = allowance(serving, self.next.lost.len(), settings.ratio);
        let mut spare = serving.saturating_sub(settings.floor);
        let before = std::mem::take(&mut self.next.held);
        for (cause, id, old) in candidates {
            let counts = cause != Cause::Leaving && !old;
            let beyond = counts && lost > allowed;
            let Some(server) = self.next.slots.iter_mut().find(|s| s.id == id).and_then(|s| s.server.as_mut()) else {
                continue;
            };
            let instance = server.instance.clone();
            if !beyond && spare > 0 {
                spare -= 1;
                server.state = State::Draining { since: self.now };
                server.doubt = None;
                if counts {
                    self.next.lost.push(self.now);
                }
                let why = if old { format!("{cause}, for {hold} s") } else { cause.to_string() };
                self.reason(Some(id), &instance, What::Draining, why);
                continue;
            }
            if let Some(heir) = if beyond { None } else { waiting.next() } {
                *server = occupant(heir, self.now, settings);
                if counts {
                    self.next.lost.push(self.now);
                }
                self.next.unplaced.retain(|unplaced| unplaced.instance != heir.id || unplaced.group != heir.group);
                self.reason(Some(id), &heir.id, What::Added, format!("in place of {instance}: {cause}"));
                continue;
            }
            let held = Held { slot: id, instance: instance.clone(), cause };
            if !before.contains(&held) {
                let why = if beyond {
                    format!("{cause}, and with it {lost} of {serving}: more than removal-ratio lets go at once")
                } else {
                    format!("{cause}, but removal-floor keeps {} servers", settings.floor)
                };
                self.reason(Some(id), &instance, What::Held, why);
            }
            self.next.held.push(held);
        }
    }

    /// The weights of this moment.
    fn weigh(&mut self) {
        let (ramp, now) = (self.next.ramp, self.now);
        let mut changes = Vec::new();
        for slot in &mut self.next.slots {
            let Some(server) = slot.server.as_mut().filter(|server| server.state == State::Active) else { continue };
            let weight = weight(&ramp, server.since, server.hint, now);
            let before = std::mem::replace(&mut server.weight, weight);
            if before != weight && server.since < now {
                let why = format!("{before} to {weight}, {} s after its ramp began", now - server.since);
                changes.push((slot.id, server.instance.clone(), why));
            }
        }
        for (slot, instance, why) in changes {
            self.reason(Some(slot), &instance, What::Weight, why);
        }
    }
}

/// How many may be lost now, when so many serve and so many were lost lately. One always may, as far as `ratio` lets
/// anybody go: of two servers one is more than a small part.
fn allowance(serving: usize, lost: usize, ratio: f64) -> usize {
    #[allow(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "below 4096"
    )]
    let part = ((serving + lost) as f64 * ratio).floor() as usize;
    let least = usize::from(ratio > 0.0);
    part.max(least).saturating_sub(lost)
}

fn occupant(instance: &Instance, now: u64, settings: &Settings) -> Server {
    Server {
        instance: instance.id.clone(),
        name: instance.name.clone(),
        addresses: instance.addresses.clone(),
        port: instance.port,
        group: instance.group.clone(),
        zone: instance.zone.clone(),
        hint: if settings.source_weights { instance.hint } else { Hint::FULL },
        since: now,
        state: State::Active,
        weight: 0,
        doubt: None,
    }
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
#[path = "plan_tests.rs"]
mod tests;
