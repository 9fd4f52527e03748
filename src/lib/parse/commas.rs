//! Where the commas of a row are: eight bytes at a time, in plain integer arithmetic. Most cells of HAProxy's rows are
//! one digit or nothing, so that a search per cell spends its time on starting searches.

const LOW: u64 = u64::from_ne_bytes([0x7f; 8]);
const COMMAS: u64 = u64::from_ne_bytes([b','; 8]);

/// Replaces `found` by the positions of the commas in `row`, which must be shorter than 4 GiB, and returns how many there
/// are in all. Behind the first `wanted` commas they are only counted; some more may be found nevertheless.
pub fn find(row: &[u8], wanted: usize, found: &mut Vec<u32>) -> usize {
    found.clear();
    let (words, rest) = row.as_chunks::<8>();
    let mut words = words.iter();
    let mut base = 0;
    while found.len() < wanted
        && let Some(word) = words.next()
    {
        let mut hits = commas(*word);
        while hits != 0 {
            found.push(base + hits.trailing_zeros() / 8);
            hits &= hits - 1;
        }
        base += 8;
    }
    let mut count = found.len();
    for word in words {
        count += commas(*word).count_ones() as usize;
        base += 8;
    }
    for (position, byte) in (base..).zip(rest) {
        if *byte == b',' {
            if count == found.len() {
                found.push(position);
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
            let mut found = vec![7];
            let count = find(&row, wanted, &mut found);
            let expected: Vec<u32> = (0..).zip(&row).filter(|(_, byte)| **byte == b',').map(|(at, _)| at).collect();
            prop_assert_eq!(count, expected.len());
            prop_assert!(found.len() >= wanted.min(count));
            prop_assert_eq!(&found[..], &expected[..found.len()]);
        }
    }
}
