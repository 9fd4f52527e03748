//! Counters of many objects in little memory: most of them are 0, or small.

/// The counters of objects, by the numbers of the objects. A counter takes as many bytes as it needs (LEB128, one more than
/// its value; 0 stands for none).
#[derive(Debug, Clone, Default)]
pub(super) struct Packed {
    bytes: Vec<u8>,
    /// Where those of each object begin, plus one; 0 for an object that has none.
    starts: Vec<u32>,
}

impl Packed {
    /// Adds the counters of an object that has none here.
    pub(super) fn push(&mut self, object: u32, counters: &[Option<u64>]) {
        let object = object as usize;
        if self.starts.len() <= object {
            self.starts.resize(object + 1, 0);
        }
        if let Some(start) = self.starts.get_mut(object) {
            *start = u32::try_from(self.bytes.len() + 1).unwrap_or(0);
        }
        for counter in counters {
            let mut rest = counter.map_or(0, |value| u128::from(value) + 1);
            loop {
                let low = u8::try_from(rest & 0x7f).unwrap_or(0);
                rest >>= 7;
                self.bytes.push(if rest > 0 { low | 0x80 } else { low });
                if rest == 0 {
                    break;
                }
            }
        }
    }

    /// Reads the counters of an object into `counters`, which has their number; false where there are none.
    pub(super) fn get(&self, object: u32, counters: &mut [Option<u64>]) -> bool {
        let start = self.starts.get(object as usize).copied().unwrap_or(0);
        let Some(mut bytes) = (start as usize).checked_sub(1).and_then(|start| self.bytes.get(start..)) else {
            return false;
        };
        for counter in counters {
            let (mut value, mut shift) = (0_u128, 0);
            while let Some((byte, rest)) = bytes.split_first() {
                bytes = rest;
                value |= u128::from(byte & 0x7f) << shift;
                shift += 7;
                if byte & 0x80 == 0 {
                    break;
                }
            }
            *counter = value.checked_sub(1).and_then(|value| u64::try_from(value).ok());
        }
        true
    }

    /// Whether there are counters of this object.
    pub(super) fn has(&self, object: u32) -> bool {
        self.starts.get(object as usize).is_some_and(|start| *start > 0)
    }

    /// The objects that have counters here.
    pub(super) fn objects(&self) -> impl Iterator<Item = u32> + '_ {
        (0..).zip(&self.starts).filter(|(_, start)| **start > 0).map(|(object, _)| object)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_went_in_comes_out(
            objects in proptest::collection::btree_map(
                0_u32..40, proptest::collection::vec(proptest::option::of(any::<u64>()), 3), 0..20),
        ) {
            let mut packed = Packed::default();
            objects.iter().for_each(|(object, counters)| packed.push(*object, counters));
            for object in 0..40 {
                let mut counters = [Some(7); 3];
                prop_assert_eq!(packed.get(object, &mut counters), objects.contains_key(&object));
                prop_assert_eq!(packed.has(object), objects.contains_key(&object));
                if let Some(expected) = objects.get(&object) {
                    prop_assert_eq!(&counters[..], &expected[..]);
                }
            }
            prop_assert_eq!(packed.objects().collect::<Vec<_>>(), objects.keys().copied().collect::<Vec<_>>());
        }
    }
}
