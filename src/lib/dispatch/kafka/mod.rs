//! Metrics to a topic of Kafka, through librdkafka.
//!
//! ```text
//! batch ─► its messages, in order ─► librdkafka (bounded, compressed, tried again) ─► brokers
//!          delivered ◄─ a report for every one of them ◄─ acks=all ◄─┘
//! ```
//!
//! librdkafka tries for as long as it takes to reach the brokers, in order. What the brokers refuse (no such topic, no
//! right to write, too large) comes back, is kept, and is tried again after a pause; what is too large is divided.
//!
//! `files` reads the messages of `format = snapshot`, `window` knows which messages are where, `client` is librdkafka, `task` does as they say, and `report` tells of it.
//! The threads of librdkafka live in workers only, and only where `[kafka]` is configured.

mod client;
mod dispatcher;
mod files;
mod name;
mod probe;
mod report;
mod shared;
mod task;
mod window;

pub use dispatcher::Kafka;
pub use name::NAME;
pub(crate) use probe::probe;
