//! The page of metrics of pull and process, as Prometheus sees it. That of the agent is in `agent::metrics`.

use crate::harness::certificate::certificate;
use crate::harness::clients::unanswered;
use crate::harness::haproxy::ManySockets;
use crate::harness::prometheus::{exchange, scrape, wait_for_sample};
use crate::harness::{Daemon, SOON, free_port, peer, process, pull, run, with_config, write};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::Command;
use std::time::Instant;

#[test]
fn pull_and_process_of_one_file_have_a_page_each() {
    let haproxy = ManySockets::start(2, 3);
    let directory = tempfile::tempdir().unwrap();
    let [pulls, processes] = [free_port(), free_port()];
    let path = directory.path().display();
    let text = format!(
        "[pull]\nsocket-dir = {}\ndst-dir = {path}/in\ntmp-dst-dir = {path}/tmp\npull-interval = 1\n\
         [process]\nsrc-dir = {path}/in\nworkers = 1\n[graphite]\nport = {}\ninterval = 0.1\ndelay = 0.1\n\
         [local-store]\ndir = {path}/store\n\
         [exporter:pull]\nlisten = 127.0.0.1:{pulls}\n[exporter:process]\nlisten = 127.0.0.1:{processes}\n",
        haproxy.socket_dir().display(),
        free_port(),
    );
    let file = write(directory.path(), "haproxystats.conf", text);
    let _pull = Daemon::spawn(with_config(pull(), &file));
    let samples = wait_for_sample(pulls, "haproxystats_pull_published_total", |count| count >= 2.0);
    assert_eq!(samples.get("haproxystats_pull_sockets"), Some(&2.0), "{samples:#?}");
    let _process = Daemon::spawn(with_config(process(), &file));
    // Nobody is at Graphite's port: what waits for it shows.
    let queued = "haproxystats_process_dispatcher_queued_lines{dispatcher=\"graphite\"}";
    let samples = wait_for_sample(processes, queued, |lines| lines > 0.0);
    assert_eq!(samples.get("haproxystats_process_snapshots_delivered_total"), Some(&0.0), "{samples:#?}");
    assert_eq!(samples.get("haproxystats_process_workers"), Some(&1.0), "{samples:#?}");
    let stored = "haproxystats_process_dispatcher_lines_delivered_total{dispatcher=\"local-store\"}";
    wait_for_sample(processes, stored, |lines| lines > 0.0);
}

/// A pull with nothing to do but its page.
fn idle(listen: u16) -> (Daemon, tempfile::TempDir) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().display();
    let text =
        format!("[pull]\ndst-dir = {path}/in\ntmp-dst-dir = {path}/tmp\n[exporter]\nlisten = 127.0.0.1:{listen}\n");
    let file = write(directory.path(), "haproxystats.conf", text);
    (Daemon::spawn(with_config(pull(), &file)), directory)
}

#[test]
fn only_reads_of_the_page_are_answered() {
    let port = free_port();
    let _pull = idle(port);
    scrape(port);
    for (request, status, words) in [
        ("GET / HTTP/1.1\r\nHost: x\r\n\r\n", "200", "/metrics"),
        ("GET /metric HTTP/1.1\r\nHost: x\r\n\r\n", "404", "/metrics"),
        ("GET /metrics?name[]=x HTTP/1.1\r\nHost: x\r\n\r\n", "200", "haproxystats_build_info"),
        ("POST /metrics HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n", "405", "allow: GET, HEAD"),
        ("nonsense\r\n\r\n", "400", ""),
    ] {
        let reply = exchange(port, request).unwrap();
        assert!(reply.starts_with(&format!("HTTP/1.1 {status} ")) && reply.contains(words), "{request:?}: {reply}");
    }
    let head = exchange(port, "HEAD /metrics HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/1.1 200") && head.ends_with("\r\n\r\n"), "{head}");
}

#[test]
fn whoever_is_slow_or_many_is_closed_and_harms_nobody() {
    let port = free_port();
    let _pull = idle(port);
    scrape(port);
    let connect = || {
        let stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
        stream.set_read_timeout(Some(SOON)).unwrap();
        stream
    };
    // Half a request each, more than there are places.
    let start = Instant::now();
    let mut slow: Vec<TcpStream> = (0..20).map(|_| connect()).collect();
    for stream in &mut slow {
        let _ = stream.write_all(b"GET /metrics HTTP/1.1\r\n");
    }
    // The scraper finds a place all the same.
    scrape(port);
    let mut reply = Vec::new();
    for mut stream in slow {
        let _ = stream.read_to_end(&mut reply);
    }
    assert!(!String::from_utf8_lossy(&reply).contains("200 OK"));
    assert!(start.elapsed() < SOON / 2, "{:?}: nobody closed them", start.elapsed());
    let mut long = connect();
    let _ = long.write_all(format!("GET /metrics HTTP/1.1\r\nX: {}", "x".repeat(100_000)).as_bytes());
    reply.clear();
    let _ = long.read_to_end(&mut reply);
    assert!(!String::from_utf8_lossy(&reply).contains("200 OK"));
}

