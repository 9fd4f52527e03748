//! Names, labels, types and values beside those of HAProxy's own exporter, of the same process at the same moment.

use crate::harness::haproxy::ask;
use crate::harness::newer::{Haproxy, newer_haproxy, own_haproxy};
use crate::harness::prometheus::exchange;
use crate::harness::{Daemon, SOON, free_port, process, pull, wait_for, wait_until, with_config, write};
use haproxystats::prometheus::promex::{DIFFERENCES, What};
use std::collections::BTreeMap;
use std::path::Path;
use tempfile::TempDir;

/// A page: types by name, and values by name and labels.
#[derive(Debug, Default)]
struct Page {
    types: BTreeMap<String, String>,
    values: BTreeMap<String, f64>,
}

/// Families that are about other things than processes, frontends, backends and servers.
const OTHERS: [&str; 3] = ["haproxy_listener_", "haproxy_resolver_", "haproxy_sticktable_"];

impl Page {
    fn fetch(port: u16, path: &str) -> Option<Self> {
        let reply = exchange(port, &format!("GET {path} HTTP/1.0\r\n\r\n"))?;
        let (head, body) = reply.split_once("\r\n\r\n")?;
        assert!(head.contains(" 200 "), "{head}");
        // The exporter sends chunks whatever was asked for.
        let text = if head.to_ascii_lowercase().contains("chunked") { whole(body) } else { body.to_owned() };
        let mut page = Self::default();
        for line in text.lines().filter(|line| !line.is_empty()) {
            if let Some(rest) = line.strip_prefix("# TYPE ") {
                let (name, of) = rest.split_once(' ').expect(line);
                assert!(page.types.insert(name.to_owned(), of.to_owned()).is_none(), "{line} twice");
            } else if !line.starts_with('#') {
                let (key, value) = line.rsplit_once(' ').expect(line);
                let before = page.values.insert(sorted(key), value.parse().expect(line));
                assert!(before.is_none(), "{line} twice");
            }
        }
        Some(page)
    }

    fn retain(&mut self, keep: impl Fn(&str) -> bool) {
        self.types.retain(|name, _| keep(name));
        self.values.retain(|key, _| keep(name(key)));
    }
}

/// A body that came in chunks.
fn whole(mut body: &str) -> String {
    let mut text = String::new();
    while let Some((size, rest)) = body.split_once("\r\n") {
        let Some((chunk, rest)) = rest.split_at_checked(usize::from_str_radix(size, 16).expect(size)) else { break };
        text.push_str(chunk);
        body = rest.strip_prefix("\r\n").unwrap_or_default();
    }
    text
}

/// The same series with its labels in order.
fn sorted(key: &str) -> String {
    let Some((name, labels)) = key.split_once('{') else { return key.to_owned() };
    // Values in these tests have no commas.
    let mut labels: Vec<&str> = labels.trim_end_matches('}').split(',').collect();
    labels.sort_unstable();
    format!("{name}{{{}}}", labels.join(","))
}

fn name(key: &str) -> &str {
    key.split('{').next().unwrap_or(key)
}

fn differs(name: &str, what: What) -> bool {
    let is_it = |pattern: &str| match pattern.split_once('*') {
        Some((begin, end)) => name.strip_prefix(begin).is_some_and(|rest| rest.ends_with(end)),
        None => pattern == name,
    };
    DIFFERENCES.iter().any(|difference| difference.what == what && is_it(difference.metric))
}

struct World {
    directory: TempDir,
    _haproxy: Daemon,
    exporter: u16,
    ours: u16,
    _programs: Vec<Daemon>,
}

impl World {
    fn start(haproxy: &Haproxy) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let [www, origin, exporter, ours] = [free_port(), free_port(), free_port(), free_port()];
        for folder in ["stats", "in"] {
            std::fs::create_dir(directory.path().join(folder)).unwrap();
        }
        let socket = directory.path().join("stats/a.sock");
        let text = format!(
            "global\n\tstats socket {socket} mode 600 level admin\n\tmaxconn 1000\n\tnbthread 1\n\tmax-spread-checks 1ms\n\
             defaults\n\tmode http\n\ttimeout connect 1s\n\ttimeout client 5s\n\ttimeout server 5s\n\
             frontend www\n\tbind 127.0.0.1:{www}\n\tcompression algo gzip\n\tdefault_backend app\n\
             frontend raw\n\tmode tcp\n\tbind 127.0.0.1:{raw}\n\tdefault_backend pool\n\
             backend app\n\toption httpchk\n\tbalance roundrobin\n\
             \tserver s1 127.0.0.1:{origin} check inter 1h maxconn 50\n\
             \tserver s2 127.0.0.1:1 check inter 1h fall 1\n\tserver s3 127.0.0.1:{origin} backup\n\
             \tserver s4 127.0.0.1:{origin} disabled\n\
             backend pool\n\tmode tcp\n\tserver t1 127.0.0.1:{origin}\n\
             listen both\n\tbind 127.0.0.1:{both}\n\tserver x.y 127.0.0.1:{origin}\n\
             frontend exporter\n\tbind 127.0.0.1:{exporter}\n\
             \thttp-request use-service prometheus-exporter if {{ path /metrics }}\n\
             frontend origin\n\tbind 127.0.0.1:{origin}\n\thttp-request return status 404 if {{ path /none }}\n\
             \thttp-request return status 200\n",
            socket = socket.display(),
            raw = free_port(),
            both = free_port(),
        );
        let file = write(directory.path(), "haproxy.cfg", text);
        let mut command = haproxy.command();
        command.arg("-db").arg("-f").arg(file);
        let mut daemon = Daemon::spawn(command);
        // One check of each server and no more: while one runs, its code is 0, and it is a connection and a stream.
        wait_until(SOON, "HAProxy has checked s1 and s2", || {
            assert!(daemon.is_running(), "{}", daemon.output());
            let stat = ask(&socket, "show stat").unwrap_or_default();
            let says = |server, word| stat.lines().any(|row| row.starts_with(server) && row.contains(word));
            says("app,s1,", ",L7OK,") && says("app,s2,", ",DOWN,")
        });
        for path in ["/", "/", "/", "/none"] {
            exchange(www, &format!("GET {path} HTTP/1.0\r\n\r\n")).expect("www answers");
        }
        let programs = Self::programs(directory.path(), ours);
        Self { directory, _haproxy: daemon, exporter, ours, _programs: programs }
    }

    fn programs(directory: &Path, ours: u16) -> Vec<Daemon> {
        let base = directory.display();
        let text = format!(
            "[pull]\nsocket-dir = {base}/stats\npull-interval = 1\ndst-dir = {base}/in\ntmp-dst-dir = {base}/in.tmp\n\
             [process]\nsrc-dir = {base}/in\nfrontend-metrics = all\nbackend-metrics = all\nserver-metrics = all\n\
             daemon-metrics = all\nstatus-metrics = true\n[graphite]\nenabled = false\n[local-store]\ndir = {base}/store\n\
             [exporter:process]\nlisten = 127.0.0.1:{ours}\nstatistics = true\n"
        );
        let config = write(directory, "haproxystats.conf", text);
        [pull(), process()].map(|program| Daemon::spawn(with_config(program, &config))).into()
    }

    /// Our page, of a pull after this moment.
    fn page_after(&self, moment: f64) -> Page {
        wait_for(SOON, "a page of a later pull", || {
            let page = Page::fetch(self.ours, "/metrics")?;
            let time = page.values.get("haproxystats_process_statistics_time_seconds")?;
            (*time > moment).then_some(page)
        })
    }
}

