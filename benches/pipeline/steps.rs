//! What runs in a process of its own, so that its CPU time and memory are known: the floor, and the phases of the program.

use super::os;
use haproxystats::aggregate::group;
use haproxystats::batch::{Output, Piece};
use haproxystats::config::{Config, Program, load};
use haproxystats::dispatch::bounds::Bounds;
use haproxystats::encode::sink::Sink;
use haproxystats::haproxy::per_kind::PerKind;
use haproxystats::parse::stat::Stats;
use haproxystats::plan::KindPlan;
use haproxystats::process::pipeline::Pipeline;
use haproxystats::process::worker::memory;
use haproxystats::render::metrics::MetricNames;
use haproxystats::render::objects::{Objects, Selected};
use haproxystats::render::path::Paths;
use haproxystats::render::pieces::{self, Outlet, Pieces};
use haproxystats::snapshot::Epoch;
use std::collections::HashSet;
use std::fs::{self, File};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

/// Bytes of a read, and of a write.
const READ: usize = 128 * 1024;
const WRITE: usize = 512 * 1024;
const EPOCH: Epoch = Epoch(1_500_000_000);
/// The phases, in their order.
pub(crate) const PHASES: [&str; 5] = ["read", "parse", "aggregate", "render", "send"];

pub(crate) fn config() -> Config {
    load::from_text(Program::Process, "[process]\n", "built in").expect("defaults are valid").config
}

/// Snapshots and nothing else: what callgrind counts.
pub(crate) fn repeat(dir: &Path, times: usize) {
    memory::tune();
    let mut pipeline = Pipeline::new(&config(), "lb-01.example.com");
    let mut text = Vec::new();
    let mut lines = 0;
    for _ in 0..times {
        text.clear();
        lines = pipeline.run(dir, EPOCH, &mut text).expect("the snapshot can be read").0;
    }
    println!("{lines}");
}

/// Snapshots whose pieces are thrown away; prints the most memory that the process has had, in KiB, and CPU milliseconds of
/// a snapshot.
pub(crate) fn discard(dir: &Path, times: u32) {
    memory::tune();
    let mut pipeline = Pipeline::new(&config(), "lb-01.example.com");
    let mut text = Vec::new();
    let mut before = os::own_cpu();
    for time in 0..=times {
        if time == 1 {
            before = os::own_cpu();
        }
        let outlet = Outlet::new(Bounds::get().piece);
        pipeline.begin(EPOCH, std::mem::take(&mut text));
        {
            let rendering = std::pin::pin!(pipeline.render(dir, &outlet));
            let mut pieces = Pieces::new(&outlet, rendering);
            while let Some(piece) = pieces.next_piece() {
                outlet.give(emptied(piece));
            }
            pieces.end().expect("the snapshot can be read");
        }
        text = emptied(pipeline.end().0);
    }
    let cpu = (os::own_cpu() - before) / times.max(1);
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap().trim().trim_end_matches(" kB");
    println!("{peak} {}", cpu.as_secs_f64() * 1e3);
}

fn emptied(mut piece: Piece) -> Vec<u8> {
    let mut text = piece.take(Output::Plaintext).expect("there are lines").text;
    text.clear();
    text
}

fn connect(port: &str) -> TcpStream {
    TcpStream::connect(("127.0.0.1", port.parse().unwrap())).unwrap()
}

/// Reads the same bytes, and writes as many.
pub(crate) fn floor(dir: &Path, bytes: usize, port: &str, times: u32) {
    let mut sender = connect(port);
    let mut buffer = vec![0; READ];
    let text = vec![b'x'; WRITE];
    let mut step = || {
        read(dir, &mut buffer);
        let mut left = bytes;
        while left > 0 {
            let now = left.min(WRITE);
            sender.write_all(&text[..now]).unwrap();
            left -= now;
        }
    };
    step();
    let before = os::own_cpu();
    (0..times).for_each(|_| step());
    println!("{}", ((os::own_cpu() - before) / times).as_secs_f64() * 1000.0);
}

