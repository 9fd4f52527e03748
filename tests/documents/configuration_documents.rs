//! haproxystats.conf and docs/configuration.md say what the table of options says.

use crate::harness::made::{is_made, is_made_between};
use crate::harness::root;
use crate::shipped_file::{self, is_obsolete};
use haproxystats::config::options::{self, OptionSpec, Reader, Type};
use haproxystats::config::{Program, TimeAverages, load};
use std::fmt::Write;

/// The options as tables, one for each section.
fn tables() -> String {
    let mut out = String::new();
    for section in options::sections() {
        writeln!(out, "### `[{section}]`\n| option | value | default | read by | |\n|---|---|---|---|---|").unwrap();
        for spec in options::all().filter(|spec| spec.section == section) {
            let unit = match spec.kind.unit() {
                "" => String::new(),
                unit => format!(" ({unit})"),
            };
            let default = spec.default.map_or_else(String::new, |default| format!("`{default}`"));
            let reader = match spec.reader {
                Reader::Pull => "pull",
                Reader::Process => "process",
                Reader::Agent => "agent",
                Reader::Discovery => "discovery",
                Reader::All => "all",
                Reader::Both => "pull, process",
                Reader::Senders => "process, agent",
                Reader::None => "-",
            };
            let name = if spec.name == "*" { "any name".to_owned() } else { format!("`{}`", spec.name) };
            writeln!(out, "| {name} | {}{unit} | {default} | {reader} | {} |", spec.kind.words(), spec.about).unwrap();
        }
        out.push('\n');
    }
    out.trim_end().to_owned()
}

#[test]
fn the_documentation_shows_the_table() {
    const BEGIN: &str = "<!-- options: begin (generated; see tests/documents/configuration_documents.rs) -->\n";
    const END: &str = "<!-- options: end -->";
    is_made_between("docs/configuration.md", [BEGIN, END], &format!("{}\n", tables()));
}

#[test]
fn the_shipped_file_shows_the_table() {
    is_made("haproxystats.conf", &shipped_file::text());
}

/// What the file says when its comments are left out. An upgrade of a package must not change what an untouched file means.
#[test]
fn the_shipped_file_sets_what_it_has_always_set() {
    const WANTED: &str = "[DEFAULT]\n[paths]\n[pull]\nsocket-dir = /run/haproxy\n[process]\nstatus-metrics = true\ntime-averages = weighted\n\
        [graphite]\n\
        [exporter]\n[agent]\n[discovery]\n[discovery-server]\n[discovery-client]\n[discovery-backend]\n";
    let text = shipped();
    let said = text.lines().filter(|line| !line.starts_with('#') && !line.is_empty());
    assert_eq!(said.map(|line| format!("{line}\n")).collect::<String>(), WANTED);
    for program in Program::ALL {
        let [own, wanted] =
            [&text, WANTED].map(|text| load::from_text(program, text, "haproxystats.conf").unwrap().config);
        assert_eq!(format!("{own:?}"), format!("{wanted:?}"));
    }
}

fn shipped() -> String {
    std::fs::read_to_string(root().join("haproxystats.conf")).unwrap()
}

/// The shipped file with every option and section switched on.
fn switched_on() -> String {
    let line = |line: &str| match line.strip_prefix('#') {
        Some(option) if !option.is_empty() && !option.starts_with(' ') => format!("{option}\n"),
        _ => format!("{line}\n"),
    };
    shipped().lines().map(line).collect()
}

/// Options whose default is the original's, and worse than what the shipped file sets.
const IS_BETTER: [&str; 2] = ["time-averages", "status-metrics"];

#[test]
fn the_shipped_file_starts_every_program() {
    for program in Program::ALL {
        let loaded = load::from_text(program, &shipped(), "haproxystats.conf").unwrap();
        assert_eq!(loaded.warnings, [], "{program:?}");
        assert!(loaded.config.local_store.is_none() && loaded.config.kafka.is_none());
        // What it sets beyond the defaults is where sockets are, that there is a Graphite, what was worse in the original, and the states that the
        // dashboards show.
        let mut pull = loaded.config.pull;
        assert_eq!(pull.socket_dir.take(), Some("/run/haproxy".into()));
        let defaults = load::from_text(program, "", "nothing").unwrap().config;
        assert_eq!(format!("{pull:?}"), format!("{:?}", defaults.pull));
        let mut process = loaded.config.process;
        assert_eq!(process.time_averages, TimeAverages::Weighted);
        process.time_averages = TimeAverages::Plain;
        assert!(process.status_metrics);
        process.status_metrics = false;
        assert_eq!(format!("{process:?}"), format!("{:?}", defaults.process));
        assert_eq!(format!("{:?}", loaded.config.graphite), format!("{:?}", defaults.graphite));
        let mut agent = loaded.config.agent;
        assert!(agent.self_metrics.take().is_some());
        assert_eq!(format!("{agent:?}"), format!("{:?}", defaults.agent));
    }
}

