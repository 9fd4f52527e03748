//! carbon's pickle protocol: frames that consist of a length (four bytes, big-endian) and a list of `(path, (timestamp, value))`
//! in Python's pickle format, protocol 2, which every Python since 2.3 reads.

use crate::value::Value;

/// Points in a frame; the last one of a batch has fewer. carbon accepts frames of up to 1 MiB, and paths have a few hundred bytes
/// at most.
pub const POINTS: usize = 500;

/// Bytes of a frame's length.
pub const LENGTH: usize = 4;

/// Frames, the last of which is open.
#[derive(Debug, Default)]
pub(crate) struct Frames {
    bytes: Vec<u8>,
    /// Start of the last frame, and number of its points so far.
    last: (usize, usize),
}

impl Frames {
    /// Appends a point.
    pub(crate) fn push(&mut self, path: &[u8], timestamp: u64, value: f64) {
        let (_, points) = self.last;
        if points == 0 || points == POINTS {
            self.end_frame();
            self.last = (self.bytes.len(), 0);
            self.bytes.extend_from_slice(&[0; LENGTH]);
            // Protocol 2, an empty list, and a mark: what follows up to "e" is appended to the list.
            self.bytes.extend_from_slice(b"\x80\x02](");
        }
        self.last.1 += 1;
        self.bytes.push(b'X');
        self.bytes.extend_from_slice(&u32::try_from(path.len()).unwrap_or_default().to_le_bytes());
        self.bytes.extend_from_slice(path);
        integer(timestamp, &mut self.bytes);
        self.bytes.push(b'G');
        self.bytes.extend_from_slice(&value.to_be_bytes());
        // Two pairs, the inner one first.
        self.bytes.extend_from_slice(b"\x86\x86");
    }

    /// Bytes so far.
    #[must_use]
    pub(crate) fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Ends the last frame, and returns all of them.
    #[must_use]
    pub(crate) fn end(mut self) -> Vec<u8> {
        self.end_frame();
        self.bytes
    }

    fn end_frame(&mut self) {
        let (start, points) = self.last;
        if points == 0 {
            return;
        }
        self.bytes.extend_from_slice(b"e.");
        let length = u32::try_from(self.bytes.len() - start - LENGTH).unwrap_or_default();
        if let Some(place) = self.bytes.get_mut(start..start + LENGTH) {
            place.copy_from_slice(&length.to_be_bytes());
        }
    }
}

/// Appends an integer: in four bytes, or in more if necessary, as after the year 2038.
fn integer(value: u64, out: &mut Vec<u8>) {
    match i32::try_from(value) {
        Ok(value) => {
            out.push(b'J');
            out.extend_from_slice(&value.to_le_bytes());
        }
        Err(_) => {
            // One byte more, so that the highest bit is not interpreted as a sign.
            out.extend_from_slice(b"\x8a\x09");
            out.extend_from_slice(&value.to_le_bytes());
            out.push(0);
        }
    }
}

/// The points of complete frames as plaintext lines, to be read by people; `None` if these are not frames as written here.
#[must_use]
pub(crate) fn to_lines(frames: &[u8]) -> Option<Vec<u8>> {
    let (mut lines, mut start) = (Vec::new(), 0);
    for end in ends(frames, 0) {
        let mut rest = frames.get(start + LENGTH..end)?.strip_prefix(b"\x80\x02](")?;
        while rest != b"e." {
            let (path, timestamp, value, after) = point(rest)?;
            rest = after;
            lines.extend_from_slice(path);
            lines.push(b' ');
            Value::Float(value).write(&mut lines).then_some(())?;
            lines.extend_from_slice(format!(" {timestamp}\n").as_bytes());
        }
        start = end;
    }
    Some(lines)
}

/// Reads a point as [`Frames::push`] writes it; returns it and what follows.
fn point(bytes: &[u8]) -> Option<(&[u8], u64, f64, &[u8])> {
    let bytes = bytes.strip_prefix(b"X")?;
    let (length, bytes) = bytes.split_first_chunk()?;
    let (path, bytes) = bytes.split_at_checked(u32::from_le_bytes(*length) as usize)?;
    let (timestamp, bytes) = match bytes.strip_prefix(b"J") {
        Some(bytes) => {
            let (number, bytes) = bytes.split_first_chunk()?;
            (u64::try_from(i32::from_le_bytes(*number)).ok()?, bytes)
        }
        None => {
            let (number, bytes) = bytes.strip_prefix(b"\x8a\x09")?.split_first_chunk()?;
            (u64::from_le_bytes(*number), bytes.strip_prefix(b"\0")?)
        }
    };
    let (value, bytes) = bytes.strip_prefix(b"G")?.split_first_chunk()?;
    Some((path, timestamp, f64::from_be_bytes(*value), bytes.strip_prefix(b"\x86\x86")?))
}

