//! What an answer is made from: one trait, one file for each check.

mod command;
mod file;
mod http;
mod json;
mod load;
mod patroni;

use super::client::Client;
use crate::config::agent::{Kind, Service};
use crate::haproxy::answer::{Answer, State};
use crate::http::SetupError;
use std::future::Future;
use std::pin::Pin;
use std::time::Instant;

pub use command::find_program;
pub use file::read_override;
pub use http::{datawave, evaluate};
pub use patroni::evaluate as evaluate_patroni;

/// What a check found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Finding {
    /// State and weight.
    Answer(Answer),
    /// Nothing may change at HAProxy.
    Silent,
    /// No result; the service has an answer for it. With the reason.
    Failure(Failure, String),
    /// An operator's will.
    Override {
        /// The state; `None`: that of the other checks.
        state: Option<State>,
        /// Ceiling of the weight, percent.
        weight: u8,
        /// Why.
        reason: String,
    },
    /// This check has nothing to say.
    Nothing,
}

/// Why there is no result.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failure {
    /// The endpoint is not there.
    Down,
    /// It says that it is unavailable.
    Unavailable,
    /// It took too long.
    Timeout,
    /// It answered what it should not.
    Error,
}

/// A future of a check; everything runs on one thread.
pub type Checking<'a> = Pin<Box<dyn Future<Output = Finding> + 'a>>;

/// A check. It is dropped where it stands when it takes longer than `check-timeout`.
pub trait Check {
    /// Its name, for reasons.
    fn name(&self) -> &'static str;

    /// Looks once.
    fn check(&self) -> Checking<'_>;

    /// The failure behind the last finding, where the check gave an older result in place of it.
    fn concealed(&self) -> Option<Failure> {
        None
    }

    /// What it means that [`Check::check`] took too long.
    fn timed_out(&self, reason: String) -> Finding {
        Finding::Failure(Failure::Timeout, reason)
    }
}

/// Sets up a check of a service. `before`: what it found last before a restart, and when, where that is known.
///
/// # Errors
/// Certificates or credentials cannot be read.
pub fn open(kind: Kind, config: &Service, before: Option<(Answer, Instant)>) -> Result<Box<dyn Check>, SetupError> {
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

/// Percent of the weight that is left; never 0, which would be a drain.
#[must_use]
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped to 1..=100 before")]
pub fn weight(reduction: f64) -> u8 {
    if reduction.is_nan() { 1 } else { (100.0 * (1.0 - reduction)).round().clamp(1.0, 100.0) as u8 }
}
