//! From what is wanted and what is there to the commands between them. A pure function: no clock, no socket.
//!
//! A slot goes through these states, a step with each round at most; where nothing has to be waited for, rounds follow
//! each other at once:
//!
//! ```text
//! empty (maint) ─► address, weight 0, ready, health down, weight ─► checks pass ─► serving
//! serving ─► drain ─► no open session, or drain-timeout ─► maint ─► empty, or the next occupant
//! ```
//!
//! - `ready` makes a server UP before any check has passed, and `health down` has an effect only after it. With the weight
//!   at 0 between the two, no request gets there in between.
//! - Somebody else's `maint` or `drain` stays until they end it, also when HAProxy is replaced: it is put back before
//!   anything else. What we set is in the [`Record`], for the process that we set it in.
//! - The agent of a slot is asked only while the list has a server serving there: whatever it says, it makes nothing ready
//!   that is to be empty or to leave.
//! - Servers leave while half of those that are wanted are up, or when waiting would help nobody. Whose checks fail does
//!   not serve, and leaves at once.
//! - A server that goes to another slot is up there before it is drained where it was: for the time between two looks it
//!   takes sessions through both.

mod back;
mod backend;
mod budget;
mod coming;
mod decide;
mod leaving;
mod places;
mod slot;
mod step;
mod view;

use super::record::Record;
use super::slots::{Desired, Wanted};
use crate::haproxy::runtime::ServerState;
use backend::Backend;
use budget::Budget;
use places::places;
use slot::Slot;
use std::collections::HashMap;
pub(crate) use step::{Outcome, Step, Waiting};
pub(crate) use view::{Settings, View};

/// What there is to do so that a backend becomes as it should be.
pub(crate) fn reconcile(desired: &Desired, view: View<'_>, record: &Record, settings: Settings) -> Outcome {
    let mut outcome = Outcome::default();
    let mut slots: Vec<Slot<'_>> = Vec::new();
    let rows = || view.servers.rows.iter().filter(|server| server.backend == desired.backend.as_str());
    let by_name: HashMap<&str, &ServerState> = rows().map(|server| (server.server.as_str(), server)).collect();
    for (&number, wanted) in &desired.slots {
        let Ok(name) = desired.server(number) else { continue };
        let server = by_name.get(name.server.as_str()).copied();
        slots.push(Slot { number, entry: record.get(&name), name, server, wanted });
    }
    // Slots beyond the list are ours only where we have set something.
    for server in rows() {
        let beyond = desired.slot(&server.server).filter(|number| !desired.slots.contains_key(number));
        if let Some(number) = beyond
            && let Ok(name) = desired.server(number)
            && let Some(entry) = record.get(&name)
        {
            slots.push(Slot { number, name, server: Some(server), entry: Some(entry), wanted: &Wanted::Empty });
        }
    }
    // Nor are those that a reload has deleted: what somebody else had set there would hold the server that comes next.
    for (name, entry) in
        record.iter().filter(|(name, entry)| name.backend == desired.backend && entry.foreign.is_some())
    {
        let beyond = desired.slot(name.server.as_str()).filter(|number| !desired.slots.contains_key(number));
        if let Some(number) = beyond
            && desired.dynamic.is_some()
            && !by_name.contains_key(name.server.as_str())
        {
            slots.push(Slot { number, name: name.clone(), server: None, entry: Some(entry), wanted: &Wanted::Empty });
        }
    }
    let backend = Backend { desired, view, settings, places: places(&slots, desired, view.process) };
    let mut budget = Budget::new(&slots, desired, view, &backend.places);
    let (mut back, mut coming, mut leaving) = (Vec::new(), Vec::new(), Vec::new());
    // Whose slot another server waits for leaves before those for whom nobody comes.
    let (first, last): (Vec<_>, Vec<_>) = slots.iter().partition(|slot| matches!(slot.wanted, Wanted::Serve(_)));
    for slot in first.into_iter().chain(last) {
        match backend.decide(slot, &mut budget, &mut outcome) {
            None => {}
            Some(step) if step.entry.is_some_and(|entry| entry.foreign.is_some()) => back.push(step),
            Some(step) if step.takes_traffic_away() => leaving.push(step),
            Some(step) => coming.push(step),
        }
    }
    outcome.waiting.sort_unstable();
    // Between two of them HAProxy answers requests: nobody leaves before all have come who come now.
    outcome.steps = back;
    outcome.steps.extend(coming);
    outcome.steps.extend(leaving);
    outcome
}

#[cfg(test)]
mod tests;
