//! The part of the full weight that the source wants a server to have.

use crate::haproxy::runtime::LARGEST_WEIGHT;
use serde::{Deserialize, Serialize};
use std::fmt;

/// Parts of a percent: fine enough for the weights of SRV records, 1 to 65535.
const PER_PERCENT: u32 = 10_000;

/// Parts of the full weight.
const FULL: u32 = 100 * PER_PERCENT;

/// The part of the full weight that a server should have, in millionths.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(from = "Stored", into = "Stored")]
pub struct Hint(u32);

/// How the list holds it. Programs that know whole percents only read the first and pass over the second.
#[derive(Serialize, Deserialize)]
struct Stored {
    hint: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    hint_millionths: Option<u32>,
}

impl From<Stored> for Hint {
    fn from(stored: Stored) -> Self {
        stored.hint_millionths.map_or_else(|| Self::percent(stored.hint), Self)
    }
}

impl From<Hint> for Stored {
    fn from(Hint(parts): Hint) -> Self {
        let whole = parts % PER_PERCENT == 0;
        // Rounded up: what has a weight never looks as if it had none.
        Self { hint: parts.div_ceil(PER_PERCENT), hint_millionths: (!whole).then_some(parts) }
    }
}

impl Hint {
    /// All of it.
    pub const FULL: Self = Self(FULL);

    /// So many percent; more than 100 is more than the full weight.
    #[must_use]
    pub const fn percent(percent: u32) -> Self {
        Self(percent.saturating_mul(PER_PERCENT))
    }

    /// A weight beside the largest one of its group. Every listed server has a part: a weight of 0 is the smallest.
    #[must_use]
    pub fn relative(weight: u32, largest: u32) -> Self {
        let rounded = (u64::from(weight) * u64::from(FULL) + u64::from(largest) / 2).checked_div(u64::from(largest));
        rounded.map_or(Self::FULL, |parts| Self(u32::try_from(parts).unwrap_or(u32::MAX).max(1)))
    }

    /// That part of a full weight, to the nearest step of HAProxy; at least 1 where a part is wanted.
    #[must_use]
    pub fn of(self, full: u16) -> u16 {
        let rounded = (u64::from(full) * u64::from(self.0) + u64::from(FULL) / 2) / u64::from(FULL);
        let least = u64::from(full > 0 && self.0 > 0);
        u16::try_from(rounded.max(least)).unwrap_or(u16::MAX).min(LARGEST_WEIGHT)
    }

    /// The same, before it becomes a step.
    #[must_use]
    pub fn exactly(self, full: u16) -> f64 {
        f64::from(full) * f64::from(self.0) / f64::from(FULL)
    }
}

/// In percent, without the sign: `50`, `0.0015`.
impl fmt::Display for Hint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (whole, parts) = (self.0 / PER_PERCENT, self.0 % PER_PERCENT);
        if parts == 0 {
            return write!(f, "{whole}");
        }
        let text = format!("{whole}.{parts:04}");
        f.write_str(text.trim_end_matches('0'))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(weights: [u32; 3], full: u16) -> [u16; 3] {
        let largest = weights.into_iter().max().unwrap();
        weights.map(|weight| Hint::relative(weight, largest).of(full))
    }

    #[test]
    fn ratios_hold_as_far_as_the_steps_go_and_nobody_is_silenced() {
        assert_eq!(of([1, 300, 65535], 256), [1, 1, 256]);
        assert_eq!(of([100, 50, 1], 10), [10, 5, 1]);
        assert_eq!(of([100, 50, 1], 256), [256, 128, 3]);
        assert_eq!(of([65535, 32768, 16384], 256), [256, 128, 64]);
        assert_eq!(of([0, 10, 5], 10), [1, 10, 5], "weight 0 is the smallest");
        assert_eq!(of([0, 0, 0], 10), [10, 10, 10]);
    }

    #[test]
    fn percents_scale_and_end_at_the_largest_weight() {
        assert_eq!(Hint::percent(50).of(10), 5);
        assert_eq!(Hint::percent(1).of(1), 1);
        assert_eq!(Hint::percent(0).of(10), 0);
        assert_eq!(Hint::percent(1_000_000).of(10), 256);
        assert_eq!(Hint::FULL.of(7), 7);
    }

    #[test]
    fn it_is_stored_so_that_whole_percents_suffice_for_others() {
        #[derive(Debug, PartialEq, Serialize, Deserialize)]
        struct Server {
            #[serde(flatten)]
            hint: Hint,
            weight: u16,
        }
        let fine = Server { hint: Hint::relative(1, 65535), weight: 1 };
        let text = serde_json::to_string(&fine).unwrap();
        assert_eq!(text, r#"{"hint":1,"hint_millionths":15,"weight":1}"#);
        assert_eq!(serde_json::from_str::<Server>(&text).unwrap(), fine);
        let text = r#"{"hint":50,"weight":1}"#;
        let whole = serde_json::from_str::<Server>(text).unwrap();
        assert_eq!(whole.hint, Hint::percent(50));
        assert_eq!(serde_json::to_string(&whole).unwrap(), text);
    }

    #[test]
    fn it_is_shown_in_percent() {
        for (hint, text) in [(Hint::FULL, "100"), (Hint::relative(1, 65535), "0.0015"), (Hint::relative(1, 8), "12.5")]
        {
            assert_eq!(hint.to_string(), text);
        }
    }
}
