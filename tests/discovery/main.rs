//! haproxystats-discovery from outside. Its server against the real stores and sources: etcd, moto for AWS, and doubles of
//! Consul and DNS that behave as the real ones where it matters; its client against real HAProxy; and all of it together.
#![allow(
    unreachable_pub,
    clippy::expect_used,
    clippy::unwrap_used,
    reason = "one program; a broken machine may fail it"
)]

mod aws;
mod client;
mod consul;
mod consul_double;
mod dns;
mod dns_double;
mod end_to_end;
mod etcd;
#[path = "../harness/mod.rs"]
mod harness;
mod hsdo;
mod interleavings;
mod moto;
mod program;
mod reloads;
mod replacement;
mod server;
mod store;
mod tls;
mod watchdog;
