//! What the log of haproxystats-process says and how, and what is seen of a destination that is unavailable.

use crate::harness::graphite::Recorder;
use crate::harness::incoming::Incoming;
use crate::harness::prometheus::wait_for_sample;
use crate::harness::receiver::Receiver;
use crate::harness::systemd::Systemd;
use crate::harness::{self, Daemon, SOON, free_port, process, wait_until, with_config};
use haproxystats::prometheus::request::Protocol;
use std::fs;
use std::time::Duration;

const UP: &str = "haproxystats_process_dispatcher_up{dispatcher=\"graphite\"}";
const OTHERS: [&str; 3] = [
    "haproxystats_process_dispatcher_up{dispatcher=\"archive\"}",
    "haproxystats_process_dispatcher_up{dispatcher=\"local-store\"}",
    "haproxystats_process_dispatcher_up{dispatcher=\"remote-write\"}",
];

#[test]
fn graphite_away_is_seen_on_the_page_in_the_status_line_and_from_outside() {
    let mut graphite = Recorder::away();
    let page = free_port();
    let setup = Incoming::new(graphite.port(), "workers = 2\nliveness-check-interval = 0.2");
    let text = fs::read_to_string(setup.config()).unwrap();
    let receiver = Receiver::start(Protocol::RemoteWrite);
    let stores = format!(
        "[local-store]\ndir = {}\n[archive]\ndir = {}\n{}",
        setup.beside("store").display(),
        setup.beside("archive").display(),
        receiver.section()
    );
    fs::write(setup.config(), format!("{text}[exporter]\nlisten = 127.0.0.1:{page}\n{stores}")).unwrap();
    let systemd = Systemd::new(&setup.beside("."));
    let mut command = with_config(process(), setup.config());
    systemd.watch(&mut command, Duration::from_secs(30));
    let mut daemon = Daemon::spawn(command);
    let published = setup.publish(0..2);
    wait_for_sample(page, UP, |value| value < 1.0);
    // The others work, and nobody says otherwise.
    for other in OTHERS {
        wait_for_sample(page, other, |value| value > 0.0);
    }
    systemd.wait_for("; unavailable: graphite");
    let status = |words: &str| {
        let mut command = with_config(process(), setup.config());
        command.args(words.split(' '));
        harness::run(command, SOON).1
    };
    let text = status("--status");
    assert!(text.contains(&format!("127.0.0.1:{} is unavailable: Connection refused", graphite.port())), "{text}");
    graphite.come_back();
    setup.wait_until_empty();
    wait_for_sample(page, UP, |value| value > 0.0);
    let object: serde_json::Value = serde_json::from_str(&status("--status --json")).unwrap();
    assert_eq!(
        (&object["reach"][0]["what"], &object["reach"][0]["up"]),
        (&"graphite".into(), &true.into()),
        "{object}"
    );
    setup.assert_arrived(&graphite, &published);
    daemon.stop(SOON);
}

#[test]
fn deliveries_are_summed_up_and_workers_log_like_their_parent() {
    let graphite = Recorder::start();
    let setup = Incoming::new(graphite.port(), "workers = 2");
    let text = fs::read_to_string(setup.config()).unwrap().replace("loglevel = debug", "loglevel = info");
    fs::write(setup.config(), format!("[DEFAULT]\nlog-format = json\n{text}")).unwrap();
    let mut daemon = setup.daemon_with("HAPROXYSTATS_TEST_SUMS", "2");
    let published = setup.publish(0..5);
    setup.wait_until_empty();
    let summed_up = |output: &str| {
        let sums = output.lines().filter(|line| line.contains("delivery summary"));
        sums.into_iter().any(|line: &str| !line.contains("\"snapshots\":0"))
    };
    wait_until(SOON, "a sum of what was delivered", || summed_up(&daemon.output()));
    daemon.stop(SOON);
    setup.assert_arrived(&graphite, &published);
    let output = daemon.output();
    let objects =
        output.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}")));
    let objects: Vec<serde_json::Value> = objects.collect();
    assert_eq!(objects.iter().filter(|object| object["message"] == "delivered").count(), 1, "{output}");
    let connected = objects.iter().find(|object| object["message"] == "connected").unwrap();
    assert_eq!(connected["dispatcher"], "graphite", "{connected}");
    let sums = objects.iter().filter(|object| object["message"] == "delivery summary");
    let snapshots: u64 = sums.filter_map(|object| object["snapshots"].as_u64()).sum();
    assert!(snapshots >= 1, "{output}");
}
