//! Response times that a real HAProxy has counted: percentiles and counts are those of a client that measures every request.

mod draw;
mod load;
mod trouble;
mod world;

use crate::harness::SOON;
use crate::harness::newer::{Haproxy, newer_haproxy};
use crate::harness::wait_until;
use load::percentile;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use world::{Wish, World};

/// Random mixtures of requests in all.
const MIXTURES: usize = 50;
/// Requests of a mixture.
const REQUESTS: usize = 100;
/// A time in each bucket of [`world::BOUNDS`], far from its bounds.
const DELAYS: [u64; 3] = [10, 110, 420];

/// Those that have what is needed.
fn releases() -> Vec<Haproxy> {
    ["3.0", "3.2", "3.4"].into_iter().filter_map(newer_haproxy).collect()
}

/// How many requests of a mixture take each of [`DELAYS`]: by chance, but never so that a percentile is at the edge between two.
fn mixture(number: usize) -> [usize; 3] {
    let mut seed = 0x9e37_79b9_u64.wrapping_mul(number as u64 + 1);
    let mut random = |below: usize| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (seed >> 33) as usize % below
    };
    loop {
        let fast = random(REQUESTS + 1);
        let middle = random(REQUESTS - fast + 1);
        let slow = REQUESTS - fast - middle;
        let edges = [fast, fast + middle];
        let clear = |edge: &usize| {
            [50, 90, 99].iter().all(|rank: &usize| rank.abs_diff(*edge) > 5) || edge.is_multiple_of(REQUESTS)
        };
        // As many slow ones as a second or two allow.
        if edges.iter().all(clear) && slow <= 45 {
            return [fast, middle, slow];
        }
    }
}

/// The bucket of a time: how many bounds it exceeds.
fn bucket(time: f64) -> usize {
    world::BOUNDS.split(',').filter(|bound| time > bound.parse::<f64>().unwrap()).count()
}

/// Every mixture at once, each with some clients that take turns between the instances.
fn send(world: &mut World, mixtures: &[usize]) {
    const CLIENTS: usize = 4;
    let mut threads = Vec::new();
    for number in mixtures {
        let mut delays: Vec<u64> =
            mixture(*number).iter().zip(DELAYS).flat_map(|(count, delay)| vec![delay; *count]).collect();
        // The order is by chance as well.
        delays.sort_by_key(|delay| delay.wrapping_mul(7919) % 13);
        for first in 0..CLIENTS {
            let own: Vec<u64> = delays.iter().skip(first).step_by(CLIENTS).copied().collect();
            let mut clients: Vec<_> = (0..world.ports.len()).map(|instance| world.client(instance)).collect();
            let name = format!("m{number}");
            threads.push(std::thread::spawn(move || {
                for (place, delay) in own.into_iter().enumerate() {
                    let instance = place % clients.len();
                    clients[instance].get(&name, delay);
                }
            }));
        }
    }
    threads.into_iter().for_each(|thread| thread.join().expect("said above"));
}

/// Percentiles lie in the buckets of what the client has measured; where the machine was so busy that a percentile of the server
/// and one of the client lie in different buckets, between those.
fn compare(world: &World, number: usize) {
    let name = format!("m{number}");
    let times = |times: &load::Times| times.lock().unwrap()[&name].clone();
    let (served, measured) = (times(&world.served), times(&world.measured));
    let value = |metric: &str| {
        let path = format!("backend.{name}.latency_response_{metric}");
        world.value(&path).unwrap_or_else(|| panic!("no {path}:\n{}", world.pull.output()))
    };
    assert_eq!((value("count") as usize, measured.len()), (REQUESTS, REQUESTS), "{name}");
    for (metric, share) in [("p50", 0.5), ("p90", 0.9), ("p99", 0.99)] {
        let [least, most] = [&served, &measured].map(|times| bucket(percentile(times, share)));
        // What is at a bound belongs to the bucket below it.
        let ours = bucket(value(metric) - 1e-9);
        assert!(
            (least..=most).contains(&ours),
            "{name} {metric}: {} in {ours}, not in {least}..={most}",
            value(metric)
        );
    }
    let [least, most] = [&served, &measured].map(|times| times.iter().sum::<f64>() / times.len() as f64);
    assert!((least - 1.0..=most + 1.0).contains(&value("mean")), "{name}: {} not in {least}..={most}", value("mean"));
    for server in ["s1", "s2"] {
        assert!(world.value(&format!("backend.{name}.server.{server}.latency_response_count")).is_some());
    }
}

fn percentiles_are_those_of_the_client(haproxy: &Haproxy, mixtures: &[usize], wish: &Wish) {
    let mut world = World::start(haproxy, &Wish { options: "queue-size = 1\n", ..wish.clone() });
    world.between_two_pulls(|world| send(world, mixtures));
    mixtures.iter().for_each(|number| compare(&world, *number));
    assert_eq!(world.requests() as usize, mixtures.len() * REQUESTS);
    world.pull.stop(SOON);
}

