//! The faults. Each one begins, lets the world go on for a while, and is over when its function returns.

mod content;
mod directories;
pub mod disk;
mod graphite;
#[cfg(feature = "kafka")]
mod kafka;
mod page;
mod processes;
mod remote;
pub mod store;

pub use content::CONTENT;
pub use directories::DIRECTORIES;
pub use disk::DISK;
pub use graphite::GRAPHITE;
#[cfg(feature = "kafka")]
pub use kafka::KAFKA;
pub use page::PAGE;
pub use processes::PROCESSES;
pub use remote::REMOTE;
pub use store::STORE;

use crate::harness::output;
use crate::shortage::MEMORY;
use crate::world::World;
use std::process::Command;
use std::time::Duration;

/// What happens while a fault lasts: time goes by, or another fault.
pub type During<'a> = &'a mut dyn FnMut(&mut World);

/// Something that can go wrong.
#[derive(Clone, Copy)]
pub struct Fault {
    pub name: &'static str,
    /// Whether it needs the right to mount file systems.
    pub mounts: bool,
    /// Whether it needs strace, and the right to use it.
    pub traces: bool,
    pub inject: fn(&mut World, &'static str, During<'_>),
}

pub const fn fault(name: &'static str, inject: fn(&mut World, &'static str, During<'_>)) -> Fault {
    Fault { name, mounts: false, traces: false, inject }
}

pub const fn mounting(name: &'static str, inject: fn(&mut World, &'static str, During<'_>)) -> Fault {
    Fault { name, mounts: true, traces: false, inject }
}

const fn tracing(name: &'static str, inject: fn(&mut World, &'static str, During<'_>)) -> Fault {
    Fault { name, mounts: false, traces: true, inject }
}

/// Whether system calls of other processes can be made to fail here; else the reason.
pub fn can_trace() -> Result<(), String> {
    let mut strace = Command::new("strace");
    match output(strace.args(["-qq", "-o", "/dev/null", "-e", "trace=openat", "true"])) {
        Ok(output) if output.status.success() => Ok(()),
        Ok(output) => Err(String::from_utf8_lossy(&output.stderr).trim().to_owned()),
        Err(error) => Err(format!("strace: {error}")),
    }
}

/// All of them that any world can have.
pub fn all() -> Vec<Fault> {
    [PROCESSES, GRAPHITE, DIRECTORIES, DISK, CONTENT, PAGE, MEMORY].concat()
}

/// Time goes by, with snapshots.
pub fn time_goes_by(world: &mut World) {
    let time = world.rng.u64(100..700);
    world.go_on(Duration::from_millis(time), 12.0);
}

fn moment(world: &mut World, most: u64) {
    let time = world.rng.u64(0..most);
    world.go_on(Duration::from_millis(time), 30.0);
}

fn burst(world: &mut World, snapshots: usize) {
    for _ in 0..snapshots {
        world.feed_one();
    }
}
