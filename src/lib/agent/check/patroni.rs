//! Patroni: which node holds the leader lock, and how far the others lag behind.
//!
//! The status code of an endpoint knows the lock but not whether PostgreSQL runs; the body knows the server but not
//! the lock. Only both together say that writes may come. Patroni 4 calls `primary` what was `master`.

use super::interface::{Check, Checking, weight};
use crate::agent::client::{Client, Reply};
use crate::agent::finding::{Failure, Finding, because};
use crate::config::agent::{self, Response};
use crate::haproxy::answer::{Answer, State};
use serde_json::Value;
use std::cell::{Cell, RefCell};
use std::time::Instant;

/// Where Patroni listens by default.
pub(super) const URL: &str = "http://localhost:8008";

/// The API of one node.
pub(super) struct Patroni {
    client: Client,
    config: agent::Patroni,
    /// Path of the endpoint with its tags.
    path: String,
    /// The last finding that came from Patroni, and when.
    last: RefCell<Option<(Finding, Instant)>>,
    /// Why there is no result, when the last finding was an older one.
    concealed: Cell<Option<Failure>>,
    /// Since when the lag is above its limit.
    behind: Cell<Option<Instant>>,
}

/// The node, as its status says.
#[derive(Debug, Clone, PartialEq)]
struct Node {
    role: String,
    state: String,
    timeline: Option<u64>,
    /// Its name in the cluster; old versions do not tell.
    name: Option<String>,
    /// Bytes that were received and not replayed.
    unreplayed: Option<u64>,
}

impl Node {
    fn read(body: &[u8]) -> Result<Self, String> {
        let json: Value = serde_json::from_slice(body).map_err(|error| format!("patroni: not JSON: {error}"))?;
        let text = |name: &str| json.get(name).and_then(Value::as_str).map(str::to_owned);
        let location = |name: &str| json.pointer(&format!("/xlog/{name}")).and_then(Value::as_u64);
        let unreplayed = location("received_location").zip(location("replayed_location"));
        Ok(Self {
            role: text("role").ok_or("patroni: role is missing")?,
            state: text("state").ok_or("patroni: state is missing")?,
            timeline: json.get("timeline").and_then(Value::as_u64),
            name: json.pointer("/patroni/name").and_then(Value::as_str).map(str::to_owned),
            unreplayed: unreplayed.map(|(received, replayed)| received.saturating_sub(replayed)),
        })
    }

    fn is_primary(&self) -> bool {
        matches!(self.role.as_str(), "primary" | "master")
    }

    fn is_standby(&self) -> bool {
        matches!(self.role.as_str(), "replica" | "standby_leader")
    }

    fn runs(&self) -> bool {
        self.state == "running"
    }

    fn words(&self) -> String {
        let timeline = self.timeline.map(|timeline| format!(" tl={timeline}")).unwrap_or_default();
        format!("role={} state={}{timeline}", self.role, self.state)
    }
}

fn respond(response: &Response, reason: String) -> Finding {
    because(response, reason).map_or(Finding::Silent, Finding::Answer)
}

/// What a node is for writes. `locked`: the endpoint says that it holds the lock.
fn read_write(config: &agent::Patroni, locked: bool, node: &Node) -> Finding {
    let leads = node.is_primary() || (config.standby_cluster && node.role == "standby_leader");
    match (locked, leads, node.runs()) {
        (true, true, true) => Finding::Answer(Answer::of(State::Up, node.words())),
        (false, _, true) if node.is_standby() => respond(&config.replica, node.words()),
        // Switch-overs pass through here: lock without role, role without lock, neither running.
        _ => respond(&config.transition, node.words()),
    }
}

/// What a node is for reads. `serves`: the endpoint says that it is a replica of the wanted kind. `behind`: since when
/// its lag (`None`: not known) is above the limit.
fn read_only(
    config: &agent::Patroni,
    serves: bool,
    node: &Node,
    lag: Option<u64>,
    behind: &Cell<Option<Instant>>,
    now: Instant,
) -> Finding {
    if node.is_primary() && node.runs() {
        behind.set(None);
        let state = if config.primary_weight == 0 { State::Drain } else { State::Up };
        return Finding::Answer(Answer { weight: config.primary_weight, ..Answer::of(state, node.words()) });
    }
    if !serves || !node.runs() {
        behind.set(None);
        let state = if node.runs() { State::Drain } else { State::Down };
        return Finding::Answer(Answer::of(state, node.words()));
    }
    let reason = lag.map_or_else(|| "lag unknown".to_owned(), |lag| format!("lag={lag}"));
    if lag.is_some_and(|lag| lag <= config.max_lag) {
        behind.set(None);
    } else {
        let since = behind.get().unwrap_or(now);
        behind.set(Some(since));
        if now.saturating_duration_since(since) >= config.lag_delay {
            return Finding::Answer(Answer::of(State::Drain, reason));
        }
    }
    #[allow(clippy::cast_precision_loss, reason = "a ratio")]
    let part = lag.map_or(1.0, |lag| lag as f64 / config.max_lag as f64);
    Finding::Answer(Answer { weight: weight(part), ..Answer::of(State::Up, reason) })
}

