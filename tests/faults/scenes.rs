//! What is done in a bounded run.

use crate::Scene;
use crate::circumstances;
use crate::faults::{self, Fault, can_trace, time_goes_by};
use crate::harness::nothing_may_be_left_out;
use crate::mounts::can_mount;
use crate::options::{Mode, Options};
use crate::report::Report;
use crate::sequence;
use crate::servers;
use crate::shortage;
use crate::told;
use crate::world::{Setting, World};

/// Sequences that are always tried: first some for their variety, then those that have once found a defect.
const SEEDS: [u64; 3] = [1, 2, 3];

type Run = fn() -> Report;

/// All scenes, the longest first.
pub fn bounded(options: &Options) -> Vec<Scene> {
    let fresh = fastrand::u64(..);
    let mut scenes: Vec<Scene> = SEEDS.into_iter().chain([fresh]).map(sequence::scene).collect();
    for (name, list) in [
        ("processes", faults::PROCESSES),
        ("graphite", faults::GRAPHITE),
        ("directories", faults::DIRECTORIES),
        ("disk", faults::DISK),
        ("content", faults::CONTENT),
        ("page of metrics", faults::PAGE),
    ] {
        scenes.push(Scene { name: name.to_owned(), run: Box::new(move || singly(list)) });
    }
    let special: [(&str, Run); 31] = [
        ("Graphite half-closes", told::half_closing),
        ("Graphite cuts below 4 KiB each time", told::cutting),
        ("proxy with default times", crate::proxy::by_default),
        ("proxy", crate::proxy::singly),
        ("proxy with health checks", crate::proxy::checked),
        ("proxy with health checks and short times", crate::proxy::checked_often),
        ("proxy with a short timeout client", crate::proxy::impatient),
        ("hung graphite", crate::proxy::hung),
        ("pull without pull-timeout", crate::pull::unlimited),
        ("worker blocked in reading", crate::slow::blocked),
        ("several servers, worker blocked in reading", crate::slow::several),
        ("replacement with a reused inode", crate::slow::reused),
        ("local store, links and modes", told::store),
        ("permissions of secrets", told::permissions),
        ("pull and HAProxy", crate::pull::singly),
        ("pull and reloads of HAProxy", crate::pull::reloads),
        ("pull and the clock", crate::pull::clock),
        ("process and the clock", circumstances::clock),
        ("local store on a full disk", circumstances::full_store),
        ("no inotify watches", || circumstances::no_inotify("max_inotify_watches")),
        ("no inotify instances", || circumstances::no_inotify("max_inotify_instances")),
        ("no threads left", shortage::no_threads),
        ("one thread left", shortage::one_thread),
        ("memory of the parent short", shortage::no_memory),
        ("snapshots of another user", shortage::another_user),
        ("quarantine full", shortage::quarantine_full),
        ("no processor for the workers", shortage::no_processor),
        ("memory of the parent short for a while", shortage::little_memory),
        ("OTLP and remote write", crate::remote::singly),
        ("carbon-cache", crate::peers::carbon),
        ("carbon-c-relay", crate::peers::relay),
    ];
    for mode in &servers::MODES {
        let name = format!("several servers, {}", mode.name);
        scenes.push(Scene { name, run: Box::new(move || servers::singly(mode)) });
    }
    scenes.extend(special.map(|(name, run)| Scene { name: name.to_owned(), run: Box::new(run) }));
    #[cfg(feature = "kafka")]
    scenes.push(Scene { name: "kafka".to_owned(), run: Box::new(crate::kafka::singly) });
    // As many rebalances as a month of upgrades, or those that there is time for.
    #[cfg(feature = "kafka")]
    scenes.push(crate::members::scene(if matches!(options.mode, Mode::Soak { .. }) { 50 } else { 0 }));
    // In a soak alone: it takes a minute.
    #[cfg(feature = "kafka")]
    scenes.extend(matches!(options.mode, Mode::Soak { .. }).then(|| crate::members::away(50)));
    scenes.push(sequence::pull(fresh));
    scenes.push(sequence::remote(fresh));
    scenes.push(sequence::proxy(fresh));
    scenes.push(outage("memory during an outage", 360));
    scenes.retain(|scene| options.wants(&scene.name));
    scenes
}

/// Graphite is away while so many snapshots are published.
pub fn outage(name: &str, snapshots: usize) -> Scene {
    Scene { name: name.to_owned(), run: Box::new(move || circumstances::memory(snapshots)) }
}

/// Each fault by itself, everything delivered before the next.
fn singly(list: &[Fault]) -> Report {
    try_each(World::new(0, &Setting::default()), list)
}

/// Each fault by itself in this world.
pub fn try_each(mut world: World, list: &[Fault]) -> Report {
    try_faults(&mut world, list);
    world.finish()
}

/// The same in a world that goes on.
pub fn try_faults(world: &mut World, list: &[Fault]) {
    let (mounts, traces) = (can_mount(), can_trace());
    for fault in list {
        let reason = match (fault, &mounts, &traces) {
            (Fault { mounts: true, .. }, Err(reason), _) => Some(format!("cannot mount here: {reason}")),
            (Fault { traces: true, .. }, _, Err(reason)) => Some(format!("cannot trace here: {reason}")),
            _ => None,
        };
        if let Some(reason) = reason {
            world.report.note(format!("not tried: {}: {reason}", fault.name));
            forbid_in_ci(&mut world.report, fault.name);
            continue;
        }
        (fault.inject)(world, fault.name, &mut time_goes_by);
        world.heal();
        if !world.recover() {
            world.report.fail(format!("{}: no recovery", fault.name));
        }
        world.check_orphans();
    }
}

/// Continuous integration has to be a machine on which everything can be tried.
pub fn forbid_in_ci(report: &mut Report, what: &str) {
    if nothing_may_be_left_out() {
        report.fail(format!("{what}: must not be left out here"));
    }
}
