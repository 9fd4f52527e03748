//! Graphite behind HAProxy in TCP mode. A proxy reads what comes before it knows whether there is a Graphite behind it, and closes
//! in order when there is none.

use crate::data;
use crate::faults::{self, Fault};
use crate::harness::graphite::Recorder;
use crate::harness::{Daemon, SOON, debian, free_port, listens, wait_until, write};
use crate::report::Report;
use crate::scenes::try_each;
use crate::world::{Setting, World};
use nix::sys::signal::Signal;
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// What HAProxy is to be like.
#[derive(Clone, Copy)]
pub struct Kind {
    /// `timeout connect`, for each of the four attempts.
    connect: &'static str,
    /// `timeout client`, `timeout server`: an idle connection is closed after that.
    idle: &'static str,
    /// What follows the address of the server.
    server: &'static str,
    /// `[graphite] settle`: longer than the attempts and the pauses between them; `None` for the default of that and of the other
    /// times.
    pub settle: Option<f64>,
}

/// As HAProxy is by default, its times shortened: a refused connection is given up after 1.5 seconds, which is longer than a
/// connection is ever idle while snapshots come; one without an answer after 3.5.
pub const SHORT: Kind = Kind { connect: "500ms", idle: "1m", server: "", settle: Some(4.5) };

/// A HAProxy in front of a recorder.
pub struct Proxy {
    daemon: Option<Daemon>,
    file: PathBuf,
    _directory: TempDir,
    pub port: u16,
}

impl Proxy {
    pub fn start(kind: Kind, to: u16) -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let port = free_port();
        let Kind { connect, idle, server, .. } = kind;
        let text = format!(
            "global\n\tnbthread 1\n\tmaxconn 2000\ndefaults\n\tmode tcp\n\ttimeout connect {connect}\n\
             \ttimeout client {idle}\n\ttimeout server {idle}\n\
             listen graphite\n\tbind 127.0.0.1:{port}\n\tserver store 127.0.0.1:{to} {server}\n"
        );
        let file = write(directory.path(), "haproxy.cfg", text);
        let mut proxy = Self { daemon: None, file, _directory: directory, port };
        proxy.launch();
        proxy
    }

    pub fn launch(&mut self) {
        let mut command = Command::new(debian("haproxy"));
        command.arg("-db").arg("-f").arg(&self.file);
        self.daemon = Some(Daemon::spawn(command));
        let port = self.port;
        wait_until(SOON, "HAProxy listens", || listens(port));
    }

    pub fn end(&mut self, signal: Signal) {
        if let Some(mut daemon) = self.daemon.take() {
            daemon.signal(signal);
            daemon.wait(SOON);
        }
    }

    pub fn signal(&self, signal: Signal) {
        if let Some(daemon) = &self.daemon {
            daemon.signal(signal);
        }
    }
}

/// A port that answers nobody: whatever comes for it is thrown away.
struct Silence(OwnedFd);

impl Silence {
    fn at(port: u16) -> Self {
        use nix::libc::{SO_ATTACH_FILTER, SOL_SOCKET, setsockopt, sock_filter, sock_fprog};
        use nix::sys::socket::{AddressFamily, Backlog, SockFlag, SockType, SockaddrIn, bind, listen, socket, sockopt};
        let listener = socket(AddressFamily::Inet, SockType::Stream, SockFlag::SOCK_CLOEXEC, None).expect("a socket");
        nix::sys::socket::setsockopt(&listener, sockopt::ReuseAddr, &true).expect("an option");
        // "Return 0": nothing of any packet is taken.
        let mut filter = [sock_filter { code: 0x06, jt: 0, jf: 0, k: 0 }];
        let program = sock_fprog { len: 1, filter: filter.as_mut_ptr() };
        let size = u32::try_from(size_of::<sock_fprog>()).expect("a small structure");
        // SAFETY: the kernel copies the program, which lives until the call returns.
        let set = unsafe {
            setsockopt(listener.as_raw_fd(), SOL_SOCKET, SO_ATTACH_FILTER, (&raw const program).cast(), size)
        };
        assert_eq!(set, 0, "a filter can be attached");
        bind(listener.as_raw_fd(), &SockaddrIn::new(127, 0, 0, 1, port)).expect("the port of the recorder");
        listen(&listener, Backlog::new(16).expect("a short queue")).expect("a listener");
        Self(listener)
    }
}

/// A world whose Graphite is behind such a HAProxy.
pub fn world(seed: u64, kind: Kind) -> World {
    let setting = Setting { proxy: Some(kind), ..Setting::default() };
    World::new(seed, &setting)
}

