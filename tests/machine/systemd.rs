//! The units of contrib/systemd under a real systemd, with the programs of this build, HAProxy, and a Graphite that
//! keeps every line: started, stopped, killed, starved and refused, and at the end nothing is missing.

use crate::harness::machine::{Machine, delivered, install_programs, stand_ins, waiting};
use crate::harness::{self, SOON, poll, wait_until};
use std::path::PathBuf;

pub const PULL: &str = "haproxystats-pull";
pub const PROCESS: &str = "haproxystats-process";
const AGENT: &str = "haproxystats-agent";

const CONFIGURATION: &str = "[DEFAULT]\nloglevel = debug\n[pull]\nsocket-dir = /run/haproxy\npull-interval = 1\npull-timeout = 0.9\n\
    [process]\nworkers = 2\n[graphite]\nsettle = 0.1\n[agent]\nchecks = load\nstop-timeout = 1\n\
    [discovery-server]\nmode = file\nsource-file = /etc/servers.json\n\
    [discovery-client]\nhaproxy-socket-path = /run/lb/admin.sock\n[discovery-backend:web]\nbase-name = web\n";
fn contrib() -> PathBuf {
    harness::root().join("contrib/systemd")
}

fn units() -> Vec<PathBuf> {
    let files = std::fs::read_dir(contrib()).unwrap().map(|entry| entry.unwrap().path());
    let mut units: Vec<_> = files.filter(|path| path.extension().is_some_and(|end| end == "service")).collect();
    units.sort();
    units
}

/// What an administrator installs by hand, as docs/installation.md has it, with this configuration.
pub fn stage(configuration: &str) -> tempfile::TempDir {
    let stage = tempfile::tempdir().unwrap();
    let place = |path: &str, content: &[u8]| {
        let path = stage.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, content).unwrap();
    };
    install_programs(&stage.path().join("usr/bin"));
    for unit in units() {
        let name = unit.file_name().unwrap().to_str().unwrap().to_owned();
        place(&format!("etc/systemd/system/{name}"), &std::fs::read(&unit).unwrap());
    }
    for (kind, name) in [("sysusers", "sysusers.conf"), ("tmpfiles", "tmpfiles.conf")] {
        place(&format!("usr/lib/{kind}.d/haproxystats.conf"), &std::fs::read(contrib().join(name)).unwrap());
    }
    place("etc/haproxystats.conf", configuration.as_bytes());
    stand_ins(stage.path());
    // Only the pauses are shorter than in the units that are shipped.
    let quick = b"[Service]\nRestartSec=100ms\nWatchdogSec=3\n";
    for program in [PULL, PROCESS] {
        place(&format!("etc/systemd/system/{program}.service.d/quick.conf"), quick);
    }
    stage
}

#[track_caller]
fn wait_for_more(machine: &Machine, what: &str) {
    let before = delivered(machine).len();
    let found = poll(SOON, || (delivered(machine).len() > before).then_some(()));
    assert!(found.is_some(), "no further metrics {what}:\n{}", machine.journal(PROCESS));
}

fn main_pid(machine: &Machine, unit: &str) -> String {
    machine.property(unit, "MainPID")
}

/// Ids of the workers, as the machine counts processes.
fn workers(machine: &Machine) -> Vec<String> {
    let (_, text) = machine.try_run(&["pgrep", "-P", &main_pid(machine, PROCESS)]);
    text.split_whitespace().map(str::to_owned).collect()
}