#[test]
fn every_option_of_the_shipped_file_is_good_and_shows_its_default() {
    let text = switched_on();
    for program in Program::ALL {
        let loaded = load::from_text(program, &text, "haproxystats.conf").unwrap();
        let warnings: Vec<String> = loaded.warnings.iter().map(ToString::to_string).collect();
        // These examples stand beside the default of the option that they need.
        let expected = |warning: &String| {
            warning.contains("[server-groups]: has no effect without aggr-server-metrics")
                || (warning.contains("] tls-") && warning.contains("has no effect without tls = true"))
                || warning.contains("[kafka-source]: has no effect without source = kafka")
                || warning.contains("has no effect: no URL of Consul or etcd begins with https")
                || warning.contains("[graphite] server = \"127.0.0.1\": has no effect, since servers is set")
                || warning.contains(
                    "bearer-token-file = \"/etc/haproxystats/token\": takes precedence; user and password-file have no effect",
                )
        };
        assert!(warnings.len() == 17 && warnings.iter().all(expected), "{warnings:#?}");
        for spec in options::all().filter(|spec| !is_obsolete(spec) && !spec.name.ends_with('*')) {
            let own = loaded.ini.raw(spec.section, spec.name).filter(|raw| raw.place.is_some());
            assert!(own.is_some(), "[{}] {} is missing", spec.section, spec.name);
            if let Some(default) = spec.default.filter(|_| !IS_BETTER.contains(&spec.name)) {
                let value = loaded.ini.get(spec.section, spec.name).unwrap().unwrap();
                assert_eq!(value, default, "[{}] {}", spec.section, spec.name);
            }
        }
        for section in options::GROUP_SECTIONS {
            assert!(loaded.ini.own_options(section).next().is_some(), "[{section}] has no example");
        }
    }
}

#[test]
fn the_shipped_file_says_what_is_unset() {
    let text = shipped();
    let unset = options::all().filter(|spec| spec.default.is_none() && !is_obsolete(spec) && spec.name != "*");
    let written = |spec: &OptionSpec| spec.name.trim_end_matches('*').to_owned();
    for spec in unset {
        let section = text.split(&format!("[{}]\n", spec.section)).nth(1).unwrap();
        let line = section.lines().position(|line| {
            line.trim_start_matches('#').starts_with(&match written(spec) {
                beginning if beginning != spec.name => beginning,
                name => format!("{name} ="),
            })
        });
        let above: Vec<&str> = section.lines().take(line.unwrap()).collect();
        // The comment above may serve several options.
        let comment =
            above.iter().rev().skip_while(|line| !line.starts_with("# ")).take_while(|line| line.starts_with("# "));
        let comment =
            comment.collect::<Vec<_>>().into_iter().rev().map(|line| &line[2..]).collect::<Vec<_>>().join(" ");
        assert!(comment.contains("nset by default"), "[{}] {}: {comment}", spec.section, spec.name);
    }
}

/// A text that no type takes, save plain text.
fn wrong(kind: Type) -> Option<&'static str> {
    match kind {
        Type::Directory | Type::File | Type::Text => None,
        Type::Pattern => Some("("),
        // A name that nobody knows may be one of tomorrow's HAProxy; one with a comma is none.
        Type::Metrics => Some("no,such thing"),
        _ => Some("no such thing"),
    }
}

#[test]
fn every_type_of_the_table_is_checked() {
    for spec in options::all().filter(|spec| spec.reader != Reader::None) {
        let Some(text) = wrong(spec.kind) else { continue };
        let name = if spec.name == "*" { "a" } else { spec.name };
        let groups =
            if spec.name == "*" { "[graphite]\ngroup-namespace = x\ngroup-namespace-double-writes = no\n" } else { "" };
        let section = spec.section;
        let text = format!("{groups}[{section}]\n{name} = {text}\n");
        for program in Program::ALL {
            let result = load::from_text(program, &text, "x.conf");
            let found = |problems: &[haproxystats::config::problem::Problem]| {
                problems.iter().any(|problem| {
                    let words = problem.to_string();
                    words.starts_with(&format!("x.conf:{}: [", groups.lines().count() + 2))
                        && words.contains(&format!("] {name} = "))
                })
            };
            match (result, spec.reader.other_than(program)) {
                (Ok(loaded), Some(_)) => assert!(found(&loaded.warnings), "{text}: {:?}", loaded.warnings),
                (Err(refused), None) => assert!(found(&refused.report.errors), "{text}: {:?}", refused.report),
                (result, _) => panic!("{program:?} with {text}: {result:?}"),
            }
        }
    }
}
