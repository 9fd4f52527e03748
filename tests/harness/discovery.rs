//! What discovery is tested with: web servers on addresses of their own, HAProxy in front of them, people who use it
//! without a pause, and the list in a file.

use super::newer::{Haproxy, newer_haproxy, own_haproxy};
use super::reload::reload_haproxy;
use super::{Daemon, SOON, debian, free_port, wait_until, write};
use std::collections::BTreeMap;
use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;
use tempfile::TempDir;

/// A web server on 127.0.9.N that answers with its address. Its checks are `GET /health`.
pub struct Web {
    pub address: Ipv4Addr,
    shared: Arc<WebShared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct WebShared {
    stopped: AtomicBool,
    sick: AtomicBool,
    requests: AtomicU64,
    checks: AtomicU64,
}

impl Web {
    /// Number N on a port.
    #[track_caller]
    pub fn start(number: u8, port: u16) -> Self {
        let address = Ipv4Addr::new(127, 0, 9, number);
        let listener = TcpListener::bind((address, port)).expect("a loopback address");
        listener.set_nonblocking(true).expect("a listener that does not block");
        let shared = Arc::new(WebShared::default());
        let for_thread = Arc::clone(&shared);
        let thread = std::thread::spawn(move || {
            let mut connections = Vec::new();
            while !for_thread.stopped.load(Ordering::SeqCst) {
                match listener.accept() {
                    Ok((stream, _)) => {
                        let shared = Arc::clone(&for_thread);
                        // A thread that has ended keeps its stack until somebody asks.
                        connections.retain(|connection: &JoinHandle<()>| !connection.is_finished());
                        connections.push(std::thread::spawn(move || drop(shared.serve(stream, address))));
                    }
                    Err(_) => std::thread::sleep(Duration::from_millis(1)),
                }
            }
            drop(listener);
            for connection in connections {
                connection.join().expect("a connection of the web server");
            }
        });
        Self { address, shared, thread: Some(thread) }
    }

    /// Whether its checks fail.
    pub fn set_sick(&self, sick: bool) {
        self.shared.sick.store(sick, Ordering::SeqCst);
    }

    /// Requests that were no checks.
    pub fn requests(&self) -> u64 {
        self.shared.requests.load(Ordering::SeqCst)
    }

    /// Checks.
    pub fn checks(&self) -> u64 {
        self.shared.checks.load(Ordering::SeqCst)
    }
}

impl Drop for Web {
    fn drop(&mut self) {
        self.shared.stopped.store(true, Ordering::SeqCst);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl WebShared {
    fn serve(&self, mut stream: TcpStream, address: Ipv4Addr) -> std::io::Result<()> {
        stream.set_nonblocking(false)?;
        stream.set_read_timeout(Some(Duration::from_millis(20)))?;
        loop {
            let mut head = Vec::new();
            let mut byte = [0];
            while !head.ends_with(b"\r\n\r\n") {
                match stream.read(&mut byte) {
                    Ok(0) => return Ok(()),
                    Ok(_) => head.push(byte[0]),
                    Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                        // Like a server that shuts down in order: idle connections end, requests are answered.
                        if self.stopped.load(Ordering::SeqCst) && head.is_empty() {
                            return Ok(());
                        }
                    }
                    Err(error) => return Err(error),
                }
            }
            let head = String::from_utf8_lossy(&head).into_owned();
            let mut body = address.to_string();
            let mut status = "200 OK";
            if head.starts_with("GET /health") {
                self.checks.fetch_add(1, Ordering::SeqCst);
                if self.sick.load(Ordering::SeqCst) {
                    status = "503 Sick";
                }
            } else {
                self.requests.fetch_add(1, Ordering::SeqCst);
                if head.starts_with("GET /slow") {
                    std::thread::sleep(Duration::from_millis(1500));
                    body.push_str(" slowly");
                }
            }
            let length = body.len();
            // In one piece: parts of a line would wait for each other's acknowledgement.
            let answer = format!("HTTP/1.1 {status}\r\nContent-Length: {length}\r\n\r\n{body}");
            stream.write_all(answer.as_bytes())?;
        }
    }
}

/// A HAProxy in front of backends.
pub struct Balancer {
    program: PathBuf,
    directory: TempDir,
    file: PathBuf,
    daemon: Option<Daemon>,
    /// Of its frontends, in their order.
    pub ports: Vec<u16>,
    /// Of a second stats socket.
    pub stats_port: u16,
}

impl Balancer {
    /// With these backends, one frontend for each; `${STATE}` in `global` is a file for the state of servers.
    #[track_caller]
    pub fn start(backends: &[(&str, &str)], level: &str) -> Self {
        let mut balancer = Self::prepare(backends, level);
        balancer.launch();
        balancer
    }

