//! What makes a program a daemon, the same for all of them: its signals, what systemd is told and when, and what it takes from its
//! host.

pub mod duty;
mod fault;
pub mod host;
pub mod signals;
pub mod systemd;
mod unit;
pub mod watchdog;

pub(crate) use unit::Unit;
