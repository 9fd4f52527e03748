use super::*;
use crate::haproxy::columns::Kind;
use crate::value::Value;
use proptest::prelude::*;

/// A row of one process: its object, its weight, a value for each field, and its states.
type Row = (u32, i64, Vec<i64>, [Option<i64>; 3]);

/// What is true of rows as they are parsed: those that are idle carry no times.
fn rows(plan: &KindPlan, seed: u64, keys: &[u32], full: bool) -> Vec<Row> {
    let mut random = fastrand::Rng::with_seed(seed);
    let mut cell = |combine: Combine, weight: i64| match combine {
        _ if !full && random.u8(..4) == 0 => ABSENT,
        Combine::BusyMean | Combine::WeightedMean => random.i64(0..50) * combine.divisor(weight),
        Combine::Limit => random.i64(0..4) * 100,
        _ => random.i64(-20..1_000_000_000),
    };
    let row = |(index, key): (usize, &u32)| {
        let weight = (index as i64 * 7 + *key as i64) % 4;
        let cells = plan.fields.iter().map(|field| cell(field.combine, weight)).collect();
        let severity = |at: i64| Some((index as i64 + at) % 5).filter(|severity| *severity > 0);
        (*key, weight, cells, [severity(0), severity(1), severity(2)])
    };
    keys.iter().enumerate().map(row).collect()
}

fn table(plan: &KindPlan, rows: &[Row]) -> Table {
    let mut table = Table::new(plan);
    for (key, weight, cells, states) in rows {
        cells.iter().enumerate().for_each(|(column, value)| table.set(column, *value));
        table.commit(*key, *weight);
        table.note_states(*states);
    }
    table.columns.iter_mut().for_each(|column| column.present = true);
    table.finish();
    table
}

/// Of the rows of one object, one after the other.
fn reference(combine: Combine, field: usize, rows: &[&Row]) -> Option<Value> {
    let there = || rows.iter().filter(|row| row.2[field] != ABSENT).map(|row| (row.2[field], row.1));
    let values = || there().map(|(value, _)| value);
    let mean = |divisor: i64| Some(Value::Float(values().sum::<i64>() as f64 / divisor as f64));
    match combine {
        Combine::Limit if values().any(|value| value == 0) => Some(Value::Int(0)),
        Combine::Sum | Combine::Limit | Combine::LimitOrBlank => values().next().map(|_| Value::Int(values().sum())),
        Combine::Mean | Combine::BusyMean | Combine::WeightedMean => {
            mean(there().map(|(_, weight)| combine.divisor(weight)).sum())
        }
        Combine::Max => values().max().map(Value::Int),
        Combine::Min | Combine::MinPresent => values().min().map(Value::Int),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(200) })]

    /// In few columns and in many rows, in one order or in several, complete or not.
    #[test]
    fn processes_are_combined_as_their_rows_are_one_by_one(
        seed in any::<u64>(),
        objects in prop_oneof![19 => 1..7_u32, 1 => 1023..1026_u32],
        processes in 1..5_usize,
        turned in 0..3_usize,
        left_out in prop_oneof![Just(usize::MAX), 0..20_usize],
        full in any::<bool>(),
    ) {
        super::super::thread::stay();
        let plan = KindPlan::new(Kind::Server, &crate::testing::config().process);
        let plan = if seed % 2 == 0 { plan.and_beyond() } else { plan };
        // Numbers with holes between them, beyond one word of bits.
        let mut keys: Vec<u32> = Vec::new();
        for process in 0..processes {
            let mut of_process: Vec<u32> = (0..objects).map(|object| 3 + object * 41).collect();
            of_process.rotate_left(process * turned % objects as usize);
            keys.extend(of_process);
        }
        if left_out < keys.len() && keys.len() > 1 {
            keys.remove(left_out);
        }
        let rows = rows(&plan, seed, &keys, full);
        let grouped = combine(&plan, &mut table(&plan, &rows)).unwrap().expect("nothing to be grouped");
        let mut first: Vec<u32> = Vec::new();
        let mut of: std::collections::HashMap<u32, Vec<&Row>> = std::collections::HashMap::new();
        for row in &rows {
            if !of.contains_key(&row.0) { first.push(row.0); }
            of.entry(row.0).or_default().push(row);
        }
        prop_assert_eq!(&grouped.keys, &first);
        for (place, key) in first.iter().enumerate() {
            let rows = &of[key];
            for (index, field) in plan.fields.iter().enumerate() {
                let (found, expected) =
                    (grouped.values(index).and_then(|values| values.get(place)), reference(field.combine, index, rows));
                let nan = |value: Option<Value>| matches!(value, Some(Value::Float(value)) if value.is_nan());
                prop_assert!(found == expected || (nan(found) && nan(expected)), "{} of {:?}: {:?}, {:?}", field.column.name, rows, found, expected);
            }
            let weight = plan.weights.then(|| rows.iter().map(|row| row.1).sum::<i64>());
            prop_assert_eq!(grouped.weight(place), weight);
            for state in 0..3 {
                prop_assert_eq!(grouped.severity(state, place), rows.iter().filter_map(|row| row.3[state]).max());
            }
        }
    }
}

#[test]
fn what_few_processes_have_is_grouped() {
    let plan = KindPlan::new(Kind::Server, &crate::testing::config().process);
    // One object in each of many rows, and many that are there once.
    let keys: Vec<u32> = (0..200).map(|_| 0).chain(1..200).collect();
    assert!(combine(&plan, &mut table(&plan, &rows(&plan, 1, &keys, true))).unwrap().is_none());
    assert!(combine(&plan, &mut Table::new(&plan)).unwrap().is_none());
}

#[test]
fn a_key_that_is_there_twice_is_noticed() {
    assert!(unique(&[]) && unique(&[0, 63, 64, 65, 127, 128, 1000]));
    assert!(!unique(&[0, 1, 0]) && !unique(&[1000, 64, 1000]) && !unique(&[63, 64, 128, 63]));
}
