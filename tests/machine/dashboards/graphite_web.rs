//! Dashboards in the form that graphite-web saves. Its dashboards have no variables; one that has to know a name is a
//! template, in which `__VALUE__` stands for it.

use super::panels::{Choice, Dashboard, MARKS, Panel, Unit};
use serde_json::{Map, Value, json};

/// A query with everything filled in but the name that graphite-web puts in the place of `__VALUE__`.
pub fn query(dashboard: &Dashboard, query: &str) -> String {
    let value = |choice: Choice| dashboard.choices.contains(&choice).then_some("__VALUE__");
    let lb = value(Choice::LoadBalancer).unwrap_or("*");
    query
        .replace("$namespace", "loadbalancers")
        .replace("$lb", lb)
        .replace("$backend", value(Choice::Backend).unwrap_or("*"))
        .replace("$server", "*")
}

/// The queries of a panel, those of marks included.
pub fn queries(dashboard: &Dashboard, panel: &Panel) -> Vec<String> {
    let marks = MARKS.iter().filter(|_| panel.marked);
    let marks = marks.map(|mark| format!("alias(drawAsInfinite(maxSeries({})), '{}')", mark.query, mark.title));
    let queries = panel.queries.iter().map(|text| (*text).to_owned()).chain(marks);
    queries.map(|text| query(dashboard, &text)).collect()
}

/// Parameters of graphite-web's renderer for a panel with these queries.
pub fn parameters(panel: &Panel, targets: &[String]) -> Map<String, Value> {
    let mut parameters = Map::new();
    parameters.insert("target".to_owned(), json!(targets));
    parameters.insert("title".to_owned(), panel.title.into());
    parameters.insert("vtitle".to_owned(), panel.unit.words().into());
    // What has expired is below 0.
    if panel.unit != Unit::Days {
        parameters.insert("yMin".to_owned(), "0".into());
    }
    parameters.insert("hideLegend".to_owned(), "false".into());
    parameters.insert("areaMode".to_owned(), if panel.stacked { "stacked" } else { "none" }.into());
    // Whole points of Graphite, and no gap for a single one that is missing.
    parameters.insert("lineMode".to_owned(), "connected".into());
    parameters
}

/// `target=...&target=...`, by which graphite-web tells graphs apart.
fn identity(targets: &[String]) -> String {
    targets.iter().map(|target| format!("target={}", encode(target))).collect::<Vec<_>>().join("&")
}

/// For a query string.
pub fn encode(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte);
    text.bytes().map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") }).collect()
}

/// The whole dashboard.
pub fn dashboard(dashboard: &Dashboard) -> Value {
    let panels = dashboard.rows.iter().flat_map(|row| row.panels);
    let graphs: Vec<Value> = panels
        .map(|panel| {
            let targets = queries(dashboard, panel);
            let identity = identity(&targets);
            json!([identity, parameters(panel, &targets), format!("/render?{identity}")])
        })
        .collect();
    json!({
        "name": dashboard.name,
        "graphSize": { "width": 500, "height": 280 },
        "defaultGraphParams": { "from": "-1hours", "until": "now", "width": 500, "height": 280 },
        "refreshConfig": { "enabled": true, "interval": 60_000 },
        "timeConfig": {
            "type": "relative", "relativeStartQuantity": "1", "relativeStartUnits": "hours",
            "relativeUntilQuantity": "", "relativeUntilUnits": "now",
            "startDate": "2020-01-01T00:00:00", "startTime": "9:00 AM", "endDate": "2020-01-01T00:00:00", "endTime": "5:00 PM",
        },
        "graphs": graphs,
    })
}
