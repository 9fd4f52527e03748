//! Snapshots through Kafka: a producer that sends files as they are, members of a group that put them together, and what arrives
//! in Graphite, which must be what one process sends that has all of it.

use crate::harness::fleet::{Fleet, INTERVAL, Writer};
use crate::harness::graphite::Recorder;
use crate::harness::incoming::{FIRST, Incoming, snapshots};
use crate::harness::kafka::{Brokers, Points, Tansu, missing, points_of_lines};
use crate::harness::{Daemon, SOON, names, poll, run, wait_until, with_config};
use nix::sys::signal::Signal;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use rdkafka::{ClientConfig, Offset, TopicPartitionList};
use serde_json::Value;
use std::time::{Duration, Instant};

pub const TOPIC: &str = "snapshots";

/// A member of the group, and what is beside it. The deadline is one that is not reached.
pub fn member(brokers: &str, graphite: u16, options: &str) -> Incoming {
    Incoming::new(
        graphite,
        &format!(
            "source = kafka\nworkers = 1\ncluster-metrics = true\n[kafka-source]\nbrokers = {brokers}\ntopic = {TOPIC}\n\
             librdkafka.session.timeout.ms = 6000\nlibrdkafka.heartbeat.interval.ms = 500\n\
             librdkafka.reconnect.backoff.max.ms = 200\nlibrdkafka.topic.metadata.refresh.interval.ms = 300\n{options}\n"
        ),
    )
}

/// What has arrived, without figures about haproxystats itself: of each point the value that is expected, if it is among those that
/// came. A roll-up may have come before of the hosts that were there in time; the last one is that of all.
pub fn arrived(graphite: &Recorder, expected: &Points) -> Points {
    let record = graphite.record();
    assert_eq!(record.malformed, Vec::<String>::new());
    let mut points = Points::new();
    for (line, count) in record.lines.iter().filter(|(line, _)| !line.contains(".haproxystats.")) {
        for (point, (value, _)) in points_of_lines([line.as_str()]) {
            let right = missing(&Points::from([(point.clone(), (value, 1))]), expected).is_empty();
            let known = points.entry(point).or_insert((value, 0));
            known.0 = if right { value } else { known.0 };
            known.1 += count;
        }
    }
    points
}

/// Waits until every point is there with its value, and nothing that none implies.
#[track_caller]
pub fn wait_for(graphite: &Recorder, expected: &Points, limit: Duration) -> Points {
    let there = poll(limit, || missing(expected, &arrived(graphite, expected)).is_empty().then_some(()));
    let arrived = arrived(graphite, expected);
    let lost = missing(expected, &arrived);
    assert!(there.is_some(), "{} of {} points are missing or wrong: {:?}", lost.len(), expected.len(), lost.first());
    let foreign: Vec<&String> = arrived.keys().filter(|point| !expected.contains_key(*point)).collect();
    assert!(foreign.is_empty(), "{} points that no snapshot implies: {:?}", foreign.len(), foreign.first());
    arrived
}

/// No point of a host has come with two values.
#[track_caller]
pub fn assert_one_value_each(graphite: &Recorder) {
    let record = graphite.record();
    let mut values = std::collections::BTreeMap::new();
    for line in record.lines.keys().filter(|line| !line.contains(".haproxystats.") && !line.contains(".cluster.")) {
        let words: Vec<&str> = line.split(' ').collect();
        let other = values.insert((words[0], words[2]), words[1]);
        assert_eq!(other, None, "{line}");
    }
}

