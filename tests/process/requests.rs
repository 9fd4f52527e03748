//! What requests of remote write and OTLP say, and what the page shows, as files:
//! `HAPROXYSTATS_ACCEPT=1 cargo test --test process requests` writes them again. Whether receivers understand the bytes is
//! tested with real ones.

use crate::harness::made::is_made;
use haproxystats::batch::Output;
use haproxystats::config::{Program, load};
use haproxystats::process::pipeline::Pipeline;
use haproxystats::prometheus::compression::Compression;
use haproxystats::prometheus::request::{Protocol, text};
use haproxystats::snapshot::Epoch;
use std::fs;
use std::path::Path;

const EPOCH: u64 = 1_457_298_067;

/// Two processes of a HAProxy; and a server, a backend and a frontend that were in the snapshot before.
fn snapshot(place: &Path) {
    let sample =
        |name: &str| fs::read_to_string(crate::harness::root().join("tests/data/samples/v2.8.0").join(name)).unwrap();
    for (pid, process) in ["one", "two"].into_iter().enumerate() {
        let own = |line: &str| match line.strip_prefix("Pid: ") {
            Some(_) => format!("Pid: {pid}\n"),
            None => format!("{line}\n"),
        };
        let info: String = sample("show_info").lines().map(own).collect();
        fs::write(place.join(format!("{process}_info")), info).unwrap();
        fs::write(place.join(format!("{process}_stat")), sample("show_stat")).unwrap();
    }
    let stat = sample("show_stat");
    let mut rows = stat.lines();
    let header = rows.next().unwrap();
    let row = |name: &str| stat.lines().find(|row| row.contains(&format!(",{name},"))).unwrap().to_owned();
    let ended: Vec<String> = ["FRONTEND", "BACKEND"].map(row).into();
    let ended: String = ended.iter().map(|row| format!("gone,{}\n", row.split_once(',').unwrap().1)).collect();
    fs::write(place.join("one_endedstat"), format!("{header}\n{ended}\n")).unwrap();
}

/// The requests of a snapshot, or the page, in words; without times that the processing took.
fn told(options: &str, output: Output) -> String {
    let place = tempfile::tempdir().unwrap();
    snapshot(place.path());
    let text_of = |config: &str| {
        let config = load::from_text(Program::Process, config, "test.conf").unwrap().config;
        let mut pipeline = Pipeline::new(&config, "lb-01.example.com");
        pipeline.run(place.path(), Epoch(EPOCH), &mut Vec::new()).unwrap();
        let batch = pipeline.batch(output).expect("what is configured is made");
        let words = |message: haproxystats::batch::messages::Message<'_>| match output {
            Output::Otlp => text(Protocol::Otlp, &Compression::Gzip.decompress(message.payload).unwrap()),
            Output::RemoteWrite => {
                text(Protocol::RemoteWrite, &Compression::Snappy.decompress(message.payload).unwrap())
            }
            _ => String::from_utf8([message.key, message.payload].concat()).unwrap(),
        };
        let told: String = batch.messages.iter().map(words).collect();
        assert_eq!(told.lines().filter(|line| !line.starts_with('#')).count(), batch.lines);
        told.lines().filter(|line| !is_time(line)).map(|line| format!("{line}\n")).collect::<String>()
    };
    text_of(&format!(
        "[process]\naggr-server-metrics = yes\nper-process-metrics = yes\nstatus-metrics = yes\n\
         [graphite]\nenabled = false\n[local-store]\n{options}"
    ))
}

#[test]
fn remote_write() {
    let options =
        "[remote-write]\nurl = http://127.0.0.1/api/v1/write\nlabels = env=prod\nmax-samples-per-request = 100\n";
    let told = told(options, Output::RemoteWrite);
    is_made("tests/data/golden/remote-write.txt", &told);
    // What has ended has, and nothing else.
    let stale: Vec<&str> = told.lines().filter(|line| line.ends_with(" stale")).collect();
    assert!(stale.len() > 60 && stale.iter().all(|line| line.contains("proxy=\"gone\"")), "{stale:?}");
    assert_eq!(told.lines().filter(|line| line.contains("proxy=\"gone\"")).count(), stale.len());
}

#[test]
fn otlp() {
    let options = "[otlp]\nurl = http://127.0.0.1/v1/metrics\nresource-attributes = env=prod\nnames = haproxystats\n";
    is_made("tests/data/golden/otlp.txt", &told(options, Output::Otlp));
}

#[test]
fn page() {
    let told = told("[exporter]\nlisten = 127.0.0.1:9101\nstatistics = true\n", Output::Page);
    is_made("tests/data/golden/page.txt", &told);
    assert!(!told.contains("gone"));
}

/// Whether a line is a time that the processing took.
fn is_time(line: &str) -> bool {
    line.contains("wall_clock_time") || line.contains("WallClockTime")
}
