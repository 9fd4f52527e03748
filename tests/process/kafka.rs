//! Metrics to Kafka: the real program, brokers of librdkafka's mock cluster, and kcat, which knows nothing of us, as the
//! reader. Every point of every published snapshot must be found in what it has read.

use crate::harness::graphite::Recorder;
use crate::harness::incoming::{Incoming, workers};
use crate::harness::kafka::{Brokers, Message, Points, Reader, alone, missing, points_of, points_of_lines};
use crate::harness::{self, Daemon, SOON, free_port, process, run, threads, wait_until, with_config, write};
use rdkafka::types::RDKafkaRespErr;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

const TOPIC: &str = "stats";

/// A daemon's surroundings with a cluster, which Graphite at `graphite` is beside.
fn setup(brokers: &Brokers, graphite: u16, options: &str) -> Incoming {
    let address = brokers.address();
    Incoming::new(
        graphite,
        &format!(
            "workers = 2\nliveness-check-interval = 0.3\n[kafka]\nbrokers = {address}\ntopic = {TOPIC}\ndelay = 0.3\n\
             stall-timeout = 1\nlibrdkafka.reconnect.backoff.max.ms = 200\nlibrdkafka.topic.metadata.refresh.interval.ms \
             = 300\nlibrdkafka.topic.metadata.propagation.max.ms = 500\n{options}\n"
        ),
    )
}

/// The points of what was published.
pub fn expected(setup: &Incoming, published: &[String]) -> Points {
    let lines = setup.expected(published);
    assert!(lines.len() > 10 * published.len(), "the snapshots say too little to prove anything");
    points_of_lines(lines.iter().map(String::as_str))
}

/// Waits until the reader has every point.
#[track_caller]
pub fn wait_for_points(reader: &Reader, expected: &Points) -> Vec<Message> {
    let mut messages = Vec::new();
    let found = harness::poll(SOON, || {
        messages = reader.messages();
        missing(expected, &points_of(&messages, "lb")).is_empty().then_some(())
    });
    let arrived = points_of(&messages, "lb");
    let lost = missing(expected, &arrived);
    assert!(found.is_some(), "{} of {} points are missing: {:?}", lost.len(), expected.len(), lost.first());
    let foreign = arrived.keys().find(|point| !point.contains(".haproxystats.") && !expected.contains_key(*point));
    assert_eq!(foreign, None, "a point that no snapshot implies");
    messages
}

#[test]
fn every_point_arrives_in_every_format() {
    for format in ["json", "graphite", "influx"] {
        let brokers = Brokers::start(3);
        brokers.create_topic(TOPIC, 8);
        let Some(reader) = Reader::start(&brokers.address(), TOPIC) else { return };
        let graphite = Recorder::start();
        let setup = setup(&brokers, graphite.port(), &format!("format = {format}\ncluster = ams"));
        let mut daemon = setup.daemon();
        let published = setup.publish(0..6);
        setup.wait_until_empty();
        let messages = wait_for_points(&reader, &expected(&setup, &published));
        setup.assert_arrived(&graphite, &published);

        let epochs: BTreeSet<i64> = published.iter().map(|name| name.parse::<i64>().unwrap() * 1000).collect();
        let times: BTreeSet<i64> = messages.iter().map(|message| message.milliseconds).collect();
        assert!(epochs.is_subset(&times), "records do not have the time of their snapshot: {times:?}");
        let host = nix::unistd::gethostname().unwrap().to_string_lossy().into_owned();
        let keys: BTreeMap<&str, BTreeSet<i64>> = messages.iter().fold(BTreeMap::new(), |mut keys, message| {
            keys.entry(message.key.as_str()).or_insert_with(BTreeSet::new).insert(message.partition);
            keys
        });
        let known: Vec<String> = ["", "app", "www"].iter().map(|proxy| format!("{host}/{proxy}")).collect();
        assert_eq!(keys.keys().copied().collect::<Vec<_>>(), known);
        assert!(keys.values().all(|partitions| partitions.len() == 1), "a key has one partition: {keys:?}");
        if format == "json" {
            check_documents(&messages);
        } else {
            let most_per_snapshot = 8;
            assert!(messages.len() <= most_per_snapshot * published.len(), "{} messages", messages.len());
        }
        daemon.stop(SOON);
    }
}

