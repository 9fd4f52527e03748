//! All sections together.

use super::agent::{self, Agent};
use super::archive::{self, Archive};
use super::blocks;
use super::discovery::{self, Discovery};
use super::exporter::{self, Exporter};
use super::graphite::{self, Graphite};
use super::groups::{self, Groups};
use super::hosts::{self, Hosts};
use super::ini::Ini;
use super::kafka::{self, Kafka, KafkaSource};
use super::local_store::{self, LocalStore};
use super::log::{self, LogFormat};
use super::problem::Report;
use super::process::{self, Process};
use super::program::Program;
use super::pull::{self, Pull};
use super::remote::{self, Remote};
use std::cell::LazyCell;

/// The whole configuration of all daemons, checked.
#[derive(Debug, Clone)]
pub struct Config {
    /// `[DEFAULT] log-format`; `None`: what fits the output.
    pub log_format: Option<LogFormat>,
    /// `[pull]`
    pub pull: Pull,
    /// `[process]`
    pub process: Process,
    /// `[graphite]`
    pub graphite: Graphite,
    /// `[local-store]`; `None` when the section is not there.
    pub local_store: Option<LocalStore>,
    /// `[archive]`; `None` when the section is not there.
    pub archive: Option<Archive>,
    /// `[kafka]`; `None` when the section is not there.
    pub kafka: Option<Kafka>,
    /// `[kafka-source]`; `None` when the section is not there.
    pub kafka_source: Option<KafkaSource>,
    /// `[otlp]`; `None` without its URL.
    pub otlp: Option<Remote>,
    /// `[remote-write]`; `None` without its URL.
    pub remote_write: Option<Remote>,
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

/// The sections as far as they can be right; the report has what is wrong with the others.
pub(super) struct Sections {
    log_format: Option<Option<LogFormat>>,
    pub(super) pull: Option<Pull>,
    pub(super) process: Option<Process>,
    pub(super) graphite: Option<Graphite>,
    pub(super) local_store: Option<Option<LocalStore>>,
    pub(super) archive: Option<Option<Archive>>,
    kafka: Option<Option<Kafka>>,
    pub(super) kafka_source: Option<Option<KafkaSource>>,
    otlp: Option<Option<Remote>>,
    remote_write: Option<Option<Remote>>,
    groups: Option<Groups>,
    hosts: Option<Hosts>,
    pub(super) agent: Option<Agent>,
    pub(super) exporter: Option<Exporter>,
    pub(super) discovery: Option<Discovery>,
}

impl Sections {
    pub(super) fn read(program: Program, ini: &Ini, report: &mut Report) -> Self {
        let blocks = blocks::none(ini, report);
        Self {
            log_format: log::read(ini, report),
            pull: pull::read(ini, report),
            process: process::read(ini, report),
            graphite: graphite::read(ini, report),
            local_store: local_store::read(ini, report),
            archive: archive::read(ini, report),
            groups: groups::read(ini, report),
            agent: agent::read(ini, report).filter(|_| blocks),
            exporter: exporter::read(program, ini, report),
            discovery: discovery::read(ini, report),
            kafka: kafka::read(ini, report),
            kafka_source: kafka::read_source(ini, report),
            otlp: remote::read_otlp(ini, report),
            remote_write: remote::read_remote_write(ini, report),
            hosts: hosts::read(ini, report),
        }
    }

    /// The configuration, with `built_in` for what cannot be right.
    pub(super) fn complete<F: FnOnce() -> Self>(self, built_in: &LazyCell<Self, F>) -> Option<Config> {
        Some(Config {
            log_format: self.log_format.or(built_in.log_format)?,
            pull: self.pull.or_else(|| built_in.pull.clone())?,
            process: self.process.or_else(|| built_in.process.clone())?,
            graphite: self.graphite.or_else(|| built_in.graphite.clone())?,
            local_store: self.local_store.or_else(|| built_in.local_store.clone())?,
            archive: self.archive.or_else(|| built_in.archive.clone())?,
            groups: self.groups.or_else(|| built_in.groups.clone())?,
            agent: self.agent.or_else(|| built_in.agent.clone())?,
            exporter: self.exporter.or_else(|| built_in.exporter.clone())?,
            discovery: self.discovery.or_else(|| built_in.discovery.clone())?,
            kafka: self.kafka.or_else(|| built_in.kafka.clone())?,
            kafka_source: self.kafka_source.or_else(|| built_in.kafka_source.clone())?,
            otlp: self.otlp.or_else(|| built_in.otlp.clone())?,
            remote_write: self.remote_write.or_else(|| built_in.remote_write.clone())?,
            hosts: self.hosts.or_else(|| built_in.hosts.clone())?,
        })
    }
}
