//! What each backend should have: the document seen from one backend. A pure function.
//!
//! Every slot of the list is decided for every backend. What a backend should not have is wanted empty there, so a server
//! that changes its group, or whose slot is given to a server of another group, leaves the backend that it was in.

use crate::config::discovery::{Backend, BackendMode};
use crate::discovery::document::{Document, State};
use crate::haproxy::runtime::{Endpoint, InvalidValue, Name, ServerName, ServerOptions, Weight};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt;

/// What a slot should contain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Occupant {
    /// As in the document.
    pub instance: String,
    /// For people.
    pub name: String,
    pub group: String,
    /// Where it is.
    pub endpoint: Endpoint,
    /// The weight that it should have now; `None` when weights are left to HAProxy.
    pub weight: Option<Weight>,
}

/// What a slot of a backend should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wanted {
    /// In maintenance, or not there.
    Empty,
    /// Serving.
    Serve(Occupant),
    /// Leaving: no new sessions.
    Drain(Occupant),
}

impl Wanted {
    /// The server that should be there, serving or leaving.
    #[must_use]
    pub(crate) fn occupant(&self) -> Option<&Occupant> {
        match self {
            Self::Empty => None,
            Self::Serve(occupant) | Self::Drain(occupant) => Some(occupant),
        }
    }
}

/// Why an occupant of the document is not put into a backend.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unfit {
    /// It is in another slot already.
    Twice {
        /// That slot.
        other: u32,
    },
    /// Its address or weight cannot be right.
    Invalid(InvalidValue),
    /// It has no address.
    NoAddress,
}

impl fmt::Display for Unfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Twice { other } => write!(f, "it is already in slot {other}"),
            Self::Invalid(error) => error.fmt(f),
            Self::NoAddress => f.write_str("it has no address"),
        }
    }
}

/// What one backend should have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Desired {
    pub backend: Name,
    /// Prefix of the names of its slots.
    pub base: Name,
    /// `mode = dynamic`: how servers are added.
    pub dynamic: Option<ServerOptions>,
    /// By number; every slot of the document is there.
    pub slots: BTreeMap<u32, Wanted>,
    /// Slot, instance and reason of those that are left out.
    pub unfit: Vec<(u32, String, Unfit)>,
}

impl Desired {
    /// The name of a slot's server.
    ///
    /// # Errors
    /// Never, since a prefix and a number make a name.
    pub fn server(&self, slot: u32) -> Result<ServerName, InvalidValue> {
        Ok(ServerName { backend: self.backend.clone(), server: format!("{}{slot}", self.base).parse()? })
    }

    /// The number of the slot that a server's name says, if it is one of ours.
    #[must_use]
    pub fn slot(&self, server: &str) -> Option<u32> {
        slot_number(self.base.as_str(), server)
    }
}

/// What the ids of servers begin with that are added while HAProxy runs; servers of the configuration are numbered from 1,
/// or have an `id` of the operator's.
///
/// Consistent hashing places a server by `id` x 4096, in 32 bits: with this and some hundred thousand slots the product
/// neither overflows nor meets that of a server of the configuration.
const FIRST_DYNAMIC_ID: u32 = 100_000;

/// The id of a slot's server where it is added: by the slot alone, which the list has decided for all HAProxies, so that
/// the same key leads to the same server on each, whatever else is in their backends and whenever each added it.
pub(crate) fn dynamic_id(slot: u32) -> u32 {
    FIRST_DYNAMIC_ID.saturating_add(slot)
}

/// The number that follows `base` in a server's name. HAProxy writes numbers without leading zeros and signs.
pub(crate) fn slot_number(base: &str, server: &str) -> Option<u32> {
    let number = server.strip_prefix(base)?;
    if number.starts_with(['0', '+']) { None } else { number.parse().ok() }
}

/// What `backend` should have, when the document is this and the time by the clock of its writer is `now` (UTC milliseconds).
///
/// # Errors
/// The configuration has names or options that HAProxy does not know.
pub(crate) fn desired(
    document: &Document,
    backend: &Backend,
    manage_weights: bool,
    now: u64,
) -> Result<Desired, InvalidValue> {
    let mut desired = Desired {
        backend: backend.name.parse()?,
        base: backend.base_name.parse()?,
        dynamic: match backend.mode {
            BackendMode::Template => None,
            BackendMode::Dynamic => Some(backend.server_options.parse()?),
        },
        slots: document.slots.iter().map(|slot| (slot.id, Wanted::Empty)).collect(),
        unfit: Vec::new(),
    };
    let mut by_endpoint: HashMap<Endpoint, u32> = HashMap::new();
    let mut by_instance: HashMap<(String, u16), u32> = HashMap::new();
    // Who serves goes first: of two slots with the same server, that which serves keeps it.
    let (active, leaving): (Vec<_>, Vec<_>) = document.servers().partition(|(_, server)| server.state == State::Active);
    let mut seen = HashSet::new();
    for (slot, server) in active.into_iter().chain(leaving) {
        if !backend.serves.takes(&server.group) || !seen.insert(slot) {
            continue;
        }
        let unfit = |reason| (slot, server.instance.clone(), reason);
        let Some(address) = server.address() else {
            desired.unfit.push(unfit(Unfit::NoAddress));
            continue;
        };
        let valid = Endpoint::new(address, server.port.unwrap_or(backend.port))
            .and_then(|endpoint| Ok((endpoint, Weight::new(u64::from(document.weight_at(server, now)))?)));
        let (endpoint, weight) = match valid {
            Ok(valid) => valid,
            Err(error) => {
                desired.unfit.push(unfit(Unfit::Invalid(error)));
                continue;
            }
        };
        let key = (server.instance.clone(), endpoint.port());
        if let Some(other) = by_endpoint.get(&endpoint).or_else(|| by_instance.get(&key)) {
            desired.unfit.push(unfit(Unfit::Twice { other: *other }));
            continue;
        }
        by_endpoint.insert(endpoint, slot);
        by_instance.insert(key, slot);
        let occupant = Occupant {
            instance: server.instance.clone(),
            name: server.name.clone(),
            group: server.group.clone(),
            endpoint,
            weight: manage_weights.then_some(weight),
        };
        let wanted = if server.state == State::Active { Wanted::Serve(occupant) } else { Wanted::Drain(occupant) };
        desired.slots.insert(slot, wanted);
    }
    Ok(desired)
}
