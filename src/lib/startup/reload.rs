//! SIGHUP: the configuration of a running daemon is read again, in the same way as at its start.
//!
//! ```text
//! let Some(loaded) = FRONT.reload(further_checks) else { return };     // refused: nothing has changed, and the log has why
//! … use it, or FRONT.keep(why) …
//! FRONT.reloaded(log);
//! ```

use super::{Front, Purpose};
use crate::cli;
use crate::config::load::Loaded;
use crate::config::problem::{Problem, Report};
use crate::daemon::systemd;
use crate::logging;

impl Front {
    /// Reads the configuration again by the words with which the program was started. `more` finds what this program alone
    /// knows to be wrong. `None`: it is refused, and everything stays as it is.
    pub(crate) fn reload(&self, more: impl FnOnce(&Loaded) -> Vec<Problem>) -> Option<Loaded> {
        systemd::reloading();
        tracing::info!("SIGHUP: reading the configuration again");
        match self.read_again(more) {
            Ok(loaded) => {
                loaded.log();
                Some(loaded)
            }
            Err(report) => {
                report.warnings.iter().for_each(|warning| tracing::warn!("{warning}"));
                report.errors.iter().for_each(|error| tracing::error!("{error}"));
                self.keep("it is invalid");
                None
            }
        }
    }

    fn read_again(&self, more: impl FnOnce(&Loaded) -> Vec<Problem>) -> Result<Loaded, Report> {
        let words = std::env::args_os().skip(1);
        let refused = |usage| Report { errors: vec![Problem::new(usage)], warnings: Vec::new() };
        let arguments = cli::parse(self.program, words).map_err(refused)?;
        let (mut loaded, errors) = self.read(&arguments)?;
        if !errors.is_empty() {
            return Err(Report { errors, warnings: loaded.warnings });
        }
        let Report { mut errors, warnings } = (self.look)(&loaded, Purpose::Start);
        errors.extend(more(&loaded));
        loaded.warnings.extend(warnings);
        if errors.is_empty() { Ok(loaded) } else { Err(Report { errors, warnings: loaded.warnings }) }
    }

    /// Says that the configuration that was read cannot be used, and why; the program goes on with the one that it has.
    pub(crate) fn keep(&self, why: impl std::fmt::Display) {
        let program = self.program.name();
        tracing::error!("the new configuration is not used ({why}); {program} continues with the old one");
        systemd::ready();
    }

    /// Says that the configuration that was read is in use.
    pub(crate) fn reloaded(&self, log: logging::Settings) {
        logging::set(log);
        tracing::info!("the new configuration is in use");
        systemd::ready();
    }
}
