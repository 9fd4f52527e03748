//! Other programs that do the same, where the machine has them.

use super::haproxy::HaProxies;
use super::os::{self, Spread};
use super::sink::Sink;
use super::worker;
use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// Where haproxystats-process of Python may be named.
pub(crate) const ORIGINAL: &str = "HAPROXYSTATS_ORIGINAL_PROCESS";
const LIMIT: Duration = Duration::from_secs(300);

/// The original program: by the environment variable, or by PATH if what is there is a Python script.
pub(crate) fn original() -> Option<PathBuf> {
    let named = std::env::var_os(ORIGINAL).map(PathBuf::from).or_else(|| os::find("haproxystats-process"))?;
    fs::read(&named).ok()?.starts_with(b"#!").then_some(named)
}

/// CPU and wall milliseconds of the original for one snapshot, and MiB: a worker of its own over `count` snapshots, after
/// one that warms it up.
pub(crate) fn run_original(program: &Path, base: &Path, snapshot: &Path, count: u64, sink: &Sink) -> [f64; 3] {
    drop(worker::Process::prepare(base, 1, sink));
    let text = format!(
        "[paths]\nbase-dir = {base}\n[DEFAULT]\nloglevel = error\nretries = 3\ntimeout = 1\ninterval = 2\n\
         [pull]\nsocket-dir = {base}\nretries = 1\ntimeout = 0.1\ninterval = 0.5\npull-timeout = 2\npull-interval = 10\n\
         dst-dir = {base}/incoming\ntmp-dst-dir = {base}/incoming.tmp\nworkers = 1\nqueue-size = 360\n\
         [process]\nworkers = 1\nsrc-dir = {base}/incoming\naggr-server-metrics = false\nexclude-frontends = \n\
         [graphite]\nserver = 127.0.0.1\nport = {port}\nretries = 3\ninterval = 1.8\ntimeout = 5\ndelay = 10\nbackoff = 2\n\
         namespace = loadbalancers\nprefix-hostname = true\nfqdn = true\nqueue-size = 1000000\n",
        base = base.display(),
        port = sink.port(),
    );
    let file = base.join("original.conf");
    fs::write(&file, text.replace("exclude-frontends = \n", "")).unwrap();
    let mut command = Command::new(program);
    let mut child = command.arg("-f").arg(&file).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    std::thread::sleep(Duration::from_secs(3));
    let incoming = base.join("incoming");
    let empty = || fs::read_dir(&incoming).unwrap().next().is_none();
    worker::publish(base, snapshot, 1_500_000_000, 1);
    os::wait("the original", LIMIT, empty);
    let (cpu, start) = (os::family_cpu(child.id()), Instant::now());
    worker::publish(base, snapshot, 1_500_000_001, count);
    os::wait("the original", LIMIT, empty);
    let (cpu, wall) = (os::family_cpu(child.id()) - cpu, start.elapsed());
    let peak = os::children(child.id()).into_iter().map(os::peak).fold(0.0, f64::max);
    let _ = Command::new("kill").arg(child.id().to_string()).status();
    std::thread::sleep(Duration::from_secs(1));
    for pid in os::children(child.id()) {
        let _ = Command::new("kill").args(["-9", &pid.to_string()]).status();
    }
    let _ = child.kill();
    let _ = child.wait();
    [cpu.as_secs_f64() * 1e3 / count as f64, wall.as_secs_f64() * 1e3 / count as f64, peak]
}

/// The exporter of Prometheus over the same HAProxy: CPU and wall milliseconds of a collection, and MiB.
pub(crate) fn exporter(haproxy: &HaProxies, count: usize) -> Option<(Spread, Spread, f64)> {
    let program = os::find("prometheus-haproxy-exporter")?;
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    drop(listener);
    let socket = fs::read_dir(haproxy.directory()).unwrap().next().unwrap().unwrap().path();
    let mut child = Command::new(program)
        .arg(format!("--web.listen-address=127.0.0.1:{port}"))
        .arg(format!("--haproxy.scrape-uri=unix:{}", socket.display()))
        .arg("--haproxy.timeout=20s")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    os::wait("the exporter", LIMIT, || TcpStream::connect(("127.0.0.1", port)).is_ok());
    let (mut cpus, mut walls) = (Spread::default(), Spread::default());
    for _ in 0..count {
        let (cpu, start) = (os::family_cpu(child.id()), Instant::now());
        let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
        stream.write_all(b"GET /metrics HTTP/1.0\r\n\r\n").unwrap();
        let mut buffer = vec![0; 1 << 20];
        while stream.read(&mut buffer).unwrap_or(0) > 0 {}
        walls.0.push(start.elapsed().as_secs_f64() * 1e3);
        cpus.0.push((os::family_cpu(child.id()) - cpu).as_secs_f64() * 1e3);
    }
    let peak = os::peak(child.id());
    let _ = child.kill();
    let _ = child.wait();
    Some((cpus, walls, peak))
}
