//! Log lines on standard output, from where systemd takes them.

use crate::config::LogLevel;
use crate::escape::Lines;
use std::io::{IsTerminal, stderr, stdout};
use tracing::level_filters::LevelFilter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

/// Where log lines go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Output {
    /// The daemons' log.
    Stdout,
    /// For runs whose standard output is the result.
    Stderr,
}

impl From<LogLevel> for LevelFilter {
    fn from(level: LogLevel) -> Self {
        match level {
            LogLevel::Debug => Self::DEBUG,
            LogLevel::Info => Self::INFO,
            LogLevel::Warning => Self::WARN,
            // tracing knows nothing above error; critical messages are errors that end the program.
            LogLevel::Error | LogLevel::Critical => Self::ERROR,
        }
    }
}

/// Installs the subscriber. Messages below `level` are dropped before they are formatted. Each becomes one line, whatever
/// the names in it hold.
pub fn init(level: LogLevel, output: Output) {
    let registry = tracing_subscriber::registry().with(LevelFilter::from(level));
    // A second call (tests) keeps the first subscriber: nothing is lost by it.
    let _ = match output {
        Output::Stdout => {
            let ansi = stdout().is_terminal();
            let layer = tracing_subscriber::fmt::layer().with_target(false).with_ansi(ansi);
            registry.with(layer.with_writer(move || Lines::new(stdout(), ansi))).try_init()
        }
        Output::Stderr => {
            let ansi = stderr().is_terminal();
            let layer = tracing_subscriber::fmt::layer().with_target(false).with_ansi(ansi);
            registry.with(layer.with_writer(move || Lines::new(stderr(), ansi))).try_init()
        }
    };
}

/// An error with its causes, for the one place where it is logged: `cannot write x: No space left on device`.
pub struct Chain<'a>(pub &'a dyn std::error::Error);

impl std::fmt::Display for Chain<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.0)?;
        let mut cause = self.0.source();
        while let Some(error) = cause {
            write!(f, ": {error}")?;
            cause = error.source();
        }
        Ok(())
    }
}
