//! Stores the counters of many objects in little memory: most of them are 0 or small, and most objects are on disk.

use super::scratch::{BLOCK, Block, Scratch};

/// Counters that are not 0, as pairs of place and value, sorted by place.
pub(super) type Sparse = [(u8, i64)];

/// Bytes that a value can take: those of 64 bits.
const WIDEST: usize = 8;
/// Bytes that a counter can take: its head, its place, its value.
const MOST: usize = 2 + WIDEST;
/// In the head of a counter: its place is not this close behind the place before, and follows.
const FAR: u8 = 15;

/// Appends counters. Each is one byte, with the length of its value in the upper half and the distance of its place from the one
/// expected, the next, in the lower half; then its place, if the distance is too long for that; then its value, zigzag, least byte
/// first, without the zeros at its end. Values are written and read eight bytes at a time: with 20,000 servers, there are a million
/// of them in each pull, and the more usual loop over groups of seven bits takes more than twice the time.
pub(super) fn encode(figures: &Sparse, out: &mut Vec<u8>) {
    let mut at = out.len();
    out.resize(at + figures.len() * MOST, 0);
    let mut expected = 0_u8;
    for (place, value) in figures {
        let zigzag = ((value << 1) ^ (value >> 63)).cast_unsigned();
        let length = WIDEST - zigzag.leading_zeros() as usize / 8;
        let distance = place.wrapping_sub(expected);
        expected = place.wrapping_add(1);
        let Some(room) = out.get_mut(at..).and_then(<[u8]>::first_chunk_mut::<MOST>) else { break };
        let [head, other, ..] = room;
        // At most 8 << 4.
        *head = (length as u8) << 4 | distance.min(FAR);
        *other = *place;
        let begin = 1 + usize::from(distance >= FAR);
        if let Some(room) = room.get_mut(begin..).and_then(<[u8]>::first_chunk_mut::<WIDEST>) {
            *room = zigzag.to_le_bytes();
        }
        at += begin + length;
    }
    out.truncate(at);
}

/// Decodes counters.
pub(super) fn decode(bytes: &[u8], figures: &mut Vec<(u8, i64)>) {
    figures.clear();
    figures.extend(Decoder::new(bytes));
}

/// The counters in encoded ones.
struct Decoder<'b> {
    bytes: &'b [u8],
    expected: u8,
}

impl<'b> Decoder<'b> {
    fn new(bytes: &'b [u8]) -> Self {
        Self { bytes, expected: 0 }
    }
}

impl Iterator for Decoder<'_> {
    type Item = (u8, i64);

    #[inline(always)]
    fn next(&mut self) -> Option<Self::Item> {
        let (head, mut rest) = self.bytes.split_first()?;
        let (length, distance) = (usize::from(head >> 4), head & FAR);
        let mut place = self.expected.wrapping_add(distance);
        if distance == FAR {
            (place, rest) = rest.split_first().map(|(place, rest)| (*place, rest))?;
        }
        self.expected = place.wrapping_add(1);
        let value = match rest.first_chunk::<WIDEST>() {
            Some(word) => u64::from_le_bytes(*word) & u64::MAX.checked_shr(64 - 8 * length as u32).unwrap_or(0),
            // The last ones.
            None => rest.iter().take(length).rev().fold(0, |value, byte| value << 8 | u64::from(*byte)),
        };
        self.bytes = rest.get(length..).unwrap_or_default();
        Some((place, (value >> 1).cast_signed() ^ -((value & 1).cast_signed())))
    }
}

/// The counter at a place; 0 if there is none.
pub(super) fn at(figures: &Sparse, place: u8) -> i64 {
    figures
        .binary_search_by_key(&place, |(place, _)| *place)
        .ok()
        .and_then(|index| figures.get(index))
        .map_or(0, |f| f.1)
}

/// Whether no counter has decreased.
pub(super) fn goes_on(before: &Sparse, now: &Sparse) -> bool {
    before.iter().all(|(place, before)| at(now, *place) >= *before)
}

/// Whether no counter has decreased, where `before` is encoded and all its counters are above 0.
pub(super) fn follows(before: &[u8], now: &Sparse) -> bool {
    let mut now = now.iter();
    Decoder::new(before).all(|(place, value)| match now.find(|(other, _)| *other >= place) {
        Some((other, figure)) => *other == place && *figure >= value,
        None => false,
    })
}

/// The counters of objects, by object number. They are stored one object after the other in blocks, of which only the last one is
/// in memory.
#[derive(Debug)]
pub(super) struct Packed {
    scratch: Scratch,
    blocks: Vec<Block>,
    tail: Vec<u8>,
    /// Where each object begins; [`NONE`] if it is not stored here.
    begins: Vec<u32>,
    /// Number of objects, and of others that were replaced or removed.
    count: usize,
    gone: usize,
}

const NONE: u32 = u32::MAX;
/// Bytes of the length in front of the counters of an object.
const LENGTH: usize = 2;
/// The largest possible object fits into a block.
const _: () = assert!(cfg!(test) || LENGTH + 256 * MOST <= BLOCK);

