//! Messages of a topic of snapshots that are not taken: what becomes of them, and that all others are.

use crate::harness::fleet::{Fleet, INTERVAL, Writer};
use crate::harness::graphite::Recorder;
use crate::harness::incoming::{FIRST, Incoming};
use crate::harness::kafka::{Brokers, Points};
use crate::harness::{SOON, names, process, run, wait_until, with_config};
use crate::through_kafka::{TOPIC, assert_one_value_each, member, wait_for};

/// Values of a figure of the member, as they arrived.
fn figure(graphite: &Recorder, name: &str) -> f64 {
    let record = graphite.record();
    let wanted = format!(".haproxystats.{name} ");
    let values = record.lines.keys().filter(|line| line.contains(&wanted));
    values.filter_map(|line| line.split(' ').nth(1)?.parse::<f64>().ok()).fold(0.0, f64::max)
}

/// Copies of refused messages, by name.
fn set_aside(member: &Incoming) -> Vec<String> {
    names(&member.failed().join("kafka-source"))
}

#[test]
fn poison_is_counted_told_and_left_out() {
    let (brokers, graphite) = (Brokers::start(1), Recorder::start());
    brokers.create_topic(TOPIC, 1);
    let fleet = Fleet::new(2, 1);
    let writer = Writer::new(&brokers.address(), TOPIC);
    let (label, payload) = fleet.messages(0, FIRST, 1_000_000).remove(0);
    let headers = label.headers();
    let with = |name: &str, value: &str| {
        let changed =
            |(of, text): &(&'static str, String)| (*of, if *of == name { value.to_owned() } else { text.clone() });
        let headers: Vec<(&str, String)> = headers.iter().map(changed).collect();
        let headers: Vec<(&str, &str)> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
        writer.raw(Some(0), "k", &headers, payload.as_bytes());
    };
    writer.raw(Some(0), "k", &[], b"garbage");
    writer.raw(Some(0), "k", &[("haproxystats", "1")], b"garbage");
    with("haproxystats", "one");
    with("file", "../../evil_stat");
    with("time", "99999999999");
    with("size", "1");
    with("files", "0");
    // One host with two opinions of how many files it has: the first counts.
    let (of_one, text) = fleet.messages(1, FIRST, 1_000_000).remove(0);
    writer.part(&of_one, &text);
    let contradicts = haproxystats::parcel::Label { files: 3, ..of_one };
    writer.part(&contradicts, &text);
    writer.flush();
    let mut expected = Points::new();
    let member = member(&brokers.address(), graphite.port(), "");
    let mut daemon = member.daemon();
    for second in (0..4).map(|tick| FIRST + tick * INTERVAL) {
        writer.hosts(&fleet, 0..2, second);
        expected.extend(fleet.expected(0..2, second));
    }
    wait_for(&graphite, &expected, SOON);
    assert_one_value_each(&graphite);
    daemon.wait_for_output("header file is malformed", SOON);
    daemon.wait_for_output("header haproxystats is missing", SOON);
    daemon.wait_for_output("header files differs from other files of the host", SOON);
    let mut second = 4;
    wait_until(SOON, "the figure", || {
        writer.hosts(&fleet, 0..2, FIRST + second * INTERVAL);
        second += 1;
        figure(&graphite, "SourceRefused") >= 8.0
    });
    daemon.stop(SOON);
    assert!(!member.beside("evil_stat").exists());
    let copies = set_aside(&member);
    assert_eq!(copies.len(), 8, "{copies:?}");
    let copy = std::fs::read_to_string(member.failed().join("kafka-source/snapshots-0-3")).unwrap();
    let (head, rest) = copy.split_once("\n\n").unwrap();
    for line in ["topic snapshots", "partition 0", "offset 3", "reason header file", "header file ../../evil_stat"] {
        assert!(head.lines().any(|found| found.starts_with(line)), "{line}: {head}");
    }
    assert_eq!(rest, payload);
}

/// Compressed to nothing, and larger than anything that is taken: as the first messages of a partition, and in between.
#[test]
fn what_cannot_be_unpacked_is_passed_and_costs_no_memory() {
    let (brokers, graphite) = (Brokers::start(1), Recorder::start());
    brokers.create_topic(TOPIC, 2);
    let fleet = Fleet::new(2, 1);
    let mut writer = Writer::new(&brokers.address(), TOPIC);
    writer.partition = Some(1);
    let (mut expected, mut second) = (Points::new(), FIRST);
    let mut hosts = |writer: &Writer| {
        writer.hosts(&fleet, 0..2, second);
        expected.extend(fleet.expected(0..2, second));
        second += INTERVAL;
        expected.clone()
    };
    let blow = |writer: &Writer, messages: usize, size: usize| {
        let payload = vec![b'0'; size];
        (0..messages).for_each(|_| writer.raw(Some(1), "k", &[("haproxystats", "1")], &payload));
        writer.flush();
    };
    blow(&writer, 1, 300_000_000);
    hosts(&writer);
    let bounds = "librdkafka.message.max.bytes = 1000\nlibrdkafka.fetch.max.bytes = 100000\n\
                  librdkafka.fetch.message.max.bytes = 100000\nlibrdkafka.receive.message.max.bytes = 200000";
    let member = member(&brokers.address(), graphite.port(), &format!("cluster-deadline = 1\n{bounds}"));
    let mut daemon = member.daemon();
    wait_for(&graphite, &hosts(&writer), SOON);
    // Each of them too large by itself, and several in a set.
    blow(&writer, 20, 300_000);
    wait_for(&graphite, &hosts(&writer), SOON);
    assert!(daemon.rss_kib().unwrap() < 200_000, "{:?} KiB", daemon.rss_kib());
    wait_until(SOON, "the figure", || {
        hosts(&writer);
        figure(&graphite, "SourceRefused") >= 21.0
    });
    let copies = set_aside(&member);
    assert_eq!(copies.first().map(String::as_str), Some("snapshots-1-0"), "{copies:?}");
    let mut refused = 0;
    for name in copies {
        let copy = std::fs::read_to_string(member.failed().join("kafka-source").join(name)).unwrap();
        assert!(
            copy.contains("\nreason cannot be decompressed, or exceeds librdkafka.receive.message.max.bytes"),
            "{copy}"
        );
        let number = |name: &str| copy.lines().find_map(|line| line.strip_prefix(name)?.parse::<u64>().ok());
        let first = number("offset ").unwrap();
        refused += number("last-offset ").unwrap_or(first) - first + 1;
    }
    assert_eq!(refused, 21);
    assert!(daemon.output().contains("message refused and set aside"), "{}", daemon.output());
    daemon.stop(SOON);
}

/// An error of the disk says nothing about the message: it is neither lost nor does it cost other partitions anything.
#[test]
fn what_cannot_be_set_aside_holds_its_partition_alone() {
    let (brokers, graphite) = (Brokers::start(1), Recorder::start());
    brokers.create_topic(TOPIC, 2);
    let fleet = Fleet::new(4, 2);
    let mut writer = Writer::new(&brokers.address(), TOPIC);
    let member = member(&brokers.address(), graphite.port(), "cluster-deadline = 1");
    // Where copies go cannot be written to, not even by root.
    let blocks = [member.failed(), member.path().join(".failed")];
    blocks.iter().for_each(|path| std::fs::write(path, "").unwrap());
    writer.raw(Some(0), "k", &[], b"garbage");
    let (mut of_one, mut of_other) = (Points::new(), Points::new());
    for second in (0..3).map(|tick| FIRST + tick * INTERVAL) {
        for (partition, hosts, points) in [(0, [0, 2], &mut of_one), (1, [1, 3], &mut of_other)] {
            writer.partition = Some(partition);
            writer.hosts(&fleet, hosts, second);
            points.extend(fleet.expected(hosts, second));
        }
    }
    let mut daemon = member.daemon();
    daemon.wait_for_output("cannot set aside a refused message; its partition is stopped", SOON);
    wait_for(&graphite, &of_other, SOON);
    // It is not committed: the next start comes to it again.
    daemon.stop(SOON);
    let mut daemon = member.daemon();
    daemon.wait_for_output("cannot set aside a refused message", SOON);
    wait_for(&graphite, &of_other, SOON);
    blocks.iter().for_each(|path| std::fs::remove_file(path).unwrap());
    daemon.wait_for_output("refused messages can be set aside again", SOON);
    of_other.append(&mut of_one);
    wait_for(&graphite, &of_other, SOON);
    assert_eq!(set_aside(&member), ["snapshots-0-0"]);
    daemon.stop(SOON);
}

#[test]
fn a_later_version_waits_for_one_who_understands_it() {
    let (brokers, graphite) = (Brokers::start(1), Recorder::start());
    brokers.create_topic(TOPIC, 2);
    let fleet = Fleet::new(2, 1);
    let writer = Writer::new(&brokers.address(), TOPIC);
    writer.hosts(&fleet, 0..2, FIRST);
    let member = member(&brokers.address(), graphite.port(), "");
    let mut daemon = member.daemon();
    wait_for(&graphite, &fleet.expected(0..2, FIRST), SOON);
    let cluster = fleet.cluster(0).to_owned();
    writer.raw(None, &cluster, &[("haproxystats", "2"), ("later", "words")], b"?");
    writer.hosts(&fleet, 0..2, FIRST + INTERVAL);
    daemon.wait_for_output("version 2 of the format", SOON);
    daemon.stop(SOON);
    let mut daemon = member.daemon();
    daemon.wait_for_output("version 2 of the format", SOON);
    daemon.stop(SOON);
    let mut command = with_config(process(), member.config());
    command.args(["--check", "--ask"]);
    let (_, table) = run(command, SOON);
    assert!(table.contains("topic snapshots has 2 partitions; group haproxystats is "), "{table}");
    assert!(!table.contains("is 0 messages behind"), "{table}");
    wait_for(&graphite, &fleet.expected(0..2, FIRST), SOON);
}
