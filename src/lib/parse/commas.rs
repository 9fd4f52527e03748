//! Where the cells of a row begin. Most cells of HAProxy's rows are one digit or nothing, so that a search per cell spends
//! its time on starting searches: commas are found 64 bytes at a time instead, as bits of one word.

use memchr::memchr;

/// Most beginnings of cells that are kept: a power of two, and twice what the newest HAProxy prints with every module.
const MOST: usize = 512;

/// Twice that, so that the end of a cell needs no look at whether it is there.
const PLACES: usize = 2 * MOST;

/// Bytes looked at in one step.
const BLOCK: usize = 64;

/// Most cells of a row whose places can be asked for.
pub(crate) const MOST_CELLS: usize = MOST - BLOCK - 2;

/// Where the cells of a row begin.
#[derive(Debug)]
pub(crate) struct Cells {
    /// Cell `n` begins at `begins[n]`, and ends one byte before `begins[n + 1]`.
    begins: Box<[u32; PLACES]>,
    /// How many were asked for.
    wanted: usize,
    /// Where quoted cells begin, after [`Cells::find_quoted`].
    quoted: Vec<usize>,
    /// The row with its quoted cells covered.
    plain: Vec<u8>,
    /// Whether this processor has AVX2, and what came with it.
    #[cfg(target_arch = "x86_64")]
    wide: bool,
}

impl Default for Cells {
    fn default() -> Self {
        Self {
            begins: Box::new([0; PLACES]),
            wanted: 0,
            quoted: Vec::new(),
            plain: Vec::new(),
            #[cfg(target_arch = "x86_64")]
            wide: is_x86_feature_detected!("avx2")
                && is_x86_feature_detected!("bmi1")
                && is_x86_feature_detected!("popcnt"),
        }
    }
}

/// The bytes of a block that are commas, and those that are quotes, a bit for each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Found {
    commas: u64,
    quotes: u64,
}

impl Cells {
    /// Finds the first `wanted` cells of `row`, and returns how many cells there are in all; `None` when there is a quote
    /// in it, since then a comma need not separate cells. `row` must be shorter than 4 GiB, and `wanted` at most
    /// [`MOST_CELLS`].
    #[inline(always)]
    pub(crate) fn find(&mut self, row: &[u8], wanted: usize) -> Option<usize> {
        self.find_by_first(row, wanted, |_| wanted)
    }

    /// The same where the first cells say how many are wanted: once `first` cells are found, `wanted` is asked, unless they
    /// are near the end of the row, where all are found.
    #[inline(always)]
    pub(crate) fn find_by_first(&mut self, row: &[u8], first: usize, wanted: impl Fn(&Self) -> usize) -> Option<usize> {
        #[cfg(target_arch = "x86_64")]
        if self.wide {
            // SAFETY: the processor was asked whether it has what this function is compiled for.
            return unsafe { self.find_wide(row, first, wanted) };
        }
        self.find_narrow(row, first, wanted)
    }

    #[inline(never)]
    fn find_narrow(&mut self, row: &[u8], first: usize, wanted: impl Fn(&Self) -> usize) -> Option<usize> {
        self.find_with(row, first, wanted, look)
    }

    /// Two thirds of the instructions of the other way.
    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx2,bmi1,popcnt")]
    fn find_wide(&mut self, row: &[u8], first: usize, wanted: impl Fn(&Self) -> usize) -> Option<usize> {
        self.find_with(row, first, wanted, |block| look_wide(block))
    }

