//! HSDO and this program get the same answers of AWS and Consul. What both put into HAProxy is compared after each answer:
//! slots, addresses, ports, weights and groups are the same, unless docs/migration.md names the difference; and what it
//! names does differ. Whatever HSDO does, this program serves those that the answers call good.
//!
//! HSDO is in no package registry, so its part was recorded: `tests/data/hsdo/answers.jsonl` has a line for each case, with
//! the answers and what HSDO made of them. To record it again, with new answers where `cases.rs` has changed:
//!
//! ```sh
//! git clone https://github.com/BedrockStreaming/hsdo /tmp/hsdo
//! HAPROXYSTATS_HSDO=/tmp/hsdo HAPROXYSTATS_PYTHON=/tmp/venv/bin/python3 \
//!     cargo test --test discovery hsdo::record -- --ignored
//! ```
//!
//! where the Python has boto3, ruamel.yaml and prometheus-client.

mod cases;
mod double;
pub mod record;

use crate::harness::discovery::Balancer;
use crate::harness::{discovery, free_port, leave_out, output, with_config, write};
use double::Double;
use haproxystats::discovery::document::{Document, State};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// Slots of the list.
const SLOTS: usize = 6;
/// Seconds from one answer to the next: one step of the ramp, for both.
const STEP: u64 = 31;
/// What nothing listens at: the servers have no checks, and nobody asks for anything.
const PORT: u16 = 8080;
/// A fixed day; the ramps of both go by the clock.
const DAY: &str = "2026-06-01";

/// A server, as AWS or Consul has it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Instance {
    id: String,
    /// Auto Scaling Group, or service.
    group: String,
    /// `None`: it has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    address: Option<String>,
    /// LifecycleState, or the status of the check in Consul.
    #[serde(default = "good", skip_serializing_if = "is_good")]
    life: String,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    unhealthy: bool,
    /// State of the machine; `gone`: EC2 does not know it any more.
    #[serde(default = "running", skip_serializing_if = "is_running")]
    machine: String,
    /// Address, port and weight of the service in Consul.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    service: Option<(String, u16, u32)>,
}

fn good() -> String {
    "InService".to_owned()
}

fn is_good(life: &str) -> bool {
    life == "InService"
}

fn running() -> String {
    "running".to_owned()
}

fn is_running(machine: &str) -> bool {
    machine == "running"
}

impl Instance {
    /// Whether it is to have requests: what the answers mean, in a few words.
    fn is_to_serve(&self) -> bool {
        is_good(&self.life) && !self.unhealthy && is_running(&self.machine) && self.address.is_some()
    }

    fn at(&self) -> String {
        let (address, port) = match &self.service {
            Some((address, port, _)) => (Some(address.clone()).filter(|address| !address.is_empty()), *port),
            None => (None, 0),
        };
        let address = address.or_else(|| self.address.clone()).unwrap_or_default();
        format!("{address}:{}", if port == 0 { PORT } else { port })
    }
}

/// All that a source says at one time.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Answer {
    instances: Vec<Instance>,
    /// Groups, and instances, in a page; 0: all.
    #[serde(default, skip_serializing_if = "is_zero")]
    page: usize,
    /// The status that it fails with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    failure: Option<u16>,
}

fn is_zero(number: &usize) -> bool {
    *number == 0
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Kind {
    Aws,
    Consul,
}

/// Servers of HAProxy that are ready: `backend/slot`, with address and port, weight and group.
type Slots = BTreeMap<String, (String, u32, String)>;

/// What HSDO made of an answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Seen {
    /// The exit code with which its server ended; the next answer finds a new one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    ended: Option<i32>,
    slots: Slots,
}

