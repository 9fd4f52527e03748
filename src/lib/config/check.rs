//! What no single section can see: unknown names, and pairs of values that do not fit together.

use super::agent::Agent;
use super::discovery::Discovery;
use super::exporter::Exporter;
use super::graphite::Acknowledge;
use super::ini::Ini;
use super::nearest::did_you_mean;
use super::option::OptionSpec;
use super::options;
use super::problem::{Problem, Report};
use super::process::Source;
use super::program::{self, AGENT, ARCHIVE, DISCOVERY, KAFKA_SOURCE, LOCAL_STORE, OPTIONAL_SECTIONS, Program, Reader};
use super::reader::DEFAULT_SECTION;
use super::secret;
use super::whole::Sections;
use crate::haproxy::answer::AdminState;
use std::collections::HashSet;

const OWN_ADMIN_STATE: &str = "own-admin-state";

/// Warns about sections and options that no program reads, with the nearest known name.
pub(super) fn names(ini: &Ini, report: &mut Report) {
    let used = references(ini);
    let is_used = |section: &str, option: &str| {
        let reached = |section: &str| used.contains(&(section.to_owned(), option.to_owned()));
        // What [DEFAULT] has can be reached through any section.
        reached(section) || (section == DEFAULT_SECTION && used.iter().any(|(_, name)| name == option))
    };
    for section in std::iter::once(DEFAULT_SECTION).chain(ini.sections()) {
        let own: Vec<&str> = ini.own_options(section).collect();
        let known = section == DEFAULT_SECTION || options::sections().any(|name| name == program::base(section));
        if !known {
            if !own.iter().any(|option| is_used(section, option)) {
                let advice = did_you_mean(section, options::sections());
                report.warn(Problem::of_section(ini, section, format!("no program reads this section{advice}")));
            }
            continue;
        }
        for option in own {
            if !ini.is_written(section, option) || is_used(section, option) {
                continue;
            }
            let message = match options::find(section, option) {
                Some(spec) if section == DEFAULT_SECTION => ineffective(spec, ini),
                Some(_) => None,
                None if section == DEFAULT_SECTION => inherited(option),
                None => Some(unknown(section, option)),
            };
            if let Some(message) = message {
                report.warn(Problem::of(ini, section, option, message));
            }
        }
    }
}

/// An option of `[DEFAULT]` that every section overrides by a default of its own, set to something else.
fn ineffective(spec: &OptionSpec, ini: &Ini) -> Option<String> {
    let written = ini.raw(spec.section, spec.name).map(|raw| raw.text);
    let inert = spec.reader == Reader::None && spec.default != written.as_deref();
    inert.then(|| "has no effect: the sections that read it have their own default; set it there".to_owned())
}

/// What is wrong with an option of `[DEFAULT]` that the table does not list there.
fn inherited(option: &str) -> Option<String> {
    let mut readers = options::all().filter(|spec| spec.name == option).peekable();
    if readers.peek().is_none() {
        let known = options::all().map(|spec| spec.name).filter(|name| *name != "*");
        return Some(format!("no program reads this option{}", did_you_mean(option, known)));
    }
    let sections: Vec<&str> = readers.clone().map(|spec| spec.section).collect();
    readers
        .all(|spec| spec.default.is_some() && !OPTIONAL_SECTIONS.contains(&spec.section))
        .then(|| format!("has no effect here: [{}] has its own default; set it there", sections.join("], [")))
}

fn unknown(section: &str, option: &str) -> String {
    if let Some(file) = secret::file_option(section, option) {
        return format!(
            "no program reads this option: secrets are read from files; write it to a file, and set {file} to its path"
        );
    }
    let advice = did_you_mean(option, options::names(section));
    if advice.is_empty()
        && let Some(spec) = options::all().find(|spec| spec.name == option && spec.section != DEFAULT_SECTION)
    {
        return format!("no program reads this option here; it belongs in [{}]", spec.section);
    }
    format!("no program reads this option{advice}")
}

/// Every (section, option) that some value refers to.
fn references(ini: &Ini) -> HashSet<(String, String)> {
    let mut used = HashSet::new();
    for section in std::iter::once(DEFAULT_SECTION).chain(ini.sections()) {
        for (_, text) in ini.own_texts(section) {
            for name in text.split("${").skip(1).filter_map(|tail| tail.split_once('}')).map(|(name, _)| name) {
                let (from, option) = name.split_once(':').unwrap_or((section, name));
                let option = option.to_lowercase();
                let owner = if ini.has_own(from, &option) { from } else { DEFAULT_SECTION };
                used.insert((owner.to_owned(), option));
            }
        }
    }
    used
}

/// Values of different sections that do not fit together.
pub(super) fn pairs(program: Program, ini: &Ini, written: &Sections, report: &mut Report) {
    directories(ini, written, report);
    source(ini, written, report);
    room_while_settling(ini, written, report);
    // A file for haproxystats-process alone has no such section, and says nothing wrong.
    let pulls = program == Program::Pull || ini.section_place("pull").is_some();
    if pulls && written.pull.as_ref().is_some_and(|pull| pull.socket_dir.is_none() && pull.servers.is_empty()) {
        let message = "neither socket-dir nor servers is set: there is nothing to pull";
        report.warn(Problem::of_section(ini, "pull", message));
    }
    if ini.own_options("server-groups").next().is_some()
        && written.process.as_ref().is_some_and(|process| !process.aggr_server_metrics)
    {
        let message =
            "has no effect without aggr-server-metrics in [process]: a server follows the group of its backend";
        report.warn(Problem::of_section(ini, "server-groups", message));
    }
    if let (Program::Discovery, Some(discovery), Some(exporter)) = (program, &written.discovery, &written.exporter) {
        open_page(ini, discovery, exporter, report);
    }
    let changed = ini.raw("pull", "forget-after").map(|raw| raw.text)
        != options::find("pull", "forget-after").and_then(|spec| spec.default.map(str::to_owned));
    if pulls && changed && written.pull.as_ref().is_some_and(|pull| !pull.continuous_counters) {
        report.warn(Problem::of(ini, "pull", "forget-after", "has no effect without continuous-counters = true"));
    }
    if let (Program::Agent | Program::Discovery, Some(agent), Some(discovery)) =
        (program, &written.agent, &written.discovery)
    {
        agents(ini, agent, discovery, report);
    }
}

