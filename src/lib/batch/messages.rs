//! Messages: what a snapshot becomes for a destination that takes records with a key in place of a stream of lines.

use crate::config::KafkaFormat;
use crate::parcel;
use crate::snapshot::Epoch;
use serde_json::Value as Json;
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
    headers: Range<usize>,
    stamp: Epoch,
    samples: usize,
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
    /// How many samples are in a request; 0 in messages that are none.
    pub samples: usize,
    /// Its headers, as [`parcel::encode`] makes them; often none.
    pub headers: &'a [u8],
}

impl Messages {
    /// Appends a message whose payload is the concatenation of `parts`.
    pub fn push<'a>(&mut self, key: &[u8], stamp: Epoch, parts: impl IntoIterator<Item = &'a [u8]>) {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(key);
        let middle = self.bytes.len();
        parts.into_iter().for_each(|part| self.bytes.extend_from_slice(part));
        self.places.push(Place {
            key: start..middle,
            payload: middle..self.bytes.len(),
            headers: start..start,
            stamp,
            samples: 0,
        });
    }

    /// Appends a message with headers.
    pub(crate) fn push_labelled(&mut self, key: &[u8], stamp: Epoch, headers: &[u8], payload: &[u8]) {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(headers);
        let behind = self.bytes.len();
        self.push(key, stamp, [payload]);
        if let Some(place) = self.places.last_mut() {
            place.headers = start..behind;
        }
    }

    /// Where the payload of a further message is appended, which has no key; [`Messages::close`] ends it.
    pub fn open(&mut self) -> &mut Vec<u8> {
        &mut self.bytes
    }

    /// The message that is open.
    #[must_use]
    pub fn opened(&self) -> &[u8] {
        self.bytes.get(self.closed()..).unwrap_or_default()
    }

    /// Puts another one in its place.
    pub(crate) fn reopen(&mut self, message: &[u8]) {
        self.bytes.truncate(self.closed());
        self.bytes.extend_from_slice(message);
    }

    /// Ends the message that is open, a request with so many samples; nothing where it is empty. What has to stand in front
    /// of it and was not known before is `head`.
    pub fn close(&mut self, stamp: Epoch, samples: usize, head: &[u8]) {
        let start = self.closed();
        if start < self.bytes.len() {
            self.bytes.splice(start..start, head.iter().copied());
            let payload = start..self.bytes.len();
            self.places.push(Place { key: start..start, payload, headers: start..start, stamp, samples });
        }
    }

    /// Where the messages that are complete end.
    fn closed(&self) -> usize {
        self.places.last().map_or(0, |place| place.payload.end)
    }

    /// With room for so many bytes.
    #[must_use]
    pub fn with_capacity(bytes: usize) -> Self {
        Self { bytes: Vec::with_capacity(bytes), places: Vec::new() }
    }

    /// The message at this place.
    #[must_use]
    pub fn get(&self, index: usize) -> Option<Message<'_>> {
        let place = self.places.get(index)?;
        let [key, payload, headers] =
            [&place.key, &place.payload, &place.headers].map(|range| self.bytes.get(range.clone()));
        Some(Message { key: key?, payload: payload?, stamp: place.stamp, samples: place.samples, headers: headers? })
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
    pub(crate) fn shrink(&mut self) {
        self.bytes.shrink_to_fit();
        self.places.shrink_to_fit();
    }
}

/// Length of the whole lines at the beginning of `lines` that fit into `room`.
#[must_use]
pub(crate) fn whole_lines(lines: &[u8], room: usize) -> usize {
    memchr::memrchr(b'\n', lines.get(..room).unwrap_or(lines)).map_or(0, |newline| newline + 1)
}

/// Length of the first line.
#[must_use]
pub(crate) fn first_line(lines: &[u8]) -> usize {
    memchr::memchr(b'\n', lines).map_or(lines.len(), |newline| newline + 1)
}

/// Headers and payload of a message.
pub type Half = (Vec<u8>, Vec<u8>);

/// Two messages that say the same as this one; `None` where it cannot be divided.
#[must_use]
pub(crate) fn halves_of(format: KafkaFormat, message: &Message<'_>) -> Option<[Half; 2]> {
    if format == KafkaFormat::Snapshot {
        return parcel::halves(message.headers, message.payload);
    }
    halves(format, message.payload).map(|(one, other)| [one, other].map(|half| (message.headers.to_vec(), half)))
}

/// Two payloads that say the same as this one; `None` where it cannot be divided.
#[must_use]
pub fn halves(format: KafkaFormat, payload: &[u8]) -> Option<(Vec<u8>, Vec<u8>)> {
    if format == KafkaFormat::Json {
        return document_halves(payload);
    }
    let middle = match whole_lines(payload, payload.len() / 2) {
        0 => first_line(payload),
        middle => middle,
    };
    let (one, other) = payload.split_at_checked(middle)?;
    (!other.is_empty()).then(|| (one.to_vec(), other.to_vec()))
}

/// Two documents with half of the values each; `None` where that is not possible.
fn document_halves(document: &[u8]) -> Option<(Vec<u8>, Vec<u8>)> {
    let mut document: Json = serde_json::from_slice(document).ok()?;
    let fields = std::mem::take(document.get_mut("fields")?.as_object_mut()?);
    let middle = fields.len() / 2;
    if middle == 0 {
        return None;
    }
    let mut fields = fields.into_iter();
    let mut with = |count| {
        *document.get_mut("fields")? = Json::Object(fields.by_ref().take(count).collect());
        serde_json::to_vec(&document).ok()
    };
    Some((with(middle)?, with(usize::MAX)?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn halves_are_whole_lines(lines in proptest::collection::vec("[a-z]{0,30}", 0..10)) {
            let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
            match halves(KafkaFormat::Graphite, text.as_bytes()) {
                Some((one, other)) => {
                    prop_assert!(one.ends_with(b"\n") && other.ends_with(b"\n"));
                    prop_assert_eq!([one, other].concat(), text.into_bytes());
                }
                None => prop_assert!(lines.len() <= 1),
            }
        }
    }

    #[test]
    fn halves_of_a_document_have_all_values_between_them() {
        let whole: &[u8] = br#"{"host":"h","kind":"backend","fields":{"f0":0,"f1":1,"f2":2.5,"f3":3,"f4":4}}"#;
        let (one, other) = halves(KafkaFormat::Json, whole).unwrap();
        let read = |document: &[u8]| -> Json { serde_json::from_slice(document).unwrap() };
        let (mut one, other) = (read(&one), read(&other));
        assert_eq!((one["fields"].as_object().unwrap().len(), other["fields"].as_object().unwrap().len()), (2, 3));
        let rest = other["fields"].as_object().unwrap().clone();
        one["fields"].as_object_mut().unwrap().extend(rest);
        assert_eq!(one, read(whole));
        assert_eq!(halves(KafkaFormat::Json, br#"{"host":"h","fields":{"f0":0}}"#), None);
        assert_eq!(halves(KafkaFormat::Json, b"not json"), None);
    }
}
