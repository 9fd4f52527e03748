//! What the log says of snapshots that cannot be read: once when that begins, again when it is for another reason or has
//! become much more, and once when it is over.

use std::collections::BTreeSet;

/// It is said again when so many times more snapshots are concerned.
const MUCH_MORE: usize = 10;

/// Whether there is trouble, and what was said of it.
#[derive(Debug, Default)]
pub(super) struct Trouble {
    said: BTreeSet<String>,
    most: usize,
}

impl Trouble {
    /// So many snapshots cannot be read now, the last one for this reason. Whether that is worth an error in the log.
    pub(super) fn has(&mut self, count: usize, reason: &str) -> bool {
        // What the system says comes last, after names of files that differ.
        let cause = reason.rsplit(": ").next().unwrap_or(reason);
        let new = !self.said.contains(cause);
        if new {
            self.said.insert(cause.to_owned());
        }
        let more = self.most > 0 && count >= self.most.saturating_mul(MUCH_MORE);
        if new || more {
            self.most = self.most.max(count);
        }
        new || more
    }

    /// So many snapshots cannot be read now. Whether there was trouble, and that is the end of it.
    pub(super) fn is_over(&mut self, count: usize) -> bool {
        let over = count == 0 && self.most > 0;
        if over {
            *self = Self::default();
        }
        over
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_said_once_for_each_reason() {
        let mut trouble = Trouble::default();
        assert!(!trouble.is_over(0));
        assert!(trouble.has(1, "cannot read /a: Input/output error (os error 5)"));
        assert!(!trouble.has(2, "cannot read /b: Input/output error (os error 5)"));
        assert!(trouble.has(3, "cannot read /b: Permission denied (os error 13)"));
        assert!(!trouble.has(29, "cannot read /b: Permission denied (os error 13)"));
        assert!(trouble.has(30, "cannot read /b: Permission denied (os error 13)"));
        assert!(!trouble.has(31, "cannot read /b: Permission denied (os error 13)"));
        assert!(!trouble.is_over(1));
        assert!(trouble.is_over(0));
        assert!(!trouble.is_over(0));
        assert!(trouble.has(1, "cannot read /a: Input/output error (os error 5)"));
    }
}
