//! Turns messages into snapshots in `src-dir`, as [`super::seconds`] decides. A member of the group and a replay share this code.

use super::aside::Refusal;
use super::client::{Read, is_trouble};
use super::figures::Shared;
use super::report::Report;
use super::second::{Limits, Whole};
use super::seconds::Seconds;
use super::spool::{Spool, SpoolError};
use crate::config::{HostName, KafkaSource};
use crate::parcel::Refused;
use crate::snapshot::Epoch;
use crate::snapshot::list::wall_clock;
use rdkafka::error::KafkaError;
use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// Pause before writing to the disk is retried.
pub(super) const DISK: Duration = Duration::from_secs(1);

/// See the module.
pub(super) struct Assembly {
    pub(super) seconds: Seconds,
    pub(super) report: Report,
    pub(super) figures: Shared,
    /// Hosts whose files could not be written yet.
    unsaved: VecDeque<Whole>,
    /// Files of hosts that are on disk, and no longer wanted: the number of the directory, and the host.
    void: VecDeque<(u64, HostName)>,
    /// When writing to the disk is retried.
    disk_at: Option<Instant>,
}

impl Assembly {
    pub(super) fn new(config: &KafkaSource, roll_ups: bool, figures: Shared) -> Self {
        let limits = Limits {
            deadline: config.deadline,
            assemble: config.assemble,
            late: config.late.as_secs(),
            buffer: config.buffer_size.get(),
            roll_ups,
        };
        let report = Report::new(config.brokers(), &config.topic, &config.group);
        Self {
            seconds: Seconds::new(limits),
            report,
            figures,
            unsaved: VecDeque::new(),
            void: VecDeque::new(),
            disk_at: None,
        }
    }

    /// Takes a message, and returns the host that it completes, if any. A refused message does not count as read: see
    /// [`Seconds::pass`].
    pub(super) fn take(&mut self, read: &Read<'_>) -> Result<Option<Whole>, Refusal> {
        self.report.well();
        let (partition, offset) = (read.partition, read.offset);
        let reason = match &read.label {
            Ok(label) => {
                let taken = self.seconds.take((partition, offset), label, read.payload(), Instant::now(), wall_clock());
                match taken {
                    Ok(whole) => return Ok(whole),
                    Err(poison) => poison.to_string(),
                }
            }
            Err(newer @ Refused::Newer(_)) => {
                if self.seconds.hold(partition) {
                    self.report.held(partition, offset, newer);
                }
                return Ok(None);
            }
            Err(refused) => refused.to_string(),
        };
        let offsets = offset..offset.saturating_add(1);
        Err(Refusal { partition, offsets, reason, content: Some(read.content()) })
    }

    /// Logs why reading failed.
    pub(super) fn failed(&mut self, error: &KafkaError) {
        match error.rdkafka_error_code() {
            Some(code) if is_trouble(code) => self.report.trouble(code, &error.to_string()),
            _ => tracing::debug!(%error, "cannot read a message"),
        }
    }

    /// Whether everything so far is on disk.
    pub(super) fn is_saved(&self) -> bool {
        self.unsaved.is_empty() && self.disk_at.is_none()
    }

    /// Writes the files of a host, after those of hosts that are still waiting for the disk.
    pub(super) fn save(&mut self, whole: Whole, spool: &mut Spool) {
        self.unsaved.push_back(whole);
        if self.disk_at.is_none() {
            self.save_all(spool);
        }
    }

    /// Removes files of hosts. Until that has succeeded nothing is written or published: they would become a part of it.
    pub(super) fn discard(&mut self, void: Vec<(u64, HostName)>, spool: &mut Spool) {
        self.void.extend(void);
        if self.disk_at.is_none() {
            self.save_all(spool);
        }
    }

    fn save_all(&mut self, spool: &mut Spool) {
        while let Some((serial, host)) = self.void.front() {
            if let Err(error) = spool.remove(*serial, host) {
                self.report.disk(&error);
                self.disk_at = Some(Instant::now() + DISK);
                return;
            }
            self.void.pop_front();
        }
        while let Some(whole) = self.unsaved.pop_front() {
            match self.save_one(&whole, spool) {
                Ok(()) => {}
                Err(error) => {
                    self.report.disk(&error);
                    self.disk_at = Some(Instant::now() + DISK);
                    self.unsaved.push_front(whole);
                    return;
                }
            }
        }
    }

