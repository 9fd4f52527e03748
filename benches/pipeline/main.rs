//! What the programs cost, over what cannot be avoided; see docs/performance.md.
//!
//! ```text
//! cargo bench --bench pipeline                              everything: sizes S, M, L and XL, some ten minutes
//! cargo bench --bench pipeline -- process S M               some parts, some sizes
//! cargo bench --bench pipeline -- steady --seconds 300      a longer steady run
//! ```
//!
//! Parts: `floor` and `process` (together), `formats`, `backlog`, `turns`, `pull`, `counting`, `latency`, `steady`, `peers`, `instructions`, `carried`, `start`. What is compared takes
//! turns. Figures are medians, in brackets the smallest and the largest; CPU time is what the kernel has counted.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs, reason = "a broken machine may fail the benchmark")]

mod capture;
mod carried;
mod counting;
mod haproxy;
mod latency;
mod os;
mod peers;
mod pull;
mod receiver;
mod sink;
mod steps;
mod worker;

use capture::{SIZES, Size};
use haproxy::HaProxies;
use os::Spread;
use receiver::Receiver;
use sink::Sink;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Processes of each kind and size.
const ROUNDS: usize = 5;
const PARTS: [&str; 12] = [
    "process",
    "formats",
    "instructions",
    "carried",
    "backlog",
    "turns",
    "start",
    "pull",
    "counting",
    "latency",
    "steady",
    "peers",
];

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments.as_slice() {
        ["floor", dir, bytes, port, times] => {
            steps::floor(Path::new(dir), bytes.parse().unwrap(), port, times.parse().unwrap());
        }
        ["phases", dir, port, times] => steps::phases(Path::new(dir), port, times.parse().unwrap()),
        ["run", dir, times] => steps::repeat(Path::new(dir), times.parse().unwrap()),
        ["repeat", name, times] => steps::repeat(&snapshot(size(name)), times.parse().unwrap()),
        ["discard", dir, times] => steps::discard(Path::new(dir), times.parse().unwrap()),
        words => table(words),
    }
}

fn place() -> PathBuf {
    PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("bench")
}

fn size(name: &str) -> Size {
    *SIZES.iter().find(|size| size.name == name).expect("a size is S, M, L or XL")
}

fn snapshot(size: Size) -> PathBuf {
    capture::write(&place(), size).expect("the snapshot can be written")
}

fn table(words: &[&str]) {
    let seconds = words.iter().position(|word| *word == "--seconds").and_then(|at| words.get(at + 1)?.parse().ok());
    let parts: Vec<&str> = PARTS.iter().copied().filter(|part| words.contains(part)).collect();
    let parts = if parts.is_empty() { PARTS.to_vec() } else { parts };
    let sizes: Vec<Size> = SIZES.iter().copied().filter(|size| words.contains(&size.name)).collect();
    let sizes = if sizes.is_empty() { SIZES.to_vec() } else { sizes };
    println!("{}, {} processors\n", cpu_model(), std::thread::available_parallelism().map_or(0, usize::from));
    for part in parts {
        match part {
            "process" => process(&sizes),
            "formats" => formats(&sizes),
            "instructions" => instructions(&sizes),
            "carried" => carried(&sizes),
            "backlog" => backlog(),
            "turns" => turns(),
            "start" => start(),
            "pull" => pull(),
            "counting" => counting::table(&place().join("counting")),
            "latency" => latency::table(&place().join("latency")),
            "steady" => steady(Duration::from_secs(seconds.unwrap_or(60))),
            _ => peers(&sizes),
        }
        println!();
    }
}

fn cpu_model() -> String {
    let text = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix("model name"));
    line.map_or_else(|| "unknown processor".to_owned(), |line| line.trim_start_matches([' ', '\t', ':']).to_owned())
}

