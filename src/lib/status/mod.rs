//! What can be seen of the programs from outside: in /proc, in the directories between pull and process, at the ports
//! of the agent. Nothing of it needs their cooperation, so that it also holds when they hang.
//!
//! ```text
//! processes (/proc) ─┐
//! queue (src-dir)   ─┼─► Status ─► report: --status, --json
//! services (ports)  ─┘         └─► checks ─► nagios: --nagios CHECK
//! ```

mod checks;
mod group;
mod look;
pub(crate) mod nagios;
mod processes;
mod queue;
mod range;
mod reach;
pub(crate) mod report;
mod services;
mod verdict;

pub(crate) use look::{Depth, Status};
