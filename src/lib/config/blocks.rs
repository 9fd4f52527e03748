//! Indented lines: in this language they go on with the value above them, elsewhere (YAML) they are options of their own.

use super::ini::Ini;
use super::options;
use super::problem::{Problem, Report};
use super::program::{self, AGENT};

/// Reports options whose indented lines cannot be meant as a part of their value; `true` when there are none.
///
/// Nobody would notice: the options in them are not read, and the defaults are used in their place.
pub(super) fn none(ini: &Ini, report: &mut Report) -> bool {
    let mut good = true;
    for section in ini.sections().filter(|section| program::base(section) == AGENT) {
        for option in ini.own_options(section).filter(|option| ini.is_written(section, option)) {
            let Some(raw) = ini.raw(section, option) else { continue };
            let Some(message) = misread(section, option, &raw.text) else { continue };
            // Without the option: what nobody reads is refused by the program that reads the section.
            report.error(Problem::new(message).section(section).place(raw.place));
            good = false;
        }
    }
    good
}

/// What is wrong with the lines after the first one of a value.
fn misread(section: &str, option: &str, text: &str) -> Option<String> {
    let mut lines = text.lines().skip(1).map(str::trim).filter(|line| !line.is_empty()).peekable();
    lines.peek()?;
    let known = |name: &str| options::find(section, name).is_some();
    let swallowed = lines.find_map(|line| {
        let (name, _) = line.split_once(['=', ':'])?;
        known(&name.trim().to_lowercase()).then(|| name.trim())
    });
    if let Some(name) = swallowed {
        return Some(format!(
            "the line of {name:?} is indented, so it belongs to the value of {option:?} above it; remove the \
             indentation (to convert a config.yml of the Datawave agent: haproxystats-agent --import-datawave \
             config.yml)"
        ));
    }
    (!known(option)).then(|| {
        format!("{option:?} is not an option, and has an indented block; write all options without indentation")
    })
}
