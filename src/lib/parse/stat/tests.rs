use super::*;
use crate::haproxy::per_kind::PerKind;

/// Reads a snapshot of this many servers, and takes the columns away as aggregation does.
fn snapshot(stats: &mut Stats, first: usize, servers: usize) {
    stats.clear();
    let mut text = String::from("# pxname,svname,type,scur,\n");
    for server in first..first + servers {
        text.push_str(&format!("be,server-{server},2,1,\n"));
    }
    stats.read(text.as_bytes(), |line, reason| panic!("{line}: {reason}")).unwrap();
    for table in &mut stats.collected.tables {
        table.finish();
        drop(std::mem::take(&mut table.keys));
    }
}

#[test]
fn names_are_kept_while_they_live_and_forgotten_when_most_are_gone() {
    let process = crate::testing::config().process;
    let mut stats = Stats::new(Arc::new(PerKind::new(|kind| KindPlan::new(kind, &process))), false);
    for _ in 0..3 {
        snapshot(&mut stats, 0, 10_000);
    }
    assert_eq!((stats.generation(), stats.collected.servers.len()), (0, 10_000));
    snapshot(&mut stats, 20_000, 10);
    snapshot(&mut stats, 20_000, 10);
    assert_eq!((stats.generation(), stats.collected.servers.len()), (1, 10));
}
