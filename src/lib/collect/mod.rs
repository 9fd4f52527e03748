//! Asks HAProxy's sockets, all at once, and stores what they answer: every process once, and workers that are leaving through
//! their master.
//!
//! haproxystats-pull stores the replies as a snapshot, haproxystats-top in memory ([`place`]).

pub mod failure;
pub(crate) mod job;
pub(crate) mod masters;
pub mod outcome;
pub mod pace;
mod pages;
pub mod place;
pub mod poll;
pub mod sockets;
mod strangers;
mod twins;
