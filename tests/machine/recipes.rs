//! The commands of README.md and docs/installation.md, taken out of them and run as they are written: on a host with
//! systemd, HAProxy as Debian's package has it, and nothing of this project. `packages.rs` does the same with those about
//! packages, Ansible and Puppet.

use crate::document::{Block, Document, with_options};
use crate::harness::machine::{Machine, delivered, install_programs, stand_ins};
use crate::harness::{self, SOON, peer, root, wait_until};
use std::path::Path;
use std::process::Command;

/// Headings whose commands are all run, here or in `packages.rs`.
const RUN: [&str; 4] = ["By hand", "Service discovery for HAProxy", "Debian package", "RPM package"];

/// Commands that the hosts of these tests cannot run, and why.
const LEFT_OUT: [(&str, &str); 7] = [
    ("./demo", "compiles for minutes; `./test demo` runs it with programs that are there"),
    ("./test", "is what runs this test"),
    ("apt-get install g++ libssl-dev make pkg-config zlib1g-dev", "needs a network; `./test packages` installs them"),
    ("cargo build --release --locked", "takes 16 minutes; the programs of this build take their place"),
    (
        "contrib/docker/build target/release docker build -t haproxystats",
        "needs Docker's daemon; container.rs calls contrib/docker/build with buildah",
    ),
    (
        "HAPROXY_GROUP=115 docker compose --file contrib/docker/compose.yaml up --detach",
        "needs Docker's daemon; container.rs runs the file with podman-compose",
    ),
    (
        "docker run -d --restart always --name haproxystats --hostname=haproxystats --group-add \
         \"$(stat -c %g /run/haproxy/admin.sock)\" -v haproxystats:/var/lib/haproxystats -v /opt/haproxystats/haproxystats.conf:/etc/haproxystats/haproxystats.conf -v /run/haproxy:/run/haproxy haproxystats",
        "needs Docker's daemon; container.rs runs the image",
    ),
];

/// Where the source is on the host, with programs in target/release.
const SOURCE: &str = "/root/haproxystats";

const HAPROXY: &str = "/etc/haproxy/haproxy.cfg";

/// The name of the documents for Graphite is that of a stand-in on the host itself.
const HOSTS: &str = "127.0.0.1 localhost graphite.example.com\n";

/// Something to count.
const TRAFFIC: &str = "\nfrontend www\n\tbind 127.0.0.1:8080\n\tdefault_backend web\nbackend web\n";

/// The source as a clone has it, with programs as cargo would have built them.
fn stage() -> tempfile::TempDir {
    let stage = tempfile::tempdir().unwrap();
    let source = stage.path().join(SOURCE.trim_start_matches('/'));
    install_programs(&source.join("target/release"));
    for name in ["contrib", "haproxystats.conf"] {
        let status = Command::new("cp").arg("-a").arg(root().join(name)).arg(&source).status();
        assert!(status.is_ok_and(|status| status.success()), "{name}");
    }
    stand_ins(stage.path());
    let graphite = stage.path().join("etc/systemd/system/graphite.service");
    let unit = std::fs::read_to_string(&graphite).unwrap().replace(":3002,", ":2003,");
    std::fs::write(graphite, unit).unwrap();
    harness::write(&stage.path().join("etc"), "hosts", HOSTS);
    stage
}

/// Runs lines in the source, as an administrator who pastes them into a terminal and stops at the first error.
#[track_caller]
fn paste(machine: &Machine, lines: &str) -> String {
    machine.run(&["bash", "-ec", &format!("cd {SOURCE}\n{lines}")])
}

/// HAProxy with the configuration of Debian's package, another line for its socket, and something to count.
#[track_caller]
fn haproxy(machine: &Machine, socket: Option<&str>, server: &str) {
    let shipped = std::fs::read_to_string(HAPROXY).unwrap();
    let line = shipped.lines().find(|line| line.contains("stats socket")).unwrap();
    let text = shipped.replace(line, socket.unwrap_or(line));
    machine.write(HAPROXY, &format!("{text}{TRAFFIC}\t{server}\n"));
    machine.run(&["systemctl", "restart", "haproxy"]);
}

#[test]
fn every_command_is_run_or_left_out_for_a_reason() {
    let blocks = [Document::readme(), Document::installation()].into_iter().flat_map(|document| document.blocks());
    let of_shell: Vec<Block> = blocks.filter(|block| block.language == "sh").collect();
    for heading in RUN {
        assert!(of_shell.iter().any(|block| block.heading == heading), "no commands under {heading}");
    }
    let others = of_shell.iter().filter(|block| !RUN.contains(&block.heading.as_str()));
    let others: Vec<String> = others.flat_map(Block::commands).collect();
    for command in &others {
        assert!(LEFT_OUT.iter().any(|(known, _)| known == command), "neither run nor left out: {command}");
    }
    for (command, reason) in LEFT_OUT {
        assert!(others.iter().any(|known| known == command), "in no document: {command} ({reason})");
    }
}

