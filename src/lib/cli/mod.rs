//! Command lines: from words to what they ask for. Nothing is read or done here.

mod arguments;
mod canonical;
mod known;
mod parse;
mod replay;
mod top;
mod usage;

#[cfg(feature = "discovery")]
pub(crate) use arguments::Discover;
#[cfg(feature = "top")]
pub(crate) use arguments::Top;
pub(crate) use arguments::{Action, Arguments, LatencyRules, Run};
#[cfg(feature = "process")]
pub(crate) use arguments::{Place, Replay};
pub(crate) use parse::parse;
pub(crate) use usage::usage;

use crate::config::Program;
use std::ffi::OsString;
use std::path::PathBuf;

/// The configuration file of a daemon that was started with these words, without the name of the program; `None` when
/// they start none.
pub(crate) fn daemon_configuration(program: Program, words: impl Iterator<Item = OsString>) -> Option<PathBuf> {
    let arguments = parse(program, words).ok()?;
    let runs = match arguments.action {
        Action::Run => true,
        Action::Discover(discover) => discover.run == Run::Loop,
        _ => false,
    };
    runs.then_some(arguments.file)
}
