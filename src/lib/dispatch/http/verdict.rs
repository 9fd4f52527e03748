//! What an answer means for a request. Pure.

use crate::prometheus::request::Protocol;
use crate::prometheus::wire::{Fields, Wire};
use hyper::header::{CONTENT_TYPE, HeaderMap, LOCATION, RETRY_AFTER};
use serde_json::Value as Json;
use std::time::{Duration, SystemTime};

/// Maximum length of a receiver's text in our own messages.
const LONGEST: usize = 300;

/// Longest pause that a receiver may ask for.
const LONGEST_PAUSE: Duration = Duration::from_secs(300);

/// What an answer means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Verdict {
    /// The receiver has accepted it, except `rejected` of its samples.
    Accepted { rejected: u64, words: String },
    /// The same request must be sent again after a pause. `advice` is what an operator may have to do.
    Again { after: Option<Duration>, words: String, advice: &'static str },
    /// Something in the request is refused permanently.
    Refused { words: String },
    /// The request is too large.
    TooLarge { words: String },
}

/// The parts of an answer that matter.
pub(super) struct Answer<'a> {
    pub(super) status: u16,
    pub(super) headers: &'a HeaderMap,
    pub(super) body: &'a [u8],
}

/// Judges an answer that arrived at this time.
pub(super) fn judge(protocol: Protocol, answer: &Answer<'_>, now: SystemTime) -> Verdict {
    let words = || words(answer);
    let again = |advice| Verdict::Again { after: retry_after(answer.headers, now), words: words(), advice };
    match answer.status {
        200..300 => accepted(protocol, answer),
        300..400 => again("set url to that address; redirects are not followed, since they could leak credentials"),
        400 | 409 | 422 => Verdict::Refused { words: words() },
        401 => again("check bearer-token-file, or user and password-file"),
        403 => again("allow this client to write"),
        404 | 405 | 410 | 501 => again("check the path in url"),
        413 => Verdict::TooLarge { words: words() },
        415 => again("check that url belongs to a receiver of this protocol"),
        408 | 425 | 429 | 500.. => again(""),
        _ => again("see the receiver's log"),
    }
}

/// Judges an answer with a status of success. If its body is not what a receiver sends, something else answers at this URL.
fn accepted(protocol: Protocol, answer: &Answer<'_>) -> Verdict {
    let kind = answer.headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let strange = || {
        let words = format!("{}: not the response of a receiver", words(answer));
        Verdict::Again { after: None, words, advice: "check url: something else answers there" }
    };
    if kind.starts_with("text/html") {
        return strange();
    }
    let partial = match protocol {
        Protocol::RemoteWrite => Some((0, String::new())),
        Protocol::Otlp if answer.body.is_empty() => Some((0, String::new())),
        Protocol::Otlp if kind.starts_with("application/json") => of_json(answer.body),
        Protocol::Otlp => of_protobuf(answer.body),
    };
    partial.map_or_else(strange, |(rejected, words)| Verdict::Accepted { rejected, words: shortened(&words) })
}

/// `ExportMetricsServiceResponse`: `partial_success` with the number of samples that were rejected, and why.
fn of_protobuf(body: &[u8]) -> Option<(u64, String)> {
    let (mut rejected, mut words) = (0, String::new());
    for field in Fields::new(body) {
        let (1, Wire::Bytes(partial)) = field? else { continue };
        for field in Fields::new(partial) {
            match field? {
                (1, Wire::Varint(number)) => rejected = number,
                (2, Wire::Bytes(text)) => words = String::from_utf8_lossy(text).into_owned(),
                _ => {}
            }
        }
    }
    Some((rejected, words))
}

/// The same in JSON, which some receivers send whatever the format of the request. Its 64-bit numbers are strings.
fn of_json(body: &[u8]) -> Option<(u64, String)> {
    let answer: Json = serde_json::from_slice(body).ok()?;
    let partial = answer.as_object()?.get("partialSuccess").unwrap_or(&Json::Null);
    let number = partial.get("rejectedDataPoints");
    let number =
        number.and_then(|number| number.as_u64().or_else(|| number.as_str()?.parse().ok())).unwrap_or_default();
    let words = partial.get("errorMessage").and_then(Json::as_str).unwrap_or_default();
    Some((number, words.to_owned()))
}

/// Status and text of an answer, on one line.
fn words(answer: &Answer<'_>) -> String {
    let header = |name| answer.headers.get(name).and_then(|value: &hyper::header::HeaderValue| value.to_str().ok());
    let (to, kind) = (header(LOCATION), header(CONTENT_TYPE).unwrap_or_default());
    let text = match (to, answer.body) {
        (Some(to), _) => format!("redirects to {to}"),
        // `google.rpc.Status`, as specified by OTLP.
        (None, body) if kind.starts_with("application/x-protobuf") => status(body).unwrap_or_default(),
        (None, body) => String::from_utf8_lossy(body.get(..4 * LONGEST).unwrap_or(body)).into_owned(),
    };
    let text = shortened(&text);
    if text.is_empty() { format!("status {}", answer.status) } else { format!("status {}: {text}", answer.status) }
}

fn status(body: &[u8]) -> Option<String> {
    let text = Fields::new(body).find_map(|field| match field {
        Some((2, Wire::Bytes(text))) => Some(text),
        _ => None,
    })?;
    Some(String::from_utf8_lossy(text).into_owned())
}

fn shortened(text: &str) -> String {
    let line = text.split(|c: char| c.is_whitespace() || c.is_control()).filter(|word| !word.is_empty());
    line.collect::<Vec<_>>().join(" ").chars().take(LONGEST).collect()
}

/// `Retry-After`: seconds, or a date.
fn retry_after(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    let pause = match text.parse() {
        Ok(seconds) => Duration::from_secs(seconds),
        Err(_) => httpdate::parse_http_date(text).ok()?.duration_since(now).unwrap_or_default(),
    };
    Some(pause.min(LONGEST_PAUSE))
}

/// Whether a receiver refuses a sample because it has another one with the same series and time. Then the sample has been sent
/// before: HAProxy's values for a given time are always the same, and for our own metrics the first value is as good as the
/// second.
pub(super) fn is_duplicate(words: &str) -> bool {
    let words = words.to_ascii_lowercase();
    ["duplicate sample for timestamp", "duplicate-timestamp", "duplicate timestamp"]
        .iter()
        .any(|known| words.contains(known))
}

/// Whether a receiver refuses a sample because it is older than others, of the same series or of any.
pub(super) fn is_late(words: &str) -> bool {
    let words = words.to_ascii_lowercase();
    ["out of order", "out-of-order", "out of bounds", "too old", "too-old", "too far in the past"]
        .iter()
        .any(|known| words.contains(known))
}

#[cfg(test)]
mod tests;
