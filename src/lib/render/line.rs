//! Lines: `<path> <value> <timestamp>\n` (Graphite's plaintext protocol).

use super::piece::Piece;
use super::record::{Object, Recorder};
use super::value::{Short, Value};
use crate::snapshot::Epoch;
use std::mem::MaybeUninit;

/// Longest beginning of a line that is kept for the next one. Paths are some 60 bytes, and at most a few hundred.
const LONGEST: usize = 768;

/// Room behind it for the name of a metric, its value and the end of the line.
const ROOM: usize = 128;

/// The beginning of a line, which stays from one metric of an object to the next.
#[derive(Debug)]
struct Begun {
    bytes: Box<[u8; LONGEST]>,
    length: usize,
}

impl Begun {
    fn new(prefix: &[u8]) -> Option<Self> {
        let mut begun = Self { bytes: Box::new([0; LONGEST]), length: 0 };
        begun.begin(prefix).then_some(begun)
    }

    /// Begins lines with `prefix`; false when it is too long.
    fn begin(&mut self, prefix: &[u8]) -> bool {
        self.length = prefix.len();
        self.bytes.get_mut(..prefix.len()).map(|place| place.copy_from_slice(prefix)).is_some()
    }
}

/// A place in which a line is put together: by copies of fixed lengths, each a few instructions, one over the end of the
/// one before.
type Place = [MaybeUninit<u8>; LONGEST + ROOM];

/// Appends a line, put together where it is to stand; false when a part is longer than the fixed lengths.
#[inline(always)]
fn append(out: &mut Vec<u8>, begun: &Begun, metric: &Piece, value: Short, end: &Piece) -> bool {
    let length = out.len();
    out.reserve(LONGEST + ROOM);
    let put = out.spare_capacity_mut().first_chunk_mut().and_then(|place| put(place, begun, metric, value, end));
    if let Some(put) = put {
        // SAFETY: as many bytes behind the old length have been written by `put`.
        unsafe { out.set_len(length + put) };
    }
    put.is_some()
}

/// Writes a line from the beginning of `place` without a gap, and returns its length, which fits.
#[inline(always)]
fn put(place: &mut Place, begun: &Begun, metric: &Piece, value: Short, end: &Piece) -> Option<usize> {
    let ((metric, behind_metric), (end, behind_end)) = (metric.head()?, end.head()?);
    let (text, digits) = value.bytes();
    for (place, part) in place.as_chunks_mut::<64>().0.iter_mut().zip(begun.bytes.as_chunks::<64>().0).take(2) {
        *place = part.map(MaybeUninit::new);
    }
    if begun.length > 2 * 64 {
        rest(place, begun);
    }
    let room = place.get_mut(begun.length..)?.first_chunk_mut::<ROOM>()?;
    let behind_value = behind_metric + digits;
    *room.first_chunk_mut()? = metric.map(MaybeUninit::new);
    *room.get_mut(behind_metric..)?.first_chunk_mut()? = text.map(MaybeUninit::new);
    *room.get_mut(behind_value..)?.first_chunk_mut()? = end.map(MaybeUninit::new);
    Some(begun.length + behind_value + behind_end)
}

/// Copies what of a long beginning is not copied yet.
#[cold]
#[inline(never)]
fn rest(place: &mut Place, begun: &Begun) {
    for (place, byte) in place.iter_mut().zip(begun.bytes.iter()).take(begun.length).skip(2 * 64) {
        *place = MaybeUninit::new(*byte);
    }
}

/// Appends lines of one snapshot to a buffer, and counts them.
#[derive(Debug)]
pub struct Lines<'a> {
    out: &'a mut Vec<u8>,
    /// ` <timestamp>\n`
    end: Piece,
    count: usize,
    /// One for each path of the present object.
    begun: Vec<Begun>,
    epoch: Epoch,
    recorder: Option<&'a mut Recorder>,
}

impl<'a> Lines<'a> {
    /// Appends to `out`; every line carries `epoch`.
    pub fn new(out: &'a mut Vec<u8>, epoch: Epoch) -> Self {
        Self::recorded(out, epoch, None)
    }

    /// The same with somebody who takes notes of the objects.
    pub fn recorded(out: &'a mut Vec<u8>, epoch: Epoch, recorder: Option<&'a mut Recorder>) -> Self {
        let end = Piece::new(format!(" {epoch}\n").as_bytes());
        Self { out, end, count: 0, begun: Vec::new(), epoch, recorder }
    }

    /// From now on lines and values are those of another object.
    #[inline]
    pub fn begin(&mut self, object: impl FnOnce() -> Object) {
        if let Some(recorder) = &mut self.recorder {
            recorder.begin(object(), self.epoch, self.out.len());
        }
    }