#[test]
fn units_are_sound_and_confined() {
    let Some(analyze) = harness::peer("systemd-analyze") else { return };
    let own: Vec<_> = units();
    assert!(own.len() == 5, "{own:?}");
    for unit in own {
        let name = unit.file_name().unwrap().to_str().unwrap().to_owned();
        let mut command = std::process::Command::new(&analyze);
        // Of "OK" or better: an exposure below 5.
        command.args(["security", "--offline=true", "--threshold=49", "--no-pager"]).arg(&unit);
        let (status, output) = harness::run(command, SOON);
        assert!(status.success(), "{name}:\n{output}");

        let text = std::fs::read_to_string(&unit).unwrap();
        for line in
            ["Type=notify", "User=haproxystats", "Restart=always", "RestartPreventExitStatus=78", "WatchdogSec="]
        {
            assert!(text.lines().any(|own| own.starts_with(line)), "{name} has no {line}");
        }
        assert!(text.contains("ExecStartPre=-/usr/bin/haproxystats-"), "{name} checks nothing before it starts");
        // Each finds what the other left on disk: neither waits for the other.
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            let (option, value) = line.split_once('=').unwrap_or_default();
            let orders = ["After", "Before", "Requires", "Wants", "BindsTo", "PartOf", "Requisite"].contains(&option);
            assert!(!(orders && value.contains("haproxystats")), "{name}: {line}");
        }
    }
}

/// Each drop-in says only what systemd understands, beside the unit that it is for.
#[test]
fn drop_ins_are_understood() {
    let Some(analyze) = harness::peer("systemd-analyze") else { return };
    let stage = tempfile::tempdir().unwrap();
    let drop_ins = stage.path().join("haproxystats-process.service.d");
    std::fs::create_dir(&drop_ins).unwrap();
    for unit in units() {
        // The programs are not installed here.
        let text = std::fs::read_to_string(&unit).unwrap().replace("/usr/bin/haproxystats-", "/bin/true --");
        std::fs::write(stage.path().join(unit.file_name().unwrap()), text).unwrap();
    }
    let names = harness::names(&contrib().join("drop-ins"));
    assert!(names.contains(&"kafka-member.conf".to_owned()), "{names:?}");
    for name in names {
        std::fs::copy(contrib().join("drop-ins").join(&name), drop_ins.join(&name)).unwrap();
    }
    let mut command = std::process::Command::new(&analyze);
    command.env("SYSTEMD_UNIT_PATH", format!("{}:", stage.path().display()));
    command.args(["verify", "--man=no", "haproxystats-process.service"]).current_dir(stage.path());
    let (status, output) = harness::run(command, SOON);
    assert!(status.success() && !output.contains("haproxystats"), "{output}");
}

/// A new configuration without another process; one that is invalid fails, and ends nothing.
#[track_caller]
fn a_reload(machine: &Machine) {
    let pids = [PULL, PROCESS].map(|unit| main_pid(machine, unit));
    machine.run(&["systemctl", "reload", PULL, PROCESS]);
    for unit in [PULL, PROCESS] {
        machine.wait_for_property(unit, "ActiveState", "active");
        assert!(machine.journal(unit).contains("the new configuration is in use"), "{}", machine.journal(unit));
    }
    machine.run(&["sh", "-c", "cp /etc/haproxystats.conf /etc/good.conf; echo '[pull' >>/etc/haproxystats.conf"]);
    for unit in [PULL, PROCESS] {
        let (succeeded, output) = machine.try_run(&["systemctl", "reload", unit]);
        assert!(!succeeded, "{output}");
        machine.wait_for_property(unit, "ActiveState", "active");
    }
    machine.run(&["cp", "/etc/good.conf", "/etc/haproxystats.conf"]);
    assert_eq!([PULL, PROCESS].map(|unit| main_pid(machine, unit)), pids);
    wait_for_more(machine, "after a reload");
}

