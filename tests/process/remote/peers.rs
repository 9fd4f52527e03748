//! Real receivers: what is read back through PromQL is what was sent, sample by sample, and what HAProxy said.

use super::expected;
use crate::harness::collector::Collector;
use crate::harness::incoming::{FIRST, Incoming, snapshots};
use crate::harness::receiver::Receiver;
use crate::harness::site::Site;
use crate::harness::stores::{Kind, Point, Store};
use crate::harness::{Daemon, SOON, process, pull, wait_for, wait_until, with_config, write};
use haproxystats::prometheus::request::Protocol;
use std::collections::{BTreeMap, BTreeSet};

/// Samples as a store tells of them, from how our receiver shows them. A store knows no labels without a value.
fn points(samples: &BTreeSet<String>) -> BTreeSet<Point> {
    samples.iter().map(|sample| point(sample)).collect()
}

fn point(sample: &str) -> Point {
    let (series, rest) =
        sample.rsplit_once(' ').map(|(rest, time)| (rest, time.parse().unwrap())).unwrap_or_else(|| panic!("{sample}"));
    let (series, value) =
        series.rsplit_once(' ').map(|(series, value)| (series, value.parse::<f64>().unwrap())).unwrap();
    let (name, labels) = series.split_once('{').unwrap_or((series, ""));
    let mut labels: Vec<&str> = labels.split("\",").map(|label| label.trim_end_matches(['"', '}'])).collect();
    labels.retain(|label| !label.is_empty() && !label.ends_with('='));
    labels.sort_unstable();
    let labels: Vec<String> = labels.into_iter().map(|label| format!("{label}\"")).collect();
    (format!("{name}{{{}}}", labels.join(",")), rest, value.to_bits())
}

#[track_caller]
fn assert_same(found: &BTreeSet<Point>, wanted: &BTreeSet<Point>) {
    let (lost, foreign) = (wanted.difference(found).next(), found.difference(wanted).next());
    assert!(lost.is_none() && foreign.is_none(), "{} of {}: {lost:?} {foreign:?}", found.len(), wanted.len());
}

#[test]
fn every_sample_of_remote_write_is_read_back_though_the_receiver_was_away() {
    let wanted = points(&expected(Protocol::RemoteWrite, 0..40));
    for kind in [Kind::Prometheus, Kind::VictoriaMetrics] {
        let Some(mut store) = Store::start(kind) else { return };
        let setup = Incoming::without_graphite(&format!("workers = 3\n{}", store.remote_write()));
        let mut daemon = setup.daemon();
        setup.publish(0..10);
        setup.wait_until_empty();
        store.end();
        setup.publish(10..40);
        daemon.wait_for_output("requests are not accepted; snapshots wait on disk", SOON);
        store.run();
        setup.wait_until_empty();
        assert_same(&store.points("haproxy_", FIRST - 1, FIRST + 100), &wanted);
        let output = daemon.output();
        assert!(!output.contains("refuses some samples"), "{output}");
        daemon.stop(SOON);
    }
}

/// Messages of Kafka with lines of Prometheus' text format have the samples of remote write.
#[cfg(feature = "kafka")]
#[test]
fn every_sample_of_messages_is_read_back() {
    use crate::harness::kafka::{Brokers, Message, Reader};
    let wanted = points(&expected(Protocol::RemoteWrite, 0..20));
    let Some(store) = Store::start(Kind::VictoriaMetrics) else { return };
    let brokers = Brokers::start(1);
    brokers.create_topic("stats", 4);
    let Some(reader) = Reader::start(&brokers.address(), "stats") else { return };
    let setup = Incoming::without_graphite(&format!(
        "workers = 2\n[kafka]\nbrokers = {}\ntopic = stats\nformat = prometheus\nmax-message-size = 2000\n",
        brokers.address()
    ));
    let mut daemon = setup.daemon();
    setup.publish(0..20);
    setup.wait_until_empty();
    daemon.stop(SOON);
    let of_haproxy = |message: Message| message.payload.lines().filter(|line| line.starts_with("haproxy_")).count();
    wait_until(SOON, "all samples", || reader.messages().into_iter().map(of_haproxy).sum::<usize>() >= wanted.len());
    for message in reader.messages() {
        assert!(message.payload.len() <= 2000, "{message:?}");
        store.import(&message.payload);
    }
    assert_same(&store.points("haproxy_", FIRST - 1, FIRST + 100), &wanted);
}

