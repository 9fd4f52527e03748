//! Writes time series one after the other, already compressed. It is known what repeats: the name of a metric is in the series of
//! the previous object, and the labels of an object are in its first series. So a series is a copy of each, and a value. Nothing
//! is searched, and the bytes that the copies stand for are never written.

use super::Known;
use super::labels::Labels;
use crate::encode::snappy::{FARTHEST, copy, literal};
use crate::prometheus::wire::{begin_bytes, varint_len};

/// Fields of `WriteRequest` and `TimeSeries`.
const TIMESERIES: u8 = 1;
const SAMPLES: u8 = 2;
/// Bytes before the value of a sample: two keys and a length.
const HEAD: usize = 3;
/// Bytes of a value.
const VALUE: usize = 8;

/// Where a metric was last written, before compression.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Seen {
    /// The run in which that was; 0 before the first one.
    run: u32,
    /// Positions of its name and of its own label.
    name: usize,
    label: usize,
    /// Length of the series.
    length: usize,
    /// The value of the preceding sample, if there is one.
    before: Option<u64>,
}

/// The last value, whose end is not written yet.
#[derive(Debug, Clone, Copy)]
struct Pending {
    value: u64,
    written: usize,
}

impl Pending {
    /// Appends the rest of the value without compression.
    #[inline]
    fn literal(self, out: &mut Vec<u8>) {
        literal(self.value.to_le_bytes().get(self.written..).unwrap_or_default(), out);
    }
}

/// The series of the open body.
#[derive(Debug)]
pub(super) struct Stream {
    /// Number of the run. Series of other runs cannot be copied from, since they have another body or another time.
    run: u32,
    /// Bytes of the body so far, before compression.
    at: usize,
    /// The time of samples, encoded.
    time: Vec<u8>,
    /// The last value. The rest of it and its time are written together with what follows.
    pending: Option<Pending>,
    /// Position of the labels of the present object, in a series without a label of the metric, and the value that follows them.
    whole: Option<(usize, u64)>,
    /// The beginning of a series; kept to reuse its memory.
    first: Vec<u8>,
}

impl Stream {
    pub(super) fn new() -> Self {
        Self { run: 1, at: 0, time: Vec::new(), pending: None, whole: None, first: Vec::new() }
    }

    /// Starts another body: forgets what was written, and what was not written yet.
    pub(super) fn clear(&mut self) {
        self.run += 1;
        (self.at, self.pending, self.whole) = (0, None, None);
    }

    /// Starts another object; `time` is the time of its samples, encoded.
    pub(super) fn object(&mut self, time: &[u8], out: &mut Vec<u8>) {
        self.whole = None;
        if self.time != time {
            self.flush(out);
            self.time.clear();
            self.time.extend_from_slice(time);
            self.run += 1;
        }
    }

    /// Writes what is still pending.
    pub(super) fn flush(&mut self, out: &mut Vec<u8>) {
        if let Some(pending) = self.pending.take() {
            pending.literal(out);
            literal(&self.time, out);
        }
    }

    /// Ends the body, and returns its length before compression.
    pub(super) fn end(&mut self, out: &mut Vec<u8>) -> usize {
        self.flush(out);
        let length = self.at;
        self.clear();
        length
    }

    /// Appends a time series with one sample; returns its length before compression.
    #[inline]
    pub(super) fn push(&mut self, known: &Known, labels: &Labels, value: f64, out: &mut Vec<u8>) -> usize {
        let parts = labels.around(known.label.as_ref().map(|(place, _)| *place));
        let extra: &[u8] = known.label.as_ref().map_or(b"", |(_, label)| label);
        let behind = parts.middle.len() + extra.len() + parts.behind.len();
        let length = parts.before.len() + known.name.len() + behind + HEAD + VALUE + self.time.len();
        let begin = 1 + varint_len(length as u64) + parts.before.len();
        let seen = Some(known.seen.get()).filter(|seen| seen.run == self.run);
        let (name, before) = (self.at + begin, self.pending.map(|pending| pending.value));
        self.begin(known, parts.before, Beginning { length, begin, seen }, out);
        let label = name + known.name.len();
        let (value, own) = (value.to_bits(), seen.map(|seen| seen.label));
        let written = self.labels(label, [parts.middle, extra, parts.behind], own, value, out);
        let label = label + parts.middle.len();
        known.seen.set(Seen { run: self.run, name, label, length, before });
        self.pending = Some(Pending { value, written });
        let bytes = begin - parts.before.len() + length;
        self.at += bytes;
        bytes
    }

    /// Writes what is pending of the previous series, and the beginning of this one up to its name.
    #[inline]
    fn begin(&mut self, known: &Known, before: &[u8], beginning: Beginning, out: &mut Vec<u8>) {
        let Beginning { length, begin, seen } = beginning;
        let name = self.at + begin;
        let seen = seen.filter(|seen| name - seen.name <= FARTHEST);
        if let (Some(seen), Some(pending)) = (seen, self.pending)
            && seen.length == length
            && let Some(value) = seen.before
        {
            // The same time, beginning and name, and perhaps the same value before them, are adjacent there.
            let value = if value == pending.value {
                VALUE - pending.written
            } else {
                pending.literal(out);
                0
            };
            copy(name - seen.name, value + self.time.len() + begin + known.name.len(), out);
            return;
        }
        self.flush(out);
        self.first.clear();
        begin_bytes(TIMESERIES, length, &mut self.first);
        self.first.extend_from_slice(before);
        literal(&self.first, out);
        match seen {
            Some(seen) => copy(name - seen.name, known.name.len(), out),
            None => literal(&known.name, out),
        }
    }

    /// Writes the labels after the name, of which the second is the metric's own and was written at `own_at`, the head of the
    /// sample, and the first bytes of its value, as far as they are the same as after the copied labels. Returns how many bytes
    /// of the value that is.
    #[inline]
    fn labels(
        &mut self,
        at: usize,
        [middle, own, behind]: [&[u8]; 3],
        own_at: Option<usize>,
        value: u64,
        out: &mut Vec<u8>,
    ) -> usize {
        let Some((whole, there)) = self.whole.filter(|(whole, _)| at + middle.len() + own.len() - whole <= FARTHEST)
        else {
            // A sample, which is a value and a time, has less than 128 bytes, so the length is a single byte.
            let [sample, ..] = (1 + VALUE + self.time.len()).to_le_bytes();
            for part in [middle, own, behind, &[SAMPLES << 3 | 2, sample, 1 << 3 | 1]] {
                literal(part, out);
            }
            self.whole = own.is_empty().then_some((at, value));
            return 0;
        };
        // In whole numbers, the first bytes are 0.
        let same = ((value ^ there).trailing_zeros() / u8::BITS) as usize;
        let rest = behind.len() + HEAD + same;
        if own.is_empty() {
            copy(at - whole, middle.len() + rest, out);
        } else {
            copy(at - whole, middle.len(), out);
            let stands = at + middle.len();
            match own_at.filter(|own_at| stands - own_at <= FARTHEST) {
                Some(own_at) => copy(stands - own_at, own.len(), out),
                None => literal(own, out),
            }
            copy(at + own.len() - whole, rest, out);
        }
        same
    }
}

/// How a series begins.
#[derive(Debug, Clone, Copy)]
struct Beginning {
    length: usize,
    /// Number of bytes before the name.
    begin: usize,
    seen: Option<Seen>,
}
