//! What a table of response times costs beside `show stat`: 5,000 servers, each with a row of fourteen counters.

use super::haproxy::HaProxies;
use super::os::Spread;
use super::pull;
use haproxystats::latency::layout::Layout;
use haproxystats::latency::rules::{BOUNDS, TIMERS};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

const BACKENDS: usize = 100;
const SERVERS: usize = 50;
/// How often each command is sent.
const ROUNDS: usize = 20;

/// HAProxy 3.2 or later, which lets counters of an array be set.
fn program() -> Option<PathBuf> {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/scripts/newer-haproxy");
    let output = Command::new(script).args(["--find", "3.4"]).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    text.trim().split_once(' ').map(|(_, program)| program.into())
}

pub(crate) fn table(base: &Path) {
    let Some(program) = program() else { return println!("Skipped: HAProxy 3.4 is not unpacked.") };
    let layout = Layout::parse(TIMERS, BOUNDS).unwrap();
    let lines =
        format!("backend latency\n\tstick-table type string len 211 size 100k store gpc({})\n", layout.elements());
    let haproxy = HaProxies::start_with(&program, &lines, &base.join("haproxy"), [1, 1, BACKENDS, SERVERS]).unwrap();
    fill(&haproxy, &layout);
    println!("| 5,000 servers | bytes | HAProxy, wall ms | HAProxy, CPU ms |");
    println!("|---|---|---|---|");
    for command in ["show stat", "show table latency"] {
        let (mut wall, mut cpu, mut bytes) = (Spread::default(), Spread::default(), 0);
        // The kernel counts CPU time in steps of 10 ms.
        for _ in 0..5 {
            let (before, start) = (haproxy.cpu(), Instant::now());
            for _ in 0..ROUNDS {
                bytes = haproxy.ask(command).len();
            }
            wall.0.push(start.elapsed().as_secs_f64() * 1e3 / ROUNDS as f64);
            cpu.0.push((haproxy.cpu() - before).as_secs_f64() * 1e3 / ROUNDS as f64);
        }
        println!("| `{command}` | {bytes} | {wall} | {cpu} |");
    }
    println!("\n| pull of them | CPU ms of pull | CPU ms of HAProxy | peak MiB | bytes of a snapshot |");
    println!("|---|---|---|---|---|");
    for (name, options) in [("as ever", ""), ("with latency-table", "latency-table = latency\n")] {
        let pulled: Vec<pull::Pulled> = (0..3).map(|_| pull::pull(&base.join("pull"), &haproxy, options, 5)).collect();
        let of = |figure: fn(&pull::Pulled) -> f64| Spread(pulled.iter().map(figure).collect());
        let bytes = pulled.last().map_or(0.0, |pulled| pulled.bytes);
        println!("| {name} | {} | {} | {} | {bytes} |", of(|p| p.cpu), of(|p| p.haproxy), of(|p| p.peak));
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// Gives each server a row, as if it had answered.
fn fill(haproxy: &HaProxies, layout: &Layout) {
    let info = String::from_utf8(haproxy.ask("show info")).unwrap();
    let pid = info.lines().find_map(|line| line.strip_prefix("Pid: ")).unwrap().to_owned();
    for backend in 0..BACKENDS {
        for server in 0..SERVERS {
            let name = format!("be_app_{backend:04}.example.com/srv-{backend:04}-{server:03}.example.com");
            let values: Vec<String> =
                (0..layout.elements()).map(|place| format!("data.gpc[{place}] {}", 1_000_000 + place * 1000)).collect();
            let answer = haproxy.ask(&format!("set table latency key {name}/{layout}/{pid}/ {}", values.join(" ")));
            assert_eq!(answer.trim_ascii(), b"", "{}", String::from_utf8_lossy(&answer));
        }
    }
}
