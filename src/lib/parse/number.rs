//! A cell of digits as a number.

use crate::value::{ABSENT, UNKNOWN};

/// What a cell holds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Number {
    /// Nothing.
    Blank,
    /// Fits a signed 64-bit integer.
    Int(i64),
    /// An unsigned 64-bit counter beyond that. HAProxy's counters are unsigned; Graphite stores doubles, so nothing is
    /// lost by carrying such a value as one.
    Big(f64),
    /// Anything else: text, fractions, more than 64 bits.
    Bad,
}

/// Reads an optional sign and decimal digits.
#[must_use]
pub fn parse(cell: &[u8]) -> Number {
    let (negative, digits) = match cell {
        [] => return Number::Blank,
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] => (false, rest),
        rest => (false, rest),
    };
    if digits.is_empty() {
        return Number::Bad;
    }
    let mut value: u64 = 0;
    // Eighteen digits cannot overflow, and no figure of a live HAProxy is longer.
    if digits.len() <= 18 {
        for byte in digits {
            let digit = byte.wrapping_sub(b'0');
            if digit > 9 {
                return Number::Bad;
            }
            value = value * 10 + u64::from(digit);
        }
    } else {
        for byte in digits {
            let digit = byte.wrapping_sub(b'0');
            if digit > 9 {
                return Number::Bad;
            }
            match value.checked_mul(10).and_then(|v| v.checked_add(u64::from(digit))) {
                Some(next) => value = next,
                None => return Number::Bad,
            }
        }
    }
    match (i64::try_from(value), negative) {
        (Ok(value), false) => Number::Int(value),
        // The two smallest integers stand for no value at all.
        #[expect(clippy::cast_precision_loss, reason = "beyond 63 bits only doubles go on; Graphite has nothing finer")]
        (Ok(value), true) if -value == UNKNOWN => Number::Big(-(value as f64)),
        (Ok(value), true) => Number::Int(-value),
        #[expect(clippy::cast_precision_loss, reason = "beyond 63 bits only doubles go on; Graphite has nothing finer")]
        (Err(_), false) => Number::Big(value as f64),
        (Err(_), true) => Number::Bad,
    }
}

/// Reads the cell of `row` between two places, as [`parse`] does.
#[must_use]
pub(crate) fn parse_within(row: &[u8], from: usize, to: usize) -> Number {
    match figure(row, from, to, Some(ABSENT)) {
        Some(ABSENT) => Number::Blank,
        Some(value) => Number::Int(value),
        None => parse(row.get(from..to).unwrap_or_default()),
    }
}

/// The same for cells of up to sixteen digits, and `blank` for those with none, which is nearly all of them; `None` for others.
/// Digits are taken eight at a time, by the bytes that begin where the cell begins; what stands behind it is shifted out.
#[inline(always)]
#[must_use]
pub fn figure(row: &[u8], from: usize, to: usize, blank: Option<i64>) -> Option<i64> {
    let length = to.wrapping_sub(from);
    // Most figures of most objects are one digit.
    if length == 1 {
        let digit = row.get(from)?.wrapping_sub(b'0');
        (digit <= 9).then_some(i64::from(digit))
    } else if length == 0 {
        blank
    } else if length <= 8 {
        eight(row, from, length)
    } else {
        long(row, from, length)
    }
}

/// Nine to sixteen digits.
#[inline(never)]
fn long(row: &[u8], from: usize, length: usize) -> Option<i64> {
    if !(9..=16).contains(&length) {
        return None;
    }
    let (high, low) = (eight(row, from, length - 8)?, eight(row, from + length - 8, 8)?);
    Some(high * 100_000_000 + low)
}

