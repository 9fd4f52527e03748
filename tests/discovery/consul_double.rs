//! A double of Consul: health with blocking queries, KV with check-and-set, sessions. It behaves as documented where a
//! client can go wrong, and has switches for the days on which Consul does.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Condvar, LazyLock, Mutex};
use std::time::{Duration, Instant};

#[derive(Default)]
pub struct State {
    /// Grows with each change of anything.
    pub index: u64,
    /// Entries of `/v1/health/service/NAME`, as JSON.
    pub services: BTreeMap<String, String>,
    /// Value, modify index, session that holds it.
    kv: BTreeMap<String, (Vec<u8>, u64, Option<String>)>,
    sessions: Vec<String>,
    /// A token that requests must have.
    pub token: Option<String>,
    /// Answers with an empty list and says that it was filtered.
    pub filtered: bool,
    /// Answers 500 without a leader.
    pub leaderless: bool,
    /// Answers from old data and says that there is no leader.
    pub stale: bool,
    /// Answers 404 to transactions, as a proxy does that lets only some paths through.
    pub no_transactions: bool,
    /// Requests, as `METHOD path?query`.
    pub requests: Vec<String>,
    stopped: bool,
}

pub struct Consul {
    shared: Arc<(Mutex<State>, Condvar)>,
    port: u16,
}

impl Consul {
    pub fn start() -> Self {
        let listener = listen();
        let port = listener.local_addr().unwrap().port();
        let shared = Arc::new((Mutex::new(State { index: 10, ..State::default() }), Condvar::new()));
        let served = Arc::clone(&shared);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                if served.0.lock().unwrap().stopped {
                    return;
                }
                let (stream, served) = (stream.unwrap(), Arc::clone(&served));
                std::thread::spawn(move || converse(stream, &served));
            }
        });
        Self { shared, port }
    }

    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Changes something, and wakes who waits.
    pub fn change(&self, change: impl FnOnce(&mut State)) {
        let mut state = self.shared.0.lock().unwrap();
        state.index += 1;
        change(&mut state);
        self.shared.1.notify_all();
    }

    pub fn register(&self, service: &str, entries: &[String]) {
        let text = format!("[{}]", entries.join(","));
        self.change(|state| drop(state.services.insert(service.to_owned(), text)));
    }

    pub fn requests(&self) -> Vec<String> {
        self.shared.0.lock().unwrap().requests.clone()
    }

    /// All sessions end: what they hold is free.
    pub fn end_sessions(&self) {
        self.change(|state| {
            state.sessions.clear();
            state.kv.values_mut().for_each(|entry| entry.2 = None);
        });
    }
}

impl Drop for Consul {
    fn drop(&mut self) {
        self.change(|state| state.stopped = true);
        let _ = TcpStream::connect(("127.0.0.1", self.port));
    }
}

/// An entry of the health endpoint; `checks` are the statuses of its checks.
pub fn entry(node: &str, address: &str, service: &str, checks: &[&str]) -> String {
    let checks: Vec<String> = checks
        .iter()
        .map(|status| match status.split_once('=') {
            Some((id, status)) => format!(r#"{{"CheckID":"{id}","Status":"{status}"}}"#),
            None => format!(r#"{{"CheckID":"serfHealth","Status":"{status}"}}"#),
        })
        .collect();
    format!(
        r#"{{"Node":{{"ID":"x","Node":"{node}","Address":"{address}","Datacenter":"dc1","Meta":null}},
        "Service":{{"ID":"web","Service":"web","Tags":[],"Meta":null,"EnableTagOverride":false,{service}}},"Checks":[{}]}}"#,
        checks.join(",")
    )
}

fn converse(mut stream: TcpStream, shared: &(Mutex<State>, Condvar)) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).unwrap_or(0) == 0 {
            return;
        }
        let mut words = line.split_whitespace();
        let (method, path) = (words.next().unwrap_or_default().to_owned(), words.next().unwrap_or_default().to_owned());
        let (mut length, mut token) = (0, None);
        loop {
            let mut header = String::new();
            if reader.read_line(&mut header).unwrap_or(0) == 0 {
                return;
            }
            let Some((name, value)) = header.trim().split_once(':') else { break };
            match name.to_ascii_lowercase().as_str() {
                "content-length" => length = value.trim().parse().unwrap_or(0),
                "x-consul-token" => token = Some(value.trim().to_owned()),
                _ => {}
            }
        }
        let mut body = vec![0; length];
        if reader.read_exact(&mut body).is_err() {
            return;
        }
        let (status, index, extra, text) = answer(shared, &method, &path, token.as_deref(), &body);
        let head = format!(
            "HTTP/1.1 {status} X\r\nContent-Type: application/json\r\nX-Consul-Index: {index}\r\n{extra}Content-Length: {}\r\n\r\n",
            text.len()
        );
        if stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(&text)).is_err() {
            return;
        }
    }
}

/// Listens where no other double of this program has listened before: clients of one that is gone may still be looking for
/// it, and would change what another one says. Below the ports that the kernel hands out, above those of the harness.
fn listen() -> TcpListener {
    const FIRST: u32 = 28_000;
    const COUNT: u32 = 4_000;
    static NEXT: LazyLock<AtomicU32> = LazyLock::new(|| AtomicU32::new(std::process::id().wrapping_mul(37)));
    (0..COUNT)
        .filter_map(|_| u16::try_from(FIRST + NEXT.fetch_add(1, Ordering::Relaxed) % COUNT).ok())
        .find_map(|port| TcpListener::bind(("127.0.0.1", port)).ok())
        .expect("a free port")
}

