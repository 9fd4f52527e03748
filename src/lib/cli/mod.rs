//! The command lines: what was asked for, and the configuration that goes with it.
//!
//! Whatever ends at the command line (help, printing, checking, a refusal) is done here, so that the binaries only
//! have to run what is left.

mod arguments;

use crate::config::load::{self, Loaded};
use crate::config::problem::{Problem, Report};
use crate::config::{Program, check_directories_process, check_directories_pull, check_permissions, options, print};
use crate::exit;
use crate::status::{self, Depth, Status};
use arguments::{Action, Arguments};
use std::ffi::OsString;
use std::io::Write;
use std::path::{Path, PathBuf};

/// What is left to do.
#[derive(Debug)]
pub enum Command {
    /// Run the daemon. The directories have been made and found usable; call [`Loaded::log`] once the log is set up.
    Run(Box<Loaded>),
    /// Process one snapshot (`haproxystats-process --once`).
    Once {
        /// The snapshot, as named on the command line; not looked at so far.
        snapshot: PathBuf,
        /// The configuration; no directory has been looked at.
        loaded: Box<Loaded>,
    },
    /// Keep the list of servers, or HAProxy, or both (`haproxystats-discovery`).
    Discover {
        /// What of it.
        discover: Discover,
        /// The configuration.
        loaded: Box<Loaded>,
    },
    /// Everything is done and said: end with this exit code.
    Done(u8),
}

/// What haproxystats-discovery is asked for: a server, a client, or both.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Discover {
    /// Source to store.
    pub server: bool,
    /// Store to HAProxy.
    pub client: bool,
    /// How long.
    pub run: Run,
}

/// How long haproxystats-discovery goes on, and whether it changes anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Run {
    /// Until a signal comes.
    Loop,
    /// One round (`--once`).
    Once,
    /// One round that changes nothing and prints what it would change (`--dry-run`).
    Dry,
}

/// The command line of haproxystats-pull, with the name of the program first.
pub fn pull(arguments: impl IntoIterator<Item = OsString>) -> Command {
    command(Program::Pull, arguments)
}

/// The command line of haproxystats-process, with the name of the program first.
pub fn process(arguments: impl IntoIterator<Item = OsString>) -> Command {
    command(Program::Process, arguments)
}

/// The command line of haproxystats-agent, with the name of the program first.
pub fn agent(arguments: impl IntoIterator<Item = OsString>) -> Command {
    command(Program::Agent, arguments)
}

/// The command line of haproxystats-discovery, with the name of the program first. The environment of HSDO is read too.
pub fn discovery(arguments: impl IntoIterator<Item = OsString>) -> Command {
    command(Program::Discovery, arguments)
}

/// The configuration file of a daemon that was started with these words, without the name of the program; `None` when
/// they start none.
pub fn daemon_configuration(program: Program, words: impl Iterator<Item = OsString>) -> Option<PathBuf> {
    let arguments = arguments::parse(program, words).ok()?;
    let runs = match arguments.action {
        Action::Run => true,
        Action::Discover(discover) => discover.run == Run::Loop,
        _ => false,
    };
    runs.then_some(arguments.file)
}

/// The configuration of a daemon that runs with these words, the name of the program first, read again.
///
/// # Errors
/// Everything that is wrong with it.
pub fn reload(program: Program, arguments: impl IntoIterator<Item = OsString>) -> Result<Loaded, Report> {
    let words = arguments.into_iter().skip(1);
    let Arguments { file, dir, overrides, .. } = arguments::parse(program, words)
        .map_err(|usage| Report { errors: vec![Problem::new(usage)], warnings: Vec::new() })?;
    load::from_files_with(program, &file, dir.as_deref(), &overrides).map_err(|refused| refused.report)
}

