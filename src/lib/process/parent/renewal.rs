//! A reload: the workers are replaced one after the other by workers with the new configuration, so that processing never stops.
//! Each delivers what it holds, as on shutdown; what it does not deliver in time stays on disk, and goes to another worker.
//!
//! If `src-dir` changes, the queue changes. Then all workers exit at the same time, and the new queue starts when the last one
//! has exited, so that no worker ever has snapshots of both queues.

use super::custody::Custody;
use super::spawn::Spawner;
use super::{GRACE, Parent, policy};
use crate::config;
use crate::config::load::Loaded;
use crate::logging::Chain;
use crate::looked::Moment;
use crate::process::{FRONT, broken_files, log_settings, statistics};
use crate::queue::Slot;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Instant;

/// The progress of a reload.
pub(super) struct Renewal {
    /// The command line, for workers.
    arguments: Vec<OsString>,
    workers: usize,
    src_dir: PathBuf,
    /// The queue of the new `src-dir`.
    next: Option<Custody>,
    under_way: bool,
}

impl Renewal {
    pub(super) fn new(arguments: Vec<OsString>, process: &config::Process) -> Self {
        let (workers, src_dir) = (process.workers.get(), process.src_dir.clone());
        Self { arguments, workers, src_dir, next: None, under_way: false }
    }

    /// The directory of the queue, or of the next one.
    pub(super) fn src_dir(&self) -> &Path {
        &self.src_dir
    }

    /// Whether the daemon is about to switch to another queue.
    pub(super) fn moves(&self) -> bool {
        self.next.is_some()
    }
}

impl Parent<'_> {
    /// Reads the configuration again. If it is invalid, everything stays as it is.
    pub(super) fn reload(&mut self) {
        let Some(loaded) = FRONT.reload(|loaded| broken_files(&loaded.config)) else { return };
        if let Err(error) = self.configure(&loaded) {
            return FRONT.keep(error);
        }
        FRONT.reloaded(log_settings(&loaded.config));
    }

    fn configure(&mut self, loaded: &Loaded) -> Result<(), String> {
        let (config, process) = (&loaded.config, &loaded.config.process);
        let spawner = Spawner::new(self.renewal.arguments.clone(), &loaded.ini.to_text());
        let spawner = spawner.map_err(|error| Chain(&error).to_string())?;
        if process.src_dir != self.renewal.src_dir {
            if self.renewal.moves() {
                return Err("a previous reload is still changing src-dir".to_owned());
            }
            let opened = Custody::open(&process.src_dir, Instant::now());
            self.renewal.next = Some(opened.map_err(|error| Chain(&error).to_string())?);
            statistics::tidy(&self.renewal.src_dir, false);
            self.renewal.src_dir.clone_from(&process.src_dir);
        }
        self.renewal.workers = process.workers.get();
        self.renewal.under_way = true;
        self.pool.configure(spawner);
        self.supervisor.configure(policy(process), Moment::now());
        self.turns.configure(config);
        self.source.configure(config);
        self.self_metrics = process.self_metrics;
        self.interval = config.pull.pull_interval;
        if !config.exporter.statistics {
            statistics::tidy(&process.src_dir, false);
        }
        if let Some(scrapes) = self.door.configure(&config.exporter) {
            self.scrapes = scrapes;
        }
        Ok(())
    }

    /// Takes the next step of a reload.
    pub(super) fn renew(&mut self) {
        if self.leaving || !self.renewal.under_way {
            return;
        }
        let outdated: Vec<(Slot, bool)> = self.pool.outdated().collect();
        if self.renewal.moves() {
            outdated.iter().filter(|(_, told)| !told).for_each(|(slot, _)| self.replace(*slot));
            if outdated.is_empty()
                && let Some(next) = self.renewal.next.take()
            {
                tracing::info!(directory = %self.renewal.src_dir.display(), "now processing the new src-dir");
                self.custody = next;
                self.turns.move_to(&self.renewal.src_dir);
                (self.newest, self.before) = (None, None);
            }
            return;
        }
        if outdated.iter().any(|(_, told)| *told) {
            return;
        }
        // Surplus workers go first.
        let renewed = self.pool.renewed();
        let kept = outdated.iter().filter(|(slot, _)| slot.0 < self.renewal.workers).count();
        match outdated.last() {
            Some((slot, _)) if slot.0 >= self.renewal.workers || renewed + kept >= self.renewal.workers => {
                self.replace(*slot);
            }
            None if renewed >= self.renewal.workers => {
                self.renewal.under_way = false;
                tracing::info!(workers = renewed, "all workers have the new configuration");
            }
            _ => {}
        }
    }

    fn replace(&mut self, slot: Slot) {
        self.pool.drain_one(slot, GRACE);
        self.supervisor.replaced(slot, Moment::now(), GRACE);
    }
}
