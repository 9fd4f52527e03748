//! What it costs to hand a snapshot to Kafka, against kcat writing the same messages to the same brokers.
//!
//! ```text
//! cargo bench --bench kafka                  size M, every format and compression
//! cargo bench --bench kafka -- L
//! ```
//!
//! The brokers are librdkafka's mock cluster in a process of their own, so their work is not counted; a real cluster is
//! slower, and this says nothing about it. CPU time is that of the whole process, its threads included, as the kernel counts
//! it: ours from the first message handed over until the last one is acknowledged, that of kcat from its start to its end.
//! The column *made* is what a worker needs besides to make the messages while it renders lines.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs, reason = "a broken machine may fail the benchmark")]

#[path = "../pipeline/capture.rs"]
mod capture;

use capture::{SIZES, Size};
use haproxystats::config::{Config, Program, load};
use haproxystats::dispatch::{Batch, Dispatcher, Notice, kafka::Kafka};
use haproxystats::process::pipeline::Pipeline;
use haproxystats::process::worker::memory;
use haproxystats::snapshot::Epoch;
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeValLike;
use std::fs::File;
use std::io::{Read, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

const ROUNDS: usize = 3;
const TOPIC: &str = "bench";
/// Separates messages for kcat.
const SEPARATOR: u8 = 0x1e;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments.as_slice() {
        ["brokers"] => brokers(),
        ["ours", dir, brokers, format, compression, times] => ours(dir, brokers, format, compression, times),
        [size] => table(size),
        [] => table("M"),
        other => panic!("cannot do {other:?}"),
    }
}

/// Lives until its standard input ends.
fn brokers() {
    let cluster = rdkafka::mocking::MockCluster::new(3).unwrap();
    cluster.create_topic(TOPIC, 12, 1).unwrap();
    println!("{}", cluster.bootstrap_servers());
    std::io::stdin().read_to_end(&mut Vec::new()).unwrap();
}

fn config(brokers: &str, format: &str, compression: &str) -> Config {
    let text = format!(
        "[process]\n[kafka]\nbrokers = {brokers}\ntopic = {TOPIC}\nformat = {format}\ncompression = {compression}\n\
         queue-size = 100000000\n"
    );
    load::from_text(Program::Process, &text, "built in").expect("it is valid").config
}

fn cpu(who: UsageWho) -> Duration {
    let used = getrusage(who).unwrap();
    let used = used.user_time() + used.system_time();
    Duration::from_micros(used.num_microseconds().try_into().unwrap())
}

fn batch(config: &Config, dir: &str, epoch: u64) -> Batch {
    let mut pipeline = Pipeline::new(config, "lb-01.example.com");
    let mut text = Vec::new();
    let epoch = Epoch(epoch);
    let (lines, _) = pipeline.run(Path::new(dir), epoch, &mut text).unwrap();
    let messages = pipeline.messages();
    Batch { epoch, text, lines, messages, ..Batch::default() }
}

/// CPU microseconds to render one snapshot, with its messages or without.
fn rendering(config: &Config, dir: &str) -> f64 {
    let mut pipeline = Pipeline::new(config, "lb-01.example.com");
    let mut text = Vec::new();
    let mut run = || {
        text.clear();
        pipeline.run(Path::new(dir), Epoch(1_500_000_000), &mut text).unwrap();
        pipeline.messages().len()
    };
    run();
    let before = cpu(UsageWho::RUSAGE_SELF);
    let times = 10;
    (0..times).for_each(|_| {
        std::hint::black_box(run());
    });
    (cpu(UsageWho::RUSAGE_SELF) - before).as_secs_f64() * 1e6 / f64::from(times)
}

