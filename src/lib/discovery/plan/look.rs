//! What the source says about servers that have a slot.

use super::planning::{Identity, Planning, identity_in, identity_of, occupant, serves, suspect};
use crate::discovery::document::{Cause, Server, State, What};
use crate::discovery::source::{Instance, Life, Listing};
use std::collections::{HashMap, HashSet};
use std::net::IpAddr;

impl Planning<'_> {
    /// Applies the listing to the servers that have a slot.
    pub(super) fn look_at_servers(&mut self, listing: &Listing, instances: &[&Instance]) {
        let taken = listing.taken;
        let by_identity: HashMap<Identity, &Instance> = instances.iter().map(|i| (identity_in(i), *i)).collect();
        let serving = self.next.servers().filter(|(_, server)| server.state == State::Active);
        let actives: HashSet<Identity> = serving.map(|(_, server)| identity_of(server)).collect();
        let present: HashSet<Identity> = self.next.servers().map(|(_, server)| identity_of(server)).collect();
        let heirs = heirs(instances, &present);
        let (size, now, millis, settings) = (self.size(), self.now, self.millis, self.settings);
        let silent: HashSet<u32> =
            self.next.servers().filter(|(_, server)| self.is_silent(listing, server)).map(|(id, _)| id).collect();
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
                    *server = occupant(heir, millis, settings);
                    reasons.push((id, heir.id.clone(), What::Added, why));
                } else if active && !silent.contains(&id) {
                    suspect(server, Cause::Missing, taken, now, settings);
                }
                continue;
            };
            let identity = identity_of(server);
            let mut about = occupant(instance, millis, settings);
            if silent.contains(&id) && instance.group != server.group {
                // Nobody is left in a group that the source should know: it is rather misspelt where its servers are now.
                about.group.clone_from(&server.group);
            }
            if let Some(why) = update(server, about) {
                reasons.push((id, instance.id.clone(), What::Updated, why));
            }
            match (serves(instance), active) {
                (true, true) => server.doubt = None,
                // Who drains because it has another slot as well goes on draining.
                (true, false) if id <= size && !actives.contains(&identity) && returned.insert(identity) => {
                    (server.state, server.doubt, server.gained) = (State::Active, None, now);
                    server.set_ramp_start(millis);
                    server.weight = 0;
                    let why = "the source calls it healthy and in service again; its ramp starts over";
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
}

/// Those who may have taken over an address, which cannot be that of two.
fn heirs<'i>(instances: &[&'i Instance], present: &HashSet<Identity>) -> HashMap<(IpAddr, Option<u16>), &'i Instance> {
    let new = instances.iter().filter(|instance| serves(instance) && !present.contains(&identity_in(instance)));
    new.filter_map(|instance| Some(((instance.addresses.first().copied()?, instance.port), *instance))).collect()
}

/// Takes over what the source says about a server; what that is, in words, where it differs.
fn update(server: &mut Server, about: Server) -> Option<String> {
    let is_same = (&server.name, &server.group, &server.zone, server.hint, &server.addresses)
        == (&about.name, &about.group, &about.zone, about.hint, &about.addresses);
    if is_same {
        return None;
    }
    let why = format!("name {}, group {}, weight hint {} %", about.name, about.group, about.hint);
    (server.name, server.group, server.zone) = (about.name, about.group, about.zone);
    (server.hint, server.addresses) = (about.hint, about.addresses);
    Some(why)
}
