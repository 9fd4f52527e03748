//! Rotel, a collector for OpenTelemetry, which `scripts/python-tools` installs: it reads what it gets with structs made from the
//! definitions of OTLP, and hands on what it has read.

use super::receiver::Receiver;
use super::{Daemon, SOON, free_port, missing, root, wait_until};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::Command;
use tempfile::TempDir;

/// A collector that runs.
pub struct Collector {
    port: u16,
    _daemon: Daemon,
    _directory: TempDir,
}

impl Collector {
    /// Starts one that hands on to this receiver, in any order; `None`, with a word about it, where it is not installed.
    #[track_caller]
    pub fn start(next: &Receiver) -> Option<Self> {
        let Some(program) = program() else {
            missing("rotel (Python)");
            return None;
        };
        next.behave(|behaviour| behaviour.any_order = true);
        let directory = tempfile::tempdir().expect("a directory can be made");
        let (port, unused) = (free_port(), free_port());
        let mut command = Command::new(program);
        command
            .args(["start", "--exporter", "otlp", "--otlp-exporter-protocol", "http", "--batch-timeout", "10ms"])
            .args(["--otlp-http-endpoint", &format!("127.0.0.1:{port}")])
            .args(["--otlp-grpc-endpoint", &format!("127.0.0.1:{unused}")])
            .args(["--otlp-exporter-endpoint", &next.address()])
            .arg("--pid-file")
            .arg(directory.path().join("pid"))
            .arg("--log-file")
            .arg(directory.path().join("log"));
        let daemon = Daemon::spawn(command);
        wait_until(SOON, "a collector that listens", || TcpStream::connect(("127.0.0.1", port)).is_ok());
        Some(Self { port, _daemon: daemon, _directory: directory })
    }

    /// The section of the configuration for it.
    pub fn section(&self) -> String {
        format!("[otlp]\nurl = http://127.0.0.1:{}/v1/metrics\ndelay = 0.1\n", self.port)
    }
}

/// Where the program lies in the environment of `scripts/python-tools`.
fn program() -> Option<PathBuf> {
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| "target".into(), PathBuf::from);
    let versions = std::fs::read_dir(root().join(target).join("python-tools/lib")).ok()?;
    let mut programs = versions.flatten().map(|version| version.path().join("site-packages/rotel/rotel-agent"));
    programs.find(|program| program.exists())
}
