//! The last answers of the services on disk, for the agent that is started next.
//!
//! ```text
//! {"boot":"5f2b…","services":{"web":{"state":"up","weight":80,"at":4711.5,"stopped":false}}}
//! ```
//!
//! `at` is a moment of the clock that begins with the boot of the host (`/proc/uptime`): setting the wall clock makes
//! no answer older or younger, and what was true before a reboot is not read. The file is replaced as a whole. Nothing
//! is flushed to the disk: after a crash of the host its content is void anyway.

use crate::haproxy::answer::{Answer, State};
use serde_json::{Map, Value, json};
use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Name of the file in the directory that systemd makes.
const NAME: &str = "state.json";
/// Where the kernel tells how long it has been up, and which boot this is.
const UPTIME: &str = "/proc/uptime";
const BOOT: &str = "/proc/sys/kernel/random/boot_id";
/// How exact the time of an answer is on disk. The file of an idle agent is written this often.
const GRAIN: Duration = Duration::from_secs(5);
/// Largest file that is read, bytes: some ten thousand services.
const LARGEST: u64 = 1 << 20;

/// What a service said last.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Past {
    /// State and weight; the reason is not kept.
    pub(super) answer: Answer,
    /// When it was found.
    pub(super) since: Instant,
    /// `stop-response` was answered after it.
    pub(super) stopped: bool,
}

impl Past {
    /// The answer, as it is given again.
    pub(super) fn again(&self) -> Answer {
        Answer { reason: "as before the restart".to_owned(), ..self.answer.clone() }
    }
}

#[derive(Debug)]
pub(super) struct Memory {
    path: Option<PathBuf>,
    /// As it was written last.
    written: RefCell<String>,
    /// Whether the log has it that the file cannot be written.
    complained: Cell<bool>,
}

/// The file for the answers: the one that is configured, otherwise one in the directory that systemd makes for the
/// program (`RuntimeDirectory=`), otherwise none.
fn place(configured: Option<&Path>) -> Option<PathBuf> {
    let made = || {
        let directories = std::env::var_os("RUNTIME_DIRECTORY")?;
        // Several are separated by colons.
        std::env::split_paths(&directories).find(|path| path.is_absolute()).map(|path| path.join(NAME))
    };
    configured.map(Path::to_owned).or_else(made)
}

/// Time since the boot of the host, and the name of that boot.
fn boot_clock() -> io::Result<(Duration, String)> {
    let wrong = || io::Error::new(io::ErrorKind::InvalidData, UPTIME);
    let uptime = fs::read_to_string(UPTIME)?;
    let seconds: f64 = uptime.split(' ').next().and_then(|word| word.parse().ok()).ok_or_else(wrong)?;
    let up = Duration::try_from_secs_f64(seconds).map_err(|_| wrong())?;
    Ok((up, fs::read_to_string(BOOT)?.trim().to_owned()))
}

impl Memory {
    pub(super) fn open(configured: Option<&Path>) -> Self {
        Self { path: place(configured), written: RefCell::default(), complained: Cell::new(false) }
    }

    /// The answers of the run before, by service. Nothing where there are none, or none that can be read.
    pub(super) fn read(&self) -> HashMap<String, Past> {
        let Some(path) = &self.path else { return HashMap::new() };
        let text = match fs::metadata(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return HashMap::new(),
            Ok(data) if !data.is_file() || data.len() > LARGEST => {
                Err(io::Error::other("not a regular file, or too large"))
            }
            _ => fs::read_to_string(path),
        };
        let read = text.and_then(|text| Ok((text, boot_clock()?)));
        match read {
            Ok((text, (up, boot))) => parse(&text, up, &boot, Instant::now()),
            Err(error) => {
                let file = path.display();
                tracing::warn!(%file, %error, "cannot read the saved answers; starting without them");
                HashMap::new()
            }
        }
    }

    /// Keeps these answers, if anything has changed.
    pub(super) fn keep<'a>(&self, services: impl Iterator<Item = (&'a str, Past)>) {
        let Some(path) = &self.path else { return };
        let kept = boot_clock().and_then(|(up, boot)| {
            let text = text(services, up, &boot, Instant::now());
            if *self.written.borrow() != text {
                replace(path, &text)?;
                *self.written.borrow_mut() = text;
            }
            Ok(())
        });
        match kept {
            Ok(()) => self.complained.set(false),
            Err(error) => {
                if !self.complained.replace(true) {
                    let file = path.display();
                    tracing::warn!(%file, %error, "cannot save the last answers: after a restart, the agent begins \
                                                   without them");
                }
            }
        }
    }
}