/// Every document is what the schema says.
fn check_documents(messages: &[Message]) {
    let schema = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/kafka.schema.json")).unwrap();
    let validator = jsonschema::validator_for(&serde_json::from_str(&schema).unwrap()).unwrap();
    let mut kinds = BTreeSet::new();
    for message in messages {
        let document: serde_json::Value = serde_json::from_str(&message.payload).unwrap();
        if let Err(error) = validator.validate(&document) {
            panic!("{error}: {document}");
        }
        assert_eq!(document["cluster"], "ams");
        kinds.insert(document["kind"].as_str().unwrap().to_owned());
    }
    assert_eq!(kinds, ["backend", "daemon", "frontend", "haproxystats", "server"].map(str::to_owned).into());
}

#[test]
fn brokers_that_are_away_lose_nothing_and_do_not_hold_up_graphite() {
    alone();
    let brokers = Brokers::start(2);
    brokers.create_topic(TOPIC, 4);
    let Some(reader) = Reader::start(&brokers.address(), TOPIC) else { return };
    let graphite = Recorder::start();
    let setup = setup(&brokers, graphite.port(), "");
    let mut daemon = setup.daemon();
    let mut published = setup.publish(0..3);
    setup.wait_until_empty();

    brokers.down();
    published.extend(setup.publish(3..5));
    daemon.wait_for_output("snapshots wait on disk", SOON);
    published.extend(setup.publish(5..25));
    setup.assert_arrived(&graphite, &published);
    assert_eq!(setup.waiting(), published[3..], "snapshots stay until Kafka has them");
    daemon.wait_for_output("is unavailable: the other destinations continue", SOON);

    brokers.up();
    setup.wait_until_empty();
    wait_for_points(&reader, &expected(&setup, &published));
    daemon.wait_for_output("messages are delivered again", SOON);
    daemon.stop(SOON);
}

#[test]
fn graphite_that_is_away_does_not_hold_up_kafka() {
    let brokers = Brokers::start(1);
    brokers.create_topic(TOPIC, 4);
    let Some(reader) = Reader::start(&brokers.address(), TOPIC) else { return };
    let mut graphite = Recorder::away();
    let setup = setup(&brokers, graphite.port(), "");
    let mut daemon = setup.daemon();
    let published = setup.publish(0..20);
    wait_for_points(&reader, &expected(&setup, &published));
    assert_eq!(setup.waiting(), published, "snapshots stay until Graphite has them");
    graphite.come_back();
    setup.wait_until_empty();
    setup.assert_arrived(&graphite, &published);
    daemon.stop(SOON);
}

#[test]
fn what_is_refused_is_told_kept_and_tried_again() {
    use RDKafkaRespErr::{
        RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE as TOO_LARGE, RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED as FORBIDDEN,
    };
    for (errors, words) in [
        (vec![FORBIDDEN; 4], "allow this client to write to the topic"),
        // The whole batch of messages, and then each by itself.
        (vec![TOO_LARGE; 12], "messages are larger than the topic allows"),
    ] {
        let brokers = Brokers::start(1);
        brokers.create_topic(TOPIC, 2);
        let Some(reader) = Reader::start(&brokers.address(), TOPIC) else { return };
        let graphite = Recorder::start();
        brokers.refuse(&errors);
        let setup = setup(&brokers, graphite.port(), "");
        let mut daemon = setup.daemon();
        let published = setup.publish(0..4);
        setup.wait_until_empty();
        wait_for_points(&reader, &expected(&setup, &published));
        daemon.wait_for_output(words, SOON);
        daemon.stop(SOON);
    }
}

#[test]
fn a_topic_that_is_missing_is_waited_for() {
    let brokers = Brokers::start(1);
    brokers.topic_error(TOPIC, RDKafkaRespErr::RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART);
    let graphite = Recorder::start();
    let setup = setup(&brokers, graphite.port(), "");
    let mut daemon = setup.daemon();
    let published = setup.publish(0..4);
    daemon.wait_for_output("create the topic", SOON);
    setup.assert_arrived(&graphite, &published);
    assert_eq!(setup.waiting(), published);
    brokers.topic_error(TOPIC, RDKafkaRespErr::RD_KAFKA_RESP_ERR_NO_ERROR);
    setup.wait_until_empty();
    let Some(reader) = Reader::start(&brokers.address(), TOPIC) else { return };
    wait_for_points(&reader, &expected(&setup, &published));
    daemon.stop(SOON);
}

