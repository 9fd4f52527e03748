//! Stores the counters of many objects in little memory: most of them are 0 or small, and most objects are on disk.

use super::scratch::{BLOCK, Block, Scratch};

/// Counters that are not 0, as pairs of place and value, sorted by place.
pub(super) type Sparse = [(u8, i64)];

/// Appends counters: the place of each, and its value (zigzag, LEB128).
pub(super) fn encode(figures: &Sparse, out: &mut Vec<u8>) {
    for (place, value) in figures {
        out.push(*place);
        let mut rest = ((value << 1) ^ (value >> 63)).cast_unsigned();
        while rest >= 0x80 {
            out.push(rest.to_le_bytes()[0] | 0x80);
            rest >>= 7;
        }
        out.push(rest.to_le_bytes()[0]);
    }
}

/// Decodes counters.
pub(super) fn decode(mut bytes: &[u8], figures: &mut Vec<(u8, i64)>) {
    figures.clear();
    while let Some(figure) = next(&mut bytes) {
        figures.push(figure);
    }
}

/// Decodes the first counter, and advances `bytes`.
#[inline]
fn next(bytes: &mut &[u8]) -> Option<(u8, i64)> {
    let (place, mut rest) = bytes.split_first()?;
    let (mut value, mut shift) = (0_u64, 0);
    while let Some((byte, more)) = rest.split_first() {
        rest = more;
        value |= u64::from(byte & 0x7f) << shift;
        shift += 7;
        if byte & 0x80 == 0 {
            break;
        }
    }
    *bytes = rest;
    Some((*place, (value >> 1).cast_signed() ^ -((value & 1).cast_signed())))
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
    let (mut rest, mut now) = (before, now.iter());
    while let Some((place, value)) = next(&mut rest) {
        match now.find(|(other, _)| *other >= place) {
            Some((other, figure)) if *other == place && *figure >= value => {}
            _ => return false,
        }
    }
    true
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
const _: () = assert!(cfg!(test) || LENGTH + 256 * 11 <= BLOCK);

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