#[test]
fn a_life_under_systemd() {
    let stage = stage(CONFIGURATION);
    let Some(machine) = Machine::boot(stage.path()) else { return };
    machine.run(&["systemd-sysusers"]);
    machine.run(&["systemd-tmpfiles", "--create", "haproxystats.conf"]);
    for unit in units() {
        machine.run(&[
            "systemd-analyze",
            "verify",
            "--recursive-errors=no",
            "--man=no",
            &format!("/etc/systemd/system/{}", unit.file_name().unwrap().to_str().unwrap()),
        ]);
    }

    // process before pull, and both before HAProxy and Graphite: no order is needed.
    machine.run(&["systemctl", "start", PROCESS, PULL]);
    machine.run(&["systemctl", "start", "graphite", "lb"]);
    for unit in [PULL, PROCESS] {
        machine.wait_for_property(unit, "ActiveState", "active");
        assert_eq!(machine.property(unit, "NRestarts"), "0", "{}", machine.journal(unit));
    }
    wait_for_more(&machine, "after the start");
    it_is_ready_and_confined(&machine);

    // A clean restart, and the same by the name that knows of reloads.
    machine.run(&["systemctl", "restart", PROCESS]);
    wait_for_more(&machine, "after a restart");
    machine.run(&["systemctl", "reload-or-restart", PROCESS]);
    wait_for_more(&machine, "after reload-or-restart");
    assert_eq!(machine.property(PROCESS, "Result"), "success");

    a_reload(&machine);
    a_crash_and_a_dead_worker(&machine);
    the_watchdog(&machine);
    a_backlog(&machine);

    // From the first second to the last, none is missing. What pull could not pull is not expected.
    machine.run(&["systemctl", "stop", PULL]);
    wait_until(SOON, "the queue is empty", || waiting(&machine) == 0);
    machine.run(&["systemctl", "stop", PROCESS]);
    for unit in [PULL, PROCESS] {
        assert_eq!(machine.property(unit, "Result"), "success", "{}", machine.journal(unit));
        assert_eq!(machine.property(unit, "ActiveState"), "inactive");
    }
    let got = delivered(&machine);
    let (first, last) = (*got.first().unwrap(), *got.last().unwrap());
    let missing: Vec<u64> = (first..=last).filter(|second| !got.contains(second)).collect();
    let journal = machine.journal(PULL);
    let pulled = |second: &u64| {
        journal.contains(&format!("snapshot={second} "))
            && journal
                .lines()
                .any(|line| line.contains(&format!("snapshot={second} ")) && line.contains("published=true"))
    };
    let lost: Vec<u64> = missing.into_iter().filter(pulled).collect();
    assert!(lost.is_empty(), "pulled and never delivered: {lost:?}");
    assert!(got.len() > 10, "{got:?}");
    assert!(harness::names(&machine.path("/var/lib/haproxystats/failed")).is_empty());

    pull_is_replaced(&machine);
    a_refused_configuration(&machine);
    the_agent(&machine);
    the_discovery(&machine);
    the_drop_ins(&machine);
}

fn it_is_ready_and_confined(machine: &Machine) {
    assert!(machine.property(PROCESS, "StatusText").contains("workers"), "{}", machine.property(PROCESS, "StatusText"));
    assert!(!machine.property(PULL, "StatusText").is_empty());
    wait_until(SOON, "two workers", || workers(machine).len() == 2);

    let user = machine.sh("id -u haproxystats");
    let group = machine.sh("getent group haproxy | cut -d: -f3");
    for (unit, in_group) in [(PULL, true), (PROCESS, false)] {
        let status = machine.read(&format!("/proc/{}/status", main_pid(machine, unit)));
        let field = |name: &str| status.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default().to_owned();
        assert!(field("Uid:").split_whitespace().all(|id| id == user.trim()), "{unit}:\n{status}");
        assert_eq!(field("Groups:").split_whitespace().any(|id| id == group.trim()), in_group, "{unit}:\n{status}");
        assert_eq!(field("CapBnd:").trim(), "0000000000000000", "{unit}");
        assert_eq!(field("NoNewPrivs:").trim(), "1", "{unit}");
        assert_eq!(field("Seccomp:").trim(), "2", "{unit}");
    }
    // As the unit has it; less where the machine itself is limited.
    let limits = machine.read(&format!("/proc/{}/limits", main_pid(machine, PULL)));
    let files = limits.lines().find(|line| line.starts_with("Max open files")).unwrap_or_default();
    assert!(files.split_whitespace().filter_map(|word| word.parse().ok()).all(|limit: u64| limit > 1024), "{files}");
    let denied = machine.try_run(&["journalctl", "-o", "cat", "--grep", "SECCOMP|not permitted|denied"]).1;
    assert!(!denied.contains("haproxystats"), "{denied}");
}

