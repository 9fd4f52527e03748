//! A running agent, a scripted HTTP endpoint behind it, and a real HAProxy in front.

use super::haproxy::ask as runtime;
use super::newer::{Haproxy, own_haproxy};
use super::{Daemon, SOON, agent, free_port, listens, poll, wait_until, with_config, write};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tempfile::TempDir;

/// A running agent.
pub struct Agent {
    pub daemon: Daemon,
    pub port: u16,
    pub directory: TempDir,
}

impl Agent {
    /// With these options in `[agent]`, and what else stands there.
    #[track_caller]
    pub fn start(options: &str) -> Self {
        Self::on(free_port(), options)
    }

    #[track_caller]
    pub fn on(port: u16, options: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let options = options.replace("${DIR}", &directory.path().display().to_string());
        let mut text = format!("[agent]\nbind = 127.0.0.1\nport = {port}\n");
        for (option, value) in [("interval", "0.05"), ("stop-timeout", "0")] {
            if !options.contains(&format!("{option} =")) {
                text.push_str(&format!("{option} = {value}\n"));
            }
        }
        text.push_str(&options);
        let file = write(directory.path(), "agent.conf", text);
        let mut daemon = Daemon::spawn(with_config(agent(), &file));
        wait_until(SOON, "the agent listens", || {
            assert!(daemon.is_running(), "{}", daemon.output());
            listens(port)
        });
        Self { daemon, port, directory }
    }

    pub fn ask(&self, request: &str) -> String {
        ask(self.port, request)
    }

    /// Waits until the answer is this.
    #[track_caller]
    pub fn wait_for(&self, answer: &str) {
        let mut last = String::new();
        let found = poll(SOON, || {
            last = self.ask("");
            (last == format!("{answer}\n")).then_some(())
        });
        assert!(found.is_some(), "waited in vain for {answer:?}, last was {last:?}\n{}", self.daemon.output());
    }

    pub fn override_with(&self, text: &str) {
        let path = self.directory.path().join("new");
        std::fs::write(&path, text).unwrap();
        std::fs::rename(path, self.directory.path().join("override")).unwrap();
    }
}

/// What the agent answers, with the line end; empty when it closes without a byte.
pub fn ask(port: u16, request: &str) -> String {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    stream.set_read_timeout(Some(SOON)).unwrap();
    let _ = stream.write_all(request.as_bytes());
    let mut answer = String::new();
    let _ = stream.read_to_string(&mut answer);
    answer
}

