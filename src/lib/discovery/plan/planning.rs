//! A plan that is being made: the next document so far, and what everything in it goes by.

use crate::config::discovery::Plan as Settings;
use crate::discovery::document::{Cause, Document, Doubt, Reason, Server, State, What};
use crate::discovery::hint::Hint;
use crate::discovery::source::{Instance, Life, Listing};
use std::net::IpAddr;

/// What makes two servers the same.
pub(super) type Identity = (String, Option<IpAddr>, Option<u16>);

pub(super) fn identity_of(server: &Server) -> Identity {
    (server.instance.clone(), server.address(), server.port)
}

pub(super) fn identity_in(instance: &Instance) -> Identity {
    (instance.id.clone(), instance.addresses.first().copied(), instance.port)
}

/// Whether a server may be given traffic.
pub(super) fn serves(instance: &Instance) -> bool {
    instance.healthy && instance.life == Life::InService
}

pub(super) struct Planning<'a> {
    pub(super) next: Document,
    /// UTC seconds.
    pub(super) now: u64,
    /// UTC milliseconds.
    pub(super) millis: u64,
    pub(super) settings: &'a Settings,
    /// Whether the source knows all groups that it is asked for. Otherwise a name may be misspelt, and servers of a group
    /// that is not asked for any more may be those that are meant.
    pub(super) names_are_sure: bool,
}

impl Planning<'_> {
    /// Whether the source is asked for a group.
    fn is_asked_for(&self, group: &str) -> bool {
        self.settings.groups.as_ref().is_none_or(|groups| groups.iter().any(|name| name == group))
    }

    /// Whether a listing says neither that a server exists nor that it is gone.
    pub(super) fn is_silent(&self, listing: &Listing, server: &Server) -> bool {
        listing.is_silent_about(&server.instance, &server.group)
            || (!listing.failed.is_empty() && !self.is_asked_for(&server.group))
    }

    pub(super) fn reason(&mut self, slot: Option<u32>, instance: &str, what: What, why: impl Into<String>) {
        self.next.reasons.push(Reason { slot, instance: instance.to_owned(), what, why: why.into() });
    }

    pub(super) fn size(&self) -> u32 {
        u32::try_from(self.settings.list_size).unwrap_or(u32::MAX)
    }

    /// The server of a slot.
    pub(super) fn server_in(&mut self, id: u32) -> Option<&mut Server> {
        // Slots are in order.
        let at = self.next.slots.binary_search_by_key(&id, |slot| slot.id).ok()?;
        self.next.slots.get_mut(at)?.server.as_mut()
    }
}

pub(super) fn occupant(instance: &Instance, millis: u64, settings: &Settings) -> Server {
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
pub(super) fn suspect(server: &mut Server, cause: Cause, taken: u64, now: u64, settings: &Settings) {
    let mut doubt = server.doubt.unwrap_or(Doubt { cause, since: now, listings: 0, last: 0 });
    doubt.cause = cause;
    if doubt.listings < settings.confirmations && (taken > doubt.last || doubt.listings == 0) {
        doubt.listings += 1;
        doubt.last = taken;
    }
    server.doubt = Some(doubt);
}
