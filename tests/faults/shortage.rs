//! Faults for which the process daemon has to be somebody else than root from its beginning, or takes long.

use crate::data::{self, own};
use crate::faults::{Fault, mounting, time_goes_by};
use crate::harness::{Daemon, debian, names, output};
use crate::report::Report;
use crate::scenes::{forbid_in_ci, try_each};
use crate::world::{Setting, WORKERS, World};
use haproxystats::snapshot::quarantine::MOST;
use nix::sys::signal::Signal;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::process::Command;
use std::time::{Duration, Instant};

/// A user whom nobody else is, neither another scene.
fn user(scene: u32) -> u32 {
    700_000 + (std::process::id() % 10_000) * 10 + scene
}

/// What runs a program as this user, after `setup`.
fn as_user(user: u32, limits: &str) -> Vec<String> {
    let id = user.to_string();
    let script = format!("exec setpriv --reuid={id} --regid={id} --clear-groups prlimit {limits} \"$0\" \"$@\"");
    ["sh", "-c", &script].map(str::to_owned).to_vec()
}

/// What is said where that is not allowed.
fn forbidden(name: &str, user: u32) -> Option<Report> {
    let run = as_user(user, "--core=0").into_iter().chain(["true".to_owned()]).collect::<Vec<_>>();
    let possible = output(Command::new(&run[0]).args(&run[1..])).is_ok_and(|output| output.status.success());
    if possible {
        return None;
    }
    let mut report = Report::default();
    report.note(format!("not tried: {name}: cannot become another user here"));
    forbid_in_ci(&mut report, name);
    Some(report)
}

/// The user may have no further thread: not while the daemon starts, not when src-dir is another one.
pub fn no_threads() -> Report {
    short_of_threads("no threads left", 0, user(1))
}

/// Enough to begin with, but not for the thread of the watch itself.
pub fn one_thread() -> Report {
    short_of_threads("one thread left", 1, user(4))
}

fn short_of_threads(name: &'static str, left: usize, user: u32) -> Report {
    if let Some(report) = forbidden(name, user) {
        return report;
    }
    // The parent and its workers, each with one thread.
    let limits = format!("--nproc={}", WORKERS + 1 + left);
    let mut world = World::new(0, &Setting { wrapper: as_user(user, &limits), user: Some(user), ..Setting::default() });
    world.begin(name);
    if left == 0 {
        // The thread of a watch may have been quicker than a worker: the system says late that a thread has ended.
        world.workers = WORKERS - 1;
    }
    world.go_on(Duration::from_millis(500), 6.0);
    for _ in 0..3 {
        if !world.recover() {
            world.report.fail(format!("{name}: nothing is delivered before src-dir is deleted"));
            break;
        }
        fs::remove_dir_all(world.incoming()).expect("deleted");
        time_goes_by(&mut world);
        fs::create_dir(world.incoming()).expect("made again");
        own(&world.incoming(), user).expect("given away");
        world.go_on(Duration::from_millis(500), 6.0);
    }
    if world.process.restarts > 0 {
        world.report.fail(format!("{name}: the daemon did not go on"));
    }
    world.finish()
}

/// The parent gets no further memory while src-dir is made again. It may end for that, and is started again; it must not hang,
/// and it must leave when it is told to.
pub fn no_memory() -> Report {
    let (name, user) = ("memory of the parent short", user(2));
    if let Some(report) = forbidden(name, user) {
        return report;
    }
    let wrapper = as_user(user, "--core=0");
    let mut world = World::new(0, &Setting { wrapper, user: Some(user), ..Setting::default() });
    world.begin(name);
    world.allow(2);
    world.process.may_lack_memory(true);
    world.recover();
    let pid = world.process.pid().expect("it runs").to_string();
    let mut limit = Command::new(debian("setpriv"));
    limit.args([format!("--reuid={user}"), format!("--regid={user}"), "--clear-groups".to_owned()]);
    let limited = output(limit.args(["prlimit", "--data=3145728", "--pid", &pid]));
    if !limited.is_ok_and(|output| output.status.success()) {
        world.report.fail(format!("{name}: was not brought about"));
    }
    for _ in 0..2 {
        if !world.recover() {
            world.report.fail(format!("{name}: nothing is delivered before src-dir is deleted"));
            break;
        }
        fs::remove_dir_all(world.incoming()).expect("deleted");
        time_goes_by(&mut world);
        fs::create_dir(world.incoming()).expect("made again");
        own(&world.incoming(), user).expect("given away");
        world.go_on(Duration::from_millis(800), 6.0);
    }
    world.recover();
    let (told, before) = (Instant::now(), world.process.restarts);
    world.process.end_by(Signal::SIGTERM);
    let left = |world: &mut World| world.process.restarts > before;
    if !world.wait_for(Duration::from_secs(20), left) {
        world.report.fail(format!("{name}: {:?} after SIGTERM it still runs", told.elapsed()));
    }
    world.finish()
}

/// The same for a while, and as root, whom no limit of threads holds.
pub fn little_memory() -> Report {
    try_each(World::new(0, &Setting::default()), MEMORY)
}

/// What can be short for a while, in a world that is no special one.
pub const MEMORY: &[Fault] = &[mounting("memory of the parent short for a while", |world, name, during| {
    world.begin(name);
    world.allow(4);
    world.process.may_lack_memory(true);
    if !world.recover() {
        return world.report.fail(format!("{name}: nothing is delivered before it"));
    }
    let limit = |world: &World, most: &str| {
        let pid = world.process.pid().map(|pid| pid.to_string()).unwrap_or_default();
        output(Command::new(debian("prlimit")).args([&format!("--data={most}:"), "--pid", &pid]))
    };
    if !limit(world, "3145728").is_ok_and(|output| output.status.success()) && world.process.pid().is_some() {
        world.report.fail(format!("{name}: was not brought about"));
    }
    fs::remove_dir_all(world.incoming()).expect("deleted");
    time_goes_by(world);
    fs::create_dir(world.incoming()).expect("made again");
    world.go_on(Duration::from_millis(800), 6.0);
    during(world);
    let _ = limit(world, "unlimited");
    if !world.recover() {
        world.report.fail(format!("{name}: no recovery"));
    }
    world.process.may_lack_memory(false);
})];

