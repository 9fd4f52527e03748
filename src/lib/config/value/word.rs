//! Text, and words from a fixed list.

use crate::config::reading::Refusal;

/// `loglevel`: the original's five names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum LogLevel {
    /// Everything, one line per file and connection.
    Debug,
    /// Start, stop and one line per snapshot.
    Info,
    /// Something is odd, nothing is lost.
    Warning,
    /// Data is lost or late, or a human is needed.
    Error,
    /// The program cannot continue.
    Critical,
}

/// Any text, as it is.
pub(crate) fn text(text: &str) -> Result<String, Refusal> {
    Ok(text.to_owned())
}

/// 1/yes/true/on and 0/no/false/off, in any case.
pub fn boolean(text: &str) -> Result<bool, Refusal> {
    match text.to_lowercase().as_str() {
        "1" | "yes" | "true" | "on" => Ok(true),
        "0" | "no" | "false" | "off" => Ok(false),
        "" => Err("empty; write true or false".to_owned()),
        _ => Err("neither true nor false; write true or false".to_owned()),
    }
}

/// The five levels in any case, and the other names that Python's logging has for them.
pub(crate) fn loglevel(text: &str) -> Result<LogLevel, Refusal> {
    match text.to_lowercase().as_str() {
        "debug" | "notset" => Ok(LogLevel::Debug),
        "info" => Ok(LogLevel::Info),
        "warning" | "warn" => Ok(LogLevel::Warning),
        "error" => Ok(LogLevel::Error),
        "critical" | "fatal" => Ok(LogLevel::Critical),
        _ => Err("not a log level; write debug, info, warning, error or critical".to_owned()),
    }
}

/// One of a few words, in any case.
pub(crate) fn choice<T: Copy>(text: &str, words: &[(&str, T)]) -> Result<T, Refusal> {
    let known = || words.iter().map(|(word, _)| *word).collect::<Vec<_>>().join(" or ");
    let found = words.iter().find(|(word, _)| word.eq_ignore_ascii_case(text));
    found.map(|(_, value)| *value).ok_or_else(|| format!("not known; write {}", known()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn switches_in_any_case() {
        assert_eq!(boolean("ON"), Ok(true));
        assert_eq!(boolean("No"), Ok(false));
        assert!(boolean("maybe").is_err() && boolean("").is_err() && boolean("t").is_err());
    }

    #[test]
    fn words_and_levels_have_all_their_names() {
        for (words, value) in [(["1", "yes", "true", "on"], true), (["0", "no", "false", "off"], false)] {
            assert!(words.iter().all(|word| boolean(word) == Ok(value)), "{words:?}");
        }
        for (names, level) in [
            (["debug", "NOTSET"], LogLevel::Debug),
            (["info", "INFO"], LogLevel::Info),
            (["warning", "warn"], LogLevel::Warning),
            (["error", "Error"], LogLevel::Error),
            (["critical", "fatal"], LogLevel::Critical),
        ] {
            assert!(names.iter().all(|name| loglevel(name) == Ok(level)), "{names:?}");
        }
        assert!(loglevel("verbose").is_err() && loglevel("").is_err());
    }
}
