//! What is written, by us and by operators: documents, man pages, files made from tables, command lines, configuration.
#![allow(
    unreachable_pub,
    clippy::expect_used,
    clippy::unwrap_used,
    reason = "one program; a broken checkout may fail it"
)]

mod architecture;
mod bill;
mod config;
mod config_checks;
mod configparser_parity;
mod configparser_properties;
mod configuration_documents;
mod deployment_options;
#[cfg(feature = "discovery")]
mod discovery_documents;
mod docs_fields;
mod docs_prometheus;
#[path = "../harness/mod.rs"]
mod harness;
mod manual;
mod markdown;
mod secrets;
mod shipped_file;
mod shipped_sections;
