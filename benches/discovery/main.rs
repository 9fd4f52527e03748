//! What it costs to set 1,000 slots of a HAProxy, to find that nothing differs, and to do the same as HSDO does: one
//! connection for each of three commands per slot, in every loop.
//!
//! `cargo bench --no-default-features --features discovery --bench discovery`
#![allow(clippy::expect_used, clippy::unwrap_used, clippy::print_stdout, reason = "a program for people")]

use haproxystats::config::discovery::Ramp;
use haproxystats::config::{Program, load};
use haproxystats::daemon::duty::Roll;
use haproxystats::discovery::client::disk::Disk;
use haproxystats::discovery::client::figures::Shown;
use haproxystats::discovery::client::follow::Listed;
use haproxystats::discovery::client::link::Link;
use haproxystats::discovery::document::{Document, Server, State};
use haproxystats::discovery::hint::Hint;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

const SLOTS: u32 = 1000;
const ROUNDS: u32 = 20;

struct HaProxy(Child);

impl Drop for HaProxy {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl HaProxy {
    fn start(directory: &Path) -> Option<Self> {
        let file = directory.join("haproxy.cfg");
        let text = format!(
            "global\n\tnbthread 1\n\tstats socket {}/sock mode 600 level admin\ndefaults\n\tmode http\n\ttimeout connect 1s\n\
             \ttimeout client 1s\n\ttimeout server 1s\nbackend web\n\tserver-template web 1-{SLOTS} 127.0.0.2:80 disabled\n",
            directory.display()
        );
        std::fs::write(&file, text).unwrap();
        let mut command = Command::new("/usr/sbin/haproxy");
        command.arg("-db").arg("-f").arg(file).stdout(Stdio::null()).stderr(Stdio::null());
        let haproxy = Self(command.spawn().ok()?);
        let end = Instant::now() + Duration::from_secs(20);
        while UnixStream::connect(directory.join("sock")).is_err() {
            assert!(Instant::now() < end, "HAProxy does not answer");
            std::thread::sleep(Duration::from_millis(10));
        }
        Some(haproxy)
    }

    /// Milliseconds of CPU so far, from the 10 ms ticks of the kernel.
    fn cpu(&self) -> u64 {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.0.id())).unwrap();
        let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
        [11, 12].iter().map(|at| fields[*at].parse::<u64>().unwrap() * 10).sum()
    }
}

fn list() -> Document {
    let ramp = Ramp { min: 10, max: 10, step: 1, interval: Duration::from_secs(1) };
    let mut list = Document::empty(SLOTS as usize, ramp);
    for slot in &mut list.slots {
        slot.server = Some(Server {
            instance: format!("i-{}", slot.id),
            name: format!("web-{}", slot.id),
            addresses: vec![std::net::Ipv4Addr::from(0x0a00_0000 + slot.id).into()],
            port: Some(8080),
            group: "asg".to_owned(),
            zone: String::new(),
            hint: Hint::FULL,
            since: 0,
            state: State::Active,
            weight: 10,
            since_millis: 0,
            gained: 0,
            doubt: None,
        });
    }
    list
}

/// As HSDO: connect, one command, read to the end, close.
fn ask(socket: &Path, command: &str) {
    let mut stream = UnixStream::connect(socket).unwrap();
    stream.write_all(command.as_bytes()).unwrap();
    let mut reply = Vec::new();
    stream.read_to_end(&mut reply).unwrap();
}

fn main() {
    let directory = tempfile::tempdir().unwrap();
    let Some(haproxy) = HaProxy::start(directory.path()) else { return println!("left out: haproxy is not installed") };
    let socket = directory.path().join("sock");
    let text = format!(
        "[discovery]\nstate-dir = {0}\n[discovery-client]\nhaproxy-socket-path = {0}/sock\n[discovery-backend:web]\nbase-name = web\n",
        directory.path().display()
    );
    let config = load::from_text(Program::Discovery, &text, "bench.conf").expect("a configuration").config.discovery;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let disk = Disk::new(directory.path());
    let duty = Roll::default().duty("bench", Duration::ZERO);
    let mut link = Link::new(&config.client, config.client.sockets[0].clone(), disk, Shown::default(), duty);
    let list = Listed::new(list(), Duration::ZERO);
    let show = |what: &str, time: Duration, cpu: u64, commands: usize, rounds: u32| {
        let (time, cpu) = (time.as_secs_f64() * 1e3 / f64::from(rounds), cpu as f64 / f64::from(rounds));
        println!("{what:<44} {time:>9.1} ms {cpu:>8.1} ms CPU of HAProxy {commands:>6} commands");
    };

    let (start, cpu) = (Instant::now(), haproxy.cpu());
    let first = runtime.block_on(link.round(&list)).unwrap();
    assert_eq!((first.changes, first.failures), (SLOTS as usize, 0));
    show("all slots set, and read back", start.elapsed(), haproxy.cpu() - cpu, first.commands, 1);

    let (start, cpu) = (Instant::now(), haproxy.cpu());
    for _ in 0..ROUNDS {
        let round = runtime.block_on(link.round(&list)).unwrap();
        assert_eq!((round.commands, round.changes), (0, 0));
    }
    let (ours, ours_cpu) = (start.elapsed(), haproxy.cpu() - cpu);
    show("a round without a difference", ours, ours_cpu, 0, ROUNDS);

    let (start, cpu) = (Instant::now(), haproxy.cpu());
    for (slot, server) in list.servers() {
        let name = format!("set server web/web{slot}");
        ask(&socket, &format!("{name} addr {} port 8080\n", server.addresses[0]));
        ask(&socket, &format!("{name} weight 10\n"));
        ask(&socket, &format!("{name} state ready\n"));
    }
    let (theirs, theirs_cpu) = (start.elapsed(), haproxy.cpu() - cpu);
    show("each loop as HSDO does it", theirs, theirs_cpu, 3 * SLOTS as usize, 1);
    println!(
        "ratio of a loop to a round: {:.0} in time, {:.0} in CPU of HAProxy",
        theirs.as_secs_f64() * f64::from(ROUNDS) / ours.as_secs_f64(),
        theirs_cpu as f64 * f64::from(ROUNDS) / (ours_cpu.max(10) as f64),
    );
}
