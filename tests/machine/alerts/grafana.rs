//! The same as alerts of Grafana that ask Graphite, in the form of its provisioning files.

use super::prometheus::quoted;
use super::rules::{Alert, Check, GROUPS};
use std::fmt::Write;

/// Prometheus' labels come after the colon in a summary. Series of Graphite have their name instead.
pub fn summary(alert: &Alert) -> String {
    format!("{}: {{{{ $labels.name }}}}", without_labels(alert))
}

pub fn without_labels(alert: &Alert) -> &'static str {
    alert.summary.split_once(": {{").map_or(alert.summary, |(text, _)| text)
}

fn rule(out: &mut String, alert: &Alert, check: Check) {
    let (query, threshold, word) = match check {
        Check::Above(query, threshold) => (query, threshold, "gt"),
        Check::Below(query, threshold) => (query, threshold, "lt"),
    };
    let query = query.replace("$namespace", "loadbalancers");
    let expression = "datasourceUid: __expr__";
    writeln!(
        out,
        "      - uid: {uid}
        title: {name}
        condition: C
        for: {minutes}m
        noDataState: OK
        execErrState: Error
        labels:
          severity: {severity}
        annotations:
          summary: {summary}
          description: {about}
        data:
          - refId: A
            datasourceUid: graphite
            relativeTimeRange: {{from: 600, to: 0}}
            model: {{refId: A, target: {query}, textEditor: true}}
          - refId: B
            {expression}
            model: {{refId: B, type: reduce, reducer: last, expression: A, settings: {{mode: dropNN}}}}
          - refId: C
            {expression}
            model: {{refId: C, type: threshold, expression: B, conditions: [{{evaluator: {{type: {word}, params: [{threshold}]}}}}]}}",
        uid = alert.name.to_lowercase(),
        name = alert.name,
        minutes = alert.minutes,
        severity = alert.severity.word(),
        summary = quoted(&summary(alert)),
        about = quoted(alert.about),
        query = quoted(&query),
    )
    .unwrap();
}

pub fn provisioning() -> String {
    let mut out = String::from(
        "# Made from tests/machine/alerts/rules.rs. For /etc/grafana/provisioning/alerting; the data source has the uid graphite.\n\
         # loadbalancers is [graphite] namespace. HaproxyBackendDown and HaproxyServerDown need status-metrics = true.\n\
         apiVersion: 1\ngroups:\n",
    );
    for group in GROUPS {
        writeln!(out, "  - orgId: 1\n    name: {}\n    folder: HAProxy\n    interval: 1m\n    rules:", group.name)
            .unwrap();
        for alert in group.alerts {
            if let Some(check) = alert.graphite {
                rule(&mut out, alert, check);
            }
        }
    }
    out
}
