//! When a peer that takes no data counts as stalled, and when its connection is replaced. Pure.

use crate::looked::Moment;
use std::time::Duration;

/// Slowest peer that is worth waiting for, in bytes a second, averaged over the patience. A slower one is treated as
/// one that takes nothing: at this rate an ordinary snapshot would need several minutes, and the next is due long before.
const SLOWEST: u64 = 1024;

/// Shortest write time-out; a shorter one could not be told from the ordinary.
const SHORTEST: Duration = Duration::from_millis(10);

/// Least patience: carbon-c-relay takes up to a second to notice that there is something on an idle connection.
const LEAST_PATIENCE: Duration = Duration::from_secs(2);

/// Connections in a row that were replaced, after which the patience grows no further.
const MOST_DOUBLINGS: u32 = 4;

/// What [`Progress::look`] found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Nothing has changed.
    Unchanged,
    /// The peer has just become stalled: it has taken no byte for the write time-out, or has all of them and has not
    /// closed for half the patience.
    Stalled,
    /// A stalled peer takes data again.
    Back,
    /// The peer has been too slow for longer than the patience.
    Replace,
}

/// What a peer owes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Owing {
    /// The acknowledgement of some bytes, which is its kernel's business and quick, unless its buffers are full.
    Bytes,
    /// The end of a connection, which is its program's business.
    End,
}

/// Watches the bytes that a peer has taken.
#[derive(Debug)]
pub(crate) struct Progress {
    write_timeout: Duration,
    delay: Duration,
    replaced: u32,
    owing: Option<Owing>,
    stalled: bool,
    taken: u64,
    /// Since when no byte was taken.
    quiet_since: Moment,
    /// Start of the span over which the rate is looked at, and the bytes taken before it.
    span: (Moment, u64),
}

impl Progress {
    /// `write_timeout` makes a peer stalled; `delay` is the patience with a stalled one, before it grows.
    pub(crate) fn new(write_timeout: Duration, delay: Duration, now: Moment) -> Self {
        let write_timeout = write_timeout.max(SHORTEST);
        Self {
            write_timeout,
            delay,
            replaced: 0,
            owing: None,
            stalled: false,
            taken: 0,
            quiet_since: now,
            span: (now, 0),
        }
    }

    /// How long a peer may be too slow. It doubles with each connection in a row that had to be replaced, since a new
    /// connection to a peer that hangs costs all that is in flight a second time.
    pub(crate) fn patience(&self) -> Duration {
        self.delay.max(self.write_timeout).max(LEAST_PATIENCE) * 2_u32.pow(self.replaced.min(MOST_DOUBLINGS))
    }

    /// The peer owes nothing, or the connection is gone. Returns whether it was stalled.
    pub(crate) fn rest(&mut self) -> bool {
        self.owing = None;
        std::mem::take(&mut self.stalled)
    }

    /// The connection was replaced since it was too slow.
    pub(crate) fn replaced(&mut self) {
        self.replaced = self.replaced.saturating_add(1);
    }

    /// A batch has arrived.
    pub(crate) fn arrived(&mut self) {
        self.replaced = 0;
    }

    /// The peer owes something, and has taken `taken` bytes so far. The clock starts with the first look.
    pub(crate) fn look(&mut self, now: Moment, owing: Owing, taken: u64) -> Verdict {
        if self.owing.replace(owing).is_none() {
            (self.quiet_since, self.taken, self.span) = (now, taken, (now, taken));
        }
        let patience = self.patience();
        let moved = taken > self.taken;
        if moved {
            self.taken = taken;
            self.quiet_since = now;
        }
        let least = SLOWEST * patience.as_secs().max(1);
        if taken.saturating_sub(self.span.1) >= least {
            self.span = (now, taken);
        }
        if now.since(self.span.0) >= patience {
            Verdict::Replace
        } else if moved && std::mem::take(&mut self.stalled) {
            Verdict::Back
        } else if !self.stalled && now.since(self.quiet_since) >= self.quiet_limit() {
            self.stalled = true;
            Verdict::Stalled
        } else {
            Verdict::Unchanged
        }
    }

    /// When to look again, at the latest; never while the peer owes nothing.
    pub(crate) fn next_look(&self, now: Moment) -> Option<Moment> {
        let quiet = if self.stalled { now } else { self.quiet_since };
        self.owing.map(|_| (self.span.0 + self.patience()).min(quiet + self.quiet_limit()))
    }

