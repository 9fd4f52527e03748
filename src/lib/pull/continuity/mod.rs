//! `continuous-counters`: published counters never decrease, across reloads, restarts and crashes of HAProxy, `clear counters`,
//! and restarts of this program.
//!
//! ```text
//! replies of this pull ─► ledger: final counters of processes that are gone ─► files next to the replies
//!                           ▲                                                    │
//!                           └─────── the last snapshot, kept for the next start ◄┘
//! ```
//!
//! A snapshot contains everything that its metrics need: haproxystats-process adds the carried counters like those of one more
//! process that has only counters, and keeps no state. All processes of a host that are gone are carried as one, since only the
//! sum over them is published, so that a worker has as little as possible to read and add.

mod files;
mod ledger;
mod names;
mod packed;
mod places;
mod replies;
mod scratch;
mod seen;
mod shared;
mod source;
mod store;
mod written;

use super::masters::Round;
use super::outcome::{Outcome, Standing};
use super::step::Step;
use crate::config::Hosts;
use crate::logging::Chain;
use crate::snapshot::stage::{Folder, StageError};
use crate::snapshot::{CARRIED_INFO_SUFFIX, CARRIED_STAT_SUFFIX, Epoch};
use ledger::{Host, Ledger};
use places::Places;
use replies::{DAEMON, Reader};
use scratch::Scratch;
use seen::{Identity, Seen};
use source::Source;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::Path;
use std::time::Duration;
use store::Store;
use written::Written;

/// Up to this many names of forgotten objects, it is not worth reading everything again.
const STALE_NAMES: usize = if cfg!(test) { 50 } else { 10_000 };

/// What was found about counters in a pull.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Continued {
    /// Objects whose counters decreased.
    pub(super) resets: u64,
    /// Processes that are not in the snapshot, and whose counters are carried.
    pub(super) absent: u64,
    /// Kept states that could not be read.
    pub(super) damaged: u64,
    /// States that could not be kept.
    pub(super) unsaved: u64,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Continuity {
    ledger: Ledger,
    reader: Reader,
    store: Store,
    /// Where each process is in the store.
    places: Places,
    hosts: Hosts,
    /// The socket after which the files of carried counters are named, for each host.
    sockets: BTreeMap<Host, String>,
    /// Since when the counters of each host have been continuous: the start of its first known process.
    starts: BTreeMap<Host, u64>,
    /// The last file with carried counters of `show stat`, for each host.
    written: BTreeMap<Host, Written>,
    forget_after: Duration,
    /// Whether the last pull was only taken in part, so that the state in memory is not valid.
    halfway: bool,
    /// Whether it was logged that the state cannot be kept.
    failing: bool,
}

impl Continuity {
    /// Continues from the last snapshot that was kept in `dst`. If that cannot be read, it is set aside, counters start over, and
    /// the second value is true.
    pub(super) fn open(dst: &Path, hosts: Hosts, forget_after: Duration) -> (Self, bool) {
        Self::from_store(Store::new(dst), hosts, forget_after)
    }

    fn from_store(store: Store, hosts: Hosts, forget_after: Duration) -> (Self, bool) {
        let mut continuity = Self {
            ledger: Ledger::new(Scratch::new(store.directory())),
            reader: Reader::default(),
            store,
            places: Places::default(),
            hosts,
            sockets: BTreeMap::new(),
            starts: BTreeMap::new(),
            written: BTreeMap::new(),
            forget_after,
            halfway: false,
            failing: false,
        };
        let kept = match continuity.store.newest() {
            Ok(None) => return (continuity, false),
            Ok(Some((epoch, path))) => continuity.restore(epoch, &path).map_err(|error| (Some(epoch), error)),
            Err(error) => Err((None, error)),
        };
        let Err((epoch, error)) = kept else { return (continuity, false) };
        let aside = epoch.map(|epoch| continuity.store.set_aside(epoch));
        let aside = aside.and_then(Result::ok).map(|path| path.display().to_string());
        tracing::error!(error = %Chain(&error), aside,
            "cannot read the counters of earlier processes; the file is set aside: counters may decrease once");
        (continuity.restarted(), true)
    }

