//! Servers from DNS: each name is a group.
//!
//! A name that does not exist is an error; a name without records of the type is an empty group. Nothing is taken from a
//! cache of ours: whoever is asked has one.

use super::{Instance, Life, Listing, Source, SourceError};
use crate::config::discovery::Record;
use crate::discovery::LocalFuture;
use hickory_resolver::TokioResolver;
use hickory_resolver::config::{ConnectionConfig, NameServerConfig, ResolverConfig};
use hickory_resolver::net::NetError;
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::proto::rr::{RData, RecordType};
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

/// The source.
pub(super) struct Dns {
    resolver: TokioResolver,
    names: Vec<String>,
    kind: Record,
}

impl Dns {
    pub(super) fn open(
        names: Vec<String>,
        kind: Record,
        servers: &[SocketAddr],
        time: Duration,
    ) -> Result<Self, SourceError> {
        let failed = |error: NetError| SourceError::Content {
            what: "the configuration of the resolver".to_owned(),
            reason: error.to_string(),
        };
        let mut builder = if servers.is_empty() {
            TokioResolver::builder_tokio().map_err(failed)?
        } else {
            let servers = servers.iter().map(|server| {
                let connections = [ConnectionConfig::udp(), ConnectionConfig::tcp()].map(|mut connection| {
                    connection.port = server.port();
                    connection
                });
                NameServerConfig::new(server.ip(), true, connections.into())
            });
            let config = ResolverConfig::from_parts(None, Vec::new(), servers.collect());
            TokioResolver::builder_with_config(config, TokioRuntimeProvider::default())
        };
        let options = builder.options_mut();
        options.cache_size = 0;
        options.attempts = 2;
        // Several attempts in the time for one listing.
        options.timeout = (time / 4).max(Duration::from_millis(500));
        options.try_tcp_on_error = true;
        Ok(Self { resolver: builder.build().map_err(failed)?, names, kind })
    }

    /// The records of a name; none where the name exists without records of this type.
    async fn records(&self, name: &str, kind: RecordType) -> Result<Vec<RData>, SourceError> {
        let failed = |reason: String| SourceError::Dns { name: name.to_owned(), reason };
        // Names are taken as they are, without a search list.
        let absolute = if name.ends_with('.') { name.to_owned() } else { format!("{name}.") };
        match self.resolver.lookup(absolute, kind).await {
            Ok(lookup) => {
                let records = lookup.answers().iter().filter(|record| record.record_type() == kind);
                Ok(records.map(|record| record.data.clone()).collect())
            }
            Err(error) if error.is_nx_domain() => Err(failed("the name does not exist".to_owned())),
            Err(error) if error.is_no_records_found() => Ok(Vec::new()),
            Err(error) => Err(failed(error.to_string())),
        }
    }

    async fn addresses(&self, name: &str, kinds: &[RecordType]) -> Result<Vec<IpAddr>, SourceError> {
        let mut addresses = Vec::new();
        for kind in kinds {
            for record in self.records(name, *kind).await? {
                match record {
                    RData::A(address) => addresses.push(IpAddr::V4(address.0)),
                    RData::AAAA(address) => addresses.push(IpAddr::V6(address.0)),
                    _ => {}
                }
            }
        }
        addresses.sort_unstable();
        addresses.dedup();
        Ok(addresses)
    }

    async fn services(&self, name: &str) -> Result<Vec<Instance>, SourceError> {
        let services = self.records(name, RecordType::SRV).await?.into_iter().filter_map(|record| match record {
            RData::SRV(service) => Some((service.target.to_utf8(), service.port, service.priority, service.weight)),
            _ => None,
        });
        let services: Vec<_> = services.collect();
        // Those of a greater priority number are there for when the others are not: that is HAProxy's to decide.
        let best = services.iter().map(|(.., priority, _)| *priority).min();
        let services: Vec<_> = services.into_iter().filter(|(.., priority, _)| Some(*priority) == best).collect();
        let largest = services.iter().map(|(.., weight)| u32::from(*weight)).max().unwrap_or(0);
        let mut instances = Vec::new();
        for (target, port, _, weight) in services {
            // The target "." says that the service is not there.
            if target == "." || port == 0 {
                continue;
            }
            let host = target.trim_end_matches('.').to_owned();
            for address in self.addresses(&target, &[RecordType::A, RecordType::AAAA]).await?.into_iter().take(1) {
                let hint = (u32::from(weight) * 100).checked_div(largest).unwrap_or(100);
                instances.push(instance(host.clone(), host.clone(), address, Some(port), name, hint));
            }
        }
        Ok(instances)
    }
}

fn instance(id: String, name: String, address: IpAddr, port: Option<u16>, group: &str, hint: u32) -> Instance {
    Instance {
        id,
        name,
        addresses: vec![address],
        port,
        group: group.to_owned(),
        zone: String::new(),
        healthy: true,
        life: Life::InService,
        hint,
    }
}

impl Source for Dns {
    fn list(&mut self, _: Option<Duration>) -> LocalFuture<'_, Result<Listing, SourceError>> {
        Box::pin(async {
            let mut instances = Vec::new();
            for name in &self.names {
                let kind = match self.kind {
                    Record::A => RecordType::A,
                    Record::Aaaa => RecordType::AAAA,
                    Record::Srv => {
                        instances.extend(self.services(name).await?);
                        continue;
                    }
                };
                let addresses = self.addresses(name, &[kind]).await?;
                instances.extend(
                    addresses
                        .into_iter()
                        .map(|address| instance(address.to_string(), name.clone(), address, None, name, 100)),
                );
            }
            Ok(Listing::now(instances))
        })
    }
}
