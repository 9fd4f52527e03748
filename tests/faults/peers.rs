//! A real carbon-cache and a real carbon-c-relay that are stopped, killed and started again.
//!
//! What such a program has read and then loses by its own death is beyond any sender: the protocol has no
//! acknowledgement by its storage. That loss is measured and noted; everything else has to be there.

use crate::circumstances::now;
use crate::harness::carbon::Carbon;
use crate::harness::{Daemon, debian, free_port, listens, wait_until, write};
use crate::report::Report;
use crate::world::{RECOVERY, Setting, World};
use nix::sys::signal::Signal;
use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

/// The loss of this fault is the peer's.
const CARBON_KILLED: &str = "kill -9 of carbon-cache (its own loss)";
const RELAY_KILLED: &str = "kill -9 of carbon-c-relay (its own loss)";
const RELAY_ENDED: &str = "SIGTERM to carbon-c-relay (its own loss)";

fn some_time(world: &mut World) {
    world.go_on(Duration::from_millis(1_500), 3.0);
}

/// carbon-cache, its files read afterwards.
pub fn carbon() -> Report {
    let mut carbon = Carbon::start();
    let setting =
        Setting { port: Some(carbon.port()), first: Some(now() - 600), settle: Some(1.0), ..Setting::default() };
    let mut world = World::new(0, &setting);
    some_time(&mut world);
    world.begin("carbon-cache stopped and started");
    some_time(&mut world);
    carbon.stop();
    some_time(&mut world);
    carbon.launch();
    some_time(&mut world);
    world.begin("SIGSTOP of carbon-cache");
    some_time(&mut world);
    carbon.daemon().signal(Signal::SIGSTOP);
    some_time(&mut world);
    carbon.daemon().signal(Signal::SIGCONT);
    some_time(&mut world);
    world.wait_for(RECOVERY, |world| crate::harness::names(&world.incoming()).is_empty());
    // What came before must be on its disk, or the next fault would be blamed for nothing.
    let before = world.expected();
    settle(&carbon, &before);
    world.begin(CARBON_KILLED);
    some_time(&mut world);
    carbon.kill();
    some_time(&mut world);
    carbon.launch();
    some_time(&mut world);
    world.wind_down();
    let expected = world.expected();
    // carbon writes about once a second.
    let arrived = settle(&carbon, &expected);
    compare(&mut world, expected, &arrived, &[CARBON_KILLED]);
    std::mem::take(&mut world.report)
}

