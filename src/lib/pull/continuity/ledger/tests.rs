use super::*;
use crate::haproxy::identity::Reading;
use proptest::prelude::*;

/// Something that happens between two snapshots, or in one.
#[derive(Debug, Clone)]
enum Event {
    /// Requests to an object of the process on this socket.
    Traffic(usize, usize, u64),
    /// Requests to an object of one of the old processes.
    OldTraffic(usize, usize, u64),
    /// A new process takes over the socket; the old one continues while it has sessions, and is reached through its master.
    Reload(usize),
    /// A new process takes over the socket, and the old one is gone at once.
    Restart(usize),
    /// An old process ends.
    End(usize),
    Clear(usize),
    /// An object is deleted, or added.
    Toggle(usize, usize),
    /// The socket does not answer in the next snapshot.
    Silence(usize),
    Snapshot,
    /// The program restarts, with the state that it has stored.
    Again,
}

const SOCKETS: usize = 2;
const OBJECTS: usize = 3;

fn events() -> impl Strategy<Value = Vec<Event>> {
    let (socket, object, amount) = (0..SOCKETS, 0..OBJECTS, 0_u64..50);
    proptest::collection::vec(
        prop_oneof![
            5 => (socket.clone(), object.clone(), amount.clone()).prop_map(|(s, o, n)| Event::Traffic(s, o, n)),
            3 => (0_usize..4, object.clone(), amount).prop_map(|(s, o, n)| Event::OldTraffic(s, o, n)),
            2 => socket.clone().prop_map(Event::Reload),
            1 => socket.clone().prop_map(Event::Restart),
            1 => (0_usize..4).prop_map(Event::End),
            1 => socket.clone().prop_map(Event::Clear),
            1 => (socket.clone(), object).prop_map(|(s, o)| Event::Toggle(s, o)),
            1 => socket.prop_map(Event::Silence),
            6 => Just(Event::Snapshot),
            1 => Just(Event::Again),
        ],
        1..60,
    )
}

/// A process of HAProxy: its counters, and the values that snapshots have seen.
#[derive(Debug, Clone)]
struct Real {
    pid: u64,
    socket: usize,
    objects: Vec<Option<u64>>,
    /// What its counters were in the last snapshot in which they were seen.
    shown: Vec<u64>,
    leaving: bool,
}

#[derive(Debug, Default)]
struct World {
    live: Vec<Real>,
    old: Vec<Real>,
    pids: u64,
    epoch: u64,
    silent: Vec<usize>,
    /// By object: the increments that snapshots have seen.
    increments: [u64; OBJECTS],
    published: [i64; OBJECTS],
}

fn name(object: usize) -> Vec<u8> {
    format!("2b\0s{object}").into_bytes()
}

fn counters(value: u64) -> Vec<(u8, i64)> {
    if value == 0 { Vec::new() } else { vec![(3, i64::try_from(value).unwrap())] }
}

impl World {
    fn new() -> Self {
        let mut world = Self::default();
        world.live = (0..SOCKETS).map(|socket| world.start(socket)).collect();
        world
    }

    fn start(&mut self, socket: usize) -> Real {
        self.pids += 1;
        Real { pid: self.pids, socket, objects: vec![Some(0); OBJECTS], shown: vec![0; OBJECTS], leaving: false }
    }

    fn happen(&mut self, event: Event, ledger: &mut Ledger) {
        match event {
            Event::Traffic(socket, object, amount) => grow(&mut self.live[socket], object, amount),
            Event::OldTraffic(which, object, amount) => {
                if let Some(old) = self.old.get_mut(which) {
                    grow(old, object, amount);
                }
            }
            Event::Reload(socket) => {
                let fresh = self.start(socket);
                let mut old = std::mem::replace(&mut self.live[socket], fresh);
                old.leaving = true;
                self.old.push(old);
            }
            Event::Restart(socket) => self.live[socket] = self.start(socket),
            Event::End(which) if which < self.old.len() => drop(self.old.remove(which)),
            Event::End(_) => {}
            Event::Clear(socket) => {
                self.live[socket].objects.iter_mut().flatten().for_each(|counter| *counter = 0);
            }
            Event::Toggle(socket, object) => {
                let counter = &mut self.live[socket].objects[object];
                *counter = if counter.is_some() { None } else { Some(0) };
            }
            Event::Silence(socket) => self.silent.push(socket),
            Event::Snapshot => self.snapshot(ledger),
            Event::Again => {}
        }
    }

