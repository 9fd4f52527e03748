//! A gate in front of tansu: while it is shut, connections through it end, and no new ones come through.

use super::lock;
use super::notes::Notes;
use nix::unistd::Pid;
use std::io;
use std::net::{Shutdown, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread::JoinHandle;

/// Connections that are through, both ends of each.
#[derive(Default)]
struct Passing(Mutex<Vec<[TcpStream; 2]>>);

impl Passing {
    fn all(&self) -> MutexGuard<'_, Vec<[TcpStream; 2]>> {
        lock(&self.0)
    }

    fn cut(&self, which: impl Fn(&TcpStream) -> bool) {
        for end in self.all().extract_if(.., |[client, _]| which(client)).flatten() {
            // It may have ended by itself.
            let _ = end.shutdown(Shutdown::Both);
        }
    }
}

/// The gate. It is open at first.
pub struct Gate {
    port: u16,
    open: Arc<AtomicBool>,
    shut_out: Arc<Mutex<Option<Pid>>>,
    ended: Arc<AtomicBool>,
    passing: Arc<Passing>,
    keeper: Option<JoinHandle<()>>,
}

impl Gate {
    /// In front of tansu at this port of the loopback interface.
    pub fn start(target: u16) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let (open, ended) = (Arc::new(AtomicBool::new(true)), Arc::new(AtomicBool::new(false)));
        let (passing, shut_out) = (Arc::new(Passing::default()), Arc::<Mutex<Option<Pid>>>::default());
        let (is_open, is_over, all) = (Arc::clone(&open), Arc::clone(&ended), Arc::clone(&passing));
        let nobody = Arc::clone(&shut_out);
        let notes = Notes::default();
        let keep = move || {
            for client in listener.incoming().take_while(|_| !is_over.load(Ordering::SeqCst)) {
                let Ok(client) = client else { continue };
                // A client that comes while it is shut is turned away: its connection ends here.
                let mut passing = all.all();
                let may_pass = lock(&nobody).is_none_or(|pid| !is_of(&client, pid));
                if is_open.load(Ordering::SeqCst)
                    && may_pass
                    && let Ok(ends) = pass(&client, target, &notes)
                {
                    passing.push(ends);
                }
            }
        };
        Self { port, open, shut_out, ended, passing, keeper: Some(std::thread::spawn(keep)) }
    }

    /// Where it stands.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Ends all connections, and lets none through.
    pub fn shut(&self) {
        self.open.store(false, Ordering::SeqCst);
        self.passing.cut(|_| true);
    }

    /// Ends the connections of one process, and lets it make no new ones.
    pub fn shut_out(&self, pid: Pid) {
        *lock(&self.shut_out) = Some(pid);
        self.passing.cut(|client| is_of(client, pid));
    }

    /// Lets connections through.
    pub fn open(&self) {
        *lock(&self.shut_out) = None;
        self.open.store(true, Ordering::SeqCst);
    }
}

impl Drop for Gate {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::SeqCst);
        // The keeper waits for a client.
        let _ = TcpStream::connect(("127.0.0.1", self.port));
        if let Some(keeper) = self.keeper.take() {
            let _ = keeper.join();
        }
        self.passing.cut(|_| true);
    }
}

/// Whether the other end of a connection belongs to this process.
fn is_of(client: &TcpStream, pid: Pid) -> bool {
    let (Ok(here), Ok(there)) = (client.local_addr(), client.peer_addr()) else { return false };
    let process = PathBuf::from(format!("/proc/{pid}"));
    let Some(inode) = inode(&process, [there.port(), here.port()]) else { return false };
    let link = PathBuf::from(format!("socket:[{inode}]"));
    let files = std::fs::read_dir(process.join("fd")).into_iter().flatten().flatten();
    files.filter_map(|file| std::fs::read_link(file.path()).ok()).any(|target| target == link)
}

/// The inode of a connection between two ports, in the network of a process.
fn inode(process: &Path, ports: [u16; 2]) -> Option<String> {
    let table = std::fs::read_to_string(process.join("net/tcp")).ok()?;
    table.lines().skip(1).find_map(|line| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let port = |field: usize| u16::from_str_radix(fields.get(field)?.rsplit(':').next()?, 16).ok();
        (ports == [port(1)?, port(2)?]).then(|| fields.get(9).map(ToString::to_string)).flatten()
    })
}

fn pass(client: &TcpStream, target: u16, notes: &Notes) -> io::Result<[TcpStream; 2]> {
    let server = TcpStream::connect(("127.0.0.1", target))?;
    let conversation = notes.conversation();
    for (from, to, asks) in [(client, &server, true), (&server, client, false)] {
        to.set_nodelay(true)?;
        let (from, to, conversation) = (from.try_clone()?, to.try_clone()?, conversation.clone());
        std::thread::spawn(move || {
            let _ = if asks { conversation.ask(&from, &to) } else { conversation.answer(&from, &to) };
            // When one side closes, so does the other.
            let _ = from.shutdown(Shutdown::Both);
            let _ = to.shutdown(Shutdown::Both);
        });
    }
    Ok([client.try_clone()?, server])
}
