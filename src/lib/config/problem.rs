//! Errors and warnings about a configuration, with the remedy.

use super::ini::{Ini, Place};
use super::secret;
use crate::escape::without_passwords;
use std::fmt;

/// One fault: where it stands, what was written, what is wrong with it and what would be right.
///
/// Renders as `haproxystats.conf:12: [pull] timeout = "2 parsecs": not a number; write seconds, such as 0.5`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Problem {
    /// File and line; `None` for what stands in no file.
    pub place: Option<Place>,
    /// Section, without brackets.
    pub section: Option<String>,
    /// Option of that section.
    pub option: Option<String>,
    /// The value as written.
    pub text: Option<String>,
    /// What is wrong, and after a semicolon what would be right.
    pub message: String,
}

impl Problem {
    /// A fault that has no place in a file.
    #[must_use]
    pub fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), ..Self::default() }
    }

    /// A fault of an option, as it was written.
    pub(crate) fn of(ini: &Ini, section: &str, option: &str, message: impl Into<String>) -> Self {
        let problem = Self::new(message).section(section).option(option);
        match ini.raw(section, option) {
            Some(raw) => problem.text(&raw.text).place(raw.place),
            None => problem.place(ini.section_place(section).cloned()),
        }
    }

    /// A fault of a section as a whole.
    pub(crate) fn of_section(ini: &Ini, section: &str, message: impl Into<String>) -> Self {
        Self::new(message).section(section).place(ini.section_place(section).cloned())
    }

    /// Adds the section.
    #[must_use]
    pub fn section(mut self, section: &str) -> Self {
        self.section = Some(section.to_owned());
        self
    }

    /// Adds the option.
    #[must_use]
    pub fn option(mut self, option: &str) -> Self {
        self.option = Some(option.to_owned());
        self
    }

    /// Adds the value as written.
    #[must_use]
    pub fn text(mut self, text: &str) -> Self {
        self.text = Some(text.to_owned());
        self
    }

    /// Adds the place.
    #[must_use]
    pub fn place(mut self, place: Option<Place>) -> Self {
        self.place = place;
        self
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(place) = &self.place {
            write!(f, "{place}: ")?;
        }
        if let Some(section) = &self.section {
            write!(f, "[{section}]")?;
            if let Some(option) = &self.option {
                write!(f, " {option}")?;
                if let Some(text) = &self.text {
                    write!(f, " = {:?}", secret::shown(option, text))?;
                }
            }
            f.write_str(": ")?;
        }
        f.write_str(&without_passwords(&self.message))
    }
}

/// Everything that was found, in the order in which it was looked at.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Report {
    /// What keeps the program from starting.
    pub errors: Vec<Problem>,
    /// What is odd but harmless.
    pub warnings: Vec<Problem>,
}

impl Report {
    /// Adds a reason not to start.
    pub fn error(&mut self, problem: Problem) {
        self.errors.push(problem);
    }

    /// Adds a doubt.
    pub(crate) fn warn(&mut self, problem: Problem) {
        self.warnings.push(problem);
    }

    /// Whether the program may start.
    #[must_use]
    pub fn is_good(&self) -> bool {
        self.errors.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn place_option_text_and_advice_in_one_line() {
        let place = Some(Place { file: "h.conf".into(), line: 12 });
        let problem = Problem::new("not a number; write seconds, such as 0.5")
            .section("pull")
            .option("timeout")
            .text("2\nparsecs")
            .place(place);
        let words = r#"h.conf:12: [pull] timeout = "2\nparsecs": not a number; write seconds, such as 0.5"#;
        assert_eq!(problem.to_string(), words);
        assert_eq!(Problem::new("nothing to do").to_string(), "nothing to do");
    }
}
