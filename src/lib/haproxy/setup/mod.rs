//! `haproxystats-pull --setup`: reads the configuration of HAProxy, and prints one for these programs, with the lines that
//! haproxy.cfg lacks and why. Nothing is changed, and nothing is asked.

mod advice;
mod files;
mod running;
mod words;

use advice::advise;
use files::Found;
use running::{Running, running};
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
    let running = running(Path::new("/proc"));
    let files = if paths.is_empty() {
        of_this_host(&mut found, &running)
    } else {
        match running.iter().find(|process| process.reads(paths)) {
            Some(process) => drop(found.process(process)),
            None if paths.iter().any(|path| path == Path::new(USUAL)) => drop(of_this_host(&mut found, &[])),
            None => {}
        }
        paths.to_vec()
    };
    for file in &files {
        found.read(file).map_err(|(path, source)| SetupError { path, source })?;
    }
    Ok(advise(&found))
}

/// The files of the HAProxy that runs here, or of its unit.
fn of_this_host(found: &mut Found, running: &[Running]) -> Vec<PathBuf> {
    for file in DEFAULTS {
        variables(&fs::read_to_string(file).unwrap_or_default(), found);
    }
    if let Some((process, others)) = running.split_first() {
        found.others.extend(others.iter().map(Running::files));
        let files = found.process(process);
        if !files.is_empty() {
            return files;
        }
    }
    let extra = found.environment.values.get("EXTRAOPTS").cloned().unwrap_or_default();
    let extra = found.command_line(&extra.split_whitespace().collect::<Vec<_>>());
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
