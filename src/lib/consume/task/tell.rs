//! The state of the thread: figures, and a file for `--status`.

use super::Task;
use crate::snapshot::group::Group;
use std::time::{Duration, Instant};

/// How often the file is written.
const STATUS: Duration = Duration::from_secs(1);

impl Task {
    /// Updates the figures, and the file from time to time.
    pub(super) fn tell(&mut self, now: Instant) {
        let lag: i64 = self
            .assembly
            .seconds
            .partitions()
            .filter_map(|(number, next)| {
                let committed = self.committed.iter().find(|position| position.partition == number);
                let place = committed.map(|position| position.offset).or(next);
                Some((self.ends.get(&number)? - place?).max(0))
            })
            .sum();
        let partitions = self.assembly.seconds.partitions().count() as u64;
        let up = self.assembly.report.is_well();
        self.assembly.figures.change(|figures| {
            figures.up = up;
            figures.partitions = partitions;
            figures.lag = u64::try_from(lag).unwrap_or_default();
            figures.assembling = self.assembly.seconds.waiting() as u64;
            figures.buffered = self.assembly.seconds.bytes() as u64;
            figures.held = self.assembly.seconds.held() as u64;
            figures.oldest = self.assembly.seconds.oldest();
        });
        if self.status_at.is_none_or(|written| now.duration_since(written) >= STATUS) {
            self.status_at = Some(now);
            self.write_status();
        }
    }

    /// Writes the file for `--status`. Nothing depends on it.
    fn write_status(&self) {
        let figures = self.assembly.figures.get();
        let group = Group {
            group: self.config.group.clone(),
            topic: self.config.topic.clone(),
            up: figures.up,
            partitions: self.assembly.seconds.partitions().map(|(number, _)| number).collect(),
            paused: figures.paused,
            held: figures.held,
            lag: figures.lag,
            oldest: figures.oldest,
            assembled: figures.assembled,
            incomplete: figures.incomplete,
            late: figures.late,
            refused: figures.refused,
            rebalances: figures.rebalances,
        };
        if let Err(error) = group.write(&self.src_dir) {
            tracing::debug!(%error, "cannot write the file for --status");
        }
    }
}
