//! Any number of web servers on one port: each address of 127.10.0.0/16 is one. Whoever is dead closes connections at
//! once, as a machine does whose service is gone.

use std::collections::HashSet;
use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

/// Connections that are served at the same time.
const THREADS: usize = 32;

pub struct Farm {
    pub port: u16,
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
}

#[derive(Default)]
struct Shared {
    stopped: AtomicBool,
    dead: Mutex<HashSet<Ipv4Addr>>,
    served: AtomicU64,
}

/// The address of a server, from 1.
pub fn address(number: usize) -> Ipv4Addr {
    let [.., high, low] = u32::try_from(number - 1).unwrap().to_be_bytes().map(usize::from);
    let index = high * 256 + low;
    Ipv4Addr::new(127, 10, u8::try_from(index / 250).unwrap(), u8::try_from(index % 250 + 1).unwrap())
}

impl Farm {
    pub fn start() -> Self {
        let listener = TcpListener::bind(("0.0.0.0", 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let shared = Arc::new(Shared::default());
        let threads = (0..THREADS).map(|_| {
            let (listener, shared) = (listener.try_clone().unwrap(), Arc::clone(&shared));
            std::thread::spawn(move || {
                while let Ok((stream, _)) = listener.accept() {
                    if shared.stopped.load(Ordering::SeqCst) {
                        return;
                    }
                    let _ = shared.serve(stream);
                }
            })
        });
        Self { port, threads: threads.collect(), shared }
    }

    /// These do not serve any more.
    pub fn kill(&self, numbers: impl IntoIterator<Item = usize>) {
        self.shared.dead.lock().unwrap().extend(numbers.into_iter().map(address));
    }

    /// They serve again.
    pub fn revive(&self, numbers: impl IntoIterator<Item = usize>) {
        let mut dead = self.shared.dead.lock().unwrap();
        for number in numbers {
            dead.remove(&address(number));
        }
    }

    /// Whether one serves.
    pub fn is_alive(&self, address: IpAddr) -> bool {
        match address {
            IpAddr::V4(address) if address.octets()[..2] == [127, 10] => {
                !self.shared.dead.lock().unwrap().contains(&address)
            }
            _ => false,
        }
    }
}

impl Drop for Farm {
    fn drop(&mut self) {
        self.shared.stopped.store(true, Ordering::SeqCst);
        for _ in 0..THREADS {
            let _ = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port));
        }
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

impl Shared {
    fn serve(&self, mut stream: TcpStream) -> std::io::Result<()> {
        let IpAddr::V4(address) = stream.local_addr()?.ip() else { return Ok(()) };
        if self.dead.lock().unwrap().contains(&address) {
            return stream.shutdown(Shutdown::Both);
        }
        // Longer than a busy machine keeps HAProxy from sending: a client that gives up sooner would report a broken server.
        stream.set_read_timeout(Some(Duration::from_secs(15)))?;
        let mut head = Vec::new();
        let mut part = [0; 2048];
        while !head.windows(4).any(|end| end == b"\r\n\r\n") {
            match stream.read(&mut part)? {
                0 => return Ok(()),
                length => head.extend_from_slice(&part[..length]),
            }
        }
        self.served.fetch_add(1, Ordering::SeqCst);
        let body = address.to_string();
        let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}", body.len());
        stream.write_all(answer.as_bytes())
    }
}
