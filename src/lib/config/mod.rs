//! The configuration: what was written ([`ini`]), and what it means (the section structs).
//!
//! ```text
//! files ─► reader ─► ini (merged, as written) ─► interpolate ─► value ─► section structs ─► Config
//! ```
//!
//! Section structs hold durations, addresses and paths, never text that has to be parsed later. A value that
//! cannot be right is refused when the configuration is loaded, all such values at once.

pub mod agent;
mod check;
mod directories;
pub mod discovery;
mod exporter;
mod graphite;
mod groups;
mod hosts;
pub mod ini;
pub mod interpolate;
pub mod kafka;
pub mod load;
mod local_store;
mod names;
mod nearest;
mod obsolete;
mod option;
pub mod options;
pub mod pattern;
mod permissions;
pub mod print;
pub mod problem;
mod process;
mod pull;
pub mod reader;
mod section;
mod selection;
mod servers;
mod tls;
pub mod value;

pub use agent::Agent;
pub use directories::{check_directories_process, check_directories_pull};
pub use discovery::Discovery;
pub use exporter::Exporter;
pub use graphite::{Acknowledge, Endpoint, Graphite, GroupNamespace, Mode, Protocol, QueueFull};
pub use groups::{Group, Groups};
pub use hosts::{HostName, Hosts};
pub use ini::Ini;
pub use kafka::{Kafka, KafkaFormat, KeyTemplate};
pub use local_store::LocalStore;
pub use names::NamePatterns;
pub use nearest::nearest;
pub use options::Program;
pub use permissions::check_permissions;
pub use process::{Process, TimeAverages};
pub use pull::{OnSocketFailure, Pull};
pub use selection::Selection;
pub use tls::Tls;

/// The whole configuration of all daemons, checked.
#[derive(Debug, Clone)]
pub struct Config {
    /// `[pull]`
    pub pull: Pull,
    /// `[process]`
    pub process: Process,
    /// `[graphite]`
    pub graphite: Graphite,
    /// `[local-store]`; `None` when the section is not there.
    pub local_store: Option<LocalStore>,
    /// `[kafka]`; `None` when the section is not there.
    pub kafka: Option<Kafka>,
    /// `[frontend-groups]`, `[backend-groups]`, `[server-groups]`
    pub groups: Groups,
    /// `[hosts]`
    pub hosts: Hosts,
    /// `[agent]` and `[agent:NAME]`
    pub agent: Agent,
    /// `[exporter]`
    pub exporter: Exporter,
    /// `[discovery]`, `[discovery-server]`, `[discovery-client]` and `[discovery-backend:NAME]`
    pub discovery: Discovery,
}

/// `loglevel`: the original's five names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum LogLevel {
    /// Everything, one line per file and connection.
    Debug,
    /// Start, stop and one line per snapshot.
    Info,
    /// Something is odd, nothing is lost.
    Warning,
    /// Data is lost or late, or a human is needed.
    Error,
    /// The program cannot go on.
    Critical,
}

/// `retries`: how often a failed connection is tried again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Retries {
    /// -1: for ever.
    Forever,
    /// 0 or more: after the first attempt, this many more.
    Times(u32),
}
