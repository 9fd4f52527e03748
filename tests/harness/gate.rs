//! A gate in front of tansu: while it is shut, connections through it end, and no new ones come through.

use super::notes::Notes;
use std::io;
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

/// Connections that are through, both ends of each.
#[derive(Default)]
struct Passing(Mutex<Vec<[TcpStream; 2]>>);

impl Passing {
    fn all(&self) -> MutexGuard<'_, Vec<[TcpStream; 2]>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn cut(&self) {
        for end in self.all().drain(..).flatten() {
            // It may have ended by itself.
            let _ = end.shutdown(Shutdown::Both);
        }
    }
}

/// The gate. It is open at first.
pub struct Gate {
    port: u16,
    open: Arc<AtomicBool>,
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
        let passing = Arc::new(Passing::default());
        let (is_open, is_over, all) = (Arc::clone(&open), Arc::clone(&ended), Arc::clone(&passing));
        let notes = Notes::default();
        let keep = move || {
            for client in listener.incoming().take_while(|_| !is_over.load(Ordering::SeqCst)) {
                let Ok(client) = client else { continue };
                // A client that comes while it is shut is turned away: its connection ends here.
                let mut passing = all.all();
                if is_open.load(Ordering::SeqCst)
                    && let Ok(ends) = pass(&client, target, &notes)
                {
                    passing.push(ends);
                }
            }
        };
        Self { port, open, ended, passing, keeper: Some(std::thread::spawn(keep)) }
    }

    /// Where it stands.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Ends all connections, and lets none through.
    pub fn shut(&self) {
        self.open.store(false, Ordering::SeqCst);
        self.passing.cut();
    }

    /// Lets connections through.
    pub fn open(&self) {
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
        self.passing.cut();
    }
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
