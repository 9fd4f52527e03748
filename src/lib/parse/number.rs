//! A cell of digits as a number.

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
        (Ok(value), true) => Number::Int(-value),
        #[expect(clippy::cast_precision_loss, reason = "beyond 63 bits only doubles go on; Graphite has nothing finer")]
        (Err(_), false) => Number::Big(value as f64),
        (Err(_), true) => Number::Bad,
    }
}

/// Reads the cell of `row` between two places, as [`parse`] does. Up to sixteen digits are taken eight at a time, by the
/// bytes that end where the cell ends; what stands before it is masked out.
#[inline(always)]
#[must_use]
pub fn parse_within(row: &[u8], from: usize, to: usize) -> Number {
    let length = to.wrapping_sub(from);
    if length == 0 {
        return Number::Blank;
    }
    // Most figures of most objects are one digit.
    if length == 1
        && let Some(digit @ b'0'..=b'9') = row.get(from)
    {
        return Number::Int(i64::from(digit - b'0'));
    }
    if length <= 8
        && let Some(value) = eight(row, to, length)
    {
        return Number::Int(value);
    }
    if (9..=16).contains(&length)
        && let Some(low) = eight(row, to, 8)
        && let Some(high) = eight(row, to - 8, length - 8)
    {
        return Number::Int(high * 100_000_000 + low);
    }
    slow(row, from, to)
}

#[inline(never)]
fn slow(row: &[u8], from: usize, to: usize) -> Number {
    parse(row.get(from..to).unwrap_or_default())
}

/// The value of the `length` (1 to 8) digits that end at `to`; `None` when they are not all digits, or too near to the
/// beginning of the row.
#[inline(always)]
fn eight(row: &[u8], to: usize, length: usize) -> Option<i64> {
    let word = row.get(to.checked_sub(8)?..to)?.first_chunk::<8>()?;
    // The first digit is in the lowest byte.
    let ours = u64::MAX << (64 - 8 * length);
    let digits = (u64::from_le_bytes(*word) ^ 0x3030_3030_3030_3030) & ours;
    // 9 + 0x76 is the largest that leaves the top bit alone.
    if ((digits.wrapping_add(0x7676_7676_7676_7676)) | digits) & 0x8080_8080_8080_8080 != 0 {
        return None;
    }
    // Neighbours are joined: digits to pairs, pairs to fours, fours to the whole.
    let pairs = ((digits * 10) + (digits >> 8)) & 0x00ff_00ff_00ff_00ff;
    let fours = ((pairs * 100) + (pairs >> 16)) & 0x0000_ffff_0000_ffff;
    #[expect(clippy::cast_possible_wrap, reason = "eight digits")]
    Some((((fours * 10_000) + (fours >> 32)) & 0xffff_ffff) as i64)
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
