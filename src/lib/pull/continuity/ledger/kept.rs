//! What of a ledger is not in the snapshot, and is kept for the next start.

use super::{Identity, Ledger};

/// A process whose socket shows another one now is kept for so many snapshots, should its master lead to it once more.
const RETURNS: u32 = 3;

/// What is known of the counters that a process shares.
pub(in crate::pull::continuity) struct Shared<'l, Objects> {
    /// The process before it, where it shares counters with that.
    pub(in crate::pull::continuity) predecessor: Option<&'l Identity>,
    /// Objects whose counters a newer process shows as well.
    pub(in crate::pull::continuity) superseded: Objects,
}

impl Ledger {
    /// Whether a process that has missed so many snapshots may come back, as far as that is to be known after a restart.
    pub(in crate::pull::continuity) fn may_return(&self, identity: &Identity, missed: u32) -> bool {
        let process = self.processes.get(identity).filter(|process| !process.ended);
        process.is_some_and(|process| missed <= RETURNS || self.shown.get(&process.source) == Some(identity))
    }

    /// Which counters a process shares; `None` for none.
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

    /// Forgets what follows from processes that were taken in all at once, and not as they came: what is carried, and what they
    /// share. Both are to be restored.
    pub(in crate::pull::continuity) fn forget_conclusions(&mut self) {
        let Self { accounts, scratch, .. } = self;
        accounts.values_mut().for_each(|account| account.forget_all(scratch));
        for process in self.processes.values_mut() {
            process.superseded.clear();
            process.predecessor = None;
            process.shares = false;
        }
    }

    /// A process shares counters with its predecessor.
    pub(in crate::pull::continuity) fn restore_predecessor(&mut self, process: &Identity, predecessor: &Identity) {
        if let Some(process) = self.processes.get_mut(process) {
            process.predecessor = Some(predecessor.clone());
            process.shares = true;
        }
    }

    /// A newer process shows the counters of this object as well.
    pub(in crate::pull::continuity) fn restore_superseded(&mut self, process: &Identity, object: &[u8]) {
        let object = self.account(&process.host).note(object, 0);
        if let Some(process) = self.processes.get_mut(process) {
            process.superseded.insert(object);
        }
    }
}
