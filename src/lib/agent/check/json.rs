//! JSON as endpoints write it: also with `NaN`, `Infinity` and `-Infinity`, which Java and Python write for numbers that
//! are none, bare or as text, and with numbers too large for any machine.

use serde_json::Value;

/// The words for numbers that JSON has not.
const WORDS: [(&str, f64); 3] = [("NaN", f64::NAN), ("Infinity", f64::INFINITY), ("-Infinity", f64::NEG_INFINITY)];

/// Reads a document.
///
/// # Errors
/// It is none, these words apart.
pub(super) fn read(body: &[u8]) -> Result<Value, serde_json::Error> {
    serde_json::from_slice(body).or_else(|error| {
        let text = std::str::from_utf8(body).map_err(|_| ());
        text.and_then(|text| serde_json::from_str(&quoted(text)).map_err(|_| ())).map_err(|()| error)
    })
}

/// A number, also by its word.
pub(super) fn number(value: &Value) -> Option<f64> {
    let word = |text: &str| WORDS.iter().find(|(word, _)| *word == text).map(|(_, number)| *number);
    value.as_f64().or_else(|| value.as_str().and_then(word))
}

/// The document with these numbers as text.
fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 64);
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let (length, replacement) = match first {
            '"' => (string(rest), None),
            '-' | 'A'..='Z' | 'a'..='z' | '0'..='9' => {
                let end = rest.find(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.')));
                let length = end.unwrap_or(rest.len());
                (length, rest.get(..length).and_then(replaced))
            }
            other => (other.len_utf8(), None),
        };
        let (token, tail) = rest.split_at(length);
        match replacement {
            // A key has to be text as it is.
            Some(word) if !tail.trim_start().starts_with(':') => out.extend(["\"", word, "\""]),
            _ => out.push_str(token),
        }
        rest = tail;
    }
    out
}

/// Length of the string at the beginning of a text, with its quotes.
fn string(text: &str) -> usize {
    let mut escaped = false;
    let end = text.char_indices().skip(1).find(|(_, c)| {
        let ends = *c == '"' && !escaped;
        escaped = *c == '\\' && !escaped;
        ends
    });
    end.map_or(text.len(), |(index, _)| index + 1)
}

/// The word for a token that JSON has not.
fn replaced(token: &str) -> Option<&'static str> {
    let word = WORDS.iter().map(|(word, _)| *word).find(|word| *word == token);
    word.or_else(|| {
        let digits = token.strip_prefix('-').unwrap_or(token);
        let huge = digits.starts_with(|c: char| c.is_ascii_digit()) && digits.parse().is_ok_and(f64::is_infinite);
        huge.then(|| if token.starts_with('-') { "-Infinity" } else { "Infinity" })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn numbers_that_are_none_are_read() {
        let text =
            r#"{"a": NaN, "b":[Infinity,-Infinity], "c":"NaN", "d \" NaN": 1, "e": 1e999, "f": -1e999, "g": 0.5}"#;
        let json = read(text.as_bytes()).unwrap();
        let at = |pointer: &str| number(json.pointer(pointer).unwrap());
        assert!(at("/a").unwrap().is_nan() && at("/c").unwrap().is_nan());
        assert_eq!([at("/b/0"), at("/b/1")], [Some(f64::INFINITY), Some(f64::NEG_INFINITY)]);
        assert_eq!([at("/e"), at("/f"), at("/g")], [Some(f64::INFINITY), Some(f64::NEG_INFINITY), Some(0.5)]);
        assert_eq!(at("/d \" NaN"), Some(1.0));
        assert_eq!(number(&Value::Bool(true)), None);
        for wrong in ["", "{", "nan", "{NaN: 1}", "[Infinity", "\"NaN", "-", "NaNNaN"] {
            assert!(read(wrong.as_bytes()).is_err(), "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn what_is_json_stays_as_it_is(text in "[\\[\\]{}:,\" \\\\a-zN0-9.eE+-]{0,60}") {
            if let Ok(value) = serde_json::from_str::<Value>(&text) {
                prop_assert_eq!(serde_json::from_str::<Value>(&quoted(&text)).unwrap(), value);
            }
            let _ = read(text.as_bytes());
        }
    }
}
