//! The whole way, with nothing of our own in between: real HAProxy processes under traffic, haproxystats-pull,
//! haproxystats-process, a real carbon-cache, and the points read back from its files.

use crate::harness::carbon::Carbon;
use crate::harness::incoming::snapshots;
use crate::harness::site::Site;
use crate::harness::{self, Daemon, SOON, names, poll, process, pull, wait_for, wait_until, with_config, write};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{SystemTime, UNIX_EPOCH};
use tempfile::TempDir;

/// What the original sends for each frontend, all of it sums.
const FRONTEND_SUMS: &str = "bin bout comp_byp comp_in comp_out comp_rsp conn_rate conn_rate_max conn_tot dcon dreq dresp \
    dses ereq hrsp_1xx hrsp_2xx hrsp_3xx hrsp_4xx hrsp_5xx hrsp_other intercepted rate rate_lim rate_max req_rate \
    req_rate_max req_tot scur slim smax stot";
/// Sums for each backend; besides these, means and times.
const BACKEND_SUMS: &str = "bin bout chkdown cli_abrt comp_byp comp_in comp_out comp_rsp downtime dreq dresp econ eresp \
    hrsp_1xx hrsp_2xx hrsp_3xx hrsp_4xx hrsp_5xx hrsp_other intercepted lbtot qcur qmax rate rate_max req_tot scur slim \
    smax srv_abrt stot wredis wretr";
/// Sums for each server of a backend; besides these, means and times.
const SERVER_SUMS: &str = "bin bout chkdown chkfail cli_abrt dresp econ eresp hrsp_1xx hrsp_2xx hrsp_3xx hrsp_4xx \
    hrsp_5xx hrsp_other lbtot qcur qmax rate rate_max scur slim smax srv_abrt stot wredis wretr";
/// Means over the processes that have had requests.
const TIMES: &str = "qtime ctime rtime ttime";
/// Sums over the processes of `show info`.
const DAEMON_SUMS: &str = "CompressBpsIn CompressBpsOut CompressBpsRateLim ConnRate ConnRateLimit CumConns CumReq \
    CumSslConns CurrConns CurrSslConns Hard_maxconn MaxConnRate MaxSessRate MaxSslConns MaxSslRate MaxZlibMemUsage \
    Maxconn Maxpipes Maxsock Memmax_MB PipesFree PipesUsed Run_queue SessRate SessRateLimit SslBackendKeyRate \
    SslBackendMaxKeyRate SslCacheLookups SslCacheMisses SslFrontendKeyRate SslFrontendMaxKeyRate \
    SslFrontendSessionReuse_pct SslRate SslRateLimit Tasks Ulimit-n \
    ZlibMemUsage";
/// Means over the processes of `show info`.
const DAEMON_MEANS: &str = "Idle_pct Uptime_sec";

/// Directories and a configuration file for both programs.
struct Setup {
    directory: TempDir,
    config: PathBuf,
}

impl Setup {
    fn new(site: &Site, carbon: &Carbon) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let base = directory.path().display().to_string();
        for folder in ["incoming", "incoming.tmp", "local-store"] {
            std::fs::create_dir(directory.path().join(folder)).unwrap();
        }
        let servers = match site.servers() {
            servers if servers.is_empty() => String::new(),
            servers => format!("servers = {servers}\n"),
        };
        let text = format!(
            "[paths]\nbase-dir = {base}\n\
             [pull]\nsocket-dir = {sockets}\n{servers}pull-interval = 1\n\
             dst-dir = ${{paths:base-dir}}/incoming\ntmp-dst-dir = ${{paths:base-dir}}/incoming.tmp\n\
             [process]\nsrc-dir = ${{paths:base-dir}}/incoming\nworkers = 2\n\
             [graphite]\nserver = 127.0.0.1\nport = {port}\nnamespace = lb\nsettle = 0.5\n\
             [local-store]\ndir = ${{paths:base-dir}}/local-store\n",
            sockets = site.socket_dir().display(),
            port = carbon.port(),
        );
        let config = write(directory.path(), "haproxystats.conf", text);
        Self { directory, config }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn pull(&self) -> Daemon {
        Daemon::spawn(with_config(pull(), &self.config))
    }

