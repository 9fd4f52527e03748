//! What unit tests of several modules share.

use crate::config::{Config, Program, load};

/// The configuration without a file.
pub(crate) fn config() -> Config {
    load::from_text(Program::Process, "", "defaults").unwrap().config
}
