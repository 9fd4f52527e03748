//! What endpoints and operators say to the agent: any status and body, any line of an override. Whatever is found in it,
//! the answer is one that HAProxy's grammar takes wholly, and no weight above 0 is rounded to none.
#![no_main]

use haproxystats::agent::check::{Finding, datawave, evaluate, evaluate_patroni, read_override};
use haproxystats::agent::decide::combine;
use haproxystats::config::agent::Service;
use haproxystats::config::{Program, load};
use haproxystats::haproxy::answer::grammar::{Version, read};
use haproxystats::haproxy::answer::{AdminState, State};
use libfuzzer_sys::fuzz_target;
use std::sync::LazyLock;

static SERVICES: LazyLock<Vec<Service>> = LazyLock::new(|| {
    let text = "[agent]\ncheck-url = http://localhost/\nreplica-tags = a=b\n\
                [agent:http]\nport = 1\nchecks = http\nstatus-pointer = /status\nreductions = /a/b 0.5 10 0\n /c 1 0 1e9\n\
                [agent:rw]\nport = 2\nchecks = patroni\nstandby-cluster = true\n\
                [agent:ro]\nport = 3\nchecks = patroni\npatroni-mode = read-only\nlag-delay = 5\nmaxconn = 7\n";
    load::from_text(Program::Agent, text, "fuzz").expect("a good configuration").config.agent.services
});

fuzz_target!(|data: &[u8]| {
    let [kind, status, body @ ..] = data else { return };
    let status = [200, 503, 404, 500][usize::from(*status) % 4];
    let split = body.iter().position(|byte| *byte == 0).unwrap_or(body.len());
    let (first, second) = (&body[..split], body.get(split + 1..));
    let service = &SERVICES[usize::from(*kind) % SERVICES.len()];
    let mut findings = match service.name.as_str() {
        "http" => {
            vec![evaluate(&service.rules, status, body), evaluate(&datawave([0.7, 0.4, 0.3]), status, body)]
        }
        _ => vec![evaluate_patroni(&service.patroni, status, first, second)],
    };
    for finding in &findings {
        if let Finding::Answer(answer) = finding {
            assert!(answer.weight > 0 || answer.state != State::Up, "{answer:?}");
        }
    }
    if let Ok(found) = read_override(&String::from_utf8_lossy(body)) {
        findings.push(Finding::Override { state: found.state, weight: found.weight, reason: found.reason });
    }
    let Some(answer) = combine(findings, service).0 else { return };
    for owner in [AdminState::Operator, AdminState::Agent] {
        let line = answer.line(owner);
        for version in Version::ALL {
            let reading = read(line.as_bytes(), version).expect("a whole line");
            assert!(
                reading.unknown.is_empty() && reading.health.is_some() && reading.weight.is_some_and(|w| w.is_ok()),
                "{line:?}"
            );
        }
    }
});
