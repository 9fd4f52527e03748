//! The plug-ins of contrib/nagios by the names by which existing definitions call them: directly, and under a real
//! Nagios. Besides, `--status` of the programs.

use crate::harness::haproxy::{Fake, Script};
use crate::harness::{self, Daemon, SOON, peer, poll, process, pull, wait_until, with_config, write};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use tempfile::TempDir;

fn plugins() -> PathBuf {
    crate::harness::root().join("contrib/nagios")
}

/// Where the programs of this build are.
fn programs() -> PathBuf {
    Path::new(process().get_program()).parent().unwrap().to_owned()
}

/// Runs a plug-in; its exit code and what it printed.
fn check(name: &str, words: &[&str]) -> (i32, String) {
    let path = format!("{}:{}", programs().display(), std::env::var("PATH").unwrap());
    let output = Command::new(plugins().join(name)).args(words).env("PATH", path).output().unwrap();
    let text = [output.stdout, output.stderr].concat();
    (output.status.code().unwrap(), String::from_utf8(text).unwrap())
}

/// A fresh set of directories, with a HAProxy that answers and a Graphite that does not.
struct Place {
    directory: TempDir,
    file: PathBuf,
    _haproxy: Fake,
}

impl Place {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        std::fs::set_permissions(directory.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
        let base = directory.path().display().to_string();
        for name in ["incoming", "incoming.tmp", "sockets"] {
            std::fs::create_dir(directory.path().join(name)).unwrap();
        }
        let haproxy = Fake::start(&directory.path().join("sockets"), "one.sock", Script::good());
        let text = format!(
            "[pull]\nsocket-dir = {base}/sockets\npull-interval = 1\npull-timeout = 0.9\ndst-dir = {base}/incoming\n\
             tmp-dst-dir = {base}/incoming.tmp\nqueue-size = 100\n[process]\nsrc-dir = {base}/incoming\nworkers = 2\n\
             [graphite]\nport = {}\n",
            harness::free_port()
        );
        let file = write(directory.path(), "haproxystats.conf", text);
        Self { directory, file, _haproxy: haproxy }
    }

    fn file(&self) -> &str {
        self.file.to_str().unwrap()
    }

    /// Snapshots of `age` seconds ago and the seconds before.
    fn backlog(&self, count: u64, age: u64) {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
        for number in 0..count {
            let name = (now - age - number).to_string();
            std::fs::create_dir_all(self.directory.path().join("incoming").join(name)).unwrap();
        }
    }
}

#[test]
fn the_queue_in_the_words_of_the_original_and_more() {
    let place = Place::new();
    let queue = |words: &[&str]| check("check_haproxystats_queue_size.py", &[&["-f", place.file()], words].concat());

    let (code, text) = queue(&[]);
    assert_eq!(code, 0, "{text}");
    let directory = place.directory.path().join("incoming").display().to_string();
    let beginning = format!("OK: queue size 0: Queue location={directory}, Thresholds OK=60 WARNING=120 and ");
    assert!(text.starts_with(&beginning), "{text}");
    assert!(text.contains(" | queue=0;60;120;0;100 oldest_age=0s;600;1200;0 quarantined=0;0;~:;0\n"), "{text}");

    place.backlog(4, 30);
    for (words, code, word) in [
        (&["-o", "4", "-w", "6"][..], 0, "OK"),
        (&["--ok=3", "--warning=4"], 1, "WARNING"),
        (&["-o", "2", "-w", "3"], 2, "CRITICAL"),
        (&["-o", "@0:10"], 1, "WARNING"),
        (&["--age-ok", "20"], 1, "WARNING"),
        (&["--age-ok", "20", "--age-warning", "25"], 2, "CRITICAL"),
        (&["-o", "nonsense"], 3, "UNKNOWN"),
    ] {
        let (got, text) = queue(words);
        assert_eq!(got, code, "{words:?}: {text}");
        assert!(text.starts_with(&format!("{word}: ")), "{words:?}: {text}");
    }

    std::fs::create_dir_all(place.directory.path().join("failed/1500000000")).unwrap();
    let (code, text) = queue(&[]);
    assert_eq!(code, 1);
    assert!(text.contains(", 1 in quarantine") && text.contains("quarantined=1;0;~:;0"), "{text}");
    assert_eq!(queue(&["--failed-warning", "0"]).0, 2);

    place.backlog(110, 30);
    assert!(queue(&["-o", "1000", "-w", "1000"]).1.contains("pulling is suspended at 100"));

    std::fs::remove_dir_all(place.directory.path().join("incoming")).unwrap();
    let (code, text) = queue(&[]);
    assert_eq!(code, 3);
    assert!(text.starts_with(&format!("UNKNOWN: can't check {directory} due to ")), "{text}");
}

