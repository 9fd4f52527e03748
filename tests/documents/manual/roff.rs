//! Man pages in the language of man(7).

use super::prose::{ENVIRONMENT, Prose, STATUSES};
use super::usage::Usage;
use haproxystats::config::options::{self, OptionSpec, Reader};
use std::fmt::Write;

/// Day of the last change of the words; mandoc wants one.
const DATE: &str = "2026-11-21";

/// Text that stands for itself. A dash of a command line must be copied as one, so that all of them are.
fn plain(text: &str) -> String {
    let text = text.replace('\\', "\\e").replace('-', "\\-");
    match text.chars().next() {
        Some('.' | '\'') => format!("\\&{text}"),
        _ => text,
    }
}

/// As a single argument of a macro.
fn quoted(text: &str) -> String {
    format!("\"{}\"", plain(text).replace('"', "\\(dq"))
}

fn header(name: &str, section: u8, about: &str) -> String {
    let (title, manual) = (name.to_uppercase(), if section == 5 { "File Formats" } else { "System Administration" });
    let version = env!("CARGO_PKG_VERSION");
    format!(
        ".\\\" Made from the program's own tables; a test holds this page against them.\n\
         .TH {} {section} {DATE} \"haproxystats {version}\" \"{manual}\"\n.nh\n.ad l\n.SH NAME\n{} \\- {}\n",
        plain(&title),
        plain(name),
        plain(about)
    )
}

/// One term and its explanation.
fn entry(text: &mut String, term: &str, about: &str) {
    let _ = write!(text, ".TP\n.B {}\n{}\n", quoted(term), plain(about));
}

fn see_also(text: &mut String, but: &str, programs: &[String]) {
    let mut pages: Vec<(String, u8)> = programs.iter().map(|name| (name.clone(), 8)).collect();
    pages.push(("haproxystats.conf".to_owned(), 5));
    pages.retain(|(name, _)| name != but);
    text.push_str(".SH SEE ALSO\n");
    let last = pages.len().saturating_sub(1);
    for (number, (name, section)) in pages.iter().enumerate() {
        let comma = if number == last { "" } else { "," };
        let _ = writeln!(text, ".BR {} ({section}){comma}", plain(name));
    }
}

/// The page of a program; `programs` are all that have one.
pub fn program(usage: &Usage, prose: &Prose, programs: &[String]) -> String {
    let mut about = usage.about.trim_end_matches('.').to_owned();
    if let Some(first) = about.get(..1) {
        about.replace_range(..1, &first.to_lowercase());
    }
    let mut text = header(&usage.program, 8, &about);
    text.push_str(".SH SYNOPSIS\n");
    for (number, pattern) in usage.patterns.iter().enumerate() {
        let _ =
            write!(text, "{}.B {}\n{}\n", if number > 0 { ".br\n" } else { "" }, plain(&usage.program), plain(pattern));
    }
    text.push_str(".SH DESCRIPTION\n");
    for (number, paragraph) in prose.description.iter().enumerate() {
        let _ = writeln!(text, "{}{}", if number > 0 { ".PP\n" } else { "" }, plain(paragraph));
    }
    text.push_str(".SH OPTIONS\n");
    for option in &usage.options {
        let short = option.short.map(|letter| format!("\\fB\\-{letter}\\fR, ")).unwrap_or_default();
        let value = option.value.as_ref().map(|value| format!(" \\fI{}\\fR", plain(value))).unwrap_or_default();
        let default = option.default.as_ref().map(|default| format!(" (default: {default})")).unwrap_or_default();
        let _ = write!(
            text,
            ".TP\n{short}\\fB\\-\\-{}\\fR{value}\n{}\n",
            plain(&option.long),
            plain(&format!("{}{default}", option.about))
        );
    }
    if !prose.signals.is_empty() {
        text.push_str(".SH SIGNALS\n");
        prose.signals.iter().for_each(|(signal, effect)| entry(&mut text, signal, effect));
    }
    text.push_str(".SH EXIT STATUS\n");
    let mut statuses: Vec<_> = STATUSES.iter().chain(prose.statuses).collect();
    statuses.sort_by_key(|(status, _)| *status);
    statuses.iter().for_each(|(status, meaning)| entry(&mut text, &status.to_string(), meaning));
    text.push_str(".SH ENVIRONMENT\n");
    ENVIRONMENT.iter().for_each(|(name, meaning)| entry(&mut text, name, meaning));
    text.push_str(".SH FILES\n");
    entry(&mut text, "/etc/haproxystats.conf", "The configuration, unless -f names another file.");
    prose.files.iter().for_each(|(path, meaning)| entry(&mut text, path, meaning));
    text.push_str(".SH EXAMPLES\n");
    prose.examples.iter().for_each(|(command, effect)| entry(&mut text, command, effect));
    see_also(&mut text, &usage.program, programs);
    text
}

const SYNTAX: &[&str] = &[
    "The programs read one file of sections and options, /etc/haproxystats.conf unless -f names another one, and then \
     every *.conf of the directory after -d in the order of their names; a later file overrides single options of \
     an earlier one. Every option has a default or may be unset. With --check, a program reports every error of its \
     configuration, and starts nothing.",
    "The syntax is that of Python's configparser with extended interpolation. = or : separates the name of an option \
     from its value. Names of options are case-insensitive, names of sections are not. A comment needs a line of its own \
     that begins with # or ;. A line that is indented deeper than the one that began the option continues its value. \
     ${option} refers to an option of the same section, ${section:option} to one of another; $$ is a dollar sign. A value \
     in [DEFAULT] applies to every section that has neither a value nor a built-in default of its own.",
];

/// haproxystats.conf(5).
pub fn configuration(programs: &[String]) -> String {
    let mut text = header("haproxystats.conf", 5, "configuration of haproxystats");
    text.push_str(".SH DESCRIPTION\n");
    for (number, paragraph) in SYNTAX.iter().enumerate() {
        let _ = writeln!(text, "{}{}", if number > 0 { ".PP\n" } else { "" }, plain(paragraph));
    }
    text.push_str(".SH OPTIONS\n");
    for section in options::sections() {
        let _ = writeln!(text, ".SS {}", quoted(&format!("[{section}]")));
        for spec in options::all().filter(|spec| spec.section == section) {
            let name = if spec.name == "*" { "any name" } else { spec.name };
            entry(&mut text, name, &format!("{} {}", spec.about, facts(spec)));
        }
    }
    text.push_str(".SH FILES\n");
    entry(&mut text, "/etc/haproxystats.conf", "The configuration of every program.");
    text.push_str(
        ".SH EXAMPLES\n.nf\n.RS\n[pull]\nsocket\\-dir = /run/haproxy\n\n[graphite]\nserver = graphite.example.com\nport = 2003\n.RE\n.fi\n",
    );
    see_also(&mut text, "haproxystats.conf", programs);
    text
}

/// Value, default and reader of an option, as sentences.
fn facts(spec: &OptionSpec) -> String {
    let mut words = spec.kind.words();
    if let Some(first) = words.get(..1).map(str::to_uppercase) {
        words.replace_range(..1, &first);
    }
    let unit = match spec.kind.unit() {
        "" => String::new(),
        unit => format!(", {unit}"),
    };
    let default = match (spec.default, spec.name) {
        (_, "*") => String::new(),
        (Some(""), _) => " Default: empty.".to_owned(),
        (Some(default), _) => format!(" Default: {default}."),
        (None, _) => " Unset by default.".to_owned(),
    };
    let nobody = if spec.reader == Reader::None { " No program reads it by itself." } else { "" };
    format!("{words}{unit}.{default}{nobody}")
}
