//! Starts workers: the same program again, with a hidden argument at the end of its command line.
//!
//! | descriptor in the worker | what it is |
//! |---|---|
//! | 0 | its end of the [`channel`] |
//! | 1, 2 | the parent's standard output and error: one log |
//! | the number after `--worker` | the configuration as text, in sealed memory |
//!
//! The rest of the command line is the parent's, so that counting processes by their arguments counts all.

use crate::process::wire::{WORKER, channel};
use nix::fcntl::{F_ADD_SEALS, FcntlArg, FdFlag, SealFlag, fcntl};
use nix::sys::memfd::{MFdFlags, memfd_create};
use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Write};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};

/// The executable of the calling process, even after the file was replaced by an upgrade.
const SELF: &str = "/proc/self/exe";

/// Why a worker could not be started.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SpawnError {
    /// There is no memory for the configuration.
    #[error("cannot pass the configuration to a worker")]
    Config(#[source] io::Error),
    /// The channel cannot be created.
    #[error("cannot open a channel to a worker")]
    Channel(#[source] io::Error),
    /// The process cannot be started.
    #[error("cannot start a worker")]
    Exec(#[source] io::Error),
}

/// What is the same for every worker.
#[derive(Debug)]
pub(crate) struct Spawner {
    arguments: Vec<OsString>,
    config: File,
}

impl Spawner {
    /// Prepares for workers with this configuration. `arguments` is the command line of the parent, its name first.
    ///
    /// # Errors
    /// There is no memory for the configuration.
    pub(crate) fn new(arguments: Vec<OsString>, config: &str) -> Result<Self, SpawnError> {
        Ok(Self { arguments, config: sealed(config).map_err(SpawnError::Config)? })
    }

    /// Starts a worker; returns the process and the parent's end of the channel.
    ///
    /// # Errors
    /// The system is short of memory, descriptors or processes.
    pub(crate) fn spawn(&self) -> Result<(Child, OwnedFd), SpawnError> {
        let (ours, theirs) = channel::pair().map_err(SpawnError::Channel)?;
        let mut command = Command::new(SELF);
        if let Some((name, rest)) = self.arguments.split_first() {
            command.arg0(name).args(rest);
        }
        command
            .arg(WORKER)
            .arg(self.config.as_raw_fd().to_string())
            .stdin(Stdio::from(theirs))
            // Read by polars when it is first used. More threads would only pass work back and forth.
            .env("POLARS_MAX_THREADS", "1")
            // Only the parent notifies systemd.
            .env_remove("NOTIFY_SOCKET")
            .env_remove("WATCHDOG_USEC")
            .env_remove("WATCHDOG_PID");
        // Inheritable for this one exec. Nothing else in this process executes programs, so no other program inherits it.
        inherit(&self.config, true).map_err(SpawnError::Config)?;
        let child = command.spawn();
        inherit(&self.config, false).map_err(SpawnError::Config)?;
        Ok((child.map_err(SpawnError::Exec)?, ours))
    }
}

fn sealed(text: &str) -> io::Result<File> {
    let memory = memfd_create("haproxystats.conf", MFdFlags::MFD_CLOEXEC | MFdFlags::MFD_ALLOW_SEALING)?;
    let mut file = File::from(memory);
    file.write_all(text.as_bytes())?;
    let all = SealFlag::F_SEAL_WRITE | SealFlag::F_SEAL_GROW | SealFlag::F_SEAL_SHRINK | SealFlag::F_SEAL_SEAL;
    fcntl(&file, F_ADD_SEALS(all))?;
    Ok(file)
}

fn inherit(file: &File, yes: bool) -> io::Result<()> {
    let flags = if yes { FdFlag::empty() } else { FdFlag::FD_CLOEXEC };
    fcntl(file, FcntlArg::F_SETFD(flags))?;
    Ok(())
}

/// The descriptor of the configuration, if the command line is that of a worker.
#[must_use]
pub(crate) fn worker_mode(arguments: &[OsString]) -> Option<i32> {
    match arguments {
        [_, .., mode, descriptor] if mode == WORKER => descriptor.to_str()?.parse().ok(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;

    fn line(words: &[&str]) -> Vec<OsString> {
        words.iter().map(OsString::from).collect()
    }

    #[test]
    fn only_the_end_of_the_command_line_makes_a_worker() {
        assert_eq!(worker_mode(&line(&["haproxystats-process", "--worker", "7"])), Some(7));
        assert_eq!(worker_mode(&line(&["haproxystats-process", "-f", "x", "--worker", "7"])), Some(7));
        for other in
            [&["--worker", "7"][..], &["p", "--worker"], &["p", "--worker", "x"], &["p", "--worker", "7", "-p"], &[]]
        {
            assert_eq!(worker_mode(&line(other)), None, "{other:?}");
        }
    }

    #[test]
    fn the_configuration_is_read_afresh_by_each_and_changed_by_none() {
        let mut ours = sealed("[process]\nworkers = 3\n").unwrap();
        for _ in 0..2 {
            let mut text = String::new();
            let path = format!("/proc/self/fd/{}", ours.as_raw_fd());
            File::open(path).unwrap().read_to_string(&mut text).unwrap();
            assert_eq!(text, "[process]\nworkers = 3\n");
        }
        assert!(ours.write_all(b"x").is_err());
    }
}
