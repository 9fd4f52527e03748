//! A topic that is replayed: what arrives is what the member of the group has sent, and the group does not notice.

use crate::harness::fleet::{Fleet, INTERVAL, Writer};
use crate::harness::graphite::Recorder;
use crate::harness::incoming::{FIRST, Incoming, snapshots};
use crate::harness::kafka::{Brokers, Points, Tansu};
use crate::harness::{Daemon, SOON, process, run, wait_until, with_config};
use crate::through_kafka::{TOPIC, assert_one_value_each, member, wait_for};
use nix::sys::signal::Signal;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::{ClientConfig, TopicPartitionList};
use std::collections::BTreeSet;
use std::process::Command;
use std::time::{Duration, Instant};

const PARTITIONS: i32 = 3;

fn replay(member: &Incoming, to: &Recorder, more: &[&str]) -> Command {
    let mut command = with_config(process(), member.config());
    command.args(["--replay", &format!("kafka:{TOPIC}"), "--to-graphite", &format!("127.0.0.1:{}", to.port())]);
    command.args(more);
    command
}

/// Lines but those that the program says of itself.
fn lines(graphite: &Recorder) -> BTreeSet<String> {
    graphite.record().lines.into_keys().filter(|line| !line.contains(".haproxystats.")).collect()
}

/// A roll-up of a part of the hosts would be another value of the same point.
#[track_caller]
fn assert_no_roll_up_of_a_part(graphite: &Recorder) {
    let all = lines(graphite);
    let points: BTreeSet<String> = all.iter().map(|line| line.split(' ').step_by(2).collect()).collect();
    assert_eq!(points.len(), all.len(), "a roll-up of a part of the hosts");
}

/// What the group has committed.
fn committed(brokers: &str) -> Vec<String> {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", brokers).set("group.id", "haproxystats");
    let consumer: BaseConsumer = config.create().unwrap();
    let mut list = TopicPartitionList::new();
    for partition in 0..PARTITIONS {
        list.add_partition(TOPIC, partition);
    }
    let found = consumer.committed_offsets(list, Duration::from_secs(10)).unwrap();
    found.elements().iter().map(|one| format!("{} {:?} {}", one.partition(), one.offset(), one.metadata())).collect()
}

#[test]
fn what_is_replayed_is_what_the_member_has_sent() {
    let Some(broker) = Tansu::start() else { return };
    broker.create_topic(TOPIC, PARTITIONS);
    let (first, second, third) = (Recorder::start(), Recorder::start(), Recorder::start());
    let fleet = Fleet::new(12, 3);
    let seconds: Vec<u64> = (0..10).map(|tick| FIRST + tick * INTERVAL).collect();
    let edge = Incoming::without_graphite(&format!(
        "workers = 1\n{}\n[kafka]\nformat = snapshot\nbrokers = {}\ntopic = {TOPIC}\nmax-message-size = 1000\n",
        fleet.hosts_section(),
        broker.address()
    ));
    let live = member(broker.address(), first.port(), "cluster-deadline = 2");
    let (mut sender, mut daemon) = (edge.daemon(), live.daemon());
    let mut expected = Points::new();
    for second in &seconds {
        let staged = edge.beside("incoming.tmp").join(second.to_string());
        std::fs::create_dir(&staged).unwrap();
        fleet.fill(&staged, 0..12, *second);
        std::fs::write(staged.join(".pull"), "PullTicks 7\n").unwrap();
        std::fs::rename(&staged, edge.path().join(second.to_string())).unwrap();
        expected.extend(fleet.expected(0..12, *second));
    }
    edge.wait_until_empty();
    sender.stop(SOON);
    wait_for(&first, &expected, SOON);
    wait_until(SOON, "an empty directory", || snapshots(&live.path()).is_empty());
    wait_until(SOON, "a commit", || committed(broker.address()).iter().any(|place| place.contains(" Offset(")));
    daemon.stop(SOON);
    let before = committed(broker.address());
    let (status, output) = run(replay(&live, &second, &[]), 2 * SOON);
    assert!(status.success(), "{output}");
    assert_eq!(committed(broker.address()), before, "a replay commits nothing");
    let mut daemon = live.daemon();
    daemon.wait_for_output("partitions assigned", SOON);
    wait_for(&second, &expected, SOON);
    assert_eq!(lines(&second), lines(&first));
    let ticks = |line: &&String| line.contains(".haproxystats.PullTicks 7 ");
    assert_eq!(
        second.record().lines.keys().filter(ticks).count(),
        seconds.len(),
        "one edge, and no word of the replay"
    );

    // A span, while messages are written.
    let writer = Writer::new(broker.address(), TOPIC);
    writer.hosts(&fleet, 0..12, FIRST + 10 * INTERVAL);
    let (from, to) = (seconds[3].to_string(), seconds[6].to_string());
    let (status, output) = run(replay(&live, &third, &["--from", &from, "--to", &to]), 2 * SOON);
    assert!(status.success() && output.contains("replayed 3 seconds"), "{output}");
    let of_span = |line: &String| (3..6).any(|tick| line.ends_with(&format!(" {}", seconds[tick])));
    assert_eq!(lines(&third), lines(&first).into_iter().filter(of_span).collect());

    expected.extend(fleet.expected(0..12, FIRST + 10 * INTERVAL));
    wait_for(&first, &expected, SOON);
    daemon.stop(SOON);
    assert_eq!(daemon.output().matches("partitions assigned").count(), 1, "{}", daemon.output());
}

