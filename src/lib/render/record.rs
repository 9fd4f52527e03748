//! Objects with their values, for destinations that want those in place of lines. Off, this costs a comparison an object.
//!
//! While lines are rendered, a [`Recorder`] takes note of which object each stretch of them belongs to, and writes down its
//! values in the words of the format that is wanted. What becomes of that is up to [`super::messages`].

use super::{influx, json};
use crate::config::KafkaFormat;
use crate::snapshot::Epoch;
use crate::value::Value;
use std::ops::Range;

/// What an object is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ObjectKind {
    /// All processes of HAProxy on a host.
    Daemon,
    /// One of them.
    Process,
    /// A frontend.
    Frontend,
    /// A backend.
    Backend,
    /// A server in its backend.
    Server,
    /// A server over all backends (`aggr-server-metrics`).
    ServerTotal,
    /// haproxystats itself.
    Own,
}

impl ObjectKind {
    /// The word for it in messages.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Daemon => "daemon",
            Self::Process => "process",
            Self::Frontend => "frontend",
            Self::Backend => "backend",
            Self::Server => "server",
            Self::ServerTotal => "server-total",
            Self::Own => "haproxystats",
        }
    }
}

/// What values belong to. Names are HAProxy's own, not path elements.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Object {
    /// What it is.
    pub kind: ObjectKind,
    /// The frontend or backend; empty where there is none.
    pub proxy: Box<str>,
    /// The server, or the process; empty where there is none.
    pub name: Box<str>,
}

impl Object {
    /// An object without names.
    #[must_use]
    pub fn unnamed(kind: ObjectKind) -> Self {
        Self { kind, proxy: Box::default(), name: Box::default() }
    }

    /// With these names.
    #[must_use]
    pub fn named(kind: ObjectKind, proxy: &str, name: &str) -> Self {
        Self { kind, proxy: proxy.into(), name: name.into() }
    }
}

/// What was rendered for one object in one go.
#[derive(Debug)]
pub struct Record {
    /// Which object.
    pub object: Object,
    /// Which of the hosts that the [`Recorder`] knows.
    pub host: usize,
    /// The moment that its values are of.
    pub stamp: Epoch,
    /// Its lines in the text.
    pub text: Range<usize>,
    fields: Range<usize>,
}

/// A host, and the cluster that it is part of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Host {
    /// Its name.
    pub name: String,
    /// The cluster's.
    pub cluster: Option<String>,
}

/// Takes notes.
#[derive(Debug)]
pub struct Recorder {
    format: KafkaFormat,
    hosts: Vec<Host>,
    /// The host that objects are of at present.
    host: usize,
    records: Vec<Record>,
    fields: Vec<u8>,
    /// Whether the last record goes on.
    open: bool,
}

impl Recorder {
    /// For values in this format; objects are of this host until another one is named.
    #[must_use]
    pub fn new(format: KafkaFormat, host: Host) -> Self {
        Self { format, hosts: vec![host], host: 0, records: Vec::new(), fields: Vec::new(), open: false }
    }

    /// Forgets everything but the first host.
    pub fn clear(&mut self) {
        self.records.clear();
        self.fields.clear();
        self.hosts.truncate(1);
        (self.host, self.open) = (0, false);
    }

    /// From now on objects are of this host.
    pub fn on_host(&mut self, host: &Host) {
        let known = self.hosts.iter().position(|known| known == host);
        self.host = known.unwrap_or_else(|| {
            self.hosts.push(host.clone());
            self.hosts.len() - 1
        });
    }

    /// From now on, where the text is so long already, lines and values are those of `object`.
    pub fn begin(&mut self, object: Object, stamp: Epoch, text: usize) {
        self.end(text);
        let fields = self.fields.len();
        self.records.push(Record { object, host: self.host, stamp, text: text..text, fields: fields..fields });
        self.open = true;
    }

    /// A value of the present object; nothing when it is not finite.
    pub fn field(&mut self, name: &[u8], value: Value) {
        let before = self.fields.len();
        let written = match self.format {
            KafkaFormat::Json => json::field(name, value, &mut self.fields),
            KafkaFormat::Influx => influx::field(name, value, &mut self.fields),
            KafkaFormat::Graphite => false,
        };
        if !written {
            self.fields.truncate(before);
        }
    }

    /// The text is so long, and what comes now is of no object.
    pub fn end(&mut self, text: usize) {
        if let Some(last) = self.records.last_mut().filter(|_| self.open) {
            (last.text.end, last.fields.end) = (text, self.fields.len());
        }
        self.open = false;
    }

    /// Forgets what has become messages, for a text that begins anew.
    pub fn turn(&mut self) {
        let fields = std::mem::take(&mut self.fields);
        let own = |record: &Record| record.object.kind == ObjectKind::Own && self.format != KafkaFormat::Graphite;
        self.records.retain(own);
        for record in &mut self.records {
            let start = self.fields.len();
            self.fields.extend_from_slice(fields.get(record.fields.clone()).unwrap_or_default());
            (record.text, record.fields) = (0..0, start..self.fields.len());
        }
        self.open = false;
    }

    /// All notes in order; to be called after [`Recorder::end`].
    #[must_use]
    pub fn records(&self) -> &[Record] {
        &self.records
    }

    /// The values of a record, each followed by a comma.
    #[must_use]
    pub fn fields(&self, record: &Record) -> &[u8] {
        self.fields.get(record.fields.clone()).unwrap_or_default()
    }

    /// The host of a record.
    #[must_use]
    pub fn host(&self, record: &Record) -> Option<&Host> {
        self.hosts.get(record.host)
    }
}
