//! Text of a configuration file to options with their lines: the grammar of Python's `configparser`.
//!
//! The rules are those of `configparser.ConfigParser` with its defaults (Python 3.8 and later), line by line:
//! - `#` and `;` make a comment only as the first character of a line that is not blank; there are no comments at
//!   the end of a line.
//! - A line that is indented deeper than the line of the option above continues its value; so does an empty line,
//!   and empty lines at the end of a value are dropped.
//! - `[name]` begins a section, whatever stands behind the last bracket; blanks inside the brackets belong to it.
//! - The first `=` or `:` ends the name of an option, which becomes lower case.
//! - An option or a section (save `[DEFAULT]`) may occur once in a file.

use std::collections::HashMap;
use thiserror::Error;

/// Name of the section whose options reach into every other section.
pub(crate) const DEFAULT_SECTION: &str = "DEFAULT";

/// One option as written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Name, lower case.
    pub option: String,
    /// Value without the blanks around it; the lines of a long value are joined by newlines.
    pub value: String,
    /// Line of the name, from 1.
    pub line: usize,
}

/// One section as written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Section {
    /// Name, with capitals and blanks as written.
    pub name: String,
    /// Line of its first header, from 1.
    pub line: usize,
    /// Its options in the order of the file.
    pub entries: Vec<Entry>,
}

/// Why a line cannot be read. The line number is from 1.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum SyntaxError {
    /// Text stands before the first section.
    #[error("{text:?} comes before any section; begin the file with a section such as [DEFAULT] or [pull]")]
    NoSection {
        /// Line of the text.
        line: usize,
        /// The line, without the blanks around it.
        text: String,
    },
    /// A section begins a second time in the same file.
    #[error("section [{section}] appears twice (first in line {first}); merge the two")]
    DuplicateSection {
        /// Line of the second header.
        line: usize,
        /// Its name.
        section: String,
        /// Line of the first header.
        first: usize,
    },
    /// An option is set a second time in the same section of the same file.
    #[error("option {option:?} is set twice in [{section}] (first in line {first}); remove one of them")]
    DuplicateOption {
        /// Line of the second one.
        line: usize,
        /// Section of both.
        section: String,
        /// Name of both.
        option: String,
        /// Line of the first one.
        first: usize,
    },
    /// A line is neither a section, nor an option, nor a comment.
    #[error("{text:?} is neither a [section], nor \"option = value\", nor a comment that begins with #")]
    NotAnOption {
        /// Line of the text.
        line: usize,
        /// The line, without the blanks around it.
        text: String,
    },
}

impl SyntaxError {
    /// Line at which reading failed, from 1.
    #[must_use]
    pub fn line(&self) -> usize {
        match self {
            Self::NoSection { line, .. }
            | Self::DuplicateSection { line, .. }
            | Self::DuplicateOption { line, .. }
            | Self::NotAnOption { line, .. } => *line,
        }
    }
}

/// What Python's `str.strip` takes for a blank: white space and the four information separators.
pub(crate) fn is_blank(c: char) -> bool {
    c.is_whitespace() || ('\u{1c}'..='\u{1f}').contains(&c)
}

/// Reads a whole file. Sections come in the order of their first header.
///
/// # Errors
/// Every line that cannot be read, in order.
pub fn read(text: &str) -> Result<Vec<Section>, Vec<SyntaxError>> {
    let mut reader = Reader::default();
    for (index, line) in lines(text).enumerate() {
        reader.line(index + 1, line);
    }
    reader.finish()
}

/// Lines as Python's text files yield them: ended by `\n`, `\r\n` or a lone `\r`.
fn lines(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = Some(text);
    std::iter::from_fn(move || {
        let current = rest.filter(|text| !text.is_empty())?;
        match current.find(['\n', '\r']) {
            None => {
                rest = None;
                Some(current)
            }
            Some(end) => {
                let (line, tail) = current.split_at(end);
                rest = tail.strip_prefix("\r\n").or_else(|| tail.get(1..));
                Some(line)
            }
        }
    })
}

/// Where the next line goes.
#[derive(Default)]
struct Reader {
    sections: Vec<Section>,
    /// Index of each section by name.
    known: HashMap<String, usize>,
    /// Index of the section that is being read.
    section: Option<usize>,
    /// Whether the last option of `section` may be continued.
    open: bool,
    /// Indentation, in characters, of the line that opened the last option or section.
    indent: usize,
    /// Lines of the options of each section, for the words of an error.
    first: HashMap<(usize, String), usize>,
    errors: Vec<SyntaxError>,
    /// Text before the first section is reported once, not line by line.
    headless: bool,
}

impl Reader {
    fn line(&mut self, number: usize, raw: &str) {
        let text = raw.trim_matches(is_blank);
        if text.starts_with(['#', ';']) {
            return;
        }
        if text.is_empty() {
            if let Some(entry) = self.open_entry() {
                entry.value.push('\n');
            }
            return;
        }
        let indent = raw.chars().take_while(|c| is_blank(*c)).count();
        if indent > self.indent
            && let Some(entry) = self.open_entry()
        {
            entry.value.push('\n');
            entry.value.push_str(text);
            return;
        }
        self.indent = indent;
        if let Some(name) = section_name(text) {
            self.begin_section(number, name);
        } else if self.section.is_none() {
            if !std::mem::replace(&mut self.headless, true) {
                self.errors.push(SyntaxError::NoSection { line: number, text: text.to_owned() });
            }
        } else {
            self.option(number, text);
        }
    }

