//! Compares the share of each server in the requests of its backend with its share of the weight.

use super::object::Object;
use crate::top::read::field::Field;
use crate::top::read::tick::Rank;
use std::collections::HashMap;
use std::sync::Arc;

/// Shares between 0 and 1, among the servers of a backend that take traffic.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(in crate::top) struct Share {
    /// Share of the requests; `None` if there are none.
    pub(in crate::top) requests: Option<f64>,
    /// Share of the weight.
    pub(in crate::top) weight: f64,
    /// Whether the difference is too large to be chance.
    pub(in crate::top) off: bool,
}

/// Expected requests per second below which a share is never reported as off.
const ENOUGH: f64 = 5.0;

#[derive(Debug, Default)]
struct Sums {
    /// Whether a server that is not a backup takes traffic.
    active: bool,
    requests: f64,
    weight: f64,
    queued: f64,
}

/// Sets the shares of servers, and the waiting requests of each backend. Backups only have shares while no other server takes
/// traffic, and only those that get requests: HAProxy uses just the first one, unless `option allbackups` is set, which it does
/// not report.
pub(super) fn shares(objects: &mut [Object]) {
    let mut sums: HashMap<Arc<str>, Sums> = HashMap::new();
    let servers = || objects.iter().filter(|object| object.key.kind == Rank::Server);
    for server in servers() {
        let sum = sums.entry(Arc::clone(&server.key.proxy)).or_default();
        sum.active |= server.takes_traffic() && !is_backup(server);
        sum.queued += server.get(Field::Queued).unwrap_or_default();
    }
    for server in servers() {
        if let Some(sum) = sums.get_mut(&server.key.proxy).filter(|sum| counts(server, sum)) {
            sum.requests += server.requests().unwrap_or_default();
            sum.weight += server.get(Field::Weight).unwrap_or_default();
        }
    }
    for object in objects {
        let Some(sum) = sums.get(&object.key.proxy) else { continue };
        match object.key.kind {
            Rank::Server if counts(object, sum) => object.share = share(object, sum),
            Rank::Backend => object.waiting += sum.queued,
            Rank::Server | Rank::Frontend => {}
        }
    }
}

fn is_backup(server: &Object) -> bool {
    server.get(Field::Backup).is_some_and(|backup| backup > 0.0)
}

fn counts(server: &Object, sum: &Sums) -> bool {
    let serves = || server.requests().is_some_and(|requests| requests > 0.0);
    server.takes_traffic() && if is_backup(server) { !sum.active && serves() } else { true }
}

fn share(server: &Object, sum: &Sums) -> Option<Share> {
    let weight = server.get(Field::Weight).filter(|_| sum.weight > 0.0)? / sum.weight;
    let requests = server.requests().filter(|_| sum.requests > 0.0).map(|requests| requests / sum.requests);
    let expected = sum.requests * weight;
    let off = expected >= ENOUGH && requests.is_some_and(|requests| requests > 1.5 * weight || requests < weight / 1.5);
    Some(Share { requests, weight, off })
}
