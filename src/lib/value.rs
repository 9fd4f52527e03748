//! A value, the absence of one, and its text.

/// Stands for "no value" among the integers of a column; the parser of numbers never yields it.
pub const ABSENT: i64 = i64::MIN;

/// Stands for a value that HAProxy has and does not print, where that matters; in cells that are not in a column yet. The
/// parser of numbers does not yield it either.
pub const UNKNOWN: i64 = i64::MIN + 1;

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
    pub(crate) fn from_i128(value: i128) -> Self {
        #[expect(clippy::cast_precision_loss, reason = "Graphite stores doubles")]
        i64::try_from(value).map_or(Self::Float(value as f64), Self::Int)
    }

    /// The nearest double.
    #[must_use]
    pub fn as_f64(self) -> f64 {
        #[expect(clippy::cast_precision_loss, reason = "Graphite stores doubles")]
        match self {
            Self::Int(value) => value as f64,
            Self::Float(value) => value,
        }
    }

    /// Whether it is 0.
    #[must_use]
    pub fn is_zero(self) -> bool {
        matches!(self, Self::Int(0) | Self::Float(0.0))
    }

    /// Appends the text; false, and nothing appended, when the value is not finite.
    pub fn write(self, out: &mut Vec<u8>) -> bool {
        match (self.short(), self) {
            (Some(text), _) => {
                let (text, length) = text.bytes();
                out.extend(text.into_iter().take(usize::from(length)));
            }
            (None, Self::Int(value)) => out.extend_from_slice(itoa::Buffer::new().format(value).as_bytes()),
            (None, Self::Float(value)) if value.is_finite() => match self.fraction() {
                Some((text, length)) => out.extend(text.into_iter().take(usize::from(length))),
                None => {
                    use std::io::Write;
                    // The shortest text that reads back as the same double, without an exponent. Writing to a vector
                    // cannot fail.
                    let _ = write!(out, "{value}");
                }
            },
            (None, Self::Float(_)) => return false,
        }
        true
    }

    /// The text, where it is short and cheap to make: of whole numbers and of up to three decimals.
    #[must_use]
    pub fn short(self) -> Option<Short> {
        match self {
            Self::Int(value) => Short::integer(value),
            Self::Float(value) => Short::decimal(value),
        }
    }

    /// The text of a fraction of many digits, and its length: the shortest text that reads back as the same double, as the
    /// standard library writes it, at a third of its instructions. `None` for all else.
    #[must_use]
    pub(crate) fn fraction(self) -> Option<([u8; FRACTION], u8)> {
        // Where two shortest texts are equally near, the standard library takes the larger one and zmij the even one. The
        // digits of such a double end with a 5, at most the 22nd behind the point from 0.00001 on, so that it is a multiple
        // of 1/2^22.
        const FINEST: f64 = 4_194_304.0;
        let Self::Float(value) = self else { return None };
        let size = value.abs();
        let multiple = size * FINEST;
        #[expect(clippy::cast_possible_truncation, clippy::cast_precision_loss, reason = "below 2^52")]
        if !(1e-5..1_073_741_824.0).contains(&size) || (multiple as i64) as f64 == multiple {
            return None;
        }
        let mut buffer = zmij::Buffer::new();
        let found = buffer.format_finite(value).as_bytes();
        let mut text = [0; FRACTION];
        text.get_mut(..found.len())?.copy_from_slice(found);
        Some((text, u8::try_from(found.len()).ok()?))
    }
}

/// Bytes of a fraction, of which none has more: a sign, `0.0000` and seventeen digits.
const FRACTION: usize = 24;

/// A text of at most sixteen bytes, held in registers and copied at that fixed length: a copy of a length known only at
/// run time is a call.
#[derive(Debug, Clone, Copy)]
pub struct Short {
    /// Its bytes, the first one lowest; those above the text are arbitrary.
    text: u128,
    length: u8,
}

