//! Turns objects and their values into the bytes that destinations take, with one encoder for each format.
//!
//! | destination | takes | file |
//! |---|---|---|
//! | Graphite in plaintext, local store | lines | `line` |
//! | Graphite with tags, in pickles, or distributed by a hash | lines or frames, for each server separately | `graphite` |
//! | Kafka, `format = graphite` | lines, packed into messages | `keyed` |
//! | Kafka, `format = json`, `influx` | a document, or a line, for each object | `documents` |
//! | Kafka, `format = prometheus` | lines with a time, packed into messages | `samples` |
//! | OTLP | requests, with the points of a metric together | `otlp` |
//! | remote write | requests, a time series for each sample | `remote_write`, compressed by `snappy` |
//! | the metrics page for scrapers | lines, those of a metric together | `page` |
//!
//! The last four have series: `series` finds the metric of each value for them. The pipeline only uses the [`sink::Sink`]. To
//! add a format, add a file here, and an entry in [`encoders`].

#[cfg(feature = "process")]
mod catalogue;
#[cfg(feature = "process")]
mod documents;
pub mod encoder;
#[cfg(feature = "process")]
mod exposition;
#[cfg(feature = "process")]
mod families;
pub mod graphite;
#[cfg(feature = "process")]
mod influx;
#[cfg(feature = "process")]
mod json;
#[cfg(feature = "process")]
mod keyed;
pub mod line;
pub mod object;
#[cfg(feature = "process")]
mod otlp;
#[cfg(feature = "process")]
mod packs;
#[cfg(feature = "process")]
mod page;
pub mod pickle;
pub mod prefix;
#[cfg(feature = "process")]
mod records;
#[cfg(feature = "process")]
mod remote_write;
#[cfg(feature = "process")]
mod requests;
pub mod ring;
#[cfg(feature = "process")]
mod samples;
#[cfg(feature = "process")]
mod series;
pub mod short_bytes;
pub mod sink;
#[cfg(feature = "process")]
mod snappy;
pub mod tally;
pub mod unchanged;

use crate::config::Config;
#[cfg(feature = "process")]
use crate::config::{Kafka, KafkaFormat, Source};
use encoder::Encoder;
use graphite::Graphite;

/// Whether any destination of this configuration takes plaintext lines.
#[must_use]
pub(crate) fn is_plaintext_wanted(config: &Config) -> bool {
    config.local_store.is_some() || (config.graphite.enabled && graphite::is_plaintext(&config.graphite))
}

/// The encoders for all other formats that this configuration requires.
#[must_use]
pub(crate) fn encoders(config: &Config) -> Vec<Box<dyn Encoder>> {
    let mut encoders: Vec<Box<dyn Encoder>> = Vec::new();
    if config.graphite.enabled && !graphite::is_plaintext(&config.graphite) {
        encoders.push(Box::new(Graphite::new(&config.graphite)));
    }
    #[cfg(feature = "process")]
    {
        encoders.extend(config.kafka.as_ref().and_then(of_kafka));
        if let Some(remote) = &config.otlp {
            encoders.push(Box::new(otlp::Otlp::encoder(&remote.naming, remote.max_samples, remote.compress)));
        }
        if let Some(remote) = &config.remote_write {
            encoders.push(Box::new(remote_write::RemoteWrite::encoder(&remote.naming, remote.max_samples)));
        }
        if config.exporter.statistics {
            let several = !config.hosts.is_empty() || config.process.source == Source::Kafka;
            encoders.push(Box::new(page::Page::encoder(several)));
        }
    }
    encoders
}

/// The encoder for the messages of Kafka; `None` for the files of snapshots, which need none.
#[cfg(feature = "process")]
fn of_kafka(kafka: &Kafka) -> Option<Box<dyn Encoder>> {
    Some(match kafka.format {
        KafkaFormat::Json => Box::new(documents::Documents::json(kafka)),
        KafkaFormat::Influx => Box::new(documents::Documents::influx(kafka)),
        KafkaFormat::Graphite => Box::new(keyed::Keyed::new(kafka)),
        KafkaFormat::Prometheus => Box::new(samples::Samples::encoder(kafka)),
        KafkaFormat::Snapshot => return None,
    })
}