    /// Takes note of values of the present object, if somebody takes notes.
    #[inline]
    pub fn record(&mut self, note: impl FnOnce(&mut Recorder)) {
        if let Some(recorder) = &mut self.recorder {
            note(recorder);
        }
    }

    /// Renders without anybody taking notes.
    pub fn unrecorded(&mut self, render: impl FnOnce(&mut Self)) {
        let mut recorder = self.recorder.take();
        if let Some(recorder) = &mut recorder {
            recorder.end(self.out.len());
        }
        render(self);
        self.recorder = recorder;
    }

    /// Appends a line; nothing when the value is not finite.
    pub fn push(&mut self, prefix: &[u8], metric: &[u8], value: Value) {
        let out = &mut *self.out;
        let before = out.len();
        out.extend_from_slice(prefix);
        out.extend_from_slice(metric);
        out.push(b' ');
        self.finish(before, value);
    }

    /// Begins the lines of an object, each metric of which goes to all of these prefixes.
    #[must_use]
    pub fn object<'p>(&'p mut self, prefixes: &'p [Box<[u8]>]) -> ObjectLines<'a, 'p> {
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
        ObjectLines { lines: self, prefixes, fits }
    }

    /// Appends a time in seconds, with three decimals.
    pub fn push_seconds(&mut self, prefix: &[u8], metric: &[u8], time: std::time::Duration) {
        use std::io::Write;
        let out = &mut *self.out;
        out.extend_from_slice(prefix);
        out.extend_from_slice(metric);
        // Writing to a vector cannot fail.
        let _ = write!(out, " {:.3}", time.as_secs_f64());
        self.end.write(self.out);
        self.count += 1;
    }

    /// What has been appended to since the last of these calls, and whoever takes notes of it.
    pub fn text(&mut self) -> (&mut Vec<u8>, Option<&mut Recorder>) {
        (self.out, self.recorder.as_deref_mut())
    }

    /// Number of lines so far.
    #[must_use]
    pub fn count(&self) -> usize {
        self.count
    }

    fn finish(&mut self, before: usize, value: Value) {
        if value.write(self.out) {
            self.end.write(self.out);
            self.count += 1;
        } else {
            self.out.truncate(before);
        }
    }
}

/// Appends lines of one object.
#[derive(Debug)]
pub struct ObjectLines<'a, 'p> {
    lines: &'p mut Lines<'a>,
    prefixes: &'p [Box<[u8]>],
    /// Whether all prefixes were begun.
    fits: bool,
}

impl ObjectLines<'_, '_> {
    /// Appends the lines of a metric, whose name has the blank behind it; nothing when the value is not finite.
    #[inline]
    pub fn push(&mut self, metric: &Piece, value: Value) {
        if self.fits
            && let Some(text) = value.short()
        {
            for done in 0..self.prefixes.len() {
                let Lines { out, end, begun, .. } = &mut *self.lines;
                let appended = begun.get(done).is_some_and(|begun| append(out, begun, metric, text, end));
                if !appended {
                    return self.slow(metric, value, done);
                }
                self.lines.count += 1;
            }
        } else {
            self.slow(metric, value, 0);
        }
    }

    #[inline(never)]
    fn slow(&mut self, metric: &Piece, value: Value, done: usize) {
        for prefix in self.prefixes.iter().skip(done) {
            let out = &mut *self.lines.out;
            let before = out.len();
            out.extend_from_slice(prefix);
            metric.write(out);
            self.lines.finish(before, value);
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
        ]
    }

    proptest! {
        #[test]
        fn lines_of_objects_are_lines(
            prefixes in proptest::collection::vec("[a-z.]{1,30}|[a-z]{760,780}", 1..3),
            metrics in proptest::collection::vec(("[a-z]{1,20}", values()), 1..6),
            epoch in prop_oneof![Just(1), any::<u64>()],
        ) {
            let (mut ours, mut plain) = (Vec::new(), Vec::new());
            let mut lines = Lines::new(&mut ours, Epoch(epoch));
            let mut expected = Lines::new(&mut plain, Epoch(epoch));
            let boxed: Vec<Box<[u8]>> = prefixes.iter().map(|prefix| prefix.as_bytes().into()).collect();
            for several in [&boxed[..1], &boxed[..]].repeat(if epoch % 2 == 0 { 1 } else { 40 }) {
                let mut object = lines.object(several);
                for (name, value) in &metrics {
                    object.push(&Piece::new(format!("{name} ").as_bytes()), *value);
                    several.iter().for_each(|prefix| expected.push(prefix, name.as_bytes(), *value));
                }
            }
            prop_assert_eq!(lines.count(), expected.count());
            prop_assert_eq!(ours, plain);
        }
    }
}