    fn snapshot(&mut self, ledger: &mut Ledger) {
        self.epoch += 1;
        ledger.begin(self.epoch);
        let silent = std::mem::take(&mut self.silent);
        let mut sums = [0_i64; OBJECTS];
        let mut there = [false; OBJECTS];
        for real in self.old.iter_mut().chain(&mut self.live) {
            if silent.contains(&real.socket) && !real.leaving {
                continue;
            }
            let source = format!("socket{}", real.socket);
            let source = if real.leaving { "master" } else { &source };
            let mut reply = ledger.reply(&Seen {
                identity: Identity { host: None, key: None, source: Some(real.pid.to_string()) },
                source,
                leaving: real.leaving,
                release: Some((2, 6)),
            });
            for (object, counter) in real.objects.iter().enumerate() {
                let Some(value) = counter else { continue };
                reply.object(&name(object), &counters(*value));
                // Increments before a reset that no snapshot could see do not count as seen.
                let before = real.shown[object];
                self.increments[object] += if *value >= before { value - before } else { *value };
                real.shown[object] = *value;
                sums[object] += i64::try_from(*value).unwrap();
                there[object] = true;
            }
            reply.end();
        }
        ledger.end(|_, _| false);
        for host in ledger.hosts() {
            ledger.carried(&host, |object, values, _| {
                let object = (0..OBJECTS).find(|number| name(*number) == object).unwrap();
                sums[object] += at(values, 3);
            });
        }
        for object in 0..OBJECTS {
            assert_eq!(sums[object], i64::try_from(self.increments[object]).unwrap(), "object {object}");
            assert!(sums[object] >= self.published[object], "object {object} steps back");
            if there[object] {
                self.published[object] = sums[object];
            }
        }
    }
}

fn grow(real: &mut Real, object: usize, amount: u64) {
    if let Some(counter) = &mut real.objects[object] {
        *counter += amount;
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]
    #[test]
    fn what_is_published_is_the_sum_of_all_increments_and_never_steps_back(events in events()) {
        let (mut world, mut ledger) = (World::new(), Ledger::default());
        for event in events {
            world.happen(event, &mut ledger);
        }
        world.snapshot(&mut ledger);
    }
}

/// Takes the reply of a process with a single object.
fn show(ledger: &mut Ledger, pid: u64, source: &str, leaving: bool, value: u64) {
    let identity = Identity { host: None, key: None, source: Some(pid.to_string()) };
    let mut reply = ledger.reply(&Seen { identity, source, leaving, release: Some((3, 4)) });
    reply.object(&name(0), &counters(value));
    reply.end();
}

fn carried(ledger: &Ledger) -> i64 {
    let mut sum = 0;
    for host in ledger.hosts() {
        ledger.carried(&host, |_, values, _| sum += at(values, 3));
    }
    sum
}

#[test]
fn counters_that_two_workers_share_count_once() {
    let mut ledger = Ledger::default();
    let published = |ledger: &mut Ledger, epoch, values: &[(u64, &str, bool, u64)]| {
        ledger.begin(epoch);
        values.iter().for_each(|(pid, source, leaving, value)| show(ledger, *pid, source, *leaving, *value));
        ledger.end(|_, _| false);
        carried(ledger) + values.iter().map(|(.., value)| i64::try_from(*value).unwrap()).sum::<i64>()
    };
    assert_eq!(published(&mut ledger, 1, &[(1, "a", false, 800)]), 800);
    // With shm-stats-file both show the same.
    assert_eq!(published(&mut ledger, 2, &[(1, "m", true, 812), (2, "a", false, 812)]), 812);
    assert_eq!(published(&mut ledger, 3, &[(1, "m", true, 830), (2, "a", false, 831)]), 831);
    assert_eq!(published(&mut ledger, 4, &[(2, "a", false, 840)]), 840);
    // Without it the new one begins at 0, and both count.
    assert_eq!(published(&mut ledger, 5, &[(2, "m", true, 845), (3, "a", false, 7)]), 852);
    assert_eq!(published(&mut ledger, 6, &[(2, "m", true, 850), (3, "a", false, 9)]), 859);
    assert_eq!(published(&mut ledger, 7, &[(3, "a", false, 20)]), 870);
}

#[test]
fn what_was_stored_goes_on_and_what_is_old_is_forgotten() {
    let mut ledger = Ledger::default();
    ledger.restore(&None, &name(0), &[(3, 5)], 100);
    ledger.begin(200);
    show(&mut ledger, 1, "a", false, 10);
    ledger.end(|_, _| false);
    assert_eq!(carried(&ledger), 5);
    ledger.forget(150);
    assert_eq!(carried(&ledger), 5, "it has been seen since");
    ledger.begin(300);
    ledger.end(|_, _| false);
    assert_eq!(carried(&ledger), 15);
    ledger.forget(250);
    assert_eq!(carried(&ledger), 0);
}

#[test]
fn of_a_worker_that_has_ended_only_what_is_carried_stays() {
    let key = Reading::of(b"node: lb\nPid: 7\nStart_time_sec: 1\n").key;
    let identity = Identity { host: None, key, source: None };
    let mut ledger = Ledger::default();
    ledger.begin(1);
    let mut reply =
        ledger.reply(&Seen { identity: identity.clone(), source: "m", leaving: true, release: Some((3, 0)) });
    reply.object(&name(0), &counters(5));
    reply.end();
    ledger.end(|_, _| false);
    ledger.begin(2);
    // Its master does not answer; then it lists others.
    ledger.end(|_, _| false);
    assert!(ledger.may_return(&identity, 1) && carried(&ledger) == 5);
    ledger.begin(3);
    let counts = ledger.end(|master, pid| (master, pid) == ("m", 7));
    assert!(!ledger.may_return(&identity, 2));
    assert_eq!((carried(&ledger), counts.absent), (5, 1));
}
