//! Dashboards in the form that Grafana imports (classic dashboard JSON, data source Graphite).

use super::panels::{Choice, Dashboard, Panel};
use serde_json::{Value, json};

/// Panels beside each other, on Grafana's 24 columns.
const ABREAST: usize = 3;
const HEIGHT: usize = 8;

fn datasource() -> Value {
    json!({ "type": "graphite", "uid": "${datasource}" })
}

/// A choice that Grafana fills by asking Graphite for the names at the end of `query`.
fn variable(name: &str, label: &str, query: &str, many: bool) -> Value {
    let mut variable = json!({
        "type": "query",
        "name": name,
        "label": label,
        "datasource": datasource(),
        "query": query,
        "refresh": 2,
        "sort": 1,
        "multi": many,
        "includeAll": many,
        "hide": 0,
        "options": [],
    });
    if many {
        variable["allValue"] = "*".into();
        variable["current"] = json!({ "text": "All", "value": "$__all" });
    }
    variable
}

fn variables(dashboard: &Dashboard) -> Vec<Value> {
    let mut list = vec![
        json!({ "type": "datasource", "name": "datasource", "label": "Graphite", "query": "graphite", "hide": 0, "options": [] }),
        json!({
            "type": "textbox", "name": "namespace", "label": "Namespace", "query": "loadbalancers", "hide": 0,
            "current": { "text": "loadbalancers", "value": "loadbalancers" }, "options": [],
        }),
    ];
    list.extend(dashboard.choices.iter().map(|choice| match choice {
        Choice::LoadBalancer => variable("lb", "Load balancer", "$namespace.*", false),
        Choice::LoadBalancers => variable("lb", "Load balancers", "$namespace.*", true),
        Choice::Backend => variable("backend", "Backend", "$namespace.$lb.haproxy.backend.*", false),
    }));
    list
}

fn panel(panel: &Panel, id: usize, x: usize, y: usize) -> Value {
    let targets = panel.queries.iter().zip('A'..='Z');
    let targets: Vec<Value> = targets
        .map(|(query, letter)| json!({ "refId": letter.to_string(), "datasource": datasource(), "target": query }))
        .collect();
    json!({
        "id": id,
        "type": "timeseries",
        "title": panel.title,
        "description": panel.about,
        "datasource": datasource(),
        "gridPos": { "x": x, "y": y, "w": 24 / ABREAST, "h": HEIGHT },
        "fieldConfig": {
            "defaults": {
                "unit": panel.unit.grafana(),
                "min": 0,
                "custom": {
                    "drawStyle": "line",
                    "lineWidth": 1,
                    "fillOpacity": if panel.stacked { 40 } else { 0 },
                    "showPoints": "never",
                    "spanNulls": 60_000,
                    "stacking": { "mode": if panel.stacked { "normal" } else { "none" }, "group": "A" },
                },
            },
            "overrides": [],
        },
        "options": {
            "legend": { "displayMode": "table", "placement": "bottom", "showLegend": true, "calcs": ["mean", "max", "lastNotNull"] },
            "tooltip": { "mode": "multi", "sort": "desc" },
        },
        "targets": targets,
    })
}

/// The whole dashboard.
pub fn dashboard(dashboard: &Dashboard) -> Value {
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
                panels.push(panel(each, next(), column * 24 / ABREAST, y));
            }
            y += HEIGHT;
        }
    }
    json!({
        "uid": dashboard.name,
        "title": dashboard.title,
        "description": dashboard.about,
        "tags": ["haproxy", "haproxystats"],
        "schemaVersion": 39,
        "version": 1,
        "editable": true,
        "graphTooltip": 1,
        "time": { "from": "now-1h", "to": "now" },
        "timezone": "browser",
        "refresh": "10s",
        "templating": { "list": variables(dashboard) },
        "annotations": { "list": [] },
        "links": [{
            "type": "dashboards", "tags": ["haproxystats"], "title": "HAProxy", "asDropdown": true, "icon": "external link",
            "includeVars": true, "keepTime": true, "targetBlank": false, "tooltip": "", "url": "",
        }],
        "panels": panels,
    })
}