    /// Applies another configuration, and keeps counters. If processes may belong to other hosts than before, it continues as
    /// after a restart, and the second value is that of [`Continuity::open`].
    pub(super) fn go_on(self, dst: &Path, hosts: Hosts, forget_after: Duration) -> (Self, bool) {
        let (continuity, damaged) =
            if hosts == self.hosts { (self, false) } else { Self::from_store(self.store, hosts, forget_after) };
        let store = Store::new(dst);
        continuity.ledger.scratch().move_to(store.directory());
        (Self { store, forget_after, ..continuity }, damaged)
    }

    fn restarted(self) -> Self {
        Self {
            ledger: Ledger::new(self.ledger.scratch().clone()),
            places: Places::default(),
            starts: BTreeMap::new(),
            ..self
        }
    }

    fn restore(&mut self, epoch: Epoch, path: &Path) -> io::Result<()> {
        let mut names: Vec<String> = Vec::new();
        for entry in fs::read_dir(path)? {
            names.extend(entry?.file_name().into_string());
        }
        names.sort();
        let in_snapshot = |name: &String| Source::in_snapshot(path, name);
        let mut absent: Vec<_> = names.iter().filter_map(|name| Source::absent(path, name)).collect();
        absent.sort_by_key(|(seen, _)| *seen);
        let mut places = Places::of(path.to_owned());
        for (seen, source) in absent {
            self.ledger.begin(seen);
            places.note(self.take(&source, path, &mut HashSet::new())?, source, seen);
        }
        // Before the carried counters, so that objects are numbered in the order of the replies.
        let present = self.read(epoch, path, names.iter().filter_map(in_snapshot).collect())?;
        self.ledger.end(|_, _| false);
        present.into_iter().for_each(|(identity, source)| places.note(identity, source, epoch.0));
        self.ledger.forget_conclusions();
        for name in &names {
            if let Some(socket) = name.strip_suffix(CARRIED_STAT_SUFFIX) {
                let host = self.host(socket);
                self.sockets.entry(host.clone()).or_insert_with(|| socket.to_owned());
                let Self { reader, ledger, .. } = self;
                reader.carried(File::open(path.join(name))?, |object, values, seen| {
                    ledger.restore(&host, object, values, seen.unwrap_or(epoch.0));
                })?;
            } else if let Some(socket) = name.strip_suffix(CARRIED_INFO_SUFFIX) {
                let host = self.host(socket);
                self.sockets.entry(host.clone()).or_insert_with(|| socket.to_owned());
                let text = fs::read(path.join(name))?;
                let values = replies::carried_info(&text);
                if let Some(started) = files::start(&text) {
                    self.started(&host, started);
                }
                self.ledger.restore(&host, DAEMON, &values, epoch.0);
            } else if name == shared::FILE {
                shared::read(&fs::read_to_string(path.join(name))?, &mut self.ledger, &places);
            }
        }
        self.places = places;
        Ok(())
    }

    /// Takes the replies of a pull from `folder`, writes the carried counters next to them, and keeps all of it for the next
    /// start.
    ///
    /// # Errors
    /// A file cannot be read or written.
    pub(super) fn tick(
        &mut self,
        epoch: Epoch,
        folder: &Folder,
        outcomes: &[Outcome],
        leaving: &Round,
    ) -> Result<Continued, StageError> {
        Step::Answered.reached();
        let damaged = std::mem::replace(&mut self.halfway, true) && self.start_again();
        let live = outcomes.iter().filter(|outcome| outcome.result.is_ok() && outcome.standing == Standing::Counts);
        // Leaving processes come first.
        let sources = leaving.workers.iter().map(Source::leaving).chain(live.map(Source::live)).collect();
        let directory = folder.path("");
        let failed = |source| StageError::Read { path: directory.clone(), source };
        let (present, counts) = self
            .read(epoch, &directory, sources)
            .map(|present| (present, self.ledger.end(|master, pid| leaving.has_ended(master, pid))))
            .map_err(failed)?;
        self.ledger.forget(self.forgets(epoch));
        let written = self.write(folder);
        if let Some(source) = self.ledger.lost() {
            return Err(StageError::Read { path: self.store.directory().to_owned(), source });
        }
        self.halfway = false;
        let states = written?;
        Step::Carried.reached();
        let kept = self.keep(epoch, &directory, present, states);
        let unsaved = u64::from(kept.is_err());
        match kept {
            Ok(()) if std::mem::take(&mut self.failing) => {
                tracing::info!("the state of continuous counters can be saved again");
            }
            Ok(()) => self.forget_names(epoch),
            Err(error) => self.fails(&error),
        }
        Step::Cleared.reached();
        Ok(Continued { resets: counts.resets, absent: counts.absent, damaged: u64::from(damaged), unsaved })
    }

