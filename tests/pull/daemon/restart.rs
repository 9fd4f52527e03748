//! Restarts, and a second program: no tick is lost, and none is taken twice.

use super::{Place, figures, now};
use crate::harness::haproxy::{Fake, Script};
use crate::harness::{self, SOON, names, poll, wait_until};
use nix::sys::signal::Signal;
use std::fs;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Waits until so much time is left until the next multiple of `interval`.
pub(super) fn wait_until_before_the_tick(interval: u64, left: Duration) {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let mut next = Duration::from_secs((now.as_secs() / interval + 1) * interval);
    if next.saturating_sub(now) < left {
        next += Duration::from_secs(interval);
    }
    std::thread::sleep((next - now).saturating_sub(left));
}

#[test]
fn a_restart_around_a_tick_loses_none_and_takes_none_twice() {
    const INTERVAL: u64 = 6;
    let place = Place::new();
    let good = place.fake("good.sock", Script::good());
    let options = [("pull-interval", "6"), ("pull-timeout", "3")];
    let mut pull = place.start(&options);
    place.next(&pull, 0);
    // Just before a tick, at it, and well after it.
    for left in [150, 20, 5_500] {
        let (seen, asked) = (place.published().len(), good.connections());
        wait_until_before_the_tick(INTERVAL, Duration::from_millis(left));
        pull.signal(Signal::SIGTERM);
        assert!(pull.wait(SOON).success(), "{}", pull.output());
        pull = place.start(&options);
        place.next(&pull, seen);
        let asked = good.connections() - asked;
        assert!(asked <= 2, "asked {asked} times for one tick or two");
    }
    let seen = place.published().len();
    place.next(&pull, seen);
    pull.stop(SOON);
    let epochs: Vec<u64> = place.published().iter().map(|name| name.parse().unwrap()).collect();
    assert!(epochs.windows(2).all(|pair| pair[1] - pair[0] == INTERVAL), "a tick is missing: {epochs:?}");
    place.assert_nothing_is_left();
}

#[test]
fn what_was_taken_away_already_is_not_pulled_again() {
    let place = Place::new();
    let _good = place.fake("good.sock", Script::good());
    let options = [("pull-interval", "30")];
    // As if another pull had published the tick of this moment, and process had taken it.
    fs::create_dir_all(place.incoming()).unwrap();
    let tick = now() / 30 * 30;
    fs::write(place.incoming().join(".haproxystats-pull"), format!("{tick:>12}\n")).unwrap();
    let mut pull = place.start(&options);
    pull.wait_for_output("is running", SOON);
    let first = format!("first={}", tick + 30);
    // Unless the half minute has just passed by.
    assert!(pull.output().contains(&first) || now() / 30 * 30 != tick, "{first}\n{}", pull.output());
    pull.stop(SOON);
}

#[test]
fn a_pull_that_is_under_way_ends_before_the_program_does() {
    for signal in [Signal::SIGTERM, Signal::SIGINT] {
        let place = Place::new();
        let slow = place.fake("slow.sock", Script::Slow(Duration::from_secs(1)));
        let mut pull = place.start(&[("pull-interval", "2")]);
        wait_until(SOON, "the socket is asked", || slow.connections() > 0);
        pull.signal(signal);
        assert!(pull.wait(SOON).success(), "{}", pull.output());
        assert_eq!(place.published().len(), 1, "{signal}:\n{}", pull.output());
        place.assert_nothing_is_left();
    }
}

#[test]
fn a_pull_that_does_not_end_is_given_up() {
    let place = Place::new();
    let hang = place.fake("hang.sock", Script::Hang);
    let mut pull = place.start(&[("pull-timeout", "0")]);
    wait_until(SOON, "the socket is asked", || hang.connections() > 0);
    pull.stop(SOON);
    assert!(pull.output().contains("it did not finish in time"), "{}", pull.output());
    place.assert_nothing_is_left();
}

#[test]
fn a_second_instance_with_another_tmp_dst_dir_is_refused_whatever_was_made_again() {
    let place = Place::new();
    let _good = place.fake("good.sock", Script::good());
    let mut first = place.start(&[]);
    place.next(&first, 0);
    let other = place.root.path().join("other.tmp").display().to_string();
    let second = Place::new();
    let refused = |what: &str| {
        let options = [("dst-dir", place.incoming().display().to_string()), ("tmp-dst-dir", other.clone())];
        let options = options.each_ref().map(|(name, value)| (*name, value.as_str()));
        let (status, output) = harness::run(second.command(&options), SOON);
        assert_eq!(status.code(), Some(1), "{what}: {output}");
        assert!(output.contains("is in use by another haproxystats-pull"), "{what}: {output}");
    };
    refused("as it was");
    for directory in [place.staging(), place.incoming()] {
        fs::remove_dir_all(&directory).unwrap();
        let seen = place.published().len();
        place.next(&first, seen + 1);
        refused(&format!("{} was made again", directory.display()));
    }
    first.stop(SOON);
    assert!(!first.output().contains("the clock went back"), "{}", first.output());
}

#[test]
fn a_pull_without_limit_says_what_it_waits_for() {
    let place = Place::new();
    let _good = place.fake("good.sock", Script::good());
    let _trickle = Fake::start(&place.sockets(), "trickle.sock", Script::Trickle(Duration::from_millis(200)));
    let mut pull = place.start(&[("pull-timeout", "0")]);
    pull.wait_for_output("the pull is still waiting for this socket", SOON * 2);
    let output = pull.output();
    assert!(output.contains("socket=trickle.sock") && !output.contains("socket=good.sock"), "{output}");
    // It ends after all, since the reply does.
    let snapshot = poll(SOON * 2, || place.published().first().map(|name| place.incoming().join(name)));
    let snapshot = snapshot.unwrap_or_else(|| panic!("nothing was published:\n{}", pull.output()));
    assert!(figures(&snapshot)["PullSlowSockets"] >= 1.0);
    assert_eq!(names(&snapshot).len(), 5);
    pull.stop(SOON);
}
