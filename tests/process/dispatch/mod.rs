//! The dispatchers against peers that misbehave, and against a real carbon-cache and a real carbon-c-relay.

mod rig;
mod several;
mod wire;

use crate::harness::carbon::Carbon;
use crate::harness::graphite::{Behaviour, Recorder};
use crate::harness::incoming::Incoming;
use crate::harness::relay::Relay;
use crate::harness::{self, SOON, wait_until};
use haproxystats::config::{Acknowledge, QueueFull};
use haproxystats::dispatch::Dispatcher;
use nix::sys::signal::Signal;
use rig::{All, DELAY, Log, Rig, assert_complete, batch, options, run};
use std::collections::BTreeSet;
use std::num::NonZeroUsize;
use std::path::Path;
use std::time::Duration;
use tokio::time::Instant;

#[test]
fn batches_arrive_once_in_order_and_are_told_in_order() {
    run(async {
        let recorder = Recorder::start();
        let mut rig = Rig::start(&options(recorder.port()));
        (1..=20).for_each(|epoch| rig.submit(epoch, 1000));
        rig.until_delivered(20).await;
        let record = recorder.record();
        assert_complete(&record, (1..=20).map(|epoch| batch(epoch, 1000)));
        assert_eq!(record.duplicates(), 0);
        assert_eq!(record.timestamps, (1..=20).collect::<Vec<_>>());
        assert_eq!(rig.delivered, record.timestamps);
        let counters = rig.counters();
        assert_eq!(counters.delivered_lines, 20_000);
        assert_eq!((counters.resent_lines, counters.reconnects, counters.retries, counters.stalls), (0, 0, 0, 0));
        assert_eq!((counters.queued_batches, counters.queued_lines), (0, 0));
    });
}

fn batches(
    epochs: std::ops::RangeInclusive<u64>,
    lines: usize,
) -> impl Iterator<Item = std::sync::Arc<haproxystats::dispatch::Batch>> {
    epochs.map(move |epoch| batch(epoch, lines))
}

/// Everything has arrived and was told once, in order, and what arrived more than once was counted.
#[track_caller]
fn assert_delivered(rig: &Rig<All>, recorder: &Recorder, last: u64, lines: usize) {
    let record = recorder.record();
    assert_complete(&record, batches(1..=last, lines));
    assert_eq!(rig.delivered, (1..=last).collect::<Vec<_>>());
    let counters = rig.counters();
    assert_eq!(counters.delivered_lines, last * lines as u64);
    assert!(record.duplicates() <= counters.resent_lines, "{} duplicates, {counters:?}", record.duplicates());
    assert_eq!((counters.queued_batches, counters.queued_lines), (0, 0));
}

#[test]
fn one_lasting_connection_is_enough_for_those_who_trust_the_kernel() {
    run(async {
        let recorder = Recorder::start();
        let mut options = options(recorder.port());
        options.acknowledge = Acknowledge::Kernel;
        let mut rig = Rig::start(&options);
        for epoch in 1..=5 {
            rig.submit(epoch, 5000);
            rig.until_delivered(epoch as usize).await;
        }
        assert_delivered(&rig, &recorder, 5, 5000);
        assert_eq!((recorder.connections(), recorder.record().duplicates()), (1, 0));
    });
}

#[test]
fn a_name_is_resolved() {
    run(async {
        let recorder = Recorder::start();
        let mut options = options(recorder.port());
        options.servers[0].host = "localhost".to_owned();
        let mut rig = Rig::start(&options);
        rig.submit(1, 10);
        rig.until_delivered(1).await;
        assert_delivered(&rig, &recorder, 1, 10);
    });
}

#[test]
fn while_graphite_is_away_one_batch_is_held_and_the_rest_waits_outside() {
    run(async {
        let mut recorder = Recorder::away();
        let mut rig = Rig::start(&options(recorder.port()));
        rig.until("attempts fail", |rig| rig.counters().retries >= 2).await;
        assert!(rig.dispatcher.has_room(), "one batch may wait for the connection");
        rig.submit(1, 1000);
        assert!(!rig.dispatcher.has_room());
        rig.until("attempts fail", |rig| rig.counters().retries >= 8).await;
        assert!(!rig.dispatcher.has_room() && rig.rooms == 0);
        recorder.come_back();
        rig.until("room is told", |rig| rig.rooms == 1).await;
        rig.feed(2..=10, 1000).await;
        rig.until_delivered(10).await;
        assert_delivered(&rig, &recorder, 10, 1000);
        assert_eq!(recorder.record().timestamps, (1..=10).collect::<Vec<_>>());
        assert_eq!(rig.counters().resent_lines, 0);
    });
}