fn now() -> f64 {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs_f64()
}

/// What changes from moment to moment, or by being asked.
fn is_restless(key: &str) -> bool {
    let of_asking = key.contains("proxy=\"exporter\"") || key.contains("proxy=\"origin\"");
    let name = name(key);
    let gauges = [
        "_rate",
        "_current_",
        "_jobs",
        "_idle_time_percent",
        "_uptime_seconds",
        "_change_seconds",
        "_session_seconds",
        "_pool_used_bytes",
        "_pool_allocated_bytes",
        "_check_duration_seconds",
        "_downtime_seconds_total",
        "connections_current",
        "_http_comp_bytes_",
    ];
    of_asking || gauges.iter().any(|part| name.contains(part))
}

#[track_caller]
fn compare(haproxy: &Haproxy) {
    let world = World::start(haproxy);
    let fetch = || {
        let mut page = Page::fetch(world.exporter, "/metrics?extra-counters").expect("the exporter answers");
        page.retain(|name| !OTHERS.iter().any(|other| name.starts_with(other)));
        page
    };
    // What was a rate in the second of the traffic is none any more.
    let before = fetch();
    let mut ours = world.page_after(now().floor());
    let after = fetch();
    ours.retain(|name| name.starts_with("haproxy_"));
    let mut wrong: Vec<String> = Vec::new();
    for (name, of) in &after.types {
        match ours.types.get(name) {
            None if differs(name, What::Absent) || differs(name, What::NoValue) => {}
            None => wrong.push(format!("{name} is missing")),
            Some(kind) if kind == of || differs(name, What::Type) => {}
            Some(kind) => wrong.push(format!("{name} is a {kind}, and a {of} in the exporter")),
        }
    }
    let mut same = 0;
    for (key, value) in &after.values {
        let (name, first) = (name(key), before.values.get(key).copied().unwrap_or(f64::NAN));
        match ours.values.get(key) {
            // The fields that Graphite has always had as 0.
            Some(value) if first.is_nan() => assert!(*value == 0.0, "{key} is {value}"),
            None if first.is_nan() || differs(name, What::Absent) => {}
            None if differs(name, What::Nothing) && matches!(*value, 0.0 | -1.0) => {}
            None => wrong.push(format!("{key} is missing")),
            Some(_) if is_restless(key) || differs(name, What::Value) => same += 1,
            Some(found) if (first.min(*value) - 1e-9..=first.max(*value) + 1e-9).contains(found) => same += 1,
            Some(found) => wrong.push(format!("{key} is {found}, and {first} to {value} in the exporter")),
        }
    }
    assert!(wrong.is_empty(), "{}\n{wrong:#?}", world.directory.path().display());
    assert!(same > 300, "{same} series");
    let responses = r#"haproxy_backend_http_responses_total{code="2xx",proxy="app"}"#;
    assert_eq!((ours.values[responses], ours.types["haproxy_backend_http_responses_total"].as_str()), (3.0, "counter"));
    let state = |server: &str, state: &str| {
        ours.values[&format!("haproxy_server_status{{proxy=\"app\",server=\"{server}\",state=\"{state}\"}}")]
    };
    assert_eq!((state("s1", "UP"), state("s2", "DOWN"), state("s4", "MAINT"), state("s4", "UP")), (1.0, 1.0, 1.0, 0.0));
}

#[test]
fn the_exporter_of_2_6_says_the_same() {
    compare(&own_haproxy());
}

#[test]
fn the_exporter_of_3_4_says_the_same() {
    if let Some(haproxy) = newer_haproxy("3.4") {
        compare(&haproxy);
    }
}
