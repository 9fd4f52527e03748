//! Which HAProxy process answers, from `show info`.

use std::fmt;

/// What tells one process from another, and from itself before a restart in a container, where the number is 1 again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ProcessId {
    /// `Pid`
    pub pid: u32,
    /// `Start_time_sec`, seconds since the epoch; 0 before HAProxy 2.4, which does not say it.
    pub started: u64,
}

/// The process behind a socket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Process {
    /// Its identity.
    pub id: ProcessId,
    /// `Version` as written.
    pub version: String,
    /// The first two numbers of `Version`.
    pub release: (u32, u32),
    /// `Uptime_sec`
    pub uptime: u64,
    /// Whether it is about to leave: the other process of a reload has its traffic.
    pub stopping: bool,
}

/// Why this is no `show info`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InfoError {
    /// A line that is needed is missing, or says nothing.
    #[error("the answer to \"show info\" has no {0}")]
    Missing(&'static str),
}

impl Process {
    /// Reads the reply to `show info`.
    ///
    /// # Errors
    /// It names no process or version.
    pub fn parse(reply: &str) -> Result<Self, InfoError> {
        let value =
            |name: &str| reply.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).map(str::trim);
        let number = |name: &str| value(name).and_then(|text| text.parse::<u64>().ok());
        let pid = value("Pid").and_then(|text| text.parse().ok()).ok_or(InfoError::Missing("Pid"))?;
        let version = value("Version").filter(|text| !text.is_empty()).ok_or(InfoError::Missing("Version"))?;
        Ok(Self {
            id: ProcessId { pid, started: number("Start_time_sec").unwrap_or(0) },
            version: version.to_owned(),
            release: release(version).ok_or(InfoError::Missing("Version"))?,
            uptime: number("Uptime_sec").unwrap_or(0),
            stopping: number("Stopping").unwrap_or(0) != 0,
        })
    }

    /// Whether this is another process than `before`. Where the start is not told, a shorter life tells it.
    #[must_use]
    pub fn replaces(&self, before: &Self) -> bool {
        self.id != before.id || self.uptime < before.uptime
    }

    /// Whether `add server` and `del server` work without `experimental-mode` (2.6 and later).
    #[must_use]
    pub(crate) fn has_dynamic_servers(&self) -> bool {
        self.release >= (2, 6)
    }
}

/// `2.6.12-1+deb12u4`, `3.5-dev2`
fn release(version: &str) -> Option<(u32, u32)> {
    let mut numbers = version.split(['.', '-', '+']);
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

impl fmt::Display for ProcessId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.pid.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn releases_1_8_to_3_4_are_read() {
        for (directory, release, started) in
            [("v1.8.0", (1, 8), false), ("v2.6.0", (2, 6), true), ("v3.4.0", (3, 4), true)]
        {
            let file = format!("{}/tests/data/samples/{directory}/show_info", env!("CARGO_MANIFEST_DIR"));
            let process = Process::parse(&std::fs::read_to_string(file).unwrap()).unwrap();
            assert_eq!(process.release, release);
            assert_eq!(process.id.started > 0, started);
            assert!(!process.stopping);
            assert_eq!(process.has_dynamic_servers(), release >= (2, 6));
        }
    }

    #[test]
    fn what_is_no_answer_is_refused() {
        assert_eq!(Process::parse("Permission denied\n\n"), Err(InfoError::Missing("Pid")));
        assert_eq!(Process::parse("Pid: 1\n\n"), Err(InfoError::Missing("Version")));
        assert_eq!(Process::parse("Pid: 1\nVersion: new\n\n"), Err(InfoError::Missing("Version")));
    }

    #[test]
    fn another_process_is_told_from_the_same_one() {
        let of = |text: &str| Process::parse(&format!("Version: 2.6.1\n{text}\n\n")).unwrap();
        let old = of("Pid: 7\nStart_time_sec: 100\nUptime_sec: 50");
        assert!(!of("Pid: 7\nStart_time_sec: 100\nUptime_sec: 51").replaces(&old));
        assert!(of("Pid: 8\nStart_time_sec: 150\nUptime_sec: 0").replaces(&old));
        assert!(of("Pid: 7\nStart_time_sec: 150\nUptime_sec: 0").replaces(&old));
        assert!(of("Pid: 1\nUptime_sec: 0").replaces(&of("Pid: 1\nUptime_sec: 9")));
    }
}
