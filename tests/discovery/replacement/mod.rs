//! Servers are replaced under traffic: blue and green, dead ones, subsets. Every request that fails is counted, and how
//! many servers serve is looked at every 100 ms.

mod farm;
mod hsdo;
mod source;
mod watch;

use crate::harness::discovery::Traffic;
use crate::harness::newer::{Haproxy, newer_haproxy, own_haproxy};
use crate::harness::reload::reload_haproxy;
use crate::harness::{Daemon, discovery, free_port, wait_until, with_config, write};
use farm::{Farm, address};
use source::{Kind, Source};
use std::collections::BTreeSet;
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tempfile::TempDir;
use watch::{Watch, serving};

/// For all servers to be as they should be; a busy machine included.
const LONG: Duration = Duration::from_secs(90);

/// How servers come into the backend.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    Slots,
    Dynamic,
}

/// Debian's, and the newest there is.
fn haproxies() -> Vec<Haproxy> {
    std::iter::once(own_haproxy()).chain(newer_haproxy("3.4")).collect()
}

/// What happens to how many servers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Change {
    servers: usize,
    /// So many of them are replaced.
    replaced: usize,
    /// These are dead already.
    dead: bool,
    /// More slots than servers.
    spare: usize,
}

/// A source, a HAProxy, the program with its defaults, and servers.
struct Stage {
    directory: TempDir,
    farm: Arc<Farm>,
    source: Source,
    frontend: u16,
    haproxy: Daemon,
    discovery: Option<Daemon>,
}

impl Stage {
    /// `more`: further options of the server's section.
    fn new(haproxy: &Haproxy, mode: Mode, kind: Kind, slots: usize, more: &str) -> Option<Self> {
        let source = Source::start(kind)?;
        let (directory, farm, frontend) = (tempfile::tempdir().unwrap(), Arc::new(Farm::start()), free_port());
        let path = directory.path().display();
        // Some hundred checks a second, of however many servers.
        let checks = format!("check inter {} fall 2 rise 2", slots.max(300));
        let servers = match mode {
            Mode::Slots => format!("server-template web 1-{slots} 127.0.0.2:80 {checks} disabled"),
            Mode::Dynamic => String::new(),
        };
        let text = format!(
            "global\n\tstats socket {path}/admin.sock mode 600 level admin expose-fd listeners\n\
             defaults\n\tmode http\n\ttimeout connect 5s\n\ttimeout client 15s\n\ttimeout server 15s\n\ttimeout check 2s\n\
             \toption httpchk GET /health\nfrontend www\n\tbind 127.0.0.1:{frontend}\n\tdefault_backend web\n\
             backend web\n\tbalance roundrobin\n\t{servers}\n"
        );
        let file = write(directory.path(), "haproxy.cfg", text);
        let mut command = haproxy.command();
        command.args(["-W", "-db", "-f"]).arg(file);
        let haproxy = Daemon::spawn(command);
        let dynamic = format!("mode = dynamic\nserver-options = {checks}\n");
        let text = format!(
            "[discovery]\nstate-dir = {path}/state\nexporter-port = 0\nhaproxy-backend-servers-list-size = {slots}\n\
             [discovery-server]\n{}{more}[discovery-client]\nhaproxy-socket-path = {path}/admin.sock\n\
             haproxy-backend-server-port = {}\n[discovery-backend:web]\nbase-name = web\n{}",
            source.options(directory.path()),
            farm.port,
            if mode == Mode::Dynamic { dynamic.as_str() } else { "" },
        );
        write(directory.path(), "discovery.conf", text);
        let stage = Self { directory, farm, source, frontend, haproxy, discovery: None };
        wait_until(LONG, "HAProxy answers", || serving(&stage.socket()).is_some());
        Some(stage)
    }

    fn socket(&self) -> PathBuf {
        self.directory.path().join("admin.sock")
    }

    fn list(&self, numbers: &[usize]) {
        self.source.list(self.directory.path(), numbers);
    }

