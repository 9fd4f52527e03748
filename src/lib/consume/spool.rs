//! Assembles seconds on disk, and moves them into `src-dir`.
//!
//! ```text
//! src-dir/.assembling/<number>/       a second in progress; gets the files of a host once all of them have arrived
//! src-dir/<second>/                   renamed from there; not changed here after that
//! src-dir/.assembling/kept-<second>/  links to what was published, while roll-ups of it may have to be repeated
//! ```
//!
//! None of this survives a restart: what is not committed is read from Kafka again, by this member or another one. So everything
//! that an earlier run left behind is removed, also in `src-dir`, where it is recognized by its `.members`. Snapshots of
//! haproxystats-pull there are left alone.

use super::second::{Going, Whole};
use crate::config::HostName;
use crate::snapshot::list::list;
use crate::snapshot::members::{self, MARK, Member, Members, marked};
use crate::snapshot::{ASSEMBLING_DIR, Epoch, MEMBERS, disk};
use std::collections::HashMap;
use std::fs;
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};

/// A disk operation that failed.
#[derive(Debug, thiserror::Error)]
pub(super) enum SpoolError {
    #[error("cannot write {}", path.display())]
    Write { path: PathBuf, source: io::Error },
    #[error("cannot remove {}", path.display())]
    Remove { path: PathBuf, source: io::Error },
    #[error("cannot read {}", path.display())]
    Read { path: PathBuf, source: io::Error },
    #[error("cannot move {} to {}", from.display(), to.display())]
    Publish { from: PathBuf, to: PathBuf, source: io::Error },
}

/// See the module.
#[derive(Debug)]
pub(super) struct Spool {
    src_dir: PathBuf,
    /// Prefix of the file names of each host. It stays the same for the lifetime of the program, since workers distinguish files
    /// by their names.
    marks: HashMap<HostName, String>,
    /// Whether published files are kept; false once the file system turns out not to support hard links.
    keeps: bool,
}

impl Spool {
    /// Removes the snapshots that an earlier run left in `src_dir`, and returns how many there were. Must be called before
    /// anything reads there.
    pub(super) fn clean(src_dir: &Path) -> Result<usize, SpoolError> {
        let listing = list(src_dir).map_err(|source| SpoolError::Read { path: src_dir.to_owned(), source })?;
        let (mut count, mut unread) = (0, None);
        for path in listing.snapshots.iter().map(|second| src_dir.join(second.to_string())) {
            let members = path.join(MEMBERS);
            match members.try_exists() {
                Ok(false) => {}
                Ok(true) => {
                    removed(&path)?;
                    count += 1;
                }
                Err(source) => unread = Some(SpoolError::Read { path: members, source }),
            }
        }
        unread.map_or(Ok(count), Err)
    }

    /// Starts with an empty directory.
    pub(super) fn open(src_dir: &Path) -> Result<Self, SpoolError> {
        let base = src_dir.join(ASSEMBLING_DIR);
        removed(&base)?;
        disk::make(&base).map_err(|source| SpoolError::Write { path: base, source })?;
        Ok(Self { src_dir: src_dir.to_owned(), marks: HashMap::new(), keeps: true })
    }

    fn base(&self) -> PathBuf {
        self.src_dir.join(ASSEMBLING_DIR)
    }

    fn staged(&self, serial: u64) -> PathBuf {
        self.base().join(serial.to_string())
    }

    fn kept(&self, second: Epoch) -> PathBuf {
        self.base().join(format!("kept-{second}"))
    }

    /// Path of the snapshot of a second.
    pub(super) fn path(&self, second: Epoch) -> PathBuf {
        self.src_dir.join(second.to_string())
    }

    /// Whether `src-dir` has a snapshot of this second.
    pub(super) fn has(&self, second: Epoch) -> bool {
        fs::symlink_metadata(self.path(second)).is_ok()
    }

    fn mark(&mut self, host: &HostName) -> String {
        let next = self.marks.len();
        self.marks.entry(host.clone()).or_insert_with(|| members::mark(next)).clone()
    }