#[test]
fn what_goes_through_kafka_is_what_one_process_sends() {
    for options in ["", "max-message-size = 1000\ncompression = none"] {
        let (brokers, graphite) = (Brokers::start(2), Recorder::start());
        brokers.create_topic(TOPIC, 4);
        let fleet = Fleet::new(10, 2);
        let edges: Vec<Incoming> = (0..2)
            .map(|_| {
                Incoming::without_graphite(&format!(
                    "workers = 2\n{}\n[kafka]\nformat = snapshot\nbrokers = {}\ntopic = {TOPIC}\n{options}\n",
                    fleet.hosts_section(),
                    brokers.address()
                ))
            })
            .collect();
        let member = member(&brokers.address(), graphite.port(), "");
        let mut daemons: Vec<Daemon> = edges.iter().chain([&member]).map(Incoming::daemon).collect();
        let mut expected = Points::new();
        for second in (0..5).map(|tick| FIRST + tick * INTERVAL) {
            for (edge, hosts) in edges.iter().zip([0..6, 6..10]) {
                let staged = edge.beside("incoming.tmp").join(second.to_string());
                std::fs::create_dir(&staged).unwrap();
                fleet.fill(&staged, hosts, second);
                std::fs::write(staged.join(".pull"), "PullTicks 7\n").unwrap();
                std::fs::rename(&staged, edge.path().join(second.to_string())).unwrap();
            }
            expected.extend(fleet.expected(0..10, second));
        }
        // A snapshot carries its past: any member has the counters of processes that are gone.
        let sessions = |host: &str| expected[&format!("lb.{host}.haproxy.frontend.www.stot {FIRST}")].0;
        assert!(sessions("lb-002") > 1_000_000.0 && sessions("lb-001") < 1_000_000.0);
        edges.iter().for_each(Incoming::wait_until_empty);
        wait_for(&graphite, &expected, SOON);
        assert_one_value_each(&graphite);
        let ticks = |line: &String| line.contains(".haproxystats.PullTicks 7 ");
        wait_until(SOON, "what pull says of itself there", || graphite.record().lines.keys().any(ticks));
        wait_until(SOON, "an empty directory", || snapshots(&member.path()).is_empty());
        for daemon in &mut daemons {
            daemon.stop(SOON);
        }
        // What was delivered is committed: another start has nothing to do.
        let before = graphite.record().lines.values().map(|count| *count as usize).sum::<usize>();
        let mut daemon = member.daemon();
        daemon.wait_for_output("partitions assigned", SOON);
        Writer::new(&brokers.address(), TOPIC).hosts(&fleet, 0..10, FIRST + 5 * INTERVAL);
        expected.extend(fleet.expected(0..10, FIRST + 5 * INTERVAL));
        wait_for(&graphite, &expected, SOON);
        daemon.stop(SOON);
        let own = graphite.record().lines.keys().filter(|line| line.contains(".haproxystats.")).count();
        let after = graphite.record().lines.values().map(|count| *count as usize).sum::<usize>();
        // Roll-ups of the last minute could be made again, and come once more.
        assert!(after <= 2 * before + own + expected.len(), "{before} lines, then {after}");
    }
}

#[test]
fn while_graphite_is_away_snapshots_wait_in_kafka() {
    let (brokers, mut graphite) = (Brokers::start(1), Recorder::away());
    brokers.create_topic(TOPIC, 2);
    let fleet = Fleet::new(4, 2);
    let writer = Writer::new(&brokers.address(), TOPIC);
    let member = member(&brokers.address(), graphite.port(), "queue-size = 3");
    let mut daemon = member.daemon();
    let mut expected = Points::new();
    for second in (0..30).map(|tick| FIRST + tick * INTERVAL) {
        writer.hosts(&fleet, 0..4, second);
        expected.extend(fleet.expected(0..4, second));
    }
    daemon.wait_for_output("partitions paused until they are delivered", SOON);
    assert!(snapshots(&member.path()).len() <= 3, "{:?}", names(&member.path()));
    // Killed with what is not committed; the next start reads it again.
    daemon.signal(Signal::SIGKILL);
    daemon.wait(SOON);
    let mut daemon = member.daemon();
    daemon.wait_for_output("they are read from Kafka again", SOON);
    graphite.come_back();
    wait_for(&graphite, &expected, SOON);
    assert_one_value_each(&graphite);
    // There was room after each snapshot that was delivered.
    let log = daemon.output();
    assert_eq!(log.matches("partitions paused until they are delivered").count(), 1, "{log}");
    wait_until(SOON, "an end of that", || daemon.output().contains("src-dir has room again"));
    daemon.stop(SOON);
}

