//! Three HAProxy processes with proxies of every kind, clients that never rest, and an operator who changes something every other
//! second.

use super::peers::{self, Listener};
use crate::harness::haproxy::ask;
use crate::harness::reload::reload_haproxy;
use crate::harness::{Daemon, SOON, debian, poll, write};
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use tempfile::TempDir;

const PROCESSES: usize = 3;

/// What a client asks for, one after the other: the socket, the beginning of the path, a header.
const REQUESTS: [(&str, &str, &str); 24] = [
    ("www", "/", ""),
    ("www", "/cookie/", "Cookie: SRV=c2"),
    ("www", "/cookie/", "Cookie: SRV=c2"),
    ("www", "/sticky/", "X-Key: a"),
    ("www", "/sticky/", "X-Key: b"),
    ("www", "/pinned/", ""),
    ("tcp", "/", ""),
    ("tcp-pinned", "/", ""),
    ("tcp-sticky", "/", ""),
    ("www", "/down/", ""),
    ("www", "/backup/", ""),
    ("www", "/tracked/", ""),
    ("www", "/cached/", ""),
    ("www", "/deny/", ""),
    ("www", "/redirect/", ""),
    ("www", "/return/", ""),
    ("www", "/fail/", ""),
    ("www", "/abort/", ""),
    ("www", "/stats", ""),
    ("api.v1", "/", "Accept-Encoding: gzip"),
    ("both", "/", ""),
    ("limited", "/", ""),
    ("www", "/agent/", ""),
    ("www", "/", "Accept-Encoding: gzip"),
];

/// What the operator does, in turns; most of it undoes what came before. `{web}` is the address of a server.
const CHANGES: [&str; 24] = [
    "set server shop/s.2 state drain",
    "set weight shop/s.1 50%",
    "set server shop/s.2 state ready",
    "RELOAD",
    "set server cookie/c1 state maint",
    "disable frontend limited",
    "set maxconn frontend www 100",
    "add server shop/dyn.1 {web} weight 20",
    "set server shop/dyn.1 state ready",
    "enable frontend limited",
    "set server cookie/c1 state ready",
    "clear counters",
    "disable health shop/s.1",
    "set server shop/s.2 weight 0",
    "enable health shop/s.1",
    "RELOAD",
    "clear counters all",
    "set server shop/s.1 state maint",
    "set server tcp-servers/x1 state drain",
    "shutdown sessions server shop/s.2",
    "set server shop/s.1 state ready",
    "set server shop/dyn.1 state maint",
    "del server shop/dyn.1",
    "set server tcp-servers/x1 state ready",
];

pub(super) struct World {
    directory: TempDir,
    haproxy: PathBuf,
    daemons: Vec<Daemon>,
    web: Listener,
    _agent: Listener,
    clients: Vec<JoinHandle<()>>,
    ended: Arc<AtomicBool>,
    requests: Arc<AtomicU64>,
    turn: usize,
    next: Instant,
}

