//! A real Patroni cluster of two nodes on etcd, and a client of PostgreSQL that knows as much of its protocol as the
//! tests need. PostgreSQL refuses to run as root: then everything runs as the user `postgres`. `HAPROXYSTATS_PATRONI` names
//! another Patroni than Debian's.

use super::prometheus::exchange;
use super::{Daemon, SOON, children, debian, free_port, listens, wait_for, wait_until, write};
use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, User, chown, geteuid};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// A start of the whole cluster takes 12 to 17 seconds on an idle machine.
const START: Duration = Duration::from_secs(180);

/// The cluster. Everything ends when this value goes away.
pub struct Cluster {
    nodes: [Node; 2],
    etcd: Option<Daemon>,
    etcd_ports: [u16; 2],
    directory: TempDir,
}

/// One node.
pub struct Node {
    /// `n1` or `n2`.
    pub name: &'static str,
    /// Port of Patroni's REST API.
    pub api: u16,
    /// Port of PostgreSQL.
    pub postgres: u16,
    patroni: Option<Daemon>,
    directory: PathBuf,
}

/// The user to run as, when this is root.
fn user() -> Option<User> {
    geteuid().is_root().then(|| User::from_name("postgres").expect("users").expect("a user postgres"))
}

/// A program that does not run as root, and dies with the thread that calls this.
fn command(program: &str) -> Command {
    let named = std::env::var_os("HAPROXYSTATS_PATRONI").filter(|_| program == "patroni");
    let program = named.map_or_else(|| debian(program), PathBuf::from);
    let mut command = match user() {
        None => Command::new(program),
        Some(_) => {
            let mut command = Command::new(debian("setpriv"));
            command
                .args(["--reuid=postgres", "--regid=postgres", "--init-groups", "--pdeathsig=KILL", "--"])
                .arg(program);
            command
        }
    };
    command.env("LC_ALL", "C.UTF-8").env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin").current_dir("/");
    command
}

impl Cluster {
    /// Starts etcd and both nodes, and waits until one leads and the other one follows.
    #[track_caller]
    pub fn start() -> Self {
        let directory = tempfile::tempdir().expect("a directory for the cluster");
        let etcd_ports = [free_port(), free_port()];
        let own = |path: &Path| {
            if let Some(user) = user() {
                chown(path, Some(user.uid), Some(user.gid)).expect("root may give files away");
            }
        };
        own(directory.path());
        let nodes = ["n1", "n2"].map(|name| {
            let path = directory.path().join(name);
            std::fs::create_dir(&path).expect("a directory for the node");
            own(&path);
            let node = Node { name, api: free_port(), postgres: free_port(), patroni: None, directory: path };
            own(&write(&node.directory, "patroni.yml", node.configuration(etcd_ports[0])));
            node
        });
        let mut cluster = Self { nodes, etcd: None, etcd_ports, directory };
        cluster.start_etcd();
        for node in &mut cluster.nodes {
            node.start();
        }
        cluster.settle(START);
        cluster
    }

    /// Starts etcd with what it knew before.
    #[track_caller]
    pub fn start_etcd(&mut self) {
        let [clients, peers] = self.etcd_ports.map(|port| format!("http://127.0.0.1:{port}"));
        let mut command = command("etcd");
        command.args(["--name", "e1", "--data-dir"]).arg(self.directory.path().join("etcd"));
        command.args(["--listen-client-urls", &clients, "--advertise-client-urls", &clients]);
        command.args(["--listen-peer-urls", &peers, "--initial-advertise-peer-urls", &peers]);
        command.args(["--initial-cluster", &format!("e1={peers}")]);
        self.etcd = Some(Daemon::spawn(command));
        wait_until(SOON, "etcd listens", || listens(self.etcd_ports[0]));
    }

    /// Kills etcd.
    pub fn kill_etcd(&mut self) {
        self.etcd = None;
    }

    /// Both nodes.
    pub fn nodes(&self) -> &[Node; 2] {
        &self.nodes
    }

    /// A node by its name.
    pub fn node(&mut self, name: &str) -> &mut Node {
        self.nodes.iter_mut().find(|node| node.name == name).expect("a node of this name")
    }

    /// Names of the leader and the other node, once there is one of each.
    #[track_caller]
    pub fn settle(&self, limit: Duration) -> (&'static str, &'static str) {
        let [a, b] = &self.nodes;
        wait_for(limit, "a leader and a replica", || match (a.is("/primary"), b.is("/primary")) {
            (true, false) if b.is("/replica") => Some((a.name, b.name)),
            (false, true) if a.is("/replica") => Some((b.name, a.name)),
            _ => None,
        })
    }