    /// Continues from the last snapshot that was kept, as after a restart. Returns whether it could not be read.
    fn start_again(&mut self) -> bool {
        let (next, damaged) = Self::from_store(self.store.clone(), self.hosts.clone(), self.forget_after);
        *self = Self { halfway: true, failing: self.failing, ..next };
        damaged
    }

    /// Frees the names of forgotten objects. They are not removed individually: once they are the majority, everything is read
    /// again from what was just kept, as after a restart, which does not contain them.
    fn forget_names(&mut self, epoch: Epoch) {
        let (names, stale) = self.ledger.names(self.forgets(epoch));
        if stale < STALE_NAMES || stale < names / 2 {
            return;
        }
        let (next, damaged) = Self::from_store(self.store.clone(), self.hosts.clone(), self.forget_after);
        if !damaged {
            tracing::debug!(names, stale, "names of objects that HAProxy no longer has are removed from memory");
            *self = next;
        }
    }

    /// Objects that were last seen before this second are forgotten.
    fn forgets(&self, epoch: Epoch) -> u64 {
        epoch.0.saturating_sub(self.forget_after.as_secs())
    }

    /// Keeps the snapshot for the next start. `states` are those of the files of each host, with their names.
    fn keep(
        &mut self,
        epoch: Epoch,
        snapshot: &Path,
        present: HashMap<Identity, Source>,
        states: Vec<(Host, u64, String)>,
    ) -> io::Result<()> {
        let seconds = (epoch.0, self.forgets(epoch));
        let (mut places, others) =
            self.places.next(present, seconds, |identity, missed| self.ledger.may_return(identity, missed));
        let shared = shared::write(&self.ledger, &places);
        places.directory = self.store.keep(epoch, snapshot, &others, &[(shared::FILE, shared)])?;
        let file = |(host, state, name)| Some((host, Written::of(state, places.directory.join::<String>(name)).ok()?));
        self.written = states.into_iter().filter_map(file).collect();
        self.places = places;
        Ok(())
    }

    fn fails(&mut self, error: &io::Error) {
        if !std::mem::replace(&mut self.failing, true) {
            tracing::error!(%error, "cannot save the state of continuous counters: if haproxystats-pull restarts, \
                                     counters may decrease");
        }
    }

    fn read(&mut self, epoch: Epoch, directory: &Path, sources: Vec<Source>) -> io::Result<HashMap<Identity, Source>> {
        name_hosts(&mut self.sockets, &self.hosts, &sources);
        self.ledger.begin(epoch.0);
        let (mut taken, mut present) = (HashSet::new(), HashMap::new());
        for source in sources {
            present.insert(self.take(&source, directory, &mut taken)?, source);
        }
        Ok(present)
    }

