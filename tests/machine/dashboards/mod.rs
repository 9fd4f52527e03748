//! What operators look at, with real data behind it: the dashboards for Grafana and graphite-web, and the roll-up of a
//! cluster by carbon-c-relay. All are made of tables; `HAPROXYSTATS_ACCEPT=1 cargo test --test machine dashboards` writes them.

mod fleet;
mod grafana;
mod graphite_web;
mod images;
mod panels;
mod prometheus;
mod promql;
mod relay;
mod size;
mod structure;

use crate::harness::carbon::Carbon;
use crate::harness::graphite_web::GraphiteWeb;
use crate::harness::made::is_made;
use crate::harness::relay::Relay;
use crate::harness::{SOON, missing, peer, root, wait_until};
use fleet::{LoadBalancer, has};
use haproxystats::haproxy::columns::{self, Kind};
use panels::{DASHBOARDS, MARKS};
use relay::Rule;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

fn contrib(path: &str) -> PathBuf {
    root().join("contrib").join(path)
}

fn shipped(path: &str) -> Value {
    let text = std::fs::read_to_string(contrib(path)).unwrap_or_default();
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{path}: {error}"))
}

#[test]
fn shipped_files_are_what_the_tables_say() {
    let json = |value: &Value| serde_json::to_string_pretty(value).unwrap() + "\n";
    let mut files = vec![("carbon-c-relay/haproxystats.conf".to_owned(), relay::configuration())];
    for dashboard in DASHBOARDS {
        files.push((format!("grafana/{}.json", dashboard.name), json(&grafana::dashboard(dashboard))));
        files.push((format!("grafana/prometheus/{}.json", dashboard.name), json(&grafana::of_prometheus(dashboard))));
        files.push((format!("graphite-web/{}.json", dashboard.name), json(&graphite_web::dashboard(dashboard))));
    }
    for (path, content) in files {
        is_made(&format!("contrib/{path}"), &content);
    }
}

/// Two load balancers of the cluster `edge` and one of `core`, behind the relay as it is shipped, except for addresses and
/// times.
struct Place {
    balancers: Vec<LoadBalancer>,
    _relay: Relay,
    carbon: Carbon,
    web: GraphiteWeb,
}

impl Place {
    /// `None` where a program is missing.
    fn start() -> Option<Self> {
        for program in ["carbon-cache", "carbon-c-relay", "haproxy", "unshare", "curl"] {
            peer(program)?;
        }
        if !Path::new("/usr/share/graphite-web").exists() {
            missing("graphite-web");
            return None;
        }
        let carbon = Carbon::start();
        let web = GraphiteWeb::start(&carbon);
        let rules = std::fs::read_to_string(contrib("carbon-c-relay/haproxystats.conf")).unwrap();
        let relay = Relay::start_with(|port| {
            let rules = rules.replace("0.0.0.0:2003", &format!("127.0.0.1:{port}"));
            let rules = rules.replace("graphite.example.com:2003", &format!("127.0.0.1:{}", carbon.port()));
            rules.replace("every 10 seconds", "every 1 seconds").replace("expire after 30", "expire after 6")
        });
        let start = |(host, options)| {
            let graphite = format!("[graphite]\nserver = 127.0.0.1\nport = {}\nsettle = 0.1\n", relay.port());
            LoadBalancer::start(host, &format!("{options}\n{graphite}"))
        };
        let hosts = [("edge-01", "backend-metrics = all"), ("edge-02", "backend-metrics = all"), ("core-01", "")];
        let balancers = hosts.into_iter().map(start).collect();
        Some(Self { balancers, _relay: relay, carbon, web })
    }

    /// Traffic until every load balancer and every cluster has some points.
    fn fill(&mut self, points: usize) {
        let series: Vec<String> = ["loadbalancers.edge-01", "loadbalancers.edge-02", "loadbalancers.core-01"]
            .into_iter()
            .flat_map(|base| {
                ["haproxystats.DeliveryLatency", "table.hosts.fill_pct"].map(|of| format!("{base}.haproxy.{of}"))
            })
            .chain(["edge", "core"].map(|cluster| format!("clusters.{cluster}.haproxy.backend.shop.LoadBalancers")))
            .collect();
        wait_until(4 * SOON, "points of every load balancer and cluster", || {
            for (number, balancer) in self.balancers.iter_mut().enumerate() {
                balancer.traffic(number + 1);
                balancer.check();
            }
            series.iter().all(|series| has(&self.carbon, series, points))
        });
    }

    /// Whether there is nothing behind a query, because this HAProxy is too old.
    fn lacks(&self, query: &str) -> bool {
        query.contains(".latency_") && !self.balancers.iter().all(|balancer| balancer.site.counts_latency())
    }

