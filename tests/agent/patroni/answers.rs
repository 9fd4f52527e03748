//! Answers of Patroni 4, as a real cluster gave them while it went through what clusters go through, with what PostgreSQL
//! itself said of them. The agent makes of each what it should.
//!
//! `tests/data/agent/patroni-4.1.4.jsonl` was recorded from Patroni 4.1.4 of PyPI:
//!
//! ```sh
//! HAPROXYSTATS_PATRONI=/tmp/venv/bin/patroni cargo test --test agent patroni::answers::record -- --ignored
//! ```

use super::{MAX_LAG, TAKE_OVER};
use crate::harness::agent::{Agent, Endpoint, Reply};
use crate::harness::patroni::{Cluster, Remote, Session};
use crate::harness::{SOON, free_port, poll, wait_until};
use nix::sys::signal::Signal;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

/// All that a node said at one time: `node`, status and body of `primary` and `replica`, the body of `cluster`, and what
/// PostgreSQL said of its `recovery` before and after: `t`, `f`, or `-` for nothing.
#[derive(Debug)]
struct Moment(Value);

impl Moment {
    fn status(&self, path: &str) -> u16 {
        u16::try_from(self.0[path][0].as_u64().unwrap()).unwrap()
    }

    fn text(&self, path: &str, name: &str) -> &str {
        self.0[path][1][name].as_str().unwrap_or_default()
    }

    /// Whether its lag is known and small.
    fn is_close(&self) -> bool {
        let members = self.0["cluster"]["members"].as_array().into_iter().flatten();
        let own = members.filter(|member| member["name"] == self.0["node"]).find_map(|member| member["lag"].as_u64());
        own.is_some_and(|lag| {
            let [received, replayed] =
                ["received_location", "replayed_location"].map(|name| self.0["replica"][1]["xlog"][name].as_u64());
            lag + received.zip(replayed).map_or(0, |(received, replayed)| received - replayed) <= MAX_LAG
        })
    }

    /// What makes it another kind of answer.
    fn kind(&self) -> String {
        let keys = self.0["primary"][1].as_object().map(|object| object.keys().cloned().collect::<Vec<_>>());
        let [primary, replica] = ["primary", "replica"].map(|path| self.status(path));
        let [role, state] = ["role", "state"].map(|name| self.text("primary", name));
        format!("{primary} {replica} {role} {state} {} {} {keys:?}", self.is_close(), self.0["recovery"])
    }
}

fn file() -> PathBuf {
    crate::harness::root().join("tests/data/agent/patroni-4.1.4.jsonl")
}

#[test]
fn each_answer_of_patroni_4_means_what_postgresql_says() {
    let text = std::fs::read_to_string(file()).unwrap();
    let moments: Vec<Moment> = text.lines().map(|line| Moment(serde_json::from_str(line).unwrap())).collect();
    let endpoint = Endpoint::start(Reply::Http(503, String::new()));
    let agent = Agent::on(
        free_port(),
        &format!(
            "own-admin-state = true\ninterval = 0.05\nchecks = patroni\ncheck-url = http://127.0.0.1:{}\n\
             check-timeout = 5\ngrace = 0\nmax-lag = {MAX_LAG}\nlag-delay = 0\n\
             [agent:rw]\nrequest = rw\n[agent:ro]\nrequest = ro\npatroni-mode = read-only\n",
            endpoint.port
        ),
    );
    let (mut writable, mut readable, mut roles) = (0, 0, BTreeSet::new());
    for (number, moment) in moments.iter().enumerate() {
        // Its number stands for the timeline, so that no answer is taken for that of another moment.
        let mark = format!("tl={}", 1000 + number);
        let [primary, replica] = ["primary", "replica"].map(|path| {
            let mut body = moment.0[path][1].clone();
            body["timeline"] = Value::from(1000 + number);
            (moment.status(path), body.to_string())
        });
        endpoint.set(Reply::Paths(vec![
            ("/primary", primary.0, primary.1),
            ("/replica", replica.0, replica.1),
            ("/cluster", 200, moment.0["cluster"].to_string()),
        ]));
        let answer =
            poll(SOON, || Some(agent.ask("rw\n")).filter(|answer| answer.contains(&mark))).expect("the answer");
        let asked = endpoint.requests();
        wait_until(SOON, "both services have asked", || endpoint.requests() > asked + 6);
        let reads = agent.ask("ro\n");
        let [role, state] = ["role", "state"].map(|name| moment.text("primary", name));
        roles.insert(role.to_owned());
        let (leads, runs) = (moment.status("primary") == 200 && role == "primary", state == "running");
        let wanted = if leads && runs { "ready up 100% #" } else { "maint down 100% #" };
        assert!(answer.starts_with(wanted), "{answer:?} for {moment:?}");
        if answer.contains(" up ") {
            writable += 1;
            assert!(
                moment.0["recovery"].as_array().unwrap().contains(&json!("f")),
                "writes go to a replica: {answer:?} for {moment:?}"
            );
        }
        // Between two questions a node may become another.
        let [role, state] = ["role", "state"].map(|name| moment.text("replica", name));
        let wanted = match (role, state == "running", moment.status("replica")) {
            ("primary", true, _) => "ready up 1% #",
            (_, true, 200) if moment.is_close() => "ready up ",
            (_, true, _) => "drain up ",
            _ => "ready down ",
        };
        assert!(reads.starts_with(wanted), "{reads:?} for {moment:?}");
        readable += usize::from(reads.contains("ready up ") && role == "replica");
    }
    eprintln!("{} answers, {writable} take writes, {readable} reads, {roles:?}", moments.len());
    assert!(writable >= 2 && readable >= 2 && roles.contains("primary") && !roles.contains("master"), "{roles:?}");
}

