//! TLS on top of a connection that is written to and read from without waiting.

use super::link::receive;
use std::collections::VecDeque;
use std::io::{self, Read, Write};
use tokio::net::TcpStream;
use tokio_rustls::rustls::ClientConnection;

/// A TLS session after its handshake.
#[derive(Debug)]
pub(super) struct Session {
    rustls: Box<ClientConnection>,
    /// Encrypted bytes that the kernel has taken.
    sent: u64,
    /// Bytes of text that were encrypted.
    text: u64,
    /// Where nothing was left to be handed over: encrypted bytes, and the bytes of text in them. What of a record has
    /// arrived without its end is of no use to the peer, so only these places count.
    marks: VecDeque<(u64, u64)>,
    /// The text up to the mark that was passed last.
    passed: u64,
}

impl Session {
    pub(super) fn new(rustls: ClientConnection) -> Self {
        Self { rustls: Box::new(rustls), sent: 0, text: 0, marks: VecDeque::new(), passed: 0 }
    }

    /// Encrypts the start of `text` and hands it over; 0 while an earlier part is not handed over.
    pub(super) fn write(&mut self, stream: &TcpStream, text: &[u8]) -> io::Result<usize> {
        self.flush(stream)?;
        if self.pending() {
            return Ok(0);
        }
        let taken = self.rustls.writer().write(text)?;
        self.text += taken as u64;
        self.flush(stream)?;
        Ok(taken)
    }

    /// Hands over what was encrypted, as much as the kernel takes.
    pub(super) fn flush(&mut self, stream: &TcpStream) -> io::Result<()> {
        while self.pending() {
            match self.rustls.write_tls(&mut Now(stream)) {
                Ok(bytes) => self.sent += bytes as u64,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error),
            }
        }
        if self.marks.back().is_none_or(|(sent, _)| *sent < self.sent) {
            self.marks.push_back((self.sent, self.text));
        }
        Ok(())
    }

    /// Whether something encrypted is not handed over yet.
    pub(super) fn pending(&self) -> bool {
        self.rustls.wants_write()
    }

    /// Bytes of text of which the peer's kernel has everything, when so many encrypted ones are outstanding.
    pub(super) fn acknowledged(&mut self, outstanding: u64) -> u64 {
        let arrived = self.sent.saturating_sub(outstanding);
        while let Some((_, text)) = self.marks.pop_front_if(|(sent, _)| *sent <= arrived) {
            self.passed = text;
        }
        self.passed
    }

    /// Tells the peer that nothing more will come; to be flushed.
    pub(super) fn close(&mut self) {
        self.rustls.send_close_notify();
    }

    /// Reads once, and throws away what the peer says. 0 at its end.
    pub(super) fn read(&mut self, stream: &TcpStream) -> io::Result<usize> {
        let bytes = self.rustls.read_tls(&mut Now(stream))?;
        if bytes > 0 {
            let state = self.rustls.process_new_packets().map_err(io::Error::other)?;
            let mut left = state.plaintext_bytes_to_read();
            let mut buffer = [0; 4096];
            while left > 0 {
                match self.rustls.reader().read(&mut buffer) {
                    Ok(0) | Err(_) => break,
                    Ok(read) => left = left.saturating_sub(read),
                }
            }
        }
        Ok(bytes)
    }
}

/// The connection as rustls wants it; whatever would have to wait fails.
struct Now<'a>(&'a TcpStream);

impl Read for Now<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        receive(self.0, buffer)
    }
}

impl Write for Now<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.try_write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