/// How the endpoint answers.
#[derive(Clone)]
pub enum Reply {
    Http(u16, String),
    /// By the beginning of the path.
    Paths(Vec<(&'static str, u16, String)>),
    Bytes(&'static [u8]),
    /// A whole reply, with its head.
    Raw(Vec<u8>),
    Slow(Duration, String),
    Hang,
}

/// A scripted HTTP endpoint.
pub struct Endpoint {
    pub port: u16,
    pub reply: Arc<Mutex<Reply>>,
    pub requests: Arc<AtomicUsize>,
    pub last: Arc<Mutex<String>>,
    gone: Arc<AtomicBool>,
}

impl Endpoint {
    pub fn start(reply: Reply) -> Self {
        Self::start_on(0, reply)
    }

    /// At a port of the test's choice; 0: any.
    pub fn start_on(port: u16, reply: Reply) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", port)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let endpoint = Self {
            port,
            reply: Arc::new(Mutex::new(reply)),
            requests: Arc::default(),
            last: Arc::default(),
            gone: Arc::default(),
        };
        let (reply, requests, last, gone) = (
            Arc::clone(&endpoint.reply),
            Arc::clone(&endpoint.requests),
            Arc::clone(&endpoint.last),
            Arc::clone(&endpoint.gone),
        );
        // The thread ends with the test program.
        std::thread::spawn(move || {
            let mut hanging = Vec::new();
            for mut stream in listener.incoming().flatten() {
                if gone.load(Ordering::SeqCst) {
                    break;
                }
                let _ = stream.set_read_timeout(Some(Duration::from_secs(2)));
                let mut head = Vec::new();
                let mut byte = [0];
                while !head.ends_with(b"\r\n\r\n") && matches!(stream.read(&mut byte), Ok(1)) {
                    head.push(byte[0]);
                }
                if head.is_empty() {
                    continue;
                }
                requests.fetch_add(1, Ordering::SeqCst);
                let head = String::from_utf8_lossy(&head).into_owned();
                let path = head.split(' ').nth(1).unwrap_or_default().to_owned();
                *last.lock().unwrap() = head;
                let http = |status: u16, body: &str| {
                    format!("HTTP/1.1 {status} X\r\ncontent-length: {}\r\n\r\n{body}", body.len()).into_bytes()
                };
                let reply = reply.lock().unwrap().clone();
                let bytes = match reply {
                    Reply::Http(status, body) => http(status, &body),
                    Reply::Paths(paths) => {
                        let found = paths.iter().find(|(prefix, ..)| path.starts_with(prefix));
                        found.map_or_else(|| http(404, ""), |(_, status, body)| http(*status, body))
                    }
                    Reply::Bytes(bytes) => bytes.to_vec(),
                    Reply::Raw(bytes) => bytes,
                    Reply::Slow(pause, body) => {
                        std::thread::sleep(pause);
                        http(200, &body)
                    }
                    Reply::Hang => {
                        hanging.push(stream);
                        continue;
                    }
                };
                let _ = stream.write_all(&bytes);
            }
        });
        endpoint
    }

    pub fn set(&self, reply: Reply) {
        *self.reply.lock().unwrap() = reply;
    }

    /// From now on connections are refused.
    pub fn vanish(&self) {
        self.gone.store(true, Ordering::SeqCst);
        wait_until(SOON, "the endpoint is gone", || !listens(self.port));
    }

    pub fn requests(&self) -> usize {
        self.requests.load(Ordering::SeqCst)
    }
}

pub fn datawave(status: &str, slots: u8) -> Reply {
    health(status, f64::from(slots), 0.0, 0)
}

/// What the health endpoint of Datawave says.
pub fn health(status: &str, slots: f64, load: f64, swap: u64) -> Reply {
    let body = format!(
        r#"{{"Status":"{status}","ConnectionUsagePercent":{slots:?},"SystemLoad":{load:?},"SwapBytesUsed":{swap}}}"#
    );
    Reply::Http(200, body)
}

/// A real HAProxy with one server, which is checked, and whose agent is on a port.
pub struct HaProxy {
    pub daemon: Daemon,
    pub socket: PathBuf,
    _directory: TempDir,
    _checked: TcpListener,
}

impl HaProxy {
    #[track_caller]
    pub fn start(agent: u16, server: &str) -> Self {
        Self::of(&own_haproxy(), agent, server)
    }

    /// Of a version.
    #[track_caller]
    pub fn of(haproxy: &Haproxy, agent: u16, server: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        // The kernel accepts connections for it, which is all that the health check wants.
        let checked = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let port = checked.local_addr().unwrap().port();
        let socket = directory.path().join("haproxy.sock");
        let text = format!(
            "global\n\tnbthread 1\n\tstats socket {} mode 600 level admin\n\
             defaults\n\tmode tcp\n\ttimeout connect 1s\n\ttimeout client 1s\n\ttimeout server 1s\n\
             backend b\n\tserver s 127.0.0.1:{port} check inter 500ms weight 100 agent-check agent-port {agent} \
             agent-addr 127.0.0.1 agent-inter 50ms {server}\n",
            socket.display()
        );
        let file = write(directory.path(), "haproxy.cfg", text);
        let mut command = haproxy.command();
        command.arg("-db").arg("-f").arg(file);
        let mut daemon = Daemon::spawn(command);
        wait_until(SOON, "HAProxy answers", || {
            assert!(daemon.is_running(), "{}", daemon.output());
            runtime(&socket, "show info").is_some()
        });
        Self { daemon, socket, _directory: directory, _checked: checked }
    }

    /// Columns status and weight of the server.
    pub fn server(&self) -> Option<(String, String)> {
        let table = runtime(&self.socket, "show stat")?;
        let row = table.lines().find(|line| line.starts_with("b,s,"))?.to_owned();
        let column = |index| row.split(',').nth(index).map(str::to_owned);
        column(17).zip(column(18))
    }

    #[track_caller]
    pub fn wait_for(&self, status: &str, weight: Option<&str>) {
        let mut last = None;
        let found = poll(SOON, || {
            last = self.server();
            let (now, heavy) = last.as_ref()?;
            (now == status && weight.is_none_or(|weight| weight == heavy)).then_some(())
        });
        assert!(found.is_some(), "waited in vain for {status} {weight:?}, last was {last:?}\n{}", self.daemon.output());
    }

    pub fn say(&self, command: &str) {
        runtime(&self.socket, command).expect("HAProxy answers");
    }
}

/// A check that an operator's file decides.
pub const FILE: &str = "checks = file\noverride-file = ${DIR}/override\n";