impl Short {
    /// The text and what happens to stand behind it, and the length of the text.
    #[inline(always)]
    #[must_use]
    pub fn bytes(self) -> ([u8; 16], u8) {
        (self.text.to_le_bytes(), self.length)
    }

    fn then(self, text: u128, length: u8) -> Self {
        let kept = self.text & ((1 << (8 * self.length)) - 1);
        Self { text: kept | text << (8 * self.length), length: self.length + length }
    }

    fn integer(value: i64) -> Option<Self> {
        const MINUS: Short = Short { text: b'-' as u128, length: 1 };
        match (u64::try_from(value), value.unsigned_abs()) {
            (Ok(value @ 0..10_000_000_000_000_000), _) => Some(Self::natural(value)),
            (Err(_), size @ 0..1_000_000_000_000_000) => {
                let size = Self::natural(size);
                Some(MINUS.then(size.text, size.length))
            }
            _ => None,
        }
    }

    /// Below 10^16.
    fn natural(value: u64) -> Self {
        if let Some((text, length)) = below(value) {
            return Self { text: u128::from(text), length };
        }
        let (high, low) = (value / LIMIT, value % LIMIT);
        let (text, length) = below(high).unwrap_or_default();
        Self { text: u128::from(text), length }.then(u128::from(eight(low)), 8)
    }

    fn decimal(value: f64) -> Option<Self> {
        const EXACT: f64 = 9_007_199_254_740_992.0;
        let size = value.abs();
        // Whole doubles below 2^53 are integers; "3.0" says no more than "3". None of this is true of NaN.
        #[expect(clippy::cast_possible_truncation, clippy::cast_precision_loss, reason = "below 2^53")]
        if size < EXACT && (value as i64) as f64 == value {
            return Self::integer(value as i64);
        }
        if size.is_nan() || size >= 1e11 {
            return None;
        }
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "below 10^14")]
        let thousandths = (size * 1000.0 + 0.5) as u64;
        #[expect(clippy::cast_precision_loss, reason = "below 2^53")]
        // At most fourteen digits that read back as the same double: no shorter text does.
        if thousandths as f64 / 1000.0 != size {
            return None;
        }
        let (whole, fraction) = (Self::natural(thousandths / 1000), thousandths % 1000);
        let trailing = if fraction % 100 == 0 { 2 } else { u8::from(fraction % 10 == 0) };
        let decimals = u128::from(b'.') | u128::from(three(fraction).text) << 8;
        let text = whole.then(decimals, 4 - trailing);
        Some(if value < 0.0 { Self { text: u128::from(b'-'), length: 1 }.then(text.text, text.length) } else { text })
    }
}

/// The digits of a number from 0 to 99,999,999, the first one in the lowest byte, and how many they are; bytes above them
/// are arbitrary.
#[inline(always)]
#[must_use]
pub fn digits(value: i64) -> Option<(u64, u8)> {
    below(value.cast_unsigned())
}

/// What eight digits do not hold.
const LIMIT: u64 = 100_000_000;

/// By thousands; most figures of most objects are 0, or a handful.
#[inline(always)]
fn below(value: u64) -> Option<(u64, u8)> {
    if value < 1000 {
        let first = three(value);
        Some((u64::from(first.text >> first.leading), 3 - first.leading / 8))
    } else if value < 1_000_000 {
        let first = three(value / 1000);
        let text = u64::from(first.text) | u64::from(three(value % 1000).text) << 24;
        Some((text >> first.leading, 6 - first.leading / 8))
    } else if value < LIMIT {
        let first = three(value / 1_000_000);
        // The first of nine is a zero.
        Some((eight(value) >> (first.leading - 8), 9 - first.leading / 8))
    } else {
        None
    }
}

/// Eight digits, those in front zeros.
#[inline(always)]
fn eight(value: u64) -> u64 {
    let (high, low) = (value / 1_000_000, value % 1_000_000);
    u64::from(three(high).text >> 8) | u64::from(three(low / 1000).text) << 16 | u64::from(three(low % 1000).text) << 40
}

