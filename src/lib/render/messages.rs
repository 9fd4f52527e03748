//! Messages out of what a [`Recorder`] has noted.
//!
//! | format | a message is | one key has |
//! |---|---|---|
//! | json | the document of one object | a message for each object |
//! | graphite | lines, up to `max-message-size` | a message, or as many as it takes |
//! | influx | lines, up to `max-message-size` | a message, or as many as it takes |
//!
//! An object that was noted in several stretches (the number of a backend's servers comes with the servers) becomes one.

use super::record::{Object, ObjectKind, Record, Recorder};
use super::{influx, json};
use crate::config::{KafkaFormat, KeyTemplate};
use crate::messages::{Messages, first_line, halves, whole_lines};
use crate::snapshot::Epoch;
use std::collections::HashMap;
use std::hash::Hash;

/// How messages are made.
#[derive(Debug, Clone)]
pub struct Shape {
    /// What is in them.
    pub format: KafkaFormat,
    /// Their keys.
    pub key: KeyTemplate,
    /// Most bytes of a payload; only a single line or value that is longer exceeds it.
    pub limit: usize,
}

impl Shape {
    /// The messages of a snapshot, or of a piece of one, whose lines are `text`. Where `more` pieces follow, those that are
    /// one for each snapshot (the document of haproxystats itself) are left to the last.
    #[must_use]
    pub fn messages(&self, recorder: &Recorder, text: &[u8], more: bool) -> Messages {
        let mut messages = Messages::default();
        match self.format {
            KafkaFormat::Json => self.documents(recorder, more, &mut messages),
            KafkaFormat::Influx => self.influx(recorder, more, &mut messages),
            KafkaFormat::Graphite => self.lines(recorder, text, &mut messages),
        }
        messages.shrink();
        messages
    }

    fn key(&self, recorder: &Recorder, record: &Record) -> Vec<u8> {
        let host = recorder.host(record);
        let value = |name: &str| match name {
            "host" => host.map_or("", |host| &host.name),
            "cluster" => host.and_then(|host| host.cluster.as_deref()).unwrap_or_default(),
            "kind" => record.object.kind.word(),
            "proxy" => &*record.object.proxy,
            _ => &*record.object.name,
        };
        self.key.fill(value).into_bytes()
    }

    fn documents(&self, recorder: &Recorder, more: bool, messages: &mut Messages) {
        let mut document = Vec::new();
        for records in objects(recorder, more) {
            let Some((record, host)) = records.first().and_then(|first| Some((*first, recorder.host(first)?))) else {
                continue;
            };
            document.clear();
            json::head(host, &record.object, record.stamp, &mut document);
            records.iter().for_each(|record| document.extend_from_slice(recorder.fields(record)));
            if document.pop_if(|last| *last == b',').is_none() {
                // An object without values.
                continue;
            }
            document.extend_from_slice(json::TAIL);
            self.push_document(&self.key(recorder, record), record.stamp, &document, messages);
        }
    }

    fn push_document(&self, key: &[u8], stamp: Epoch, document: &[u8], messages: &mut Messages) {
        match (document.len() > self.limit).then(|| halves(KafkaFormat::Json, document)).flatten() {
            Some((one, other)) => {
                self.push_document(key, stamp, &one, messages);
                self.push_document(key, stamp, &other, messages);
            }
            None => messages.push(key, stamp, [document]),
        }
    }

    fn influx(&self, recorder: &Recorder, more: bool, messages: &mut Messages) {
        let mut packs = Packs::new(self.limit);
        let mut line = Vec::new();
        for records in objects(recorder, more) {
            let Some((record, host)) = records.first().and_then(|first| Some((*first, recorder.host(first)?))) else {
                continue;
            };
            line.clear();
            influx::head(host, &record.object, &mut line);
            let before = line.len();
            records.iter().for_each(|record| line.extend_from_slice(recorder.fields(record)));
            if line.len() == before {
                continue;
            }
            line.pop();
            line.extend_from_slice(influx::tail(record.stamp).as_bytes());
            packs.add(self.key(recorder, record), record.stamp, &line, messages);
        }
        packs.finish(messages);
    }

    fn lines(&self, recorder: &Recorder, text: &[u8], messages: &mut Messages) {
        let mut packs = Packs::new(self.limit);
        for record in recorder.records() {
            let lines = text.get(record.text.clone()).unwrap_or_default();
            packs.add(self.key(recorder, record), record.stamp, lines, messages);
        }
        packs.finish(messages);
    }
}

/// The records of each object and moment, in the order in which the objects first came; those of haproxystats itself only
/// when no more follow.
fn objects(recorder: &Recorder, more: bool) -> Vec<Vec<&Record>> {
    let complete = |record: &&Record| !more || record.object.kind != ObjectKind::Own;
    grouped(
        recorder.records().iter().filter(complete).map(|record| ((record.host, &record.object, record.stamp), record)),
    )
}

type Identity<'a> = (usize, &'a Object, Epoch);

