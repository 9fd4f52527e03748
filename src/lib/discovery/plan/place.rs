//! Slots for servers that have none.

use super::planning::{Identity, Planning, identity_in, identity_of, occupant, serves};
use crate::discovery::document::{Cause, State, Unplaced, What};
use crate::discovery::source::Instance;
use std::collections::{HashSet, VecDeque};

impl Planning<'_> {
    /// Frees the slots of servers that were drained long enough.
    pub(super) fn end_drains(&mut self) {
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

    /// Gives free slots to servers without one, and returns the servers that are left.
    pub(super) fn place<'i>(&mut self, instances: &[&'i Instance]) -> VecDeque<&'i Instance> {
        let size = self.size();
        let placed: HashSet<Identity> =
            self.next.servers().filter(|(id, _)| *id <= size).map(|(_, server)| identity_of(server)).collect();
        let (millis, now, settings) = (self.millis, self.now, self.settings);
        let mut waiting: VecDeque<&Instance> =
            instances.iter().copied().filter(|i| serves(i) && !placed.contains(&identity_in(i))).collect();
        let mut added = Vec::new();
        for slot in self.next.slots.iter_mut().filter(|slot| slot.id <= size && slot.server.is_none()) {
            let Some(instance) = waiting.pop_front() else { break };
            let mut server = occupant(instance, millis, settings);
            server.gained = now;
            slot.server = Some(server);
            added.push((slot.id, instance));
        }
        for (id, instance) in added {
            let address = instance.addresses.first().map_or_else(String::new, ToString::to_string);
            let group = if instance.group.is_empty() { String::new() } else { format!(" of group {}", instance.group) };
            self.reason(Some(id), &instance.id, What::Added, format!("{address}{group} is healthy and in service"));
        }
        waiting
    }

    /// Gives the slots of draining servers to waiting ones: the client drains them until enough others are up.
    pub(super) fn take_draining(&mut self, waiting: &mut VecDeque<&Instance>) {
        if waiting.is_empty() {
            return;
        }
        let size = self.size();
        let mut draining: Vec<(u64, u32)> = self
            .next
            .servers()
            .filter(|(id, _)| *id <= size)
            .filter_map(|(id, server)| match server.state {
                State::Draining { since } => Some((since, id)),
                State::Active => None,
            })
            .collect();
        draining.sort_unstable();
        for (_, id) in draining {
            let Some(heir) = waiting.pop_front() else { break };
            self.hand_over(id, heir, None);
        }
    }

    /// Gives the slot of another to an instance. Where the other one served until now (`cause` is why it leaves), as many
    /// come as go, so neither is a gain or a loss.
    pub(super) fn hand_over(&mut self, id: u32, heir: &Instance, cause: Option<Cause>) {
        let mut server = occupant(heir, self.millis, self.settings);
        server.gained = if cause.is_none() { self.now } else { 0 };
        let Some(slot) = self.server_in(id) else { return };
        let before = std::mem::replace(slot, server).instance;
        let cause = cause.map_or_else(|| "it is draining".to_owned(), |cause| cause.to_string());
        self.reason(Some(id), &heir.id, What::Added, format!("in place of {before}: {cause}"));
    }

    /// Reports servers for which there is no slot.
    pub(super) fn tell_unplaced(&mut self, waiting: &VecDeque<&Instance>) {
        let size = self.size();
        let unplaced = |instance: &&Instance| (instance.id.clone(), instance.group.clone());
        let before: HashSet<(String, String)> =
            std::mem::take(&mut self.next.unplaced).into_iter().map(|u| (u.instance, u.group)).collect();
        for (instance, group) in waiting.iter().map(unplaced) {
            if !before.contains(&(instance.clone(), group.clone())) {
                self.reason(None, &instance, What::Unplaced, format!("none of the {size} slots is free"));
            }
            self.next.unplaced.push(Unplaced { instance, group });
        }
    }
}
