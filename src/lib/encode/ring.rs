//! carbon's consistent hashing: which server a metric belongs to. It makes the same choice as a `carbon_ch` cluster of
//! carbon-c-relay with the same servers in the same order (and as `consistent-hashing` of carbon-relay, except for the few
//! collisions that it resolves differently).

use crate::config::Endpoint;
use md5::{Digest, Md5};

/// Positions of each server on the ring, as in carbon.
const REPLICAS: usize = 100;

/// The ring: each server has many positions, and a metric belongs to the first server at or after its own position.
#[derive(Debug)]
pub(crate) struct Ring(Vec<(u16, usize)>);

impl Ring {
    /// A ring of these servers. Ports are not part of the hash, so several servers on one host need instances.
    #[must_use]
    pub(crate) fn new(servers: &[Endpoint]) -> Self {
        // Carbon hashes a Python tuple as text.
        let name = |Endpoint { host, instance, .. }: &Endpoint| match instance {
            Some(instance) => format!("('{host}', '{instance}')"),
            None => format!("('{host}', None)"),
        };
        let names: Vec<String> = servers.iter().map(name).collect();
        let places = |(index, name)| (0..REPLICAS).map(move |replica| (place(format!("{name}:{replica}")), index));
        let mut points: Vec<(u16, usize)> = names.iter().enumerate().flat_map(places).collect();
        // If several servers have the same position, the first by name counts.
        points.sort_by_key(|(place, index)| (*place, names.get(*index)));
        Self(points)
    }

    /// The server of a metric.
    #[must_use]
    pub(crate) fn server(&self, name: &[u8]) -> usize {
        let place = place(name);
        let next = self.0.partition_point(|(point, _)| *point < place);
        self.0.get(next).or_else(|| self.0.first()).map_or(0, |(_, index)| *index)
    }
}

fn place(key: impl AsRef<[u8]>) -> u16 {
    let hash = Md5::digest(key);
    hash.first_chunk().map_or(0, |start| u16::from_be_bytes(*start))
}
