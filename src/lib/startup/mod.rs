//! What all programs do alike before they run: the command line, the configuration, and whatever can be answered without
//! starting anything: help, printing, checking, what is seen of a running daemon from outside, a refusal.
//!
//! A program hands in what it alone knows, as a [`Front`]; it is left with what it alone does.

mod hidden;
mod reload;
mod table;

pub(crate) use table::aligned;

use crate::cli::{self, Action, Arguments};
use crate::config::load::{self, Loaded};
use crate::config::problem::{Problem, Report};
use crate::config::{Program, check_permissions, print};
use crate::daemon::Unit;
use crate::exit;
use crate::exporter;
use crate::status::{self, Depth, Status};
use hidden::Hidden;
use nix::unistd::Uid;
use std::ffi::OsString;
use std::io::Write;

/// A program at the command line.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Front {
    /// Which.
    pub program: Program,
    /// Looks at the files, directories and addresses that the configuration names. Whatever it finds there is said with
    /// what is wrong in the configuration itself.
    pub look: fn(&Loaded, Purpose) -> Report,
    /// What has gone wrong where `look` finds an error, in three or four words.
    pub failure: &'static str,
}

/// What for the program looks at what its configuration names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// To tell (`--check`): nothing may be changed.
    Check,
    /// To start: what is missing is made.
    Start,
}

/// What is left to do.
#[derive(Debug)]
pub(crate) enum Next {
    /// Run the daemon. Call [`Loaded::log`] once the log is set up.
    Run(Box<Loaded>),
    /// What this program alone understands; no configuration has been read.
    Own(Arguments),
    /// Everything is done and said: end with this exit code.
    Done(u8),
}

impl Front {
    /// Does what the command line asks for, the name of the program first, as far as all programs do it alike.
    pub(crate) fn begin(&self, arguments: impl IntoIterator<Item = OsString>) -> Next {
        match cli::parse(self.program, arguments.into_iter().skip(1)) {
            Ok(arguments) => self.next(arguments),
            Err(usage) => Next::Done(complain(&format!("{usage}\n"), exit::USAGE)),
        }
    }

    fn next(&self, arguments: Arguments) -> Next {
        let code = match &arguments.action {
            Action::Help => say(&format!("{}\n", cli::usage(self.program))),
            Action::Version => say(&format!("{}\n", crate::version::line())),
            Action::PrintDefaults => say(&print::defaults(self.program)),
            Action::PrintConfiguration => self.print(&arguments),
            Action::Nagios(words) => nagios(words),
            Action::Status(as_json) => self.status(&arguments, *as_json),
            Action::Check { strict } => self.check(&arguments, *strict),
            Action::Run => return self.run(&arguments),
            Action::Ask
            | Action::Setup(_)
            | Action::Discover(_)
            | Action::Once { .. }
            | Action::Top(_)
            | Action::Replay(_)
            | Action::Explain(_)
            | Action::ExplainMetric { .. }
            | Action::Import(_)
            | Action::LatencyRules(_) => {
                return Next::Own(arguments);
            }
        };
        Next::Done(code)
    }

    /// Reads the configuration; says what is wrong with it, and fails with the exit code.
    ///
    /// # Errors
    /// It is wrong, or cannot be read.
    pub(crate) fn load(&self, arguments: &Arguments) -> Result<Loaded, u8> {
        let Arguments { file, dir, overrides, .. } = arguments;
        load::from_files(self.program, file, dir.as_deref(), overrides).map_err(|refused| self.refuse(&refused.report))
    }

    /// As [`Front::load`], and looks who may read and write the files that the configuration names.
    ///
    /// # Errors
    /// As [`Front::load`], or others may write them.
    pub(crate) fn load_with_permissions(&self, arguments: &Arguments) -> Result<Loaded, u8> {
        let (loaded, errors) = self.read(arguments).map_err(|report| self.refuse(&report))?;
        self.without(loaded, errors)
    }

    /// The configuration, if there are no such errors.
    fn without(&self, loaded: Loaded, errors: Vec<Problem>) -> Result<Loaded, u8> {
        if errors.is_empty() {
            return Ok(loaded);
        }
        Err(self.refuse(&Report { errors, warnings: loaded.warnings }))
    }

    /// The configuration, and what is wrong with the files that it names.
    fn read(&self, arguments: &Arguments) -> Result<(Loaded, Vec<Problem>), Report> {
        let Arguments { file, dir, overrides, .. } = arguments;
        let read = load::from_files(self.program, file, dir.as_deref(), overrides);
        let mut loaded = read.map_err(|refused| refused.report)?;
        let Report { errors, warnings } = check_permissions(self.program, &loaded.ini);
        loaded.warnings.extend(warnings);
        let page = exporter::check(&loaded.config.exporter).map(|error| Problem::new(error).section("exporter"));
        Ok((loaded, errors.into_iter().chain(page).collect()))
    }

    /// Says every warning and every error of a configuration that is wrong; the exit code.
    #[must_use]
    pub(crate) fn refuse(&self, report: &Report) -> u8 {
        complain(&findings(self.program, report, "invalid configuration"), exit::CONFIG)
    }

