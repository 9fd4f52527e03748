//! Servers from DNS: each name is a group.
//!
//! A name that does not exist, has no records of the type (unless the configuration says `allow-empty`), or is not answered
//! for, has failed: its servers stay, the other names go on. So it is with the targets of SRV records: each is a server of its own, with the fate of its own
//! name, and one family of addresses is enough. Nothing is cached here: the name servers do that.

use super::interface::{Source, SourceError};
use super::listing::{FailedGroup, Instance, Life, Listing, Unusable};
use crate::config::discovery::Record;
use crate::discovery::hint::Hint;
use crate::discovery::local::all;
use async_trait::async_trait;
use hickory_resolver::TokioResolver;
use hickory_resolver::config::{ConnectionConfig, NameServerConfig, ResolverConfig};
use hickory_resolver::net::NetError;
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::proto::rr::rdata::SRV;
use hickory_resolver::proto::rr::{RData, RecordType};
use std::collections::{BTreeSet, HashMap};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout_at};

/// Most questions at a time: each has a socket of its own.
const QUESTIONS: usize = 128;

pub(super) struct Dns {
    resolver: TokioResolver,
    names: Vec<String>,
    kind: Record,
    time: Duration,
    allow_empty: bool,
    /// The address that each target of an SRV record had last.
    known: HashMap<String, IpAddr>,
}

/// Asks, within the time for one listing.
#[derive(Clone)]
struct Asker {
    resolver: TokioResolver,
    permits: Arc<Semaphore>,
    began: Instant,
    time: Duration,
}

/// Until when a question has to be answered, in tenths of the time for a listing: what comes after it needs the rest.
#[derive(Clone, Copy)]
enum Phase {
    Services = 3,
    First = 6,
    Last = 9,
}

/// No records.
struct Failed {
    reason: String,
    /// Whether there may be some all the same.
    unsure: bool,
}

impl Dns {
    pub(super) fn open(
        names: Vec<String>,
        kind: Record,
        servers: &[SocketAddr],
        time: Duration,
        allow_empty: bool,
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
        // Several attempts in the time for one question.
        options.timeout = (time / 10).max(Duration::from_millis(100));
        options.try_tcp_on_error = true;
        Ok(Self { resolver: builder.build().map_err(failed)?, names, kind, time, allow_empty, known: HashMap::new() })
    }

    fn asker(&self) -> Asker {
        let permits = Arc::new(Semaphore::new(QUESTIONS));
        Asker { resolver: self.resolver.clone(), permits, began: Instant::now(), time: self.time }
    }

    /// Each name's records of a type; none of them only where that is believed.
    async fn records(
        &self,
        asker: &Asker,
        kind: RecordType,
        phase: Phase,
    ) -> Vec<(String, Result<Vec<RData>, String>)> {
        let allow_empty = self.allow_empty;
        let tasks = self.names.iter().cloned().map(|name| {
            let asker = asker.clone();
            async move {
                let records = asker.records(&name, kind, phase).await.map_err(|failed| failed.reason);
                let none = || format!("it has no records of the type {kind}");
                let records =
                    records.and_then(|found| if found.is_empty() && !allow_empty { Err(none()) } else { Ok(found) });
                (name, records)
            }
        });
        all(tasks).await
    }

    /// The address of each target of these records.
    async fn targets(&mut self, asker: &Asker, services: &[&SRV]) -> HashMap<String, Result<IpAddr, Failed>> {
        let targets: BTreeSet<String> = services.iter().map(|service| service.target.to_utf8()).collect();
        let tasks = targets.into_iter().map(|target| {
            let (asker, known) = (asker.clone(), self.known.get(&target).copied());
            async move {
                let address = asker.address(&target, known).await;
                (target, address)
            }
        });
        let found: HashMap<String, Result<IpAddr, Failed>> = all(tasks).await.into_iter().collect();
        self.known.retain(|target, _| found.contains_key(target));
        let addresses = found.iter().filter_map(|(target, address)| Some((target.clone(), *address.as_ref().ok()?)));
        self.known.extend(addresses);
        found
    }

    async fn services(&mut self, asker: &Asker, listing: &mut Listing) {
        let answers = self.records(asker, RecordType::SRV, Phase::Services).await;
        let services: Vec<(String, Result<Vec<SRV>, String>)> =
            answers.into_iter().map(|(name, records)| (name, records.map(best))).collect();
        let wanted: Vec<&SRV> = services.iter().filter_map(|(_, services)| services.as_ref().ok()).flatten().collect();
        let targets = self.targets(asker, &wanted).await;
        for (group, services) in services {
            let services = match services {
                Ok(services) => services,
                Err(reason) => {
                    listing.failed.push(FailedGroup { group, reason });
                    continue;
                }
            };
            let largest = services.iter().map(|service| u32::from(service.weight)).max().unwrap_or(0);
            let (mut usable, mut unusable) = (Vec::new(), Vec::new());
            for service in &services {
                let target = service.target.to_utf8();
                let host = target.trim_end_matches('.').to_owned();
                match targets.get(&target) {
                    Some(Ok(address)) => {
                        let hint = Hint::relative(u32::from(service.weight), largest);
                        // 0 is no port: that of the backend counts.
                        let port = Some(service.port).filter(|port| *port != 0);
                        usable.push(instance(host.clone(), host, *address, port, &group, hint));
                    }
                    Some(Err(Failed { reason, unsure })) => {
                        let (reason, unsure) = (format!("its target: {reason}"), *unsure);
                        unusable.push(Unusable { instance: host, group: group.clone(), reason, unsure });
                    }
                    None => {}
                }
            }
            match unusable.first() {
                // That all of them are gone at once is less likely than that the name server has lost them.
                Some(first) if usable.is_empty() => {
                    let reason = format!("none of its {} targets has an address: {}", unusable.len(), first.reason);
                    listing.failed.push(FailedGroup { group, reason });
                }
                _ => listing.unusable.extend(unusable),
            }
            listing.instances.extend(usable);
        }
    }

