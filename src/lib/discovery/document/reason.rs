//! What a document changes, and what it cannot change.

use super::server::Cause;
use serde::{Deserialize, Serialize};
use std::fmt;

/// A change, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reason {
    /// The slot; `None` where there is none.
    pub slot: Option<u32>,
    /// The server; empty for a change of the list itself.
    pub instance: String,
    /// What changes.
    pub what: What,
    /// In words.
    pub why: String,
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(slot) = self.slot {
            write!(f, "slot {slot}: ")?;
        }
        if !self.instance.is_empty() {
            write!(f, "{} ", self.instance)?;
        }
        write!(f, "{}: {}", self.what, self.why)
    }
}

/// What changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum What {
    /// A server gets a slot.
    Added,
    /// A server is to leave.
    Draining,
    /// A server that was to leave stays.
    Returned,
    /// A slot is free again.
    Freed,
    /// A server is kept against the source.
    Held,
    /// A server finds no slot.
    Unplaced,
    /// A server goes to another slot, because its own is beyond the end of the list.
    Moved,
    /// Group, name, zone or weight hint of a server are others now.
    Updated,
    /// The weight follows the ramp.
    Weight,
    /// The list has other slots.
    Resized,
}

impl fmt::Display for What {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Added => "added",
            Self::Draining => "draining",
            Self::Returned => "returned",
            Self::Freed => "freed",
            Self::Held => "held",
            Self::Unplaced => "unplaced",
            Self::Moved => "moved",
            Self::Updated => "updated",
            Self::Weight => "weight",
            Self::Resized => "list resized",
        })
    }
}

/// A server without a slot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unplaced {
    /// As in [`Server`](super::Server).
    pub instance: String,
    /// As in [`Server`](super::Server).
    pub group: String,
}

/// A server that is kept against the source.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Held {
    /// Its slot.
    pub slot: u32,
    /// As in [`Server`](super::Server).
    pub instance: String,
    /// Why it would have to leave.
    pub cause: Cause,
}