#[test]
fn a_replay_of_a_topic_that_is_killed_goes_on_where_it_was() {
    let Some(broker) = Tansu::start() else { return };
    broker.create_topic(TOPIC, PARTITIONS);
    let graphite = Recorder::start();
    let fleet = Fleet::new(6, 3);
    let writer = Writer::new(broker.address(), TOPIC);
    let mut expected = Points::new();
    for second in (0..40).map(|tick| FIRST + tick * INTERVAL) {
        writer.hosts(&fleet, 0..6, second);
        expected.extend(fleet.expected(0..6, second));
    }
    let member = member(broker.address(), 1, "cluster-deadline = 1\nlate = 20");
    let state = member.beside("state");
    let wanted = ["--resume", state.to_str().unwrap()];
    let slow = [&wanted[..], &["--rate", "2000"]].concat();
    let mut running = Daemon::spawn(replay(&member, &graphite, &slow));
    // The second up to which each partition is settled.
    let settled = || -> Option<u64> {
        let text = std::fs::read_to_string(&state).ok()?;
        let of = text.lines().filter(|line| line.starts_with("partition "));
        let seconds: Vec<Option<u64>> = of.map(|line| line.split(' ').nth(3)?.parse().ok()).collect();
        seconds.into_iter().collect::<Option<Vec<u64>>>()?.into_iter().min()
    };
    wait_until(SOON, "some seconds are done", || settled().is_some_and(|second| second >= FIRST + 5 * INTERVAL));
    running.signal(Signal::SIGKILL);
    running.wait(SOON);
    let (before, done) = (graphite.record().lines, settled().unwrap());
    assert!(done < FIRST + 35 * INTERVAL, "it was killed in the middle");
    let (status, output) = run(replay(&member, &graphite, &wanted), 2 * SOON);
    assert!(status.success(), "{output}");
    wait_for(&graphite, &expected, SOON);
    assert_one_value_each(&graphite);
    assert_no_roll_up_of_a_part(&graphite);
    let after = graphite.record().lines;
    let early = |line: &&String| line.ends_with(&format!(" {FIRST}"));
    assert!(before.iter().filter(|(line, _)| early(line)).all(|(line, times)| after[line] == *times), "sent again");
    // The state is of this replay alone.
    let mut other = with_config(process(), member.config());
    other.args(["--replay", &format!("kafka:{TOPIC}")]).args(wanted);
    let (status, output) = run(other, SOON);
    assert!(status.code() == Some(1) && output.contains("name another file"), "{output}");
}

/// A roll-up waits for what is still to be read, however long that takes.
#[test]
fn brokers_that_are_slow_make_no_roll_up_of_a_part() {
    let Some(broker) = Tansu::start() else { return };
    broker.create_topic(TOPIC, PARTITIONS);
    let graphite = Recorder::start();
    let fleet = Fleet::new(12, 3);
    let writer = Writer::new(broker.address(), TOPIC);
    let mut expected = Points::new();
    for second in (0..12).map(|tick| FIRST + tick * INTERVAL) {
        for host in 0..12 {
            // A batch each, of which a few are read at a time.
            writer.hosts(&fleet, [host], second);
        }
        expected.extend(fleet.expected(0..12, second));
    }
    let few = "librdkafka.queued.min.messages = 1\nlibrdkafka.fetch.message.max.bytes = 500";
    let member = member(broker.address(), 1, &format!("cluster-deadline = 1\n{few}"));
    let mut running = Daemon::spawn(replay(&member, &graphite, &[]));
    let mut stops = 0;
    wait_until(4 * SOON, "the end of the replay", || {
        broker.signal(Signal::SIGSTOP);
        let until = Instant::now() + Duration::from_millis(1_500);
        wait_until(SOON, "more than the deadline", || Instant::now() >= until || !running.is_running());
        broker.signal(Signal::SIGCONT);
        stops += 1;
        let until = Instant::now() + Duration::from_millis(50);
        wait_until(SOON, "some messages", || Instant::now() >= until);
        !running.is_running()
    });
    assert!(running.wait(SOON).success() && stops > 2, "{}", running.output());
    wait_for(&graphite, &expected, SOON);
    assert_no_roll_up_of_a_part(&graphite);
}