fn read(dir: &Path, buffer: &mut [u8]) {
    for entry in fs::read_dir(dir).unwrap() {
        let mut file = File::open(entry.unwrap().path()).unwrap();
        while file.read(buffer).unwrap() > 0 {}
    }
}

/// CPU milliseconds of each phase. What is read is read while it is parsed; reading alone is measured beside it and taken
/// off.
pub(crate) fn phases(dir: &Path, port: &str, times: u32) {
    memory::tune();
    let (config, mut sender) = (config(), connect(port));
    let plans = Arc::new(PerKind::new(|kind| KindPlan::new(kind, &config.process)));
    let mut stats = Stats::new(Arc::clone(&plans), false);
    let mut objects = Objects::new(Paths::new(&config, "lb-01.example.com"), false, Arc::new(MetricNames::new(&plans)));
    let mut sink = Sink::plaintext(&config);
    let files = stat_files(dir);
    let mut buffer = vec![0; READ];
    let mut spent = [Duration::ZERO; PHASES.len()];
    for round in 0..=times {
        let mut now = os::own_cpu();
        let mut add = |phase: usize| {
            let before = std::mem::replace(&mut now, os::own_cpu());
            // The first round warms up.
            spent[phase] += if round > 0 { now - before } else { Duration::ZERO };
        };
        read(dir, &mut buffer);
        add(0);
        stats.clear();
        for file in &files {
            stats.read(File::open(file).unwrap(), |_, _| {}).unwrap();
        }
        add(1);
        let groups: Vec<_> = plans
            .iter()
            .zip(&mut stats.collected.tables)
            .map(|(plan, table)| group::group(plan, table).unwrap())
            .collect();
        add(2);
        sink.begin(EPOCH, Vec::new());
        let (names, servers, excluded) = (&stats.collected.names, &stats.collected.servers, &HashSet::new());
        objects.begin(names, 0);
        for (plan, groups) in plans.iter().zip(&groups) {
            let outlet = Outlet::whole();
            let selected = Selected { plan, groups, names, servers, excluded, latency: None };
            pieces::whole(&outlet, objects.render(selected, &mut sink, &outlet));
        }
        let text = sink.take(false, Vec::new()).take(Output::Plaintext).expect("there are lines").text;
        add(3);
        text.chunks(WRITE).for_each(|chunk| sender.write_all(chunk).unwrap());
        add(4);
    }
    spent[1] = spent[1].saturating_sub(spent[0]);
    let milliseconds: Vec<String> =
        spent.iter().map(|time| ((*time / times).as_secs_f64() * 1e3).to_string()).collect();
    println!("{}", milliseconds.join(" "));
}

fn stat_files(dir: &Path) -> Vec<PathBuf> {
    let mut files: Vec<_> = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| path.to_string_lossy().ends_with("_stat"));
    files.sort();
    files
}

/// Runs this program with these arguments; the numbers that it prints.
pub(crate) fn run(arguments: &[&str]) -> Vec<f64> {
    let output = Command::new(std::env::current_exe().unwrap()).args(arguments).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    text.split_whitespace().map(|value| value.parse().unwrap()).collect()
}

/// Instructions of a snapshot, in steady state, and lines of it; `None` without valgrind.
pub(crate) fn instructions(dir: &Path) -> Option<(f64, f64)> {
    os::find("valgrind")?;
    let count = |times: &str| {
        let output = Command::new("valgrind")
            .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
            .arg(std::env::current_exe().unwrap())
            .args(["run", dir.to_str().unwrap(), times])
            .output()
            .unwrap();
        let log = String::from_utf8_lossy(&output.stderr).into_owned();
        let line = log.lines().find(|line| line.contains("Collected")).unwrap_or_else(|| panic!("{log}"));
        let count: f64 = line.rsplit(' ').next().unwrap().parse().unwrap();
        let lines: f64 = String::from_utf8(output.stdout).unwrap().trim().parse().unwrap();
        (count, lines)
    };
    let ((once, lines), (thrice, _)) = (count("1"), count("3"));
    Some(((thrice - once) / 2.0, lines))
}
