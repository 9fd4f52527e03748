//! What haproxystats-agent says about itself: to Prometheus, and to Graphite.

use crate::harness::agent::{Agent, Endpoint, FILE, Reply, ask, datawave};
use crate::harness::graphite::Recorder;
use crate::harness::prometheus::{scrape, wait_for_sample};
use crate::harness::{SOON, free_port, wait_for, wait_until};
use nix::sys::signal::Signal;
use std::time::Duration;

#[test]
fn the_page_tells_answers_checks_and_weights_of_every_service() {
    let endpoint = Endpoint::start(datawave("ready", 50));
    let page = free_port();
    let agent = Agent::start(&format!(
        "request-timeout = 5\ncheck-timeout = 0.2\n\
         [agent:web]\nrequest = web\ncheck-url = http://127.0.0.1:{}/\n\
         [agent:o\"dd \\ n\u{e4}me]\nrequest = odd\nchecks = file\noverride-file = ${{DIR}}/override\n\
         [exporter]\nlisten = 127.0.0.1:{page}\n",
        endpoint.port
    ));
    wait_until(SOON, "the first result", || ask(agent.port, "web\n").starts_with("up 65%"));
    for _ in 0..3 {
        ask(agent.port, "odd\n");
    }
    ask(agent.port, "nobody\n");
    let samples = scrape(page);
    let value = |key: &str| *samples.get(key).unwrap_or_else(|| panic!("{key} is missing in {samples:#?}"));
    let odd = "service=\"o\\\"dd \\\\ n\u{e4}me\"";
    assert_eq!(value("haproxystats_agent_services"), 2.0);
    assert_eq!(value(&format!("haproxystats_agent_answers_total{{{odd},word=\"up\"}}")), 3.0);
    assert!(value("haproxystats_agent_requests_unknown_total") >= 1.0);
    assert_eq!(value("haproxystats_agent_weight{service=\"web\"}"), 65.0);
    assert_eq!(value("haproxystats_agent_state{service=\"web\",word=\"up\"}"), 1.0);
    assert_eq!(value("haproxystats_agent_stale{service=\"web\"}"), 0.0);
    assert!(value("haproxystats_agent_result_age_seconds{service=\"web\"}") < 10.0);
    assert!(value("haproxystats_agent_check_runs_total{service=\"web\",check=\"datawave\"}") >= 1.0);
    assert!(value("haproxystats_agent_check_time_last_seconds{service=\"web\",check=\"datawave\"}") > 0.0);

    for (reply, reason) in [
        (Reply::Hang, "timeout"),
        (Reply::Http(503, String::new()), "unavailable"),
        (Reply::Http(500, String::new()), "error"),
    ] {
        endpoint.set(reply);
        let key = format!(
            "haproxystats_agent_check_failures_total{{service=\"web\",check=\"datawave\",reason=\"{reason}\"}}"
        );
        wait_for_sample(page, &key, |count| count >= 1.0);
    }
}

#[test]
fn staleness_is_seen_although_nobody_asks() {
    let endpoint = Endpoint::start(datawave("ready", 0));
    let page = free_port();
    let _agent = Agent::start(&format!(
        "check-url = http://127.0.0.1:{}/\ncheck-timeout = 60\nstaleness-interval = 0.5\n\
         [exporter]\nlisten = 127.0.0.1:{page}\n",
        endpoint.port
    ));
    wait_for_sample(page, "haproxystats_agent_state{service=\"agent\",word=\"up\"}", |up| up == 1.0);
    endpoint.set(Reply::Hang);
    let samples = wait_for_sample(page, "haproxystats_agent_stale{service=\"agent\"}", |stale| stale == 1.0);
    assert_eq!(samples.get("haproxystats_agent_state{service=\"agent\",word=\"down\"}"), Some(&1.0), "{samples:#?}");
}

