//! Writes gzip, fast where a message consists of similar records, such as the points of OTLP: a record is the same as an earlier
//! one but for a few bytes, and the next record is the same as the one after that, at the same distance. So the distance of the
//! last copy is tried first, also behind bytes that differ. Only where that fails, a hash of the next bytes is looked up.
//!
//! The format is RFC 1952, and inside it RFC 1951: a single block with fixed codes, whose tables are constants.

use flate2::Crc;

/// Magic number, deflate, no flags, no time, the fastest compression, no system.
const HEAD: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 4, 255];
/// The last block, with fixed codes.
const BEGIN: Code = Code { bits: 0b011, count: 3 };
const END: Code = symbol(256);
/// Length of copies: of those that are worth it, and of those that can be expressed.
const LEAST: usize = 4;
const SHORTEST: usize = 3;
const LONGEST: usize = 258;
/// Maximum distance of a copy.
const FARTHEST: usize = 32 * 1024;
/// Length from which a copy is taken for a record rather than a coincidence.
const RECORD: usize = 16;
/// Binary logarithm of the number of places that are remembered.
const PLACES: u32 = 12;

/// Bits to be written, the first one lowest.
#[derive(Debug, Clone, Copy)]
struct Code {
    bits: u32,
    count: u32,
}

impl Code {
    /// This code, and another one behind it.
    const fn then(self, other: Self) -> Self {
        Self { bits: self.bits | other.bits << self.count, count: self.count + other.count }
    }
}

/// The code of a literal byte, the end, or a length (RFC 1951, 3.2.6).
const fn symbol(symbol: u32) -> Code {
    let (code, count) = match symbol {
        0..144 => (0b0011_0000 + symbol, 8),
        144..256 => (0b1_1001_0000 + symbol - 144, 9),
        256..280 => (symbol - 256, 7),
        _ => (0b1100_0000 + symbol - 280, 8),
    };
    Code { bits: code.reverse_bits() >> (u32::BITS - count), count }
}

/// The codes of literal bytes.
const LITERALS: [Code; 256] = {
    let mut all = [END; 256];
    let mut byte = 0;
    while byte < all.len() {
        all[byte] = symbol(byte as u32);
        byte += 1;
    }
    all
};

/// The codes of lengths, from [`SHORTEST`] on. From the eighth on, there are four for each number of extra bits.
const LENGTHS: [Code; LONGEST - SHORTEST + 1] = {
    let mut all = [symbol(285); LONGEST - SHORTEST + 1];
    let mut more = 0;
    while more < LONGEST - SHORTEST {
        let number = more as u32;
        let count = if number < 8 { 0 } else { number.ilog2() - 2 };
        let extra = Code { bits: number & ((1 << count) - 1), count };
        all[more] = symbol(257 + 4 * count + (number >> count)).then(extra);
        more += 1;
    }
    all
};

/// The code of a distance. From the fourth on, there are two for each number of extra bits.
#[inline]
const fn distance_code(distance: usize) -> Code {
    let number = distance as u32 - 1;
    let count = if number < 4 { 0 } else { number.ilog2() - 1 };
    let extra = Code { bits: number & ((1 << count) - 1), count };
    Code { bits: (2 * count + (number >> count)).reverse_bits() >> (u32::BITS - 5), count: 5 }.then(extra)
}

/// What is written, in bits.
#[derive(Debug)]
struct Bits {
    out: Vec<u8>,
    held: u64,
    count: u32,
}

impl Bits {
    #[inline]
    fn put(&mut self, code: Code) {
        self.held |= u64::from(code.bits) << self.count;
        self.count += code.count;
        if self.count >= u32::BITS {
            let [a, b, c, d, ..] = self.held.to_le_bytes();
            self.out.extend_from_slice(&[a, b, c, d]);
            self.held >>= u32::BITS;
            self.count -= u32::BITS;
        }
    }

    #[inline]
    fn literal(&mut self, byte: u8) {
        self.put(LITERALS[usize::from(byte)]);
    }

    /// A copy of `length` bytes from `distance` bytes before.
    #[inline]
    fn copy(&mut self, distance: usize, length: usize) {
        self.put(LENGTHS[length - SHORTEST].then(distance_code(distance)));
    }

    /// The bytes, the last one filled up.
    fn end(mut self) -> Vec<u8> {
        self.put(END);
        let bytes = self.count.div_ceil(u8::BITS) as usize;
        self.out.extend(self.held.to_le_bytes().into_iter().take(bytes));
        self.out
    }
}

/// The eight bytes at this place.
#[inline]
fn word(message: &[u8], at: usize) -> Option<u64> {
    message.get(at..)?.first_chunk().map(|bytes| u64::from_le_bytes(*bytes))
}

/// How many bytes from `at` on are the same as `distance` bytes before, as far as one copy can express that.
#[inline]
fn same(message: &[u8], at: usize, distance: usize) -> usize {
    let (here, there) = (&message[at..], &message[at - distance..]);
    let mut length = 0;
    for (one, other) in here.as_chunks().0.iter().zip(there.as_chunks().0) {
        let different = u64::from_le_bytes(*one) ^ u64::from_le_bytes(*other);
        if different != 0 {
            length += (different.trailing_zeros() / u8::BITS) as usize;
            break;
        }
        length += size_of::<u64>();
        if length >= LONGEST {
            break;
        }
    }
    length.min(LONGEST)
}