/// Three digits.
#[derive(Debug, Clone, Copy)]
struct Three {
    /// The first one lowest; zeros in front are written.
    text: u32,
    /// Bits of zeros in front of the number, its last digit not counted.
    leading: u8,
}

/// The digits of a number below 1000.
#[inline(always)]
fn three(value: u64) -> Three {
    #[expect(clippy::cast_possible_truncation, reason = "below 1024")]
    let packed = THREES[value as usize % THREES.len()];
    Three { text: packed & 0xff_ffff, leading: packed.to_le_bytes()[3] }
}

/// Digits, and in the highest byte the bits of zeros in front; longer than a thousand so that indices need no check.
static THREES: [u32; 1024] = {
    let mut all = [0; 1024];
    let mut value = 0;
    while value < 1000 {
        let digits = (value / 100) | ((value / 10 % 10) << 8) | ((value % 10) << 16);
        let leading = match value {
            0..10 => 16,
            10..100 => 8,
            _ => 0,
        };
        all[value as usize] = digits | 0x30_3030 | leading << 24;
        value += 1;
    }
    all
};

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

    #[test]
    fn all_digits_are_right() {
        for value in (0..100_000_000).step_by(997).chain(99_990_000..100_000_000) {
            assert_eq!(text(Value::Int(value)).unwrap(), value.to_string());
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
        fn fractions_are_written_as_the_language_writes_them(bits in any::<u64>(), exponent in 1000_u64..1080, zeros in 0..50) {
            let value = f64::from_bits(bits >> zeros << zeros & !(0x7ff_u64 << 52) | exponent << 52);
            prop_assert_eq!(text(Value::Float(value)).unwrap(), value.to_string());
        }

        #[test]
        fn every_finite_double_reads_back(value in any::<f64>().prop_filter("finite", |v| v.is_finite())) {
            let text = text(Value::Float(value)).unwrap();
            prop_assert!(!text.contains(['e', 'E', ' ']));
            prop_assert_eq!(text.parse::<f64>().unwrap(), value);
        }
    }

    #[test]
    fn what_is_usual_has_a_text_that_needs_no_formatting() {
        let short = |value: Value| {
            let (bytes, length) = value.short()?.bytes();
            Some(String::from_utf8(bytes[..usize::from(length)].to_vec()).unwrap())
        };
        for value in [0, 7, 42, 999, 1000, 999_999, 1_000_000, 99_999_999, 100_000_000, 9_999_999_999_999_999] {
            assert_eq!(short(Value::Int(value)), Some(value.to_string()));
        }
        for value in [-1, -999_999_999_999_999] {
            assert_eq!(short(Value::Int(value)), Some(value.to_string()));
        }
        for value in [0.5, -0.5, 1.25, 12.3, 0.001, 99_999_999_999.5, -1234.567, 3.0, -3.0] {
            assert_eq!(short(Value::Float(value)), Some(value.to_string()));
        }
        for value in [10_000_000_000_000_000, -1_000_000_000_000_000, i64::MAX, i64::MIN] {
            assert_eq!(short(Value::Int(value)), None);
        }
        for value in [1e11 + 0.5, 1.0 / 3.0, 0.0001, f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 1e300] {
            assert_eq!(short(Value::Float(value)), None);
        }
        for value in [1.0 / 3.0, -1.234_567_890_123_456_7e-5, 0.0001, 1e-5, 4.0 / 3.0, 536_870_911.3] {
            let (bytes, length) = Value::Float(value).fraction().unwrap();
            assert_eq!(std::str::from_utf8(&bytes[..usize::from(length)]), Ok(value.to_string().as_str()));
        }
        // Of the third, two shortest texts are equally near.
        for value in [0.0, 3.0, 4.0 + 1.0 / 131_072.0, 9.999e-6, 1_073_741_824.3, 1e300, f64::NAN, f64::INFINITY] {
            assert_eq!(Value::Float(value).fraction(), None, "{value}");
        }
        assert_eq!((digits(99_999_999).is_some(), digits(100_000_000), digits(-1)), (true, None, None));
    }
}