    /// Names of the series that a query yields which have a value, and of those that have none.
    fn render(&self, query: &str) -> (BTreeSet<String>, BTreeSet<String>) {
        let path = format!("/render?format=json&from=-5min&target={}", graphite_web::encode(query));
        let answer: Value = serde_json::from_slice(&self.web.get(&path)).unwrap();
        let (full, empty): (Vec<&Value>, Vec<&Value>) = answer
            .as_array()
            .unwrap()
            .iter()
            .partition(|series| series["datapoints"].as_array().unwrap().iter().any(|point| !point[0].is_null()));
        let names =
            |list: Vec<&Value>| list.iter().map(|series| series["target"].as_str().unwrap().to_owned()).collect();
        (names(full), names(empty))
    }
}

/// Every query of every panel of a dashboard for Grafana.
fn grafana_queries(dashboard: &Value) -> Vec<String> {
    let targets = dashboard["panels"].as_array().unwrap().iter().filter_map(|panel| panel["targets"].as_array());
    targets.flatten().map(|target| target["target"].as_str().unwrap().to_owned()).collect()
}

fn graphite_web_queries(dashboard: &Value) -> Vec<String> {
    let graphs = dashboard["graphs"].as_array().unwrap().iter();
    let queries = graphs.flat_map(|graph| graph[1]["target"].as_array().unwrap()).map(|t| t.as_str().unwrap());
    // Marks have data only where something has happened.
    queries.filter(|query| !query.contains("drawAsInfinite")).map(str::to_owned).collect()
}

#[test]
fn every_panel_has_data_and_a_cluster_is_the_sum_of_its_load_balancers() {
    let Some(mut place) = Place::start() else { return };
    place.fill(6);
    every_query_of_grafana_has_data(&place);
    every_graph_of_graphite_web_has_data(&place);
    reloads_and_cleared_counters_are_marked(&place);
    clusters_are_what_their_load_balancers_are(&place);
}

fn reloads_and_cleared_counters_are_marked(place: &Place) {
    let marked = |number: usize| -> BTreeSet<String> {
        let query = MARKS[number].query.replace("$namespace", "loadbalancers").replace("$lb", "*");
        place.render(&query).0
    };
    assert_eq!([marked(0), marked(1)], [BTreeSet::new(), BTreeSet::new()]);
    place.balancers[0].site.reload(0);
    place.balancers[1].site.ask(0, "clear counters");
    wait_until(SOON, "a mark of the reload and of the cleared counters", || {
        [marked(0), marked(1)] == ["edge-01", "edge-02"].map(|host| BTreeSet::from([host.to_owned()]))
    });
}

fn every_query_of_grafana_has_data(place: &Place) {
    // What the variables offer, by the queries that Grafana asks.
    let offered = |query: &str| -> BTreeSet<String> {
        let path = format!("/metrics/find?query={}", graphite_web::encode(query));
        let answer: Value = serde_json::from_slice(&place.web.get(&path)).unwrap();
        answer.as_array().unwrap().iter().map(|node| node["text"].as_str().unwrap().to_owned()).collect()
    };
    let hosts: BTreeSet<String> = place.balancers.iter().map(|balancer| balancer.host.to_owned()).collect();
    for dashboard in DASHBOARDS {
        let file = shipped(&format!("grafana/{}.json", dashboard.name));
        for variable in file["templating"]["list"].as_array().unwrap().iter().filter(|v| v["type"] == "query") {
            let query = variable["query"].as_str().unwrap();
            let found = offered(&query.replace("$namespace", "loadbalancers").replace("$lb", "*"));
            match variable["name"].as_str().unwrap() {
                "lb" => assert_eq!(found, hosts, "{query}"),
                "backend" => assert!(found.contains("shop") && found.contains("api_v1"), "{query}: {found:?}"),
                other => panic!("{other} is not tested"),
            }
        }
        for query in grafana_queries(&file).into_iter().filter(|query| !place.lacks(query)) {
            // As Grafana fills in one name, several, and all of them.
            for lb in ["edge-01", "{edge-01,core-01}", "*"] {
                let one = query.replace("$namespace", "loadbalancers").replace("$lb", lb);
                let one = one.replace("$backend", "shop").replace("$server", "*");
                assert!(!one.contains('$'), "{one}");
                let (full, empty) = place.render(&one);
                assert!(!full.is_empty() && empty.is_empty(), "{}: {one}: {full:?}, empty: {empty:?}", dashboard.name);
            }
        }
    }
}