impl World {
    #[track_caller]
    pub(super) fn start() -> Self {
        let directory = tempfile::tempdir().unwrap();
        for folder in ["stats", "bind"] {
            std::fs::create_dir(directory.path().join(folder)).unwrap();
        }
        let haproxy = std::env::var_os("HAPROXYSTATS_HAPROXY").map_or_else(|| debian("haproxy"), PathBuf::from);
        let (web, agent) = (peers::web_server(), peers::agent());
        let mut daemons = Vec::new();
        for number in 0..PROCESSES {
            let text = configuration(directory.path(), number, web.port(), agent.port());
            let file = write(directory.path(), &format!("lb{number}.cfg"), text);
            let mut command = Command::new(&haproxy);
            command.arg("-W").arg("-f").arg(file);
            let mut daemon = Daemon::spawn(command);
            let up = poll(SOON, || {
                assert!(daemon.is_running(), "HAProxy ended:\n{}", daemon.output());
                ask(&directory.path().join(format!("stats/lb{number}.sock")), "show info")
            });
            assert!(up.is_some(), "HAProxy does not answer:\n{}", daemon.output());
            daemons.push(daemon);
        }
        let (ended, requests) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let clients = (0..2 * PROCESSES).map(|client| {
            let (ended, requests) = (Arc::clone(&ended), Arc::clone(&requests));
            let bind = directory.path().join("bind");
            std::thread::spawn(move || {
                for turn in (client..).take_while(|_| !ended.load(Ordering::SeqCst)) {
                    let (socket, path, header) = REQUESTS[turn % REQUESTS.len()];
                    // Now and then something slow.
                    let time = if turn % 31 == 0 { 300 } else { turn * 7 % 23 };
                    let socket = bind.join(format!("lb{}-{socket}", client % PROCESSES));
                    // Refused connections, cut answers: all of it is traffic.
                    let _ = request(&socket, &format!("{path}{time}"), header, turn % 11 == 0);
                    requests.fetch_add(1, Ordering::SeqCst);
                    std::thread::sleep(Duration::from_millis(5));
                }
            })
        });
        let clients = clients.collect();
        let (turn, next) = (0, Instant::now() + Duration::from_secs(2));
        Self { directory, haproxy, daemons, web, _agent: agent, clients, ended, requests, turn, next }
    }

    pub(super) fn socket_dir(&self) -> PathBuf {
        self.directory.path().join("stats")
    }

    pub(super) fn version(&self) -> String {
        let output = crate::harness::output(Command::new(&self.haproxy).arg("-v")).unwrap();
        String::from_utf8_lossy(&output.stdout).lines().next().unwrap_or_default().to_owned()
    }

    /// Lets the operator do something, when it is time for it.
    pub(super) fn change(&mut self) {
        if Instant::now() < self.next {
            return;
        }
        self.next = Instant::now() + Duration::from_millis(700);
        // Each process has its turn before the next change comes; so they are never alike.
        let (process, change) = (self.turn % PROCESSES, CHANGES[self.turn / PROCESSES % CHANGES.len()]);
        self.turn += 1;
        let socket = self.socket_dir().join(format!("lb{process}.sock"));
        if change == "RELOAD" {
            let pid = |info: &str| info.lines().find(|line| line.starts_with("Pid: ")).map(str::to_owned);
            let before = ask(&socket, "show info").as_deref().and_then(pid);
            let replaced = || {
                let now = ask(&socket, "show info").as_deref().and_then(pid);
                now.is_some() && now != before
            };
            reload_haproxy(&self.daemons[process], replaced);
        } else {
            // What HAProxy refuses changes nothing, which is as good.
            let _ = ask(&socket, &change.replace("{web}", &format!("127.0.0.1:{}", self.web.port())));
        }
    }

    /// Ends HAProxy and sends the clients home; returns how many requests they made.
    pub(super) fn stop(&mut self) -> u64 {
        self.ended.store(true, Ordering::SeqCst);
        // A client may stand in the queue of a frontend that takes nobody.
        self.daemons.clear();
        self.clients.drain(..).for_each(|client| client.join().unwrap());
        self.requests.load(Ordering::SeqCst)
    }
}

fn request(socket: &Path, path: &str, header: &str, impatient: bool) -> std::io::Result<()> {
    let mut stream = UnixStream::connect(socket)?;
    stream.set_read_timeout(Some(Duration::from_secs(5)))?;
    let header = if header.is_empty() { String::new() } else { format!("{header}\r\n") };
    write!(stream, "GET {path} HTTP/1.1\r\nHost: test\r\n{header}Connection: close\r\n\r\n")?;
    if impatient {
        return Ok(());
    }
    stream.read_to_end(&mut Vec::new()).map(drop)
}

