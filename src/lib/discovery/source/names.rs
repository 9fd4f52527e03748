//! Host names as the system resolves them: `/etc/hosts`, search lists and whatever else it has been taught.

use crate::discovery::local::all;
use std::collections::{BTreeSet, HashMap};
use std::net::IpAddr;
use std::time::Duration;
use tokio::time::{Instant, timeout_at};

/// What is known about host names.
#[derive(Default)]
pub(super) struct Names {
    /// The address that each had last.
    known: HashMap<String, IpAddr>,
}

impl Names {
    /// The address of each host: of IPv4, or else of IPv6. The one that it had last counts for as long as it is one of
    /// them, or nobody says that it is not; the system does not say which failures pass.
    pub(super) async fn resolve(
        &mut self,
        hosts: BTreeSet<String>,
        time: Duration,
    ) -> HashMap<String, Result<IpAddr, String>> {
        let until = Instant::now() + time;
        let tasks = hosts.into_iter().map(|host| async move {
            let found = timeout_at(until, tokio::net::lookup_host((host.clone(), 0))).await;
            let addresses: Result<BTreeSet<IpAddr>, String> = match found {
                Ok(Ok(found)) => Ok(found.map(|at| at.ip()).collect()),
                Ok(Err(error)) => Err(error.to_string()),
                Err(_) => Err("no answer in time".to_owned()),
            };
            (host, addresses)
        });
        let found = all(tasks).await;
        let mut before = std::mem::take(&mut self.known);
        let mut resolved = HashMap::new();
        for (host, addresses) in found {
            let known = before.remove(&host);
            let address = match addresses {
                Ok(addresses) => known
                    .filter(|known| addresses.contains(known))
                    .or_else(|| addresses.first().copied())
                    .ok_or_else(|| format!("{host} has no address")),
                Err(reason) => known.ok_or_else(|| format!("{host} cannot be resolved: {reason}")),
            };
            if let Ok(address) = address {
                self.known.insert(host.clone(), address);
            }
            resolved.insert(host, address);
        }
        resolved
    }
}