#[test]
fn a_host_that_is_late_is_added_to_its_cluster() {
    let (brokers, graphite) = (Brokers::start(1), Recorder::start());
    brokers.create_topic(TOPIC, 1);
    let fleet = Fleet::new(4, 2);
    let writer = Writer::new(&brokers.address(), TOPIC);
    let member = member(&brokers.address(), graphite.port(), "cluster-deadline = 1");
    let mut daemon = member.daemon();
    for tick in 0..2 {
        writer.hosts(&fleet, 0..4, FIRST + tick * INTERVAL);
    }
    let second = FIRST + 2 * INTERVAL;
    writer.hosts(&fleet, 1..4, second);
    let mut expected = fleet.expected(0..4, FIRST);
    expected.extend(fleet.expected(0..4, FIRST + INTERVAL));
    let mut without = expected.clone();
    without.extend(fleet.expected(1..4, second));
    wait_for(&graphite, &without, SOON);
    wait_until(SOON, "the missing host is counted", || {
        let line = format!("ClusterHostsMissing 1 {second}");
        graphite.record().lines.keys().any(|found| found.ends_with(&line) && found.contains(".c0."))
    });
    // The last value of a point is what Graphite has.
    writer.hosts(&fleet, 0..1, second);
    expected.extend(fleet.expected(0..4, second));
    let lines = |points: &Points, graphite: &Recorder| {
        let record = graphite.record();
        let there = |(point, (value, _)): (&String, &(f64, u32))| {
            let (path, time) = point.split_once(' ').unwrap();
            record.lines.keys().any(|line| {
                let words: Vec<&str> = line.split(' ').collect();
                words[0] == path && words[2] == time && words[1].parse::<f64>().unwrap() == *value
            })
        };
        points.iter().all(there)
    };
    wait_until(SOON, "the roll-up of all four", || lines(&fleet.expected(0..4, second), &graphite));
    let record = graphite.record();
    let of_other = |line: &&String| line.contains(".c1.") && line.ends_with(&format!(" {second}"));
    assert!(record.lines.iter().filter(|(line, _)| of_other(line)).all(|(_, count)| *count == 1));
    daemon.stop(SOON);
}

/// How often partitions came to a member or went away.
fn rebalances_of(daemon: &Daemon) -> usize {
    daemon.output().matches("partitions assigned").count()
}

/// Two hundred hosts send something every five seconds for two minutes. With `HAPROXYSTATS_LONG_RUN`, each second for so many seconds.
#[test]
fn members_that_die_lose_nothing_and_make_no_roll_up_of_a_part() {
    let long = std::env::var("HAPROXYSTATS_LONG_RUN").ok().map(|text| text.parse::<u64>().unwrap());
    let (seconds, pace) = long.map_or((120, 5), |seconds| (seconds, 1));
    let (brokers, graphite) = (Brokers::start(3), Recorder::start());
    brokers.create_topic(TOPIC, 6);
    let fleet = Fleet::new(200, 5);
    let writer = Writer::new(&brokers.address(), TOPIC);
    let members: Vec<Incoming> =
        (0..3).map(|_| member(&brokers.address(), graphite.port(), "cluster-deadline = 8")).collect();
    let mut daemons: Vec<Daemon> = members.iter().map(Incoming::daemon).collect();
    let mut expected = Points::new();
    let mut random = fastrand::Rng::with_seed(22);
    let (begun, mut deaths, mut rebalances) = (Instant::now(), 0, 0);
    for elapsed in 0..seconds {
        if elapsed % pace == 0 {
            let second = FIRST + elapsed / pace * INTERVAL;
            // Not in order, and some of the next second before the rest of this one.
            let mut hosts: Vec<usize> = (0..fleet.len()).collect();
            random.shuffle(&mut hosts);
            writer.hosts(&fleet, hosts, second);
            expected.extend(fleet.expected(0..fleet.len(), second));
        }
        if elapsed % 8 == 5 {
            let dies = random.usize(0..3);
            rebalances += rebalances_of(&daemons[dies]);
            deaths += 1;
            daemons[dies].signal(Signal::SIGKILL);
            daemons[dies].wait(SOON);
            daemons[dies] = members[dies].daemon();
        }
        std::thread::sleep(Duration::from_secs(elapsed + 1).saturating_sub(begun.elapsed()));
    }
    let arrived = wait_for(&graphite, &expected, 2 * SOON);
    assert_one_value_each(&graphite);
    let again: u64 = arrived.values().map(|(_, times)| u64::from(*times) - 1).sum();
    rebalances += daemons.iter().map(rebalances_of).sum::<usize>();
    println!(
        "{} points, 0 lost, 0 wrong, {again} came again; {deaths} deaths, partitions came or went {rebalances} times",
        arrived.len()
    );
    daemons.iter_mut().for_each(|daemon| daemon.stop(SOON));
}