#[test]
fn a_stop_while_kafka_is_away_is_quick_and_the_next_start_delivers() {
    alone();
    let brokers = Brokers::start(1);
    brokers.create_topic(TOPIC, 4);
    brokers.down();
    let graphite = Recorder::start();
    let setup = setup(&brokers, graphite.port(), "");
    let published = setup.publish(0..4);
    let mut daemon = setup.daemon();
    daemon.wait_for_output("snapshots wait on disk", SOON);
    daemon.stop(Duration::from_secs(15));
    assert_eq!(setup.waiting(), published);
    brokers.up();
    let Some(reader) = Reader::start(&brokers.address(), TOPIC) else { return };
    let mut daemon = setup.daemon();
    setup.wait_until_empty();
    wait_for_points(&reader, &expected(&setup, &published));
    daemon.stop(SOON);
}

#[test]
fn librdkafka_runs_in_workers_that_need_it_and_nowhere_else() {
    let brokers = Brokers::start(1);
    let graphite = Recorder::start();
    let with = setup(&brokers, graphite.port(), "");
    let without = Incoming::new(graphite.port(), "workers = 2");
    for (setup, expected) in [(with, true), (without, false)] {
        let mut daemon = setup.daemon();
        let published = setup.publish(0..3);
        setup.wait_until_empty();
        setup.assert_arrived(&graphite, &published);
        let ours = |name: &String| name.starts_with("rdk:") || name.starts_with("producer");
        for worker in workers(&daemon, 2) {
            let threads = threads(worker);
            assert_eq!(threads.iter().any(ours), expected, "{threads:?}");
            assert!(expected || threads.len() == 1, "{threads:?}");
        }
        let parent = threads(daemon.pid());
        assert!(!parent.iter().any(ours), "{parent:?}");
        daemon.stop(SOON);
        assert!(expected || !daemon.output().contains("dispatcher=\"kafka\""));
    }
}

#[test]
fn a_client_that_cannot_be_made_is_told_and_tried_again() {
    let brokers = Brokers::start(1);
    let graphite = Recorder::start();
    let setup = setup(
        &brokers,
        graphite.port(),
        "sasl-mechanism = SCRAM-SHA-256\nsasl-username = u\nsasl-password-file = /nonexistent/password",
    );
    let published = setup.publish(0..2);
    let mut daemon = setup.daemon();
    daemon.wait_for_output("cannot read /nonexistent/password", SOON);
    setup.assert_arrived(&graphite, &published);
    assert_eq!(setup.waiting(), published);
    daemon.stop(SOON);
}

#[test]
fn the_check_names_what_is_wrong_and_no_secret_is_printed() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::create_dir(directory.path().join("in")).unwrap();
    let password = write(directory.path(), "password", "open-sesame\n");
    let check = |section: &str, arguments: &[&str]| {
        let text = format!("[process]\nsrc-dir = {}/in\n[kafka]\n{section}\n", directory.path().display());
        let mut command = with_config(process(), &write(directory.path(), "x.conf", text));
        command.args(arguments);
        let (status, output) = run(command, SOON);
        (status.code(), output)
    };
    for (section, words) in [
        ("librdkafka.lingering.ms = 3", "No such configuration property: \"lingering.ms\""),
        ("librdkafka.linger.ms = soon", "librdkafka.linger.ms"),
        ("librdkafka.sasl.password = open-sesame", "set sasl-password-file to its path"),
        ("librdkafka.bootstrap.servers = a:1", "write brokers instead"),
        ("librdkafka.acks = 1", "is incompatible with idempotence"),
        ("librdkafka.request.required.acks = 1", "is incompatible with idempotence"),
        ("librdkafka.max.in.flight.requests.per.connection = 6", "write 5 or less"),
        ("librdkafka.max.in.flight = 6", "write 5 or less"),
        ("librdkafka.delivery.timeout.ms = 5000", "cannot be set: messages are retried until they are delivered"),
        ("key = {host}/{backend}", "{backend} is not a property of objects"),
        ("compression = best", "[kafka] compression"),
        ("topic = a b", "[kafka] topic"),
        ("brokers = a:b", "[kafka] brokers"),
        ("sasl-mechanism = PLAIN", "needs sasl-username and sasl-password-file"),
        ("max-message-size = 10", "[kafka] max-message-size"),
    ] {
        let (code, output) = check(section, &["--check"]);
        assert_eq!(code, Some(78), "{section}: {output}");
        assert!(output.contains(words), "{section}: {output}");
    }
    let good = format!(
        "tls = yes\nsasl-mechanism = SCRAM-SHA-512\nsasl-username = u\nsasl-password-file = {}\n\
         librdkafka.debug = all\nlibrdkafka.linger.ms = 3\nbrokers = 127.0.0.1:{}",
        password.display(),
        free_port()
    );
    let (code, output) = check(&good, &["--check"]);
    assert_eq!(code, Some(0), "{output}");
    let (_, printed) = check(&good, &["-P"]);
    assert!(printed.contains("sasl-password-file") && !printed.contains("open-sesame"), "{printed}");
    let (code, output) = check("librdkafka.acks = 1\nlibrdkafka.enable.idempotence = false", &["--check"]);
    assert_eq!(code, Some(0));
    assert!(output.contains("warning") && output.contains("before every in-sync replica"), "{output}");

    // With everything that librdkafka has to say in the log.
    let graphite = Recorder::start();
    let setup = Incoming::new(graphite.port(), &format!("workers = 1\n[kafka]\n{good}"));
    let published = setup.publish(0..1);
    let mut daemon: Daemon = setup.daemon();
    daemon.wait_for_output("snapshots wait on disk", SOON);
    assert_eq!(setup.waiting(), published);
    daemon.stop(SOON);
    assert!(daemon.output().contains("SASL") && !daemon.output().contains("open-sesame"));
}