#[test]
fn nothing_keeps_a_check_from_an_answer() {
    let place = Place::new();
    // A file that never ends to be read.
    let fifo = place.directory.path().join("fifo.conf");
    nix::unistd::mkfifo(&fifo, nix::sys::stat::Mode::S_IRWXU).unwrap();
    let begun = Instant::now();
    let (code, text) = check("check_haproxystats_pull.sh", &["-f", fifo.to_str().unwrap(), "-t", "0.5"]);
    assert_eq!((code, text.as_str()), (3, "UNKNOWN: no result within 0.5 s\n"));
    assert!(begun.elapsed() < Duration::from_secs(30), "{:?}", begun.elapsed());

    // No program of ours, in a PATH that has nothing.
    let script = std::fs::read_to_string(plugins().join("check_haproxystats")).unwrap();
    let script = script.replace("PATH=$PATH:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin\n", "PATH=/nowhere\n");
    let copy = write(place.directory.path(), "check_haproxystats_pull", script);
    let output = Command::new("sh").arg(copy).output().unwrap();
    assert_eq!(output.status.code(), Some(3));
    assert_eq!(output.stdout, b"UNKNOWN: haproxystats-pull is not installed\n");
}

#[test]
fn a_refused_configuration_is_as_bad_as_what_it_has_done() {
    let place = Place::new();
    let running = Daemon::spawn(with_config(process(), &place.file));
    let is = |name: &str| check(name, &["-f", place.file()]);
    wait_until(SOON, "it runs", || is("check_haproxystats_process").0 == 0);
    std::fs::write(&place.file, "[process]\nworkers = many\n").unwrap();
    let (code, text) = is("check_haproxystats_process");
    assert_eq!(code, 1, "{text}");
    assert!(text.starts_with("WARNING: haproxystats-process is running, "), "{text}");
    assert!(text.contains("could not start again: the configuration is refused: ") && text.contains("many"), "{text}");
    drop(running);
    for name in
        ["check_haproxystats_process", "check_haproxystats_queue_size", "check_haproxystats_process_number_of_procs"]
    {
        let (code, text) = is(name);
        assert_eq!(code, 2, "{name}: {text}");
        // Others that run on this machine may be named in between.
        let begins = format!("CRITICAL: haproxystats-process is not running with {}", place.file());
        let reason = text.contains(", and the configuration is refused: ") && text.contains("workers");
        assert!(text.starts_with(&begins) && reason, "{text}");
    }
}

#[test]
fn every_name_that_definitions_may_call() {
    let mut names = harness::names(&plugins());
    names.retain(|name| name != "check_haproxystats");
    assert!(names.len() >= 9, "{names:?}");
    for name in names {
        let stem = name.trim_end_matches(".sh").trim_end_matches(".py");
        if stem.ends_with("_discovery") && !programs().join("haproxystats-discovery").exists() {
            continue;
        }
        let (code, text) = check(&name, &["--help"]);
        assert_eq!(code, 3, "{name}: {text}");
        assert!(text.contains(&format!("Usage:\n    {stem} [options]")), "{name}: {text}");
    }
}

