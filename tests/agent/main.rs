//! haproxystats-agent from outside: real HAProxy in front, scripted endpoints and a real Patroni behind, and the agents that
//! went before beside it.
#![allow(
    unreachable_pub,
    clippy::expect_used,
    clippy::unwrap_used,
    reason = "one program; a broken machine may fail it"
)]

mod daemon;
mod datawave;
mod habits;
#[path = "../harness/mod.rs"]
mod harness;
mod inputs;
mod metrics;
mod patroni;
mod restarts;
mod seeds;
mod watchdog;