/// By way of graphite-web's own store of dashboards.
fn every_graph_of_graphite_web_has_data(place: &Place) {
    let import = |namespace: &str| {
        let mut command = Command::new(contrib("graphite-web/import"));
        let output = command.arg(place.web.url()).env("NAMESPACE", namespace).output().unwrap();
        let words = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat();
        assert!(output.status.success() && words.lines().count() == DASHBOARDS.len(), "{words}");
    };
    import("loadbalancers");
    import("clusters");
    let load = |path: &str| -> Value {
        let answer: Value = serde_json::from_slice(&place.web.get(path)).unwrap();
        answer["state"].clone()
    };
    for dashboard in DASHBOARDS {
        let name = dashboard.name;
        let state = match name {
            "haproxystats-load-balancer" => load(&format!("/dashboard/load_template/{name}/core-01")),
            "haproxystats-backend" => load(&format!("/dashboard/load_template/{name}/shop")),
            _ => load(&format!("/dashboard/load/{name}")),
        };
        let queries = graphite_web_queries(&state);
        assert_eq!(queries.len(), grafana_queries(&shipped(&format!("grafana/{name}.json"))).len(), "{name}");
        for query in queries.into_iter().filter(|query| !place.lacks(query)) {
            let (full, empty) = place.render(&query);
            assert!(!full.is_empty() && empty.is_empty(), "{name}: {query}: {full:?}, empty: {empty:?}");
        }
        for graph in state["graphs"].as_array().unwrap() {
            let parameters = graph[1].as_object().unwrap().iter().flat_map(|(key, value)| match value {
                Value::Array(values) => values.iter().map(|v| (key, v.as_str().unwrap())).collect(),
                value => vec![(key, value.as_str().unwrap())],
            });
            let parameters: Vec<String> =
                parameters.map(|(key, value)| format!("{key}={}", graphite_web::encode(value))).collect();
            let image = place.web.get(&format!("/render?from=-5min&width=500&height=280&{}", parameters.join("&")));
            assert!(image.starts_with(b"\x89PNG"), "{name}: {graph}");
        }
    }
    // A cluster has the form of a load balancer, so that the same dashboards show it.
    let state = load("/dashboard/load_template/haproxystats-load-balancer-clusters/edge");
    let of_proxies = graphite_web_queries(&state);
    let not_there =
        [".daemon.", ".haproxystats.", ".certificate.", ".table.", ".servers_", ".TotalServers", ".latency_"];
    let of_proxies = of_proxies.iter().filter(|query| !not_there.iter().any(|part| query.contains(part)));
    assert!(of_proxies.clone().count() > 10);
    for query in of_proxies {
        let (full, empty) = place.render(query);
        assert!(query.contains("clusters.edge.haproxy.") && !full.is_empty() && empty.is_empty(), "{query}: {empty:?}");
    }
}

fn clusters_are_what_their_load_balancers_are(place: &Place) {
    // Buckets that are complete: both load balancers have been counted.
    let clusters = [("edge", vec!["edge-01", "edge-02"]), ("core", vec!["core-01"])];
    let mut compared = BTreeMap::new();
    for (cluster, hosts) in clusters {
        for series in place.carbon.series() {
            let Some(rest) = series.strip_prefix(&format!("clusters.{cluster}.haproxy.")) else { continue };
            let [kind, name, field] = rest.split('.').collect::<Vec<_>>()[..] else { panic!("{series}") };
            if field == "LoadBalancers" {
                let counts: BTreeSet<u64> = place.carbon.points(&series).values().map(|count| *count as u64).collect();
                assert!(counts.contains(&(hosts.len() as u64)), "{series}: {counts:?}");
                continue;
            }
            let kind = if kind == "frontend" { Kind::Frontend } else { Kind::Backend };
            let rule = relay::rule(columns::find(field).unwrap(), kind).unwrap();
            let parts: Vec<BTreeMap<u64, f64>> = hosts
                .iter()
                .map(|host| {
                    place.carbon.points(&format!("loadbalancers.{host}.haproxy.{}.{name}.{field}", kind.word()))
                })
                .collect();
            for (time, value) in place.carbon.points(&series) {
                let values: Vec<f64> = parts.iter().filter_map(|points| points.get(&time).copied()).collect();
                let complete = format!("clusters.{cluster}.haproxy.{}.{name}.LoadBalancers", kind.word());
                if values.len() < hosts.len()
                    || place.carbon.points(&complete).get(&time) != Some(&(hosts.len() as f64))
                {
                    continue;
                }
                let expected = match rule {
                    Rule::Sum => values.iter().sum(),
                    Rule::Average => values.iter().sum::<f64>() / values.len() as f64,
                    Rule::Max => values.iter().copied().fold(f64::MIN, f64::max),
                    Rule::Min => values.iter().copied().fold(f64::MAX, f64::min),
                };
                assert!(
                    (value - expected).abs() < 1e-6 * expected.abs().max(1.0),
                    "{series} {time}: {value}, {values:?}"
                );
                *compared.entry((cluster, rule, kind.word())).or_insert(0) += 1;
            }
        }
    }
    for rule in [Rule::Sum, Rule::Average, Rule::Max, Rule::Min] {
        assert!(compared.contains_key(&("edge", rule, "backend")), "{rule:?}: {compared:?}");
    }
    assert!(compared.contains_key(&("edge", Rule::Sum, "frontend")), "{compared:?}");
    // What is combined is everything that a load balancer sends of them by default.
    let series = place.carbon.series();
    for kind in relay::KINDS {
        let names = columns::default_sums(kind).iter().chain(columns::default_means(kind));
        let wanted = names.map(|field| format!("clusters.core.haproxy.{}.{}.{field}", kind.word(), "api_v1"));
        let absent: Vec<String> = wanted.filter(|name| !series.contains(name)).collect();
        assert!(absent.is_empty(), "{absent:?}");
    }
}
