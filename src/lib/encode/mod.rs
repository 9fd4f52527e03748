//! Turns objects and their values into the bytes that destinations take, with one encoder for each format.
//!
//! | destination | takes | file |
//! |---|---|---|
//! | Graphite in plaintext, local store | lines | `line` |
//! | Graphite with tags, in pickles, or distributed by a hash | lines or frames, for each server separately | `graphite` |
//! | Kafka, `format = graphite` | lines, packed into messages | `keyed` |
//! | Kafka, `format = json`, `influx` | a document, or a line, for each object | `documents` |
//! | OTLP | requests, with the points of a metric together | `otlp` |
//! | remote write | requests, a time series for each sample | `remote_write`, compressed by `snappy` |
//! | the metrics page for scrapers | lines, those of a metric together | `page` |
//!
//! The last three have series: `series` finds the metric of each value for them. The pipeline only uses the [`sink::Sink`]. To
//! add a format, add a file here and an entry in [`formats`].

#[cfg(feature = "process")]
mod catalogue;
pub mod documents;
pub mod encoder;
#[cfg(feature = "process")]
mod families;
pub mod formats;
pub mod graphite;
pub mod influx;
pub mod json;
pub mod keyed;
pub mod line;
pub mod object;
#[cfg(feature = "process")]
mod otlp;
mod packs;
#[cfg(feature = "process")]
mod page;
pub mod pickle;
pub mod prefix;
mod records;
#[cfg(feature = "process")]
mod remote_write;
#[cfg(feature = "process")]
mod requests;
pub mod ring;
#[cfg(feature = "process")]
mod series;
pub mod short_bytes;
pub mod sink;
#[cfg(feature = "process")]
mod snappy;
pub mod tally;
pub mod unchanged;
