use super::super::state;
use super::*;
use crate::latency::key::Key;
use proptest::prelude::*;

fn process(pid: u32, started: u64) -> Process {
    Process { host: None, node: "lb".to_owned(), pid, started, socket: None }
}

/// The rows of a table: server, process, and requests that took 1 ms and 9 ms.
type Rows<'a> = &'a [(&'a str, u32, u32, u32)];

fn take(ledger: &mut Ledger, process: &Process, rows: Rows<'_>) {
    let mut table = ledger.table(process, Stage::Live).expect("a process that is not there twice");
    for (server, pid, fast, slow) in rows {
        let key = format!("b/{server}/response/5/{pid}/");
        let counters = [*fast, fast + slow, fast.wrapping_add(slow.wrapping_mul(9))];
        table.row(&table::Row { key: Key::parse(&key).unwrap(), of_timer: 3, counters: &counters });
    }
    table.end(true);
}

fn tick(ledger: &mut Ledger, epoch: u64, tables: &[(&Process, Rows<'_>)]) -> u64 {
    ledger.begin(Epoch(epoch));
    tables.iter().for_each(|(process, rows)| take(ledger, process, rows));
    ledger.end(0)
}

/// What the snapshot carries: server, requests in all, and since the snapshot before.
fn carried(ledger: &mut Ledger) -> Vec<(String, u64, u64)> {
    let text = ledger.carried(&None);
    let mut all = Vec::new();
    carried::read(&text, |object| {
        let increment = object.increments.get(1).copied().unwrap_or(0);
        all.push((object.object.split('/').nth(1).unwrap().to_owned(), object.counters[1], increment));
    })
    .unwrap();
    ledger.published();
    all
}

fn of(server: &str, total: u64, recent: u64) -> (String, u64, u64) {
    (server.to_owned(), total, recent)
}

#[test]
fn what_was_counted_before_is_not_counted_and_what_comes_is() {
    let mut ledger = Ledger::default();
    let old = process(1, 10);
    tick(&mut ledger, 100, &[(&old, &[("s1", 1, 70, 7)])]);
    assert_eq!(carried(&mut ledger), [of("s1", 0, 0)]);
    tick(&mut ledger, 110, &[(&old, &[("s1", 1, 71, 9), ("s2", 1, 1, 0)])]);
    assert_eq!(carried(&mut ledger), [of("s1", 3, 3), of("s2", 1, 1)]);
    tick(&mut ledger, 120, &[(&old, &[("s1", 1, 71, 9), ("s2", 1, 1, 0)])]);
    assert_eq!(carried(&mut ledger), [of("s1", 3, 0), of("s2", 1, 0)]);
}

#[test]
fn a_reload_without_peers_and_an_old_worker_that_is_asked() {
    let mut ledger = Ledger::default();
    let (old, new) = (process(1, 10), process(2, 115));
    tick(&mut ledger, 100, &[(&old, &[("s", 1, 5, 0)])]);
    tick(&mut ledger, 110, &[(&old, &[("s", 1, 8, 0)])]);
    carried(&mut ledger);
    // More than the old one has ever counted: they are told apart by their pids, not by their counts.
    tick(&mut ledger, 120, &[(&old, &[("s", 1, 9, 0)]), (&new, &[("s", 2, 50, 0)])]);
    assert_eq!(carried(&mut ledger), [of("s", 54, 51)]);
    tick(&mut ledger, 130, &[(&new, &[("s", 2, 51, 0)])]);
    assert_eq!(carried(&mut ledger), [of("s", 55, 1)]);
}

#[test]
fn with_peers_the_last_rows_of_an_old_worker_are_found_in_the_table_of_the_new_one_once() {
    let mut ledger = Ledger::default();
    let (old, new) = (process(1, 10), process(2, 115));
    tick(&mut ledger, 100, &[(&old, &[("s", 1, 5, 0)])]);
    tick(&mut ledger, 110, &[(&old, &[("s", 1, 8, 0)])]);
    carried(&mut ledger);
    let rows: Rows<'_> = &[("s", 1, 11, 0), ("s", 2, 4, 0), ("s", 77, 1000, 0)];
    for (epoch, expected) in [(120, of("s", 10, 7)), (130, of("s", 10, 0))] {
        tick(&mut ledger, epoch, &[(&new, rows)]);
        assert_eq!(carried(&mut ledger), [expected]);
    }
    // While the old one answers itself, its copy says nothing.
    let mut ledger = Ledger::default();
    tick(&mut ledger, 100, &[(&old, &[("s", 1, 5, 0)])]);
    tick(&mut ledger, 120, &[(&new, rows), (&old, &[("s", 1, 12, 0)])]);
    assert_eq!(carried(&mut ledger), [of("s", 11, 11)]);
}

#[test]
fn increments_wait_for_a_snapshot_that_is_published() {
    let mut ledger = Ledger::default();
    let old = process(1, 10);
    tick(&mut ledger, 100, &[(&old, &[])]);
    carried(&mut ledger);
    tick(&mut ledger, 110, &[(&old, &[("s", 1, 3, 0)])]);
    tick(&mut ledger, 120, &[(&old, &[("s", 1, 5, 0)])]);
    assert_eq!(carried(&mut ledger), [of("s", 5, 5)]);
}

#[test]
fn rows_that_haproxy_drops_begin_again() {
    let mut ledger = Ledger::default();
    let old = process(1, 10);
    tick(&mut ledger, 100, &[(&old, &[("s", 1, 50, 0)])]);
    carried(&mut ledger);
    // Dropped and there again in between.
    assert_eq!(tick(&mut ledger, 110, &[(&old, &[("s", 1, 2, 0)])]), 1);
    assert_eq!(carried(&mut ledger), [of("s", 2, 2)]);
    // Seen to be gone, and there again.
    assert_eq!(tick(&mut ledger, 120, &[(&old, &[])]), 0);
    assert_eq!(tick(&mut ledger, 130, &[(&old, &[("s", 1, 3, 0)])]), 0);
    assert_eq!(carried(&mut ledger), [of("s", 5, 3)]);
}

#[test]
fn rows_that_could_not_be_read_are_not_taken_for_dropped() {
    let mut ledger = Ledger::default();
    let old = process(1, 10);
    tick(&mut ledger, 100, &[(&old, &[("s", 1, 50, 0)])]);
    ledger.begin(Epoch(110));
    ledger.table(&old, Stage::Live).unwrap().end(false);
    ledger.end(0);
    tick(&mut ledger, 120, &[(&old, &[("s", 1, 51, 0)])]);
    assert_eq!(carried(&mut ledger), [of("s", 1, 1)]);
}

#[test]
fn a_process_counts_once_however_many_sockets_lead_to_it() {
    let mut ledger = Ledger::default();
    let one = process(1, 150);
    ledger.begin(Epoch(100));
    ledger.end(0);
    ledger.begin(Epoch(160));
    take(&mut ledger, &one, &[("s", 1, 2, 0)]);
    assert!(ledger.table(&one, Stage::Leaving).is_none());
    ledger.end(0);
    assert_eq!(carried(&mut ledger), [of("s", 2, 2)]);
}

#[test]
fn what_is_gone_for_long_and_what_has_other_bounds_is_forgotten() {
    let mut ledger = Ledger::default();
    let old = process(1, 10);
    tick(&mut ledger, 100, &[(&old, &[("s", 1, 1, 0), ("s2", 1, 1, 0)])]);
    ledger.begin(Epoch(200));
    let mut table = ledger.table(&old, Stage::Live).unwrap();
    let key = Key::parse("b/s/response/7/1/").unwrap();
    table.row(&table::Row { key, of_timer: 3, counters: &[1, 1, 6] });
    table.end(true);
    ledger.end(50);
    assert_eq!(carried(&mut ledger), [of("s", 1, 1), of("s2", 0, 0)]);
    ledger.begin(Epoch(300));
    ledger.end(150);
    assert_eq!(carried(&mut ledger), [of("s", 1, 0)]);
}

#[test]
fn a_restart_of_this_program_goes_on() {
    let old = process(1, 10);
    for (published, expected) in [(true, 5), (false, 8)] {
        let mut ledger = Ledger::default();
        tick(&mut ledger, 100, &[(&old, &[("s", 1, 5, 0)])]);
        carried(&mut ledger);
        tick(&mut ledger, 110, &[(&old, &[("s", 1, 8, 0)])]);
        let kept = state::write(&ledger, Epoch(110));
        let mut next = state::read(&kept, |_| published).unwrap();
        assert_eq!(next.since, Some(Epoch(100)));
        let new = process(2, 111);
        tick(&mut next, 130, &[(&old, &[("s", 1, 9, 0)]), (&new, &[("s", 2, 4, 0)])]);
        assert_eq!(carried(&mut next), [of("s", 8, expected)], "what was not published is told with the next");
    }
}

/// What happens to a HAProxy whose every request is known.
#[derive(Debug, Clone)]
enum Step {
    /// The process, the server, and how many requests.
    Requests(usize, u8, u32),
    Tick(bool),
    Reload,
    /// An old worker ends.
    End,
    Restart,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        4 => (0_usize..3, 0_u8..3, 1_u32..2_000_000_000).prop_map(|(process, server, count)| Step::Requests(process, server, count)),
        4 => any::<bool>().prop_map(Step::Tick),
        1 => Just(Step::Reload),
        1 => Just(Step::End),
        1 => Just(Step::Restart),
    ];
    proptest::collection::vec(step, 1..60)
}

proptest! {
    /// Every request counts exactly once, if its process is asked after it, however its counters wrap.
    #[test]
    fn every_request_counts_once(steps in steps()) {
        let mut ledger = Ledger::default();
        let (mut epoch, mut next_pid) = (100_u64, 2_u32);
        // Live processes, oldest first: what their rows say, by server.
        let mut live: Vec<(Process, BTreeMap<u8, u32>)> = vec![(process(1, 10), BTreeMap::new())];
        let mut expected: BTreeMap<u8, u64> = BTreeMap::new();
        let mut pending: Vec<(u32, u8, u64)> = Vec::new();
        tick(&mut ledger, epoch, &[(&live[0].0, &[])]);
        ledger.published();
        for step in steps {
            match step {
                Step::Requests(which, server, count) => {
                    let place = which % live.len();
                    let (process, rows) = &mut live[place];
                    // Less than half of a counter's range between two looks.
                    let since: u64 = pending.iter().filter(|(pid, of, _)| *pid == process.pid && *of == server).map(|(.., n)| n).sum();
                    if since + u64::from(count) < 1 << 31 {
                        let row = rows.entry(server).or_default();
                        *row = row.wrapping_add(count);
                        pending.push((process.pid, server, u64::from(count)));
                    }
                }
                Step::Tick(published) => {
                    epoch += 10;
                    ledger.begin(Epoch(epoch));
                    for (process, rows) in &live {
                        let rows: Vec<(String, u32, u32)> =
                            rows.iter().map(|(server, count)| (server.to_string(), process.pid, *count)).collect();
                        let rows: Vec<(&str, u32, u32, u32)> =
                            rows.iter().map(|(server, pid, count)| (server.as_str(), *pid, *count, 0)).collect();
                        take(&mut ledger, process, &rows);
                    }
                    ledger.end(0);
                    for (_, server, count) in pending.drain(..) {
                        *expected.entry(server).or_default() += count;
                    }
                    let totals: BTreeMap<u8, u64> = {
                        let text = ledger.carried(&None);
                        let mut all = BTreeMap::new();
                        carried::read(&text, |object| {
                            all.insert(object.object.split('/').nth(1).unwrap().parse().unwrap(), object.counters[1]);
                        }).unwrap();
                        all
                    };
                    prop_assert!(expected.iter().all(|(server, count)| totals.get(server).copied().unwrap_or(0) == *count),
                        "{:?} {:?}", totals, expected);
                    if published {
                        ledger.published();
                    }
                }
                Step::Reload => {
                    live.push((process(next_pid, epoch + 1), BTreeMap::new()));
                    next_pid += 1;
                }
                Step::End if live.len() > 1 => {
                    let (gone, _) = live.remove(0);
                    pending.retain(|(pid, ..)| *pid != gone.pid);
                }
                Step::End => {}
                Step::Restart => {
                    live = vec![(process(next_pid, epoch + 1), BTreeMap::new())];
                    next_pid += 1;
                    pending.clear();
                }
            }
        }
    }
}
