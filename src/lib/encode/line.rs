//! Lines: `<path> <value> <timestamp>\n` (Graphite's plaintext protocol).

use super::short_bytes::{Head, ShortBytes};
use crate::snapshot::Epoch;
use crate::value::{self, Short, Value};
use std::mem::MaybeUninit;

/// Number of bytes of the beginning of a line that are copied in one step.
const BLOCK: usize = 32;

/// Maximum length, in blocks, of a beginning that is kept for the next line. Paths have some 60 to 90 bytes.
const BLOCKS: usize = 8;

/// The beginning of a line, which is the same for all metrics of an object.
#[derive(Debug)]
struct Begun {
    blocks: Box<[[u8; BLOCK]; BLOCKS]>,
    length: u8,
}

impl Begun {
    fn new(prefix: &[u8]) -> Option<Self> {
        let mut begun = Self { blocks: Box::new([[0; BLOCK]; BLOCKS]), length: 0 };
        begun.begin(prefix).then_some(begun)
    }

    /// Begins lines with `prefix`; false when it is too long.
    fn begin(&mut self, prefix: &[u8]) -> bool {
        let place = self.blocks.as_flattened_mut().get_mut(..prefix.len());
        let (Ok(length), Some(place)) = (u8::try_from(prefix.len()), place) else { return false };
        place.copy_from_slice(prefix);
        self.length = length;
        true
    }
}

/// Where a line is assembled, from copies of fixed lengths, each a few instructions and each overwriting the padding of the one
/// before. It is larger than any line whose beginning, metric and value have lengths that fit into a byte, so no bounds checks
/// are needed.
type Place = [MaybeUninit<u8>; 1024];

/// Appends a line by assembling it in place.
#[inline(always)]
fn append<const TEXT: usize>(
    out: &mut Vec<u8>,
    begun: &Begun,
    metric: Head<'_>,
    value: ([u8; TEXT], u8),
    end: Head<'_>,
) {
    let length = out.len();
    if out.capacity() - length < size_of::<Place>() {
        more(out);
    }
    if let Some(place) = out.spare_capacity_mut().first_chunk_mut() {
        let put = put(place, begun, metric, value, end);
        // SAFETY: `put` has written this many bytes after the old length.
        unsafe { out.set_len(length + put) };
    }
}

#[cold]
#[inline(never)]
fn more(out: &mut Vec<u8>) {
    out.reserve(size_of::<Place>());
}

/// Writes a line at the beginning of `place`, without a gap, and returns its length, which always fits.
#[inline(always)]
fn put<const TEXT: usize>(
    place: &mut Place,
    begun: &Begun,
    metric: Head<'_>,
    (text, digits): ([u8; TEXT], u8),
    end: Head<'_>,
) -> usize {
    let length = usize::from(begun.length);
    let [first, second, third, fourth, ..] = &*begun.blocks;
    copy(place, 0, *first);
    copy(place, BLOCK, *second);
    if length > 2 * BLOCK {
        copy(place, 2 * BLOCK, *third);
        if length > 3 * BLOCK {
            copy(place, 3 * BLOCK, *fourth);
            if length > 4 * BLOCK {
                rest(place, begun);
            }
        }
    }
    let behind_metric = length + usize::from(metric.length);
    let behind_value = behind_metric + usize::from(digits);
    copy(place, length, *metric.bytes);
    copy(place, behind_metric, text);
    copy(place, behind_value, *end.bytes);
    behind_value + usize::from(end.length)
}

#[inline(always)]
fn copy<const LENGTH: usize>(place: &mut Place, at: usize, bytes: [u8; LENGTH]) {
    if let Some(place) = place.get_mut(at..).and_then(|place| place.first_chunk_mut()) {
        *place = bytes.map(MaybeUninit::new);
    }
}

/// Copies the rest of a long beginning.
#[cold]
#[inline(never)]
fn rest(place: &mut Place, begun: &Begun) {
    for (block, bytes) in begun.blocks.iter().enumerate().skip(4) {
        copy(place, block * BLOCK, *bytes);
    }
}

/// Appends lines to a buffer, and counts them.
#[derive(Debug)]
pub struct Lines {
    out: Vec<u8>,
    /// ` <timestamp>\n`
    end: ShortBytes,
    count: usize,
    /// The beginning of lines for each path of the present object.
    begun: Vec<Begun>,
}

impl Lines {
    /// Appends lines to `out`, with the timestamp `stamp`.
    #[must_use]
    pub fn new(out: Vec<u8>, stamp: Epoch) -> Self {
        Self { out, end: end(stamp), count: 0, begun: Vec::new() }
    }

    /// Sets the timestamp of the following lines.
    pub fn stamp(&mut self, stamp: Epoch) {
        self.end = end(stamp);
    }

    /// Appends a line; nothing if the value is not finite.
    pub fn push(&mut self, prefix: &[u8], metric: &[u8], value: Value) {
        let out = &mut self.out;
        let before = out.len();
        out.extend_from_slice(prefix);
        out.extend_from_slice(metric);
        out.push(b' ');
        self.count += usize::from(finish(out, before, value, &self.end));
    }

    /// Appends a line with the value as text.
    pub(crate) fn push_text(&mut self, prefix: &[u8], metric: &[u8], text: &[u8]) {
        for part in [prefix, metric, b" ", text] {
            self.out.extend_from_slice(part);
        }
        self.end.write(&mut self.out);
        self.count += 1;
    }

