//! Lines of Prometheus' text format, `name{label="value",...} value`.

use crate::prometheus::names::{Metric, Scale};
use crate::value::Value;

/// What the lines of a metric have in common, encoded.
#[derive(Debug)]
pub(super) struct Name {
    name: Box<[u8]>,
    label: Box<[u8]>,
    scale: Scale,
}

impl Name {
    pub(super) fn new(metric: &Metric) -> Self {
        let mut label = Vec::new();
        if let Some((name, value)) = &metric.label {
            pair(name, value, &mut label);
        }
        Self { name: metric.name.as_bytes().into(), label: label.into_boxed_slice(), scale: metric.scale }
    }

    /// Appends a line without its end; `labels` are those of the object, encoded. Returns false, and appends nothing, if the
    /// value is not finite.
    pub(super) fn write(&self, labels: &[u8], value: Value, out: &mut Vec<u8>) -> bool {
        let value = match self.scale {
            Scale::Same => value,
            scale => Value::Float(scale.of(value.as_f64())),
        };
        let before = out.len();
        out.extend_from_slice(&self.name);
        if !labels.is_empty() || !self.label.is_empty() {
            out.push(b'{');
            out.extend_from_slice(labels);
            if !labels.is_empty() && !self.label.is_empty() {
                out.push(b',');
            }
            out.extend_from_slice(&self.label);
            out.push(b'}');
        }
        out.push(b' ');
        let written = value.write(out);
        if !written {
            out.truncate(before);
        }
        written
    }
}

/// Appends a label, after a comma if it is not the first one.
pub(super) fn pair(name: &str, value: &str, out: &mut Vec<u8>) {
    if !out.is_empty() {
        out.push(b',');
    }
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b"=\"");
    for byte in value.bytes() {
        match byte {
            b'\\' => out.extend_from_slice(b"\\\\"),
            b'"' => out.extend_from_slice(b"\\\""),
            b'\n' => out.extend_from_slice(b"\\n"),
            other => out.push(other),
        }
    }
    out.push(b'"');
}
