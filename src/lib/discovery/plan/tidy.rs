//! The present document as one that can be planned from: from any writer, by any clock, for a list of any size.

use super::planning::{Identity, Planning, identity_of};
use crate::discovery::document::{Cause, Slot, State, What};
use std::collections::{HashMap, HashSet};

/// Seconds for which losses count when `hold` is off.
const WINDOW: u64 = 300;

impl Planning<'_> {
    /// A document from the future comes from a clock that differs from ours: its durations are right. What lies ahead all
    /// the same would be waited for without end.
    pub(super) fn correct_clocks(&mut self) {
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
    pub(super) fn resize(&mut self) {
        let size = self.size();
        let mut slots: Vec<Slot> = std::mem::take(&mut self.next.slots);
        slots.sort_by_key(|slot| slot.id);
        slots.dedup_by_key(|slot| slot.id);
        let ids: HashSet<u32> = slots.iter().map(|slot| slot.id).collect();
        let missing: Vec<u32> = (1..=size).filter(|id| !ids.contains(id)).collect();
        if !missing.is_empty() {
            let why = format!("{} slots added: {size} in total", missing.len());
            self.reason(None, "", What::Resized, why);
        }
        slots.extend(missing.into_iter().map(|id| Slot { id, server: None }));
        slots.sort_by_key(|slot| slot.id);
        let (mut inside, beyond): (Vec<Slot>, Vec<Slot>) =
            slots.into_iter().partition(|slot| (1..=size).contains(&slot.id));
        let free = beyond.iter().filter(|slot| slot.server.is_none()).count();
        if free > 0 {
            self.reason(None, "", What::Resized, format!("{free} slots removed: {size} in total"));
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
    pub(super) fn part_doubles(&mut self) {
        let mut seen: HashMap<Identity, u32> = HashMap::new();
        let mut reasons = Vec::new();
        for slot in &mut self.next.slots {
            let Some(server) = slot.server.as_mut().filter(|server| server.state == State::Active) else { continue };
            if let Some(first) = seen.get(&identity_of(server)) {
                server.state = State::Draining { since: self.now };
                reasons.push((slot.id, server.instance.clone(), format!("it already has slot {first}")));
            } else {
                seen.insert(identity_of(server), slot.id);
            }
        }
        for (slot, instance, why) in reasons {
            self.reason(Some(slot), &instance, What::Draining, why);
        }
    }
}
