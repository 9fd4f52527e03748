//! Real HAProxy processes (Debian: haproxy) that serve the same sites, each with a stats socket of its own, and a client
//! whose every request is counted. The servers behind them are one more frontend of the same process.

use super::newer::{Haproxy, own_haproxy};
use super::reload::reload_haproxy;
use super::{Daemon, SOON, free_port, write};
use haproxystats::latency::layout::Layout;
use haproxystats::latency::rules::{self, Names};
use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tempfile::TempDir;

/// Where the stats socket of a process is.
#[derive(Debug, Clone)]
pub enum Stats {
    /// In the directory [`Site::socket_dir`].
    Unix,
    /// On this port of 127.0.0.1.
    Tcp(u16),
}

/// HAProxy processes numbered from 0.
pub struct Site {
    haproxy: Haproxy,
    directory: TempDir,
    instances: Vec<Instance>,
    /// The server of connections that last.
    server: Option<u16>,
    /// Files of certificates with their keys, of sites that have something of each family.
    certificates: Vec<PathBuf>,
}

struct Instance {
    stats: Stats,
    daemon: Option<Daemon>,
    /// The port for connections that last.
    lasting: Option<u16>,
}

impl Site {
    /// Starts `unix` processes with a stats socket in [`socket_dir`](Self::socket_dir), then `tcp` with one on a port.
    #[track_caller]
    pub fn start(unix: usize, tcp: usize) -> Self {
        Self::start_with(own_haproxy(), unix, tcp)
    }

    /// As [`start`](Self::start), with another HAProxy than Debian's.
    #[track_caller]
    pub fn start_with(haproxy: Haproxy, unix: usize, tcp: usize) -> Self {
        Self::start_serving(haproxy, unix, tcp, None, Vec::new())
    }

    /// One process which also has these certificates, a stick table with entries, and a server with a limit.
    #[track_caller]
    pub fn start_complete(haproxy: Haproxy, certificates: Vec<PathBuf>) -> Self {
        Self::start_serving(haproxy, 1, 0, None, certificates)
    }

    /// `unix` processes which each have a frontend `lasting` as well, for connections that last.
    #[track_caller]
    pub fn start_lasting(unix: usize) -> Self {
        Self::start_serving(own_haproxy(), unix, 0, Some(super::lasting::server()), Vec::new())
    }

    #[track_caller]
    fn start_serving(
        haproxy: Haproxy,
        unix: usize,
        tcp: usize,
        server: Option<u16>,
        certificates: Vec<PathBuf>,
    ) -> Self {
        let directory = tempfile::tempdir().expect("a directory for HAProxy");
        for folder in ["stats", "http", "masters"] {
            std::fs::create_dir(directory.path().join(folder)).expect("a folder for HAProxy");
        }
        let stats = (0..unix).map(|_| Stats::Unix).chain((0..tcp).map(|_| Stats::Tcp(free_port())));
        let instance = |stats| Instance { stats, daemon: None, lasting: server.map(|_| free_port()) };
        let instances = stats.map(instance).collect();
        let mut site = Self { haproxy, directory, instances, server, certificates };
        for number in 0..site.instances.len() {
            site.launch(number);
        }
        site
    }

    /// Starts a process that was stopped, and waits until it answers.
    #[track_caller]
    pub fn launch(&mut self, number: usize) {
        let file = write(self.directory.path(), &format!("lb{number}.cfg"), self.configuration(number));
        let mut command = self.haproxy.command();
        command.arg("-W").arg("-S").arg(self.master(number)).arg("-f").arg(file);
        self.instances[number].daemon = Some(Daemon::spawn(command));
        self.wait_until_up(number);
    }

    /// Reloads as `systemctl reload haproxy` does: a new worker process takes over the sockets.
    #[track_caller]
    pub fn reload(&self, number: usize) {
        let old = self.info(number, "Pid");
        let info = || self.try_ask(number, "show info");
        let replaced = || info().is_some_and(|reply| field(&reply, "Pid").is_some_and(|pid| pid != old));
        reload_haproxy(self.daemon(number), replaced);
    }

    /// Ends a process. Its UNIX socket stays behind as a file that nobody listens on, as HAProxy leaves it.
    pub fn stop(&mut self, number: usize) {
        self.instances[number].daemon = None;
    }

