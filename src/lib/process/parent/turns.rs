//! Tells workers whose turn it is, and keeps the record that this depends on.

use super::Parent;
use super::order::{Order, Turn};
use super::record::Record;
use crate::config::Config;
use crate::dispatch::http;
use crate::looked::Moment;
use crate::process::wire::message::ToWorker;
use crate::queue::{Queue, Slot};
use crate::snapshot::Epoch;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The order in which snapshots are sent, and its record on disk.
#[derive(Debug)]
pub(super) struct Turns {
    pub(super) order: Order,
    /// The destinations that need snapshots in order.
    names: Vec<&'static str>,
    record: Record,
    src_dir: PathBuf,
}

impl Turns {
    pub(super) fn open(config: &Config) -> Self {
        Self::of(names(config), &config.process.src_dir)
    }

    fn of(names: Vec<&'static str>, src_dir: &Path) -> Self {
        let record = Record::open(src_dir);
        Self { order: Order::new(&names, record.had()), names, record, src_dir: src_dir.to_owned() }
    }

    /// Applies another configuration.
    pub(super) fn configure(&mut self, config: &Config) {
        let had = self.record.had();
        for name in names(config) {
            self.order.add(name, had.get(name).cloned().unwrap_or_default());
            if !self.names.contains(&name) {
                self.names.push(name);
            }
        }
    }

    /// Switches to another queue.
    pub(super) fn move_to(&mut self, src_dir: &Path) {
        *self = Self::of(std::mem::take(&mut self.names), src_dir);
    }

    /// Notes that every destination has the snapshot, which was this directory.
    pub(super) fn done(&mut self, epoch: Epoch, directory: Option<String>, queue: &Queue) {
        match directory.filter(|_| queue.is_stuck(epoch)) {
            // It is still on disk, and would be sent again after a crash.
            Some(directory) => {
                self.order.delivered(None, epoch, &directory);
                self.write(queue);
            }
            None => {
                self.order.forget(epoch);
                // Records of snapshots that are gone do no harm; they are removed when there is nothing else to record.
                let had = self.order.to_record();
                if had.is_empty() && !self.record.is_empty() {
                    self.record.write(had);
                }
            }
        }
    }

    /// Writes the record, before the next snapshot gets its turn.
    fn write(&mut self, queue: &Queue) {
        let there = |epoch: Epoch| queue.knows(epoch) || self.src_dir.join(epoch.to_string()).exists();
        self.order.retain(there);
        self.record.write(self.order.to_record());
    }
}

fn names(config: &Config) -> Vec<&'static str> {
    let otlp = config.otlp.as_ref().map(|_| http::OTLP);
    let remote_write = config.remote_write.as_ref().map(|_| http::REMOTE_WRITE);
    otlp.into_iter().chain(remote_write).collect()
}

impl Parent<'_> {
    /// A destination has a snapshot that others lack. False if the worker does not hold it.
    pub(super) fn delivered(&mut self, slot: Slot, dispatcher: &str, epoch: Epoch) -> bool {
        let Some(directory) =
            self.custody.directory(epoch).filter(|_| self.custody.queue().holder(epoch) == Some(slot))
        else {
            return false;
        };
        self.turns.order.delivered(Some(dispatcher), epoch, &directory);
        self.turns.write(self.custody.queue());
        true
    }

    /// Tells workers which of their snapshots may be sent now.
    pub(super) fn tell_turns(&mut self) {
        if self.turns.order.is_empty() {
            return;
        }
        let coming = self.custody.coming();
        for Turn { slot, dispatcher, epoch } in self.turns.order.turns(self.custody.queue(), &coming, Moment::now()) {
            if let Err(error) = self.pool.say(slot, &ToWorker::Go { dispatcher: dispatcher.to_owned(), epoch }) {
                tracing::debug!(worker = slot.0, %error, "cannot let it send a snapshot");
                self.pool.kill(slot, None, Duration::ZERO);
            }
        }
    }
}
