//! Files to [`Config`]: reads all sources, checks everything, and reports all faults at once.

use super::ini::Ini;
use super::options;
use super::problem::{Problem, Report};
use super::program::{self, Program};
use super::reader::SyntaxError;
use super::whole::{Config, Sections};
use super::{check, discovery};
use std::cell::LazyCell;
use std::ffi::OsStr;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

/// A configuration that was read and found good.
#[derive(Debug, Clone)]
pub struct Loaded {
    /// What it means.
    pub config: Config,
    /// What was written.
    pub ini: Ini,
    /// What is odd about it.
    pub warnings: Vec<Problem>,
    /// What the operator should know, though nothing is odd: such as that there is no file.
    pub notes: Vec<String>,
}

impl Loaded {
    /// Logs what is odd, and what the operator should know; for a program that has just started its log.
    pub fn log(&self) {
        for note in &self.notes {
            tracing::info!("{note}");
        }
        for warning in &self.warnings {
            tracing::warn!("{warning}");
        }
    }
}

/// Why a configuration is refused; never without an error.
#[derive(Debug, Clone)]
pub struct Refused {
    /// Everything that was found.
    pub report: Report,
}

/// The sources of a configuration that was read, before it is checked.
#[derive(Debug, Clone)]
pub struct Sources {
    /// What was written.
    pub ini: Ini,
    /// See [`Loaded::notes`].
    pub notes: Vec<String>,
}

/// The file that is read if none is named.
pub(crate) const DEFAULT_FILE: &str = "/etc/haproxystats.conf";

/// Reads `file` and then every `*.conf` of `dir`, in the order of their names, over the built-in defaults; then, for
/// haproxystats-discovery, the environment, and `overrides`: text of a configuration file made from the command line. A
/// missing `file` is no error, for every option has a default; a missing `dir` is one.
///
/// # Errors
/// Files that cannot be read, and every line that cannot be understood.
pub fn read(program: Program, file: &Path, dir: Option<&Path>, overrides: &str) -> Result<Sources, Refused> {
    let mut ini = options::defaults();
    let mut notes = Vec::new();
    let mut report = Report::default();
    let mut read = |report: &mut Report, file: &Path| match std::fs::read(file) {
        Ok(bytes) => lay_over(&mut ini, report, file, &bytes),
        Err(error) => report.error(Problem::new(format!("{} cannot be read: {error}", file.display()))),
    };
    match std::fs::metadata(file) {
        // Only the one that is read unasked may be missing.
        Err(error) if error.kind() == ErrorKind::NotFound && file == Path::new(DEFAULT_FILE) => {
            notes.push(format!("{} does not exist: built-in defaults are used", file.display()));
        }
        _ => read(&mut report, file),
    }
    if let Some(dir) = dir {
        match files_of(dir) {
            Ok(files) => files.iter().for_each(|file| read(&mut report, file)),
            Err(error) => {
                let advice = "name a directory with .conf files after -d";
                report.error(Problem::new(format!("directory {} cannot be read: {error}; {advice}", dir.display())));
            }
        }
    }
    if program == Program::Discovery {
        discovery::lay_over(&mut ini, |name| std::env::var(name).ok());
    }
    lay_over(&mut ini, &mut report, Path::new("command line"), overrides.as_bytes());
    if report.is_good() { Ok(Sources { ini: finished(ini), notes }) } else { Err(Refused { report }) }
}

/// Reads and checks; see [`read`] and [`check`].
///
/// # Errors
/// Everything that is wrong.
pub(crate) fn from_files(
    program: Program,
    file: &Path,
    dir: Option<&Path>,
    overrides: &str,
) -> Result<Loaded, Refused> {
    check(program, read(program, file, dir, overrides)?)
}

