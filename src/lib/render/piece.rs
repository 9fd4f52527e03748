//! Short constant parts of lines. A copy of a fixed sixteen bytes is one instruction, where a copy of a length that is known
//! only at run time is a function call; a line has four parts, and a snapshot hundreds of thousands of lines.

/// A part of a line, made once and copied often.
#[derive(Debug, Clone)]
pub struct Piece {
    head: [u8; 16],
    length: usize,
    /// All of it where it is longer than the head.
    long: Box<[u8]>,
}

impl Piece {
    /// Prepares `text` for copying.
    #[must_use]
    pub fn new(text: &[u8]) -> Self {
        let mut head = [0; 16];
        let short = head.get_mut(..text.len());
        let long = match short {
            Some(short) => {
                short.copy_from_slice(text);
                Box::default()
            }
            None => text.into(),
        };
        Self { head, length: text.len(), long }
    }

    /// Its bytes at a fixed length, and how many of them count; `None` when it is longer.
    #[inline(always)]
    #[must_use]
    pub fn head(&self) -> Option<(&[u8; 16], usize)> {
        (self.length <= self.head.len()).then_some((&self.head, self.length))
    }

    /// Its text without the blank that ends it.
    #[must_use]
    pub fn word(&self) -> &[u8] {
        let text = self.head.get(..self.length).unwrap_or(&self.long);
        text.strip_suffix(b" ").unwrap_or(text)
    }

    /// Appends it.
    pub fn write(&self, out: &mut Vec<u8>) {
        let head = self.head.get(..self.length);
        out.extend_from_slice(head.unwrap_or(&self.long));
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
            texts.iter().for_each(|text| Piece::new(text).write(&mut out));
            prop_assert_eq!(out, texts.concat());
        }
    }
}