fn a_crash_and_a_dead_worker(machine: &Machine) {
    let before = main_pid(machine, PROCESS);
    let orphans = workers(machine);
    machine.run(&["kill", "-KILL", &before]);
    machine.wait_for_property(PROCESS, "NRestarts", "1");
    machine.wait_for_property(PROCESS, "ActiveState", "active");
    assert_ne!(main_pid(machine, PROCESS), before);
    for orphan in orphans {
        assert!(!machine.path(&format!("/proc/{orphan}")).exists(), "worker {orphan} survived its parent");
    }
    wait_for_more(machine, "after a crash");

    wait_until(SOON, "two workers", || workers(machine).len() == 2);
    let victim = workers(machine).first().unwrap().clone();
    machine.run(&["kill", "-KILL", &victim]);
    wait_until(SOON, "a worker in its place", || {
        let now = workers(machine);
        now.len() == 2 && !now.contains(&victim)
    });
    assert_eq!(machine.property(PROCESS, "NRestarts"), "1", "the parent stays");
    wait_for_more(machine, "after the death of a worker");
}

fn the_watchdog(machine: &Machine) {
    let before = main_pid(machine, PROCESS);
    machine.run(&["kill", "-STOP", &before]);
    machine.wait_for_property(PROCESS, "NRestarts", "2");
    machine.wait_for_property(PROCESS, "ActiveState", "active");
    assert!(machine.journal(PROCESS).contains("Watchdog timeout"), "{}", machine.journal(PROCESS));
    wait_for_more(machine, "after the watchdog");
}

fn a_backlog(machine: &Machine) {
    machine.run(&["systemctl", "stop", PROCESS]);
    wait_until(SOON, "a backlog", || waiting(machine) >= 3);
    machine.run(&["systemctl", "start", PROCESS]);
    wait_for_more(machine, "of the backlog");

    // The same while Graphite is away, through a restart.
    machine.run(&["systemctl", "stop", "graphite"]);
    wait_until(SOON, "a backlog", || waiting(machine) >= 3);
    machine.run(&["systemctl", "restart", PROCESS]);
    machine.run(&["systemctl", "start", "graphite"]);
    wait_until(SOON, "the backlog is delivered", || waiting(machine) <= 1);
}

/// pull's own watchdog and crash; it holds nothing that could be lost.
fn pull_is_replaced(machine: &Machine) {
    machine.run(&["systemctl", "start", PULL]);
    machine.run(&["kill", "-STOP", &main_pid(machine, PULL)]);
    machine.wait_for_property(PULL, "NRestarts", "1");
    machine.wait_for_property(PULL, "ActiveState", "active");
    machine.run(&["kill", "-KILL", &main_pid(machine, PULL)]);
    machine.wait_for_property(PULL, "NRestarts", "2");
    machine.wait_for_property(PULL, "ActiveState", "active");
    let before = waiting(machine);
    wait_until(SOON, "snapshots again", || waiting(machine) > before);
    machine.run(&["systemctl", "stop", PULL]);
}

/// It says why, is "failed" at once, and is not started again and again.
fn a_refused_configuration(machine: &Machine) {
    machine.write("/etc/haproxystats.conf", "[process]\nworkers = none\n");
    assert!(!machine.try_run(&["systemctl", "start", PROCESS]).0);
    machine.wait_for_property(PROCESS, "ActiveState", "failed");
    assert_eq!(machine.property(PROCESS, "ExecMainStatus"), "78");
    assert_eq!(machine.property(PROCESS, "NRestarts"), "0");
    assert!(machine.journal(PROCESS).contains("[process] workers = \"none\""), "{}", machine.journal(PROCESS));
    machine.write("/etc/haproxystats.conf", CONFIGURATION);
    machine.run(&["systemctl", "start", PROCESS]);
    machine.run(&["systemctl", "stop", PROCESS]);
}

