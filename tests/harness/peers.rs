//! Programs of others that a test needs, and what happens where they are missing.

use std::path::{Path, PathBuf};

/// Where a program lies. On a developer's machine a test may go without it and says so; where
/// `HAPROXYSTATS_REQUIRE_PEERS` or `CI` is set, it fails.
#[track_caller]
pub fn peer(program: &str) -> Option<PathBuf> {
    // Debian's own come first: they fit each other, whatever else PATH has.
    let own = ["/usr/bin", "/usr/sbin", "/bin", "/sbin"].map(PathBuf::from);
    let path = std::env::var_os("PATH").unwrap_or_default();
    let directories = own.into_iter().chain(std::env::split_paths(&path));
    let found = directories.map(|directory| directory.join(program)).find(|file| file.exists());
    if found.is_none() {
        missing(program);
    }
    found
}

/// Says that something is not installed; fails where nothing may be skipped.
#[track_caller]
pub fn missing(what: impl AsRef<Path>) {
    let required = ["HAPROXYSTATS_REQUIRE_PEERS", "CI"].iter().any(|name| std::env::var_os(name).is_some());
    let what = what.as_ref().display();
    assert!(!required, "{what} is not installed; `./test packages` installs it");
    eprintln!("skipped: {what} is not installed; `./test packages` installs it");
}
