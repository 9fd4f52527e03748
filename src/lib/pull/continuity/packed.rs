//! Figures of many objects in little memory: most of them are 0, or small.

/// Figures that are not 0, by their places, in ascending order.
pub(super) type Sparse = [(u8, i64)];

/// Appends figures: the place of each, and its value (zigzag, LEB128).
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

/// Reads figures back.
pub(super) fn decode(mut bytes: &[u8], figures: &mut Vec<(u8, i64)>) {
    figures.clear();
    while let Some((place, rest)) = bytes.split_first() {
        bytes = rest;
        let (mut value, mut shift) = (0_u64, 0);
        while let Some((byte, rest)) = bytes.split_first() {
            bytes = rest;
            value |= u64::from(byte & 0x7f) << shift;
            shift += 7;
            if byte & 0x80 == 0 {
                break;
            }
        }
        figures.push((*place, (value >> 1).cast_signed() ^ -((value & 1).cast_signed())));
    }
}

/// The figure at a place; 0 where there is none.
pub(super) fn at(figures: &Sparse, place: u8) -> i64 {
    figures
        .binary_search_by_key(&place, |(place, _)| *place)
        .ok()
        .and_then(|index| figures.get(index))
        .map_or(0, |f| f.1)
}

/// Whether nothing has stepped back.
pub(super) fn goes_on(before: &Sparse, now: &Sparse) -> bool {
    before.iter().all(|(place, before)| at(now, *place) >= *before)
}

/// The figures of objects, by the numbers of the objects.
#[derive(Debug, Clone, Default)]
pub(super) struct Packed {
    bytes: Vec<u8>,
    /// Where those of each object are, and how many bytes they take; `None` for an object that is not here.
    places: Vec<Option<(u32, u16)>>,
}

impl Packed {
    /// Forgets everything; the memory stays.
    pub(super) fn clear(&mut self) {
        self.bytes.clear();
        self.places.clear();
    }

    /// Makes room for what another one has, and little more: growing by doubling would take up to twice as much.
    pub(super) fn reserve_as(&mut self, other: &Self) {
        let room = |length: usize| length + length / 16;
        self.bytes.reserve_exact(room(other.bytes.len()));
        self.places.reserve_exact(room(other.places.len()));
    }

    /// Adds an object that is not here, with what [`encode`] made of its figures.
    pub(super) fn push(&mut self, object: u32, encoded: &[u8]) {
        let index = object as usize;
        if self.places.len() <= index {
            self.places.resize(index + 1, None);
        }
        let place = u32::try_from(self.bytes.len()).ok().zip(u16::try_from(encoded.len()).ok());
        if let Some(slot) = self.places.get_mut(index) {
            *slot = place;
        }
        self.bytes.extend_from_slice(encoded);
    }

    /// The encoded figures of an object.
    pub(super) fn get(&self, object: u32) -> Option<&[u8]> {
        let (start, length) = self.places.get(object as usize).copied().flatten()?;
        self.bytes.get(start as usize..)?.get(..usize::from(length))
    }

    /// The objects that are here.
    pub(super) fn objects(&self) -> impl Iterator<Item = u32> + '_ {
        (0..).zip(&self.places).filter(|(_, place)| place.is_some()).map(|(object, _)| object)
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
        ) {
            let mut packed = Packed::default();
            let mut encoded = Vec::new();
            let sparse = |figures: &BTreeMap<u8, i64>| figures.iter().map(|(p, v)| (*p, *v)).collect::<Vec<_>>();
            for (object, figures) in &objects {
                encoded.clear();
                encode(&sparse(figures), &mut encoded);
                packed.push(*object, &encoded);
            }
            for object in 0..40 {
                let mut figures = vec![(7, 7)];
                if let Some(bytes) = packed.get(object) {
                    decode(bytes, &mut figures);
                    prop_assert_eq!(figures, sparse(&objects[&object]));
                } else {
                    prop_assert!(!objects.contains_key(&object));
                }
            }
            prop_assert_eq!(packed.objects().collect::<Vec<_>>(), objects.keys().copied().collect::<Vec<_>>());
        }
    }
}