/// A broker that shares no code with the client: groups, notes of commits, headers and zstd as another one understands them.
#[test]
fn an_independent_broker_understands_it_too() {
    let Some(broker) = Tansu::start() else { return };
    broker.create_topic(TOPIC, 3);
    let graphite = Recorder::start();
    let fleet = Fleet::new(12, 3);
    let edge = Incoming::without_graphite(&format!(
        "workers = 1\n{}\n[kafka]\nformat = snapshot\nbrokers = {}\ntopic = {TOPIC}\nmax-message-size = 1000\n",
        fleet.hosts_section(),
        broker.address()
    ));
    let members: Vec<Incoming> =
        (0..2).map(|_| member(broker.address(), graphite.port(), "cluster-deadline = 8")).collect();
    let mut daemons: Vec<Daemon> = members.iter().map(Incoming::daemon).collect();
    let mut sender = edge.daemon();
    let mut expected = Points::new();
    for tick in 0..20 {
        let second = FIRST + tick * INTERVAL;
        let staged = edge.beside("incoming.tmp").join(second.to_string());
        std::fs::create_dir(&staged).unwrap();
        fleet.fill(&staged, 0..12, second);
        std::fs::rename(&staged, edge.path().join(second.to_string())).unwrap();
        expected.extend(fleet.expected(0..12, second));
        edge.wait_until_empty();
        if tick == 10 {
            daemons[0].signal(Signal::SIGKILL);
            daemons[0].wait(SOON);
            daemons[0] = members[0].daemon();
        }
    }
    wait_for(&graphite, &expected, 2 * SOON);
    assert_one_value_each(&graphite);
    sender.stop(SOON);
    daemons.iter_mut().for_each(|daemon| daemon.stop(SOON));
}

/// Otherwise no member would know behind a gate what another one has settled.
#[test]
fn the_gate_keeps_the_metadata_of_offsets_that_tansu_forgets() {
    let Some((broker, _gate)) = Tansu::start_behind_gate() else { return };
    broker.create_topic(TOPIC, 1);
    let consumer = || -> BaseConsumer {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", broker.address()).set("group.id", "haproxystats");
        config.create().unwrap()
    };
    let list = |offset: Option<i64>| {
        let mut list = TopicPartitionList::new();
        let mut element = list.add_partition(TOPIC, 0);
        if let Some(offset) = offset {
            element.set_offset(Offset::Offset(offset)).unwrap();
            element.set_metadata("settled=1700000000");
        }
        list
    };
    consumer().commit(&list(Some(7)), CommitMode::Sync).unwrap();
    let found = consumer().committed_offsets(list(None), SOON).unwrap();
    let found: Vec<_> = found.elements().iter().map(|one| (one.offset(), one.metadata().to_owned())).collect();
    assert_eq!(found, [(Offset::Offset(7), "settled=1700000000".to_owned())]);
}

