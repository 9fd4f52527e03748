//! What of a store is removed: what is too old, and the oldest of what is too much.

use crate::config::Keep;
use crate::snapshot::Epoch;
use std::path::PathBuf;
use std::time::Duration;

/// How often a store is looked through.
pub(super) const EVERY: Duration = Duration::from_secs(60);

/// What file systems give a file at least, and in multiples of which.
const BLOCK: u64 = 4096;

/// A snapshot that is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Item {
    pub(super) epoch: Epoch,
    /// Bytes of its files.
    pub(super) bytes: u64,
    pub(super) path: PathBuf,
}

/// Those that are to be removed, oldest first, among them at least as many as take `missing` bytes. The newest stays, however
/// large it is.
pub(super) fn expired(mut items: Vec<Item>, keep: &Keep, missing: u64, now: Duration) -> Vec<Item> {
    items.sort_unstable_by_key(|item| item.epoch);
    let size = |item: &Item| item.bytes.div_ceil(BLOCK) * BLOCK;
    let mut left: u64 = items.iter().map(size).sum();
    let most = keep.bytes.unwrap_or(u64::MAX).min(left.saturating_sub(missing));
    let oldest = keep.age.map_or(0, |age| now.saturating_sub(age).as_secs());
    let last = items.len().saturating_sub(1);
    let is_expired = |item: &Item| {
        let too_old = item.epoch.0 < oldest;
        let too_much = left > most;
        left -= size(item);
        too_old || too_much
    };
    items.truncate(items.iter().take(last).map(is_expired).take_while(|expired| *expired).count());
    items
}

#[cfg(test)]
mod tests {
    use super::*;

    fn removed(keep: Keep) -> Vec<u64> {
        removed_for(keep, 0)
    }

    fn removed_for(keep: Keep, missing: u64) -> Vec<u64> {
        let item = |epoch| Item { epoch: Epoch(epoch), bytes: 5000, path: PathBuf::new() };
        let items = [30, 10, 40, 20].map(item).to_vec();
        expired(items, &keep, missing, Duration::from_secs(40)).iter().map(|item| item.epoch.0).collect()
    }

    #[test]
    fn what_is_missing_is_made_free_whatever_may_be_kept() {
        let two = Keep { age: None, bytes: Some(2 * 8192) };
        assert_eq!(removed_for(Keep::default(), 1), [10]);
        assert_eq!(removed_for(Keep::default(), 8193), [10, 20]);
        assert_eq!((removed_for(two, 1), removed_for(two, 3 * 8192)), (vec![10, 20], vec![10, 20, 30]));
        assert_eq!(removed_for(Keep::default(), u64::MAX), [10, 20, 30]);
    }

    #[test]
    fn the_oldest_go_and_the_newest_stays() {
        let age = |seconds| Some(Duration::from_secs(seconds));
        assert_eq!(removed(Keep::default()), Vec::<u64>::new());
        assert_eq!(removed(Keep { age: age(20), bytes: None }), [10]);
        assert_eq!(removed(Keep { age: age(0), bytes: None }), [10, 20, 30]);
        assert_eq!(removed(Keep { age: None, bytes: Some(4 * 8192) }), Vec::<u64>::new());
        assert_eq!(removed(Keep { age: None, bytes: Some(4 * 8192 - 1) }), [10]);
        assert_eq!(removed(Keep { age: None, bytes: Some(1) }), [10, 20, 30]);
        assert_eq!(removed(Keep { age: age(15), bytes: Some(3 * 8192) }), [10, 20]);
        assert_eq!(expired(Vec::new(), &Keep { age: age(1), bytes: Some(1) }, 1, Duration::MAX), []);
    }
}
