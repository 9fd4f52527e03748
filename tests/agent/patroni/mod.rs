//! haproxystats-agent on a real Patroni cluster of two nodes, with a real HAProxy in front that has the lines of
//! contrib/haproxy/agent.cfg. While the cluster goes through what clusters go through, writers and readers work through
//! HAProxy and ask PostgreSQL itself who it is.
//!
//! `HAPROXYSTATS_PATRONI_ROUNDS=5` does everything five times, and what else is too slow for each run.

mod answers;

use crate::harness::agent::Agent;
use crate::harness::haproxy::cell;
use crate::harness::newer::{Haproxy, newer_haproxy, own_haproxy};
use crate::harness::patroni::{Cluster, Session, SqlError};
use crate::harness::{Daemon, SOON, free_port, peer, wait_for, wait_until, write};
use nix::sys::signal::Signal;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// A take-over waits for Patroni's ttl of 20 seconds; the rest is for loaded machines.
const TAKE_OVER: Duration = Duration::from_secs(120);
/// Bytes; `max-lag` of the agents.
const MAX_LAG: u64 = 1_000_000;
/// How long Patroni may take to know of a lag: each node tells of itself every `loop_wait` (2 s).
/// HAProxy asks the agent every second.
const LAG_IS_KNOWN: Duration = Duration::from_secs(7);

/// What a client learnt from the session of each moment.
#[derive(Debug, Clone, Copy)]
struct Sample {
    at: Instant,
    /// Port of the node that answered.
    node: u16,
    in_recovery: bool,
}

