//! One look at a program and what belongs to it.

use super::processes::{self, Scan};
use super::queue::Queue;
use super::reach::{self, Reach};
use super::services::{self, Answered};
use crate::config::{Config, Program, Source};
use crate::snapshot::group::Group;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// What is to be looked at besides the processes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Depth {
    /// Nothing.
    Processes,
    /// The directories as well.
    Directories,
    /// The ports of the agent, the sockets of pull and the destinations of process as well.
    Ports,
}

/// One look at a program and what belongs to it.
#[derive(Debug)]
pub(crate) struct Status {
    /// Which program.
    pub program: Program,
    /// Its configuration file.
    pub file: PathBuf,
    pub scan: io::Result<Scan>,
    /// The directories between pull and process, for these two.
    pub queue: Option<Queue>,
    /// The last known state of a member of a consumer group, and its age.
    pub group: Option<(Group, Duration)>,
    /// What pull has noted of its sockets, for pull.
    pub sockets: Vec<String>,
    /// The ports of the agent, for the agent.
    pub services: Vec<Answered>,
    /// The sockets of pull, and the destinations of process.
    pub reach: Vec<Reach>,
    /// What the configuration asks for.
    pub config: Config,
}

impl Status {
    /// Looks.
    pub(crate) fn take(program: Program, file: &Path, config: Config, depth: Depth) -> Self {
        let scan = processes::scan(Path::new("/proc"), program, file);
        let queue = match program {
            Program::Pull => Some(&config.pull.dst_dir),
            Program::Process => Some(&config.process.src_dir),
            _ => None,
        };
        let queue = queue.filter(|_| depth >= Depth::Directories).map(|directory| Queue::look(directory));
        let services = match program {
            Program::Agent if depth >= Depth::Ports => services::ask_all(&config.agent),
            _ => Vec::new(),
        };
        let sockets = match program {
            Program::Pull if depth >= Depth::Directories => crate::snapshot::stage::notes(&config.pull.dst_dir),
            _ => Vec::new(),
        };
        let is_member = program == Program::Process && config.process.source == Source::Kafka;
        let group = if is_member && depth >= Depth::Directories { Group::read(&config.process.src_dir) } else { None };
        let reach = if depth >= Depth::Ports { reach::look(program, &config) } else { Vec::new() };
        Self { program, file: file.to_owned(), scan, queue, group, sockets, services, reach, config }
    }

    /// Whether the program runs with this configuration.
    pub(crate) fn runs(&self) -> bool {
        self.scan.as_ref().is_ok_and(|scan| !scan.instances.is_empty())
    }
}
