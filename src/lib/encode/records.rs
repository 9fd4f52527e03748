//! The values of objects, until they become messages.

use super::object::{Host, Object, ObjectKind};
use crate::config::KeyTemplate;
use crate::snapshot::Epoch;
use std::collections::HashMap;
use std::ops::Range;

/// The values that one object got at a time.
#[derive(Debug)]
pub(super) struct Record {
    kind: ObjectKind,
    proxy: Box<str>,
    name: Box<str>,
    host: usize,
    /// The time of its values.
    pub(super) stamp: Epoch,
    fields: Range<usize>,
}

impl Record {
    pub(super) fn object(&self) -> Object<'_> {
        Object { kind: self.kind, proxy: &self.proxy, name: &self.name }
    }
}

/// All records since they were last turned into messages.
#[derive(Debug, Default)]
pub(super) struct Records {
    hosts: Vec<Host>,
    records: Vec<Record>,
    fields: Vec<u8>,
}

impl Records {
    pub(super) fn clear(&mut self) {
        self.hosts.clear();
        self.records.clear();
        self.fields.clear();
    }

    /// The following values are those of `object`.
    pub(super) fn begin(&mut self, object: &Object<'_>, host: &Host, stamp: Epoch) {
        // Usually the host of the previous object.
        let host = self.hosts.iter().rposition(|known| known == host).unwrap_or_else(|| {
            self.hosts.push(host.clone());
            self.hosts.len() - 1
        });
        let start = self.fields.len();
        let (proxy, name) = (object.proxy.into(), object.name.into());
        self.records.push(Record { kind: object.kind, proxy, name, host, stamp, fields: start..start });
    }

    /// Adds a value of the present object. `write` appends it, followed by a comma, or returns false if there is nothing to
    /// write.
    pub(super) fn field(&mut self, write: impl FnOnce(&mut Vec<u8>) -> bool) {
        let before = self.fields.len();
        if !write(&mut self.fields) {
            self.fields.truncate(before);
        }
        if let Some(last) = self.records.last_mut() {
            last.fields.end = self.fields.len();
        }
    }

    /// Bytes of values.
    pub(super) fn size(&self) -> usize {
        self.fields.len()
    }

    /// Forgets everything that has become messages, which is all except what [`Records::objects`] leaves for the last piece.
    pub(super) fn turn(&mut self) {
        let fields = std::mem::take(&mut self.fields);
        self.records.retain(|record| record.kind == ObjectKind::Own);
        for record in &mut self.records {
            let start = self.fields.len();
            self.fields.extend_from_slice(fields.get(record.fields.clone()).unwrap_or_default());
            record.fields = start..self.fields.len();
        }
    }

    /// Each object and time, in the order in which objects first occurred, with its host and its values. haproxystats itself is
    /// only included if no more pieces follow.
    pub(super) fn objects(&self, more: bool) -> Vec<(&Record, &Host, Vec<&[u8]>)> {
        let mut places: HashMap<(usize, Object<'_>, Epoch), usize, foldhash::fast::RandomState> = HashMap::default();
        let mut objects: Vec<(&Record, &Host, Vec<&[u8]>)> = Vec::new();
        for record in self.records.iter().filter(|record| !more || record.kind != ObjectKind::Own) {
            let Some(host) = self.hosts.get(record.host) else { continue };
            let place = *places.entry((record.host, record.object(), record.stamp)).or_insert_with(|| {
                objects.push((record, host, Vec::with_capacity(1)));
                objects.len() - 1
            });
            if let Some((.., fields)) = objects.get_mut(place) {
                fields.push(self.fields.get(record.fields.clone()).unwrap_or_default());
            }
        }
        objects
    }
}

/// The key of an object's messages.
pub(super) fn key_of(template: &KeyTemplate, object: &Object<'_>, host: &Host) -> Vec<u8> {
    let value = |name: &str| match name {
        "host" => &host.name,
        "cluster" => host.cluster.as_deref().unwrap_or_default(),
        "kind" => object.kind.word(),
        "proxy" => object.proxy,
        _ => object.name,
    };
    template.fill(value).into_bytes()
}