#[test]
fn patronis_failures_are_counted_while_its_last_answer_is_kept() {
    let body = r#"{"state":"running","role":"primary","timeline":1}"#;
    let endpoint = Endpoint::start(Reply::Http(200, body.to_owned()));
    let page = free_port();
    let agent = Agent::start(&format!(
        "checks = patroni\ncheck-url = http://127.0.0.1:{}\ngrace = 60\n[exporter]\nlisten = 127.0.0.1:{page}\n",
        endpoint.port
    ));
    wait_until(SOON, "the first result", || agent.ask("").starts_with("up 100%"));
    endpoint.set(Reply::Http(500, String::new()));
    let key = "haproxystats_agent_check_failures_total{service=\"agent\",check=\"patroni\",reason=\"error\"}";
    wait_for_sample(page, key, |count| count >= 1.0);
    assert!(agent.ask("").starts_with("up 100%"));
}

#[test]
fn graphite_gets_the_same_figures_on_the_grid_of_the_interval() {
    let graphite = Recorder::start();
    let agent = Agent::start(&format!(
        "{FILE}self-metrics-interval = 2\n[agent:web.1]\n\
         [graphite]\nserver = 127.0.0.1\nport = {}\nnamespace = test\nprefix-hostname = false\nsettle = 0.1\n",
        graphite.port()
    ));
    agent.wait_for("up 100%");
    let prefix = "test.haproxy.haproxystats.agent.web_1.";
    let record = wait_for(SOON, "two reports", || {
        let record = graphite.record();
        let up = |line: &String| {
            let rest = line.strip_prefix(&format!("{prefix}AnswersUp "));
            rest.is_some_and(|rest| !rest.starts_with("0 "))
        };
        (record.lines.keys().any(up) && record.timestamps.len() >= 2).then_some(record)
    });
    assert!(record.malformed.is_empty(), "{:?}", record.malformed);
    assert!(record.timestamps.iter().all(|time| time % 2 == 0), "{:?}", record.timestamps);
    for name in ["Weight 100", "StateUp 1", "StateDown 0", "Stale 0", "file.CheckFailuresError 0"] {
        let line = format!("{prefix}{name} ");
        assert!(record.lines.keys().any(|found| found.starts_with(&line)), "{line} is missing in {:#?}", record.lines);
    }
    for name in ["AgentServices 1", "AgentReportsSkipped 0", "AgentGraphiteLinesDropped 0"] {
        let line = format!("test.haproxy.haproxystats.{name} ");
        assert!(record.lines.keys().any(|found| found.starts_with(&line)), "{line} is missing in {:#?}", record.lines);
    }
}

#[test]
fn without_graphite_reports_are_skipped_and_answers_go_on() {
    let mut graphite = Recorder::away();
    let page = free_port();
    let mut agent = Agent::start(&format!(
        "{FILE}self-metrics = true\nself-metrics-interval = 1\n[exporter]\nlisten = 127.0.0.1:{page}\n\
         [graphite]\nserver = 127.0.0.1\nport = {}\ninterval = 0.1\ndelay = 0.2\nsettle = 0.1\n",
        graphite.port()
    ));
    wait_for_sample(page, "haproxystats_agent_reports_skipped_total", |count| count >= 1.0);
    agent.wait_for("up 100%");
    graphite.come_back();
    wait_until(SOON, "a report", || graphite.distinct() > 0);
    let delivered = "haproxystats_agent_dispatcher_lines_delivered_total{dispatcher=\"graphite\"}";
    wait_for_sample(page, delivered, |lines| lines > 0.0);
    agent.daemon.signal(Signal::SIGTERM);
    assert!(agent.daemon.wait(Duration::from_secs(30)).success());
}

#[test]
fn nothing_is_sent_where_nobody_wrote_of_graphite() {
    let page = free_port();
    let agent = Agent::start(&format!("{FILE}[exporter]\nlisten = 127.0.0.1:{page}\n"));
    let samples = scrape(page);
    assert!(!samples.keys().any(|key| key.contains("dispatcher")), "{samples:#?}");
    assert!(!agent.daemon.output().to_lowercase().contains("graphite"), "{}", agent.daemon.output());
}
