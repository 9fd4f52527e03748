//! Random sequences of faults. The same seed makes the same sequence (what the programs make of it in which moment
//! is up to the machine).

use crate::Scene;
use crate::faults::{self, Fault, can_trace, time_goes_by};
use crate::mounts::can_mount;
use crate::report::Report;
use crate::world::{Setting, World};

/// Faults in one sequence.
pub const LENGTH: usize = 20;

/// A sequence as a scene.
pub fn scene(seed: u64) -> Scene {
    Scene { name: format!("sequence, seed {seed}"), run: Box::new(move || run(seed)) }
}

/// A sequence of faults behind a proxy as a scene.
pub fn proxy(seed: u64) -> Scene {
    Scene { name: format!("sequence behind a proxy, seed {seed}"), run: Box::new(move || crate::proxy::sequence(seed)) }
}

/// A sequence of faults with receivers of OTLP and remote write as a scene.
pub fn remote(seed: u64) -> Scene {
    Scene { name: format!("sequence of receivers, seed {seed}"), run: Box::new(move || crate::remote::sequence(seed)) }
}

/// A sequence of faults of pull as a scene.
pub fn pull(seed: u64) -> Scene {
    Scene { name: format!("sequence of pull, seed {seed}"), run: Box::new(move || crate::pull::sequence(seed)) }
}

/// Injects one of `possible`, and sometimes a fault of the processes within it; notes their names.
fn inject_one(world: &mut World, possible: &[Fault], injected: &mut Vec<&'static str>) {
    let one = possible[world.rng.usize(..possible.len())];
    injected.push(one.name);
    let second = world.rng.u8(0..3) == 0;
    let within = faults::PROCESSES[world.rng.usize(..faults::PROCESSES.len())];
    if second {
        injected.push(within.name);
    }
    (one.inject)(world, one.name, &mut |world| {
        time_goes_by(world);
        if second {
            (within.inject)(world, within.name, &mut time_goes_by);
        }
    });
}

fn run(seed: u64) -> Report {
    let (mounts, traces) = (can_mount().is_ok(), can_trace().is_ok());
    let can = |fault: &Fault| (mounts || !fault.mounts) && (traces || !fault.traces);
    // Every third world has a local store.
    let store = seed.is_multiple_of(3);
    let more = if store { faults::STORE } else { &[] };
    let possible: Vec<Fault> = faults::all().iter().chain(more).copied().filter(can).collect();
    let world = World::new(seed, &Setting { store, ..Setting::default() });
    inject_all(world, seed, LENGTH, &possible, |_| {})
}

/// Injects about `length` faults out of `possible` one after the other, calls `after_each`, and ends the world.
pub fn inject_all(
    mut world: World,
    seed: u64,
    length: usize,
    possible: &[Fault],
    after_each: impl Fn(&mut World),
) -> Report {
    let mut injected = Vec::new();
    while injected.len() < length {
        inject_one(&mut world, possible, &mut injected);
        after_each(&mut world);
        if world.rng.u8(0..4) == 0 {
            world.heal();
            world.recover();
        } else {
            time_goes_by(&mut world);
        }
    }
    let mut report = world.finish();
    if !report.failures.is_empty() {
        report.fail(format!("the sequence was {injected:?}; {}={seed} injects it again", crate::options::SEED));
    }
    report
}