/// Snapshots of some kilobytes: HAProxy reads the whole of them, whatever is behind it.
fn small(world: &mut World, count: usize) {
    for _ in 0..count {
        world.feed_odd(false, |directory| data::fill_with(directory, 2));
    }
}

/// Small and ordinary snapshots by turns, for this time.
fn feed(world: &mut World, time: Duration) {
    let end = Instant::now() + time;
    while Instant::now() < end {
        small(world, 1);
        world.go_on(Duration::from_millis(150), 3.0);
    }
}

/// Graphite is away for so long while snapshots come.
fn away(world: &mut World, time: Duration) {
    world.allow(20);
    small(world, 2);
    world.recorder.vanish();
    feed(world, time);
    world.recorder.come_back();
}

/// What happens to Graphite behind a proxy, or to the proxy.
pub const PROXY: &[Fault] = &[
    faults::fault("proxy: Graphite away behind it", |world, name, during| {
        world.begin(name);
        world.allow(20);
        small(world, 3);
        world.recorder.vanish();
        let time = Duration::from_millis(world.rng.u64(0..3_000));
        feed(world, time);
        during(world);
        small(world, 1);
        world.recorder.come_back();
        small(world, 1);
    }),
    faults::fault("proxy: Graphite restarts behind it", |world, name, during| {
        world.begin(name);
        for _ in 0..3 {
            world.allow(20);
            let pause = Duration::from_millis(world.rng.u64(0..900));
            small(world, 1);
            world.recorder.vanish();
            feed(world, pause);
            world.recorder.come_back();
            let pause = Duration::from_millis(world.rng.u64(0..900));
            feed(world, pause);
        }
        during(world);
    }),
    faults::fault("proxy: Graphite does not answer it", |world, name, during| {
        world.begin(name);
        world.allow(20);
        small(world, 1);
        world.recorder.vanish();
        let silence = Silence::at(world.recorder.port());
        let time = Duration::from_millis(world.rng.u64(0..3_000));
        feed(world, time);
        during(world);
        drop(silence.0);
        world.recorder.come_back();
        small(world, 1);
    }),
    faults::fault("proxy restarted", |world, name, during| ended(world, name, during, Signal::SIGTERM)),
    faults::fault("proxy killed", |world, name, during| ended(world, name, during, Signal::SIGKILL)),
    faults::fault("proxy stopped and continued", |world, name, during| {
        world.begin(name);
        world.allow(20);
        small(world, 1);
        if let Some(proxy) = &world.proxy {
            proxy.signal(Signal::SIGSTOP);
        }
        feed(world, Duration::from_millis(1_200));
        during(world);
        if let Some(proxy) = &world.proxy {
            proxy.signal(Signal::SIGCONT);
        }
    }),
];

fn ended(world: &mut World, name: &'static str, during: faults::During<'_>, signal: Signal) {
    world.begin(name);
    world.allow(20);
    small(world, 2);
    if let Some(proxy) = &mut world.proxy {
        proxy.end(signal);
    }
    feed(world, Duration::from_millis(400));
    during(world);
    if let Some(proxy) = &mut world.proxy {
        proxy.launch();
    }
}

/// Each of these by itself.
pub fn singly() -> Report {
    try_each(world(0, SHORT), PROXY)
}

/// The proxy looks after Graphite, with the default times of HAProxy's documentation and ours. Until it has found out that Graphite
/// is down, it takes what comes, and tries to connect for longer than a second.
pub fn checked() -> Report {
    let kind = Kind { connect: "5s", server: "check inter 3s", settle: None, ..SHORT };
    let mut world = world(0, kind);
    feed(&mut world, Duration::from_secs(2));
    world.begin("proxy with health checks and default times: Graphite restarts");
    restart(&mut world);
    world.finish()
}

/// The same in haste: while Graphite is down it closes at once.
pub fn checked_often() -> Report {
    let kind = Kind { server: "check inter 150ms fall 2 rise 1", ..SHORT };
    let mut world = world(0, kind);
    feed(&mut world, Duration::from_secs(1));
    world.begin("proxy with health checks: Graphite away");
    away(&mut world, Duration::from_secs(3));
    world.recover();
    world.begin("proxy with health checks: Graphite restarts");
    for pause in [100, 400, 900] {
        away(&mut world, Duration::from_millis(pause));
        feed(&mut world, Duration::from_millis(1_500));
    }
    world.finish()
}

