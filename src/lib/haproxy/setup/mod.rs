//! `haproxystats-pull --setup`: reads the configuration of HAProxy, and prints one for these programs, with the lines that
//! haproxy.cfg lacks and why. Nothing is changed, and nothing is asked.

mod advice;
mod files;
mod words;

use advice::advise;
use files::Found;
use std::ffi::OsString;
use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// Where HAProxy's configuration is by default.
const USUAL: &str = "/etc/haproxy/haproxy.cfg";
/// Files with the variables of HAProxy's unit, in Debian and in Fedora.
const DEFAULTS: [&str; 2] = ["/etc/default/haproxy", "/etc/sysconfig/haproxy"];

/// A file that cannot be read.
#[derive(Debug, thiserror::Error)]
pub(crate) struct SetupError {
    path: PathBuf,
    source: io::Error,
}

impl fmt::Display for SetupError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cannot read {}; name HAProxy's configuration after --setup", self.path.display())
    }
}

/// The text of a haproxystats.conf for the HAProxy with this configuration: files or directories, as after its `-f`. Without
/// any it is that of the HAProxy that runs, or of its unit, or the usual one.
pub(crate) fn setup(paths: &[PathBuf]) -> Result<String, SetupError> {
    let mut found = Found::default();
    let text = |(name, value): (OsString, OsString)| Some((name.into_string().ok()?, value.into_string().ok()?));
    found.environment.values.extend(std::env::vars_os().filter_map(text));
    let mut files = paths.to_vec();
    if paths.is_empty() || paths.iter().any(|path| path == Path::new(USUAL)) {
        let named = of_this_host(&mut found);
        files = if paths.is_empty() { named } else { files };
    }
    for file in &files {
        found.read(file).map_err(|(path, source)| SetupError { path, source })?;
    }
    Ok(advise(&found))
}

/// The files of the HAProxy that runs here, or of its unit.
fn of_this_host(found: &mut Found) -> Vec<PathBuf> {
    for file in DEFAULTS {
        variables(&fs::read_to_string(file).unwrap_or_default(), found);
    }
    let (named, place) = running(Path::new("/proc")).unwrap_or_default();
    let files = found.command_line(&named.iter().map(String::as_str).collect::<Vec<_>>());
    // As the program that runs sees them.
    let files: Vec<PathBuf> = files.into_iter().map(|file| place.join(file)).collect();
    let extra = found.environment.values.get("EXTRAOPTS").cloned().unwrap_or_default();
    let extra = found.command_line(&extra.split_whitespace().collect::<Vec<_>>());
    if !files.is_empty() {
        return files;
    }
    let config = found.environment.values.get("CONFIG").map(PathBuf::from);
    let files: Vec<PathBuf> = config.into_iter().chain(extra).collect();
    if files.is_empty() { vec![USUAL.into()] } else { files }
}

/// Assignments of a file of variables: `NAME=value`, with or without quotes.
fn variables(text: &str, found: &mut Found) {
    for line in text.lines() {
        let line = line.trim();
        let line = line.strip_prefix("export ").unwrap_or(line);
        if let Some((name, value)) = line.split_once('=').filter(|_| !line.starts_with('#')) {
            let value = value.trim().trim_matches(['"', '\'']);
            found.environment.values.entry(name.to_owned()).or_insert_with(|| value.to_owned());
        }
    }
}

/// The command line of a HAProxy that runs, and the directory in which it was started.
fn running(proc: &Path) -> Option<(Vec<String>, PathBuf)> {
    let processes = fs::read_dir(proc).ok()?.filter_map(|entry| Some(entry.ok()?.path()));
    let mut found: Vec<(u32, Vec<String>, PathBuf)> = processes
        .filter_map(|path| {
            let pid = path.file_name()?.to_str()?.parse().ok()?;
            let comm = fs::read_to_string(path.join("comm")).ok()?;
            let line = fs::read(path.join("cmdline")).ok().filter(|_| comm.trim() == "haproxy")?;
            let words = line.split(|byte| *byte == 0).map(|word| String::from_utf8_lossy(word).into_owned());
            Some((pid, words.collect(), fs::read_link(path.join("cwd")).unwrap_or_default()))
        })
        .collect();
    // The master came before its workers.
    found.sort();
    found.into_iter().map(|(_, words, place)| (words, place)).next()
}
