//! Faults of reading the queue, and of what takes the place of a snapshot.

use super::{During, Fault, burst, fault, moment, tracing};
use crate::data;
use crate::harness::{Daemon, debian};
use crate::world::World;
use nix::sys::signal::Signal;
use nix::unistd::Pid;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

/// Faults of reading.
pub const DISK: &[Fault] = &[
    tracing("disk of the queue: EIO", |world, name, during| errors(world, name, during, "EIO")),
    tracing("disk of the queue: EACCES", |world, name, during| errors(world, name, during, "EACCES")),
    tracing("disk of the queue: other errors", |world, name, during| {
        let error = ERRORS[world.rng.usize(..ERRORS.len())];
        errors(world, name, during, error);
    }),
    tracing("disk of the queue slow", slow),
    fault("a snapshot is replaced in flight", replaced),
];

/// What network file systems, mounts and a system that is short of something say, each of which may be over at any time.
const ERRORS: [&str; 7] = ["ENODEV", "ENOTCONN", "EREMOTEIO", "ESTALE", "ETIMEDOUT", "EMFILE", "EHOSTUNREACH"];

/// Nothing of the queue can be opened or listed, for long enough that each snapshot is tried more than once.
fn errors(world: &mut World, name: &'static str, during: During<'_>, error: &str) {
    world.begin(name);
    // Of a snapshot that cannot be read to its end, pieces may have been sent; each is tried several times.
    world.allow(20);
    burst(world, 4);
    let mut strace = Command::new(debian("strace"));
    strace.args(["-qq", "-o", "/dev/null", "-e", "trace=openat,getdents64"]);
    strace.args(["-e", &format!("inject=openat,getdents64:error={error}")]);
    for pid in world.process.workers().into_iter().chain(world.process.pid()) {
        strace.args(["-p", &pid.to_string()]);
    }
    let mut strace = Daemon::spawn(strace);
    burst(world, 4);
    world.go_on(Duration::from_secs(5), 4.0);
    during(world);
    if strace.is_running() {
        strace.signal(Signal::SIGTERM);
        strace.wait(Duration::from_secs(10));
    }
}

/// Workers wait in reading, not as long as would be held against them, while Graphite does what it likes.
fn slow(world: &mut World, name: &'static str, during: During<'_>) {
    world.begin(name);
    world.allow(4);
    burst(world, 2);
    let delay = world.rng.u64(50..400);
    let workers = world.process.workers();
    let mut strace = delayed(&workers, Duration::from_millis(delay), "");
    burst(world, 2);
    world.go_on(Duration::from_secs(2), 4.0);
    during(world);
    if strace.is_running() {
        strace.signal(Signal::SIGTERM);
        strace.wait(Duration::from_secs(10));
    }
}

/// From now on each attempt of these processes to open something takes so long, or those that `when` says.
pub fn delayed(processes: &[Pid], delay: Duration, when: &str) -> Daemon {
    let mut strace = Command::new(debian("strace"));
    strace.args(["-qq", "-o", "/dev/null", "-e", "trace=openat"]);
    strace.args(["-e", &format!("inject=openat:delay_enter={}{when}", delay.as_micros())]);
    for pid in processes {
        strace.args(["-p", &pid.to_string()]);
    }
    Daemon::spawn(strace)
}

/// While snapshots are with workers, others of the same seconds, with more in them, take their places.
fn replaced(world: &mut World, name: &'static str, during: During<'_>) {
    world.begin(name);
    world.recorder.vanish();
    world.allow(3);
    let staged: Vec<u64> = (0..3).filter_map(|_| world.stage()).collect();
    for epoch in staged.iter().copied() {
        world.publish(epoch);
    }
    moment(world, 400);
    for epoch in staged {
        let (name, new) = (epoch.to_string(), world.staging().join(format!("{epoch}.new")));
        let place = world.incoming().join(&name);
        let made = fs::create_dir(&new).and_then(|()| fill_more(&new, epoch));
        // It may have been delivered already.
        let _ = fs::remove_dir_all(&place);
        if made.and_then(|()| fs::rename(&new, &place)).is_ok() {
            fill_more(&world.kept.path().join(&name), epoch).expect("a copy");
        } else {
            let _ = fs::remove_dir_all(&new);
        }
    }
    during(world);
    world.recorder.come_back();
}

/// Everything that [`data::fill`] makes, and a further frontend.
pub fn fill_more(directory: &Path, epoch: u64) -> std::io::Result<()> {
    data::fill(directory, epoch)?;
    let stat = data::stat(epoch, data::SERVERS);
    let frontend = stat.lines().find(|line| line.starts_with("www,")).expect("a frontend");
    let more = format!("{}{}\n", stat.trim_end_matches('\n').to_owned() + "\n", frontend.replacen("www", "more", 1));
    fs::write(directory.join("lb.sock_stat"), more)
}
