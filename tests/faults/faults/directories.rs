//! Faults of the queue on disk: moved, replaced, unmounted, full.

use super::{During, Fault, burst, fault, moment, mounting};
use crate::harness::names;
use crate::world::{RECOVERY, World};
use nix::sys::signal::Signal;
use std::fs;
use std::io::Write;
use std::time::Duration;

/// Faults of directories and disks.
pub const DIRECTORIES: &[Fault] = &[
    fault("src-dir moved away and back", moved),
    fault("src-dir replaced", replaced),
    fault("src-dir deleted and made again", deleted),
    mounting("src-dir mounted over, unmounted", mounted_over),
    mounting("src-dir read-only", read_only),
    mounting("disk of the queue full", full),
    fault("inotify queue overflows", overflow),
];

fn moved(world: &mut World, name: &'static str, during: During<'_>) {
    world.begin(name);
    burst(world, 3);
    moment(world, 100);
    let (incoming, away) = (world.incoming(), world.base.path().join("away"));
    fs::rename(&incoming, &away).expect("moved away");
    during(world);
    fs::rename(&away, &incoming).expect("moved back");
}

fn replaced(world: &mut World, name: &'static str, during: During<'_>) {
    world.begin(name);
    burst(world, 3);
    moment(world, 100);
    let (incoming, away) = (world.incoming(), world.base.path().join("away"));
    fs::rename(&incoming, &away).expect("moved away");
    fs::create_dir(&incoming).expect("another one");
    during(world);
    // Its administrator takes care of the old one, and moves what is left there.
    for snapshot in names(&away).iter().filter(|name| !name.starts_with('.')) {
        fs::rename(away.join(snapshot), incoming.join(snapshot)).expect("moved over");
    }
    fs::remove_dir_all(&away).expect("removed");
}

fn deleted(world: &mut World, name: &'static str, during: During<'_>) {
    world.begin(name);
    // What lies in it would be deleted with it.
    if !world.recover() {
        return world.report.fail(format!("{name}: nothing is delivered before it"));
    }
    fs::remove_dir_all(world.incoming()).expect("deleted");
    during(world);
    fs::create_dir(world.incoming()).expect("made again");
    burst(world, 2);
}

fn mounted_over(world: &mut World, name: &'static str, during: During<'_>) {
    world.begin(name);
    burst(world, 3);
    let incoming = world.incoming();
    if let Err(error) = world.mounts.tmpfs("size=16m", &incoming) {
        return world.report.fail(format!("{name}: {error}"));
    }
    during(world);
    // Snapshots are published inside of the new one, as haproxystats-pull does across file systems.
    let mut inside = Vec::new();
    for _ in 0..3 {
        if let Some(epoch) = world.stage_inside() {
            inside.push(epoch);
        }
    }
    let taken = |_: &mut World| inside.iter().all(|epoch| !incoming.join(epoch.to_string()).exists());
    if !world.wait_for(RECOVERY, taken) {
        world.report.fail(format!("{name}: what lies in the other file system is not delivered"));
    }
    world.mounts.unmount(&incoming);
}

fn read_only(world: &mut World, name: &'static str, during: During<'_>) {
    world.begin(name);
    burst(world, 3);
    moment(world, 60);
    let incoming = world.incoming();
    let path = incoming.display().to_string();
    let mounted = world
        .mounts
        .mount(&["--bind", &path], &incoming)
        .and_then(|()| world.mounts.mount(&["-o", "remount,bind,ro"], &incoming));
    if let Err(error) = mounted {
        return world.report.fail(format!("{name}: {error}"));
    }
    during(world);
    world.go_on(Duration::from_millis(500), 4.0);
    world.mounts.unmount(&incoming);
}

fn full(world: &mut World, name: &'static str, during: During<'_>) {
    world.begin(name);
    let staged: Vec<u64> = (0..4).filter_map(|_| world.stage()).collect();
    let ballast = world.base.path().join("ballast");
    let mut file = fs::File::create(&ballast).expect("a file");
    let block = vec![7; 64 * 1024];
    while file.write_all(&block).is_ok() {}
    for epoch in staged {
        world.publish(epoch);
    }
    during(world);
    let _ = fs::remove_file(ballast);
}

fn overflow(world: &mut World, name: &'static str, during: During<'_>) {
    world.begin(name);
    let parent = world.process.pid();
    world.process.signal(Signal::SIGSTOP);
    let (one, two) = (world.incoming().join(".a"), world.incoming().join(".b"));
    if fs::write(&one, "").is_ok() {
        // Each of them is one event; the kernel keeps 16384.
        for _ in 0..9_000 {
            let _ = fs::rename(&one, &two).and_then(|()| fs::rename(&two, &one));
        }
        let _ = fs::remove_file(&one);
    }
    burst(world, 10);
    if world.process.pid() == parent {
        world.process.signal(Signal::SIGCONT);
    }
    during(world);
}
