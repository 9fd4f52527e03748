//! Bytes out of an archive, up to a bound: a few kilobytes can unpack to any number of gigabytes.

use std::io::{self, Read};

/// What any archive may unpack to.
const LEAST: u64 = 256 << 20;

/// A larger one may unpack to so many times its size. Statistics shrink to an eighth, those of many idle servers to a
/// hundredth.
const RATIO: u64 = 1000;

/// Bytes that an archive of this size may unpack to.
pub(super) fn bound(size: u64) -> u64 {
    size.saturating_mul(RATIO).max(LEAST)
}

/// Fails beyond the bound.
#[derive(Debug)]
pub(super) struct Bounded<R> {
    inner: R,
    left: u64,
    exceeded: bool,
}

impl<R> Bounded<R> {
    pub(super) fn new(inner: R, bytes: u64) -> Self {
        Self { inner, left: bytes, exceeded: false }
    }

    /// Whether there was more.
    pub(super) fn is_exceeded(&self) -> bool {
        self.exceeded
    }
}

impl<R: Read> Read for Bounded<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        match self.left.checked_sub(read as u64) {
            Some(left) => {
                self.left = left;
                Ok(read)
            }
            None => {
                self.exceeded = true;
                Err(io::Error::other("more than is allowed"))
            }
        }
    }
}
