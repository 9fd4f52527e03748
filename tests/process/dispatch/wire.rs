//! What goes over the wire: tags, pickles, TLS; against real peers.

use super::rig::{DELAY, Rig, assert_complete, batch, options, run};
use crate::harness::carbon::Carbon;
use crate::harness::graphite::{Behaviour, Recorder};
use crate::harness::relay::Relay;
use crate::harness::{Daemon, SOON, debian, free_port, listens, wait_until};
use haproxystats::config::{Protocol, Tls};
use haproxystats::dispatch::graphite;
use haproxystats::logging::Chain;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

#[test]
fn names_carry_tags_where_that_is_asked_for() {
    run(async {
        let recorder = Recorder::start();
        let mut options = options(recorder.port());
        options.tagged = true;
        let mut rig = Rig::start(&options);
        rig.submit(1, 2);
        rig.until_delivered(1).await;
        let lines: BTreeSet<String> = recorder.record().lines.into_keys().collect();
        let name = |line| format!("haproxy.server.metric;host=lb-01;backend=b{line:06};server=s1 {line} 1");
        assert_eq!(lines, BTreeSet::from([name(0), name(1)]));
    });
}

#[test]
fn carbon_takes_pickles_and_loses_none_when_it_is_stopped_or_killed() {
    run(async {
        let mut carbon = Carbon::start();
        let mut options = options(carbon.pickle_port());
        options.protocol = Protocol::Pickle;
        options.settle = Duration::from_secs(3);
        let mut rig = Rig::start(&options);
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
        let first = now - 600;
        // Three frames a batch.
        rig.feed(first..=first + 4, 1200).await;
        carbon.stop();
        rig.run_for(Duration::from_millis(300)).await;
        carbon.launch();
        rig.feed(first + 5..=first + 9, 1200).await;
        carbon.kill();
        rig.run_for(Duration::from_millis(300)).await;
        carbon.launch();
        rig.until_delivered(10).await;
        let wanted: BTreeSet<u64> = (first..first + 10).collect();
        let points =
            |line: usize| carbon.points(&format!("loadbalancers.lb-01.haproxy.backend.b{line:06}.server.s1.metric"));
        let lines = || (0..1200).step_by(7);
        let written = |line| points(line).keys().copied().collect::<BTreeSet<_>>() == wanted;
        rig.until("carbon has written its files", |_| lines().all(written)).await;
        for line in lines() {
            let points = points(line);
            assert!(points.values().all(|value| *value == line as f64), "{line}: {points:?}");
        }
    });
}

#[test]
fn a_peer_that_cuts_pickles_off_gets_whole_frames_in_the_end() {
    run(async {
        let recorder = Recorder::start();
        let mut options = options(recorder.port());
        options.protocol = Protocol::Pickle;
        let mut rig = Rig::start(&options);
        recorder.behave(Behaviour::CloseAfter(40_000));
        rig.submit(1, 3000);
        rig.until("it has cut some off", |rig| rig.counters().reconnects > 1).await;
        recorder.behave(Behaviour::Read);
        rig.until_delivered(1).await;
        assert!(rig.counters().resent_lines > 0 && rig.counters().delivered_lines == 3000, "{:?}", rig.counters());
    });
}

/// A certificate for localhost that is its own authority, and its key; both in one file as well.
fn certificate(directory: &Path) -> (PathBuf, PathBuf, PathBuf) {
    let (certificate, key) = crate::harness::certificate::certificate(
        &debian("openssl"),
        directory,
        "own",
        "/CN=localhost",
        "DNS:localhost",
    );
    let both = directory.join("both.pem");
    std::fs::write(&both, [std::fs::read(&key).unwrap(), std::fs::read(&certificate).unwrap()].concat()).unwrap();
    (certificate, key, both)
}

fn trust(certificate: &Path) -> Option<Tls> {
    Some(Tls { ca_file: Some(certificate.to_owned()), verify: true, identity: None })
}

