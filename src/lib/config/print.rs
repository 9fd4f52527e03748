//! What `-p` and `-P` print.

use super::ini::Ini;
use super::interpolate::InterpolationError;
use super::options;
use super::program::Program;
use super::reader::DEFAULT_SECTION;
use super::secret;
use std::fmt::Write;

/// The built-in defaults, as text of a configuration file (`-p`).
pub(crate) fn defaults(program: Program) -> String {
    let ini = options::defaults();
    let mut out = String::new();
    for section in shown(program, &ini) {
        let mut options: Vec<&str> = ini.own_options(section).collect();
        options.sort_unstable();
        let values = options.into_iter().filter_map(|option| ini.raw(section, option).map(|raw| (option, raw.text)));
        write_section(&mut out, section, values);
    }
    out
}

/// The whole configuration, defaults included and references resolved, as text of a configuration file (`-P`).
///
/// # Errors
/// The first value that cannot be resolved.
pub(crate) fn configuration(program: Program, ini: &Ini) -> Result<String, Box<InterpolationError>> {
    let mut out = String::new();
    for section in shown(program, ini) {
        let mut options = ini.options(section);
        options.sort_unstable();
        let mut values = Vec::with_capacity(options.len());
        for option in options {
            if let Some(value) = ini.get(section, option)? {
                let raw = ini.raw(section, option).map(|raw| raw.text).unwrap_or_default();
                // A reader of what is printed resolves references once more.
                values.push((option, secret::shown_of(option, &raw, &value).replace('$', "$$")));
            }
        }
        write_section(&mut out, section, values);
    }
    Ok(out)
}

fn shown(program: Program, ini: &Ini) -> Vec<&str> {
    let mut sections: Vec<&str> = ini.sections().filter(|section| program.owns(section)).collect();
    sections.push(DEFAULT_SECTION);
    sections.sort_unstable();
    sections
}

fn write_section<'a>(out: &mut String, section: &str, options: impl IntoIterator<Item = (&'a str, String)>) {
    // Writing to a String cannot fail.
    let _ = writeln!(out, "[{section}]");
    for (option, value) in options {
        // Read again, a line of a long value must not begin a section or an option of its own; nor does an empty one end it.
        let value = value.replace('\n', "\n\t");
        let _ = writeln!(out, "{option} = {value}");
    }
    out.push('\n');
}
