//! haproxystats-pull from outside, and what all programs have in common: the page of metrics, and the harness itself.
#![allow(
    unreachable_pub,
    clippy::expect_used,
    clippy::unwrap_used,
    reason = "one program; a broken machine may fail it"
)]

mod daemon;
mod exporter;
#[path = "../harness/mod.rs"]
mod harness;
mod harness_self;
mod latency;
mod reloads;
mod setup;
#[cfg(feature = "top")]
mod top;