fn configuration(directory: &Path, number: usize, web: u16, agent: u16) -> String {
    let bind = |name: &str| format!("bind unix@{}", directory.join(format!("bind/lb{number}-{name}")).display());
    let web = format!("127.0.0.1:{web}");
    let stats = directory.join(format!("stats/lb{number}.sock"));
    format!(
        "global\n maxconn 500\n nbthread {threads}\n stats socket {stats} mode 600 level admin\n\
         defaults\n mode http\n timeout connect 1s\n timeout client 5s\n timeout server 5s\n timeout queue 2s\n retries 1\n\
         cache small\n total-max-size 1\n max-age 5\n\
         frontend www\n {www}\n option socket-stats\n\
         \x20http-request deny deny_status 403 if {{ path_beg /deny }}\n\
         \x20http-request redirect location / if {{ path_beg /redirect }}\n\
         \x20http-request return status 404 if {{ path_beg /return }}\n\
         \x20use_backend %[path,field(2,/)] if {{ path_beg /cookie /sticky /pinned /down /backup /tracked /cached /agent }}\n\
         \x20use_backend stats if {{ path_beg /stats }}\n default_backend shop\n\
         backend shop\n compression algo gzip\n compression type text/plain\n option httpchk GET /health/0\n\
         \x20server s.1 {web} weight 10 check inter 500ms slowstart 4s\n\
         \x20server s.2 {web} weight 30 maxconn 1 check inter 500ms observe layer7 error-limit 50 on-error mark-down\n\
         \x20server s3 {web} disabled\n\
         backend cookie\n cookie SRV insert indirect\n server c1 {web} cookie c1\n server c2 {web} cookie c2\n\
         backend sticky\n stick-table type string len 16 size 1k expire 10m\n stick on req.hdr(x-key)\n\
         \x20server k1 {web}\n server k2 {web}\n\
         backend pinned\n use-server p1 if {{ path_end 7 }}\n use-server p2 unless {{ path_end 7 }}\n\
         \x20server p1 {web}\n server p2 {web}\n\
         backend down\n server d1 127.0.0.1:1 check inter 500ms\n\
         backend backup\n server b1 127.0.0.1:1 check inter 500ms\n server b2 {web} backup\n\
         backend tracked\n server t1 {web} track shop/s.1\n\
         backend cached\n http-request cache-use small\n http-response cache-store small\n server a1 {web}\n\
         backend agent\n server g1 {web} weight 100 agent-check agent-port {agent} agent-inter 500ms\n\
         backend empty\n\
         backend stats\n stats enable\n stats uri /stats\n\
         frontend api.v1\n {api}\n option dontlog-normal\n default_backend api.v1-servers\n\
         backend api.v1-servers\n balance leastconn\n server node:1 {web} check inter 700ms port {port}\n\
         \x20server node.1 {web}\n server node_1 {web} disabled\n\
         listen b:oth\n {both}\n balance uri\n server o-1 {web}\n\
         frontend limited\n {limited}\n rate-limit sessions 5\n default_backend shop\n\
         frontend tcp\n mode tcp\n {tcp}\n default_backend tcp-servers\n\
         backend tcp-servers\n mode tcp\n option tcp-check\n server x1 {web} check inter 500ms\n server x2 {web}\n\
         frontend tcp-pinned\n mode tcp\n {tcp_pinned}\n default_backend tcp-one\n\
         backend tcp-one\n mode tcp\n use-server one if TRUE\n server one {web}\n server two {web}\n\
         frontend tcp-sticky\n mode tcp\n {tcp_sticky}\n default_backend tcp-table\n\
         backend tcp-table\n mode tcp\n stick-table type integer size 10 expire 10m\n stick on int(1)\n\
         \x20server y1 {web}\n server y2 {web}\n\
         frontend closed\n {closed}\n disabled\n",
        threads = 1 + number % 2,
        stats = stats.display(),
        port = web.rsplit(':').next().unwrap_or_default(),
        www = bind("www"),
        api = bind("api.v1"),
        both = bind("both"),
        limited = bind("limited"),
        tcp = bind("tcp"),
        tcp_pinned = bind("tcp-pinned"),
        tcp_sticky = bind("tcp-sticky"),
        closed = bind("closed"),
    )
}