    #[inline(always)]
    fn find_with(
        &mut self,
        row: &[u8],
        first: usize,
        further: impl Fn(&Self) -> usize,
        look: impl Fn(&[u8; BLOCK]) -> Found,
    ) -> Option<usize> {
        let (blocks, rest) = row.as_chunks::<BLOCK>();
        let mut blocks = blocks.iter();
        let (mut base, mut count, mut quotes) = (0, 0, 0);
        let (mut wanted, mut asked) = (first, false);
        loop {
            while count < wanted
                && let Some(block) = blocks.next()
            {
                let found = look(block);
                quotes |= found.quotes;
                count = self.note(found.commas, base, count);
                base += BLOCK;
            }
            if asked || count < wanted {
                break;
            }
            (wanted, asked) = (further(self).max(first), true);
        }
        if !asked {
            // The first cells reach into the last block.
            wanted = MOST_CELLS;
        }
        self.wanted = wanted;
        for block in blocks {
            let found = look(block);
            quotes |= found.quotes;
            count += found.commas.count_ones() as usize;
        }
        if !rest.is_empty() {
            // Only the last block is not whole.
            let found = match row.last_chunk::<BLOCK>() {
                Some(last) => {
                    let (found, before) = (look(last), BLOCK - rest.len());
                    Found { commas: found.commas >> before, quotes: found.quotes }
                }
                None => {
                    let mut block = [0; BLOCK];
                    block.iter_mut().zip(rest).for_each(|(byte, of_row)| *byte = *of_row);
                    look(&block)
                }
            };
            quotes |= found.quotes;
            if count < wanted {
                count = self.note(found.commas, base, count);
            } else {
                count += found.commas.count_ones() as usize;
            }
        }
        if count < wanted {
            // The last cell ends where the row does, as if there were a comma.
            self.begin(count + 1, row.len() + 1);
        }
        (quotes == 0).then_some(count + 1)
    }

    /// The same for a row with quotes, where each cell is either quoted as a whole or without quotes; `None` where that is
    /// not so, which leaves the row to the reference reader. Cells that are quoted are found with their quotes.
    #[cold]
    #[inline(never)]
    pub(crate) fn find_quoted(&mut self, row: &[u8], wanted: usize) -> Option<usize> {
        self.quoted.clear();
        let mut plain = std::mem::take(&mut self.plain);
        plain.clear();
        plain.extend_from_slice(row);
        let count = self.cover(row, &mut plain).and_then(|()| self.find(&plain, wanted));
        self.plain = plain;
        count
    }

    /// Covers what is quoted, so that there is neither comma nor quote in it.
    fn cover(&mut self, row: &[u8], plain: &mut [u8]) -> Option<()> {
        let mut at = 0;
        while let Some(found) = memchr(b'"', row.get(at..)?) {
            let from = at + found;
            let to = from + 1 + closing(row.get(from + 1..)?)?;
            let before = from.checked_sub(1).and_then(|before| row.get(before));
            if before.is_some_and(|byte| *byte != b',') || row.get(to + 1).is_some_and(|byte| *byte != b',') {
                return None;
            }
            plain.get_mut(from..=to)?.fill(b'.');
            self.quoted.push(from);
            at = to + 1;
        }
        // To the reference reader the end of a row.
        memchr(b'\r', plain).is_none().then_some(())
    }

    /// Whether one of these cells was found to be quoted by [`Cells::find_quoted`].
    pub(crate) fn any_quoted(&self, cells: &[usize]) -> bool {
        cells.iter().any(|cell| self.quoted.contains(&self.range(*cell).0))
    }

