//! `[frontend-groups]`, `[backend-groups]`, `[server-groups]`: names by patterns.

use super::ini::Ini;
use super::pattern;
use super::problem::{Problem, Report};
use super::program::GROUP_SECTIONS;
use super::reader::DEFAULT_SECTION;
use super::section::Section;
use super::value;

/// A group: its name (lower case, as option names are) and its pattern, searched anywhere in a name.
#[derive(Debug, Clone)]
pub struct Group {
    /// Path element.
    pub name: String,
    /// Searched in the name after dots became underscores.
    pub pattern: regex::Regex,
}

/// The groups of each kind, in the order of the file: the first match wins.
#[derive(Debug, Clone, Default)]
pub struct Groups {
    /// `[frontend-groups]`
    pub frontend: Vec<Group>,
    /// `[backend-groups]`
    pub backend: Vec<Group>,
    /// `[server-groups]`
    pub server: Vec<Group>,
}

/// Reads the three sections; `None` when a pattern or a name cannot be right, which is in the report then.
pub(super) fn read(ini: &Ini, report: &mut Report) -> Option<Groups> {
    let [frontend, backend, server] = GROUP_SECTIONS.map(|name| section(ini, report, name));
    let namespace = ini.raw("graphite", "group-namespace");
    let written: Vec<&str> = GROUP_SECTIONS.into_iter().filter(|name| ini.has_section(name)).collect();
    match (namespace, written.first()) {
        (None, Some(name)) => {
            let message = "needs group-namespace in [graphite]; set it, or remove the section";
            report.error(Problem::of_section(ini, name, message));
        }
        (Some(_), None) => {
            let message =
                "needs groups; add [frontend-groups], [backend-groups] or [server-groups], or remove the line";
            report.error(Problem::of(ini, "graphite", "group-namespace", message));
        }
        _ => {}
    }
    Some(Groups { frontend: frontend?, backend: backend?, server: server? })
}

fn section(ini: &Ini, report: &mut Report, name: &'static str) -> Option<Vec<Group>> {
    let mut groups = Some(Vec::new());
    let mut section = Section::new(name, ini, report);
    for option in ini.own_options(name) {
        if ini.has_own(DEFAULT_SECTION, option) {
            section.warn(option, "is not a group, because [DEFAULT] has an option of this name; rename the group");
            continue;
        }
        if let Err(refusal) = value::namespace(option) {
            section.error(option, format!("a group's name becomes part of paths: {refusal}"));
        }
        let group = section.get_named(option, |text| {
            let pattern = pattern::compile(text)?;
            Ok(Group { name: option.to_owned(), pattern })
        });
        if let Some(group) = &group
            && pattern::wants_dot(group.pattern.as_str())
        {
            section.warn(
                option,
                "matches a dot, but dots in names are replaced by underscores before groups are matched; write _",
            );
        }
        groups = groups.zip(group).map(|(mut groups, group)| {
            groups.push(group);
            groups
        });
    }
    if ini.has_section(name) && groups.as_ref().is_some_and(Vec::is_empty) {
        report.warn(Problem::of_section(ini, name, "contains no group"));
    }
    groups
}
