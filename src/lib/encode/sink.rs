//! Takes objects and their values, and creates the bytes for every destination from them.
//!
//! Plaintext lines are written directly, since the usual setup, a single Graphite, needs nothing else. Encoders, if there are
//! any, get object by object.

use super::encoder::Encoder;
use super::graphite::{self, Graphite};
use super::line::{Lines, ObjectLines};
use super::object::{Host, Object, ObjectKind};
use super::prefix::{Prefix, Prefixes};
use super::unchanged::Unchanged;
use super::{encoders, is_plaintext_wanted};
use crate::batch::{Batch, Output, Piece};
use crate::config::{self, Config, KafkaFormat};
use crate::latency::histogram::Histogram;
use crate::snapshot::Epoch;
use crate::telemetry::Definition;
use crate::value::Value;
use std::time::Duration;

/// What was left out because of the `skip-` and `send-unchanged-every` options.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Skipped {
    /// Servers that are unused slots.
    pub slots: u64,
    /// Lines of counters that are 0.
    pub zeros: u64,
    /// Lines of values that have not changed.
    pub unchanged: u64,
}

/// See the module.
#[derive(Debug)]
pub struct Sink {
    lines: Lines,
    encoders: Vec<Box<dyn Encoder>>,
    unchanged: Option<Unchanged>,
    /// Whether some destination takes plaintext lines.
    plain: bool,
    /// Whether a destination takes the files of the snapshot.
    files: bool,
    /// Whether plaintext lines are the only output, and none is left out: they are written in the fastest way then.
    only_plain: bool,
    /// Whether lines are needed, to be written or to be compared.
    takes_lines: bool,
    host: Host,
    stamp: Epoch,
    /// Whether the present objects are those of a cluster.
    clusters: bool,
    /// Whether the present objects no longer exist: only encoders get those.
    ended: bool,
    /// Number of lines, if [`Lines`] does not count them.
    count: usize,
    /// Number of pieces that were taken, and of the lines in them.
    taken: (usize, usize),
    epoch: Epoch,
    /// Whether the snapshot is on disk and can be rendered again.
    on_disk: bool,
    /// The text of the current value; kept to reuse its memory.
    text: Vec<u8>,
    /// What was left out so far.
    pub skipped: Skipped,
}

impl Sink {
    /// A sink for the destinations of this configuration. `unchanged` leaves out lines whose values have not changed;
    /// destinations that take messages still get them.
    #[must_use]
    pub fn new(config: &Config, unchanged: Option<Unchanged>) -> Self {
        let snapshots = config.kafka.as_ref().is_some_and(|kafka| kafka.format == KafkaFormat::Snapshot);
        let files = config.archive.is_some() || snapshots;
        Self { files, ..Self::with(is_plaintext_wanted(config), encoders(config), unchanged) }
    }

    /// A sink for plaintext lines, and for whatever else this configuration requires.
    #[must_use]
    pub fn plaintext(config: &Config) -> Self {
        Self::with(true, encoders(config), None)
    }

    /// A sink with only this encoder.
    #[must_use]
    pub fn only(encoder: Box<dyn Encoder>) -> Self {
        Self::with(false, vec![encoder], None)
    }

    /// A sink for the servers of a program that only sends reports about itself.
    #[must_use]
    pub fn reports(config: &config::Graphite) -> Self {
        let plain = graphite::is_plaintext(config);
        let encoders: Vec<Box<dyn Encoder>> = if plain { Vec::new() } else { vec![Box::new(Graphite::new(config))] };
        Self { on_disk: false, ..Self::with(plain, encoders, None) }
    }

    fn with(plain: bool, encoders: Vec<Box<dyn Encoder>>, unchanged: Option<Unchanged>) -> Self {
        let encoded = encoders.iter().any(|encoder| encoder.takes_lines());
        let only_plain = plain && unchanged.is_none() && !encoded;
        let takes_lines = plain || encoded || unchanged.is_some();
        Self {
            lines: Lines::new(Vec::new(), Epoch(0)),
            encoders,
            unchanged,
            plain,
            files: false,
            only_plain,
            takes_lines,
            host: Host::default(),
            stamp: Epoch(0),
            clusters: false,
            ended: false,
            count: 0,
            taken: (0, 0),
            epoch: Epoch(0),
            on_disk: true,
            text: Vec::new(),
            skipped: Skipped::default(),
        }
    }

    /// Whether no destination needs metrics from a snapshot.
    #[must_use]
    pub(crate) fn is_idle(&self) -> bool {
        !self.plain && self.encoders.is_empty()
    }

    /// Begins a snapshot, and discards what is left of another one. Lines are written to `buffer`, which must be empty.
    pub fn begin(&mut self, epoch: Epoch, buffer: Vec<u8>) {
        self.lines = Lines::new(buffer, epoch);
        self.encoders.iter_mut().for_each(|encoder| encoder.begin());
        (self.epoch, self.stamp, self.clusters, self.ended) = (epoch, epoch, false, false);
        (self.count, self.taken, self.skipped) = (0, (0, 0), Skipped::default());
    }

