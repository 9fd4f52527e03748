//! The state of a member of a consumer group, for `--status`: a hidden file in `src-dir`, which the member rewrites every second.

use super::{ASSEMBLING_DIR, Epoch, disk};
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

/// Name of the file in the directory in which snapshots are assembled.
const FILE: &str = "group";

/// The state of a member when the file was written.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Group {
    /// Name of the group.
    pub group: String,
    /// The topic.
    pub topic: String,
    /// Whether the brokers answer.
    pub up: bool,
    /// Partitions that are assigned to the member.
    pub partitions: Vec<i32>,
    /// How many of them are paused.
    pub paused: u64,
    /// How many are stopped at a message of a later version.
    pub held: u64,
    /// Messages that are not committed yet.
    pub lag: u64,
    /// The oldest second that was read but not delivered yet.
    pub oldest: Option<Epoch>,
    /// Snapshots of hosts that were assembled.
    pub assembled: u64,
    /// Snapshots of hosts with missing files.
    pub incomplete: u64,
    /// Seconds that were published again because a host was late.
    pub late: u64,
    /// Messages that were refused.
    pub refused: u64,
    /// Number of assignments and revocations of partitions.
    pub rebalances: u64,
}

fn path(src_dir: &Path) -> PathBuf {
    src_dir.join(ASSEMBLING_DIR).join(FILE)
}

impl Group {
    /// Writes the file.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn write(&self, src_dir: &Path) -> io::Result<()> {
        let path = path(src_dir);
        let new = path.with_extension("new");
        disk::create_file(&new)?.write_all(self.text().as_bytes())?;
        fs::rename(new, path)
    }

    /// Reads the file; returns its content and its age, or `None` if it cannot be read.
    #[must_use]
    pub fn read(src_dir: &Path) -> Option<(Self, Duration)> {
        let path = path(src_dir);
        let changed = fs::metadata(&path).and_then(|found| found.modified()).ok()?;
        let age = SystemTime::now().duration_since(changed).unwrap_or_default();
        Some((Self::parse(&fs::read_to_string(path).ok()?), age))
    }

    fn text(&self) -> String {
        let partitions: Vec<String> = self.partitions.iter().map(i32::to_string).collect();
        let mut text = format!(
            "group {}\ntopic {}\nup {}\npartitions {}\n",
            self.group,
            self.topic,
            u8::from(self.up),
            partitions.join(" ")
        );
        for (name, count) in [
            ("paused", self.paused),
            ("held", self.held),
            ("lag", self.lag),
            ("assembled", self.assembled),
            ("incomplete", self.incomplete),
            ("late", self.late),
            ("refused", self.refused),
            ("rebalances", self.rebalances),
        ] {
            text.push_str(&format!("{name} {count}\n"));
        }
        text.extend(self.oldest.map(|oldest| format!("oldest {oldest}\n")));
        text
    }

    /// Ignores unknown lines, which are from a later version.
    fn parse(text: &str) -> Self {
        let mut group = Self::default();
        for (name, value) in text.lines().filter_map(|line| line.split_once(' ')) {
            let number = value.parse().unwrap_or_default();
            match name {
                "group" => value.clone_into(&mut group.group),
                "topic" => value.clone_into(&mut group.topic),
                "up" => group.up = number == 1,
                "partitions" => group.partitions = value.split(' ').filter_map(|word| word.parse().ok()).collect(),
                "paused" => group.paused = number,
                "held" => group.held = number,
                "lag" => group.lag = number,
                "oldest" => group.oldest = Epoch::from_name(value),
                "assembled" => group.assembled = number,
                "incomplete" => group.incomplete = number,
                "late" => group.late = number,
                "refused" => group.refused = number,
                "rebalances" => group.rebalances = number,
                _ => {}
            }
        }
        group
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(Group::read(dir.path()), None);
        fs::create_dir(dir.path().join(ASSEMBLING_DIR)).unwrap();
        let group = Group {
            group: "a group".to_owned(),
            topic: "snapshots".to_owned(),
            up: true,
            partitions: vec![0, 12],
            paused: 1,
            held: 2,
            lag: 3,
            oldest: Some(Epoch(1_700_000_000)),
            assembled: 4,
            incomplete: 5,
            late: 6,
            refused: 7,
            rebalances: 8,
        };
        group.write(dir.path()).unwrap();
        let (read, age) = Group::read(dir.path()).unwrap();
        assert!(read == group && age < Duration::from_secs(60), "{read:?}, {age:?}");
        let none = Group { oldest: None, partitions: Vec::new(), ..group };
        none.write(dir.path()).unwrap();
        assert_eq!(Group::read(dir.path()).unwrap().0, none);
    }
}
