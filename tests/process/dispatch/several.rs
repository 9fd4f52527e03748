//! Several servers: who gets what, and that nothing is lost when some of them are away.

use super::rig::{DELAY, Log, Rig, assert_complete, batch, endpoint, options, run};
use crate::harness::graphite::{Behaviour, Recorder};
use crate::harness::{SOON, debian, run as run_program};
use haproxystats::config::{self, Mode};
use haproxystats::dispatch::{Batch, Dispatcher};
use haproxystats::looked;
use haproxystats::snapshot::Epoch;
use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

fn fleet(mode: Mode, recorders: &[Recorder]) -> config::Graphite {
    let mut options = options(0);
    options.mode = mode;
    let names = ["a", "b", "c", "d", "e"];
    options.servers =
        recorders.iter().zip(names).map(|(recorder, name)| endpoint(recorder.port(), Some(name))).collect();
    options
}

fn recorders<const N: usize>() -> [Recorder; N] {
    std::array::from_fn(|_| Recorder::start())
}

fn lines(recorder: &Recorder) -> BTreeSet<String> {
    let record = recorder.record();
    assert!(record.malformed.is_empty(), "{:?}", record.malformed);
    record.lines.into_keys().collect()
}

fn expected(epochs: std::ops::RangeInclusive<u64>, count: usize) -> BTreeSet<String> {
    let text = |epoch| String::from_utf8(batch(epoch, count).text.clone()).unwrap();
    epochs.flat_map(|epoch| text(epoch).lines().map(str::to_owned).collect::<Vec<_>>()).collect()
}

/// What `carbon-c-relay -t` says where each of these metrics goes: its port.
fn choices_of_a_real_relay(servers: &[config::Endpoint], metrics: &[String]) -> BTreeMap<String, u16> {
    let directory = tempfile::tempdir().unwrap();
    let mut rules = "cluster all carbon_ch replication 1\n".to_owned();
    for config::Endpoint { host, port, instance } in servers {
        let instance = instance.as_ref().map(|name| format!("={name}")).unwrap_or_default();
        rules.push_str(&format!("    {host}:{port}{instance}\n"));
    }
    rules.push_str("    ;\nmatch * send to all stop ;\n");
    let file = crate::harness::write(directory.path(), "relay.conf", rules);
    let input = crate::harness::write(directory.path(), "metrics", metrics.join("\n") + "\n");
    let mut command = Command::new("sh");
    command.args(["-c", "exec \"$0\" -t -f \"$1\" <\"$2\""]).arg(debian("carbon-c-relay")).arg(file).arg(input);
    let (status, output) = run_program(command, SOON);
    assert!(status.success(), "{output}");
    let mut choices = BTreeMap::new();
    let mut metric = None;
    for line in output.lines().map(str::trim) {
        if let Some(name) = line.strip_prefix("* -> ") {
            metric = Some(name.to_owned());
        } else if let Some((_, port)) = line.rsplit_once(':').filter(|_| metric.is_some())
            && let Ok(port) = port.parse()
        {
            choices.extend(metric.take().map(|name| (name, port)));
        }
    }
    choices
}

