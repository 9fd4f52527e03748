//! Where the commas of a row are: eight bytes at a time, in plain integer arithmetic. Most cells of HAProxy's rows are
//! one digit or nothing, so that a search per cell spends its time on starting searches.

const LOW: u64 = u64::from_ne_bytes([0x7f; 8]);
const COMMAS: u64 = u64::from_ne_bytes([b','; 8]);

/// Most commas whose positions are kept: a power of two, and twice what the newest HAProxy prints with every module.
pub const MOST: usize = 512;

/// Positions of commas.
pub type Positions = [u32; MOST];

/// Puts the positions of the first `wanted` commas of `row` at the beginning of `found`, and returns how many commas there
/// are in all; what stands behind is arbitrary. `row` must be shorter than 4 GiB, and `wanted` less than [`MOST`] - 8.
pub fn find(row: &[u8], wanted: usize, found: &mut Positions) -> usize {
    // The mask proves to the compiler that no index is out of bounds.
    const MASK: usize = MOST - 1;
    let (words, rest) = row.as_chunks::<8>();
    let mut words = words.iter();
    let (mut base, mut count) = (0, 0);
    while count < wanted
        && let Some(word) = words.next()
    {
        let mut hits = commas(*word);
        while hits != 0 {
            found[count & MASK] = base + hits.trailing_zeros() / 8;
            count += 1;
            hits &= hits - 1;
        }
        base += 8;
    }
    for word in words {
        count += commas(*word).count_ones() as usize;
        base += 8;
    }
    for (position, byte) in (base..).zip(rest) {
        if *byte == b',' {
            if count < wanted {
                found[count & MASK] = position;
            }
            count += 1;
        }
    }
    count
}

/// The top bit of every byte that is a comma.
fn commas(word: [u8; 8]) -> u64 {
    // A byte is zero exactly where there is a comma; adding 0x7f carries into the top bit of all others.
    let bytes = u64::from_le_bytes(word) ^ COMMAS;
    !(((bytes & LOW) + LOW) | bytes | LOW)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn every_comma_counts_and_the_first_are_found(
            row in proptest::collection::vec(prop_oneof![Just(b','), any::<u8>()], 0..100),
            wanted in 0_usize..60,
        ) {
            let mut found = [7; MOST];
            let count = find(&row, wanted, &mut found);
            let expected: Vec<u32> = (0..).zip(&row).filter(|(_, byte)| **byte == b',').map(|(at, _)| at).collect();
            prop_assert_eq!(count, expected.len());
            let kept = wanted.min(count);
            prop_assert_eq!(&found[..kept], &expected[..kept]);
        }
    }
}
