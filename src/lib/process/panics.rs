//! Panics of a worker: logged like everything else, and remembered. Tokio confines a panic to its task; a worker whose
//! dispatcher died that way would go on and never deliver anything.

use std::any::Any;
use std::sync::atomic::{AtomicBool, Ordering};

static SEEN: AtomicBool = AtomicBool::new(false);

/// Logs panics and remembers them, from now on.
pub fn watch() {
    std::panic::set_hook(Box::new(|info| {
        SEEN.store(true, Ordering::Relaxed);
        let place = info.location().map(ToString::to_string).unwrap_or_default();
        tracing::error!(error = words(info.payload()), place, "panic: this is a defect of haproxystats");
    }));
}

/// Whether there was one since the last call.
pub fn seen() -> bool {
    SEEN.swap(false, Ordering::Relaxed)
}

/// What a panic said.
#[must_use]
pub fn words(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("without a message")
}
