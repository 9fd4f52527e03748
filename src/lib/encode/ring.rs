//! carbon's consistent hashing: which server a metric belongs to. The same choice as a `carbon_ch` cluster of
//! carbon-c-relay (and `consistent-hashing` of carbon-relay, but for the few collisions that it resolves differently)
//! with the same servers in the same order.

use crate::config::Endpoint;
use md5::{Digest, Md5};

/// Places of each server on the ring, as carbon has them.
const REPLICAS: usize = 100;

/// The ring: each server stands at many places, and a metric belongs to the next one from its own place on.
#[derive(Debug)]
pub struct Ring(Vec<(u16, usize)>);

impl Ring {
    /// A ring of these servers. Ports are no part of the hash: servers of one host need instances.
    #[must_use]
    pub fn new(servers: &[Endpoint]) -> Self {
        // Python's way to write a tuple, since that is what carbon hashes.
        let name = |Endpoint { host, instance, .. }: &Endpoint| match instance {
            Some(instance) => format!("('{host}', '{instance}')"),
            None => format!("('{host}', None)"),
        };
        let names: Vec<String> = servers.iter().map(name).collect();
        let places = |(index, name)| (0..REPLICAS).map(move |replica| (place(format!("{name}:{replica}")), index));
        let mut points: Vec<(u16, usize)> = names.iter().enumerate().flat_map(places).collect();
        // Of several servers at one place the first by name counts.
        points.sort_by_key(|(place, index)| (*place, names.get(*index)));
        Self(points)
    }

    /// The server of a metric.
    #[must_use]
    pub fn server(&self, name: &[u8]) -> usize {
        let place = place(name);
        let next = self.0.partition_point(|(point, _)| *point < place);
        self.0.get(next).or_else(|| self.0.first()).map_or(0, |(_, index)| *index)
    }
}

fn place(key: impl AsRef<[u8]>) -> u16 {
    let hash = Md5::digest(key);
    hash.first_chunk().map_or(0, |start| u16::from_be_bytes(*start))
}
