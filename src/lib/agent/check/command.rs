//! A program: its exit code, and the first line of its output as the reason. Plug-ins of Nagios fit.
//!
//! What decides is the exit of the program itself. What it leaves running in the background may hold its output open for
//! as long as it likes, and is left alone.

use super::interface::{Check, Checking};
use crate::agent::finding::{Failure, Finding};
use crate::haproxy::answer::{Answer, State};
use nix::sys::signal::{Signal, killpg};
use nix::unistd::{AccessFlags, Pid, access};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;
use tokio::io::AsyncReadExt;
use tokio::process::{self, ChildStdout};
use tokio::time::timeout;

/// Most bytes of output that are read.
const OUTPUT: usize = 4096;

/// How long the output is waited for after the program has ended. All that it wrote is in the pipe by then; what keeps
/// the pipe open longer is another process.
const LEFTOVERS: Duration = Duration::from_millis(20);

/// Whether a program can be started by this name, as the system looks for it: along `PATH`, unless there is a slash in it.
///
/// # Errors
/// In words, why not.
pub(crate) fn find_program(name: &str) -> Result<PathBuf, String> {
    let runs = |path: &Path| {
        if !std::fs::metadata(path).map_err(|error| error.to_string())?.is_file() {
            return Err("not a file".to_owned());
        }
        access(path, AccessFlags::X_OK).map_err(|error| error.desc().to_owned())
    };
    if name.contains('/') {
        let path = PathBuf::from(name);
        return runs(&path).map_err(|reason| format!("{name} cannot be started: {reason}")).map(|()| path);
    }
    let search = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&search).map(|directory| directory.join(name)).find(|path| runs(path).is_ok());
    found.ok_or_else(|| format!("{name} is not in PATH; write the full path of the program"))
}

/// Reads what a program prints, keeping its beginning.
async fn collect(stdout: &mut ChildStdout, output: &mut Vec<u8>) {
    let mut buffer = [0; OUTPUT];
    // What cannot be read is no reason to give.
    while let Ok(count @ 1..) = stdout.read(&mut buffer).await {
        let room = OUTPUT - output.len();
        output.extend(buffer.iter().take(count.min(room)));
    }
}

/// The program and what it started, all of which end when the check is given up.
struct Group(Option<Pid>);

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(leader) = self.0 {
            // An empty group is what there should be.
            let _ = killpg(leader, Signal::SIGKILL);
        }
    }
}

/// A program and its arguments; no shell is between.
pub(super) struct Command {
    words: Vec<String>,
    warning_weight: u8,
}

impl Command {
    pub(super) fn new(words: Vec<String>, warning_weight: u8) -> Self {
        Self { words, warning_weight }
    }

    async fn run(&self) -> Finding {
        let failed = |reason: String| Finding::Failure(Failure::Error, reason);
        let Some((program, arguments)) = self.words.split_first() else { return failed("no program".to_owned()) };
        let mut command = process::Command::new(program);
        command.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
        // A group of its own, so that what the program starts ends with it.
        command.process_group(0).kill_on_drop(true);
        let mut child = match command.spawn() {
            Ok(child) => child,
            Err(error) => return failed(format!("{program}: {error}")),
        };
        let mut group = Group(child.id().and_then(|id| i32::try_from(id).ok()).map(Pid::from_raw));
        let mut output = Vec::with_capacity(OUTPUT);
        let ended = match child.stdout.take() {
            None => child.wait().await,
            Some(mut stdout) => {
                let ended = {
                    let reading = collect(&mut stdout, &mut output);
                    tokio::pin!(reading);
                    tokio::select! {
                        ended = child.wait() => Some(ended),
                        () = &mut reading => None,
                    }
                };
                match ended {
                    // It has closed its output, and goes on.
                    None => child.wait().await,
                    Some(ended) => {
                        group.0 = None;
                        let _ = timeout(LEFTOVERS, collect(&mut stdout, &mut output)).await;
                        ended
                    }
                }
            }
        };
        // It is gone, and its number may soon be another's.
        group.0 = None;
        match ended {
            Ok(status) => self.meaning(status.code(), &output),
            Err(error) => failed(format!("{program}: {error}")),
        }
    }

