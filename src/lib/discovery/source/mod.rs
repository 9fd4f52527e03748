//! Who exists: one trait, and the sources behind it. An error is never an empty list.

use super::LocalFuture;
use std::net::IpAddr;
use std::time::Duration;

/// What a source says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listing {
    /// When it was taken, UTC milliseconds.
    pub taken: u64,
    /// Everybody that the source knows.
    pub instances: Vec<Instance>,
}

/// One server as the source knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Instance {
    /// With address and port its identity.
    pub id: String,
    /// For people.
    pub name: String,
    /// HAProxy is given the first; never empty.
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
    /// Part of the full weight that the source wants for it, percent; 100 where it says nothing.
    pub hint: u32,
}

/// Where an instance is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Life {
    /// It is being started.
    Pending,
    /// It serves.
    InService,
    /// It is being taken out of service, or is on stand-by.
    Leaving,
}

/// Why there is no listing.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// It took too long.
    #[error("no listing after {} s", .0.as_secs_f64())]
    Timeout(Duration),
}

/// Where servers are found.
pub trait Source {
    /// Asks once. With `wait` a source that can may wait for so long until something differs from its last listing.
    ///
    /// # Errors
    /// Whatever keeps the source from saying everything that it knows.
    fn list(&mut self, wait: Option<Duration>) -> LocalFuture<'_, Result<Listing, SourceError>>;
}
