//! Encoded labels, sorted by name.

use crate::prometheus::names::LABELS;
use crate::prometheus::wire::{begin_bytes, bytes, bytes_len};

/// The label that holds the name; it is sorted among the others.
const NAME: &str = "__name__";
/// A field of `TimeSeries`.
const LABEL: u8 = 1;

/// Appends a label, encoded as in a time series.
fn label(name: &str, value: &str, out: &mut Vec<u8>) {
    begin_bytes(LABEL, bytes_len(name.len()) + bytes_len(value.len()), out);
    bytes(1, name.as_bytes(), out);
    bytes(2, value.as_bytes(), out);
}

/// The name of a metric as a label.
pub(super) fn of_name(name: &str) -> Box<[u8]> {
    of_metric(NAME, name)
}

/// A label of a metric.
pub(super) fn of_metric(name: &str, value: &str) -> Box<[u8]> {
    let mut out = Vec::new();
    label(name, value, &mut out);
    out.into_boxed_slice()
}

/// The place of a label in [`LABELS`].
pub(super) fn place(name: &str) -> usize {
    LABELS.iter().position(|known| *known == name).unwrap_or_default()
}

/// The labels of the present object, sorted by name and encoded.
#[derive(Debug, Default)]
pub(super) struct Labels {
    bytes: Vec<u8>,
    /// Position for the label with the name.
    name: usize,
    /// Position for each of [`LABELS`].
    others: [usize; LABELS.len()],
}

/// The labels around the name of a metric and its own label.
#[derive(Debug, Clone, Copy)]
pub(super) struct Around<'a> {
    /// Before the name.
    pub(super) before: &'a [u8],
    /// Between both.
    pub(super) middle: &'a [u8],
    /// After both.
    pub(super) behind: &'a [u8],
}

impl Labels {
    /// Sets the labels, and sorts them.
    pub(super) fn set(&mut self, labels: &mut [(&str, &str)]) {
        labels.sort_unstable();
        self.bytes.clear();
        (self.name, self.others) = (0, [0; LABELS.len()]);
        for (name, value) in labels {
            label(name, value, &mut self.bytes);
            let places = LABELS.iter().zip(&mut self.others).chain([(&NAME, &mut self.name)]);
            // After all labels that sort before it.
            places.filter(|(known, _)| ***known > **name).for_each(|(_, place)| *place = self.bytes.len());
        }
    }

    /// The labels around a name and, if there is one, the label at this place in [`LABELS`]; all of those sort after the name.
    #[inline]
    pub(super) fn around(&self, own: Option<usize>) -> Around<'_> {
        let (before, behind) = self.bytes.split_at_checked(self.name).unwrap_or_default();
        let at = own.and_then(|place| self.others.get(place)).map_or(0, |at| at - self.name);
        let (middle, behind) = behind.split_at_checked(at).unwrap_or_default();
        Around { before, middle, behind }
    }
}
