//! Short constant parts of lines. Copying a fixed number of sixteen bytes is one instruction, while copying a length that is only
//! known at run time is a function call; a line has four parts, and a snapshot hundreds of thousands of lines.

/// Length of a fixed copy; longer parts are copied differently.
const HEAD: usize = 16;

/// A part of a line, created once and copied often.
#[derive(Debug, Clone)]
pub struct ShortBytes {
    head: [u8; HEAD],
    length: u8,
    /// The whole part if it is longer than the head, which is then unused.
    long: Box<[u8]>,
}

/// A short part, padded to a fixed length.
#[derive(Debug, Clone, Copy)]
pub struct Head<'a> {
    /// The text, followed by padding.
    pub bytes: &'a [u8; HEAD],
    /// Length of the text.
    pub length: u8,
}

impl ShortBytes {
    /// Prepares `text` for copying.
    #[must_use]
    pub fn new(text: &[u8]) -> Self {
        let mut head = [0; HEAD];
        match (head.get_mut(..text.len()), u8::try_from(text.len())) {
            (Some(short), Ok(length)) => {
                short.copy_from_slice(text);
                Self { head, length, long: Box::default() }
            }
            _ => Self { head, length: u8::MAX, long: text.into() },
        }
    }

    /// The padded part; `None` if it is longer.
    #[inline(always)]
    #[must_use]
    pub fn head(&self) -> Option<Head<'_>> {
        (usize::from(self.length) <= HEAD).then_some(Head { bytes: &self.head, length: self.length })
    }

    fn text(&self) -> &[u8] {
        self.head.get(..usize::from(self.length)).unwrap_or(&self.long)
    }

    /// The text without the blank at its end.
    #[must_use]
    pub fn word(&self) -> &[u8] {
        self.text().strip_suffix(b" ").unwrap_or(self.text())
    }

    /// Appends the part.
    pub fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.text());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_went_in_comes_out(texts in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..40), 0..5)) {
            let mut out = Vec::new();
            texts.iter().for_each(|text| ShortBytes::new(text).write(&mut out));
            prop_assert_eq!(out, texts.concat());
        }
    }
}
