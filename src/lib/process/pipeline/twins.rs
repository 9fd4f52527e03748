//! Files of a snapshot that are from one HAProxy process: it is counted once.
//!
//! Our own pull asks a process through one socket only. Other pulls, and our own of earlier versions, wrote the files of
//! each socket, and everything was added once for each.

use super::files::Files;
use crate::haproxy::identity::{Kinship, Reading, warn_of_doubt, warn_of_missing};
use crate::snapshot::{INFO_SUFFIX, STAT_SUFFIX};
use std::collections::{BTreeSet, HashMap, HashSet};
use std::fs::File;
use std::io::Read;
use std::path::Path;

/// As much is read of a reply to `show info`; HAProxy prints some two thousand bytes.
const MOST: u64 = 64 << 10;
/// Things that are in the log, until all are logged again: names of sockets may hold the number of a process.
const MOST_TOLD: usize = 10_000;

/// What is in the log so far.
#[derive(Debug, Default)]
pub(super) struct Twins {
    told: HashSet<String>,
}

impl Twins {
    /// Takes the files of all sockets but one of each process out of the files of a host. Returns how many sockets that
    /// were.
    pub(super) fn leave_out(&mut self, dir: &Path, files: &mut Files) -> u64 {
        if self.told.len() > MOST_TOLD {
            self.told.clear();
        }
        let readings = readings(dir, files);
        self.tell_missing(&readings);
        // By process: the sockets that count, and those that do not.
        let mut groups: Vec<(usize, Vec<usize>)> = Vec::new();
        let mut alike: HashMap<_, Vec<usize>> = HashMap::new();
        for (index, (name, reading)) in readings.iter().enumerate() {
            let key = (reading.pid, reading.number);
            let known = alike.entry(key).or_default();
            let first = known.iter().copied().find(|group| {
                let Some((other, first)) = groups.get(*group).and_then(|(first, _)| readings.get(*first)) else {
                    return false;
                };
                match first.compare(reading) {
                    Kinship::Same => true,
                    Kinship::Other => false,
                    Kinship::Doubtful(reason) => {
                        warn_of_doubt(&mut self.told, other, name, reason);
                        false
                    }
                }
            });
            match first.and_then(|group| groups.get_mut(group)) {
                Some((_, others)) => others.push(index),
                None => {
                    known.push(groups.len());
                    groups.push((index, Vec::new()));
                }
            }
        }
        let name = |index: &usize| readings.get(*index).map_or("", |(name, _)| name.as_str());
        let mut gone: HashSet<&str> = HashSet::new();
        for (first, others) in groups.iter().filter(|(_, others)| !others.is_empty()) {
            let all: Vec<&str> = std::iter::once(first).chain(others).map(name).collect();
            // The first that has both replies.
            let has_stat = |name: &&&str| files.stat.iter().any(|file| file.strip_suffix(STAT_SUFFIX) == Some(**name));
            let counted = all.iter().find(has_stat).or(all.first()).copied().unwrap_or_default();
            let sockets = all.join(", ");
            if self.told.insert(sockets.clone()) {
                let process =
                    readings.get(*first).and_then(|(_, reading)| reading.key.as_ref()).map(ToString::to_string);
                tracing::warn!(
                    sockets,
                    process,
                    counted,
                    "these sockets belong to the same HAProxy process: it is counted once, from the files of one of \
                     them"
                );
            }
            gone.extend(all.iter().filter(|name| **name != counted));
        }
        files.info.retain(|file| !gone.contains(file.strip_suffix(INFO_SUFFIX).unwrap_or(file)));
        files.stat.retain(|file| !gone.contains(file.strip_suffix(STAT_SUFFIX).unwrap_or(file)));
        gone.len() as u64
    }

    /// A HAProxy of several processes (`nbproc`) of which fewer are there.
    fn tell_missing(&mut self, readings: &[(String, Reading)]) {
        let mut seen: HashMap<_, (BTreeSet<u64>, Vec<&str>)> = HashMap::new();
        for (name, reading) in readings {
            if let Some((family, number)) = reading.family().zip(reading.number) {
                let (numbers, sockets) = seen.entry(family).or_default();
                numbers.insert(number);
                sockets.push(name);
            }
        }
        for ((_, _, processes), (numbers, sockets)) in seen {
            let sockets = sockets.join(", ");
            if (numbers.len() as u64) < processes && self.told.insert(format!("missing\n{sockets}")) {
                warn_of_missing(&sockets, processes, numbers.len());
            }
        }
    }
}

/// What the replies to `show info` say of their processes, by name of the socket. A file that cannot be read says
/// nothing here; that is logged when it is read for its figures.
fn readings(dir: &Path, files: &Files) -> Vec<(String, Reading)> {
    let read = |file: &String| {
        let mut info = Vec::new();
        File::open(dir.join(file)).ok()?.take(MOST).read_to_end(&mut info).ok()?;
        Some((file.strip_suffix(INFO_SUFFIX).unwrap_or(file).to_owned(), Reading::of(&info)))
    };
    files.info.iter().filter_map(read).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(dir: &Path, sockets: &[(&str, &str, bool)]) -> Files {
        let mut files = Files::default();
        for (name, info, stat) in sockets {
            std::fs::write(dir.join(format!("{name}_info")), info).unwrap();
            files.info.push(format!("{name}_info"));
            if *stat {
                files.stat.push(format!("{name}_stat"));
            }
        }
        files
    }

    fn process(pid: u64, requests: u64) -> String {
        format!("Pid: {pid}\nUptime_sec: 9\nCumReq: {requests}\nnode: lb\nProcess_num: 1\nStart_time_sec: 7\n")
    }

    #[test]
    fn a_process_is_counted_once_and_two_are_two() {
        let place = tempfile::tempdir().unwrap();
        let (one, later, other, far) = (process(1, 10), process(1, 12), process(2, 10), process(1, 9_000_000));
        let mut files = files(
            place.path(),
            &[("a", &one, true), ("b", &later, true), ("c", &other, true), ("d", &far, true), ("e", "Pid: 1\n", true)],
        );
        let mut twins = Twins::default();
        assert_eq!(twins.leave_out(place.path(), &mut files), 1);
        assert_eq!(files.info, ["a_info", "c_info", "d_info", "e_info"]);
        assert_eq!(files.stat, ["a_stat", "c_stat", "d_stat", "e_stat"]);
    }

    #[test]
    fn the_socket_with_both_replies_counts() {
        let place = tempfile::tempdir().unwrap();
        let one = process(1, 10);
        let mut files = files(place.path(), &[("a", &one, false), ("b", &one, true), ("c", &one, true)]);
        assert_eq!(Twins::default().leave_out(place.path(), &mut files), 2);
        assert_eq!((files.info, files.stat), (vec!["b_info".to_owned()], vec!["b_stat".to_owned()]));
    }
}
