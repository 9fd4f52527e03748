//! Looks for sets of messages that cannot be decompressed, one at a time, as librdkafka reports them.

use super::damaged::{Damage, Search, begin};
use super::seconds::Seconds;
use crate::config::KafkaSource;
use std::time::{Duration, Instant};

/// Pause before another search after one that found nothing.
const PAUSE: Duration = Duration::from_secs(5);

/// What is said of such a set.
pub(super) const DAMAGED: &str =
    "cannot be decompressed, or exceeds librdkafka.receive.message.max.bytes of [kafka-source]";

/// See the module.
#[derive(Debug)]
pub(super) struct Finder {
    config: KafkaSource,
    search: Option<Search>,
    /// Not before then is another one begun.
    not_before: Option<Instant>,
}

impl Finder {
    pub(super) fn new(config: &KafkaSource) -> Self {
        Self { config: config.clone(), search: None, not_before: None }
    }

    /// A set cannot be decompressed, and librdkafka reads it again and again. `partitions` are those in which it may be, each with the
    /// offset that is read next, where that is known. The error says why no search is possible.
    pub(super) fn reported(
        &mut self,
        reason: &str,
        partitions: impl Iterator<Item = (i32, Option<i64>)>,
        now: Instant,
    ) -> Result<(), String> {
        if self.search.is_some() || self.not_before.is_some_and(|at| at > now) {
            return Ok(());
        }
        // Until there is a search.
        self.pause(now);
        let begin = begin(reason).ok_or_else(|| reason.to_owned())?;
        let partitions = partitions.map(|(partition, next)| (partition, next.unwrap_or(begin))).collect();
        let search = Search::start(&self.config, begin, partitions).map_err(|error| error.to_string())?;
        (self.search, self.not_before) = (Some(search), None);
        Ok(())
    }

    /// What a search has found, if one has ended. Nothing of it has been read or passed meanwhile.
    pub(super) fn found(&mut self, seconds: &Seconds, now: Instant) -> Option<Result<Damage, String>> {
        let result = self.search.as_ref()?.result()?;
        self.search = None;
        let is_next = |damage: &Damage| {
            let next = seconds.partitions().find(|(partition, _)| *partition == damage.partition);
            next.is_some_and(|(_, next)| next.is_none_or(|next| next <= damage.offsets.start))
        };
        let nowhere = || Err("no partition has them now".to_owned());
        let found = match result {
            Ok(damage) => damage.filter(is_next).map_or_else(nowhere, Ok),
            Err(error) => Err(error),
        };
        if found.is_err() {
            self.pause(now);
        }
        Some(found)
    }

    /// Begins no other search for a while.
    pub(super) fn pause(&mut self, now: Instant) {
        self.not_before = Some(now + PAUSE);
    }

    /// Forgets the search that is under way.
    pub(super) fn forget(&mut self) {
        self.search = None;
    }
}
