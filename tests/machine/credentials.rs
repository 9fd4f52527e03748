//! Secrets of a unit: in a plain file, and as a credential of systemd (`LoadCredential=`). A reload reads both again, ends no
//! program, and loses no tick and no snapshot.

use crate::harness::machine::{Machine, delivered, waiting};
use crate::harness::{self, SOON, peer, poll, wait_until};
use crate::systemd::{PROCESS, PULL, stage};

const INTERVAL: u64 = 2;

/// The page of haproxystats-pull has its token in a plain file, that of haproxystats-process as a credential.
const CONFIGURATION: &str = "[pull]\nsocket-dir = /run/haproxy\npull-interval = 2\npull-timeout = 1.9\n\
    [process]\nworkers = 1\n[graphite]\nsettle = 0.1\n\
    [exporter]\nlisten = 127.0.0.1:9101\ntoken-file = /etc/plain-token\n\
    [exporter:process]\nlisten = 127.0.0.1:9102\ntoken-file = credential:page-token\n";

const PORTS: [(&str, u16); 2] = [(PULL, 9101), (PROCESS, 9102)];

/// Whether the page on this port accepts the token.
fn accepts(machine: &Machine, port: u16, token: &str) -> bool {
    let url = format!("http://127.0.0.1:{port}/metrics");
    let header = format!("Authorization: Bearer {token}");
    let words = ["curl", "-s", "-o", "/dev/null", "-w", "%{http_code}", "-H", &header, &url];
    machine.try_run(&words).1 == "200"
}

#[track_caller]
fn wait_for_token(machine: &Machine, program: &str, port: u16, token: &str) {
    let found = poll(SOON, || accepts(machine, port, token).then_some(()));
    assert!(found.is_some(), "{program} does not accept {token}:\n{}", machine.journal(program));
}

fn write_tokens(machine: &Machine, token: &str) {
    machine.sh(&format!(
        "umask 077; echo {token} >/etc/page-token; echo {token} >/etc/plain-token; chown haproxystats: /etc/plain-token"
    ));
}

fn reloads(machine: &Machine, unit: &str) -> usize {
    machine.journal(unit).matches("the new configuration is in use").count()
}

/// Waits until both units have used this many new configurations.
#[track_caller]
fn wait_for_reloads(machine: &Machine, count: usize) {
    for unit in [PULL, PROCESS] {
        wait_until(SOON, &format!("reload {count} of {unit}"), || reloads(machine, unit) == count);
    }
}

#[test]
fn secrets_are_read_again_and_nothing_is_lost() {
    if peer("curl").is_none() {
        return;
    }
    let stage = stage(CONFIGURATION);
    let drop_in = stage.path().join("etc/systemd/system/haproxystats-process.service.d");
    let text = "[Service]\nLoadCredential=page-token:/etc/page-token\n";
    harness::write(&drop_in, "credentials.conf", text);
    let Some(machine) = Machine::boot(stage.path()) else { return };
    machine.run(&["systemd-sysusers"]);
    machine.run(&["systemd-tmpfiles", "--create", "haproxystats.conf"]);
    write_tokens(&machine, "first");
    machine.run(&["systemctl", "start", "graphite", "lb", PROCESS, PULL]);
    for (program, port) in PORTS {
        wait_for_token(&machine, program, port, "first");
        assert!(!accepts(&machine, port, "other"));
    }
    wait_until(SOON, "metrics before anything is reloaded", || !delivered(&machine).is_empty());
    let pids = [PULL, PROCESS].map(|unit| machine.property(unit, "MainPID"));

    // The signal alone: a plain file is read again; a credential is what it was when the unit was started.
    write_tokens(&machine, "second");
    for unit in [PULL, PROCESS] {
        machine.run(&["systemctl", "kill", "--kill-whom=main", "-s", "HUP", unit]);
    }
    wait_for_reloads(&machine, 1);
    wait_for_token(&machine, PULL, 9101, "second");
    assert!(accepts(&machine, 9102, "first") && !accepts(&machine, 9102, "second"));

    // The check does not see the credential, says so, and the reload takes place.
    machine.run(&["systemctl", "reload", PULL, PROCESS]);
    wait_for_reloads(&machine, 2);
    let journal = machine.journal(PROCESS);
    assert!(journal.contains("the configuration of haproxystats-process is good"), "{journal}");
    if machine.run(&["systemctl", "--version"]).starts_with("systemd 252 ") {
        assert!(journal.contains("systemd hides credentials from this command; not checked"), "{journal}");
        wait_for_token(&machine, PROCESS, 9102, "second");
    }

    // What the check does see still makes the reload fail.
    machine.write("/etc/haproxystats.conf", &CONFIGURATION.replace("workers = 1", "workers = none"));
    assert!(!machine.try_run(&["systemctl", "reload", PROCESS]).0);
    machine.write("/etc/haproxystats.conf", CONFIGURATION);
    assert_eq!([PULL, PROCESS].map(|unit| machine.property(unit, "MainPID")), pids);

    // With any version a restart takes the credential as it is now.
    write_tokens(&machine, "third");
    machine.run(&["systemctl", "restart", PROCESS]);
    wait_for_token(&machine, PROCESS, 9102, "third");

    let before = delivered(&machine).len();
    wait_until(SOON, "metrics after everything", || delivered(&machine).len() > before + 1);
    machine.run(&["systemctl", "stop", PULL]);
    wait_until(SOON, "the queue is empty", || waiting(&machine) == 0);
    machine.run(&["systemctl", "stop", PROCESS]);
    let got: Vec<u64> = delivered(&machine).into_iter().collect();
    let gaps: Vec<_> = got.windows(2).filter(|pair| pair[1] - pair[0] != INTERVAL).collect();
    assert!(gaps.is_empty(), "{gaps:?} of {got:?}:\n{}", machine.journal(PULL));
}
