//! For tests only: ends the program at a step of a tick, as a crash would.
//!
//! The environment variable `HAPROXYSTATS_TEST_STEP` holds `<step>:<number>`: the how-many-th time that the step is reached, counted
//! from 1, is the last. See [`injection`].

use crate::injection;
use nix::sys::signal::{Signal, raise};
use std::sync::atomic::{AtomicU32, Ordering};

/// Name of the variable.
const VARIABLE: &str = "HAPROXYSTATS_TEST_STEP";

/// How often the step has been reached.
static REACHED: AtomicU32 = AtomicU32::new(0);

/// A step of a tick, in their order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    /// There is a directory for the snapshot.
    Begun,
    /// The replies are there.
    Answered,
    /// What is carried was written beside them.
    Carried,
    /// All of it was linked to what is to be kept.
    Linked,
    /// That has its name, beside what was kept before.
    Kept,
    /// What was kept before is gone.
    Cleared,
    /// The figures of pull are written: the snapshot is complete.
    Counted,
    /// It is published.
    Published,
    /// Its second is noted.
    Noted,
}

impl Step {
    const ALL: [(&'static str, Self); 9] = [
        ("begun", Self::Begun),
        ("answered", Self::Answered),
        ("carried", Self::Carried),
        ("linked", Self::Linked),
        ("kept", Self::Kept),
        ("cleared", Self::Cleared),
        ("counted", Self::Counted),
        ("published", Self::Published),
        ("noted", Self::Noted),
    ];

    /// Ends the program, if it is to end here.
    pub(super) fn reached(self) {
        let Some(text) = injection::variable(VARIABLE) else { return };
        if let Some((step, number)) = parse(&text)
            && step == self
            && REACHED.fetch_add(1, Ordering::Relaxed) + 1 == number
        {
            // Nothing runs after it.
            let _ = raise(Signal::SIGKILL);
        }
    }
}

fn parse(text: &str) -> Option<(Step, u32)> {
    let (name, number) = text.split_once(':')?;
    let (_, step) = Step::ALL.into_iter().find(|(known, _)| *known == name)?;
    Some((step, number.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_are_read_and_others_pass() {
        assert_eq!(parse("kept:2"), Some((Step::Kept, 2)));
        assert_eq!((parse("kept"), parse("x:1"), parse("kept:x")), (None, None, None));
        Step::Begun.reached();
    }
}
