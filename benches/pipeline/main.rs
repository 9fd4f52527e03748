//! What one snapshot costs, from its files to the last byte sent, over what cannot be avoided: reading the same bytes and
//! writing as many.
//!
//! ```text
//! cargo bench --bench pipeline                     the table, sizes S, M and L
//! cargo bench --bench pipeline -- table S M L XL   other sizes
//! cargo bench --bench pipeline -- repeat M 3       three snapshots and nothing else, for callgrind (benches/gate)
//! ```
//!
//! Each figure is the median of [`ROUNDS`] processes, in brackets the smallest and the largest; floor and process take
//! turns. CPU time is that of the whole process, user and system, as the kernel counts it.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs, reason = "a broken machine may fail the benchmark")]

mod capture;

use capture::{SIZES, Size};
use haproxystats::config::{Program, load};
use haproxystats::process::{memory, pipeline::Pipeline};
use haproxystats::snapshot::Epoch;
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeValLike;
use std::fs::{self, File};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// Processes of each kind and size.
const ROUNDS: usize = 7;
/// Bytes of a read, and of a write.
const READ: usize = 128 * 1024;
const WRITE: usize = 256 * 1024;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments.as_slice() {
        ["sink"] => sink(),
        ["floor", dir, bytes, port, times] => measure(times, |sender| floor(dir, bytes.parse().unwrap(), sender), port),
        ["process", dir, port, times] => {
            memory::tune();
            let mut pipeline = pipeline();
            measure(times, |sender| process(&mut pipeline, dir, sender), port);
        }
        ["repeat", size, times] => repeat(size, times.parse().unwrap()),
        ["table", sizes @ ..] => table(sizes),
        [] => table(&["S", "M", "L"]),
        other => panic!("cannot do {other:?}"),
    }
}

fn pipeline() -> Pipeline {
    let config = load::from_text(Program::Process, "[process]\n", "built in").expect("defaults are valid").config;
    Pipeline::new(&config, "lb-01.example.com")
}

fn size(name: &str) -> Size {
    *SIZES.iter().find(|size| size.name == name).expect("a size is S, M, L or XL")
}

fn repeat(name: &str, times: usize) {
    let place = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let dir = capture::write(place, size(name)).expect("the snapshot can be written");
    memory::tune();
    let mut pipeline = pipeline();
    let mut text = Vec::new();
    let mut lines = 0;
    for _ in 0..times {
        text.clear();
        lines = pipeline.run(&dir, Epoch(1_500_000_000), &mut text).expect("the snapshot can be read").lines;
    }
    println!("{lines}");
}

/// Reads what is sent, and counts.
fn sink() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    println!("{}", listener.local_addr().unwrap().port());
    let mut buffer = vec![0; 1 << 20];
    for stream in listener.incoming() {
        let mut stream = stream.unwrap();
        while stream.read(&mut buffer).unwrap_or(0) > 0 {}
    }
}

fn floor(dir: &str, bytes: usize, sender: &mut TcpStream) {
    let mut buffer = vec![0; READ];
    for entry in fs::read_dir(dir).unwrap() {
        let mut file = File::open(entry.unwrap().path()).unwrap();
        while file.read(&mut buffer).unwrap() > 0 {}
    }
    let text = vec![b'x'; WRITE];
    let mut left = bytes;
    while left > 0 {
        let now = left.min(WRITE);
        sender.write_all(&text[..now]).unwrap();
        left -= now;
    }
}

fn process(pipeline: &mut Pipeline, dir: &str, sender: &mut TcpStream) {
    let mut text = Vec::new();
    pipeline.run(Path::new(dir), Epoch(1_500_000_000), &mut text).unwrap();
    text.chunks(WRITE).for_each(|chunk| sender.write_all(chunk).unwrap());
}

/// Does it once to warm up, then `times`; prints CPU and wall time of each in microseconds, and the most memory held.
fn measure(times: &str, mut step: impl FnMut(&mut TcpStream), port: &str) {
    let mut sender = TcpStream::connect(("127.0.0.1", port.parse().unwrap())).unwrap();
    step(&mut sender);
    let cpu = || {
        let used = getrusage(UsageWho::RUSAGE_SELF).unwrap();
        let used = used.user_time() + used.system_time();
        Duration::from_micros(used.num_microseconds().try_into().unwrap())
    };
    let (before, start) = (cpu(), Instant::now());
    let times: u32 = times.parse().unwrap();
    (0..times).for_each(|_| step(&mut sender));
    let (cpu, wall) = ((cpu() - before) / times, start.elapsed() / times);
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let value = |name: &str| {
        let line = status.lines().find(|line| line.starts_with(name)).unwrap();
        line.split_whitespace().nth(1).unwrap().to_owned()
    };
    println!("{} {} {} {}", cpu.as_micros(), wall.as_micros(), value("VmHWM:"), value("Threads:"));
}

fn run(arguments: &[&str]) -> [f64; 4] {
    let output = Command::new(std::env::current_exe().unwrap()).args(arguments).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    let values: Vec<f64> = text.split_whitespace().map(|value| value.parse().unwrap()).collect();
    values.try_into().unwrap()
}

/// Median, smallest and largest.
fn spread(mut values: Vec<f64>) -> (f64, f64, f64) {
    values.sort_by(f64::total_cmp);
    (values[values.len() / 2], values[0], values[values.len() - 1])
}

fn table(sizes: &[&str]) {
    let mut child = Command::new(std::env::current_exe().unwrap()).arg("sink").stdout(Stdio::piped()).spawn().unwrap();
    let mut port = String::new();
    std::io::BufRead::read_line(&mut std::io::BufReader::new(child.stdout.take().unwrap()), &mut port).unwrap();
    let port = port.trim();
    println!(
        "size     lines   floor CPU ms        process CPU ms      CPU / floor         lines / CPU s  peak MiB  threads"
    );
    for name in sizes {
        let dir = capture::write(Path::new(env!("CARGO_TARGET_TMPDIR")), size(name)).unwrap();
        let mut text = Vec::new();
        let lines = pipeline().run(&dir, Epoch(1_500_000_000), &mut text).unwrap().lines;
        let (dir, bytes) = (dir.to_str().unwrap(), text.len().to_string());
        let times = match *name {
            "S" => "100",
            "M" => "30",
            "L" => "6",
            _ => "2",
        };
        let (mut floors, mut ours, mut ratios, mut last) = (Vec::new(), Vec::new(), Vec::new(), [0.0; 4]);
        for _ in 0..ROUNDS {
            let floor = run(&["floor", dir, &bytes, port, times]);
            last = run(&["process", dir, port, times]);
            floors.push(floor[0] / 1000.0);
            ours.push(last[0] / 1000.0);
            ratios.push(last[0] / floor[0]);
        }
        let show = |values: Vec<f64>| {
            let (median, smallest, largest) = spread(values);
            format!("{median:.2} ({smallest:.2}-{largest:.2})")
        };
        let rate = lines as f64 / spread(ours.clone()).0 / 1000.0;
        println!(
            "{name:<4} {lines:>9}   {:<19} {:<19} {:<19} {rate:>9.1} M  {:>8.1}  {:>7}",
            show(floors),
            show(ours),
            show(ratios),
            last[2] / 1024.0,
            last[3]
        );
    }
    child.kill().unwrap();
    child.wait().unwrap();
}
