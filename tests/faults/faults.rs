//! The faults. Each one begins, lets the world go on for a while, and is over when its function returns.

use crate::data;
use crate::harness::graphite::Behaviour;
use crate::harness::names;
use crate::world::{WORKER_TIMEOUT, World};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::fs;
use std::io::Write;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::time::Duration;

/// What happens while a fault lasts: time goes by, or another fault.
pub type During<'a> = &'a mut dyn FnMut(&mut World);

/// Something that can go wrong.
#[derive(Clone, Copy)]
pub struct Fault {
    pub name: &'static str,
    /// Whether it needs the right to mount file systems.
    pub mounts: bool,
    pub inject: fn(&mut World, &'static str, During<'_>),
}

const fn fault(name: &'static str, inject: fn(&mut World, &'static str, During<'_>)) -> Fault {
    Fault { name, mounts: false, inject }
}

const fn mounting(name: &'static str, inject: fn(&mut World, &'static str, During<'_>)) -> Fault {
    Fault { name, mounts: true, inject }
}

/// Faults of processes.
pub const PROCESSES: &[Fault] = &[
    fault("kill -9 of a worker", kill_worker),
    fault("kill -9 of all workers", kill_all_workers),
    fault("kill -9 of a worker, again and again", kill_often),
    fault("kill -9 of every worker at once, for seconds", kill_storm),
    fault("kill -9 of the parent", |world, name, during| end_parent(world, name, during, Signal::SIGKILL)),
    fault("SIGTERM", |world, name, during| end_parent(world, name, during, Signal::SIGTERM)),
    fault("SIGHUP", |world, name, during| end_parent(world, name, during, Signal::SIGHUP)),
    fault("SIGTERM twice", end_twice),
    fault("SIGTERM to the whole group", end_group),
    fault("SIGSTOP of a worker", stop_worker),
    fault("SIGSTOP of the parent", stop_parent),
    fault("SIGSTOP of everything", stop_all),
];

/// Faults of Graphite.
pub const GRAPHITE: &[Fault] = &[
    fault("Graphite refuses", refused),
    fault("Graphite absent, memory full", absent),
    fault("Graphite comes and goes", flapping),
    fault("Graphite resets", |world, name, during| {
        let bytes = world.rng.usize(0..200_000);
        behave(world, name, during, Behaviour::ResetAfter(bytes));
    }),
    fault("Graphite closes mid-line", |world, name, during| {
        let bytes = world.rng.usize(1..200_000);
        behave(world, name, during, Behaviour::CloseAfter(bytes));
    }),
    fault("Graphite closes early mid-line", |world, name, during| {
        let bytes = world.rng.usize(1..6_000);
        behave(world, name, during, Behaviour::CloseAfter(bytes));
    }),
    fault("Graphite closes at once", |world, name, during| behave(world, name, during, Behaviour::CloseAtOnce)),
    fault("Graphite closes after each read", |world, name, during| {
        behave(world, name, during, Behaviour::CloseEachRead);
    }),
    fault("Graphite stalls", stall),
    fault("Graphite trickles", |world, name, during| {
        let rate = world.rng.usize(1_000..50_000);
        behave(world, name, during, Behaviour::Trickle(rate));
    }),
    fault("Graphite never closes", |world, name, during| behave(world, name, during, Behaviour::NeverClose)),
    fault("Graphite talks back", |world, name, during| behave(world, name, during, Behaviour::Talk)),
];

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

/// Faults of what lies in the queue.
pub const CONTENT: &[Fault] = &[
    fault("garbage files", garbage),
    fault("truncated files", truncated),
    fault("empty files and directories", empty),
    fault("enormous files", enormous),
    fault("odd files: links, FIFOs, directories", odd),
    fault("names that inject lines", injection),
    fault("a snapshot that fells workers", trap),
    fault("foreign entries in the queue", foreign),
];

/// All of them.
pub fn all() -> Vec<Fault> {
    [PROCESSES, GRAPHITE, DIRECTORIES, CONTENT].concat()
}

/// Time goes by, with snapshots.
pub fn time_goes_by(world: &mut World) {
    let time = world.rng.u64(100..700);
    world.go_on(Duration::from_millis(time), 12.0);
}