    /// Exit code (none: ended by a signal) and output to what they mean.
    fn meaning(&self, code: Option<i32>, output: &[u8]) -> Finding {
        let text = String::from_utf8_lossy(output);
        // What follows a bar is performance data.
        let line = text.lines().next().unwrap_or_default().split('|').next().unwrap_or_default().trim();
        match code {
            Some(0) => Finding::Answer(Answer::of(State::Up, line)),
            Some(1) => Finding::Answer(Answer { weight: self.warning_weight, ..Answer::of(State::Up, line) }),
            Some(2) => Finding::Answer(Answer::of(State::Down, line)),
            Some(code) => Finding::Failure(Failure::Error, format!("exit code {code}: {line}")),
            None => Finding::Failure(Failure::Error, "the program was killed by a signal".to_owned()),
        }
    }
}

impl Check for Command {
    fn name(&self) -> &'static str {
        "command"
    }

    fn check(&self) -> Checking<'_> {
        Box::pin(self.run())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn run(words: &[&str]) -> Finding {
        Command::new(words.iter().map(|word| (*word).to_owned()).collect(), 40).run().await
    }

    #[tokio::test(flavor = "current_thread")]
    async fn exit_codes_as_nagios_has_them() {
        let of = |code: u8| format!("echo 'DISK $HOME | x=1'; echo more; exit {code}");
        let up = Answer::of(State::Up, "DISK $HOME");
        assert_eq!(run(&["sh", "-c", &of(0)]).await, Finding::Answer(up.clone()));
        assert_eq!(run(&["sh", "-c", &of(1)]).await, Finding::Answer(Answer { weight: 40, ..up.clone() }));
        assert_eq!(run(&["sh", "-c", &of(2)]).await, Finding::Answer(Answer { state: State::Down, ..up }));
        for code in [3, 77] {
            assert!(matches!(run(&["sh", "-c", &of(code)]).await, Finding::Failure(Failure::Error, _)));
        }
        assert!(matches!(run(&["sh", "-c", "kill -9 $$"]).await, Finding::Failure(Failure::Error, _)));
        assert!(matches!(run(&["/no/such/program"]).await, Finding::Failure(Failure::Error, _)));
    }

    #[tokio::test(flavor = "current_thread")]
    async fn what_the_program_started_ends_with_it_at_the_time_out() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("pid");
        let script = format!("sh -c 'sleep 1000 & echo $! >{0}; sleep 1000' & sleep 1000", file.display());
        let command = Command::new(["sh", "-c", &script].map(str::to_owned).to_vec(), 40);
        let running = tokio::time::timeout(std::time::Duration::from_secs(2), command.run());
        assert!(running.await.is_err());
        let pid: i32 = std::fs::read_to_string(&file).unwrap().trim().parse().unwrap();
        let alive = || {
            let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
            stat.rsplit(')').next().is_some_and(|rest| !rest.is_empty() && !rest.starts_with(" Z"))
        };
        for _ in 0..1000 {
            if !alive() {
                return;
            }
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
        panic!("{pid} is alive");
    }

    #[tokio::test(flavor = "current_thread")]
    async fn what_runs_on_in_the_background_keeps_nobody_waiting_and_is_left_alone() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("pid");
        for (code, state) in [(0, State::Up), (2, State::Down)] {
            let script = format!("sleep 1000 & echo $! >{}; echo 'OK - well | x=1'; exit {code}", file.display());
            let command = Command::new(["sh", "-c", &script].map(str::to_owned).to_vec(), 40);
            let found = tokio::time::timeout(Duration::from_secs(30), command.run()).await.unwrap();
            let pid: i32 = std::fs::read_to_string(&file).unwrap().trim().parse().unwrap();
            nix::sys::signal::kill(Pid::from_raw(pid), Signal::SIGKILL).unwrap();
            assert_eq!(found, Finding::Answer(Answer::of(state, "OK - well")));
        }
    }

    #[test]
    fn programs_are_found_as_the_system_finds_them() {
        for good in ["sh", "/bin/sh"] {
            assert!(find_program(good).is_ok(), "{good}");
        }
        for (wrong, words) in [
            ("/no/such/program", "No such file"),
            ("/etc/passwd", "Permission denied"),
            ("/etc", "not a file"),
            ("no-such-program", "is not in PATH"),
        ] {
            let reason = find_program(wrong).unwrap_err();
            assert!(reason.starts_with(wrong) && reason.contains(words), "{reason}");
        }
    }

    #[tokio::test(flavor = "current_thread")]
    async fn output_without_end_is_not_kept() {
        let found = run(&["sh", "-c", "head -c 1000000 /dev/zero | tr '\\0' x"]).await;
        let Finding::Answer(answer) = found else { panic!("{found:?}") };
        assert_eq!(answer.reason.len(), 4096);
    }
}
