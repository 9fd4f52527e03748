//! Replaces the module for topics in a build without Kafka.

use super::note::{Note, NoteError};
use super::supply::{Inside, Offer, Summary, Supply};
use crate::config::KafkaSource;
use crate::snapshot::Epoch;
use crate::snapshot::moment::Span;
use std::future::Future;
use std::path::Path;
use std::pin::Pin;
use std::time::{Duration, Instant};

/// See the module.
pub(super) enum Topic {}

/// Why a topic cannot be replayed.
#[derive(Debug, thiserror::Error)]
#[error("this build does not support Kafka; use one with the cargo feature kafka")]
pub(super) struct TopicError;

impl Topic {
    pub(super) fn open(_: &KafkaSource, _: &Path, _: bool, _: Span, _: Note) -> Result<Self, TopicError> {
        Err(TopicError)
    }
}

impl Supply for Topic {
    fn next(&mut self, _: Instant, _: &dyn Fn(u64) -> bool) -> Offer {
        match *self {}
    }

    fn ready(&mut self) -> Pin<Box<dyn Future<Output = ()> + '_>> {
        match *self {}
    }

    fn save(&mut self, _: &Inside) -> Result<(), NoteError> {
        match *self {}
    }

    fn first_open(&self, _: &Inside) -> Epoch {
        match *self {}
    }

    fn progress(&self, _: &Inside, _: Duration) -> String {
        match *self {}
    }

    fn end(&self, _: &Inside, _: &[Epoch]) -> Summary {
        match *self {}
    }
}
