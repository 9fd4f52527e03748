//! The program, in a fresh directory, with its output and its page of metrics.

use crate::harness::{discovery, wait_until};
use haproxystats::discovery::document::{Document, State};
use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// How long anything may take that should happen soon.
pub const SOON: Duration = Duration::from_secs(20);

/// Waits until something is the case.
#[track_caller]
pub fn wait_for(what: &str, is_so: impl FnMut() -> bool) {
    wait_until(SOON, what, is_so);
}

/// A directory with a configuration.
pub struct Site {
    pub directory: TempDir,
    pub environment: Vec<(String, String)>,
}

impl Site {
    /// `text` is the configuration, with `@` for the directory.
    pub fn new(text: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().display().to_string();
        let common = format!("[discovery]\nstate-dir = {path}/state\ninterval = 0.05\nexporter-port = 0\n");
        let text = text.replace('@', &path);
        // Options of [discovery] come first in the text.
        let text = match text.strip_prefix("[discovery]\n") {
            Some(rest) => format!("{common}{rest}"),
            None => format!("{common}{text}"),
        };
        fs::write(directory.path().join("haproxystats.conf"), text).unwrap();
        Self { directory, environment: Vec::new() }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Replaces a file at once.
    pub fn write(&self, name: &str, text: &str) {
        fs::write(self.path("new"), text).unwrap();
        fs::rename(self.path("new"), self.path(name)).unwrap();
    }

    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = discovery();
        command.arg("-f").arg(self.path("haproxystats.conf")).args(arguments);
        for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("AWS_")) {
            command.env_remove(name);
        }
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        command
    }

    pub fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().unwrap()
    }

    /// Standard output of a run that succeeds.
    #[track_caller]
    pub fn good(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success(), "{}\n{text}\n{}", output.status, String::from_utf8_lossy(&output.stderr));
        text
    }

    /// Starts a server; its log goes to a file named `log`.
    pub fn start(&self, log: &str, arguments: &[&str]) -> Running {
        let file = fs::File::create(self.path(log)).unwrap();
        let mut command = self.command(arguments);
        command.stdout(file.try_clone().unwrap()).stderr(file).stdin(Stdio::null());
        Running { child: command.spawn().unwrap(), log: self.path(log) }
    }

    /// The list of the file store.
    pub fn list(&self) -> Option<Document> {
        serde_json::from_slice(&fs::read(self.path("state/list.json")).ok()?).ok()
    }

    /// The instances by slot; `-` for a free one, `~` before a draining one.
    pub fn slots(&self) -> String {
        self.list().map_or_else(String::new, |list| slots(&list))
    }
}

/// The instances of a list by slot.
pub fn slots(list: &Document) -> String {
    let slots = list.slots.iter().map(|slot| match &slot.server {
        None => "-".to_owned(),
        Some(server) if server.state == State::Active => server.instance.clone(),
        Some(server) => format!("~{}", server.instance),
    });
    slots.collect::<Vec<_>>().join(" ")
}

/// A program that runs.
pub struct Running {
    pub child: Child,
    log: PathBuf,
}

impl Running {
    pub fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }

    pub fn signal(&self, signal: nix::sys::signal::Signal) {
        let pid = nix::unistd::Pid::from_raw(i32::try_from(self.child.id()).unwrap());
        nix::sys::signal::kill(pid, signal).unwrap();
    }

    /// Ends it in order.
    #[track_caller]
    pub fn stop(mut self) -> String {
        self.signal(nix::sys::signal::Signal::SIGTERM);
        let started = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                assert!(status.success(), "{status}: {}", self.log());
                return self.log();
            }
            assert!(started.elapsed() < SOON, "it does not end: {}", self.log());
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The page of metrics; empty where there is none.
pub fn page(port: u16) -> String {
    let Ok(mut stream) = TcpStream::connect(("127.0.0.1", port)) else { return String::new() };
    stream.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    let mut text = String::new();
    let _ = stream.write_all(b"GET /metrics HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
    let _ = stream.read_to_string(&mut text);
    text
}