    /// Writes the files of a host.
    pub(super) fn store(&mut self, serial: u64, whole: &Whole) -> Result<(), SpoolError> {
        let mark = self.mark(&whole.host);
        let dir = self.staged(serial);
        let failed = |path: &Path| {
            let path = path.to_owned();
            move |source| SpoolError::Write { path, source }
        };
        disk::make_all(&dir).map_err(failed(&dir))?;
        for (name, bytes) in &whole.files {
            let path = dir.join(marked(&mark, name));
            disk::create_file(&path).and_then(|mut file| file.write_all(bytes)).map_err(failed(&path))?;
        }
        Ok(())
    }

    /// Removes the files of a host, and the directory if nothing else is in it.
    pub(super) fn remove(&mut self, serial: u64, host: &HostName) -> Result<(), SpoolError> {
        let (mark, dir) = (self.mark(host), self.staged(serial));
        let failed = |source| SpoolError::Remove { path: dir.clone(), source };
        for name in files(&dir, &mark).map_err(failed)? {
            fs::remove_file(dir.join(name)).map_err(failed)?;
        }
        // Fails, as it should, while other hosts have files in it.
        let _ = fs::remove_dir(&dir);
        Ok(())
    }

    /// Moves a second into `src-dir`; with `keep`, its files stay available for repeated roll-ups.
    pub(super) fn publish(&mut self, going: &Going, keep: bool) -> Result<(), SpoolError> {
        let (dir, kept) = (self.staged(going.serial), self.kept(going.second));
        let mut all = Members { clusters: going.clusters.clone(), ..Members::default() };
        for host in &going.hosts {
            self.enlist(&mut all, host);
        }
        let failed = |source| SpoolError::Write { path: dir.clone(), source };
        for host in &going.again {
            let mark = self.enlist(&mut all, host);
            for name in files(&kept, &mark).map_err(failed)? {
                link(&kept.join(&name), &dir.join(&name)).map_err(failed)?;
            }
        }
        if keep && self.keeps {
            self.keep(&dir, &kept);
        }
        let path = dir.join(MEMBERS);
        let written = disk::create_file(&path).and_then(|mut file| file.write_all(all.text().as_bytes()));
        written.map_err(|source| SpoolError::Write { path, source })?;
        let to = self.path(going.second);
        disk::rename_new(&dir, &to).map_err(|source| SpoolError::Publish { from: dir, to, source })
    }

    fn enlist(&mut self, all: &mut Members, host: &HostName) -> String {
        let mark = self.mark(host);
        let member = Member { name: host.name.clone(), cluster: host.cluster.clone() };
        all.hosts.insert(mark.clone(), member);
        mark
    }

    /// Links the files of a second for repeated roll-ups. If that fails, roll-ups are simply not repeated.
    fn keep(&mut self, dir: &Path, kept: &Path) {
        let linked = disk::make_all(kept).and_then(|()| {
            for entry in fs::read_dir(dir)? {
                let name = entry?.file_name();
                link(&dir.join(&name), &kept.join(&name))?;
            }
            Ok(())
        });
        if let Err(error) = linked {
            self.keeps = false;
            tracing::warn!(directory = %dir.display(), %error,
                "cannot create hard links in src-dir: roll-ups are not repeated for late hosts");
        }
    }

    /// Whether published files are kept for repeated roll-ups.
    pub(super) fn keeps(&self) -> bool {
        self.keeps
    }

    /// Removes the kept files of a second.
    pub(super) fn forget(&self, second: Epoch) {
        let kept = self.kept(second);
        if let Err(error) = disk::remove_directory(&kept) {
            tracing::debug!(directory = %kept.display(), %error, "cannot be removed");
        }
    }
}

fn removed(path: &Path) -> Result<(), SpoolError> {
    disk::remove_directory(path).map_err(|source| SpoolError::Remove { path: path.to_owned(), source })
}

/// Creates a hard link, unless it already exists.
fn link(from: &Path, to: &Path) -> io::Result<()> {
    match fs::hard_link(from, to) {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(()),
        result => result,
    }
}

