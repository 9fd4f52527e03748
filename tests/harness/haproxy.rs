//! What haproxystats-pull talks to in tests: a real HAProxy with any number of stats sockets, and a scripted one that
//! misbehaves on demand. For HAProxy under traffic see `site`.

use super::{Daemon, SOON, debian, wait_until, write};
use std::io::{ErrorKind, Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;
use tempfile::TempDir;

/// A reply to `show info` as HAProxy ends it.
pub const INFO: &str = "Name: HAProxy\nVersion: 2.6.12\nProcess_num: 1\nIdle_pct: 100\nnode: lb-01\n\n";
/// A reply to `show stat` with a quoted field that holds an empty line, as HAProxy ends it.
pub const STAT: &str = "# pxname,svname,scur,last_chk,type,\nweb,FRONTEND,3,,0,\nweb,s1,1,\"no \"\"pong\"\",\n\nbut this\",2,\n\
                        web,BACKEND,2,,1,\n\n";

/// A cell of `show stat`, by the name of its column; empty where there is none.
pub fn cell(socket: &Path, proxy: &str, server: &str, column: &str) -> String {
    let table = ask(socket, "show stat").unwrap_or_default();
    let index = table.lines().next().and_then(|names| names.split(',').position(|name| name == column));
    let row = table.lines().find(|line| line.starts_with(&format!("{proxy},{server},")));
    row.zip(index).and_then(|(row, index)| row.split(',').nth(index)).unwrap_or_default().to_owned()
}

/// One real HAProxy process with `count` UNIX stats sockets.
pub struct ManySockets {
    directory: TempDir,
    daemon: Daemon,
}

impl ManySockets {
    /// Starts it with `servers` servers in one backend, which get neither checks nor traffic.
    #[track_caller]
    pub fn start(count: usize, servers: usize) -> Self {
        let directory = tempfile::tempdir().expect("a directory for HAProxy");
        let folder = directory.path().join("s");
        std::fs::create_dir(&folder).expect("a folder for sockets");
        let mut text = String::from("global\n\tnbthread 1\n\tstats maxconn 1000\n");
        let sockets: Vec<_> = (0..count).map(|number| folder.join(format!("{number:03}.sock"))).collect();
        for socket in &sockets {
            text.push_str(&format!("\tstats socket {} mode 600 level user\n", socket.display()));
        }
        text.push_str(
            "defaults\n\tmode http\n\ttimeout connect 1s\n\ttimeout client 1s\n\ttimeout server 1s\nbackend web\n",
        );
        for number in 0..servers {
            text.push_str(&format!("\tserver web-{number:05}.example.com 127.0.0.1:9 disabled\n"));
        }
        let file = write(directory.path(), "haproxy.cfg", text);
        let mut command = Command::new(debian("haproxy"));
        command.arg("-db").arg("-f").arg(file);
        let mut daemon = Daemon::spawn(command);
        wait_until(SOON, "all sockets of HAProxy answer", || {
            assert!(daemon.is_running(), "HAProxy ended:\n{}", daemon.output());
            sockets.iter().all(|socket| ask(socket, "show info").is_some())
        });
        Self { directory, daemon }
    }

    /// `[pull] socket-dir`
    pub fn socket_dir(&self) -> PathBuf {
        self.directory.path().join("s")
    }

    /// A section `[hosts]` that makes each socket a HAProxy of its own: those of one process are one.
    pub fn hosts(&self) -> String {
        let lines = super::names(&self.socket_dir()).into_iter().map(|name| format!("{name} = host-{name}\n"));
        format!("[hosts]\n{}", lines.collect::<String>())
    }

    /// The process, for signals.
    pub fn daemon(&self) -> &Daemon {
        &self.daemon
    }
}

/// Sends a command to a stats socket; `None` when nothing answers.
pub fn ask(socket: &Path, command: &str) -> Option<String> {
    let mut stream = UnixStream::connect(socket).ok()?;
    stream.set_read_timeout(Some(SOON)).ok()?;
    stream.write_all(format!("{command}\n").as_bytes()).ok()?;
    let mut reply = String::new();
    stream.read_to_string(&mut reply).ok()?;
    (!reply.is_empty()).then_some(reply)
}

/// What a scripted socket does with a connection after it has read the command line.
#[derive(Debug, Clone)]
pub enum Script {
    /// Answers each command of the line, then closes.
    Answer {
        /// To `show info`.
        info: Vec<u8>,
        /// To `show stat`.
        stat: Vec<u8>,
    },
    /// Answers one after the other, each connection with the next of these, as processes that share a socket do.
    Turns(Vec<(Vec<u8>, Vec<u8>)>),
    /// Answers the first command of the line only, then closes.
    FirstCommandOnly,
    /// Answers, and keeps the connection open.
    KeepOpen,
    /// Answers this much of both replies, then closes.
    Cut(usize),
    /// Answers one byte after the other with a pause between them, until another script is set: then the rest.
    Trickle(Duration),
    /// Waits, then answers.
    Slow(Duration),
    /// Reads and never answers.
    Hang,
    /// Closes without an answer.
    Close,
    /// Answers this text to whatever was asked, then closes.
    Text(&'static str),
    /// A good beginning, and rows without end.
    Endless,
    /// Answers `show info` and `show stat`, and other commands as this table says: an empty text is no answer at all, and what is
    /// not in the table is an unknown command.
    Further(Vec<(&'static str, &'static str)>),
}

impl Script {
    /// What a healthy HAProxy does.
    pub fn good() -> Self {
        Self::Answer { info: INFO.into(), stat: STAT.into() }
    }
}

/// A UNIX socket that answers as its script says. The script can be changed while it runs.
pub struct Fake {
    path: PathBuf,
    listener: UnixListener,
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

struct Shared {
    script: Mutex<Script>,
    stopped: AtomicBool,
    connections: AtomicUsize,
    /// The command lines so far.
    lines: Mutex<Vec<String>>,
}

impl Fake {
    /// Listens on `directory/name`.
    #[track_caller]
    pub fn start(directory: &Path, name: &str, script: Script) -> Self {
        let path = directory.join(name);
        let listener = UnixListener::bind(&path).expect("a path for the socket");
        let (stopped, connections) = (AtomicBool::new(false), AtomicUsize::new(0));
        let shared = Arc::new(Shared { script: Mutex::new(script), stopped, connections, lines: Mutex::default() });
        let for_thread = Arc::clone(&shared);
        let accepting = listener.try_clone().expect("a second handle of the socket");
        let thread = std::thread::spawn(move || {
            let mut connections = Vec::new();
            while let Ok((stream, _)) = accepting.accept() {
                for_thread.connections.fetch_add(1, Ordering::SeqCst);
                let shared = Arc::clone(&for_thread);
                // An error is a peer that has left, which is its right.
                connections.push(std::thread::spawn(move || drop(shared.serve(stream))));
            }
            for connection in connections {
                connection.join().expect("a connection of the scripted socket");
            }
        });
        Self { path, listener, shared, thread: Some(thread) }
    }

    /// Path of the socket.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// From the next connection on.
    pub fn set(&self, script: Script) {
        *self.shared.script.lock().unwrap_or_else(PoisonError::into_inner) = script;
    }

    /// The command lines that were received so far.
    pub fn lines(&self) -> Vec<String> {
        self.shared.lines.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Connections so far.
    pub fn connections(&self) -> usize {
        self.shared.connections.load(Ordering::SeqCst)
    }
}

impl Drop for Fake {
    fn drop(&mut self) {
        self.shared.stopped.store(true, Ordering::SeqCst);
        // Ends the wait for a connection, whatever has become of the file.
        let _ = nix::sys::socket::shutdown(self.listener.as_raw_fd(), nix::sys::socket::Shutdown::Both);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Shared {
    fn serve(&self, mut stream: UnixStream) -> std::io::Result<()> {
        let script = self.script.lock().unwrap_or_else(PoisonError::into_inner).clone();
        stream.set_read_timeout(Some(Duration::from_millis(20)))?;
        stream.set_write_timeout(Some(SOON))?;
        let mut line = Vec::new();
        while !line.ends_with(b"\n") {
            if self.wait_for_byte(&mut stream, &mut line)? {
                return Ok(());
            }
        }
        let line = String::from_utf8_lossy(&line).trim().to_owned();
        self.lines.lock().unwrap_or_else(PoisonError::into_inner).push(line.clone());
        let good = |command: &str| if command.trim() == "show info" { INFO } else { STAT };
        let both: String = line.split(';').map(good).collect();
        match script {
            Script::Answer { info, stat } => {
                for command in line.split(';') {
                    stream.write_all(if command.trim() == "show info" { &info } else { &stat })?;
                }
            }
            Script::Turns(turns) => {
                let (info, stat) = &turns[self.connections.load(Ordering::SeqCst) % turns.len()];
                for command in line.split(';') {
                    stream.write_all(if command.trim() == "show info" { info } else { stat })?;
                }
            }
            Script::FirstCommandOnly => stream.write_all(line.split(';').next().map_or("", good).as_bytes())?,
            Script::KeepOpen => {
                stream.write_all(both.as_bytes())?;
                self.wait_for_end(&mut stream)?;
            }
            Script::Cut(length) => stream.write_all(&both.as_bytes()[..length.min(both.len())])?,
            Script::Trickle(pause) => {
                for byte in both.bytes() {
                    stream.write_all(&[byte])?;
                    if self.stopped.load(Ordering::SeqCst) {
                        break;
                    }
                    let still =
                        matches!(&*self.script.lock().unwrap_or_else(PoisonError::into_inner), Script::Trickle(_));
                    std::thread::sleep(if still { pause } else { Duration::ZERO });
                }
            }
            Script::Slow(pause) => {
                std::thread::sleep(pause);
                stream.write_all(both.as_bytes())?;
            }
            Script::Hang => self.wait_for_end(&mut stream)?,
            Script::Close => {}
            Script::Text(text) => stream.write_all(text.as_bytes())?,
            Script::Further(table) => {
                for command in line.split(';').map(str::trim) {
                    match table.iter().find(|(known, _)| *known == command) {
                        Some((_, "")) => return self.wait_for_end(&mut stream),
                        Some((_, text)) => stream.write_all(text.as_bytes())?,
                        None if command.starts_with("show info") => stream.write_all(INFO.as_bytes())?,
                        None if command == "show stat" => stream.write_all(STAT.as_bytes())?,
                        None => stream.write_all(b"Unknown command: 'show', but maybe one of these:\n  help\n\n")?,
                    }
                }
            }
            Script::Endless => {
                stream.write_all(INFO.as_bytes())?;
                stream.write_all(b"# pxname,svname,scur,last_chk,type,\n")?;
                let rows = b"web,s1,1,,2,\n".repeat(1000);
                while !self.stopped.load(Ordering::SeqCst) {
                    stream.write_all(&rows)?;
                }
            }
        }
        Ok(())
    }

    /// Reads one byte. Whether the connection, or the test, has come to its end.
    fn wait_for_byte(&self, stream: &mut UnixStream, line: &mut Vec<u8>) -> std::io::Result<bool> {
        let mut byte = [0];
        loop {
            match stream.read(&mut byte) {
                Ok(0) => return Ok(true),
                Ok(_) => {
                    line.push(byte[0]);
                    return Ok(false);
                }
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                    if self.stopped.load(Ordering::SeqCst) {
                        return Ok(true);
                    }
                }
                Err(error) => return Err(error),
            }
        }
    }

    fn wait_for_end(&self, stream: &mut UnixStream) -> std::io::Result<()> {
        let mut ignored = Vec::new();
        while !self.wait_for_byte(stream, &mut ignored)? {}
        Ok(())
    }
}