/// The value of the `length` (1 to 8) digits that begin at `from`; `None` when they are not all digits, or too near to the
/// end of the row.
#[inline(always)]
fn eight(row: &[u8], from: usize, length: usize) -> Option<i64> {
    const ONES: u64 = 0x0101_0101_0101_0101;
    let word = row.get(from..from + 8)?.first_chunk::<8>()?;
    // The first digit is in the lowest byte; zeros come in front of it.
    #[expect(clippy::cast_possible_truncation, reason = "at most 64")]
    let behind = 64 - 8 * length as u32;
    let digits = (u64::from_le_bytes(*word) ^ (ONES * 0x30)).wrapping_shl(behind);
    // 9 + 0x76 is the largest that leaves the top bit alone.
    if (digits.wrapping_add(ONES * 0x76) | digits) & (ONES * 0x80) != 0 {
        return None;
    }
    // Neighbours are joined, each pair by one product: digits to pairs, pairs to fours, fours to the whole.
    let pairs = (digits.wrapping_mul(1 + (10 << 8)) >> 8) & 0x00ff_00ff_00ff_00ff;
    let fours = (pairs.wrapping_mul(1 + (100 << 16)) >> 16) & 0x0000_ffff_0000_ffff;
    #[expect(clippy::cast_possible_wrap, reason = "eight digits")]
    Some((fours.wrapping_mul(1 + (10_000 << 32)) >> 32) as i64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn forms() {
        for (cell, number) in [
            ("", Number::Blank),
            ("0", Number::Int(0)),
            ("-1", Number::Int(-1)),
            ("+7", Number::Int(7)),
            ("9223372036854775807", Number::Int(i64::MAX)),
            ("9223372036854775808", Number::Big(9_223_372_036_854_775_808.0)),
            ("18446744073709551615", Number::Big(18_446_744_073_709_551_615.0)),
            ("18446744073709551616", Number::Bad),
            ("-9223372036854775807", Number::Big(-9_223_372_036_854_775_807.0)),
            ("-9223372036854775806", Number::Int(-9_223_372_036_854_775_806)),
            ("-9223372036854775808", Number::Bad),
            ("1.5", Number::Bad),
            ("0x1f", Number::Bad),
            ("1_000", Number::Bad),
            ("-", Number::Bad),
            (" 1", Number::Bad),
            ("nan", Number::Bad),
        ] {
            assert_eq!(parse(cell.as_bytes()), number, "{cell:?}");
        }
    }

    /// As [`parse`] would read them too, but a digit at a time.
    #[test]
    fn up_to_sixteen_digits_with_enough_behind_them_are_read_at_once() {
        for digits in ["9876543210987654", "1000000000000001", "0000000000000000", "9999999999999999"] {
            for length in 1..=16 {
                let row = format!("7,{},1234567", &digits[..length]);
                let value = digits[..length].parse().ok();
                assert_eq!(figure(row.as_bytes(), 2, 2 + length, None), value, "{row}");
            }
        }
        assert_eq!(figure(b"1,,1234567", 2, 2, Some(-5)), Some(-5));
        assert_eq!(figure(b"12345678901234567,1234567", 0, 17, Some(ABSENT)), None);
        assert_eq!(figure(b"1,234", 2, 5, Some(ABSENT)), None, "too near to the end");
    }

    #[test]
    fn two_bytes_of_any_kind_read_as_they_do_alone() {
        for (one, two) in (0..=u8::MAX).flat_map(|one| (0..=u8::MAX).map(move |two| (one, two))) {
            let row = [one, two, b',', b'1', b',', b'2', b',', b'3', b','];
            assert_eq!(parse_within(&row, 0, 2), parse(&[one, two]), "{one} {two}");
        }
    }

    proptest! {
        #[test]
        fn every_integer_is_read(value in any::<i64>()) {
            prop_assume!(value != i64::MIN);
            prop_assert_eq!(parse(value.to_string().as_bytes()), Number::Int(value));
        }

        #[test]
        fn a_cell_within_a_row_reads_as_it_does_alone(
            before in "[,a0-9]{0,20}",
            cell in prop_oneof![4 => "[0-9]{0,20}", 1 => "[-+0-9a./:,]{0,20}", 1 => ".{0,3}"],
            after in "[,a0-9]{0,3}",
        ) {
            let row = format!("{before}{cell}{after}");
            let found = parse_within(row.as_bytes(), before.len(), before.len() + cell.len());
            prop_assert_eq!(found, parse(cell.as_bytes()));
        }

        #[test]
        fn no_cell_panics(cell in proptest::collection::vec(any::<u8>(), 0..30)) {
            let _ = parse(&cell);
        }
    }
}
