//! Command lines and configuration files, as an operator meets them: the programs themselves, beside what the Python
//! programs did with the same words and files (tests/data/cli).

use crate::harness;
use haproxystats::config::options;
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::{Command, Output};
use tempfile::TempDir;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Program {
    Pull,
    Process,
}
use Program::{Process, Pull};

impl Program {
    fn executable(self) -> &'static str {
        match self {
            Pull => env!("CARGO_BIN_EXE_haproxystats-pull"),
            Process => env!("CARGO_BIN_EXE_haproxystats-process"),
        }
    }

    fn name(self) -> &'static str {
        match self {
            Pull => "haproxystats-pull",
            Process => "haproxystats-process",
        }
    }

    /// Its name in the file names of the recordings.
    fn recorded(self) -> &'static str {
        match self {
            Pull => "hs-pull",
            Process => "hs-process",
        }
    }
}

/// Runs a command that ends by itself.
fn run<S: AsRef<std::ffi::OsStr>>(program: Program, arguments: &[S]) -> Output {
    Command::new(program.executable()).args(arguments).env_remove("NOTIFY_SOCKET").output().unwrap()
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

fn data() -> PathBuf {
    crate::harness::root().join("tests/data/cli")
}

/// What the original did.
struct Recording {
    arguments: Vec<String>,
    /// `None`: it started, and was ended by the recording.
    status: Option<i32>,
    output: String,
}

fn recording(name: &str, program: Program) -> Recording {
    let path = data().join(format!("{name}.{}.txt", program.recorded()));
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let (head, output) = text.split_once("--- output\n").unwrap();
    let mut lines = head.lines();
    let arguments = lines.next().unwrap().split_whitespace().skip(2).map(str::to_owned).collect();
    let status = lines.next().unwrap().strip_prefix("exit status: ").unwrap().parse().ok();
    Recording { arguments, status, output: output.to_owned() }
}

/// A fresh directory with the incoming directories and the configuration file of a recording.
fn site(name: &str) -> (TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    for incoming in ["incoming", "incoming.tmp"] {
        std::fs::create_dir(dir.path().join(incoming)).unwrap();
    }
    let text = std::fs::read_to_string(data().join(format!("{name}.conf"))).unwrap();
    let file = dir.path().join("haproxystats.conf");
    std::fs::write(&file, text.replace("/var/lib/haproxystats/cli", dir.path().to_str().unwrap())).unwrap();
    (dir, file)
}

/// What we do with a file.
enum Ours {
    /// The program does not start; it says this.
    Refused(&'static str),
    /// It starts, with this warning.
    Warned(&'static str),
    /// It starts, and has nothing to say.
    Good,
}
use Ours::{Good, Refused, Warned};

/// Every recorded file, what we do with it, and why where the original did something else.
#[rustfmt::skip]
const FILES: &[(&str, Program, Ours, &str)] = &[
    ("process-avg-metric-frontend", Process, Refused("\"weight\" is not a metric of a frontend"), ""),
    ("process-bad-bool", Process, Refused(":6: [process] per-process-metrics = \"maybe\": neither true nor false"), ""),
    ("process-bad-interpolation", Process, Refused("the reference ${paths:nope} does not name an option"),
        "the original read the option for each snapshot, and failed each time"),
    ("process-bad-loglevel", Process, Refused(":6: [process] loglevel = \"loud\""), ""),
    ("process-bad-metric", Process, Warned("\"nosuch\" is not a metric that this version knows"),
        "the next HAProxy may have it"),
    ("process-bad-port", Process, Refused(":7: [graphite] port = \"abc\""), ""),
    ("process-bad-workers", Process, Refused(":5: [process] workers = \"x\""), ""),
    ("process-double-space-metric", Process, Good, "two blanks separate as well as one"),
    ("process-duplicate-option", Process, Refused(":6: option \"workers\" is set twice in [process] (first in line 5)"), ""),
    ("process-duplicate-section", Process, Refused(":6: section [process] appears twice (first in line 3)"), ""),
    ("process-empty-metric", Process, Refused(":6: [process] server-metrics = \"\": empty"), ""),
    ("process-groups-no-namespace", Process, Refused("[frontend-groups]: needs group-namespace"), ""),
    // The recording counts as started, though its worker died of the missing dir; here dir has its documented default.
    ("process-local-store-no-dir", Process, Good, ""),
    ("process-namespace-no-double", Process, Refused("needs group-namespace-double-writes"), ""),
    ("process-namespace-no-groups", Process, Refused("[graphite] group-namespace = \"x\": needs groups"), ""),
    ("process-old-timeout-option", Process, Warned("did you mean \"prefix-hostname\"?"), ""),
    ("process-pull-servers-bad-in-process", Process, Refused("[pull] servers = \"http://x\""), ""),
    ("process-src-dir-missing", Process, Refused("[process] src-dir = \"/nonexistent\": does not exist; run: mkdir -p /nonexistent"), ""),
    ("process-syntax-error", Process, Refused(":1: \"this is not an ini file\" comes before any section"), ""),
    ("process-unknown-section-option", Process, Warned("[process] frobnicate = \"1\": no program reads this option"), ""),
    ("process-zero-workers", Process, Refused(":5: [process] workers = \"0\": below 1"), "no worker, no work: it did nothing forever"),
    ("pull-bad-loglevel", Pull, Refused(":7: [pull] loglevel = \"x\""), ""),
    ("pull-buffer-limit-0", Pull, Refused(":7: [pull] buffer-limit = \"0\": below 1"), ""),
    ("pull-dst-unwritable", Pull, Refused("[pull] dst-dir = \"/proc/nope\": cannot be created"), ""),
    ("pull-interval-float", Pull, Refused("[pull] pull-interval = \"1.5\": not a whole number"), ""),
    ("pull-interval-zero", Pull, Refused("[pull] pull-interval = \"0\": below 1"), ""),
    ("pull-neither", Pull, Warned("neither socket-dir nor servers is set"), ""),
    ("pull-no-socket-dir", Pull, Warned("/nosuch\": cannot be read now"), ""),
    ("pull-servers-badport", Pull, Refused("out of range; ports are 1 to 65535"), ""),
    ("pull-servers-empty", Pull, Refused("[pull] servers = \"\": empty"), ""),
    ("pull-servers-http", Pull, Refused("write unix:///path, tcp://host:port or abns@name"), ""),
    ("pull-servers-noport", Pull, Refused("without a port"), ""),
    ("pull-servers-trailing-comma", Pull, Refused("a comma at the end separates nothing"), ""),
    ("pull-servers-unix-nopath", Pull, Refused("without a path"), ""),
    ("pull-socket-dir-empty", Pull, Refused("[pull] socket-dir = \"\": empty"), ""),
];

#[test]
fn files_are_refused_and_taken_as_by_the_original() {
    for (name, program, ours, why) in FILES {
        let original = recording(name, *program);
        let starts = !matches!(ours, Refused(_));
        assert_eq!(original.status.is_none() == starts, why.is_empty(), "{name}: a reason stands beside a difference");
        let (_dir, file) = site(name);
        let file = file.to_str().unwrap();
        let check = run(*program, &["-f", file, "--check"]);
        match ours {
            Good | Warned(_) => {
                assert_eq!(check.status.code(), Some(0), "{name}: {}", stderr(&check));
                assert_eq!(stdout(&check), format!("the configuration of {} is good\n", program.name()));
                match ours {
                    Warned(words) => assert!(stderr(&check).contains(words), "{name}: {}", stderr(&check)),
                    _ => assert_eq!(stderr(&check), "", "{name}"),
                }
            }
            Refused(words) => {
                let refused = run(*program, &["-f", file]);
                // What is wrong with a directory may be over soon: systemd is to try again, which it does not after 78.
                let code = if stderr(&refused).contains("directories cannot be used") { 1 } else { 78 };
                assert_eq!(refused.status.code(), Some(code), "{name}: {}", stderr(&refused));
                assert_eq!(stdout(&refused), "", "{name}");
                assert!(stderr(&refused).contains(words), "{name}: {}", stderr(&refused));
                // Without making the directory nobody can say that /proc holds none.
                if *name != "pull-dst-unwritable" {
                    assert_eq!(check.status.code(), Some(78), "{name}: {}", stderr(&check));
                    assert_eq!(stderr(&check), stderr(&refused), "{name}");
                }
            }
        }
    }
}

/// Recorded command lines that other tests here repeat.
const COMMAND_LINES: [&str; 9] = [
    "bad-option",
    "extra-arg",
    "help",
    "print-and-printconf",
    "print-conf",
    "print-defaults",
    "version",
    "process-missing-config-file",
    "process-missing-dir-option",
];

#[test]
fn every_recording_is_used() {
    let recorded: BTreeSet<String> = std::fs::read_dir(data())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.ends_with(".txt"))
        .map(|name| name.split('.').next().unwrap().to_owned())
        .collect();
    let used = FILES.iter().map(|(name, ..)| *name).chain(COMMAND_LINES).map(str::to_owned).collect();
    assert_eq!(recorded, used);
}

#[test]
fn words_that_are_not_understood() {
    for name in ["bad-option", "extra-arg", "print-and-printconf"] {
        for program in [Pull, Process] {
            let original = recording(name, program);
            let output = run(program, &original.arguments);
            assert_eq!(output.status.code(), original.status, "{name}");
            assert_eq!(stdout(&output), "");
            // The lines differ in what is new: -d of pull, --check, --status, and lines for --nagios, --setup, --latency-rules, --once,
            // --explain, --replay.
            let new = if program == Process { 4 } else { 3 };
            let words = stderr(&output);
            let lines: Vec<&str> = words.lines().collect();
            assert_eq!(lines.len(), original.output.lines().count() + new + 1);
            // Before them it says which word it is.
            assert!(
                ["unknown option ", "unexpected argument ", "--print, "]
                    .iter()
                    .any(|words| lines[0].starts_with(words))
            );
            assert_eq!(lines[1], "Usage:");
            assert!(
                lines[2].starts_with(&format!("    {} [-f <file>] [-d <dir>] [-p | -P", program.name())),
                "{words}"
            );
        }
    }
}

#[test]
fn help_has_every_line_of_the_original() {
    for program in [Pull, Process] {
        let original = recording("help", program);
        let output = run(program, &original.arguments);
        assert_eq!(output.status.code(), original.status);
        let help = stdout(&output);
        let lines: Vec<&str> = help.lines().collect();
        for line in original.output.lines().filter(|line| !line.contains("[-f <file>")) {
            assert!(line.contains("[-f") || lines.contains(&line), "{line:?} is missing in\n{help}");
        }
        for new in ["--check", "-d, --dir <dir>"] {
            assert!(help.contains(new), "{new}");
        }
    }
    assert!(stdout(&run(Process, &["-h"])).contains("--once <snapshot>"));
}

/// The original prints its version and nothing else; scripts that take the first word work with both.
#[test]
fn the_version_and_what_the_program_is_made_of() {
    for program in [Pull, Process] {
        let original = recording("version", program);
        let output = run(program, &original.arguments);
        assert_eq!(output.status.code(), original.status);
        let (version, build) = stdout(&output).split_once(' ').map(|(a, b)| (a.to_owned(), b.to_owned())).unwrap();
        assert_eq!(version, env!("CARGO_PKG_VERSION"));
        assert!(build.ends_with("features agent archive discovery fault-injection kafka process top)\n"), "{build}");
    }
}

/// The lines of `-p` or `-P`, each with its section and the name of its option, if it has one.
fn named(text: &str) -> impl Iterator<Item = (&str, (&str, Option<&str>))> {
    let mut section = "";
    text.lines().map(move |line| {
        section = if line.starts_with('[') { line } else { section };
        (line, (section, line.split_once(" = ").map(|(option, _)| option)))
    })
}

/// Without the options that the original does not have, and which are therefore not in its recordings.
fn without_new_options(text: &str, original: &str) -> String {
    let known: BTreeSet<_> = named(original).map(|(_, name)| name).collect();
    let is_old = |(_, name): &(&str, (&str, Option<&str>))| name.1.is_none() || known.contains(name);
    named(text).filter(is_old).map(|(line, _)| format!("{line}\n")).collect()
}

/// Options stand in alphabetical order within their sections, and sections do, too.
fn assert_sorted(text: &str) {
    let mut sections = Vec::new();
    for section in text.split_terminator("\n\n") {
        let (name, options) = section.split_once('\n').unwrap();
        sections.push(name);
        assert!(options.lines().map(|line| line.split_once(" = ").unwrap().0).is_sorted(), "{section}");
    }
    assert!(sections.is_sorted(), "{sections:?}");
}

#[test]
fn the_defaults_are_those_of_the_original() {
    for program in [Pull, Process] {
        let original = recording("print-defaults", program);
        let output = run(program, &original.arguments);
        assert_eq!(output.status.code(), original.status);
        assert_eq!(without_new_options(&stdout(&output), &original.output), original.output);
        assert_sorted(&stdout(&output));
    }
}

#[test]
fn the_migration_guide_knows_every_option_of_the_original_in_order() {
    let guide = std::fs::read_to_string(harness::root().join("docs/migration.md")).unwrap();
    let (_, table) = guide.split_once("## Options\n").expect("a section about options");
    let listed: Vec<&str> = table
        .lines()
        .filter_map(|line| line.strip_prefix("| `")?.split_once("` |").map(|(option, _)| option))
        .collect();
    let known: Vec<String> = options::all().map(|option| format!("[{}] {}", option.section, option.name)).collect();
    let in_order: Vec<&String> = known.iter().filter(|option| listed.contains(&option.as_str())).collect();
    assert_eq!(listed, in_order);
    for program in [Pull, Process] {
        let original = recording("print-defaults", program);
        for (section, option) in named(&original.output).filter_map(|(_, (section, option))| Some((section, option?))) {
            let option = format!("{section} {option}");
            assert!(listed.contains(&option.as_str()), "{option}");
        }
    }
}

#[test]
fn the_whole_configuration_is_that_of_the_original() {
    for program in [Pull, Process] {
        let original = recording("print-conf", program);
        let (dir, file) = site("printconf");
        let output = run(program, &["-f", file.to_str().unwrap(), "-P"]);
        assert_eq!(output.status.code(), original.status, "{}", stderr(&output));
        let text = stdout(&output).replace(dir.path().to_str().unwrap(), "/var/lib/haproxystats/cli");
        assert_eq!(without_new_options(&text, &original.output), original.output);
        assert_sorted(&text);
    }
}

#[test]
fn printing_does_not_look_at_values_but_at_references() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("x.conf");
    std::fs::write(&file, "[process]\nworkers = many\n[x]\ny = ${z}\n").unwrap();
    let output = run(Process, &["-P", "-f", file.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(78));
    let words = stderr(&output);
    assert!(words.contains("x.conf:4: [x] y = \"${z}\": the reference ${z} does not name an option"), "{words}");
    std::fs::write(&file, "[process]\nworkers = many\n").unwrap();
    let output = run(Process, &["-P", "-f", file.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(0));
    assert!(stdout(&output).contains("\nworkers = many\n"));
}

#[test]
fn a_missing_file_is_refused_and_an_empty_one_is_good() {
    let original = recording("process-missing-config-file", Process);
    assert_eq!(original.status, Some(1), "for want of the directory, not of the file");
    for program in [Pull, Process] {
        let output = run(program, &["-f", "/nonexistent.conf", "-P"]);
        assert_eq!(output.status.code(), Some(78));
        let words = stderr(&output);
        assert!(words.starts_with("error: /nonexistent.conf cannot be read: No such file or directory"), "{words}");
    }
    let dir = tempfile::tempdir().unwrap();
    let empty = dir.path().join("empty.conf");
    std::fs::write(&empty, "").unwrap();
    let output = run(Process, &["-P", "-f", empty.to_str().unwrap()]);
    assert!(stdout(&output).starts_with("[DEFAULT]\ninterval = 2\n"), "{}", stderr(&output));
}

#[test]
fn a_missing_directory_of_files_is_not() {
    let original = recording("process-missing-dir-option", Process);
    for program in [Pull, Process] {
        let output = run(program, &original.arguments);
        assert_eq!(output.status.code(), Some(78));
        let words = stderr(&output);
        assert!(words.contains("directory /nonexistent cannot be read: No such file or directory"), "{words}");
        assert!(words.contains("name a directory with .conf files after -d"), "{words}");
    }
}

#[test]
fn files_of_a_directory_in_the_order_of_their_names() {
    let dir = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| std::fs::write(dir.path().join(name), text).unwrap();
    write("20.conf", "[process]\nworkers = 7\n[pull]\nworkers = 17\n");
    write("10.conf", "[process]\nworkers = 8\n[graphite]\nport = 2003\n");
    write("30.cfg", "[process]\nworkers = 9\n");
    write(".40.conf", "[process]\nworkers = 10\n");
    std::fs::create_dir(dir.path().join("sub.d")).unwrap();
    write("sub.d/90.conf", "[process]\nworkers = 11\n");
    let file = dir.path().join("first");
    std::fs::write(&file, "[process]\nworkers = 1\n[graphite]\nserver = first.example.com\n").unwrap();
    let arguments = ["-P", "-f", file.to_str().unwrap(), "-d", dir.path().to_str().unwrap()];
    let text = stdout(&run(Process, &arguments));
    for line in ["workers = 7", "port = 2003", "server = first.example.com"] {
        assert!(text.lines().any(|found| found == line), "{line} in\n{text}");
    }
    assert!(stdout(&run(Pull, &arguments)).contains("\nworkers = 17\n"));
}

#[test]
fn all_faults_at_once_with_file_and_line() {
    let dir = tempfile::tempdir().unwrap();
    let main = dir.path().join("main.conf");
    let files = dir.path().join("conf.d");
    std::fs::create_dir(&files).unwrap();
    std::fs::write(&main, "[graphite]\nport = 0\nbackoff = fast\n[process]\nworkers = 4\nfrontend-metrics = stott\n")
        .unwrap();
    std::fs::write(files.join("later.conf"), "\n[process]\nworkers = none\n[pull]\nservers = tcp://a\nretries = x\n")
        .unwrap();
    let output = run(Process, &["-f", main.to_str().unwrap(), "-d", files.to_str().unwrap(), "--check"]);
    assert_eq!(output.status.code(), Some(78));
    let words = stderr(&output);
    let words = words.replace(dir.path().to_str().unwrap(), "");
    for line in [
        "error: /main.conf:2: [graphite] port = \"0\": below 1; write a whole number from 1 to 65535",
        "error: /main.conf:3: [graphite] backoff = \"fast\": not a number; write a number, 1 or more, such as 2",
        "error: /main.conf:6: [process] frontend-metrics = \"stott\": \"stott\" is not a metric of HAProxy; did you mean \"stot\"?",
        "error: /conf.d/later.conf:3: [process] workers = \"none\": not a number; write a whole number from 1 to 1024",
        "error: /conf.d/later.conf:5: [pull] servers = \"tcp://a\": \"tcp://a\" is without a port; \
         write tcp://host:port, such as tcp://127.0.0.1:5555 or tcp://[::1]:5555",
        "warning: /conf.d/later.conf:6: [pull] retries = \"x\": not a number; write a whole number, -1 or more \
         (haproxystats-pull would not start)",
        "haproxystats-process: invalid configuration, 5 errors; nothing was started",
    ] {
        assert!(words.lines().any(|found| found == line), "{line}\nis not in\n{words}");
    }
    assert_eq!(words.lines().count(), 7, "{words}");
}

#[test]
fn every_line_that_cannot_be_read() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("x.conf");
    let words = |bytes: &[u8]| {
        std::fs::write(&file, bytes).unwrap();
        let output = run(Pull, &["-f", file.to_str().unwrap(), "--check"]);
        assert_eq!(output.status.code(), Some(78));
        stderr(&output)
    };
    let both = words(b"[pull]\nfirst\n[pull]\nsecond\n");
    for line in [2, 3, 4] {
        assert!(both.contains(&format!("x.conf:{line}: ")), "{both}");
    }
    assert!(words(b"[pull]\n\xff\n").contains("x.conf:2: not UTF-8"));
    assert!(words(b"\xef\xbb\xbf[pull]\n").contains("x.conf:1: begins with a byte order mark"));
    std::fs::remove_file(&file).unwrap();
    std::fs::create_dir(&file).unwrap();
    let output = run(Pull, &["-f", file.to_str().unwrap(), "--check"]);
    assert!(stderr(&output).contains("cannot be read: Is a directory"), "{}", stderr(&output));
}

#[test]
fn checking_makes_no_directory_and_running_does() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("x.conf");
    let path = dir.path().to_str().unwrap();
    std::fs::write(
        &file,
        format!("[pull]\ndst-dir = {path}/a/b\ntmp-dst-dir = {path}/a/c\nservers = tcp://127.0.0.1:9\n"),
    )
    .unwrap();
    let check = run(Pull, &["-f", file.to_str().unwrap(), "--check"]);
    assert_eq!(check.status.code(), Some(0), "{}", stderr(&check));
    assert!(!dir.path().join("a").exists());
    // A file stands where a directory should: the other one is made nevertheless, and both faults would be told.
    std::fs::write(dir.path().join("file"), "").unwrap();
    std::fs::write(&file, format!("[pull]\ndst-dir = {path}/a/b\ntmp-dst-dir = {path}/file/c\n")).unwrap();
    let refused = run(Pull, &["-f", file.to_str().unwrap()]);
    assert_eq!(refused.status.code(), Some(1), "the units do not restart after 78, and a disk may come back");
    let words = stderr(&refused);
    assert!(words.contains("tmp-dst-dir = ") && words.contains("cannot be created: Not a directory"), "{words}");
    assert!(words.contains("run: mkdir -p "), "{words}");
    assert!(dir.path().join("a/b").is_dir());
}

#[test]
fn one_file_for_both_programs_may_have_faults_of_the_other() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("x.conf");
    let path = dir.path().to_str().unwrap();
    let text = format!(
        "[pull]\ndst-dir = {path}/in\ntmp-dst-dir = {path}/tmp\nservers = tcp://127.0.0.1:9\n[graphite]\nport = none\n"
    );
    std::fs::write(&file, text).unwrap();
    let output = run(Pull, &["-f", file.to_str().unwrap(), "--check"]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    assert!(stderr(&output).contains("(haproxystats-process would not start)"), "{}", stderr(&output));
}

#[test]
fn a_closed_pipe_is_no_panic() {
    let script = format!("{} -h | true; {} -p >/dev/full", Pull.executable(), Process.executable());
    let output = Command::new("sh").arg("-c").arg(script).output().unwrap();
    assert_eq!(stderr(&output), "");
    assert_eq!(output.status.code(), Some(1), "what was asked for could not be written");
}
