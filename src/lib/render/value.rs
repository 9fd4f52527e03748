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
    #[inline]
    pub fn write(self, out: &mut Vec<u8>) -> bool {
        match self {
            // Most figures of most objects are 0, or a handful.
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "one digit")]
            Self::Int(value @ 0..=9) => out.push(b'0' + value as u8),
            Self::Int(value) => out.extend_from_slice(itoa::Buffer::new().format(value).as_bytes()),
            Self::Float(value) if !value.is_finite() => return false,
            // Whole doubles below 2^53 are integers without a fraction; "3.0" says no more than "3".
            #[expect(clippy::cast_possible_truncation, reason = "whole, and in range")]
            Self::Float(value) if value.fract() == 0.0 && value.abs() < 9_007_199_254_740_992.0 => {
                out.extend_from_slice(itoa::Buffer::new().format(value as i64).as_bytes());
            }
            Self::Float(value) => {
                use std::io::Write;
                // The shortest text that reads back as the same double, without an exponent. Writing to a vector
                // cannot fail.
                let _ = write!(out, "{value}");
            }
        }
        true
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
        fn every_finite_double_reads_back(value in any::<f64>().prop_filter("finite", |v| v.is_finite())) {
            let text = text(Value::Float(value)).unwrap();
            prop_assert!(!text.contains(['e', 'E', ' ']));
            prop_assert_eq!(text.parse::<f64>().unwrap(), value);
        }
    }
}
