//! What happens in the scenes.

use super::{EDGES, PARTITIONS, SESSION, Site};
use nix::sys::signal::Signal;
use std::collections::BTreeSet;
use std::time::{Duration, Instant};

/// Its name, and what does it.
pub(super) type Fault = (&'static str, fn(&mut Site));

/// What happens to members, senders, Graphite, and to a mock cluster.
pub(super) const FAULTS: [Fault; 8] = [
    ("member killed", |site| {
        let which = site.one();
        site.changes += 1;
        site.members[which].unit.end_by(Signal::SIGKILL);
        site.go_on(Duration::from_millis(500));
    }),
    ("member killed, and away", |site| {
        let which = site.one();
        site.changes += 2;
        site.members[which].unit.end_by(Signal::SIGKILL);
        site.members[which].away = true;
        site.go_on(SESSION * 3 / 2);
        site.members[which].away = false;
    }),
    ("member leaves and joins", |site| {
        let which = site.one();
        site.changes += 2;
        site.members[which].unit.stop();
        site.members[which].away = true;
        site.go_on(Duration::from_secs(1));
        site.members[which].away = false;
    }),
    ("member stopped (SIGSTOP) until it is replaced", |site| {
        let which = site.one();
        site.changes += 2;
        site.members[which].unit.signal(Signal::SIGSTOP);
        site.go_on(SESSION * 2);
        site.members[which].unit.signal(Signal::SIGCONT);
    }),
    ("member stopped (SIGSTOP) for a moment", |site| {
        let which = site.one();
        site.members[which].unit.signal(Signal::SIGSTOP);
        site.go_on(SESSION / 2);
        site.members[which].unit.signal(Signal::SIGCONT);
    }),
    ("brokers away", |site| {
        // The mock cluster does not get over members whose connections end while they join: their group settles first, and nobody
        // is away for longer than a session.
        site.go_on(SESSION * 2);
        site.cluster.down();
        site.go_on(SESSION / 2);
        site.cluster.up();
        site.go_on(SESSION);
    }),
    ("Graphite away, a member killed", |site| {
        site.graphite.vanish();
        site.go_on(Duration::from_millis(1_000));
        let which = site.one();
        site.changes += 1;
        site.members[which].unit.end_by(Signal::SIGKILL);
        let time = Duration::from_millis(site.rng.u64(500..5_000));
        site.go_on(time);
        site.graphite.come_back();
    }),
    ("sender killed", |site| {
        let which = site.rng.usize(..EDGES.len());
        site.edges[which].1.end_by(Signal::SIGKILL);
        site.go_on(Duration::from_millis(500));
    }),
];

/// What happens while brokers are away, for shorter or longer than a session.
pub(super) const AWAY: [Fault; 6] = [
    ("brokers away, a member killed and started", |site| {
        let which = site.one();
        site.changes += 1;
        site.cluster.down();
        site.go_on(Duration::from_millis(300));
        site.members[which].unit.end_by(Signal::SIGKILL);
        site.for_a_while();
        site.cluster.up();
    }),
    ("brokers away, a member leaves and another joins", |site| {
        let (leaves, joins) = (site.one(), site.one());
        site.changes += 2;
        // tansu does not get over a leader that leaves before it has said who reads what: it names it as the leader ever after.
        site.until_the_group_rests();
        site.leave(joins);
        site.cluster.down();
        site.leave(leaves);
        site.go_on(Duration::from_millis(300));
        site.members[joins].away = false;
        site.for_a_while();
        site.cluster.up();
        site.members[leaves].away = false;
    }),
    ("brokers cut connections while members join", |site| {
        site.changes += 1;
        for member in &mut site.members {
            member.unit.end_by(Signal::SIGKILL);
        }
        for _ in 0..3 {
            let time = Duration::from_millis(site.rng.u64(100..1_000));
            site.go_on(time);
            site.cluster.down();
            site.cluster.up();
        }
    }),
    ("a member cut off until it is replaced", |site| {
        let which = site.one();
        site.changes += 2;
        site.until_the_group_rests();
        if let Some(pid) = site.members[which].unit.pid() {
            site.cluster.shut_out(pid);
        }
        site.go_on(SESSION * 2);
        site.cluster.up();
    }),
    ("brokers hang, a member killed and started", |site| {
        let which = site.one();
        site.changes += 1;
        site.cluster.signal(Signal::SIGSTOP);
        site.members[which].unit.end_by(Signal::SIGKILL);
        site.for_a_while();
        site.cluster.signal(Signal::SIGCONT);
    }),
    ("brokers and Graphite away, a member killed and started", |site| {
        let which = site.one();
        site.changes += 1;
        site.graphite.vanish();
        site.cluster.down();
        site.members[which].unit.end_by(Signal::SIGKILL);
        site.for_a_while();
        site.cluster.up();
        site.for_a_while();
        site.graphite.come_back();
    }),
];

impl Site {
    /// A random time, about that of a session.
    fn for_a_while(&mut self) {
        let session = SESSION.as_millis() as u64;
        let time = Duration::from_millis(self.rng.u64(session / 4..session * 2));
        self.go_on(time);
    }

    /// Goes on until every partition has its reader, and no member has been given others for two sessions, or for half a minute.
    fn until_the_group_rests(&mut self) {
        let (until, mut since, mut before) = (Instant::now() + SESSION * 15, Instant::now(), 0);
        while Instant::now() < until && (since.elapsed() < SESSION * 2 || self.read().len() < PARTITIONS) {
            let assignments = self.members.iter().map(|member| assignments(&member.unit.log()).count()).sum();
            if assignments != before {
                (since, before) = (Instant::now(), assignments);
            }
            self.go_on(SESSION / 10);
        }
    }

    /// Partitions that the members say they read.
    fn read(&self) -> BTreeSet<String> {
        let there = self.members.iter().filter(|member| !member.away);
        let last = there.filter_map(|member| assignments(&member.unit.log()).last().map(ToOwned::to_owned));
        let split = |list: String| list.split(", ").map(ToOwned::to_owned).collect::<Vec<_>>();
        last.flat_map(split).filter(|partition| !partition.is_empty()).collect()
    }

    /// A member ends in order, and is not started for now.
    fn leave(&mut self, which: usize) {
        self.members[which].unit.stop();
        self.members[which].away = true;
    }
}

/// The lists of partitions that a member was given.
pub(super) fn assignments(log: &str) -> impl DoubleEndedIterator<Item = &str> {
    log.lines().filter(|line| line.contains("partitions assigned")).filter_map(|line| {
        let (_, list) = line.split_once("partitions={")?;
        list.strip_suffix('}')
    })
}