#[test]
fn every_sample_of_otlp_is_read_back() {
    let wanted: BTreeMap<(String, i64), Vec<u64>> = by_name(&points(&expected(Protocol::Otlp, 0..20)));
    let Some(store) = Store::start(Kind::VictoriaMetrics) else { return };
    let setup = Incoming::without_graphite(&format!("workers = 2\n{}", store.otlp()));
    let mut daemon = setup.daemon();
    setup.publish(0..20);
    setup.wait_until_empty();
    // What becomes of attributes is up to the receiver.
    let found = by_name(&store.points("haproxy_", FIRST - 1, FIRST + 100));
    assert_eq!(found, wanted);
    daemon.stop(SOON);
}

#[test]
fn every_point_of_otlp_is_handed_on_by_a_collector() {
    let wanted = expected(Protocol::Otlp, 0..20);
    let receiver = Receiver::start(Protocol::Otlp);
    let Some(collector) = Collector::start(&receiver) else { return };
    let setup = Incoming::without_graphite(&format!("workers = 2\n{}", collector.section()));
    let mut daemon = setup.daemon();
    setup.publish(0..20);
    setup.wait_until_empty();
    wait_until(SOON, "all points", || receiver.of_haproxy().len() >= wanted.len());
    assert_eq!(receiver.of_haproxy(), wanted);
    daemon.stop(SOON);
}

/// Values by name and time, in order.
fn by_name(points: &BTreeSet<Point>) -> BTreeMap<(String, i64), Vec<u64>> {
    let mut values: BTreeMap<(String, i64), Vec<u64>> = BTreeMap::new();
    for (series, time, value) in points {
        let name = series.split('{').next().unwrap_or_default().to_owned();
        values.entry((name, *time)).or_default().push(*value);
    }
    values.values_mut().for_each(|values| values.sort_unstable());
    values
}

/// Fields of `show stat`, the names that HAProxy's exporter has for them, and a label beside the proxy and the server.
const FIELDS: [(&str, &str, &str); 14] = [
    ("stot", "sessions_total", ""),
    ("scur", "current_sessions", ""),
    ("smax", "max_sessions", ""),
    ("bin", "bytes_in_total", ""),
    ("bout", "bytes_out_total", ""),
    ("ereq", "request_errors_total", ""),
    ("econ", "connection_errors_total", ""),
    ("wretr", "retry_warnings_total", ""),
    ("qcur", "current_queue", ""),
    ("hrsp_2xx", "http_responses_total", "code=\"2xx\""),
    ("hrsp_4xx", "http_responses_total", "code=\"4xx\""),
    ("hrsp_5xx", "http_responses_total", "code=\"5xx\""),
    ("dreq", "requests_denied_total", ""),
    ("lbtot", "loadbalanced_total", ""),
];

#[test]
fn what_haproxy_says_is_what_a_store_answers() {
    let Some(store) = Store::start(Kind::Prometheus) else { return };
    assert_said(&store.remote_write(), |first, last, _| store.points("haproxy_", first - 1, last));
}

#[test]
fn what_haproxy_says_is_what_a_collector_hands_on() {
    let receiver = Receiver::start(Protocol::Otlp);
    let Some(collector) = Collector::start(&receiver) else { return };
    assert_said(&collector.section(), |_, _, objects| {
        // What it has accepted it may not have handed on yet.
        wait_for(SOON, "the points of all objects", || {
            let found = points(&receiver.of_haproxy());
            let sessions = found.iter().filter(|(series, ..)| series.contains("_sessions_total{"));
            (sessions.count() >= objects).then_some(found)
        })
    });
}

