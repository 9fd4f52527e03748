//! `--check --ask`: what every destination answers, before anything is sent to it.

use crate::harness::incoming::Incoming;
use crate::harness::receiver::Receiver;
use crate::harness::{SOON, free_port, process, run, with_config, write};
use haproxystats::prometheus::request::Protocol;
use std::net::TcpListener;

/// The table, and whether everything works.
fn ask(setup: &Incoming) -> (bool, String) {
    let mut command = with_config(process(), setup.config());
    command.args(["--check", "--ask"]);
    let (status, output) = run(command, SOON);
    (status.success(), output)
}

/// The answer in the table's line for this destination.
#[track_caller]
fn answer<'a>(table: &'a str, destination: &str) -> &'a str {
    let line = table.lines().find(|line| line.starts_with(destination));
    line.unwrap_or_else(|| panic!("no line of {destination}:\n{table}")).rsplit("  ").next().unwrap()
}

#[test]
fn a_graphite_that_listens_is_told_from_one_that_does_not() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let (works, table) = ask(&Incoming::new(port, ""));
    assert!(works && answer(&table, "[graphite]") == "connected", "{table}");
    let closed = free_port();
    let (works, table) = ask(&Incoming::new(closed, ""));
    let refused = answer(&table, "[graphite]");
    assert!(!works && refused.starts_with("failed: ") && refused.contains("refused"), "{table}");
    assert!(table.contains(&format!("127.0.0.1:{closed}")), "{table}");
}

#[test]
fn a_receiver_says_whether_this_client_may_write() {
    for protocol in [Protocol::Otlp, Protocol::RemoteWrite] {
        let receiver = Receiver::start(protocol);
        let files = tempfile::tempdir().unwrap();
        let token = write(files.path(), "token", "wrong\n");
        let options = format!("bearer-token-file = {}", token.display());
        let setup = Incoming::without_graphite(&format!("{}{options}\n", receiver.section()));
        receiver.behave(|behaviour| behaviour.wants = Some("Authorization: Bearer right".to_owned()));
        let (works, table) = ask(&setup);
        let section = if protocol == Protocol::Otlp { "[otlp]" } else { "[remote-write]" };
        assert!(!works && answer(&table, section).contains("check bearer-token-file"), "{table}");
        assert!(!table.contains("wrong"), "a secret is printed: {table}");
        write(files.path(), "token", "right\n");
        let (works, table) = ask(&setup);
        assert!(works && answer(&table, section) == "accepted", "{table}");
        assert!(receiver.taken().samples.is_empty(), "samples were sent");
        receiver.go_away();
        let (works, table) = ask(&setup);
        assert!(!works && answer(&table, section).starts_with("failed: "), "{table}");
    }
}

#[cfg(feature = "kafka")]
#[test]
fn brokers_say_whether_there_is_the_topic() {
    use crate::harness::kafka::Brokers;
    let brokers = Brokers::start(1);
    brokers.create_topic("stats", 8);
    let setup = |topic: &str| {
        Incoming::without_graphite(&format!("[kafka]\nbrokers = {}\ntopic = {topic}\n", brokers.address()))
    };
    let (works, table) = ask(&setup("stats"));
    let words = "topic stats has 8 partitions; max.message.bytes is not known; whether this client may write to it is not known";
    assert!(works && answer(&table, "[kafka]") == words, "{table}");
    let (works, table) = ask(&setup("other"));
    assert!(!works && answer(&table, "[kafka]").contains("have no topic other"), "{table}");
    brokers.down();
    let (works, table) = ask(&setup("stats"));
    assert!(!works && answer(&table, "[kafka]").starts_with("failed: "), "{table}");
}

/// A broker that says how a topic is configured, where it was configured.
#[cfg(feature = "kafka")]
#[test]
fn a_topic_that_is_too_small_for_our_messages_is_named() {
    use crate::harness::kafka::Tansu;
    let Some(broker) = Tansu::start() else { return };
    for (topic, largest) in [("small", "400000"), ("default", "1048588"), ("huge", "99000000")] {
        broker.create_topic_with(topic, 4, "max.message.bytes", largest);
    }
    let brokers = broker.address();
    let writes = |topic: &str, more: &str| {
        ask(&Incoming::without_graphite(&format!(
            "[kafka]\nbrokers = {brokers}\ntopic = {topic}\nformat = snapshot\n{more}\n"
        )))
    };
    let (works, table) = writes("small", "");
    let words = "failed: max-message-size of 500000 does not fit into the topic's max.message.bytes of 400000: set it to at most 399000";
    assert!(!works && answer(&table, "[kafka]").starts_with(words), "{table}");
    let (works, table) = writes("default", "key = {host}");
    assert!(works && answer(&table, "[kafka]").contains("max.message.bytes is 1048588"), "{table}");
    assert!(answer(&table, "[kafka]").contains("key = {cluster}"), "{table}");
    let (works, table) = writes("default", "");
    assert!(works && !answer(&table, "[kafka]").contains("key = {cluster}"), "{table}");
    let reads = |topic: &str| {
        let source = format!("[kafka-source]\nbrokers = {brokers}\ntopic = {topic}\n");
        ask(&Incoming::without_graphite(&format!("source = kafka\n{source}")))
    };
    let (works, table) = reads("huge");
    let words = "failed: the topic's max.message.bytes of 99000000 does not fit into librdkafka.receive.message.max.bytes of 67108864";
    assert!(!works && answer(&table, "[kafka-source]").starts_with(words), "{table}");
    let (works, table) = reads("default");
    let words = "is 0 messages behind; at most 4 members share it; max.message.bytes is 1048588; whether this client may read it is not known";
    assert!(works && answer(&table, "[kafka-source]").ends_with(words), "{table}");
}

#[test]
fn without_a_destination_on_the_network_there_is_nothing_to_ask() {
    let setup = Incoming::without_graphite("[local-store]\n");
    let (works, output) = ask(&setup);
    assert!(works && output.contains("no destination on the network"), "{output}");
}