    fn quiet_limit(&self) -> Duration {
        match self.owing {
            Some(Owing::End) => self.write_timeout.max(self.patience() / 2),
            Some(Owing::Bytes) | None => self.write_timeout,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn progress() -> (Progress, Moment) {
        let now = Moment::now();
        (Progress::new(SECOND, 10 * SECOND, now), now)
    }

    #[test]
    fn a_silent_peer_is_stalled_once_and_then_replaced() {
        let (mut progress, start) = progress();
        let verdicts: Vec<_> =
            (0..=10).map(|second| progress.look(start + second * SECOND, Owing::Bytes, 5000)).collect();
        assert_eq!(verdicts[0..2], [Verdict::Unchanged, Verdict::Stalled]);
        assert!(verdicts[2..10].iter().all(|verdict| *verdict == Verdict::Unchanged));
        assert_eq!(verdicts[10], Verdict::Replace);
    }

    #[test]
    fn one_byte_ends_a_stall_but_does_not_save_a_peer_that_trickles() {
        let (mut progress, start) = progress();
        progress.look(start, Owing::Bytes, 0);
        assert_eq!(progress.look(start + SECOND, Owing::Bytes, 0), Verdict::Stalled);
        assert_eq!(progress.look(start + 2 * SECOND, Owing::Bytes, 1), Verdict::Back);
        for second in 3..10 {
            assert_eq!(progress.look(start + second * SECOND, Owing::Bytes, u64::from(second)), Verdict::Unchanged);
        }
        assert_eq!(progress.look(start + 10 * SECOND, Owing::Bytes, 10), Verdict::Replace);
    }

    #[test]
    fn a_slow_peer_is_kept() {
        let (mut progress, start) = progress();
        for second in 0..1000 {
            assert_eq!(
                progress.look(start + second * SECOND, Owing::Bytes, u64::from(second) * 1100),
                Verdict::Unchanged
            );
        }
    }

    #[test]
    fn patience_grows_with_each_replacement_and_returns_when_a_batch_arrives() {
        let (mut progress, _) = progress();
        let mut patience = Vec::new();
        for _ in 0..6 {
            patience.push(progress.patience().as_secs());
            progress.replaced();
        }
        assert_eq!(patience, [10, 20, 40, 80, 160, 160]);
        progress.arrived();
        assert_eq!(progress.patience(), 10 * SECOND);
    }

    #[test]
    fn the_next_look_is_neither_early_nor_late() {
        let (mut progress, start) = progress();
        progress.look(start, Owing::Bytes, 0);
        let mut now = progress.next_look(start).unwrap();
        assert_eq!(progress.look(now - SECOND / 1000, Owing::Bytes, 0), Verdict::Unchanged);
        assert_eq!(progress.look(now, Owing::Bytes, 0), Verdict::Stalled);
        let mut looks = 0;
        while progress.look(now, Owing::Bytes, 0) != Verdict::Replace {
            now = progress.next_look(now).unwrap();
            looks += 1;
        }
        assert_eq!((now, looks), (start + 10 * SECOND, 9));
    }

    #[test]
    fn a_peer_may_take_longer_to_close_than_to_take_bytes() {
        let (mut progress, start) = progress();
        assert_eq!(progress.look(start, Owing::End, 0), Verdict::Unchanged);
        assert_eq!(progress.next_look(start), Some(start + 5 * SECOND));
        assert_eq!(progress.look(start + 4 * SECOND, Owing::End, 0), Verdict::Unchanged);
        assert_eq!(progress.look(start + 5 * SECOND, Owing::End, 0), Verdict::Stalled);
        assert_eq!(progress.look(start + 10 * SECOND, Owing::End, 0), Verdict::Replace);
    }

    #[test]
    fn the_clock_does_not_run_while_nothing_is_owed() {
        let (mut progress, start) = progress();
        progress.look(start, Owing::Bytes, 0);
        assert_eq!(progress.look(start + SECOND, Owing::Bytes, 0), Verdict::Stalled);
        assert!(progress.rest());
        assert_eq!(progress.next_look(start), None);
        assert_eq!(progress.look(start + 60 * SECOND, Owing::Bytes, 0), Verdict::Unchanged);
        assert!(!progress.stalled);
    }
}
