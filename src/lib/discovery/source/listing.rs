//! The servers that a source lists. An error is never an empty list.

use crate::discovery::clock::utc_millis;
use crate::discovery::hint::Hint;
use serde::{Deserialize, Serialize};
use std::net::IpAddr;

/// What a source says.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Listing {
    /// When it was taken, UTC milliseconds.
    pub taken: u64,
    /// Everybody that the source knows and whose address can be used.
    pub instances: Vec<Instance>,
    /// Instances that would serve if there were an address.
    #[serde(default)]
    pub unusable: Vec<Unusable>,
    /// Groups about which the source says nothing this time.
    #[serde(default)]
    pub failed: Vec<FailedGroup>,
}

impl Listing {
    /// A listing that was taken now.
    pub(super) fn now(instances: Vec<Instance>) -> Self {
        Self { taken: utc_millis(), instances, ..Self::default() }
    }

    /// Whether it says neither that this server exists nor that it is gone.
    #[must_use]
    pub fn is_silent_about(&self, instance: &str, group: &str) -> bool {
        let same = |unusable: &Unusable| unusable.instance == instance && unusable.group == group;
        self.failed.iter().any(|failed| failed.group == group)
            || self.unusable.iter().any(|unusable| unusable.unsure && same(unusable))
    }
}

/// An instance that the source lists without an address that can be used.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Unusable {
    /// As in [`Instance`].
    pub instance: String,
    /// As in [`Instance`].
    pub group: String,
    /// Why.
    pub reason: String,
    /// Whether it may well have one: the name server that should know did not answer.
    pub unsure: bool,
}

/// A group that could not be listed; what is known about it is kept, and the other groups are updated.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct FailedGroup {
    /// The group.
    pub group: String,
    /// Why.
    pub reason: String,
}

/// One server as the source knows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Instance {
    /// With address and port its identity.
    pub id: String,
    /// For people.
    pub name: String,
    /// HAProxy is given the first; an instance that is being started may have none so far.
    pub addresses: Vec<IpAddr>,
    /// Where the source knows it.
    pub port: Option<u16>,
    /// Auto Scaling Group or service.
    pub group: String,
    /// Availability zone; empty where the source knows none.
    pub zone: String,
    /// Whether the source calls it healthy.
    pub healthy: bool,
    /// Where it is in its life.
    pub life: Life,
    /// Part of the full weight that the source wants for it; all of it where it says nothing.
    #[serde(flatten)]
    pub hint: Hint,
}

/// Where an instance is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Life {
    /// It is being started.
    Pending,
    /// It serves.
    InService,
    /// It is being taken out of service, or is on stand-by.
    Leaving,
}