/// Names of the files of a host; none if the directory does not exist.
fn files(dir: &Path, mark: &str) -> io::Result<Vec<String>> {
    let entries = match fs::read_dir(dir) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    let mut names = Vec::new();
    for entry in entries {
        if let Ok(name) = entry?.file_name().into_string()
            && name.strip_prefix(mark).is_some_and(|rest| rest.starts_with(MARK))
        {
            names.push(name);
        }
    }
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::{BTreeMap, BTreeSet};

    fn host(name: &str) -> HostName {
        HostName { name: name.to_owned(), cluster: Some("ams".to_owned()) }
    }

    fn names(dir: &Path) -> Vec<String> {
        let mut names: Vec<String> =
            fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort_unstable();
        names
    }

    fn whole(name: &str, text: &str) -> Whole {
        let files = vec![("a_stat".to_owned(), text.as_bytes().to_vec()), (".pull".to_owned(), Vec::new())];
        Whole { host: host(name), second: Epoch(10), files, tokens: Vec::new(), incomplete: false }
    }

    fn going(serial: u64, hosts: &[&str], again: &[&str]) -> Going {
        Going {
            second: Epoch(10),
            serial,
            hosts: hosts.iter().copied().map(host).collect(),
            again: again.iter().copied().map(host).collect::<BTreeSet<_>>(),
            clusters: BTreeMap::from([("ams".to_owned(), 0)]),
            late: false,
        }
    }

    #[test]
    fn a_second_goes_out_whole_and_again_with_one_that_is_late() {
        let dir = tempfile::tempdir().unwrap();
        let mut spool = Spool::open(dir.path()).unwrap();
        for name in ["one", "two", "void"] {
            spool.store(1, &whole(name, name)).unwrap();
        }
        spool.remove(1, &host("void")).unwrap();
        assert!(!spool.has(Epoch(10)));
        spool.publish(&going(1, &["one", "two"], &[]), true).unwrap();
        let out = dir.path().join("10");
        assert_eq!(names(&out), [".members", "h0~.pull", "h0~a_stat", "h1~.pull", "h1~a_stat"]);
        let members = Members::read(&out).unwrap().unwrap();
        assert_eq!(members.of("h1~a_stat").unwrap().name, "two");
        spool.store(2, &whole("late", "late")).unwrap();
        assert!(matches!(spool.publish(&going(2, &["late"], &["one", "two"]), true), Err(SpoolError::Publish { .. })));
        disk::remove_directory(&out).unwrap();
        spool.publish(&going(2, &["late"], &["one", "two"]), true).unwrap();
        assert_eq!(names(&out).len(), 7);
        assert_eq!(fs::read_to_string(out.join("h0~a_stat")).unwrap(), "one");
        spool.forget(Epoch(10));
        assert_eq!(names(&dir.path().join(ASSEMBLING_DIR)), Vec::<String>::new());
    }

    #[test]
    fn a_start_removes_what_comes_again_and_nothing_else() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("5")).unwrap();
        fs::write(dir.path().join("5/a_stat"), "of pull").unwrap();
        let mut spool = Spool::open(dir.path()).unwrap();
        spool.store(1, &whole("one", "x")).unwrap();
        spool.publish(&going(1, &["one"], &[]), false).unwrap();
        spool.store(2, &whole("one", "x")).unwrap();
        assert_eq!(Spool::clean(dir.path()).unwrap(), 1);
        Spool::open(dir.path()).unwrap();
        assert_eq!(names(dir.path()), [ASSEMBLING_DIR, "5"]);
        assert_eq!(names(&dir.path().join(ASSEMBLING_DIR)), Vec::<String>::new());
    }

    #[test]
    fn a_start_says_where_it_cannot_see_whether_it_comes_again() {
        let dir = tempfile::tempdir().unwrap();
        for second in ["5", "6"] {
            fs::create_dir(dir.path().join(second)).unwrap();
        }
        // A link to itself cannot be followed.
        std::os::unix::fs::symlink(MEMBERS, dir.path().join("5").join(MEMBERS)).unwrap();
        fs::write(dir.path().join("6").join(MEMBERS), "").unwrap();
        assert!(matches!(Spool::clean(dir.path()), Err(SpoolError::Read { path, .. }) if path.ends_with("5/.members")));
        assert_eq!(names(dir.path()), ["5"], "the other one is removed");
    }
}
