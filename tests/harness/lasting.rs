//! Connections through HAProxy that last, and whose every byte is counted.

use super::{SOON, poll};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::ops::Range;

/// Starts a server that sends as many bytes as a line asks for, for as long as the connection stands; returns its port.
pub fn server() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port for the server");
    let port = listener.local_addr().expect("the port of the server").port();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            std::thread::spawn(move || {
                let lines = BufReader::new(stream.try_clone().expect("a second handle of the connection")).lines();
                for line in lines.map_while(Result::ok) {
                    let Ok(bytes) = line.parse() else { return };
                    if stream.write_all(&vec![b'x'; bytes]).is_err() {
                        return;
                    }
                }
            });
        }
    });
    port
}

/// The connections that stand, and what there was over all of them.
#[derive(Debug, Default)]
pub struct Sessions {
    standing: Vec<TcpStream>,
    /// How many were opened.
    pub opened: u64,
    /// Bytes that came from HAProxy, and that went to it.
    pub received: u64,
    pub sent: u64,
}

impl Sessions {
    /// Opens one more.
    #[track_caller]
    pub fn open(&mut self, port: u16) {
        let stream = poll(SOON, || TcpStream::connect(("127.0.0.1", port)).ok()).expect("HAProxy accepts");
        stream.set_read_timeout(Some(SOON)).expect("a limit for reading");
        self.standing.push(stream);
        self.opened += 1;
    }

    /// Each that stands gets so many bytes. Those that have ended are left out from now on, and counted.
    pub fn transfer(&mut self, bytes: usize) -> usize {
        let (command, before) = (format!("{bytes}\n"), self.standing.len());
        let mut got = vec![0; bytes];
        self.standing.retain_mut(|stream| {
            let whole = stream.write_all(command.as_bytes()).and_then(|()| stream.read_exact(&mut got)).is_ok();
            if whole {
                self.received += bytes as u64;
                self.sent += command.len() as u64;
            }
            whole
        });
        before - self.standing.len()
    }

    /// Sessions, bytes from and to HAProxy, and how many stand.
    pub fn counts(&self) -> [u64; 4] {
        [self.opened, self.received, self.sent, self.standing.len() as u64]
    }

    /// How many stand.
    pub fn standing(&self) -> usize {
        self.standing.len()
    }

    /// Takes some out, in the order in which they were opened.
    pub fn take(&mut self, which: Range<usize>) -> Vec<TcpStream> {
        self.standing.drain(which).collect()
    }

    /// Adds what was taken out.
    pub fn give_back(&mut self, taken: Vec<TcpStream>) {
        self.standing.extend(taken);
    }

    /// Ends all.
    pub fn close(&mut self) {
        self.standing.clear();
    }
}