/// The proxy closes idle connections sooner than `settle`: nothing is lost, and nothing stays forever.
pub fn impatient() -> Report {
    let kind = Kind { idle: "4s", settle: Some(9.0), ..SHORT };
    let mut world = world(0, kind);
    world.begin("proxy with a short timeout client");
    world.allow(40);
    feed(&mut world, Duration::from_secs(6));
    if !world.recover() {
        world.report.fail("nothing is delivered behind a short timeout client".to_owned());
    }
    small(&mut world, 1);
    if !world.recover() {
        world.report.fail("a single snapshot is not delivered behind a short timeout client".to_owned());
    }
    world.begin("proxy with a short timeout client: Graphite away");
    away(&mut world, Duration::from_secs(3));
    world.finish()
}

/// A restart of a quarter of a minute, with the default times of HAProxy's documentation and ours.
pub fn by_default() -> Report {
    let kind = Kind { connect: "5s", settle: None, ..SHORT };
    let mut world = world(0, kind);
    feed(&mut world, Duration::from_secs(2));
    world.begin("proxy with default times: Graphite restarts");
    restart(&mut world);
    world.finish()
}

/// Takes a quarter of a minute.
fn restart(world: &mut World) {
    world.allow(60);
    // Snapshots that come seldom: the connections that stand ready for them have stood for a while, and the next ones stand for
    // longer than it takes to find out that these are closed.
    let nothing_comes = |world: &mut World, seconds| world.wait_for(Duration::from_secs(seconds), |_| false);
    nothing_comes(world, 3);
    world.recorder.vanish();
    nothing_comes(world, 2);
    small(world, 2);
    nothing_comes(world, 3);
    let end = Instant::now() + Duration::from_secs(10);
    while Instant::now() < end {
        small(world, 1);
        world.go_on(Duration::from_millis(500), 0.5);
    }
    world.recorder.come_back();
    let recovered =
        world.wait_for(Duration::from_secs(180), |world| crate::harness::names(&world.incoming()).is_empty());
    if !recovered {
        world.report.fail("no recovery with the default times".to_owned());
    }
}

/// Sequences of faults behind a proxy.
pub fn sequence(seed: u64) -> Report {
    let world = world(seed, SHORT);
    let mut possible: Vec<Fault> = [PROXY, PROXY, faults::GRAPHITE, faults::PROCESSES].concat();
    possible.retain(|fault| !HIDDEN.contains(&fault.name));
    // Connections of the proxy that were cut by the fault may each repeat what they held.
    crate::sequence::inject_all(world, seed, LENGTH, &possible, |world| world.allow(10))
}

/// What a Graphite that breaks single connections, and stays, has not read of them: the proxy ends ours in order, and nothing shows.
const HIDDEN: [&str; 6] = [
    "Graphite resets",
    "Graphite closes mid-line",
    "Graphite closes early mid-line",
    "Graphite cuts below 4 KiB each time",
    "Graphite closes at once",
    "Graphite closes after each read",
];

/// Faults in one sequence.
const LENGTH: usize = 12;

/// Graphite hangs, and is killed for it: a hang looks like a peer that never closes.
pub fn hung() -> Report {
    use crate::harness::graphite::Behaviour;
    // Longer than a peer that does not close was once given.
    const LONG: Duration = Duration::from_secs(7);
    let mut world = World::new(0, &Setting::default());
    let end = |world: &mut World, recorder: fn(&mut Recorder)| {
        world.recorder.vanish();
        world.recorder.behave(Behaviour::Read);
        recorder(&mut world.recorder);
        world.recover();
    };
    world.recorder.behave(Behaviour::Stall);
    world.begin("Graphite hangs when process starts, and is killed");
    world.allow(20);
    world.process.end_by(Signal::SIGKILL);
    world.wait_for(SOON, |world| world.process.workers().len() == crate::world::WORKERS);
    small(&mut world, 3);
    world.go_on(LONG, 0.5);
    end(&mut world, Recorder::come_back);

    world.begin("Graphite hangs, workers are replaced, it is killed");
    world.allow(20);
    world.recorder.behave(Behaviour::Stall);
    small(&mut world, 3);
    world.go_on(Duration::from_secs(1), 1.0);
    for worker in world.process.workers() {
        let _ = nix::sys::signal::kill(worker, Signal::SIGKILL);
    }
    world.go_on(LONG, 0.5);
    end(&mut world, Recorder::come_back);

    world.begin("Graphite hangs, and is killed");
    world.allow(20);
    world.recorder.behave(Behaviour::Stall);
    small(&mut world, 3);
    world.go_on(LONG, 0.5);
    end(&mut world, Recorder::come_back);
    world.finish()
}
