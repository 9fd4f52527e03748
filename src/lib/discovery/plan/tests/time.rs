//! Time.

use super::*;

#[test]
fn any_server_computes_the_same_weights_whatever_its_time_zone() {
    let settings = settings(2);
    let first = plan(None, Some(&numbers(START, [1])), START, &settings);
    let direct = plan(Some(&first), None, START + 95, &settings);
    let mut stepwise = first;
    for second in 1..=95 {
        stepwise = plan(Some(&stepwise), None, START + second, &settings);
    }
    assert!(direct.is_same(&stepwise));
    assert_eq!(direct.slots[0].server.as_ref().unwrap().weight, 4);
}

#[test]
fn a_clock_that_was_ahead_keeps_nothing_waiting() {
    let settings = settings(2);
    let document = plan(None, Some(&numbers(START, [1])), START + 1_000_000, &settings);
    let document = plan(Some(&document), None, START, &settings);
    assert_eq!(plan(Some(&document), None, START + 30, &settings).slots[0].server.as_ref().unwrap().weight, 2);
}

#[test]
fn the_least_weight_may_be_nought_or_many() {
    let at = |min, seconds| {
        let ramp = Ramp { min, max: 10, step: 1, interval: Duration::from_secs(30) };
        let settings = Settings { ramp, ..settings(2) };
        let first = plan(None, Some(&numbers(START, [1])), START, &settings);
        plan(Some(&first), None, START + seconds, &settings).slots[0].server.as_ref().unwrap().weight
    };
    assert_eq!([at(0, 0), at(0, 30), at(5, 0), at(5, 30), at(5, 1000)], [0, 1, 5, 6, 10]);
}
