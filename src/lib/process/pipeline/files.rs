//! The files of a snapshot.

use crate::haproxy::family::Family;
use crate::haproxy::questions::{self, Question};
use crate::parse::part::Part;
use crate::snapshot::{
    CARRIED_INFO_SUFFIX, CARRIED_LATENCY_SUFFIX, CARRIED_STAT_SUFFIX, ENDED_INFO_SUFFIX, ENDED_STAT_SUFFIX,
    INFO_SUFFIX, LEARNT_SUFFIX, OLD_INFO_SUFFIX, OLD_STAT_SUFFIX, STAT_SUFFIX, WORKER_MARK,
};
use std::path::Path;

/// The files of a snapshot, in the order of their names.
#[derive(Debug, Clone, Default)]
pub(super) struct Files {
    pub(super) info: Vec<String>,
    pub(super) stat: Vec<String>,
    /// Those of workers that are leaving, and what is carried of those that are gone.
    pub(super) other_info: Vec<(Part, String)>,
    pub(super) other_stat: Vec<(Part, String)>,
    /// Of what is no more.
    pub(super) ended_info: Vec<String>,
    pub(super) ended_stat: Vec<String>,
    /// Replies to further questions.
    pub(super) further: Vec<Further>,
    /// What is known of fields that the catalogue does not have.
    pub(super) learnt: Vec<String>,
    /// What is carried of response times.
    pub(super) latency: Vec<String>,
}

/// A file with the replies to a further question.
#[derive(Debug, Clone)]
pub(super) struct Further {
    pub(super) question: &'static Question,
    /// Whether they are those of a worker that is leaving.
    pub(super) leaving: bool,
    pub(super) name: String,
}

impl Files {
    /// Whether there is such a directory, of which nothing else is to be known.
    pub(super) fn is_there(dir: &Path) -> std::io::Result<()> {
        std::fs::read_dir(dir).map(drop)
    }

    /// Regular files whose names end as ours do; hidden files, links and anything else are not read.
    pub(super) fn list(dir: &Path) -> std::io::Result<Self> {
        let mut files = Self::default();
        for entry in std::fs::read_dir(dir)? {
            let entry = entry?;
            let Ok(name) = entry.file_name().into_string() else { continue };
            if !name.starts_with('.') && entry.file_type()?.is_file() {
                files.add(name);
            }
        }
        files.info.sort_unstable();
        files.stat.sort_unstable();
        files.ended_info.sort_unstable();
        files.ended_stat.sort_unstable();
        files.other_info.sort_unstable_by(|a, b| a.1.cmp(&b.1));
        files.other_stat.sort_unstable_by(|a, b| a.1.cmp(&b.1));
        files.further.sort_unstable_by(|a, b| a.name.cmp(&b.name));
        files.learnt.sort_unstable();
        files.latency.sort_unstable();
        Ok(files)
    }

    /// Adds a file, if its name is one of ours.
    pub(super) fn add(&mut self, name: String) {
        if name.ends_with(INFO_SUFFIX) {
            self.info.push(name);
        } else if name.ends_with(STAT_SUFFIX) {
            self.stat.push(name);
        } else if name.ends_with(OLD_INFO_SUFFIX) {
            self.other_info.push((Part::Leaving, name));
        } else if name.ends_with(OLD_STAT_SUFFIX) {
            self.other_stat.push((Part::Leaving, name));
        } else if name.ends_with(CARRIED_INFO_SUFFIX) {
            self.other_info.push((Part::Carried, name));
        } else if name.ends_with(CARRIED_STAT_SUFFIX) {
            self.other_stat.push((Part::Carried, name));
        } else if name.ends_with(ENDED_INFO_SUFFIX) {
            self.ended_info.push(name);
        } else if name.ends_with(ENDED_STAT_SUFFIX) {
            self.ended_stat.push(name);
        } else if name.ends_with(CARRIED_LATENCY_SUFFIX) {
            self.latency.push(name);
        } else if name.ends_with(LEARNT_SUFFIX) {
            self.learnt.push(name);
        } else if let Some((question, leaving, _)) = questions::of_file(&name)
            // What these say is carried.
            && question.family != Family::Latency
        {
            self.further.push(Further { question, leaving, name });
        }
    }

    /// All files.
    pub(super) fn all(&self) -> impl Iterator<Item = &String> {
        let others = self.other_info.iter().chain(&self.other_stat).map(|(_, name)| name);
        let ended = self.ended_info.iter().chain(&self.ended_stat);
        let further = self.further.iter().map(|file| &file.name);
        let replies = self.info.iter().chain(&self.stat).chain(further);
        replies.chain(others).chain(ended).chain(&self.learnt).chain(&self.latency)
    }
}

/// The socket that a file is from: of a worker that is leaving, that of its master.
pub(super) fn socket(name: &str) -> &str {
    let suffixes = [
        INFO_SUFFIX,
        STAT_SUFFIX,
        CARRIED_INFO_SUFFIX,
        CARRIED_STAT_SUFFIX,
        CARRIED_LATENCY_SUFFIX,
        ENDED_INFO_SUFFIX,
        ENDED_STAT_SUFFIX,
        LEARNT_SUFFIX,
    ];
    if let Some(socket) = suffixes.iter().find_map(|suffix| name.strip_suffix(suffix)) {
        return socket;
    }
    let mut worker = [OLD_INFO_SUFFIX, OLD_STAT_SUFFIX].iter().find_map(|suffix| name.strip_suffix(suffix));
    match questions::of_file(name) {
        Some((_, false, socket)) => return socket,
        Some((_, true, socket)) => worker = Some(socket),
        None => {}
    }
    worker.and_then(|worker| worker.rsplit_once(WORKER_MARK)).map_or(name, |(master, _)| master)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_worker_that_leaves_is_known_by_its_name() {
        let mut files = Files::default();
        for name in ["a_info", "a_stat", "m@7_oldinfo", "m@7_oldstat", "a_carriedinfo", "a_carriedstat", "x_other"] {
            files.add(name.to_owned());
        }
        assert_eq!((files.info.len(), files.stat.len(), files.all().count()), (1, 1, 6));
        assert_eq!(files.other_stat.iter().map(|(part, _)| *part).collect::<Vec<_>>(), [Part::Leaving, Part::Carried]);
        assert_eq!(["a_stat", "a_b@c_carriedinfo", "m@7_oldinfo"].map(socket), ["a", "a_b@c", "m"]);
        files.add("a_tables".to_owned());
        files.add("m@7_oldtables".to_owned());
        assert_eq!(files.further.iter().map(|file| file.leaving).collect::<Vec<_>>(), [false, true]);
        assert_eq!(["a_tables", "m@7_oldtables"].map(socket), ["a", "m"]);
    }
}
