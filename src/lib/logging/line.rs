//! How a line looks.

use super::Chain;
use crate::config::LogFormat;
use std::error::Error;
use std::fmt::{Debug, Write as _};
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::field::{RecordFields, VisitOutput};
use tracing_subscriber::fmt::format::{DefaultVisitor, Writer};
use tracing_subscriber::fmt::time::{FormatTime, SystemTime};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields, FormattedFields};
use tracing_subscriber::registry::LookupSpan;

/// How a line looks; see the [module](super). Without a format of its own it has that of the program.
#[derive(Debug, Clone, Copy, Default)]
pub struct Line(Option<LogFormat>);

impl Line {
    fn format(self) -> LogFormat {
        self.0.unwrap_or_else(super::format)
    }
}

/// The priority of syslog(3), as journald reads it at the beginning of a line (sd-daemon(3)).
fn priority(level: &Level) -> u8 {
    match *level {
        Level::ERROR => 3,
        Level::WARN => 4,
        Level::INFO => 6,
        _ => 7,
    }
}

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
        let format = self.format();
        match format {
            LogFormat::Json => return json(context, &mut writer, event),
            LogFormat::Journal => write!(writer, "<{}>", priority(event.metadata().level()))?,
            LogFormat::Text => {
                SystemTime.format_time(&mut writer)?;
                write!(writer, " {:>5} ", event.metadata().level())?;
            }
        }
        Part::of(event, true, &mut writer)?;
        for span in context.event_scope().into_iter().flat_map(|scope| scope.from_root()) {
            if let Some(fields) = span.extensions().get::<FormattedFields<N>>() {
                write!(writer, " {}", Both::of(fields).text)?;
            }
        }
        Part::of(event, false, &mut writer)?;
        writeln!(writer)
    }
}

/// Writes an object: time, level, message, the fields of spans, those of the event. Of names that come twice the last counts,
/// as in any reader.
fn json<S, N>(context: &FmtContext<'_, S, N>, writer: &mut Writer<'_>, event: &Event<'_>) -> std::fmt::Result
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    let mut time = String::new();
    SystemTime.format_time(&mut Writer::new(&mut time))?;
    write!(writer, r#"{{"time":"{time}","level":"{}""#, event.metadata().level())?;
    for span in context.event_scope().into_iter().flat_map(|scope| scope.from_root()) {
        if let Some(fields) = span.extensions().get::<FormattedFields<N>>() {
            write!(writer, "{}", Both::of(fields).json)?;
        }
    }
    let mut members = Members(String::new());
    event.record(&mut members);
    writeln!(writer, "{}}}", members.0)
}

/// The fields of a span, both as text and as members of an object: the format may change while the span is there.
pub(super) struct Fields;

/// Stands between the two. In the second it is escaped.
const BETWEEN: char = '\u{1f}';

impl<'w> FormatFields<'w> for Fields {
    fn format_fields<R: RecordFields>(&self, mut writer: Writer<'w>, fields: R) -> std::fmt::Result {
        let mut visitor = DefaultVisitor::new(writer.by_ref(), true);
        fields.record(&mut visitor);
        visitor.finish()?;
        let mut members = Members(String::new());
        fields.record(&mut members);
        write!(writer, "{BETWEEN}{}", members.0)
    }
}

/// What [`Fields`] has written.
struct Both<'a> {
    text: &'a str,
    json: &'a str,
}

impl<'a> Both<'a> {
    fn of(fields: &'a str) -> Self {
        let (text, json) = fields.rsplit_once(BETWEEN).unwrap_or((fields, ""));
        Self { text, json }
    }
}

/// Members of an object, each behind a comma.
struct Members(String);

impl Members {
    fn add(&mut self, field: &Field, value: impl Into<serde_json::Value>) {
        let name = serde_json::Value::from(field.name());
        // Writing to a String cannot fail.
        let _ = write!(self.0, ",{name}:{}", value.into());
    }
}

impl Visit for Members {
    fn record_f64(&mut self, field: &Field, value: f64) {
        self.add(field, value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.add(field, value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.add(field, value);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.add(field, value);
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.add(field, value);
    }

    fn record_error(&mut self, field: &Field, value: &(dyn Error + 'static)) {
        self.add(field, Chain(value).to_string());
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.add(field, format!("{value:?}"));
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{self, Write};
    use std::sync::{Arc, Mutex};
    use tracing::error_span;
    use tracing::level_filters::LevelFilter;
    use tracing_subscriber::Registry;
    use tracing_subscriber::layer::{Layered, SubscriberExt};

    type Formatted = Layered<LevelFilter, Registry>;

    const TEXT: Line = Line(Some(LogFormat::Text));

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
        F: FormatEvent<Formatted, Fields> + Send + Sync + 'static,
    {
        let text = written(format, events);
        text.lines().map(|line| line.split_once('Z').unwrap().1.to_owned()).collect()
    }

    fn written<F>(format: F, events: impl FnOnce()) -> String
    where
        F: FormatEvent<Formatted, Fields> + Send + Sync + 'static,
    {
        let kept = Kept::default();
        let writer = kept.clone();
        let layer = tracing_subscriber::fmt::layer().with_ansi(false).fmt_fields(Fields).event_format(format);
        let registry = tracing_subscriber::registry().with(LevelFilter::WARN);
        tracing::subscriber::with_default(registry.with(layer.with_writer(move || writer.clone())), events);
        String::from_utf8(kept.0.lock().unwrap().clone()).unwrap()
    }

    #[test]
    fn objects_are_read_by_anybody_and_priorities_by_journald() {
        let events = || {
            let of_dispatcher = error_span!("dispatcher", dispatcher = "a\u{1f}\"b\"");
            let error = Unreadable(io::Error::other("gone"));
            let error = &error as &(dyn Error + 'static);
            tracing::warn!(parent: &of_dispatcher, error, lines = 3, share = 0.5, good = true, "lost\n{}", 1);
            tracing::error!(shown = %"x y", "full");
        };
        let json = written(Line(Some(LogFormat::Json)), events);
        let objects: Vec<serde_json::Value> = json.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let wanted = serde_json::json!({
            "time": objects[0]["time"], "level": "WARN", "message": "lost\n1", "dispatcher": "a\u{1f}\"b\"",
            "error": "cannot read: gone", "lines": 3, "share": 0.5, "good": true,
        });
        assert_eq!(objects[0], wanted);
        assert_eq!((&objects[1]["message"], &objects[1]["shown"]), (&"full".into(), &"x y".into()));
        assert!(objects[0]["time"].as_str().unwrap().ends_with('Z'));
        let journal = written(Line(Some(LogFormat::Journal)), events);
        let begins: Vec<&str> = journal.lines().filter(|line| line.starts_with('<')).collect();
        assert_eq!(begins.len(), 2, "{journal}");
        assert!(begins[0].starts_with("<4>lost") && begins[1] == "<3>full shown=x y", "{journal}");
    }

    #[test]
    fn a_line_says_what_and_whose_and_more() {
        let written = lines(TEXT, || {
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
        // The second half of what was written of fields is for JSON.
        let of_tracing: Vec<&str> = of_tracing.iter().map(|line| Both::of(line).text).collect();
        assert_eq!(lines(TEXT, events)[0], of_tracing[0]);
        // Every line has a message; one without would have one more space.
        assert_eq!(lines(TEXT, events)[1].replacen("  ", " ", 1), of_tracing[1]);
    }
}