/// The destinations that a worker has alone, by name, and their sections.
fn destinations(sink: &Sink, receiver: &Receiver) -> [(&'static str, String); 4] {
    let graphite =
        format!("[graphite]\nserver = 127.0.0.1\nport = {}\nsettle = 0\nacknowledge = kernel\n", sink.port());
    let to = |section: &str, path: &str, more: &str| {
        format!("[graphite]\nenabled = false\n[{section}]\nurl = {}\n{more}", receiver.url(path))
    };
    [
        ("Graphite", graphite),
        ("remote write", to("remote-write", "/api/v1/write", "")),
        ("OTLP", to("otlp", "/v1/metrics", "compression = none\n")),
        ("OTLP, gzip", to("otlp", "/v1/metrics", "")),
    ]
}

/// What each costs, beside Graphite in plaintext; all of them take turns.
fn formats(sizes: &[Size]) {
    println!("| one destination alone | | CPU ms | over Graphite | peak MiB | MB sent |");
    println!("|---|---|---|---|---|---|");
    let (sink, receiver, base) = (Sink::start(), Receiver::start(), place().join("formats"));
    let formats = destinations(&sink, &receiver);
    for size in sizes {
        let dir = snapshot(*size);
        let times = if size.name == "S" {
            200
        } else if size.name == "M" {
            40
        } else {
            4
        };
        let mut found = formats.each_ref().map(|_| (Spread::default(), 0.0_f64, 0.0));
        for _ in 0..ROUNDS {
            for ((_, destination), (cpu, peak, sent)) in formats.iter().zip(&mut found) {
                let command = worker::Process::prepare_with(&base, 1, destination);
                let mut process = worker::Process::launch(command, &base, 1);
                let bytes = || sink.bytes() + receiver.bytes();
                let [time, most, each] = receiver::cost(&mut process, &dir, times, bytes);
                cpu.0.push(time);
                (*peak, *sent) = (peak.max(most), each / 1e6);
            }
        }
        let graphite = found[0].0.median();
        for ((name, _), (cpu, peak, sent)) in formats.iter().zip(&found) {
            let over = cpu.median() / graphite;
            println!("| {name} | {} | {cpu} | {over:.2} | {peak:.1} | {sent:.2} |", size.name);
        }
    }
}

fn process(sizes: &[Size]) {
    println!(
        "| process | lines | floor, CPU ms | worker, CPU ms | wall ms | over floor | lines per CPU s | peak MiB | threads |"
    );
    println!("|---|---|---|---|---|---|---|---|---|");
    let (sink, base) = (Sink::start(), place().join("process"));
    let mut phases = Vec::new();
    let mut exponents: Vec<(Size, f64, usize)> = Vec::new();
    for size in sizes {
        let dir = snapshot(*size);
        let (name, port) = (dir.to_str().unwrap(), sink.port().to_string());
        let times = match size.name {
            "S" => 200,
            "M" => 40,
            "L" => 8,
            _ => 2,
        };
        let lines = steps::run(&["run", name, "1"])[0];
        let bytes = worker::steady(&base, &dir, 1, &sink).bytes;
        let (mut floors, mut costs, mut walls, mut ratios) =
            (Spread::default(), Spread::default(), Spread::default(), Spread::default());
        let (mut peak, mut threads, mut parent): (f64, f64, f64) = (0.0, 0.0, 0.0);
        for _ in 0..ROUNDS {
            let floor = steps::run(&["floor", name, &bytes.to_string(), &port, &times.to_string()])[0];
            let cost = worker::steady(&base, &dir, times, &sink);
            floors.0.push(floor);
            ratios.0.push(cost.worker / floor);
            costs.0.push(cost.worker);
            walls.0.push(cost.wall);
            (peak, threads, parent) = (peak.max(cost.peak), threads.max(cost.threads), cost.parent);
        }
        let rate = lines / costs.median() / 1000.0;
        println!(
            "| {} | {lines} | {floors} | {costs} | {walls} | {ratios} | {rate:.1} M | {peak:.1} | {threads} |",
            size.name
        );
        exponents.push((*size, costs.median(), size.processes * size.backends * (size.servers_each + 2)));
        let split = steps::run(&["phases", name, &port, &times.to_string()]);
        phases.push((size.name, split, parent));
    }
    println!("\n| CPU ms | {} | parent process |", steps::PHASES.join(" | "));
    println!("|---|---|---|---|---|---|---|");
    for (name, split, parent) in phases {
        let cells: Vec<String> = split.iter().map(|time| format!("{time:.2}")).collect();
        println!("| {name} | {} | {parent:.2} |", cells.join(" | "));
    }
    for pair in exponents.windows(2) {
        let ((small, before, rows_before), (large, after, rows_after)) = (pair[0], pair[1]);
        let exponent = (after / before).ln() / (rows_after as f64 / rows_before as f64).ln();
        println!(
            "\nFrom {} to {}: {:.2} times the rows, {:.2} times the CPU time, exponent {exponent:.2}.",
            small.name,
            large.name,
            rows_after as f64 / rows_before as f64,
            after / before
        );
    }
}

fn instructions(sizes: &[Size]) {
    println!("| instructions | a snapshot | a line |\n|---|---|---|");
    for size in sizes.iter().filter(|size| size.name != "XL") {
        match steps::instructions(&snapshot(*size)) {
            Some((count, lines)) => println!("| {} | {:.2} M | {:.0} |", size.name, count / 1e6, count / lines),
            None => return println!("Skipped: valgrind is not installed."),
        }
    }
}

/// What counters of processes that are gone add to a snapshot (`continuous-counters`): as one file for the host, as
/// haproxystats-pull writes it, and as one for each process.
fn carried(sizes: &[Size]) {
    println!(
        "| instructions | nothing carried | one file | more | one for each process | more |\n|---|---|---|---|---|---|"
    );
    for size in sizes.iter().filter(|size| size.name != "XL") {
        let count = |files| {
            let dir = carried::write(&place(), *size, files).expect("the snapshot can be written");
            steps::instructions(&dir).map(|(count, _)| count / 1e6)
        };
        let counts = [0, 1, size.processes].map(count);
        let [Some(without), Some(one), Some(each)] = counts else {
            return println!("Skipped: valgrind is not installed.");
        };
        let more = |count: f64| (count / without - 1.0) * 100.0;
        let (name, for_one, for_each) = (size.name, more(one), more(each));
        println!("| {name} | {without:.2} M | {one:.2} M | {for_one:.1} % | {each:.2} M | {for_each:.1} % |");
    }
}

fn backlog() {
    println!("| backlog of 360 M | wall s | CPU s | over one worker | peak MiB of a worker |\n|---|---|---|---|---|");
    let (sink, base, dir) = (Sink::start(), place().join("backlog"), snapshot(size("M")));
    let bytes = worker::steady(&base, &dir, 1, &sink).bytes;
    let mut rounds: [[Spread; 4]; 3] = Default::default();
    for _ in 0..3 {
        let mut alone = f64::NAN;
        for (workers, spreads) in [1, 2, 4].into_iter().zip(&mut rounds) {
            let [wall, cpu, peak] = worker::backlog(&base, &dir, 360, workers, bytes, &sink);
            alone = if workers == 1 { wall } else { alone };
            for (spread, value) in spreads.iter_mut().zip([wall, cpu, alone / wall, peak]) {
                spread.0.push(value);
            }
        }
    }
    for (workers, [wall, cpu, gain, peak]) in [1, 2, 4].into_iter().zip(rounds) {
        println!("| {workers} workers | {wall} | {cpu} | {gain} | {peak} |");
    }
}

/// What it costs that snapshots go in the order of their time: Graphite takes them in any.
fn turns() {
    println!("| backlog of 120 M | workers | wall s | CPU s | over one worker |\n|---|---|---|---|---|");
    let (sink, receiver, base, dir) = (Sink::start(), Receiver::start(), place().join("turns"), snapshot(size("M")));
    for (name, destination) in destinations(&sink, &receiver) {
        let mut rounds: [[Spread; 3]; 3] = Default::default();
        for _ in 0..3 {
            let mut alone = f64::NAN;
            for (workers, spreads) in [1, 2, 4].into_iter().zip(&mut rounds) {
                let bytes = || sink.bytes() + receiver.bytes();
                let [wall, cpu] = worker::drained(&base, &dir, 120, workers, &destination, bytes);
                alone = if workers == 1 { wall } else { alone };
                for (spread, value) in spreads.iter_mut().zip([wall, cpu, alone / wall]) {
                    spread.0.push(value);
                }
            }
        }
        for (workers, [wall, cpu, gain]) in [1, 2, 4].into_iter().zip(rounds) {
            println!("| {name} | {workers} | {wall} | {cpu} | {gain} |");
        }
    }
}

fn start() {
    let (sink, base) = (Sink::start(), place().join("start"));
    let (mut ready, mut idle) = (Spread::default(), Spread::default());
    for _ in 0..3 {
        let [cpu, resident] = worker::start(&base, &sink);
        ready.0.push(cpu);
        idle.0.push(resident);
    }
    println!("A worker from exec until it waits for work: {ready} ms of CPU time; idle: {idle} MiB.");
}

fn pull() {
    println!(
        "| pull | rows | bytes | HAProxy alone, wall ms | CPU ms | pull, wall ms | over | CPU ms | of HAProxy's | peak MiB | threads |"
    );
    println!("|---|---|---|---|---|---|---|---|---|---|---|");
    let base = place().join("pull");
    for (name, processes, sockets, backends, servers, options) in [
        ("500 x 40, one socket", 1, 1, 500, 40, ""),
        ("the same, continuous-counters", 1, 1, 500, 40, "continuous-counters = true\n"),
        ("200 sockets of 8 processes", 8, 25, 100, 20, ""),
    ] {
        let Some(haproxy) = HaProxies::start(&base.join("haproxy"), processes, sockets, backends, servers) else {
            return println!("Skipped: HAProxy is not installed.");
        };
        let (mut wall, mut cpu, mut bytes) = (Spread::default(), Spread::default(), 0.0);
        let mut pulled = Vec::new();
        for round in 0..=3 {
            for _ in 0..5 {
                let [one, two, three] = haproxy.discard();
                if round > 0 {
                    wall.0.push(one);
                    cpu.0.push(two);
                }
                bytes = three;
                std::thread::sleep(Duration::from_millis(100));
            }
            if round > 0 {
                pulled.push(pull::pull(&base.join("pull"), &haproxy, options, 5));
            }
        }
        let of = |figure: fn(&pull::Pulled) -> f64| Spread(pulled.iter().map(figure).collect());
        let walls = Spread(pulled.iter().flat_map(|pulled| pulled.wall.0.clone()).collect());
        let share = Spread(pulled.iter().map(|pulled| pulled.cpu / pulled.haproxy * 100.0).collect());
        assert!((of(|pulled| pulled.bytes).median() / bytes - 1.0).abs() < 0.01, "not the same bytes");
        println!(
            "| {name} | {} | {:.1} MB | {wall} | {cpu} | {walls} | {:.3} | {} | {share} % | {:.1} | {} |",
            processes * sockets * (backends * (servers + 1) + 20),
            bytes / 1e6,
            walls.median() / wall.median(),
            of(|pulled| pulled.cpu),
            of(|pulled| pulled.peak).median(),
            of(|pulled| pulled.threads).median(),
        );
    }
}

fn steady(time: Duration) {
    let base = place().join("steady");
    for (name, sockets, backends, servers, time) in [
        ("4 sockets of 100 x 20", 4, 100, 20, time),
        ("4 sockets of 500 x 40", 4, 500, 40, time.min(Duration::from_secs(20))),
    ] {
        let Some(haproxy) = HaProxies::start(&base.join("haproxy"), 1, sockets, backends, servers) else {
            return println!("Skipped: HAProxy is not installed.");
        };
        let run = pull::steady(&base.join("run"), &haproxy, time);
        println!(
            "Both programs, {name}, once a second for {:.0} s: pull {:.2} % of a core, worker {:.2} %, its parent {:.2} % \
             (HAProxy {:.2} %); {} snapshots. From the second of asking until Graphite has the last byte {} ms, in the first \
             tenth {:.0}, in the last {:.0}. Resident MiB of pull {:.1} after a tenth and {:.1} at the end, of the worker {:.1} \
             and {:.1}.",
            run.seconds,
            run.pull,
            run.worker,
            run.parent,
            run.haproxy,
            run.ticks,
            run.latency,
            run.drift[0],
            run.drift[1],
            run.resident[0][0],
            run.resident[1][0],
            run.resident[0][1],
            run.resident[1][1],
        );
    }
}

fn peers(sizes: &[Size]) {
    let (sink, base) = (Sink::start(), place().join("peers"));
    match peers::original() {
        Some(program) => {
            println!(
                "| the original | CPU ms | wall ms | peak MiB | ours, CPU ms | original over ours |\n|---|---|---|---|---|---|"
            );
            for size in sizes.iter().filter(|size| size.name != "XL") {
                let (dir, mut ours) = (snapshot(*size), Spread::default());
                let times = if size.name == "L" { 1 } else { 5 };
                let mut theirs: [Spread; 3] = Default::default();
                for _ in 0..3 {
                    ours.0.push(worker::steady(&base, &dir, times * 4, &sink).worker);
                    let measured = peers::run_original(&program, &base, &dir, times, &sink);
                    theirs.iter_mut().zip(measured).for_each(|(spread, value)| spread.0.push(value));
                }
                let [cpu, wall, peak] = theirs;
                println!("| {} | {cpu} | {wall} | {peak} | {ours} | {:.0} |", size.name, cpu.median() / ours.median());
            }
        }
        None => println!("The Python original: skipped, {} does not name it, nor is it in PATH.", peers::ORIGINAL),
    }
    println!();
    let Some(haproxy) = HaProxies::start(&base.join("haproxy"), 1, 1, 500, 40) else {
        return println!("The exporter of Prometheus: skipped, HAProxy is not installed.");
    };
    match peers::exporter(&haproxy, 5) {
        Some((cpu, wall, peak)) => println!(
            "prometheus-haproxy-exporter over 500 x 40, a collection: {cpu} ms of CPU time, {wall} ms, peak {peak:.0} MiB."
        ),
        None => println!("The exporter of Prometheus: skipped, prometheus-haproxy-exporter is not installed."),
    }
}
