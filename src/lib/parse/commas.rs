//! Where the cells of a row begin. Most cells of HAProxy's rows are one digit or nothing, so that a search per cell spends
//! its time on starting searches: commas are found 64 bytes at a time instead, as bits of one word.

/// Most beginnings of cells that are kept: a power of two, and twice what the newest HAProxy prints with every module.
const MOST: usize = 512;

/// Bytes looked at in one step.
const BLOCK: usize = 64;

/// Most cells of a row whose places can be asked for.
pub const MOST_CELLS: usize = MOST - BLOCK - 2;

/// Where the cells of a row begin.
#[derive(Debug)]
pub struct Cells {
    /// Cell `n` begins at `begins[n]`, and ends one byte before `begins[n + 1]`.
    begins: Box<[u32; MOST]>,
}

impl Default for Cells {
    fn default() -> Self {
        Self { begins: Box::new([0; MOST]) }
    }
}

impl Cells {
    /// Finds the first `wanted` cells of `row`, and returns how many cells there are in all. `row` must be shorter than
    /// 4 GiB, and `wanted` at most [`MOST_CELLS`].
    pub fn find(&mut self, row: &[u8], wanted: usize) -> usize {
        let (blocks, rest) = row.as_chunks::<BLOCK>();
        let mut blocks = blocks.iter();
        let (mut base, mut count) = (0, 0);
        while count < wanted
            && let Some(block) = blocks.next()
        {
            count = self.note(commas(block), base, count);
            base += BLOCK;
        }
        for block in blocks {
            count += commas(block).count_ones() as usize;
        }
        if !rest.is_empty() {
            // Only the last block is not whole.
            let found = match row.last_chunk::<BLOCK>() {
                Some(last) => commas(last) >> (BLOCK - rest.len()),
                None => {
                    let mut block = [0; BLOCK];
                    block.iter_mut().zip(rest).for_each(|(byte, of_row)| *byte = *of_row);
                    commas(&block)
                }
            };
            if count < wanted {
                count = self.note(found, base, count);
            } else {
                count += found.count_ones() as usize;
            }
        }
        if count < wanted {
            // The last cell ends where the row does, as if there were a comma.
            self.begin(count + 1, row.len() + 1);
        }
        count + 1
    }

    /// Where a cell begins and ends; of use only for cells that were found.
    #[inline(always)]
    pub fn range(&self, cell: usize) -> (usize, usize) {
        let (from, next) = (self.begins[cell & MASK], self.begins[(cell + 1) & MASK]);
        (from as usize, (next as usize).wrapping_sub(1))
    }

    /// Notes where the cells behind these commas begin, the first of which is number `count + 1`; eight at a time, since
    /// what is written too much is written again later or never read.
    #[inline(always)]
    #[expect(clippy::cast_possible_truncation, reason = "rows are shorter than 64 KiB")]
    fn note(&mut self, commas: u64, base: usize, count: usize) -> usize {
        let behind = base as u32 + 1;
        let (mut rest, mut next) = (commas, count + 1);
        while rest != 0
            && let Some(begins) = self.begins.get_mut(next..next + 8)
        {
            for begin in begins {
                *begin = behind + rest.trailing_zeros();
                rest &= rest.wrapping_sub(1);
            }
            next += 8;
        }
        count + commas.count_ones() as usize
    }

    #[inline(always)]
    #[expect(clippy::cast_possible_truncation, reason = "rows are shorter than 64 KiB")]
    fn begin(&mut self, cell: usize, at: usize) {
        self.begins[cell & MASK] = at as u32;
    }
}

/// Proves to the compiler that no index is out of bounds.
const MASK: usize = MOST - 1;

/// A bit for every byte that is a comma, sixteen bytes at a time: a third of the instructions of [`portable`].
#[cfg(target_arch = "x86_64")]
#[inline(always)]
fn commas(block: &[u8; BLOCK]) -> u64 {
    #[inline]
    #[target_feature(enable = "sse2")]
    fn sixteen(bytes: [u8; 16]) -> u64 {
        use std::arch::x86_64::{_mm_cmpeq_epi8, _mm_movemask_epi8, _mm_set_epi64x, _mm_set1_epi8};
        let both = u128::from_le_bytes(bytes);
        #[expect(clippy::cast_possible_truncation, reason = "two halves of 128 bits")]
        let bytes = _mm_set_epi64x((both >> 64) as i64, both as i64);
        let found = _mm_movemask_epi8(_mm_cmpeq_epi8(bytes, _mm_set1_epi8(b',' as i8)));
        u64::from(found.cast_unsigned())
    }
    let (quarters, _) = block.as_chunks::<16>();
    quarters.iter().enumerate().fold(0, |bits, (place, quarter)| {
        // SAFETY: SSE2 is part of every x86-64 processor.
        bits | unsafe { sixteen(*quarter) } << (16 * place)
    })
}

/// A bit for every byte that is a comma, in plain integer arithmetic, eight bytes at a time.
#[cfg(any(test, not(target_arch = "x86_64")))]
fn portable(block: &[u8; BLOCK]) -> u64 {
    const LOW: u64 = u64::from_ne_bytes([0x7f; 8]);
    const COMMAS: u64 = u64::from_ne_bytes([b','; 8]);
    let (words, _) = block.as_chunks::<8>();
    words.iter().enumerate().fold(0, |bits, (place, word)| {
        // A byte is zero exactly where there is a comma; adding 0x7f carries into the top bit of all others.
        let bytes = u64::from_le_bytes(*word) ^ COMMAS;
        let tops = !(((bytes & LOW) + LOW) | bytes | LOW);
        // The product moves the eight top bits next to each other.
        bits | ((tops >> 7).wrapping_mul(0x0102_0408_1020_4080) >> 56) << (8 * place)
    })
}

#[cfg(not(target_arch = "x86_64"))]
use portable as commas;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn all_cells_count_and_the_first_are_found(
            row in proptest::collection::vec(prop_oneof![Just(b','), any::<u8>()], 0..300),
            wanted in 0_usize..160,
        ) {
            let mut cells = Cells::default();
            let count = cells.find(&row, wanted);
            let expected: Vec<&[u8]> = row.split(|byte| *byte == b',').collect();
            prop_assert_eq!(count, expected.len());
            for (index, expected) in expected.iter().enumerate().take(wanted) {
                let (from, to) = cells.range(index);
                prop_assert_eq!(&row[from..to], *expected);
            }
        }

        #[test]
        fn both_ways_find_the_same(bytes in proptest::collection::vec(prop_oneof![Just(b','), any::<u8>()], BLOCK)) {
            let block: [u8; BLOCK] = bytes.try_into().unwrap();
            prop_assert_eq!(commas(&block), portable(&block));
        }
    }
}