#[test]
fn nothing_is_lost_when_graphite_vanishes_and_returns() {
    run(async {
        let mut recorder = Recorder::start();
        let mut rig = Rig::start(&options(recorder.port()));
        for round in 0..5_u64 {
            rig.feed(4 * round + 1..=4 * round + 4, 5000).await;
            let bytes = recorder.bytes();
            rig.until("data flows", |_| recorder.bytes() > bytes + 100_000).await;
            recorder.vanish();
            rig.run_for(Duration::from_millis(300)).await;
            recorder.come_back();
        }
        rig.until_delivered(20).await;
        assert_delivered(&rig, &recorder, 20, 5000);
        let counters = rig.counters();
        assert!(counters.reconnects >= 5 && counters.retries > 0, "{counters:?}");
    });
}

#[test]
fn a_line_that_was_cut_off_is_sent_whole_on_the_next_connection() {
    for fault in [Behaviour::CloseAfter(100_003), Behaviour::ResetAfter(100_003)] {
        run(async {
            let recorder = Recorder::start();
            recorder.behave(fault);
            let mut rig = Rig::start(&options(recorder.port()));
            rig.submit(1, 10_000);
            rig.until("the connection is cut twice", |rig| rig.counters().reconnects >= 2).await;
            recorder.behave(Behaviour::Read);
            rig.until_delivered(1).await;
            assert_delivered(&rig, &recorder, 1, 10_000);
            let record = recorder.record();
            let fragment = record.fragments.first().unwrap();
            assert!(record.lines.keys().any(|line| line.starts_with(fragment)), "{fragment:?}");
            assert!(record.duplicates() > 0);
        });
    }
}

#[test]
fn a_peer_that_cuts_every_connection_gets_everything_all_the_same() {
    for fault in [Behaviour::CloseAfter(50_000), Behaviour::ResetAfter(50_000), Behaviour::CloseEachRead] {
        run(async {
            let recorder = Recorder::start();
            recorder.behave(fault);
            let mut rig = Rig::start(&options(recorder.port()));
            rig.feed(1..=3, 3000).await;
            rig.until_delivered(3).await;
            assert_delivered(&rig, &recorder, 3, 3000);
        });
    }
}

#[test]
fn a_peer_that_closes_at_once_is_not_asked_without_pause() {
    run(async {
        let recorder = Recorder::start();
        recorder.behave(Behaviour::CloseAtOnce);
        let mut rig = Rig::start(&options(recorder.port()));
        rig.submit(1, 1000);
        let start = Instant::now();
        rig.until("it closes several times", |rig| rig.counters().reconnects >= 5).await;
        assert!(start.elapsed() > Duration::from_millis(800), "{:?}", start.elapsed());
        // Each time the one that carries the batch, its witness, and the next with its own.
        assert!(recorder.connections() <= 24, "{}", recorder.connections());
        recorder.behave(Behaviour::Read);
        rig.until_delivered(1).await;
        assert_delivered(&rig, &recorder, 1, 1000);
    });
}

#[test]
fn what_only_the_kernel_of_a_hanging_peer_had_is_sent_again_when_the_peer_dies() {
    run(async {
        let mut recorder = Recorder::start();
        let mut rig = Rig::start(&options(recorder.port()));
        rig.feed(1..=1, 100).await;
        rig.until_delivered(1).await;
        recorder.behave(Behaviour::Stall);
        // Far less than the buffers of a socket take.
        rig.submit(2, 100);
        rig.run_for(4 * DELAY).await;
        assert_eq!(rig.delivered, [1]);
        let counters = rig.counters();
        assert!(counters.stalls > 0, "{counters:?}");
        assert!(!rig.dispatcher.has_room(), "one batch is enough for a peer that hangs");
        recorder.vanish();
        recorder.behave(Behaviour::Read);
        recorder.come_back();
        rig.until_delivered(2).await;
        assert_delivered(&rig, &recorder, 2, 100);
        assert_eq!(recorder.record().duplicates(), 0, "the one that died had read nothing");
    });
}

#[test]
fn a_peer_that_stops_reading_is_stalled_and_back_and_loses_nothing() {
    run(async {
        let recorder = Recorder::start();
        let mut rig = Rig::start(&options(recorder.port()));
        rig.feed(1..=1, 100).await;
        rig.until_delivered(1).await;
        recorder.behave(Behaviour::Stall);
        let connections = recorder.connections();
        rig.submit(2, 100_000);
        rig.until("it counts as stalled", |rig| rig.counters().stalls == 1).await;
        assert!(!rig.dispatcher.has_room());
        rig.until("the connection is replaced", |_| recorder.connections() > connections).await;
        recorder.behave(Behaviour::Read);
        rig.until_delivered(2).await;
        rig.until("there is room", |rig| rig.dispatcher.has_room()).await;
        assert_complete(&recorder.record(), [batch(1, 100), batch(2, 100_000)]);
    });
}

