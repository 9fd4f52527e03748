//! Warnings about a listing and its weights: logged when they begin, and when they are over.

use super::document::{Document, State};
use super::source::Listing;
use crate::haproxy::runtime::LARGEST_WEIGHT;
use std::collections::BTreeSet;

/// What is in the log.
#[derive(Default)]
pub(super) struct Notices {
    listing: BTreeSet<String>,
    weights: Option<String>,
}

impl Notices {
    /// Tells what a listing lacks, where that differs from the one before.
    pub(super) fn listing(&mut self, listing: &Listing) {
        let now: BTreeSet<String> = lacks(listing).into_iter().collect();
        for text in now.difference(&self.listing) {
            tracing::warn!("{text}");
        }
        for text in self.listing.difference(&now) {
            tracing::info!("no longer: {text}");
        }
        self.listing = now;
    }

    /// Tells which weights of the source do not fit into HAProxy's steps, where that has changed.
    pub(super) fn weights(&mut self, document: &Document) {
        let now = misfit(document);
        if let Some(text) = now.as_ref().filter(|text| self.weights.as_ref() != Some(text)) {
            tracing::warn!("{text}");
        }
        self.weights = now;
    }
}

/// What a listing lacks, in lines.
pub(super) fn lacks(listing: &Listing) -> Vec<String> {
    let failed = listing.failed.iter().map(|failed| {
        format!("group {} could not be listed: {}; its servers stay as they are", failed.group, failed.reason)
    });
    let unusable = listing.unusable.iter().map(|unusable| {
        let stays = if unusable.unsure { "; if it has a slot, it keeps it" } else { "" };
        format!("{} of group {} cannot be used: {}{stays}", unusable.instance, unusable.group, unusable.reason)
    });
    failed.chain(unusable).collect()
}

/// The server whose weight differs most from its part of the full weight, when that is more than a quarter.
pub(super) fn misfit(document: &Document) -> Option<String> {
    let off = |full: u16| {
        let active = document.servers().map(|(_, server)| server).filter(|server| server.state == State::Active);
        let wanted = active.filter(|server| server.hint.exactly(full) > 0.0);
        let by = wanted.map(|server| {
            let exact = server.hint.exactly(full);
            ((f64::from(server.hint.of(full)) - exact).abs() / exact, server)
        });
        by.max_by(|(a, _), (b, _)| a.total_cmp(b)).filter(|(by, _)| *by > 0.25)
    };
    let full = document.ramp.max;
    let (_, server) = off(full)?;
    let remedy = if full < LARGEST_WEIGHT && off(LARGEST_WEIGHT).is_none() {
        format!("set haproxy-backend-server-max-weight = {LARGEST_WEIGHT}")
    } else {
        format!("HAProxy's weights, 1 to {LARGEST_WEIGHT}, are too coarse for them")
    };
    let (exact, given) = (server.hint.exactly(full), server.hint.of(full));
    let exact = if exact < 0.001 { "less than 0.001".to_owned() } else { format!("{exact:.3}") };
    let instance = &server.instance;
    Some(format!(
        "weights from 1 to {full} cannot express the ratios of the source: {instance} should have {exact} and has \
         {given}; {remedy}"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::discovery::Ramp;
    use crate::discovery::document::Server;
    use crate::discovery::hint::Hint;
    use std::time::Duration;

    fn weights(max: u16, hints: &[Hint]) -> Option<String> {
        let ramp = Ramp { min: 1, max, step: 1, interval: Duration::from_secs(1) };
        let mut document = Document::empty(hints.len(), ramp);
        for (slot, hint) in document.slots.iter_mut().zip(hints) {
            slot.server = Some(Server {
                instance: format!("i-{}", slot.id),
                name: String::new(),
                addresses: vec!["10.0.0.1".parse().unwrap()],
                port: None,
                group: String::new(),
                zone: String::new(),
                hint: *hint,
                since: 0,
                since_millis: 0,
                gained: 0,
                state: State::Active,
                weight: 1,
                doubt: None,
            });
        }
        misfit(&document)
    }

    #[test]
    fn ratios_that_the_steps_do_not_hold_are_told_with_what_would() {
        assert_eq!(weights(10, &[Hint::FULL, Hint::percent(50), Hint::percent(10), Hint::percent(0)]), None);
        let small = weights(10, &[Hint::FULL, Hint::percent(50), Hint::percent(1)]).unwrap();
        assert!(
            small.contains("i-3 should have 0.100 and has 1; set haproxy-backend-server-max-weight = 256"),
            "{small}"
        );
        let none = weights(256, &[Hint::relative(1, 65535), Hint::relative(300, 65535), Hint::FULL]).unwrap();
        assert!(
            none.contains("i-1 should have 0.004 and has 1; HAProxy's weights, 1 to 256, are too coarse for them"),
            "{none}"
        );
        let much = weights(10, &[Hint::percent(10_000)]).unwrap();
        assert!(much.contains("i-1 should have 1000.000 and has 256"), "{much}");
    }
}
