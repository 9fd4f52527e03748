//! `--once`: what is printed is what is sent, in whichever way; and `--count`.

use crate::harness::carbon::Carbon;
use crate::harness::graphite::Recorder;
use crate::harness::incoming::{FIRST, Incoming, snapshots};
use crate::harness::prometheus::exchange;
use crate::harness::receiver::{Receiver, is_of_haproxy};
use crate::harness::{self, SOON, free_port, poll, process, wait_until, with_config, write};
use haproxystats::prometheus::request::Protocol;
use std::collections::BTreeSet;
use std::path::Path;

/// What the program prints for a snapshot.
fn once(incoming: &Incoming, snapshot: &Path, more: &[&str]) -> String {
    let mut command = with_config(process(), incoming.config());
    command.arg("--once").arg(snapshot).args(more);
    let output = harness::output(&mut command).unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// Without what differs from time to time, or is not the snapshot's.
fn lasting<'a>(lines: impl Iterator<Item = &'a str>) -> BTreeSet<&'a str> {
    let of_the_moment = |line: &str| {
        let own = line.split_once("haproxystats.").map_or("", |(_, name)| name);
        !own.is_empty() && !own.starts_with("Metrics") && !own.starts_with("Pull")
    };
    lines.filter(|line| !of_the_moment(line)).collect()
}

fn append(incoming: &Incoming, text: &str) {
    let before = std::fs::read_to_string(incoming.config()).unwrap();
    std::fs::write(incoming.config(), before + text).unwrap();
}

/// A snapshot that is not published yet, with figures of haproxystats-pull.
fn snapshot(incoming: &Incoming) -> std::path::PathBuf {
    let snapshot = incoming.stage(FIRST);
    write(&snapshot, ".pull", "PullTicks 17\n");
    snapshot
}

fn deliver(incoming: &Incoming, snapshot: &Path) {
    let mut daemon = incoming.daemon();
    std::fs::rename(snapshot, incoming.path().join(FIRST.to_string())).unwrap();
    incoming.wait_until_empty();
    daemon.stop(SOON);
}

#[test]
fn what_is_printed_is_what_arrives() {
    let groups = "group-namespace = flavor\ngroup-namespace-double-writes = true\n[backend-groups]\nfirst = ^a\n";
    for (options, more) in [
        ("", ""),
        ("", groups),
        ("skip-zero = true\nstatus-metrics = true", "tagged = true\n"),
        ("", &*format!("tagged = true\n{groups}")),
        ("per-process-metrics = true", "fqdn = false\n[local-store]\ndir = /nowhere\n"),
    ] {
        let graphite = Recorder::start();
        let incoming = Incoming::new(graphite.port(), options);
        append(&incoming, &more.replace("/nowhere", &incoming.beside("store").display().to_string()));
        let snapshot = snapshot(&incoming);
        let printed = once(&incoming, &snapshot, &[]);
        deliver(&incoming, &snapshot);
        let printed = lasting(printed.lines());
        assert!(printed.len() > 60 && printed.iter().any(|line| line.contains("PullTicks")), "{printed:#?}");
        let arrived = || graphite.record().lines.into_keys().collect::<Vec<String>>();
        poll(SOON, || (lasting(arrived().iter().map(String::as_str)) == printed).then_some(()));
        assert_eq!(lasting(arrived().iter().map(String::as_str)), printed, "{options} {more}");
    }
}

#[test]
fn pickles_are_printed_as_text() {
    let carbon = Carbon::start();
    let incoming = Incoming::new(carbon.pickle_port(), "");
    append(&incoming, "protocol = pickle\n");
    // carbon keeps what is not older than its retention.
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    let snapshot = incoming.stage(now);
    let printed = once(&incoming, &snapshot, &[]);
    let mut daemon = incoming.daemon();
    std::fs::rename(&snapshot, incoming.path().join(now.to_string())).unwrap();
    incoming.wait_until_empty();
    daemon.stop(SOON);
    let printed = lasting(printed.lines());
    assert!(printed.len() > 60);
    for line in printed {
        let [name, value, time] = line.split(' ').collect::<Vec<_>>()[..] else { panic!("{line}") };
        let (value, time): (f64, u64) = (value.parse().unwrap(), time.parse().unwrap());
        let point = poll(SOON, || carbon.points(name).get(&time).copied());
        assert_eq!(point, Some(value), "{line}");
    }
}

