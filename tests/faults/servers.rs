//! Several Graphite servers, some of which are away: nothing is lost in any mode.

use crate::harness::graphite::{Behaviour, Recorder};
use crate::report::Report;
use crate::world::{Setting, World};
use nix::sys::signal::{Signal, kill};
use std::collections::HashMap;
use std::time::Duration;

/// Servers of a world.
const SERVERS: usize = 3;

/// A mode, and what its faults are called.
pub struct Mode {
    /// `mode`
    pub name: &'static str,
    faults: [&'static str; 6],
}

/// All modes.
pub const MODES: [Mode; 3] = [
    Mode {
        name: "failover",
        faults: [
            "failover: a server vanishes",
            "failover: a server stalls",
            "failover: a server resets",
            "failover: all servers but the last vanish",
            "failover: a server is away, workers killed",
            "failover: a server is away, parent killed",
        ],
    },
    Mode {
        name: "duplicate",
        faults: [
            "duplicate: a server vanishes",
            "duplicate: a server stalls",
            "duplicate: a server resets",
            "duplicate: all servers but the last vanish",
            "duplicate: a server is away, workers killed",
            "duplicate: a server is away, parent killed",
        ],
    },
    Mode {
        name: "hash",
        faults: [
            "hash: a server vanishes",
            "hash: a server stalls",
            "hash: a server resets",
            "hash: all servers but the last vanish",
            "hash: a server is away, workers killed",
            "hash: a server is away, parent killed",
        ],
    },
];

/// Each fault by itself.
pub fn singly(mode: &Mode) -> Report {
    let mut servers: [Recorder; SERVERS] = std::array::from_fn(|_| Recorder::start());
    let names = ["a", "b", "c"];
    let list: Vec<String> =
        servers.iter().zip(names).map(|(server, name)| format!("127.0.0.1:{}={name}", server.port())).collect();
    // Behind the options of [graphite].
    let sections = format!("servers = {}\nmode = {}", list.join(", "), mode.name);
    let mut world = World::new(0, &Setting { sections, pieces: true, ..Setting::default() });
    world.go_on(Duration::from_millis(500), 6.0);
    for (number, fault) in mode.faults.into_iter().enumerate() {
        world.begin(fault);
        // Every server may lose its connection, and every worker may be lost, several times.
        world.allow(8);
        match number {
            1 => servers[0].behave(Behaviour::Stall),
            2 => servers[0].behave(Behaviour::ResetAfter(20_000)),
            3 => servers.iter_mut().take(SERVERS - 1).for_each(Recorder::vanish),
            _ => servers[0].vanish(),
        }
        world.go_on(Duration::from_millis(1500), 6.0);
        match number {
            4 => {
                for worker in world.process.workers() {
                    let _ = kill(worker, Signal::SIGKILL);
                }
            }
            5 => world.process.end_by(Signal::SIGKILL),
            _ => {}
        }
        world.go_on(Duration::from_secs(1), 6.0);
        for server in &mut servers {
            server.behave(Behaviour::Read);
            server.come_back();
        }
        if !world.recover() {
            world.report.fail(format!("{fault}: no recovery"));
        }
    }
    world.wind_down();
    let expected = world.expected();
    let records: Vec<_> = servers.iter().map(Recorder::record).collect();
    let mut arrived: HashMap<String, u32> = HashMap::new();
    for line in expected.keys().chain(records.iter().flat_map(|record| record.lines.keys())) {
        let times = records.iter().map(|record| record.lines.get(line).copied().unwrap_or_default());
        let homes = times.clone().filter(|times| *times > 0).count();
        let own = line.contains(".haproxy.haproxystats.");
        // Where all are to have it, it has arrived as often as at the one that has it least often.
        let count: u32 = if mode.name == "duplicate" { times.clone().min().unwrap_or_default() } else { times.sum() };
        if count > 0 {
            arrived.insert(line.clone(), count);
        }
        if mode.name == "hash" && homes > 1 && !own {
            world.report.fail(format!("hash: {homes} servers have {line}"));
        }
    }
    world.compare(&expected, &arrived);
    for record in records {
        if !record.malformed.is_empty() {
            world.report.fail(format!("{} malformed lines: {:?}", record.malformed.len(), record.malformed.first()));
        }
    }
    std::mem::take(&mut world.report)
}