    /// The same with a version of HAProxy.
    #[track_caller]
    pub fn start_as(haproxy: &Haproxy, backends: &[(&str, &str)]) -> Self {
        let mut balancer = Self::prepare(backends, "admin");
        balancer.program.clone_from(&haproxy.program);
        balancer.launch();
        balancer
    }

    /// The same, not running yet.
    #[track_caller]
    pub fn prepare(backends: &[(&str, &str)], level: &str) -> Self {
        let directory = tempfile::tempdir().expect("a directory for HAProxy");
        let path = directory.path().display().to_string();
        let stats_port = free_port();
        let mut text = format!(
            "global\n\tnbthread 1\n\tstats socket {path}/admin.sock mode 600 level {level} expose-fd listeners\n\
             \tstats socket ipv4@127.0.0.1:{stats_port} level {level}\n\tserver-state-file {path}/state\n\
             defaults\n\tmode http\n\ttimeout connect 2s\n\ttimeout client 10s\n\ttimeout server 10s\n\ttimeout check 2s\n\tretries 3\n\
             \toption redispatch\n\toption httpchk GET /health\n\tdefault-server inter 100ms rise 2 fall 2\n\
             \tload-server-state-from-file global\n"
        );
        let mut ports = Vec::new();
        for (name, lines) in backends {
            let port = free_port();
            ports.push(port);
            text.push_str(&format!("frontend f_{name}\n\tbind 127.0.0.1:{port}\n\tdefault_backend {name}\n"));
            let lines = lines.replace('\n', "\n\t");
            text.push_str(&format!("backend {name}\n\t{lines}\n"));
        }
        let file = write(directory.path(), "haproxy.cfg", text);
        Self { program: program(), directory, file, daemon: None, ports, stats_port }
    }

    /// Starts it.
    #[track_caller]
    pub fn launch(&mut self) {
        let mut command = Command::new(&self.program);
        command.arg("-W").arg("-db").arg("-f").arg(&self.file);
        let mut daemon = Daemon::spawn(command);
        wait_until(SOON, "HAProxy answers", || {
            assert!(daemon.is_running(), "HAProxy ended:\n{}", daemon.output());
            self.try_ask("show info").is_some()
        });
        self.daemon = Some(daemon);
    }

    /// The stats socket.
    pub fn socket(&self) -> PathBuf {
        self.directory.path().join("admin.sock")
    }

    /// The file with the state of servers.
    pub fn state_file(&self) -> PathBuf {
        self.directory.path().join("state")
    }

    /// What it answers to a command.
    #[track_caller]
    pub fn ask(&self, command: &str) -> String {
        self.try_ask(command).unwrap_or_else(|| panic!("no answer to {command}"))
    }

    fn try_ask(&self, command: &str) -> Option<String> {
        super::haproxy::ask(&self.socket(), command)
    }

    /// The workers, also those that only finish what they began.
    #[track_caller]
    pub fn workers(&self) -> Vec<nix::unistd::Pid> {
        self.daemon.as_ref().expect("HAProxy runs").children()
    }

    /// Changes the configuration, which the next reload reads.
    #[track_caller]
    pub fn edit(&self, from: &str, to: &str) {
        let text = std::fs::read_to_string(&self.file).expect("the configuration of HAProxy");
        assert!(text.contains(from), "{from} is not in {text}");
        std::fs::write(&self.file, text.replace(from, to)).expect("the configuration is written");
    }

    /// A new worker takes over.
    #[track_caller]
    pub fn reload(&self) {
        let old = self.worker();
        let daemon = self.daemon.as_ref().expect("HAProxy runs");
        let replaced = || self.worker().is_some_and(|worker| Some(worker) != old);
        reload_haproxy(daemon, replaced);
    }

