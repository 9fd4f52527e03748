//! Certificates that real HAProxy has loaded, of every release that is there.

use super::{configuration, documents, run};
use crate::harness::certificate::certificate;
use crate::harness::haproxy::ask;
use crate::harness::newer::{Haproxy, haproxies};
use crate::harness::{self, Daemon, SOON, debian, free_port, wait_until, write};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

const DAY: i64 = 86_400;

/// A certificate for so many days, with its key in the same file.
fn valid_for(directory: &Path, name: &str, days: &str) -> PathBuf {
    let openssl = debian("openssl");
    let (crt, key) = certificate(&openssl, directory, name, "/CN=localhost", "DNS:localhost");
    let mut command = Command::new(openssl);
    command.args(["req", "-x509", "-new", "-subj", "/CN=localhost", "-days", days, "-key"]).arg(&key);
    assert!(harness::output(command.arg("-out").arg(&crt)).unwrap().status.success());
    let both = [fs::read(&crt).unwrap(), fs::read(&key).unwrap()].concat();
    write(directory, &format!("{name}.both"), both)
}

/// One with these certificates, and its socket.
fn start(haproxy: &Haproxy, directory: &Path, certificates: &[&Path]) -> (Daemon, PathBuf) {
    let socket = directory.join("one.sock");
    // `show ssl sni` of 3.2 is for everybody, `show ssl cert` before it is not.
    let level = if haproxy.version >= (3, 2) { "user" } else { "operator" };
    let certificates: String = certificates.iter().map(|file| format!(" crt {}", file.display())).collect();
    let text = format!(
        "global\n\tstats socket {} mode 600 level {level}\n\tnode lb\n\
         defaults\n\tmode http\n\ttimeout connect 2s\n\ttimeout client 5s\n\ttimeout server 5s\n\
         frontend www\n\tbind 127.0.0.1:{} ssl{certificates}\n",
        socket.display(),
        free_port(),
    );
    let mut command = haproxy.command();
    command.arg("-db").arg("-f").arg(write(directory, "haproxy.cfg", text));
    let mut daemon = Daemon::spawn(command);
    wait_until(SOON, "HAProxy answers", || {
        assert!(daemon.is_running(), "HAProxy ended:\n{}", daemon.output());
        ask(&socket, "show info").is_some()
    });
    (daemon, socket)
}

#[test]
fn days_until_certificates_of_real_haproxy_expire() {
    for haproxy in haproxies() {
        let directory = tempfile::tempdir().unwrap();
        let base = directory.path();
        let (short, long) = (valid_for(base, "short", "12"), valid_for(base, "long", "400"));
        let (_haproxy, socket) = start(&haproxy, base, &[&long, &short]);
        let file = configuration(base, &format!("servers = unix://{}\nfamilies = certificates", socket.display()));
        let version = haproxy.version;

        let document = documents(&file, &["--once", "-i", "0.2"]).remove(0);
        let found: Vec<(&str, i64)> = document["certificates"]
            .as_array()
            .unwrap()
            .iter()
            .map(|known| (known["file"].as_str().unwrap(), known["expires_in_seconds"].as_i64().unwrap()))
            .collect();
        let name = |path: &Path| path.display().to_string().trim_start_matches('/').to_owned();
        let [(first, soon), (second, late)] = found[..] else { panic!("{version:?}: {found:?}") };
        assert_eq!((first, second), (&*name(&short), &*name(&long)), "{version:?}: the first to expire comes first");
        assert!(
            (11 * DAY..=12 * DAY).contains(&soon) && (399 * DAY..=400 * DAY).contains(&late),
            "{version:?}: {found:?}"
        );

        let (code, table) = run(&file, &["--once", "-i", "0.2"]);
        assert_eq!(code, Some(0), "{table}");
        let row =
            |name: &str| table.lines().find(|line| line.contains(name)).unwrap_or_else(|| panic!("{name}: {table}"));
        // A full day is there only in the second in which the certificate was made.
        for (name, days) in [("short.both", [" 11d", " 12d"]), ("long.both", [" 399d", " 400d"])] {
            assert!(days.iter().any(|days| row(name).ends_with(days)), "{version:?}: {table}");
        }
    }
}