/// Others have the processor, for much longer than a worker may be silent. No snapshot is condemned for that.
pub fn no_processor() -> Report {
    const LONG: Duration = Duration::from_secs(12);
    let name = "no processor for the workers";
    let mut world = World::new(0, &Setting::default());
    world.go_on(Duration::from_millis(500), 6.0);
    world.recover();
    world.begin(name);
    world.allow(20);
    // They run when nobody else wants to, on one processor, where somebody always does.
    let mut others = Command::new(debian("taskset"));
    others.args(["-c", "0", "sh", "-c", "while :; do :; done"]);
    let others = Daemon::spawn(others);
    let set = |world: &World, policy: &str, processors: &str| {
        for pid in world.process.workers().into_iter().chain(world.process.pid()).map(|pid| pid.to_string()) {
            // One may have ended in this moment; the next has it from the parent.
            let _ = output(Command::new(debian("chrt")).args([policy, "-a", "-p", "0", &pid]));
            let _ = output(Command::new(debian("taskset")).args(["-a", "-c", "-p", processors, &pid]));
        }
    };
    set(&world, "-i", "0");
    for _ in 0..4 {
        world.feed_one();
    }
    world.go_on(LONG, 0.2);
    drop(others);
    let all = std::thread::available_parallelism().map_or(1, usize::from);
    set(&world, "-o", &format!("0-{}", all - 1));
    if !world.recover() {
        world.report.fail(format!("{name}: no recovery"));
    }
    world.finish()
}

/// Snapshots that only another user may read wait for the operator, and the others do not.
pub fn another_user() -> Report {
    let (name, user) = ("snapshots of another user", user(3));
    if let Some(report) = forbidden(name, user) {
        return report;
    }
    let wrapper = as_user(user, "--core=0");
    let mut world = World::new(0, &Setting { wrapper, user: Some(user), ..Setting::default() });
    world.begin(name);
    let epochs: Vec<u64> = (0..24).filter_map(|_| world.stage()).collect();
    let (strange, good): (Vec<u64>, Vec<u64>) = epochs.into_iter().partition(|epoch| epoch % 2 == 0);
    for epoch in &strange {
        let staged = world.staging().join(epoch.to_string());
        own(&staged, 0).expect("given away");
        // Some cannot be opened, of others not what is in them.
        let place = if epoch % 4 == 0 { staged } else { staged.join("lb.sock_stat") };
        fs::set_permissions(place, Permissions::from_mode(0o600)).expect("no rights");
    }
    for epoch in strange.iter().chain(&good) {
        world.publish(*epoch);
    }
    let rest: Vec<String> = strange.iter().map(u64::to_string).collect();
    if !world.wait_for(Duration::from_secs(30), |world| names(&world.incoming()) == rest) {
        let left = names(&world.incoming());
        world.report.fail(format!("{name}: the others are held up, or these are gone: {left:?}"));
    }
    // Longer than the pauses between attempts that would be few enough to count.
    world.go_on(Duration::from_secs(8), 4.0);
    if !names(&world.failed()).is_empty() {
        world.report.fail(format!("{name}: condemned: {:?}", names(&world.failed())));
    }
    let said = world.process.log().matches("cannot be read now; it stays").count();
    if !(1..=3).contains(&said) {
        world.report.fail(format!("{name}: said {said} times"));
    }
    // The operator's chown -R, and chmod.
    for epoch in strange {
        let place = world.incoming().join(epoch.to_string());
        own(&place, user).expect("given back");
        fs::set_permissions(&place, Permissions::from_mode(0o700)).expect("rights");
        fs::set_permissions(place.join("lb.sock_stat"), Permissions::from_mode(0o600)).expect("rights");
    }
    world.finish()
}

/// At the bound of the quarantine nothing is deleted, what should go there stays, and the others go on.
pub fn quarantine_full() -> Report {
    let name = "quarantine full";
    let mut world = World::new(0, &Setting::default());
    world.begin(name);
    let old: Vec<String> = (1..=MOST).map(|number| number.to_string()).collect();
    for snapshot in &old {
        let place = world.failed().join(snapshot);
        fs::create_dir_all(&place).expect("a directory");
        data::fill(&place, 1).expect("a snapshot");
    }
    for _ in 0..4 {
        world.feed_trap();
        world.allow(4);
        world.feed_one();
    }
    let traps: Vec<String> = world.poisoned.iter().map(u64::to_string).collect();
    if !world.wait_for(Duration::from_secs(40), |world| names(&world.incoming()) == traps) {
        world.report.fail(format!("{name}: held up: {:?}", names(&world.incoming())));
    }
    world.wait_for(Duration::from_secs(5), |world| world.process.log().contains("left where it is"));
    world.go_on(Duration::from_secs(1), 6.0);
    let kept = names(&world.failed()).len();
    if kept != MOST || !world.process.log().contains("already contains 360 snapshots") {
        world.report.fail(format!("{name}: {kept} in failed/, or nothing was said"));
    }
    for snapshot in &old {
        fs::remove_dir_all(world.failed().join(snapshot)).expect("looked at and removed");
    }
    // Each is tried once more before it is moved.
    world.finish()
}