#[test]
fn a_peer_that_trickles_is_not_waited_for_and_a_slow_one_is() {
    run(async {
        let recorder = Recorder::start();
        let mut rig = Rig::start(&options(recorder.port()));
        rig.feed(1..=1, 100).await;
        rig.until_delivered(1).await;
        recorder.behave(Behaviour::Trickle(1));
        let connections = recorder.connections();
        rig.submit(2, 100);
        rig.until("the connection is replaced", |_| recorder.connections() > connections).await;
        recorder.behave(Behaviour::Read);
        rig.until_delivered(2).await;
        assert_complete(&recorder.record(), [batch(1, 100), batch(2, 100)]);

        recorder.behave(Behaviour::Trickle(2_000_000));
        let resent = rig.counters().resent_lines;
        rig.submit(3, 50_000);
        rig.until_delivered(3).await;
        assert_eq!(rig.counters().resent_lines, resent);
    });
}

#[test]
fn a_peer_that_never_closes_is_found_out_once_it_has_certainly_read() {
    run(async {
        let log = Log::start();
        let recorder = Recorder::start();
        recorder.behave(Behaviour::NeverClose);
        let mut rig = Rig::start(&options(recorder.port()));
        rig.submit(1, 1000);
        rig.until("it is told", |_| log.lines().len() >= 2).await;
        assert!(log.lines()[1].contains("it hangs, or it never closes connections"), "{:?}", log.lines());
        rig.run_for(2 * DELAY).await;
        assert!(rig.delivered.is_empty() && rig.confirmed.is_empty(), "nothing proves that it reads");
        // More than the buffers of a program that does not read hold.
        let sent = (2..=25).map(long_lines);
        sent.clone().for_each(|batch| rig.dispatcher.submit(batch));
        rig.until_delivered(25).await;
        let connections = recorder.connections();
        // None of them waits for its own delay; a busy machine may need several attempts.
        let mut next = 26;
        loop {
            let start = Instant::now();
            rig.feed(next..=next + 3, 1000).await;
            rig.until_delivered(usize::try_from(next + 3).unwrap()).await;
            next += 4;
            if start.elapsed() < 3 * DELAY {
                break;
            }
            assert!(next < 60, "four snapshots always take {:?} or more", 3 * DELAY);
        }
        // The word of its kernel is enough now; it may still be reading.
        let later = usize::try_from(next).unwrap() - 26;
        rig.until("it has read everything", |_| recorder.distinct() == 24 * 30 + (1 + later) * 1000).await;
        assert_complete(&recorder.record(), sent.chain([batch(1, 1000)]).chain(batches(26..=next - 1, 1000)));
        assert_eq!(recorder.record().duplicates(), 0);
        assert_eq!(recorder.connections(), connections, "the connection lasts now");
        // That so much is not accepted at once is a different warning, logged each time it happens.
        let told = |line: &&String| line.starts_with("WARN") && !line.contains("does not accept data");
        assert_eq!(log.lines().iter().filter(told).count(), 2, "{:?}", log.lines());
    });
}

/// Three megabytes in few lines.
fn long_lines(epoch: u64) -> std::sync::Arc<haproxystats::dispatch::Batch> {
    let line = |line| format!("{}.metric {line} {epoch}\n", "x".repeat(100_000));
    let text: String = (0..30).map(line).collect();
    let epoch = haproxystats::snapshot::Epoch(epoch);
    std::sync::Arc::new(haproxystats::dispatch::Batch {
        epoch,
        text: text.into_bytes(),
        lines: 30,
        ..Default::default()
    })
}

#[test]
fn a_peer_that_hangs_from_the_start_is_not_taken_for_one_that_never_closes() {
    run(async {
        let mut recorder = Recorder::start();
        recorder.behave(Behaviour::Stall);
        let mut rig = Rig::start(&options(recorder.port()));
        rig.submit(1, 100);
        // Longer than a peer that does not close was once given: ten times the write time-out.
        rig.run_for(8 * DELAY).await;
        assert!(rig.delivered.is_empty() && rig.confirmed.is_empty());
        recorder.vanish();
        recorder.behave(Behaviour::Read);
        recorder.come_back();
        rig.until_delivered(1).await;
        assert_delivered(&rig, &recorder, 1, 100);
    });
}

#[test]
fn a_close_that_came_while_the_worker_was_busy_counts_before_any_verdict() {
    run(async {
        let recorder = Recorder::start();
        let mut rig = Rig::start(&options(recorder.port()));
        rig.submit(1, 100);
        // It arrives, and is answered, while this thread does something else for longer than any patience.
        rig.until("it has arrived", |_| recorder.distinct() == 100).await;
        std::thread::sleep(8 * DELAY);
        rig.until_delivered(1).await;
        assert_delivered(&rig, &recorder, 1, 100);
        let counters = rig.counters();
        assert_eq!((counters.stalls, counters.reconnects, counters.resent_lines), (0, 0, 0));
    });
}

