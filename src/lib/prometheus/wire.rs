//! Protobuf's wire format, as far as requests need it: fields that are numbers, and fields that are bytes.

/// Bytes of the longest number.
const LONGEST: usize = 10;

/// What a field holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wire<'a> {
    /// A number of variable length.
    Varint(u64),
    /// Eight bytes.
    Fixed64(u64),
    /// Four bytes.
    Fixed32(u32),
    /// A text, a message, or packed numbers.
    Bytes(&'a [u8]),
}

/// Appends a number of variable length.
#[inline]
pub(crate) fn varint(mut number: u64, out: &mut Vec<u8>) {
    while number >= 0x80 {
        out.push(number.to_le_bytes()[0] | 0x80);
        number >>= 7;
    }
    out.push(number.to_le_bytes()[0]);
}

/// How many bytes a number takes.
#[inline]
#[must_use]
pub(crate) const fn varint_len(number: u64) -> usize {
    (64 - (number | 1).leading_zeros() as usize).div_ceil(7)
}

/// How many bytes a field below 16 takes that holds so many bytes.
#[inline]
#[must_use]
pub(crate) const fn bytes_len(length: usize) -> usize {
    1 + varint_len(length as u64) + length
}

/// Appends the beginning of a field below 16 that holds so many bytes.
#[inline]
pub(crate) fn begin_bytes(field: u8, length: usize, out: &mut Vec<u8>) {
    out.push(field << 3 | 2);
    varint(length as u64, out);
}

/// Appends a field that holds bytes.
pub fn bytes(field: u8, content: &[u8], out: &mut Vec<u8>) {
    begin_bytes(field, content.len(), out);
    out.extend_from_slice(content);
}

/// Appends a field that holds a number of variable length.
pub fn number(field: u8, value: u64, out: &mut Vec<u8>) {
    out.push(field << 3);
    varint(value, out);
}

/// Appends a field that holds eight bytes.
pub(crate) fn fixed64(field: u8, value: u64, out: &mut Vec<u8>) {
    out.push(field << 3 | 1);
    out.extend_from_slice(&value.to_le_bytes());
}

/// The fields of a message, one after the other; `None` in the place of one that is not whole, and nothing after that.
#[derive(Debug, Clone)]
pub struct Fields<'a> {
    rest: &'a [u8],
    broken: bool,
}

impl<'a> Fields<'a> {
    /// Those of this message.
    #[must_use]
    pub fn new(message: &'a [u8]) -> Self {
        Self { rest: message, broken: false }
    }

    #[inline]
    fn varint(&mut self) -> Option<u64> {
        if let Some((byte @ 0..0x80, rest)) = self.rest.split_first() {
            self.rest = rest;
            return Some(u64::from(*byte));
        }
        let mut number = 0_u64;
        for place in 0..LONGEST {
            let (byte, rest) = self.rest.split_first()?;
            self.rest = rest;
            number |= u64::from(byte & 0x7f).checked_shl(u32::try_from(7 * place).ok()?)?;
            if byte & 0x80 == 0 {
                return Some(number);
            }
        }
        None
    }

    #[inline]
    fn field(&mut self) -> Option<(u64, Wire<'a>)> {
        let key = self.varint()?;
        let content = match key & 7 {
            0 => Wire::Varint(self.varint()?),
            1 => Wire::Fixed64(u64::from_le_bytes(*self.chunk()?)),
            2 => {
                let length = usize::try_from(self.varint()?).ok()?;
                let (content, rest) = self.rest.split_at_checked(length)?;
                self.rest = rest;
                Wire::Bytes(content)
            }
            5 => Wire::Fixed32(u32::from_le_bytes(*self.chunk()?)),
            _ => return None,
        };
        Some((key >> 3, content))
    }

    fn chunk<const N: usize>(&mut self) -> Option<&'a [u8; N]> {
        let (chunk, rest) = self.rest.split_first_chunk()?;
        self.rest = rest;
        Some(chunk)
    }
}

impl<'a> Iterator for Fields<'a> {
    type Item = Option<(u64, Wire<'a>)>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.broken || self.rest.is_empty() {
            return None;
        }
        let field = self.field();
        self.broken = field.is_none();
        Some(field)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_was_written_is_read(values in proptest::collection::vec((1_u8..16, any::<u64>(), 0_u32..64), 0..10)) {
            let mut out = Vec::new();
            let mut expected = Vec::new();
            for (field, value, shift) in &values {
                let value = value >> shift;
                let text = value.to_string();
                let before = out.len();
                number(*field, value, &mut out);
                prop_assert_eq!(out.len() - before, 1 + varint_len(value));
                fixed64(*field, value, &mut out);
                let before = out.len();
                bytes(*field, text.as_bytes(), &mut out);
                prop_assert_eq!(out.len() - before, bytes_len(text.len()));
                expected.push((u64::from(*field), value, text));
            }
            let read: Vec<_> = Fields::new(&out).map(Option::unwrap).collect();
            let written: Vec<_> = expected.iter().flat_map(|(field, value, text)| {
                [(*field, Wire::Varint(*value)), (*field, Wire::Fixed64(*value)), (*field, Wire::Bytes(text.as_bytes()))]
            }).collect();
            prop_assert_eq!(read, written);
        }

        #[test]
        fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = Fields::new(&bytes).count();
        }
    }
}
