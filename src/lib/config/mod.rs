//! The configuration: what was written ([`ini`]), and what it means (the section structs).
//!
//! ```text
//! files ─► reader ─► ini (merged, as written) ─► interpolate ─► value ─► section structs ─► Config
//! ```
//!
//! Section structs hold durations, addresses and paths, never text that has to be parsed later. A value that
//! cannot be right is refused when the configuration is loaded, all such values at once.

pub mod agent;
mod archive;
mod blocks;
mod check;
mod directories;
pub mod discovery;
mod exporter;
mod families;
mod graphite;
mod groups;
mod hosts;
pub mod ini;
pub mod interpolate;
pub(crate) mod kafka;
mod keep;
pub mod load;
mod local_store;
mod log;
mod names;
mod naming;
mod nearest;
mod obsolete;
mod option;
pub mod options;
pub mod pattern;
mod permissions;
pub(crate) mod print;
pub mod problem;
mod process;
pub(crate) mod program;
mod pull;
pub mod reader;
mod reading;
pub(crate) mod remote;
mod secret;
mod section;
mod selection;
mod servers;
mod tls;
pub mod value;
mod whole;

pub use agent::Agent;
pub(crate) use archive::Archive;
pub(crate) use directories::{check_directories_process, check_directories_pull};
pub use discovery::Discovery;
pub(crate) use exporter::Exporter;
pub(crate) use graphite::GroupNamespace;
pub use graphite::{Acknowledge, Endpoint, Graphite, Mode, Protocol, QueueFull};
pub use groups::{Group, Groups};
pub(crate) use hosts::HostName;
pub use hosts::Hosts;
pub use ini::Ini;
pub use kafka::Kafka;
pub(crate) use kafka::{KafkaFormat, KafkaSource, KeyTemplate};
pub use keep::Keep;
pub use local_store::LocalStore;
pub(crate) use log::LogFormat;
pub(crate) use names::NamePatterns;
pub use naming::NameStyle;
pub(crate) use naming::Naming;
pub(crate) use nearest::did_you_mean;
pub use nearest::nearest;
pub(crate) use permissions::check_permissions;
pub use process::{Process, Source, TimeAverages};
pub use program::Program;
pub(crate) use pull::UnknownFields;
pub use pull::{OnSocketFailure, Pull};
pub use remote::{Authentication, Remote};
pub use selection::Selection;
pub use tls::Tls;
pub use value::{LogLevel, Retries};
pub use whole::Config;