fn moment(world: &mut World, most: u64) {
    let time = world.rng.u64(0..most);
    world.go_on(Duration::from_millis(time), 30.0);
}

fn burst(world: &mut World, snapshots: usize) {
    for _ in 0..snapshots {
        world.feed_one();
    }
}

// Processes.

fn one_worker(world: &mut World) -> Option<Pid> {
    let workers = world.process.workers();
    world.rng.choice(workers)
}

fn kill_worker(world: &mut World, name: &'static str, during: During<'_>) {
    world.begin(name);
    burst(world, 3);
    moment(world, 200);
    if let Some(worker) = one_worker(world) {
        let _ = kill(worker, Signal::SIGKILL);
    }
    during(world);
}

fn kill_all_workers(world: &mut World, name: &'static str, during: During<'_>) {
    world.begin(name);
    burst(world, 4);
    moment(world, 200);
    for worker in world.process.workers() {
        let _ = kill(worker, Signal::SIGKILL);
    }
    during(world);
}

/// Not so often that the parent would be right to give up.
fn kill_often(world: &mut World, name: &'static str, during: During<'_>) {
    world.begin(name);
    for _ in 0..4 {
        burst(world, 1);
        moment(world, 300);
        if let Some(worker) = one_worker(world) {
            let _ = kill(worker, Signal::SIGKILL);
            world.allow(1);
        }
    }
    during(world);
}

/// Faster than workers can be replaced: the parent may give up, and is restarted like everything else.
fn kill_storm(world: &mut World, name: &'static str, during: During<'_>) {
    world.begin(name);
    burst(world, 5);
    world.process.may_give_up(true);
    for _ in 0..100 {
        for worker in world.process.workers() {
            let _ = kill(worker, Signal::SIGKILL);
        }
        world.allow(1);
        world.go_on(Duration::from_millis(20), 3.0);
    }
    world.process.may_give_up(false);
    during(world);
}

fn end_parent(world: &mut World, name: &'static str, during: During<'_>, signal: Signal) {
    world.begin(name);
    burst(world, 4);
    moment(world, 200);
    world.process.end_by(signal);
    during(world);
}

fn end_twice(world: &mut World, name: &'static str, during: During<'_>) {
    world.begin(name);
    burst(world, 4);
    moment(world, 200);
    world.process.end_by(Signal::SIGTERM);
    std::thread::sleep(Duration::from_millis(world.rng.u64(0..30)));
    world.process.signal(Signal::SIGTERM);
    during(world);
}

fn end_group(world: &mut World, name: &'static str, during: During<'_>) {
    world.begin(name);
    burst(world, 4);
    moment(world, 200);
    let workers = world.process.workers();
    world.process.end_by(Signal::SIGTERM);
    for worker in workers {
        let _ = kill(worker, Signal::SIGTERM);
    }
    during(world);
}

fn stop_worker(world: &mut World, name: &'static str, during: During<'_>) {
    world.begin(name);
    burst(world, 2);
    let worker = one_worker(world);
    if let Some(worker) = worker {
        let _ = kill(worker, Signal::SIGSTOP);
    }
    during(world);
    world.go_on(WORKER_TIMEOUT + Duration::from_millis(700), 4.0);
    if let Some(worker) = worker {
        // It has been replaced in the meantime, unless the parent was.
        let _ = kill(worker, Signal::SIGCONT);
    }
}

fn stop_parent(world: &mut World, name: &'static str, during: During<'_>) {
    world.begin(name);
    burst(world, 2);
    let parent = world.process.pid();
    world.process.signal(Signal::SIGSTOP);
    world.go_on(WORKER_TIMEOUT + Duration::from_millis(700), 4.0);
    if world.process.pid() == parent {
        world.process.signal(Signal::SIGCONT);
    }
    during(world);
}

