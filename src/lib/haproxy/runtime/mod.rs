//! HAProxy's Runtime API: commands that change a running process, and what it says about its servers.
//!
//! ```text
//! Command ─► Batch (one line, at most 8 KiB) ─► Session (one connection) ─► replies, matched to the commands
//! show info; show servers state ─► Process, Servers
//! ```
//!
//! Replies are hints. Some errors of HAProxy 2.x lack the empty line that ends a reply, and a port of 99999 is accepted
//! and becomes another one. So what goes out is validated here, and what came of it is read back from
//! `show servers state`.

mod batch;
mod command;
mod process;
pub mod reply;
mod session;
mod sessions;
mod state;

pub use batch::Batch;
#[cfg(test)]
pub(crate) use batch::LINE_LIMIT;
pub use command::{AdminState, Command, Endpoint, Name, ServerName, Weight};
pub(crate) use command::{InvalidValue, LARGEST_WEIGHT, ServerOptions};
pub use process::Process;
pub(crate) use process::ProcessId;
pub(crate) use reply::Refusal;
pub use reply::Reply;
pub(crate) use session::Observation;
pub use session::Session;
pub(crate) use session::SessionError;
pub use sessions::OpenSessions;
pub(crate) use state::ServerState;
pub use state::Servers;
