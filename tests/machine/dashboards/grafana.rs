//! Dashboards in the form that Grafana imports (classic dashboard JSON), for the data sources Graphite and Prometheus.

use super::panels::{Choice, Dashboard, MARKS, Mark, Panel, Unit};
use super::promql;
use serde_json::{Value, json};

/// Panels beside each other, on Grafana's 24 columns.
const ABREAST: usize = 3;
const HEIGHT: usize = 8;

/// What a dashboard asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Source {
    Graphite,
    Prometheus,
}

impl Source {
    fn datasource(self) -> Value {
        json!({ "type": self.kind(), "uid": "${datasource}" })
    }

    fn kind(self) -> &'static str {
        if self == Self::Graphite { "graphite" } else { "prometheus" }
    }

    fn label(self) -> &'static str {
        if self == Self::Graphite { "Graphite" } else { "Prometheus" }
    }

    /// The pattern for everything.
    fn all(self) -> &'static str {
        if self == Self::Graphite { "*" } else { ".*" }
    }

    /// As it is said of this one.
    fn words(self, text: &str) -> String {
        if self == Self::Graphite { text.to_owned() } else { promql::words(text) }
    }
}

/// A choice that Grafana fills by asking for names: in Graphite those at the end of `query`.
fn variable(source: Source, name: &str, label: &str, query: &str, many: bool) -> Value {
    let mut variable = json!({
        "type": "query",
        "name": name,
        "label": label,
        "datasource": source.datasource(),
        "query": query,
        "refresh": 2,
        "sort": 1,
        "multi": many,
        "includeAll": many,
        "hide": 0,
        "options": [],
    });
    if many {
        variable["allValue"] = source.all().into();
        variable["current"] = json!({ "text": "All", "value": "$__all" });
    }
    variable
}

fn variables(source: Source, dashboard: &Dashboard) -> Vec<Value> {
    let (label, kind) = (source.label(), source.kind());
    let mut list = vec![
        json!({ "type": "datasource", "name": "datasource", "label": label, "query": kind, "hide": 0, "options": [] }),
    ];
    if source == Source::Graphite {
        list.push(textbox("namespace", "Namespace", "loadbalancers"));
    }
    list.extend(dashboard.choices.iter().map(|choice| {
        let (name, label, many) = match choice {
            Choice::LoadBalancer => ("lb", "Load balancer", false),
            Choice::LoadBalancers => ("lb", "Load balancers", true),
            Choice::Backend => ("backend", "Backend", false),
            Choice::Servers => ("server", "Servers", false),
        };
        match values(source, *choice) {
            Some(query) => variable(source, name, label, query, many),
            None => textbox(name, label, source.all()),
        }
    }));
    list
}

/// What Grafana asks for the values of a choice; `None` where they are typed in.
fn values(source: Source, choice: Choice) -> Option<&'static str> {
    match (source, choice) {
        (Source::Prometheus, choice) => promql::values(choice),
        (_, Choice::LoadBalancer | Choice::LoadBalancers) => Some("$namespace.*"),
        (_, Choice::Backend) => Some("$namespace.$lb.haproxy.backend.*"),
        (_, Choice::Servers) => None,
    }
}

fn textbox(name: &str, label: &str, value: &str) -> Value {
    json!({
        "type": "textbox", "name": name, "label": label, "query": value, "hide": 0,
        "current": { "text": value, "value": value }, "options": [],
    })
}

/// What Grafana draws into every panel.
fn marks(source: Source, dashboard: &Dashboard) -> Vec<Value> {
    let of_some = dashboard.choices.iter().any(|choice| matches!(choice, Choice::LoadBalancer | Choice::LoadBalancers));
    let mark = |(mark, colour): (&Mark, &str)| {
        let mut value = json!({
            "name": mark.title, "datasource": source.datasource(), "enable": true, "hide": false, "iconColor": colour,
        });
        if source == Source::Graphite {
            value["target"] =
                json!({ "refId": "Anno", "target": mark.query, "textEditor": true, "fromAnnotations": true });
        } else {
            value["expr"] = promql::mark(mark).into();
            value["step"] = "60s".into();
            value["titleFormat"] = mark.title.into();
            value["textFormat"] = "{{instance}}".into();
        }
        value
    };
    MARKS.iter().zip(["blue", "purple"]).filter(|_| of_some).map(mark).collect()
}

