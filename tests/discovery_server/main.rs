//! The server of haproxystats-discovery against the real stores and sources: etcd, moto for AWS, and doubles of Consul
//! and DNS that behave as the real ones where it matters.
#![allow(
    unreachable_pub,
    dead_code,
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::panic,
    clippy::missing_panics_doc,
    reason = "modules of one test; a broken machine may fail it"
)]

mod aws;
#[path = "../harness/certificate.rs"]
mod certificate;
mod consul;
mod consul_double;
mod dns;
mod dns_double;
mod etcd;
mod interleavings;
mod moto;
#[path = "../harness/peers.rs"]
mod peers;
mod program;
mod server;
mod store;
mod tls;