    /// The option that an indented or empty line would continue.
    fn open_entry(&mut self) -> Option<&mut Entry> {
        if !self.open {
            return None;
        }
        self.sections.get_mut(self.section?)?.entries.last_mut()
    }

    fn begin_section(&mut self, line: usize, name: &str) {
        self.open = false;
        let index = match self.known.get(name) {
            Some(&index) => {
                if name != DEFAULT_SECTION {
                    let first = self.sections.get(index).map_or(0, |section| section.line);
                    self.errors.push(SyntaxError::DuplicateSection { line, section: name.to_owned(), first });
                }
                index
            }
            None => {
                self.sections.push(Section { name: name.to_owned(), line, entries: Vec::new() });
                self.known.insert(name.to_owned(), self.sections.len() - 1);
                self.sections.len() - 1
            }
        };
        self.section = Some(index);
    }

    fn option(&mut self, line: usize, text: &str) {
        let Some(index) = self.section else { return };
        let Some(section) = self.sections.get_mut(index) else { return };
        let Some((name, value)) = text.split_once(['=', ':']).filter(|(name, _)| !name.is_empty()) else {
            self.errors.push(SyntaxError::NotAnOption { line, text: text.to_owned() });
            // A value without a name can be continued by nothing.
            self.open &= !text.starts_with(['=', ':']);
            return;
        };
        let option = name.trim_end_matches(is_blank).to_lowercase();
        match self.first.get(&(index, option.clone())) {
            Some(&first) => {
                let section = section.name.clone();
                self.errors.push(SyntaxError::DuplicateOption { line, section, option: option.clone(), first });
            }
            None => {
                self.first.insert((index, option.clone()), line);
            }
        }
        section.entries.push(Entry { option, value: value.trim_start_matches(is_blank).to_owned(), line });
        self.open = true;
    }

    fn finish(mut self) -> Result<Vec<Section>, Vec<SyntaxError>> {
        if !self.errors.is_empty() {
            return Err(self.errors);
        }
        for entry in self.sections.iter_mut().flat_map(|section| &mut section.entries) {
            entry.value.truncate(entry.value.trim_end_matches(is_blank).len());
        }
        Ok(self.sections)
    }
}

/// The name of the section that a line begins. The last bracket of the line ends it, and what follows is ignored.
fn section_name(text: &str) -> Option<&str> {
    let inner = text.strip_prefix('[')?;
    inner.rfind(']').filter(|end| *end > 0).and_then(|end| inner.get(..end))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(text: &str) -> Vec<(String, String, String)> {
        let sections = read(text).unwrap();
        let all = sections.iter().flat_map(|s| s.entries.iter().map(move |e| (s, e)));
        all.map(|(s, e)| (s.name.clone(), e.option.clone(), e.value.clone())).collect()
    }

    fn one(text: &str) -> String {
        let mut all = values(text);
        assert_eq!(all.len(), 1, "{text:?} holds {all:?}");
        all.remove(0).2
    }

    #[test]
    fn both_separators_and_lower_case_names() {
        let all = values("[A]\nOne = 1\nTWO:2\nthree=a:b\nfour: a=b\n");
        let pairs: Vec<_> = all.iter().map(|(_, o, v)| (o.as_str(), v.as_str())).collect();
        assert_eq!(pairs, [("one", "1"), ("two", "2"), ("three", "a:b"), ("four", "a=b")]);
    }

    #[test]
    fn comments_only_at_the_start_of_a_line() {
        assert_eq!(one("[a]\n# no\n  ; no\nx = 1 # yes ; yes\n"), "1 # yes ; yes");
        assert_eq!(one("[a]\nx = # yes\n"), "# yes");
    }

    #[test]
    fn deeper_lines_continue_a_value() {
        assert_eq!(one("[a]\nx = 1\n  2\n\n  # gone\n\t3\n\n\n"), "1\n2\n\n3");
        assert_eq!(one("[a]\nx =\n  [b]\n  y = 2\n"), "\n[b]\ny = 2");
    }

    #[test]
    fn the_same_depth_does_not_continue() {
        assert_eq!(values("[a]\n  x = 1\n  y = 2\n y2 = 3").len(), 3);
        // A character may have several bytes: depth counts characters.
        assert_eq!(values("[a]\n\u{a0}x = 1\n y = 2\n").len(), 2);
    }

    #[test]
    fn any_line_end() {
        assert_eq!(values("[a]\r\nx = 1\ry = 2\r\n\r\nz = 3").len(), 3);
    }

    #[test]
    fn names_of_sections_are_taken_as_written() {
        let names: Vec<_> = read("[ a ]\n[A] junk\n[b]c]\n").unwrap().into_iter().map(|s| s.name).collect();
        assert_eq!(names, [" a ", "A", "b]c"]);
    }

    #[test]
    fn every_error_with_its_line() {
        let errors = read("x\ny\n[a]\nb\n = 1\nc = 1\nC = 2\n[]\n[d]\n[a]\n[DEFAULT]\n[DEFAULT]\n").unwrap_err();
        let lines: Vec<_> = errors.iter().map(SyntaxError::line).collect();
        assert_eq!(lines, [1, 4, 5, 7, 8, 10]);
        assert!(matches!(&errors[3], SyntaxError::DuplicateOption { first: 6, option, .. } if option == "c"));
        assert!(matches!(&errors[5], SyntaxError::DuplicateSection { first: 3, section, .. } if section == "a"));
    }
}
