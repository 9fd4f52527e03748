//! Rules of Prometheus, and promtool's tests of them.

use super::rules::{Alert, GROUPS};
use std::fmt::Write;

const MADE: &str = "# Made from tests/machine/alerts/rules.rs.\n";

/// A text as YAML takes it: JSON's strings are YAML's.
pub fn quoted(text: &str) -> String {
    serde_json::to_string(text).unwrap()
}

pub fn rules() -> String {
    let mut out = format!(
        "{MADE}# Names are those of HAProxy's own exporter and of the pages of haproxystats: docs/prometheus.md.\ngroups:\n"
    );
    for group in GROUPS {
        writeln!(out, "  - name: {}\n    rules:", group.name).unwrap();
        for alert in group.alerts {
            writeln!(out, "      - alert: {}", alert.name).unwrap();
            writeln!(out, "        expr: {}", quoted(alert.promql)).unwrap();
            if alert.minutes > 0 {
                writeln!(out, "        for: {}m", alert.minutes).unwrap();
            }
            writeln!(out, "        labels:\n          severity: {}", alert.severity.word()).unwrap();
            writeln!(out, "        annotations:\n          summary: {}", quoted(alert.summary)).unwrap();
            writeln!(out, "          description: {}", quoted(alert.about)).unwrap();
        }
    }
    out
}

/// The summary with its labels replaced.
fn told(alert: &Alert) -> String {
    alert.labels.iter().fold(alert.summary.to_owned(), |text, (label, value)| {
        text.replace(&format!("{{{{ $labels.{label} }}}}"), value)
    })
}

pub fn tests() -> String {
    let mut out = format!("{MADE}rule_files:\n  - haproxystats.rules.yml\nevaluation_interval: 1m\ntests:\n");
    for alert in GROUPS.iter().flat_map(|group| group.alerts) {
        for (series, fires) in [(alert.bad, true), (alert.good, false)] {
            out.push_str("  - interval: 1m\n    input_series:\n");
            for (name, values) in series {
                writeln!(out, "      - series: {}\n        values: {}", quoted(name), quoted(values)).unwrap();
            }
            writeln!(out, "    alert_rule_test:\n      - eval_time: 59m\n        alertname: {}", alert.name).unwrap();
            if !fires {
                out.push_str("        exp_alerts: []\n");
                continue;
            }
            writeln!(
                out,
                "        exp_alerts:\n          - exp_labels:\n              severity: {}",
                alert.severity.word()
            )
            .unwrap();
            for (label, value) in alert.labels {
                writeln!(out, "              {label}: {}", quoted(value)).unwrap();
            }
            writeln!(out, "            exp_annotations:\n              summary: {}", quoted(&told(alert))).unwrap();
            writeln!(out, "              description: {}", quoted(alert.about)).unwrap();
        }
    }
    out
}