fn replace(path: &Path, text: &str) -> io::Result<()> {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".new");
    let new = path.with_file_name(name);
    fs::write(&new, text)?;
    fs::rename(&new, path)
}

fn text<'a>(services: impl Iterator<Item = (&'a str, Past)>, up: Duration, boot: &str, now: Instant) -> String {
    let entries: Map<String, Value> = services
        .map(|(name, past)| {
            let at = up.saturating_sub(now.saturating_duration_since(past.since));
            let grain = GRAIN.as_secs();
            // Rounded down: an answer may seem older than it is, never younger.
            let at = at.as_secs() / grain * grain;
            let Answer { state, weight, .. } = past.answer;
            (name.to_owned(), json!({"state": state.word(), "weight": weight, "at": at, "stopped": past.stopped}))
        })
        .collect();
    json!({"boot": boot, "services": entries}).to_string()
}

/// Entries that are not understood are left out: they come from another version, or from nobody.
fn parse(text: &str, up: Duration, boot: &str, now: Instant) -> HashMap<String, Past> {
    let Ok(json) = serde_json::from_str::<Value>(text) else { return HashMap::new() };
    if json.get("boot").and_then(Value::as_str) != Some(boot) {
        return HashMap::new();
    }
    let entry = |value: &Value| {
        let word = value.get("state")?.as_str()?;
        let states = [State::Up, State::Drain, State::Maint, State::Down];
        let state = states.into_iter().find(|state| state.word() == word)?;
        let weight = u8::try_from(value.get("weight")?.as_u64()?).ok().filter(|weight| *weight <= 100)?;
        let at = Duration::try_from_secs_f64(value.get("at")?.as_f64()?).ok()?;
        // A moment that has not come yet is not one of this boot.
        let since = now.checked_sub(up.checked_sub(at)?)?;
        let stopped = value.get("stopped")?.as_bool()?;
        Some(Past { answer: Answer { weight, ..Answer::of(state, "") }, since, stopped })
    };
    let services = json.get("services").and_then(Value::as_object);
    services.into_iter().flatten().filter_map(|(name, value)| Some((name.clone(), entry(value)?))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const UP: Duration = Duration::from_secs(1000);

    fn past(state: State, age: u64, now: Instant) -> Past {
        let since = now.checked_sub(Duration::from_secs(age)).unwrap();
        Past { answer: Answer { weight: 40, ..Answer::of(state, "") }, since, stopped: false }
    }

    #[test]
    fn what_is_written_is_read_with_its_age() {
        let now = Instant::now();
        for state in [State::Up, State::Drain, State::Maint, State::Down] {
            let written = text([("web", past(state, 7, now))].into_iter(), UP, "b", now);
            let read = parse(&written, UP + Duration::from_secs(3), "b", now);
            let read = &read["web"];
            assert_eq!(read.answer, past(state, 0, now).answer);
            let age = now.duration_since(read.since).as_secs();
            assert!((10..=10 + GRAIN.as_secs()).contains(&age), "{age}");
        }
    }

    #[test]
    fn another_boot_and_nonsense_are_nothing() {
        let now = Instant::now();
        let written = text([("web", past(State::Up, 7, now))].into_iter(), UP, "b", now);
        assert!(parse(&written, UP, "c", now).is_empty());
        assert!(parse(&written, Duration::from_secs(10), "b", now).is_empty(), "not yet");
        for text in ["", "{", "[]", r#"{"boot":"b"}"#, r#"{"boot":"b","services":{"web":{"state":"upp"}}}"#] {
            assert!(parse(text, UP, "b", now).is_empty(), "{text}");
        }
    }

    #[test]
    fn only_changes_are_written_and_a_file_that_cannot_be_is_no_fault_of_the_answers() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("state");
        let memory = Memory::open(Some(&path));
        let now = Instant::now();
        assert!(memory.read().is_empty());
        memory.keep([("web", past(State::Up, 0, now))].into_iter());
        assert_eq!(memory.read()["web"].answer.weight, 40);
        fs::remove_file(&path).unwrap();
        memory.keep([("web", past(State::Down, 0, now))].into_iter());
        assert_eq!(memory.read()["web"].answer.state, State::Down);
        let nowhere = Memory::open(Some(&directory.path().join("no/such/state")));
        nowhere.keep([("web", past(State::Up, 0, now))].into_iter());
        assert!(nowhere.read().is_empty() && nowhere.complained.get());
    }
}
