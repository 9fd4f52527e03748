//! How the bodies of requests are compressed, and the way back.

use super::gzip::gzip;
use super::request::Protocol;
use flate2::read::GzDecoder;
use std::io::Read;

/// How a body is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compression {
    /// Not at all.
    None,
    /// gzip.
    Gzip,
    /// snappy, one block without a frame.
    Snappy,
}

impl Compression {
    /// What a protocol has: remote write is compressed whatever `compress` says.
    #[must_use]
    pub const fn of(protocol: Protocol, compress: bool) -> Self {
        match (protocol, compress) {
            (Protocol::RemoteWrite, _) => Self::Snappy,
            (Protocol::Otlp, true) => Self::Gzip,
            (Protocol::Otlp, false) => Self::None,
        }
    }

    /// The value of `Content-Encoding`.
    #[must_use]
    pub const fn word(self) -> Option<&'static str> {
        match self {
            Self::None => None,
            Self::Gzip => Some("gzip"),
            Self::Snappy => Some("snappy"),
        }
    }

    /// Compresses a message by a search for what repeats. The encoder of remote write, which knows that, does without it, except
    /// for the halves of a request.
    #[must_use]
    pub fn compress(self, message: &[u8]) -> Vec<u8> {
        match self {
            Self::None => message.to_vec(),
            Self::Gzip => gzip(message),
            // It fails on more than four gigabytes alone.
            Self::Snappy => snap::raw::Encoder::new().compress_vec(message).unwrap_or_default(),
        }
    }

    /// What was compressed; `None` where it is not whole.
    #[must_use]
    pub fn decompress(self, body: &[u8]) -> Option<Vec<u8>> {
        match self {
            Self::None => Some(body.to_vec()),
            Self::Gzip => {
                let mut message = Vec::new();
                GzDecoder::new(body).read_to_end(&mut message).ok().map(|_| message)
            }
            Self::Snappy => snap::raw::Decoder::new().decompress_vec(body).ok(),
        }
    }
}