fn grouped<'a>(records: impl Iterator<Item = (Identity<'a>, &'a Record)>) -> Vec<Vec<&'a Record>> {
    let mut places: HashMap<Identity<'a>, usize, foldhash::fast::RandomState> = HashMap::default();
    let mut objects: Vec<Vec<&Record>> = Vec::new();
    for (identity, record) in records {
        let place = place_of(&mut places, identity, || {
            objects.push(Vec::with_capacity(1));
            objects.len() - 1
        });
        if let Some(object) = objects.get_mut(place) {
            object.push(record);
        }
    }
    objects
}

fn place_of<K: Hash + Eq>(
    places: &mut HashMap<K, usize, foldhash::fast::RandomState>,
    key: K,
    make: impl FnOnce() -> usize,
) -> usize {
    *places.entry(key).or_insert_with(make)
}

/// Packs lines of the same key and moment into messages.
struct Packs {
    limit: usize,
    places: HashMap<(Vec<u8>, Epoch), usize, foldhash::fast::RandomState>,
    packs: Vec<(Vec<u8>, Epoch, Vec<u8>)>,
}

impl Packs {
    fn new(limit: usize) -> Self {
        Self { limit, places: HashMap::default(), packs: Vec::new() }
    }

    /// Adds whole lines; what does not fit any more goes out before.
    fn add(&mut self, key: Vec<u8>, stamp: Epoch, mut lines: &[u8], messages: &mut Messages) {
        let packs = &mut self.packs;
        let place = place_of(&mut self.places, (key.clone(), stamp), || {
            packs.push((key, stamp, Vec::new()));
            packs.len() - 1
        });
        let Some((key, stamp, pack)) = self.packs.get_mut(place) else { return };
        while !lines.is_empty() {
            let room = self.limit.saturating_sub(pack.len());
            let fits = if lines.len() <= room { lines.len() } else { whole_lines(lines, room) };
            if fits == 0 && !pack.is_empty() {
                messages.push(key, *stamp, [pack.as_slice()]);
                pack.clear();
                continue;
            }
            // A single line that is longer than the limit goes by itself.
            let taken = if fits == 0 { first_line(lines) } else { fits };
            let (now, later) = lines.split_at(taken.min(lines.len()));
            pack.extend_from_slice(now);
            lines = later;
        }
    }

    fn finish(self, messages: &mut Messages) {
        for (key, stamp, pack) in self.packs.into_iter().filter(|(_, _, pack)| !pack.is_empty()) {
            messages.push(&key, stamp, [pack.as_slice()]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn shape(format: KafkaFormat, key: &str, limit: usize) -> Shape {
        Shape { format, key: KeyTemplate::parse(key).unwrap(), limit }
    }

    proptest! {
        #[test]
        fn packing_breaks_no_line_keeps_the_order_of_a_key_and_the_limit(
            lines in proptest::collection::vec(("[ab]", "[a-z]{0,30}"), 0..60), limit in 1_usize..100,
        ) {
            let mut messages = Messages::default();
            let mut packs = Packs::new(limit);
            for (key, line) in &lines {
                packs.add(key.clone().into_bytes(), Epoch(1), format!("{line}\n").as_bytes(), &mut messages);
            }
            packs.finish(&mut messages);
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

    #[test]
    fn what_was_noted_apart_becomes_one_and_what_is_too_large_becomes_several() {
        use super::super::record::Host;
        use crate::value::Value;
        let mut recorder = Recorder::new(KafkaFormat::Json, Host { name: "h".into(), cluster: None });
        let backend = || Object::named(ObjectKind::Backend, "shop", "");
        recorder.begin(backend(), Epoch(7), 0);
        recorder.field(b"scur", Value::Int(1));
        recorder.field(b"rate", Value::Float(f64::NAN));
        recorder.begin(Object::named(ObjectKind::Server, "shop", "web"), Epoch(7), 3);
        recorder.field(b"scur", Value::Int(2));
        recorder.begin(backend(), Epoch(7), 6);
        recorder.field(b"TotalServers", Value::Int(3));
        recorder.begin(Object::named(ObjectKind::Backend, "idle", ""), Epoch(7), 9);
        recorder.end(9);
        let texts = |limit| -> Vec<String> {
            let messages = shape(KafkaFormat::Json, "{host}/{proxy}", limit).messages(&recorder, b"", false);
            messages
                .iter()
                .map(|message| {
                    assert_eq!(message.key, b"h/shop");
                    String::from_utf8(message.payload.to_vec()).unwrap()
                })
                .collect()
        };
        let whole = [
            r#"{"host":"h","kind":"backend","proxy":"shop","timestamp":7,"fields":{"scur":1,"TotalServers":3}}"#,
            r#"{"host":"h","kind":"server","proxy":"shop","server":"web","timestamp":7,"fields":{"scur":2}}"#,
        ];
        assert_eq!(texts(1000), whole);
        assert_eq!(texts(10).len(), 3);
    }
}
