//! The form of the dashboards for Grafana, as far as it can be judged without Grafana.

use super::panels::DASHBOARDS;
use super::shipped;
use serde_json::Value;
use std::collections::BTreeSet;

/// The names behind a dollar in a text.
fn variables_in(text: &str) -> BTreeSet<String> {
    let names = text.split('$').skip(1);
    let names =
        names.map(|rest| rest.trim_start_matches('{').chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_'));
    names.map(Iterator::collect).filter(|name: &String| !name.starts_with("__")).collect()
}

fn number(value: &Value) -> u64 {
    value.as_u64().unwrap_or_else(|| panic!("{value} is not a number"))
}

/// All files for Grafana: those for Graphite, and those for Prometheus.
fn files() -> Vec<(String, Value)> {
    let names = DASHBOARDS.iter().flat_map(|dashboard| ["", "prometheus/"].map(|of| format!("{of}{}", dashboard.name)));
    names.map(|name| (name.clone(), shipped(&format!("grafana/{name}.json")))).collect()
}

/// Every query of every panel, whichever language it is in.
fn queries(dashboard: &Value) -> Vec<String> {
    let targets = dashboard["panels"].as_array().unwrap().iter().filter_map(|panel| panel["targets"].as_array());
    let text = |target: &Value| ["target", "expr"].into_iter().find_map(|key| target[key].as_str().map(str::to_owned));
    let marks = dashboard["annotations"]["list"].as_array().unwrap().iter();
    let marks = marks.map(|mark| mark["expr"].as_str().or(mark["target"]["target"].as_str()).unwrap().to_owned());
    targets.flatten().map(|target| text(target).unwrap()).chain(marks).collect()
}

#[test]
fn panels_have_a_place_and_a_number_of_their_own() {
    for (name, file) in files() {
        assert!(file["id"].is_null(), "Grafana gives the number of a dashboard");
        let panels = file["panels"].as_array().unwrap();
        let ids: BTreeSet<u64> = panels.iter().map(|panel| number(&panel["id"])).collect();
        assert_eq!(ids.len(), panels.len(), "{name}");
        let mut cells = BTreeSet::new();
        for panel in panels {
            let [x, y, w, h] = ["x", "y", "w", "h"].map(|key| number(&panel["gridPos"][key]));
            assert!(x + w <= 24, "{name}: {}", panel["title"]);
            for cell in (x..x + w).flat_map(|x| (y..y + h).map(move |y| (x, y))) {
                assert!(cells.insert(cell), "{name}: {} lies over another", panel["title"]);
            }
            let targets = panel["targets"].as_array().map(Vec::as_slice).unwrap_or_default();
            let letters: BTreeSet<&str> = targets.iter().map(|target| target["refId"].as_str().unwrap()).collect();
            assert_eq!(letters.len(), targets.len(), "{}", panel["title"]);
            assert_eq!(targets.is_empty(), panel["type"] == "row", "{}", panel["title"]);
        }
    }
}

#[test]
fn every_variable_is_defined_and_used() {
    let mut uids = BTreeSet::new();
    for (name, file) in files() {
        let uid = file["uid"].as_str().unwrap().to_owned();
        assert!(uid.len() <= 40 && uids.insert(uid));
        let list = file["templating"]["list"].as_array().unwrap();
        let defined: BTreeSet<String> = list.iter().map(|v| v["name"].as_str().unwrap().to_owned()).collect();
        let mut used: BTreeSet<String> = queries(&file).iter().flat_map(|query| variables_in(query)).collect();
        used.insert("datasource".to_owned());
        assert_eq!(used, defined, "{name}");
    }
}
