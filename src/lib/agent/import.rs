//! The configuration of datawave_haproxy_agent (`config.yml`) as a section `[agent]`.

use saphyr_parser::{Event, Parser, ScalarStyle};
use std::borrow::Cow;
use std::collections::VecDeque;
use std::fmt::Write;

/// Options at the top of the file.
const TOP: [&str; 2] = ["bind", "port"];

/// The mapping that holds the others.
const POLLER: &str = "dw_health_poller";

/// Options that mean the same here.
const SAME: [&str; 8] = [
    "check_url",
    "check_timeout",
    "interval",
    "connection_usage_reduction",
    "os_load_reduction",
    "swap_usage_reduction",
    "down_response",
    "unavailable_response",
];

/// What is wrong, and where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {message}")]
pub(crate) struct ImportError {
    /// Line of the file, from 1.
    pub line: usize,
    /// In words.
    pub message: String,
}

/// A key with its value and its line.
struct Entry {
    key: String,
    value: Value,
    line: usize,
}

enum Value {
    /// Text as it is meant, and whether it was quoted.
    Scalar(String, bool),
    Mapping(Vec<Entry>),
}

/// The section `[agent]` that answers as the Datawave agent does with this file; what it leaves out is said in comments.
///
/// # Errors
/// The file is no YAML, or holds what such a file does not.
pub(crate) fn datawave(text: &str) -> Result<String, ImportError> {
    let top = document(text)?;
    let mut poller = Vec::new();
    let mut listen = Vec::new();
    let mut unknown = Vec::new();
    for Entry { key, value, line } in top {
        match value {
            Value::Mapping(entries) if key == POLLER => poller = entries,
            Value::Mapping(_) => return Err(wrong(line, format!("{key:?} is a mapping; only {POLLER} may be one"))),
            // Nothing at all is written below it.
            Value::Scalar(text, false) if key == POLLER && null(&text) => {}
            Value::Scalar(..) if key == POLLER => return Err(wrong(line, format!("{POLLER} is not a mapping"))),
            value if TOP.contains(&key.as_str()) => listen.push(scalar(Entry { key, value, line })?),
            _ => unknown.push(key),
        }
    }
    // That one may be without a value there, which is no text.
    let absent = |entry: &Entry| {
        entry.key == "staleness_response" && matches!(&entry.value, Value::Scalar(text, false) if null(text))
    };
    poller.retain(|entry| !absent(entry));
    let poller: Vec<(String, String)> = poller.into_iter().map(scalar).collect::<Result<_, _>>()?;
    Ok(section(&listen, &poller, unknown))
}

fn section(listen: &[(String, String)], poller: &[(String, String)], mut unknown: Vec<String>) -> String {
    let of = |name: &str| poller.iter().rev().find(|(key, _)| key == name).map(|(_, value)| value.as_str());
    let mut out = String::from(
        "# From config.yml of datawave_haproxy_agent.\n[agent]\n\
         # That agent sets ready and drain itself, and undoes an operator's at the next check. false leaves them alone.\n\
         own-admin-state = true\n",
    );
    let mut set = |name: &str, value: &str| {
        // Writing to a String cannot fail; so below.
        let _ = writeln!(out, "{} = {}", name.replace('_', "-"), value.replace('$', "$$"));
    };
    for name in TOP {
        if let Some((_, value)) = listen.iter().rev().find(|(key, _)| key == name) {
            set(name, value);
        }
    }
    for name in SAME {
        match of(name) {
            Some(value) => set(name, value),
            // Of the options that may be missing this one alone has another default here.
            None if name == "check_timeout" => set(name, "10"),
            None => {}
        }
    }
    let staleness = of("staleness_interval").filter(|text| text.parse() != Ok(0u8));
    if let Some(value) = staleness {
        set("staleness_interval", value);
        set("staleness_response", of("staleness_response").unwrap_or_default());
    } else {
        out.push_str(
            "# Without staleness_interval, that agent repeats the last answer of a hanging poller forever. Here a result becomes\n\
             # stale after three intervals, and is replaced by:\n",
        );
        let response = of("staleness_response").filter(|text| !text.is_empty()).unwrap_or("down");
        let _ = writeln!(out, "staleness-response = {}", response.replace('$', "$$"));
    }
    if of("stop_timeout").is_some() {
        out.push_str(
            "# stop_timeout is how long that agent waits for its poller to exit. This one exits at once, and HAProxy keeps the\n\
             # last answer.\n",
        );
    }
    let known =
        |key: &str| SAME.contains(&key) || ["staleness_interval", "staleness_response", "stop_timeout"].contains(&key);
    unknown.extend(poller.iter().filter(|(key, _)| !known(key)).map(|(key, _)| key.clone()));
    for key in unknown {
        let _ = writeln!(out, "# Not read by that agent either: {}", key.escape_debug());
    }
    out
}

