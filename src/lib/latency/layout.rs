//! What is counted: timers, and the bounds of their buckets.

use std::fmt;
use std::sync::Arc;

/// Elements that an array of general-purpose counters in a stick table can have.
const MOST_ELEMENTS: usize = 100;
/// The longest bound, in milliseconds: a day, beyond every timeout.
const LONGEST: u32 = 86_400_000;

/// A time that HAProxy knows when the headers of a response have come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Timer {
    /// From the connection to the server until the headers of its response: `Tr` of the logs, `rtime` of the statistics.
    Response,
    /// To connect to the server, with TLS: `Tc`, `ctime`.
    Connect,
    /// In queues: `Tw`, `qtime`.
    Queue,
}

impl Timer {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Response, Self::Connect, Self::Queue];

    /// Its word in options, keys and metrics.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Response => "response",
            Self::Connect => "connect",
            Self::Queue => "queue",
        }
    }

    /// HAProxy's sample fetch; all of them exist since 2.9, and give a whole number of milliseconds in `http-response` rules.
    #[must_use]
    pub const fn fetch(self) -> &'static str {
        match self {
            Self::Response => "res.timer.hdr",
            Self::Connect => "bc.timer.connect",
            Self::Queue => "req.timer.queue",
        }
    }

    /// The average of the same time in `show stat`.
    #[must_use]
    pub const fn average(self) -> &'static str {
        match self {
            Self::Response => "rtime",
            Self::Connect => "ctime",
            Self::Queue => "qtime",
        }
    }

    fn of(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|timer| timer.word() == word)
    }
}

/// Why this is no list of timers or of bounds.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LayoutError {
    /// Not one of [`Timer::ALL`].
    #[error("{0:?} is not a timer; write response, connect or queue, separated by commas")]
    Timer(String),
    /// A timer twice.
    #[error("timer {0:?} is listed twice")]
    TimerTwice(String),
    /// Not a whole number of milliseconds.
    #[error("{0:?} is not a bound; write whole milliseconds from 1 to {LONGEST}, separated by commas")]
    Bound(String),
    /// Bounds have to ascend.
    #[error("the bound {after} follows {before}: bounds must ascend")]
    Order {
        /// The first of two.
        before: u32,
        /// The one after it.
        after: u32,
    },
    /// HAProxy's arrays are not that long.
    #[error("{timers} timers with {bounds} bounds need {} counters, but HAProxy has at most {MOST_ELEMENTS}", timers * (bounds + 2))]
    TooMany {
        /// How many timers.
        timers: usize,
        /// How many bounds.
        bounds: usize,
    },
}

/// Timers, and the bounds of the buckets of each. Of every timer, an array has for each bound how many requests were at most
/// that slow, then how many there were, and the sum of their times.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Layout {
    timers: Arc<[Timer]>,
    bounds: Arc<[u32]>,
}

impl Layout {
    /// From words as options and keys have them: `response,queue` and `1,2,5,10`.
    ///
    /// # Errors
    /// What cannot be right.
    pub fn parse(timers: &str, bounds: &str) -> Result<Self, LayoutError> {
        let (mut all, mut ascending) = (Vec::new(), Vec::new());
        for word in timers.split(',').map(str::trim) {
            let timer = Timer::of(word).ok_or_else(|| LayoutError::Timer(word.to_owned()))?;
            if all.contains(&timer) {
                return Err(LayoutError::TimerTwice(word.to_owned()));
            }
            all.push(timer);
        }
        for word in bounds.split(',').map(str::trim) {
            let bound = Some(word).filter(|word| word.bytes().all(|byte| byte.is_ascii_digit()));
            let bound = bound.and_then(|word| word.parse().ok()).filter(|bound| (1..=LONGEST).contains(bound));
            let bound = bound.ok_or_else(|| LayoutError::Bound(word.to_owned()))?;
            match ascending.last() {
                Some(before) if *before >= bound => {
                    return Err(LayoutError::Order { before: *before, after: bound });
                }
                _ => ascending.push(bound),
            }
        }
        let layout = Self { timers: all.into(), bounds: ascending.into() };
        if layout.elements() > MOST_ELEMENTS {
            return Err(LayoutError::TooMany { timers: layout.timers.len(), bounds: layout.bounds.len() });
        }
        Ok(layout)
    }

    /// The timers, in the order of the array.
    #[must_use]
    pub fn timers(&self) -> &[Timer] {
        &self.timers
    }

    /// The bounds, in milliseconds.
    #[must_use]
    pub fn bounds(&self) -> &Arc<[u32]> {
        &self.bounds
    }

    /// Counters of one timer.
    #[must_use]
    pub fn of_timer(&self) -> usize {
        self.bounds.len() + 2
    }

    /// Counters in all.
    #[must_use]
    pub fn elements(&self) -> usize {
        self.timers.len() * self.of_timer()
    }
}

/// As keys have it: `response,queue/1,2,5,10`.
impl fmt::Display for Layout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let timers: Vec<&str> = self.timers.iter().map(|timer| timer.word()).collect();
        let bounds: Vec<String> = self.bounds.iter().map(u32::to_string).collect();
        write!(f, "{}/{}", timers.join(","), bounds.join(","))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let layout = Layout::parse("queue, response", "1, 2,5").unwrap();
        assert_eq!(layout.to_string(), "queue,response/1,2,5");
        assert_eq!((layout.of_timer(), layout.elements()), (5, 10));
        assert_eq!(Layout::parse("queue,response", "1,2,5"), Ok(layout));
    }

    #[test]
    fn what_cannot_be_right_is_refused() {
        let many: Vec<String> = (1..=99).map(|bound: u32| bound.to_string()).collect();
        for (timers, bounds, words) in [
            ("", "1", "\"\" is not a timer"),
            ("total", "1", "\"total\" is not a timer"),
            ("queue,queue", "1", "listed twice"),
            ("queue", "", "\"\" is not a bound"),
            ("queue", "1,,2", "\"\" is not a bound"),
            ("queue", "+1", "\"+1\" is not a bound"),
            ("queue", "0,1", "\"0\" is not a bound"),
            ("queue", "1.5", "\"1.5\" is not a bound"),
            ("queue", "86400001", "is not a bound"),
            ("queue", "5,5", "the bound 5 follows 5"),
            ("queue", "5,2", "the bound 2 follows 5"),
            ("queue", &many.join(","), "1 timers with 99 bounds need 101 counters"),
        ] {
            let error = Layout::parse(timers, bounds).unwrap_err().to_string();
            assert!(error.contains(words), "{timers:?} {bounds:?}: {error}");
        }
        assert!(Layout::parse("queue", &many[..98].join(",")).is_ok());
    }
}