    fn save_one(&mut self, whole: &Whole, spool: &mut Spool) -> Result<(), SpoolError> {
        let Some(serial) = self.seconds.serial(whole.second) else {
            self.seconds.dropped(whole);
            return Ok(());
        };
        if !self.seconds.wants(whole) {
            // An attempt that failed may have left some of them.
            spool.remove(serial, &whole.host)?;
            self.seconds.dropped(whole);
            return Ok(());
        }
        spool.store(serial, whole)?;
        self.seconds.stored(whole);
        self.figures.change(|figures| {
            figures.assembled += 1;
            figures.incomplete += u64::from(whole.incomplete);
        });
        if whole.incomplete {
            self.report.incomplete(&whole.host.name, whole.second.0);
        }
        Ok(())
    }

    /// Retries writing to the disk when it is time.
    pub(super) fn try_disk(&mut self, spool: &mut Spool, now: Instant) {
        if self.disk_at.is_some_and(|at| at <= now) {
            self.disk_at = None;
            self.save_all(spool);
            if self.disk_at.is_none() {
                self.report.disk_is_well();
            }
        }
    }

    /// Handles hosts whose remaining files did not arrive in time.
    pub(super) fn overdue(&mut self, spool: &mut Spool, now: Instant) {
        let (rest, given_up) = self.seconds.overdue(now);
        if given_up > 0 {
            self.report.given_up(given_up);
            self.figures.change(|figures| figures.incomplete += given_up);
        }
        rest.into_iter().for_each(|whole| self.save(whole, spool));
    }

    /// Publishes seconds that are ready, while fewer than `most` are in `src-dir`. Returns those that were published.
    pub(super) fn publish(&mut self, spool: &mut Spool, now: Instant, most: usize) -> Vec<Epoch> {
        let mut moved = Vec::new();
        if self.disk_at.is_some() {
            return moved;
        }
        for going in self.seconds.ready(now, |second| !spool.has(second)) {
            if self.seconds.out() >= most {
                break;
            }
            let keep = self.seconds.keeps();
            match spool.publish(&going, keep) {
                Ok(()) => {
                    let hosts = going.hosts.len() + going.again.len();
                    tracing::debug!(second = %going.second, hosts, late = going.late, "assembled");
                    self.figures.change(|figures| figures.late += u64::from(going.late));
                    self.seconds.went(&going, spool.keeps());
                    moved.push(going.second);
                }
                Err(error) => {
                    self.report.disk(&error);
                    self.disk_at = Some(now + DISK);
                    return moved;
                }
            }
        }
        for second in self.seconds.forget() {
            spool.forget(second);
        }
        moved
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Program, load};
    use crate::parcel::Label;
    use crate::snapshot::ASSEMBLING_DIR;

    #[test]
    fn files_that_are_not_removed_keep_a_second_back_until_they_are() {
        let text = "[process]\nsource = kafka\n[kafka-source]\nbrokers = b\ntopic = t\n";
        let config = load::from_text(Program::Process, text, "a test").unwrap().config.kafka_source.unwrap();
        let dir = tempfile::tempdir().unwrap();
        let mut spool = Spool::open(dir.path()).unwrap();
        let mut assembly = Assembly::new(&config, true, Shared::default());
        let (second, now) = (Epoch(100), Instant::now());
        for (partition, host) in [(0, "one"), (1, "two")] {
            assembly.seconds.assigned(partition, None);
            let (host, file) = (host.to_owned(), "a_stat".to_owned());
            let label = Label { host, cluster: None, time: second, interval: 10, file, files: 1, offset: 0, size: 1 };
            let whole = assembly.seconds.take((partition, 0), &label, b"x", now, Duration::from_secs(100)).unwrap();
            assembly.save(whole.unwrap(), &mut spool);
        }
        let staged = dir.path().join(ASSEMBLING_DIR).join(assembly.seconds.serial(second).unwrap().to_string());
        // A file that cannot be removed.
        std::fs::create_dir(staged.join("h0~b_stat")).unwrap();
        let void = assembly.seconds.revoked(0);
        assembly.discard(void, &mut spool);
        assert!(!assembly.is_saved(), "reading is suspended");
        let later = now + config.deadline;
        assert_eq!(assembly.publish(&mut spool, later, 10), []);
        assembly.try_disk(&mut spool, Instant::now() + DISK);
        assert!(!assembly.is_saved());
        std::fs::remove_dir(staged.join("h0~b_stat")).unwrap();
        assembly.try_disk(&mut spool, Instant::now() + DISK * 2);
        assert!(assembly.is_saved());
        assert_eq!(assembly.publish(&mut spool, later, 10), [second]);
        let files = std::fs::read_dir(spool.path(second)).unwrap().count();
        assert_eq!(files, 2, "the file of the other host, and .members");
    }
}
