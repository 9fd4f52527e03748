//! What stands around HAProxy: servers behind it that take as long as they are told, an agent, and a Graphite that writes down what
//! it gets.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

/// Answers connections, each on a thread of its own, until it is dropped.
pub(super) struct Listener {
    port: u16,
    ended: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Listener {
    pub(super) fn start(serve: impl Fn(TcpStream) + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let ended = Arc::new(AtomicBool::new(false));
        let (serve, stop) = (Arc::new(serve), Arc::clone(&ended));
        let thread = std::thread::spawn(move || {
            let mut serving = Vec::new();
            for stream in listener.incoming().map_while(Result::ok) {
                if stop.load(Ordering::SeqCst) {
                    break;
                }
                let serve = Arc::clone(&serve);
                serving.retain(|thread: &JoinHandle<()>| !thread.is_finished());
                serving.push(std::thread::spawn(move || serve(stream)));
            }
            serving.into_iter().for_each(|thread| drop(thread.join()));
        });
        Self { port, ended, thread: Some(thread) }
    }

    pub(super) fn port(&self) -> u16 {
        self.port
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::SeqCst);
        // Ends the wait for a connection.
        let _ = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port));
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// A web server: `/.../<milliseconds>` says how long it takes, `/.../fail/...` is answered with 500, `/.../abort/...` not at all.
/// Whoever comes without a request, as a check of layer 4 does, is let go.
pub(super) fn web_server() -> Listener {
    Listener::start(|mut stream| drop(answer(&mut stream)))
}

fn answer(stream: &mut TcpStream) -> std::io::Result<()> {
    stream.set_read_timeout(Some(Duration::from_secs(5)))?;
    let mut request = Vec::new();
    let mut chunk = [0; 4096];
    while !request.windows(4).any(|end| end == b"\r\n\r\n") {
        match stream.read(&mut chunk)? {
            0 => return Ok(()),
            count => request.extend_from_slice(&chunk[..count]),
        }
    }
    let text = String::from_utf8_lossy(&request);
    let path = text.split(' ').nth(1).unwrap_or_default();
    if path.contains("/abort/") {
        return stream.shutdown(Shutdown::Both);
    }
    if let Some(time) = path.rsplit('/').next().and_then(|time| time.parse().ok()) {
        std::thread::sleep(Duration::from_millis(time));
    }
    let status = if path.contains("/fail/") { "500 Broken" } else { "200 OK" };
    let body = "hello ".repeat(200);
    write!(
        stream,
        "HTTP/1.1 {status}\r\nContent-Type: text/plain\r\nCache-Control: max-age=5\r\nContent-Length: {}\r\n\
         Connection: close\r\n\r\n{body}",
        body.len()
    )
}

/// Says how much of its weight a server may have.
pub(super) fn agent() -> Listener {
    Listener::start(|mut stream| drop(stream.write_all(b"up 75%\n")))
}

/// Appends what comes to a file, connection by connection.
pub(super) struct Sink {
    listener: Listener,
    file: PathBuf,
}

impl Sink {
    pub(super) fn start(file: PathBuf) -> Self {
        let writer = Mutex::new(std::fs::File::create(&file).unwrap());
        let listener = Listener::start(move |mut stream| {
            let mut lines = Vec::new();
            let whole = stream.read_to_end(&mut lines).is_ok();
            let end = lines.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
            assert!(!whole || end == lines.len(), "a line without its end");
            writer.lock().unwrap().write_all(&lines[..end]).unwrap();
        });
        Self { listener, file }
    }

    pub(super) fn port(&self) -> u16 {
        self.listener.port()
    }

    /// Ends it when every connection has, and returns the file.
    pub(super) fn stop(self) -> PathBuf {
        drop(self.listener);
        self.file
    }
}