/// A client that works through HAProxy until it is dropped.
struct Client {
    samples: Arc<Mutex<Vec<Sample>>>,
    /// Errors that PostgreSQL itself sent, by code.
    refusals: Arc<Mutex<Vec<String>>>,
    /// When there was no result, for whatever reason.
    failures: Arc<Mutex<Vec<Instant>>>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Client {
    /// `lasting`: keeps its session as long as it lives, rather than opening one for each sample. `writes`: writes too.
    fn start(port: u16, lasting: bool, writes: bool) -> Self {
        let samples = Arc::new(Mutex::new(Vec::new()));
        let refusals = Arc::new(Mutex::new(Vec::new()));
        let failures = Arc::new(Mutex::new(Vec::new()));
        let failed = Arc::clone(&failures);
        let stop = Arc::new(AtomicBool::new(false));
        let (to, refused, end) = (Arc::clone(&samples), Arc::clone(&refusals), Arc::clone(&stop));
        let thread = std::thread::spawn(move || {
            let mut session = None;
            while !end.load(Ordering::SeqCst) {
                let result = sample(port, session.take(), writes);
                if result.is_err() {
                    failed.lock().unwrap().push(Instant::now());
                }
                match result {
                    Ok((sample, open)) => {
                        to.lock().unwrap().push(sample);
                        session = lasting.then_some(open);
                    }
                    Err(SqlError::Refused(code)) => refused.lock().unwrap().push(code),
                    Err(SqlError::Connection) => {}
                }
                std::thread::sleep(Duration::from_millis(10));
            }
        });
        Self { samples, refusals, failures, stop, thread: Some(thread) }
    }

    /// How often there was no result from this moment on.
    fn failed_since(&self, since: Instant) -> usize {
        self.failures.lock().unwrap().iter().filter(|at| **at >= since).count()
    }

    fn samples(&self) -> Vec<Sample> {
        self.samples.lock().unwrap().clone()
    }

    /// Waits for a sample from a node that was taken from now on.
    #[track_caller]
    fn wait_for(&self, node: u16, limit: Duration) -> Duration {
        let begun = Instant::now();
        wait_until(limit, "a client reaches the node", || {
            self.samples().iter().any(|sample| sample.at >= begun && sample.node == node)
        });
        begun.elapsed()
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

fn sample(port: u16, session: Option<Session>, writes: bool) -> Result<(Sample, Session), SqlError> {
    let mut session = session.map_or_else(|| Session::open(port), Ok)?;
    let at = Instant::now();
    let columns = session.query("select pg_is_in_recovery(), inet_server_port()")?;
    let [recovery, node] = columns.as_slice() else { panic!("{columns:?}") };
    let sample = Sample { at, node: node.parse().unwrap(), in_recovery: recovery == "t" };
    if writes {
        session.query("insert into written values (clock_timestamp())")?;
    }
    Ok((sample, session))
}

/// The cluster, an agent on each node, HAProxy in front, and clients.
struct Site {
    writers: [Client; 2],
    readers: [Client; 1],
    /// The port for writers.
    writes: u16,
    socket: PathBuf,
    _haproxy: Daemon,
    _directory: TempDir,
    /// Of the nodes, in their order.
    agents: [Option<Agent>; 2],
    agent_ports: [u16; 2],
    cluster: Cluster,
}

/// An agent for a node.
fn agent_of(port: u16, api: u16) -> Agent {
    Agent::on(
        port,
        &format!(
            "own-admin-state = true\ninterval = 0.1\nchecks = patroni\ncheck-url = http://127.0.0.1:{api}\n\
             check-timeout = 1\nrequest-timeout = 1\nmax-lag = {MAX_LAG}\n\
             [agent:rw]\nrequest = rw\n[agent:ro]\nrequest = ro\npatroni-mode = read-only\n"
        ),
    )
}

/// The lines of the shipped configuration for PostgreSQL, for these ports and this cluster.
fn shipped(socket: &Path, [writes, reads]: [u16; 2], cluster: &Cluster, agents: [u16; 2]) -> String {
    let text = std::fs::read_to_string(crate::harness::root().join("contrib/haproxy/agent.cfg")).unwrap();
    let mut lines = format!("global\n    stats socket {} mode 600 level admin\n", socket.display());
    for part in text.split("\n\n").filter(|part| part.contains("defaults\n") || part.contains("postgres")) {
        lines.push_str(part);
        lines.push_str("\n\n");
    }
    // Every failure counts.
    lines = lines.replace("defaults\n", "defaults\n    retries 0\n");
    for (from, to) in [(":5000", writes), (":5001", reads)] {
        assert!(lines.contains(&format!("bind {from}\n")), "{lines}");
        lines = lines.replace(&format!("bind {from}\n"), &format!("bind 127.0.0.1:{to}\n"));
    }
    for (number, (node, agent)) in cluster.nodes().iter().zip(agents).enumerate() {
        let number = number + 1;
        let server = format!("server pg-{number} 192.0.2.2{number}:5432\n");
        assert_eq!(lines.matches(&server).count(), 2, "{lines}");
        let ours = format!(
            "server {} 127.0.0.1:{} port {} agent-addr 127.0.0.1 agent-port {agent}\n",
            node.name, node.postgres, node.api
        );
        lines = lines.replace(&server, &ours);
    }
    // Readers are served by PostgreSQL, which its own port tells.
    let (before, readers) = lines.split_once("\nbackend postgres-ro").unwrap();
    let readers = cluster.nodes().iter().fold(readers.to_owned(), |lines, node| {
        lines.replace(&format!("port {} agent-addr", node.api), &format!("port {} agent-addr", node.postgres))
    });
    format!("{before}\nbackend postgres-ro{readers}")
}

/// These lines without HAProxy's own question to Patroni: it looks whether PostgreSQL listens.
fn unprotected(lines: &str, cluster: &Cluster) -> String {
    let question = "    option httpchk OPTIONS /master\n    http-check expect status 200\n";
    assert!(lines.contains(question), "{lines}");
    let lines = lines.replace(question, "").replace("check port 8008 ", "check ");
    cluster
        .nodes()
        .iter()
        .fold(lines, |lines, node| lines.replace(&format!(" port {} agent-addr", node.api), " agent-addr"))
}

impl Site {
    #[track_caller]
    fn start(haproxy: &Haproxy) -> Self {
        Self::with(haproxy, |lines, _| lines)
    }

    /// With other lines for HAProxy.
    #[track_caller]
    fn with(haproxy: &Haproxy, change: impl Fn(String, &Cluster) -> String) -> Self {
        let cluster = Cluster::start();
        let agent_ports = [free_port(), free_port()];
        let agents = [0, 1].map(|number| Some(agent_of(agent_ports[number], cluster.nodes()[number].api)));
        let directory = tempfile::tempdir().unwrap();
        let socket = directory.path().join("haproxy.sock");
        let [writes, reads] = [free_port(), free_port()];
        let text = change(shipped(&socket, [writes, reads], &cluster, agent_ports), &cluster);
        let mut command = haproxy.command();
        command.arg("-db").arg("-f").arg(write(directory.path(), "haproxy.cfg", text));
        let daemon = Daemon::spawn(command);
        let (leader, _) = cluster.settle(SOON);
        let port = cluster.nodes().iter().find(|node| node.name == leader).unwrap().postgres;
        let mut session = wait_for(SOON, "the leader", || Session::open(port).ok());
        session.query("create table written (at timestamptz)").unwrap();
        session.query("create table ballast (text text)").unwrap();
        // Replication is asynchronous: the replica must have the tables before it may take over.
        for node in cluster.nodes() {
            wait_until(SOON, "the tables are everywhere", || {
                Session::open(node.postgres)
                    .and_then(|mut session| session.query("select count(*) from ballast"))
                    .is_ok()
            });
        }
        let writers = [Client::start(writes, false, true), Client::start(writes, true, true)];
        let readers = [Client::start(reads, false, false)];
        let (_haproxy, _directory) = (daemon, directory);
        let site = Self { writers, readers, writes, socket, _haproxy, _directory, agents, agent_ports, cluster };
        for writer in &site.writers {
            writer.wait_for(port, SOON);
        }
        site
    }

    /// Names and ports of leader and replica.
    #[track_caller]
    fn roles(&self, limit: Duration) -> [(&'static str, u16); 2] {
        let (leader, replica) = self.cluster.settle(limit);
        [leader, replica]
            .map(|name| (name, self.cluster.nodes().iter().find(|node| node.name == name).unwrap().postgres))
    }

    /// Starts Patroni of a node again, and waits until the node follows the leader for good: one that still has to be
    /// rewound is a replica to Patroni before that, and could not take over.
    #[track_caller]
    fn restart(&mut self, name: &str) {
        self.cluster.node(name).start();
        wait_until(TAKE_OVER, "the node that came back streams from the leader", || {
            let [leader, _] = self.roles(TAKE_OVER);
            let count = "select count(*) from pg_stat_replication where state = 'streaming' and replay_lsn = sent_lsn";
            Session::open(leader.1).and_then(|mut session| session.query(count)).is_ok_and(|row| row == ["1"])
        });
    }

    /// Status of a server.
    fn status(&self, proxy: &str, server: &str) -> String {
        self.column(proxy, server, "status")
    }

    fn column(&self, proxy: &str, server: &str, column: &str) -> String {
        cell(&self.socket, &format!("postgres-{proxy}"), server, column)
    }

    /// The place of a node in the list.
    fn number(&self, name: &str) -> usize {
        self.cluster.nodes().iter().position(|node| node.name == name).unwrap()
    }

    /// Ends the agent of a node.
    #[track_caller]
    fn end_agent(&mut self, name: &str, signal: Signal) {
        let number = self.number(name);
        let mut agent = self.agents[number].take().unwrap();
        agent.daemon.signal(signal);
        agent.daemon.wait(SOON);
    }

    #[track_caller]
    fn start_agent(&mut self, name: &str) {
        let number = self.number(name);
        self.agents[number] = Some(agent_of(self.agent_ports[number], self.cluster.nodes()[number].api));
    }

    /// The agent of the leader is killed, and the lead goes over; then the other way.
    #[track_caller]
    fn hand_over_without_the_leaders_agent(&mut self) {
        for _ in 0..2 {
            let [leader, replica] = self.roles(SOON);
            self.end_agent(leader.0, Signal::SIGKILL);
            self.writes_go_to(leader.1, "the leader's agent is killed", SOON);
            self.cluster.switch_over();
            self.writes_go_to(replica.1, "switch-over without the old leader's agent", SOON);
            wait_until(SOON, "HAProxy knows that the old leader is none", || {
                self.status("rw", leader.0).starts_with("DOWN")
            });
            // For as long as it takes, nobody goes there.
            self.cluster_replicates(replica.1);
            self.start_agent(leader.0);
            wait_until(SOON, "the agent is heard again", || self.status("rw", leader.0) == "MAINT");
        }
    }

    /// Kills the agent of the leader, hands the lead over, and opens sessions for writers until there were enough of them:
    /// how many, and how many of them were on the replica.
    #[track_caller]
    fn sessions_without_the_leaders_agent(&mut self) -> (usize, usize) {
        let [leader, replica] = self.roles(SOON);
        self.end_agent(leader.0, Signal::SIGKILL);
        self.writes_go_to(leader.1, "the leader's agent is killed", SOON);
        let begun = Instant::now();
        let client = Client::start(self.writes, false, false);
        self.cluster.switch_over();
        client.wait_for(replica.1, SOON);
        // As long as the old leader is a replica that answers.
        self.cluster_replicates(replica.1);
        let before = client.samples().len();
        wait_until(SOON, "some hundred sessions", || client.samples().len() >= before + 400);
        let samples: Vec<Sample> = client.samples().into_iter().filter(|sample| sample.at >= begun).collect();
        (samples.len(), samples.iter().filter(|sample| sample.in_recovery).count())
    }

    /// Waits until the other node streams from the leader.
    #[track_caller]
    fn cluster_replicates(&self, leader: u16) {
        let count = "select count(*) from pg_stat_replication where state = 'streaming'";
        wait_until(TAKE_OVER, "the other node streams from the leader", || {
            Session::open(leader).and_then(|mut session| session.query(count)).is_ok_and(|row| row == ["1"])
        });
    }

    /// Agents come and go, the leader stays, and so do its writers.
    #[track_caller]
    fn restart_the_leaders_agent(&mut self) {
        let [leader, _] = self.roles(SOON);
        let begun = Instant::now();
        for signal in [Signal::SIGTERM, Signal::SIGKILL] {
            self.end_agent(leader.0, signal);
            wait_until(SOON, "HAProxy misses the agent", || {
                self.column("rw", leader.0, "agent_status").starts_with("L4CON")
            });
            self.writes_go_to(leader.1, "without the leader's agent", SOON);
            self.start_agent(leader.0);
            wait_until(SOON, "HAProxy hears the agent", || {
                self.column("rw", leader.0, "agent_status").starts_with("L7OK")
            });
            self.writes_go_to(leader.1, "with it again", SOON);
        }
        for writer in &self.writers {
            let since = || writer.samples().iter().filter(|sample| sample.at >= begun).count();
            // A busy machine writes slowly.
            wait_until(SOON, "enough writes to tell", || since() > 20);
            let failed = writer.failed_since(begun);
            eprintln!("restart of the leader's agent: {failed} of {} writes failed", since());
            assert_eq!(failed, 0);
        }
    }

    /// Waits until writes go to this node.
    #[track_caller]
    fn writes_go_to(&self, node: u16, what: &str, limit: Duration) {
        let took = self.writers.each_ref().map(|writer| writer.wait_for(node, limit));
        eprintln!("{what}: writes go to the right node after {:.1} s", took[0].max(took[1]).as_secs_f64());
    }

    /// What must hold at every moment of the whole test.
    #[track_caller]
    fn no_write_reached_a_replica(&self) {
        for writer in &self.writers {
            let samples = writer.samples();
            let wrong: Vec<&Sample> = samples.iter().filter(|sample| sample.in_recovery).collect();
            assert!(wrong.is_empty(), "{} of {}: {wrong:?}", wrong.len(), samples.len());
            let refusals = writer.refusals.lock().unwrap();
            // 25006: a write in a read-only transaction.
            assert!(!refusals.iter().any(|code| code == "25006"), "{refusals:?}");
            assert!(samples.len() > 100, "{}", samples.len());
        }
        let [writers, readers] = [&self.writers[..], &self.readers[..]]
            .map(|clients| clients.iter().map(|client| client.samples().len()).sum::<usize>());
        eprintln!("{writers} samples of writers, {readers} of readers");
    }

    /// A replica that stops replaying is left alone by readers, and gets them back.
    #[track_caller]
    fn lag(&self) {
        let [leader, replica] = self.roles(SOON);
        let begun = Instant::now();
        wait_until(SOON, "readers reach the replica", || {
            self.readers[0].samples().iter().any(|sample| sample.at > begun && sample.node == replica.1)
        });
        let node = self.cluster.nodes().iter().find(|node| node.name == replica.0).unwrap();
        let frozen = node.freeze_replay();
        let fill = "insert into ballast select repeat('x', 1000) from generate_series(1, 4000)";
        Session::open(leader.1).unwrap().query(fill).unwrap();
        let over = Instant::now();
        wait_until(SOON, "the replica is drained", || self.status("ro", replica.0) == "DRAIN (agent)");
        let drained = over.elapsed();
        eprintln!("lag: the replica is drained after {:.1} s", drained.as_secs_f64());
        assert!(drained < LAG_IS_KNOWN, "{drained:?}");
        // A read that had begun before.
        let from = Instant::now() + Duration::from_millis(100);
        wait_until(SOON, "the leader takes reads", || {
            let samples = self.readers[0].samples();
            samples.iter().filter(|sample| sample.at > from && sample.node == leader.1).count() > 50
        });
        let stray = self.readers[0].samples().iter().filter(|s| s.at > from && s.node == replica.1).count();
        assert_eq!(stray, 0, "reads of a replica over its limit");
        drop(frozen);
        self.readers[0].wait_for(replica.1, SOON);
    }

    #[track_caller]
    fn switch_over(&self) {
        let [_, replica] = self.roles(SOON);
        self.cluster.switch_over();
        self.writes_go_to(replica.1, "switch-over", SOON);
    }

    /// Under `pause` nothing changes, not even when PostgreSQL stops: but then nobody is asked to write to it.
    #[track_caller]
    fn pause(&self) {
        let [leader, _] = self.roles(SOON);
        self.cluster.pause(true);
        self.writes_go_to(leader.1, "pause", SOON);
        let node = self.cluster.nodes().iter().find(|node| node.name == leader.0).unwrap();
        node.kill_postgres(Signal::SIGINT);
        wait_until(SOON, "the stopped leader is in maintenance", || self.status("rw", leader.0) == "MAINT");
        self.cluster.pause(false);
        let [leader, _] = self.roles(TAKE_OVER);
        self.writes_go_to(leader.1, "end of the pause", TAKE_OVER);
    }

    /// Without its store no node may lead.
    #[track_caller]
    fn lose_the_store(&mut self) {
        self.roles(SOON);
        self.cluster.kill_etcd();
        wait_until(TAKE_OVER, "no node takes writes", || {
            ["n1", "n2"].iter().all(|name| self.status("rw", name).starts_with("MAINT"))
        });
        self.cluster.start_etcd();
        let [leader, _] = self.roles(TAKE_OVER);
        self.writes_go_to(leader.1, "store lost and found", TAKE_OVER);
    }

    /// Patroni and PostgreSQL of the leader are killed.
    #[track_caller]
    fn kill_the_leader(&mut self, and_postgres: bool) -> &'static str {
        let [leader, replica] = self.roles(SOON);
        let node = self.cluster.node(leader.0);
        node.kill_patroni();
        if and_postgres {
            node.kill_postgres(Signal::SIGKILL);
        }
        self.writes_go_to(replica.1, if and_postgres { "kill" } else { "kill of Patroni alone" }, TAKE_OVER);
        leader.0
    }

    /// Patroni of the leader stands still: neither lock nor API, PostgreSQL goes on.
    #[track_caller]
    fn freeze_the_leader(&mut self) {
        let [leader, replica] = self.roles(SOON);
        self.cluster.node(leader.0).signal_patroni(Signal::SIGSTOP);
        self.writes_go_to(replica.1, "frozen Patroni", TAKE_OVER);
        self.cluster.node(leader.0).signal_patroni(Signal::SIGCONT);
        self.roles(TAKE_OVER);
    }
}

/// How often everything is done; more than once only where it was asked for.
fn rounds() -> Option<u32> {
    std::env::var("HAPROXYSTATS_PATRONI_ROUNDS").ok().map(|text| text.parse().expect("a number of rounds"))
}

fn installed() -> bool {
    ["patroni", "etcd", "setpriv"].iter().all(|program| peer(program).is_some())
}

#[test]
fn writes_reach_no_replica_when_the_lead_is_handed_over() {
    if !installed() {
        return;
    }
    let mut site = Site::start(&own_haproxy());
    for _ in 0..rounds().unwrap_or(1) {
        site.restart_the_leaders_agent();
        site.hand_over_without_the_leaders_agent();
        site.lag();
        site.switch_over();
        site.pause();
    }
    site.no_write_reached_a_replica();
}

#[test]
fn writes_reach_no_replica_when_nodes_and_store_are_lost() {
    if !installed() {
        return;
    }
    // The newest one, so that both have their turn.
    let mut site = Site::start(&newer_haproxy("3.4").unwrap_or_else(own_haproxy));
    site.restart_the_leaders_agent();
    site.hand_over_without_the_leaders_agent();
    for round in 0..rounds().unwrap_or(1) {
        site.lose_the_store();
        if rounds().is_some() {
            site.freeze_the_leader();
            let killed = site.kill_the_leader(false);
            // Its PostgreSQL thinks that it leads; Patroni will tell it.
            site.restart(killed);
        }
        let killed = site.kill_the_leader(true);
        if round + 1 < rounds().unwrap_or(1) {
            site.restart(killed);
        }
    }
    site.no_write_reached_a_replica();
}

/// What docs/agent.md says of HAProxy's own question to Patroni, with and without it.
#[test]
#[ignore = "prints figures"]
fn what_protects_writers_from_a_replica() {
    for haproxy in [own_haproxy(), newer_haproxy("3.4").expect("HAProxy 3.4")] {
        let mut site = Site::start(&haproxy);
        let with = site.sessions_without_the_leaders_agent();
        drop(site);
        let mut site = Site::with(&haproxy, |lines, cluster| unprotected(&lines, cluster));
        let without = site.sessions_without_the_leaders_agent();
        for (what, (sessions, wrong)) in [("with OPTIONS /master", with), ("without it", without)] {
            println!("HAProxy {:?}, {what}: {wrong} of {sessions} sessions on the replica", haproxy.version);
        }
        assert!(with.1 == 0 && without.1 > 0);
    }
}
