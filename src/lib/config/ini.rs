//! The configuration as it was written: section, option, text and place of each value.
//!
//! Several sources are laid over each other: the built-in defaults, the file, and the files of a directory. A later
//! source replaces single options of an earlier one. `[DEFAULT]` reaches into every section for the options that
//! the section itself does not have, and a built-in default of a section counts as its own: `retries` in `[DEFAULT]`
//! does not change `[pull] retries`.
//!
//! [`reader`] reads the text; the `configparser` crate keeps the values, in order, and cascades.
//! docs/adr/0003-configuration-parser.md says why the crate does not read the text.

use super::interpolate::{self, InterpolationError};
use super::reader::{self, DEFAULT_SECTION, SyntaxError};
use configparser::ini::{IniDefault, WriteOptions};
use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

/// Where a value was written.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Place {
    /// Name of the file as it was given.
    pub file: Arc<str>,
    /// Line of the option, from 1; 0 where there are no lines, as in the environment.
    pub line: usize,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            0 => f.write_str(&self.file),
            line => write!(f, "{}:{line}", self.file),
        }
    }
}

/// A value as written, before interpolation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Raw {
    /// The text.
    pub text: String,
    /// Where it was written; `None` for a built-in default.
    pub place: Option<Place>,
}

/// All sections and options.
#[derive(Debug, Clone)]
pub struct Ini {
    values: configparser::ini::Ini,
    /// Place of each value by section and option; built-in defaults have none.
    places: HashMap<String, HashMap<String, Place>>,
    /// Place of each section that a file has.
    sections: HashMap<String, Place>,
}

impl Default for Ini {
    fn default() -> Self {
        Self::new()
    }
}

impl Ini {
    /// Without any section.
    #[must_use]
    pub fn new() -> Self {
        Self { values: store(), places: HashMap::new(), sections: HashMap::new() }
    }

    /// Reads one text alone. Any text may be given; it never panics.
    ///
    /// # Errors
    /// Every line that cannot be read.
    pub fn parse(text: &str) -> Result<Self, Vec<SyntaxError>> {
        let mut ini = Self::new();
        ini.read("text", text)?;
        Ok(ini)
    }

    /// Lays a text over what is there. `file` names it in messages.
    ///
    /// # Errors
    /// Every line that cannot be read; nothing is changed then.
    pub fn read(&mut self, file: &str, text: &str) -> Result<(), Vec<SyntaxError>> {
        let file: Arc<str> = file.into();
        for section in reader::read(text)? {
            self.add_section(&section.name);
            let place = Place { file: Arc::clone(&file), line: section.line };
            self.sections.entry(section.name.clone()).or_insert(place);
            let places = self.places.entry(section.name.clone()).or_default();
            for entry in section.entries {
                places.insert(entry.option.clone(), Place { file: Arc::clone(&file), line: entry.line });
                self.values.set(&section.name, &entry.option, Some(entry.value));
            }
        }
        Ok(())
    }

    /// Lays one value over what is there, as it is: it refers to nothing. `origin` names its place in messages.
    pub fn set(&mut self, origin: &str, section: &str, option: &str, value: &str) {
        self.add_section(section);
        let place = Place { file: origin.into(), line: 0 };
        self.sections.entry(section.to_owned()).or_insert_with(|| place.clone());
        self.places.entry(section.to_owned()).or_default().insert(option.to_owned(), place);
        self.values.set(section, option, Some(value.replace('$', "$$")));
    }

    /// Sets a built-in default; the section comes to exist.
    pub fn set_default(&mut self, section: &str, option: &str, text: &str) {
        self.values.set(section, option, Some(text.to_owned()));
    }

    /// Takes a section away, as if it had never been written.
    pub fn remove(&mut self, section: &str) {
        self.values.get_mut_map().retain(|name, _| name != section);
        self.places.remove(section);
        self.sections.remove(section);
    }

    fn add_section(&mut self, name: &str) {
        self.values.get_mut_map().entry(name.to_owned()).or_default();
    }

    /// Whether a section is there. `[DEFAULT]` always is.
    #[must_use]
    pub fn has_section(&self, section: &str) -> bool {
        section == DEFAULT_SECTION || self.values.get_map_ref().contains_key(section)
    }

    /// Names of the sections without `[DEFAULT]`, in the order in which they were first met.
    pub fn sections(&self) -> impl Iterator<Item = &str> {
        self.values.get_map_ref().keys().map(String::as_str).filter(|name| *name != DEFAULT_SECTION)
    }

    /// Where a section was first written; `None` when only built-in defaults make it.
    #[must_use]
    pub(crate) fn section_place(&self, section: &str) -> Option<&Place> {
        self.sections.get(section)
    }

    /// Names of the options that a section itself has, in order, without those that `[DEFAULT]` lends.
    pub fn own_options(&self, section: &str) -> impl Iterator<Item = &str> {
        self.values.get_map_ref().get(section).into_iter().flat_map(|options| options.keys().map(String::as_str))
    }