#[test]
fn a_lasting_connection_is_replaced_from_time_to_time_and_nothing_is_sent_twice() {
    run(async {
        let recorder = Recorder::start();
        let mut options = options(recorder.port());
        options.acknowledge = Acknowledge::Kernel;
        options.connection_lifetime = Duration::from_secs(1);
        let mut rig = Rig::start(&options);
        rig.feed(1..=3, 100).await;
        rig.until_delivered(3).await;
        assert_eq!(recorder.connections(), 1);
        let mut epoch = 4;
        while recorder.connections() < 4 {
            rig.feed(epoch..=epoch, 100).await;
            epoch += 1;
            rig.run_for(Duration::from_millis(50)).await;
        }
        rig.until_delivered(epoch as usize - 1).await;
        assert_delivered(&rig, &recorder, epoch - 1, 100);
        let counters = rig.counters();
        assert_eq!((counters.reconnects, counters.resent_lines, recorder.record().duplicates()), (0, 0, 0));
    });
}

#[test]
fn a_peer_that_talks_is_not_listened_to() {
    run(async {
        let recorder = Recorder::start();
        recorder.behave(Behaviour::Talk);
        let mut rig = Rig::start(&options(recorder.port()));
        rig.feed(1..=5, 5000).await;
        rig.until_delivered(5).await;
        assert_delivered(&rig, &recorder, 5, 5000);
    });
}

#[test]
fn a_connection_that_is_lost_while_idle_costs_nothing() {
    run(async {
        let mut recorder = Recorder::start();
        let mut rig = Rig::start(&options(recorder.port()));
        for epoch in 1..=3 {
            rig.submit(epoch, 1000);
            rig.until_delivered(epoch as usize).await;
            let reconnects = rig.counters().reconnects;
            recorder.vanish();
            recorder.come_back();
            rig.until("it is noticed", |rig| rig.counters().reconnects > reconnects).await;
        }
        assert_delivered(&rig, &recorder, 3, 1000);
        assert_eq!(rig.counters().resent_lines, 0);
    });
}

#[test]
fn a_batch_that_was_confirmed_is_sent_again_when_the_peer_dies_before_it_has_settled() {
    run(async {
        let mut recorder = Recorder::start();
        let mut options = options(recorder.port());
        options.settle = Duration::from_secs(2);
        let mut rig = Rig::start(&options);
        rig.submit(1, 100);
        rig.until("it is confirmed", |rig| rig.confirmed == [1]).await;
        let counters = rig.counters();
        assert_eq!((counters.settling, counters.queued_batches, counters.queued_lines), (1, 0, 0));
        assert!(rig.dispatcher.has_room() && rig.delivered.is_empty());
        rig.run_for(Duration::from_millis(100)).await;
        recorder.vanish();
        recorder.come_back();
        rig.until_delivered(1).await;
        assert_eq!((recorder.record().duplicates(), rig.counters().resent_lines), (100, 100));
    });
}

#[test]
fn a_full_queue_gives_up_the_oldest_only_where_that_is_asked_for() {
    run(async {
        let mut recorder = Recorder::away();
        let mut options = options(recorder.port());
        options.queue_size = NonZeroUsize::new(2500).unwrap();
        options.queue_full = QueueFull::DropOldest;
        let mut rig = Rig::start(&options);
        for epoch in 1..=10 {
            assert!(rig.dispatcher.has_room());
            rig.submit(epoch, 1000);
        }
        rig.collect();
        assert_eq!(rig.dropped, (1..=8).collect::<Vec<_>>());
        let counters = rig.counters();
        assert_eq!((counters.dropped_lines, counters.queued_lines), (8000, 2000));
        recorder.come_back();
        rig.until_delivered(2).await;
        assert_complete(&recorder.record(), batches(9..=10, 1000));

        // A batch that is larger than the queue is never given up for that.
        recorder.vanish();
        rig.submit(11, 5000);
        rig.collect();
        assert_eq!(rig.dropped.len(), 8);
        recorder.come_back();
        rig.until_delivered(3).await;
    });
}