fn command(program: Program, arguments: impl IntoIterator<Item = OsString>) -> Command {
    let Arguments { file, dir, overrides, action } = match arguments::parse(program, arguments.into_iter().skip(1)) {
        Ok(arguments) => arguments,
        Err(usage) => return complain(&format!("{usage}\n"), exit::USAGE),
    };
    match action {
        Action::Help => say(&format!("{}\n", arguments::usage(program))),
        Action::Version => say(&format!("{}\n", crate::version::line())),
        Action::Nagios(words) => {
            let (text, code) = status::nagios::run(&words);
            match say(&text) {
                Command::Done(exit::OK) => Command::Done(code),
                failed => failed,
            }
        }
        Action::Status(as_json) => match load::from_files_with(program, &file, dir.as_deref(), &overrides) {
            Ok(loaded) => {
                let status = Status::take(program, &file, loaded.config, Depth::Ports);
                let text = if as_json { status::report::json(&status) } else { status::report::text(&status) };
                match say(&text) {
                    Command::Done(exit::OK) if !status.runs() => Command::Done(exit::NOT_RUNNING),
                    done => done,
                }
            }
            Err(refused) => refuse(program, &refused.report),
        },
        Action::Explain(line) => say(&crate::haproxy::answer::explain::explain(&line)),
        Action::Import(file) => import(&file),
        Action::PrintDefaults => say(&print::defaults(program)),
        Action::PrintConfiguration => match load::read_for(program, &file, dir.as_deref(), &overrides) {
            Ok(sources) => match print::configuration(program, &sources.ini) {
                Ok(text) => {
                    let notes: String = sources.notes.iter().map(|note| format!("{note}\n")).collect();
                    let _ = std::io::stderr().write_all(notes.as_bytes());
                    say(&text)
                }
                Err(error) => {
                    let problem = Problem::new(error.to_string()).section(&error.section).option(&error.option);
                    let errors = vec![problem.text(&error.text).place(error.place)];
                    refuse(program, &Report { errors, warnings: Vec::new() })
                }
            },
            Err(refused) => refuse(program, &refused.report),
        },
        Action::Check => match with_permissions(program, &file, dir.as_deref(), &overrides) {
            Ok(loaded) => {
                let directories = directories(program, &loaded, false);
                let mut report = Report { errors: directories.errors, warnings: loaded.warnings };
                report.warnings.extend(directories.warnings);
                if !report.is_good() {
                    let sum = match program {
                        Program::Pull | Program::Process => NO_DIRECTORIES,
                        Program::Agent | Program::Discovery => "files cannot be used",
                    };
                    return complain(&findings(program, &report, sum), exit::CONFIG);
                }
                let notes = loaded.notes.iter().map(|note| format!("{note}\n"));
                let warnings = report.warnings.iter().map(|warning| format!("warning: {warning}\n"));
                let findings: String = notes.chain(warnings).collect();
                let _ = std::io::stderr().write_all(findings.as_bytes());
                say(&format!("the configuration of {} is good\n", program.name()))
            }
            Err(refused) => refuse(program, &refused.report),
        },
        Action::Run => match with_permissions(program, &file, dir.as_deref(), &overrides) {
            Ok(mut loaded) => {
                let directories = directories(program, &loaded, true);
                loaded.warnings.extend(directories.warnings);
                if directories.errors.is_empty() {
                    return Command::Run(Box::new(loaded));
                }
                // Not the configuration's fault, and perhaps over soon: a disk that is not mounted yet, or read-only.
                // With this code systemd tries again.
                let report = Report { errors: directories.errors, warnings: loaded.warnings };
                complain(&findings(program, &report, NO_DIRECTORIES), exit::FAILURE)
            }
            Err(refused) => refuse(program, &refused.report),
        },
        Action::Discover(discover) => match with_permissions(program, &file, dir.as_deref(), &overrides) {
            Ok(loaded) => {
                let errors = missing(discover, &loaded);
                if errors.is_empty() {
                    return Command::Discover { discover, loaded: Box::new(loaded) };
                }
                refuse(program, &Report { errors, warnings: loaded.warnings })
            }
            Err(refused) => refuse(program, &refused.report),
        },
        Action::Once(snapshot) => match load::from_files_with(program, &file, dir.as_deref(), &overrides) {
            Ok(loaded) => Command::Once { snapshot, loaded: Box::new(loaded) },
            Err(refused) => refuse(program, &refused.report),
        },
    }
}

/// Reads the configuration, and looks who may read and write the files that it names.
fn with_permissions(
    program: Program,
    file: &Path,
    dir: Option<&Path>,
    overrides: &str,
) -> Result<Loaded, load::Refused> {
    let mut loaded = load::from_files_with(program, file, dir, overrides)?;
    let Report { errors, warnings } = check_permissions(program, &loaded.ini);
    loaded.warnings.extend(warnings);
    if errors.is_empty() {
        return Ok(loaded);
    }
    Err(load::Refused { report: Report { errors, warnings: loaded.warnings } })
}

