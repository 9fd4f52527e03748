//! When to read from a socket: seldom, and much at once.

use crate::haproxy::socket::Stream;
use std::io;
use std::time::Duration;
use tokio::time::timeout;

/// A socket is left alone until HAProxy has written this much, or all. One of many sockets gets a piece of 16 KiB at a
/// time; reading and writing four of them at once costs little more than one. Less than half of what a UNIX socket
/// holds, so that HAProxy does not wait for us.
const GATHER: usize = 48 << 10;
/// What has come is read after this time, even if it is less, and no more than that is waited for from then on: either
/// HAProxy is slow, or the socket holds less than usual.
const GATHER_LIMIT: Duration = Duration::from_millis(100);
/// See the module.
#[derive(Debug)]
pub(super) struct Gathering {
    least: usize,
}

impl Default for Gathering {
    fn default() -> Self {
        Self { least: GATHER }
    }
}

impl Gathering {
    /// Waits until reading is worth while; returns whether there is as much as was waited for.
    pub(super) async fn wait(&self, stream: &Stream) -> io::Result<bool> {
        stream.readable().await?;
        // What is wrong shows when reading.
        Ok(timeout(GATHER_LIMIT, stream.gathered(self.least)).await.is_ok())
    }

    /// So much was read.
    pub(super) fn took(&mut self, length: usize, gathered: bool) {
        if !gathered {
            self.least = self.least.min(length);
        }
    }
}