    fn start(&mut self) {
        let mut command = with_config(discovery(), &self.directory.path().join("discovery.conf"));
        command.args(["--server", "--client"]).envs(self.source.environment());
        self.discovery = Some(Daemon::spawn(command));
    }

    fn output(&self) -> String {
        self.discovery.as_ref().map(Daemon::output).unwrap_or_default()
    }

    /// Waits until exactly these serve, or nobody who is dead is given a request.
    #[track_caller]
    fn wait_for(&self, numbers: &[usize]) {
        let wanted: BTreeSet<IpAddr> = numbers.iter().map(|number| address(*number).into()).collect();
        let started = Instant::now();
        let limit = if numbers.len() > 1000 { LONG * 6 } else { LONG };
        loop {
            let seen: BTreeSet<IpAddr> = serving(&self.socket()).into_iter().flatten().collect();
            if seen == wanted {
                return;
            }
            let missing: Vec<_> = wanted.difference(&seen).take(5).collect();
            let extra: Vec<_> = seen.difference(&wanted).take(5).collect();
            assert!(
                started.elapsed() < limit,
                "{} of {} serve; without {missing:?}, with {extra:?}\n{}",
                seen.len(),
                wanted.len(),
                self.output()
            );
            std::thread::sleep(Duration::from_millis(if numbers.len() > 1000 { 500 } else { 50 }));
        }
    }
}

impl std::fmt::Display for Change {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { servers, replaced, dead, spare } = self;
        write!(f, "{replaced} of {servers}")?;
        if *dead {
            f.write_str(", dead")?;
        }
        if *spare > 0 { write!(f, ", {spare} spare slots") } else { Ok(()) }
    }
}

/// What came of a change.
#[derive(Debug, Clone, Copy)]
struct Figures {
    took: Duration,
    least: usize,
    failures: usize,
    requests: u64,
}

/// Changes servers under traffic; `None` where the source is not installed.
#[track_caller]
fn replace(haproxy: &Haproxy, mode: Mode, kind: Kind, change: Change) -> Option<Figures> {
    let Change { servers, replaced, dead, spare } = change;
    let mut stage = Stage::new(haproxy, mode, kind, servers + spare, "")?;
    let old: Vec<usize> = (1..=servers).collect();
    let new: Vec<usize> = (replaced + 1..=replaced + servers).collect();
    stage.list(&old);
    stage.start();
    stage.wait_for(&old);
    // Where nobody is left, requests fail whatever is done.
    let traffic = (!dead || replaced < servers).then(|| Traffic::start(stage.frontend));
    if let Some(traffic) = &traffic {
        traffic.more();
    }
    let failed = |traffic: &Option<Traffic>| traffic.as_ref().map_or(0, |traffic| traffic.failures().len());
    let mut before = 0;
    if dead {
        stage.farm.kill(1..=replaced);
        stage.wait_for(&old[replaced..]);
        // What fails until the checks have seen it is HAProxy's to mend.
        before = failed(&traffic);
    }
    let watch = Watch::start(stage.socket(), Arc::clone(&stage.farm));
    stage.list(&new);
    // Some sources take a while to be told.
    let listed = Instant::now();
    stage.wait_for(&new);
    let took = listed.elapsed();
    if let Some(traffic) = &traffic {
        traffic.more();
    }
    let (least, at) = watch.least();
    let requests = traffic.as_ref().map_or(0, Traffic::good);
    let failures = failed(&traffic) - before;
    println!(
        "| {}.{} | {mode:?} | {kind:?} | {change} | {:.1} s | {least} | {failures} of {requests} |",
        haproxy.version.0,
        haproxy.version.1,
        took.as_secs_f64()
    );
    let wanted = match change {
        Change { dead: true, .. } => servers - replaced,
        // Nobody leaves before its successor is up.
        Change { spare, .. } if spare >= replaced => servers,
        _ => servers.div_ceil(2),
    };
    assert!(least >= wanted, "{least} served at {at:?}, {wanted} should have: {}\n{}", watch.course(), stage.output());
    if let Some(traffic) = &traffic {
        let failures = traffic.failures();
        assert_eq!(failures.len(), before, "{:?} {}\n{}", failures.last(), watch.course(), stage.output());
    }
    if dead {
        assert!(took < Duration::from_secs(30), "{took:?}: {}\n{}", watch.course(), stage.output());
    }
    Some(Figures { took, least, failures, requests })
}

