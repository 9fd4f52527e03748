//! Prometheus and VictoriaMetrics, which `scripts/metric-stores` unpacks and finds, and what they say that they have.

use super::{Daemon, SOON, free_port, leave_out, wait_for, write};
use serde_json::Value as Json;
use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::Command;
use tempfile::TempDir;

/// One of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Prometheus,
    VictoriaMetrics,
}

/// A sample as a store tells of it: name and labels in order, milliseconds, and the bits of its value.
pub type Point = (String, i64, u64);

/// A store that runs.
pub struct Store {
    kind: Kind,
    program: PathBuf,
    port: u16,
    directory: TempDir,
    daemon: Option<Daemon>,
}

impl Store {
    /// Starts one; `None`, with a word about it, where it is not unpacked.
    #[track_caller]
    pub fn start(kind: Kind) -> Option<Self> {
        let name = match kind {
            Kind::Prometheus => "prometheus",
            Kind::VictoriaMetrics => "victoria-metrics",
        };
        let script = super::root().join("scripts/metric-stores");
        let output = super::output(Command::new(script).args(["--find", name])).expect("scripts/metric-stores runs");
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let Some((_, program)) = text.trim().split_once(' ') else {
            leave_out("what needs it", format!("{name} is not there; ./test packages unpacks it"));
            return None;
        };
        let directory = tempfile::tempdir().expect("a directory can be made");
        write(directory.path(), "prometheus.yml", "global:\n  scrape_interval: 1h\n");
        let mut store = Self { kind, program: program.into(), port: free_port(), directory, daemon: None };
        store.run();
        Some(store)
    }

    /// Starts it, again on what it has stored.
    #[track_caller]
    pub fn run(&mut self) {
        let (port, data) = (self.port, self.directory.path().join("data"));
        let mut command = Command::new(&self.program);
        match self.kind {
            Kind::Prometheus => command
                .arg(format!("--config.file={}", self.directory.path().join("prometheus.yml").display()))
                .arg(format!("--storage.tsdb.path={}", data.display()))
                .arg(format!("--web.listen-address=127.0.0.1:{port}"))
                .arg("--web.enable-remote-write-receiver"),
            Kind::VictoriaMetrics => command
                .arg(format!("-storageDataPath={}", data.display()))
                .arg(format!("-httpListenAddr=127.0.0.1:{port}"))
                .args(["-retentionPeriod=100y", "-memory.allowedBytes=100MB"])
                .args(["-search.latencyOffset=0s", "-dedup.minScrapeInterval=1ms"]),
        };
        self.daemon = Some(Daemon::spawn(command));
        let path = match self.kind {
            Kind::Prometheus => "/-/ready",
            Kind::VictoriaMetrics => "/health",
        };
        wait_for(SOON, "a store that is ready", || self.get(path).filter(|reply| reply.starts_with("HTTP/1.1 200")));
    }

    /// Ends it: by a kill where it keeps what it has said that it has. VictoriaMetrics holds that in memory for some seconds.
    #[track_caller]
    pub fn end(&mut self) {
        let daemon = self.daemon.take();
        if let (Kind::VictoriaMetrics, Some(mut daemon)) = (self.kind, daemon) {
            daemon.stop(SOON);
        }
    }

    /// The section of the configuration for remote write.
    pub fn remote_write(&self) -> String {
        format!("[remote-write]\nurl = http://127.0.0.1:{}/api/v1/write\ndelay = 0.1\n", self.port)
    }

    /// The section of the configuration for OTLP.
    pub fn otlp(&self) -> String {
        format!("[otlp]\nurl = http://127.0.0.1:{}/opentelemetry/v1/metrics\ndelay = 0.1\n", self.port)
    }

    /// All samples of these seconds, the first excepted and the last included, whose names begin like this.
    #[track_caller]
    pub fn points(&self, beginning: &str, from: u64, until: u64) -> BTreeSet<Point> {
        if self.kind == Kind::VictoriaMetrics {
            // What came last is visible from then on.
            let _ = self.get("/internal/force_flush");
        }
        let query = format!("%7B__name__%3D~%22{beginning}.%2A%22%7D%5B{}s%5D", until - from);
        let reply = self.get(&format!("/api/v1/query?query={query}&time={until}")).expect("it answers");
        let (head, body) = reply.split_once("\r\n\r\n").expect("a head");
        assert!(head.starts_with("HTTP/1.1 200"), "{reply}");
        let answer: Json = serde_json::from_str(body).unwrap_or_else(|error| panic!("{error}: {body}"));
        answer["data"]["result"].as_array().expect("a list").iter().flat_map(points).collect()
    }

    /// How many series a query in PromQL has with a number in these seconds, asked as a dashboard asks it.
    #[track_caller]
    pub fn series(&self, query: &str, from: u64, until: u64) -> usize {
        if self.kind == Kind::VictoriaMetrics {
            let _ = self.get("/internal/force_flush");
        }
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte);
        let one = |byte: u8| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") };
        let query: String = query.bytes().map(one).collect();
        let path = format!("/api/v1/query_range?query={query}&start={from}&end={until}&step=1");
        let reply = self.get(&path).expect("it answers");
        let (head, body) = reply.split_once("\r\n\r\n").expect("a head");
        assert!(head.starts_with("HTTP/1.1 200"), "{query}: {reply}");
        let answer: Json = serde_json::from_str(body).unwrap_or_else(|error| panic!("{error}: {body}"));
        let number =
            |value: &Json| value[1].as_str().and_then(|text| text.parse::<f64>().ok()).is_some_and(f64::is_finite);
        let has = |series: &&Json| series["values"].as_array().expect("values").iter().any(number);
        answer["data"]["result"].as_array().expect("a list").iter().filter(has).count()
    }

    /// Hands VictoriaMetrics lines of Prometheus' text format.
    #[track_caller]
    pub fn import(&self, lines: &str) {
        let reply = self.ask("POST", "/api/v1/import/prometheus", lines).expect("it answers");
        assert!(reply.starts_with("HTTP/1.1 204"), "{reply}");
    }

    fn get(&self, path: &str) -> Option<String> {
        self.ask("GET", path, "")
    }

    fn ask(&self, method: &str, path: &str, body: &str) -> Option<String> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).ok()?;
        stream.set_read_timeout(Some(SOON)).ok()?;
        // Of version 1.0, so that the body comes in one piece.
        let length = body.len();
        write!(stream, "{method} {path} HTTP/1.0\r\nHost: x\r\nContent-Length: {length}\r\n\r\n{body}").ok()?;
        let mut reply = String::new();
        stream.read_to_string(&mut reply).ok()?;
        Some(reply.replacen("HTTP/1.0", "HTTP/1.1", 1))
    }
}

fn points(series: &Json) -> Vec<Point> {
    let labels = series["metric"].as_object().expect("labels");
    let mut name = labels["__name__"].as_str().expect("a name").to_owned();
    let mut pairs: Vec<String> = labels
        .iter()
        .filter(|(label, _)| *label != "__name__")
        .map(|(label, value)| format!("{label}={:?}", value.as_str().expect("a text")))
        .collect();
    pairs.sort();
    name.push_str(&format!("{{{}}}", pairs.join(",")));
    let values = series["values"].as_array().expect("values").iter();
    let point = |value: &Json| {
        let (time, value) = (value[0].as_f64().expect("a time"), value[1].as_str().expect("a value"));
        let value: f64 = value.parse().expect("a number");
        #[expect(clippy::cast_possible_truncation, reason = "times of tests are whole milliseconds")]
        (name.clone(), (time * 1000.0).round() as i64, value.to_bits())
    };
    values.map(point).collect()
}
