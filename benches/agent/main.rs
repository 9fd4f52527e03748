//! What an answer of haproxystats-agent costs, beside the Python Datawave agent, under the same load.
//!
//! ```text
//! cargo bench --no-default-features --features agent --bench agent
//! ```
//!
//! The load is that of 1,000 servers with `agent-inter 1s`: 1,000 checks a second, spread evenly, each on a connection of
//! its own as HAProxy makes them; latencies count from the moment at which a check is due. Then as many checks as eight
//! clients can make. CPU time is that of the agent alone, as the kernel counts it.
//!
//! The Datawave agent is target/python-tools/bin/datawave-haproxy-agent (`./test packages` installs it), or what
//! HAPROXYSTATS_DATAWAVE_AGENT names. It has one service for each process, so it answers for one; ours does the same, and
//! then serves 1,000 services, each of which asks its endpoint once a second.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs, reason = "a broken machine may fail the benchmark")]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Checks of a second, and services.
const RATE: u64 = 1000;
/// How long each load lasts.
const LASTS: Duration = Duration::from_secs(10);
/// Clients of the second load; threads of the first.
const CLIENTS: u64 = 8;

/// An agent that ends with this value.
struct Agent(Child);

impl Drop for Agent {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// What came out of a load.
struct Outcome {
    answers: u64,
    failures: u64,
    cpu: Duration,
    elapsed: Duration,
    /// Of each answer, sorted.
    latencies: Vec<Duration>,
}

impl Outcome {
    fn percentile(&self, percent: usize) -> Duration {
        let last = self.latencies.len().saturating_sub(1);
        self.latencies.get(last * percent / 100).copied().unwrap_or_default()
    }

    fn of_a_core(&self) -> f64 {
        self.answers as f64 / self.cpu.as_secs_f64()
    }
}

fn main() {
    // As `cargo test` calls it: it only has to compile.
    if std::env::args().any(|argument| argument == "--test") {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let endpoint = endpoint();
    println!(
        "{:34} {:>9} {:>9} {:>9} {:>9} {:>12} {:>8}",
        "", "answers/s", "p50 µs", "p99 µs", "max µs", "per core s", "RSS MiB"
    );
    let one = measure("haproxystats-agent, 1 service", start(directory.path(), endpoint, 1), &|_| String::new());
    let many = measure("haproxystats-agent, 1000 services", start(directory.path(), endpoint, RATE), &|n| {
        format!("s{}\n", n % RATE)
    });
    let Some(python) = python() else { return };
    let seed =
        measure("datawave_haproxy_agent, 1 service", datawave(&python, directory.path(), endpoint), &|_| String::new());
    for (name, ours) in [("1 service", &one), ("1000 services", &many)] {
        println!(
            "{name}: CPU time of an answer at {RATE} a second, theirs over ours: {:.1}; p99, theirs over ours: {:.1}; answers at \
             most, ours over theirs: {:.1}",
            ours[0].of_a_core() / seed[0].of_a_core(),
            seed[0].percentile(99).as_secs_f64() / ours[0].percentile(99).as_secs_f64(),
            ours[1].answers as f64 / seed[1].answers as f64,
        );
    }
}

/// Both loads.
fn measure(name: &str, (agent, port): (Agent, u16), request: &(dyn Fn(u64) -> String + Sync)) -> [Outcome; 2] {
    let paced = load(&agent, port, request, Some(RATE));
    let full = load(&agent, port, request, None);
    for (kind, outcome) in [("", &paced), (", all it can", &full)] {
        assert_eq!(outcome.failures, 0, "{name}{kind}");
        println!(
            "{:34} {:>9.0} {:>9} {:>9} {:>9} {:>12.0} {:>8.1}",
            format!("{name}{kind}"),
            outcome.answers as f64 / outcome.elapsed.as_secs_f64(),
            outcome.percentile(50).as_micros(),
            outcome.percentile(99).as_micros(),
            outcome.percentile(100).as_micros(),
            outcome.of_a_core(),
            rss(&agent),
        );
    }
    [paced, full]
}

/// Checks at this rate, or without pause.
fn load(agent: &Agent, port: u16, request: &(dyn Fn(u64) -> String + Sync), rate: Option<u64>) -> Outcome {
    let (before, begun, next) = (cpu(agent), Instant::now(), AtomicU64::new(0));
    let client = || {
        let (mut latencies, mut failures) = (Vec::new(), 0);
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            let due = rate.map_or_else(Instant::now, |rate| begun + Duration::from_micros(number * 1_000_000 / rate));
            if due.saturating_duration_since(begun) >= LASTS {
                return (latencies, failures);
            }
            std::thread::sleep(due.saturating_duration_since(Instant::now()));
            if ask(port, &request(number)) {
                latencies.push(due.elapsed());
            } else {
                failures += 1;
            }
        }
    };
    let clients = rate.map_or(CLIENTS, |_| 4 * CLIENTS);
    let (mut latencies, mut failures) = (Vec::new(), 0);
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..clients).map(|_| scope.spawn(client)).collect();
        for thread in threads {
            let (some, failed) = thread.join().unwrap();
            latencies.extend(some);
            failures += failed;
        }
    });
    latencies.sort_unstable();
    let answers = latencies.len() as u64;
    Outcome { answers, failures, cpu: cpu(agent) - before, elapsed: begun.elapsed(), latencies }
}

