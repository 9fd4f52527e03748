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

/// The pids of the workers that are leaving.
///
/// # Errors
/// The reply is another one.
pub(crate) fn leaving(reply: &str) -> Result<Vec<u32>, NoMaster> {
    let mut lines = reply.lines();
    let header = lines.next().unwrap_or_default();
    if !header.starts_with("#<PID>") {
        return Err(NoMaster(header.chars().take(80).collect()));
    }
    let mut pids = Vec::new();
    let mut leaving = false;
    for line in lines {
        if let Some(title) = line.strip_prefix('#') {
            leaving = title.trim() == "old workers";
            continue;
        }
        let mut words = line.split_whitespace();
        if let (true, Some(pid), Some("worker")) = (leaving, words.next(), words.next()) {
            pids.extend(pid.parse::<u32>().ok());
        }
    }
    Ok(pids)
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
        assert_eq!(leaving(reply), Ok(vec![23912, 23931]));
        assert_eq!(leaving("#<PID>  <type>\n1 master 0\n# workers\n2 worker 0\n\n"), Ok(vec![]));
        assert!(leaving("Unknown command: 'show proc'\n").is_err() && leaving("").is_err());
    }
}
