//! Faults of Graphite: away, hostile, slow.

use super::{During, Fault, burst, fault, moment};
use crate::harness::graphite::Behaviour;
use crate::world::World;
use std::time::Duration;

/// Faults of Graphite.
pub const GRAPHITE: &[Fault] = &[
    fault("Graphite refuses", refused),
    fault("Graphite absent, memory full", absent),
    fault("Graphite comes and goes", flapping),
    fault("Graphite resets", |world, name, during| {
        let bytes = world.rng.usize(0..200_000);
        behave(world, name, during, Behaviour::ResetAfter(bytes));
    }),
    fault("Graphite closes mid-line", |world, name, during| {
        let bytes = world.rng.usize(1..200_000);
        behave(world, name, during, Behaviour::CloseAfter(bytes));
    }),
    fault("Graphite closes early mid-line", |world, name, during| {
        let bytes = world.rng.usize(1..6_000);
        behave(world, name, during, Behaviour::CloseAfter(bytes));
    }),
    fault("Graphite cuts below 4 KiB each time", |world, name, during| {
        let bytes = world.rng.usize(1..4_096);
        behave(world, name, during, Behaviour::CloseAfter(bytes));
    }),
    fault("Graphite half-closes", |world, name, during| behave(world, name, during, Behaviour::HalfClose)),
    fault("Graphite hangs and is killed", hung),
    fault("Graphite closes at once", |world, name, during| behave(world, name, during, Behaviour::CloseAtOnce)),
    fault("Graphite closes after each read", |world, name, during| {
        behave(world, name, during, Behaviour::CloseEachRead);
    }),
    fault("Graphite stalls", stall),
    fault("Graphite trickles", |world, name, during| {
        let rate = world.rng.usize(1_000..50_000);
        behave(world, name, during, Behaviour::Trickle(rate));
    }),
    fault("Graphite never closes", |world, name, during| behave(world, name, during, Behaviour::NeverClose)),
    fault("Graphite talks back", |world, name, during| behave(world, name, during, Behaviour::Talk)),
];

fn behave(world: &mut World, name: &'static str, during: During<'_>, behaviour: Behaviour) {
    world.begin(name);
    let before = world.recorder.connections();
    burst(world, 2);
    world.recorder.behave(behaviour);
    moment(world, 600);
    during(world);
    world.recorder.behave(Behaviour::Read);
    let losses = world.recorder.connections() - before;
    world.allow(losses);
}

/// It takes what its kernel takes, for longer or shorter than it may take to close, and then everything that it has not read is
/// gone.
fn hung(world: &mut World, name: &'static str, during: During<'_>) {
    world.begin(name);
    world.allow(10);
    world.recorder.behave(Behaviour::Stall);
    burst(world, 2);
    moment(world, 6_000);
    during(world);
    world.recorder.vanish();
    world.recorder.behave(Behaviour::Read);
    world.recorder.come_back();
}

/// Longer than `write-timeout` and `delay` together.
fn stall(world: &mut World, name: &'static str, during: During<'_>) {
    behave(
        world,
        name,
        &mut |world| {
            world.go_on(Duration::from_millis(1_500), 6.0);
            during(world);
        },
        Behaviour::Stall,
    );
}

fn refused(world: &mut World, name: &'static str, during: During<'_>) {
    world.begin(name);
    burst(world, 2);
    moment(world, 100);
    world.recorder.vanish();
    during(world);
    world.recorder.come_back();
}

fn absent(world: &mut World, name: &'static str, during: During<'_>) {
    world.begin(name);
    world.recorder.vanish();
    burst(world, 12);
    world.go_on(Duration::from_millis(800), 5.0);
    during(world);
    world.recorder.come_back();
}

fn flapping(world: &mut World, name: &'static str, during: During<'_>) {
    world.begin(name);
    for _ in 0..5 {
        burst(world, 1);
        moment(world, 120);
        world.recorder.vanish();
        world.allow(1);
        moment(world, 120);
        world.recorder.come_back();
    }
    during(world);
}
