//! `--nagios CHECK [OPTION...]`: a plug-in of Nagios, and of whatever else runs such plug-ins. contrib/nagios has the
//! scripts by whose names they are called.
//!
//! One line, performance data behind `|`, further lines, and an exit code from 0 to 3, also when something hangs: the
//! work is done in a thread that is not waited for longer than the time-out.

use super::checks::{self, QueueLimits};
use super::look::{Depth, Status};
use super::range::Range;
use super::verdict::{Figure, Limits, State, Verdict};
use crate::config::{Program, load};
use docopt::Docopt;
use std::path::PathBuf;
use std::sync::mpsc;
use std::time::Duration;

/// The checks: what follows `--nagios`, the program they are about, what it does.
const CHECKS: &[(&str, Program, &str)] = &[
    (
        "queue_size",
        Program::Process,
        "Checks the size of the queue which is consumed by haproxystats-process, the age
of the oldest snapshot in it, and the quarantine of snapshots that cannot be
processed.",
    ),
    ("process", Program::Process, "Checks whether haproxystats-process is running."),
    (
        "process_number_of_procs",
        Program::Process,
        "Checks whether haproxystats-process has as many workers as its configuration
asks for.",
    ),
    ("pull", Program::Pull, "Checks whether haproxystats-pull is running and publishes snapshots."),
    (
        "agent",
        Program::Agent,
        "Checks whether haproxystats-agent is running and answers for each of its
services.",
    ),
    ("discovery", Program::Discovery, "Checks whether haproxystats-discovery is running."),
];

const COMMON: &str = "    -f, --file <file>        configuration file with settings
                             [default: /etc/haproxystats.conf]
    -d, --dir <dir>          directory with additional configuration files
    -t, --timeout <seconds>  time for the whole check [default: 10]
    -v, --verbose            more lines of output
    -V, --version            show version
    -h, --help               show this screen
";

const QUEUE: &str = "    -o, --ok <range>         size of the queue that is OK [default: 60]
    -w, --warning <range>    size that is WARNING; anything outside of both
                             ranges is CRITICAL [default: 120]
    --age-ok <range>         age of the oldest snapshot, seconds [default: 600]
    --age-warning <range>    [default: 1200]
    --failed-ok <range>      number of snapshots in quarantine [default: 0]
    --failed-warning <range>
                             [default: ~:]
";

const PULL: &str = "    -w, --warning <range>    seconds without a new snapshot that are not
                             WARNING; unset: 3 times pull-interval
    -c, --critical <range>   seconds that are not CRITICAL; unset: 12 times
                             pull-interval
";

/// Runs the check that the words ask for (the first is its name); returns what to print and the exit code.
pub(crate) fn run(words: &[String]) -> (String, u8) {
    let Some((name, options)) = words.split_first() else {
        return unknown(&format!("name a check: {}", names()));
    };
    let Some((name, program, about)) = CHECKS.iter().find(|(check, ..)| check == name) else {
        return unknown(&format!("unknown check {name:?}; the checks are {}", names()));
    };
    let own = match *name {
        "queue_size" => QUEUE,
        "pull" => PULL,
        _ => "",
    };
    let plugin = format!("check_haproxystats_{name}");
    let usage = format!("{about}\n\nUsage:\n    {plugin} [options]\n\nOptions:\n{own}{COMMON}");
    let argv = std::iter::once(plugin.as_str()).chain(options.iter().map(String::as_str));
    let parsed = match Docopt::new(usage.as_str()).and_then(|docopt| docopt.argv(argv).help(false).parse()) {
        Ok(parsed) => parsed,
        Err(_) => return unknown(&format!("invalid command line\n{usage}")),
    };
    if parsed.get_bool("--help") {
        return (usage, State::Unknown as u8);
    }
    if parsed.get_bool("--version") {
        return (format!("{plugin} {}\n", crate::version::line()), State::Unknown as u8);
    }
    let request = match Request::new(name, *program, &parsed) {
        Ok(request) => request,
        Err(text) => return unknown(&text),
    };
    let (timeout, verbose) = (request.timeout, parsed.get_bool("--verbose"));
    let (sender, receiver) = mpsc::channel();
    // Not joined: what hangs in the kernel ends with the process.
    let _ = std::thread::spawn(move || sender.send(request.carry_out()));
    match receiver.recv_timeout(timeout) {
        Ok(verdict) => (render(&verdict, verbose), verdict.state as u8),
        Err(_) => unknown(&format!("no result within {} s", timeout.as_secs_f64())),
    }
}

fn names() -> String {
    CHECKS.iter().map(|(name, ..)| *name).collect::<Vec<_>>().join(", ")
}

fn unknown(text: &str) -> (String, u8) {
    (format!("{}: {text}\n", State::Unknown.word()), State::Unknown as u8)
}

struct Request {
    name: &'static str,
    program: Program,
    file: PathBuf,
    dir: Option<PathBuf>,
    timeout: Duration,
    queue: Option<QueueLimits>,
    pull: (Option<Range>, Option<Range>),
}

