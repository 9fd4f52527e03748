//! One round of all sockets, and of the workers that are leaving, into memory: what haproxystats-top looks at. Nothing is
//! published, and nothing is asked beyond what the configuration handed in wants.

use super::masters::Masters;
use super::outcome::Standing;
use super::pace::Pace;
use super::poll::Poller;
use super::sockets;
use crate::config;
use crate::logging::Chain;
use crate::snapshot::Epoch;
use crate::snapshot::stage::{Folder, StageError};
use std::fs::File;
use std::io;

/// Why there is nothing to look at.
#[derive(Debug, thiserror::Error)]
pub(crate) enum GatherError {
    /// There is no memory for what the sockets say.
    #[error("replies cannot be kept in memory")]
    Memory(#[source] io::Error),
    /// The same, said by the one who writes them.
    #[error(transparent)]
    Stage(#[from] StageError),
}

/// A socket that was asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Asked {
    /// Its name.
    pub name: String,
    /// Why nothing came of it.
    pub failure: Option<String>,
    /// The socket that has answered for the same process.
    pub twin: Option<String>,
}

/// What came of a round.
#[derive(Debug, Default)]
pub(crate) struct Gathered {
    /// Names and contents, as those of the files of a snapshot.
    pub files: Vec<(String, File)>,
    /// The sockets that count.
    pub sockets: Vec<Asked>,
    /// Masters, and workers that are leaving, that have not answered.
    pub failed_masters: u64,
    /// Why the directory of sockets cannot be read.
    pub directory: Option<String>,
}

/// Asks, and remembers what the sockets are.
#[derive(Debug)]
pub(crate) struct Gatherer {
    config: config::Pull,
    hosts: config::Hosts,
    poller: Poller,
    masters: Masters,
}

impl Gatherer {
    /// For the sockets of this configuration; `pace` is that of the event loop.
    #[must_use]
    pub(crate) fn new(config: config::Pull, hosts: config::Hosts, pace: Pace) -> Self {
        let poller = Poller::new(&config, hosts.clone(), pace);
        let masters = poller.masters(&config.master_sockets);
        Self { config, hosts, poller, masters }
    }

    /// Asks all of them at once. Must run within a [`tokio::task::LocalSet`].
    ///
    /// # Errors
    /// There is no memory for the replies.
    pub(crate) async fn gather(&mut self, epoch: Epoch) -> Result<Gathered, GatherError> {
        let config = &self.config;
        let directory = config.socket_dir.as_deref();
        let (found, scanned) =
            sockets::find(directory, &config.exclude_sockets, &config.servers, &config.master_sockets);
        let targets = self.poller.admit(found.targets, &found.others);
        let folder = Folder::memory();
        let further = self.poller.further_of_workers(epoch);
        let mut slow = |_: &[super::poll::Slow]| {};
        let round = self.poller.round(targets, epoch, &folder, &mut slow);
        let ((outcomes, _), mut leaving) = tokio::try_join!(round, self.masters.round(&folder, further))?;
        leaving.leave_out_live(&outcomes, &self.hosts, &folder)?;
        let sockets = outcomes.iter().filter(|outcome| outcome.standing != Standing::LeftOut);
        let sockets = sockets.map(|outcome| Asked {
            name: outcome.target.name.clone(),
            failure: outcome.result.as_ref().err().map(|error| Chain(error).to_string()),
            twin: match &outcome.standing {
                Standing::Twin(first) => Some(first.clone()),
                _ => None,
            },
        });
        let directory = scanned.err().zip(directory);
        Ok(Gathered {
            sockets: sockets.collect(),
            files: folder.take().map_err(GatherError::Memory)?,
            failed_masters: leaving.failed,
            directory: directory.map(|(error, path)| format!("{} cannot be read: {error}", path.display())),
        })
    }
}
