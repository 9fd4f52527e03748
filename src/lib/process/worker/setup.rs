//! How a worker begins: what it gets from its parent.

use super::error::WorkerError;
use crate::config::{Config, Program, load};
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

/// The name by which tools that look at names see this process: that of the program, not that of the link through
/// which it was started.
pub(super) fn name_process() {
    let name = std::env::args_os().next().map(PathBuf::from);
    let name =
        name.as_deref().and_then(Path::file_name).and_then(|name| name.to_str()).unwrap_or(env!("CARGO_PKG_NAME"));
    // The kernel cuts it to 15 bytes.
    if let Ok(name) = std::ffi::CString::new(name) {
        let _ = nix::sys::prctl::set_name(&name);
    }
}

/// The channel arrives as standard input; a copy is taken, closed on exec, and the original replaced.
pub(super) fn take_channel() -> Result<OwnedFd, WorkerError> {
    use nix::sys::socket::{SockType, getsockopt, sockopt};
    let stdin = io::stdin();
    match getsockopt(&stdin, sockopt::SockType) {
        Ok(SockType::SeqPacket) => {}
        _ => return Err(WorkerError::NoChannel),
    }
    let end = stdin.as_fd().try_clone_to_owned().map_err(WorkerError::SetUp)?;
    let null = File::open("/dev/null").map_err(WorkerError::SetUp)?;
    nix::unistd::dup2_stdin(null).map_err(|errno| WorkerError::SetUp(errno.into()))?;
    Ok(end)
}

pub(super) fn read_config(descriptor: i32) -> Result<Config, WorkerError> {
    let mut text = String::new();
    // Opened again, since the position in the parent's descriptor is shared by all workers.
    File::open(format!("/proc/self/fd/{descriptor}"))
        .and_then(|mut file| file.read_to_string(&mut text))
        .map_err(WorkerError::Config)?;
    let _ = nix::unistd::close(descriptor);
    match load::from_text(Program::Process, &text, "the parent's configuration") {
        Ok(loaded) => Ok(loaded.config),
        Err(refused) => {
            let errors: Vec<String> = refused.report.errors.iter().map(ToString::to_string).collect();
            Err(WorkerError::Refused(errors.join("; ")))
        }
    }
}
