//! `format = influx`: the line protocol of InfluxDB, one line for each object and snapshot.
//!
//! ```text
//! haproxy_server,cluster=ams,host=lb-01,proxy=shop,server=web-1 scur=3,rtime=0.5 1457298067000000000
//! ```
//!
//! All values are floats. InfluxDB refuses a point if a field has another type than before, which must not happen because a mean
//! is a whole number or a sum exceeds 64 bits.

use super::object::{Host, Object, ObjectKind};
use crate::snapshot::Epoch;
use crate::value::Value;

/// Appends `name=value,`; false when the value is not finite.
pub(super) fn field(name: &[u8], value: Value, out: &mut Vec<u8>) -> bool {
    key(&String::from_utf8_lossy(name), out);
    out.push(b'=');
    let written = value.write(out);
    out.push(b',');
    written
}

/// The line up to its values: measurement and tags, sorted by their keys as InfluxDB recommends.
pub(super) fn head(host: &Host, object: &Object<'_>, out: &mut Vec<u8>) {
    out.extend_from_slice(match object.kind {
        ObjectKind::Own => b"haproxystats",
        ObjectKind::ServerTotal => b"haproxy_server_total",
        _ => b"haproxy_",
    });
    if !matches!(object.kind, ObjectKind::Own | ObjectKind::ServerTotal) {
        out.extend_from_slice(object.kind.word().as_bytes());
    }
    let (place, name) = object.kind.properties();
    let cluster = host.cluster.as_deref().unwrap_or_default();
    let mut tags = [("cluster", cluster), ("host", &host.name), (place, object.proxy), (name, object.name)];
    tags.sort_unstable();
    for (name, value) in tags {
        // The protocol does not allow a tag without a value.
        if !value.is_empty() {
            out.push(b',');
            out.extend_from_slice(name.as_bytes());
            out.push(b'=');
            key(value, out);
        }
    }
    out.push(b' ');
}

/// The end of a line, after the values: the time in nanoseconds.
pub(super) fn tail(stamp: Epoch) -> String {
    format!(" {stamp}000000000\n")
}

/// Appends a key or the value of a tag, with commas, equals signs and spaces escaped. Control characters, which are not allowed,
/// become `_`, and so does a backslash at the end, which would escape the next character.
fn key(text: &str, out: &mut Vec<u8>) {
    let mut characters = text.chars().peekable();
    while let Some(character) = characters.next() {
        match character {
            ',' | '=' | ' ' => out.extend_from_slice(&[b'\\', character as u8]),
            '\\' if characters
                .peek()
                .is_none_or(|next| matches!(next, ',' | '=' | ' ' | '\\') || next.is_control()) =>
            {
                out.push(b'_');
            }
            character if character.is_control() => out.push(b'_'),
            character => out.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Splits at unescaped occurrences, as a reader of the protocol does.
    fn split(text: &str, at: char) -> Vec<String> {
        let (mut parts, mut escaped) = (vec![String::new()], false);
        for character in text.chars() {
            if character == at && !escaped {
                parts.push(String::new());
            } else {
                parts.last_mut().unwrap().push(character);
            }
            escaped = character == '\\' && !escaped;
        }
        parts
    }

    fn unescaped(text: &str) -> String {
        text.replace("\\,", ",").replace("\\=", "=").replace("\\ ", " ")
    }

    /// What a name becomes.
    fn kept(text: &str) -> String {
        let clean: Vec<char> = text.chars().collect();
        let odd = |c: Option<&char>| c.is_none_or(|c| ",= \\".contains(*c) || c.is_control());
        clean
            .iter()
            .enumerate()
            .map(|(at, c)| if c.is_control() || (*c == '\\' && odd(clean.get(at + 1))) { '_' } else { *c })
            .collect()
    }

    proptest! {
        #[test]
        fn a_line_says_what_went_in(
            host in "[a-z\\\\,= \"]{1,12}|.{1,12}", proxy in "[a-z\\\\,= \"]{1,12}|.{1,12}", name in ".{1,12}",
            field_name in "[a-z\\\\,= \"]{1,12}|.{1,12}", value in any::<i64>(),
        ) {
            let mut line = Vec::new();
            let object = Object { kind: ObjectKind::Server, proxy: &proxy, name: &name };
            head(&Host { name: host.clone(), cluster: None }, &object, &mut line);
            field(field_name.as_bytes(), Value::Int(value), &mut line);
            line.pop();
            line.extend_from_slice(tail(Epoch(1_457_298_067)).as_bytes());
            let line = String::from_utf8(line).unwrap();
            prop_assert_eq!(line.find('\n'), Some(line.len() - 1));
            let parts = split(line.trim_end_matches('\n'), ' ');
            prop_assert_eq!(parts.len(), 3, "{:?}", parts);
            prop_assert_eq!(&parts[2], "1457298067000000000");
            let tags: Vec<Vec<String>> = split(&parts[0], ',').iter().map(|tag| split(tag, '=')).collect();
            let expected = [("host", &host), ("proxy", &proxy), ("server", &name)];
            prop_assert_eq!(&tags[0][0], "haproxy_server");
            prop_assert_eq!(tags.len(), 4);
            for (tag, (key, value)) in tags[1..].iter().zip(expected) {
                prop_assert_eq!((tag[0].as_str(), unescaped(&tag[1])), (key, kept(value)));
            }
            let fields = split(&parts[1], '=');
            prop_assert_eq!((unescaped(&fields[0]), fields[1].clone()), (kept(&field_name), value.to_string()));
        }
    }

    #[test]
    fn kinds_are_measurements() {
        let line = |object: Object<'_>| {
            let mut out = Vec::new();
            head(&Host { name: "h".into(), cluster: Some("c d".into()) }, &object, &mut out);
            String::from_utf8(out).unwrap()
        };
        assert_eq!(line(Object::unnamed(ObjectKind::Daemon)), "haproxy_daemon,cluster=c\\ d,host=h ");
        assert_eq!(line(Object::unnamed(ObjectKind::Own)), "haproxystats,cluster=c\\ d,host=h ");
        assert_eq!(
            line(Object { kind: ObjectKind::Process, proxy: "", name: "2" }),
            "haproxy_process,cluster=c\\ d,host=h,process=2 "
        );
        assert_eq!(
            line(Object { kind: ObjectKind::ServerTotal, proxy: "", name: "web" }),
            "haproxy_server_total,cluster=c\\ d,host=h,server=web "
        );
    }
}
