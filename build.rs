//! Tells the programs which commit they are made of. Release builds alone ask git, so that a commit does not compile
//! a developer's tree anew.

use std::path::{Path, PathBuf};
use std::process::Command;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-env-changed=HAPROXYSTATS_COMMIT");
    println!("cargo::rustc-env=HAPROXYSTATS_BUILD={}", build());
}

/// What `--version` says beside version and features; empty when nothing is known.
fn build() -> String {
    let given = std::env::var("HAPROXYSTATS_COMMIT").ok().filter(|commit| !commit.is_empty());
    if given.is_none() && std::env::var("PROFILE").as_deref() != Ok("release") {
        return "debug build".to_owned();
    }
    match given.or_else(packaged).or_else(checked_out) {
        Some(commit) => format!("commit {commit}"),
        None => String::new(),
    }
}

/// The commit that `cargo package` has noted beside the source.
fn packaged() -> Option<String> {
    let note = std::fs::read_to_string(".cargo_vcs_info.json").ok()?;
    let (_, rest) = note.split_once("\"sha1\": \"")?;
    rest.split('"').next().filter(|commit| is_commit(commit)).map(|commit| commit.chars().take(12).collect())
}

/// The commit of the working tree. A source without git, unpacked below somebody else's repository, has none.
fn checked_out() -> Option<String> {
    let here = Path::new(".").canonicalize().ok()?;
    let top = PathBuf::from(git(&["rev-parse", "--show-toplevel"])?).canonicalize().ok()?;
    if here != top {
        return None;
    }
    // It gets a line with each commit and each checkout.
    let log = git(&["rev-parse", "--git-path", "logs/HEAD"]).filter(|log| Path::new(log).exists());
    let head = || git(&["rev-parse", "--git-path", "HEAD"]);
    println!("cargo::rerun-if-changed={}", log.or_else(head)?);
    git(&["rev-parse", "--short=12", "HEAD"]).filter(|commit| is_commit(commit))
}

fn is_commit(text: &str) -> bool {
    text.len() >= 12 && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// The first line that git prints; `None` without git, outside of a repository, or in one that git does not trust.
fn git(arguments: &[&str]) -> Option<String> {
    let output = Command::new("git").args(arguments).output().ok().filter(|output| output.status.success())?;
    let text = String::from_utf8(output.stdout).ok()?;
    text.lines().next().map(str::to_owned)
}
