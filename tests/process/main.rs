//! haproxystats-process from outside, what its pipeline makes of snapshots, and where that is sent.
#![allow(
    unreachable_pub,
    clippy::expect_used,
    clippy::unwrap_used,
    reason = "one program; a broken machine may fail it"
)]

mod aggregation;
mod archive;
mod ask;
mod bad_input;
mod batches;
mod daemon;
mod differential;
mod dispatch;
mod end_to_end;
mod explain;
mod families;
mod fields;
mod files;
#[path = "../harness/mod.rs"]
mod harness;
mod hosts;
#[cfg(feature = "kafka")]
mod kafka;
mod kafka_formats;
#[cfg(feature = "kafka")]
mod kafka_login;
#[cfg(feature = "kafka")]
mod kafka_members;
mod less;
mod logs;
mod long_run;
mod old_workers;
mod once;
mod parity;
mod promex;
mod reference;
mod reloads;
mod remote;
mod requests;
mod resources;
#[cfg(feature = "kafka")]
mod roll_ups;
mod run;
mod supervision;
#[cfg(feature = "kafka")]
mod through_kafka;
#[cfg(feature = "kafka")]
mod through_kafka_assigned;
#[cfg(feature = "kafka")]
mod through_kafka_refused;
#[cfg(feature = "kafka")]
mod topic_replay;
