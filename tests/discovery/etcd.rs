//! etcd, as Debian has it.

use crate::harness::{SOON, free_port, peer, wait_until};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use tempfile::TempDir;

pub struct Etcd {
    child: Child,
    _directory: TempDir,
    pub port: u16,
}

impl Etcd {
    /// Starts one with an empty store; `None` where it is not installed.
    #[track_caller]
    pub fn start() -> Option<Self> {
        Self::start_with("http", &[])
    }

    /// The same, with the scheme of its URL and further options.
    #[track_caller]
    pub fn start_with(scheme: &str, options: &[String]) -> Option<Self> {
        let program = peer("etcd")?;
        let directory = tempfile::tempdir().unwrap();
        let (port, peers) = (free_port(), free_port());
        let (client_url, peer_url) = (format!("{scheme}://127.0.0.1:{port}"), format!("http://127.0.0.1:{peers}"));
        let child = Command::new(program)
            .arg("--data-dir")
            .arg(directory.path().join("data"))
            .args(["--name", "e1", "--initial-cluster", &format!("e1={peer_url}"), "--log-level", "error"])
            .args(["--listen-client-urls", &client_url, "--advertise-client-urls", &client_url])
            .args(["--listen-peer-urls", &peer_url, "--initial-advertise-peer-urls", &peer_url])
            .args(options)
            .env("ETCD_UNSUPPORTED_ARCH", std::env::consts::ARCH)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let etcd = Self { child, _directory: directory, port };
        wait_until(SOON, "etcd listens", || TcpStream::connect(("127.0.0.1", port)).is_ok());
        Some(etcd)
    }

    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }
}

impl Drop for Etcd {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