    /// Leaves out lines that have not changed since `before`, the newest snapshot that any worker was given before this one.
    pub fn compare(&mut self, before: Option<Epoch>) {
        if let Some(unchanged) = &mut self.unchanged {
            unchanged.begin(self.epoch, before);
        }
    }

    /// Ends the snapshot, so that the next one can be compared with it.
    pub fn end(&mut self) {
        if let Some(unchanged) = &mut self.unchanged {
            unchanged.end();
        }
    }

    /// Sends the next snapshot in full.
    pub fn forget(&mut self) {
        if let Some(unchanged) = &mut self.unchanged {
            unchanged.forget();
        }
    }

    /// The following objects are of this host.
    pub fn host(&mut self, host: &Host) {
        if self.host != *host {
            self.host.clone_from(host);
        }
    }

    /// The following values are of this time.
    pub fn stamp(&mut self, stamp: Epoch) {
        if self.stamp != stamp {
            self.stamp = stamp;
            self.lines.stamp(stamp);
        }
    }

    /// Whether the following objects are those of a cluster, which is a host without a name. Destinations that roll up by
    /// themselves only get hosts.
    pub fn clusters(&mut self, clusters: bool) {
        self.clusters = clusters;
        self.encoders.iter_mut().for_each(|encoder| encoder.clusters(clusters));
    }

    /// The following counters have counted since this time, if it is known.
    pub fn since(&mut self, start: Option<Epoch>) {
        self.encoders.iter_mut().for_each(|encoder| encoder.since(start));
    }

    /// Whether the following objects no longer exist. Only encoders that ask for such objects get them.
    pub fn ended(&mut self, ended: bool) {
        self.ended = ended;
        self.encoders.iter_mut().for_each(|encoder| encoder.ended(ended));
    }

    /// Whether the present objects no longer exist.
    #[must_use]
    pub(crate) fn is_ended(&self) -> bool {
        self.ended
    }

    /// Whether some encoder takes fields instead of lines.
    #[must_use]
    pub(crate) fn takes_fields(&self) -> bool {
        self.encoders.iter().any(|encoder| !encoder.takes_lines())
    }

    /// Whether some encoder asks for objects that no longer exist.
    #[must_use]
    pub(crate) fn tells_ended(&self) -> bool {
        self.encoders.iter().any(|encoder| encoder.tells_ended())
    }

    /// Begins an object, whose values the caller then adds.
    pub fn object<'s>(&'s mut self, object: Object<'_>, prefixes: &'s Prefixes) -> Told<'s> {
        if !self.encoders.is_empty() {
            let (clusters, ended) = (self.clusters, self.ended);
            for encoder in self.encoders.iter_mut().filter(|encoder| hears(&***encoder, clusters, ended)) {
                encoder.object(&object, &self.host, self.stamp);
            }
        }
        let own = object.kind == ObjectKind::Own;
        Told { sink: self, prefixes, own }
    }

    /// Number of lines so far.
    #[must_use]
    pub fn count(&self) -> usize {
        if self.only_plain { self.lines.count() } else { self.count }
    }

    /// Whether a piece may end between any two objects, and not only where all objects of a kind are complete.
    #[must_use]
    pub(crate) fn divides_anywhere(&self) -> bool {
        self.encoders.iter().all(|encoder| encoder.divides_anywhere())
    }

    /// Bytes of the largest output since a piece was last taken.
    #[must_use]
    pub fn size(&self) -> usize {
        self.encoders.iter().map(|encoder| encoder.size()).fold(self.lines.size(), usize::max)
    }

    /// Takes what was written so far; the following lines are written to `buffer`, which must be empty.
    pub fn take(&mut self, more: bool, buffer: Vec<u8>) -> Piece {
        let (number, before) = self.taken;
        let count = self.count();
        let batch = Batch {
            epoch: self.epoch,
            piece: number,
            more,
            on_disk: self.on_disk,
            lines: count - before,
            ..Batch::default()
        };
        self.taken = (number + 1, count);
        let mut piece = Piece::default();
        for (output, batch) in self.encoders.iter_mut().flat_map(|encoder| encoder.take(&batch)) {
            piece.push(output, batch);
        }
        if self.files {
            piece.push(Output::Files, batch.clone());
        }
        if self.plain {
            piece.push(Output::Plaintext, Batch { text: self.lines.take(buffer), ..batch });
        }
        piece
    }

    /// Writes a line on one path, for all destinations that take lines.
    fn line(&mut self, prefix: Prefix<'_>, metric: &[u8], value: f64, own: bool) {
        if let Some(unchanged) = self.unchanged.as_mut().filter(|_| !own)
            && unchanged.leaves_out([prefix.plain, metric], &self.text)
        {
            self.skipped.unchanged += 1;
            let clusters = self.clusters;
            // These get lines whether or not they have changed.
            for encoder in self.encoders.iter_mut().filter(|encoder| !clusters && !encoder.takes_clusters()) {
                encoder.line(prefix, metric, &self.text, value);
            }
            return;
        }
        self.count += 1;
        if self.plain {
            self.lines.push_text(prefix.plain, metric, &self.text);
        }
        let clusters = self.clusters;
        for encoder in self.encoders.iter_mut().filter(|encoder| !clusters || encoder.takes_clusters()) {
            encoder.line(prefix, metric, &self.text, value);
        }
    }
}