fn wrong(line: usize, message: impl Into<String>) -> ImportError {
    ImportError { line, message: message.into() }
}

/// What YAML takes for no value.
fn null(text: &str) -> bool {
    matches!(text, "" | "~" | "null" | "Null" | "NULL")
}

/// Key and text of an option.
fn scalar(Entry { key, value, line }: Entry) -> Result<(String, String), ImportError> {
    match value {
        Value::Scalar(text, false) if null(&text) => Err(wrong(line, format!("{key:?} has no value"))),
        Value::Scalar(text, _) if text.contains(char::is_control) => {
            Err(wrong(line, format!("{key:?} is more than one line of text")))
        }
        Value::Scalar(text, _) => Ok((key, text)),
        Value::Mapping(_) => Err(wrong(line, format!("{key:?} is a mapping, but needs a single value"))),
    }
}

/// Events with their lines.
type Events<'a> = VecDeque<(Event<'a>, usize)>;

/// The mapping that the only document of a file is; an empty file is an empty one.
fn document(text: &str) -> Result<Vec<Entry>, ImportError> {
    let mut events = Events::new();
    for event in Parser::new_from_str(text) {
        let (event, span) = event.map_err(|error| wrong(error.marker().line(), error.info()))?;
        match event {
            Event::Nothing | Event::StreamStart | Event::StreamEnd | Event::DocumentEnd => {}
            event => events.push_back((event, span.start.line())),
        }
    }
    let Some((_, line)) = events.pop_front() else { return Ok(Vec::new()) };
    let top = match events.pop_front() {
        Some((Event::MappingStart(..), _)) => mapping(&mut events, 2)?,
        Some((Event::Scalar(text, ScalarStyle::Plain, ..), _)) if null(&text) => Vec::new(),
        _ => return Err(wrong(line, "not a mapping; this is not a config.yml of datawave_haproxy_agent")),
    };
    match events.pop_front() {
        None => Ok(top),
        Some((_, line)) => Err(wrong(line, "a second document")),
    }
}

/// The entries of a mapping whose start was read. `depth`: levels of mappings that may be.
fn mapping(events: &mut Events<'_>, depth: usize) -> Result<Vec<Entry>, ImportError> {
    let mut entries = Vec::new();
    while let Some((event, line)) = events.pop_front() {
        let key = match event {
            Event::MappingEnd => break,
            Event::Scalar(key, ..) => key.into_owned(),
            _ => return Err(wrong(line, "a key that is not text")),
        };
        let value = match events.pop_front() {
            Some((Event::Scalar(text, style, _, tag), _)) => {
                if tag.is_some_and(|tag| !tag.is_yaml_core_schema()) {
                    return Err(wrong(line, format!("{key:?} has a tag; write the plain value")));
                }
                Value::Scalar(Cow::into_owned(text), style != ScalarStyle::Plain)
            }
            Some((Event::MappingStart(..), _)) if depth > 1 => Value::Mapping(mapping(events, depth - 1)?),
            Some((Event::Alias(_), _)) => return Err(wrong(line, format!("{key:?} is an alias; write the value"))),
            _ => return Err(wrong(line, format!("{key:?} is neither a value nor a mapping of values"))),
        };
        entries.push(Entry { key, value, line });
    }
    Ok(entries)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Program, load};
    use proptest::prelude::*;

    const EXAMPLE: &str = "\
# The agent's own options.
bind: \"127.0.0.1\"   # loopback
port: 22503
dw_health_poller:
  check_url: 'http://localhost:8080/DataWave/Common/Health/health'
  check_timeout: 7.5
  interval: 2.0
  connection_usage_reduction: 0.6
  os_load_reduction: 0.3
  swap_usage_reduction: .2
  staleness_interval: 30
  staleness_response: ''
  down_response: down
  unavailable_response: 0% drain
  stop_timeout: 10