#[test]
fn each_change_of_state_is_told_once() {
    run(async {
        let log = Log::start();
        let mut recorder = Recorder::start();
        let mut rig = Rig::start(&options(recorder.port()));
        rig.submit(1, 1000);
        rig.until_delivered(1).await;
        // Away, with many attempts; back, with some connections that break at once; then well.
        recorder.vanish();
        rig.submit(2, 1000);
        rig.until("attempts fail", |rig| rig.counters().retries >= 6).await;
        recorder.behave(Behaviour::CloseAtOnce);
        recorder.come_back();
        let connections = recorder.connections();
        rig.until("connections break", |_| recorder.connections() > connections + 4).await;
        recorder.behave(Behaviour::Read);
        rig.until_delivered(2).await;
        assert_eq!(
            log.lines(),
            ["INFO connected", "WARN connection lost", "INFO connected again"],
            "{}",
            String::from_utf8_lossy(&log.text.lock().unwrap())
        );
        // Stalled, and back before the connection is replaced.
        log.text.lock().unwrap().clear();
        recorder.behave(Behaviour::Stall);
        rig.submit(3, 100_000);
        rig.until("it counts as stalled", |rig| rig.counters().stalls > 0).await;
        recorder.behave(Behaviour::Read);
        rig.until_delivered(3).await;
        let (lines, pair) =
            (log.lines(), ["WARN the server does not accept data", "INFO the server accepts data again"]);
        // On a busy machine the peer may be that slow more than once.
        assert!(!lines.is_empty() && lines.chunks(2).all(|lines| lines == pair), "{lines:?}");
    });
}

#[test]
fn giving_up_metrics_is_told_once_until_there_is_room() {
    run(async {
        let log = Log::start();
        let mut recorder = Recorder::away();
        let mut options = options(recorder.port());
        options.queue_size = NonZeroUsize::new(2500).unwrap();
        options.queue_full = QueueFull::DropOldest;
        let mut rig = Rig::start(&options);
        for epoch in 1..=20 {
            rig.submit(epoch, 1000);
            rig.run_for(Duration::from_millis(20)).await;
        }
        recorder.come_back();
        rig.until_delivered(2).await;
        rig.until("it is told", |_| log.lines().len() >= 4).await;
        assert_eq!(
            log.lines(),
            [
                "WARN no connection; snapshots wait on disk",
                "ERROR the queue is full; dropping the oldest metrics",
                "INFO connected again",
                "INFO metrics are no longer dropped",
            ]
        );
    });
}

#[test]
fn a_worker_is_held_back_while_the_queue_is_full() {
    run(async {
        let recorder = Recorder::start();
        let mut options = options(recorder.port());
        options.queue_size = NonZeroUsize::new(2500).unwrap();
        let mut rig = Rig::start(&options);
        rig.feed(1..=50, 1000).await;
        rig.until_delivered(50).await;
        assert_delivered(&rig, &recorder, 50, 1000);
        assert!((2000..=3000).contains(&rig.most_lines), "{}", rig.most_lines);
    });
}

#[test]
fn draining_waits_for_what_can_be_delivered_and_not_for_what_cannot() {
    run(async {
        let mut recorder = Recorder::start();
        let mut rig = Rig::start(&options(recorder.port()));
        (1..=5).for_each(|epoch| rig.submit(epoch, 5000));
        let start = Instant::now();
        rig.dispatcher.drain(start + SOON).await;
        rig.collect();
        assert!(start.elapsed() < SOON);
        assert_eq!(rig.delivered.len(), 5);

        recorder.behave(Behaviour::Stall);
        rig.submit(6, 10);
        let start = Instant::now();
        rig.dispatcher.drain(start + DELAY / 2).await;
        assert!(start.elapsed() >= DELAY / 2, "the peer hangs, so the deadline decides");

        recorder.vanish();
        let start = Instant::now();
        rig.dispatcher.drain(start + SOON).await;
        assert!(start.elapsed() < SOON / 2, "nobody is there, so waiting is of no use");
        rig.collect();
        assert_eq!(rig.delivered.len(), 5);
    });
}

#[test]
fn an_idle_dispatcher_sleeps() {
    run(async {
        let recorder = Recorder::start();
        let mut rig = Rig::start(&options(recorder.port()));
        rig.submit(1, 1000);
        rig.until_delivered(1).await;
        rig.run_for(Duration::from_millis(300)).await;
        let switches = || {
            let status = std::fs::read_to_string("/proc/thread-self/status").unwrap();
            let line = status.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:")).unwrap();
            line.trim().parse::<u64>().unwrap()
        };
        let before = switches();
        tokio::time::sleep(Duration::from_secs(2)).await;
        let woken = switches() - before;
        // One for the sleep of this test, and a few for the accidents of a busy machine.
        assert!(woken <= 4, "{woken} wake-ups in two idle seconds");
    });
}

