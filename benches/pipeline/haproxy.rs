//! Real HAProxy processes, and what they take to answer a reader that discards.

use super::os;
use std::fs;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Processes with some sockets each.
pub(crate) struct HaProxies {
    children: Vec<Child>,
    directory: PathBuf,
}

impl HaProxies {
    /// `None` when HAProxy is not installed.
    pub(crate) fn start(
        base: &Path,
        processes: usize,
        sockets: usize,
        backends: usize,
        servers: usize,
    ) -> Option<Self> {
        Self::start_with(&os::find("haproxy")?, "", base, [processes, sockets, backends, servers])
    }

    /// As [`start`](Self::start), of this program, with more lines behind `defaults` and sockets of level admin: processes, sockets
    /// of each, backends, and servers of each.
    pub(crate) fn start_with(
        program: &Path,
        lines: &str,
        base: &Path,
        [processes, sockets, backends, servers]: [usize; 4],
    ) -> Option<Self> {
        let level = if lines.is_empty() { "user" } else { "admin" };
        let _ = fs::remove_dir_all(base);
        let directory = base.join("s");
        fs::create_dir_all(&directory).unwrap();
        let mut started = Self { children: Vec::new(), directory };
        for process in 0..processes {
            let mut text = String::from("global\n\tnbthread 1\n\tstats maxconn 1000\n");
            for socket in 0..sockets {
                let path = started.directory.join(format!("{process}-{socket:03}.sock"));
                text.push_str(&format!("\tstats socket {} mode 600 level {level}\n", path.display()));
            }
            text.push_str("defaults\n\tmode http\n\ttimeout connect 1s\n\ttimeout client 1s\n\ttimeout server 1s\n");
            text.push_str(lines);
            for frontend in 0..backends.min(20) {
                let bind = base.join(format!("{process}-{frontend}.http"));
                text.push_str(&format!("frontend fe_www_{frontend:03}\n\tbind unix@{}\n", bind.display()));
            }
            for backend in 0..backends {
                text.push_str(&format!("backend be_app_{backend:04}.example.com\n"));
                for server in 0..servers {
                    text.push_str(&format!("\tserver srv-{backend:04}-{server:03}.example.com 127.0.0.1:9 disabled\n"));
                }
            }
            let file = base.join(format!("haproxy{process}.cfg"));
            fs::write(&file, text).unwrap();
            let mut command = Command::new(program);
            command.arg("-db").arg("-f").arg(file).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
            started.children.push(command.spawn().unwrap());
        }
        // While it starts there are files with other names.
        let named = |entry: &fs::DirEntry| entry.path().extension().is_some_and(|extension| extension == "sock");
        os::wait("HAProxy", Duration::from_secs(60), || {
            let entries: Vec<_> = fs::read_dir(&started.directory).unwrap().flatten().collect();
            entries.len() == processes * sockets && entries.iter().all(named)
        });
        Some(started)
    }

    /// One process of this program and this configuration, with one socket: `s/lb.sock` below `base`.
    pub(crate) fn of(program: &Path, base: &Path, text: &str) -> Self {
        let (file, directory) = (base.join("haproxy.cfg"), base.join("s"));
        let _ = fs::remove_dir_all(&directory);
        fs::create_dir_all(&directory).unwrap();
        fs::write(&file, text).unwrap();
        let mut command = Command::new(program);
        command.arg("-db").arg("-f").arg(file).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let started = Self { children: vec![command.spawn().unwrap()], directory };
        let socket = started.directory.join("lb.sock");
        os::wait("HAProxy", Duration::from_secs(60), || UnixStream::connect(&socket).is_ok());
        started
    }

    /// Where the sockets are.
    pub(crate) fn directory(&self) -> &Path {
        &self.directory
    }

    pub(crate) fn cpu(&self) -> Duration {
        self.children.iter().map(|child| os::cpu(child.id())).sum()
    }

    /// Sends a line of commands to the first socket, and reads the answers.
    pub(crate) fn ask(&self, commands: &str) -> Vec<u8> {
        let socket = fs::read_dir(&self.directory).unwrap().flatten().next().unwrap().path();
        let mut stream = UnixStream::connect(socket).unwrap();
        stream.write_all(format!("{commands}\n").as_bytes()).unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).unwrap();
        answer
    }

    /// Reads the statistics of all sockets at once, and throws them away: wall and HAProxy's CPU milliseconds, and bytes.
    pub(crate) fn discard(&self) -> [f64; 3] {
        let sockets: Vec<_> = fs::read_dir(&self.directory).unwrap().map(|entry| entry.unwrap().path()).collect();
        let (before, start) = (self.cpu(), Instant::now());
        let readers: Vec<_> = sockets
            .into_iter()
            .map(|socket| {
                std::thread::spawn(move || {
                    let mut stream = UnixStream::connect(socket).unwrap();
                    stream.write_all(b"show info;show stat\n").unwrap();
                    let (mut buffer, mut bytes) = (vec![0; 256 * 1024], 0);
                    loop {
                        match stream.read(&mut buffer).unwrap() {
                            0 => return bytes,
                            count => bytes += count,
                        }
                    }
                })
            })
            .collect();
        let bytes: usize = readers.into_iter().map(|reader| reader.join().unwrap()).sum();
        let wall = start.elapsed();
        [wall.as_secs_f64() * 1e3, (self.cpu() - before).as_secs_f64() * 1e3, bytes as f64]
    }
}

impl Drop for HaProxies {
    fn drop(&mut self) {
        for child in &mut self.children {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}
