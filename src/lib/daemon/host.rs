//! What a daemon takes from its host: a name, and as many open files as it may have.

use nix::sys::resource::{Resource, getrlimit, setrlimit};

/// What gethostname(2) says; empty where it fails.
#[must_use]
pub fn name() -> String {
    nix::unistd::gethostname().unwrap_or_default().to_string_lossy().into_owned()
}

/// Raises the limit of open files as far as it goes. Every connection is a file, and the usual limit of 1,024 is a relic of
/// select(2).
pub(crate) fn raise_open_files() {
    let raised =
        getrlimit(Resource::RLIMIT_NOFILE).and_then(|(_, hard)| setrlimit(Resource::RLIMIT_NOFILE, hard, hard));
    if let Err(error) = raised {
        tracing::debug!(%error, "cannot raise the limit of open files");
    }
}
