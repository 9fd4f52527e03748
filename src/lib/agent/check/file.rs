//! An operator's override on disk: `down for 3600 #new kernel`.
//!
//! One line, in any case: a state (`up`, `drain`, `maint`, `down`) or a ceiling of the weight (`50%`), or both; then,
//! optionally, `for SECONDS` and `#reason`. The seconds count from the last change of the file: how old it is, is read once, and
//! from then on the monotonic clock counts. Without the file there is no override.

use super::interface::{Check, Checking};
use crate::agent::finding::Finding;
use crate::haproxy::answer::State;
use std::cell::RefCell;
use std::io::Read;
use std::path::PathBuf;
use std::time::{Duration, Instant, SystemTime};

/// Largest file that is read, bytes.
const LARGEST: u64 = 4096;

/// The file, and since when it is as it is.
pub(super) struct File {
    path: PathBuf,
    /// Time of its last change, and the moment at which it was that old.
    seen: RefCell<Option<(SystemTime, Instant)>>,
    /// What is wrong with it, as logged.
    complaint: RefCell<Option<String>>,
}

/// What is written in the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Override {
    /// The state; `None`: that of the other checks.
    pub state: Option<State>,
    /// Ceiling of the weight, percent.
    pub weight: u8,
    /// For how long; `None`: until the file goes away.
    pub limit: Option<Duration>,
    pub reason: String,
}

/// Understands the first line of the file.
///
/// # Errors
/// In words, what is wrong.
pub fn read_override(text: &str) -> Result<Override, String> {
    let line = text.lines().next().unwrap_or_default();
    let (words, reason) = line.split_once('#').unwrap_or((line, ""));
    let mut found = Override { state: None, weight: 100, limit: None, reason: reason.trim().to_owned() };
    let mut said = false;
    let mut words = words.split_whitespace();
    while let Some(word) = words.next() {
        match word.to_ascii_lowercase().as_str() {
            "up" => found.state = Some(State::Up),
            "drain" => found.state = Some(State::Drain),
            "maint" => found.state = Some(State::Maint),
            "down" => found.state = Some(State::Down),
            "for" => {
                let seconds = words.next().and_then(|word| word.parse().ok());
                let seconds = seconds.ok_or("\"for\" must be followed by a number of seconds")?;
                found.limit = Some(Duration::from_secs(seconds));
                continue;
            }
            word => {
                let percent = word.strip_suffix('%').and_then(|number| number.parse().ok());
                let percent = percent.filter(|percent| *percent <= 100);
                found.weight =
                    percent.ok_or_else(|| format!("{word:?} is neither a state nor a weight such as 50%"))?;
            }
        }
        said = true;
    }
    if said { Ok(found) } else { Err("neither a state nor a weight; write up, drain, maint, down or 50%".to_owned()) }
}

impl File {
    pub(super) fn new(path: PathBuf) -> Self {
        Self { path, seen: RefCell::default(), complaint: RefCell::default() }
    }

    fn find(&self) -> Result<Finding, String> {
        let metadata = match std::fs::metadata(&self.path) {
            Ok(metadata) => metadata,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                *self.seen.borrow_mut() = None;
                return Ok(Finding::Nothing);
            }
            Err(error) => return Err(error.to_string()),
        };
        if !metadata.is_file() || metadata.len() > LARGEST {
            return Err("not a regular file, or too large".to_owned());
        }
        let changed = metadata.modified().map_err(|error| error.to_string())?;
        let mut text = String::new();
        let file = std::fs::File::open(&self.path).map_err(|error| error.to_string())?;
        // It may have grown since it was looked at.
        file.take(LARGEST).read_to_string(&mut text).map_err(|error| error.to_string())?;
        let Override { state, weight, limit, reason } = read_override(&text)?;
        let now = Instant::now();
        let since = match *self.seen.borrow() {
            Some((known, since)) if known == changed => since,
            // A file from the future is as good as new.
            _ => now.checked_sub(changed.elapsed().unwrap_or_default()).unwrap_or(now),
        };
        *self.seen.borrow_mut() = Some((changed, since));
        if limit.is_some_and(|limit| now.saturating_duration_since(since) >= limit) {
            return Ok(Finding::Nothing);
        }
        Ok(Finding::Override { state, weight, reason })
    }
}

impl Check for File {
    fn name(&self) -> &'static str {
        "file"
    }

    fn check(&self) -> Checking<'_> {
        let found = self.find();
        let complaint = found.as_ref().err().cloned();
        if self.complaint.replace(complaint.clone()) != complaint
            && let Some(reason) = &complaint
        {
            tracing::error!(file = %self.path.display(), reason, "the override file is invalid and is ignored");
        }
        Box::pin(std::future::ready(found.unwrap_or(Finding::Nothing)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn states_ceilings_limits_and_reasons() {
        let read = |text| read_override(text).map(|o| (o.state, o.weight, o.limit.map(|l| l.as_secs()), o.reason));
        assert_eq!(read("down\n"), Ok((Some(State::Down), 100, None, String::new())));
        assert_eq!(read("50% for 60 # slow disk\nmore"), Ok((None, 50, Some(60), "slow disk".to_owned())));
        assert_eq!(read("up 30%"), Ok((Some(State::Up), 30, None, String::new())));
        assert_eq!(read("DOWN For 60"), read("down for 60"));
        assert_eq!(read("Drain 20% #Kernel").map(|found| found.3), Ok("Kernel".to_owned()));
        for wrong in ["", "dwn", "for 5", "101%", "down for", "down for -1", "# only why"] {
            assert!(read(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn it_ends_after_its_time_and_with_the_file() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("override");
        let check = File::new(path.clone());
        assert_eq!(check.find(), Ok(Finding::Nothing));
        std::fs::write(&path, "drain for 1000").unwrap();
        assert!(matches!(check.find(), Ok(Finding::Override { state: Some(State::Drain), .. })));
        let file = std::fs::File::options().write(true).open(&path).unwrap();
        file.set_modified(SystemTime::now() - Duration::from_secs(1001)).unwrap();
        assert_eq!(check.find(), Ok(Finding::Nothing));
        std::fs::write(&path, "nonsense").unwrap();
        assert!(check.find().is_err());
        std::fs::remove_file(&path).unwrap();
        assert_eq!(check.find(), Ok(Finding::Nothing));
    }

    proptest! {
        #[test]
        fn no_file_is_too_strange(text in "(?s).{0,100}") {
            if let Ok(found) = read_override(&text) {
                prop_assert!(found.weight <= 100);
            }
        }
    }
}
