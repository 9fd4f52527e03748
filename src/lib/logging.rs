//! Log lines on standard output, from where systemd takes them.
//!
//! ```text
//! 2026-01-31T12:00:00.000000Z  WARN the connection is lost dispatcher="graphite-2" server="10.0.0.1:2003" error=...
//! time                        level message                whose line it is: spans, outermost first        fields of the event
//! ```
//!
//! With `log-format = journal` a line begins with `<4>`, the priority of journald, in place of time and level; with `json` it is an
//! object with the members `time`, `level`, `message` and one for each field.
//!
//! Who has more than one line of its own keeps a span with its name in it, and gives that to its events: `parent: &span`. An event
//! that is not logged costs no more for it. Spans are never entered: that would cost something at every turn of a task.

mod line;

pub use line::Line;

use crate::config::{LogFormat, LogLevel};
use crate::escape::Lines;
use crate::injection;
use line::Fields;
use std::io::{stderr, stdout};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Registry, reload};

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

/// How a program logs.
#[derive(Debug, Clone, Copy)]
pub struct Settings {
    /// Messages below it are dropped before they are formatted.
    pub level: LogLevel,
    /// `None`: for the journal where the output goes there, otherwise text.
    pub format: Option<LogFormat>,
}

/// Installs the subscriber. Each message becomes one line, whatever the names in it hold.
pub fn init(settings: Settings, output: Output) {
    let (filter, handle) = reload::Layer::new(LevelFilter::from(settings.level));
    let registry = tracing_subscriber::registry().with(filter);
    // A second call (tests) keeps the first subscriber: nothing is lost by it.
    let layer = tracing_subscriber::fmt::layer().with_ansi(false).event_format(Line::default()).fmt_fields(Fields);
    let installed = match output {
        Output::Stdout => registry.with(layer.with_writer(|| Lines::new(stdout(), false))).try_init(),
        Output::Stderr => registry.with(layer.with_writer(|| Lines::new(stderr(), false))).try_init(),
    };
    if installed.is_ok() {
        let _ = INSTALLED.set((handle, output));
    }
    set(settings);
}

/// Of the subscriber that was installed.
static INSTALLED: OnceLock<(reload::Handle<LevelFilter, Registry>, Output)> = OnceLock::new();

/// The format of lines from now on, as a number.
static FORMAT: AtomicU8 = AtomicU8::new(LogFormat::Text as u8);

/// The format of lines now.
fn format() -> LogFormat {
    match FORMAT.load(Ordering::Relaxed) {
        number if number == LogFormat::Json as u8 => LogFormat::Json,
        number if number == LogFormat::Journal as u8 => LogFormat::Journal,
        _ => LogFormat::Text,
    }
}

/// From now on it is logged like this.
pub fn set(settings: Settings) {
    let Some((handle, output)) = INSTALLED.get() else { return };
    // It fails only without a subscriber.
    let _ = handle.modify(|filter| *filter = settings.level.into());
    let fitting = || if is_journal(*output) { LogFormat::Journal } else { LogFormat::Text };
    FORMAT.store(settings.format.unwrap_or_else(fitting) as u8, Ordering::Relaxed);
}

/// Whether the output goes to journald, which says so (systemd.exec(5), `JOURNAL_STREAM`).
fn is_journal(output: Output) -> bool {
    let stream = std::env::var("JOURNAL_STREAM").unwrap_or_default();
    let stat = match output {
        Output::Stdout => nix::sys::stat::fstat(stdout()),
        Output::Stderr => nix::sys::stat::fstat(stderr()),
    };
    stat.is_ok_and(|stat| stream == format!("{}:{}", stat.st_dev, stat.st_ino))
}

/// How often programs sum up what is not worth a line each.
#[must_use]
pub(crate) fn sums_every() -> Duration {
    static EVERY: OnceLock<Duration> = OnceLock::new();
    *EVERY.get_or_init(|| {
        let seconds = injection::variable("HAPROXYSTATS_TEST_SUMS").and_then(|text| text.parse().ok());
        Duration::from_secs(seconds.unwrap_or(600))
    })
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