impl Packed {
    /// An empty list that stores its blocks in `scratch`.
    pub(super) fn new(scratch: &Scratch) -> Self {
        Self { scratch: scratch.clone(), blocks: Vec::new(), tail: Vec::new(), begins: Vec::new(), count: 0, gone: 0 }
    }

    /// Reserves memory for as many objects as `other` has, and little more; growing by doubling could take twice as much.
    pub(super) fn reserve_as(&mut self, other: &Self) {
        self.begins.reserve_exact(other.begins.len() + other.begins.len() / 16);
    }

    /// Stores the encoded counters of an object, replacing earlier ones.
    pub(super) fn push(&mut self, object: u32, encoded: &[u8]) {
        let Ok(length) = u16::try_from(encoded.len()) else { return };
        if self.tail.len() + LENGTH + encoded.len() > BLOCK {
            self.blocks.push(self.scratch.store(&self.tail));
            self.tail.clear();
        }
        let index = object as usize;
        if self.begins.len() <= index {
            self.begins.resize(index + 1, NONE);
        }
        self.remove(object);
        if let Some(begin) = self.begins.get_mut(index) {
            *begin = u32::try_from(self.blocks.len() * BLOCK + self.tail.len()).unwrap_or(NONE);
            self.count += 1;
        }
        self.tail.extend_from_slice(&length.to_le_bytes());
        self.tail.extend_from_slice(encoded);
    }

    /// Forgets an object.
    pub(super) fn remove(&mut self, object: u32) {
        if let Some(begin) = self.begins.get_mut(object as usize).filter(|begin| **begin != NONE) {
            *begin = NONE;
            self.count -= 1;
            self.gone += 1;
        }
    }

    /// Reads the encoded counters of an object into `out`; false, with `out` empty, if it is not stored here.
    pub(super) fn read(&self, object: u32, out: &mut Vec<u8>) -> bool {
        out.clear();
        let Some(begin) = self.begins.get(object as usize).filter(|begin| **begin != NONE) else { return false };
        let (block, from) = (*begin as usize / BLOCK, *begin as usize % BLOCK);
        let mut take = |bytes: &[u8]| {
            let Some((length, bytes)) = bytes.split_first_chunk::<LENGTH>() else { return };
            out.extend_from_slice(bytes.get(..usize::from(u16::from_le_bytes(*length))).unwrap_or_default());
        };
        match self.blocks.get(block) {
            Some(block) => self.scratch.read(block, from, take),
            None => take(self.tail.get(from..).unwrap_or_default()),
        }
        true
    }

    /// Reads the counters of an object into `figures`; none if it is not stored here. `bytes` is a buffer.
    pub(super) fn figures(&self, object: u32, bytes: &mut Vec<u8>, figures: &mut Vec<(u8, i64)>) {
        self.read(object, bytes);
        decode(bytes, figures);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The objects that are stored here.
    pub(super) fn objects(&self) -> impl Iterator<Item = u32> + '_ {
        (0..).zip(&self.begins).filter(|(_, begin)| **begin != NONE).map(|(object, _)| object)
    }

    /// Frees memory that is only needed to add objects.
    pub(super) fn settle(&mut self) {
        if self.gone > self.count / 2 + 16 {
            let mut next = Self::new(&self.scratch);
            next.reserve_as(self);
            let mut bytes = Vec::new();
            for object in self.objects() {
                self.read(object, &mut bytes);
                next.push(object, &bytes);
            }
            *self = next;
        }
        self.tail.shrink_to_fit();
        self.blocks.shrink_to_fit();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    proptest! {
        #[test]
        fn what_went_in_comes_out(
            objects in proptest::collection::btree_map(
                0_u32..40, proptest::collection::btree_map(any::<u8>(), any::<i64>(), 0..8), 0..20),
            again in 1..4,
        ) {
            let scratch = Scratch::default();
            let mut packed = Packed::new(&scratch);
            let mut encoded = Vec::new();
            let sparse = |figures: &BTreeMap<u8, i64>| figures.iter().map(|(p, v)| (*p, *v)).collect::<Vec<_>>();
            for (object, figures) in &objects {
                encoded.clear();
                encode(&sparse(figures), &mut encoded);
                for _ in 0..again {
                    packed.push(*object, &encoded);
                }
            }
            packed.settle();
            for object in 0..40 {
                let (mut bytes, mut figures) = (vec![7], vec![(7, 7)]);
                if packed.read(object, &mut bytes) {
                    decode(&bytes, &mut figures);
                    prop_assert_eq!(figures, sparse(&objects[&object]));
                } else {
                    prop_assert!(!objects.contains_key(&object));
                }
            }
            prop_assert_eq!(packed.objects().collect::<Vec<_>>(), objects.keys().copied().collect::<Vec<_>>());
        }

        #[test]
        fn following_is_the_same_whether_encoded_or_not(
            before in proptest::collection::btree_map(0_u8..6, 1_i64..4, 0..6),
            now in proptest::collection::btree_map(0_u8..6, 1_i64..4, 0..6),
        ) {
            let [before, now] = [before, now].map(|figures| figures.into_iter().collect::<Vec<_>>());
            let mut encoded = Vec::new();
            encode(&before, &mut encoded);
            prop_assert_eq!(follows(&encoded, &now), goes_on(&before, &now));
        }
    }
}
