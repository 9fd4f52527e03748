//! Panics of a worker: logged like everything else, and remembered. Tokio confines a panic to its task; a worker whose
//! dispatcher died that way would go on and never deliver anything.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Poll;

static SEEN: AtomicBool = AtomicBool::new(false);

/// Logs panics and remembers them, from now on.
pub(crate) fn watch() {
    std::panic::set_hook(Box::new(|info| {
        SEEN.store(true, Ordering::Relaxed);
        let place = info.location().map(ToString::to_string).unwrap_or_default();
        tracing::error!(error = words(info.payload()), place, "panic: this is a bug in haproxystats");
    }));
}

/// Whether there was one since the last call.
pub(crate) fn seen() -> bool {
    SEEN.swap(false, Ordering::Relaxed)
}

/// What a panic said.
#[must_use]
pub(crate) fn words(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("without a message")
}

/// What a future comes to, or what it panics with: what it was working on is not to be trusted then.
///
/// # Errors
/// The payload of the panic.
pub(crate) async fn caught<T>(future: impl Future<Output = T>) -> Result<T, Box<dyn Any + Send>> {
    let mut future = pin!(future);
    std::future::poll_fn(|context| match catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(context))) {
        Ok(Poll::Pending) => Poll::Pending,
        Ok(Poll::Ready(value)) => Poll::Ready(Ok(value)),
        Err(panic) => Poll::Ready(Err(panic)),
    })
    .await
}
