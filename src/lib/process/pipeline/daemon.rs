//! The daemon of a host: all processes together, and each.

use super::files::Files;
use super::run::{PipelineError, Run};
use crate::aggregate::cluster::Cluster;
use crate::aggregate::daemon;
use crate::encode::object::{Object, ObjectKind};
use crate::encode::sink::{Sink, Told};
use crate::names::sanitize;
use crate::parse::info::{self, Info};
use crate::parse::part::Part;
use crate::plan::is_daemon_counter;
use crate::render::path::{About, Paths};
use crate::snapshot::members::unmarked;
use crate::snapshot::{Epoch, INFO_SUFFIX};
use crate::value::Value;
use std::borrow::Cow;
use std::collections::HashMap;
use std::fs::File;

/// What each process says, by the name of its socket, and how many could not be read.
type Processes<'f> = (Vec<(&'f str, Info)>, usize);

impl Run<'_> {
    pub(super) fn daemon(
        &mut self,
        files: &Files,
        paths: &Paths,
        mut cluster: Option<&mut Cluster>,
    ) -> Result<(), PipelineError> {
        let (processes, missing) = self.processes(&files.info)?;
        let snapshot = self.dir.display();
        if missing > 0 {
            tracing::warn!(%snapshot, missing,
                "left out metrics of the HAProxy daemon: those of one process could not be read, and totals without \
                 them would be wrong");
            cluster.iter_mut().for_each(|cluster| cluster.doubt_daemon());
        }
        if processes.is_empty() {
            return Ok(());
        }
        let infos: Vec<Info> = processes.iter().map(|(_, info)| info.clone()).collect();
        // The count of metrics counts itself.
        self.tally.daemon.metrics = self.tally.daemon.metrics.max(1);
        let (others, continuous) = self.other_processes(&files.other_info)?;
        self.sink.since(continuous.or_else(|| start(&infos)));
        let overall = daemon::overall(self.daemon, &infos, &others, missing);
        if missing == 0 && !overall.unknown.is_empty() {
            let figures = overall.unknown.join(" ");
            tracing::warn!(%snapshot, figures,
                "left out a metric of the HAProxy daemon: that of one process could not be read, and a total without \
                 it would be wrong");
        }
        if let Some(cluster) = cluster {
            cluster.add_daemon(&overall);
        }
        let skip_zero = self.daemon.skip_zero;
        let prefixes = paths.of(About::Daemon);
        let mut told = self.sink.object(Object::unnamed(ObjectKind::Daemon), &prefixes);
        self.tally.daemon.metrics += tell(overall.figures, skip_zero, &mut told);
        if self.daemon.per_process {
            for (name, info) in process_names(&processes).into_iter().zip(&infos) {
                let prefixes = paths.of(About::Process(&name));
                let object = Object { kind: ObjectKind::Process, proxy: "", name: &name };
                let figures = daemon::of_process(self.daemon, info);
                self.tally.daemon.metrics += tell(figures, skip_zero, &mut self.sink.object(object, &prefixes));
            }
        }
        Ok(())
    }

    fn processes<'f>(&mut self, files: &'f [String]) -> Result<Processes<'f>, PipelineError> {
        let mut processes = Vec::with_capacity(files.len());
        let mut missing = 0;
        for file in files {
            let path = self.dir.join(file);
            let read = File::open(&path).map_err(Into::into).and_then(|input| {
                Info::read(input, |line, field| {
                    tracing::warn!(file = %path.display(), line, field, "skipped: not a 64-bit integer");
                })
            });
            match read {
                Ok(info) => {
                    self.report.refused_rows += info.refused;
                    processes.push((file.strip_suffix(INFO_SUFFIX).unwrap_or(file), info));
                }
                Err(info::FileError::Io(source)) => return Err(PipelineError::File { path, source }),
                Err(error) => missing += usize::from(self.refuse_file(file, INFO_SUFFIX, &error)),
            }
        }
        Ok((processes, missing))
    }
}

