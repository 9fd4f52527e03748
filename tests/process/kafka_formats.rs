//! What messages look like, as files: `HAPROXYSTATS_ACCEPT=1 cargo test --test process kafka_formats` rewrites them.

use crate::harness::made::is_made;
use haproxystats::config::{Program, load};
use haproxystats::process::pipeline::Pipeline;
use haproxystats::snapshot::Epoch;
use std::collections::BTreeMap;
use std::fs;

const EPOCH: u64 = 1_457_298_067;

fn file(name: &str) -> std::path::PathBuf {
    crate::harness::root().join("tests/data").join(name)
}

/// Keys and payloads of a snapshot, in order; without what haproxystats says about itself, which depends on time.
fn messages(options: &str) -> Vec<(String, String)> {
    let place = tempfile::tempdir().unwrap();
    // Two processes of a HAProxy: what is sent is combined.
    for (pid, process) in ["one", "two"].into_iter().enumerate() {
        for (sample, suffix) in [("show_info", "info"), ("show_stat", "stat")] {
            let to = place.path().join(format!("{process}_{suffix}"));
            let reply = fs::read_to_string(file(&format!("samples/v2.8.0/{sample}"))).unwrap();
            // Of one Pid they would be one process that was asked twice.
            let own = |line: &str| match line.strip_prefix("Pid: ") {
                Some(_) => format!("Pid: {pid}\n"),
                None => format!("{line}\n"),
            };
            fs::write(to, reply.lines().map(own).collect::<String>()).unwrap();
        }
    }
    let text = format!("[process]\naggr-server-metrics = yes\nper-process-metrics = yes\n{options}");
    let config = load::from_text(Program::Process, &text, "test.conf").unwrap().config;
    let mut pipeline = Pipeline::new(&config, "lb-01.example.com");
    let mut lines = Vec::new();
    // Twice: what the first run leaves behind must not show.
    for _ in 0..2 {
        lines.clear();
        pipeline.run(place.path(), Epoch(EPOCH), &mut lines).unwrap();
    }
    let messages = pipeline.messages();
    let is_own = |line: &&str| {
        line.contains("\"kind\":\"haproxystats\"")
            || line.starts_with("haproxystats")
            || line.contains(".haproxystats.")
    };
    let messages = messages.iter().map(|message| {
        assert_eq!(message.stamp, Epoch(EPOCH));
        let payload = std::str::from_utf8(message.payload).unwrap();
        let lines: Vec<&str> = payload.lines().filter(|line| !is_own(line)).collect();
        (String::from_utf8(message.key.to_vec()).unwrap(), lines.join("\n"))
    });
    messages.filter(|(_, payload)| !payload.is_empty()).collect()
}

#[track_caller]
fn golden(format: &str, options: &str) {
    let text: String = messages(&format!("[kafka]\nformat = {format}\n{options}"))
        .into_iter()
        .map(|(key, payload)| format!("--- {key}\n{payload}\n"))
        .collect();
    is_made(&format!("tests/data/golden/kafka.{format}"), &text);
}

#[test]
#[cfg(feature = "kafka")]
fn json() {
    golden("json", "cluster = ams");
}

#[test]
#[cfg(feature = "kafka")]
fn graphite() {
    golden("graphite", "");
}

#[test]
#[cfg(feature = "kafka")]
fn influx() {
    golden("influx", "cluster = ams");
}

#[test]
#[cfg(feature = "kafka")]
fn prometheus() {
    golden("prometheus", "cluster = ams");
}