/// Answers, one after the other, that both begin with an empty list.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Case {
    name: String,
    kind: Kind,
    /// Its name in docs/migration.md; empty: there is none.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    difference: String,
    /// With this program's own defaults, which hold back what looks like a fault of the source: all answers after the first
    /// one are such. Otherwise it believes each answer at once, as HSDO does.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    defaults: bool,
    /// Variables of both.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    settings: BTreeMap<String, String>,
    answers: Vec<Answer>,
    #[serde(default)]
    hsdo: Vec<Seen>,
}

impl Case {
    fn groups(&self) -> Vec<String> {
        let groups = self.answers.iter().flat_map(|answer| &answer.instances).map(|instance| instance.group.clone());
        let default = if self.kind == Kind::Aws { "asg-a" } else { "web" };
        let mut groups: BTreeSet<String> = groups.collect();
        groups.insert(default.to_owned());
        groups.into_iter().collect()
    }

    fn is_dedicated(&self) -> bool {
        self.settings.contains_key("CLIENT_DEDICATED_ASG")
    }

    /// What ought to serve after each answer: `backend` and where it is.
    fn wanted(&self) -> Vec<BTreeSet<(String, String)>> {
        let mut wanted: Vec<BTreeSet<(String, String)>> = Vec::new();
        for answer in &self.answers {
            let before = wanted.last().cloned();
            let now = || {
                let own = self.settings.get("CLIENT_ASG_NAMES");
                let place = |one: &Instance| {
                    let spare = self.is_dedicated() && own != Some(&one.group);
                    (if spare { "spare" } else { "web" }.to_owned(), one.at())
                };
                // One that EC2 does not know, just now, keeps what it has until its group lets it go.
                let had =
                    |one: &Instance| one.machine == "gone" && before.as_ref().is_some_and(|b| b.contains(&place(one)));
                let good = answer.instances.iter().filter(|one| one.is_to_serve() || had(one));
                good.map(place).collect()
            };
            wanted.push(match before.clone() {
                Some(before) if answer.failure.is_some() || self.defaults => before,
                _ => now(),
            });
        }
        wanted
    }
}

fn file() -> PathBuf {
    crate::harness::root().join("tests/data/hsdo/answers.jsonl")
}