#[test]
fn processes_that_run_hang_and_die() {
    let place = Place::new();
    let one = |name: &str, words: &[&str]| check(name, &[&["-f", place.file()], words].concat());
    for name in
        ["check_haproxystats_process.sh", "check_haproxystats_process_number_of_procs.sh", "check_haproxystats_pull.sh"]
    {
        let (code, text) = one(name, &[]);
        assert_eq!(code, 2, "{name}: {text}");
        assert!(text.contains(" is not running with "), "{text}");
    }

    let mut puller = Daemon::spawn(with_config(pull(), &place.file));
    let processor = Daemon::spawn(with_config(process(), &place.file));
    puller.wait_for_output("pulled", SOON);
    wait_until(SOON, "two workers", || one("check_haproxystats_process_number_of_procs.sh", &[]).0 == 0);
    let (code, text) = one("check_haproxystats_process_number_of_procs", &["-v"]);
    assert_eq!(code, 0, "{text}");
    assert!(text.starts_with("OK: 3 processes: the parent and 2 of 2 workers"), "{text}");
    assert!(text.contains(" | procs=3;;;0;3\n"), "{text}");
    for child in processor.children() {
        assert!(text.contains(&format!("worker: pid {child},")), "{text}");
    }
    let (code, text) = one("check_haproxystats_process", &[]);
    assert_eq!(code, 0, "{text}");
    assert!(text.starts_with(&format!("OK: haproxystats-process is running, pid {}, ", processor.pid())), "{text}");
    let (code, text) = one("check_haproxystats_pull", &[]);
    assert_eq!(code, 0, "{text}");
    assert!(text.contains(" last_snapshot=") && text.contains(", last snapshot "), "{text}");
    the_status_of_both(&place, processor.pid());

    // What hangs is there for ps, and no good for anybody.
    let worker = *processor.children().first().unwrap();
    kill(worker, Signal::SIGSTOP).unwrap();
    wait_until(SOON, "the stopped worker is seen", || {
        one("check_haproxystats_process_number_of_procs", &[]).1.starts_with("CRITICAL: 2 processes: ")
    });
    kill(worker, Signal::SIGCONT).unwrap();

    puller.signal(Signal::SIGSTOP);
    wait_until(SOON, "the stopped pull is seen", || one("check_haproxystats_pull", &[]).0 == 2);
    puller.signal(Signal::SIGCONT);
    wait_until(SOON, "pull again", || one("check_haproxystats_pull", &[]).0 == 0);

    // HAProxy is gone: pull runs, and has nothing to publish.
    std::fs::remove_file(place.directory.path().join("sockets/one.sock")).unwrap();
    wait_until(SOON, "no snapshot for 2 s", || {
        let (code, text) = one("check_haproxystats_pull", &["-w", "1", "-c", "2"]);
        code == 2 && text.contains(", but no snapshot for ")
    });
    puller.stop(SOON);
    assert_eq!(one("check_haproxystats_pull", &[]).0, 2);
    // A program of another configuration is not the one that was asked for.
    let elsewhere = tempfile::tempdir().unwrap();
    let other = write(elsewhere.path(), "haproxystats.conf", "");
    let (code, text) = check("check_haproxystats_process", &["-f", other.to_str().unwrap()]);
    assert_eq!(code, 2);
    // Beside those that others run on this machine.
    assert!(text.contains("(haproxystats-process running with ") && text.contains(place.file()), "{text}");
}

/// A file that does not exist is a slip, and not that nothing runs.
fn a_missing_file_is_told() {
    let (code, text) = check("check_haproxystats_process", &["-f", "/nowhere/haproxystats.conf"]);
    assert!(code > 1, "{text}");
    assert!(text.contains("/nowhere/haproxystats.conf cannot be read"), "{text}");
    let mut command = process();
    command.args(["-f", "/nowhere/haproxystats.conf", "--status"]);
    assert_eq!(harness::run(command, SOON).0.code(), Some(78));
}

fn the_status_of_both(place: &Place, pid: Pid) {
    let mut command = with_config(process(), &place.file);
    command.args(["--status", "--json"]);
    let (status, output) = harness::run(command, SOON);
    assert!(status.success(), "{output}");
    let object: Value = serde_json::from_str(&output).unwrap();
    assert_eq!(object["instances"][0]["pid"], pid.as_raw());
    assert_eq!(object["instances"][0]["workers"].as_array().unwrap().len(), 2);
    assert_eq!((object["running"].as_bool(), object["workers_wanted"].as_u64()), (Some(true), Some(2)));
    assert!(object["queue"]["snapshots"].is_u64(), "{output}");

    let mut command = with_config(pull(), &place.file);
    command.arg("--status");
    let (status, output) = harness::run(command, SOON);
    assert!(status.success(), "{output}");
    assert!(output.starts_with("haproxystats-pull      running, pid "), "{output}");
    assert!(output.contains("\nqueue ") && output.contains("\nquarantine             0\n"), "{output}");

    let elsewhere = tempfile::tempdir().unwrap();
    let mut command = with_config(process(), &write(elsewhere.path(), "haproxystats.conf", ""));
    command.arg("--status");
    assert_eq!(harness::run(command, SOON).0.code(), Some(3), "not running");
    a_missing_file_is_told();
}