impl Request {
    fn new(name: &'static str, program: Program, parsed: &docopt::ArgvMap) -> Result<Self, String> {
        let text = |option: &str| Some(parsed.get_str(option)).filter(|text| !text.is_empty());
        let range = |option: &str| {
            text(option).map(|text| text.parse::<Range>().map_err(|error| format!("{option}: {error}"))).transpose()
        };
        let limits = |ok: &str, warning: &str| {
            let (ok, warning) = (range(ok)?, range(warning)?);
            let unset = Range::everything();
            Ok::<Limits, String>(Limits { ok: ok.unwrap_or(unset), warning: warning.unwrap_or(unset) })
        };
        let seconds = parsed.get_str("--timeout");
        let timeout = seconds.parse().ok().filter(|seconds| *seconds > 0.0);
        let timeout = timeout.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
        let timeout = timeout.ok_or_else(|| format!("--timeout: {seconds:?} is not a number of seconds"))?;
        let queue = if name == "queue_size" {
            Some(QueueLimits {
                size: limits("--ok", "--warning")?,
                age: limits("--age-ok", "--age-warning")?,
                quarantined: limits("--failed-ok", "--failed-warning")?,
            })
        } else {
            None
        };
        let pull = if name == "pull" { (range("--warning")?, range("--critical")?) } else { (None, None) };
        let file = PathBuf::from(parsed.get_str("--file"));
        Ok(Self { name, program, file, dir: text("--dir").map(PathBuf::from), timeout, queue, pull })
    }

    fn carry_out(&self) -> Verdict {
        let loaded = match load::from_files(self.program, &self.file, self.dir.as_deref(), "") {
            Ok(loaded) => loaded,
            Err(refused) => {
                let first = refused.report.errors.first().map(ToString::to_string).unwrap_or_default();
                return self.refused(&first);
            }
        };
        let depth = match self.name {
            "queue_size" | "pull" => Depth::Directories,
            "agent" => Depth::Ports,
            _ => Depth::Processes,
        };
        let interval = loaded.config.pull.pull_interval;
        let status = Status::take(self.program, &self.file, loaded.config, depth);
        match (self.name, &self.queue) {
            ("queue_size", Some(limits)) => checks::queue_size(&status, limits),
            ("process_number_of_procs", _) => checks::workers(&status),
            ("pull", _) => {
                let times = |times: u32| Range::up_to((interval * times).as_secs_f64());
                let (ok, warning) = (self.pull.0.unwrap_or(times(3)), self.pull.1.unwrap_or(times(12)));
                checks::pull(&status, Limits { ok, warning })
            }
            ("agent", _) => checks::agent(&status),
            _ => checks::running(&status),
        }
    }
}

impl Request {
    /// The configuration is refused, for this reason: whether the program runs can be seen nevertheless. If it does not, that is
    /// why, or it will be at the next attempt to start it.
    fn refused(&self, first: &str) -> Verdict {
        let reason = format!("the configuration is refused: {first}");
        // What it says is not known; where processes are does not depend on it.
        let Ok(built_in) = load::from_text(self.program, "", "built-in defaults") else {
            return Verdict::new(State::Unknown, reason);
        };
        let seen = checks::running(&Status::take(self.program, &self.file, built_in.config, Depth::Processes));
        match seen.state {
            State::Critical => Verdict { text: format!("{}, and {reason}", seen.text), ..seen },
            State::Ok | State::Warning => {
                let text = format!("{}, but could not start again: {reason}", seen.text);
                Verdict { state: State::Warning, text, ..seen }
            }
            State::Unknown => Verdict::new(State::Unknown, reason),
        }
    }
}

/// As Nagios reads it. `|` begins performance data, so it is none of the text.
fn render(verdict: &Verdict, verbose: bool) -> String {
    let plain = |text: &str| text.replace(['|', '\n'], " ");
    let mut out = format!("{}: {}", verdict.state.word(), plain(&verdict.text));
    if !verdict.figures.is_empty() {
        let figures: Vec<String> = verdict.figures.iter().map(datum).collect();
        out.push_str(&format!(" | {}", figures.join(" ")));
    }
    out.push('\n');
    // Also without being asked where something is wrong: they say what.
    if verbose || verdict.state != State::Ok {
        for line in &verdict.details {
            out.push_str(&plain(line));
            out.push('\n');
        }
    }
    out
}

fn datum(figure: &Figure) -> String {
    let range = |range: Option<Range>| range.map_or_else(String::new, |range| range.to_string());
    let max = figure.max.map_or_else(String::new, |max| max.to_string());
    let (warning, critical) = (range(figure.warning), range(figure.critical));
    let datum = format!("{}={}{};{warning};{critical};0;{max}", figure.label, figure.value, figure.unit);
    datum.trim_end_matches(';').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> Vec<String> {
        line.split_whitespace().map(str::to_owned).collect()
    }

    #[test]
    fn every_check_explains_itself() {
        for (name, ..) in CHECKS {
            let (text, code) = run(&words(&format!("{name} --help")));
            assert!(text.contains(&format!("    check_haproxystats_{name} [options]")), "{text}");
            assert_eq!(code, 3);
            assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
        }
    }

    #[test]
    fn what_cannot_be_understood_is_unknown() {
        for line in
            ["", "nosuch", "queue_size -o x", "queue_size --nosuch", "queue_size -o 9:5", "pull -t 0", "pull -t x"]
        {
            let (text, code) = run(&words(line));
            assert_eq!(code, 3, "{line}");
            assert!(text.starts_with("UNKNOWN: "), "{text}");
        }
    }

    #[test]
    fn nagios_can_read_it() {
        let figures = vec![
            Figure {
                label: "queue",
                value: 3,
                unit: "",
                warning: Some(Range::up_to(60.0)),
                critical: Some(Range::up_to(120.0)),
                max: Some(360),
            },
            Figure { label: "uptime", value: 9, unit: "s", warning: None, critical: None, max: None },
        ];
        let details = vec!["a|b".to_owned()];
        let verdict = Verdict { state: State::Warning, text: "x | y".to_owned(), details, figures };
        assert_eq!(render(&verdict, false), "WARNING: x   y | queue=3;60;120;0;360 uptime=9s;;;0\na b\n");
        assert_eq!(render(&Verdict { state: State::Ok, ..verdict }, false).lines().count(), 1);
    }
}
