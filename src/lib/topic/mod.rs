//! What brokers say of a topic besides its partitions, for `--check --ask`: how large a message may be, and what this client may do.
//! Not all brokers answer that, and not to every client; then it is not known, which is no fault.

mod fit;
mod rights;

pub use fit::{partitions, reading, writing};

use rdkafka::admin::{AdminClient, AdminOptions, ResourceSpecifier};
use rdkafka::client::DefaultClientContext;
use rdkafka::config::ClientConfig;
use std::collections::BTreeMap;
use std::time::Duration;

/// What a client may do with a topic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rights {
    /// Read its messages.
    pub read: bool,
    /// Write some.
    pub write: bool,
}

/// What is known of a topic.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Details {
    /// Its `max.message.bytes`.
    pub largest: Option<u64>,
    /// What this client may do.
    pub rights: Option<Rights>,
}

impl Details {
    /// Asks the brokers, which are known to answer. Waits for each answer no longer than `limit`.
    #[must_use]
    pub fn ask(properties: &BTreeMap<String, String>, topic: &str, limit: Duration) -> Self {
        // Properties of consumers and producers that mean nothing here are ignored.
        let properties: ClientConfig = properties.clone().into_iter().collect();
        let admin: AdminClient<DefaultClientContext> = match properties.create() {
            Ok(admin) => admin,
            Err(error) => {
                tracing::debug!(%error, "no client to ask for the configuration of the topic");
                return Self::default();
            }
        };
        Self { largest: largest(&admin, topic, limit), rights: rights::ask(&admin, topic, limit) }
    }
}

fn largest(admin: &AdminClient<DefaultClientContext>, topic: &str, limit: Duration) -> Option<u64> {
    let options = AdminOptions::new().request_timeout(Some(limit));
    let resources = [ResourceSpecifier::Topic(topic)];
    let asked = admin.describe_configs(&resources, &options);
    let runtime = tokio::runtime::Builder::new_current_thread().build().ok()?;
    match runtime.block_on(asked) {
        Ok(answers) => {
            let answer = answers.into_iter().next()?;
            let answer = answer.inspect_err(|code| tracing::debug!(%code, "no configuration of the topic")).ok()?;
            answer.get("max.message.bytes")?.value.as_ref()?.parse().ok()
        }
        Err(error) => {
            tracing::debug!(%error, "the brokers do not say how the topic is configured");
            None
        }
    }
}
