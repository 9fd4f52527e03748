//! Stores of the document: one trait, and its implementations.

mod consul;
mod dynamodb;
mod etcd;
pub(super) mod file;
mod interface;
mod text;

use crate::config;
use crate::config::discovery::StoreKind;
pub(crate) use interface::Revision;
pub(super) use interface::longest;
pub use interface::{Lease, Store, StoreError, Stored};
use std::rc::Rc;

/// Opens the store that the configuration names.
///
/// # Errors
/// Credentials or certificates cannot be read, or a directory cannot be made.
pub async fn open(config: &config::Discovery) -> Result<Rc<dyn Store>, StoreError> {
    let store = &config.store;
    Ok(match store.kind {
        StoreKind::File => Rc::new(file::FileStore::open(&config.state_dir)?),
        StoreKind::DynamoDb => Rc::new(dynamodb::DynamoDb::open(config).await?),
        StoreKind::Consul => Rc::new(consul::ConsulKv::open(store)?),
        StoreKind::Etcd => Rc::new(etcd::Etcd::open(store)?),
    })
}