/// Lag of a member, bytes: what the leader has and it has not received, by the reply of `/cluster`, and what it has
/// received and not replayed, by its own status. A lag that Patroni does not know is `None`.
fn lag_of(body: &[u8], node: &Node) -> Option<u64> {
    let json: Value = serde_json::from_slice(body).ok()?;
    let name = node.name.as_deref()?;
    let member =
        json.get("members")?.as_array()?.iter().find(|member| member.get("name").is_some_and(|n| n == name))?;
    Some(member.get("lag")?.as_u64()?.saturating_add(node.unreplayed.unwrap_or_default()))
}

/// What the replies of a node mean: status and body of the endpoint, and the body of `/cluster` where it was asked for.
/// A lag above its limit counts as new.
#[must_use]
pub fn evaluate(config: &agent::Patroni, status: u16, body: &[u8], cluster: Option<&[u8]>) -> Finding {
    let node = match Node::read(body) {
        Ok(node) => node,
        Err(reason) => return Finding::Failure(Failure::Error, reason),
    };
    if !config.read_only {
        return read_write(config, status == 200, &node);
    }
    let lag = if node.name.is_none() { node.unreplayed } else { cluster.and_then(|cluster| lag_of(cluster, &node)) };
    read_only(config, status == 200, &node, lag, &Cell::new(None), Instant::now())
}

impl Patroni {
    /// `before`: the last answer of the run before, for which `grace` counts on.
    pub(super) fn open(client: Client, config: agent::Patroni, before: Option<(Answer, Instant)>) -> Self {
        let path = match (config.read_only, config.standby_cluster) {
            (false, false) => "/primary".to_owned(),
            (false, true) => "/standby-leader".to_owned(),
            (true, _) => {
                let tags: Vec<String> = config.tags.iter().map(|(name, value)| format!("tag_{name}={value}")).collect();
                let question = if tags.is_empty() { "" } else { "?" };
                format!("{}{question}{}", config.replica_path, tags.join("&"))
            }
        };
        let last = RefCell::new(before.map(|(answer, when)| (Finding::Answer(answer), when)));
        Self { client, config, path, last, concealed: Cell::new(None), behind: Cell::new(None) }
    }

    async fn ask(&self) -> Finding {
        self.concealed.set(None);
        let Reply { status, body, .. } = match self.client.get(&self.path).await {
            Ok(reply) => reply,
            Err(error) => return self.unreachable(error.finding()),
        };
        if status != 200 && status != 503 {
            return self.unreachable(Finding::Failure(Failure::Error, format!("patroni: status {status}")));
        }
        let node = match Node::read(&body) {
            Ok(node) => node,
            Err(reason) => return self.unreachable(Finding::Failure(Failure::Error, reason)),
        };
        let found = if self.config.read_only {
            let serves = status == 200;
            let lag = if serves { self.lag(&node).await } else { None };
            read_only(&self.config, serves, &node, lag, &self.behind, Instant::now())
        } else {
            read_write(&self.config, status == 200, &node)
        };
        *self.last.borrow_mut() = Some((found.clone(), Instant::now()));
        found
    }

    /// Lag against the leader, as far as Patroni knows; versions that do not tell the name of the node know only what is
    /// received and not replayed.
    async fn lag(&self, node: &Node) -> Option<u64> {
        if node.name.is_none() {
            return node.unreplayed;
        }
        match self.client.get("/cluster").await {
            Ok(Reply { status: 200, body, .. }) => lag_of(&body, node),
            _ => None,
        }
    }

    /// The last finding while the time of grace lasts: a restart of Patroni alone takes nobody out of service.
    fn unreachable(&self, failure: Finding) -> Finding {
        match &*self.last.borrow() {
            Some((found, when)) if when.elapsed() < self.config.grace => {
                if let Finding::Failure(reason, _) = &failure {
                    self.concealed.set(Some(*reason));
                }
                found.clone()
            }
            _ => failure,
        }
    }
}

