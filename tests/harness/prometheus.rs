//! The page of metrics as Prometheus reads it: fetched, and held against the rules of its text format.

use super::{SOON, peer, spawn, wait_for};
use std::collections::{HashMap, HashSet};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::{Command, Stdio};
use std::time::Duration;

/// Values by name and labels, as they stand on the page: `a_b{c="d"}`.
pub type Samples = HashMap<String, f64>;

/// Sends bytes, and returns all that comes back; `None` when nobody listens.
pub fn exchange(port: u16, request: &str) -> Option<String> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).ok()?;
    stream.set_read_timeout(Some(SOON)).ok()?;
    stream.write_all(request.as_bytes()).ok()?;
    let mut reply = String::new();
    let _ = stream.read_to_string(&mut reply);
    Some(reply)
}

/// Fetches the page, and checks what Prometheus would check.
#[track_caller]
pub fn scrape(port: u16) -> Samples {
    let reply = wait_for(SOON, "the page of metrics", || {
        exchange(port, "GET /metrics HTTP/1.1\r\nHost: x\r\nAccept: */*\r\n\r\n").filter(|reply| !reply.is_empty())
    });
    let (head, page) = reply.split_once("\r\n\r\n").expect("a head");
    let head = head.to_ascii_lowercase();
    assert!(head.starts_with("http/1.1 200 ok\r\n"), "{head}");
    assert!(head.contains("\r\ncontent-type: text/plain; version=0.0.4; charset=utf-8"), "{head}");
    assert!(head.contains(&format!("\r\ncontent-length: {}", page.len())), "{head}");
    check(page)
}

/// Holds a page against the text format, version 0.0.4, and the conventions for names, more strictly than Prometheus
/// does: each family once, with HELP before TYPE before its samples; counters end in `_total`.
#[track_caller]
pub fn check(page: &str) -> Samples {
    assert!(page.ends_with('\n'), "{page}");
    let mut samples = Samples::new();
    let mut families = HashSet::new();
    let (mut family, mut kind) = (String::new(), String::new());
    for line in page.lines() {
        if let Some(help) = line.strip_prefix("# HELP ") {
            let (name, words) = help.split_once(' ').expect(line);
            assert!(is_name(name) && words.ends_with('.') && families.insert(name.to_owned()), "{line}");
            (family, kind) = (name.to_owned(), String::new());
        } else if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, of) = rest.split_once(' ').expect(line);
            assert!(name == family && kind.is_empty() && ["counter", "gauge"].contains(&of), "{line}");
            assert_eq!(name.ends_with("_total"), of == "counter", "{line}");
            kind = of.to_owned();
        } else {
            let (key, value) = line.rsplit_once(' ').expect(line);
            let name = key.split('{').next().expect(line);
            assert!(name == family && !kind.is_empty(), "{line} is not within its family");
            labels(key.strip_prefix(name).expect(line), line);
            let value: f64 = value.replace("Inf", "inf").parse().expect(line);
            assert!(kind != "counter" || value >= 0.0, "{line}");
            assert!(samples.insert(key.to_owned(), value).is_none(), "{line} stands twice");
        }
    }
    promtool(page);
    samples
}

fn is_name(name: &str) -> bool {
    name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
        && !name.starts_with(char::is_numeric)
}

/// `{name="value",…}` with the three escapes, or nothing.
fn labels(text: &str, line: &str) {
    if text.is_empty() {
        return;
    }
    let mut rest = text.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')).expect(line);
    let mut names = HashSet::new();
    loop {
        let (name, value) = rest.split_once("=\"").expect(line);
        assert!(is_name(name) && names.insert(name.to_owned()), "{line}");
        let mut letters = value.char_indices();
        let end = loop {
            match letters.next().expect(line) {
                (end, '"') => break end,
                (_, '\\') => assert!(matches!(letters.next(), Some((_, '\\' | '"' | 'n'))), "{line}"),
                (_, '\n') => panic!("{line}"),
                _ => {}
            }
        };
        rest = &value[end + 1..];
        match rest.strip_prefix(',') {
            Some(more) => rest = more,
            None => return assert!(rest.is_empty(), "{line}"),
        }
    }
}

/// Prometheus' own opinion, where it is installed.
fn promtool(page: &str) {
    let Some(promtool) = peer("promtool") else { return };
    let mut command = Command::new(promtool);
    command.args(["check", "metrics"]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = spawn(&mut command).expect("promtool starts");
    child.stdin.take().expect("a pipe").write_all(page.as_bytes()).expect("promtool reads");
    let output = child.wait_with_output().expect("promtool ends");
    let words = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && words.trim().is_empty(), "{words}\n{page}");
}

/// Waits until a sample has a value that `good` approves of.
#[track_caller]
pub fn wait_for_sample(port: u16, key: &str, good: impl Fn(f64) -> bool) -> Samples {
    let mut last = Samples::new();
    let found = super::poll(SOON, || {
        let reply = exchange(port, "GET /metrics HTTP/1.0\r\n\r\n").unwrap_or_default();
        let page = reply.split_once("\r\n\r\n").map_or("", |(_, page)| page).to_owned();
        let value = page.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(' ')?.parse().ok());
        if value.is_some_and(&good) {
            return Some(check(&page));
        }
        last = if page.is_empty() { Samples::new() } else { check(&page) };
        std::thread::sleep(Duration::from_millis(20));
        None
    });
    found.unwrap_or_else(|| panic!("waited in vain for {key}, last was {last:#?}"))
}
