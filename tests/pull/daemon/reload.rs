//! SIGHUP: the configuration is read again; no tick is lost by it.

use super::restart::wait_until_before_the_tick;
use super::{Place, epochs};
use crate::harness::haproxy::Script;
use crate::harness::prometheus::wait_for_sample;
use crate::harness::site::Site;
use crate::harness::{SOON, free_port, listens, names, poll, wait_until};
use nix::sys::signal::Signal;
use std::path::Path;
use std::time::Duration;

/// How often the log says this.
fn count(pull: &crate::harness::Daemon, words: &str) -> usize {
    pull.output().matches(words).count()
}

/// Sends SIGHUP and waits until the log has what became of it.
#[track_caller]
fn reload(pull: &crate::harness::Daemon, outcome: &str) {
    let before = count(pull, outcome);
    pull.signal(Signal::SIGHUP);
    wait_until(SOON, outcome, || count(pull, outcome) > before);
}

const USED: &str = "the new configuration is in use";
const REFUSED: &str = "haproxystats-pull continues with the old one";

/// The sockets that a snapshot has files of.
fn sockets(snapshot: &Path) -> Vec<String> {
    names(snapshot).iter().filter_map(|name| name.strip_suffix("_stat").map(str::to_owned)).collect()
}

#[track_caller]
fn assert_no_tick_is_missing(published: &[String], interval: u64) {
    let published: Vec<u64> = published.iter().map(|name| name.parse().unwrap()).collect();
    assert!(published.windows(2).all(|pair| pair[1] - pair[0] == interval), "a tick is missing: {published:?}");
}

#[test]
fn a_reload_at_any_moment_takes_the_new_configuration_and_loses_no_tick() {
    const INTERVAL: u64 = 2;
    let (site, place) = (Site::start(2, 0), Place::new());
    let socket_dir = site.socket_dir().display().to_string();
    let start = |exclude: &str| {
        place.command(&[
            ("socket-dir", &socket_dir),
            ("pull-interval", "2"),
            ("exclude-sockets", exclude),
            ("continuous-counters", "true"),
        ])
    };
    let mut pull = crate::harness::Daemon::spawn(start(""));
    let pid = pull.pid();
    place.next(&pull, 1);
    // Long before a tick, just before it, at it, and in the middle of a pull.
    for (round, left) in [1_500, 150, 20, 3, 0].into_iter().enumerate() {
        let excluded = round % 2 == 0;
        start(if excluded { "lb1*" } else { "" });
        wait_until_before_the_tick(INTERVAL, Duration::from_millis(left));
        reload(&pull, USED);
        let seen = place.published().len();
        let snapshot = place.next(&pull, seen + 1);
        let expected: &[&str] = if excluded { &["lb0.sock"] } else { &["lb0.sock", "lb1.sock"] };
        assert_eq!(sockets(&snapshot), expected, "{}", pull.output());
    }
    assert_eq!(pull.pid(), pid);
    pull.stop(SOON);
    assert_no_tick_is_missing(&place.published(), INTERVAL);
    place.assert_nothing_is_left();
}

#[test]
fn a_configuration_that_is_refused_changes_nothing_and_every_error_is_logged() {
    let place = Place::new();
    let _good = place.fake("good.sock", Script::good());
    let mut pull = place.start(&[]);
    place.next(&pull, 0);
    place.command(&[("pull-interval", "often"), ("timeout", "never"), ("retries", "0")]);
    reload(&pull, REFUSED);
    let output = pull.output();
    assert!(
        output.contains("[pull] pull-interval = \"often\"") && output.contains("[pull] timeout = \"never\""),
        "{output}"
    );
    // A directory that cannot be made, and one of another haproxystats-pull.
    let file = crate::harness::write(place.root.path(), "file", "");
    place.command(&[("dst-dir", &file.join("x").display().to_string())]);
    reload(&pull, REFUSED);
    let other = Place::new();
    let _other_good = other.fake("good.sock", Script::good());
    let mut second = other.start(&[]);
    other.next(&second, 0);
    place.command(&[("dst-dir", &other.incoming().display().to_string())]);
    reload(&pull, REFUSED);
    assert!(pull.output().contains("is in use by another haproxystats-pull"), "{}", pull.output());
    // It goes on in its own.
    let seen = place.published().len();
    place.next(&pull, seen + 1);
    place.command(&[]);
    reload(&pull, USED);
    let seen = place.published().len();
    place.next(&pull, seen + 1);
    for (daemon, place) in [(&mut pull, &place), (&mut second, &other)] {
        daemon.stop(SOON);
        assert_no_tick_is_missing(&place.published(), 1);
        place.assert_nothing_is_left();
    }
}

#[test]
fn directories_interval_and_page_may_change() {
    let (mut place, [one, two]) = (Place::new(), [free_port(), free_port()]);
    let _good = place.fake("good.sock", Script::good());
    place.more = format!("[exporter]\nlisten = 127.0.0.1:{one}\n");
    let mut pull = place.start(&[("continuous-counters", "true")]);
    place.next(&pull, 1);
    wait_for_sample(one, "haproxystats_pull_published_total", |value| value >= 2.0);
    let moved = place.root.path().join("moved");
    place.more = format!("[exporter]\nlisten = 127.0.0.1:{two}\n");
    place.command(&[
        ("dst-dir", &moved.display().to_string()),
        ("pull-interval", "2"),
        ("continuous-counters", "true"),
    ]);
    reload(&pull, USED);
    let published = poll(SOON, || Some(epochs(&moved)).filter(|published| published.len() > 2)).unwrap();
    assert_no_tick_is_missing(&published, 2);
    let (last, first) = (place.published().pop().unwrap(), published.first().unwrap());
    let gap = first.parse::<u64>().unwrap() - last.parse::<u64>().unwrap();
    assert!((1..=2).contains(&gap), "from {last} to {first}");
    // Its own figures go on, at the new address.
    wait_for_sample(two, "haproxystats_pull_published_total", |value| value >= 5.0);
    wait_until(SOON, "the old address is closed", || !listens(one));
    // The directory that was left is free for another.
    let mut second = crate::harness::Daemon::spawn({
        let other = Place::new();
        let text = format!(
            "[pull]\nsocket-dir = {}\npull-interval = 1\ndst-dir = {}\ntmp-dst-dir = {}\n",
            place.sockets().display(),
            place.incoming().display(),
            place.root.path().join("second.tmp").display()
        );
        let file = crate::harness::write(place.root.path(), "second.conf", text);
        drop(other);
        crate::harness::with_config(crate::harness::pull(), &file)
    });
    let seen = place.published().len();
    place.next(&second, seen);
    second.stop(SOON);
    pull.stop(SOON);
}

#[test]
fn a_pull_without_a_limit_does_not_keep_a_reload_for_ever() {
    let place = Place::new();
    let _good = place.fake("good.sock", Script::good());
    let hang = place.fake("hang.sock", Script::Hang);
    let mut pull = place.start(&[("pull-timeout", "0")]);
    wait_until(SOON, "the socket is asked", || hang.connections() > 0);
    place.command(&[("pull-timeout", "0"), ("exclude-sockets", "hang.sock")]);
    reload(&pull, USED);
    assert!(pull.output().contains("it did not finish in time"), "{}", pull.output());
    place.next(&pull, 0);
    pull.stop(SOON);
}