fn targets(source: Source, panel: &Panel) -> Vec<Value> {
    let target = |(query, letter): (Value, char)| {
        let mut target = json!({ "refId": letter.to_string(), "datasource": source.datasource() });
        let parts = query.as_object().into_iter().flatten();
        parts.for_each(|(key, value)| target[key] = value.clone());
        target
    };
    let queries: Vec<Value> = match source {
        Source::Graphite => panel.queries.iter().map(|query| json!({ "target": query })).collect(),
        Source::Prometheus => {
            let one = |query: promql::Query| json!({ "expr": query.expr, "legendFormat": query.legend, "range": true });
            promql::queries(panel).map(one).collect()
        }
    };
    queries.into_iter().zip('A'..='Z').map(target).collect()
}

fn panel(source: Source, panel: &Panel, id: usize, x: usize, y: usize) -> Value {
    let targets = targets(source, panel);
    let unit = if source == Source::Graphite { panel.unit.grafana() } else { promql::unit(panel.unit) };
    let mut made = json!({
        "id": id,
        "type": "timeseries",
        "title": source.words(panel.title),
        "description": source.words(panel.about),
        "datasource": source.datasource(),
        "gridPos": { "x": x, "y": y, "w": 24 / ABREAST, "h": HEIGHT },
        "fieldConfig": {
            "defaults": {
                "unit": unit,
                "min": 0,
                "custom": {
                    "drawStyle": "line",
                    "lineWidth": 1,
                    "fillOpacity": if panel.stacked { 40 } else { 0 },
                    "showPoints": "never",
                    // Longer than the time between two points, in milliseconds.
                    "spanNulls": if panel.is_rare() { 900_000 } else { 60_000 },
                    "stacking": { "mode": if panel.stacked { "normal" } else { "none" }, "group": "A" },
                },
            },
            "overrides": [],
        },
        "options": {
            "legend": { "displayMode": "table", "placement": "bottom", "showLegend": true, "calcs": ["mean", "max", "lastNotNull"],
                "sortBy": "Last *", "sortDesc": !panel.ascends(),
            },
            "tooltip": { "mode": "multi", "sort": "desc" },
        },
        "targets": targets,
    });
    if panel.unit == Unit::Days {
        // What has expired is below 0; red from two weeks before.
        let defaults = &mut made["fieldConfig"]["defaults"];
        defaults["min"] = Value::Null;
        defaults["custom"]["thresholdsStyle"] = json!({ "mode": "line" });
        defaults["thresholds"] = json!({
            "mode": "absolute",
            "steps": [{ "color": "red", "value": null }, { "color": "green", "value": 14 }],
        });
    }
    made
}

/// The whole dashboard, for Graphite.
pub fn dashboard(dashboard: &Dashboard) -> Value {
    made(Source::Graphite, dashboard)
}

/// The same for Prometheus.
pub fn of_prometheus(dashboard: &Dashboard) -> Value {
    made(Source::Prometheus, dashboard)
}

fn made(source: Source, dashboard: &Dashboard) -> Value {
    let (mut panels, mut id, mut y) = (Vec::new(), 0, 0);
    let mut next = || {
        id += 1;
        id
    };
    for row in dashboard.rows {
        panels.push(json!({
            "id": next(), "type": "row", "title": row.title, "collapsed": false, "panels": [],
            "gridPos": { "x": 0, "y": y, "w": 24, "h": 1 },
        }));
        y += 1;
        for abreast in row.panels.chunks(ABREAST) {
            for (column, each) in abreast.iter().enumerate() {
                panels.push(panel(source, each, next(), column * 24 / ABREAST, y));
            }
            y += HEIGHT;
        }
    }
    let (uid, title) = match source {
        Source::Graphite => (dashboard.name.to_owned(), dashboard.title.to_owned()),
        Source::Prometheus => (format!("{}-prometheus", dashboard.name), format!("{} (Prometheus)", dashboard.title)),
    };
    let about = match source {
        Source::Graphite => dashboard.about.to_owned(),
        Source::Prometheus => dashboard.about.replace(" of a namespace", ""),
    };
    json!({
        "uid": uid,
        "title": title,
        "description": about,
        "tags": ["haproxy", "haproxystats"],
        "schemaVersion": 39,
        "version": 1,
        "editable": true,
        "graphTooltip": 1,
        "time": { "from": "now-1h", "to": "now" },
        "timezone": "browser",
        "refresh": "10s",
        "templating": { "list": variables(source, dashboard) },
        "annotations": { "list": marks(source, dashboard) },
        "links": [{
            "type": "dashboards", "tags": ["haproxystats"], "title": "HAProxy", "asDropdown": true, "icon": "external link",
            "includeVars": true, "keepTime": true, "targetBlank": false, "tooltip": "", "url": "",
        }],
        "panels": panels,
    })
}
