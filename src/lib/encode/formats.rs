//! The formats that a configuration requires.

use super::documents::Documents;
use super::encoder::Encoder;
use super::graphite::{self, Graphite};
use super::keyed::Keyed;
#[cfg(feature = "process")]
use super::{otlp::Otlp, page::Page, remote_write::RemoteWrite};
#[cfg(feature = "process")]
use crate::config::Source;
use crate::config::{Config, KafkaFormat};

/// Whether any destination of this configuration takes plaintext lines.
#[must_use]
pub fn is_plaintext_wanted(config: &Config) -> bool {
    config.local_store.is_some() || (config.graphite.enabled && graphite::is_plaintext(&config.graphite))
}

/// The encoders for all other formats that this configuration requires.
#[must_use]
pub fn encoders(config: &Config) -> Vec<Box<dyn Encoder>> {
    let mut encoders: Vec<Box<dyn Encoder>> = Vec::new();
    if config.graphite.enabled && !graphite::is_plaintext(&config.graphite) {
        encoders.push(Box::new(Graphite::new(&config.graphite)));
    }
    match &config.kafka {
        // It takes the files of snapshots, and needs no encoder.
        Some(kafka) if kafka.format == KafkaFormat::Snapshot => {}
        Some(kafka) if kafka.format == KafkaFormat::Graphite => encoders.push(Box::new(Keyed::new(kafka))),
        Some(kafka) => encoders.push(Box::new(Documents::new(kafka))),
        None => {}
    }
    #[cfg(feature = "process")]
    {
        if let Some(remote) = &config.otlp {
            encoders.push(Box::new(Otlp::encoder(&remote.naming, remote.max_samples, remote.compress)));
        }
        if let Some(remote) = &config.remote_write {
            encoders.push(Box::new(RemoteWrite::encoder(&remote.naming, remote.max_samples)));
        }
        if config.exporter.statistics {
            let several = !config.hosts.is_empty() || config.process.source == Source::Kafka;
            encoders.push(Box::new(Page::encoder(several)));
        }
    }
    encoders
}
