//! Messages: what a snapshot becomes for a destination that takes records with a key in place of a stream of lines.

use crate::snapshot::Epoch;
use std::ops::Range;

/// The messages of one snapshot, in order, in one piece of memory.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Messages {
    bytes: Vec<u8>,
    places: Vec<Place>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Place {
    key: Range<usize>,
    payload: Range<usize>,
    stamp: Epoch,
}

/// One message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Message<'a> {
    /// What decides about its partition.
    pub key: &'a [u8],
    /// What it says.
    pub payload: &'a [u8],
    /// The moment that it is about.
    pub stamp: Epoch,
}

impl Messages {
    /// Appends a message whose payload is the concatenation of `parts`.
    pub fn push<'a>(&mut self, key: &[u8], stamp: Epoch, parts: impl IntoIterator<Item = &'a [u8]>) {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(key);
        let middle = self.bytes.len();
        parts.into_iter().for_each(|part| self.bytes.extend_from_slice(part));
        self.places.push(Place { key: start..middle, payload: middle..self.bytes.len(), stamp });
    }

    /// The message at this place.
    #[must_use]
    pub fn get(&self, index: usize) -> Option<Message<'_>> {
        let place = self.places.get(index)?;
        let (key, payload) = (self.bytes.get(place.key.clone())?, self.bytes.get(place.payload.clone())?);
        Some(Message { key, payload, stamp: place.stamp })
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = Message<'_>> {
        (0..self.len()).filter_map(|index| self.get(index))
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.places.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    /// Bytes of all keys and payloads.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.bytes.len()
    }

    /// Gives back memory that nothing is in.
    pub fn shrink(&mut self) {
        self.bytes.shrink_to_fit();
        self.places.shrink_to_fit();
    }
}
