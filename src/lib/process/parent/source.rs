//! The thread that reads snapshots from Kafka, if it is configured: starts it, replaces it after a reload, and stops it.

use super::figures::Consumed;
use crate::config::{Config, KafkaSource, Source as From};
use crate::consume::{Source as Thread, clean};
use crate::snapshot::list::wall_clock;
use std::path::PathBuf;

/// The configuration of the thread.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Wanted {
    source: KafkaSource,
    src_dir: PathBuf,
    roll_ups: bool,
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Source {
    wanted: Option<Wanted>,
    thread: Option<Thread>,
    leaving: bool,
}

impl Source {
    /// Starts reading, if that is configured. Must be called before anything reads `src-dir`.
    pub(super) fn open(config: &Config) -> Self {
        let wanted = Self::wanted(config);
        if let Some(wanted) = &wanted {
            clean(&wanted.src_dir);
        }
        let mut source = Self { wanted, ..Self::default() };
        source.look();
        source
    }

    fn wanted(config: &Config) -> Option<Wanted> {
        let source = config.kafka_source.clone().filter(|_| config.process.source == From::Kafka)?;
        let (src_dir, roll_ups) = (config.process.src_dir.clone(), config.process.cluster_metrics);
        Some(Wanted { source, src_dir, roll_ups })
    }

    /// Applies another configuration.
    pub(super) fn configure(&mut self, config: &Config) {
        let wanted = Self::wanted(config);
        if wanted == self.wanted {
            return;
        }
        self.wanted = wanted;
        if let Some(thread) = &self.thread {
            tracing::info!("leaving the consumer group for the new configuration");
            thread.leave();
        }
    }

    /// Starts the thread for the current configuration, once the previous one has ended.
    pub(super) fn look(&mut self) {
        if self.leaving || self.thread.as_ref().is_some_and(|thread| !thread.has_ended()) {
            return;
        }
        self.thread = None;
        let Some(Wanted { source, src_dir, roll_ups }) = &self.wanted else { return };
        match Thread::start(source, src_dir, *roll_ups) {
            Ok(thread) => self.thread = Some(thread),
            Err(error) => tracing::error!(%error, "cannot start the thread that reads from Kafka; trying again"),
        }
    }

    /// Stops reading, but keeps committing what is delivered.
    pub(super) fn drain(&mut self) {
        self.leaving = true;
        if let Some(thread) = &self.thread {
            thread.drain();
        }
    }

    /// Leaves the group.
    pub(super) fn end(&mut self) {
        self.leaving = true;
        if let Some(thread) = self.thread.take() {
            thread.end();
        }
    }

    /// The figures, if snapshots are read from Kafka.
    pub(super) fn figures(&self) -> Option<Consumed> {
        let figures = self.thread.as_ref()?.figures();
        Some(Consumed {
            up: u64::from(figures.up),
            partitions: figures.partitions,
            paused: figures.paused,
            held: figures.held,
            lag: figures.lag,
            // By the clock of now, so that it grows while the thread hangs.
            oldest_age: figures.oldest.map_or(0, |oldest| wall_clock().as_secs().saturating_sub(oldest.0)),
            assembling: figures.assembling,
            buffered: figures.buffered,
            assembled: figures.assembled,
            incomplete: figures.incomplete,
            late: figures.late,
            refused: figures.refused,
            rebalances: figures.rebalances,
        })
    }
}
