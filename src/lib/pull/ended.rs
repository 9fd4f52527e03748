//! `mark-ended`: each snapshot carries what is known of the frontends, backends and servers that were in the one before and are
//! no more, so that destinations that want it can end their series.
//!
//! ```text
//! replies of this pull ─► which objects are there? ─► those that were there before and are not: their last rows
//!                                    ▲                                        │
//!                                    └── the replies of the last pull, kept ──┘─► <socket>_endedstat, <socket>_endedinfo
//! ```
//!
//! An object is gone when no socket of its host has it any more. What is kept between pulls is a number for each object, and
//! links to the files of the last snapshot, which are read only when something is gone. A pull whose snapshot is not published
//! after all costs those marks, and nothing else: receivers end a series by themselves when nothing comes for some minutes.

use super::outcome::{Outcome, Standing};
use crate::config::Hosts;
use crate::parse::rows::{Buffer, Quotes, Row, Rows};
use crate::snapshot::disk;
use crate::snapshot::stage::{Folder, StageError};
use crate::snapshot::{ENDED_INFO_SUFFIX, ENDED_STAT_SUFFIX, INFO_SUFFIX, STAT_SUFFIX};
use std::collections::HashSet;
use std::fs::{self, File};
use std::hash::BuildHasher;
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};

/// The directory in dst-dir with links to the files of the last snapshot.
const DIRECTORY: &str = ".last-pull";
/// Where the next is made.
const NEXT: &str = ".last-pull.next";

/// See the module.
#[derive(Debug)]
pub(super) struct Ended {
    hosts: Hosts,
    directory: PathBuf,
    next: PathBuf,
    /// The objects of the last snapshot, by their hashes.
    last: HashSet<u64, foldhash::fast::FixedState>,
    /// The hosts of the last snapshot.
    last_hosts: HashSet<Option<String>>,
    hash: foldhash::fast::FixedState,
    buffer: Buffer,
    failing: bool,
}

impl Ended {
    /// Goes on from the last pull that was kept in `dst`; where there is none, nothing counts as gone.
    pub(super) fn open(dst: &Path, hosts: Hosts) -> Self {
        let mut ended = Self {
            hosts,
            directory: dst.join(DIRECTORY),
            next: dst.join(NEXT),
            last: HashSet::default(),
            last_hosts: HashSet::new(),
            // The same in every program: it is compared with nothing that comes from outside.
            hash: foldhash::fast::FixedState::default(),
            buffer: Buffer::default(),
            failing: false,
        };
        let sources = sources(&ended.directory).unwrap_or_default();
        match ended.objects(&ended.directory.clone(), &sources) {
            Ok((objects, hosts)) => (ended.last, ended.last_hosts) = (objects, hosts),
            Err(error) => tracing::warn!(%error, directory = %ended.directory.display(),
                "cannot read the last pull; series that have ended since are not marked"),
        }
        ended
    }

    /// Forgets a last pull that is no longer kept.
    pub(super) fn forget(dst: &Path) {
        for directory in [DIRECTORY, NEXT] {
            let _ = disk::remove_directory(&dst.join(directory));
        }
    }

    /// Writes beside the replies in `folder` what is no more, and keeps them for the next pull. Returns how many objects that
    /// are. A failure is logged, and fails no pull.
    pub(super) fn tick(&mut self, folder: &Folder, outcomes: &[Outcome]) -> u64 {
        let live = outcomes.iter().filter(|outcome| outcome.result.is_ok() && outcome.standing == Standing::Counts);
        let sources: Vec<String> = live.map(|outcome| outcome.target.name.clone()).collect();
        let ended = self.note(folder, &sources);
        match &ended {
            Ok(_) if self.failing => tracing::info!("ended series are marked again"),
            Err(error) if !self.failing => {
                tracing::error!(error = %crate::logging::Chain(error), "cannot mark ended series");
            }
            _ => {}
        }
        self.failing = ended.is_err();
        ended.unwrap_or_default()
    }

    fn note(&mut self, folder: &Folder, sources: &[String]) -> Result<u64, StageError> {
        let directory = folder.path("");
        let failed = |source| StageError::Read { path: directory.clone(), source };
        let (objects, hosts) = self.objects(&directory, sources).map_err(failed)?;
        let gone: HashSet<u64, _> = self.last.difference(&objects).copied().collect();
        let gone_hosts: HashSet<Option<String>> = self.last_hosts.difference(&hosts).cloned().collect();
        let mut count = 0;
        if !gone.is_empty() || !gone_hosts.is_empty() {
            count = self.write(folder, &gone, &gone_hosts)?;
        }
        // What was told is not told again, whatever comes of keeping this.
        (self.last, self.last_hosts) = (objects, hosts);
        self.keep(&directory, sources).map_err(failed)?;
        Ok(count)
    }

