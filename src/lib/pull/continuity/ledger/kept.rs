//! The parts of a ledger that are not in the snapshot, and have to be kept for the next start.

use super::{Identity, Ledger};

/// How many snapshots a process is kept after another one has taken over its socket, in case its master lists it again.
const RETURNS: u32 = 3;

/// What is known about the counters that a process shares.
pub(in crate::pull::continuity) struct Shared<'l, Objects> {
    /// Its predecessor, if it shares counters with it.
    pub(in crate::pull::continuity) predecessor: Option<&'l Identity>,
    /// Objects whose counters a newer process reports as well.
    pub(in crate::pull::continuity) superseded: Objects,
}

impl Ledger {
    /// Whether a process that has missed this many snapshots may come back, so that it has to be known after a restart.
    pub(in crate::pull::continuity) fn may_return(&self, identity: &Identity, missed: u32) -> bool {
        let process = self.processes.get(identity).filter(|process| !process.ended);
        process.is_some_and(|process| missed <= RETURNS || self.shown.get(&process.source) == Some(identity))
    }

    /// Which counters a process shares; `None` if it shares none.
    pub(in crate::pull::continuity) fn shared(
        &self,
        identity: &Identity,
    ) -> Option<Shared<'_, impl Iterator<Item = &[u8]>>> {
        let process = self.processes.get(identity)?;
        let names = &self.accounts.get(&identity.host)?.names;
        let predecessor = process.predecessor.as_ref().filter(|_| process.shares);
        let superseded = process.superseded.iter().filter_map(|object| names.get(*object));
        (predecessor.is_some() || !process.superseded.is_empty()).then_some(Shared { predecessor, superseded })
    }

    /// Forgets carried and shared counters, which were derived from reading all processes at once instead of over time. The
    /// caller restores both.
    pub(in crate::pull::continuity) fn forget_conclusions(&mut self) {
        let Self { accounts, scratch, .. } = self;
        accounts.values_mut().for_each(|account| account.forget_all(scratch));
        for process in self.processes.values_mut() {
            process.superseded.clear();
            process.predecessor = None;
            process.shares = false;
        }
    }

    /// Restores that a process shares counters with its predecessor.
    pub(in crate::pull::continuity) fn restore_predecessor(&mut self, process: &Identity, predecessor: &Identity) {
        if let Some(process) = self.processes.get_mut(process) {
            process.predecessor = Some(predecessor.clone());
            process.shares = true;
        }
    }

    /// Restores that a newer process reports the counters of this object as well.
    pub(in crate::pull::continuity) fn restore_superseded(&mut self, process: &Identity, object: &[u8]) {
        let object = self.account(&process.host).note(object, 0);
        if let Some(process) = self.processes.get_mut(process) {
            process.superseded.insert(object);
        }
    }
}
