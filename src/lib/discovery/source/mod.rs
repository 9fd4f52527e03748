//! Who exists: one trait, and the sources behind it. An error is never an empty list.

mod aws;
mod consul;
mod dns;
mod file;
pub mod good;
mod names;

use super::LocalFuture;
use super::aws::AwsError;
use super::hint::Hint;
use super::http::{HttpError, Refused};
use crate::config::discovery::{Discovery, Serves, Source as Settings};
use crate::http::SetupError;
use serde::{Deserialize, Serialize};
use std::io;
use std::net::IpAddr;
use std::panic::resume_unwind;
use std::path::PathBuf;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::task::JoinSet;

/// What a source says.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Listing {
    /// When it was taken, UTC milliseconds.
    pub taken: u64,
    /// Everybody that the source knows and whose address can be used.
    pub instances: Vec<Instance>,
    /// Instances that would serve if there were an address.
    #[serde(default)]
    pub unusable: Vec<Unusable>,
    /// Groups about which the source says nothing this time.
    #[serde(default)]
    pub failed: Vec<FailedGroup>,
}

/// An instance that the source lists without an address that can be used.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Unusable {
    /// As in [`Instance`].
    pub instance: String,
    /// As in [`Instance`].
    pub group: String,
    /// Why.
    pub reason: String,
    /// Whether it may well have one: the name server that should know did not answer.
    pub unsure: bool,
}

/// A group that could not be listed; what is known about it stays as it is, and the other groups go on.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct FailedGroup {
    /// The group.
    pub group: String,
    /// Why.
    pub reason: String,
}

impl Listing {
    /// A listing that was taken now.
    fn now(instances: Vec<Instance>) -> Self {
        let taken = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
        Self { taken: u64::try_from(taken).unwrap_or(u64::MAX), instances, ..Self::default() }
    }

    /// Whether it says neither that this server exists nor that it is gone.
    #[must_use]
    pub fn is_silent_about(&self, instance: &str, group: &str) -> bool {
        let same = |unusable: &Unusable| unusable.instance == instance && unusable.group == group;
        self.failed.iter().any(|failed| failed.group == group)
            || self.unusable.iter().any(|unusable| unusable.unsure && same(unusable))
    }
}

/// One server as the source knows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Instance {
    /// With address and port its identity.
    pub id: String,
    /// For people.
    pub name: String,
    /// HAProxy is given the first; an instance that is being started may have none so far.
    pub addresses: Vec<IpAddr>,
    /// Where the source knows it.
    pub port: Option<u16>,
    /// Auto Scaling Group or service.
    pub group: String,
    /// Availability zone; empty where the source knows none.
    pub zone: String,
    /// Whether the source calls it healthy.
    pub healthy: bool,
    /// Where it is in its life.
    pub life: Life,
    /// Part of the full weight that the source wants for it; all of it where it says nothing.
    #[serde(flatten)]
    pub hint: Hint,
}

/// Where an instance is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Life {
    /// It is being started.
    Pending,
    /// It serves.
    InService,
    /// It is being taken out of service, or is on stand-by.
    Leaving,
}

/// Why there is no listing.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// It took too long.
    #[error("no listing after {} s", .0.as_secs_f64())]
    Timeout(Duration),
    /// The source cannot be set up, or a secret not be read anew.
    #[error(transparent)]
    Setup(#[from] SetupError),
    /// No reply.
    #[error("the source does not answer")]
    Http(#[from] HttpError),
    /// AWS says no.
    #[error("AWS has no listing")]
    Aws(#[from] AwsError),
    /// A reply that says no.
    #[error(transparent)]
    Refused(#[from] Refused),
    /// A reply that may lack servers.
    #[error("the answer for {service} may lack servers: {reason}")]
    Incomplete {
        /// The service.
        service: String,
        /// Why.
        reason: &'static str,
    },
    /// A name without servers, which may as well be a misspelt one.
    #[error("{name} has no servers: {reason}")]
    Nobody {
        /// The name.
        name: String,
        /// Why that is no listing.
        reason: &'static str,
    },
    /// A reply that is not what was asked for.
    #[error("{what} cannot be understood: {reason}")]
    Content {
        /// What was read.
        what: String,
        /// What is wrong.
        reason: String,
    },
    /// A file cannot be read.
    #[error("{} cannot be read", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A name cannot be resolved.
    #[error("{name} cannot be resolved: {reason}")]
    Dns {
        /// The name.
        name: String,
        /// Why.
        reason: String,
    },
}

/// Where servers are found.
pub trait Source {
    /// Asks once. With `wait` a source that can may wait for so long until something differs from its last listing.
    ///
    /// # Errors
    /// Whatever keeps the source from saying everything that it knows.
    fn list(&mut self, wait: Option<Duration>) -> LocalFuture<'_, Result<Listing, SourceError>>;

    /// Whether it makes use of `wait`.
    fn waits(&self) -> bool {
        false
    }
}

/// Opens the source that the configuration names; `None` where it names none.
///
/// # Errors
/// Credentials or certificates cannot be read.
pub async fn open(config: &Discovery) -> Result<Option<Box<dyn Source>>, SourceError> {
    let (time, allow_empty) = (config.server.source_timeout, config.server.allow_empty);
    Ok(Some(match &config.server.source {
        None => return Ok(None),
        Some(Settings::Aws { groups, address }) => {
            Box::new(aws::Groups::open(groups.clone(), *address, config.region.as_deref(), time).await?)
        }
        Some(Settings::Consul(settings)) => {
            Box::new(consul::Consul::open(settings, &config.store.tls, time, allow_empty)?)
        }
        Some(Settings::Dns { names, kind, servers }) => {
            Box::new(dns::Dns::open(names.clone(), *kind, servers, time, allow_empty)?)
        }
        Some(Settings::File { path }) => {
            let named = config.client.backends.iter().filter_map(|backend| match &backend.serves {
                Serves::Only(groups) => Some(groups.clone()),
                Serves::All | Serves::Except(_) => None,
            });
            let named = if allow_empty { Vec::new() } else { named.flatten().collect() };
            Box::new(file::SourceFile::open(path.clone(), named))
        }
    }))
}

/// Does all of this at the same time, and gives the results in their order.
async fn all<F>(tasks: impl IntoIterator<Item = F>) -> Vec<F::Output>
where
    F: Future + 'static,
    F::Output: 'static,
{
    let mut running = JoinSet::new();
    for (index, task) in tasks.into_iter().enumerate() {
        running.spawn_local(async move { (index, task.await) });
    }
    let mut done = Vec::with_capacity(running.len());
    while let Some(joined) = running.join_next().await {
        match joined.map_err(tokio::task::JoinError::try_into_panic) {
            Ok(result) => done.push(result),
            Err(Ok(panic)) => resume_unwind(panic),
            // Nobody ends one of them before the others.
            Err(Err(_)) => {}
        }
    }
    done.sort_by_key(|(index, _)| *index);
    done.into_iter().map(|(_, result)| result).collect()
}