#[test]
fn the_agent_has_to_answer() {
    let directory = tempfile::tempdir().unwrap();
    let port = harness::free_port();
    let text = format!("[agent]\nbind = 127.0.0.1\nport = {port}\nchecks = load\nrequest = web\n");
    let file = write(directory.path(), "agent.conf", text);
    let file_name = file.to_str().unwrap();
    assert_eq!(check("check_haproxystats_agent", &["-f", file_name]).0, 2);
    let mut agent = Daemon::spawn(with_config(harness::agent(), &file));
    wait_until(SOON, "the agent answers", || check("check_haproxystats_agent", &["-f", file_name]).0 == 0);
    let (_, text) = check("check_haproxystats_agent", &["-f", file_name, "-v"]);
    assert!(
        text.contains(", 1 service answered | ") && text.contains(&format!("agent (127.0.0.1:{port}): up ")),
        "{text}"
    );
    assert!(text.contains("services=1;;;0;1"), "{text}");
    agent.signal(Signal::SIGSTOP);
    assert_eq!(check("check_haproxystats_agent", &["-f", file_name]).0, 2);
    agent.signal(Signal::SIGKILL);
    agent.wait(SOON);
}

/// One object of Nagios.
fn define(kind: &str, lines: &[&str]) -> String {
    format!("define {kind} {{\n {}\n}}\n", lines.join("\n "))
}

/// State of a service as Nagios has it.
fn state(place: &Path, service: &str) -> Option<(u8, String)> {
    let status = std::fs::read_to_string(place.join("status.dat")).ok()?;
    let block =
        status.split("servicestatus {").find(|block| block.contains(&format!("\tservice_description={service}\n")))?;
    let field = |name: &str| block.lines().find_map(|line| line.trim().strip_prefix(name)?.strip_prefix('='));
    (field("has_been_checked") == Some("1"))
        .then(|| Some((field("current_state")?.parse().ok()?, field("plugin_output")?.to_owned())))?
}

