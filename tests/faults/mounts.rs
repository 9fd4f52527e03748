//! File systems for tests.

use std::path::{Path, PathBuf};
use std::process::Command;

/// File systems to unmount at the end.
#[derive(Default)]
pub struct Mounts(Vec<PathBuf>);

impl Mounts {
    /// Runs mount(8) with these arguments; the last is the directory.
    pub fn mount(&mut self, arguments: &[&str], directory: &Path) -> Result<(), String> {
        let output =
            Command::new("mount").args(arguments).arg(directory).output().map_err(|error| error.to_string())?;
        if !output.status.success() {
            return Err(String::from_utf8_lossy(&output.stderr).trim().to_owned());
        }
        if !self.0.iter().any(|path| path == directory) {
            self.0.push(directory.to_owned());
        }
        Ok(())
    }

    pub fn unmount(&mut self, directory: &Path) {
        let _ = Command::new("umount").arg("-l").arg(directory).status();
        if let Some(at) = self.0.iter().rposition(|path| path == directory) {
            self.0.remove(at);
        }
    }
}

impl Drop for Mounts {
    fn drop(&mut self) {
        while let Some(directory) = self.0.pop() {
            let _ = Command::new("umount").arg("-l").arg(directory).status();
        }
    }
}

/// Whether file systems can be mounted here; else the reason.
pub fn can_mount() -> Result<(), String> {
    let directory = tempfile::tempdir().map_err(|error| error.to_string())?;
    Mounts::default().mount(&["-t", "tmpfs", "-o", "size=64k", "faults"], directory.path())
}
