//! Work that blocks, done aside: a short-lived thread of its own.
//!
//! Not tokio's pool of blocking threads: that keeps threads alive after their work, and a runtime that ends waits for
//! them, even for one that is stuck in a name server that does not answer or a disk that hangs.

use std::io;
use tokio::sync::oneshot;

/// Runs `work` on a thread called `name`. The receiver gets its result, or an error if the work panicked.
pub(crate) fn run<T: Send + 'static>(
    name: &str,
    work: impl FnOnce() -> T + Send + 'static,
) -> io::Result<oneshot::Receiver<T>> {
    let (sender, receiver) = oneshot::channel();
    std::thread::Builder::new().name(name.to_owned()).spawn(move || {
        // Nobody waits any more when the dispatcher is gone.
        let _ = sender.send(work());
    })?;
    Ok(receiver)
}
