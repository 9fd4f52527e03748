//! Counters that never step back: what processes that are gone had counted goes with every snapshot.

mod ledger;
mod packed;
mod replies;