#[test]
fn the_demo_says_what_rust_it_needs() {
    let directory = tempfile::tempdir().unwrap();
    let demo = |path: &Path| {
        let mut command = Command::new(root().join("demo"));
        command.env("PATH", format!("{}:/usr/bin:/bin", path.display()));
        let (status, output) = harness::run(command, SOON);
        assert_eq!(status.code(), Some(1), "{output}");
        output
    };
    let wanted = env!("CARGO_PKG_RUST_VERSION");
    let cargo = harness::write(directory.path(), "cargo", "#!/bin/sh\necho cargo 1.63.0\n");
    std::fs::set_permissions(cargo, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let output = demo(directory.path());
    assert!(output.contains(&format!("cargo 1.63.0 is too old: install Rust {wanted} or newer")), "{output}");
    if !Path::new("/usr/bin/cargo").exists() {
        let output = demo(Path::new("/nonexistent"));
        assert!(output.contains(&format!("cargo is missing: install Rust {wanted} or newer")), "{output}");
    }
}

#[test]
fn commands_of_the_documents_work_as_they_are_written() {
    if ["haproxy", "man", "socat"].iter().any(|program| peer(program).is_none()) {
        return;
    }
    if !Path::new(HAPROXY).exists() {
        harness::leave_out("the commands of the documents", format!("{HAPROXY} of Debian's package is missing"));
        return;
    }
    let stage = stage();
    let Some(machine) = Machine::boot(stage.path()) else { return };
    machine.run(&["systemctl", "start", "graphite"]);
    by_hand(&machine);
    servers_into_haproxy(&machine);
}

/// "By hand", with the line for HAProxy above it and the options of README.md.
fn by_hand(machine: &Machine) {
    let (readme, installation) = (Document::readme(), Document::installation());
    let [socket] = installation.under("Methods", "text");
    haproxy(machine, Some(&socket.text), "server web1 127.0.0.1:9");
    let [install, start, pages] = installation.under("By hand", "sh");
    paste(machine, &install.text);

    let [options] = readme.under("Configure", "ini");
    let shipped = machine.read("/etc/haproxystats.conf");
    machine.write("/etc/haproxystats.conf", &with_options(&shipped, &options.text));
    let output = paste(machine, &start.text);
    assert!(output.contains("haproxystats-process   running"), "{output}");
    // The line for HAProxy has no more than level user: what others need is suggested, without locking anybody out.
    assert!(output.contains("stats socket /run/haproxy/admin.sock level operator\n"), "{output}");
    assert!(output.contains("keep everything else that they have (user, group, mode)"), "{output}");

    paste(machine, &pages.text);
    for program in ["pull", "process", "agent", "discovery", "top"] {
        let page = machine.sh(&format!("man -w haproxystats-{program}"));
        assert!(page.starts_with("/usr/local/"), "{page}");
        let completion = format!("/usr/local/share/bash-completion/completions/haproxystats-{program}");
        paste(machine, &format!(". {completion}\ncomplete -p haproxystats-{program}"));
    }
    wait_until(SOON, "metrics in Graphite, within two pulls", || !delivered(machine).is_empty());
    paste(machine, &installation.inline("systemctl reload"));
    paste(machine, &installation.inline("systemctl enable --now haproxystats-agent"));
    for unit in ["haproxystats-pull", "haproxystats-process", "haproxystats-agent"] {
        machine.wait_for_property(unit, "ActiveState", "active");
        assert_eq!(machine.property(unit, "NRestarts"), "0", "{}", machine.journal(unit));
    }
}

/// "Service discovery for HAProxy" of README.md, with the socket that Debian's package has.
fn servers_into_haproxy(machine: &Machine) {
    const SECTION: &str = "Service discovery for HAProxy";
    let readme = Document::readme();
    haproxy(machine, None, &readme.inline("server-template"));
    let [options] = readme.under(SECTION, "ini");
    let installed = machine.read("/etc/haproxystats.conf");
    machine.write("/etc/haproxystats.conf", &with_options(&installed, &options.text));
    let [block] = readme.under(SECTION, "sh");
    // The last command stays in the foreground.
    machine.run(&["systemd-run", "--unit=terminal", "bash", "-ec", &block.text]);
    wait_until(SOON, "the server of the file is in HAProxy", || {
        let servers = machine.sh("echo show servers state web | socat -T 5 - UNIX:/run/haproxy/admin.sock");
        servers.lines().any(|line| line.contains(" web1 10.0.0.1 ") && line.contains(" 8080 "))
    });
    let printed = machine.journal("terminal");
    assert!(printed.contains("10.0.0.1:8080"), "{printed}");
    machine.run(&["systemctl", "stop", "terminal"]);
    let ended = machine.journal("terminal");
    assert!(ended.contains("terminal.service: Deactivated successfully"), "{ended}");
}