#[test]
fn what_cannot_be_replayed_is_named() {
    let (brokers, graphite) = (Brokers::start(1), Recorder::start());
    brokers.create_topic(TOPIC, 2);
    let fleet = Fleet::new(2, 1);
    let mut writer = Writer::new(&brokers.address(), TOPIC);
    writer.partition = Some(0);
    writer.hosts(&fleet, 0..2, FIRST);
    writer.raw(Some(0), "k", &[], b"garbage");
    writer.raw(Some(0), "k", &[("haproxystats", "2")], b"?");
    writer.hosts(&fleet, 0..2, FIRST + INTERVAL);
    let member = member(&brokers.address(), 1, "cluster-deadline = 1");
    let (status, output) = run(replay(&member, &graphite, &[]), 2 * SOON);
    assert_eq!(status.code(), Some(1), "{output}");
    wait_for(&graphite, &fleet.expected(0..2, FIRST), SOON);
    for words in ["1 messages were left out", "partition 0 cannot be read beyond offset 5", "replayed 1 seconds"] {
        assert!(output.contains(words), "{words}: {output}");
    }
    let mut other = with_config(process(), member.config());
    other.args(["--replay", "kafka:elsewhere"]);
    let (status, output) = run(other, SOON);
    assert!(status.code() == Some(66) && output.contains("have no such topic"), "{output}");
    let none = Incoming::new(1, "workers = 1");
    let (status, output) = run(replay(&none, &graphite, &[]), SOON);
    assert!(status.code() == Some(78) && output.contains("[kafka-source]"), "{output}");
}

#[test]
fn many_messages_that_are_left_out_are_few_lines_and_a_sum() {
    let (brokers, graphite) = (Brokers::start(1), Recorder::start());
    brokers.create_topic(TOPIC, 1);
    let fleet = Fleet::new(2, 1);
    let writer = Writer::new(&brokers.address(), TOPIC);
    (0..100).for_each(|_| writer.raw(Some(0), "k", &[], b"garbage"));
    writer.hosts(&fleet, 0..2, FIRST);
    let member = member(&brokers.address(), 1, "cluster-deadline = 1");
    let (status, output) = run(replay(&member, &graphite, &[]), 2 * SOON);
    assert_eq!(status.code(), Some(1), "{output}");
    wait_for(&graphite, &fleet.expected(0..2, FIRST), SOON);
    assert!(output.contains("100 messages were left out"), "{output}");
    let lines = output.lines().filter(|line| line.contains("ERROR") && line.contains("message refused")).count();
    assert!((10..20).contains(&lines), "{lines}: {output}");
}

/// At the beginning of a partition, in the middle, and at its end.
#[test]
fn what_cannot_be_unpacked_is_passed_and_the_rest_is_replayed() {
    let (brokers, graphite) = (Brokers::start(1), Recorder::start());
    brokers.create_topic(TOPIC, 2);
    let fleet = Fleet::new(4, 2);
    let mut writer = Writer::new(&brokers.address(), TOPIC);
    let blow = |writer: &Writer, messages: usize| {
        let payload = vec![b'0'; 300_000];
        (0..messages).for_each(|_| writer.raw(Some(1), "k", &[("haproxystats", "1")], &payload));
        writer.flush();
    };
    let mut expected = Points::new();
    for (second, messages) in [(FIRST, 1), (FIRST + INTERVAL, 7), (FIRST + 2 * INTERVAL, 1)] {
        if second == FIRST {
            blow(&writer, 2);
        }
        for (partition, hosts) in [(0, [0, 2]), (1, [1, 3])] {
            writer.partition = Some(partition);
            writer.hosts(&fleet, hosts, second);
        }
        expected.extend(fleet.expected(0..4, second));
        blow(&writer, messages);
    }
    let bounds = "librdkafka.message.max.bytes = 1000\nlibrdkafka.fetch.max.bytes = 100000\n\
                  librdkafka.fetch.message.max.bytes = 100000\nlibrdkafka.receive.message.max.bytes = 200000";
    let member = member(&brokers.address(), 1, &format!("cluster-deadline = 1\n{bounds}"));
    let state = member.beside("state");
    let (status, output) = run(replay(&member, &graphite, &["--resume", state.to_str().unwrap()]), 2 * SOON);
    assert_eq!(status.code(), Some(1), "{output}");
    wait_for(&graphite, &expected, SOON);
    assert_one_value_each(&graphite);
    for words in
        ["11 messages were left out", "replayed 3 seconds", "message refused", "reason=\"cannot be decompressed"]
    {
        assert!(output.contains(words), "{words}: {output}");
    }
    assert!(!output.contains("cannot be read"), "{output}");
}
