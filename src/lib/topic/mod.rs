//! Asks brokers about a topic, for `--check --ask`: how large messages may be, and what this client may do. Not all brokers answer
//! that, and not every client may ask; then it is not known, which is not an error.

mod fit;
mod rights;

pub use fit::{missing, partitions, reading, writing};

use rdkafka::admin::{AdminClient, AdminOptions, ResourceSpecifier};
use rdkafka::client::DefaultClientContext;
use rdkafka::config::ClientConfig;
use std::collections::BTreeMap;
use std::time::Duration;

/// The permissions of a client for a topic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rights {
    /// Whether it may read messages.
    pub read: bool,
    /// Whether it may write messages.
    pub write: bool,
}

/// What is known about a topic.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Details {
    /// Its `max.message.bytes`.
    pub largest: Option<u64>,
    /// The permissions of this client.
    pub rights: Option<Rights>,
}

impl Details {
    /// Asks the brokers, and waits at most `limit` for each answer.
    #[must_use]
    pub fn ask(properties: &BTreeMap<String, String>, topic: &str, limit: Duration) -> Self {
        // Properties that only apply to consumers or producers are ignored.
        let properties: ClientConfig = properties.clone().into_iter().collect();
        let admin: AdminClient<DefaultClientContext> = match properties.create() {
            Ok(admin) => admin,
            Err(error) => {
                tracing::debug!(%error, "cannot create a client to ask for the configuration of the topic");
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
            let answer = answer
                .inspect_err(|code| tracing::debug!(%code, "the brokers do not return the configuration of the topic"))
                .ok()?;
            answer.get("max.message.bytes")?.value.as_ref()?.parse().ok()
        }
        Err(error) => {
            tracing::debug!(%error, "the brokers do not return the configuration of the topic");
            None
        }
    }
}
