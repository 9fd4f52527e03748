//! Faults of haproxystats-pull, of its directories, and of what it pulls from.

use crate::harness::clients::unanswered;
use crate::harness::haproxy::{Fake, Script};
use crate::harness::{Daemon, names, pull, starved, with_config, write};
use crate::pull::{BACK, Chain, QUEUE};
use crate::unit::FORGED;
use nix::sys::signal::{Signal, kill};
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Something that can go wrong. It is over when its function returns.
pub struct PullFault {
    pub name: &'static str,
    /// Whether it needs the right to mount file systems.
    pub mounts: bool,
    pub inject: fn(&mut Chain),
}

const fn fault(name: &'static str, inject: fn(&mut Chain)) -> PullFault {
    PullFault { name, mounts: false, inject }
}

const fn mounting(name: &'static str, inject: fn(&mut Chain)) -> PullFault {
    PullFault { name, mounts: true, inject }
}

/// All of them.
pub const FAULTS: &[PullFault] = &[
    fault("kill -9 of pull", |chain| end(chain, Signal::SIGKILL)),
    fault("SIGTERM to pull", |chain| end(chain, Signal::SIGTERM)),
    fault("reload of pull", reload_pull),
    fault("kill -9 of pull in a pull", |chain| end_in_a_pull(chain, Signal::SIGKILL)),
    fault("SIGTERM to pull in a pull", |chain| end_in_a_pull(chain, Signal::SIGTERM)),
    fault("pull restarted just before a tick", restart_before_a_tick),
    fault("SIGSTOP of pull", stop),
    fault("signals without a meaning to pull", meaningless),
    fault("a second pull before the same dst-dir", second_pull),
    fault("names of sockets that begin lines in the log", forging),
    fault("slow clients of the page of pull", slow_clients),
    fault("queue of pull full", queue_full),
    fault("HAProxy hangs after accepting", |chain| answer(chain, Script::Hang)),
    fault("HAProxy closes without an answer", |chain| answer(chain, Script::Close)),
    fault("HAProxy closes in the middle", |chain| answer(chain, Script::Cut(120))),
    fault("HAProxy answers slowly", |chain| answer(chain, Script::Slow(Duration::from_millis(400)))),
    fault("HAProxy answers too slowly", |chain| answer(chain, Script::Slow(Duration::from_secs(2)))),
    fault("HAProxy answers byte by byte", |chain| answer(chain, Script::Trickle(Duration::from_millis(5)))),
    fault("HAProxy answers a byte a second", |chain| answer(chain, Script::Trickle(Duration::from_secs(1)))),
    fault("HAProxy answers garbage", |chain| {
        answer(chain, Script::Text("\u{1}\u{2}garbage, nothing that\nanybody: would want\n\n"));
    }),
    fault("HAProxy answers without end", |chain| answer(chain, Script::Endless)),
    fault("HAProxy answers one command", |chain| answer(chain, Script::FirstCommandOnly)),
    fault("HAProxy keeps the connection open", |chain| answer(chain, Script::KeepOpen)),
    fault("HAProxy reloaded", reload),
    fault("HAProxy stopped and started", restart_haproxy),
    fault("SIGSTOP of HAProxy", stop_haproxy),
    fault("dst-dir of pull deleted", |chain| delete(chain, &chain.published())),
    fault("tmp-dst-dir of pull deleted", |chain| delete(chain, &chain.staging())),
    mounting("disk of pull full", disk_full),
    mounting("disk of pull full, pull killed", disk_full_and_killed),
    mounting("dst-dir of pull read-only", |chain| read_only(chain, &chain.published())),
    mounting("tmp-dst-dir of pull read-only", |chain| read_only(chain, &chain.staging())),
];

fn end(chain: &mut Chain, signal: Signal) {
    let pause = chain.world.rng.u64(0..1_100);
    chain.go_on(Duration::from_millis(pause));
    chain.pull.end_by(signal);
    chain.go_on(Duration::from_millis(300));
}

fn reload_pull(chain: &mut Chain) {
    for _ in 0..3 {
        let pause = chain.world.rng.u64(0..1_100);
        chain.go_on(Duration::from_millis(pause));
        chain.pull.signal(Signal::SIGHUP);
    }
    chain.go_on(Duration::from_millis(300));
}

