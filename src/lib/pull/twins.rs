//! Several sockets of one process: it is asked through one of them, and counted once.
//!
//! Which one is the first by name (those of `socket-dir` come before those of `servers`), always. The others wait for
//! it, and are asked in the same pull when it fails, answers for another process, or takes long. Now and then they are
//! asked for their process alone, because two processes can look like one for a while; see
//! [`identity`](crate::haproxy::identity).

use super::answer::{First, News};
use super::outcome::{Outcome, Standing};
use super::sockets::Target;
use crate::config::{HostName, Hosts};
use crate::haproxy::address::Address;
use crate::haproxy::identity::{Kinship, ProcessKey, Reading, warn_of_doubt, warn_of_missing};
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::rc::Rc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::Instant;

/// A socket that waits for another one is asked for its process again after this time.
const LOOK_AGAIN: Duration = Duration::from_secs(60);
/// Patience with the other socket where there is no `pull-timeout`.
const PATIENCE: Duration = Duration::from_secs(5);
/// Pulls in a row in which processes of one HAProxy are missing, until it is said.
const MISSING_PULLS: u32 = 2;
/// Things that were told, until all are told again: names of sockets may hold the number of a process.
const MOST_TOLD: usize = 10_000;

/// What is known of the sockets from one pull to the next.
#[derive(Debug, Default)]
pub(super) struct Twins {
    hosts: Hosts,
    /// By socket: the one that is asked in its place.
    pairs: HashMap<Address, Pair>,
    /// The process that a socket led to when it last answered.
    processes: HashMap<Address, Rc<ProcessKey>>,
    /// Groups of sockets, doubts and families of which was told.
    told: HashSet<String>,
    /// Pulls in which a HAProxy with several processes has not shown all.
    missing: HashMap<Family, u32>,
}

#[derive(Debug)]
struct Pair {
    first: Address,
    key: Rc<ProcessKey>,
    seen: Instant,
}

/// Host, node, version and number of processes.
type Family = (Option<HostName>, (Option<String>, Option<String>, u64));

/// How the sockets of a pull that others wait for have ended.
#[derive(Debug, Default)]
pub(super) struct Firsts(HashMap<Address, watch::Sender<News>>);

impl Firsts {
    /// Tells those who wait for this socket.
    pub(super) fn tell(&self, server: &Address, reading: Option<&Rc<Reading>>) {
        if let Some(sender) = self.0.get(server) {
            sender.send_replace(reading.map_or(News::Failed, |reading| News::Answered(Rc::clone(reading))));
        }
    }
}

impl Twins {
    pub(super) fn new(hosts: Hosts) -> Self {
        Self { hosts, ..Self::default() }
    }

    /// For each socket of a pull the one that it waits for, if any.
    pub(super) fn plan(&self, targets: &[Target], limit: Option<Duration>) -> (Firsts, Vec<Option<First>>) {
        let names: HashMap<&Address, &str> =
            targets.iter().map(|target| (&target.server, target.name.as_str())).collect();
        let mut firsts = Firsts::default();
        let now = Instant::now();
        let patience = limit.map_or(PATIENCE, |limit| limit / 2);
        let waits = targets.iter().map(|target| {
            let pair = self.pairs.get(&target.server)?;
            let name = (*names.get(&pair.first)?).to_owned();
            let sender = firsts.0.entry(pair.first.clone()).or_insert_with(|| watch::Sender::new(News::Pending));
            let look = now.duration_since(pair.seen) >= LOOK_AGAIN;
            Some(First { name, news: sender.subscribe(), key: Rc::clone(&pair.key), patience, look })
        });
        let waits = waits.collect();
        (firsts, waits)
    }

    /// Says which sockets of a pull another one stands for. `outcomes` are in the order of the sockets; those in
    /// `spared` were not asked, and it is said whether they were looked at.
    pub(super) fn settle(&mut self, outcomes: &mut [Outcome], spared: &HashMap<Address, bool>) {
        let mut pairs = HashMap::new();
        let mut groups: BTreeMap<usize, Vec<String>> = BTreeMap::new();
        // By process and host: the sockets that count.
        let mut counted: HashMap<(Rc<ProcessKey>, Option<HostName>), Vec<usize>> = HashMap::new();
        for index in 0..outcomes.len() {
            let Some(outcome) = outcomes.get(index) else { continue };
            let server = outcome.target.server.clone();
            let host = self.hosts.of(&outcome.target.name).cloned();
            let first = match (&outcome.result, spared.get(&server)) {
                (Ok(_), Some(looked)) => {
                    let Some(old) = self.pairs.remove(&server) else { continue };
                    let seen = if *looked { Instant::now() } else { old.seen };
                    let first = outcomes.iter().position(|other| other.target.server == old.first);
                    pairs.insert(server, Pair { seen, ..old });
                    first
                }
                (Ok(_), None) => {
                    let reading = outcome.reading.clone();
                    let Some(key) = reading.as_ref().and_then(|reading| reading.key.clone()).map(Rc::new) else {
                        continue;
                    };
                    self.processes.insert(server.clone(), Rc::clone(&key));
                    let alike = counted.entry((Rc::clone(&key), host)).or_default();
                    let first = alike.iter().copied().find(|first| self.is_one(outcomes, *first, index));
                    match first.and_then(|first| outcomes.get(first)) {
                        Some(other) => {
                            let first = other.target.server.clone();
                            pairs.insert(server, Pair { first, key, seen: Instant::now() });
                        }
                        None => alike.push(index),
                    }
                    first
                }
                (Err(_), _) => continue,
            };
            let name = first.and_then(|first| outcomes.get(first)).map(|first| first.target.name.clone());
            if let (Some(first), Some(name), Some(outcome)) = (first, name, outcomes.get_mut(index)) {
                groups.entry(first).or_default().push(outcome.target.name.clone());
                outcome.standing = Standing::Twin(name);
            }
        }
        self.pairs = pairs;
        self.processes.retain(|server, _| outcomes.iter().any(|outcome| outcome.target.server == *server));
        if self.told.len() > MOST_TOLD {
            self.told.clear();
        }
        self.cover(outcomes, &counted);
        self.tell_groups(outcomes, &groups);
        self.tell_doubts_of_old_ones(outcomes);
        self.tell_missing(outcomes);
    }

