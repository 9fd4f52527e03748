//! Labels as they are written, in the order of their names.

use crate::prometheus::names::LABELS;
use crate::prometheus::wire::{begin_bytes, bytes, bytes_len};

/// The label that holds the name, which stands among the others.
const NAME: &str = "__name__";
/// A field of `TimeSeries`.
const LABEL: u8 = 1;

/// Appends a label as it stands in a time series.
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

/// Which of [`LABELS`] it is.
pub(super) fn place(name: &str) -> usize {
    LABELS.iter().position(|known| *known == name).unwrap_or_default()
}

/// The labels of the present object, in the order of their names, as they are written.
#[derive(Debug, Default)]
pub(super) struct Labels {
    bytes: Vec<u8>,
    /// Where that of the name goes.
    name: usize,
    /// Where each of [`LABELS`] goes.
    others: [usize; LABELS.len()],
}

/// What stands around the name of a metric and a label that is its own.
#[derive(Debug, Clone, Copy)]
pub(super) struct Around<'a> {
    /// In front of the name.
    pub(super) before: &'a [u8],
    /// Between both.
    pub(super) middle: &'a [u8],
    /// Behind both.
    pub(super) behind: &'a [u8],
}

impl Labels {
    /// Takes these; their order is made here.
    pub(super) fn set(&mut self, labels: &mut [(&str, &str)]) {
        labels.sort_unstable();
        self.bytes.clear();
        (self.name, self.others) = (0, [0; LABELS.len()]);
        for (name, value) in labels {
            label(name, value, &mut self.bytes);
            let places = LABELS.iter().zip(&mut self.others).chain([(&NAME, &mut self.name)]);
            // Behind all that come before it.
            places.filter(|(known, _)| ***known > **name).for_each(|(_, place)| *place = self.bytes.len());
        }
    }

    /// Around a name, and the label at this place of [`LABELS`] if there is one: all of them are behind the name.
    #[inline]
    pub(super) fn around(&self, own: Option<usize>) -> Around<'_> {
        let (before, behind) = self.bytes.split_at_checked(self.name).unwrap_or_default();
        let at = own.and_then(|place| self.others.get(place)).map_or(0, |at| at - self.name);
        let (middle, behind) = behind.split_at_checked(at).unwrap_or_default();
        Around { before, middle, behind }
    }
}