    async fn hosts(&self, asker: &Asker, kind: RecordType, listing: &mut Listing) {
        for (group, records) in self.records(asker, kind, Phase::Last).await {
            match records {
                Err(reason) => listing.failed.push(FailedGroup { group, reason }),
                Ok(records) => listing.instances.extend(
                    sorted(&records)
                        .into_iter()
                        .map(|address| instance(address.to_string(), group.clone(), address, None, &group, Hint::FULL)),
                ),
            }
        }
    }
}

impl Asker {
    /// The records of a name; none where the name exists without records of this type.
    async fn records(&self, name: &str, kind: RecordType, phase: Phase) -> Result<Vec<RData>, Failed> {
        // Names are taken as they are, without a search list.
        let absolute = if name.ends_with('.') { name.to_owned() } else { format!("{name}.") };
        let until = self.began + self.time * (phase as u32) / 10;
        let asked = async {
            // It is never closed.
            let _permit = self.permits.acquire().await;
            self.resolver.lookup(absolute, kind).await
        };
        match timeout_at(until, asked).await {
            Ok(Ok(lookup)) => {
                let records = lookup.answers().iter().filter(|record| record.record_type() == kind);
                Ok(records.map(|record| record.data.clone()).collect())
            }
            Ok(Err(error)) if error.is_nx_domain() => {
                Err(Failed { reason: "the name does not exist".to_owned(), unsure: false })
            }
            Ok(Err(error)) if error.is_no_records_found() => Ok(Vec::new()),
            Ok(Err(error)) => Err(Failed { reason: error.to_string(), unsure: true }),
            Err(_) => Err(Failed { reason: "no answer in time".to_owned(), unsure: true }),
        }
    }

    /// The address of a host: of IPv4, or else of IPv6. The one that it had last counts for as long as it is one of them,
    /// or nobody says that it is not.
    async fn address(&self, host: &str, known: Option<IpAddr>) -> Result<IpAddr, Failed> {
        let mut failures: Vec<String> = Vec::new();
        let mut unsure = false;
        for (kind, phase) in [(RecordType::A, Phase::First), (RecordType::AAAA, Phase::Last)] {
            match self.records(host, kind, phase).await {
                Ok(records) => {
                    let addresses = sorted(&records);
                    if let Some(first) = addresses.first() {
                        let kept = known.filter(|known| unsure || addresses.contains(known));
                        return Ok(kept.unwrap_or(*first));
                    }
                    failures.push(format!("{host} has no records of the type {kind}"));
                }
                Err(failed) => {
                    unsure |= failed.unsure;
                    failures.push(format!("{host} cannot be resolved: {}", failed.reason));
                }
            }
        }
        let kept = known.filter(|_| unsure);
        failures.dedup();
        kept.ok_or_else(|| Failed { reason: failures.join(", "), unsure })
    }
}

/// The services that count. Those of a greater priority number are there for when the others are not: that is HAProxy's
/// to decide. The target "." says that a service is not there.
fn best(records: Vec<RData>) -> Vec<SRV> {
    let services = records.into_iter().filter_map(|record| match record {
        RData::SRV(service) if !service.target.is_root() => Some(service),
        _ => None,
    });
    let mut services: Vec<SRV> = services.collect();
    let best = services.iter().map(|service| service.priority).min();
    services.retain(|service| Some(service.priority) == best);
    services
}

fn sorted(records: &[RData]) -> Vec<IpAddr> {
    let addresses = records.iter().filter_map(|record| match record {
        RData::A(address) => Some(IpAddr::V4(address.0)),
        RData::AAAA(address) => Some(IpAddr::V6(address.0)),
        _ => None,
    });
    addresses.collect::<BTreeSet<_>>().into_iter().collect()
}

fn instance(id: String, name: String, address: IpAddr, port: Option<u16>, group: &str, hint: Hint) -> Instance {
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

#[async_trait(?Send)]
impl Source for Dns {
    async fn list(&mut self, _: Option<Duration>) -> Result<Listing, SourceError> {
        let asker = self.asker();
        let mut listing = Listing::now(Vec::new());
        match self.kind {
            Record::A => self.hosts(&asker, RecordType::A, &mut listing).await,
            Record::Aaaa => self.hosts(&asker, RecordType::AAAA, &mut listing).await,
            Record::Srv => self.services(&asker, &mut listing).await,
        }
        match listing.failed.first() {
            Some(FailedGroup { group, reason }) if listing.failed.len() == self.names.len() => {
                Err(SourceError::Dns { name: group.clone(), reason: reason.clone() })
            }
            _ => Ok(listing),
        }
    }
}