    /// Begins the lines of an object; each of its metrics gets a line with each of these prefixes.
    #[must_use]
    pub fn object<'p>(&'p mut self, prefixes: &'p [Box<[u8]>]) -> ObjectLines<'p> {
        let mut fits = true;
        for (index, prefix) in prefixes.iter().enumerate() {
            fits = match self.begun.get_mut(index) {
                Some(begun) => begun.begin(prefix),
                None => Begun::new(prefix).map(|begun| self.begun.push(begun)).is_some(),
            };
            if !fits {
                break;
            }
        }
        let begun = self.begun.get(..prefixes.len()).filter(|_| fits);
        ObjectLines {
            out: &mut self.out,
            begun: begun.unwrap_or_default(),
            prefixes,
            end: &self.end,
            count: &mut self.count,
        }
    }

    /// Bytes of the lines so far.
    #[must_use]
    pub fn size(&self) -> usize {
        self.out.len()
    }

    /// Takes the lines so far; the following ones are written to `next`.
    pub fn take(&mut self, next: Vec<u8>) -> Vec<u8> {
        std::mem::replace(&mut self.out, next)
    }

    /// Number of lines so far, including those that were taken.
    #[must_use]
    pub fn count(&self) -> usize {
        self.count
    }
}

fn end(stamp: Epoch) -> ShortBytes {
    ShortBytes::new(format!(" {stamp}\n").as_bytes())
}

/// Ends the line that began at `before`, or removes it if its value is not finite.
fn finish(out: &mut Vec<u8>, before: usize, value: Value, end: &ShortBytes) -> bool {
    let finite = value.write(out);
    if finite {
        end.write(out);
    } else {
        out.truncate(before);
    }
    finite
}

/// Appends lines of one object.
#[derive(Debug)]
pub struct ObjectLines<'p> {
    out: &'p mut Vec<u8>,
    /// The beginnings of its lines; empty if one of them is too long.
    begun: &'p [Begun],
    prefixes: &'p [Box<[u8]>],
    end: &'p ShortBytes,
    count: &'p mut usize,
}

impl ObjectLines<'_> {
    /// Appends the lines of a metric, whose name ends with a blank.
    #[inline(always)]
    pub fn integer(&mut self, metric: &ShortBytes, value: i64) {
        let text = value::digits(value).map(|(text, length)| (text.to_le_bytes(), length));
        if !self.append(metric, text) {
            self.push(metric, Value::Int(value));
        }
    }

    /// Like [`Self::integer`], for any value; nothing if it is not finite.
    #[inline(never)]
    pub fn push(&mut self, metric: &ShortBytes, value: Value) {
        if !self.append(metric, value.short().map(Short::bytes)) && !self.append(metric, value.fraction()) {
            self.slow(metric, value);
        }
    }

    /// Appends lines with this text, if there is one and if everything is short.
    #[inline(always)]
    fn append<const TEXT: usize>(&mut self, metric: &ShortBytes, text: Option<([u8; TEXT], u8)>) -> bool {
        if let Some(text) = text
            && let (Some(metric), Some(end)) = (metric.head(), self.end.head())
            && !self.begun.is_empty()
        {
            for begun in self.begun {
                append(self.out, begun, metric, text, end);
            }
            *self.count += self.begun.len();
            return true;
        }
        false
    }

    #[inline(never)]
    fn slow(&mut self, metric: &ShortBytes, value: Value) {
        for prefix in self.prefixes {
            let before = self.out.len();
            self.out.extend_from_slice(prefix);
            metric.write(self.out);
            *self.count += usize::from(finish(self.out, before, value, self.end));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn values() -> impl Strategy<Value = Value> {
        prop_oneof![
            any::<i64>().prop_map(Value::Int),
            (-9_i64..1000).prop_map(Value::Int),
            any::<f64>().prop_map(Value::Float),
            (0_u32..5000).prop_map(|value| Value::Float(f64::from(value) / 8.0)),
            (0_u32..5000).prop_map(|value| Value::Float(f64::from(value) / 3.0)),
        ]
    }

    proptest! {
        #[test]
        fn lines_of_objects_are_lines(
            prefixes in proptest::collection::vec("[a-z.]{1,30}|[a-z]{60,140}|[a-z]{250,260}", 1..3),
            metrics in proptest::collection::vec(("[a-z]{1,20}", values()), 1..6),
            epoch in prop_oneof![Just(1), any::<u64>()],
        ) {
            let mut lines = Lines::new(Vec::new(), Epoch(epoch));
            let mut expected = Lines::new(Vec::new(), Epoch(epoch));
            let boxed: Vec<Box<[u8]>> = prefixes.iter().map(|prefix| prefix.as_bytes().into()).collect();
            for several in [&boxed[..1], &boxed[..]].repeat(if epoch % 2 == 0 { 1 } else { 40 }) {
                let mut object = lines.object(several);
                for (name, value) in &metrics {
                    let metric = ShortBytes::new(format!("{name} ").as_bytes());
                    match value {
                        Value::Int(value) => object.integer(&metric, *value),
                        value => object.push(&metric, *value),
                    }
                    several.iter().for_each(|prefix| expected.push(prefix, name.as_bytes(), *value));
                }
            }
            prop_assert_eq!(lines.count(), expected.count());
            prop_assert_eq!(lines.take(Vec::new()), expected.take(Vec::new()));
        }
    }
}