    /// `[pull] socket-dir`
    pub fn socket_dir(&self) -> PathBuf {
        self.directory.path().join("stats")
    }

    /// `[pull] servers`: the processes with a TCP socket.
    pub fn servers(&self) -> String {
        let urls = self.instances.iter().filter_map(|instance| match instance.stats {
            Stats::Unix => None,
            Stats::Tcp(port) => Some(format!("tcp://127.0.0.1:{port}")),
        });
        urls.collect::<Vec<_>>().join(",")
    }

    /// `[pull] master-sockets`: the masters of all.
    pub fn masters(&self) -> String {
        let urls = (0..self.instances.len()).map(|number| format!("unix://{}", self.master(number).display()));
        urls.collect::<Vec<_>>().join(",")
    }

    /// The port of the frontend `lasting` of a process.
    #[track_caller]
    pub fn lasting(&self, number: usize) -> u16 {
        self.instances[number].lasting.expect("the site has such a frontend")
    }

    fn master(&self, number: usize) -> PathBuf {
        self.directory.path().join(format!("masters/lb{number}.sock"))
    }

    /// The name of a process' files in a snapshot, without `_info` or `_stat`.
    pub fn file_name(&self, number: usize) -> String {
        match self.instances[number].stats {
            Stats::Unix => format!("lb{number}.sock"),
            Stats::Tcp(port) => format!("127.0.0.1:{port}"),
        }
    }

    /// Sends one request to `frontend` (`www`, or `api.v1` with a dot in its name) of a process and returns the status
    /// of the answer: 503 from the server for `/fail`, else 200.
    #[track_caller]
    pub fn request(&self, number: usize, frontend: &str, path: &str) -> u16 {
        let socket = self.directory.path().join(format!("http/lb{number}-{frontend}.sock"));
        let mut stream = UnixStream::connect(&socket).unwrap_or_else(|error| panic!("{}: {error}", socket.display()));
        stream.set_read_timeout(Some(SOON)).expect("a limit for reading");
        write!(stream, "GET {path} HTTP/1.0\r\nHost: test\r\n\r\n").expect("a request");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("an answer");
        answer.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status line")
    }

    /// Sends a command to the stats socket of a process and returns its reply.
    #[track_caller]
    pub fn ask(&self, number: usize, command: &str) -> String {
        self.try_ask(number, command).unwrap_or_else(|| panic!("HAProxy {number} does not answer"))
    }

    /// One field of `show info`.
    #[track_caller]
    pub fn info(&self, number: usize, name: &str) -> String {
        field(&self.ask(number, "show info"), name).unwrap_or_else(|| panic!("show info has no {name}"))
    }

    /// The running master process, for signals.
    #[track_caller]
    pub fn daemon(&self, number: usize) -> &Daemon {
        self.instances[number].daemon.as_ref().expect("HAProxy runs")
    }

    fn try_ask(&self, number: usize, command: &str) -> Option<String> {
        let limit = Some(Duration::from_secs(5));
        let text = format!("{command}\n");
        let mut reply = String::new();
        match self.instances[number].stats {
            Stats::Unix => {
                let mut stream = UnixStream::connect(self.socket_path(number)).ok()?;
                stream.set_read_timeout(limit).ok()?;
                stream.write_all(text.as_bytes()).ok()?;
                stream.shutdown(Shutdown::Write).ok()?;
                stream.read_to_string(&mut reply).ok()?;
            }
            Stats::Tcp(port) => {
                let mut stream = TcpStream::connect(("127.0.0.1", port)).ok()?;
                stream.set_read_timeout(limit).ok()?;
                stream.write_all(text.as_bytes()).ok()?;
                stream.shutdown(Shutdown::Write).ok()?;
                stream.read_to_string(&mut reply).ok()?;
            }
        }
        (!reply.is_empty()).then_some(reply)
    }

    #[track_caller]
    fn wait_until_up(&mut self, number: usize) {
        let up = super::poll(SOON, || {
            let daemon = self.instances[number].daemon.as_mut()?;
            assert!(daemon.is_running(), "HAProxy ended:\n{}", daemon.output());
            // The checks have seen every server, so that no state changes any more.
            let stat = self.try_ask(number, "show stat")?;
            let server = |name: &str| stat.lines().any(|row| row.contains(name) && row.contains(",UP,"));
            (server("shop,s.1,") && server("shop,s.2,") && server("api.v1,node,")).then_some(())
        });
        assert!(up.is_some(), "HAProxy is not up:\n{}", self.daemon(number).output());
    }