/// Whether an encoder gets these objects, depending on whether they are of a cluster, or no longer exist.
fn hears(encoder: &dyn Encoder, clusters: bool, ended: bool) -> bool {
    (!clusters || encoder.takes_clusters()) && (!ended || encoder.tells_ended())
}

/// An object whose values are being added.
#[derive(Debug)]
pub struct Told<'s> {
    sink: &'s mut Sink,
    prefixes: &'s Prefixes,
    /// Whether it is haproxystats itself, which is never compared.
    own: bool,
}

impl Told<'_> {
    /// Adds a value of the object, both as lines and as a field.
    pub fn metric(&mut self, metric: &[u8], value: Value) {
        self.field(metric, value);
        self.line(metric, value);
    }

    /// Adds a line on each of the object's paths; nothing if the value is not finite.
    pub fn line(&mut self, metric: &[u8], value: Value) {
        if self.sink.ended {
            return;
        }
        if self.sink.only_plain {
            for prefix in &self.prefixes.plain {
                self.sink.lines.push(prefix, metric, value);
            }
            return;
        }
        if !self.sink.takes_lines {
            self.sink.count += if value.as_f64().is_finite() { self.prefixes.plain.len() } else { 0 };
            return;
        }
        self.sink.text.clear();
        if !value.write(&mut self.sink.text) {
            return;
        }
        for prefix in self.prefixes.each() {
            self.sink.line(prefix, metric, value.as_f64(), self.own);
        }
    }

    /// Adds a value of the object, for encoders that take fields.
    pub fn field(&mut self, name: &[u8], value: Value) {
        self.encoders().for_each(|encoder| encoder.field(name, value));
    }

    /// Adds the state of `field`: which of these it is, or how many parts of the object are in each. Only for formats that can
    /// express this.
    pub fn states(&mut self, field: &str, states: &[(&'static str, i64)]) {
        self.encoders().for_each(|encoder| encoder.states(field, states));
    }

    /// Adds a figure of haproxystats itself, for encoders that treat figures separately; the others get it as a metric.
    pub fn figure(&mut self, figure: &'static Definition, destination: Option<&str>, value: f64) {
        self.encoders().for_each(|encoder| encoder.figure(figure, destination, value));
    }

    /// The encoders that get this object.
    fn encoders(&mut self) -> impl Iterator<Item = &mut Box<dyn Encoder>> {
        let (clusters, ended) = (self.sink.clusters, self.sink.ended);
        self.sink.encoders.iter_mut().filter(move |encoder| hears(&***encoder, clusters, ended))
    }

    /// Adds a histogram of everything that was counted since `since`, for formats that have histograms.
    pub fn histogram(&mut self, name: &[u8], histogram: &Histogram, since: Epoch) {
        let clusters = self.sink.clusters;
        for encoder in self.sink.encoders.iter_mut().filter(|encoder| !clusters || encoder.takes_clusters()) {
            encoder.histogram(name, histogram, since);
        }
    }

    /// Adds a time in seconds, with three decimals.
    pub fn seconds(&mut self, metric: &[u8], time: Duration) {
        let seconds = (time.as_secs_f64() * 1000.0).round() / 1000.0;
        self.field(metric, Value::Float(seconds));
        self.sink.text = format!("{:.3}", time.as_secs_f64()).into_bytes();
        for prefix in self.prefixes.each() {
            if self.sink.only_plain {
                self.sink.lines.push_text(prefix.plain, metric, &self.sink.text);
            } else {
                self.sink.line(prefix, metric, seconds, self.own);
            }
        }
    }

    /// Whether there is an encoder, so that fields are needed.
    #[must_use]
    pub(crate) fn has_encoders(&self) -> bool {
        !self.sink.encoders.is_empty()
    }

    /// The place for plaintext lines, if these are the only output.
    #[must_use]
    pub(crate) fn plain_lines(&mut self) -> Option<ObjectLines<'_>> {
        (self.sink.only_plain && !self.sink.ended).then(|| self.sink.lines.object(&self.prefixes.plain))
    }

    /// Notes that this many counters of the object are left out because they are 0.
    pub(crate) fn skip_zeros(&mut self, counters: u64) {
        if self.sink.ended {
            return;
        }
        self.sink.skipped.zeros += counters * self.prefixes.plain.len() as u64;
    }
}