/// As when a virtual machine is suspended.
fn stop_all(world: &mut World, name: &'static str, during: During<'_>) {
    world.begin(name);
    burst(world, 2);
    let all: Vec<Pid> = world.process.pid().into_iter().chain(world.process.workers()).collect();
    for pid in &all {
        let _ = kill(*pid, Signal::SIGSTOP);
    }
    world.go_on(WORKER_TIMEOUT + Duration::from_millis(700), 4.0);
    // The parent last, the worst order: it finds everybody silent.
    for pid in all.iter().rev() {
        let _ = kill(*pid, Signal::SIGCONT);
    }
    during(world);
}

// Graphite.

fn behave(world: &mut World, name: &'static str, during: During<'_>, behaviour: Behaviour) {
    world.begin(name);
    let before = world.recorder.connections();
    burst(world, 2);
    world.recorder.behave(behaviour);
    moment(world, 600);
    during(world);
    world.recorder.behave(Behaviour::Read);
    let losses = world.recorder.connections() - before;
    world.allow(losses);
}

/// Longer than `write-timeout` and `delay` together.
fn stall(world: &mut World, name: &'static str, during: During<'_>) {
    behave(
        world,
        name,
        &mut |world| {
            world.go_on(Duration::from_millis(1_500), 6.0);
            during(world);
        },
        Behaviour::Stall,
    );
}

fn refused(world: &mut World, name: &'static str, during: During<'_>) {
    world.begin(name);
    burst(world, 2);
    moment(world, 100);
    world.recorder.vanish();
    during(world);
    world.recorder.come_back();
}

fn absent(world: &mut World, name: &'static str, during: During<'_>) {
    world.begin(name);
    world.recorder.vanish();
    burst(world, 12);
    world.go_on(Duration::from_millis(800), 5.0);
    during(world);
    world.recorder.come_back();
}

fn flapping(world: &mut World, name: &'static str, during: During<'_>) {
    world.begin(name);
    for _ in 0..5 {
        burst(world, 1);
        moment(world, 120);
        world.recorder.vanish();
        world.allow(1);
        moment(world, 120);
        world.recorder.come_back();
    }
    during(world);
}

// Directories and disks.

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
    // What lies in it would be deleted with it, by whoever deletes it.
    world.recover();
    fs::remove_dir_all(world.incoming()).expect("deleted");
    during(world);
    fs::create_dir(world.incoming()).expect("made again");
    burst(world, 2);
}