#[test]
#[cfg(feature = "kafka")]
fn documents_are_what_the_schema_says_and_hold_every_line_once() {
    let schema = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/kafka.schema.json")).unwrap();
    let validator = jsonschema::validator_for(&serde_json::from_str(&schema).unwrap()).unwrap();
    let mut figures = 0;
    for (key, text) in messages("[kafka]\n") {
        let document: serde_json::Value = serde_json::from_str(&text).unwrap();
        if let Err(error) = validator.validate(&document) {
            panic!("{error}: {text}");
        }
        let proxy = document["proxy"].as_str().unwrap_or_default();
        assert_eq!(key, format!("lb-01.example.com/{proxy}"));
        // A name that comes twice would be read once.
        let read = document["fields"].as_object().unwrap().len();
        let fields = text.split_once("\"fields\":").unwrap().1;
        assert_eq!(fields.matches(':').count(), read, "{text}");
        // That one is of messages alone.
        let all = document["fields"].as_object().unwrap().keys();
        figures += all.filter(|field| *field != "time_samples").count();
    }
    let lines: usize =
        messages("[kafka]\nformat = graphite\n").iter().map(|(_, payload)| payload.lines().count()).sum();
    assert_eq!(figures, lines);
}

#[test]
#[cfg(feature = "kafka")]
fn a_schema_that_takes_anything_proves_nothing() {
    let schema = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/kafka.schema.json")).unwrap();
    let validator = jsonschema::validator_for(&serde_json::from_str(&schema).unwrap()).unwrap();
    for bad in [
        r#"{"kind":"daemon","timestamp":1,"fields":{"a":1}}"#,
        r#"{"host":"h","kind":"listener","timestamp":1,"fields":{"a":1}}"#,
        r#"{"host":"h","kind":"backend","timestamp":1,"fields":{"a":1}}"#,
        r#"{"host":"h","kind":"backend","proxy":"b","server":"s","timestamp":1,"fields":{"a":1}}"#,
        r#"{"host":"h","kind":"daemon","timestamp":1.5,"fields":{"a":1}}"#,
        r#"{"host":"h","kind":"daemon","timestamp":1,"fields":{"a":null}}"#,
        r#"{"host":"h","kind":"daemon","timestamp":1,"fields":{}}"#,
        r#"{"host":"h","kind":"daemon","timestamp":1,"fields":{"a":1},"more":1}"#,
    ] {
        assert!(!validator.is_valid(&serde_json::from_str(bad).unwrap()), "{bad}");
    }
}

/// The keys of templates, and messages of every size.
#[test]
#[cfg(feature = "kafka")]
fn keys_follow_the_template_and_messages_the_limit() {
    let by_server = messages("[kafka]\nkey = {cluster}:{kind}:{proxy}:{server}\ncluster = ams\n");
    let keys: Vec<&str> = by_server.iter().map(|(key, _)| key.as_str()).collect();
    assert!(keys.contains(&"ams:server:app.be:s1.dc1") && keys.contains(&"ams:daemon::"), "{keys:?}");
    let all = |format: &str, size: usize| {
        let messages = messages(&format!("[kafka]\nkey = one\nformat = {format}\nmax-message-size = {size}\n"));
        assert!(messages.iter().all(|(key, _)| key == "one"));
        messages
    };
    for format in ["graphite", "influx", "prometheus"] {
        let (large, small) = (all(format, 900_000), all(format, 1_000));
        assert_eq!(large.len(), 1);
        assert!(small.len() > 10);
        let text = |messages: &[(String, String)]| {
            messages.iter().map(|(_, payload)| payload.as_str()).collect::<Vec<_>>().join("\n")
        };
        assert_eq!(text(&large), text(&small));
        assert!(small.iter().all(|(_, payload)| payload.len() < 1_000 || payload.lines().count() == 1));
    }
    let fields = |messages: Vec<(String, String)>| {
        let mut fields: BTreeMap<String, u32> = BTreeMap::new();
        for (_, document) in messages {
            let document: serde_json::Value = serde_json::from_str(&document).unwrap();
            for (name, value) in document["fields"].as_object().unwrap() {
                let id = ["kind", "proxy", "server", "process"].map(|name| document[name].to_string()).join(" ");
                *fields.entry(format!("{id} {name} {value}")).or_default() += 1;
            }
        }
        fields
    };
    let (whole, parts) = (all("json", 900_000), all("json", 1_000));
    assert!(parts.iter().all(|(_, document)| document.len() <= 1_000) || parts.len() > whole.len());
    assert_eq!(fields(whole), fields(parts));
}

#[test]
fn without_kafka_there_are_no_messages() {
    assert_eq!(messages(""), []);
}
