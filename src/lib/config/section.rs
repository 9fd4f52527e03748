//! Reads the options of one section as values, and reports each one that cannot be right.

use super::ini::Ini;
use super::option::Opt;
use super::problem::{Problem, Report};
use super::value::Refusal;

/// One section that is being read.
pub(super) struct Section<'a> {
    /// Its name.
    pub(super) name: &'a str,
    pub(super) ini: &'a Ini,
    pub(super) report: &'a mut Report,
}

impl<'a> Section<'a> {
    pub(super) fn new(name: &'a str, ini: &'a Ini, report: &'a mut Report) -> Self {
        Self { name, ini, report }
    }

    /// The value of an option that has a built-in default; `None` after a report.
    pub(super) fn get<T>(&mut self, option: &Opt<T>) -> Option<T> {
        self.get_named(option.name(), option.parse)
    }

    /// The same for an option that stands there under another name, or is read in another way.
    pub(super) fn get_named<T>(&mut self, option: &str, parse: impl FnOnce(&str) -> Result<T, Refusal>) -> Option<T> {
        let value = self.optional_named(option, parse)?;
        if value.is_none() {
            let problem = self.problem(option, "is not set");
            self.report.error(problem);
        }
        value
    }

    /// The value of an option that may be unset (`Some(None)`); `None` after a report.
    pub(super) fn optional<T>(&mut self, option: &Opt<T>) -> Option<Option<T>> {
        self.optional_named(option.name(), option.parse)
    }

    /// The same for an option that stands there under another name, or is read in another way.
    pub(super) fn optional_named<T>(
        &mut self,
        option: &str,
        parse: impl FnOnce(&str) -> Result<T, Refusal>,
    ) -> Option<Option<T>> {
        let refusal = match self.ini.get(self.name, option) {
            Ok(None) => return Some(None),
            Ok(Some(text)) => match parse(&text) {
                Ok(value) => return Some(Some(value)),
                Err(refusal) => {
                    let as_written = self.ini.raw(self.name, option).is_some_and(|raw| raw.text == text);
                    let refusal = format!("{refusal}{}", misunderstanding(&text));
                    if as_written { refusal } else { format!("{refusal} (its references give {text:?})") }
                }
            },
            Err(error) if error.section == self.name && error.option == option => error.to_string(),
            Err(error) => {
                let place = error.place.as_ref().map(|place| format!(" at {place}")).unwrap_or_default();
                format!("refers to [{}] {} = {:?}{place}: {error}", error.section, error.option, error.text)
            }
        };
        let problem = self.problem(option, refusal);
        self.report.error(problem);
        None
    }

    /// Reports a doubt about an option.
    pub(super) fn warn(&mut self, option: &str, message: impl Into<String>) {
        let problem = self.problem(option, message);
        self.report.warn(problem);
    }

    /// Reports a fault of an option.
    pub(super) fn error(&mut self, option: &str, message: impl Into<String>) {
        let problem = self.problem(option, message);
        self.report.error(problem);
    }

    /// A problem with the option as it was written.
    fn problem(&self, option: &str, message: impl Into<String>) -> Problem {
        let problem = Problem::new(message).section(self.name).option(option);
        match self.ini.raw(self.name, option) {
            Some(raw) => problem.text(&raw.text).place(raw.place),
            None => problem.place(self.ini.section_place(self.name).cloned()),
        }
    }

    /// Warns about a directory whose meaning depends on where the program is started.
    pub(super) fn warn_if_relative(&mut self, option: &str, path: Option<&std::path::PathBuf>) {
        if path.is_some_and(|path| path.is_relative()) {
            self.warn(option, "depends on the directory in which the program is started; write a path from / on");
        }
    }
}

/// What other configuration languages have and this one has not, where a refused value looks like it.
fn misunderstanding(text: &str) -> &'static str {
    let quoted = |quote| text.len() > 1 && text.starts_with(quote) && text.ends_with(quote);
    if text.contains([' ', '\t']) && text.split_whitespace().skip(1).any(|word| word.starts_with(['#', ';'])) {
        " (a comment must stand on a line of its own)"
    } else if quoted('"') || quoted('\'') {
        " (quotes are part of a value; leave them out)"
    } else {
        ""
    }
}
