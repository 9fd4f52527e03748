//! The CLI of HAProxy's master process (`-S`): which workers are leaving, and how they are asked.
//!
//! Tried with 2.6 to 3.4. `show proc` lists them below `# old workers`. `@!PID;COMMANDS` sends commands to the worker of this
//! pid; the master keeps the connection open until our side of it is shut.

/// The command that lists the processes.
pub(crate) const SHOW_PROC: &[u8] = b"show proc\n";

/// What sends a line of commands to a worker.
#[must_use]
pub(crate) fn ask(pid: u32, commands: &[u8]) -> Vec<u8> {
    [format!("@!{pid};").as_bytes(), commands].concat()
}

/// Why something is no list of processes.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the answer to \"show proc\" is {0:?}: this is not the CLI of HAProxy's master process (-S)")]
pub(crate) struct NoMaster(String);

/// What a master lists, by pid.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Processes {
    pub(crate) all: Vec<u32>,
    /// The workers that are leaving.
    pub(crate) leaving: Vec<u32>,
}

/// The processes in a reply to `show proc`.
///
/// # Errors
/// The reply is another one.
pub(crate) fn processes(reply: &str) -> Result<Processes, NoMaster> {
    let mut lines = reply.lines();
    let header = lines.next().unwrap_or_default();
    if !header.starts_with("#<PID>") {
        return Err(NoMaster(header.chars().take(80).collect()));
    }
    let mut processes = Processes::default();
    let mut leaving = false;
    for line in lines {
        if let Some(title) = line.strip_prefix('#') {
            leaving = title.trim() == "old workers";
            continue;
        }
        let mut words = line.split_whitespace();
        let Some(pid) = words.next().and_then(|pid| pid.parse().ok()) else { continue };
        processes.all.push(pid);
        if leaving && words.next() == Some("worker") {
            processes.leaving.push(pid);
        }
    }
    Ok(processes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn workers_that_leave_stand_below_their_title() {
        let reply = "#<PID>          <type>          <reloads>       <uptime>        <version>       \n\
                     23910           master          2               0d00h00m09s     2.6.12-1+deb12u4\n# workers\n\
                     23950           worker          0               0d00h00m01s     2.6.12-1+deb12u4\n# old workers\n\
                     23912           worker          2               0d00h00m09s     2.6.12-1+deb12u4\n\
                     23931           worker          1               0d00h00m05s     2.6.12-1+deb12u4\n# programs\n\
                     23900           worker          0               0d00h00m05s     -\n\n";
        let (all, leaving) = (vec![23910, 23950, 23912, 23931, 23900], vec![23912, 23931]);
        assert_eq!(processes(reply), Ok(Processes { all, leaving }));
        let reply = "#<PID>  <type>\n1 master 0\n# workers\n2 worker 0\n\n";
        assert_eq!(processes(reply), Ok(Processes { all: vec![1, 2], leaving: vec![] }));
        assert!(processes("Unknown command: 'show proc'\n").is_err() && processes("").is_err());
    }
}
