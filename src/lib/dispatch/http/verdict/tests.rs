use super::*;
use crate::prometheus::wire;
use std::time::UNIX_EPOCH;

fn of(protocol: Protocol, status: u16, headers: &[(&'static str, &str)], body: &[u8]) -> Verdict {
    let headers = headers.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect();
    judge(protocol, &Answer { status, headers: &headers, body }, UNIX_EPOCH + Duration::from_secs(784_111_777))
}

fn partial(rejected: u64, words: &str) -> Vec<u8> {
    let (mut partial, mut body) = (Vec::new(), Vec::new());
    wire::number(1, rejected, &mut partial);
    wire::bytes(2, words.as_bytes(), &mut partial);
    wire::bytes(1, &partial, &mut body);
    body
}

#[test]
fn every_status_has_its_meaning() {
    for protocol in [Protocol::Otlp, Protocol::RemoteWrite] {
        let of = |status| of(protocol, status, &[], b"");
        for status in [200, 202, 204] {
            assert_eq!(of(status), Verdict::Accepted { rejected: 0, words: String::new() }, "{status}");
        }
        for status in [400, 409, 422] {
            assert!(matches!(of(status), Verdict::Refused { .. }), "{status}");
        }
        assert!(matches!(of(413), Verdict::TooLarge { .. }));
        for (status, human) in
            [(408, false), (429, false), (500, false), (502, false), (503, false), (504, false), (599, false)]
                .into_iter()
                .chain([301, 302, 307, 308, 401, 402, 403, 404, 405, 406, 411, 415, 418].map(|status| (status, true)))
        {
            let Verdict::Again { after: None, words, advice } = of(status) else { panic!("{status}") };
            assert_eq!((words, !advice.is_empty()), (format!("status {status}"), human));
        }
    }
}

#[test]
fn a_receiver_may_say_when_to_come_back() {
    for (text, seconds) in [
        ("7", Some(7)),
        ("0", Some(0)),
        ("Sun, 06 Nov 1994 08:49:47 GMT", Some(10)),
        ("Sun, 06 Nov 1994 08:00:00 GMT", Some(0)),
        ("999999999", Some(300)),
        ("soon", None),
        ("-1", None),
    ] {
        let Verdict::Again { after, .. } = of(Protocol::Otlp, 503, &[("retry-after", text)], b"") else {
            panic!("{text}")
        };
        assert_eq!(after, seconds.map(Duration::from_secs), "{text}");
    }
}

#[test]
fn partial_success_is_read_in_both_encodings() {
    let protobuf = [("content-type", "application/x-protobuf")];
    let wanted = Verdict::Accepted { rejected: 7, words: "no room".to_owned() };
    assert_eq!(of(Protocol::Otlp, 200, &protobuf, &partial(7, "no\n room")), wanted);
    let json = br#"{"partialSuccess":{"rejectedDataPoints":"7","errorMessage":"no room"}}"#;
    assert_eq!(of(Protocol::Otlp, 200, &[("content-type", "application/json")], json), wanted);
    let all = Verdict::Accepted { rejected: 0, words: String::new() };
    assert_eq!(of(Protocol::Otlp, 200, &[("content-type", "application/json")], b"{}"), all);
    assert_eq!(of(Protocol::Otlp, 200, &protobuf, &partial(0, "")), all);
}

#[test]
fn something_else_that_answers_has_not_taken_anything() {
    let html = [("content-type", "text/html; charset=utf-8")];
    for (protocol, headers, body) in [
        (Protocol::Otlp, &html[..], &b"<html>Welcome to nginx!</html>"[..]),
        (Protocol::RemoteWrite, &html[..], b"<html>Welcome to nginx!</html>"),
        (Protocol::Otlp, &[][..], b"Welcome!"),
        (Protocol::Otlp, &[("content-type", "application/json")], b"nonsense"),
    ] {
        let Verdict::Again { advice, .. } = of(protocol, 200, headers, body) else { panic!("{body:?}") };
        assert!(advice.starts_with("check url"), "{advice}");
    }
}

#[test]
fn the_words_of_a_receiver_are_one_short_line() {
    let Verdict::Refused { words } = of(Protocol::RemoteWrite, 400, &[], b"out of order\r\nsample\n") else { panic!() };
    assert_eq!(words, "status 400: out of order sample");
    let Verdict::Refused { words } = of(Protocol::RemoteWrite, 400, &[], &[b'x'; 100_000]) else { panic!() };
    assert_eq!(words.len(), "status 400: ".len() + LONGEST);
    let mut status = Vec::new();
    wire::number(1, 3, &mut status);
    wire::bytes(2, b"bad name", &mut status);
    let protobuf = [("content-type", "application/x-protobuf")];
    assert_eq!(
        of(Protocol::Otlp, 400, &protobuf, &status),
        Verdict::Refused { words: "status 400: bad name".to_owned() }
    );
    let Verdict::Again { words, .. } = of(Protocol::Otlp, 307, &[("location", "https://b/v1")], b"") else { panic!() };
    assert_eq!(words, "status 307: redirects to https://b/v1");
}

#[test]
fn receivers_are_understood_who_have_a_sample_or_a_newer_one() {
    for words in [
        "duplicate sample for timestamp",
        "failed pushing to ingester: the sample has been rejected because another sample with the same timestamp, but a \
         different value, has already been ingested (err-mimir-sample-duplicate-timestamp)",
    ] {
        assert!(is_duplicate(words) && !is_late(words), "{words}");
    }
    for words in [
        "out of order sample",
        "out of bounds",
        "the sample has been rejected because its timestamp is too old (err-mimir-sample-timestamp-too-old)",
    ] {
        assert!(is_late(words) && !is_duplicate(words), "{words}");
    }
}
