//! Which slots hold an address: a server that goes from one to another is in both for a while.

use super::slot::{Slot, endpoint_of, has_traffic};
use crate::discovery::client::slots::{Desired, Wanted};
use crate::haproxy::runtime::{AdminState, Endpoint, Process};
use std::collections::HashMap;

/// A slot that holds an address, as others see it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place {
    pub(super) slot: u32,
    pub(super) foreign: bool,
    pub(super) state: AdminState,
    pub(super) up: bool,
    /// Whether it is given requests there.
    pub(super) serves: bool,
    /// Whether the list has it there.
    pub(super) wanted: bool,
}

/// What is known about an address: the slots that hold it, and a slot that waits for it and could take it now.
#[derive(Debug, Default)]
pub(super) struct At {
    pub(super) holders: Vec<Place>,
    pub(super) ready_for_it: Option<u32>,
}

impl At {
    /// Whether the server in a slot where the list does not have it serves through another one, too; of several such slots
    /// the first needs itself.
    pub(super) fn serves_beside(&self, slot: u32) -> bool {
        self.holders.iter().any(|place| place.slot != slot && place.serves && (place.wanted || place.slot < slot))
    }
}

pub(super) fn places(slots: &[Slot<'_>], desired: &Desired, process: &Process) -> HashMap<Endpoint, At> {
    let mut places: HashMap<Endpoint, At> = HashMap::new();
    for slot in slots {
        if let Some(state) = slot.forgotten(process)
            && let Some(endpoint) = slot.entry.and_then(|entry| entry.endpoint)
        {
            let place = Place { slot: slot.number, foreign: true, state, up: false, serves: false, wanted: false };
            places.entry(endpoint).or_default().holders.push(place);
        } else if let Some(server) = slot.server
            && let Some(endpoint) = endpoint_of(server)
        {
            let (foreign, state, up) = (slot.is_foreign(process), server.state(), server.is_up());
            let wanted = matches!(slot.wanted, Wanted::Serve(_)) && slot.occupant_is_there();
            let place = Place { slot: slot.number, foreign, state, up, serves: has_traffic(server), wanted };
            places.entry(endpoint).or_default().holders.push(place);
        }
        let free = match slot.server {
            Some(server) if slot.is_foreign(process) || server.is_led_by_others() => false,
            Some(server) if server.state() == AdminState::Drain => slot.occupant_is_there(),
            Some(server) => server.state() == AdminState::Maint,
            None => desired.dynamic.is_some() && process.has_dynamic_servers() && slot.forgotten(process).is_none(),
        };
        if let Wanted::Serve(occupant) = slot.wanted
            && free
        {
            places.entry(occupant.endpoint).or_default().ready_for_it = Some(slot.number);
        }
    }
    places
}