fn recorded() -> Vec<Case> {
    let text = std::fs::read_to_string(file()).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// HAProxy as HSDO's documentation has it, except for the checks.
fn haproxy() -> Balancer {
    let template = |name: &str| format!("server-template {name} 1-{SLOTS} 127.0.0.2:{PORT} disabled");
    Balancer::start(&[("web", &template("web")), ("spare", &template("spare"))], "admin")
}

/// Servers that are ready, with the groups of a list of addresses.
fn ready(balancer: &Balancer, groups: &BTreeMap<u32, String>) -> Slots {
    let mut slots = Slots::new();
    for backend in ["web", "spare"] {
        for (name, row) in balancer.servers(backend).into_iter().filter(|(_, row)| row.is_ready()) {
            let slot: u32 = name.trim_start_matches(backend).parse().unwrap();
            let group = groups.get(&slot).cloned().unwrap_or_default();
            slots.insert(format!("{backend}/{slot}"), (row.at, row.weight, group));
        }
    }
    slots
}

/// The library that shows a program another time.
fn faketime() -> Option<String> {
    let places = ["/usr/lib/x86_64-linux-gnu/faketime", "/usr/lib/aarch64-linux-gnu/faketime", "/usr/lib/faketime"];
    let files = places.iter().map(|place| format!("{place}/libfaketime.so.1"));
    files.into_iter().find(|file| Path::new(file).exists())
}

/// The list of this program: who has which slot and is to serve there. An address is to serve once.
fn listed(directory: &Path) -> BTreeMap<u32, (String, String)> {
    let Ok(text) = std::fs::read(directory.join("state/list.json")) else { return BTreeMap::new() };
    let list: Document = serde_json::from_slice(&text).unwrap();
    let mut seen = BTreeSet::new();
    let active = list.servers().filter(|(_, server)| server.state == State::Active);
    let servers = active.map(|(slot, server)| {
        let at = format!("{}:{}", server.address().unwrap(), server.port.unwrap_or(PORT));
        (slot, (at, server.group.clone()))
    });
    servers.filter(|(_, (at, _))| seen.insert(at.clone())).collect()
}

/// Plays a case to this program: what is in HAProxy after each answer.
#[track_caller]
fn play(case: &Case, library: &str) -> Vec<Slots> {
    let directory = tempfile::tempdir().unwrap();
    let double = Double::start(case.kind, case.groups());
    let balancer = haproxy();
    let follow = "removal-confirmations = 1\nhold-obsolete = 0\nremoval-ratio = 1\nremoval-floor = 0\ndrain-time = 0\n";
    let text = format!(
        "[discovery]\nstate-dir = {}/state\nstore = file\nexporter-port = 0\n[discovery-server]\n{}\
         [discovery-client]\nhaproxy-socket-path = {}\n",
        directory.path().display(),
        if case.defaults { "" } else { follow },
        balancer.socket().display(),
    );
    let conf = write(directory.path(), "discovery.conf", text);
    let run = |second: u64| {
        let mut command = with_config(discovery(), &conf);
        command.args(["--server", "--client", "--once"]).envs(environment(case, &double));
        // It stands still, so that a slow machine takes nothing from a step.
        let clock = format!("{DAY} 12:{:02}:{:02}", second / 60, second % 60);
        command.envs([("LD_PRELOAD", library), ("FAKETIME", &clock), ("FAKETIME_DONT_FAKE_MONOTONIC", "1")]);
        let output = output(&mut command).unwrap();
        String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned()
    };
    let mut seen = Vec::new();
    for (number, answer) in case.answers.iter().enumerate() {
        double.set(answer.clone());
        let now = number as u64 * STEP;
        let mut log = String::new();
        // A server that leaves is drained in one round and in maintenance after the next.
        let mut rounds = 0;
        loop {
            log.push_str(&run(now));
            rounds += 1;
            let listed = listed(directory.path());
            let groups = listed.iter().map(|(slot, (_, group))| (*slot, group.clone())).collect();
            let slots = ready(&balancer, &groups);
            let servers = |slots: &Slots| -> BTreeSet<(u32, String)> {
                slots
                    .iter()
                    .map(|(key, (at, ..))| (key.split_once('/').unwrap().1.parse().unwrap(), at.clone()))
                    .collect()
            };
            if servers(&slots) == listed.into_iter().map(|(slot, (at, _))| (slot, at)).collect() {
                seen.push(slots);
                break;
            }
            assert!(
                rounds < 10,
                "{}: answer {number}: HAProxy does not get as the list is: {slots:?}\n{log}",
                case.name
            );
        }
    }
    seen
}

/// What tells both programs where they are: HSDO's names, with the double's ports in place of AWS and Consul.
fn environment(case: &Case, double: &Double) -> Vec<(String, String)> {
    let (server, _) = double.urls();
    let mut variables = vec![
        ("AWS_ACCESS_KEY_ID", "test".to_owned()),
        ("AWS_SECRET_ACCESS_KEY", "test".to_owned()),
        ("AWS_DEFAULT_REGION", "eu-west-1".to_owned()),
        ("AWS_EC2_METADATA_DISABLED", "true".to_owned()),
        ("AWS_ENDPOINT_URL", server.clone()),
        ("HAPROXY_BACKEND_SERVERS_LIST_SIZE", SLOTS.to_string()),
        ("SERVER_MODE", if case.kind == Kind::Aws { "aws" } else { "consul" }.to_owned()),
        ("CLIENT_HAPROXY_BACKEND_LIST", format!(r#"{{"web": {{"baseName": "web", "serverPort": "{PORT}"}}}}"#)),
        ("CLIENT_HAPROXY_BACKEND_SERVER_PORT", PORT.to_string()),
    ];
    match case.kind {
        Kind::Aws => variables.push(("SERVER_ASG_NAMES", case.groups().join(","))),
        Kind::Consul => {
            variables.push(("SERVER_CONSUL_API_URL", server));
            variables.push(("SERVER_CONSUL_SERVICE_NAME", case.groups().join(",")));
        }
    }
    let owned = variables.into_iter().map(|(name, value)| (name.to_owned(), value));
    owned.chain(case.settings.clone()).collect()
}

/// The names in the first column of the table.
fn named() -> BTreeSet<String> {
    let text = std::fs::read_to_string(crate::harness::root().join("docs/migration.md")).unwrap();
    let (_, rest) = text.split_once("<!-- begin: hsdo").expect("the table of differences");
    let (table, _) = rest.split_once("<!-- end: hsdo -->").expect("its end");
    let rows = table.lines().filter_map(|line| line.strip_prefix("| ")?.split(" | ").next());
    rows.filter(|name| *name != "difference").map(str::to_owned).collect()
}

/// Without what cannot be compared: HSDO has no groups for services of Consul.
fn comparable(slots: &Slots, kind: Kind) -> Slots {
    let mut slots = slots.clone();
    if kind == Kind::Consul {
        slots.values_mut().for_each(|(.., group)| group.clear());
    }
    slots
}

#[test]
fn every_answer_leads_to_the_same_slots_or_to_a_difference_that_is_named() {
    let Some(library) = faketime() else {
        leave_out("the comparison with HSDO", "libfaketime is not installed (Debian: faketime)");
        return;
    };
    let cases = recorded();
    let answers: usize = cases.iter().map(|case| case.answers.len()).sum();
    assert!(answers >= 300, "{answers}");
    let named = named();
    let mut wrong = Vec::new();
    let mut met: BTreeMap<&str, usize> = BTreeMap::new();
    let mut alike = 0;
    for case in &cases {
        let ours = play(case, &library);
        let mut differs = false;
        for (number, (wanted, (ours, hsdo))) in case.wanted().iter().zip(ours.iter().zip(&case.hsdo)).enumerate() {
            let backend = |key: &str| key.split_once('/').unwrap().0.to_owned();
            let serving: BTreeSet<_> = ours.iter().map(|(key, (at, ..))| (backend(key), at.clone())).collect();
            // Of more servers than slots, as many as there are slots.
            let right = if wanted.len() > SLOTS {
                serving.len() == SLOTS && serving.is_subset(wanted)
            } else {
                serving == *wanted
            };
            if !right || serving.len() != ours.len() {
                wrong.push(format!("{} {number}: {ours:?} serve, {wanted:?} should", case.name));
            }
            if comparable(ours, case.kind) == comparable(&hsdo.slots, case.kind) && hsdo.ended.is_none() {
                alike += 1;
                continue;
            }
            differs = true;
            if case.difference.is_empty() {
                wrong.push(format!("{} {number}:\n  HSDO {hsdo:?}\n  here {ours:?}", case.name));
            }
        }
        assert_eq!(case.hsdo.len(), case.answers.len());
        if differs {
            *met.entry(&case.difference).or_default() += 1;
        } else if !case.difference.is_empty() {
            wrong.push(format!("{} makes no difference: {}", case.name, case.difference));
        }
        if !case.difference.is_empty() && !named.contains(&case.difference) {
            wrong.push(format!("{}: {:?} is not named", case.name, case.difference));
        }
    }
    eprintln!("{} cases, {answers} answers, {alike} alike; differences by case: {met:#?}", cases.len());
    assert!(wrong.is_empty(), "{}:\n{}", wrong.len(), wrong.join("\n"));
    for name in &named {
        assert!(met.contains_key(name.as_str()), "{name} is in the table, and made no difference");
    }
}

/// Ports for HSDO's own page of metrics.
fn exporter() -> String {
    free_port().to_string()
}
