//! `--check --ask`: reaches every destination once, and says what it answers. No metric is sent.

use super::graphite;
use super::http;
#[cfg(feature = "kafka")]
use super::kafka;
use crate::config::Config;

/// A destination, and what it has answered.
#[derive(Debug)]
pub struct Probed {
    /// The section of its configuration.
    pub section: &'static str,
    /// Address or URL.
    pub place: String,
    /// What was tried.
    pub tried: &'static str,
    /// What works, or what does not.
    pub answer: Result<String, String>,
}

/// Tries all destinations that are on the network, in the order of their sections. Each has the time that its options give it.
pub async fn probe(config: &Config) -> Vec<Probed> {
    let mut probed = graphite::probe(config).await;
    #[cfg(feature = "kafka")]
    if let Some(kafka) = &config.kafka {
        probed.push(kafka::probe(kafka).await);
    }
    probed.extend(http::probe(config).await);
    probed
}