    /// `Pid` of the worker that answers.
    pub fn worker(&self) -> Option<i32> {
        let info = self.try_ask("show info")?;
        info.lines().find_map(|line| line.strip_prefix("Pid: ")?.trim().parse().ok())
    }

    /// Ends it at once.
    pub fn stop(&mut self) {
        self.daemon = None;
    }

    /// Name, address and port, admin state, operational state and weight of each server of a backend.
    pub fn servers(&self, backend: &str) -> BTreeMap<String, Row> {
        let reply = self.try_ask(&format!("show servers state {backend}")).unwrap_or_default();
        let rows = reply.lines().skip(2).filter_map(|line| {
            let cells: Vec<&str> = line.split(' ').collect();
            let number = |at: usize| cells.get(at)?.parse().ok();
            Some((
                (*cells.get(3)?).to_owned(),
                Row {
                    at: format!("{}:{}", cells.get(4)?, cells.get(18)?),
                    up: number(5)? != 0,
                    admin: number(6)?,
                    weight: number(7)?,
                },
            ))
        });
        rows.collect()
    }

    /// The servers of a backend that are ready and up, by the last number of their addresses.
    pub fn serving(&self, backend: &str) -> Vec<u8> {
        let servers = self.servers(backend);
        let mut all: Vec<u8> =
            servers.values().filter(|row| row.is_ready() && row.up).filter_map(Row::number).collect();
        all.sort_unstable();
        all
    }

    /// Waits until exactly these are ready and up.
    #[track_caller]
    pub fn wait_for_serving(&self, backend: &str, numbers: &[u8]) {
        let found = super::poll(SOON, || (self.serving(backend) == numbers).then_some(()));
        assert!(found.is_some(), "waited in vain for {numbers:?} in {backend}: {:#?}", self.servers(backend));
    }

    /// A column of `show stat` of a server.
    #[track_caller]
    pub fn stat(&self, backend: &str, server: &str, column: &str) -> String {
        let reply = self.ask("show stat");
        let mut lines = reply.lines();
        let header: Vec<&str> = lines.next().expect("a header").trim_start_matches("# ").split(',').collect();
        let at = header.iter().position(|name| *name == column).expect("a column");
        let start = format!("{backend},{server},");
        let row = lines.find(|line| line.starts_with(&start)).expect("a row");
        row.split(',').nth(at).expect("a cell").to_owned()
    }
}

/// The oldest and the newest HAProxy that is there.
#[track_caller]
pub fn oldest_and_newest() -> Vec<Haproxy> {
    std::iter::once(own_haproxy()).chain(newer_haproxy("3.4")).collect()
}

/// HAProxy: Debian's, or that of `HAPROXYSTATS_HAPROXY`, for a look at how another version does.
fn program() -> PathBuf {
    std::env::var_os("HAPROXYSTATS_HAPROXY").map_or_else(|| debian("haproxy"), PathBuf::from)
}

/// A server in HAProxy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// Address and port.
    pub at: String,
    /// Whether it is not down.
    pub up: bool,
    /// `srv_admin_state`
    pub admin: u32,
    /// `srv_uweight`
    pub weight: u32,
}

impl Row {
    /// Neither in maintenance nor draining.
    pub fn is_ready(&self) -> bool {
        self.admin & (1 | 8) == 0
    }

    /// In maintenance.
    pub fn is_maint(&self) -> bool {
        self.admin & 1 != 0
    }

    /// Draining.
    pub fn is_drain(&self) -> bool {
        self.admin & 8 != 0
    }

    fn number(&self) -> Option<u8> {
        self.at.split(':').next()?.rsplit('.').next()?.parse().ok()
    }
}

/// People who ask for `/` without a pause, each on a new connection.
pub struct Traffic {
    shared: Arc<TrafficShared>,
    threads: Vec<JoinHandle<()>>,
}

#[derive(Default)]
struct TrafficShared {
    stopped: AtomicBool,
    good: AtomicU64,
    answers: Mutex<BTreeMap<String, u64>>,
    failures: Mutex<Vec<String>>,
}

impl Traffic {
    /// Through this port.
    pub fn start(port: u16) -> Self {
        let shared = Arc::new(TrafficShared::default());
        let threads = (0..3)
            .map(|_| {
                let shared = Arc::clone(&shared);
                std::thread::spawn(move || {
                    while !shared.stopped.load(Ordering::SeqCst) {
                        match get(port, "/") {
                            Ok(body) => {
                                shared.good.fetch_add(1, Ordering::SeqCst);
                                *shared.answers.lock().unwrap().entry(body).or_default() += 1;
                            }
                            Err(error) => shared.failures.lock().unwrap().push(error),
                        }
                        std::thread::sleep(Duration::from_millis(4));
                    }
                })
            })
            .collect();
        Self { shared, threads }
    }