#[test]
fn the_hash_chooses_as_a_real_relay_does() {
    let recorders: [Recorder; 5] = recorders();
    let all = fleet(Mode::Hash, &recorders).servers;
    let without_instance = |index: usize, host: &str| {
        let mut server = all[index].clone();
        (server.host, server.instance) = (host.to_owned(), None);
        server
    };
    let mixed = vec![without_instance(0, "127.0.0.1"), without_instance(1, "localhost"), all[2].clone()];
    let metrics: Vec<String> = (0..4000)
        .map(|n| match n % 3 {
            0 => format!("loadbalancers.lb-{n:03}.haproxy.frontend.www.scur"),
            1 => format!("loadbalancers.lb-01.haproxy.backend.b{n}.server.s{}.bin", n * 7),
            _ => format!("haproxy.backend.rtime;host=lb-{n};backend=www"),
        })
        .collect();
    run(async {
        for servers in [all[..2].to_vec(), mixed, all.clone(), all.iter().rev().cloned().collect()] {
            let mut options = fleet(Mode::Hash, &recorders);
            options.servers = servers.clone();
            let before: Vec<_> = recorders.iter().map(lines).collect();
            let epoch = 1000 + servers.len() as u64 * 10 + u64::from(servers[0].instance.is_some());
            let text: String =
                metrics.iter().map(|metric| format!("{metric} 1 {epoch}{}\n", before[0].len())).collect();
            let mut rig = Rig::all(&options);
            rig.dispatcher.submit(Arc::new(Batch {
                epoch: Epoch(epoch),
                text: text.into(),
                lines: metrics.len(),
                ..Batch::default()
            }));
            rig.until("all is delivered", |rig| rig.complete().len() == 1).await;
            let choices = choices_of_a_real_relay(&servers, &metrics);
            assert_eq!(choices.len(), metrics.len());
            let mut used = BTreeSet::new();
            for (recorder, before) in recorders.iter().zip(before) {
                for line in lines(recorder).difference(&before) {
                    let metric = line.split(' ').next().unwrap();
                    assert_eq!(choices[metric], recorder.port(), "{metric} among {servers:?}");
                    used.insert(recorder.port());
                }
            }
            assert_eq!(used.len(), servers.len(), "every server got something");
        }
    });
}

#[test]
fn all_get_everything_and_one_that_is_away_does_not_hold_up_the_other() {
    run(async {
        let mut recorders: [Recorder; 2] = recorders();
        let mut rig = Rig::all(&fleet(Mode::Duplicate, &recorders));
        rig.feed(1..=3, 1000).await;
        rig.until("all is delivered", |rig| rig.complete().len() == 3).await;
        recorders[1].vanish();
        rig.until("it is noticed", |rig| rig.counters().retries > 0).await;
        (4..=10).for_each(|epoch| rig.submit(epoch, 1000));
        rig.until("the other has it all the same", |_| lines(&recorders[0]).len() == 10_000).await;
        assert_eq!(rig.complete().len(), 3, "what one of two has is not acknowledged");
        recorders[1].come_back();
        rig.until("all is delivered", |rig| rig.complete().len() == 10).await;
        for recorder in &recorders {
            assert_complete(&recorder.record(), (1..=10).map(|epoch| batch(epoch, 1000)));
        }
    });
}

#[test]
fn in_the_log_each_has_its_own_name() {
    let log = Log::start();
    run(async {
        let mut recorders: [Recorder; 2] = recorders();
        let mut rig = Rig::all(&fleet(Mode::Duplicate, &recorders));
        rig.feed(1..=3, 10).await;
        rig.until("all is delivered", |rig| rig.complete().len() == 3).await;
        for (index, name) in [(1, "graphite-2"), (0, "graphite")] {
            let server = format!("dispatcher=\"{name}\" server=\"127.0.0.1:{}\"", recorders[index].port());
            assert!(log.has(&format!("INFO connected {server}\n")));
            recorders[index].vanish();
            let lost = format!("WARN connection lost {server} error=");
            rig.submit(4, 10);
            rig.until("the loss is told", |_| log.has(&lost)).await;
        }
    });
}

#[test]
fn the_next_server_takes_over_and_the_first_gets_its_place_back() {
    run(async {
        let mut recorders: [Recorder; 3] = recorders();
        let mut rig = Rig::start(&fleet(Mode::Failover, &recorders));
        rig.feed(1..=3, 1000).await;
        rig.until_delivered(3).await;
        assert_eq!(lines(&recorders[0]), expected(1..=3, 1000));
        recorders[0].vanish();
        rig.feed(4..=6, 1000).await;
        rig.until_delivered(6).await;
        assert!(lines(&recorders[1]).is_superset(&expected(5..=6, 1000)), "the second took over");
        recorders[1].vanish();
        rig.feed(7..=9, 1000).await;
        rig.until_delivered(9).await;
        recorders[0].come_back();
        rig.run_for(3 * DELAY).await;
        rig.feed(10..=12, 1000).await;
        rig.until_delivered(12).await;
        assert!(lines(&recorders[0]).is_superset(&expected(10..=12, 1000)), "the first is back");
        assert_eq!(expected(1..=12, 1000), recorders.iter().flat_map(lines).collect());
    });
}