#[test]
fn slow_clients_that_come_back_never_keep_the_scraper_out() {
    let port = free_port();
    let _pull = idle(port);
    scrape(port);
    assert_eq!(unanswered(port, 30), 0, "of 30");
}

#[test]
fn an_address_that_is_taken_keeps_no_program_from_its_work() {
    let holder = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = holder.local_addr().unwrap().port();
    let (mut daemon, _directory) = idle(port);
    daemon.wait_for_output("cannot serve metrics", SOON);
    daemon.wait_for_output("haproxystats-pull is running", SOON);
    drop(holder);
    // It is had as soon as it is free.
    daemon.wait_for_output("metrics are served", SOON);
    scrape(port);
}

#[test]
fn without_an_address_no_port_is_opened() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().display();
    let text = format!("[pull]\ndst-dir = {path}/in\ntmp-dst-dir = {path}/tmp\n");
    let file = write(directory.path(), "haproxystats.conf", text);
    let mut daemon = Daemon::spawn(with_config(pull(), &file));
    daemon.wait_for_output("haproxystats-pull is running", SOON);
    let inodes = std::fs::read_to_string(format!("/proc/{}/net/tcp", daemon.pid())).unwrap();
    let listening = inodes.lines().filter(|line| line.split_whitespace().nth(3) == Some("0A"));
    let sockets: Vec<String> = std::fs::read_dir(format!("/proc/{}/fd", daemon.pid()))
        .unwrap()
        .filter_map(|file| Some(std::fs::read_link(file.ok()?.path()).ok()?.to_string_lossy().into_owned()))
        .collect();
    for line in listening {
        let inode = line.split_whitespace().nth(9).unwrap();
        assert!(!sockets.contains(&format!("socket:[{inode}]")), "{line}");
    }
}

#[test]
fn the_page_is_encrypted_and_asks_for_a_token_where_that_is_wanted() {
    let (Some(openssl), Some(curl)) = (peer("openssl"), peer("curl")) else { return };
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path();
    let (certificate, key) = certificate(&openssl, path, "page", "/CN=localhost", "DNS:localhost,IP:127.0.0.1");
    write(path, "page-token", "geheim\n");
    let port = free_port();
    let text = format!(
        "[pull]\ndst-dir = {dir}/in\ntmp-dst-dir = {dir}/tmp\npull-interval = 1\n[exporter]\nlisten = {port}\n\
         tls-certificate-file = {}\ntls-key-file = {}\ntoken-file = credential:page-token\n",
        certificate.display(),
        key.display(),
        dir = path.display(),
    );
    let mut command = with_config(pull(), &write(path, "haproxystats.conf", &text));
    command.env("CREDENTIALS_DIRECTORY", path);
    let mut daemon = Daemon::spawn(command);
    daemon.wait_for_output("metrics are served", SOON);
    let ask = |token: &str| {
        let mut command = Command::new(&curl);
        command.args(["-s", "-i", "--max-time", "20", "--cacert"]).arg(&certificate);
        command.args(["-H", &format!("Authorization: Bearer {token}"), &format!("https://localhost:{port}/metrics")]);
        String::from_utf8_lossy(&command.output().unwrap().stdout).into_owned()
    };
    let page = ask("geheim");
    assert!(page.starts_with("HTTP/1.1 200") && page.contains("haproxystats_pull_published_total"), "{page}");
    let refused = ask("falsch");
    assert!(
        refused.starts_with("HTTP/1.1 401") && refused.to_lowercase().contains("www-authenticate: bearer"),
        "{refused}"
    );
    assert!(!exchange(port, "GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n").unwrap_or_default().contains("haproxystats"));
    // Another token takes a reload, and no other port.
    write(path, "page-token", "neu\n");
    daemon.signal(nix::sys::signal::Signal::SIGHUP);
    daemon.wait_for_output("the new configuration is in use", SOON);
    assert!(ask("geheim").starts_with("HTTP/1.1 401") && ask("neu").starts_with("HTTP/1.1 200"));
    // A file that cannot be read is told before anything starts.
    let broken = write(path, "broken.conf", text.replace("credential:page-token", "/nonexistent/token"));
    let mut command = with_config(pull(), &broken);
    command.arg("--check");
    let (status, output) = run(command, SOON);
    assert!(status.code() == Some(78) && output.contains("[exporter]: /nonexistent/token cannot be read"), "{output}");
    daemon.stop(SOON);
}
