//! Servers from Consul's health endpoint, by blocking queries: each service is a group.
//!
//! Consul answers 200 with an empty list where the token may not see a service, and from old data where there is no
//! leader: both are errors here. So it does for a service that it does not know, and it knows a service by its instances
//! alone: when the last is deregistered, the name is gone from the catalogue too, and nothing tells it from a misspelt one.
//! Critical instances are listed. So an empty answer is a failure, unless the configuration says `allow-empty`.
//!
//! A service that cannot be listed has failed: its servers stay, the other services go on.

use super::interface::{Source, SourceError};
use super::listing::{FailedGroup, Instance, Life, Listing, Unusable};
use super::names::Names;
use crate::config::Tls;
use crate::config::discovery::Consul as Settings;
use crate::discovery::hint::Hint;
use crate::discovery::http::{Http, Refused, escaped};
use crate::discovery::local::LocalFuture;
use crate::http::SetupError;
use crate::logging::Chain;
use crate::secrets;
use async_trait::async_trait;
use hyper::Method;
use serde::Deserialize;
use std::collections::BTreeSet;
use std::future::poll_fn;
use std::net::IpAddr;
use std::path::PathBuf;
use std::task::Poll;
use std::time::Duration;

/// Longest time for which Consul lets a query wait.
const LONGEST_WAIT: Duration = Duration::from_secs(600);

pub(super) struct Consul {
    services: Vec<Service>,
    query: Query,
    names: Names,
}

/// What all requests have in common.
struct Query {
    /// `&tag=…&dc=…`
    suffix: String,
    token_file: Option<PathBuf>,
    warning: bool,
    tagged: bool,
    allow_empty: bool,
    timeout: Duration,
}

/// One service, with a connection of its own.
struct Service {
    name: String,
    http: Http,
    /// Index of the last answer; 0: none.
    index: u64,
    found: Vec<Found>,
    /// Why the last question had no answer.
    failure: Option<SourceError>,
}

