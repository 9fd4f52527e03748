//! The dashboards for a Prometheus data source, asked of real stores that a real HAProxy's metrics have filled by remote write.

use super::fleet::LoadBalancer;
use super::panels::{DASHBOARDS, MARKS};
use super::{promql, shipped};
use crate::harness::stores::{Kind, Store};
use crate::harness::{SOON, poll};
use std::time::{SystemTime, UNIX_EPOCH};

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

/// A query as Grafana fills it in, for a pull every second.
fn filled(query: &str) -> String {
    let query = query.replace("$__rate_interval", "5s").replace("$__range", "60s").replace("$lb", "edge-01");
    query.replace("$backend", "shop").replace("$server", ".*")
}

/// A load balancer whose metrics go to a store.
struct Place {
    balancer: LoadBalancer,
    store: Store,
    start: u64,
}

impl Place {
    /// `None` where the store is missing.
    fn start(kind: Kind) -> Option<Self> {
        let store = Store::start(kind)?;
        let sections = format!("[graphite]\nenabled = false\n{}", store.remote_write());
        Some(Self { balancer: LoadBalancer::start("edge-01", &sections), store, start: now() })
    }

    /// Whether there is nothing behind a query, because this HAProxy is too old.
    fn lacks(&self, query: &str) -> bool {
        query.contains("histogram_quantile") && !self.balancer.site.counts_latency()
    }

    fn has(&self, query: &str) -> bool {
        self.store.series(&filled(query), self.start, now()) > 0
    }

    /// Waits until all of these queries have data, with so many requests in between; returns those that have none in the end.
    fn without_data(&mut self, mut queries: Vec<String>, requests: usize) -> Vec<String> {
        let _ = poll(SOON, || {
            if requests > 0 {
                self.balancer.traffic(requests);
            }
            self.balancer.check();
            queries.retain(|query| !self.has(query));
            queries.is_empty().then_some(())
        });
        queries
    }
}

/// Every query of the files that are shipped, but those of marks.
fn queries() -> Vec<String> {
    let mut all = Vec::new();
    for dashboard in DASHBOARDS {
        let file = shipped(&format!("grafana/prometheus/{}.json", dashboard.name));
        let targets = file["panels"].as_array().unwrap().iter().filter_map(|panel| panel["targets"].as_array());
        all.extend(targets.flatten().map(|target| target["expr"].as_str().unwrap().to_owned()));
    }
    assert!(all.len() > 100, "{}", all.len());
    all
}

#[test]
fn every_query_of_the_dashboards_for_prometheus_has_data() {
    for kind in [Kind::Prometheus, Kind::VictoriaMetrics] {
        let Some(mut place) = Place::start(kind) else { return };
        let queries = queries().into_iter().filter(|query| !place.lacks(query)).collect();
        let empty = place.without_data(queries, 2);
        assert!(empty.is_empty(), "{kind:?}: {empty:#?}");
        // And the marks, once there is something to be marked.
        let marks = MARKS.map(|mark| promql::mark(&mark).replace("[1m]", "[10s]"));
        assert!(marks.iter().all(|mark| !place.has(mark)), "{kind:?}");
        // What would be counted at once again could be more than what was cleared.
        place.balancer.site.ask(0, "clear counters");
        let empty = place.without_data(marks[1..].to_vec(), 0);
        assert!(empty.is_empty(), "{kind:?}: {empty:#?}");
        place.balancer.site.reload(0);
        let empty = place.without_data(marks[..1].to_vec(), 0);
        assert!(empty.is_empty(), "{kind:?}: {empty:#?}");
    }
}
