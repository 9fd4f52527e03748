//! The options of one service: those of its own section, otherwise those of `[agent]`.

use super::super::ini::Ini;
use super::super::option::Opt;
use super::super::options::AGENT;
use super::super::problem::Report;
use super::super::section::Section;

/// Where a service has the value of an option: in its own section or in `[agent]`, with dashes or underscores.
fn whereabouts<'a>(ini: &Ini, own: &'a str, option: &str) -> (&'a str, String) {
    let old = option.replace('-', "_");
    for section in [own, AGENT] {
        for name in [option, &old] {
            if ini.is_written(section, name) {
                return (section, name.to_owned());
            }
        }
    }
    (AGENT, option.to_owned())
}

/// The options of one service.
pub(super) struct Reader<'a> {
    pub(super) own: &'a str,
    pub(super) ini: &'a Ini,
    pub(super) report: &'a mut Report,
}

impl Reader<'_> {
    pub(super) fn get<T>(&mut self, option: &Opt<T>) -> Option<T> {
        let (section, name) = whereabouts(self.ini, self.own, option.name());
        Section::new(section, self.ini, self.report).get_named(&name, option.parse)
    }

    pub(super) fn optional<T>(&mut self, option: &Opt<T>) -> Option<Option<T>> {
        let (section, name) = whereabouts(self.ini, self.own, option.name());
        Section::new(section, self.ini, self.report).optional_named(&name, option.parse)
    }

    pub(super) fn error(&mut self, option: &str, message: &str) {
        let (section, option) = whereabouts(self.ini, self.own, option);
        Section::new(section, self.ini, self.report).error(&option, message);
    }
}
