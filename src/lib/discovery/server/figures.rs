//! What the server tells about itself.

use crate::discovery::clock::utc_seconds;
use crate::discovery::document::{Document, Reason, State, What};
use crate::telemetry::{Definition, Sample, as_f64, definitions, size};
use std::cell::{Cell, RefCell};

definitions! {
    /// Of the server of haproxystats-discovery.
    pub(crate) static DISCOVERY {
        LEADER "DiscoveryLeader" "1 or 0" Gauge
            "Whether this server has the lease; exactly one server should.";
        SLOTS "DiscoverySlots" "slots" Gauge
            "Slots of the list.";
        SERVERS "DiscoveryServers" "servers" Gauge
            "Servers that have a slot and get traffic.";
        DRAINING "DiscoveryDraining" "servers" Gauge
            "Servers that are draining before their slot becomes free.";
        UNPLACED "DiscoveryUnplaced" "servers" Gauge
            "Healthy servers for which there is no slot.";
        HELD "DiscoveryHeld" "servers" Gauge
            "Servers that the source no longer lists, calls unhealthy or takes out of service, but that removal-ratio \
             or removal-floor keeps.";
        VERSION "DiscoveryVersion" "documents" Gauge
            "Version of the list; it grows with each change.";
        SOURCE_AGE "DiscoverySourceAge" "seconds" Gauge
            "Age of the last listing of the source; absent before the first one.";
        SOURCE_INSTANCES "DiscoverySourceInstances" "instances" Gauge
            "Instances in the last listing, whatever their state.";
        UNUSABLE "DiscoveryUnusable" "instances" Gauge
            "Instances in the last listing that would serve if they had a usable address.";
        LISTINGS "DiscoveryListings" "listings" Counter
            "Listings returned by the source.";
        SOURCE_FAILURES "DiscoverySourceFailures" "attempts" Counter
            "Attempts to list the source, or one of its groups, that failed.";
        STORE_FAILURES "DiscoveryStoreFailures" "attempts" Counter
            "Requests to the store that failed.";
        CONFLICTS "DiscoveryConflicts" "attempts" Counter
            "Plans computed again because another server had written to the store meanwhile.";
        WRITES "DiscoveryWrites" "documents" Counter
            "Lists written to the store.";
        CHANGES "DiscoveryChanges" "changes" Counter
            "Changes of the list, by kind: added, draining, returned, freed, held, unplaced, moved, updated, weight, \
             list_resized.";
        REPORTS_SKIPPED "DiscoveryReportsSkipped" "reports" Counter
            "Reports to Graphite that were skipped because it had not accepted the previous one; counters lose nothing.";
    }
}

/// What is counted.
#[derive(Default)]
pub(super) struct Figures {
    pub(super) listings: Cell<u32>,
    pub(super) source_failures: Cell<u32>,
    pub(super) store_failures: Cell<u32>,
    pub(super) conflicts: Cell<u32>,
    pub(super) writes: Cell<u32>,
    pub(super) leader: Cell<bool>,
    /// UTC milliseconds; 0: none so far.
    pub(super) listed: Cell<u64>,
    pub(super) instances: Cell<usize>,
    pub(super) unusable: Cell<usize>,
    pub(super) document: RefCell<Option<Document>>,
    pub(super) changes: RefCell<Vec<(What, u32)>>,
}

pub(super) fn add(counter: &Cell<u32>) {
    counter.set(counter.get().saturating_add(1));
}

impl Figures {
    pub(super) fn count(&self, reasons: &[Reason]) {
        let mut changes = self.changes.borrow_mut();
        for reason in reasons {
            match changes.iter_mut().find(|(what, _)| *what == reason.what) {
                Some((_, count)) => *count = count.saturating_add(1),
                None => changes.push((reason.what, 1)),
            }
        }
    }

    pub(super) fn samples(&self, skipped: u64) -> Vec<Sample<'static>> {
        let mut samples = Vec::new();
        let mut tell = |definition: &'static Definition, value: f64| samples.push(definition.sample(value));
        tell(&LEADER, f64::from(u8::from(self.leader.get())));
        tell(&LISTINGS, f64::from(self.listings.get()));
        tell(&SOURCE_FAILURES, f64::from(self.source_failures.get()));
        tell(&STORE_FAILURES, f64::from(self.store_failures.get()));
        tell(&CONFLICTS, f64::from(self.conflicts.get()));
        tell(&WRITES, f64::from(self.writes.get()));
        tell(&REPORTS_SKIPPED, as_f64(skipped));
        if self.listed.get() > 0 {
            tell(&SOURCE_AGE, as_f64(utc_seconds().saturating_sub(self.listed.get() / 1000)));
            tell(&SOURCE_INSTANCES, size(self.instances.get()));
            tell(&UNUSABLE, size(self.unusable.get()));
        }
        if let Some(document) = &*self.document.borrow() {
            let active = document.servers().filter(|(_, server)| server.state == State::Active).count();
            let occupied = document.servers().count();
            tell(&SLOTS, size(document.slots.len()));
            tell(&SERVERS, size(active));
            tell(&DRAINING, size(occupied - active));
            tell(&UNPLACED, size(document.unplaced.len()));
            tell(&HELD, size(document.held.len()));
            tell(&VERSION, as_f64(document.version));
        }
        for (what, count) in self.changes.borrow().iter() {
            samples.push(CHANGES.sample(f64::from(*count)).with("change", what.to_string().replace(' ', "_")));
        }
        samples
    }
}