impl Run<'_> {
    /// Workers that are leaving, and what is carried of those that are gone: of each what it has a say in.
    /// The second value is since when counters go on, where something is carried.
    fn other_processes(&mut self, files: &[(Part, String)]) -> Result<(Vec<Info>, Option<Epoch>), PipelineError> {
        let (mut others, mut continuous) = (Vec::with_capacity(files.len()), None);
        for (part, file) in files {
            let path = self.dir.join(file);
            match File::open(&path).map_err(Into::into).and_then(|input| Info::read(input, |_, _| {})) {
                Ok(info) => {
                    if *part == Part::Carried {
                        continuous = continuous.max(started(&info));
                    }
                    others.push(info.of_part(*part));
                }
                Err(info::FileError::Io(source)) => return Err(PipelineError::File { path, source }),
                Err(error) => drop(self.refuse_file(file, "", &error)),
            }
        }
        Ok((others, continuous))
    }
}

/// Tells figures, and returns how many there were, those without a value included.
fn tell(figures: Vec<daemon::Figure>, skip_zero: bool, told: &mut Told<'_>) -> i64 {
    if told.has_encoders() {
        for (place, (name, value)) in figures.iter().enumerate() {
            // One that is listed twice is sent twice, but an object has it once.
            let again = figures.iter().take(place).any(|(before, _)| before == name);
            if let (Some(value), false) = (value, again) {
                told.field(safe(name).as_bytes(), *value);
            }
        }
    }
    lines(figures, skip_zero, told)
}

fn lines(figures: Vec<daemon::Figure>, skip_zero: bool, told: &mut Told<'_>) -> i64 {
    let mut count = 0;
    for (name, value) in figures {
        if skip_zero && value.is_some_and(Value::is_zero) && is_daemon_counter(name) {
            told.skip_zeros(1);
            continue;
        }
        count += 1;
        if let Some(value) = value {
            told.line(safe(name).as_bytes(), value);
        }
    }
    count
}

/// The name of a figure as a path element. Most need no change; a few contain a blank.
fn safe(name: &str) -> Cow<'_, str> {
    if name.contains(' ') { sanitize(name.as_bytes()).into() } else { name.into() }
}

/// The daemons of a cluster.
pub(super) fn of_cluster(figures: Vec<daemon::Figure>, skip_zero: bool, paths: &Paths, sink: &mut Sink) {
    let prefixes = paths.of(About::Daemon);
    tell(figures, skip_zero, &mut sink.object(Object::unnamed(ObjectKind::Daemon), &prefixes));
}

/// When the sums of counters began to count: with the youngest process, since they stepped back when it came.
fn start(processes: &[Info]) -> Option<Epoch> {
    processes.iter().filter_map(started).max()
}

fn started(process: &Info) -> Option<Epoch> {
    let started = process.get("Start_time_sec")?;
    u64::try_from(started).ok().filter(|started| *started > 0).map(Epoch)
}

/// The path element of each process: its number, or the name of its socket where another process has the same number
/// (every HAProxy since 2.5 says 1) or where it has none.
pub(super) fn process_names(processes: &[(&str, Info)]) -> Vec<String> {
    let number = |info: &Info| info.get("Process_num");
    let mut uses: HashMap<i128, usize> = HashMap::new();
    for number in processes.iter().filter_map(|(_, info)| number(info)) {
        *uses.entry(number).or_default() += 1;
    }
    processes
        .iter()
        .map(|(socket, info)| match number(info) {
            Some(number) if uses.get(&number) == Some(&1) => number.to_string(),
            _ => sanitize(unmarked(socket).as_bytes()),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn info(text: &str) -> Info {
        Info::read(text.as_bytes(), |_, _| {}).unwrap()
    }

    #[test]
    fn processes_that_share_a_number_go_by_their_sockets() {
        let processes = [
            ("a.sock", info("Process_num: 1\n")),
            ("b.sock", info("Process_num: 1\n")),
            ("c.sock", info("Process_num: 2\n")),
            ("d.sock", info("Maxconn: 2\n")),
        ];
        assert_eq!(process_names(&processes), ["a_sock", "b_sock", "2", "d_sock"]);
    }
}