fn directories(program: Program, loaded: &Loaded, create: bool) -> Report {
    match program {
        Program::Pull => {
            let mut report = check_directories_pull(&loaded.config, &loaded.ini, create);
            if !create {
                let findings = crate::pull::check::look(&loaded.config.pull, &loaded.config.hosts);
                report.warnings.extend(findings.into_iter().map(|finding| Problem::new(finding).section("pull")));
            }
            report
        }
        Program::Process => {
            let report = check_directories_process(&loaded.config, &loaded.ini, create);
            // The parent looks at the files for TLS itself when it starts.
            #[cfg(feature = "process")]
            let report = if create { report } else { with_tls(report, loaded) };
            report
        }
        // What the agent reads at its start is read once: by the start itself, or by the check.
        #[cfg(feature = "agent")]
        Program::Agent if !create => {
            let error = crate::agent::check(&loaded.config.agent).err();
            let error = error.map(|error| Problem::new(crate::logging::Chain(&error).to_string()));
            let missing = crate::agent::missing_programs(&loaded.config.agent).into_iter();
            let missing = missing.map(|(service, reason)| {
                let own = format!("{}:{service}", options::AGENT);
                let section = if loaded.ini.is_written(&own, "command") { own } else { options::AGENT.to_owned() };
                let problem = Problem::new(reason).section(&section).option("command");
                match loaded.ini.raw(&section, "command") {
                    Some(raw) => problem.text(&raw.text).place(raw.place),
                    None => problem,
                }
            });
            Report { errors: error.into_iter().chain(missing).collect(), warnings: Vec::new() }
        }
        // As the agent: the start reads them itself, and tells.
        #[cfg(feature = "discovery")]
        Program::Discovery if !create => {
            let mut report = crate::discovery::files::check(&loaded.config.discovery, &loaded.ini);
            if loaded.config.discovery.graphite.is_some()
                && let Err(error) = crate::dispatch::graphite::check(&loaded.config)
            {
                report.error(Problem::new(crate::logging::Chain(&error).to_string()));
            }
            report
        }
        Program::Agent | Program::Discovery => Report::default(),
    }
}

/// Prints the section for the configuration file of another agent. It is checked as any other: what it cannot mean here is
/// said as well, with its line in what is printed.
#[cfg(feature = "agent")]
fn import(file: &Path) -> Command {
    let name = file.display();
    let text = match std::fs::read_to_string(file) {
        Ok(text) => text,
        Err(error) => return complain(&format!("error: {name} cannot be read: {error}\n"), exit::CONFIG),
    };
    let section = match crate::agent::import::datawave(&text) {
        Ok(section) => section,
        Err(error) => return complain(&format!("error: {name}: {error}\n"), exit::CONFIG),
    };
    let printed = say(&section);
    match load::from_text(Program::Agent, &section, "the section printed above") {
        Ok(_) => printed,
        Err(refused) => {
            let errors = refused.report.errors.iter().map(|error| format!("error: {error}\n"));
            complain(&errors.collect::<String>(), exit::CONFIG)
        }
    }
}

#[cfg(not(feature = "agent"))]
fn import(_: &Path) -> Command {
    complain("this build has no haproxystats-agent\n", exit::USAGE)
}

/// What the configuration does not say, and what is asked for needs.
fn missing(discover: Discover, loaded: &Loaded) -> Vec<Problem> {
    let mut errors = Vec::new();
    if discover.server && loaded.config.discovery.server.source.is_none() {
        let problem = Problem::new("is not set, and --server needs it; write aws, consul, dns or file");
        errors.push(problem.section(options::DISCOVERY_SERVER).option("mode"));
    }
    if discover.client && loaded.config.discovery.client.backends.is_empty() {
        let message = "no backend is set, and --client needs one; add a section [discovery-backend:NAME]";
        errors.push(Problem::new(message).section(options::DISCOVERY_CLIENT));
    }
    errors
}

/// Adds what is wrong with the files for TLS to Graphite.
#[cfg(feature = "process")]
fn with_tls(mut report: Report, loaded: &Loaded) -> Report {
    if let Err(error) = crate::dispatch::graphite::check(&loaded.config) {
        report.error(Problem::new(crate::logging::Chain(&error).to_string()));
    }
    report
}

const NO_DIRECTORIES: &str = "directories cannot be used";

/// Prints every warning and every error of a configuration that is wrong.
fn refuse(program: Program, report: &Report) -> Command {
    complain(&findings(program, report, "invalid configuration"), exit::CONFIG)
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

/// Prints the result that was asked for. Where nobody reads it (a closed pipe) there is nobody to complain to.
fn say(text: &str) -> Command {
    let mut out = std::io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Ok(()) => Command::Done(exit::OK),
        Err(_) => Command::Done(exit::FAILURE),
    }
}

fn complain(text: &str, code: u8) -> Command {
    let _ = std::io::stderr().write_all(text.as_bytes());
    Command::Done(code)
}
