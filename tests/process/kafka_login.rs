//! Logins to Kafka (SASL): the real program and librdkafka against a login that checks what it is given, as brokers do, and
//! passes the clients that may enter on to a mock cluster.

use crate::harness::graphite::Recorder;
use crate::harness::incoming::Incoming;
use crate::harness::kafka::{Brokers, Reader};
use crate::harness::{Daemon, SOON, peer, write};
use crate::kafka::{expected, wait_for_points};
use std::path::Path;
use std::process::Command;

const TOPIC: &str = "stats";
/// With what SCRAM has to escape.
const NAME: &str = "lb,01=a";
const PASSWORD: &str = "open sesame=,";

/// A login before `brokers`, and its port.
fn login(brokers: &Brokers, users: &Path) -> Option<(Daemon, u16)> {
    let mut command = Command::new(peer("python3")?);
    command.arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/harness/kafka_login.py"));
    let mut login = Daemon::spawn({
        command.arg(brokers.address()).arg(users);
        command
    });
    login.wait_for_output("\n", SOON);
    let port = login.output().trim().rsplit(' ').next()?.parse().ok()?;
    Some((login, port))
}

/// The daemon's surroundings; its password is in `directory`.
fn setup(graphite: &Recorder, port: u16, mechanism: &str, directory: &Path, password: &str) -> Incoming {
    let file = write(directory, "password", format!("{password}\n"));
    let options = format!(
        "workers = 1\n[kafka]\nbrokers = 127.0.0.1:{port}\ntopic = {TOPIC}\nsasl-mechanism = {mechanism}\n\
         sasl-username = {NAME}\nsasl-password-file = {}\ndelay = 0.3\nstall-timeout = 1\nlibrdkafka.debug = security\n\
         librdkafka.reconnect.backoff.max.ms = 200\n",
        file.display()
    );
    Incoming::new(graphite.port(), &options)
}

#[test]
fn whoever_may_enter_delivers_everything() {
    for mechanism in ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] {
        let brokers = Brokers::start(1);
        brokers.create_topic(TOPIC, 4);
        let place = tempfile::tempdir().unwrap();
        let users = write(place.path(), "users", format!("{NAME} {PASSWORD}\n"));
        let Some((mut login, port)) = login(&brokers, &users) else { return };
        let Some(reader) = Reader::start(&brokers.address(), TOPIC) else { return };
        let graphite = Recorder::start();
        let setup = setup(&graphite, port, mechanism, place.path(), PASSWORD);
        let mut daemon = setup.daemon();
        let published = setup.publish(0..4);
        setup.wait_until_empty();
        wait_for_points(&reader, &expected(&setup, &published));
        login.wait_for_output(&format!("{mechanism} {NAME} accepted"), SOON);
        daemon.stop(SOON);
        assert!(!daemon.output().contains(PASSWORD), "what librdkafka says of logins is in the log, passwords are not");
    }
}

#[test]
fn whoever_may_not_is_told_loses_nothing_and_holds_up_nobody() {
    for mechanism in ["PLAIN", "SCRAM-SHA-512"] {
        let brokers = Brokers::start(1);
        brokers.create_topic(TOPIC, 4);
        let place = tempfile::tempdir().unwrap();
        let users = write(place.path(), "users", format!("{NAME} another\n"));
        let Some((mut login, port)) = login(&brokers, &users) else { return };
        let graphite = Recorder::start();
        let setup = setup(&graphite, port, mechanism, place.path(), PASSWORD);
        let mut daemon = setup.daemon();
        let published = setup.publish(0..6);
        daemon.wait_for_output("Authentication", SOON);
        daemon.wait_for_output("snapshots wait on disk", SOON);
        login.wait_for_output(&format!("{mechanism} {NAME} refused"), SOON);
        setup.assert_arrived(&graphite, &published);
        assert_eq!(setup.waiting(), published, "snapshots stay until Kafka has them");
        let errors = daemon.output().lines().filter(|line| line.contains(" ERROR ")).count();
        assert_eq!(errors, 1, "told once: {}", daemon.output());

        write(place.path(), "users", format!("{NAME} {PASSWORD}\n"));
        setup.wait_until_empty();
        let Some(reader) = Reader::start(&brokers.address(), TOPIC) else { return };
        wait_for_points(&reader, &expected(&setup, &published));
        daemon.wait_for_output("messages are delivered again", SOON);
        daemon.stop(SOON);
    }
}