fn compress(message: &[u8], bits: &mut Bits) {
    let mut places = [0; 1 << PLACES];
    let (mut at, mut distance) = (0, usize::MAX);
    while let Some(next) = word(message, at) {
        if let Some(before) = at.checked_sub(distance).and_then(|before| word(message, before)) {
            let different = next ^ before;
            // Up to the last of these bytes that differs, unless a copy can begin here.
            let begins = (different.trailing_zeros() / u8::BITS) as usize >= LEAST;
            let other = if begins { 0 } else { size_of::<u64>() - (different.leading_zeros() / u8::BITS) as usize };
            let length = same(message, at + other, distance);
            if length >= LEAST {
                next.to_le_bytes().into_iter().take(other).for_each(|byte| bits.literal(byte));
                bits.copy(distance, length);
                at += other + length;
                continue;
            }
        }
        let [a, b, c, d, ..] = next.to_le_bytes();
        let hash = u32::from_le_bytes([a, b, c, d]).wrapping_mul(0x9e37_79b1) >> (u32::BITS - PLACES);
        let away = at - std::mem::replace(&mut places[hash as usize], at);
        let length = if (1..=FARTHEST).contains(&away) { same(message, at, away) } else { 0 };
        if length >= LEAST {
            bits.copy(away, length);
            at += length;
            if length >= RECORD {
                distance = away;
            }
        } else {
            bits.literal(a);
            at += 1;
        }
    }
    message[at..].iter().for_each(|byte| bits.literal(*byte));
}

/// Compresses a message.
#[must_use]
pub(super) fn gzip(message: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(message.len() / 8 + 64);
    out.extend_from_slice(&HEAD);
    let mut bits = Bits { out, held: 0, count: 0 };
    bits.put(BEGIN);
    compress(message, &mut bits);
    let mut out = bits.end();
    let mut crc = Crc::new();
    crc.update(message);
    out.extend_from_slice(&crc.sum().to_le_bytes());
    out.extend_from_slice(&crc.amount().to_le_bytes());
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::prometheus::compression::Compression;
    use proptest::prelude::*;

    fn read(compressed: &[u8]) -> Option<Vec<u8>> {
        Compression::Gzip.decompress(compressed)
    }

    #[test]
    fn every_literal_length_and_distance_is_read_by_others() {
        let mut plain: Vec<u8> = (0..FARTHEST).map(|place| (place * place / 7) as u8).collect();
        let mut bits = Bits { out: HEAD.to_vec(), held: 0, count: 0 };
        bits.put(BEGIN);
        plain.iter().for_each(|byte| bits.literal(*byte));
        let lengths = (SHORTEST..=LONGEST).map(|length| (length * 120, length));
        for (distance, length) in lengths.chain((1..=FARTHEST).map(|distance| (distance, LEAST))) {
            bits.copy(distance, length);
            (0..length).for_each(|_| plain.push(plain[plain.len() - distance]));
        }
        let mut crc = Crc::new();
        crc.update(&plain);
        let compressed = [bits.end(), crc.sum().to_le_bytes().to_vec(), crc.amount().to_le_bytes().to_vec()].concat();
        assert!(read(&compressed).unwrap() == plain);
    }

    /// The values of some objects, one metric after the other.
    fn records(names: &[String], metrics: usize, value: impl Fn(usize) -> [u8; 4]) -> Vec<u8> {
        let record =
            |number: usize| [b"time and a", &value(number)[..], names[number % names.len()].as_bytes()].concat();
        (0..names.len() * metrics).flat_map(record).collect()
    }

    #[test]
    fn a_record_is_a_copy_and_its_value() {
        // Names of different lengths.
        let names: Vec<String> = (0..50).map(|number| format!("proxy-{number}, server-{}", number * number)).collect();
        let value = |number: usize| (number as u32).wrapping_mul(0x9e37_79b1).to_le_bytes();
        let message = records(&names, 40, value);
        let compressed = gzip(&message);
        assert_eq!(read(&compressed).unwrap(), message);
        let each = compressed.len() as f64 / 2000.0;
        assert!(each < 8.0, "{each} bytes for a value of four");
    }

    #[test]
    fn nothing_is_copied_from_too_far() {
        let phrase = b"the same words";
        for distance in [FARTHEST, FARTHEST + 1] {
            let message = [phrase, &vec![0; distance - phrase.len()][..], phrase, b"and others"].concat();
            assert!(read(&gzip(&message)).unwrap() == message, "{distance}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_by_others(
            names in proptest::collection::vec("[a-z]{0,40}", 1..20), metrics in 0_usize..20, factor in 0_u32..9999,
            noise in proptest::collection::vec(0_u8..3, 0..2000), end in proptest::collection::vec(any::<u8>(), 0..20),
        ) {
            let value = |number: usize| (number as u32 * factor / 10_000).to_le_bytes();
            let message = [records(&names, metrics, value), noise, end].concat();
            prop_assert_eq!(read(&gzip(&message)).unwrap(), message);
        }
    }
}
