//! Lines: `<path> <value> <timestamp>\n` (Graphite's plaintext protocol).

use super::piece::Piece;
use super::value::Value;
use crate::snapshot::Epoch;

/// Appends lines of one snapshot to a buffer, and counts them.
#[derive(Debug)]
pub struct Lines<'a> {
    out: &'a mut Vec<u8>,
    /// ` <timestamp>\n`
    end: Piece,
    count: usize,
}

impl<'a> Lines<'a> {
    /// Appends to `out`; every line carries `epoch`.
    pub fn new(out: &'a mut Vec<u8>, epoch: Epoch) -> Self {
        Self { out, end: Piece::new(format!(" {epoch}\n").as_bytes()), count: 0 }
    }

    /// Appends a line; nothing when the value is not finite.
    pub fn push(&mut self, prefix: &[u8], metric: &[u8], value: Value) {
        let before = self.out.len();
        self.out.extend_from_slice(prefix);
        self.out.extend_from_slice(metric);
        self.out.push(b' ');
        self.finish(before, value);
    }

    /// The same for a metric that was prepared, with the blank behind its name.
    #[inline]
    pub fn push_prepared(&mut self, prefix: &[u8], metric: &Piece, value: Value) {
        let before = self.out.len();
        // One check for room instead of one for each part; the parts check again, and find room.
        self.out.reserve(prefix.len() + 128);
        self.out.extend_from_slice(prefix);
        metric.write(self.out);
        self.finish(before, value);
    }

    #[inline]
    fn finish(&mut self, before: usize, value: Value) {
        if value.write(self.out) {
            self.end.write(self.out);
            self.count += 1;
        } else {
            self.out.truncate(before);
        }
    }

    /// Appends a time in seconds, with three decimals.
    pub fn push_seconds(&mut self, prefix: &[u8], metric: &[u8], time: std::time::Duration) {
        use std::io::Write;
        self.out.extend_from_slice(prefix);
        self.out.extend_from_slice(metric);
        // Writing to a vector cannot fail.
        let _ = write!(self.out, " {:.3}", time.as_secs_f64());
        self.end.write(self.out);
        self.count += 1;
    }

    /// Number of lines so far.
    #[must_use]
    pub fn count(&self) -> usize {
        self.count
    }
}