    fn socket_path(&self, number: usize) -> PathBuf {
        self.socket_dir().join(format!("lb{number}.sock"))
    }

    /// Whether response times are counted, in the table `latency`.
    pub fn counts_latency(&self) -> bool {
        self.haproxy.version >= (2, 9)
    }

    /// The table in which response times are counted, and the rules of a backend.
    fn latency(&self) -> (&'static str, String) {
        if !self.counts_latency() {
            return ("", String::new());
        }
        let layout = Layout::parse(rules::TIMERS, rules::BOUNDS).expect("the default");
        let text = rules::configuration(&layout, Names { table: rules::TABLE, base: rules::BASE, peers: None });
        let rules = text.lines().filter(|line| line.trim_start().starts_with("http-response"));
        let table = "backend latency\n\tstick-table type string len 250 size 1k store gpc(14)\n";
        (table, rules.map(|line| format!("{line}\n")).collect())
    }

    /// What a complete site has more: lines of a frontend, of a server, and a section.
    fn complete(&self, number: usize) -> (String, &'static str, &'static str) {
        if self.certificates.is_empty() {
            return (String::new(), "", "");
        }
        let bind = unix_bind(&self.directory.path().join(format!("http/lb{number}-tls.sock")));
        let certificates = self.certificates.iter().map(|file| format!(" crt {}", file.display()));
        let lines = format!(
            "\tbind {bind} ssl{}\n\thttp-request track-sc0 hdr(host) table hosts\n",
            certificates.collect::<String>()
        );
        (lines, " maxconn 20", "backend hosts\n\tstick-table type string len 32 size 100 store http_req_cnt\n")
    }

    fn configuration(&self, number: usize) -> String {
        let http = self.directory.path().join("http");
        let bind = |name: &str| unix_bind(&http.join(format!("lb{number}-{name}.sock")));
        let (www, api, app) = (bind("www"), bind("api.v1"), bind("app"));
        let (table, rules) = self.latency();
        let (tls, limit, hosts) = self.complete(number);
        let stats = match self.instances[number].stats {
            Stats::Unix => format!("{} mode 600", self.socket_path(number).display()),
            Stats::Tcp(port) => format!("ipv4@127.0.0.1:{port}"),
        };
        let lasting = self.instances[number].lasting.zip(self.server).map(|(port, server)| {
            format!(
                "frontend lasting\n\
                 \tmode tcp\n\
                 \toption contstats\n\
                 \ttimeout client 1h\n\
                 \tbind 127.0.0.1:{port}\n\
                 \tdefault_backend lasting\n\
                 backend lasting\n\
                 \tmode tcp\n\
                 \ttimeout server 1h\n\
                 \tserver source 127.0.0.1:{server}\n"
            )
        });
        let lasting = lasting.unwrap_or_default();
        format!(
            "global\n\
             \tmaxconn 200\n\
             \tnbthread 1\n\
             \tstats socket {stats} level operator\n\
             defaults\n\
             \tmode http\n\
             \ttimeout connect 2s\n\
             \ttimeout client 10s\n\
             \ttimeout server 10s\n\
             frontend www\n\
             \tbind {www}\n\
             {tls}\
             \toption socket-stats\n\
             \tdefault_backend shop\n\
             frontend api.v1\n\
             \tbind {api}\n\
             \tdefault_backend api.v1\n\
             {table}\
             {hosts}\
             backend shop\n\
             {rules}\
             \toption httpchk GET /health\n\
             \tserver s.1 {app} check inter 1s weight 10{limit}\n\
             \tserver s.2 {app} check inter 1s weight 30\n\
             backend api.v1\n\
             {rules}\
             \tserver node {app} check inter 1s\n\
             backend empty\n\
             frontend app\n\
             \tbind {app}\n\
             \thttp-request return status 503 if {{ path /fail }}\n\
             \thttp-request return status 200 content-type text/plain string hello\n\
             {lasting}"
        )
    }
}

fn unix_bind(path: &Path) -> String {
    format!("unix@{}", path.display())
}

fn field(info: &str, name: &str) -> Option<String> {
    info.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": ")).map(str::to_owned)
}
