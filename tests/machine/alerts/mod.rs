//! Alerts for Prometheus and for Grafana with Graphite, made of one table; `HAPROXYSTATS_ACCEPT=1 cargo test --test machine alerts`
//! writes them. Prometheus' are held against their own unit tests by promtool.

mod grafana;
mod prometheus;
mod rules;

use crate::harness::made::{is_made, is_made_between};
use crate::harness::{self, SOON, peer, root};
use haproxystats::config::NameStyle;
use haproxystats::process::parent::figures::Figure;
use haproxystats::prometheus::{names, promex};
use haproxystats::telemetry::pull;
use rules::{Alert, Check, GROUPS};
use std::collections::BTreeSet;
use std::process::Command;

const RULES: &str = "contrib/prometheus/haproxystats.rules.yml";
const TESTS: &str = "contrib/prometheus/haproxystats.rules.test.yml";
const GRAFANA: &str = "contrib/grafana/alerting/haproxystats.yml";

const BEGIN: &str = "<!-- alerts: begin (generated; see tests/machine/alerts/mod.rs) -->\n";
const END: &str = "<!-- alerts: end -->";

fn alerts() -> impl Iterator<Item = &'static Alert> {
    GROUPS.iter().flat_map(|group| group.alerts)
}

#[test]
fn shipped_alerts_are_what_the_table_says() {
    is_made(RULES, &prometheus::rules());
    is_made(TESTS, &prometheus::tests());
    is_made(GRAFANA, &grafana::provisioning());
    let head = "| alert | severity | for | meaning |\n|---|---|---|---|\n";
    let row = |alert: &Alert| {
        let (summary, minutes) = (grafana::without_labels(alert), alert.minutes);
        let lasts = if minutes == 0 { String::new() } else { format!("{minutes} min") };
        format!("| `{}` | {} | {lasts} | {summary}. {} |\n", alert.name, alert.severity.word(), alert.about)
    };
    is_made_between("docs/monitoring.md", [BEGIN, END], &(head.to_owned() + &alerts().map(row).collect::<String>()));
}

#[test]
fn promtool_finds_that_each_fires_when_it_should_and_not_otherwise() {
    let Some(promtool) = peer("promtool") else { return };
    for (words, path) in [(["check", "rules"], RULES), (["test", "rules"], TESTS)] {
        let mut command = Command::new(&promtool);
        command.args(words).arg(root().join(path)).current_dir(root().join("contrib/prometheus"));
        let (status, output) = harness::run(command, SOON);
        assert!(status.success(), "{output}");
    }
}

/// Names of metrics in an expression.
fn names_in(promql: &str) -> BTreeSet<String> {
    let words = promql.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    words.filter(|word| word.starts_with("haproxy_") || word.starts_with("haproxystats_")).map(str::to_owned).collect()
}

#[test]
fn every_metric_of_an_alert_is_one_that_is_sent() {
    let mut known: BTreeSet<String> = ["haproxy_backend_status", "haproxy_server_status"].map(str::to_owned).into();
    for word in ["frontend", "backend", "server"] {
        known.extend(promex::STAT.iter().map(|row| format!("haproxy_{word}_{}", row.name)));
    }
    known.insert("haproxy_backend_active_servers".to_owned());
    known.insert("haproxy_certificates_expires_in_seconds".to_owned());
    known.extend(promex::INFO.iter().map(|row| format!("haproxy_process_{}", row.name)));
    let figures = Figure::ALL.iter().map(|figure| figure.definition()).chain(pull::TABLE);
    known.extend(figures.map(|figure| names::figure(NameStyle::Promex, figure, None).name));
    let of_graphite: BTreeSet<&str> = haproxystats::haproxy::columns::COLUMNS
        .iter()
        .map(|column| column.name)
        .chain(haproxystats::haproxy::info::FIELDS.iter().map(|field| field.name))
        .chain(Figure::ALL.iter().map(|figure| figure.definition().name))
        .chain(pull::TABLE.iter().map(|figure| figure.name))
        .chain(["status_up", "servers_down", "TotalServers", "expires_in"])
        .collect();
    for alert in alerts() {
        let names = names_in(alert.promql);
        let unknown: Vec<&String> = names.difference(&known).collect();
        assert!(unknown.is_empty(), "{}: {unknown:?}", alert.name);
        for (series, _) in alert.bad.iter().chain(alert.good) {
            assert!(series.starts_with("up{") || names.iter().any(|name| series.starts_with(name)), "{}", alert.name);
        }
        let Some(Check::Above(query, _) | Check::Below(query, _)) = alert.graphite else { continue };
        for path in query.split(['(', ')', ',', ' ']).filter(|path| path.starts_with("$namespace.")) {
            let field = path.rsplit('.').next().unwrap();
            assert!(of_graphite.contains(field), "{}: {field}", alert.name);
        }
    }
}