    /// Names of all options of a section: those of `[DEFAULT]` first, then its own.
    #[must_use]
    pub fn options(&self, section: &str) -> Vec<&str> {
        let mut all: Vec<&str> = self.own_options(DEFAULT_SECTION).collect();
        if section != DEFAULT_SECTION {
            let lent = all.len();
            for option in self.own_options(section) {
                if !all.iter().take(lent).any(|known| *known == option) {
                    all.push(option);
                }
            }
        }
        all
    }

    /// Whether a section itself has an option, be it from a file or built in.
    #[must_use]
    pub(crate) fn has_own(&self, section: &str, option: &str) -> bool {
        self.values.get_map_ref().get(section).is_some_and(|options| options.contains_key(option))
    }

    /// Whether a file has this option in this section itself.
    #[must_use]
    pub(crate) fn is_written(&self, section: &str, option: &str) -> bool {
        self.places.get(section).is_some_and(|options| options.contains_key(option))
    }

    /// The options that a section itself has and their texts before interpolation, in order.
    pub(crate) fn own_texts(&self, section: &str) -> impl Iterator<Item = (&str, &str)> {
        let options = self.values.get_map_ref().get(section).into_iter().flatten();
        options.filter_map(|(option, text)| Some((option.as_str(), text.as_deref()?)))
    }

    /// The text of an option before interpolation; `[DEFAULT]` steps in. `None` where section or option is missing.
    #[must_use]
    pub fn raw(&self, section: &str, option: &str) -> Option<Raw> {
        if !self.has_section(section) {
            return None;
        }
        let text = self.values.get(section, option)?;
        let owner = if self.has_own(section, option) { section } else { DEFAULT_SECTION };
        let place = self.places.get(owner).and_then(|options| options.get(option)).cloned();
        Some(Raw { text, place })
    }

    /// The value of an option, references resolved. `None` where section or option is missing.
    ///
    /// # Errors
    /// A reference that is misspelt, leads nowhere or never ends.
    pub fn get(&self, section: &str, option: &str) -> Result<Option<String>, Box<InterpolationError>> {
        interpolate::value(self, section, option)
    }

    /// Everything that was read (built-in defaults excepted) as a text that reads back to the same, for handing the
    /// configuration to another process.
    #[must_use]
    pub fn to_text(&self) -> String {
        let mut written = store();
        for (section, options) in self.values.get_map_ref() {
            let places = self.places.get(section);
            if !self.sections.contains_key(section) {
                continue;
            }
            written.get_mut_map().entry(section.clone()).or_default();
            for (option, value) in options {
                if places.is_some_and(|places| places.contains_key(option)) {
                    written.set(section, option, value.clone());
                }
            }
        }
        // The crate writes the default section first, and without a header.
        format!("[{DEFAULT_SECTION}]\n{}", written.pretty_writes(&WriteOptions::default()))
    }
}

/// The crate's store with the rules of Python: names as written, `[DEFAULT]` cascades, values may have lines.
fn store() -> configparser::ini::Ini {
    let mut rules = IniDefault::default();
    rules.default_section = DEFAULT_SECTION.to_owned();
    rules.case_sensitive = true;
    rules.multiline = true;
    rules.enable_inline_comments = false;
    rules.cascade_defaults = true;
    configparser::ini::Ini::new_from_defaults(rules)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn later_texts_replace_single_options() {
        let mut ini = Ini::new();
        ini.set_default("a", "x", "0");
        ini.read("one", "[a]\nx = 1\ny = 1\n").unwrap();
        ini.read("two", "[a]\n\ny = 2\n").unwrap();
        assert_eq!(ini.raw("a", "x").unwrap().place.unwrap().to_string(), "one:2");
        let y = ini.raw("a", "y").unwrap();
        assert_eq!((y.text.as_str(), y.place.unwrap().to_string()), ("2", "two:3".to_owned()));
    }

    #[test]
    fn defaults_cascade_below_what_a_section_has() {
        let mut ini = Ini::new();
        ini.set_default("a", "retries", "1");
        ini.read("f", "[DEFAULT]\nretries = 5\nother = 6\n[b]\n").unwrap();
        let text = |section: &str, option: &str| ini.raw(section, option).map(|raw| raw.text);
        assert_eq!(text("a", "retries").as_deref(), Some("1"));
        assert_eq!(text("a", "other").as_deref(), Some("6"));
        assert_eq!(text("b", "retries").as_deref(), Some("5"));
        assert_eq!(text("nowhere", "retries"), None);
        assert_eq!(ini.options("b"), ["retries", "other"]);
        assert!(ini.own_options("b").next().is_none());
    }

    #[test]
    fn what_was_read_survives_as_text() {
        let text = "[DEFAULT]\nd = 1\n[b]\nx =\n  [not a section]\n\n  # gone\n  y\nempty =\n[ a ]\nx = = 1\n[c]\n";
        let mut ini = Ini::new();
        ini.set_default("b", "built-in", "1");
        ini.read("f", text).unwrap();
        let mut again = Ini::new();
        again.set_default("b", "built-in", "1");
        again.read("g", &ini.to_text()).unwrap();
        assert_eq!(ini.values, again.values);
        assert!(!ini.to_text().contains("built-in"));
    }
}
