//! Where ticks come from: sockets that answer now, or snapshots that were stored.

mod live;
mod stored;

pub(super) use live::Live;
pub(super) use stored::{Shelf, ShelfError};