impl Check for Patroni {
    fn name(&self) -> &'static str {
        "patroni"
    }

    fn check(&self) -> Checking<'_> {
        Box::pin(self.ask())
    }

    fn concealed(&self) -> Option<Failure> {
        self.concealed.get()
    }

    fn timed_out(&self, reason: String) -> Finding {
        self.unreachable(Finding::Failure(Failure::Timeout, reason))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Program, load};
    use std::time::Duration;

    fn config(text: &str) -> agent::Patroni {
        let text = format!("[agent]\nchecks = patroni\n{text}");
        load::from_text(Program::Agent, &text, "x").unwrap().config.agent.services.remove(0).patroni
    }

    fn node(role: &str, state: &str) -> Node {
        Node::read(format!(r#"{{"role":"{role}","state":"{state}","timeline":2}}"#).as_bytes()).unwrap()
    }

    fn state(finding: &Finding) -> (State, u8) {
        match finding {
            Finding::Answer(answer) => (answer.state, answer.weight),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn writes_need_lock_role_and_a_running_server() {
        let config = config("");
        for (locked, role, running, wanted) in [
            (true, "primary", "running", State::Up),
            (true, "master", "running", State::Up),
            (true, "primary", "stopping", State::Maint),
            (true, "replica", "running", State::Maint),
            (false, "master", "stopped", State::Maint),
            (false, "primary", "running", State::Maint),
            (false, "replica", "running", State::Maint),
            (true, "standby_leader", "running", State::Maint),
        ] {
            let found = read_write(&config, locked, &node(role, running));
            assert_eq!(state(&found).0, wanted, "{locked} {role} {running}");
        }
    }

    #[test]
    fn words_for_replicas_and_transitions_are_configurable() {
        let config = config("replica-response = down\ntransition-response =\nstandby-cluster = true\n");
        assert_eq!(state(&read_write(&config, false, &node("replica", "running"))).0, State::Down);
        assert_eq!(read_write(&config, true, &node("replica", "running")), Finding::Silent);
        assert_eq!(state(&read_write(&config, true, &node("standby_leader", "running"))).0, State::Up);
    }

    #[test]
    fn reads_follow_the_lag() {
        let config = config("max-lag = 1000\nlag-delay = 5\n");
        let behind = Cell::new(None);
        let start = Instant::now();
        let replica = node("replica", "running");
        let at = |lag, seconds| {
            state(&read_only(&config, true, &replica, lag, &behind, start + Duration::from_secs(seconds)))
        };
        assert_eq!(at(Some(0), 0), (State::Up, 100));
        assert_eq!(at(Some(400), 1), (State::Up, 60));
        assert_eq!(at(Some(1001), 2), (State::Up, 1));
        assert_eq!(at(None, 6), (State::Up, 1));
        assert_eq!(at(Some(5000), 7), (State::Drain, 100));
        assert_eq!(at(Some(10), 8), (State::Up, 99));
        assert_eq!(at(Some(5000), 9), (State::Up, 1));
    }

    #[test]
    fn reads_fall_back_to_the_primary() {
        let behind = Cell::new(None);
        let of = |config: &agent::Patroni, serves, role, running| {
            state(&read_only(config, serves, &node(role, running), Some(0), &behind, Instant::now()))
        };
        assert_eq!(of(&config(""), false, "primary", "running"), (State::Up, 1));
        assert_eq!(of(&config("primary-weight = 0\n"), false, "master", "running").0, State::Drain);
        assert_eq!(of(&config(""), false, "replica", "running").0, State::Drain);
        assert_eq!(of(&config(""), true, "replica", "starting").0, State::Down);
    }

    #[test]
    fn the_lag_is_that_of_this_member() {
        let body = br#"{"members":[{"name":"a","lag":5},{"name":"b","lag":"unknown"},{"name":"c"}]}"#;
        let of = |name: &str| lag_of(body, &Node { name: Some(name.to_owned()), ..node("replica", "running") });
        assert_eq!((of("a"), of("b"), of("c"), of("d")), (Some(5), None, None, None));
        // Replay that stands still is no lag to /cluster, which knows what was received.
        let status = br#"{"role":"replica","state":"running","patroni":{"name":"a"},
            "xlog":{"received_location":1000,"replayed_location":300,"paused":true}}"#;
        assert_eq!(lag_of(body, &Node::read(status).unwrap()), Some(705));
    }

    #[test]
    fn replies_that_are_none() {
        for body in ["", "[]", "{}", r#"{"role":5,"state":"running"}"#, r#"{"role":"primary"}"#] {
            assert!(Node::read(body.as_bytes()).is_err(), "{body}");
        }
    }
}