#[test]
fn figures_of_messages_go_out() {
    let brokers = Brokers::start(1);
    let graphite = Recorder::start();
    let setup = setup(&brokers, graphite.port(), "");
    let mut daemon = setup.daemon();
    setup.publish(0..4);
    setup.wait_until_empty();
    let sent = |graphite: &Recorder| {
        let record = graphite.record();
        let values = record.lines.keys().filter(|line| line.contains(".haproxystats.KafkaMessagesSent "));
        values.filter_map(|line| line.split(' ').nth(1)?.parse::<f64>().ok()).fold(0.0, f64::max)
    };
    let mut second = 4;
    wait_until(SOON, "figures of messages", || {
        setup.publish(second..second + 1);
        second += 1;
        setup.wait_until_empty();
        std::thread::sleep(Duration::from_millis(300));
        sent(&graphite) >= 4.0
    });
    daemon.stop(SOON);
}

/// A certificate for this machine, signed by itself, and its key.
fn certificate(directory: &std::path::Path, name: &str) -> Option<(std::path::PathBuf, std::path::PathBuf)> {
    let (file, key) = (directory.join(format!("{name}.pem")), directory.join(format!("{name}.key")));
    let mut command = std::process::Command::new(harness::peer("openssl")?);
    command.args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2"]);
    command.args(["-subj", &format!("/CN={name}"), "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"]);
    let (status, output) = run(
        {
            command.arg("-out").arg(&file).arg("-keyout").arg(&key);
            command
        },
        SOON,
    );
    assert!(status.success(), "{output}");
    Some((file, key))
}

/// openssl stands for a broker: it sees who comes, and speaks no word of Kafka.
#[test]
fn brokers_are_authenticated_and_so_are_we() {
    let directory = tempfile::tempdir().unwrap();
    let Some((server, server_key)) = certificate(directory.path(), "broker") else { return };
    let Some((ours, our_key)) = certificate(directory.path(), "haproxystats") else { return };
    let port = free_port();
    let mut command = std::process::Command::new(harness::peer("openssl").unwrap());
    command.args(["s_server", "-www", "-accept", &port.to_string(), "-Verify", "1", "-naccept", "1000"]);
    command.arg("-cert").arg(&server).arg("-key").arg(&server_key).arg("-CAfile").arg(&ours);
    let mut broker = Daemon::spawn(command);
    broker.wait_for_output("ACCEPT", SOON);
    let graphite = Recorder::start();
    let start = |options: &str| {
        let setup = Incoming::new(
            graphite.port(),
            &format!("workers = 1\n[kafka]\nbrokers = 127.0.0.1:{port}\ntls = true\n{options}\n"),
        );
        setup.publish(0..1);
        let daemon = setup.daemon();
        (setup, daemon)
    };
    let (ours, our_key) = (ours.display(), our_key.display());
    let client = format!("tls-certificate-file = {ours}\ntls-key-file = {our_key}");

    let (_setup, mut daemon) = start(&client);
    daemon.wait_for_output("certificate verify failed", SOON);
    daemon.stop(SOON);
    assert!(!broker.output().contains("CN = haproxystats"), "a broker that nobody vouches for was told who we are");

    let (_setup, mut daemon) = start(&format!("tls-ca-file = {}\n{client}", server.display()));
    broker.wait_for_output("CN = haproxystats", SOON);
    daemon.stop(SOON);
    assert!(!daemon.output().contains("certificate verify failed"));
}