/// An instance, with its address as Consul has it.
struct Found {
    instance: Instance,
    address: String,
    weight: u32,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Entry {
    node: Node,
    service: Registered,
    #[serde(default)]
    checks: Vec<Check>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Node {
    node: String,
    #[serde(default)]
    address: String,
    #[serde(default)]
    datacenter: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Registered {
    #[serde(rename = "ID")]
    id: String,
    #[serde(default)]
    address: String,
    #[serde(default)]
    port: u16,
    weights: Option<Weights>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Weights {
    passing: u32,
    warning: u32,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Check {
    #[serde(rename = "CheckID", default)]
    id: String,
    #[serde(default)]
    status: String,
}

impl Consul {
    pub(super) fn open(
        settings: &Settings,
        tls: &Tls,
        timeout: Duration,
        allow_empty: bool,
    ) -> Result<Self, SourceError> {
        let Settings { urls, services, token_file, tags, datacenter, warning } = settings;
        if let Some(path) = token_file {
            secrets::line(path, "token").map_err(SetupError::from)?;
        }
        let tagged = !tags.is_empty();
        let tags = tags.iter().map(|tag| format!("&tag={}", escaped(tag)));
        let datacenter = datacenter.iter().map(|name| format!("&dc={}", escaped(name)));
        let suffix: String = tags.chain(datacenter).collect();
        let service = |name: &String| {
            let http = Http::open(urls, tls)?;
            Ok(Service { name: name.clone(), http, index: 0, found: Vec::new(), failure: None })
        };
        let services = services.iter().map(service).collect::<Result<_, SourceError>>()?;
        let (token_file, warning) = (token_file.clone(), *warning);
        let query = Query { suffix, token_file, warning, tagged, allow_empty, timeout };
        Ok(Self { services, query, names: Names::default() })
    }

    /// What is known now. Host names are looked up, whatever has become of the service: their addresses are not Consul's.
    async fn listing(&mut self) -> Listing {
        let found = || self.services.iter().flat_map(|service| &service.found);
        let hosts = found().map(|found| found.address.as_str());
        let hosts: BTreeSet<String> = hosts.filter(|text| is_host_name(text)).map(str::to_owned).collect();
        let resolved = self.names.resolve(hosts, self.query.timeout * 3 / 10).await;
        let mut listing = Listing::now(Vec::new());
        for service in &self.services {
            if let Some(failure) = &service.failure {
                let reason = Chain(failure).to_string();
                listing.failed.push(FailedGroup { group: service.name.clone(), reason });
                continue;
            }
            let largest = service.found.iter().map(|found| found.weight).max().unwrap_or(0);
            for Found { instance, address, weight } in &service.found {
                let looked_up = match address.parse::<IpAddr>() {
                    Ok(address) => Ok(address),
                    Err(_) if address.is_empty() => Err("neither it nor its node has an address".to_owned()),
                    Err(_) => {
                        let neither = || Err(format!("{address:?} is neither an address nor a host name"));
                        resolved.get(address).cloned().unwrap_or_else(neither)
                    }
                };
                match looked_up {
                    Ok(address) => {
                        let hint = Hint::relative(*weight, largest);
                        listing.instances.push(Instance { addresses: vec![address], hint, ..instance.clone() });
                    }
                    // One that would not serve anyway is as good as gone.
                    Err(_) if !instance.healthy || instance.life != Life::InService => {}
                    Err(reason) => listing.unusable.push(Unusable {
                        instance: instance.id.clone(),
                        group: service.name.clone(),
                        reason,
                        unsure: is_host_name(address),
                    }),
                }
            }
        }
        listing
    }
}

impl Service {
    /// Asks for the service, and notes what keeps it from being listed.
    async fn refresh(&mut self, query: &Query, wait: Option<Duration>) {
        self.failure = self.ask(query, wait).await.err();
        if self.failure.as_ref().is_some_and(|failure| !matches!(failure, SourceError::Nobody { .. })) {
            // It is asked again without waiting for a change: what changes is that there is an answer.
            self.index = 0;
        }
    }

    /// Asks for the service; with `wait` after its last index.
    async fn ask(&mut self, query: &Query, wait: Option<Duration>) -> Result<(), SourceError> {
        let token =
            query.token_file.as_ref().map(|path| secrets::line(path, "token")).transpose().map_err(SetupError::from)?;
        let headers: Vec<_> = token.as_deref().map(|token| ("x-consul-token", token)).into_iter().collect();
        let mut path = format!("/v1/health/service/{}?", escaped(&self.name));
        // Host names are looked up in the rest of it.
        let mut time = query.timeout * 6 / 10;
        if let Some(wait) = wait {
            let wait = wait.min(LONGEST_WAIT);
            path.push_str(&format!("index={}&wait={}ms", self.index, wait.as_millis()));
            // Consul adds up to a sixteenth.
            time += wait + wait / 8;
        }
        path.push_str(&query.suffix);
        let reply = self.http.send(Method::GET, &path, &headers, "", time).await?;
        if reply.status != 200 {
            return Err(Refused::by(&reply, format!("GET /v1/health/service/{}", self.name)).into());
        }
        let says =
            |header: &str, word: &str| reply.header(header).is_some_and(|value| value.eq_ignore_ascii_case(word));
        let incomplete = |reason| SourceError::Incomplete { service: self.name.clone(), reason };
        if says("x-consul-results-filtered-by-acls", "true") {
            return Err(incomplete("the ACL token does not give access to all of it"));
        }
        if says("x-consul-knownleader", "false") {
            return Err(incomplete("Consul has no leader"));
        }
        let entries: Vec<Entry> = serde_json::from_slice(&reply.body).map_err(|error| SourceError::Content {
            what: format!("Consul's response for {}", self.name),
            reason: error.to_string(),
        })?;
        // An index that goes backwards is that of another state of affairs (a restored snapshot): start over. One of 0
        // would not wait.
        let index = reply.header("x-consul-index").and_then(|index| index.parse::<u64>().ok()).unwrap_or(0);
        self.index = if index < self.index { 0 } else { index.max(1) };
        if entries.is_empty() && !query.allow_empty {
            let reason = if query.tagged {
                "Consul has no instance with these tags, or no such service at all"
            } else {
                "Consul has no such service"
            };
            return Err(SourceError::Nobody { name: self.name.clone(), reason });
        }
        self.found = entries.into_iter().map(|entry| found(entry, &self.name, query.warning)).collect();
        Ok(())
    }
}

/// Whether the system may be asked for it. It would take what begins like a number for a short form of an address, so that
/// 10.1 became 10.0.0.1.
fn is_host_name(text: &str) -> bool {
    let last = text.trim_end_matches('.').rsplit('.').next().unwrap_or_default();
    last.starts_with(|letter: char| letter.is_ascii_alphabetic() || letter == '_')
        && !text.contains([':', '/', '%', ' '])
}

fn found(entry: Entry, group: &str, warning_serves: bool) -> Found {
    let Entry { node, service, checks } = entry;
    let has = |status: &str| checks.iter().any(|check| check.status == status);
    let maintenance = checks.iter().any(|check| {
        (check.id.starts_with("_service_maintenance:") || check.id == "_node_maintenance") && check.status == "critical"
    });
    let weights = service.weights.unwrap_or(Weights { passing: 1, warning: 1 });
    let weight = if has("warning") { weights.warning } else { weights.passing };
    let address = if service.address.is_empty() { node.address } else { service.address };
    let instance = Instance {
        id: format!("{}/{}", node.node, service.id),
        name: node.node,
        addresses: Vec::new(),
        port: Some(service.port).filter(|port| *port > 0),
        group: group.to_owned(),
        zone: node.datacenter,
        healthy: !has("critical") && (warning_serves || !has("warning")),
        life: if maintenance { Life::Leaving } else { Life::InService },
        hint: Hint::FULL,
    };
    Found { instance, address, weight }
}

#[async_trait(?Send)]
impl Source for Consul {
    async fn list(&mut self, wait: Option<Duration>) -> Result<Listing, SourceError> {
        let query = &self.query;
        // As long as there is a service of which nothing is known, nobody waits.
        let wait = wait.filter(|_| self.services.iter().all(|service| service.index > 0));
        let mut asked: Vec<LocalFuture<'_, ()>> = Vec::new();
        for service in &mut self.services {
            asked.push(Box::pin(service.refresh(query, wait)));
        }
        // With `wait` the first answer ends the waiting for the others; without it all have to answer.
        poll_fn(|context| {
            let before = asked.len();
            asked.retain_mut(|request| request.as_mut().poll(context).is_pending());
            let answered = asked.is_empty() || (wait.is_some() && asked.len() < before);
            if answered { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
        drop(asked);
        if self.services.iter().all(|service| service.failure.is_some())
            && let Some(failure) = self.services.iter_mut().find_map(|service| service.failure.take())
        {
            return Err(failure);
        }
        Ok(self.listing().await)
    }

    fn waits(&self) -> bool {
        true
    }
}