    /// Hands the lead over, and waits until it is done.
    #[track_caller]
    pub fn switch_over(&self) {
        let (leader, other) = self.settle(SOON);
        let body = format!(r#"{{"leader":"{leader}","candidate":"{other}"}}"#);
        let node = self.nodes.iter().find(|node| node.name == leader).expect("the leader");
        let reply = node.ask("POST", "/switchover", &body).expect("the leader answers");
        assert!(reply.contains(" 200 ") || reply.contains(" 202 "), "{reply}");
        wait_until(SOON, "the lead to go over", || self.settle(SOON) == (other, leader));
    }

    /// Patroni's `pause`.
    #[track_caller]
    pub fn pause(&self, paused: bool) {
        let body = format!(r#"{{"pause":{paused}}}"#);
        let reply = self.nodes.iter().find_map(|node| node.ask("PATCH", "/config", &body));
        assert!(reply.as_ref().is_some_and(|reply| reply.contains(" 200 ")), "{reply:?}");
    }
}

impl Node {
    fn configuration(&self, etcd: u16) -> String {
        let Self { name, api, postgres, directory, .. } = self;
        let path = directory.display();
        format!(
            "scope: demo\nname: {name}\nrestapi: {{listen: '127.0.0.1:{api}', connect_address: '127.0.0.1:{api}'}}\n\
             etcd3: {{host: '127.0.0.1:{etcd}'}}\n\
             bootstrap:\n  dcs: {{ttl: 20, loop_wait: 2, retry_timeout: 5, postgresql: {{use_pg_rewind: true}}}}\n  \
             initdb: [{{encoding: UTF8}}, data-checksums]\n  \
             pg_hba: [local all all trust, host all all 127.0.0.1/32 trust, host replication all 127.0.0.1/32 trust]\n\
             postgresql:\n  listen: 127.0.0.1:{postgres}\n  connect_address: 127.0.0.1:{postgres}\n  \
             data_dir: {path}/data\n  bin_dir: {bin}\n  pgpass: {path}/pgpass\n  authentication: \
             {{superuser: {{username: postgres, password: x}}, replication: {{username: repl, password: x}}, \
             rewind: {{username: rew, password: x}}}}\n  parameters: {{unix_socket_directories: {path}, \
             shared_buffers: 16MB, max_connections: 40, fsync: 'off', wal_keep_size: 64MB}}\n",
            bin = postgresql().display(),
        )
    }

    /// The same node for somebody else who talks to it, and does not run it.
    pub fn remote(&self) -> Remote {
        Remote { name: self.name, api: self.api, postgres: self.postgres }
    }

    /// Starts Patroni, which starts PostgreSQL.
    #[track_caller]
    pub fn start(&mut self) {
        let mut command = command("patroni");
        command.arg(self.directory.join("patroni.yml"));
        self.patroni = Some(Daemon::spawn(command));
    }

    /// Kills Patroni; PostgreSQL stays.
    pub fn kill_patroni(&mut self) {
        self.patroni = None;
    }

    /// Sends a signal to Patroni.
    pub fn signal_patroni(&self, signal: Signal) {
        if let Some(patroni) = &self.patroni {
            // Beneath setpriv is Patroni itself: it executes what it was told to.
            patroni.signal(signal);
        }
    }

    /// Kills PostgreSQL's first process; the others follow it.
    pub fn kill_postgres(&self, signal: Signal) {
        if let Some(pid) = self.postmaster() {
            let _ = kill(pid, signal);
        }
    }

    fn postmaster(&self) -> Option<Pid> {
        let text = std::fs::read_to_string(self.directory.join("data/postmaster.pid")).ok()?;
        text.lines().next().and_then(|line| line.trim().parse().ok()).map(Pid::from_raw)
    }

    /// Stops the process that replays what a replica receives, until the value is dropped. (A paused replay would be
    /// resumed by Patroni.)
    #[track_caller]
    pub fn freeze_replay(&self) -> Frozen {
        let pid = wait_for(SOON, "the process that replays", || {
            let is_startup = |pid: &Pid| {
                let line = std::fs::read_to_string(format!("/proc/{pid}/cmdline"));
                line.is_ok_and(|line| line.contains("startup"))
            };
            children(self.postmaster()?).into_iter().find(is_startup)
        });
        kill(pid, Signal::SIGSTOP).expect("it can be stopped");
        Frozen(pid)
    }

    /// Whether an endpoint says 200.
    pub fn is(&self, path: &str) -> bool {
        self.ask("GET", path, "").is_some_and(|reply| reply.lines().next().is_some_and(|line| line.contains(" 200 ")))
    }

    /// A whole reply of the API.
    pub fn ask(&self, method: &str, path: &str, body: &str) -> Option<String> {
        self.remote().ask(method, path, body)
    }

    /// What Patroni has printed.
    pub fn log(&self) -> String {
        self.patroni.as_ref().map(Daemon::output).unwrap_or_default()
    }
}

/// A node as others see it.
pub struct Remote {
    /// `n1` or `n2`.
    pub name: &'static str,
    /// Port of Patroni's REST API.
    pub api: u16,
    /// Port of PostgreSQL.
    pub postgres: u16,
}

impl Remote {
    /// A whole reply of the API.
    pub fn ask(&self, method: &str, path: &str, body: &str) -> Option<String> {
        let head = "Content-Type: application/json\r\nConnection: close";
        let length = body.len();
        let request = format!("{method} {path} HTTP/1.0\r\n{head}\r\nContent-Length: {length}\r\n\r\n{body}");
        exchange(self.api, &request).filter(|reply| !reply.is_empty())
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        // Patroni first, or it starts PostgreSQL again, which lives in a session of its own.
        self.patroni = None;
        self.kill_postgres(Signal::SIGQUIT);
        let end = Instant::now() + Duration::from_secs(5);
        while listens(self.postgres) && Instant::now() < end {
            std::thread::sleep(Duration::from_millis(20));
        }
        self.kill_postgres(Signal::SIGKILL);
    }
}

/// Where Debian has the programs of PostgreSQL.
fn postgresql() -> PathBuf {
    let versions = std::fs::read_dir("/usr/lib/postgresql").expect("PostgreSQL is installed");
    let mut found: Vec<PathBuf> = versions.flatten().map(|version| version.path().join("bin")).collect();
    found.retain(|bin| bin.join("initdb").exists());
    found.sort();
    found.pop().expect("PostgreSQL is installed")
}

/// A session with PostgreSQL.
pub struct Session(TcpStream);

/// Why there is no result.
#[derive(Debug)]
pub enum SqlError {
    /// No connection, or it broke.
    Connection,
    /// PostgreSQL says so: its code (SQLSTATE).
    Refused(String),
}

impl From<std::io::Error> for SqlError {
    fn from(_: std::io::Error) -> Self {
        Self::Connection
    }
}

impl Session {
    /// Connects as the superuser. Nothing takes longer than two seconds.
    pub fn open(port: u16) -> Result<Self, SqlError> {
        let limit = Duration::from_secs(2);
        let stream = TcpStream::connect_timeout(&SocketAddr::from(([127, 0, 0, 1], port)), limit)?;
        stream.set_read_timeout(Some(limit))?;
        stream.set_write_timeout(Some(limit))?;
        let words = b"user\0postgres\0database\0postgres\0\0";
        let length = u32::try_from(words.len() + 8).expect("short");
        let mut session = Self(stream);
        session.0.write_all(&[&length.to_be_bytes()[..], &196_608u32.to_be_bytes(), words].concat())?;
        session.result()?;
        Ok(session)
    }

    /// The columns of the last row of a result.
    pub fn query(&mut self, sql: &str) -> Result<Vec<String>, SqlError> {
        let length = u32::try_from(sql.len() + 5).expect("short");
        self.0.write_all(&[b"Q", &length.to_be_bytes()[..], sql.as_bytes(), b"\0"].concat())?;
        self.result()
    }

    /// Reads up to the message that says that the server is ready.
    fn result(&mut self) -> Result<Vec<String>, SqlError> {
        let mut row = Vec::new();
        let mut refused = None;
        loop {
            let mut head = [0; 5];
            self.0.read_exact(&mut head)?;
            let [kind, length @ ..] = head;
            let length = usize::try_from(u32::from_be_bytes(length)).expect("a length").saturating_sub(4);
            let mut body = vec![0; length];
            self.0.read_exact(&mut body)?;
            match kind {
                b'D' => row = columns(&body),
                b'E' => {
                    let fields = body.split(|byte| *byte == 0);
                    let code = fields.filter_map(|field| field.strip_prefix(b"C")).next().unwrap_or_default();
                    let code = String::from_utf8_lossy(code).into_owned();
                    // At the start of a session nothing follows.
                    if code.starts_with("57P") || code.starts_with("53") {
                        return Err(SqlError::Refused(code));
                    }
                    refused = Some(code);
                }
                b'Z' => return refused.map_or(Ok(row), |code| Err(SqlError::Refused(code))),
                _ => {}
            }
        }
    }
}

/// A process that stands still.
pub struct Frozen(Pid);

impl Drop for Frozen {
    fn drop(&mut self) {
        let _ = kill(self.0, Signal::SIGCONT);
    }
}

fn columns(body: &[u8]) -> Vec<String> {
    let mut rest = &body[2..];
    let mut columns = Vec::new();
    while let [a, b, c, d, tail @ ..] = rest {
        let length = usize::try_from(i32::from_be_bytes([*a, *b, *c, *d])).unwrap_or(0);
        columns.push(String::from_utf8_lossy(&tail[..length]).into_owned());
        rest = &tail[length..];
    }
    columns
}
