//! How long graphite-web takes for each panel where there are 5,000 servers: the figures of docs/dashboards.md.

use super::graphite_web::{encode, parameters, queries};
use super::panels::{DASHBOARDS, Dashboard};
use crate::harness::carbon::Carbon;
use crate::harness::graphite_web::GraphiteWeb;
use std::collections::BTreeSet;
use std::path::Path;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Points of a file, and their distance in seconds: two hours.
const POINTS: u64 = 720;
const STEP: u64 = 10;

/// What a dashboard shows.
struct Scene {
    /// The namespace.
    name: &'static str,
    dashboard: &'static str,
    /// How many there are of each, within what is above it.
    balancers: usize,
    frontends: usize,
    backends: usize,
    servers: usize,
    about: &'static str,
}

#[rustfmt::skip]
const SCENES: [Scene; 4] = [
    Scene { name: "fleet", dashboard: "haproxystats-fleet", balancers: 10, frontends: 20, backends: 50, servers: 10,
        about: "10 load balancers with 50 backends of 10 servers each" },
    Scene { name: "one", dashboard: "haproxystats-load-balancer", balancers: 1, frontends: 50, backends: 500, servers: 10,
        about: "one load balancer with 500 backends of 10 servers" },
    Scene { name: "some", dashboard: "haproxystats-backend", balancers: 2, frontends: 0, backends: 1, servers: 500,
        about: "a backend of 500 servers on two load balancers" },
    Scene { name: "giant", dashboard: "haproxystats-backend", balancers: 1, frontends: 0, backends: 1, servers: 5000,
        about: "a backend of 5,000 servers on one load balancer" },
];

impl Scene {
    /// The names that stand for a `*` behind this element.
    fn names(&self, of: &str) -> (&'static str, usize) {
        match of {
            "frontend" => ("www", self.frontends),
            "backend" => ("shop", self.backends),
            "server" => ("web", self.servers),
            "certificate" => ("site", 100),
            "table" => ("table", 50),
            _ => ("lb", self.balancers),
        }
    }

    /// The paths that a pattern stands for.
    fn paths(&self, pattern: &str) -> Vec<String> {
        let mut paths = vec![String::new()];
        let mut before = "";
        for element in pattern.split('.') {
            let (name, count) = self.names(before);
            let all: Vec<String> = if element == "*" {
                (0..count).map(|number| format!("{name}-{number}")).collect()
            } else {
                vec![element.to_owned()]
            };
            paths = paths.iter().flat_map(|path| all.iter().map(move |name| format!("{path}/{name}"))).collect();
            before = element;
        }
        paths
    }
}

/// The patterns in a query.
fn patterns(query: &str) -> impl Iterator<Item = &str> {
    query.split(['(', ')', ',', ' ']).filter(|word| word.contains(".haproxy."))
}

/// A Whisper file with a counter that grows.
fn file(seed: u64) -> Vec<u8> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs() / STEP * STEP;
    let word = |number: u64| u32::try_from(number).unwrap().to_be_bytes();
    let mut bytes = [word(5), word(STEP * POINTS), 0_f32.to_be_bytes(), word(1)].concat();
    bytes.extend([word(28), word(STEP), word(POINTS)].concat());
    let mut value = seed * 1000;
    for point in 0..POINTS {
        value += 1 + (seed * 7919 + point * 104_729) % 997;
        bytes.extend(word(now - STEP * (POINTS - 1 - point)));
        bytes.extend((value as f64).to_be_bytes());
    }
    bytes
}

/// Makes the files of all series that a dashboard asks for; their number.
fn fill(root: &Path, scene: &Scene, dashboard: &Dashboard) -> usize {
    let panels = dashboard.rows.iter().flat_map(|row| row.panels);
    let queries: Vec<String> =
        panels.flat_map(|panel| queries(dashboard, panel)).map(|query| named(scene, &query)).collect();
    let patterns: BTreeSet<&str> = queries.iter().flat_map(|query| patterns(query)).collect();
    let paths: Vec<String> = patterns.into_iter().flat_map(|pattern| scene.paths(pattern)).collect();
    let kinds: Vec<_> = (0..50).map(|seed| root.join(format!("of-{}-{seed}", scene.name))).collect();
    kinds.iter().zip(0..).for_each(|(path, seed)| std::fs::write(path, file(seed)).unwrap());
    for (number, path) in paths.iter().enumerate() {
        let path = root.join(format!("{}.wsp", path.trim_start_matches('/')));
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::hard_link(&kinds[number % kinds.len()], path).unwrap();
    }
    paths.len()
}

/// A query about a scene.
fn named(scene: &Scene, query: &str) -> String {
    let value = if scene.dashboard == "haproxystats-backend" { "shop-0" } else { "lb-0" };
    query.replace("loadbalancers.", &format!("{}.", scene.name)).replace("__VALUE__", value)
}

#[test]
#[ignore = "measures for minutes; prints the table of docs/dashboards.md"]
fn times_of_panels() {
    let carbon = Carbon::start();
    let web = GraphiteWeb::start(&carbon);
    for scene in &SCENES {
        let dashboard = DASHBOARDS.iter().find(|dashboard| dashboard.name == scene.dashboard).unwrap();
        let series = fill(&carbon.root(), scene, dashboard);
        println!("\n{}: {}, {series} series", scene.dashboard, scene.about);
        let mut times = Vec::new();
        for panel in dashboard.rows.iter().flat_map(|row| row.panels) {
            let queries: Vec<String> = queries(dashboard, panel).iter().map(|query| named(scene, query)).collect();
            let read: usize =
                queries.iter().flat_map(|query| patterns(query)).map(|pattern| scene.paths(pattern).len()).sum();
            let mut path = "/render?from=-1h&width=500&height=280".to_owned();
            for (key, value) in parameters(panel, &[]) {
                path.extend(value.as_str().map(|text| format!("&{key}={}", encode(text))));
            }
            path.extend(queries.iter().map(|query| format!("&target={}", encode(query))));
            let (busy, time) = (0..3).map(|_| measure(&web, &path)).min().unwrap();
            let (busy_ms, time) = (busy.as_millis(), time.as_millis());
            println!("{busy_ms:>6} ms of CPU {time:>6} ms {read:>6} series  {}", panel.title);
            times.push((busy, read, panel.title));
        }
        times.sort_unstable();
        let (slowest, read, title) = times[times.len() - 1];
        let median = times[times.len() / 2].0.as_millis();
        let slowest = slowest.as_millis();
        println!("{} panels, CPU time: median {median} ms, most {slowest} ms: {title}, {read} series", times.len());
    }
}

/// CPU time of graphite-web, and the time until the image is there, which on a busy machine is longer.
fn measure(web: &GraphiteWeb, path: &str) -> (Duration, Duration) {
    let (start, before) = (Instant::now(), web.cpu_time());
    let image = web.get(path);
    assert!(image.starts_with(b"\x89PNG"));
    (web.cpu_time() - before, start.elapsed())
}