#[test]
fn series_are_counted_as_they_are_sent() {
    let incoming = Incoming::new(1, "aggr-server-metrics = true");
    let snapshot = snapshot(&incoming);
    let printed = once(&incoming, &snapshot, &[]);
    let names: BTreeSet<&str> = printed.lines().map(|line| line.split(' ').next().unwrap()).collect();
    let table = once(&incoming, &snapshot, &["--count"]);
    let row = |table: &str, family: &str| -> (usize, usize) {
        let row = table
            .lines()
            .find(|line| line.split_whitespace().next() == Some(family))
            .unwrap_or_else(|| panic!("{table}"));
        let [_, objects, series] = row.split_whitespace().collect::<Vec<_>>()[..] else { panic!("{row}") };
        (objects.parse().unwrap(), series.parse().unwrap())
    };
    assert_eq!(row(&table, "total").1, names.len(), "{table}{printed}");
    let of = |beginning: &str| names.iter().filter(|name| name.contains(beginning)).count();
    assert_eq!(row(&table, "frontend"), (1, of(".frontend.www.")));
    assert_eq!(row(&table, "server"), (1, of(".backend.app.server.s1.")));
    assert_eq!(row(&table, "server-total"), (1, of(".haproxy.server.s1.")));
    assert_eq!(row(&table, "haproxystats"), (1, of(".haproxystats.")));
    let text = std::fs::read_to_string(incoming.config()).unwrap();
    std::fs::write(incoming.config(), text.replace("[process]\n", "[process]\nskip-zero = true\n")).unwrap();
    let less = once(&incoming, &snapshot, &["--count"]);
    assert!(
        row(&less, "total").1 < row(&table, "total").1 && less.contains("counters that are 0 (skip-zero)"),
        "{less}"
    );
}

#[test]
fn an_archive_is_as_good_as_a_directory() {
    let graphite = Recorder::start();
    let incoming = Incoming::new(graphite.port(), "");
    append(&incoming, &format!("[archive]\ndir = {}\n", incoming.beside("archive").display()));
    let snapshot = snapshot(&incoming);
    let printed = once(&incoming, &snapshot, &[]);
    deliver(&incoming, &snapshot);
    let archive = incoming.beside("archive/2023-11-14").join(format!("{FIRST}.tar.zst"));
    let again = once(&incoming, &archive, &[]);
    assert_eq!(again.lines().collect::<BTreeSet<_>>(), lasting(printed.lines()));
    let mut wrong = with_config(process(), incoming.config());
    wrong.arg("--once").arg(incoming.beside("archive"));
    assert_eq!(harness::output(&mut wrong).unwrap().status.code(), Some(66));
}

#[test]
fn requests_are_printed_in_words() {
    for protocol in [Protocol::RemoteWrite, Protocol::Otlp] {
        let receiver = Receiver::start(protocol);
        let incoming = Incoming::without_graphite(&format!("{}max-samples-per-request = 20\n", receiver.section()));
        let snapshot = snapshot(&incoming);
        let printed = once(&incoming, &snapshot, &[]);
        deliver(&incoming, &snapshot);
        let (requests, samples): (Vec<&str>, Vec<&str>) = printed.lines().partition(|line| line.starts_with('#'));
        assert!(requests.len() > 2 && requests[0].starts_with("# request: 20 samples, "), "{requests:?}");
        let plain = |line: &str| line.replace("} ", " ");
        let samples: BTreeSet<String> = samples.into_iter().filter(|line| is_of_haproxy(line)).map(plain).collect();
        assert!(samples.len() > 10);
        assert_eq!(samples, receiver.of_haproxy());
    }
}

#[test]
fn without_a_destination_the_page_is_printed_and_served() {
    let port = free_port();
    let page = format!("[exporter:process]\nlisten = 127.0.0.1:{port}\nstatistics = true\n");
    let incoming = Incoming::without_graphite(&format!("workers = 1\n{page}"));
    let snapshot = snapshot(&incoming);
    let printed = once(&incoming, &snapshot, &[]);
    let sessions = format!("haproxy_frontend_sessions_total{{proxy=\"www\"}} {}\n", FIRST % 1000);
    assert!(
        printed.contains("# TYPE haproxy_frontend_sessions_total counter\n") && printed.contains(&sessions),
        "{printed}"
    );
    let heads = |text: &str| text.lines().filter(|line| line.starts_with("# TYPE")).count();
    let once_each: BTreeSet<&str> = printed.lines().filter(|line| line.starts_with("# TYPE")).collect();
    assert_eq!(heads(&printed), once_each.len());

    let mut daemon = incoming.daemon();
    std::fs::rename(&snapshot, incoming.path().join(FIRST.to_string())).unwrap();
    let request = "GET /metrics HTTP/1.0\r\n\r\n";
    wait_until(SOON, "the page", || exchange(port, request).is_some_and(|page| page.contains(&sessions)));
    wait_until(SOON, "a queue without snapshots", || snapshots(&incoming.path()).is_empty());
    daemon.stop(SOON);
}
