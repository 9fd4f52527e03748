//! Two servers that both think that they have the lease, and a store that delays, drops and reorders: the document stays
//! consistent whatever happens.

use super::store::config;
use haproxystats::config::discovery::Plan;
use haproxystats::discovery::document::{Document, State};
use haproxystats::discovery::hint::Hint;
use haproxystats::discovery::plan::plan;
use haproxystats::discovery::source::{Instance, Life, Listing};
use proptest::prelude::*;
use std::collections::{HashMap, HashSet};
use std::time::Duration;

/// What may happen next.
#[derive(Debug, Clone)]
enum Step {
    /// A server reads the document: the present one, or one of some writes ago.
    Load { server: usize, behind: usize },
    /// A server's source says this.
    List { server: usize, members: Vec<u8> },
    /// A server plans from what it has read, and its write is on its way.
    Plan { server: usize },
    /// A write arrives: the oldest on its way, or a later one.
    Arrive { which: usize },
    /// A write is lost on its way.
    Lose { which: usize },
    /// Time goes on; the clock of a server is off by a few seconds.
    Wait { seconds: u64, server: usize, skew: u64 },
}

fn step() -> impl Strategy<Value = Step> {
    let members = prop::collection::vec(1_u8..9, 0..8);
    prop_oneof![
        4 => (0..2_usize, prop_oneof![4 => Just(0), 1 => 0..4_usize]).prop_map(|(server, behind)| Step::Load { server, behind }),
        3 => (0..2_usize, members).prop_map(|(server, members)| Step::List { server, members }),
        4 => (0..2_usize).prop_map(|server| Step::Plan { server }),
        4 => (0..4_usize).prop_map(|which| Step::Arrive { which }),
        1 => (0..4_usize).prop_map(|which| Step::Lose { which }),
        2 => (0..90_u64, 0..2_usize, 0..10_u64).prop_map(|(seconds, server, skew)| Step::Wait { seconds, server, skew }),
    ]
}

/// A store that compares and sets, and the writes that are on their way to it.
struct Store {
    history: Vec<Option<Document>>,
    on_the_way: Vec<(usize, Document)>,
    /// Whether the guard holds forever.
    guarded: bool,
}

impl Store {
    fn arrive(&mut self, which: usize) -> Result<(), TestCaseError> {
        if self.on_the_way.is_empty() {
            return Ok(());
        }
        let (expected, document) = self.on_the_way.remove(which % self.on_the_way.len());
        // The revision is the number of writes before it.
        if expected + 1 == self.history.len() {
            consistent(self.history.last().unwrap().as_ref(), &document, self.guarded)?;
            self.history.push(Some(document));
        }
        Ok(())
    }
}

/// What must hold from one document to the next.
fn consistent(before: Option<&Document>, after: &Document, guarded: bool) -> Result<(), TestCaseError> {
    let active = |document: &Document| {
        let servers = document.servers().filter(|(_, server)| server.state == State::Active);
        servers.map(|(id, server)| (server.instance.clone(), id)).collect::<Vec<_>>()
    };
    let now = active(after);
    let by_instance: HashMap<_, _> = now.iter().cloned().collect();
    prop_assert_eq!(by_instance.len(), now.len(), "an instance has two slots");
    let Some(before) = before else { return Ok(()) };
    prop_assert_eq!(after.version, before.version + 1);
    let were = active(before);
    for (instance, slot) in &were {
        prop_assert!(by_instance.get(instance).is_none_or(|now| now == slot), "{instance} has moved");
    }
    prop_assert!(were.is_empty() || !now.is_empty(), "everybody is gone");
    let gone = were.iter().filter(|(instance, _)| !by_instance.contains_key(instance)).count();
    // Half of those who were there or have come; those that have come in addition to the others make up for as many.
    let all = gone + now.len();
    let came = before.servers().chain(after.servers()).filter(|(_, server)| server.gained > 0);
    let came = came.map(|(_, server)| server.instance.as_str());
    // One that comes now may make up for another at once.
    let occupied: HashSet<u32> = were.iter().map(|(_, slot)| *slot).collect();
    let new =
        now.iter().filter(|(instance, slot)| !were.iter().any(|(was, _)| was == instance) && !occupied.contains(slot));
    let came: HashSet<&str> = came.chain(new.map(|(instance, _)| instance.as_str())).collect();
    let came = came.into_iter().filter(|instance| by_instance.contains_key(*instance)).count();
    let taken: HashSet<u32> = now.iter().map(|(_, slot)| *slot).collect();
    let handed =
        were.iter().filter(|(instance, slot)| !by_instance.contains_key(instance) && taken.contains(slot)).count();
    prop_assert!(!guarded || gone <= (all / 2).max(1) + came + handed, "{gone} of {all} at once");
    Ok(())
}

fn listing(now: u64, members: &[u8]) -> Listing {
    let instance = |number: &u8| Instance {
        id: format!("i-{number}"),
        name: String::new(),
        addresses: vec![[10, 0, 0, *number].into()],
        port: None,
        group: String::new(),
        zone: String::new(),
        healthy: true,
        life: Life::InService,
        hint: Hint::FULL,
    };
    Listing { taken: now * 1000, instances: members.iter().map(instance).collect(), ..Listing::default() }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(500) })]

    #[test]
    fn the_document_stays_consistent(steps in prop::collection::vec(step(), 1..120)) {
        let usual = Plan { list_size: 8, confirmations: 1, hold_obsolete: Duration::ZERO, ..config("").server.plan };
        let settings = Plan { hold: Duration::ZERO, ..usual.clone() };
        let mut store = Store { history: vec![None], on_the_way: Vec::new(), guarded: true };
        let mut now = 1_700_000_000_u64;
        let mut skews = [0_u64; 2];
        let mut read: [Option<(usize, Option<Document>)>; 2] = [None, None];
        let mut lists: [Option<Listing>; 2] = [None, None];
        for step in steps {
            match step {
                Step::Load { server, behind } => {
                    let revision = store.history.len().saturating_sub(1 + behind);
                    read[server] = Some((revision, store.history[revision].clone()));
                }
                Step::List { server, members } => lists[server] = Some(listing(now + skews[server], &members)),
                Step::Plan { server } => {
                    let Some((revision, present)) = read[server].clone() else { continue };
                    let mut next = plan(present.as_ref(), lists[server].as_ref(), (now + skews[server]) * 1000, &settings);
                    next.version += 1;
                    store.on_the_way.push((revision, next));
                }
                Step::Arrive { which } => store.arrive(which)?,
                Step::Lose { which } => {
                    let count = store.on_the_way.len();
                    if count > 0 {
                        store.on_the_way.remove(which % count);
                    }
                }
                Step::Wait { seconds, server, skew } => {
                    now += seconds;
                    skews[server] = skew;
                }
            }
        }
        // When all is well again, one server brings the list to what the source says.
        while !store.on_the_way.is_empty() {
            store.arrive(0)?;
        }
        store.guarded = false;
        for _ in 0..12 {
            now += 100;
            let present = store.history.last().unwrap().clone();
            let mut next = plan(present.as_ref(), Some(&listing(now, &[1, 2, 3])), now * 1000, &usual);
            next.version += 1;
            store.on_the_way.push((store.history.len() - 1, next));
            store.arrive(0)?;
        }
        let last = store.history.last().unwrap().clone().unwrap();
        let mut names: Vec<_> = last.servers().map(|(_, server)| server.instance.as_str()).collect();
        names.sort_unstable();
        prop_assert_eq!(names, ["i-1", "i-2", "i-3"]);
    }
}
