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
        fn no_cell_panics(cell in proptest::collection::vec(any::<u8>(), 0..30)) {
            let _ = parse(&cell);
        }
    }
}
