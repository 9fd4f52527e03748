//! Writes snappy's block format, for an encoder that knows what repeats. Nothing is searched.
//!
//! A block is the uncompressed length, followed by elements: literal bytes, and copies of earlier bytes (`format_description.txt`
//! of google/snappy). The encoder is free to choose which copies to use.

/// The kind of an element, in its lowest two bits.
const LITERAL: u8 = 0;
const COPY: u8 = 2;
/// A literal with more bytes has its length in a separate byte.
const SHORT: usize = 60;
/// Maximum length of a copy.
const LONGEST: usize = 64;
/// Maximum distance of a copy.
pub(super) const FARTHEST: usize = u16::MAX as usize;

/// Appends literal bytes.
#[inline]
pub(super) fn literal(bytes: &[u8], out: &mut Vec<u8>) {
    for part in bytes.chunks(1 << u8::BITS) {
        // At most 255.
        let [length, ..] = (part.len() - 1).to_le_bytes();
        if part.len() <= SHORT {
            out.push(length << 2 | LITERAL);
        } else {
            out.extend_from_slice(&[60 << 2 | LITERAL, length]);
        }
        out.extend_from_slice(part);
    }
}

/// Appends a copy of `length` bytes from `distance` bytes before, which is at most [`FARTHEST`].
#[inline]
pub(super) fn copy(distance: usize, mut length: usize, out: &mut Vec<u8>) {
    let [low, high, ..] = distance.to_le_bytes();
    while length > 0 {
        let part = length.min(LONGEST);
        let [part_byte, ..] = (part - 1).to_le_bytes();
        out.extend_from_slice(&[part_byte << 2 | COPY, low, high]);
        length -= part;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::prometheus::wire::varint;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_is_written_is_read_by_others(
            parts in proptest::collection::vec((proptest::collection::vec(any::<u8>(), 1..700), 1..400_usize, 1..400_usize), 1..8),
        ) {
            let (mut plain, mut elements) = (Vec::new(), Vec::new());
            for (bytes, distance, length) in &parts {
                literal(bytes, &mut elements);
                plain.extend_from_slice(bytes);
                let distance = (*distance).min(plain.len());
                copy(distance, *length, &mut elements);
                (0..*length).for_each(|_| plain.push(plain[plain.len() - distance]));
            }
            let mut block = Vec::new();
            varint(plain.len() as u64, &mut block);
            block.extend_from_slice(&elements);
            prop_assert_eq!(snap::raw::Decoder::new().decompress_vec(&block).unwrap(), plain);
        }
    }
}
