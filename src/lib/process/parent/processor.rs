//! The CPU times of a worker: how long it ran, and how long it was ready to run but got no processor.

use std::time::Duration;

/// Times of the first thread of a process, since it started.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Times {
    /// Time for which it ran.
    ran: Duration,
    /// Time for which it was ready to run but got no processor.
    starved: Duration,
}

impl Times {
    /// Reads `/proc/<pid>/schedstat`; `None` if the kernel does not have it, or the process is gone.
    #[must_use]
    pub(crate) fn of(pid: u32) -> Option<Self> {
        parse(&std::fs::read_to_string(format!("/proc/{pid}/schedstat")).ok()?)
    }

    /// How much of `time`, for which it was silent, does not count because it got no processor. Less than an eighth is normal,
    /// and ignored.
    #[must_use]
    pub(crate) fn excused(self, before: Self, time: Duration) -> Option<Duration> {
        let starved = self.starved.saturating_sub(before.starved).min(time);
        (starved > time / 8).then_some(starved)
    }

    /// Whether it did not run for most of `time`, unlike a process in an endless loop.
    #[must_use]
    pub(crate) fn rested(self, before: Self, time: Duration) -> bool {
        self.ran.saturating_sub(before.ran) < time / 2
    }
}

fn parse(text: &str) -> Option<Times> {
    let mut numbers = text.split_whitespace().map(|word| word.parse().ok().map(Duration::from_nanos));
    Some(Times { ran: numbers.next()??, starved: numbers.next()?? })
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn the_kernel_is_understood() {
        let times = parse("2418260 1000000000 17\n").unwrap();
        assert_eq!(times, Times { ran: Duration::from_nanos(2_418_260), starved: SECOND });
        assert_eq!((parse(""), parse("1"), parse("a b c")), (None, None, None));
        assert!(Times::of(std::process::id()).is_none_or(|times| times.ran > Duration::ZERO));
        assert_eq!(Times::of(u32::MAX), None);
    }

    #[test]
    fn time_without_a_processor_is_excused_and_no_more() {
        let before = Times { ran: SECOND, starved: SECOND };
        let after = |ran: u32, starved: u32| Times { ran: (1 + ran) * SECOND, starved: (1 + starved) * SECOND };
        assert_eq!(after(0, 0).excused(before, 8 * SECOND), None);
        assert_eq!(after(0, 1).excused(before, 8 * SECOND), None);
        assert_eq!(after(0, 6).excused(before, 8 * SECOND), Some(6 * SECOND));
        assert_eq!(after(0, 20).excused(before, 8 * SECOND), Some(8 * SECOND));
    }

    #[test]
    fn who_computes_without_end_is_told_from_who_waits() {
        let before = Times { ran: SECOND, starved: SECOND };
        let ran = |ran: u32| Times { ran: (1 + ran) * SECOND, starved: SECOND };
        assert!(ran(0).rested(before, 8 * SECOND) && ran(3).rested(before, 8 * SECOND));
        assert!(!ran(5).rested(before, 8 * SECOND));
    }
}
