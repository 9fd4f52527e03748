//! A value and its text.

/// A value to be sent.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Value {
    /// Whole.
    Int(i64),
    /// Anything else. Never sent when it is not finite.
    Float(f64),
}

impl Value {
    /// A sum, exact where 64 bits hold it.
    #[must_use]
    pub fn from_i128(value: i128) -> Self {
        #[expect(clippy::cast_precision_loss, reason = "Graphite stores doubles")]
        i64::try_from(value).map_or(Self::Float(value as f64), Self::Int)
    }

    /// Appends the text; false, and nothing appended, when the value is not finite.
    pub fn write(self, out: &mut Vec<u8>) -> bool {
        match (self.short(), self) {
            (Some(text), _) => out.extend_from_slice(text.bytes()),
            (None, Self::Int(value)) => out.extend_from_slice(itoa::Buffer::new().format(value).as_bytes()),
            (None, Self::Float(value)) if value.is_finite() => {
                use std::io::Write;
                // The shortest text that reads back as the same double, without an exponent. Writing to a vector
                // cannot fail.
                let _ = write!(out, "{value}");
            }
            (None, Self::Float(_)) => return false,
        }
        true
    }

    /// The text, where it is short and cheap to make: of whole numbers and of up to three decimals.
    #[inline]
    #[must_use]
    pub fn short(self) -> Option<Short> {
        match self {
            // Most figures of most objects are 0, or a handful.
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "one digit")]
            Self::Int(value @ 0..=9) => {
                let mut text = Short::default();
                text.room[0] = b'0' + value as u8;
                text.length = 1;
                Some(text)
            }
            Self::Int(value) => Some(Short::integer(value)),
            Self::Float(value) => Short::decimal(value),
        }
    }
}

/// A text of at most [`Short::ROOM`] bytes, to be copied at that fixed length: a copy of a length known only at run time
/// is a call.
#[derive(Debug, Clone, Copy, Default)]
pub struct Short {
    /// What stands behind the text is arbitrary.
    pub room: [u8; Self::ROOM],
    /// Length of the text.
    pub length: usize,
}

impl Short {
    /// Bytes that are copied.
    pub const ROOM: usize = 32;

    /// The text.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        self.room.get(..self.length).unwrap_or_default()
    }

    fn push(&mut self, byte: u8) {
        if let Some(place) = self.room.get_mut(self.length) {
            *place = byte;
            self.length += 1;
        }
    }

    /// Twenty characters at most.
    #[inline(never)]
    fn integer(value: i64) -> Self {
        let mut buffer = itoa::Buffer::new();
        let digits = buffer.format(value).as_bytes();
        let mut text = Self { room: [0; Self::ROOM], length: digits.len() };
        // From both ends, where the lengths are fixed; they meet or overlap.
        match (digits.first_chunk::<8>(), digits.last_chunk::<8>(), digits.first_chunk::<4>(), digits.last_chunk::<4>())
        {
            (Some(first), Some(last), ..) if digits.len() <= 16 => {
                text.place(0, first);
                text.place(digits.len() - 8, last);
            }
            (None, None, Some(first), Some(last)) => {
                text.place(0, first);
                text.place(digits.len() - 4, last);
            }
            _ => text.room.iter_mut().zip(digits).for_each(|(place, digit)| *place = *digit),
        }
        text
    }

    #[inline(always)]
    fn place<const N: usize>(&mut self, at: usize, bytes: &[u8; N]) {
        if let Some(place) = self.room.get_mut(at..at + N) {
            place.copy_from_slice(bytes);
        }
    }

    #[inline(never)]
    fn decimal(value: f64) -> Option<Self> {
        const EXACT: f64 = 9_007_199_254_740_992.0;
        let size = value.abs();
        // Not for what is not a number either. Whole doubles below 2^53 are integers; "3.0" says no more than "3".
        #[expect(clippy::cast_possible_truncation, clippy::cast_precision_loss, reason = "below 2^53")]
        if size < EXACT && (value as i64) as f64 == value {
            return Some(Self::integer(value as i64));
        }
        if size.is_nan() || size >= 1e12 {
            return None;
        }
        #[expect(clippy::cast_possible_truncation, reason = "below 10^15")]
        let thousandths = (size * 1000.0 + 0.5) as i64;
        #[expect(clippy::cast_precision_loss, reason = "below 2^53")]
        // At most fifteen digits that read back as the same double: no shorter text does.
        if thousandths as f64 / 1000.0 != size {
            return None;
        }
        let mut text = Self::default();
        if value < 0.0 {
            text.push(b'-');
        }
        for digit in Self::integer(thousandths / 1000).bytes() {
            text.push(*digit);
        }
        text.push(b'.');
        let mut fraction = thousandths % 1000;
        while fraction > 0 {
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "one digit")]
            text.push(b'0' + (fraction / 100) as u8);
            fraction = fraction % 100 * 10;
        }
        Some(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn text(value: Value) -> Option<String> {
        let mut out = Vec::new();
        value.write(&mut out).then(|| String::from_utf8(out).unwrap())
    }

    #[test]
    fn forms() {
        assert_eq!(text(Value::Int(-3)).as_deref(), Some("-3"));
        assert_eq!(text(Value::Float(123.0)).as_deref(), Some("123"));
        assert_eq!(text(Value::Float(4.0 / 3.0)).as_deref(), Some("1.3333333333333333"));
        assert_eq!(text(Value::Float(1.844_674_407_370_955_2e19)).as_deref(), Some("18446744073709552000"));
        for value in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            assert_eq!(text(Value::Float(value)), None);
        }
    }

    proptest! {
        #[test]
        fn means_of_few_are_written_as_the_language_writes_them(sum in any::<i32>(), count in 1_u32..2000) {
            let value = f64::from(sum) / f64::from(count);
            prop_assert_eq!(text(Value::Float(value)).unwrap(), value.to_string().replace("-0", if sum == 0 { "0" } else { "-0" }));
        }

        #[test]
        fn integers_are_written_as_the_language_writes_them(value in any::<i64>(), shift in 0_u32..64) {
            prop_assert_eq!(text(Value::Int(value >> shift)).unwrap(), (value >> shift).to_string());
        }

        #[test]
        fn every_finite_double_reads_back(value in any::<f64>().prop_filter("finite", |v| v.is_finite())) {
            let text = text(Value::Float(value)).unwrap();
            prop_assert!(!text.contains(['e', 'E', ' ']));
            prop_assert_eq!(text.parse::<f64>().unwrap(), value);
        }
    }
}
