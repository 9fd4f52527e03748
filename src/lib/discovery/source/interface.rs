//! What every source does, and why it may not.

use super::listing::Listing;
use crate::discovery::aws::AwsError;
use crate::discovery::http::{HttpError, Refused};
use crate::http::SetupError;
use async_trait::async_trait;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

/// Where servers are found.
#[async_trait(?Send)]
pub trait Source {
    /// Asks once. With `wait` a source that can may wait for so long until something differs from its last listing.
    ///
    /// # Errors
    /// Whatever keeps the source from saying everything that it knows.
    async fn list(&mut self, wait: Option<Duration>) -> Result<Listing, SourceError>;

    /// Whether it makes use of `wait`.
    fn waits(&self) -> bool {
        false
    }
}

/// Why there is no listing.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// It took too long.
    #[error("no response within {} s", .0.as_secs_f64())]
    Timeout(Duration),
    /// The source cannot be set up, or a secret cannot be read again.
    #[error(transparent)]
    Setup(#[from] SetupError),
    /// No reply.
    #[error("the source does not answer")]
    Http(#[from] HttpError),
    /// AWS says no.
    #[error("AWS could not list the servers")]
    Aws(#[from] AwsError),
    /// A reply that says no.
    #[error(transparent)]
    Refused(#[from] Refused),
    /// A reply that may lack servers.
    #[error("the response for {service} may be incomplete: {reason}")]
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
    #[error("cannot parse {what}: {reason}")]
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