/// Prints CPU and wall time of sending, and the CPU time that rendering messages adds, in microseconds for one snapshot.
fn ours(dir: &str, brokers: &str, format: &str, compression: &str, times: &str) {
    memory::tune();
    let config = config(brokers, format, compression);
    let without = load::from_text(Program::Process, "[process]\n", "built in").unwrap().config;
    let made = rendering(&config, dir) - rendering(&without, dir);
    let times: u64 = times.parse().unwrap();
    let batches: Vec<Arc<Batch>> = {
        let batch = batch(&config, dir, 1_500_000_000);
        (0..times).map(|number| Arc::new(Batch { epoch: Epoch(1_500_000_000 + number), ..batch.clone() })).collect()
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let tasks = tokio::task::LocalSet::new();
    tasks.block_on(&runtime, async {
        let (sender, mut notices) = tokio::sync::mpsc::unbounded_channel();
        let kafka = Kafka::start(config.kafka.as_ref().unwrap(), &config, "lb", sender);
        let (cpu_before, start) = (cpu(UsageWho::RUSAGE_SELF), Instant::now());
        let (mut delivered, mut waiting) = (0, batches.into_iter());
        let mut next = waiting.next();
        while delivered < times {
            while let Some(batch) = next.take_if(|_| kafka.has_room()) {
                kafka.submit(batch);
                next = waiting.next();
            }
            if let Some(Notice::Delivered { .. }) = notices.recv().await {
                delivered += 1;
            }
        }
        let (cpu, wall) = (cpu(UsageWho::RUSAGE_SELF) - cpu_before, start.elapsed());
        let each = |time: Duration| time.as_secs_f64() * 1e6 / times as f64;
        println!("{} {} {made}", each(cpu), each(wall));
    });
}

/// CPU and wall time of kcat for one snapshot, in microseconds.
fn kcat(file: &Path, brokers: &str, compression: &str, times: u64) -> [f64; 2] {
    let (before, start) = (cpu(UsageWho::RUSAGE_CHILDREN), Instant::now());
    let status = Command::new("kcat")
        .args(["-P", "-b", brokers, "-t", TOPIC, "-K", "\t", "-D", "\\x1e", "-z", compression])
        .args(["-X", "acks=all", "-X", "enable.idempotence=true", "-X", "linger.ms=50"])
        .args(["-X", "queue.buffering.max.kbytes=65536", "-X", "partitioner=murmur2_random"])
        .stdin(File::open(file).unwrap())
        .status()
        .expect("kcat is installed (./test packages)");
    assert!(status.success());
    let each = |time: Duration| time.as_secs_f64() * 1e6 / times as f64;
    [each(cpu(UsageWho::RUSAGE_CHILDREN) - before), each(start.elapsed())]
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn table(name: &str) {
    let size: Size = *SIZES.iter().find(|size| size.name == name).expect("a size is S, M, L or XL");
    let dir = capture::write(Path::new(env!("CARGO_TARGET_TMPDIR")), size).unwrap();
    let dir = dir.to_str().unwrap();
    let this = std::env::current_exe().unwrap();
    let mut cluster = Command::new(&this).arg("brokers").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut address = String::new();
    std::io::BufRead::read_line(&mut std::io::BufReader::new(cluster.stdout.take().unwrap()), &mut address).unwrap();
    let address = address.trim();
    println!("size {name}: CPU and wall time in ms a snapshot; million points a CPU second");
    println!(
        "format    compression  messages  MB      points   ours CPU  wall   points/s   kcat CPU  wall   points/s   made"
    );
    for (format, compression) in
        [("json", "lz4"), ("json", "zstd"), ("json", "none"), ("graphite", "lz4"), ("influx", "lz4")]
    {
        let batch = batch(&config(address, format, compression), dir, 1_500_000_000);
        let (messages, points) = (&batch.messages, batch.lines as f64);
        // Enough that the start of kcat does not count.
        let times = (40_000_000 / messages.bytes().max(1)).clamp(2, 100) as u64;
        let file = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("kafka.{format}"));
        let mut out = std::io::BufWriter::new(File::create(&file).unwrap());
        for message in (0..times).flat_map(|_| messages.iter()) {
            for part in [message.key, b"\t", message.payload, &[SEPARATOR]] {
                out.write_all(part).unwrap();
            }
        }
        out.into_inner().unwrap();
        let (mut cpu, mut wall, mut made, mut peer_cpu, mut peer_wall) = (vec![], vec![], vec![], vec![], vec![]);
        for _ in 0..ROUNDS {
            let ours = Command::new(&this)
                .args(["ours", dir, address, format, compression, &times.to_string()])
                .output()
                .unwrap();
            assert!(ours.status.success(), "{}", String::from_utf8_lossy(&ours.stderr));
            let text = String::from_utf8(ours.stdout).unwrap();
            let values: Vec<f64> = text.split_whitespace().map(|value| value.parse().unwrap()).collect();
            cpu.push(values[0]);
            wall.push(values[1]);
            made.push(values[2]);
            let [cpu, wall] = kcat(&file, address, compression, times);
            peer_cpu.push(cpu);
            peer_wall.push(wall);
        }
        std::fs::remove_file(file).unwrap();
        let [cpu, wall, made, peer_cpu, peer_wall] = [cpu, wall, made, peer_cpu, peer_wall].map(median);
        println!(
            "{format:<9} {compression:<11} {:>9}  {:<6.2} {points:>7}   {:>8.2}  {:>5.1}  {:>6.1} M   {:>8.2}  {:>5.1}  \
             {:>6.1} M   {:>5.2}",
            messages.len(),
            messages.bytes() as f64 / 1e6,
            cpu / 1e3,
            wall / 1e3,
            points / cpu,
            peer_cpu / 1e3,
            peer_wall / 1e3,
            points / peer_cpu,
            made / 1e3,
        );
    }
    drop(cluster.stdin.take());
    cluster.wait().unwrap();
}
