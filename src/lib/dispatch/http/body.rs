//! Bodies of requests: how they are compressed, and how one becomes two.

use crate::prometheus::request::{self, Protocol};
use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use hyper::body::Bytes;
use std::cell::RefCell;
use std::io::{Read, Write};

/// How bodies are made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Format {
    pub(super) protocol: Protocol,
    /// Remote write is compressed whatever this says.
    pub(super) compress: bool,
}

/// A body that is sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Body {
    /// As it is sent.
    pub(super) bytes: Bytes,
    /// Samples in it.
    pub(super) samples: usize,
}

impl Format {
    /// A body from what it says.
    pub(super) fn body(self, message: &[u8]) -> Body {
        Body { bytes: self.encode(message).into(), samples: request::samples(self.protocol, message) }
    }

    /// The value of `Content-Encoding`.
    pub(super) fn encoding(self) -> Option<&'static str> {
        match self.protocol {
            Protocol::RemoteWrite => Some("snappy"),
            Protocol::Otlp => self.compress.then_some("gzip"),
        }
    }

    /// Two bodies with the samples of this one, and a text in place of it where it cannot be divided.
    pub(super) fn halves(self, body: &Body) -> Option<[Body; 2]> {
        let (one, other) = request::halves(self.protocol, &self.decode(&body.bytes)?)?;
        Some([self.body(&one), self.body(&other)])
    }

    /// Bodies of at most so many bytes before compression, as far as that is possible.
    pub(super) fn bodies(self, message: &[u8], most: Option<usize>) -> Vec<Body> {
        match most.filter(|most| message.len() > *most).and_then(|_| request::halves(self.protocol, message)) {
            None => vec![self.body(message)],
            Some((one, other)) => [one, other].iter().flat_map(|half| self.bodies(half, most)).collect(),
        }
    }

    /// How many bytes a body has before compression.
    pub(super) fn length(self, body: &Body) -> usize {
        self.decode(&body.bytes).map_or(body.bytes.len(), |message| message.len())
    }

    /// What a body says, a line for each sample.
    pub(super) fn text(self, body: &Body) -> String {
        self.decode(&body.bytes).map(|message| request::text(self.protocol, &message)).unwrap_or_default()
    }

    fn encode(self, message: &[u8]) -> Vec<u8> {
        match self.protocol {
            Protocol::RemoteWrite => snappy(message),
            Protocol::Otlp if self.compress => gzip(message),
            Protocol::Otlp => message.to_vec(),
        }
    }

    fn decode(self, bytes: &[u8]) -> Option<Vec<u8>> {
        match self.protocol {
            Protocol::RemoteWrite => snap::raw::Decoder::new().decompress_vec(bytes).ok(),
            Protocol::Otlp if self.compress => {
                let mut message = Vec::new();
                GzDecoder::new(bytes).read_to_end(&mut message).ok().map(|_| message)
            }
            Protocol::Otlp => Some(bytes.to_vec()),
        }
    }
}

thread_local! {
    /// What compresses, and the room that it wants: several times what comes out.
    static SNAPPY: RefCell<(snap::raw::Encoder, Vec<u8>)> = RefCell::new((snap::raw::Encoder::new(), Vec::new()));
}

fn snappy(message: &[u8]) -> Vec<u8> {
    SNAPPY.with_borrow_mut(|(encoder, room)| {
        let most = snap::raw::max_compress_len(message.len());
        if room.len() < most {
            room.resize(most, 0);
        }
        // It fails on more than four gigabytes alone.
        let length = encoder.compress(message, room).unwrap_or_default();
        room.get(..length).unwrap_or_default().to_vec()
    })
}

fn gzip(message: &[u8]) -> Vec<u8> {
    // Names repeat from one sample to the next: the fastest level finds nearly all of that.
    let mut encoder = GzEncoder::new(Vec::with_capacity(message.len() / 8), Compression::fast());
    // Writing to memory does not fail.
    let _ = encoder.write_all(message);
    encoder.finish().unwrap_or_default()
}