/// Reads and checks a configuration that [`Ini::to_text`] made, or any other text. `origin` names it in messages.
///
/// # Errors
/// Everything that is wrong.
pub fn from_text(program: Program, text: &str, origin: &str) -> Result<Loaded, Refused> {
    let mut ini = options::defaults();
    let mut report = Report::default();
    lay_over(&mut ini, &mut report, Path::new(origin), text.as_bytes());
    if !report.is_good() {
        return Err(Refused { report });
    }
    check(program, Sources { ini: finished(ini), notes: Vec::new() })
}

/// Checks every value. What `program` does not read cannot keep it from starting: a fault there is a warning.
///
/// # Errors
/// Every value that cannot be right.
pub fn check(program: Program, sources: Sources) -> Result<Loaded, Refused> {
    let program = program.reads_as();
    let Sources { ini, notes } = sources;
    let mut report = Report::default();
    let written = Sections::read(program, &ini, &mut report);
    check::names(&ini, &mut report);
    check::pairs(program, &ini, &written, &mut report);
    let report = for_program(program, report);
    if !report.is_good() {
        return Err(Refused { report });
    }
    // What the program does not read and cannot be right is as if it were not written.
    let built_in = LazyCell::new(|| Sections::read(program, &options::defaults(), &mut Report::default()));
    let config = written.complete(&built_in).ok_or_else(|| Refused {
        report: Report { errors: vec![Problem::new("the built-in defaults are inconsistent")], warnings: Vec::new() },
    })?;
    Ok(Loaded { config, ini, warnings: report.warnings, notes })
}

/// Turns the faults of options that the program does not read into warnings.
fn for_program(program: Program, found: Report) -> Report {
    let mut report = Report { errors: Vec::new(), warnings: found.warnings };
    for mut problem in found.errors {
        let spec = problem.section.as_deref().and_then(|section| {
            // A fault of a section without an option comes up where the section is read.
            match problem.option.as_deref() {
                Some(name) => options::find(section, name),
                None => options::all().find(|spec| spec.section == program::base(section)),
            }
        });
        match spec.map(|spec| spec.reader.other_than(program)) {
            Some(Some(other)) => {
                problem.message.push_str(&format!(" ({} would not start)", other.name()));
                report.warn(problem);
            }
            _ => report.error(problem),
        }
    }
    // [DEFAULT] is read through several sections: its faults are reported once.
    let Report { errors, warnings } = &mut report;
    warnings.retain(|warning| warning.place.is_none() || errors.iter().all(|error| error.place != warning.place));
    report
}

/// Adds the defaults that depend on what was read.
fn finished(mut ini: Ini) -> Ini {
    for section in program::OPTIONAL_SECTIONS.into_iter().filter(|section| ini.has_section(section)).collect::<Vec<_>>()
    {
        for spec in options::all().filter(|spec| spec.section == section) {
            if let Some(default) = spec.default.filter(|_| ini.raw(section, spec.name).is_none()) {
                ini.set_default(section, spec.name, default);
            }
        }
    }
    ini
}

fn lay_over(ini: &mut Ini, report: &mut Report, file: &Path, bytes: &[u8]) {
    let name = file.display().to_string();
    let place = |line| Some(super::ini::Place { file: name.as_str().into(), line });
    let text = match std::str::from_utf8(bytes) {
        Ok(text) => text,
        Err(error) => {
            let before = bytes.get(..error.valid_up_to()).unwrap_or_default();
            let line = 1 + before.iter().filter(|byte| **byte == b'\n').count();
            report.error(Problem::new("not UTF-8; save the file in that encoding").place(place(line)));
            return;
        }
    };
    if text.starts_with('\u{feff}') {
        report.error(Problem::new("begins with a byte order mark; save the file without it").place(place(1)));
        return;
    }
    if let Err(errors) = ini.read(&name, text) {
        for error in errors {
            report.error(Problem::new(error.to_string()).place(place(SyntaxError::line(&error))));
        }
    }
}

/// The `*.conf` files of a directory in the order of their names; hidden ones are left alone.
fn files_of(dir: &Path) -> std::io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(dir)? {
        let path = entry?.path();
        let hidden = path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
        if path.extension() == Some(OsStr::new("conf")) && !hidden {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}