#[test]
fn the_status_of_a_member_says_where_it_is() {
    let (brokers, mut graphite) = (Brokers::start(1), Recorder::away());
    brokers.create_topic(TOPIC, 2);
    let fleet = Fleet::new(2, 1);
    let mut writer = Writer::new(&brokers.address(), TOPIC);
    writer.partition = Some(1);
    writer.raw(Some(1), "k", &[], b"garbage");
    let member = member(&brokers.address(), graphite.port(), "cluster-deadline = 1");
    let status = |option: &[&str]| {
        let mut command = with_config(crate::harness::process(), member.config());
        command.arg("--status").args(option);
        run(command, SOON).1
    };
    let group = || serde_json::from_str::<Value>(&status(&["--json"])).unwrap()["group"].clone();
    assert_eq!(group(), Value::Null);
    let mut daemon = member.daemon();
    writer.hosts(&fleet, 0..2, FIRST);
    wait_until(SOON, "two hosts assembled", || group()["assembled"] == 2);
    let found = group();
    for (name, value) in [("group", "haproxystats"), ("topic", TOPIC)] {
        assert_eq!(found[name], value, "{found}");
    }
    assert_eq!(found["partitions"], serde_json::json!([0, 1]));
    for (name, value) in [("refused", 1), ("incomplete", 0), ("late", 0), ("partitions_held", 0)] {
        assert_eq!(found[name], value, "{name}: {found}");
    }
    // Not of this decade; read, and not delivered.
    assert!(found["oldest_age_seconds"].as_u64().unwrap() > 10_000_000, "{found}");
    let text = status(&[]);
    let brokers_row = format!("kafka-source           {} accepts connections\n", brokers.address());
    for words in
        ["group                  haproxystats of topic snapshots\n", "partitions             0, 1\n", &brokers_row]
    {
        assert!(text.contains(words), "{text}");
    }
    assert!(text.contains("oldest undelivered snapshot "), "{text}");
    graphite.come_back();
    wait_until(SOON, "nothing that waits", || group()["oldest_age_seconds"].is_null());
    daemon.stop(SOON);
}

#[test]
fn the_check_says_what_is_wrong_with_the_source() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::create_dir(directory.path().join("in")).unwrap();
    let check = |text: &str| {
        let text = format!("[process]\nsrc-dir = {}/in\n{text}\n", directory.path().display());
        let mut command =
            with_config(crate::harness::process(), &crate::harness::write(directory.path(), "x.conf", text));
        command.arg("--check");
        let (status, output) = run(command, SOON);
        (status.code(), output)
    };
    for (text, words) in [
        ("source = kafka", "needs the section [kafka-source]"),
        ("source = rabbit", "[process] source"),
        ("source = kafka\n[kafka-source]\ngroup =", "[kafka-source] group"),
        ("source = kafka\n[kafka-source]\nbuffer-size = 10", "[kafka-source] buffer-size"),
        ("source = kafka\n[kafka-source]\nlibrdkafka.enable.auto.commit = true", "offsets are committed when"),
        ("source = kafka\n[kafka-source]\nlibrdkafka.group.id = x", "write group of [kafka-source] instead"),
        ("source = kafka\n[kafka-source]\nsasl-mechanism = PLAIN", "needs sasl-username and sasl-password-file"),
    ] {
        let (code, output) = check(text);
        assert_eq!(code, Some(78), "{text}: {output}");
        assert!(output.contains(words), "{text}: {output}");
    }
    let (code, output) = check("[kafka-source]\ntopic = t");
    assert!(code == Some(0) && output.contains("has no effect without source = kafka"), "{output}");
    let (code, output) = check("source = kafka\n[kafka-source]\ntopic = t");
    assert!(code == Some(0) && !output.contains("warning"), "{output}");
}