    /// The text of a cell, whether or not it was asked for.
    #[cold]
    #[inline(never)]
    pub(crate) fn far<'r>(&self, row: &'r [u8], cell: usize) -> &'r [u8] {
        let Some(beyond) = cell.checked_sub(self.wanted) else {
            let (from, to) = self.range(cell);
            return row.get(from..to).unwrap_or_default();
        };
        let (_, end) = self.range(self.wanted.wrapping_sub(1));
        let rest = row.get(end.wrapping_add(1)..).unwrap_or_default();
        rest.split(|byte| *byte == b',').nth(beyond).unwrap_or_default()
    }

    /// Where a cell begins and ends; of use only for cells that were found.
    #[inline(always)]
    pub(crate) fn range(&self, cell: usize) -> (usize, usize) {
        let cell = cell & MASK;
        let (from, next) = (self.begins[cell], self.begins[cell + 1]);
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

/// Where the quote is that closes a cell; those inside are doubled.
fn closing(quoted: &[u8]) -> Option<usize> {
    let mut at = 0;
    loop {
        at += memchr(b'"', quoted.get(at..)?)?;
        if quoted.get(at + 1) != Some(&b'"') {
            return Some(at);
        }
        at += 2;
    }
}

/// Proves to the compiler that no index is out of bounds.
const MASK: usize = MOST - 1;

/// Sixteen bytes at a time, which every x86-64 processor can.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
fn look(block: &[u8; BLOCK]) -> Found {
    #[inline]
    #[target_feature(enable = "sse2")]
    fn sixteen(bytes: [u8; 16]) -> Found {
        use std::arch::x86_64::{_mm_cmpeq_epi8, _mm_movemask_epi8, _mm_set_epi64x, _mm_set1_epi8};
        let both = u128::from_le_bytes(bytes);
        #[expect(clippy::cast_possible_truncation, reason = "two halves of 128 bits")]
        let bytes = _mm_set_epi64x((both >> 64) as i64, both as i64);
        let equal = |byte: u8| {
            let found = _mm_movemask_epi8(_mm_cmpeq_epi8(bytes, _mm_set1_epi8(byte.cast_signed())));
            u64::from(found.cast_unsigned())
        };
        Found { commas: equal(b','), quotes: equal(b'"') }
    }
    let (quarters, _) = block.as_chunks::<16>();
    quarters.iter().enumerate().fold(Found { commas: 0, quotes: 0 }, |all, (place, quarter)| {
        // SAFETY: SSE2 is part of every x86-64 processor.
        let found = unsafe { sixteen(*quarter) };
        Found { commas: all.commas | found.commas << (16 * place), quotes: all.quotes | found.quotes << (16 * place) }
    })
}

/// Thirty-two bytes at a time.
#[cfg(target_arch = "x86_64")]
#[inline]
#[target_feature(enable = "avx2")]
fn look_wide(block: &[u8; BLOCK]) -> Found {
    use std::arch::x86_64::{__m256i, _mm256_cmpeq_epi8, _mm256_movemask_epi8, _mm256_set_epi64x, _mm256_set1_epi8};
    let (words, _) = block.as_chunks::<8>();
    let word = |place: usize| words.get(place).map_or(0, |word| i64::from_le_bytes(*word));
    let half = |first: usize| _mm256_set_epi64x(word(first + 3), word(first + 2), word(first + 1), word(first));
    let (low, high) = (half(0), half(4));
    let equal = |half: __m256i, byte: u8| {
        let found = _mm256_movemask_epi8(_mm256_cmpeq_epi8(half, _mm256_set1_epi8(byte.cast_signed())));
        u64::from(found.cast_unsigned())
    };
    let both = |byte| equal(low, byte) | equal(high, byte) << 32;
    Found { commas: both(b','), quotes: both(b'"') }
}

/// In plain integer arithmetic, eight bytes at a time.
#[cfg(any(test, not(target_arch = "x86_64")))]
fn portable(block: &[u8; BLOCK]) -> Found {
    const LOW: u64 = u64::from_ne_bytes([0x7f; 8]);
    let (words, _) = block.as_chunks::<8>();
    let equal = |byte: u8| {
        words.iter().enumerate().fold(0, |bits, (place, word)| {
            // A byte is zero exactly where it is the one that is looked for; adding 0x7f carries into the top bit of all
            // others.
            let bytes = u64::from_le_bytes(*word) ^ u64::from_ne_bytes([byte; 8]);
            let tops = !(((bytes & LOW) + LOW) | bytes | LOW);
            // The product moves the eight top bits next to each other.
            bits | ((tops >> 7).wrapping_mul(0x0102_0408_1020_4080) >> 56) << (8 * place)
        })
    };
    Found { commas: equal(b','), quotes: equal(b'"') }
}

#[cfg(not(target_arch = "x86_64"))]
use portable as look;

#[cfg(test)]
mod tests;