/// The ends of the frames that begin at `start`.
fn ends(frames: &[u8], start: usize) -> impl Iterator<Item = usize> + '_ {
    let mut at = start;
    std::iter::from_fn(move || {
        let length = u32::from_be_bytes(*frames.get(at..)?.first_chunk()?);
        at = at.saturating_add(LENGTH).saturating_add(length as usize);
        Some(at.min(frames.len()))
    })
}

/// The end of the last frame that ends within `most` bytes after `start`, or of the first one if that is longer.
#[must_use]
pub fn part(frames: &[u8], start: usize, most: usize) -> usize {
    let mut ends = ends(frames, start);
    let first = ends.next().unwrap_or(frames.len());
    ends.take_while(|end| end - start <= most).last().unwrap_or(first).max(first)
}

/// Number of points in complete frames between two positions, the first of which is the start of a frame.
#[must_use]
pub fn points(frames: &[u8], from: usize, to: usize, all: usize) -> usize {
    let before = |place: usize| {
        let whole = ends(frames, 0).take_while(|end| *end <= place).count();
        if place >= frames.len() { all } else { whole * POINTS }
    };
    before(to).saturating_sub(before(from))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frames(count: u64) -> Vec<u8> {
        let mut frames = Frames::default();
        (0..count).for_each(|line| frames.push(format!("a.b{line}").as_bytes(), 1_500_000_000 + line, 0.5));
        frames.end()
    }

    #[test]
    fn frames_hold_all_points_and_end_where_they_say() {
        let frames_of = frames;
        let frames = frames_of(1201);
        let all: Vec<usize> = ends(&frames, 0).collect();
        assert_eq!((all.len(), all.last()), (3, Some(&frames.len())));
        assert_eq!(points(&frames, 0, frames.len(), 1201), 1201);
        assert_eq!(points(&frames, 0, all[1] + 7, 1201), 1000);
        assert_eq!(points(&frames, all[0], all[1], 1201), 500);
        assert_eq!(part(&frames, 0, 10), all[0]);
        assert_eq!(part(&frames, 0, all[1]), all[1]);
        assert_eq!(part(&frames, all[0], usize::MAX), frames.len());
        assert_eq!(frames_of(0), b"");
        assert_eq!(ends(&frames_of(1000), 0).count(), 2);
    }

    #[test]
    fn frames_are_read_back_as_lines() {
        let mut frames = Frames::default();
        (0..501).for_each(|n| frames.push(format!("a.b{n}").as_bytes(), 1_500_000_000 + n, 7.5));
        frames.push(b"late;host=x", 4_294_967_296, 0.25);
        let lines = String::from_utf8(to_lines(&frames.end()).unwrap()).unwrap();
        assert_eq!(lines.lines().count(), 502);
        assert!(lines.starts_with("a.b0 7.5 1500000000\na.b1 ") && lines.ends_with("\nlate;host=x 0.25 4294967296\n"));
        assert_eq!(to_lines(b""), Some(Vec::new()));
        assert_eq!(to_lines(b"a.b 1 2\n"), None);
    }

    #[test]
    fn a_frame_is_what_python_makes_of_it() {
        // pickle.dumps([('a', (1, 0.5)), ('b', (2**32, -1.0))], 2), without its memo
        let mut frames = Frames::default();
        frames.push(b"a", 1, 0.5);
        frames.push(b"b", 4_294_967_296, -1.0);
        let expected = b"\x80\x02](X\x01\x00\x00\x00aJ\x01\x00\x00\x00G\x3f\xe0\x00\x00\x00\x00\x00\x00\x86\x86\
            X\x01\x00\x00\x00b\x8a\x09\x00\x00\x00\x00\x01\x00\x00\x00\x00G\xbf\xf0\x00\x00\x00\x00\x00\x00\x86\x86e.";
        assert_eq!(&frames.end()[LENGTH..], expected);
    }
}
