//! Both agents get the same replies of the health endpoint, one after the other, each from the same history. What HAProxy
//! makes of their answers is the same, unless docs/migration.md names the difference; and what it names does differ.

use crate::harness::agent::{Endpoint, Reply, ask, datawave};
use crate::harness::{Daemon, SOON, agent, free_port, listens, poll, python_tool, wait_until, with_config, write};
use haproxystats::haproxy::answer::grammar::{Server, Version, read};
use miniz_oxide::deflate::{compress_to_vec, compress_to_vec_zlib};
use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;
use std::time::Duration;

/// A reply, and the name of the difference that it makes, or may make.
struct Case {
    what: String,
    reply: Reply,
    difference: &'static str,
}

const NONE: &str = "";
const ROUNDING: &str = "rounding";

fn http(status: &str, headers: &str, body: &[u8]) -> Reply {
    let head = format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\n{headers}\r\n", body.len());
    Reply::Raw([head.as_bytes(), body].concat())
}

fn json(body: &str) -> Reply {
    http("200 OK", "content-type: application/json\r\n", body.as_bytes())
}

fn numbers(status: &str, slots: &str, load: &str, swap: &str) -> String {
    format!(r#"{{"Status":"{status}","ConnectionUsagePercent":{slots},"SystemLoad":{load},"SwapBytesUsed":{swap}}}"#)
}

/// All replies.
fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    let mut add = |what: String, reply, difference| cases.push(Case { what, reply, difference });
    // What servers say day by day.
    for status in ["ready", "drain"] {
        for slots in ["0", "1.0", "12.5", "33", "50", "99.9", "100", "250"] {
            for load in ["0", "0.27", "1", "1.5", "3.2", "64"] {
                for swap in ["0", "4096"] {
                    let difference = if status == "drain" { NONE } else { ROUNDING };
                    let body = numbers(status, slots, load, swap);
                    add(body.clone(), json(&body), difference);
                }
            }
        }
    }
    // Numbers that are none, or of another kind.
    for (slots, load, swap, difference) in [
        ("NaN", "0", "0", ROUNDING),
        ("0", "NaN", "0", NONE),
        ("0", "0", "NaN", "not a number in SwapBytesUsed"),
        ("Infinity", "0", "0", ROUNDING),
        ("0", "Infinity", "0", NONE),
        ("0", "0", "Infinity", ROUNDING),
        ("1e400", "0", "0", ROUNDING),
        ("0", "1e400", "0", NONE),
        ("-Infinity", "0", "0", "infinity below"),
        ("0", "-Infinity", "0", "infinity below"),
        ("0", "0", "-Infinity", NONE),
        ("-1", "0", "0", NONE),
        ("-50", "0", "0", "numbers below their range"),
        ("0", "-1", "0", "numbers below their range"),
        ("0", "-0.5", "0", "numbers below their range"),
        ("0", "0", "-1", NONE),
        ("\"NaN\"", "0", "0", "numbers as text"),
        ("0", "\"NaN\"", "0", "numbers as text"),
        ("0", "\"Infinity\"", "0", "numbers as text"),
        ("0", "0", "\"Infinity\"", "numbers as text"),
        ("\"5\"", "0", "0", "missing number"),
        ("0", "\"0.5\"", "0", "missing number"),
        ("0", "0", "\"5\"", "missing number"),
        ("null", "0", "0", "missing number"),
        ("0", "null", "0", "missing number"),
        ("0", "0", "null", "missing number"),
        ("[]", "0", "0", "missing number"),
        ("0", "{}", "0", "missing number"),
        ("0", "0", "[1]", "missing number"),
        ("0", "true", "0", ROUNDING),
        ("0", "false", "0", NONE),
        ("0", "0", "true", ROUNDING),
        ("0", "0", "false", NONE),
        ("0", "0", "1e-9", "less than a byte of swap"),
        ("5e1", "2.5E-1", "1E3", ROUNDING),
        ("123456789012345678901234567890", "0", "0", ROUNDING),
        ("0", "0", "18446744073709551615", ROUNDING),
    ] {
        let body = numbers("ready", slots, load, swap);
        add(body.clone(), json(&body), difference);
    }
    for (body, difference) in [
        (r#"{"Status":"ready","ConnectionUsagePercent":0,"SystemLoad":0}"#, "missing number"),
        (r#"{"Status":"ready","SystemLoad":0,"SwapBytesUsed":0}"#, "missing number"),
        (r#"{"Status":"ready","ConnectionUsagePercent":0,"SwapBytesUsed":0}"#, "missing number"),
        (r#"{"Status":"ready"}"#, "missing number"),
        (r#"{"status":"ready","connectionUsagePercent":0,"systemLoad":0,"swapBytesUsed":0}"#, "missing status"),
        (r#"{"ConnectionUsagePercent":0,"SystemLoad":0,"SwapBytesUsed":0}"#, "missing status"),
        ("{}", "empty reply"),
        ("[]", "empty reply"),
        ("null", "empty reply"),
        ("0", "empty reply"),
        ("\"\"", "empty reply"),
        ("false", "empty reply"),
        ("", "no result"),
        ("[1]", "no result"),
        ("5", "no result"),
        ("\"ready\"", "no result"),
        ("true", "no result"),
        ("{", "no result"),
        ("<html>well</html>", "no result"),
        ("{'Status':'ready'}", "no result"),
    ] {
        add(body.to_owned(), json(body), difference);
    }
    // Other states.
    for (status, difference) in [
        ("maint", NONE),
        ("down", NONE),
        ("stopped", NONE),
        ("fail", NONE),
        ("up", NONE),
        ("READY", "status in another case"),
        ("Ready", "status in another case"),
        ("DRAIN", "status in another case"),
        ("Down", NONE),
        ("MAINT", NONE),
        ("starting", "unknown status"),
        ("", "unknown status"),
        ("ready up", "unknown status"),
        ("bereit", "unknown status"),
    ] {
        for (slots, load) in [("0", "0"), ("40", "0.5")] {
            let body = numbers(status, slots, load, "0");
            let difference = if difference == NONE && slots != "0" { ROUNDING } else { difference };
            add(body.clone(), json(&body), difference);
        }
    }
    let body = numbers("down #x\\nup", "40", "0.5", "0");
    add(body.clone(), json(&body), "unknown status");
    for status in ["5", "null", "true", "[]", "{}"] {
        let body = numbers("ready", "0", "0", "0").replace("\"ready\"", status);
        add(body.clone(), json(&body), "missing status");
    }
    // The form of the document.
    let good = numbers("ready", "50", "0", "0");
    for (what, body, difference) in [
        ("blanks", format!(" \r\n\t{}\n\n", good.replace(',', " ,\n  ")), NONE),
        ("more keys", good.replace('}', r#","More":{"a":[1,2,{"b":null}]},"Text":"NaN \"}"}"#), NONE),
        ("a key twice", good.replace('{', r#"{"SystemLoad":9,"#), NONE),
        ("escapes", good.replace("ready", "re\\u0061dy"), NONE),
        ("a half surrogate in another key", good.replace('}', r#","Text":"\ud800"}"#), "no result"),
        ("a byte order mark", format!("\u{feff}{good}"), "no result"),
        ("something behind it", format!("{good} x"), "no result"),
        ("a comma too many", good.replace('}', ",}"), "no result"),
        ("a comment", format!("/* */{good}"), "no result"),
        ("NaN as a key", good.replace('{', "{NaN:1,"), "no result"),
        ("lists in lists", good.replace('}', &format!(",\"D\":{}{}}}", "[".repeat(60), "]".repeat(60))), NONE),
        (
            "too many lists in lists",
            good.replace('}', &format!(",\"D\":{}{}}}", "[".repeat(500), "]".repeat(500))),
            "no result",
        ),
        ("a long text", good.replace('}', &format!(",\"D\":\"{}\"}}", "x".repeat(900_000))), NONE),
        ("20 MB", good.replace('}', &format!(",\"D\":\"{}\"}}", "x".repeat(20_000_000))), "large replies"),
    ] {
        add(what.to_owned(), json(&body), difference);
    }
    add("Latin-1".to_owned(), http("200 OK", "", &[good.as_bytes(), b"\xe4"].concat()), "no result");
    // Statuses.
    for status in
        ["201", "202", "204", "206", "300", "304", "400", "401", "403", "404", "410", "429", "500", "501", "502", "504"]
    {
        add(format!("status {status}"), http(&format!("{status} X"), "", b""), "no result");
    }
    for body in ["", "busy", &good] {
        add(format!("503 {body:?}"), http("503 X", "", body.as_bytes()), "unavailable");
    }
    // How it is sent.
    let whole = good.len();
    for (what, text, difference) in [
        ("HTTP/1.0", format!("HTTP/1.0 200 OK\r\n\r\n{good}"), NONE),
        ("without a length", format!("HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n{good}"), NONE),
        (
            "chunks",
            format!("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n{whole:x}\r\n{good}\r\n0\r\n\r\n"),
            NONE,
        ),
        (
            "100 first",
            format!("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: {whole}\r\n\r\n{good}"),
            NONE,
        ),
        ("without a reason", format!("HTTP/1.1 200\r\ncontent-length: {whole}\r\n\r\n{good}"), NONE),
        (
            "less than its length",
            format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{good}", whole + 9),
            "no result",
        ),
        (
            "a chunk cut off",
            format!("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n{whole:x}\r\n{{"),
            "no result",
        ),
        ("no HTTP", "ready\r\n\r\n".to_owned(), "no result"),
        ("nothing", String::new(), "no result"),
        ("a redirect to nowhere", "HTTP/1.1 302 X\r\ncontent-length: 0\r\n\r\n".to_owned(), "no result"),
    ] {
        add(what.to_owned(), Reply::Raw(text.into_bytes()), difference);
    }
    // Encodings, which nobody has asked for.
    let gzip =
        [&[0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3][..], &compress_to_vec(good.as_bytes(), 6), &trailer(good.as_bytes())];
    let gzip = gzip.concat();
    let zlib = compress_to_vec_zlib(good.as_bytes(), 6);
    let bare = compress_to_vec(good.as_bytes(), 6);
    for (encoding, body, difference) in [
        ("gzip", &gzip, NONE),
        ("x-gzip", &gzip, NONE),
        ("GZIP", &gzip, NONE),
        ("deflate", &zlib, NONE),
        ("deflate", &bare, NONE),
        ("identity", &good.clone().into_bytes(), NONE),
        ("unknown", &good.clone().into_bytes(), NONE),
        ("gzip", &good.clone().into_bytes(), "no result"),
        ("gzip", &gzip[..20].to_vec(), "no result"),
    ] {
        add(
            format!("{encoding}, {} bytes", body.len()),
            http("200 OK", &format!("content-encoding: {encoding}\r\n"), body),
            difference,
        );
    }
    cases
}

/// The end of a file of gzip: CRC-32 and length.
fn trailer(data: &[u8]) -> [u8; 8] {
    let mut crc = !0u32;
    for byte in data {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            crc = (crc >> 1) ^ (0xedb8_8320 & (crc & 1).wrapping_neg());
        }
    }
    let mut end = [0; 8];
    end[..4].copy_from_slice(&(!crc).to_le_bytes());
    end[4..].copy_from_slice(&(data.len() as u32).to_le_bytes());
    end
}

/// Status and weight of a server that gets these answers. Words that HAProxy does not know, and connections that are closed
/// without an answer, change nothing.
fn after(answers: &[&str]) -> (String, u16) {
    let mut server = Server::new(100);
    for answer in answers {
        if let Ok(reading) = read(answer.as_bytes(), Version::Until30) {
            server.apply(&reading);
        }
    }
    (server.status().to_owned(), server.weight)
}

/// The names in the first column of the table.
fn named() -> BTreeSet<String> {
    let text = std::fs::read_to_string(crate::harness::root().join("docs/migration.md")).unwrap();
    let (_, rest) = text.split_once("<!-- begin: datawave").expect("the table of differences");
    let (table, _) = rest.split_once("<!-- end: datawave -->").expect("its end");
    let rows = table.lines().filter_map(|line| line.strip_prefix("| ")?.split(" | ").next());
    rows.filter(|name| *name != "difference").map(str::to_owned).collect()
}

/// Both agents at the same endpoint, checking when they are asked.
struct Pair {
    endpoint: Endpoint,
    theirs: u16,
    ours: u16,
    _daemons: [Daemon; 2],
    _directory: tempfile::TempDir,
}

impl Pair {
    fn start() -> Option<Self> {
        let program = python_tool("datawave-haproxy-agent", "HAPROXYSTATS_DATAWAVE_AGENT")?;
        let directory = tempfile::tempdir().unwrap();
        let endpoint = Endpoint::start(datawave("ready", 0));
        let (theirs, ours) = (free_port(), free_port());
        let yaml = format!(
            "bind: 127.0.0.1\nport: {theirs}\ndw_health_poller:\n  check_url: http://127.0.0.1:{}/health\n  \
             interval: 0.0\n  check_timeout: 20.0\n",
            endpoint.port
        );
        let yaml = write(directory.path(), "config.yml", yaml);
        let mut command = Command::new(program);
        command.arg("--config").arg(&yaml);
        // The debug output of the YAML is of no interest; its errors are.
        let seed = Daemon::spawn(command);
        // Ours by the import of the same file.
        let mut import = agent();
        import.arg("--import-datawave").arg(&yaml);
        let (status, section) = crate::harness::run(import, SOON);
        assert!(status.success(), "{section}");
        let section = section.replace(&format!("port = {theirs}\n"), &format!("port = {ours}\n"));
        let own = Daemon::spawn(with_config(agent(), &write(directory.path(), "agent.conf", section)));
        for port in [theirs, ours] {
            wait_until(SOON, "both agents listen", || listens(port));
        }
        Some(Self { endpoint, theirs, ours, _daemons: [seed, own], _directory: directory })
    }

    /// Status and weight at HAProxy after the answer to a server of this state and the one to this reply, by each agent.
    fn play_after(&self, state: &str, reply: &Reply) -> [(String, u16, String); 2] {
        [self.theirs, self.ours].map(|port| {
            self.endpoint.set(datawave(state, 20));
            let first = ask(port, "");
            assert!(first.contains("86%"), "{first:?}");
            self.endpoint.set(reply.clone());
            let second = ask(port, "");
            let (status, weight) = after(&[&first, &second]);
            (status, weight, second)
        })
    }

    /// After a server that is well.
    fn play(&self, reply: &Reply) -> [(String, u16, String); 2] {
        self.play_after("ready", reply)
    }
}

#[test]
fn every_reply_has_the_same_answer_or_a_difference_that_is_named() {
    let Some(pair) = Pair::start() else { return };
    let cases = cases();
    assert!(cases.len() >= 250, "{}", cases.len());
    let named = named();
    let mut wrong = Vec::new();
    let mut met: BTreeMap<&str, usize> = BTreeMap::new();
    for Case { what, reply, difference } in &cases {
        let played = ["ready", "down"].map(|state| pair.play_after(state, reply));
        let equal = played.iter().all(|[theirs, ours]| theirs.0 == ours.0 && theirs.1 == ours.1);
        let near = played.iter().all(|[theirs, ours]| theirs.0 == ours.0 && theirs.1.abs_diff(ours.1) <= 1);
        let expected = match *difference {
            NONE => equal,
            ROUNDING => near,
            name => !equal && named.contains(name),
        };
        if !equal {
            *met.entry(difference).or_default() += 1;
        }
        if !expected {
            let what: String = what.chars().take(120).collect();
            wrong.push(format!("{what}: there and here {played:?}; named {difference:?}"));
        }
    }
    eprintln!("{} replies, {met:?}", cases.len());
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), cases.len(), wrong.join("\n"));
    // What is promised to differ has been seen to differ; words are the same to HAProxy.
    for name in named.iter().filter(|name| *name != "words") {
        assert!(met.contains_key(name.as_str()), "{name} is in the table, and made no difference");
    }
}

#[test]
fn a_redirect_leads_where_it_leads_there() {
    let Some(pair) = Pair::start() else { return };
    let there = Endpoint::start(datawave("ready", 50));
    let to = |status: u16, location: &str| {
        Reply::Raw(format!("HTTP/1.1 {status} X\r\nlocation: {location}\r\ncontent-length: 0\r\n\r\n").into_bytes())
    };
    for status in [301, 302, 303, 307, 308] {
        for location in [format!("http://127.0.0.1:{}/x?y=1", there.port), format!("//127.0.0.1:{}", there.port)] {
            let [theirs, ours] = pair.play(&to(status, &location));
            assert_eq!((&theirs.0, theirs.1), (&ours.0, ours.1), "{status} {location}: {theirs:?} {ours:?}");
            assert_eq!(ours.1, 65, "{status} {location}: {ours:?}");
        }
    }
    // Without end: the last answer there, an error here.
    let [theirs, ours] = pair.play(&to(302, "/health"));
    assert_eq!((theirs.0.as_str(), ours.0.as_str()), ("UP", "DOWN (agent)"));
    let [_, ours] = pair.play(&to(302, "ftp://127.0.0.1/"));
    assert_eq!(ours.0, "DOWN (agent)");
}

#[test]
fn what_takes_too_long_is_told_apart() {
    let Some(pair) = Pair::start() else { return };
    let Reply::Http(_, body) = datawave("ready", 50) else { panic!() };
    let [theirs, ours] = pair.play(&Reply::Slow(Duration::from_millis(300), body));
    assert_eq!((theirs.1, ours.1), (65, 65), "{theirs:?} {ours:?}");
    pair.endpoint.vanish();
    let found = poll(SOON, || {
        let [theirs, ours] = [pair.theirs, pair.ours].map(|port| after(&["100% ready up\n", &ask(port, "")]).0);
        (theirs == "DOWN (agent)" && ours == theirs).then_some(())
    });
    assert!(found.is_some());
}
