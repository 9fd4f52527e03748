//! The sources of ticks: live sockets, or stored snapshots.

mod live;
mod stored;

pub(super) use live::Live;
pub(super) use stored::{Shelf, ShelfError};
