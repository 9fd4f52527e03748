//! Short naps while replies flow in.
//!
//! HAProxy writes a long reply 16 KiB at a time, a quarter of a millisecond apart, and every piece wakes a reader that
//! waits in epoll. These wake-ups are the greater part of what a pull costs us, and HAProxy pays for each as well. So
//! the thread sleeps for a moment before it waits: the pieces of all sockets gather in the kernel, and one wake-up
//! serves them. A pause in the task of a socket would not do, since epoll wakes the thread all the same.
//!
//! Measured on a reply of 4.8 MB: 372 waits without naps, 116 with, and a third less CPU time; HAProxy is not slower.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// Length of a nap. HAProxy fills some 80 KiB of the 208 KiB of a UNIX socket meanwhile; at 4 ms it has to wait for us.
const NAP: Duration = Duration::from_millis(1);

/// Shared by the event loop, which naps, and the rounds, during which it does.
#[derive(Debug, Clone, Default)]
pub(crate) struct Pace(Arc<AtomicBool>);

/// While this lives, the event loop naps before it waits.
#[derive(Debug)]
pub(crate) struct Flow<'a>(&'a Pace);

impl Pace {
    /// To be called when the event loop is about to wait.
    pub(crate) fn before_wait(&self) {
        if self.0.load(Ordering::Relaxed) {
            std::thread::sleep(NAP);
        }
    }

    /// Replies are expected from now on.
    #[must_use]
    pub(crate) fn flow(&self) -> Flow<'_> {
        self.0.store(true, Ordering::Relaxed);
        Flow(self)
    }
}

impl Drop for Flow<'_> {
    fn drop(&mut self) {
        self.0.0.store(false, Ordering::Relaxed);
    }
}