#[test]
fn whatever_happens_in_whatever_order_nothing_is_lost() {
    let seed = std::env::var("SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or_else(|| fastrand::u64(..));
    eprintln!("SEED={seed}");
    let mut random = fastrand::Rng::with_seed(seed);
    run(async move {
        let mut recorder = Recorder::start();
        let mut rig = Rig::start(&options(recorder.port()));
        for round in 0..25_u64 {
            let lines = 2000;
            rig.until("there is room", |rig| rig.dispatcher.has_room() || rig.counters().queued_batches > 0).await;
            let mut epoch = 2 * round + 1;
            while epoch <= 2 * round + 2 && rig.dispatcher.has_room() {
                rig.submit(epoch, lines);
                epoch += 1;
            }
            let bytes = random.usize(0..200_000);
            match random.u8(0..8) {
                0 => recorder.behave(Behaviour::CloseAfter(bytes)),
                1 => recorder.behave(Behaviour::ResetAfter(bytes)),
                2 => recorder.behave(Behaviour::Stall),
                3 => recorder.behave(Behaviour::Trickle(bytes)),
                4 => recorder.behave(Behaviour::CloseAtOnce),
                5 => recorder.behave(Behaviour::CloseEachRead),
                6 => recorder.behave(Behaviour::Talk),
                _ => recorder.vanish(),
            }
            rig.run_for(Duration::from_millis(random.u64(0..400))).await;
            if random.bool() {
                recorder.vanish();
            }
            recorder.behave(Behaviour::Read);
            recorder.come_back();
            rig.feed(epoch..=2 * round + 2, lines).await;
        }
        rig.until_delivered(50).await;
        assert_delivered(&rig, &recorder, 50, 2000);
    });
}

#[test]
fn a_relay_is_stopped_killed_and_frozen_and_nothing_is_lost() {
    #[derive(Debug)]
    enum Fault {
        Stop,
        Kill,
        FreezeAndKill,
    }
    for fault in [Fault::Stop, Fault::Kill, Fault::FreezeAndKill] {
        run(async {
            let recorder = Recorder::start();
            let mut relay = Relay::start(recorder.port());
            let mut options = options(relay.port());
            options.settle = Duration::from_secs(1);
            let mut rig = Rig::start(&options);
            let tick = Duration::from_millis(100);
            for epoch in 1..=10 {
                rig.feed(epoch..=epoch, 200).await;
                rig.run_for(tick).await;
            }
            // The batches go on while the relay goes down.
            match fault {
                Fault::Stop => {
                    relay.daemon().signal(Signal::SIGTERM);
                    for epoch in 11..=20 {
                        if rig.dispatcher.has_room() {
                            rig.feed(epoch..=epoch, 200).await;
                        }
                        rig.run_for(2 * tick).await;
                    }
                    relay.stop();
                }
                Fault::Kill => relay.kill(),
                Fault::FreezeAndKill => {
                    // What a frozen relay has read and not passed on nobody can know of.
                    rig.run_for(10 * tick).await;
                    rig.until("the relay has passed on what it has", |rig| {
                        rig.held() == 0 && recorder.distinct() >= rig.delivered.len() * 200
                    })
                    .await;
                    relay.daemon().signal(Signal::SIGSTOP);
                    rig.feed(11..=12, 200).await;
                    rig.run_for(20 * tick).await;
                    relay.kill();
                }
            }
            relay.launch();
            rig.feed(21..=25, 200).await;
            rig.until("all is delivered", |rig| rig.held() == 0).await;
            // The relay has it in its queue; it is passed on soon.
            let wanted = rig.delivered.len() * 200;
            rig.until(&format!("{wanted} lines come out of the relay after {fault:?}"), |_| {
                recorder.distinct() >= wanted
            })
            .await;
            let delivered = rig.delivered.clone();
            assert_complete(&recorder.record(), delivered.iter().map(|epoch| batch(*epoch, 200)));
        });
    }
}

#[test]
fn carbon_is_stopped_killed_and_frozen_and_nothing_is_lost() {
    run(async {
        let mut carbon = Carbon::start();
        let mut options = options(carbon.port());
        // carbon writes its files once a second: what it has read for longer is on disk.
        options.settle = Duration::from_secs(4);
        let mut rig = Rig::start(&options);
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
        let first = now - 600;
        let mut epoch = first;
        for fault in 0..4 {
            for _ in 0..5 {
                rig.feed(epoch..=epoch, 200).await;
                epoch += 1;
                rig.run_for(Duration::from_millis(100)).await;
            }
            match fault {
                0 => carbon.stop(),
                1 => carbon.kill(),
                2 => {
                    carbon.daemon().signal(Signal::SIGSTOP);
                    rig.run_for(Duration::from_secs(2)).await;
                    carbon.kill();
                }
                _ => break,
            }
            rig.run_for(Duration::from_millis(300)).await;
            carbon.launch();
        }
        rig.until("all is delivered", |rig| rig.held() == 0).await;
        let wanted: BTreeSet<u64> = (first..epoch).collect();
        let series = format!("loadbalancers.lb-01.haproxy.backend.b{:06}.server.s1.metric", 199);
        rig.until("carbon has written its files", |_| wanted.iter().all(|e| carbon.points(&series).contains_key(e)))
            .await;
        carbon.stop();
        for line in 0..200 {
            let series = format!("loadbalancers.lb-01.haproxy.backend.b{line:06}.server.s1.metric");
            let points = carbon.points(&series);
            assert_eq!(points.keys().copied().collect::<BTreeSet<_>>(), wanted, "{series}");
            assert!(points.values().all(|value| *value == f64::from(line)), "{series}: {points:?}");
        }
    });
}

#[test]
fn neither_carbon_nor_a_relay_takes_the_unfinished_line_of_a_broken_connection_for_a_point() {
    use std::io::Write;
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    let cut = |port, name: &str| {
        let mut stream = std::net::TcpStream::connect(("127.0.0.1", port)).unwrap();
        // All three fields are there, and the timestamp may be a whole one or not.
        write!(stream, "{name}.whole 1 {now}\n{name}.cut 1 {now}").unwrap();
    };
    let mut carbon = Carbon::start();
    cut(carbon.port(), "direct");
    let mut relay = Relay::start(carbon.port());
    cut(relay.port(), "relayed");
    harness::wait_until(SOON, "both whole lines are stored", || {
        let series = carbon.series();
        ["direct.whole", "relayed.whole"].iter().all(|name| series.contains(*name))
    });
    relay.stop();
    carbon.stop();
    assert_eq!(carbon.series(), BTreeSet::from(["direct.whole".to_owned(), "relayed.whole".to_owned()]));
}

#[test]
fn the_local_store_has_the_same_lines() {
    run(async {
        let dir = tempfile::tempdir().unwrap();
        let mut rig = Rig::store(dir.path());
        rig.feed(1_457_298_067..=1_457_298_069, 1000).await;
        rig.until_delivered(3).await;
        for epoch in 1_457_298_067..=1_457_298_069 {
            let stats = std::fs::read(dir.path().join(epoch.to_string()).join("stats")).unwrap();
            assert!(stats == batch(epoch, 1000).text);
        }
        assert_eq!(rig.counters().delivered_lines, 3000);
    });
}

#[test]
fn a_local_store_that_cannot_be_written_to_has_no_room_and_gives_nothing_up() {
    run(async {
        let dir = tempfile::tempdir().unwrap();
        let store = dir.path().join("store");
        std::fs::write(&store, "a file in the place of the directory").unwrap();
        let mut rig = Rig::store(&store);
        rig.submit(1, 50_000);
        rig.until("it fails", |rig| rig.counters().retries > 0).await;
        // What comes all the same, since a worker was in the middle of it, is kept.
        for epoch in 2..=10 {
            assert!(!rig.dispatcher.has_room() && !rig.dispatcher.takes_more(), "further snapshots wait on disk");
            rig.submit(epoch, 50_000);
        }
        rig.collect();
        assert!(rig.dropped.is_empty() && rig.delivered.is_empty());
        assert_eq!(rig.counters().dropped_lines, 0);
        let drain = Instant::now();
        rig.dispatcher.drain(drain + SOON).await;
        assert!(drain.elapsed() < SOON / 2, "waiting is of no use");
        std::fs::remove_file(&store).unwrap();
        rig.until_delivered(10).await;
        assert_eq!(rig.delivered, (1..=10).collect::<Vec<_>>());
        assert!(rig.dispatcher.has_room() && rig.dispatcher.takes_more());
        assert!(std::fs::read(store.join("10/stats")).unwrap() == batch(10, 50_000).text);
    });
}

/// Runs a test of this file, which is ignored otherwise, where it can do no harm: as root of namespaces of its own.
#[track_caller]
fn apart(test: &str, setup: &str) {
    let test = harness::test_name(module_path!(), test);
    let mut command = std::process::Command::new(harness::debian("unshare"));
    command.args(["--map-root-user", "--net", "--mount", "--", "sh", "-ec"]);
    command
        .arg(format!("{setup}; exec \"$0\" --exact --ignored --nocapture {test}"))
        .arg(std::env::current_exe().unwrap());
    let (status, output) = harness::run(command, 3 * SOON);
    assert!(status.success() && output.contains("1 passed"), "{status}\n{output}");
}

#[test]
fn a_full_disk_holds_up_the_local_store_and_leaves_no_half_file() {
    apart("inside_a_small_disk", "mount -t tmpfs -o size=1m none /mnt");
}

#[test]
#[ignore = "runs in namespaces of its own, see above"]
fn inside_a_small_disk() {
    run(async {
        let dir = Path::new("/mnt");
        let mut rig = Rig::store(dir);
        std::fs::write(dir.join("in the way"), vec![0; 900_000]).unwrap();
        rig.submit(1, 5000);
        rig.until("the disk is full", |rig| rig.counters().retries > 0).await;
        assert_eq!(harness::names(dir), ["in the way"], "nothing is left behind");
        assert!(rig.delivered.is_empty());
        std::fs::remove_file(dir.join("in the way")).unwrap();
        rig.until_delivered(1).await;
        assert!(std::fs::read(dir.join("1/stats")).unwrap() == batch(1, 5000).text);
    });
}

#[test]
fn a_lasting_connection_follows_the_name_of_the_server_while_the_old_server_lives() {
    apart(
        "inside_a_name_service",
        "ip link set lo up; mount -t tmpfs none /mnt; touch /mnt/hosts; mount --bind /mnt/hosts /etc/hosts",
    );
}

#[test]
#[ignore = "runs in namespaces of its own, see above"]
fn inside_a_name_service() {
    let points_to = |address: &str| std::fs::write("/etc/hosts", format!("{address} graphite.test\n")).unwrap();
    for acknowledge in [Acknowledge::Kernel, Acknowledge::Close] {
        run(async {
            let old = Recorder::start();
            let new = Recorder::start_at(([127, 0, 0, 2], old.port()).into());
            points_to("127.0.0.1");
            let mut options = options(old.port());
            options.servers[0].host = "graphite.test".to_owned();
            options.acknowledge = acknowledge;
            options.connection_lifetime = Duration::from_secs(1);
            let mut rig = Rig::start(&options);
            rig.submit(1, 100);
            rig.until_delivered(1).await;
            points_to("127.0.0.2");
            let mut epoch = 2;
            while new.distinct() == 0 {
                rig.feed(epoch..=epoch, 100).await;
                epoch += 1;
                rig.run_for(Duration::from_millis(50)).await;
            }
            rig.until_delivered(epoch as usize - 1).await;
            let (mut all, counters) = (old.record(), rig.counters());
            all.lines.extend(new.record().lines);
            assert_complete(&all, batches(1..=epoch - 1, 100));
            assert_eq!((counters.reconnects, counters.resent_lines), (0, 0), "{acknowledge:?}");
        });
    }
}

#[test]
fn the_program_follows_the_name_of_the_server_while_the_old_server_lives() {
    apart(
        "inside_a_name_service_with_the_program",
        "ip link set lo up; mount -t tmpfs none /mnt; touch /mnt/hosts; mount --bind /mnt/hosts /etc/hosts",
    );
}

#[test]
#[ignore = "runs in namespaces of its own, see above"]
fn inside_a_name_service_with_the_program() {
    let points_to = |address: &str| std::fs::write("/etc/hosts", format!("{address} graphite.test\n")).unwrap();
    let old = Recorder::start();
    let new = Recorder::start_at(([127, 0, 0, 2], old.port()).into());
    points_to("127.0.0.1");
    let setup = Incoming::new(old.port(), "workers = 1");
    let graphite = "server = graphite.test\nacknowledge = kernel\nconnection-lifetime = 1";
    let text = std::fs::read_to_string(setup.config()).unwrap().replace("server = 127.0.0.1", graphite);
    std::fs::write(setup.config(), text).unwrap();
    let _daemon = setup.daemon();
    setup.publish(0..1);
    setup.wait_until_empty();
    assert!(old.distinct() > 0 && new.distinct() == 0);
    points_to("127.0.0.2");
    let mut next = 1..2;
    wait_until(SOON, "the new server gets what is published", || {
        setup.publish(next.clone());
        next = next.end..next.end + 1;
        setup.wait_until_empty();
        new.distinct() > 0
    });
}

#[test]
fn a_pulled_cable_is_noticed_and_costs_nothing() {
    apart("inside_a_network", "ip link set lo up");
}

#[test]
#[ignore = "runs in namespaces of its own, see above"]
fn inside_a_network() {
    let cable = |state| {
        let mut command = std::process::Command::new(harness::debian("ip"));
        command.args(["link", "set", "lo", state]);
        let (status, output) = harness::run(command, SOON);
        assert!(status.success(), "{output}");
    };
    run(async {
        let recorder = Recorder::start();
        let mut rig = Rig::start(&options(recorder.port()));
        rig.submit(1, 1000);
        rig.until_delivered(1).await;
        cable("down");
        rig.submit(2, 100_000);
        rig.until("it is noticed", |rig| rig.counters().stalls > 0 && rig.counters().retries > 0).await;
        assert!(!rig.dispatcher.has_room());
        cable("up");
        rig.feed(3..=3, 1000).await;
        rig.until_delivered(3).await;
        assert_complete(&recorder.record(), [batch(1, 1000), batch(2, 100_000), batch(3, 1000)]);
    });
}