fn the_agent(machine: &Machine) {
    machine.run(&["systemctl", "start", AGENT]);
    machine.wait_for_property(AGENT, "ActiveState", "active");
    wait_until(SOON, "an answer of the agent", || {
        machine.sh("socat -T 5 - TCP:127.0.0.1:5555 </dev/null || true").contains('%')
    });
    assert_eq!(machine.property(AGENT, "NRestarts"), "0", "{}", machine.journal(AGENT));
    machine.run(&["systemctl", "stop", AGENT]);
    assert_eq!(machine.property(AGENT, "Result"), "success", "{}", machine.journal(AGENT));
}

/// Both halves of haproxystats-discovery: the list is kept in their state directory, and HAProxy is asked.
fn the_discovery(machine: &Machine) {
    machine.write("/etc/servers.json", "[]");
    let units = ["haproxystats-discovery-server", "haproxystats-discovery-client"];
    for unit in units {
        machine.run(&["systemctl", "start", unit]);
        machine.wait_for_property(unit, "ActiveState", "active");
    }
    let (code, text) = machine.try_run(&["haproxystats-discovery", "--nagios", "discovery"]);
    assert!(code, "{text}");
    for unit in units {
        assert_eq!(machine.property(unit, "NRestarts"), "0", "{}", machine.journal(unit));
        machine.run(&["systemctl", "stop", unit]);
        assert_eq!(machine.property(unit, "Result"), "success", "{}", machine.journal(unit));
    }
}

/// The examples of contrib/systemd/drop-ins, with the last CPU of this machine.
fn the_drop_ins(machine: &Machine) {
    let drop_in = |name: &str| std::fs::read_to_string(contrib().join("drop-ins").join(name)).unwrap();
    let last = machine.sh("nproc --all").trim().parse::<usize>().unwrap() - 1;
    let affinity = drop_in("cpu-affinity.conf").replace("CPUAffinity=6 7", &format!("CPUAffinity={last}"));
    assert!(affinity.contains(&format!("CPUAffinity={last}")));
    let directory = "/etc/systemd/system/haproxystats-process.service.d";
    machine.write(&format!("{directory}/cpu-affinity.conf"), &affinity);
    machine.write(&format!("{directory}/nice.conf"), &drop_in("nice.conf"));
    for unit in [PULL, PROCESS] {
        machine.write(&format!("/etc/systemd/system/{unit}.service.d/directories.conf"), &drop_in("directories.conf"));
    }
    machine.write(
        "/etc/haproxystats.conf",
        &CONFIGURATION
            .replace(
                "[pull]",
                "[pull]\ndst-dir = /srv/haproxystats/incoming\n\
        tmp-dst-dir = /srv/haproxystats/incoming.tmp",
            )
            .replace("[process]", "[process]\nsrc-dir = /srv/haproxystats/incoming"),
    );
    machine.sh("install -d -o haproxystats -g haproxystats /srv/haproxystats /srv/haproxystats/incoming");
    machine.run(&["systemctl", "daemon-reload"]);
    machine.run(&["systemctl", "start", PULL, PROCESS]);
    wait_for_more(machine, "from other directories");
    wait_until(SOON, "two workers", || workers(machine).len() == 2);
    for process in workers(machine).into_iter().chain([main_pid(machine, PROCESS)]) {
        let status = machine.read(&format!("/proc/{process}/status"));
        assert!(status.contains(&format!("Cpus_allowed_list:\t{last}\n")), "{status}");
        assert_eq!(machine.sh(&format!("ps -o ni= -p {process}")).trim(), "10");
    }
}