    /// A socket that has failed loses nothing when another one has answered for its process.
    fn cover(&self, outcomes: &mut [Outcome], counted: &HashMap<(Rc<ProcessKey>, Option<HostName>), Vec<usize>>) {
        let names: Vec<String> = outcomes.iter().map(|outcome| outcome.target.name.clone()).collect();
        let failed = |outcome: &&mut Outcome| outcome.result.is_err() && outcome.standing == Standing::Counts;
        for outcome in outcomes.iter_mut().filter(failed) {
            let host = self.hosts.of(&outcome.target.name).cloned();
            let Some(key) = self.processes.get(&outcome.target.server) else { continue };
            let other = counted.get(&(Rc::clone(key), host)).and_then(|others| names.get(*others.first()?));
            if let Some(other) = other {
                outcome.standing = Standing::Twin(other.clone());
            }
        }
    }

    /// Whether two sockets, which both say that they lead to one process, do.
    fn is_one(&mut self, outcomes: &[Outcome], first: usize, second: usize) -> bool {
        let pair = outcomes.get(first).zip(outcomes.get(second));
        let Some((one, other)) = pair else { return false };
        let Some((a, b)) = one.reading.as_ref().zip(other.reading.as_ref()) else { return false };
        match a.compare(b) {
            Kinship::Same => true,
            Kinship::Other => false,
            Kinship::Doubtful(reason) => {
                warn_of_doubt(&mut self.told, &one.target.name, &other.target.name, reason);
                false
            }
        }
    }

    /// Sockets of versions that do not say enough.
    fn tell_doubts_of_old_ones(&mut self, outcomes: &[Outcome]) {
        let old: Vec<&Outcome> = outcomes
            .iter()
            .filter(|outcome| outcome.result.is_ok())
            .filter(|outcome| outcome.reading.as_ref().is_some_and(|reading| reading.key.is_none()))
            .collect();
        for (index, one) in old.iter().enumerate() {
            for other in old.iter().skip(index + 1) {
                let host = |outcome: &Outcome| self.hosts.of(&outcome.target.name).cloned();
                let kinship = one.reading.as_ref().zip(other.reading.as_ref()).map(|(a, b)| a.compare(b));
                if let (Some(Kinship::Doubtful(reason)), true) = (kinship, host(one) == host(other)) {
                    warn_of_doubt(&mut self.told, &one.target.name, &other.target.name, reason);
                }
            }
        }
    }

    fn tell_groups(&mut self, outcomes: &[Outcome], groups: &BTreeMap<usize, Vec<String>>) {
        for (first, others) in groups {
            let Some(first) = outcomes.get(*first) else { continue };
            let asked = first.target.name.as_str();
            let sockets = format!("{asked}, {}", others.join(", "));
            if self.told.insert(sockets.clone()) {
                let process = first.reading.as_ref().and_then(|reading| reading.key.as_ref()).map(ToString::to_string);
                tracing::warn!(
                    sockets,
                    process,
                    asked,
                    "these sockets belong to the same HAProxy process: it is counted once, and pulled through the \
                     first of them"
                );
            }
        }
    }

    /// A HAProxy of several processes (`nbproc`) of which fewer answer: they share a socket, and each connection reaches
    /// any of them.
    fn tell_missing(&mut self, outcomes: &[Outcome]) {
        let mut seen: HashMap<Family, (BTreeSet<u64>, Vec<&str>)> = HashMap::new();
        for outcome in outcomes.iter().filter(|outcome| outcome.result.is_ok()) {
            let Some(reading) = &outcome.reading else { continue };
            let Some((family, number)) = reading.family().zip(reading.number) else { continue };
            let host = self.hosts.of(&outcome.target.name).cloned();
            let (numbers, sockets) = seen.entry((host, family)).or_default();
            numbers.insert(number);
            sockets.push(&outcome.target.name);
        }
        self.missing.retain(|family, _| seen.contains_key(family));
        for (family, (numbers, sockets)) in seen {
            let processes = family.1.2;
            if numbers.len() as u64 >= processes {
                self.missing.remove(&family);
                continue;
            }
            let pulls = self.missing.entry(family).or_default();
            *pulls = pulls.saturating_add(1);
            let sockets = sockets.join(", ");
            if *pulls >= MISSING_PULLS && self.told.insert(format!("missing\n{sockets}")) {
                warn_of_missing(&sockets, processes, numbers.len());
            }
        }
    }
}
