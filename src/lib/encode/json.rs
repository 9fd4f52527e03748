//! `format = json`: one document for each object and snapshot, as specified by docs/kafka.schema.json.
//!
//! ```json
//! {"host":"lb-01","cluster":"ams","kind":"server","proxy":"shop","server":"web-1","timestamp":1457298067,"fields":{"scur":3}}
//! ```

use super::object::{Host, Object};
use crate::snapshot::Epoch;
use crate::value::Value;

/// Appends `"name":value,`; false when the value is not finite.
pub(super) fn field(name: &[u8], value: Value, out: &mut Vec<u8>) -> bool {
    if name.iter().all(|byte| byte.is_ascii_alphanumeric() || *byte == b'_') {
        out.push(b'"');
        out.extend_from_slice(name);
        out.push(b'"');
    } else {
        string(&String::from_utf8_lossy(name), out);
    }
    out.push(b':');
    // The text of a value, digits with an optional point and minus sign, is a valid JSON number.
    let written = value.write(out);
    out.push(b',');
    written
}

/// The document up to its values.
pub(super) fn head(host: &Host, object: &Object<'_>, stamp: Epoch, out: &mut Vec<u8>) {
    let mut property = |name: &str, text: &str| {
        out.push(if out.is_empty() { b'{' } else { b',' });
        string(name, out);
        out.push(b':');
        string(text, out);
    };
    property("host", &host.name);
    if let Some(cluster) = &host.cluster {
        property("cluster", cluster);
    }
    property("kind", object.kind.word());
    let (place, name) = object.kind.properties();
    if !object.proxy.is_empty() {
        property(place, object.proxy);
    }
    if !object.name.is_empty() {
        property(name, object.name);
    }
    out.extend_from_slice(format!(",\"timestamp\":{stamp},\"fields\":{{").as_bytes());
}

/// The end of a document, after the values.
pub(super) const TAIL: &[u8] = b"}}";

fn string(text: &str, out: &mut Vec<u8>) {
    // Writing to a vector cannot fail.
    let _ = serde_json::to_writer(out, text);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::encode::object::ObjectKind;
    use proptest::prelude::*;
    use serde_json::Value as Json;

    fn document(host: &str, cluster: Option<&str>, object: &Object<'_>, fields: &[(String, Value)]) -> Vec<u8> {
        let mut out = Vec::new();
        let host = Host { name: host.to_owned(), cluster: cluster.map(str::to_owned) };
        head(&host, object, Epoch(1_457_298_067), &mut out);
        for (name, value) in fields {
            let before = out.len();
            if !field(name.as_bytes(), *value, &mut out) {
                out.truncate(before);
            }
        }
        if out.last() == Some(&b',') {
            out.pop();
        }
        out.extend_from_slice(TAIL);
        out
    }

    fn values() -> impl Strategy<Value = Value> {
        prop_oneof![any::<i64>().prop_map(Value::Int), any::<f64>().prop_map(Value::Float)]
    }

    proptest! {
        #[test]
        fn whatever_the_names_a_document_says_what_went_in(
            host in ".{1,20}", cluster in proptest::option::of(".{0,20}"), proxy in ".{1,20}", name in ".{1,20}",
            fields in proptest::collection::btree_map(".{1,10}", values(), 0..8),
        ) {
            let object = Object { kind: ObjectKind::Server, proxy: &proxy, name: &name };
            let fields: Vec<(String, Value)> = fields.into_iter().collect();
            let document: Json =
                serde_json::from_slice(&document(&host, cluster.as_deref(), &object, &fields)).unwrap();
            prop_assert_eq!(document["host"].as_str(), Some(host.as_str()));
            prop_assert_eq!(document.get("cluster").and_then(Json::as_str), cluster.as_deref());
            prop_assert_eq!(document["proxy"].as_str(), Some(proxy.as_str()));
            prop_assert_eq!(document["server"].as_str(), Some(name.as_str()));
            prop_assert_eq!(document["timestamp"].as_u64(), Some(1_457_298_067));
            let read = document["fields"].as_object().unwrap();
            let finite = |value: &Value| !matches!(value, Value::Float(value) if !value.is_finite());
            prop_assert_eq!(read.len(), fields.iter().filter(|(_, value)| finite(value)).count());
            for (name, value) in fields.iter().filter(|(_, value)| finite(value)) {
                match value {
                    Value::Int(value) => prop_assert_eq!(read[name].as_i64(), Some(*value)),
                    // Without the feature float_roundtrip, the parser of these tests may differ in the last bit.
                    Value::Float(value) => {
                        let read = read[name].as_f64().unwrap();
                        prop_assert!((read - value).abs() <= value.abs() * 1e-15, "{} {}", read, value);
                    }
                }
            }
        }
    }
}