#[test]
fn a_server_that_takes_nothing_or_breaks_everything_is_left() {
    for behaviour in [Behaviour::Stall, Behaviour::CloseAtOnce, Behaviour::ResetAfter(100)] {
        run(async {
            let recorders: [Recorder; 2] = recorders();
            let mut rig = Rig::start(&fleet(Mode::Failover, &recorders));
            rig.feed(1..=2, 1000).await;
            rig.until_delivered(2).await;
            recorders[0].behave(behaviour);
            rig.submit(3, 100_000);
            rig.until_delivered(3).await;
            assert!(lines(&recorders[1]).is_superset(&expected(3..=3, 100_000)), "{behaviour:?}");
            rig.feed(4..=8, 1000).await;
            rig.until_delivered(8).await;
            let union: BTreeSet<_> = recorders.iter().flat_map(lines).collect();
            assert!(union.is_superset(&expected(1..=8, 1000)));
        });
    }
}

/// Random troubles of three servers; the invariant of each mode.
#[test]
fn whatever_happens_to_whom_nothing_is_lost() {
    for (mode, seed) in [(Mode::Failover, 1), (Mode::Duplicate, 2), (Mode::Hash, 3)] {
        run(async {
            let mut rng = fastrand::Rng::with_seed(seed);
            let mut recorders: [Recorder; 3] = recorders();
            let mut rig = Rig::all(&fleet(mode, &recorders));
            let mut epoch = 0;
            for _ in 0..40 {
                let one = &mut recorders[rng.usize(..3)];
                match rng.u8(..7) {
                    0 => one.vanish(),
                    1 => one.come_back(),
                    2 => one.behave(Behaviour::Stall),
                    3 => one.behave(Behaviour::CloseAfter(rng.usize(1..50_000))),
                    4 => one.behave(Behaviour::ResetAfter(rng.usize(1..50_000))),
                    _ => one.behave(Behaviour::Read),
                }
                rig.run_for(Duration::from_millis(rng.u64(1..80))).await;
                for _ in 0..rng.usize(..3) {
                    epoch += 1;
                    rig.submit(epoch, 300);
                }
            }
            for recorder in &mut recorders {
                recorder.behave(Behaviour::Read);
                recorder.come_back();
            }
            rig.until("all is delivered", |rig| rig.complete().len() == epoch as usize).await;
            let told = rig.delivered.len();
            assert_eq!(told, epoch as usize * rig.dispatcher.all.len(), "told once each");
            let all = expected(1..=epoch, 300);
            assert_eq!(recorders.iter().flat_map(lines).collect::<BTreeSet<_>>(), all, "{mode:?}");
            let sum: usize = recorders.iter().map(|recorder| lines(recorder).len()).sum();
            match mode {
                Mode::Duplicate => assert!(recorders.iter().all(|recorder| lines(recorder) == all)),
                Mode::Hash => assert_eq!(sum, all.len(), "each has its part and no other"),
                Mode::Failover => {}
            }
        });
    }
}

/// As while a snapshot is rendered.
fn busy(time: Duration) {
    looked::leave();
    std::thread::sleep(time);
    looked::back();
}

#[test]
fn a_server_is_not_given_up_because_the_worker_was_busy() {
    let mut recorders: [Recorder; 2] = recorders();
    let options = fleet(Mode::Failover, &recorders);
    let log = Log::start();
    run(async {
        let mut rig = Rig::start(&options);
        rig.feed(1..=2, 50).await;
        rig.until_delivered(2).await;
        // It restarts, which takes no time, and before the next connection is made a snapshot has to be rendered.
        recorders[0].vanish();
        recorders[0].come_back();
        rig.until("the loss is seen", |_| log.lines().iter().any(|line| line.contains("connection lost"))).await;
        busy(options.connect_timeout + options.write_timeout + DELAY);
        rig.feed(3..=4, 50).await;
        rig.until_delivered(4).await;
    });
    let told: Vec<String> =
        log.lines().into_iter().filter(|line| line.contains("now sending metrics to this server")).collect();
    assert!(told.is_empty(), "{told:?}");
    assert_eq!(lines(&recorders[1]), BTreeSet::new());
}