    fn run(&self, arguments: &Arguments) -> Next {
        let mut loaded = match self.load_with_permissions(arguments) {
            Ok(loaded) => loaded,
            Err(code) => return Next::Done(code),
        };
        let Report { errors, warnings } = (self.look)(&loaded, Purpose::Start);
        loaded.warnings.extend(warnings);
        if errors.is_empty() {
            return Next::Run(Box::new(loaded));
        }
        // Not the configuration's fault, and perhaps over soon: a disk that is not mounted yet, or read-only. With this
        // code systemd tries again.
        let report = Report { errors, warnings: loaded.warnings };
        Next::Done(complain(&findings(self.program, &report, self.failure), exit::FAILURE))
    }

    fn check(&self, arguments: &Arguments, strict: bool) -> u8 {
        let mut hidden = Hidden::default();
        let read = self.read(arguments).map_err(|report| self.refuse(&report));
        let loaded = match read.and_then(|(loaded, errors)| self.without(loaded, hidden.take_from(errors))) {
            Ok(loaded) => loaded,
            Err(code) => return code,
        };
        let looked = (self.look)(&loaded, Purpose::Check);
        let warnings = loaded.warnings.into_iter().chain(looked.warnings).collect();
        let report = Report { errors: hidden.take_from(looked.errors), warnings };
        if !report.is_good() {
            return complain(&findings(self.program, &report, self.failure), exit::CONFIG);
        }
        let as_root = self.as_root(arguments);
        let notes = loaded.notes.iter().chain(&as_root).chain(&hidden.notes).map(|note| format!("{note}\n"));
        let warnings = report.warnings.iter().map(|warning| format!("warning: {warning}\n"));
        let findings: String = notes.chain(warnings).collect();
        let _ = std::io::stderr().write_all(findings.as_bytes());
        let warned = report.warnings.len();
        if strict && warned > 0 {
            let name = self.program.name();
            return complain(&format!("{name}: warnings: {warned}, and --strict is set\n"), exit::CONFIG);
        }
        say(&format!("the configuration of {} is good\n", self.program.name()))
    }

    /// What a check by root does not show: root may read and write what the user of the unit may not.
    fn as_root(&self, arguments: &Arguments) -> Option<String> {
        let unit = Some(self.program.name()).filter(|_| Uid::effective().is_root());
        let unit = Unit::of(unit?, &arguments.file)?;
        let ask = if arguments.action == Action::Ask { " --ask" } else { "" };
        let words = format!("{} --check{ask} -f {}", self.program.name(), arguments.file.display());
        let Unit { name, user, .. } = &unit;
        let command = unit.with_its_rights(&words);
        Some(format!("note: checked with the rights of root, while {name} runs as {user}; with its rights: {command}"))
    }

    /// Says, before `--check --ask`, with whose rights it asks where those are not the unit's.
    pub(crate) fn note_rights(&self, arguments: &Arguments) {
        if let Some(note) = self.as_root(arguments) {
            let _ = writeln!(std::io::stderr(), "{note}");
        }
    }

    fn print(&self, arguments: &Arguments) -> u8 {
        let Arguments { file, dir, overrides, .. } = arguments;
        let sources = match load::read(self.program, file, dir.as_deref(), overrides) {
            Ok(sources) => sources,
            Err(refused) => return self.refuse(&refused.report),
        };
        match print::configuration(self.program, &sources.ini) {
            Ok(text) => {
                let notes: String = sources.notes.iter().map(|note| format!("{note}\n")).collect();
                let _ = std::io::stderr().write_all(notes.as_bytes());
                say(&text)
            }
            Err(error) => {
                let problem = Problem::new(error.to_string()).section(&error.section).option(&error.option);
                let errors = vec![problem.text(&error.text).place(error.place)];
                self.refuse(&Report { errors, warnings: Vec::new() })
            }
        }
    }

    fn status(&self, arguments: &Arguments, as_json: bool) -> u8 {
        let loaded = match self.load(arguments) {
            Ok(loaded) => loaded,
            Err(code) => return code,
        };
        let status = Status::take(self.program, &arguments.file, loaded.config, Depth::Ports);
        let text = if as_json { status::report::json(&status) } else { status::report::text(&status) };
        match say(&text) {
            exit::OK if !status.runs() => exit::NOT_RUNNING,
            code => code,
        }
    }
}

fn nagios(words: &[String]) -> u8 {
    let (text, code) = status::nagios::run(words);
    match say(&text) {
        exit::OK => code,
        failed => failed,
    }
}

/// Every warning and every error, then in sum what is wrong, and how many errors there are.
fn findings(program: Program, report: &Report, sum: &str) -> String {
    let mut text = String::new();
    for warning in &report.warnings {
        text.push_str(&format!("warning: {warning}\n"));
    }
    for error in &report.errors {
        text.push_str(&format!("error: {error}\n"));
    }
    let (count, noun) = match report.errors.len() {
        1 => ("one".to_owned(), "error"),
        count => (count.to_string(), "errors"),
    };
    text.push_str(&format!("{}: {sum}, {count} {noun}; nothing was started\n", program.name()));
    text
}

/// Prints the result that was asked for; the exit code. Where nobody reads it (a closed pipe) there is nobody to complain
/// to.
#[must_use]
pub fn say(text: &str) -> u8 {
    let mut out = std::io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Ok(()) => exit::OK,
        Err(_) => exit::FAILURE,
    }
}

/// Prints why nothing is done; the exit code as it is.
#[must_use]
pub(crate) fn complain(text: &str, code: u8) -> u8 {
    let _ = std::io::stderr().write_all(text.as_bytes());
    code
}