/// HSDO serves its page to everybody, and so does this one, unless it is said where.
fn open_page(ini: &Ini, discovery: &Discovery, exporter: &Exporter, report: &mut Report) {
    const ADDRESS: &str = "exporter-address";
    if discovery.server.source.is_none() && discovery.client.backends.is_empty() {
        return;
    }
    let Some(page) = discovery.exporter.filter(|_| exporter.listen.is_none() && exporter.token_file.is_none()) else {
        return;
    };
    if !ini.is_written(DISCOVERY, ADDRESS) && page.ip().is_unspecified() {
        let message = format!(
            "is not set: as with HSDO, any host can read the metrics page on port {}; set it to 127.0.0.1, or to \
             0.0.0.0 to keep it open",
            page.port()
        );
        report.warn(Problem::new(message).section(DISCOVERY).option(ADDRESS));
    }
}

fn directories(ini: &Ini, written: &Sections, report: &mut Report) {
    let Some(process) = &written.process else { return };
    if let Some(pull) = &written.pull {
        // Where the programs have a file each, the other's section holds defaults that mean nothing.
        if process.src_dir != pull.dst_dir && ini.is_written("process", "src-dir") && ini.is_written("pull", "dst-dir")
        {
            let dst_dir = pull.dst_dir.display();
            let message = format!("is not dst-dir of [pull] ({dst_dir}), so the pulled snapshots are not processed");
            report.warn(Problem::of(ini, "process", "src-dir", message));
        }
        if process.src_dir == pull.tmp_dst_dir {
            let message = "is tmp-dst-dir of [pull], where snapshots are incomplete; write dst-dir of [pull]";
            report.error(Problem::of(ini, "process", "src-dir", message));
        }
    }
    let store = written.local_store.iter().flatten().map(|store| (LOCAL_STORE, &store.dir));
    let archive = written.archive.iter().flatten().map(|archive| (ARCHIVE, &archive.dir));
    for (section, _) in store.chain(archive).filter(|(_, dir)| **dir == process.src_dir) {
        let message = "is src-dir of [process]: stored files would be processed as snapshots; write another directory";
        report.error(Problem::of(ini, section, "dir", message));
    }
}

/// Whether there is a topic to read from.
fn source(ini: &Ini, written: &Sections, report: &mut Report) {
    let (Some(process), Some(source)) = (&written.process, &written.kafka_source) else { return };
    match (process.source, source) {
        (Source::Kafka, None) => {
            let message = "needs the section [kafka-source]; write it, with brokers and topic";
            report.error(Problem::of(ini, "process", "source", message));
        }
        (Source::Directory, Some(_)) => {
            let message = "has no effect without source = kafka in [process]";
            report.warn(Problem::of_section(ini, KAFKA_SOURCE, message));
        }
        _ => {}
    }
}

/// Whether pulling goes on while snapshots wait until Graphite certainly has them.
fn room_while_settling(ini: &Ini, written: &Sections, report: &mut Report) {
    let (Some(graphite), Some(pull)) = (&written.graphite, &written.pull) else { return };
    if !graphite.enabled || graphite.acknowledge != Acknowledge::Close || !ini.is_written("pull", "queue-size") {
        return;
    }
    let seconds = graphite.settle.as_secs_f64();
    // Half of it again, since witnesses are opened so far apart, and the one that is being pulled.
    let settling = (1.5 * seconds / pull.pull_interval.as_secs_f64().max(1.0)).ceil() + 1.0;
    if f64::from(u32::try_from(pull.queue_size.get()).unwrap_or(u32::MAX)) <= settling {
        let message = format!(
            "must be above the {settling} snapshots that are waiting for settle of [graphite] ({seconds} s), or \
             pulling would be suspended; write a larger number, or a shorter settle"
        );
        report.warn(Problem::of(ini, "pull", "queue-size", message));
    }
}

/// An agent that may say `ready` where haproxystats-discovery holds servers: each would undo what the other does.
fn agents(ini: &Ini, agent: &Agent, discovery: &Discovery, report: &mut Report) {
    let Some(backend) = discovery.client.backends.first() else { return };
    let mut told = HashSet::new();
    for service in agent.services.iter().filter(|service| service.owner == AdminState::Agent) {
        let own = format!("{AGENT}:{}", service.name);
        let section = if ini.has_own(&own, OWN_ADMIN_STATE) { own.as_str() } else { AGENT };
        if !told.insert(section.to_owned()) {
            continue;
        }
        let message = format!(
            "lets the agent answer ready, which overrides an operator; write false if HAProxy asks it about slots \
             managed by haproxystats-discovery, such as those of backend {}",
            backend.name
        );
        report.warn(Problem::of(ini, section, OWN_ADMIN_STATE, message));
    }
}