/// What carbon has on its disk, when that does not grow any more or is complete.
fn settle(carbon: &Carbon, expected: &HashMap<String, (&'static str, u64)>) -> HashMap<String, u32> {
    let mut last = usize::MAX;
    loop {
        let arrived = stored(carbon, expected);
        if arrived.len() == expected.len() || arrived.len() == last {
            return arrived;
        }
        last = arrived.len();
        std::thread::sleep(Duration::from_secs(4));
    }
}

fn stored(carbon: &Carbon, expected: &HashMap<String, (&'static str, u64)>) -> HashMap<String, u32> {
    let mut series: HashMap<&str, BTreeMap<u64, f64>> = HashMap::new();
    let mut arrived = HashMap::new();
    for line in expected.keys() {
        let mut fields = line.split(' ');
        let (Some(path), Some(value), Some(time)) = (fields.next(), fields.next(), fields.next()) else { continue };
        let points = series.entry(path).or_insert_with(|| carbon.points(path));
        let (Ok(value), Ok(time)) = (value.parse::<f64>(), time.parse::<u64>()) else { continue };
        if points.get(&time).is_some_and(|stored| stored.to_bits() == value.to_bits()) {
            arrived.insert(line.clone(), 1);
        }
    }
    arrived
}

/// The invariant for everything but these faults, whose losses are noted.
fn compare(
    world: &mut World,
    mut expected: HashMap<String, (&'static str, u64)>,
    arrived: &HashMap<String, u32>,
    excused: &[&'static str],
) {
    for fault in excused {
        let of = expected.iter().filter(|(_, (name, _))| name == fault);
        let (all, lost) =
            of.fold((0, 0), |(all, lost), (line, _)| (all + 1, lost + u64::from(!arrived.contains_key(line))));
        world.report.note(format!("{fault}: {lost} of {all} points"));
        world.report.rows.remove(fault);
    }
    let (counted, apart) = expected.drain().partition::<HashMap<_, _>, _>(|(_, (name, _))| !excused.contains(name));
    let mut arrived = arrived.clone();
    arrived.retain(|line, _| !apart.contains_key(line));
    world.compare(&counted, &arrived);
}

/// carbon-c-relay in front of the recording Graphite.
pub fn relay() -> Report {
    let directory = tempfile::tempdir().expect("a directory");
    let port = free_port();
    let setting = Setting { port: Some(port), settle: Some(1.0), ..Setting::default() };
    let mut relay = None;
    let mut world = World::new(0, &setting);
    let file = configuration(directory.path(), port, world.recorder.port());
    launch(&mut relay, &file, port);
    some_time(&mut world);
    world.begin("carbon-c-relay absent");
    world.wait_for(RECOVERY, |world| crate::harness::names(&world.incoming()).is_empty());
    std::thread::sleep(Duration::from_secs(1));
    relay = None;
    some_time(&mut world);
    launch(&mut relay, &file, port);
    some_time(&mut world);
    world.begin("SIGSTOP of carbon-c-relay");
    if let Some(relay) = &relay {
        relay.signal(Signal::SIGSTOP);
    }
    some_time(&mut world);
    if let Some(relay) = &relay {
        relay.signal(Signal::SIGCONT);
    }
    some_time(&mut world);
    world.begin("Graphite behind carbon-c-relay stalls");
    world.recorder.behave(crate::harness::graphite::Behaviour::Stall);
    some_time(&mut world);
    world.recorder.behave(crate::harness::graphite::Behaviour::Read);
    some_time(&mut world);
    world.wait_for(RECOVERY, |world| crate::harness::names(&world.incoming()).is_empty());
    std::thread::sleep(Duration::from_secs(1));
    for (name, signal) in [(RELAY_KILLED, Signal::SIGKILL), (RELAY_ENDED, Signal::SIGTERM)] {
        world.begin(name);
        some_time(&mut world);
        if let Some(mut relay) = relay.take() {
            relay.signal(signal);
            relay.wait(Duration::from_secs(20));
        }
        some_time(&mut world);
        launch(&mut relay, &file, port);
        some_time(&mut world);
    }
    world.wind_down();
    let expected = world.expected();
    wait_for_relay(&world, &expected);
    let record = world.recorder.record();
    compare(&mut world, expected, &record.lines, &[RELAY_KILLED, RELAY_ENDED]);
    std::mem::take(&mut world.report)
}

fn wait_for_relay(world: &World, expected: &HashMap<String, (&'static str, u64)>) {
    // It forwards several times a second.
    crate::harness::poll(Duration::from_secs(5), || {
        let record = world.recorder.record();
        expected.keys().all(|line| record.lines.contains_key(line)).then_some(())
    });
}

fn configuration(directory: &Path, port: u16, to: u16) -> std::path::PathBuf {
    let text = format!(
        "listen type linemode 127.0.0.1:{port} proto tcp ;\n\
         cluster graphite forward 127.0.0.1:{to} proto tcp ;\n\
         match * send to graphite stop ;\n"
    );
    write(directory, "relay.conf", text)
}

fn launch(relay: &mut Option<Daemon>, file: &Path, port: u16) {
    let mut command = Command::new(debian("carbon-c-relay"));
    command.arg("-f").arg(file).args(["-w", "1", "-q", "200000", "-b", "1000", "-H", "relay"]);
    *relay = Some(Daemon::spawn(command));
    wait_until(Duration::from_secs(10), "carbon-c-relay listens", || listens(port));
}
