//! Messages that are refused: kept for people, counted, and passed. One that cannot be kept holds its partition, and no other.

use super::Task;
use crate::config::KafkaSource;
use crate::consume::aside::{Aside, Refusal};
use crate::consume::assembly::DISK;
use crate::consume::client::Client;
use crate::consume::damaged::Damage;
use crate::consume::finder::{DAMAGED, Finder};
use std::collections::BTreeMap;
use std::path::Path;
use std::time::Instant;

/// What is to be done about messages that are refused.
#[derive(Debug)]
pub(super) struct Refusals {
    aside: Aside,
    /// Those that could not be kept yet.
    waiting: BTreeMap<i32, Refusal>,
    /// Not before then is it tried again.
    keep_at: Option<Instant>,
    finder: Finder,
}

impl Refusals {
    pub(super) fn new(config: &KafkaSource, src_dir: &Path) -> Self {
        let aside = Aside::new(src_dir, &config.topic);
        Self { aside, waiting: BTreeMap::new(), keep_at: None, finder: Finder::new(config) }
    }

    /// Partitions that are not read on.
    pub(super) fn partitions(&self) -> impl Iterator<Item = i32> {
        self.waiting.keys().copied()
    }

    /// The next owner of the partition reads it again.
    pub(super) fn forget(&mut self, partition: i32) {
        self.waiting.remove(&partition);
        self.finder.forget();
    }
}

impl Task {
    /// Messages are not taken.
    pub(super) fn refuse(&mut self, client: &Client, refusal: Refusal) {
        let kept = match self.refusals.aside.keep(&refusal) {
            Ok(kept) => kept,
            Err(error) => {
                self.assembly.report.not_kept(&error);
                self.refusals.keep_at = Some(Instant::now() + DISK);
                self.refusals.waiting.insert(refusal.partition, refusal);
                return;
            }
        };
        let end = refusal.offsets.end;
        // A set that is not passed is found again.
        if refusal.content.is_none()
            && let Err(error) = client.skip_to(refusal.partition, end)
        {
            self.refusals.finder.pause(Instant::now());
            tracing::debug!(%error, "cannot continue after messages that cannot be decompressed");
            return;
        }
        self.assembly.seconds.pass(refusal.partition, end.saturating_sub(1));
        self.assembly.report.refused(&refusal, Some(&kept));
        self.assembly.figures.change(|figures| figures.refused += refusal.count());
    }

    /// Tries to keep what could not be kept, and looks for what has been found.
    pub(super) fn try_refusals(&mut self, client: &Client, now: Instant) {
        if self.refusals.keep_at.is_some_and(|at| at <= now) {
            self.refusals.keep_at = None;
            for refusal in std::mem::take(&mut self.refusals.waiting).into_values() {
                self.refuse(client, refusal);
            }
            if self.refusals.waiting.is_empty() {
                self.assembly.report.can_keep();
            }
        }
        match self.refusals.finder.found(&self.assembly.seconds, now) {
            None => {}
            Some(Ok(Damage { partition, offsets })) => {
                self.assembly.report.found();
                self.refuse(client, Refusal { partition, offsets, reason: DAMAGED.to_owned(), content: None });
            }
            Some(Err(error)) => self.assembly.report.not_unpacked(&error),
        }
    }

    /// A set of messages cannot be decompressed. librdkafka reads it again and again, and does not say in which partition it is.
    pub(super) fn damaged(&mut self, reason: &str) {
        let is_read =
            |partition: i32| !self.refusals.waiting.contains_key(&partition) && !self.awaited.contains(partition);
        let partitions = self.assembly.seconds.partitions().filter(|(partition, _)| is_read(*partition));
        if let Err(error) = self.refusals.finder.reported(reason, partitions, Instant::now()) {
            self.assembly.report.not_unpacked(&error);
        }
    }
}
