//! haproxystats.conf, made from the table of options: each option with its sentence above it, commented out with its default or
//! with an example. What the table does not know stands in `shipped_sections.rs`.

use crate::shipped_sections::{HEAD, SECTIONS, Section};
use haproxystats::config::options::{self, OptionSpec, Reader, Type};

/// Longest line of a comment.
const WIDTH: usize = 100;

/// Accepted for old files alone: not to be advertised.
pub fn is_obsolete(spec: &OptionSpec) -> bool {
    spec.reader == Reader::None && spec.default.is_none()
}

/// The whole file.
pub fn text() -> String {
    let mut out = comment(HEAD);
    for name in options::sections() {
        let section = SECTIONS.iter().find(|section| section.name == name).expect("a section of the file");
        out.push_str("\n\n");
        out.push_str(&one_section(section));
    }
    out
}

fn one_section(section: &Section) -> String {
    for (entry, _) in section.set.iter().chain(section.examples) {
        let known = options::all().any(|spec| spec.section == section.name && belongs(entry, spec));
        assert!(known, "[{}] {entry} in shipped_sections.rs is no option", section.name);
    }
    let mark = if section.is_there { "" } else { "#" };
    let mut out = format!("{}{mark}[{}]\n", comment(section.about), section.name);
    for spec in options::all().filter(|spec| spec.section == section.name && !is_obsolete(spec)) {
        out.push_str(&comment(&sentences(section, spec)));
        for line in lines(section, spec) {
            out.push_str(&line);
            out.push('\n');
        }
        out.push('\n');
    }
    if !section.more.is_empty() {
        out.push('\n');
        out.push_str(section.more);
        out.push('\n');
    }
    format!("{}\n", out.trim_end())
}

/// Whether an entry of a section belongs to an option, also to one whose name only begins as the table says.
fn belongs(entry: &str, spec: &OptionSpec) -> bool {
    spec.name.strip_suffix('*').map_or(entry == spec.name, |beginning| entry.starts_with(beginning))
}

/// The option as it is set, as an example, or with its default.
fn lines(section: &Section, spec: &OptionSpec) -> Vec<String> {
    let line = |mark: &str, name: &str, value: &str| format!("{mark}{name} = {value}").trim_end().to_owned();
    let set = section.set.iter().filter(|(name, _)| belongs(name, spec)).map(|(name, value)| line("", name, value));
    let examples = section.examples.iter().filter(|(name, _)| belongs(name, spec));
    let mut all: Vec<String> = set.chain(examples.map(|(name, value)| line("#", name, value))).collect();
    if all.is_empty() {
        let default = spec.default.unwrap_or_else(|| {
            panic!("[{}] {} has no default: give it an example in shipped_sections.rs", spec.section, spec.name)
        });
        all.push(line("#", spec.name, &default.replace("/var/lib/haproxystats/", "${paths:base-dir}/")));
    }
    all
}

/// What an operator is told of an option.
fn sentences(section: &Section, spec: &OptionSpec) -> String {
    let mut text = spec.about.to_owned();
    if let Type::Choice(choices) = spec.kind
        && !choices.iter().all(|choice| text.contains(choice))
    {
        text.push_str(&format!(" One of {}.", choices.join(", ")));
    }
    if !["", "seconds"].contains(&spec.kind.unit()) {
        text.push_str(&format!(" In {}.", spec.kind.unit()));
    }
    match spec.default {
        None if spec.name != "*" => text.push_str(" Unset by default."),
        Some(default) if section.set.iter().any(|(name, _)| *name == spec.name) => {
            text.push_str(&format!(" Default: {default}."));
        }
        _ => {}
    }
    text
}

/// A text as lines of comment; an empty line parts paragraphs, and what is indented stays as it is.
fn comment(text: &str) -> String {
    let mut out = String::new();
    for paragraph in text.lines() {
        let mut line = "#".to_owned();
        if paragraph.starts_with(' ') {
            line.push_str(paragraph);
        } else {
            for word in paragraph.split_whitespace() {
                if line.len() > 1 && line.len() + 1 + word.len() > WIDTH {
                    out.push_str(&line);
                    out.push('\n');
                    line = "#".to_owned();
                }
                line.push(' ');
                line.push_str(word);
            }
        }
        out.push_str(&line);
        out.push('\n');
    }
    out
}
