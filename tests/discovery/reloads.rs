//! SIGHUP to haproxystats-discovery: server and client go on with the new configuration, and the lease stays where it is.

use super::program::{Running, Site, page, wait_for};
use crate::harness::discovery::{Balancer, Traffic, Web};
use crate::harness::free_port;
use nix::sys::signal::Signal;
use std::fs;
use std::sync::atomic::{AtomicBool, Ordering};

const FILE: &str = "[discovery-server]\nmode = file\nsource-file = @/servers\ndrain-time = 1\nlease-time = 2\n\
                    hold-obsolete = 0\nremoval-confirmations = 2\n";
const USED: &str = "the new configuration is in use";
const REFUSED: &str = "haproxystats-discovery continues with the old one";

/// Sends SIGHUP and waits until the log has what became of it.
#[track_caller]
fn reload(running: &Running, outcome: &str) {
    let count = || running.log().matches(outcome).count();
    let before = count();
    running.signal(Signal::SIGHUP);
    wait_for(outcome, || count() > before);
}

/// Replaces a part of the configuration.
#[track_caller]
fn edit(site: &Site, from: &str, to: &str) {
    let text = fs::read_to_string(site.path("haproxystats.conf")).unwrap();
    let edited = text.replace(from, to);
    assert_ne!(edited, text);
    site.write("haproxystats.conf", &edited);
}

#[test]
fn a_reload_keeps_the_lease_and_takes_the_new_source() {
    let (one, two) = (free_port(), free_port());
    let site = Site::new(&format!("[exporter]\nlisten = 127.0.0.1:{one}\n{FILE}"));
    site.write("servers", "10.0.0.1 id=i-1\n");
    site.write("others", "10.0.0.1 id=i-1\n10.0.0.2 id=i-2\n");
    let server = site.start("one", &["--server"]);
    wait_for("one has the lease", || server.log().contains("this server holds the lease"));
    wait_for("the list", || site.slots().starts_with("i-1 - "));
    // Another page, so that the two do not share it.
    let text = fs::read_to_string(site.path("haproxystats.conf")).unwrap();
    let standby = text.replace(&one.to_string(), &free_port().to_string());
    site.write("standby.conf", &standby);
    let mut command = crate::harness::discovery();
    command.arg("-f").arg(site.path("standby.conf")).arg("--server");
    let mut standby = crate::harness::Daemon::spawn(command);
    standby.wait_for_output("another server holds the lease", crate::harness::SOON);
    let (lease, done) = (site.path("state/lease.json"), AtomicBool::new(false));
    std::thread::scope(|scope| {
        let missing = scope.spawn(|| {
            let mut missing = 0;
            while !done.load(Ordering::SeqCst) {
                missing += u32::from(!lease.exists());
            }
            missing
        });
        for _ in 0..10 {
            reload(&server, USED);
        }
        done.store(true, Ordering::SeqCst);
        assert_eq!(missing.join().unwrap(), 0, "the lease was given back");
    });
    edit(&site, "/servers", "/others");
    edit(&site, &one.to_string(), &two.to_string());
    reload(&server, USED);
    wait_for("the other source", || site.slots().starts_with("i-1 i-2 "));
    wait_for("the page at its new address", || page(two).contains("haproxystats_discovery_leader 1"));
    assert!(site.path("state/lease.json").exists());
    assert!(!standby.output().contains("this server holds the lease"), "{}", standby.output());
    standby.stop(crate::harness::SOON);
    let log = server.stop();
    assert!(!site.path("state/lease.json").exists(), "the end gives it back");
    assert!(!log.contains("draining"), "{log}");
}

#[test]
fn what_is_refused_changes_nothing_and_every_error_is_logged() {
    let site = Site::new(FILE);
    site.write("servers", "10.0.0.1 id=i-1\n");
    let server = site.start("log", &["--server"]);
    wait_for("the list", || site.slots().starts_with("i-1 - "));
    let good = fs::read_to_string(site.path("haproxystats.conf")).unwrap();
    for (wrong, words) in [
        ("mode = nothing\nlease-time = x\n", &["mode = \"nothing\"", "lease-time = \"x\""][..]),
        ("mode =\n", &["mode"]),
    ] {
        let broken = good.replace("mode = file\n", wrong).replace("lease-time = 2\n", "");
        site.write("haproxystats.conf", &broken);
        reload(&server, REFUSED);
        let log = server.log();
        assert!(words.iter().all(|words| log.contains(words)), "{words:?}: {log}");
    }
    // The store cannot be used: certificates that are not there.
    let store = "interval = 0.05\nstore = etcd\nstore-url = https://127.0.0.1:1\ntls-ca-file = /nonexistent/ca\n";
    site.write("haproxystats.conf", &good.replace("interval = 0.05\n", store));
    reload(&server, REFUSED);
    assert!(server.log().contains("/nonexistent/ca"), "{}", server.log());
    site.write("servers", "10.0.0.1 id=i-1\n10.0.0.2 id=i-2\n");
    wait_for("it goes on", || site.slots().starts_with("i-1 i-2 "));
    assert!(!server.log().contains(USED));
    server.stop();
}

#[test]
fn a_client_goes_on_under_traffic_and_takes_another_backend() {
    const DYNAMIC: &str = "balance roundrobin";
    let port = free_port();
    let webs = [1, 2].map(|number| Web::start(number, port));
    let balancer = Balancer::start(&[("web", DYNAMIC), ("more", DYNAMIC)], "admin");
    let site = Site::new(&format!(
        "[discovery]\nhaproxy-backend-servers-list-size = 4\n{FILE}[discovery-client]\nhaproxy-socket-path = {}\n\
         haproxy-backend-server-port = {port}\n[discovery-backend:web]\nbase-name = web\nmode = dynamic\n",
        balancer.socket().display()
    ));
    let text: String = (1..=2).map(|number| format!("127.0.9.{number} id=i-{number}\n")).collect();
    site.write("servers", &text);
    let running = site.start("log", &["--server", "--client"]);
    balancer.wait_for_serving("web", &[1, 2]);
    let traffic = Traffic::start(balancer.ports[0]);
    traffic.more();
    for _ in 0..3 {
        reload(&running, USED);
        traffic.more();
    }
    edit(&site, "mode = dynamic\n", "mode = dynamic\n[discovery-backend:more]\nbase-name = more\nmode = dynamic\n");
    reload(&running, USED);
    balancer.wait_for_serving("more", &[1, 2]);
    traffic.more();
    traffic.assert_clean();
    drop(webs);
    running.stop();
}