    /// Takes the replies of a process. `taken` are the processes of this snapshot so far.
    fn take(&mut self, source: &Source, directory: &Path, taken: &mut HashSet<Identity>) -> io::Result<Identity> {
        let key = source.reading.as_ref().and_then(|reading| reading.key.clone());
        let own = key.is_none().then(|| source.name.clone());
        if let Some(key) = &key {
            self.started(&self.host(&source.socket), key.started);
        }
        let mut identity = Identity { host: self.host(&source.socket), key, source: own };
        if !taken.insert(identity.clone()) {
            // Two processes with the same identity, which both count.
            identity.source = Some(source.name.clone());
            taken.insert(identity.clone());
        }
        let release = source.reading.as_ref().and_then(|reading| release(reading.version.as_deref()?));
        let seen = Seen { identity: identity.clone(), source: &source.socket, leaving: source.leaving, release };
        let mut reply = self.ledger.reply(&seen);
        let [info, stat] = source.files.each_ref().map(|file| directory.join(file));
        let read = fs::read(&info).and_then(|text| {
            reply.object(DAEMON, &replies::info(&text));
            self.reader.stat(File::open(&stat)?, |object, counters| reply.object(object, counters))
        });
        match read {
            Ok(()) => reply.end(),
            // Not a complete reply; but pull has accepted it, so this HAProxy just prints less.
            Err(error) if error.kind() == io::ErrorKind::InvalidData => reply.end(),
            Err(error) => return Err(error),
        }
        Ok(identity)
    }

    /// Writes the carried counters next to the replies. The files of a host are named after one of its sockets. Returns, for each
    /// host, the state and the name of the file of `show stat`.
    fn write(&self, folder: &Folder) -> Result<Vec<(Host, u64, String)>, StageError> {
        let mut states = Vec::new();
        for host in self.ledger.hosts() {
            let Some((socket, state)) = self.sockets.get(&host).zip(self.ledger.state(&host)) else { continue };
            let of_info = files::info(&self.ledger, &host, self.starts.get(&host).copied());
            if !of_info.is_empty() {
                write(folder, &format!("{socket}{CARRIED_INFO_SUFFIX}"), |out| out.write_all(of_info.as_bytes()))?;
            }
            let name = format!("{socket}{CARRIED_STAT_SUFFIX}");
            if !self.written.get(&host).is_some_and(|written| written.serves(state, &folder.path(&name))) {
                let places = files::places(&self.ledger, &host);
                if places.is_empty() {
                    continue;
                }
                write(folder, &name, |out| files::stat(&self.ledger, &host, &places, out))?;
            }
            states.push((host, state, name));
        }
        Ok(states)
    }

    fn started(&mut self, host: &Host, started: u64) {
        let first = self.starts.entry(host.clone()).or_insert(started);
        *first = (*first).min(started);
    }

    fn host(&self, socket: &str) -> Host {
        self.hosts.of(socket).map(|host| host.name.clone())
    }
}

/// Writes a file.
fn write(
    folder: &Folder,
    name: &str,
    text: impl FnOnce(&mut BufWriter<File>) -> io::Result<()>,
) -> Result<(), StageError> {
    let mut out = BufWriter::with_capacity(64 * 1024, folder.file(name)?);
    let written = text(&mut out).and_then(|()| out.flush());
    written.map_err(|source| StageError::Write { path: folder.path(name), source })
}

/// Chooses the socket after which the files of each host are named: the first one in this snapshot, otherwise the previous one.
fn name_hosts(sockets: &mut BTreeMap<Host, String>, hosts: &Hosts, sources: &[Source]) {
    let mut present: BTreeMap<Host, &str> = BTreeMap::new();
    for source in sources {
        let host = hosts.of(&source.socket).map(|host| host.name.clone());
        if source.leaving {
            // Its master is not a socket of the snapshot.
            sockets.entry(host).or_insert_with(|| source.socket.clone());
        } else {
            let first = present.entry(host).or_insert(&source.socket);
            *first = (*first).min(&source.socket);
        }
    }
    sockets.extend(present.into_iter().map(|(host, socket)| (host, socket.to_owned())));
}

/// `3.4` of `3.4.7-1~bpo12+1`.
fn release(version: &str) -> Option<(u32, u32)> {
    let mut numbers = version.split(|c: char| !c.is_ascii_digit());
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

#[cfg(test)]
mod tests;
