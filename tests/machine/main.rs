//! What comes with the programs (`contrib`), used as on a real machine: packages, units, containers, plug-ins, dashboards.
#![allow(
    unreachable_pub,
    clippy::expect_used,
    clippy::unwrap_used,
    reason = "one program; a broken machine may fail it"
)]

mod alerts;
mod architecture;
mod container;
mod credentials;
mod dashboards;
mod document;
#[path = "../harness/mod.rs"]
mod harness;
mod nagios;
mod packages;
mod recipes;
mod systemd;