fn mounted_over(world: &mut World, name: &'static str, during: During<'_>) {
    world.begin(name);
    burst(world, 3);
    let incoming = world.incoming();
    if let Err(error) = world.mounts.mount(&["-t", "tmpfs", "-o", "size=16m", "faults"], &incoming) {
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
    if !world.wait_for(crate::world::RECOVERY, taken) {
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
        // Each of them is two events; the kernel keeps 16384.
        for _ in 0..5_000 {
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

// Content.

fn garbage(world: &mut World, name: &'static str, during: During<'_>) {
    world.begin(name);
    let mut bytes = vec![0_u8; 20_000];
    world.rng.fill(&mut bytes);
    for (info, stat) in [(true, false), (false, true), (true, true)] {
        world.feed_odd(false, |directory| {
            let epoch = epoch_of(directory);
            data::fill(directory, epoch)?;
            if info {
                fs::write(directory.join("lb.sock_info"), &bytes)?;
            }
            if stat {
                fs::write(directory.join("lb.sock_stat"), &bytes)?;
            }
            Ok(())
        });
        burst(world, 1);
    }
    during(world);
}

fn truncated(world: &mut World, name: &'static str, during: During<'_>) {
    world.begin(name);
    for _ in 0..3 {
        let (of_info, of_stat) = (world.rng.f64(), world.rng.f64());
        world.feed_odd(false, |directory| {
            let epoch = epoch_of(directory);
            let cut = |text: String, part: f64| text[..(text.len() as f64 * part) as usize].to_owned();
            fs::write(directory.join("lb.sock_info"), cut(data::info(epoch), of_info))?;
            fs::write(directory.join("lb.sock_stat"), cut(data::stat(epoch, data::SERVERS), of_stat))
        });
        burst(world, 1);
    }
    during(world);
}

fn empty(world: &mut World, name: &'static str, during: During<'_>) {
    world.begin(name);
    world.feed_odd(false, |_| Ok(()));
    world.feed_odd(false, |directory| {
        fs::write(directory.join("lb.sock_info"), "")?;
        fs::write(directory.join("lb.sock_stat"), "")
    });
    burst(world, 2);
    during(world);
}

fn enormous(world: &mut World, name: &'static str, during: During<'_>) {
    world.begin(name);
    let line = vec![b'x'; 8 * 1024 * 1024];
    world.feed_odd(false, |directory| {
        data::fill(directory, epoch_of(directory))?;
        fs::write(directory.join("other.sock_info"), &line)?;
        fs::write(directory.join("other.sock_stat"), &line)
    });
    let rows = format!("# pxname,svname,scur,type,\n{}", "shop,s1,1,9,\n".repeat(500_000));
    world.feed_odd(false, |directory| {
        data::fill(directory, epoch_of(directory))?;
        fs::write(directory.join("other.sock_stat"), &rows)
    });
    burst(world, 2);
    during(world);
}

fn odd(world: &mut World, name: &'static str, during: During<'_>) {
    world.begin(name);
    world.feed_odd(false, |directory| {
        data::fill(directory, epoch_of(directory))?;
        symlink("/etc/passwd", directory.join("link.sock_stat"))?;
        symlink("/nowhere", directory.join("nowhere.sock_info"))?;
        fs::create_dir(directory.join("directory.sock_stat"))?;
        nix::unistd::mkfifo(&directory.join("fifo.sock_stat"), nix::sys::stat::Mode::S_IRWXU)?;
        fs::write(directory.join("a\nb.sock_info"), "Name: HAProxy\n")?;
        fs::write(directory.join("README"), "not ours")
    });
    burst(world, 2);
    during(world);
}

fn injection(world: &mut World, name: &'static str, during: During<'_>) {
    world.begin(name);
    world.feed_odd(false, |directory| {
        let epoch = epoch_of(directory);
        fs::write(directory.join("lb.sock_info"), data::info(epoch))?;
        let stat = data::stat(epoch, 3)
            .replace("web-000", "\"web\nevil.path 1 1\n\"")
            .replace("web-001", "../../etc 7 7")
            .replace("web-002", "\"a\rb\u{0}c\t d\"");
        fs::write(directory.join("lb.sock_stat"), stat)
    });
    burst(world, 2);
    during(world);
}

fn trap(world: &mut World, name: &'static str, during: During<'_>) {
    world.begin(name);
    for _ in 0..4 {
        world.feed_trap();
        world.allow(2);
        burst(world, 1);
    }
    during(world);
}

fn foreign(world: &mut World, name: &'static str, during: During<'_>) {
    world.begin(name);
    let incoming = world.incoming();
    let precious = world.base.path().join("precious");
    let made = fs::create_dir(&precious)
        .and_then(|()| fs::write(precious.join("lb.sock_info"), "precious"))
        .and_then(|()| fs::write(incoming.join("notes.txt"), "precious"))
        .and_then(|()| fs::create_dir(incoming.join("1700000000x")))
        .and_then(|()| fs::write(incoming.join("1700000001"), "a file"))
        .and_then(|()| symlink(&precious, incoming.join("1700000002")))
        .and_then(|()| symlink(&precious, incoming.join("link")));
    burst(world, 2);
    during(world);
    if made.is_ok() {
        let there = ["notes.txt", "1700000000x", "1700000001", "1700000002", "link"];
        let untouched = there.iter().all(|name| fs::symlink_metadata(incoming.join(name)).is_ok())
            && fs::read_to_string(precious.join("lb.sock_info")).is_ok_and(|text| text == "precious");
        if !untouched {
            world.report.fail("foreign entries in the queue were touched");
        }
    }
    for name in ["notes.txt", "1700000001", "1700000002", "link"] {
        let _ = fs::remove_file(incoming.join(name));
    }
    let _ = fs::remove_dir(incoming.join("1700000000x"));
    let _ = fs::remove_dir_all(precious);
}

fn epoch_of(directory: &Path) -> u64 {
    directory.file_name().and_then(|name| name.to_str()).and_then(|name| name.parse().ok()).expect("an epoch")
}
