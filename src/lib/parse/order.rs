//! Which object a row is of, without looking its names up: rows come in the same order in the files of all processes and
//! in every snapshot, so that the object of a row is nearly always the one that followed the same row before.

use crate::haproxy::columns::Kind;
use crate::haproxy::per_kind::PerKind;

/// An object and how its row begins.
#[derive(Debug, Clone, Default)]
struct Seen {
    /// The names as HAProxy wrote them, with the comma between them; empty when the object was not seen.
    names: Box<[u8]>,
    /// What followed the last time.
    next: Option<(Kind, u32)>,
}

/// Remembers what follows what.
#[derive(Debug, Default)]
pub(crate) struct Order {
    /// By kind, and by the number of the object.
    seen: PerKind<Vec<Seen>>,
    last: Option<(Kind, u32)>,
}

impl Order {
    /// Forgets everything, as when names get other numbers.
    pub(crate) fn clear(&mut self) {
        *self = Self::default();
    }

    /// Begins a file.
    pub(crate) fn begin(&mut self) {
        self.last = None;
    }

    /// The number of the object of this kind whose row begins with these names, if it is the expected one.
    #[inline]
    pub(crate) fn expected(&mut self, kind: Kind, names: &[u8]) -> Option<u32> {
        let (last, key) = self.last?;
        let (expected, key) = self.seen[last].get(key as usize)?.next?;
        let seen = self.seen[expected].get(key as usize)?;
        (expected == kind && *seen.names == *names).then(|| {
            self.last = Some((kind, key));
            key
        })
    }

    /// Goes on from an object that was found by its names, and notes nothing: for files that leave objects out.
    pub(crate) fn go_on(&mut self, kind: Kind, key: u32) {
        self.last = Some((kind, key));
    }

    /// Notes the object that came instead of the expected one.
    pub(crate) fn note(&mut self, kind: Kind, key: u32, names: &[u8]) {
        let seen = &mut self.seen[kind];
        let index = key as usize;
        if seen.len() <= index {
            seen.resize_with(index + 1, Seen::default);
        }
        if let Some(seen) = seen.get_mut(index)
            && *seen.names != *names
        {
            seen.names = names.into();
        }
        if let Some((kind_before, key_before)) = self.last
            && let Some(before) = self.seen[kind_before].get_mut(key_before as usize)
        {
            before.next = Some((kind, key));
        }
        self.last = Some((kind, key));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_followed_before_is_expected() {
        let mut order = Order::default();
        for _ in 0..2 {
            order.begin();
            for (key, names) in [(3, b"a,FRONTEND".as_slice()), (5, b"b,FRONTEND")] {
                order.note(Kind::Frontend, key, names);
            }
            order.note(Kind::Server, 5, b"b,s");
        }
        order.begin();
        assert_eq!(order.expected(Kind::Frontend, b"a,FRONTEND"), None, "nothing stands before the first row");
        order.note(Kind::Frontend, 3, b"a,FRONTEND");
        assert_eq!(order.expected(Kind::Backend, b"b,FRONTEND"), None);
        assert_eq!(order.expected(Kind::Frontend, b"b,FRONTEND2"), None);
        assert_eq!(order.expected(Kind::Frontend, b"b,FRONTEND"), Some(5));
        assert_eq!(order.expected(Kind::Server, b"b,s"), Some(5));
        order.clear();
        assert_eq!(order.expected(Kind::Server, b"b,s"), None);
    }

    #[test]
    fn another_spelling_of_the_same_object_is_looked_up() {
        let mut order = Order::default();
        for names in [b"a.b,x".as_slice(), b"a_b,x"] {
            order.begin();
            order.note(Kind::Server, 0, b"first");
            order.note(Kind::Server, 1, names);
        }
        order.begin();
        order.note(Kind::Server, 0, b"first");
        assert_eq!(order.expected(Kind::Server, b"a.b,x"), None);
        assert_eq!(order.expected(Kind::Server, b"a_b,x"), Some(1));
    }
}
