//! Faults of receivers of OTLP and remote write, and of them and others at the same time.

use super::processes::PROCESSES;
use super::{During, Fault, burst, fault, moment};
use crate::harness::receiver::{self, Behaviour, Receiver};
use crate::world::World;
use std::time::Duration;

/// Faults of receivers.
pub const REMOTE: &[Fault] = &[
    fault("receivers: away", |world, name, during| {
        world.begin(name);
        burst(world, 2);
        while_away(world, during);
    }),
    fault("receivers: come and go", |world, name, during| {
        world.begin(name);
        for _ in 0..4 {
            burst(world, 1);
            moment(world, 150);
            while_away(world, &mut |world| moment(world, 300));
        }
        during(world);
    }),
    fault("receivers: away for long", |world, name, during| {
        world.begin(name);
        while_away(world, &mut |world| {
            burst(world, 12);
            world.go_on(Duration::from_millis(3_500), 5.0);
            during(world);
        });
    }),
    fault("receivers: slow", |world, name, during| {
        let time = Duration::from_millis(world.rng.u64(20..300));
        always(world, name, &receiver::Fault::Slow(time), during);
    }),
    fault("receivers: slower than the time limit", |world, name, during| {
        always(world, name, &receiver::Fault::Slow(Duration::from_millis(1_200)), during);
    }),
    fault("receivers: never answer", |world, name, during| always(world, name, &receiver::Fault::Hang, during)),
    fault("receivers: talk nonsense", |world, name, during| always(world, name, &receiver::Fault::Garbage, during)),
    fault("receivers: 5xx", |world, name, during| {
        let status = [500, 502, 503, 504][world.rng.usize(..4)];
        always(world, name, &receiver::Fault::status(status), during);
    }),
    fault("receivers: 401", |world, name, during| always(world, name, &receiver::Fault::status(401), during)),
    fault("receivers: 429 with Retry-After", |world, name, during| {
        let answer = receiver::Fault::Answer(429, "Retry-After: 1\r\n".to_owned(), Vec::new());
        always(world, name, &answer, during);
    }),
    fault("receivers: disk full", |world, name, during| {
        let words = b"write to WAL: log samples: no space left on device".to_vec();
        always(world, name, &receiver::Fault::Answer(500, String::new(), words), during);
    }),
    fault("receivers: a load balancer without servers", |world, name, during| {
        let headers = "Content-Type: text/html\r\n".to_owned();
        let answer = receiver::Fault::Answer(503, headers, b"<html>no server</html>".to_vec());
        always(world, name, &answer, during);
    }),
    fault("receivers: accept, and do not say so", |world, name, during| {
        let count = world.rng.usize(1..8);
        next(world, name, &receiver::Fault::TakeAndClose, count, during);
    }),
    fault("receivers: accept, and say 500", |world, name, during| {
        let count = world.rng.usize(1..8);
        next(world, name, &receiver::Fault::TakeAndAnswer(500, String::new(), Vec::new()), count, during);
    }),
    fault("receivers: killed in the middle", |world, name, during| {
        world.begin(name);
        for _ in 0..5 {
            burst(world, 2);
            moment(world, 60);
            world.remotes.iter().for_each(Receiver::cut);
        }
        during(world);
    }),
    fault("receivers: one series refused", |world, name, during| {
        behave(world, name, |behaviour| behaviour.refuses = Some("\"web-003\"".to_owned()), during);
    }),
    fault("receivers: requests too large", |world, name, during| {
        behave(world, name, |behaviour| behaviour.most = Some(70), during);
    }),
    fault("receivers: partial success", |world, name, during| {
        behave(world, name, |behaviour| behaviour.rejects = Some(3), during);
    }),
    fault("receivers: away, a worker killed", |world, name, during| {
        away_and(world, name, "kill -9 of a worker", during);
    }),
    fault("receivers: away, the parent killed", |world, name, during| {
        away_and(world, name, "kill -9 of the parent", during);
    }),
    fault("receivers: away, SIGTERM", |world, name, during| away_and(world, name, "SIGTERM", during)),
    fault("receivers: away, reload", |world, name, during| away_and(world, name, "reload", during)),
    fault("receivers: slow, a worker killed", |world, name, during| {
        slow_and(world, name, "kill -9 of a worker", during);
    }),
    fault("receivers: slow, the parent killed", |world, name, during| {
        slow_and(world, name, "kill -9 of the parent", during);
    }),
    fault("receivers: slow, reload", |world, name, during| slow_and(world, name, "reload", during)),
    fault("receivers: Graphite away, everything killed", |world, name, during| {
        // What the receivers have stays on disk for Graphite, and must not be sent to them again.
        world.begin(name);
        world.recorder.vanish();
        for kind in ["kill -9 of a worker", "kill -9 of the parent", "kill -9 of a worker"] {
            world.go_on(Duration::from_millis(700), 10.0);
            kill_with(world, kind, &mut |world| moment(world, 200));
        }
        during(world);
        world.recorder.come_back();
    }),
    fault("receivers: one of two away", |world, name, during| {
        world.begin(name);
        let which = world.rng.usize(..2);
        if let Some(receiver) = world.remotes.get(which) {
            receiver.go_away();
        }
        world.go_on(Duration::from_millis(2_500), 8.0);
        kill_with(world, "kill -9 of a worker", during);
        world.remotes.iter().for_each(Receiver::come_back);
    }),
];

fn while_away(world: &mut World, during: During<'_>) {
    world.remotes.iter().for_each(Receiver::go_away);
    during(world);
    world.remotes.iter().for_each(Receiver::come_back);
}

/// Everything is answered like this for a while.
fn always(world: &mut World, name: &'static str, fault: &receiver::Fault, during: During<'_>) {
    behave(world, name, |behaviour| behaviour.always = Some(fault.clone()), during);
}

fn next(world: &mut World, name: &'static str, fault: &receiver::Fault, count: usize, during: During<'_>) {
    behave(world, name, |behaviour| behaviour.next.extend(vec![fault.clone(); count]), during);
}

fn behave(world: &mut World, name: &'static str, change: impl Fn(&mut Behaviour), during: During<'_>) {
    world.begin(name);
    world.remotes.iter().for_each(|receiver| receiver.behave(&change));
    burst(world, 3);
    moment(world, 500);
    during(world);
    world.remotes.iter().for_each(crate::remote::heal);
}

fn away_and(world: &mut World, name: &'static str, second: &str, during: During<'_>) {
    world.begin(name);
    while_away(world, &mut |world| {
        world.go_on(Duration::from_millis(2_500), 5.0);
        kill_with(world, second, during);
    });
}

fn slow_and(world: &mut World, name: &'static str, second: &str, during: During<'_>) {
    always(world, name, &receiver::Fault::Slow(Duration::from_millis(60)), &mut |world| {
        burst(world, 10);
        kill_with(world, second, during);
        burst(world, 10);
        kill_with(world, second, &mut |world| moment(world, 300));
    });
}

/// One of the faults of processes besides.
fn kill_with(world: &mut World, name: &str, during: During<'_>) {
    let fault = PROCESSES.iter().find(|fault| fault.name == name).expect("there is such a fault");
    (fault.inject)(world, fault.name, during);
}
