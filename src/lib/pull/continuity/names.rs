//! The names (keys) of objects, and the number of each. Names are stored once, one after the other, since there may be tens of
//! thousands.

use foldhash::quality::FixedState;
use std::collections::HashMap;
use std::hash::BuildHasher;

/// Numbers of names.
#[derive(Debug, Default)]
pub(super) struct Names {
    text: Vec<u8>,
    /// Where each name ends.
    ends: Vec<u32>,
    /// Numbers by hash; if the hash of a name is taken by another one, the name is at the next free one.
    numbers: HashMap<u64, u32, foldhash::fast::FixedState>,
}

impl Names {
    /// The name of a number.
    pub(super) fn get(&self, number: u32) -> Option<&[u8]> {
        let index = number as usize;
        let start = index.checked_sub(1).map_or(Some(0), |before| self.ends.get(before).copied())?;
        self.text.get(start as usize..*self.ends.get(index)? as usize)
    }

    /// The number of a name, if it has one.
    pub(super) fn find(&self, name: &[u8]) -> Option<u32> {
        self.look_for(name).ok()
    }

    /// The number of a name; a new name gets one.
    pub(super) fn number(&mut self, name: &[u8]) -> u32 {
        let hash = match self.look_for(name) {
            Ok(number) => return number,
            Err(hash) => hash,
        };
        let number = u32::try_from(self.ends.len()).unwrap_or(u32::MAX);
        self.text.extend_from_slice(name);
        self.ends.push(u32::try_from(self.text.len()).unwrap_or(u32::MAX));
        self.numbers.insert(hash, number);
        number
    }

    /// The number of a name, or the hash under which to store it.
    fn look_for(&self, name: &[u8]) -> Result<u32, u64> {
        let mut hash = FixedState::with_seed(0).hash_one(name);
        loop {
            match self.numbers.get(&hash).copied() {
                Some(number) if self.get(number) == Some(name) => return Ok(number),
                Some(_) => hash = hash.wrapping_add(1),
                None => return Err(hash),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_keeps_its_number() {
        let mut names = Names::default();
        for round in 0..2 {
            for number in 0..1000 {
                assert_eq!(names.number(format!("server-{number}").as_bytes()), number, "round {round}");
            }
        }
        assert_eq!(names.get(7), Some(&b"server-7"[..]));
        assert_eq!(names.get(1000), None);
        assert_eq!(names.find(b""), None);
        assert_eq!(names.number(b""), 1000);
        assert_eq!((names.find(b""), names.find(b"server-7")), (Some(1000), Some(7)));
    }
}
