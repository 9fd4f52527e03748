//! `--check`: what can be known of the sockets before anything is pulled. Each is asked for its process, all at once; one
//! that is not there now is no fault, since HAProxy may be started later.

use super::job::{BUFFER, Job, Manner};
use super::sockets;
use crate::config::{self, Hosts, Retries};
use crate::haproxy::address::Address;
use crate::haproxy::identity::{Kinship, Reading, socket_lines};
use std::cell::RefCell;
use std::collections::{BTreeSet, HashMap, HashSet};
use std::net::{SocketAddr, ToSocketAddrs};
use std::rc::Rc;
use std::sync::mpsc;
use std::time::Duration;
use tokio::task::{JoinSet, LocalSet};

/// Time for all sockets and names together: systemd waits for the check before it starts the program.
const LIMIT: Duration = Duration::from_secs(1);

/// What is odd about the sockets: several that lead to one process, one that is none, processes that share one.
#[must_use]
pub fn look(pull: &config::Pull, hosts: &Hosts) -> Vec<String> {
    let (found, _) =
        sockets::find(pull.socket_dir.as_deref(), &pull.exclude_sockets, &pull.servers, &pull.master_sockets);
    let mut findings: Vec<String> = found
        .others
        .iter()
        .map(|(name, what)| {
            format!(
                "{name} in socket-dir is {what}, and is skipped; list it in exclude-sockets to silence \
                 this warning"
            )
        })
        .collect();
    findings.extend(one_address(&pull.servers));
    let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_all().build() else { return findings };
    let manner = Manner {
        timeout: pull.timeout.min(LIMIT),
        retries: Retries::Times(0),
        interval: pull.interval,
        limit: pull.max_reply_size.get(),
        further_limit: LIMIT,
    };
    let answers = LocalSet::new().block_on(&runtime, async move {
        let buffer = Rc::new(RefCell::new(vec![0; BUFFER].into_boxed_slice()));
        let mut jobs = JoinSet::new();
        for (index, target) in found.targets.into_iter().enumerate() {
            let job = Job::new(target, manner, Rc::clone(&buffer), None);
            jobs.spawn_local(async move { (index, job.process(LIMIT).await) });
        }
        let mut answers = jobs.join_all().await;
        answers.sort_by_key(|(index, _)| *index);
        answers.into_iter().map(|(_, answer)| answer)
    });
    runtime.shutdown_background();
    let mut readings: Vec<(String, Reading)> = Vec::new();
    for (target, answer) in answers {
        match answer {
            Ok(reading) => readings.push((target.name, reading)),
            Err(Some(reason)) if target.found.is_some() => {
                let mut finding =
                    format!("{} in socket-dir is not a stats socket ({reason}), and is skipped", target.name);
                if reason.contains("master process") {
                    let hint = format!(
                        "; with master-sockets = unix://{}, workers that are leaving after a reload are counted",
                        target.server
                    );
                    finding.push_str(&hint);
                }
                findings.push(finding);
            }
            Err(Some(reason)) => findings.push(format!("{} is not a stats socket: {reason}", target.name)),
            Err(None) => {}
        }
    }
    findings.extend(one_process(&readings, hosts));
    findings.extend(shared(&readings));
    findings
}

/// Sockets that lead to one process.
fn one_process(readings: &[(String, Reading)], hosts: &Hosts) -> Vec<String> {
    let mut groups: Vec<(&(String, Reading), Vec<&str>)> = Vec::new();
    for one in readings {
        let same = |first: &(String, Reading)| {
            hosts.of(&first.0) == hosts.of(&one.0) && first.1.compare(&one.1) == Kinship::Same
        };
        match groups.iter_mut().find(|(first, _)| same(first)) {
            Some((_, names)) => names.push(&one.0),
            None => groups.push((one, vec![&one.0])),
        }
    }
    groups
        .into_iter()
        .filter(|(_, names)| names.len() > 1)
        .filter_map(|((name, reading), names)| {
            let key = reading.key.as_ref()?;
            let names = names.join(", ");
            Some(format!(
                "{names} belong to the same HAProxy process ({key}); it is counted once, and pulled through {name}"
            ))
        })
        .collect()
}

/// Processes that share a socket.
fn shared(readings: &[(String, Reading)]) -> Vec<String> {
    let mut seen: HashMap<_, (BTreeSet<u64>, Vec<&str>)> = HashMap::new();
    for (name, reading) in readings {
        if let Some((family, number)) = reading.family().zip(reading.number) {
            let (numbers, names) = seen.entry(family).or_default();
            numbers.insert(number);
            names.push(name);
        }
    }
    let missing = seen.into_iter().filter(|((.., processes), (numbers, _))| (numbers.len() as u64) < *processes);
    missing
        .map(|((.., processes), (_, names))| {
            format!(
                "HAProxy has {processes} processes (nbproc), which {} does not tell apart; give each its own socket: {}",
                names.join(", "),
                socket_lines(processes)
            )
        })
        .collect()
}

/// Names and addresses of `servers` that are the same.
fn one_address(servers: &[Address]) -> Vec<String> {
    let tcp: Vec<(String, String, u16)> = servers
        .iter()
        .filter_map(|server| match server {
            Address::Tcp { host, port } => Some((server.to_string(), host.clone(), *port)),
            _ => None,
        })
        .collect();
    // Names of different ports are different sockets, and need no resolver.
    let ports: Vec<u16> = tcp.iter().map(|(.., port)| *port).collect();
    let shared = |port: u16| ports.iter().filter(|other| **other == port).count() > 1;
    let wanted: Vec<_> = tcp.into_iter().filter(|(.., port)| shared(*port)).collect();
    if wanted.is_empty() {
        return Vec::new();
    }
    let (sender, receiver) = mpsc::channel();
    // A resolver that hangs keeps this thread, not the check.
    std::thread::spawn(move || {
        for (name, host, port) in wanted {
            let addresses = (host.as_str(), port).to_socket_addrs();
            let addresses: HashSet<SocketAddr> = addresses.into_iter().flatten().collect();
            if sender.send((name, addresses)).is_err() {
                return;
            }
        }
    });
    let end = std::time::Instant::now() + LIMIT;
    let mut known: Vec<(String, HashSet<SocketAddr>)> = Vec::new();
    while let Ok(one) = receiver.recv_timeout(end.saturating_duration_since(std::time::Instant::now())) {
        known.push(one);
    }
    let mut findings = Vec::new();
    for (index, (name, addresses)) in known.iter().enumerate() {
        for (other, others) in known.iter().skip(index + 1) {
            if let Some(address) = addresses.intersection(others).next() {
                findings.push(format!("{name} and {other} are the same address ({address}); remove one of them"));
            }
        }
    }
    findings
}