    fn process(&self) -> Daemon {
        Daemon::spawn(with_config(process(), &self.config))
    }

    /// Names of the snapshots that are ready.
    fn incoming(&self) -> Vec<String> {
        snapshots(&self.path("incoming"))
    }
}

/// `lb.<host>.haproxy.`
fn prefix() -> String {
    let host = nix::unistd::gethostname().unwrap().into_string().unwrap();
    format!("lb.{}.haproxy.", host.replace('.', "_"))
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

/// Rows of a reply to `show stat`, field by name.
fn rows(reply: &str) -> Vec<BTreeMap<String, String>> {
    let text = reply.strip_prefix("# ").expect("show stat starts with its header");
    let mut reader = csv::Reader::from_reader(text.as_bytes());
    reader.deserialize().map(|row| row.expect("a row of show stat")).collect()
}

/// One cell as a number; blank is zero, as in the original.
fn number(row: &BTreeMap<String, String>, field: &str) -> f64 {
    match row.get(field).unwrap_or_else(|| panic!("show stat has no {field}")).as_str() {
        "" => 0.0,
        text => text.parse().unwrap_or_else(|_| panic!("{field} is {text}")),
    }
}

#[expect(clippy::cast_precision_loss, reason = "a handful of values")]
fn mean(values: &[f64]) -> Option<f64> {
    (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
}

/// What the original's rules make of one snapshot, computed in the plainest way: path without prefix, and value.
fn expected(snapshot: &Path) -> BTreeMap<String, f64> {
    let read = |suffix: &str| {
        let files = names(snapshot).into_iter().filter(|name| name.ends_with(suffix));
        files.map(|name| std::fs::read_to_string(snapshot.join(name)).unwrap()).collect::<Vec<_>>()
    };
    let mut points = BTreeMap::new();
    expect_daemon(&read("_info"), &mut points);
    let rows: Vec<_> = read("_stat").iter().flat_map(|file| rows(file)).collect();
    let mut groups: BTreeMap<String, Vec<&BTreeMap<String, String>>> = BTreeMap::new();
    let mut servers: BTreeMap<String, BTreeSet<&str>> = BTreeMap::new();
    for row in &rows {
        let (proxy, name) = (row["pxname"].replace('.', "_"), row["svname"].replace('.', "_"));
        let path = match (row["svname"].as_str(), row["type"].as_str()) {
            ("FRONTEND", _) => format!("frontend.{proxy}"),
            ("BACKEND", _) => {
                servers.entry(proxy.clone()).or_default();
                format!("backend.{proxy}")
            }
            (server, "2") => {
                servers.entry(proxy.clone()).or_default().insert(server);
                format!("backend.{proxy}.server.{name}")
            }
            _ => continue,
        };
        groups.entry(path).or_default().push(row);
    }
    for (path, rows) in groups {
        let (sums, means, times) = match path.split('.').collect::<Vec<_>>()[..] {
            ["frontend", _] => (FRONTEND_SUMS, "", ""),
            ["backend", _] => (BACKEND_SUMS, "act bck weight", TIMES),
            _ => (SERVER_SUMS, "throttle weight", TIMES),
        };
        // All of it is HTTP.
        let busy: Vec<_> = rows.iter().filter(|row| row["req_tot"].parse::<u64>().is_ok_and(|n| n > 0)).collect();
        for field in sums.split_whitespace() {
            points.insert(format!("{path}.{field}"), rows.iter().map(|row| number(row, field)).sum());
        }
        for field in means.split_whitespace() {
            let values: Vec<_> = rows.iter().map(|row| number(row, field)).collect();
            points.extend(mean(&values).map(|value| (format!("{path}.{field}"), value)));
        }
        for field in times.split_whitespace() {
            let values: Vec<_> = busy.iter().map(|row| number(row, field)).collect();
            points.extend(mean(&values).map(|value| (format!("{path}.{field}"), value)));
        }
    }
    for (backend, servers) in servers {
        #[expect(clippy::cast_precision_loss, reason = "a handful of servers")]
        points.insert(format!("backend.{backend}.TotalServers"), servers.len() as f64);
    }
    points
}

fn expect_daemon(files: &[String], points: &mut BTreeMap<String, f64>) {
    let values = |field: &str| -> Vec<f64> {
        let lines = files.iter().flat_map(|file| file.lines());
        lines.filter_map(|line| line.strip_prefix(field)?.strip_prefix(": ")?.parse().ok()).collect()
    };
    for field in DAEMON_SUMS.split_whitespace() {
        // A field that no process has is sent as 0, as by the original.
        points.insert(format!("daemon.{field}"), values(field).iter().sum());
    }
    for field in DAEMON_MEANS.split_whitespace() {
        points.extend(mean(&values(field)).map(|value| (format!("daemon.{field}"), value)));
    }
    let mut busy: Vec<_> = values("Idle_pct").iter().map(|idle| 100.0 - idle).collect();
    busy.sort_by(f64::total_cmp);
    // Three processes: the nearest of them for each percentile, and the sample deviation.
    assert_eq!(busy.len(), 3);
    for (percentile, nearest) in [(25, 0), (50, 1), (75, 2), (95, 2), (99, 2)] {
        points.insert(format!("daemon.{percentile}PercentileCpuUsagePct"), busy[nearest]);
    }
    let average = mean(&busy).unwrap();
    let variance = busy.iter().map(|value| (value - average).powi(2)).sum::<f64>() / 2.0;
    points.insert("daemon.StdCpuUsagePct".to_owned(), variance.sqrt());
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for name in names(from) {
        let (from, to) = (from.join(&name), to.join(&name));
        if from.is_dir() {
            copy(&from, &to);
        } else {
            std::fs::copy(from, to).unwrap();
        }
    }
}

#[test]
fn every_point_in_graphite_is_what_the_sockets_said() {
    let site = Site::start(2, 1);
    for (number, count) in [(0, 5), (1, 11), (2, 7)] {
        for _ in 0..count {
            assert_eq!(site.request(number, "www", "/"), 200);
            assert_eq!(site.request(number, "api.v1", "/some/path"), 200);
        }
    }
    assert_eq!(site.request(1, "www", "/fail"), 503);

    // Snapshots are kept before anything processes them.
    let carbon = Carbon::start();
    let setup = Setup::new(&site, &carbon);
    let mut pull = setup.pull();
    wait_until(SOON, "three snapshots", || setup.incoming().len() >= 3);
    pull.stop(SOON);
    let kept = setup.path("kept");
    copy(&setup.path("incoming"), &kept);
    let snapshots = snapshots(&kept);

    // What was pulled is what the sockets say: the traffic has ended, so its counters stand still.
    for number in 0..3 {
        for snapshot in &snapshots {
            let file = kept.join(snapshot).join(format!("{}_stat", site.file_name(number)));
            let pulled = rows(&std::fs::read_to_string(file).unwrap());
            let said = rows(&site.ask(number, "show stat"));
            assert_eq!(pulled.len(), said.len());
            for (pulled, said) in pulled.iter().zip(&said).filter(|(row, _)| row["pxname"] != "app") {
                for field in
                    ["pxname", "svname", "type", "stot", "bin", "bout", "hrsp_2xx", "hrsp_5xx", "lbtot", "smax"]
                {
                    assert_eq!(pulled[field], said[field], "{field} of {} {}", said["pxname"], said["svname"]);
                }
            }
        }
    }

    let mut process = setup.process();
    wait_until(SOON, "all snapshots are processed", || setup.incoming().is_empty());
    process.stop(SOON);

    let prefix = prefix();
    for snapshot in &snapshots {
        let time: u64 = snapshot.parse().unwrap();
        let wanted = expected(&kept.join(snapshot));
        let arrived = || -> BTreeMap<String, f64> {
            let series = carbon.series().into_iter();
            series
                .filter(|path| !path.starts_with(&format!("{prefix}haproxystats.")))
                .filter_map(|path| Some((path.strip_prefix(&prefix)?.to_owned(), *carbon.points(&path).get(&time)?)))
                .collect()
        };
        // carbon-cache writes its files a little later; what is still missing then is named below.
        poll(SOON, || (arrived().len() >= wanted.len()).then_some(()));
        let arrived = arrived();
        let (wanted_paths, arrived_paths): (BTreeSet<_>, BTreeSet<_>) =
            (wanted.keys().collect(), arrived.keys().collect());
        assert_eq!(wanted_paths.difference(&arrived_paths).collect::<Vec<_>>(), Vec::<&&String>::new(), "missing");
        assert_eq!(arrived_paths.difference(&wanted_paths).collect::<Vec<_>>(), Vec::<&&String>::new(), "surplus");
        for (path, value) in &wanted {
            let error = (arrived[path] - value).abs();
            assert!(error <= 1e-12 * value.abs(), "{path} at {time}: {} instead of {value}", arrived[path]);
        }
        assert_eq!(arrived["frontend.www.stot"], 24.0);
        assert_eq!(arrived["frontend.api_v1.hrsp_2xx"], 23.0);
        assert_eq!(arrived["backend.shop.hrsp_5xx"], 1.0);
        for own in ["MetricsHAProxy", "MetricsFrontend", "MetricsBackend", "MetricsServer", "WallClockTimeAllStats"] {
            let path = format!("{prefix}haproxystats.{own}");
            wait_until(SOON, own, || carbon.points(&path).get(&time).is_some_and(|value| *value > 0.0));
        }
    }
}

#[test]
fn reload_and_stop_of_haproxy_are_survived() {
    let mut site = Site::start(2, 0);
    let mut carbon = Carbon::start();
    let setup = Setup::new(&site, &carbon);
    let mut process = setup.process();
    let mut pull = setup.pull();
    let series = format!("{}frontend.www.stot", prefix());
    let newest = |carbon: &Carbon| carbon.points(&series).into_iter().next_back();
    let counted = |site: &Site| -> f64 {
        let rows: Vec<_> = (0..2).flat_map(|number| rows(&site.ask(number, "show stat"))).collect();
        let www = rows.iter().filter(|row| row["pxname"] == "www" && row["svname"] == "FRONTEND");
        www.map(|row| number(row, "stot")).sum()
    };

    // Each reload sets the counters of one process to zero.
    for round in 1..=3 {
        for _ in 0..round {
            site.request(0, "www", "/");
            site.request(1, "www", "/");
        }
        wait_until(SOON, "the sessions are in Graphite", || {
            newest(&carbon).map(|(_, value)| value) == Some(counted(&site))
        });
        site.reload(0);
    }
    wait_until(SOON, "the counters after the reload", || newest(&carbon).map(|(_, value)| value) == Some(6.0));

    // A process that is gone costs the ticks, as in the original, until it is back.
    site.stop(1);
    pull.wait_for_output("lb1.sock", SOON);
    let last = now() + 1;
    wait_until(SOON, "three ticks without that process", || now() > last + 3);
    let published: Vec<u64> = names(&setup.path("local-store")).iter().map(|name| name.parse().unwrap()).collect();
    assert!(published.iter().all(|time| *time <= last), "a tick with a failed socket was published: {published:?}");
    site.launch(1);
    let back = wait_for(SOON, "points after HAProxy is back", || newest(&carbon).filter(|(time, _)| *time > last));
    assert_eq!(back.1, 0.0);

    pull.stop(SOON);
    wait_until(SOON, "all snapshots are processed", || setup.incoming().is_empty());
    process.stop(SOON);
    carbon.stop();
    assert_eq!(names(&setup.path("incoming.tmp")), Vec::<String>::new());

    // The local store knows of every snapshot that was processed: none is missing in Graphite.
    let points = carbon.points(&series);
    for time in names(&setup.path("local-store")) {
        let lines = std::fs::read_to_string(setup.path("local-store").join(&time).join("stats")).unwrap();
        let line = lines.lines().find_map(|line| line.strip_prefix(&series)).expect("the store has the metric");
        let value: f64 = line.split_whitespace().next().unwrap().parse().unwrap();
        assert_eq!(points.get(&time.parse().unwrap()), Some(&value), "{time}");
    }
}

#[test]
fn idle_workers_are_small() {
    let site = Site::start(1, 0);
    let carbon = Carbon::start();
    let setup = Setup::new(&site, &carbon);
    let process = setup.process();
    wait_until(SOON, "two workers", || process.children().len() == 2);
    let small = |when: &str| {
        let all = || process.children().into_iter().map(|worker| harness::rss_kib(worker).unwrap_or_default());
        let idle = poll(SOON, || all().all(|kib| kib > 0 && kib <= 16 * 1024).then_some(()));
        assert!(idle.is_some(), "idle workers have {:?} KiB {when}", all().collect::<Vec<_>>());
    };
    small("before their first snapshot");
    let mut pull = setup.pull();
    wait_until(SOON, "snapshots in the store", || names(&setup.path("local-store")).len() >= 4);
    pull.stop(SOON);
    wait_until(SOON, "all snapshots are processed", || setup.incoming().is_empty());
    // They hand back what they do not need after a few seconds without work.
    small("after their snapshots");
}

/// The program with the shipped configuration file, its directories and Graphite's port moved to where nothing is.
fn with_nothing_there(mut program: Command, directory: &Path) -> Command {
    let base = directory.join("nothing").display().to_string();
    let moved = format!(
        "[pull]\nsocket-dir = {base}/sockets\ndst-dir = {base}/incoming\ntmp-dst-dir = {base}/incoming.tmp\n\
         [process]\nsrc-dir = {base}/incoming\n[graphite]\nport = {}\n",
        harness::free_port()
    );
    write(directory, "moved.conf", moved);
    program.arg("-f").arg(crate::harness::root().join("haproxystats.conf")).arg("-d").arg(directory);
    program
}

#[test]
fn with_nothing_there_both_programs_say_what_is_missing() {
    let directory = tempfile::tempdir().unwrap();
    let incoming = directory.path().join("nothing/incoming");

    // Without its directory haproxystats-process does not start, and says which one it is.
    let (status, output) = harness::run(with_nothing_there(process(), directory.path()), SOON);
    // With this code systemd tries again; after 78 it would not, and a disk may come back.
    assert_eq!(status.code(), Some(1), "{output}");
    assert!(output.contains("src-dir") && output.contains(&*incoming.to_string_lossy()), "{output}");

    // haproxystats-pull makes its directories, and waits for sockets.
    let mut pull = Daemon::spawn(with_nothing_there(pull(), directory.path()));
    pull.wait_for_output("no sockets", SOON);
    assert!(incoming.is_dir());

    // Now haproxystats-process runs without Graphite, and says so.
    let mut process = Daemon::spawn(with_nothing_there(process(), directory.path()));
    process.wait_for_output("cannot connect to 127.0.0.1", SOON);
    assert!(process.is_running());
    process.stop(SOON);
    pull.stop(SOON);
    for output in [output, pull.output(), process.output()] {
        assert!(!output.contains("panicked"), "{output}");
    }
}
