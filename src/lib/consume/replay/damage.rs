//! Messages that cannot be decompressed: looked for, counted and passed, like those that are refused.

use super::{ATTEMPTS, Reading};
use crate::consume::aside::Refusal;
use crate::consume::damaged::Damage;
use crate::consume::finder::DAMAGED;
use std::collections::BTreeMap;
use std::time::Instant;

impl Reading {
    /// Messages cannot be decompressed. Those behind the end of their partition do not matter.
    pub(super) fn damaged(&mut self, reason: &str) {
        let next: BTreeMap<i32, Option<i64>> = self.assembly.seconds.partitions().collect();
        let open = self.reach.open().map(|(partition, _)| (partition, next.get(&partition).copied().flatten()));
        if let Err(error) = self.finder.reported(reason, open, Instant::now()) {
            tracing::debug!(error, "cannot look for messages that cannot be decompressed");
            self.not_found();
        }
    }

    /// Passes messages that cannot be decompressed once they are found.
    pub(super) fn pass_damaged(&mut self, now: Instant) {
        let Damage { partition, offsets } = match self.finder.found(&self.assembly.seconds, now) {
            None => return,
            Some(Ok(damage)) => damage,
            Some(Err(error)) => {
                tracing::debug!(error, "messages that cannot be decompressed are not found");
                return self.not_found();
            }
        };
        if let Err(error) = self.client.skip_to(partition, offsets.end) {
            tracing::debug!(%error, "cannot continue after messages that cannot be decompressed");
            return self.finder.pause(now);
        }
        self.attempts = 0;
        let last = offsets.end.saturating_sub(1);
        self.assembly.seconds.pass(partition, last);
        self.reach.passed((partition, last), super::now());
        let refusal = Refusal { partition, offsets, reason: DAMAGED.to_owned(), content: None };
        self.assembly.report.refused(&refusal, None);
        self.assembly.figures.change(|figures| figures.refused += refusal.count());
    }

    /// Ends the partitions that are left, after several searches without a result: what stops them is not known.
    fn not_found(&mut self) {
        self.attempts += 1;
        if self.attempts >= ATTEMPTS {
            let mut stuck: Vec<(i32, i64)> = self.reach.open().collect();
            stuck.retain(|(partition, _)| self.reach.stop(*partition));
            self.common.state().stuck.extend(stuck);
        }
    }
}