/// A socket keeps it waiting, so that it has begun a snapshot.
fn end_in_a_pull(chain: &mut Chain, signal: Signal) {
    chain.fake.set(Script::Hang);
    let end = Instant::now() + BACK;
    while names(&chain.staging()).is_empty() && Instant::now() < end {
        chain.tick();
        std::thread::sleep(Duration::from_millis(2));
    }
    chain.pull.end_by(signal);
    chain.go_on(Duration::from_millis(300));
    chain.fake.set(Script::good());
}

/// The tick of the restart is there as well, provided that the new program was up soon enough for it.
fn restart_before_a_tick(chain: &mut Chain) {
    const UP: &str = "haproxystats-pull is running";
    const NOTHING: &str = "nothing is published";
    // A program that got no processor may have looked too late.
    const BUSY: Duration = Duration::from_millis(50);
    let now = || SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    // A program that finds no word of an earlier tick in dst-dir begins with the next one.
    chain.recover("before a restart");
    for _ in 0..3 {
        let tick = now().as_secs() + 1;
        while now() < Duration::from_secs(tick) - Duration::from_millis(60) {
            chain.tick();
            std::thread::sleep(Duration::from_millis(2));
        }
        let log = chain.pull.log();
        let (starts, troubles) = (log.matches(UP).count(), log.matches(NOTHING).count());
        chain.pull.end_by(Signal::SIGTERM);
        let end = Instant::now() + BACK;
        while chain.pull.log().matches(UP).count() == starts && Instant::now() < end {
            chain.tick();
            std::thread::sleep(Duration::from_millis(2));
        }
        // A program that is up within half an interval takes the tick; some of that goes by until it looks.
        let in_time = now() < Duration::from_secs(tick) + Duration::from_millis(400);
        let before = chain.pull.pid().map(starved).unwrap_or_default();
        let is_there = |chain: &Chain, tick: u64| chain.world.kept.path().join(tick.to_string()).exists();
        // What is not there when a later one is does not come any more.
        let later = |chain: &Chain| (tick + 1..=now().as_secs()).any(|later| is_there(chain, later));
        while !is_there(chain, tick) && !later(chain) && Instant::now() < end {
            chain.tick();
            std::thread::sleep(Duration::from_millis(2));
        }
        let in_time = in_time && chain.pull.pid().map(starved).unwrap_or_default().saturating_sub(before) < BUSY;
        if in_time && !is_there(chain, tick) && chain.pull.log().matches(NOTHING).count() == troubles {
            chain.world.report.fail(format!("the tick {tick} is lost, around which pull was restarted"));
        }
    }
}

/// It has a directory of its own for staging, and is refused; so it is after the directories were made again.
fn second_pull(chain: &mut Chain) {
    // An earlier fault may have ended the first.
    wait_until_up(chain);
    let text = format!(
        "[pull]\ndst-dir = {}\ntmp-dst-dir = {}.other\nservers = tcp://127.0.0.1:1\n",
        chain.published().display(),
        chain.staging().display()
    );
    let file = write(chain.world.kept.path(), "second.conf", text);
    let _ = fs::remove_dir_all(chain.published());
    chain.counters.clear();
    chain.go_on(Duration::from_millis(2_500));
    let mut second = Daemon::spawn(with_config(pull(), &file));
    let end = Instant::now() + BACK;
    while second.is_running() && Instant::now() < end {
        chain.tick();
        std::thread::sleep(Duration::from_millis(5));
    }
    if second.is_running() {
        chain.world.report.fail(format!("two pulls share one dst-dir:\n{}", second.output()));
    }
    let _ = fs::remove_dir(format!("{}.other", chain.staging().display()));
}

fn wait_until_up(chain: &mut Chain) {
    let end = Instant::now() + BACK;
    while !chain.pull.is_up() && Instant::now() < end {
        chain.go_on(Duration::from_millis(20));
    }
}

/// A socket whose name would begin a line, and send escape sequences; first it fails, then it answers.
fn forging(chain: &mut Chain) {
    let name = format!("a\n{FORGED}\u{1b}[2J.sock");
    let fake = Fake::start(&chain.site.socket_dir(), &name, Script::Close);
    chain.go_on(Duration::from_millis(1_500));
    fake.set(Script::good());
    chain.go_on(Duration::from_millis(1_500));
    let _ = fs::remove_file(fake.path());
}

