//! `latency-table`: what HAProxy has counted of response times, from one snapshot to the next.
//!
//! ```text
//! replies to show table ─► ledger: by how much has each row grown? ─► files beside the replies
//!                             ▲                                   └─► state, for the next start
//! ```

mod ledger;
mod state;

use super::masters::Leaving;
use super::outcome::{Outcome, Standing};
use crate::config::{self, Hosts};
use crate::haproxy::identity::Reading;
use crate::latency::table::{Header, Reader, RowError};
use crate::logging::Chain;
use crate::snapshot::stage::{Folder, StageError, Staging};
use crate::snapshot::{CARRIED_LATENCY_SUFFIX, Epoch, LATENCY_SUFFIX, OLD_LATENCY_SUFFIX};
use crate::telemetry::pull::{Counter, Counters};
use ledger::{Ledger, Process, Stage};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::fs;
use std::io::{self, ErrorKind, Write as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The file in dst-dir.
const STATE: &str = ".latency";
/// Where it is made.
const NEXT: &str = ".latency.next";
/// What one is called that could not be read.
const DAMAGED: &str = ".latency.damaged";
/// As much of a row is shown in an error.
const SHOWN: usize = 160;

/// What a pull found in the tables.
#[derive(Debug, Default)]
struct Found {
    /// Tables that were read, and those of them that are full.
    tables: u64,
    full: u64,
    /// Rows that were left out.
    refused: u64,
}

/// Where a table came from.
struct Source {
    /// The name of its file.
    file: String,
    /// The socket that it belongs to, and what to call it.
    socket: String,
    process: Option<Process>,
    stage: Stage,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Latency {
    ledger: Ledger,
    reader: Reader,
    /// The name of the table.
    table: Option<String>,
    directory: PathBuf,
    hosts: Hosts,
    forget_after: Duration,
    /// Whether it has been said that nothing can be kept.
    failing: bool,
    /// What has been said of each socket, and which tables are full.
    said: HashMap<String, String>,
    full: HashSet<String>,
}

impl Latency {
    /// For this configuration, if it asks for a table: goes on with what there was before, or else from what was kept on disk.
    pub(super) fn of(
        before: Option<Self>,
        config: &config::Pull,
        hosts: &Hosts,
        staging: &Staging,
        counters: &mut Counters,
    ) -> Option<Self> {
        let table = config.latency_table.clone()?;
        let (mut latency, damaged) = match before {
            Some(before) => (before, false),
            None => {
                let published = |epoch| staging.has(epoch) || staging.last().is_some_and(|last| last >= epoch);
                Self::open(&config.dst_dir, published)
            }
        };
        counters.add(Counter::DamagedStates, u64::from(damaged));
        if latency.table.as_ref().is_some_and(|before| *before != table) {
            // Rows of another table say nothing of those of this one.
            latency.ledger.forget_rows();
        }
        let (directory, hosts, forget_after) = (config.dst_dir.clone(), hosts.clone(), config.forget_after);
        Some(Self { table: Some(table), directory, hosts, forget_after, ..latency })
    }

    /// From what was kept in `dst`; `published` says whether the snapshot of a second was published. What cannot be read is set
    /// aside, and counting begins again; the second value says so.
    fn open(dst: &Path, published: impl Fn(Epoch) -> bool) -> (Self, bool) {
        let (ledger, damaged) = match restore(dst, published) {
            Ok(ledger) => (ledger, false),
            Err(error) => {
                let aside = dst.join(DAMAGED);
                let moved = fs::rename(dst.join(STATE), &aside).is_ok();
                tracing::error!(error = %Chain(&error), aside = moved.then(|| aside.display().to_string()),
                    "cannot read the latency histograms of earlier pulls; the file is set aside: counting starts over");
                (Ledger::default(), true)
            }
        };
        let latency = Self {
            ledger,
            reader: Reader::default(),
            table: None,
            directory: dst.to_owned(),
            hosts: Hosts::default(),
            forget_after: Duration::ZERO,
            failing: false,
            said: HashMap::new(),
            full: HashSet::new(),
        };
        (latency, damaged)
    }

    /// Takes in the tables of a pull, which lie in `folder`, writes beside them what is carried, and keeps all of it for the
    /// next start.
    ///
    /// # Errors
    /// A file cannot be read or written.
    pub(super) fn tick(
        &mut self,
        epoch: Epoch,
        folder: &Folder,
        outcomes: &[Outcome],
        leaving: &[Leaving],
        counters: &mut Counters,
    ) -> Result<(), StageError> {
        let mut found = Found::default();
        self.ledger.begin(epoch);
        // A host's file has the name of one of its sockets.
        let mut places: BTreeMap<Option<String>, String> = BTreeMap::new();
        let sources = self.sources(outcomes, leaving);
        self.forget(&sources);
        for source in sources {
            places.entry(self.host(&source.socket)).or_insert_with(|| source.socket.clone());
            let path = folder.path(&source.file);
            match fs::read(&path) {
                Ok(reply) => self.table(&source, &reply, &mut found),
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                Err(error) => return Err(StageError::Read { path, source: error }),
            }
        }
        let resets = self.ledger.end(epoch.0.saturating_sub(self.forget_after.as_secs()));
        counters.set(Counter::LatencyTables, found.tables);
        counters.set(Counter::FullLatencyTables, found.full);
        counters.add(Counter::RefusedLatencyRows, found.refused);
        counters.add(Counter::LatencyResets, resets);
        for host in self.ledger.hosts() {
            let Some(place) = places.get(host) else { continue };
            let name = format!("{place}{CARRIED_LATENCY_SUFFIX}");
            let written = folder.file(&name)?.write_all(&self.ledger.carried(host));
            written.map_err(|source| StageError::Write { path: folder.path(&name), source })?;
        }
        let kept = self.keep(epoch);
        counters.add(Counter::UnsavedStates, u64::from(!kept));
        Ok(())
    }

    /// The snapshot was published.
    pub(super) fn published(&mut self) {
        self.ledger.published();
    }

    /// All processes of a pull. A socket that is spared since another one has answered for its process may have been asked for
    /// the table nevertheless.
    fn sources(&self, outcomes: &[Outcome], leaving: &[Leaving]) -> Vec<Source> {
        let mut taken: HashSet<Process> = HashSet::new();
        let mut process = |reading: Option<&Reading>, socket: &str, counts: bool| {
            let key = reading?.key.as_ref()?;
            let mut process = Process {
                host: self.host(socket),
                node: key.node.clone(),
                pid: u32::try_from(key.pid).ok()?,
                started: key.started,
                socket: None,
            };
            if counts && !taken.insert(process.clone()) {
                // Two that say the same of themselves, and count both.
                process.socket = Some(socket.to_owned());
            }
            Some(process)
        };
        let live = outcomes.iter().filter(|outcome| outcome.result.is_ok() && outcome.standing != Standing::LeftOut);
        let (counting, twins): (Vec<&Outcome>, Vec<&Outcome>) =
            live.partition(|outcome| outcome.standing == Standing::Counts);
        let live: Vec<Source> = counting
            .into_iter()
            .chain(twins)
            .map(|outcome| {
                let socket = outcome.target.name.clone();
                let process = process(outcome.reading.as_deref(), &socket, outcome.standing == Standing::Counts);
                Source { file: format!("{socket}{LATENCY_SUFFIX}"), socket, process, stage: Stage::Live }
            })
            .collect();
        let old = leaving.iter().map(|worker| Source {
            file: format!("{}{OLD_LATENCY_SUFFIX}", worker.name),
            socket: worker.master.clone(),
            process: process(worker.reading.as_ref(), &worker.master, true),
            stage: Stage::Leaving,
        });
        let mut all = live;
        all.extend(old);
        all
    }

    fn host(&self, socket: &str) -> Option<String> {
        self.hosts.of(socket).map(|host| host.name.clone())
    }

    fn table(&mut self, source: &Source, reply: &[u8], found: &mut Found) {
        let Some(process) = &source.process else {
            self.say(&source.file, "HAProxy does not report which process it is".to_owned(), "");
            return;
        };
        let Some(mut table) = self.ledger.table(process, source.stage) else { return };
        let mut refused: Option<(RowError, String)> = None;
        let mut count = 0;
        let read = self.reader.read(reply, |row| match row {
            Ok(row) => table.row(&row),
            Err((error, line)) => {
                count += 1;
                refused.get_or_insert_with(|| (error, shown(line)));
            }
        });
        table.end(count == 0 && read.is_ok());
        found.refused += count;
        match (read, refused) {
            (Err(error), _) => self.say(&source.file, error.to_string(), ""),
            (Ok(header), refused) => {
                found.tables += 1;
                found.full += u64::from(self.is_full(&source.file, header));
                match refused {
                    Some((error, row)) => self.say(&source.file, error.to_string(), &row),
                    None => drop(self.said.remove(&source.file)),
                }
            }
        }
    }

    /// Says of a table what is wrong, once.
    fn say(&mut self, file: &str, reason: String, row: &str) {
        if self.said.get(file) != Some(&reason) {
            tracing::error!(file, reason, row, "cannot use the latency table, or some of its rows");
            self.said.insert(file.to_owned(), reason);
        }
    }

    /// Forgets what was said of tables that are gone.
    fn forget(&mut self, sources: &[Source]) {
        let present: HashSet<&str> = sources.iter().map(|source| source.file.as_str()).collect();
        self.said.retain(|file, _| present.contains(file.as_str()));
        self.full.retain(|file| present.contains(file.as_str()));
    }

    /// Whether a table has no room for a further row, which is said once.
    fn is_full(&mut self, file: &str, Header { size, used }: Header) -> bool {
        let full = used >= size;
        if !full {
            self.full.remove(file);
        } else if self.full.insert(file.to_owned()) {
            tracing::warn!(
                file,
                size,
                "the latency table is full: HAProxy drops rows, so requests are missing; raise its size"
            );
        }
        full
    }

    /// Saves everything for the next start; false if that is not possible.
    fn keep(&mut self, epoch: Epoch) -> bool {
        let next = self.directory.join(NEXT);
        let text = state::write(&self.ledger, epoch);
        let kept = fs::write(&next, text).and_then(|()| fs::rename(&next, self.directory.join(STATE)));
        match &kept {
            Ok(()) if std::mem::take(&mut self.failing) => tracing::info!("latency histograms can be saved again"),
            Ok(()) => {}
            Err(error) => {
                if !std::mem::replace(&mut self.failing, true) {
                    tracing::error!(%error,
                        "cannot save latency histograms: if haproxystats-pull restarts, counting starts over");
                }
            }
        }
        kept.is_ok()
    }
}

fn restore(dst: &Path, published: impl Fn(Epoch) -> bool) -> io::Result<Ledger> {
    match fs::read_to_string(dst.join(STATE)) {
        Ok(text) => state::read(&text, published).map_err(|error| io::Error::new(ErrorKind::InvalidData, error)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(Ledger::default()),
        Err(error) => Err(error),
    }
}

/// The beginning of a row, for the log.
fn shown(line: &[u8]) -> String {
    let line = line.get(..line.len().min(SHOWN)).unwrap_or(line);
    String::from_utf8_lossy(line).chars().flat_map(char::escape_debug).collect()
}
