//! Log lines on standard output, from where systemd takes them.
//!
//! ```text
//! 2026-01-31T12:00:00.000000Z  WARN the connection is lost dispatcher="graphite-2" server="10.0.0.1:2003" error=...
//! time                        level message                whose line it is: spans, outermost first        fields of the event
//! ```
//!
//! Who has more than one line of its own keeps a span with its name in it, and gives that to its events: `parent: &span`. An event
//! that is not logged costs no more for it. Spans are never entered: that would cost something at every turn of a task.

use crate::config::LogLevel;
use crate::escape::Lines;
use std::error::Error;
use std::fmt::Debug;
use std::io::{stderr, stdout};
use std::sync::OnceLock;
use tracing::field::{Field, Visit};
use tracing::level_filters::LevelFilter;
use tracing::{Event, Subscriber};
use tracing_subscriber::field::VisitOutput;
use tracing_subscriber::fmt::format::{DefaultVisitor, Writer};
use tracing_subscriber::fmt::time::{FormatTime, SystemTime};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields, FormattedFields};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::registry::LookupSpan;
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

/// Installs the subscriber. Messages below `level` are dropped before they are formatted. Each becomes one line, whatever
/// the names in it hold.
pub fn init(level: LogLevel, output: Output) {
    let (filter, handle) = reload::Layer::new(LevelFilter::from(level));
    let registry = tracing_subscriber::registry().with(filter);
    // A second call (tests) keeps the first subscriber: nothing is lost by it.
    let layer = tracing_subscriber::fmt::layer().with_ansi(false).event_format(Line);
    let installed = match output {
        Output::Stdout => registry.with(layer.with_writer(|| Lines::new(stdout(), false))).try_init(),
        Output::Stderr => registry.with(layer.with_writer(|| Lines::new(stderr(), false))).try_init(),
    };
    if installed.is_ok() {
        let _ = LEVEL.set(handle);
    }
}

/// Of the subscriber that was installed.
static LEVEL: OnceLock<reload::Handle<LevelFilter, Registry>> = OnceLock::new();

/// From now on messages below `level` are dropped.
pub fn set_level(level: LogLevel) {
    if let Some(handle) = LEVEL.get() {
        // It fails only without a subscriber.
        let _ = handle.modify(|filter| *filter = level.into());
    }
}

/// How a line looks; see the [module](self).
#[derive(Debug, Clone, Copy)]
pub struct Line;

impl<S, N> FormatEvent<S, N> for Line
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> std::fmt::Result {
        SystemTime.format_time(&mut writer)?;
        write!(writer, " {:>5} ", event.metadata().level())?;
        Part::of(event, true, &mut writer)?;
        for span in context.event_scope().into_iter().flat_map(|scope| scope.from_root()) {
            if let Some(fields) = span.extensions().get::<FormattedFields<N>>() {
                write!(writer, " {fields}")?;
            }
        }
        Part::of(event, false, &mut writer)?;
        writeln!(writer)
    }
}

/// Writes the message of an event, or all but the message.
struct Part<'a> {
    message: bool,
    visitor: DefaultVisitor<'a>,
}

impl Part<'_> {
    fn of(event: &Event<'_>, message: bool, writer: &mut Writer<'_>) -> std::fmt::Result {
        // The message comes first; before each of the others there is a space.
        let mut part = Part { message, visitor: DefaultVisitor::new(writer.by_ref(), message) };
        event.record(&mut part);
        part.visitor.finish()
    }

    fn wants(&self, field: &Field) -> bool {
        (field.name() == "message") == self.message
    }
}

/// What the visitor does not tell apart comes as [`Visit::record_debug`].
impl Visit for Part<'_> {
    fn record_str(&mut self, field: &Field, value: &str) {
        if self.wants(field) {
            self.visitor.record_str(field, value);
        }
    }

    fn record_error(&mut self, field: &Field, value: &(dyn Error + 'static)) {
        if self.wants(field) {
            self.visitor.record_error(field, value);
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        if self.wants(field) {
            self.visitor.record_debug(field, value);
        }
    }
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{self, Write};
    use std::sync::{Arc, Mutex};
    use tracing::error_span;
    use tracing_subscriber::fmt::format::DefaultFields;
    use tracing_subscriber::layer::Layered;

    type Formatted = Layered<LevelFilter, Registry>;

    #[derive(Clone, Default)]
    struct Kept(Arc<Mutex<Vec<u8>>>);

    impl Write for Kept {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// What is written by `events` in a format, without the time.
    fn lines<F>(format: F, events: impl FnOnce()) -> Vec<String>
    where
        F: FormatEvent<Formatted, DefaultFields> + Send + Sync + 'static,
    {
        let kept = Kept::default();
        let writer = kept.clone();
        let layer = tracing_subscriber::fmt::layer().with_ansi(false).event_format(format);
        let registry = tracing_subscriber::registry().with(LevelFilter::WARN);
        tracing::subscriber::with_default(registry.with(layer.with_writer(move || writer.clone())), events);
        let text = String::from_utf8(kept.0.lock().unwrap().clone()).unwrap();
        text.lines().map(|line| line.split_once('Z').unwrap().1.to_owned()).collect()
    }

    #[test]
    fn a_line_says_what_and_whose_and_more() {
        let written = lines(Line, || {
            let of_dispatcher = error_span!("dispatcher", dispatcher = "graphite-2");
            let at_server = error_span!(parent: &of_dispatcher, "server", server = %"a:1");
            let error = io::Error::other("broken");
            let error = &error as &(dyn Error + 'static);
            tracing::warn!(parent: &at_server, error, lines = 3, "lost {}", 1);
            tracing::error!(parent: &of_dispatcher, r#type = ?Some(1), "full");
            tracing::info!(parent: &at_server, "not at this level");
            tracing::error!(text = "a \"b\"", flag = true, part = 0.5, "nobody's");
        });
        assert_eq!(
            written,
            [
                r#"  WARN lost 1 dispatcher="graphite-2" server=a:1 error=broken lines=3"#,
                r#" ERROR full dispatcher="graphite-2" type=Some(1)"#,
                r#" ERROR nobody's text="a \"b\"" flag=true part=0.5"#,
            ]
        );
    }

    #[derive(Debug, thiserror::Error)]
    #[error("cannot read")]
    struct Unreadable(#[source] io::Error);

    #[test]
    fn without_spans_a_line_is_as_tracing_formats_it() {
        let events = || {
            let error = Unreadable(io::Error::other("\u{1b}[1m"));
            let error = &error as &(dyn Error + 'static);
            tracing::warn!(error, text = "a\nb", number = -1, large = u64::MAX, shown = %"x y", "what\u{1b}[1m it is");
            tracing::error!(error);
        };
        let of_tracing = lines(tracing_subscriber::fmt::format().with_target(false), events);
        assert_eq!(of_tracing.len(), 2);
        assert_eq!(lines(Line, events)[0], of_tracing[0]);
        // Every line has a message; one without would have one more space.
        assert_eq!(lines(Line, events)[1].replacen("  ", " ", 1), of_tracing[1]);
    }
}
