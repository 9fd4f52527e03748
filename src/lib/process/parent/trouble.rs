//! Decides when to log that snapshots cannot be read: when that begins, when the reason changes or the number grows much, and
//! when it is over.

use std::collections::BTreeSet;

/// It is logged again if this many times as many snapshots are affected.
const MUCH_MORE: usize = 10;

/// Whether there is trouble, and what was logged about it.
#[derive(Debug, Default)]
pub(super) struct Trouble {
    said: BTreeSet<String>,
    most: usize,
}

impl Trouble {
    /// Notes that `count` snapshots cannot be read, the last one for this reason. Returns whether to log an error.
    pub(super) fn has(&mut self, count: usize, reason: &str) -> bool {
        // The system's error comes last, after file names, which differ.
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

    /// Notes that `count` snapshots cannot be read. Returns whether this is the end of the trouble.
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
