use haproxystats::{config::*, process::pipeline::Pipeline, snapshot::Epoch};
use std::{collections::HashMap, io::Write, num::*, time::Duration};
fn main() {
    let a: Vec<String> = std::env::args().collect();
    let text = std::fs::read_to_string(&a[1]).unwrap();
    let base = &a[2];
    let mut m: HashMap<(String, String), String> = HashMap::new();
    let mut order = vec![];
    let mut sec = String::new();
    for l in text.lines() {
        let l = l.trim();
        if l.starts_with('[') {
            sec = l.trim_matches(['[', ']']).into();
            continue;
        }
        if let Some((k, v)) = l.split_once('=') {
            let v =
                v.trim().replace("${paths:base-dir}", base).replace("/var/lib/haproxystats", base).replace("$$", "$");
            m.insert((sec.clone(), k.trim().to_lowercase()), v.clone());
            order.push((sec.clone(), k.trim().to_lowercase(), v));
        }
    }
    let g = |s: &str, k: &str| m.get(&(s.to_string(), k.to_string())).cloned();
    let b = |s: &str, k: &str, d: bool| g(s, k).map_or(d, |v| v == "true");
    let sel = |k: &str| {
        g("process", k).map_or(Selection::Default, |v| {
            if v == "all" { Selection::All } else { Selection::List(v.split(' ').map(String::from).collect()) }
        })
    };
    let grp = |s: &str| {
        order
            .iter()
            .filter(|(x, k, _)| x == s && !["timeout", "retries", "interval", "loglevel"].contains(&k.as_str()))
            .filter_map(|(_, k, v)| regex::Regex::new(v).ok().map(|pattern| Group { name: k.clone(), pattern }))
            .collect::<Vec<_>>()
    };
    let one = NonZeroUsize::MIN;
    let second = Duration::from_secs(1);
    let c = Config {
        pull: Pull {
            loglevel: LogLevel::Info,
            socket_dir: None,
            servers: vec![],
            retries: Retries::Times(1),
            timeout: second,
            interval: second,
            pull_timeout: None,
            pull_interval: second,
            buffer_limit: NonZeroU64::MIN,
            dst_dir: "/".into(),
            tmp_dst_dir: "/".into(),
            workers: one,
            queue_size: one,
            on_socket_failure: OnSocketFailure::DropAll,
            fsync: false,
        },
        process: Process {
            loglevel: LogLevel::Info,
            src_dir: "/".into(),
            workers: one,
            frontend_metrics: sel("frontend-metrics"),
            backend_metrics: sel("backend-metrics"),
            server_metrics: sel("server-metrics"),
            daemon_metrics: sel("daemon-metrics"),
            exact_selection: b("process", "exact-selection", false),
            aggr_server_metrics: b("process", "aggr-server-metrics", false),
            per_process_metrics: b("process", "per-process-metrics", false),
            calculate_percentages: b("process", "calculate-percentages", false),
            status_metrics: b("process", "status-metrics", false),
            exclude_frontends: g("process", "exclude-frontends").map(Into::into),
            exclude_backends: g("process", "exclude-backends").map(Into::into),
            liveness_check_interval: second,
            worker_timeout: second,
            self_metrics: true,
        },
        graphite: Graphite {
            server: "x".into(),
            port: 1,
            retries: Retries::Times(3),
            interval: second,
            backoff: 2.0,
            delay: second,
            connect_timeout: second,
            write_timeout: second,
            namespace: g("graphite", "namespace").unwrap_or("loadbalancers".into()),
            prefix_hostname: b("graphite", "prefix-hostname", true),
            fqdn: b("graphite", "fqdn", true),
            queue_size: one,
            queue_full: QueueFull::Keep,
            group_namespace: g("graphite", "group-namespace").map(|name| GroupNamespace {
                name,
                double_writes: b("graphite", "group-namespace-double-writes", false),
            }),
        },
        local_store: None,
        groups: Groups {
            frontend: grp("frontend-groups"),
            backend: grp("backend-groups"),
            server: grp("server-groups"),
        },
    };
    let mut p = Pipeline::new(&c, "lb-01.example.com");
    for d in &a[3..] {
        let d = std::path::Path::new(d);
        let e = Epoch::from_name(d.file_name().unwrap().to_str().unwrap()).unwrap();
        let mut out = vec![];
        let r = p.run(d, e, &mut out);
        eprintln!("{r:?}");
        std::io::stdout().write_all(&out).unwrap();
    }
}
