//! Queries the sockets of the configuration.

use crate::config::{Config, Hosts};
use crate::haproxy::family::{Families, Family};
use crate::pull::gather::{GatherError, Gathered, Gatherer};
use crate::pull::pace::Pace;
use crate::snapshot::Epoch;
use crate::top::read::tick::{Certificate, Silent, Tick};
use crate::top::read::{Draft, TickReader};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// See the module.
#[derive(Debug)]
pub(in crate::top) struct Live {
    gatherer: Gatherer,
    reader: TickReader,
    started: Instant,
    /// The last known certificates, which are only queried once per `families-interval`.
    certificates: Vec<Certificate>,
}

impl Live {
    /// A source for this configuration; `pace` is that of the event loop, and `own` the name of this machine.
    pub(in crate::top) fn new(config: &Config, own: String, pace: Pace) -> Self {
        let mut pull = config.pull.clone();
        // Only query what is shown.
        let shown = |family: &Family| *family == Family::Certificates && config.pull.families.has(*family);
        pull.families = [Family::Certificates].into_iter().filter(shown).collect::<Families>();
        pull.latency_table = None;
        pull.jitter = std::time::Duration::ZERO;
        let hosts: Hosts = config.hosts.clone();
        Self {
            gatherer: Gatherer::new(pull, hosts.clone(), pace),
            reader: TickReader::new(hosts, own),
            started: Instant::now(),
            certificates: Vec::new(),
        }
    }

    /// Queries all sockets.
    ///
    /// # Errors
    /// There is no memory for the replies.
    pub(in crate::top) async fn tick(&mut self) -> Result<Tick, GatherError> {
        let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let (epoch, seconds) = (Epoch(wall.as_secs()), self.started.elapsed().as_secs_f64());
        let Gathered { files, sockets, failed_masters, directory } = self.gatherer.gather(epoch).await?;
        let mut draft = Draft::default();
        for (name, mut file) in files {
            self.reader.file(&mut draft, &name, &mut file, epoch).map_err(GatherError::Memory)?;
        }
        let mut tick = self.reader.finish(draft, epoch, seconds);
        if tick.certificates.is_empty() {
            tick.certificates.clone_from(&self.certificates);
        } else {
            self.certificates.clone_from(&tick.certificates);
        }
        tick.sockets = sockets.iter().filter(|socket| socket.twin.is_none()).count();
        let failed = sockets.into_iter().filter(|socket| socket.twin.is_none());
        tick.silent =
            failed.filter_map(|socket| Some(Silent { socket: socket.name, reason: socket.failure? })).collect();
        tick.silent.extend(directory.map(|reason| Silent { socket: "socket-dir".to_owned(), reason }));
        if failed_masters > 0 {
            let reason = format!("{failed_masters} masters or old workers did not answer");
            tick.silent.push(Silent { socket: "master-sockets".to_owned(), reason });
        }
        Ok(tick)
    }
}
