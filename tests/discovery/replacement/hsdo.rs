//! What HSDO does in the same places: the figures beside ours in docs/discovery.md.
//!
//! ```sh
//! HAPROXYSTATS_HSDO=/tmp/hsdo HAPROXYSTATS_PYTHON=/tmp/venv/bin/python3 \
//!     cargo test --test discovery replacement::hsdo -- --ignored --nocapture
//! ```
//!
//! See [`crate::hsdo`] for what these name; moto has to be there as well.

use super::source::Kind;
use super::{Change, LONG, Mode, Stage, Watch, own_haproxy, serving};
use crate::harness::discovery::Traffic;
use crate::harness::{Daemon, wait_until};
use crate::hsdo::record::{hsdo, installed};
use crate::moto::Moto;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Server and client of HSDO in place of this program.
struct Hsdo {
    _server: Daemon,
    _client: Daemon,
}

impl Hsdo {
    fn start(stage: &Stage, moto: &Moto, slots: usize) -> Self {
        let super::Source::Aws(_, group) = &stage.source else { unreachable!() };
        moto.python(&format!(
            "db.create_table(TableName='{group}', BillingMode='PAY_PER_REQUEST', KeySchema=[dict(AttributeName=\
             'BackendServerID', KeyType='HASH')], AttributeDefinitions=[dict(AttributeName='BackendServerID', \
             AttributeType='N')])"
        ));
        let list = format!(r#"{{"web": {{"baseName": "web", "serverPort": "{}"}}}}"#, stage.farm.port);
        let own = [
            ("SERVER_MODE", "aws".to_owned()),
            ("SERVER_ASG_NAMES", group.clone()),
            ("DYNAMODB_TABLE_NAME", group.clone()),
            ("HAPROXY_BACKEND_SERVERS_LIST_SIZE", slots.to_string()),
            ("CLIENT_HAPROXY_BACKEND_LIST", list),
            ("CLIENT_HAPROXY_SOCKET_PATH", stage.socket().display().to_string()),
            ("CLIENT_HAPROXY_BACKEND_SERVER_PORT", stage.farm.port.to_string()),
        ];
        let own = own.into_iter().map(|(name, value)| (name.to_owned(), value));
        let variables: Vec<(String, String)> = moto.environment().into_iter().chain(own).collect();
        crate::harness::write(stage.directory.path(), "clock", "0");
        let start = |mode| Daemon::spawn(hsdo(stage.directory.path(), &variables, mode));
        Self { _server: start("server"), _client: start("client") }
    }
}

/// As this program's servers are replaced, without a judgement.
fn replace(moto: &Moto, change: Change) {
    let Change { servers, replaced, dead, spare } = change;
    let stage = Stage::new(&own_haproxy(), Mode::Slots, Kind::Aws, servers + spare, "").unwrap();
    let old: Vec<usize> = (1..=servers).collect();
    let new: Vec<usize> = (replaced + 1..=replaced + servers).collect();
    stage.list(&old);
    let _hsdo = Hsdo::start(&stage, moto, servers + spare);
    stage.wait_for(&old);
    let traffic = (!dead || replaced < servers).then(|| Traffic::start(stage.frontend));
    traffic.iter().for_each(Traffic::more);
    let mut before = 0;
    if dead {
        stage.farm.kill(1..=replaced);
        stage.wait_for(&old[replaced..]);
        // What fails until the checks have seen it is HAProxy's to mend.
        before = traffic.as_ref().map_or(0, |traffic| traffic.failures().len());
    }
    let watch = Watch::start(stage.socket(), Arc::clone(&stage.farm));
    stage.list(&new);
    let listed = Instant::now();
    stage.wait_for(&new);
    let took = listed.elapsed().as_secs_f64();
    traffic.iter().for_each(Traffic::more);
    let failed = traffic.as_ref().map_or(0, |traffic| traffic.failures().len()) - before;
    let requests = traffic.as_ref().map_or(0, Traffic::good) + failed as u64;
    println!("| HSDO | {change} | {took:.1} s | {} | {failed} of {requests} |", watch.least().0);
}

#[test]
#[ignore = "needs HSDO, which is in no package registry"]
fn figures() {
    installed().expect("HAPROXYSTATS_HSDO names a checkout of HSDO");
    let (haproxy, moto) = (own_haproxy(), Moto::get().expect("moto"));
    for (replaced, dead, spare) in [(10, false, 0), (5, false, 0), (10, true, 0), (5, true, 0), (10, false, 10)] {
        replace(moto, Change { servers: 10, replaced, dead, spare });
    }
    // Newcomers that do not serve for some seconds.
    let stage = Stage::new(&haproxy, Mode::Slots, Kind::Aws, 10, "").unwrap();
    let (old, new): (Vec<usize>, Vec<usize>) = ((1..=10).collect(), (11..=20).collect());
    stage.list(&old);
    let _hsdo = Hsdo::start(&stage, moto, 10);
    stage.wait_for(&old);
    let traffic = Traffic::start(stage.frontend);
    let watch = Watch::start(stage.socket(), Arc::clone(&stage.farm));
    stage.farm.kill(11..=20);
    stage.list(&new);
    let started = Instant::now();
    wait_until(LONG, "nobody serves", || serving(&stage.socket()).is_some_and(|up| up.is_empty()));
    std::thread::sleep(Duration::from_secs(3));
    stage.farm.revive(11..=20);
    stage.wait_for(&new);
    traffic.more();
    let (least, failed) = (watch.least().0, traffic.failures().len());
    let took = started.elapsed().as_secs_f64();
    println!(
        "| HSDO | not serving at first | {took:.1} s | {least} | {failed} of {} |",
        traffic.good() + failed as u64
    );
}
