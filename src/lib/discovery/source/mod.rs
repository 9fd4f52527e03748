//! Sources of servers: one trait, and its implementations.

mod aws;
mod consul;
mod dns;
mod file;
pub mod good;
mod interface;
mod listing;
mod names;

use crate::config::discovery::{Discovery, Serves, Source as Settings};
pub use interface::{Source, SourceError};
pub use listing::{FailedGroup, Instance, Life, Listing, Unusable};

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
