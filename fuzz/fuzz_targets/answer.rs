//! Answers to agent checks: any line is read, applied and explained; what we render, HAProxy's grammar takes wholly.
#![no_main]

use haproxystats::haproxy::answer::explain::explain;
use haproxystats::haproxy::answer::grammar::{Server, Version, read};
use haproxystats::haproxy::answer::{AdminState, Answer, State};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let text = String::from_utf8_lossy(data);
    assert!(!explain(&text).is_empty());
    for version in Version::ALL {
        if let Ok(reading) = read(data, version) {
            let mut server = Server::new(100);
            server.apply(&reading);
            assert!(server.weight <= 256);
        }
        for owner in [AdminState::Operator, AdminState::Agent] {
            for state in [State::Up, State::Drain, State::Maint, State::Down] {
                let line = Answer::of(state, text.as_ref()).line(owner);
                let reading = read(line.as_bytes(), version).expect("a whole line");
                assert!(reading.unknown.is_empty() && reading.health.is_some() && reading.weight.is_some(), "{line:?}");
                assert_eq!(reading.admin.is_some(), owner == AdminState::Agent);
            }
        }
    }
});
