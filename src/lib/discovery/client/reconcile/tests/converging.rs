//! Whatever happens, HAProxy becomes as the list says.

use super::*;
use crate::haproxy::runtime::ServerState;
use proptest::prelude::*;

/// What may happen between two rounds.
#[derive(Debug, Clone)]
enum Event {
    List(Vec<Option<(u8, bool)>>),
    Operator(u32, AdminState),
    Reload,
    Checks,
    Sessions(u32, u64),
    Time(u64),
    Forget,
}

fn event() -> impl Strategy<Value = Event> {
    let slot = prop_oneof![1 => Just(None), 3 => (1_u8..9, any::<bool>()).prop_map(Some)];
    prop_oneof![
        4 => prop::collection::vec(slot, 0..6).prop_map(Event::List),
        2 => (1_u32..6, prop_oneof![Just(AdminState::Ready), Just(AdminState::Drain), Just(AdminState::Maint)])
            .prop_map(|(slot, state)| Event::Operator(slot, state)),
        1 => Just(Event::Reload),
        3 => Just(Event::Checks),
        2 => (1_u32..6, 0_u64..3).prop_map(|(slot, open)| Event::Sessions(slot, open)),
        2 => (0_u64..40).prop_map(Event::Time),
        1 => Just(Event::Forget),
    ]
}

fn from_list(list: &[Option<(u8, bool)>]) -> Document {
    let servers: Vec<_> = list
        .iter()
        .map(|slot| {
            slot.map(|(number, active)| {
                (number, "asg-0", if active { State::Active } else { State::Draining { since: 0 } })
            })
        })
        .collect();
    document(&servers)
}

fn of(list: &Document, mode: BackendMode) -> Desired {
    desired(list, &backend(Serves::All, mode), true, 1_000_000).unwrap()
}

/// What happens to a HAProxy between two looks at it; `operators`: the slots that an operator has set, and to what.
fn happens(
    event: Event,
    site: &mut Site,
    list: &mut Desired,
    operators: &mut HashMap<u32, AdminState>,
    mode: BackendMode,
) {
    match event {
        Event::List(slots) => *list = of(&from_list(&slots), mode),
        Event::Operator(slot, state) => {
            let name = format!("web{slot}");
            // Only what is seen as another state than ours can be told from it.
            let before = site.model.row(&name).map(|row| row.state());
            if before.is_some_and(|before| before == AdminState::Ready || operators.contains_key(&slot)) {
                site.model.force(&name, state);
                if state == AdminState::Ready {
                    operators.remove(&slot);
                } else {
                    operators.insert(slot, state);
                }
            }
        }
        // What was seen of an operator is put back, unless a dynamic server is gone from the list.
        Event::Reload => site.model.reload(),
        Event::Checks => site.model.pass_checks(),
        Event::Sessions(slot, open) => site.model.sessions.insert("web", &format!("web{slot}"), open),
        Event::Time(seconds) => site.now += seconds,
        // Without a record, our own drain and maintenance at an address that comes back is taken for an operator's,
        // and what is beyond the list is nobody's.
        Event::Forget => {
            let mut rows = site.model.servers.rows.iter();
            let serves = |row: &ServerState| match list.slots.get(&row.server_id) {
                Some(Wanted::Serve(occupant)) => is_at(row, occupant.endpoint),
                _ => false,
            };
            let known = |row: &ServerState| {
                row.address == Some(PLACEHOLDER) || (row.state() == AdminState::Ready && serves(row))
            };
            if operators.is_empty() && rows.all(known) {
                site.record = Record::default();
            }
        }
    }
}

fn is_as_wanted(wanted: &Wanted, row: Option<&ServerState>) -> Result<(), TestCaseError> {
    match wanted {
        Wanted::Serve(occupant) => {
            let row = row.expect("a server");
            prop_assert!(is_at(row, occupant.endpoint) && row.state() == AdminState::Ready && row.is_up(), "{:?}", row);
            prop_assert_eq!(row.weight, 10);
        }
        Wanted::Drain(occupant) => prop_assert!(
            row.is_none_or(|row| match row.state() {
                AdminState::Ready => false,
                // Another one than the list has leaving is gone.
                AdminState::Drain => is_at(row, occupant.endpoint),
                AdminState::Maint => true,
            }),
            "{:?}",
            row
        ),
        Wanted::Empty => prop_assert!(row.is_none_or(|row| row.state() == AdminState::Maint), "{:?}", row),
    }
    Ok(())
}

proptest! {
    // More by PROPTEST_CASES: what needs five events in a row was first seen after a hundred thousand.
    #![proptest_config(ProptestConfig::with_cases(ProptestConfig::default().cases.max(300)))]

    /// Whatever happened before: left alone, HAProxy becomes as the list says, and then nothing is sent any more; what an
    /// operator has set stays; no server is in two slots but for a moment (asserted with every pass).
    #[test]
    fn always_converges_and_never_overrides(
        events in prop::collection::vec(event(), 1..25), checked in any::<bool>(), dynamic in any::<bool>(),
    ) {
        let mut site = Site::new(if dynamic { 0 } else { 5 }, checked);
        let mode = if dynamic { BackendMode::Dynamic } else { BackendMode::Template };
        let mut list = of(&from_list(&[None; 5]), mode);
        let mut operators: HashMap<u32, AdminState> = HashMap::new();
        for event in events {
            let reloaded = matches!(event, Event::Reload);
            happens(event, &mut site, &mut list, &mut operators, mode);
            let states = |site: &mut Site, operators: &HashMap<u32, AdminState>| -> Vec<_> {
                operators.keys().map(|slot| site.model.row(&format!("web{slot}")).cloned()).collect()
            };
            let before = states(&mut site, &operators);
            site.pass(&list);
            if reloaded {
                operators.retain(|slot, _| site.model.row(&format!("web{slot}")).is_some());
                for (slot, state) in &operators {
                    let row = site.model.row(&format!("web{slot}")).unwrap();
                    prop_assert_eq!(row.state(), *state);
                }
            } else {
                prop_assert_eq!(before, states(&mut site, &operators));
            }
        }
        for slot in operators.keys() {
            site.model.force(&format!("web{slot}"), AdminState::Ready);
        }
        site.settle(&list);
        prop_assert!(site.pass(&list).is_empty(), "applying twice changes nothing");
        for (slot, wanted) in &list.slots {
            is_as_wanted(wanted, site.model.servers.find("web", &format!("web{slot}")))?;
        }
    }
}
