//! Nothing is lost: faults are injected into the real programs, and what arrives is compared with what the published
//! snapshots imply. See docs/delivery.md.
#![allow(
    unreachable_pub,
    clippy::expect_used,
    clippy::unwrap_used,
    reason = "one program; a broken machine may fail the test"
)]

#[path = "../harness/mod.rs"]
mod harness;

mod circumstances;
mod data;
mod faults;
#[cfg(feature = "kafka")]
mod kafka;
#[cfg(feature = "kafka")]
mod members;
mod mounts;
mod options;
mod peers;
mod proxy;
mod pull;
mod pull_faults;
mod remote;
mod report;
mod scenes;
mod sequence;
mod servers;
mod shortage;
mod slow;
mod told;
mod unit;
mod verify;
mod world;

use options::{Mode, Options};
use report::Report;
use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;
use std::sync::Mutex;
use std::time::{Duration, Instant};

/// Something to be done, on a thread of its own.
pub struct Scene {
    /// As it is called in what is printed.
    pub name: String,
    /// Does it.
    pub run: Box<dyn FnOnce() -> Report + Send>,
}

fn main() -> ExitCode {
    let options = match Options::read(std::env::args().skip(1), |name| std::env::var(name).ok()) {
        Ok(Some(options)) => options,
        Ok(None) => return ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            return ExitCode::FAILURE;
        }
    };
    mounts::begin();
    let start = Instant::now();
    let report = match &options.mode {
        Mode::Bounded => perform(scenes::bounded(&options), options.threads),
        Mode::Replay(seed) => {
            let of = [sequence::scene, sequence::pull, sequence::proxy, sequence::remote];
            perform(of.map(|scene| scene(*seed)).into(), 4)
        }
        Mode::Soak { faults, points, time } => soak(&options, *faults, *points, *time),
    };
    mounts::end();
    print(&report, start.elapsed());
    if report.failures.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Sequences one after the other, on several threads, until there were enough.
fn soak(options: &Options, faults: u64, points: u64, time: Duration) -> Report {
    let start = Instant::now();
    let mut scenes = scenes::bounded(options);
    let outage = scenes::outage("an hour's outage at a snapshot a second", 3_600);
    scenes.extend(Some(outage).filter(|scene| options.wants(&scene.name)));
    let total = Mutex::new(perform(scenes, options.threads));
    let enough = || {
        let total = total.lock().expect("no panic in between");
        let reached = total.injected() >= faults && total.expected() >= points;
        (reached && start.elapsed() >= time) || !total.failures.is_empty()
    };
    std::thread::scope(|scope| {
        for _ in 0..options.threads {
            scope.spawn(|| {
                while !enough() {
                    let seed = fastrand::u64(..);
                    // The sequences of pull are slow: it pulls once a second.
                    let scene = match seed % 8 {
                        0 => sequence::pull(seed),
                        1 | 2 => sequence::proxy(seed),
                        3 => sequence::remote(seed),
                        _ => sequence::scene(seed),
                    };
                    let name = scene.name.clone();
                    let report = run(scene);
                    let mut total = total.lock().expect("no panic in between");
                    total.merge(&name, report);
                    println!("{name}: {} faults, {} points so far", total.injected(), total.expected());
                }
            });
        }
    });
    total.into_inner().expect("no panic in between")
}

/// Performs all scenes, so many at the same time.
fn perform(scenes: Vec<Scene>, threads: usize) -> Report {
    let (waiting, total) = (Mutex::new(VecDeque::from(scenes)), Mutex::new(Report::default()));
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let next = waiting.lock().expect("no panic in between").pop_front();
                    let Some(scene) = next else { return };
                    let (name, start) = (scene.name.clone(), Instant::now());
                    println!("{name} ...");
                    let report = run(scene);
                    let result = if report.failures.is_empty() { "ok" } else { "FAILED" };
                    println!("{name}: {result} ({:.0} s)", start.elapsed().as_secs_f64());
                    total.lock().expect("no panic in between").merge(&name, report);
                }
            });
        }
    });
    total.into_inner().expect("no panic in between")
}

fn run(scene: Scene) -> Report {
    catch_unwind(AssertUnwindSafe(scene.run)).unwrap_or_else(|panic| {
        let words = panic.downcast_ref::<String>().cloned();
        let words = words.or_else(|| panic.downcast_ref::<&str>().map(|words| (*words).to_owned()));
        let mut report = Report::default();
        report.fail(format!("the harness: {}", words.unwrap_or_default()));
        report
    })
}

fn print(report: &Report, elapsed: Duration) {
    println!("\n{}", report.table());
    report.notes.iter().for_each(|note| println!("{note}"));
    println!("{:.0} s", elapsed.as_secs_f64());
    for failure in &report.failures {
        println!("\nFAILED {failure}");
    }
}