/// They take all places of the page, and the scraper is answered each time.
fn slow_clients(chain: &mut Chain) {
    const SCRAPES: usize = 10;
    wait_until_up(chain);
    let unanswered = unanswered(chain.page, SCRAPES);
    if unanswered > 0 {
        chain.world.report.fail(format!("{unanswered} of {SCRAPES} scrapes of pull were not answered"));
    }
}

/// It goes on as if nothing were. Before its first line the system has not begun it.
fn meaningless(chain: &mut Chain) {
    wait_until_up(chain);
    for signal in [Signal::SIGUSR1, Signal::SIGUSR2, Signal::SIGALRM, Signal::SIGPROF, Signal::SIGIO, Signal::SIGPWR] {
        chain.pull.signal(signal);
        chain.go_on(Duration::from_millis(200));
    }
}

fn stop(chain: &mut Chain) {
    let stopped = chain.pull.pid();
    chain.pull.signal(Signal::SIGSTOP);
    chain.go_on(Duration::from_secs(3));
    if chain.pull.pid() == stopped {
        chain.pull.signal(Signal::SIGCONT);
    }
}

fn queue_full(chain: &mut Chain) {
    chain.taking = false;
    let end = Instant::now() + Duration::from_secs(QUEUE as u64) + BACK;
    while chain.waiting() < QUEUE && Instant::now() < end {
        chain.go_on(Duration::from_millis(20));
    }
    chain.go_on(Duration::from_millis(2_200));
    let waiting = chain.waiting();
    if waiting != QUEUE {
        chain.world.report.fail(format!("pull keeps {waiting} snapshots, not {QUEUE}"));
    }
}

fn answer(chain: &mut Chain, script: Script) {
    chain.fake.set(script);
    chain.go_on(Duration::from_millis(1_500));
    chain.fake.set(Script::good());
}

/// With connections that last, so that old workers stay. Some are closed now and then, and workers end.
fn reload(chain: &mut Chain) {
    const MOST: usize = 8;
    for _ in 0..3 {
        chain.client.open(chain.site.lasting(0));
        chain.transfer(1_000);
        chain.site.reload(0);
        chain.transfer(1_000);
        chain.go_on(Duration::from_millis(400));
    }
    let standing = chain.client.standing();
    drop(chain.client.take(0..standing.saturating_sub(MOST)));
}

fn restart_haproxy(chain: &mut Chain) {
    chain.site.stop(0);
    chain.go_on(Duration::from_millis(1_500));
    chain.site.launch(0);
}

fn stop_haproxy(chain: &mut Chain) {
    let workers = crate::harness::children(chain.site.daemon(1).pid());
    let all = |signal| {
        for pid in &workers {
            let _ = kill(*pid, signal);
        }
    };
    all(Signal::SIGSTOP);
    chain.go_on(Duration::from_millis(2_500));
    all(Signal::SIGCONT);
}

fn delete(chain: &mut Chain, path: &Path) {
    chain.tick();
    let _ = fs::remove_dir_all(path);
    // What counters had reached was kept there.
    chain.counters.clear();
    chain.go_on(Duration::from_millis(1_200));
}

fn disk_full(chain: &mut Chain) {
    let ballast = chain.fill_disk();
    chain.go_on(Duration::from_secs(3));
    let _ = fs::remove_file(ballast);
}

fn disk_full_and_killed(chain: &mut Chain) {
    let ballast = chain.fill_disk();
    chain.pull.end_by(Signal::SIGKILL);
    chain.go_on(Duration::from_secs(2));
    let _ = fs::remove_file(ballast);
}

fn read_only(chain: &mut Chain, path: &Path) {
    let text = path.display().to_string();
    let mounts = &mut chain.world.mounts;
    let mounted = mounts.mount(&["--bind", &text], path).and_then(|()| mounts.mount(&["-o", "remount,bind,ro"], path));
    if let Err(error) = mounted {
        return chain.world.report.fail(format!("{text}: {error}"));
    }
    chain.go_on(Duration::from_millis(2_500));
    chain.world.mounts.unmount(path);
}