    /// Requests that were answered well.
    pub fn good(&self) -> u64 {
        self.shared.good.load(Ordering::SeqCst)
    }

    /// Waits for some more good answers: what was changed before has been used.
    #[track_caller]
    pub fn more(&self) {
        let before = self.good();
        wait_until(SOON, "answers", || self.good() > before + 60);
    }

    /// How often each server answered.
    pub fn answers(&self) -> BTreeMap<String, u64> {
        self.shared.answers.lock().unwrap().clone()
    }

    /// What went wrong so far.
    pub fn failures(&self) -> Vec<String> {
        self.shared.failures.lock().unwrap().clone()
    }

    /// The test fails when a request has failed.
    #[track_caller]
    pub fn assert_clean(&self) {
        let failures = self.failures();
        let first: Vec<_> = failures.iter().take(3).collect();
        assert!(failures.is_empty(), "{} of {} requests failed: {first:?}", failures.len(), self.good());
        assert!(self.good() > 0);
    }
}

impl Drop for Traffic {
    fn drop(&mut self) {
        self.shared.stopped.store(true, Ordering::SeqCst);
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

/// The body of an answer with status 200.
pub fn get(port: u16, path: &str) -> Result<String, String> {
    let request = || -> std::io::Result<String> {
        let mut stream = TcpStream::connect(("127.0.0.1", port))?;
        stream.set_read_timeout(Some(Duration::from_secs(15)))?;
        let request = format!("GET {path} HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes())?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        Ok(answer)
    };
    let answer = request().map_err(|error| error.to_string())?;
    match answer.split_once("\r\n\r\n") {
        Some((head, body)) if head.starts_with("HTTP/1.1 200") => Ok(body.to_owned()),
        _ => Err(answer.lines().next().unwrap_or("an empty answer").to_owned()),
    }
}

/// A slot of the list: number of the web server, group, and whether it leaves.
#[derive(Debug, Clone, Copy)]
pub struct Slot(pub u8, pub &'static str, pub bool);

/// A list as the store `file` has it, with a ramp that is over.
pub fn list(directory: &Path, version: u64, slots: &[Option<Slot>]) {
    ramped(directory, version, slots, 0, "{\"min\":10,\"max\":10,\"step\":1,\"interval_ms\":1000}");
}

/// The same, with a ramp that began at this time.
pub fn ramped(directory: &Path, version: u64, slots: &[Option<Slot>], since: u64, ramp: &str) {
    let slots: Vec<String> = slots
        .iter()
        .zip(1..)
        .map(|(slot, id)| match slot {
            None => format!("{{\"id\":{id},\"server\":null}}"),
            Some(Slot(number, group, leaves)) => {
                let state = if *leaves { "{\"draining\":{\"since\":0}}" } else { "\"active\"" };
                format!(
                    "{{\"id\":{id},\"server\":{{\"instance\":\"i-{number}\",\"name\":\"web-{number}\",\
                     \"addresses\":[\"127.0.9.{number}\"],\"port\":null,\"group\":\"{group}\",\"zone\":\"\",\
                     \"hint\":100,\"since\":{since},\"state\":{state},\"weight\":10,\"doubt\":null}}}}"
                )
            }
        })
        .collect();
    let text = format!(
        "{{\"format\":1,\"version\":{version},\"written\":0,\"by\":\"test\",\"ramp\":{ramp},\"slots\":[{}],\
         \"unplaced\":[],\"held\":[],\"lost\":[],\"reasons\":[]}}",
        slots.join(",")
    );
    let temporary = write(directory, "list.new", text);
    std::fs::rename(temporary, directory.join("list.json")).expect("the list is replaced");
}
