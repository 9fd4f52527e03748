//! What every store does, and why it may not.

use crate::discovery::aws::AwsError;
use crate::discovery::document::Document;
use crate::discovery::http::{HttpError, Refused};
use crate::http::SetupError;
use async_trait::async_trait;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

/// A revision of the document, as the store counts; equal revisions are equal documents.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Revision(pub String);

/// What is in the store.
#[derive(Debug, Clone)]
pub struct Stored {
    /// `None`: there is no document so far.
    pub document: Option<Document>,
    /// What [`Store::compare_and_set`] has to be given to replace it.
    pub revision: Revision,
}

/// Which server may plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Lease {
    /// We, for the time that was asked for.
    Ours,
    /// Another server.
    Theirs(String),
}

/// Why the store does not do what it should.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Another server has written since: load and plan again.
    #[error("the list has changed since it was read")]
    Conflict,
    /// A file of the store cannot be used.
    #[error("{} cannot be used", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// What the store holds is no document.
    #[error("the store does not contain a valid list of servers")]
    Decode(#[source] serde_json::Error),
    /// What the store holds was written by a later version of this program.
    #[error("the list in the store has format {0}, which this version does not support")]
    Format(u32),
    /// The document cannot be written as JSON.
    #[error("cannot write the list")]
    Encode(#[source] serde_json::Error),
    /// The client of the store cannot be set up, or a secret cannot be read again.
    #[error(transparent)]
    Setup(#[from] SetupError),
    /// The store does not reply.
    #[error("the store does not answer")]
    Http(#[from] HttpError),
    /// The request to AWS cannot be made.
    #[error("cannot build the request to DynamoDB")]
    Aws(#[from] AwsError),
    /// The store replies, but not as it should.
    #[error(transparent)]
    Refused(#[from] Refused),
}

/// Where the document is kept.
#[async_trait(?Send)]
pub trait Store {
    /// Reads the document, and nothing older than what this process has read or written.
    ///
    /// # Errors
    /// It cannot be reached, or what it has is no document.
    async fn load(&self) -> Result<Stored, StoreError>;

    /// Replaces the document of a revision by another, or does nothing.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] where the revision is not the present one. After any other error the document may have
    /// been replaced or not.
    async fn compare_and_set(&self, document: &Document, expected: &Revision) -> Result<Revision, StoreError>;

    /// Returns when the document may have another revision than the one that is given, or when the time is over.
    ///
    /// # Errors
    /// It cannot be reached.
    async fn watch(&self, seen: &Revision, time: Duration) -> Result<(), StoreError>;

    /// Takes or renews the lease of the servers.
    ///
    /// # Errors
    /// It cannot be reached; the lease must be taken as lost when its time is over.
    async fn lease(&self, holder: &str, time: Duration) -> Result<Lease, StoreError>;

    /// Gives the lease back, so that another server takes over at once.
    ///
    /// # Errors
    /// It cannot be reached; the lease ends by itself.
    async fn release(&self, holder: &str) -> Result<(), StoreError>;
}

/// Requests that one operation may take: a list may come in pages.
const REQUESTS: u32 = 10;

/// Time for credentials, which the client of AWS gets in its own way.
const CREDENTIALS: Duration = Duration::from_secs(30);

/// The time after which an operation has surely ended, with this limit for each of its requests.
pub(in crate::discovery) fn longest(timeout: Duration) -> Duration {
    timeout.saturating_mul(REQUESTS).saturating_add(CREDENTIALS)
}

/// The second (UTC) at whose beginning a lease is over that was given in the second `now`: not before its holder takes it
/// for lost.
pub(super) fn lease_end(now: u64, time: Duration) -> u64 {
    now.saturating_add(time.as_secs()).saturating_add(2)
}
