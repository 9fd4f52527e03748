//! Whether the directories can be used, before anything depends on them.

use super::ini::Ini;
use super::problem::{Problem, Report};
use super::program::{ARCHIVE, LOCAL_STORE};
use super::whole::Config;
use crate::snapshot::disk;
use nix::unistd::{AccessFlags, access};
use std::path::Path;

/// The directories of haproxystats-pull: `dst-dir` and `tmp-dst-dir`. Missing ones are made with `create`; without
/// it, a missing one is good when it could be made.
#[must_use]
pub(crate) fn check_directories_pull(config: &Config, ini: &Ini, create: bool) -> Report {
    let pull = &config.pull;
    let mut report = Report::default();
    for (option, path) in [("dst-dir", &pull.dst_dir), ("tmp-dst-dir", &pull.tmp_dst_dir)] {
        if let Err(message) = made(path, create) {
            report.error(Problem::of(ini, "pull", option, message));
        }
    }
    if let Some(path) = &pull.socket_dir
        && let Err(error) = std::fs::read_dir(path)
    {
        report.warn(Problem::of(ini, "pull", "socket-dir", format!("cannot be read now: {error}")));
    }
    report
}

/// The directories of haproxystats-process: `src-dir` must exist; those of local-store and archive are made with `create`. Files
/// with names to leave out are looked at, too.
#[must_use]
pub(crate) fn check_directories_process(config: &Config, ini: &Ini, create: bool) -> Report {
    let process = &config.process;
    let mut report = Report::default();
    let src_dir = if process.src_dir.exists() { usable(&process.src_dir) } else { Err(missing(&process.src_dir)) };
    if let Err(message) = src_dir {
        report.error(Problem::of(ini, "process", "src-dir", message));
    }
    let store = config.local_store.as_ref().map(|store| (LOCAL_STORE, &store.dir));
    let archive = config.archive.as_ref().map(|archive| (ARCHIVE, &archive.dir));
    for (section, dir) in store.into_iter().chain(archive) {
        if let Err(message) = made(dir, create) {
            report.error(Problem::of(ini, section, "dir", message));
        }
    }
    let files = [("exclude-frontends", &process.exclude_frontends), ("exclude-backends", &process.exclude_backends)];
    for (option, path) in files {
        if let Some(path) = path
            && let Err(error) = std::fs::File::open(path)
        {
            let message = format!("cannot be read now: {error}; until it can be, nothing is excluded");
            report.warn(Problem::of(ini, "process", option, message));
        }
    }
    report
}

/// Whether a directory is there, or could be made; makes it with `create`.
fn made(path: &Path, create: bool) -> Result<(), String> {
    if path.exists() {
        return usable(path);
    }
    if create {
        return match disk::make_all(path) {
            Ok(()) => usable(path),
            Err(error) => Err(format!("cannot be created: {error}; run: {}", install(path))),
        };
    }
    let parent = path.ancestors().skip(1).find(|ancestor| ancestor.as_os_str().is_empty() || ancestor.exists());
    let parent = parent.filter(|path| !path.as_os_str().is_empty()).unwrap_or(Path::new("."));
    if !parent.is_dir() {
        return Err(format!("cannot be created: {} is not a directory", parent.display()));
    }
    match access(parent, AccessFlags::W_OK | AccessFlags::X_OK) {
        Ok(()) => Ok(()),
        Err(error) => Err(format!(
            "does not exist, and {} is not writable ({}); run: {}",
            parent.display(),
            error.desc(),
            install(path)
        )),
    }
}

/// Whether an existing directory can be listed, entered and written to.
fn usable(path: &Path) -> Result<(), String> {
    if !path.is_dir() {
        return Err("is not a directory; write the path of one".to_owned());
    }
    match access(path, AccessFlags::R_OK | AccessFlags::W_OK | AccessFlags::X_OK) {
        Ok(()) => Ok(()),
        Err(error) => {
            let user = user();
            Err(format!("cannot be read and written by {user} ({}); run: chown {user} {}", error.desc(), quoted(path)))
        }
    }
}

fn missing(path: &Path) -> String {
    format!("does not exist; run: {}", install(path))
}

/// The command that makes the directory for the user who runs the program.
fn install(path: &Path) -> String {
    let user = user();
    format!("mkdir -p {path} && chown {user} {path}", path = quoted(path))
}

/// Name of the user who runs the program, or the number where there is no name.
fn user() -> String {
    let id = nix::unistd::geteuid();
    nix::unistd::User::from_uid(id).ok().flatten().map_or_else(|| id.to_string(), |user| user.name)
}

/// The path as a shell takes it.
pub(super) fn quoted(path: &Path) -> String {
    let text = path.display().to_string();
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '/' | '.' | '-' | '_' | '+' | '@' | ':' | ',');
    if !text.is_empty() && text.chars().all(plain) { text } else { format!("'{}'", text.replace('\'', r"'\''")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_survive_odd_names() {
        assert_eq!(quoted(Path::new("/var/lib/x-1")), "/var/lib/x-1");
        assert_eq!(quoted(Path::new("/a b/it's")), r"'/a b/it'\''s'");
    }

    #[test]
    fn looking_makes_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let deep = dir.path().join("a/b/c");
        assert_eq!(made(&deep, false), Ok(()));
        assert!(!dir.path().join("a").exists());
        assert_eq!(made(&deep, true), Ok(()));
        assert!(deep.is_dir());
    }

    #[test]
    fn a_file_is_no_directory() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("file");
        std::fs::write(&file, "").unwrap();
        assert!(made(&file, true).unwrap_err().contains("not a directory"));
        assert!(made(&file.join("below"), false).unwrap_err().contains("not a directory"));
        assert!(made(&file.join("below"), true).unwrap_err().contains("cannot be created"));
        assert!(missing(&file).contains("mkdir -p"));
    }
}
