//! Faults of processes: killed, told to leave, stopped.

use super::{During, Fault, burst, fault, moment};
use crate::world::{RECOVERY, WORKER_TIMEOUT, WORKERS, World};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::time::Duration;

/// Faults of processes.
pub const PROCESSES: &[Fault] = &[
    fault("kill -9 of a worker", kill_worker),
    fault("kill -9 of all workers", kill_all_workers),
    fault("kill -9 of a worker, again and again", kill_often),
    fault("kill -9 of every worker at once, for seconds", kill_storm),
    fault("kill -9 of the parent", |world, name, during| end_parent(world, name, during, Signal::SIGKILL)),
    fault("SIGTERM", |world, name, during| end_parent(world, name, during, Signal::SIGTERM)),
    fault("reload", reload),
    fault("SIGTERM twice", end_twice),
    fault("SIGTERM to the whole group", end_group),
    fault("SIGSTOP of a worker", stop_worker),
    fault("SIGSTOP of the parent", stop_parent),
    fault("SIGSTOP of everything", stop_all),
    fault("signals without a meaning", meaningless),
];

fn one_worker(world: &mut World) -> Option<Pid> {
    let workers = world.process.workers();
    world.rng.choice(workers)
}

fn kill_worker(world: &mut World, name: &'static str, during: During<'_>) {
    world.begin(name);
    burst(world, 3);
    moment(world, 200);
    if let Some(worker) = one_worker(world) {
        let _ = kill(worker, Signal::SIGKILL);
    }
    during(world);
}

fn kill_all_workers(world: &mut World, name: &'static str, during: During<'_>) {
    world.begin(name);
    burst(world, 4);
    moment(world, 200);
    for worker in world.process.workers() {
        let _ = kill(worker, Signal::SIGKILL);
    }
    during(world);
}

/// Nobody ends because of them, once the system has begun the program.
fn meaningless(world: &mut World, name: &'static str, during: During<'_>) {
    world.begin(name);
    world.wait_for(RECOVERY, |world| world.process.is_up() && world.process.workers().len() == WORKERS);
    burst(world, 2);
    let (parent, workers) = (world.process.pid(), world.process.workers());
    for signal in [Signal::SIGUSR1, Signal::SIGUSR2, Signal::SIGALRM, Signal::SIGPROF, Signal::SIGIO, Signal::SIGPWR] {
        for pid in workers.iter().copied().chain(parent) {
            let _ = kill(pid, signal);
        }
        moment(world, 50);
    }
    during(world);
}

/// Not so often that the parent would be right to give up.
fn kill_often(world: &mut World, name: &'static str, during: During<'_>) {
    world.begin(name);
    for _ in 0..4 {
        burst(world, 1);
        moment(world, 300);
        if let Some(worker) = one_worker(world) {
            let _ = kill(worker, Signal::SIGKILL);
            world.allow(1);
        }
    }
    during(world);
}

/// Faster than workers can be replaced: the parent may give up, and is restarted like everything else.
fn kill_storm(world: &mut World, name: &'static str, during: During<'_>) {
    world.begin(name);
    burst(world, 5);
    world.process.may_give_up(true);
    for _ in 0..100 {
        for worker in world.process.workers() {
            let _ = kill(worker, Signal::SIGKILL);
        }
        world.allow(1);
        world.go_on(Duration::from_millis(20), 3.0);
    }
    world.process.may_give_up(false);
    during(world);
}

fn end_parent(world: &mut World, name: &'static str, during: During<'_>, signal: Signal) {
    world.begin(name);
    burst(world, 4);
    moment(world, 200);
    world.process.end_by(signal);
    during(world);
}

/// The second one comes while workers are replaced for the first.
fn reload(world: &mut World, name: &'static str, during: During<'_>) {
    world.begin(name);
    burst(world, 4);
    for _ in 0..2 {
        moment(world, 200);
        world.process.signal(Signal::SIGHUP);
    }
    during(world);
}

fn end_twice(world: &mut World, name: &'static str, during: During<'_>) {
    world.begin(name);
    burst(world, 4);
    moment(world, 200);
    world.process.end_by(Signal::SIGTERM);
    std::thread::sleep(Duration::from_millis(world.rng.u64(0..30)));
    world.process.signal(Signal::SIGTERM);
    during(world);
}

fn end_group(world: &mut World, name: &'static str, during: During<'_>) {
    world.begin(name);
    burst(world, 4);
    moment(world, 200);
    let workers = world.process.workers();
    world.process.end_by(Signal::SIGTERM);
    for worker in workers {
        let _ = kill(worker, Signal::SIGTERM);
    }
    during(world);
}

fn stop_worker(world: &mut World, name: &'static str, during: During<'_>) {
    world.begin(name);
    burst(world, 2);
    let worker = one_worker(world);
    if let Some(worker) = worker {
        let _ = kill(worker, Signal::SIGSTOP);
    }
    during(world);
    world.go_on(WORKER_TIMEOUT + Duration::from_millis(700), 4.0);
    if let Some(worker) = worker {
        // It has been replaced in the meantime, unless the parent was.
        let _ = kill(worker, Signal::SIGCONT);
    }
}

fn stop_parent(world: &mut World, name: &'static str, during: During<'_>) {
    world.begin(name);
    burst(world, 2);
    let parent = world.process.pid();
    world.process.signal(Signal::SIGSTOP);
    world.go_on(WORKER_TIMEOUT + Duration::from_millis(700), 4.0);
    if world.process.pid() == parent {
        world.process.signal(Signal::SIGCONT);
    }
    during(world);
}

/// As when a virtual machine is suspended.
fn stop_all(world: &mut World, name: &'static str, during: During<'_>) {
    world.begin(name);
    burst(world, 2);
    let all: Vec<Pid> = world.process.pid().into_iter().chain(world.process.workers()).collect();
    for pid in &all {
        let _ = kill(*pid, Signal::SIGSTOP);
    }
    world.go_on(WORKER_TIMEOUT + Duration::from_millis(700), 4.0);
    // The parent last, the worst order: it finds everybody silent.
    for pid in all.iter().rev() {
        let _ = kill(*pid, Signal::SIGCONT);
    }
    during(world);
}
