//! Packs lines with the same key and time into messages.

use super::object::{Host, Object};
use super::records::key_of;
use crate::batch::messages::{Messages, first_line, whole_lines};
use crate::config::KeyTemplate;
use crate::snapshot::Epoch;
use std::collections::HashMap;

/// Packs lines; a pack that is full is a message.
#[derive(Debug)]
pub(super) struct Packs {
    key: KeyTemplate,
    limit: usize,
    places: HashMap<(Vec<u8>, Epoch), usize, foldhash::fast::RandomState>,
    packs: Vec<(Vec<u8>, Epoch, Vec<u8>)>,
    /// The pack of the present object.
    present: usize,
    messages: Messages,
    /// Bytes in packs that are not full.
    open: usize,
}

impl Packs {
    /// Packs for messages with this key, of at most `limit` bytes; only a single longer line exceeds that.
    pub(super) fn new(key: KeyTemplate, limit: usize) -> Self {
        let (places, packs, messages) = (HashMap::default(), Vec::new(), Messages::default());
        Self { key, limit, places, packs, present: 0, messages, open: 0 }
    }

    /// Discards everything.
    pub(super) fn clear(&mut self) {
        drop(self.take());
    }

    /// The following lines are of this object and time.
    pub(super) fn object(&mut self, object: &Object<'_>, host: &Host, stamp: Epoch) {
        let (packs, key) = (&mut self.packs, key_of(&self.key, object, host));
        self.present = *self.places.entry((key, stamp)).or_insert_with_key(|(key, stamp)| {
            packs.push((key.clone(), *stamp, Vec::new()));
            packs.len() - 1
        });
    }

    /// Adds complete lines. If they do not fit, the pack becomes a message first.
    pub(super) fn add(&mut self, mut lines: &[u8]) {
        let Some((key, stamp, pack)) = self.packs.get_mut(self.present) else { return };
        self.open += lines.len();
        while !lines.is_empty() {
            let room = self.limit.saturating_sub(pack.len());
            let fits = if lines.len() <= room { lines.len() } else { whole_lines(lines, room) };
            if fits == 0 && !pack.is_empty() {
                self.open -= pack.len();
                self.messages.push(key, *stamp, [pack.as_slice()]);
                pack.clear();
                continue;
            }
            // A single line that is longer than the limit becomes a message by itself.
            let taken = if fits == 0 { first_line(lines) } else { fits };
            let (now, later) = lines.split_at(taken.min(lines.len()));
            pack.extend_from_slice(now);
            lines = later;
        }
    }

    /// Bytes of all messages and packs.
    pub(super) fn size(&self) -> usize {
        self.messages.bytes() + self.open
    }

    /// Takes all of it as messages.
    pub(super) fn take(&mut self) -> Messages {
        self.places.clear();
        self.open = 0;
        let mut messages = std::mem::take(&mut self.messages);
        for (key, stamp, pack) in self.packs.drain(..).filter(|(_, _, pack)| !pack.is_empty()) {
            messages.push(&key, stamp, [pack.as_slice()]);
        }
        messages.shrink();
        messages
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::encode::object::ObjectKind;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn packing_breaks_no_line_keeps_the_order_of_a_key_and_the_limit(
            lines in proptest::collection::vec(("[ab]", "[a-z]{0,30}"), 0..60), limit in 1_usize..100,
        ) {
            let mut packs = Packs::new(KeyTemplate::parse("{proxy}").unwrap(), limit);
            for (key, line) in &lines {
                let object = Object { kind: ObjectKind::Backend, proxy: key, name: "" };
                packs.object(&object, &Host::default(), Epoch(1));
                packs.add(format!("{line}\n").as_bytes());
            }
            let size = packs.size();
            let messages = packs.take();
            prop_assert_eq!(packs.size(), 0);
            prop_assert!(messages.bytes() >= size, "keys count once a message");
            for key in ["a", "b"] {
                let expected: String =
                    lines.iter().filter(|(of, _)| of == key).map(|(_, line)| format!("{line}\n")).collect();
                let ours = messages.iter().filter(|message| message.key == key.as_bytes());
                let mut text = String::new();
                for message in ours {
                    let payload = std::str::from_utf8(message.payload).unwrap();
                    prop_assert!(payload.ends_with('\n'));
                    prop_assert!(payload.len() <= limit || payload.lines().count() == 1);
                    text.push_str(payload);
                }
                prop_assert_eq!(text, expected);
            }
        }
    }
}
