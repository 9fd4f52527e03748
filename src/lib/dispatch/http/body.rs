//! Request bodies, which the encoders deliver compressed, and how to divide one into two.

use crate::batch::messages::Message;
use crate::prometheus::compression::Compression;
use crate::prometheus::request::{self, Protocol};
use hyper::body::Bytes;

/// Protocol and compression of bodies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Format {
    pub(super) protocol: Protocol,
    /// Ignored by remote write, which is always compressed.
    pub(super) compress: bool,
}

/// The body of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Body {
    /// The bytes to send, compressed.
    pub(super) bytes: Bytes,
    /// Number of samples in it.
    pub(super) samples: usize,
}

impl Format {
    /// How bodies are compressed.
    pub(super) const fn compression(self) -> Compression {
        Compression::of(self.protocol, self.compress)
    }

    /// Two bodies with the samples of this one; `None` where it cannot be divided.
    pub(super) fn halves(self, body: &Body) -> Option<[Body; 2]> {
        let (one, other) = request::halves(self.protocol, &self.decode(body)?)?;
        Some([one, other].map(|half| self.body(&half)))
    }

    /// A body for this message, compressed.
    pub(super) fn body(self, message: &[u8]) -> Body {
        let samples = request::samples(self.protocol, message);
        Body { bytes: self.compression().compress(message).into(), samples }
    }

    /// Bodies for this message, of at most `most` bytes before compression where it can be divided.
    pub(super) fn bodies(self, message: Message<'_>, most: Option<usize>) -> Vec<Body> {
        let body = Body { bytes: Bytes::copy_from_slice(message.payload), samples: message.samples };
        match most {
            Some(most) => self.within(body, most),
            None => vec![body],
        }
    }

    fn within(self, body: Body, most: usize) -> Vec<Body> {
        match Some(&body).filter(|body| self.length(body) > most).and_then(|body| self.halves(body)) {
            Some(halves) => halves.into_iter().flat_map(|half| self.within(half, most)).collect(),
            None => vec![body],
        }
    }

    /// Number of bytes before compression.
    pub(super) fn length(self, body: &Body) -> usize {
        self.decode(body).map_or(body.bytes.len(), |message| message.len())
    }

    /// The samples as text, one per line.
    pub(super) fn text(self, body: &Body) -> String {
        self.decode(body).map(|message| request::text(self.protocol, &message)).unwrap_or_default()
    }

    fn decode(self, body: &Body) -> Option<Vec<u8>> {
        self.compression().decompress(&body.bytes)
    }
}