type Answer = (u16, u64, &'static str, Vec<u8>);

fn answer(shared: &(Mutex<State>, Condvar), method: &str, path: &str, token: Option<&str>, body: &[u8]) -> Answer {
    let (path, query) = path.split_once('?').unwrap_or((path, ""));
    let parameter = |name: &str| {
        query.split('&').find_map(|pair| pair.split_once('=').filter(|(key, _)| *key == name)).map(|(_, value)| value)
    };
    let mut state = shared.0.lock().unwrap();
    state.requests.push(format!("{method} {path}?{query}"));
    if state.leaderless {
        return (500, 0, "", b"No cluster leader".to_vec());
    }
    if state.token.is_some() && state.token.as_deref() != token {
        return (403, 0, "", b"Permission denied: token lacks permission".to_vec());
    }
    // A blocking query: until the index is above the given one, or the time is over.
    if let Some(index) = parameter("index").and_then(|index| index.parse::<u64>().ok()).filter(|index| *index > 0) {
        let wait = parameter("wait").and_then(|wait| wait.strip_suffix("ms")?.parse().ok()).unwrap_or(300_000);
        let end = Instant::now() + Duration::from_millis(wait);
        // An index that went backwards returns at once.
        while state.index == index && !state.stopped && !state.leaderless {
            let Some(left) = end.checked_duration_since(Instant::now()) else { break };
            state = shared.1.wait_timeout(state, left).unwrap().0;
        }
        if state.leaderless {
            return (500, 0, "", b"No cluster leader".to_vec());
        }
    }
    let index = state.index;
    if let Some(service) = path.strip_prefix("/v1/health/service/") {
        if state.filtered {
            return (200, index, "X-Consul-Results-Filtered-By-ACLs: true\r\n", b"[]".to_vec());
        }
        let leader = if state.stale { "X-Consul-KnownLeader: false\r\n" } else { "X-Consul-KnownLeader: true\r\n" };
        let text = state.services.get(service).cloned().unwrap_or_else(|| "[]".to_owned());
        return (200, index, leader, text.into_bytes());
    }
    if let Some(key) = path.strip_prefix("/v1/kv/") {
        if method == "GET" {
            return match state.kv.get(key) {
                None => (404, index, "", Vec::new()),
                Some((value, modified, _)) => {
                    use base64::Engine;
                    let value = base64::engine::general_purpose::STANDARD.encode(value);
                    (
                        200,
                        *modified,
                        "",
                        format!(r#"[{{"Key":"{key}","ModifyIndex":{modified},"Value":"{value}"}}]"#).into(),
                    )
                }
            };
        }
        let known = state.kv.get(key).cloned();
        let session = parameter("acquire").map(str::to_owned);
        let good = session.as_ref().is_none_or(|session| {
            let held = known.as_ref().and_then(|known| known.2.as_ref());
            state.sessions.contains(session) && held.is_none_or(|held| held == session)
        });
        if good {
            state.index += 1;
            let index = state.index;
            let holder = session.or_else(|| known.and_then(|known| known.2));
            state.kv.insert(key.to_owned(), (body.to_vec(), index, holder));
            shared.1.notify_all();
        }
        return (200, state.index, "", good.to_string().into_bytes());
    }
    if path == "/v1/txn" && state.no_transactions {
        return (404, index, "", b"no such page".to_vec());
    }
    if path == "/v1/txn" {
        use base64::Engine;
        let operations: serde_json::Value = serde_json::from_slice(body).unwrap();
        let operation = &operations[0]["KV"];
        assert_eq!(operation["Verb"], "cas");
        let key = operation["Key"].as_str().unwrap().to_owned();
        let known = state.kv.get(&key).cloned();
        if operation["Index"].as_u64() != Some(known.as_ref().map_or(0, |known| known.1)) {
            return (
                409,
                index,
                "",
                br#"{"Results":null,"Errors":[{"OpIndex":0,"What":"failed index check"}]}"#.to_vec(),
            );
        }
        state.index += 1;
        let index = state.index;
        let value = base64::engine::general_purpose::STANDARD.decode(operation["Value"].as_str().unwrap()).unwrap();
        state.kv.insert(key, (value, index, known.and_then(|known| known.2)));
        shared.1.notify_all();
        return (
            200,
            index,
            "",
            format!(r#"{{"Results":[{{"KV":{{"ModifyIndex":{index}}}}}],"Errors":null}}"#).into_bytes(),
        );
    }
    if path == "/v1/session/create" {
        let session = format!("session-{}", state.index);
        state.index += 1;
        state.sessions.push(session.clone());
        return (200, index, "", format!(r#"{{"ID":"{session}"}}"#).into_bytes());
    }
    if let Some(session) = path.strip_prefix("/v1/session/renew/") {
        let known = state.sessions.iter().any(|known| known == session);
        return (if known { 200 } else { 404 }, index, "", b"[]".to_vec());
    }
    if let Some(session) = path.strip_prefix("/v1/session/destroy/") {
        state.sessions.retain(|known| known != session);
        for entry in state.kv.values_mut().filter(|entry| entry.2.as_deref() == Some(session)) {
            entry.2 = None;
        }
        return (200, index, "", b"true".to_vec());
    }
    (404, index, "", Vec::new())
}