    /// The objects in the replies of these sockets, and the hosts.
    #[expect(clippy::type_complexity, reason = "two sets")]
    fn objects(
        &mut self,
        directory: &Path,
        sources: &[String],
    ) -> io::Result<(HashSet<u64, foldhash::fast::FixedState>, HashSet<Option<String>>)> {
        let mut objects = HashSet::with_capacity_and_hasher(self.last.len(), self.hash.clone());
        let mut hosts = HashSet::new();
        for source in sources {
            let host = self.host(source);
            let input = File::open(directory.join(format!("{source}{STAT_SUFFIX}")))?;
            self.rows(input, host.as_deref(), |object, _| {
                objects.insert(object);
            })?;
            hosts.insert(host);
        }
        Ok((objects, hosts))
    }

    fn host(&self, source: &str) -> Option<String> {
        self.hosts.of(source).map(|host| host.name.clone())
    }

    /// Tells `take` of each row what identifies its object, and the row; returns the header.
    fn rows(&mut self, input: File, host: Option<&str>, mut take: impl FnMut(u64, &[u8])) -> io::Result<Vec<u8>> {
        let mut rows = Rows::new(input, &mut self.buffer);
        let mut header = Vec::new();
        loop {
            let (row, quotes) = rows.advance_to_quotes()?;
            match row {
                Row::End => break,
                Row::TooLong => continue,
                Row::Line if header.is_empty() => {
                    header = rows.line().to_vec();
                    continue;
                }
                Row::Line => {}
            }
            if quotes == Quotes::Open {
                rows.extend()?;
            }
            let line = rows.line();
            let mut commas = memchr::memchr_iter(b',', line);
            // Proxy and server; HAProxy's names have neither commas nor quotes.
            if let Some(names) = commas.nth(1).and_then(|end| line.get(..end)) {
                take(self.hash.hash_one((host, names)), line);
            }
        }
        rows.finish(&mut self.buffer);
        Ok(header)
    }

    /// Writes the last rows of objects that are gone, and the last words of hosts.
    fn write(
        &mut self,
        folder: &Folder,
        gone: &HashSet<u64, foldhash::fast::FixedState>,
        gone_hosts: &HashSet<Option<String>>,
    ) -> Result<u64, StageError> {
        let directory = self.directory.clone();
        let failed = |source| StageError::Read { path: directory.clone(), source };
        let mut count = 0;
        for source in sources(&directory).map_err(failed)? {
            let host = self.host(&source);
            let (mut text, mut before) = (Vec::new(), 0);
            let input = File::open(directory.join(format!("{source}{STAT_SUFFIX}"))).map_err(failed)?;
            let header = self.rows(input, host.as_deref(), |object, row| {
                if gone.contains(&object) {
                    text.extend_from_slice(row);
                    text.push(b'\n');
                    before += 1;
                }
            });
            let header = header.map_err(failed)?;
            if before > 0 {
                let name = format!("{source}{ENDED_STAT_SUFFIX}");
                let mut file = folder.file(&name)?;
                let written = [&header, &b"\n"[..], &text, b"\n"].into_iter().try_for_each(|part| file.write_all(part));
                written.map_err(|source| StageError::Write { path: folder.path(&name), source })?;
                count += before;
            }
            if gone_hosts.contains(&host) {
                let from = directory.join(format!("{source}{INFO_SUFFIX}"));
                let path = folder.path(&format!("{source}{ENDED_INFO_SUFFIX}"));
                fs::copy(from, &path).map_err(|source| StageError::Write { path, source })?;
            }
        }
        Ok(count)
    }

    /// Keeps the replies for the next pull, as links.
    fn keep(&self, directory: &Path, sources: &[String]) -> io::Result<()> {
        disk::remove_directory(&self.next).or_else(none_is_well)?;
        disk::make(&self.next)?;
        for name in sources.iter().flat_map(|source| [STAT_SUFFIX, INFO_SUFFIX].map(|end| format!("{source}{end}"))) {
            let (from, to) = (directory.join(&name), self.next.join(&name));
            match fs::hard_link(&from, &to) {
                Err(error) if error.kind() == ErrorKind::CrossesDevices => drop(fs::copy(&from, &to)?),
                linked => linked?,
            }
        }
        disk::remove_directory(&self.directory).or_else(none_is_well)?;
        fs::rename(&self.next, &self.directory)
    }
}

fn none_is_well(error: io::Error) -> io::Result<()> {
    if error.kind() == ErrorKind::NotFound { Ok(()) } else { Err(error) }
}

/// The sockets that have replies in a directory, in order.
fn sources(directory: &Path) -> io::Result<Vec<String>> {
    let entries = match fs::read_dir(directory) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    let mut sources = Vec::new();
    for entry in entries {
        let name = entry?.file_name();
        sources.extend(name.to_str().and_then(|name| name.strip_suffix(STAT_SUFFIX)).map(str::to_owned));
    }
    sources.sort_unstable();
    Ok(sources)
}