";

    #[test]
    fn every_option_is_taken_over() {
        let section = datawave(EXAMPLE).unwrap();
        let loaded = load::from_text(Program::Agent, &section, "x").unwrap();
        assert!(loaded.warnings.is_empty(), "{:?}", loaded.warnings);
        let service = &loaded.config.agent.services[0];
        assert_eq!((service.bind.to_string().as_str(), service.port), ("127.0.0.1", 22503));
        assert_eq!(service.http.url.as_deref(), Some("http://localhost:8080/DataWave/Common/Health/health"));
        assert_eq!(service.datawave, [0.6, 0.3, 0.2]);
        let times = [Some(service.check_timeout), service.interval, Some(service.staleness)];
        assert_eq!(times.map(|time| time.unwrap().as_secs_f64()), [7.5, 2.0, 30.0]);
        assert_eq!(service.responses.stale, None);
        assert!(section.contains("# stop_timeout is"), "{section}");
    }

    #[test]
    fn what_is_not_written_is_as_it_is_there_unless_it_is_dangerous() {
        for text in ["", "---\n", "# nothing\n", "dw_health_poller:\n", "{dw_health_poller: {}}"] {
            let section = datawave(text).unwrap();
            let service = load::from_text(Program::Agent, &section, "x").unwrap().config.agent.services.remove(0);
            assert_eq!((service.port, service.check_timeout.as_secs()), (5555, 10), "{text:?}");
            assert!(service.responses.stale.is_some() && service.staleness.as_secs() == 11, "{text:?}");
        }
        let section = datawave("other: 1\ndw_health_poller: {staleness_interval: 0, thing: [1], x: a$b}\n");
        assert!(section.is_err(), "a list is no value");
        let section = datawave("other: 1\ndw_health_poller: {staleness_interval: 0, x: a$b, check_url: http://h/$a}\n");
        let section = section.unwrap();
        assert!(section.contains("# Not read by that agent either: other\n"), "{section}");
        assert!(section.contains("either: x\n") && section.contains("check-url = http://h/$$a\n"), "{section}");
    }

    #[test]
    fn a_staleness_response_without_a_value_is_no_text() {
        for nothing in ["", " ~", " null", " ''"] {
            let text = EXAMPLE.replace("staleness_response: ''", &format!("staleness_response:{nothing}"));
            assert!(text.contains(&format!("staleness_response:{nothing}\n")));
            assert_eq!(datawave(&text).unwrap(), datawave(EXAMPLE).unwrap(), "{nothing:?}");
        }
        let section = datawave("dw_health_poller:\n  staleness_interval: 0\n  staleness_response:\n").unwrap();
        assert!(section.contains("staleness-response = down\n"), "{section}");
    }

    #[test]
    fn what_is_no_such_file_says_where() {
        for (text, line, words) in [
            ("- a\n", 1, "not a mapping"),
            ("bind: 1\nport: [1]\n", 2, "\"port\" is neither"),
            ("bind:\n", 1, "\"bind\" has no value"),
            ("dw_health_poller:\n  a:\n    b: 1\n", 2, "\"a\" is neither"),
            ("bind:\n  a: 1\n", 1, "may be one"),
            ("dw_health_poller: 5\n", 1, "is not a mapping"),
            ("a: &x 1\nbind: *x\n", 2, "an alias"),
            ("a: 1\n---\nb: 1\n", 2, "second document"),
            ("a: 1\n\tb: 2\n", 1, "tab"),
            ("bind: \"a\\nb\"\n", 1, "more than one line"),
            ("port: !x 5\n", 1, "tag"),
        ] {
            let error = datawave(text).unwrap_err();
            assert!(error.message.contains(words), "{text:?}: {error}");
            assert_eq!(error.line, line, "{text:?}: {error}");
        }
    }

    proptest! {
        #[test]
        fn no_file_is_too_strange(text in "(?s)[ \\-:#\"'{}\\[\\]&*!|>\\na-z0-9$.]{0,80}") {
            if let Ok(section) = datawave(&text) {
                // One option a line, none of them swallowed by another.
                prop_assert!(section.lines().all(|line| line.starts_with(['#', '[']) || line.contains(" =")));
            }
        }
    }
}
