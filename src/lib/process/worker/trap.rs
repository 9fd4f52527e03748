//! For tests only: makes a worker fail on a certain snapshot, in ways that no input is known to cause.
//!
//! The environment variable `HAPROXYSTATS_TEST_TRAP` holds `<how>:<epoch>`, separated by commas where there are
//! several; `how` is `abort`, `panic`, `hang`, `exit` or `memory`. See [`injection`].

use crate::injection;
use crate::snapshot::Epoch;

/// Name of the variable.
pub(crate) const VARIABLE: &str = "HAPROXYSTATS_TEST_TRAP";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum How {
    Abort,
    Panic,
    Hang,
    Exit,
    Memory,
}

/// The traps that are set.
#[derive(Debug, Default)]
pub(crate) struct Trap {
    set: Vec<(How, Epoch)>,
}

impl Trap {
    /// Reads the variable.
    #[must_use]
    pub(crate) fn from_environment() -> Self {
        let text = injection::variable(VARIABLE).unwrap_or_default();
        Self { set: text.split(',').filter_map(parse).collect() }
    }

    /// Fails on this snapshot, if it is to.
    pub(crate) fn spring(&self, epoch: Epoch) {
        match self.how(epoch) {
            Some(How::Abort) => std::process::abort(),
            Some(How::Exit) => std::process::exit(3),
            Some(How::Hang) => loop {
                std::thread::sleep(std::time::Duration::from_secs(3600));
            },
            Some(How::Memory) => drop(std::hint::black_box(Vec::<u8>::with_capacity(1 << 60))),
            Some(How::Panic) | None => {}
        }
    }

    /// Panics on this snapshot, if it is to.
    ///
    /// # Panics
    /// If a trap is set for this snapshot.
    #[allow(clippy::panic)]
    pub(crate) fn panic(&self, epoch: Epoch) {
        if self.how(epoch) == Some(How::Panic) {
            panic!("a test has set a trap for snapshot {epoch}");
        }
    }

    fn how(&self, epoch: Epoch) -> Option<How> {
        self.set.iter().find(|(_, of)| *of == epoch).map(|(how, _)| *how)
    }
}

fn parse(text: &str) -> Option<(How, Epoch)> {
    let (how, epoch) = text.split_once(':')?;
    let how = match how {
        "abort" => How::Abort,
        "panic" => How::Panic,
        "hang" => How::Hang,
        "exit" => How::Exit,
        "memory" => How::Memory,
        _ => return None,
    };
    Some((how, Epoch::from_name(epoch)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn traps_are_read_and_others_pass() {
        let set: Vec<_> = "abort:1500000000,hang:1500000010,,x:1,exit:y".split(',').filter_map(parse).collect();
        assert_eq!(set, vec![(How::Abort, Epoch(1_500_000_000)), (How::Hang, Epoch(1_500_000_010))]);
        Trap { set }.spring(Epoch(7));
    }
}