/// With each HAProxy in both modes.
#[track_caller]
fn replace_everywhere(change: Change) {
    for haproxy in haproxies() {
        for mode in [Mode::Slots, Mode::Dynamic] {
            let _ = replace(&haproxy, mode, Kind::File, change);
        }
    }
}

#[test]
fn all_of_a_full_list_are_replaced() {
    replace_everywhere(Change { servers: 10, replaced: 10, dead: false, spare: 0 });
}

#[test]
fn half_of_a_full_list_is_replaced() {
    replace_everywhere(Change { servers: 10, replaced: 5, dead: false, spare: 0 });
}

#[test]
fn all_of_a_full_list_are_dead_and_replaced() {
    replace_everywhere(Change { servers: 10, replaced: 10, dead: true, spare: 0 });
}

#[test]
fn half_of_a_full_list_is_dead_and_replaced() {
    replace_everywhere(Change { servers: 10, replaced: 5, dead: true, spare: 0 });
}

#[test]
fn all_are_replaced_where_slots_are_spare() {
    replace_everywhere(Change { servers: 10, replaced: 10, dead: false, spare: 10 });
}

/// Newcomers that the source calls healthy, and which do not serve for a while.
#[test]
fn newcomers_that_do_not_serve_yet_take_no_more_than_half() {
    for (haproxy, mode) in haproxies().iter().zip([Mode::Slots, Mode::Dynamic]) {
        let mut stage = Stage::new(haproxy, mode, Kind::File, 10, "").unwrap();
        let (old, new): (Vec<usize>, Vec<usize>) = ((1..=10).collect(), (11..=20).collect());
        stage.list(&old);
        stage.start();
        stage.wait_for(&old);
        let traffic = Traffic::start(stage.frontend);
        let watch = Watch::start(stage.socket(), Arc::clone(&stage.farm));
        stage.farm.kill(11..=20);
        stage.list(&new);
        wait_until(LONG, "slots are handed over", || serving(&stage.socket()).is_some_and(|up| up.len() == 5));
        traffic.more();
        std::thread::sleep(Duration::from_secs(3));
        stage.farm.revive(11..=20);
        stage.wait_for(&new);
        traffic.more();
        assert_eq!(watch.least().0, 5, "{}\n{}", watch.course(), stage.output());
        traffic.assert_clean();
        println!("| {}.{} | {mode:?} | bad at first | {} |", haproxy.version.0, haproxy.version.1, traffic.good());
    }
}

#[test]
fn all_of_a_service_of_consul_are_replaced() {
    let change = Change { servers: 10, replaced: 10, dead: false, spare: 0 };
    for (haproxy, mode) in haproxies().iter().zip([Mode::Slots, Mode::Dynamic]) {
        let _ = replace(haproxy, mode, Kind::Consul, change);
    }
}

#[test]
fn all_addresses_of_a_name_are_replaced() {
    let change = Change { servers: 10, replaced: 10, dead: false, spare: 0 };
    for (haproxy, mode) in haproxies().iter().zip([Mode::Dynamic, Mode::Slots]) {
        let _ = replace(haproxy, mode, Kind::Dns, change);
    }
}

#[test]
fn all_instances_of_a_group_are_replaced() {
    let change = Change { servers: 10, replaced: 10, dead: false, spare: 0 };
    for (haproxy, mode) in haproxies().iter().rev().zip([Mode::Slots, Mode::Dynamic]) {
        let _ = replace(haproxy, mode, Kind::Aws, change);
    }
}

