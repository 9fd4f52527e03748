//! Kafka, `format = json` and `format = influx`: a document, or a line, for each object.
//!
//! | format | a message is | one key has |
//! |---|---|---|
//! | json | the document of one object | a message for each object |
//! | influx | lines, up to `max-message-size` | a message, or as many as it takes |
//!
//! If the values of an object arrive in several turns (the number of a backend's servers arrives with the servers), they are
//! combined.

use super::encoder::Encoder;
use super::object::{Host, Object};
use super::packs::Packs;
use super::records::{Records, key_of};
use super::{influx, json};
use crate::batch::messages::{Messages, halves};
use crate::batch::{Batch, Output};
use crate::config::{Kafka, KafkaFormat, KeyTemplate};
use crate::snapshot::Epoch;
use crate::value::Value;

/// The encoder.
#[derive(Debug)]
pub(super) struct Documents {
    form: Form,
    key: KeyTemplate,
    /// Maximum bytes of a message; only a single longer value exceeds it.
    limit: usize,
    records: Records,
}

/// What an object becomes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    /// A document.
    Json,
    /// A line.
    Influx,
}

impl Documents {
    /// An encoder for `format = json`, with the keys and maximum message size of the configuration.
    pub(super) fn json(config: &Kafka) -> Self {
        Self::with(Form::Json, config.key.clone(), config.max_message_size.get())
    }

    /// The same for `format = influx`.
    pub(super) fn influx(config: &Kafka) -> Self {
        Self { form: Form::Influx, ..Self::json(config) }
    }

    fn with(form: Form, key: KeyTemplate, limit: usize) -> Self {
        Self { form, key, limit, records: Records::default() }
    }

    fn documents(&self, more: bool) -> Messages {
        let mut messages = Messages::default();
        let mut document = Vec::new();
        for (record, host, fields) in self.records.objects(more) {
            document.clear();
            json::head(host, &record.object(), record.stamp, &mut document);
            fields.iter().for_each(|fields| document.extend_from_slice(fields));
            if document.pop_if(|last| *last == b',').is_none() {
                // An object without values.
                continue;
            }
            document.extend_from_slice(json::TAIL);
            let key = key_of(&self.key, &record.object(), host);
            self.push(&key, record.stamp, &document, &mut messages);
        }
        messages
    }

    fn push(&self, key: &[u8], stamp: Epoch, document: &[u8], messages: &mut Messages) {
        match (document.len() > self.limit).then(|| halves(KafkaFormat::Json, document)).flatten() {
            Some((one, other)) => {
                self.push(key, stamp, &one, messages);
                self.push(key, stamp, &other, messages);
            }
            None => messages.push(key, stamp, [document]),
        }
    }

    fn lines(&self, more: bool) -> Messages {
        let mut packs = Packs::new(self.key.clone(), self.limit);
        let mut line = Vec::new();
        for (record, host, fields) in self.records.objects(more) {
            line.clear();
            influx::head(host, &record.object(), &mut line);
            let before = line.len();
            fields.iter().for_each(|fields| line.extend_from_slice(fields));
            if line.len() == before {
                continue;
            }
            line.pop();
            line.extend_from_slice(influx::tail(record.stamp).as_bytes());
            packs.object(&record.object(), host, record.stamp);
            packs.add(&line);
        }
        packs.take()
    }
}

impl Encoder for Documents {
    fn begin(&mut self) {
        self.records.clear();
    }

    fn object(&mut self, object: &Object<'_>, host: &Host, stamp: Epoch) {
        self.records.begin(object, host, stamp);
    }

    fn field(&mut self, name: &[u8], value: Value) {
        self.records.field(|fields| match self.form {
            Form::Influx => influx::field(name, value, fields),
            Form::Json => json::field(name, value, fields),
        });
    }

    fn takes_clusters(&self) -> bool {
        false
    }

    fn takes_lines(&self) -> bool {
        false
    }

    fn size(&self) -> usize {
        self.records.size()
    }

    fn take(&mut self, batch: &Batch) -> Vec<(Output, Batch)> {
        let mut messages = match self.form {
            Form::Json => self.documents(batch.more),
            Form::Influx => self.lines(batch.more),
        };
        messages.shrink();
        self.records.turn();
        vec![(Output::Kafka, Batch { messages, ..batch.clone() })]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::encode::object::ObjectKind;

    #[test]
    fn what_comes_apart_becomes_one_and_what_is_too_large_becomes_several() {
        let host = Host { name: "h".into(), cluster: None };
        let texts = |limit| -> Vec<String> {
            let key = KeyTemplate::parse("{host}/{proxy}").unwrap();
            let mut documents = Documents::with(Form::Json, key, limit);
            let backend = Object { kind: ObjectKind::Backend, proxy: "shop", name: "" };
            documents.object(&backend, &host, Epoch(7));
            documents.field(b"scur", Value::Int(1));
            documents.field(b"rate", Value::Float(f64::NAN));
            documents.object(&Object { kind: ObjectKind::Server, name: "web", ..backend }, &host, Epoch(7));
            documents.field(b"scur", Value::Int(2));
            documents.object(&backend, &host, Epoch(7));
            documents.field(b"TotalServers", Value::Int(3));
            documents.object(&Object { proxy: "idle", ..backend }, &host, Epoch(7));
            let batches = documents.take(&Batch::default());
            let message = |message: crate::batch::messages::Message<'_>| {
                assert_eq!(message.key, b"h/shop");
                String::from_utf8(message.payload.to_vec()).unwrap()
            };
            batches.iter().flat_map(|(_, batch)| batch.messages.iter()).map(message).collect()
        };
        let whole = [
            r#"{"host":"h","kind":"backend","proxy":"shop","timestamp":7,"fields":{"scur":1,"TotalServers":3}}"#,
            r#"{"host":"h","kind":"server","proxy":"shop","server":"web","timestamp":7,"fields":{"scur":2}}"#,
        ];
        assert_eq!(texts(1000), whole);
        assert_eq!(texts(10).len(), 3);
    }
}