#[test]
fn under_nagios() {
    let Some(nagios) = peer("nagios4") else { return };
    let place = Place::new();
    let directory = place.directory.path();
    let installed = directory.join("bin");
    harness::machine::install_programs(&installed);
    let copy = Command::new("cp").arg("-a").arg(plugins()).arg(directory.join("plugins")).status().unwrap();
    assert!(copy.success());
    let base = directory.join("nagios");
    for name in ["spool", "rw"] {
        std::fs::create_dir_all(base.join(name)).unwrap();
    }
    // Nagios gives up the rights of root, and checks have to do without them.
    let user = if nix::unistd::geteuid().is_root() { "nagios".to_owned() } else { whoami() };
    if nix::unistd::geteuid().is_root() {
        assert!(Command::new("chown").args(["-R", "nagios:"]).arg(&base).status().unwrap().success());
    }
    let services = [
        ("queue", "check_haproxystats_queue_size.py", "-o 2 -w 8"),
        ("procs", "check_haproxystats_process_number_of_procs.sh", ""),
        ("process", "check_haproxystats_process.sh", ""),
        ("pull", "check_haproxystats_pull", "-w 30"),
    ];
    let days = ["sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday"];
    let days = days.map(|day| format!("{day} 00:00-24:00")).join("\n ");
    let mut objects = define("timeperiod", &["timeperiod_name always", "alias always", &days]);
    objects += &define("command", &["command_name up", "command_line /bin/true"]);
    objects += &define(
        "contact",
        &[
            "contact_name ops",
            "host_notifications_enabled 0",
            "service_notifications_enabled 0",
            "host_notification_period always",
            "service_notification_period always",
            "service_notification_options n",
            "host_notification_options n",
            "service_notification_commands up",
            "host_notification_commands up",
        ],
    );
    objects += &define(
        "host",
        &[
            "host_name lb-01",
            "address 127.0.0.1",
            "check_command up",
            "max_check_attempts 1",
            "check_period always",
            "notification_period always",
            "contacts ops",
        ],
    );
    for (name, plugin, options) in services {
        let line = format!(
            "command_line /usr/bin/env PATH={}:/usr/bin:/bin {}/plugins/{plugin} -f {} {options}",
            installed.display(),
            directory.display(),
            place.file()
        );
        objects += &define("command", &[&format!("command_name {name}"), &line]);
        objects += &define(
            "service",
            &[
                "host_name lb-01",
                &format!("service_description {name}"),
                &format!("check_command {name}"),
                "check_interval 1",
                "retry_interval 1",
                "max_check_attempts 2",
                "check_period always",
                "notification_interval 0",
                "notification_period always",
                "contacts ops",
            ],
        );
    }
    let objects = write(directory, "objects.cfg", objects);
    let at = |name: &str| base.join(name).display().to_string();
    let settings = [
        format!("cfg_file={}", objects.display()),
        format!("log_file={}", at("log")),
        format!("object_cache_file={}", at("cache")),
        format!("status_file={}", at("status.dat")),
        "status_update_interval=1".to_owned(),
        format!("lock_file={}", at("lock")),
        format!("temp_file={}", at("tmp")),
        format!("temp_path={}", base.display()),
        format!("check_result_path={}", at("spool")),
        format!("state_retention_file={}", at("retention")),
        format!("command_file={}", at("rw/nagios.cmd")),
        format!("query_socket={}", at("rw/qh")),
        format!("nagios_user={user}"),
        format!("nagios_group={}", group(&user)),
        "interval_length=1".to_owned(),
        "service_check_timeout=10".to_owned(),
        "use_syslog=0".to_owned(),
        "service_inter_check_delay_method=n".to_owned(),
        "max_service_check_spread=1".to_owned(),
    ];
    let settings = write(directory, "nagios.cfg", settings.join("\n"));
    let mut command = Command::new(&nagios);
    command.arg("-v").arg(&settings);
    let (status, output) = harness::run(command, SOON);
    assert!(status.success(), "{output}");

    let mut puller = Daemon::spawn(with_config(pull(), &place.file));
    let processor = Daemon::spawn(with_config(process(), &place.file));
    puller.wait_for_output("pulled", SOON);
    let mut command = Command::new(&nagios);
    command.arg(&settings);
    let _nagios = Daemon::spawn(command);
    let becomes = |service: &str, wanted: u8| {
        let mut last = None;
        let found = poll(SOON, || {
            last = state(&base, service);
            last.as_ref().filter(|(state, _)| *state == wanted).map(|(_, text)| text.clone())
        });
        found.unwrap_or_else(|| panic!("{service} is {last:?}, not {wanted}"))
    };
    assert!(becomes("process", 0).contains("is running"));
    assert!(becomes("procs", 0).contains("2 of 2 workers"));
    assert!(becomes("pull", 0).contains("last snapshot"));
    // Graphite is not there, so the queue grows, first beyond one threshold, then beyond the other.
    becomes("queue", 2);
    let log = poll(SOON, || {
        let log = std::fs::read_to_string(base.join("log")).unwrap_or_default();
        (log.contains("SERVICE ALERT: lb-01;queue;CRITICAL;") && log.contains("queue;WARNING;")).then_some(log)
    });
    assert!(log.is_some(), "{}", std::fs::read_to_string(base.join("log")).unwrap_or_default());

    let worker = *processor.children().first().unwrap();
    kill(worker, Signal::SIGSTOP).unwrap();
    assert!(becomes("procs", 2).contains("1 of 2 workers"));
    kill(worker, Signal::SIGCONT).unwrap();
    becomes("procs", 0);
    drop(processor);
    assert!(becomes("process", 2).contains("is not running"));
    becomes("procs", 2);
    drop(puller);
    becomes("pull", 2);
}

fn whoami() -> String {
    nix::unistd::User::from_uid(nix::unistd::geteuid()).unwrap().unwrap().name
}

fn group(user: &str) -> String {
    let user = nix::unistd::User::from_name(user).unwrap().unwrap();
    nix::unistd::Group::from_gid(user.gid).unwrap().unwrap().name
}