/// All of a full list, half of it, the same with dead ones, and all with as many spare slots.
fn changes(servers: usize) -> [Change; 5] {
    let change = |replaced, dead, spare| Change { servers, replaced, dead, spare };
    let half = servers / 2;
    [
        change(servers, false, 0),
        change(half, false, 0),
        change(servers, true, 0),
        change(half, true, 0),
        change(servers, false, servers),
    ]
}

/// So many servers are replaced in these ways; all failures at the end, with the figures by change and mode.
#[track_caller]
fn replace_in_ways(ways: impl IntoIterator<Item = (usize, Mode, Kind, Change)>) {
    let haproxies = haproxies();
    let mut figures: Vec<(Change, Mode, Figures)> = Vec::new();
    let mut failed = Vec::new();
    for (haproxy, mode, kind, change) in ways {
        // The newest, or Debian's where there is no other.
        let haproxy = haproxies.get(haproxy).unwrap_or(&haproxies[0]);
        match std::panic::catch_unwind(|| replace(haproxy, mode, kind, change)) {
            Ok(Some(found)) => figures.push((change, mode, found)),
            Ok(None) => {}
            Err(_) => failed.push(format!("{:?} {mode:?} {kind:?} {change}", haproxy.version)),
        }
    }
    let mut kinds: Vec<(Change, Mode)> = Vec::new();
    for (change, mode, _) in &figures {
        if !kinds.contains(&(*change, *mode)) {
            kinds.push((*change, *mode));
        }
    }
    for (change, mode) in kinds {
        let of: Vec<Figures> =
            figures.iter().filter(|(c, m, _)| (*c, *m) == (change, mode)).map(|(.., found)| *found).collect();
        let times: Vec<f64> = of.iter().map(|one| one.took.as_secs_f64()).collect();
        println!(
            "{change}, {mode:?}: {} runs, {:.1} to {:.1} s, at least {} served, {} of {} requests failed",
            of.len(),
            times.iter().copied().fold(f64::INFINITY, f64::min),
            times.iter().copied().fold(0.0, f64::max),
            of.iter().map(|one| one.least).min().unwrap_or(0),
            of.iter().map(|one| one.failures).sum::<usize>(),
            of.iter().map(|one| one.requests).sum::<u64>(),
        );
    }
    assert!(failed.is_empty(), "{failed:#?}");
}

/// Each change, each source, each mode and each HAProxy, and every HAProxy in either mode; where the environment has
/// `HAPROXYSTATS_REPLACEMENTS`, every way in which servers can be replaced: `all`, or those of the sizes (`10`, `100`)
/// and sources (`file`, `consul`, `dns`, `aws`) that it names.
#[test]
fn a_hundred_servers_are_replaced() {
    let [all, half, dead, half_dead, spare] = changes(100);
    let Ok(wanted) = std::env::var("HAPROXYSTATS_REPLACEMENTS") else {
        return replace_in_ways([
            (0, Mode::Slots, Kind::File, all),
            (1, Mode::Dynamic, Kind::Consul, all),
            (1, Mode::Slots, Kind::Dns, half),
            (0, Mode::Dynamic, Kind::Aws, half),
            (0, Mode::Slots, Kind::Consul, dead),
            (1, Mode::Dynamic, Kind::File, dead),
            (1, Mode::Slots, Kind::Aws, half_dead),
            (0, Mode::Dynamic, Kind::Dns, half_dead),
            (1, Mode::Slots, Kind::File, spare),
        ]);
    };
    // Sizes and sources, of which those that are named count, or else all.
    let words: Vec<String> = wanted.split_whitespace().map(str::to_lowercase).collect();
    let chosen =
        |word: String, of: &[&str]| words.contains(&word) || !words.iter().any(|wanted| of.contains(&wanted.as_str()));
    let mut ways = Vec::new();
    for servers in [10, 100].into_iter().filter(|servers| chosen(servers.to_string(), &["10", "100"])) {
        for change in changes(servers) {
            for kind in [Kind::File, Kind::Consul, Kind::Dns, Kind::Aws] {
                if !chosen(format!("{kind:?}").to_lowercase(), &["file", "consul", "dns", "aws"]) {
                    continue;
                }
                for mode in [Mode::Slots, Mode::Dynamic] {
                    ways.extend([0, 1].map(|haproxy| (haproxy, mode, kind, change)));
                }
            }
        }
    }
    replace_in_ways(ways);
}