#[test]
fn a_real_relay_takes_metrics_over_tls_and_nothing_is_lost_when_it_is_restarted() {
    run(async {
        let directory = tempfile::tempdir().unwrap();
        let (certificate, _, both) = certificate(directory.path());
        let recorder = Recorder::start();
        let mut relay = Relay::behind(&format!("transport plain ssl {}", both.display()), recorder.port());
        let mut options = options(relay.port());
        options.servers[0].host = "localhost".to_owned();
        options.tls = trust(&certificate);
        options.settle = Duration::from_secs(1);
        let mut rig = Rig::start(&options);
        rig.feed(1..=3, 5000).await;
        rig.until_delivered(3).await;
        relay.stop();
        rig.until("it is noticed", |rig| rig.counters().retries > 0).await;
        relay.launch();
        rig.feed(4..=6, 5000).await;
        rig.until_delivered(6).await;
        rig.until("the relay has passed everything on", |_| recorder.distinct() >= 30_000).await;
        assert_complete(&recorder.record(), (1..=6).map(|epoch| batch(epoch, 5000)));
        assert_eq!(rig.counters().stalls, 0);
    });
}

#[test]
fn tls_is_verified_in_both_directions() {
    let directory = tempfile::tempdir().unwrap();
    let (certificate, key, both) = certificate(directory.path());
    let other = directory.path().join("other");
    std::fs::create_dir(&other).unwrap();
    let (foreign, ..) = self::certificate(&other);
    let recorder = Recorder::start();
    let port = free_port();
    let mut command = Command::new(debian("socat"));
    let (both, ca) = (both.display(), certificate.display());
    command.arg(format!("OPENSSL-LISTEN:{port},bind=127.0.0.1,reuseaddr,fork,cert={both},cafile={ca},verify=1"));
    command.arg(format!("TCP:127.0.0.1:{}", recorder.port()));
    let _server = Daemon::spawn(command);
    wait_until(SOON, "the TLS server listens", || listens(port));
    let identity = Some((certificate.clone(), key));
    let mut epoch = 0;
    for (host, ca, verify, identity, accepted) in [
        ("localhost", &certificate, true, identity.clone(), true),
        ("localhost", &certificate, true, None, false),
        ("localhost", &foreign, true, identity.clone(), false),
        ("127.0.0.1", &certificate, true, identity.clone(), false),
        ("127.0.0.1", &foreign, false, identity, true),
    ] {
        run(async {
            epoch += 1;
            let mut options = options(port);
            options.servers[0].host = host.to_owned();
            options.tls = Some(Tls { ca_file: Some(ca.clone()), verify, identity });
            let mut rig = Rig::start(&options);
            rig.submit(epoch, 20_000);
            if accepted {
                rig.until_delivered(1).await;
            } else {
                let refused = |rig: &mut Rig<_>| rig.counters().retries + rig.counters().reconnects > 1;
                rig.until("it is refused", refused).await;
                rig.run_for(DELAY).await;
                assert!(rig.delivered.is_empty(), "{host} {ca:?} {verify}");
            }
        });
    }
    assert_complete(&recorder.record(), [batch(1, 20_000), batch(5, 20_000)]);
}

#[test]
fn a_peer_that_hangs_in_tls_loses_nothing() {
    run(async {
        let directory = tempfile::tempdir().unwrap();
        let (certificate, _, both) = certificate(directory.path());
        let recorder = Recorder::start();
        let port = free_port();
        let mut command = Command::new(debian("socat"));
        command.arg(format!("OPENSSL-LISTEN:{port},bind=127.0.0.1,reuseaddr,fork,cert={},verify=0", both.display()));
        command.arg(format!("TCP:127.0.0.1:{}", recorder.port()));
        let _server = Daemon::spawn(command);
        wait_until(SOON, "the TLS server listens", || listens(port));
        let mut options = options(port);
        options.servers[0].host = "localhost".to_owned();
        options.tls = trust(&certificate);
        let mut rig = Rig::start(&options);
        rig.submit(1, 1000);
        rig.until_delivered(1).await;
        recorder.behave(Behaviour::Stall);
        rig.submit(2, 200_000);
        rig.until("it is noticed", |rig| rig.counters().stalls > 0).await;
        recorder.behave(Behaviour::Read);
        rig.until_delivered(2).await;
        assert_complete(&recorder.record(), [batch(1, 1000), batch(2, 200_000)]);
    });
}

#[test]
fn files_for_tls_that_cannot_be_used_are_named() {
    let directory = tempfile::tempdir().unwrap();
    let mut config = crate::harness::config("");
    let empty = crate::harness::write(directory.path(), "empty.pem", "");
    for (path, words) in [(directory.path().join("none.pem"), "cannot be read"), (empty, "contains no certificates")] {
        config.graphite.tls = trust(&path);
        let error = Chain(&graphite::check(&config).unwrap_err()).to_string();
        assert!(error.contains("tls-ca-file") && error.contains(words), "{error}");
    }
}
