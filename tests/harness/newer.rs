//! Newer versions of HAProxy than Debian's, which `scripts/newer-haproxy` unpacks and finds.

use super::{debian, leave_out};
use std::path::PathBuf;
use std::process::Command;

/// All that the script knows, oldest first.
pub const NEWER: [&str; 4] = ["2.8", "3.0", "3.2", "3.4"];

/// A HAProxy that can be started.
#[derive(Debug, Clone)]
pub struct Haproxy {
    /// The program; it may start itself again, as `-W` does.
    pub program: PathBuf,
    /// What it says of itself, such as `(3, 4)`. A test that needs a feature asks this: a package may be newer than the
    /// name under which it was unpacked.
    pub version: (u32, u32),
}

impl Haproxy {
    #[track_caller]
    fn of(program: PathBuf) -> Self {
        let output = super::output(Command::new(&program).arg("-v"));
        let output = output.unwrap_or_else(|error| panic!("{}: {error}", program.display()));
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let number = text.split_whitespace().find(|word| word.starts_with(|c: char| c.is_ascii_digit()));
        let mut parts = number.unwrap_or_default().split(['.', '-']).map(|part| part.parse().unwrap_or_default());
        let version = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
        assert!(version > (1, 0), "{} -v: {text}", program.display());
        Self { program, version }
    }

    /// Ready for arguments.
    pub fn command(&self) -> Command {
        Command::new(&self.program)
    }
}

/// HAProxy of the distribution: 2.6 in Debian 12.
#[track_caller]
pub fn own_haproxy() -> Haproxy {
    Haproxy::of(debian("haproxy"))
}

/// One of [`NEWER`], or a later one in its place. `None`, with a word about it, where it is not unpacked; where nothing may
/// be left out, the test fails instead.
#[track_caller]
pub fn newer_haproxy(version: &str) -> Option<Haproxy> {
    let script = super::root().join("scripts/newer-haproxy");
    let output = super::output(Command::new(script).args(["--find", version])).expect("scripts/newer-haproxy runs");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    match text.trim().split_once(' ') {
        Some((_, program)) => Some(Haproxy::of(program.into())),
        None => {
            leave_out("what needs it", format!("HAProxy {version} is not there; ./test packages unpacks it"));
            None
        }
    }
}

/// Debian's and all newer ones that are there, oldest first.
#[track_caller]
pub fn haproxies() -> Vec<Haproxy> {
    std::iter::once(own_haproxy()).chain(NEWER.iter().filter_map(|version| newer_haproxy(version))).collect()
}