#[test]
#[ignore = "minutes, and all processors"]
fn four_thousand_servers_are_replaced() {
    let change = Change { servers: 4000, replaced: 4000, dead: false, spare: 0 };
    for (haproxy, mode) in haproxies().iter().rev().zip([Mode::Slots, Mode::Dynamic]) {
        let _ = replace(haproxy, mode, Kind::File, change);
    }
}

#[test]
fn subsets_of_a_name_make_no_server_flap() {
    let haproxy = &haproxies()[0];
    let mut stage = Stage::new(haproxy, Mode::Slots, Kind::Dns, 20, "").unwrap();
    let all: Vec<usize> = (1..=12).collect();
    let Source::Dns(names) = &stage.source else { unreachable!() };
    stage.list(&all);
    names.set_part(8);
    stage.start();
    stage.wait_for(&all);
    let traffic = Traffic::start(stage.frontend);
    let watch = Watch::start(stage.socket(), Arc::clone(&stage.farm));
    // Two times the time after which a server that is missing leaves.
    std::thread::sleep(Duration::from_secs(40));
    assert_eq!(watch.least().0, 12, "{}\n{}", watch.course(), stage.output());
    traffic.assert_clean();
    let output = stage.output();
    assert!(!output.contains("draining") && !output.contains("returned"), "{output}");
    // Who is really gone leaves.
    let Source::Dns(names) = &stage.source else { unreachable!() };
    names.set_part(u64::MAX);
    stage.list(&all[1..]);
    stage.wait_for(&all[1..]);
    traffic.more();
    traffic.assert_clean();
}

#[test]
fn what_an_operator_took_out_stays_out_over_a_reload() {
    for haproxy in haproxies() {
        for mode in [Mode::Slots, Mode::Dynamic] {
            let mut stage = Stage::new(&haproxy, mode, Kind::File, 4, "").unwrap();
            let all: Vec<usize> = (1..=4).collect();
            stage.list(&all);
            stage.start();
            stage.wait_for(&all);
            crate::harness::haproxy::ask(&stage.socket(), "set server web/web1 state maint").unwrap();
            stage.discovery.as_mut().unwrap().wait_for_output("set to maint by an operator or another program", LONG);
            // Whoever is sent there gets an error.
            stage.farm.kill([1]);
            let pid = || {
                crate::harness::haproxy::ask(&stage.socket(), "show info")
                    .and_then(|info| info.lines().find_map(|line| line.strip_prefix("Pid: ").map(str::to_owned)))
            };
            let watch = Watch::start(stage.socket(), Arc::clone(&stage.farm));
            for _ in 0..2 {
                let before = pid();
                let replaced = || pid().is_some_and(|now| Some(now) != before);
                reload_haproxy(&stage.haproxy, replaced);
                stage.wait_for(&all[1..]);
            }
            let traffic = Traffic::start(stage.frontend);
            traffic.more();
            traffic.assert_clean();
            drop(watch);
            let output = stage.output();
            let told = "it had been set to maint by an operator or another program before HAProxy was replaced";
            assert!(output.contains(told), "{output}");
            crate::harness::haproxy::ask(&stage.socket(), "set server web/web1 state ready").unwrap();
            stage.discovery.as_mut().unwrap().wait_for_output("no longer held", LONG);
        }
    }
}