#[test]
fn percentiles_of_random_mixtures_lie_in_the_buckets_of_the_client() {
    let releases = releases();
    let all: Vec<usize> = (0..MIXTURES).collect();
    let share = all.len().div_ceil(releases.len().max(1));
    let runs: Vec<_> = releases
        .into_iter()
        .zip(all.chunks(share).map(<[usize]>::to_vec))
        .map(|(haproxy, mixtures)| {
            // The last with two instances of four threads each, which add up.
            let many = haproxy.version >= (3, 3);
            let wish = if many { Wish { instances: 2, threads: 4, ..Wish::default() } } else { Wish::default() };
            std::thread::spawn(move || percentiles_are_those_of_the_client(&haproxy, &mixtures, &wish))
        })
        .collect();
    runs.into_iter().for_each(|run| run.join().expect("said above"));
}

/// Requests without a pause, until it is told to stop.
fn load(world: &World, clients: usize) -> impl FnOnce() + use<> {
    let stop = Arc::new(AtomicBool::new(false));
    let threads: Vec<_> = (0..clients)
        .map(|_| {
            let (mut client, stop) = (world.client(0), Arc::clone(&stop));
            std::thread::spawn(move || {
                while !stop.load(Ordering::Relaxed) {
                    client.get("b", 5);
                }
            })
        })
        .collect();
    move || {
        stop.store(true, Ordering::Relaxed);
        threads.into_iter().for_each(|thread| thread.join().expect("said above"));
    }
}

fn counts_go_on(haproxy: &Haproxy, peers: bool) {
    const CLIENTS: usize = 4;
    let mut world = World::start(haproxy, &Wish { masters: true, peers, threads: 2, ..Wish::default() });
    let send = |world: &World, count: usize| {
        let mut client = world.client(0);
        (0..count).for_each(|_| client.get("b", 0));
    };
    send(&world, 20);
    world.assert_counts("at the start");
    for round in 0..3 {
        // Without peers, a worker empties its table when it begins to leave.
        if peers {
            send(&world, 10);
            reload_and_hand_on(&world);
        } else {
            world.reload(0);
        }
        send(&world, 15);
        world.assert_counts(&format!("after reload {round}"));
    }
    // Under way at a reload are at most two requests of each client: one in the old worker, one that HAProxy had accepted for it.
    let stop = load(&world, CLIENTS);
    let before = world.requests();
    wait_until(SOON, "some requests", || world.requests() > before + 50);
    if !peers {
        world.settle();
    }
    let seen = world.requests();
    world.reload(0);
    wait_until(SOON, "some more", || world.requests() > seen + 50);
    stop();
    let most = if peers { 2 * CLIENTS as u64 } else { world.requests() - before };
    world.assert_little_lost(most);
    world.restart_pull(|world| send(world, 30));
    world.assert_counts("after a kill of haproxystats-pull");
    world.restart(0);
    send(&world, 7);
    world.assert_counts("after a restart of HAProxy");
    assert_eq!(world.value("haproxystats.PullLatencyResets"), Some(0.0));
    world.pull.stop(SOON);
}

/// A reload, and the rows of the old worker have come to the new one.
fn reload_and_hand_on(world: &World) {
    let old = world.pid(0).unwrap();
    world.reload(0);
    let table = || crate::harness::haproxy::ask(&world.socket(0), "show table latency").unwrap_or_default();
    wait_until(SOON, "the rows of the old worker", || table().contains(&format!("/{old}/ ")));
}

#[test]
fn counts_equal_those_of_the_client_over_reloads_and_restarts() {
    let runs: Vec<_> = releases()
        .into_iter()
        .enumerate()
        .map(|(number, haproxy)| std::thread::spawn(move || counts_go_on(&haproxy, number % 2 == 1)))
        .collect();
    runs.into_iter().for_each(|run| run.join().expect("said above"));
}

/// With `peers`, what an old worker has counted since the last look at it is in the table of the new one; without, nobody knows.
#[test]
fn peers_keep_what_an_old_worker_had_counted_since_the_last_look() {
    for haproxy in releases().into_iter().rev().take(1) {
        for (peers, expected) in [(true, 65.0), (false, 25.0)] {
            let mut world = World::start(&haproxy, &Wish { peers, options: "queue-size = 1\n", ..Wish::default() });
            world.between_two_pulls(|world| {
                let mut client = world.client(0);
                (0..40).for_each(|_| client.get("b", 0));
                drop(client);
                if peers {
                    reload_and_hand_on(world);
                } else {
                    world.reload(0);
                }
                let mut client = world.client(0);
                (0..25).for_each(|_| client.get("b", 0));
            });
            assert_eq!(world.value("backend.b.latency_response_count"), Some(expected), "peers: {peers}");
            // Once.
            world.between_two_pulls(|_| {});
            assert_eq!(world.value("backend.b.latency_response_count"), Some(expected), "peers: {peers}, again");
            world.pull.stop(SOON);
        }
    }
}
