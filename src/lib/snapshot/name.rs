//! The name of a snapshot directory: whole seconds since the epoch, nothing else.

use serde::{Deserialize, Serialize};
use std::fmt;

/// The moment of a pull, as seconds since the epoch. Renders as the directory's name and as the timestamp of
/// every metric in it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Epoch(pub u64);

impl Epoch {
    /// The epoch that a directory name spells, or `None` when the name is not ours: anything but decimal digits,
    /// a leading zero, or more digits than a date needs.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        // Twelve digits last until the year 33658 and keep the value far from any overflow.
        let digits = !name.is_empty() && name.len() <= 12 && name.bytes().all(|b| b.is_ascii_digit());
        if !digits || (name.len() > 1 && name.starts_with('0')) {
            return None;
        }
        name.parse().ok().map(Self)
    }
}

impl fmt::Display for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_seconds_are_names() {
        assert_eq!(Epoch::from_name("1457298067"), Some(Epoch(1_457_298_067)));
        for foreign in ["", "01", "+1", "-1", "1.5", "1457298067.tmp", "lost+found", "1234567890123", "١٢"] {
            assert_eq!(Epoch::from_name(foreign), None, "{foreign}");
        }
    }

    #[test]
    fn a_name_survives_the_round_trip() {
        assert_eq!(Epoch(1_457_298_067).to_string(), "1457298067");
    }
}