/// One check, as HAProxy makes it; false when the answer is not that the server is up.
fn ask(port: u16, request: &str) -> bool {
    let Ok(mut stream) = TcpStream::connect(("127.0.0.1", port)) else { return false };
    let mut answer = Vec::new();
    let asked = request.is_empty() || stream.write_all(request.as_bytes()).is_ok();
    asked && stream.read_to_end(&mut answer).is_ok() && answer.windows(2).any(|word| word == b"up")
}

/// haproxystats-agent with this many services.
fn start(directory: &Path, endpoint: u16, services: u64) -> (Agent, u16) {
    let port = free_port();
    let mut text = format!(
        "[agent]\nbind = 127.0.0.1\nport = {port}\nrequest-timeout = 5\ncheck-url = http://127.0.0.1:{endpoint}/\n"
    );
    for service in (0..services).filter(|_| services > 1) {
        text.push_str(&format!("[agent:s{service}]\nrequest = s{service}\n"));
    }
    let file = directory.join(format!("{services}.conf"));
    std::fs::write(&file, text).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_haproxystats-agent"));
    let requests = (0..services).map(|service| if services > 1 { format!("s{service}\n") } else { String::new() });
    (run(command.arg("-f").arg(file), port, requests), port)
}

/// The Datawave agent.
fn datawave(program: &Path, directory: &Path, endpoint: u16) -> (Agent, u16) {
    let port = free_port();
    let file = directory.join("config.yml");
    let url = format!("http://127.0.0.1:{endpoint}/");
    std::fs::write(&file, format!("bind: 127.0.0.1\nport: {port}\ndw_health_poller:\n  check_url: {url}\n")).unwrap();
    (run(Command::new(program).arg("--config").arg(file), port, [String::new()]), port)
}

/// Starts an agent and waits until it has a result for each request.
fn run(command: &mut Command, port: u16, requests: impl IntoIterator<Item = String>) -> Agent {
    let agent = Agent(command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap());
    let end = Instant::now() + Duration::from_secs(60);
    for request in requests {
        while !ask(port, &request) {
            assert!(Instant::now() < end, "{command:?} does not answer");
            std::thread::sleep(Duration::from_millis(50));
        }
    }
    agent
}

/// Where the Datawave agent is.
fn python() -> Option<PathBuf> {
    let installed = || Path::new(env!("CARGO_MANIFEST_DIR")).join("target/python-tools/bin/datawave-haproxy-agent");
    let path = std::env::var_os("HAPROXYSTATS_DATAWAVE_AGENT").map_or_else(installed, PathBuf::from);
    if path.exists() {
        return Some(path);
    }
    println!("no comparison: {} does not exist; ./test packages installs it", path.display());
    None
}

/// A health endpoint of Datawave that is well; it ends with the program.
fn endpoint() -> u16 {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            std::thread::spawn(move || serve(stream));
        }
    });
    port
}

fn serve(stream: TcpStream) {
    let body = r#"{"Status":"ready","ConnectionUsagePercent":50,"SystemLoad":0.5,"SwapBytesUsed":0}"#;
    let reply = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}", body.len());
    let (mut reader, mut writer) = (BufReader::new(stream.try_clone().unwrap()), stream);
    let mut line = String::new();
    // The Datawave agent keeps its connection.
    while reader.read_line(&mut line).is_ok_and(|length| length > 0) {
        if line == "\r\n" && writer.write_all(reply.as_bytes()).is_err() {
            return;
        }
        line.clear();
    }
}

fn free_port() -> u16 {
    TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().port()
}

/// CPU time of a program so far, of all its threads.
fn cpu(agent: &Agent) -> Duration {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", agent.0.id())).unwrap();
    let words: Vec<&str> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
    let ticks: u64 = words[11..13].iter().map(|word| word.parse::<u64>().unwrap()).sum();
    // USER_HZ is 100 wherever Linux runs.
    Duration::from_millis(ticks * 10)
}

/// Resident memory, MiB.
fn rss(agent: &Agent) -> f64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", agent.0.id())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.split_whitespace().next().unwrap().parse::<f64>().unwrap() / 1024.0
}