/// Notes each kind of answer of a node.
fn watch(node: &Remote) -> Option<Moment> {
    let recovery = || {
        let row = Session::open(node.postgres).and_then(|mut session| session.query("select pg_is_in_recovery()"));
        row.ok().and_then(|row| row.into_iter().next()).unwrap_or_else(|| "-".to_owned())
    };
    let ask = |path: &str| {
        let reply = node.ask("GET", path, "")?;
        let (head, body) = reply.split_once("\r\n\r\n")?;
        let status: u16 = head.split(' ').nth(1)?.parse().ok()?;
        Some((status, serde_json::from_str::<Value>(body).ok()?))
    };
    let before = recovery();
    let (primary, replica, cluster) = (ask("/primary")?, ask("/replica")?, ask("/cluster")?);
    let (primary, replica) = (json!([primary.0, primary.1]), json!([replica.0, replica.1]));
    Some(Moment(json!({"node": node.name, "primary": primary, "replica": replica, "cluster": cluster.1,
        "recovery": [before, recovery()]})))
}

#[test]
#[ignore = "needs Patroni 4, which Debian has not"]
fn record() {
    let mut cluster = Cluster::start();
    let seen: Arc<Mutex<Vec<(String, Moment)>>> = Arc::default();
    let stopped = Arc::new(AtomicBool::new(false));
    let threads: Vec<_> = cluster
        .nodes()
        .iter()
        .map(|node| {
            let (node, seen, stopped) = (node.remote(), Arc::clone(&seen), Arc::clone(&stopped));
            std::thread::spawn(move || {
                while !stopped.load(Ordering::SeqCst) {
                    let Some(moment) = watch(&node) else { continue };
                    let mut seen = seen.lock().unwrap();
                    let kind = moment.kind();
                    if seen.iter().all(|(known, _)| *known != kind) {
                        seen.push((kind, moment));
                    }
                }
            })
        })
        .collect();
    let replicates = |leader: u16| {
        let count = "select count(*) from pg_stat_replication where state = 'streaming'";
        wait_until(TAKE_OVER, "the other node streams", || {
            Session::open(leader).and_then(|mut session| session.query(count)).is_ok_and(|row| row == ["1"])
        });
    };
    let port = |cluster: &Cluster, name: &str| cluster.nodes().iter().find(|node| node.name == name).unwrap().postgres;
    // A lag.
    let (leader, replica) = cluster.settle(TAKE_OVER);
    let mut session = Session::open(port(&cluster, leader)).unwrap();
    session.query("create table ballast (text text)").unwrap();
    replicates(port(&cluster, leader));
    let frozen = cluster.node(replica).freeze_replay();
    session.query("insert into ballast select repeat('x', 1000) from generate_series(1, 4000)").unwrap();
    std::thread::sleep(std::time::Duration::from_secs(6));
    drop(frozen);
    // The lead goes there and back.
    for _ in 0..2 {
        cluster.switch_over();
        let (leader, _) = cluster.settle(TAKE_OVER);
        replicates(port(&cluster, leader));
    }
    // PostgreSQL stops under a pause.
    cluster.pause(true);
    let (leader, replica) = cluster.settle(TAKE_OVER);
    for name in [leader, replica] {
        cluster.node(name).kill_postgres(Signal::SIGINT);
        std::thread::sleep(std::time::Duration::from_secs(5));
    }
    cluster.pause(false);
    cluster.settle(TAKE_OVER);
    // The store goes.
    cluster.kill_etcd();
    std::thread::sleep(std::time::Duration::from_secs(15));
    cluster.start_etcd();
    let (leader, _) = cluster.settle(TAKE_OVER);
    // The leader goes, and comes back.
    cluster.node(leader).kill_patroni();
    cluster.node(leader).kill_postgres(Signal::SIGKILL);
    wait_until(TAKE_OVER, "the other one leads", || {
        cluster.nodes().iter().any(|node| node.name != leader && node.is("/primary"))
    });
    cluster.node(leader).start();
    cluster.settle(TAKE_OVER);
    stopped.store(true, Ordering::SeqCst);
    for thread in threads {
        thread.join().unwrap();
    }
    let lines = seen.lock().unwrap().iter().map(|(_, moment)| format!("{}\n", moment.0)).collect::<String>();
    std::fs::write(file(), lines).unwrap();
}
