//! What an answer is made from: one trait, one file for each check.

mod command;
mod file;
mod http;
mod interface;
mod json;
mod load;
mod patroni;

use super::client::Client;
pub use super::finding::Finding;
use crate::config::agent::{Kind, Service};
use crate::haproxy::answer::Answer;
use crate::http::SetupError;
pub(crate) use command::find_program;
pub use file::read_override;
pub use http::{datawave, evaluate};
pub(crate) use interface::Check;
pub use patroni::evaluate as evaluate_patroni;
use std::time::Instant;

/// Sets up a check of a service. `before`: what it found last before a restart, and when, where that is known.
///
/// # Errors
/// Certificates or credentials cannot be read.
pub(crate) fn open(
    kind: Kind,
    config: &Service,
    before: Option<(Answer, Instant)>,
) -> Result<Box<dyn Check>, SetupError> {
    Ok(match kind {
        Kind::Http => Box::new(http::Http::open(Client::open(&config.http, "")?, config.rules.clone())),
        Kind::Datawave => {
            Box::new(http::Http::open(Client::open(&config.http, http::DATAWAVE_URL)?, datawave(config.datawave)))
        }
        Kind::Patroni => {
            let client = Client::open(&config.http, patroni::URL)?;
            Box::new(patroni::Patroni::open(client, config.patroni.clone(), before))
        }
        Kind::Load => Box::new(load::Load::new(config.load.clone())),
        Kind::File => Box::new(file::File::new(config.override_file.clone().unwrap_or_default())),
        Kind::Command => Box::new(command::Command::new(config.command.clone(), config.warning_weight)),
    })
}
