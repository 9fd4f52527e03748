//! A server of the list.

use crate::discovery::hint::Hint;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::net::IpAddr;

/// A place in the list; HAProxy's server is called by its id.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Slot {
    /// From 1.
    pub id: u32,
    /// Its server; `None`: it is free.
    pub server: Option<Server>,
}

/// The occupant of a slot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Server {
    /// What the source knows it by: an instance of EC2, for example. With address and port it is its identity.
    pub instance: String,
    /// For people.
    pub name: String,
    /// Never empty; HAProxy is given the first.
    pub addresses: Vec<IpAddr>,
    /// `None`: that of the backend.
    pub port: Option<u16>,
    /// Its Auto Scaling Group, or service.
    pub group: String,
    /// Its availability zone; empty where the source knows none.
    pub zone: String,
    /// Part of the full weight that the source wants it to have; all of it where it says nothing.
    #[serde(flatten)]
    pub hint: Hint,
    /// When its ramp began, UTC seconds.
    pub since: u64,
    /// And milliseconds.
    #[serde(default)]
    pub since_millis: u16,
    /// When it came in addition to the others, UTC seconds; 0 where it took over the slot of another.
    #[serde(default)]
    pub gained: u64,
    /// Whether it is wanted.
    pub state: State,
    /// The weight when the document was written; [`weight_at`](super::Document::weight_at) is that of another time.
    pub weight: u16,
    /// Why it may have to leave; `None`: the source says that all is well.
    pub doubt: Option<Doubt>,
}

impl Server {
    /// The address that HAProxy is given.
    #[must_use]
    pub fn address(&self) -> Option<IpAddr> {
        self.addresses.first().copied()
    }

    /// When its ramp began, UTC milliseconds.
    #[must_use]
    pub(crate) fn ramp_start(&self) -> u64 {
        self.since.saturating_mul(1000).saturating_add(u64::from(self.since_millis))
    }

    /// Lets its ramp begin at another time, UTC milliseconds.
    pub(crate) fn set_ramp_start(&mut self, at: u64) {
        (self.since, self.since_millis) = parts(at);
    }
}

/// Milliseconds as seconds and the rest.
pub(super) fn parts(millis: u64) -> (u64, u16) {
    (millis / 1000, u16::try_from(millis % 1000).unwrap_or(0))
}

/// Whether a server is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// It has traffic.
    Active,
    /// It gets no new sessions; its slot is free when the time of draining is over.
    Draining {
        /// UTC seconds.
        since: u64,
    },
}

/// Listings that lack a server or call it unhealthy, not many enough yet to believe them, or held by the guard.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Doubt {
    /// What the listings say.
    pub cause: Cause,
    /// When the first of them was taken, UTC seconds.
    pub since: u64,
    /// How many there were in a row, not counted beyond what is needed.
    pub listings: u32,
    /// When the last of them was taken, UTC milliseconds: no listing counts twice.
    pub last: u64,
}

/// Why a server leaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Cause {
    /// It is not in the listing.
    Missing,
    /// The source calls it unhealthy.
    Unhealthy,
    /// The source says that it is being taken out of service.
    Leaving,
    /// Its slot is beyond the end of the list, which has become shorter.
    Shrunk,
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Missing => "the source no longer lists it",
            Self::Unhealthy => "the source calls it unhealthy",
            Self::Leaving => "the source is taking it out of service",
            Self::Shrunk => "the list has become shorter",
        })
    }
}