/// What HAProxy has said, snapshot by snapshot, is what is `found` with the destination of this section, between the first second
/// and the last; so many rows were about an object.
#[track_caller]
fn assert_said(section: &str, found: impl FnOnce(u64, u64, usize) -> BTreeSet<Point>) {
    let site = Site::start(1, 0);
    for (frontend, path) in [("www", "/"), ("www", "/a"), ("www", "/fail"), ("api.v1", "/")] {
        site.request(0, frontend, path);
    }
    let directory = tempfile::tempdir().unwrap();
    let base = directory.path().display();
    for name in ["incoming", "incoming.tmp"] {
        std::fs::create_dir(directory.path().join(name)).unwrap();
    }
    let text = format!(
        "[pull]\nsocket-dir = {sockets}\npull-interval = 1\ndst-dir = {base}/incoming\ntmp-dst-dir = {base}/incoming.tmp\n\
         [process]\nsrc-dir = {base}/incoming\nworkers = 2\n[graphite]\nenabled = false\n{section}",
        sockets = site.socket_dir().display(),
    );
    let config = write(directory.path(), "haproxystats.conf", text);
    let incoming = directory.path().join("incoming");
    let mut pulls = Daemon::spawn(with_config(pull(), &config));
    wait_until(SOON, "some snapshots", || snapshots(&incoming).len() >= 3);
    pulls.stop(SOON);
    let said: Vec<(u64, Vec<BTreeMap<String, String>>)> = snapshots(&incoming)
        .iter()
        .map(|name| {
            let files = crate::harness::names(&incoming.join(name));
            let stat = files.iter().find(|file| file.ends_with("_stat")).unwrap();
            let rows = rows(&std::fs::read_to_string(incoming.join(name).join(stat)).unwrap());
            (name.parse().unwrap(), rows.into_iter().filter(|row| kind(row).is_some()).collect())
        })
        .collect();
    let mut daemon = Daemon::spawn(with_config(process(), &config));
    wait_until(SOON, "an empty queue", || snapshots(&incoming).is_empty());

    let objects: usize = said.iter().map(|(_, rows)| rows.len()).sum();
    let found = found(said.first().unwrap().0, said.last().unwrap().0, objects);
    let mut compared = 0;
    for (epoch, row) in said.iter().flat_map(|(epoch, rows)| rows.iter().map(move |row| (epoch, row))) {
        let kind = kind(row).unwrap();
        for (field, name, label) in FIELDS {
            let Some(value) = row.get(field).filter(|value| !value.is_empty()) else { continue };
            let name = format!("haproxy_{kind}_{name}{{");
            let is_it = |(series, time, _): &&Point| {
                let server = format!("server=\"{}\"", row["svname"]);
                series.starts_with(&name)
                    && *time == i64::try_from(epoch * 1000).unwrap()
                    && series.contains(&format!("proxy=\"{}\"", row["pxname"]))
                    && (kind != "server" || series.contains(&server))
                    && series.contains(label)
            };
            let Some((series, _, bits)) = found.iter().find(is_it) else { continue };
            assert_eq!(f64::from_bits(*bits), value.parse::<f64>().unwrap(), "{series}");
            compared += 1;
        }
    }
    assert!(compared > 8 * objects, "{compared} values of {objects} objects");
    daemon.stop(SOON);
}

/// What a row of `show stat` is about, as names of metrics have it.
fn kind(row: &BTreeMap<String, String>) -> Option<&'static str> {
    match row["type"].as_str() {
        "0" => Some("frontend"),
        "1" => Some("backend"),
        "2" => Some("server"),
        _ => None,
    }
}

fn rows(reply: &str) -> Vec<BTreeMap<String, String>> {
    let text = reply.strip_prefix("# ").expect("show stat starts with its header");
    let mut reader = csv::Reader::from_reader(text.as_bytes());
    reader.deserialize().map(|row| row.expect("a row of show stat")).collect()
}

#[test]
fn our_receiver_refuses_what_prometheus_refuses() {
    // The tests with our own prove something as far as it is as strict as this one.
    let Some(store) = Store::start(Kind::Prometheus) else { return };
    let ours = Receiver::start(Protocol::RemoteWrite);
    let mut told = Vec::new();
    for section in [store.remote_write(), ours.section()] {
        let setup = Incoming::without_graphite(&format!("workers = 1\n{section}"));
        let mut daemon = setup.daemon();
        setup.publish([50]);
        setup.wait_until_empty();
        setup.publish([10]);
        daemon.wait_for_output("out of order sample", SOON);
        setup.wait_until_empty();
        let text =
            std::fs::read_to_string(setup.failed().join("remote-write").join(format!("{}.txt", FIRST + 10))).unwrap();
        told.push(text.lines().filter(|line| line.starts_with("haproxy_")).map(str::to_owned).collect::<BTreeSet<_>>());
        daemon.stop(SOON);
    }
    assert!(!told[0].is_empty() && told[0] == told[1]);
}
