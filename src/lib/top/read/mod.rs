//! Reads the files of a snapshot, from memory, a directory or an archive, into a [`Tick`].

pub(super) mod field;
mod rows;
pub(super) mod tick;

use crate::config::Hosts;
use crate::haproxy::facts::Thing;
use crate::haproxy::family::Family;
use crate::haproxy::identity::Reading;
use crate::haproxy::questions;
use crate::parse::facts::Facts;
use crate::parse::info::Info;
use crate::parse::part::Part;
use crate::snapshot::origin::Origin;
use crate::snapshot::{Epoch, INFO_SUFFIX, OLD_INFO_SUFFIX, OLD_STAT_SUFFIX, ORIGIN, STAT_SUFFIX, WORKER_MARK};
use rows::RowReader;
use std::collections::BTreeMap;
use std::io::{self, Read};
use std::sync::Arc;
use tick::{Certificate, Process, Tick};

/// Maximum size of a reply about certificates.
const MOST: u64 = 64 << 20;

/// Reads ticks, one after the other.
#[derive(Debug)]
pub(super) struct TickReader {
    hosts: Hosts,
    /// Name of this machine.
    own: String,
    rows: RowReader,
}

/// A tick that is being read.
#[derive(Debug, Default)]
pub(super) struct Draft {
    processes: BTreeMap<String, Process>,
    facts: BTreeMap<String, Facts>,
    origin: Option<String>,
    refused: u64,
}

/// The socket of a file, and whether its process is leaving, if the file has one of these suffixes.
fn of_suffix<'a>(name: &'a str, live: &str, old: &str) -> Option<(&'a str, Part)> {
    let leaving = || name.strip_suffix(old).map(|socket| (socket, Part::Leaving));
    name.strip_suffix(live).map(|socket| (socket, Part::Live)).or_else(leaving)
}

impl TickReader {
    /// `own` is the name of this machine, to which all sockets belong that `[hosts]` does not list.
    pub(super) fn new(hosts: Hosts, own: String) -> Self {
        Self { hosts, own, rows: RowReader::default() }
    }

    /// Reads a file; files that are not needed are ignored.
    ///
    /// # Errors
    /// Reading the file failed.
    pub(super) fn file(&mut self, draft: &mut Draft, name: &str, input: &mut dyn Read, now: Epoch) -> io::Result<()> {
        if name == ORIGIN {
            let mut text = String::new();
            input.take(4096).read_to_string(&mut text)?;
            draft.origin = Origin::parse(&text).map(|origin| origin.host);
        } else if let Some((socket, part)) = of_suffix(name, INFO_SUFFIX, OLD_INFO_SUFFIX) {
            draft.info(socket, part, input)?;
        } else if let Some((socket, part)) = of_suffix(name, STAT_SUFFIX, OLD_STAT_SUFFIX) {
            let (rows, refused) = self.rows.read(input)?;
            draft.refused += refused;
            draft.process(socket, part).rows = rows;
        } else if let Some((question, false, socket)) = questions::of_file(name)
            && question.family == Family::Certificates
        {
            let mut text = Vec::new();
            input.take(MOST).read_to_end(&mut text)?;
            let facts = draft.facts.entry(socket.to_owned()).or_default();
            facts.read(question, &String::from_utf8_lossy(&text), now.0);
        }
        Ok(())
    }

    /// The tick, after all files were read.
    pub(super) fn finish(&self, draft: Draft, epoch: Epoch, seconds: f64) -> Tick {
        let own = draft.origin.as_deref().unwrap_or(&self.own);
        let mut names: BTreeMap<String, Arc<str>> = BTreeMap::new();
        let mut host = |socket: &str, part: Part| {
            let socket = match part {
                Part::Leaving => socket.rsplit_once(WORKER_MARK).map_or(socket, |(master, _)| master),
                Part::Live | Part::Carried => socket,
            };
            let name = self.hosts.of(socket).map_or(own, |host| &host.name);
            Arc::clone(names.entry(name.to_owned()).or_insert_with(|| name.into()))
        };
        let mut tick = Tick { epoch, seconds, refused: draft.refused, ..Tick::default() };
        for (socket, facts) in &draft.facts {
            let host = host(socket, Part::Live);
            for (named, figures) in facts.combined().filter(|(named, _)| named.thing == Thing::Certificate) {
                #[expect(clippy::cast_possible_truncation, reason = "seconds")]
                let left = figures.first().map(|(_, value)| value.as_f64() as i64);
                let end = left.map(|left| epoch.0.cast_signed().saturating_add(left));
                tick.certificates.extend(end.map(|end| Certificate {
                    host: Arc::clone(&host),
                    file: named.first.clone(),
                    end,
                }));
            }
        }
        // Several processes of a host load the same files.
        tick.certificates.sort_by(|a, b| (&a.host, &a.file, a.end).cmp(&(&b.host, &b.file, b.end)));
        tick.certificates.dedup_by(|a, b| a.host == b.host && a.file == b.file);
        tick.processes = draft.processes.into_values().collect();
        for process in &mut tick.processes {
            process.host = host(&process.socket, process.part);
        }
        tick.sockets = tick.processes.iter().filter(|process| process.part == Part::Live).count();
        tick
    }
}

impl Draft {
    fn process(&mut self, socket: &str, part: Part) -> &mut Process {
        self.processes.entry(socket.to_owned()).or_insert_with(|| Process {
            socket: socket.to_owned(),
            host: Arc::from(""),
            part,
            version: String::new(),
            pid: None,
            started: None,
            uptime: None,
            info: None,
            rows: Vec::new(),
        })
    }

    fn info(&mut self, socket: &str, part: Part, input: &mut dyn Read) -> io::Result<()> {
        let mut bytes = Vec::new();
        input.take(1 << 20).read_to_end(&mut bytes)?;
        let reading = Reading::of(&bytes);
        let info = Info::read(bytes.as_slice(), |_, _| {}).ok();
        self.refused += u64::from(info.is_none());
        let process = self.process(socket, part);
        process.pid = reading.pid;
        process.started = reading.key.as_ref().map(|key| key.started);
        process.uptime = reading.uptime;
        process.version = reading.version.unwrap_or_default();
        process.info = info;
        Ok(())
    }
}

#[cfg(test)]
mod tests;
