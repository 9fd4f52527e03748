//! Faults that need a world in which a worker may take its time, or a disk of a certain kind.

use crate::faults::can_trace;
use crate::faults::disk::{delayed, fill_more};
use crate::harness::clients::sample;
use crate::harness::graphite::{Behaviour, Recorder};
use crate::report::Report;
use crate::scenes::forbid_in_ci;
use crate::world::{RECOVERY, Setting, World};
use nix::sys::signal::Signal;
use std::collections::HashMap;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::Duration;

/// The peer has closed in order while a worker was blocked in reading; then it hangs, and is killed. Whoever judges by the time that
/// went by before he looks takes it for a peer that never closes, and the word of its kernel for its own.
pub fn blocked() -> Report {
    // Longer than a peer that does not close was once given, with these times.
    const BLOCKED: Duration = Duration::from_secs(8);
    let name = "worker blocked in reading, then Graphite hangs and is killed";
    if let Err(reason) = can_trace() {
        let mut report = Report::default();
        report.note(format!("not tried: {name}: cannot trace here: {reason}"));
        forbid_in_ci(&mut report, name);
        return report;
    }
    let mut world = World::new(0, &Setting { worker_timeout: Some(60), ..Setting::default() });
    world.go_on(Duration::from_millis(500), 6.0);
    world.recover();
    world.begin(name);
    world.allow(20);
    // So slow that the workers have begun to read the next snapshot before it closes.
    world.recorder.behave(Behaviour::Trickle(25_000));
    let before = world.recorder.bytes();
    for _ in 0..2 {
        world.feed_one();
    }
    world.wait_for(RECOVERY, |world| world.recorder.bytes() > before + 4_000);
    let workers = world.process.workers();
    let mut strace = delayed(&workers, BLOCKED, ":when=1");
    // strace has them all when the first of them waits; until then snapshots come.
    for _ in 0..4 {
        world.feed_one();
        world.go_on(Duration::from_millis(400), 0.1);
    }
    world.go_on(Duration::from_secs(3), 0.1);
    world.recorder.behave(Behaviour::Stall);
    world.go_on(BLOCKED, 0.1);
    strace.signal(Signal::SIGTERM);
    strace.wait(Duration::from_secs(10));
    // Time for a wrong verdict to settle, and for what came of it.
    world.go_on(Duration::from_secs(3), 0.1);
    world.recorder.vanish();
    world.recorder.behave(Behaviour::Read);
    world.recorder.come_back();
    world.recover();
    world.finish()
}

/// A server closes all connections while workers are blocked in reading, and takes others at once, but nobody has looked. It is not
/// down for that.
pub fn several() -> Report {
    const BLOCKED: Duration = Duration::from_millis(1_500);
    let name = "failover: a server closes connections, workers blocked in reading";
    if let Err(reason) = can_trace() {
        let mut report = Report::default();
        report.note(format!("not tried: {name}: cannot trace here: {reason}"));
        forbid_in_ci(&mut report, name);
        return report;
    }
    let servers = [Recorder::start(), Recorder::start()];
    let [one, other] = servers.each_ref().map(Recorder::port);
    let sections = format!("servers = 127.0.0.1:{one}=a, 127.0.0.1:{other}=b\nmode = failover");
    let mut world = World::new(0, &Setting { sections, worker_timeout: Some(60), ..Setting::default() });
    world.go_on(Duration::from_millis(500), 6.0);
    world.recover();
    world.begin(name);
    world.allow(20);
    let workers = world.process.workers();
    let mut strace = delayed(&workers, BLOCKED, "");
    for _ in 0..3 {
        world.go_on(Duration::from_secs(3), 2.0);
        // It is never refused, which would be no matter of time.
        servers[0].behave(Behaviour::CloseAtOnce);
        world.go_on(Duration::from_millis(50), 2.0);
        servers[0].behave(Behaviour::Read);
    }
    world.go_on(Duration::from_secs(3), 2.0);
    strace.signal(Signal::SIGTERM);
    strace.wait(Duration::from_secs(10));
    world.wind_down();
    if world.process.log().contains("now sending metrics to this server") {
        world.report.fail(format!("{name}: the server was given up"));
    }
    let expected = world.expected();
    let mut arrived = HashMap::new();
    for record in servers.iter().map(Recorder::record) {
        for (line, times) in record.lines {
            *arrived.entry(line).or_default() += times;
        }
    }
    world.compare(&expected, &arrived);
    std::mem::take(&mut world.report)
}

/// While a snapshot is with a worker it is removed, and another of the same second, with more in it, takes its place and, as it
/// happens on most disks, the number of its inode.
pub fn reused() -> Report {
    const RENDERED: &str = "haproxystats_process_lines_rendered_total";
    let name = "a snapshot is replaced by one with its inode number";
    let mut world = World::new(0, &Setting { on_disk: true, ..Setting::default() });
    world.go_on(Duration::from_millis(500), 6.0);
    world.recover();
    let mut reused = 0;
    for _ in 0..3 {
        world.begin(name);
        world.allow(4);
        world.recorder.vanish();
        let before = sample(world.page, RENDERED);
        let epoch = world.next();
        world.feed_one();
        // The worker has read it, and holds its lines for Graphite.
        world.wait_for(RECOVERY, |world| sample(world.page, RENDERED) > before);
        let (place, staging) = (world.incoming().join(epoch.to_string()), world.staging());
        let number = inode(&place);
        fs::remove_dir_all(&place).expect("removed");
        let (new, others) = (staging.join("new"), world.base.path().join("others"));
        fs::create_dir_all(&others).expect("a directory");
        for other in 0..2_000 {
            fs::create_dir(&new).expect("a directory");
            if inode(&new) == number {
                reused += 1;
                break;
            }
            fs::rename(&new, others.join(other.to_string())).expect("put aside");
        }
        let _ = fs::create_dir(&new);
        fill_more(&new, epoch).expect("a snapshot");
        fill_more(&world.kept.path().join(epoch.to_string()), epoch).expect("a copy");
        fs::rename(&new, &place).expect("it takes the place");
        world.recorder.come_back();
        world.recover();
        fs::remove_dir_all(others).expect("removed");
    }
    if reused == 0 {
        world.report.note(format!("not brought about: {name}: this file system does not use inode numbers again"));
    }
    world.finish()
}

fn inode(path: &Path) -> u64 {
    fs::metadata(path).map(|found| found.ino()).unwrap_or_default()
}
