//! Reads the options of one section as values, and reports each one that cannot be right.

use super::ini::Ini;
use super::option::Opt;
use super::problem::{Problem, Report};
use super::program::AGENT;
use super::reading::Refusal;
use super::secret;

/// One section that is being read.
pub(super) struct Section<'a> {
    pub(super) name: &'a str,
    /// The section in which the options stand that this one does not have.
    base: Option<&'static str>,
    pub(super) ini: &'a Ini,
    report: &'a mut Report,
}

impl<'a> Section<'a> {
    pub(super) fn new(name: &'a str, ini: &'a Ini, report: &'a mut Report) -> Self {
        Self { name, base: None, ini, report }
    }

    /// A section whose options are otherwise those of `base`.
    pub(super) fn above(base: &'static str, name: &'a str, ini: &'a Ini, report: &'a mut Report) -> Self {
        Self { name, base: Some(base), ini, report }
    }

    /// The section and the name under which an option stands.
    fn whereabouts(&self, option: &str) -> (&'a str, String) {
        let Some(base) = self.base else { return (self.name, option.to_owned()) };
        let places = [self.name, base].map(|section| [(section, option.to_owned()), (section, older(base, option))]);
        let written = |place: &(&str, String)| self.ini.is_written(place.0, &place.1);
        places.into_iter().flatten().find(written).unwrap_or_else(|| (base, option.to_owned()))
    }

    /// The value of an option that has a built-in default; `None` after a report.
    pub(super) fn get<T>(&mut self, option: &Opt<T>) -> Option<T> {
        self.get_named(option.name(), option.parse)
    }

    /// Numbers that have built-in defaults; `None` after a report.
    pub(super) fn numbers<const N: usize>(&mut self, options: [&Opt<f64>; N]) -> Option<[f64; N]> {
        let values = options.map(|option| self.get(option));
        values.iter().all(Option::is_some).then(|| values.map(Option::unwrap_or_default))
    }

    /// The same as [`Self::get`] for an option that the user has named, or that is read in another way.
    pub(super) fn get_named<T>(&mut self, option: &str, parse: impl FnOnce(&str) -> Result<T, Refusal>) -> Option<T> {
        let value = self.optional_named(option, parse)?;
        if value.is_none() {
            self.error(option, "is not set");
        }
        value
    }

    /// The value of an option that may be unset (`Some(None)`); `None` after a report.
    pub(super) fn optional<T>(&mut self, option: &Opt<T>) -> Option<Option<T>> {
        self.optional_named(option.name(), option.parse)
    }

    /// The same, or nothing of it.
    pub(super) fn or_default<T: Default>(&mut self, option: &Opt<T>) -> Option<T> {
        self.optional(option).map(Option::unwrap_or_default)
    }

    /// The same for an option that the user has named, or that is read in another way.
    pub(super) fn optional_named<T>(
        &mut self,
        option: &str,
        parse: impl FnOnce(&str) -> Result<T, Refusal>,
    ) -> Option<Option<T>> {
        let (section, name) = self.whereabouts(option);
        let refusal = match self.ini.get(section, &name) {
            Ok(None) => return Some(None),
            Ok(Some(text)) => match parse(&text) {
                Ok(value) => return Some(Some(value)),
                Err(refusal) => {
                    let as_written = self.ini.raw(section, &name).is_some_and(|raw| raw.text == text);
                    let refusal = format!("{refusal}{}", misunderstanding(&text));
                    if as_written {
                        refusal
                    } else {
                        format!("{refusal} (its references give {:?})", secret::shown(option, &text))
                    }
                }
            },
            Err(error) if error.section == section && error.option == name => error.to_string(),
            Err(error) => {
                let place = error.place.as_ref().map(|place| format!(" at {place}")).unwrap_or_default();
                let text = secret::shown(&error.option, &error.text);
                format!("refers to [{}] {} = {text:?}{place}: {error}", error.section, error.option)
            }
        };
        self.error(option, refusal);
        None
    }

    /// Reports a doubt about an option.
    pub(super) fn warn(&mut self, option: &str, message: impl Into<String>) {
        self.report.warn(self.problem(option, message));
    }

    /// Reports a fault of an option.
    pub(super) fn error(&mut self, option: &str, message: impl Into<String>) {
        self.report.error(self.problem(option, message));
    }

    fn problem(&self, option: &str, message: impl Into<String>) -> Problem {
        let (section, name) = self.whereabouts(option);
        Problem::of(self.ini, section, &name, message)
    }

    /// Warns about a directory whose meaning depends on where the program is started.
    pub(super) fn warn_if_relative(&mut self, option: &str, path: Option<&std::path::PathBuf>) {
        if path.is_some_and(|path| path.is_relative()) {
            self.warn(option, "depends on the directory in which the program is started; write an absolute path");
        }
    }
}

/// The agent of Datawave has underscores where this program has dashes.
fn older(base: &str, option: &str) -> String {
    if base == AGENT { option.replace('-', "_") } else { option.to_owned() }
}

/// What other configuration languages have and this one has not, where a refused value looks like it.
fn misunderstanding(text: &str) -> &'static str {
    let quoted = |quote| text.len() > 1 && text.starts_with(quote) && text.ends_with(quote);
    if text.contains([' ', '\t']) && text.split_whitespace().skip(1).any(|word| word.starts_with(['#', ';'])) {
        " (a comment must be on its own line)"
    } else if quoted('"') || quoted('\'') {
        " (quotes are part of a value; leave them out)"
    } else {
        ""
    }
}

/// A struct of values each of which may be missing: all of them are read, so that every fault is reported, and `then` is done,
/// before one that is missing ends it. A field without a value has been read before.
macro_rules! gather {
    ($name:ident { $($field:ident $(: $value:expr)?),* $(,)? } $(, $then:expr)? $(,)?) => {{
        $($(let $field = $value;)?)*
        $($then;)?
        Some($name { $($field: $field?),* })
    }};
}

pub(super) use gather;
