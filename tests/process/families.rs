//! Families: real HAProxy of every release with certificates, tables, resolvers, peers, threads and listeners; what is sent is held
//! against what HAProxy says when it is asked here, by another reader than the program's, and against its own exporter.

use crate::harness::certificate::certificate;
use crate::harness::haproxy::{Fake, Script, ask};
use crate::harness::newer::{Haproxy, haproxies};
use crate::harness::prometheus::exchange;
use crate::harness::{
    self, Daemon, SOON, debian, free_port, names, poll, process, pull, wait_until, with_config, write,
};
use std::collections::BTreeMap;
use std::fs;
use std::net::UdpSocket;
use std::path::{Path, PathBuf};
use std::process::Command;
use tempfile::TempDir;

const ALL: &str = "listeners states tables resolvers certificates activity pools peers build";

/// Two HAProxies that are peers of each other, with something of every family; the first has everything.
struct Site {
    haproxy: Haproxy,
    directory: TempDir,
    _daemons: Vec<Daemon>,
    web: u16,
    other: u16,
    exporter: u16,
    /// What does not answer, and never will.
    _dns: UdpSocket,
}

impl Site {
    fn start(haproxy: &Haproxy) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let base = directory.path();
        fs::create_dir(base.join("s")).unwrap();
        for (name, days) in [("long", "400"), ("short", "2")] {
            let (crt, key) = certificate(&debian("openssl"), base, name, "/CN=localhost", "DNS:localhost");
            let mut command = Command::new(debian("openssl"));
            command.args(["req", "-x509", "-new", "-key"]).arg(&key).args([
                "-days",
                days,
                "-subj",
                "/CN=localhost",
                "-out",
            ]);
            assert!(harness::output(command.arg(&crt)).unwrap().status.success());
            let both = [fs::read(&crt).unwrap(), fs::read(&key).unwrap()].concat();
            fs::write(base.join(format!("{name}.both")), both).unwrap();
        }
        let dns = UdpSocket::bind("127.0.0.1:0").unwrap();
        let [web, other, tls, first, second, exporter] = [(); 6].map(|()| free_port());
        let global = |name: &str, socket: &Path| {
            format!(
                "global\n\tnbthread 2\n\tlocalpeer {name}\n\tstats socket {} mode 600 level operator\n\tnode node-{name}\n\
                 \tdescription lab of {name}\n\
                 defaults\n\tmode http\n\ttimeout connect 2s\n\ttimeout client 5s\n\ttimeout server 5s\n\toption socket-stats\n\
                 peers mesh\n\tpeer one 127.0.0.1:{first}\n\tpeer two 127.0.0.1:{second}\n",
                socket.display()
            )
        };
        let one = format!(
            "{}resolvers dns\n\tnameserver silent {}\n\tresolve_retries 1\n\ttimeout retry 100ms\n\ttimeout resolve 200ms\n\
             frontend www\n\tbind 127.0.0.1:{web} name plain\n\tbind 127.0.0.1:{other} name \"other\"\n\
             \tbind 127.0.0.1:{tls} name tls ssl crt {long} crt {short}\n\
             \thttp-request track-sc0 hdr(x-who) table web\n\tdefault_backend web\n\
             frontend exporter\n\tbind 127.0.0.1:{exporter}\n\thttp-request use-service prometheus-exporter\n\
             backend web\n\tstick-table type string len 32 size 100 expire 10m store gpc0,http_req_cnt peers mesh\n\
             \thttp-request return status 200\n\tserver down 127.0.0.1:1 check inter 200ms agent-check agent-port 1 agent-inter 200ms\n\
             \tserver named nowhere.example.test:80 check resolvers dns init-addr none\n\
             backend empty\n",
            global("one", &base.join("s/one.sock")),
            dns.local_addr().unwrap(),
            long = base.join("long.both").display(),
            short = base.join("short.both").display(),
        );
        let two = format!(
            "{}backend web\n\tstick-table type string len 32 size 100 expire 10m store gpc0,http_req_cnt peers mesh\n",
            global("two", &base.join("two.sock"))
        );
        let mut daemons = Vec::new();
        for (name, text, socket) in [("one", one, base.join("s/one.sock")), ("two", two, base.join("two.sock"))] {
            let mut command = haproxy.command();
            command.arg("-db").arg("-f").arg(write(base, &format!("{name}.cfg"), text));
            let mut daemon = Daemon::spawn(command);
            wait_until(SOON, "HAProxy answers", || {
                assert!(daemon.is_running(), "HAProxy ended:\n{}", daemon.output());
                ask(&socket, "show info").is_some()
            });
            daemons.push(daemon);
        }
        Self { haproxy: haproxy.clone(), directory, _daemons: daemons, web, other, exporter, _dns: dns }
    }

    fn ask(&self, command: &str) -> String {
        ask(&self.directory.path().join("s/one.sock"), command).unwrap_or_default()
    }

    /// Requests of so many clients.
    fn traffic(&self, clients: usize) {
        for client in 0..clients {
            let port = if client % 3 == 0 { self.other } else { self.web };
            let request = format!("GET / HTTP/1.0\r\nhost: a\r\nx-who: client-{client}\r\n\r\n");
            assert!(exchange(port, &request).is_some_and(|reply| reply.contains(" 200 ")));
        }
    }

    /// The first snapshot that has replies about families, by a pull with these families.
    fn snapshot(&self, families: &str) -> PathBuf {
        let base = self.directory.path().display();
        let text = format!(
            "[pull]\nsocket-dir = {base}/s\npull-interval = 1\npull-timeout = 0.9\nfamilies-interval = 1\ndst-dir = {base}/in\n\
             tmp-dst-dir = {base}/tmp\nfamilies = {families}\n"
        );
        let config = write(self.directory.path(), "pull.conf", text);
        let _ = fs::remove_dir_all(self.directory.path().join("in"));
        let mut pull = Daemon::spawn(with_config(pull(), &config));
        let incoming = self.directory.path().join("in");
        let found = poll(SOON, || {
            let all = names(&incoming).into_iter().filter(|name| !name.starts_with('.'));
            all.map(|name| incoming.join(name)).nth(2)
        });
        let found = found.unwrap_or_else(|| panic!("no snapshot:\n{}", pull.output()));
        pull.stop(SOON);
        found
    }
}

/// What is sent of a snapshot, by path below `haproxy.`.
fn sent(directory: &Path, snapshot: &Path, options: &str) -> BTreeMap<String, f64> {
    let config = write(directory, "process.conf", format!("[graphite]\nprefix-hostname = false\n{options}\n"));
    let mut command = with_config(process(), &config);
    let output = harness::output(command.arg("--once").arg(snapshot)).unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let line = |line: &str| {
        let [path, value, _] = line.split(' ').collect::<Vec<_>>()[..] else { panic!("malformed: {line}") };
        (path.strip_prefix("loadbalancers.haproxy.").unwrap().to_owned(), value.parse().unwrap())
    };
    String::from_utf8(output.stdout).unwrap().lines().map(line).collect()
}

fn families(families: &str) -> String {
    format!("[pull]\nfamilies = {families}")
}

/// Those below a path.
fn below<'a>(sent: &'a BTreeMap<String, f64>, path: &'a str) -> BTreeMap<&'a str, f64> {
    sent.iter().filter_map(|(name, value)| Some((name.strip_prefix(path)?, *value))).collect()
}

fn read(snapshot: &Path, suffix: &str) -> String {
    fs::read_to_string(snapshot.join(format!("one.sock{suffix}"))).unwrap_or_default()
}

/// `word=NUMBER` or `word: NUMBER` or `word:NUMBER` in a text.
fn figure(text: &str, word: &str) -> f64 {
    let rest = &text[text.find(word).unwrap_or_else(|| panic!("{word} in {text}")) + word.len()..];
    let rest = rest.trim_start_matches(['=', ':', ' ']);
    let end = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
    rest[..end].parse().unwrap_or_else(|_| panic!("{word} in {text}"))
}

fn end_of(certificate: &Path) -> f64 {
    let mut command = Command::new(debian("openssl"));
    let output = harness::output(command.args(["x509", "-noout", "-enddate", "-in"]).arg(certificate)).unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let date = text.trim().strip_prefix("notAfter=").unwrap();
    let mut command = Command::new("date");
    let output = harness::output(command.args(["-u", "+%s", "-d", date])).unwrap();
    String::from_utf8(output.stdout).unwrap().trim().parse().unwrap()
}

#[test]
fn values_are_those_that_haproxy_says() {
    for haproxy in haproxies() {
        let site = Site::start(&haproxy);
        site.traffic(7);
        wait_until(SOON, "peers are connected and the resolver has failed", || {
            let silent = site.ask("show stat domain resolvers");
            let row = silent.lines().find(|line| line.starts_with("silent,")).unwrap_or_default().to_owned();
            site.ask("show peers").contains("last_status=ESTA") && row.split(',').nth(2) != Some("0")
        });
        let snapshot = site.snapshot(ALL);
        let sent = sent(site.directory.path(), &snapshot, &families(ALL));
        let epoch: f64 = snapshot.file_name().unwrap().to_str().unwrap().parse().unwrap();
        let version = site.haproxy.version;
        // Tables: seven clients have left their entries.
        let table = below(&sent, "table.web.");
        assert_eq!((table["size"], table["used"], table["fill_pct"]), (100.0, 7.0, 7.0), "{version:?}");
        assert_eq!(figure(&read(&snapshot, "_tables"), "used"), 7.0);
        // Certificates: their ends by openssl.
        let name = |name: &str| {
            let path = site.directory.path().join(format!("{name}.both")).display().to_string();
            path.trim_start_matches('/').replace(['/', '.'], "_")
        };
        let [long, short] = ["long", "short"].map(|of| {
            let left = sent[&format!("certificate.{}.expires_in", name(of))];
            assert_eq!(left, end_of(&site.directory.path().join(format!("{of}.pem"))) - epoch, "{version:?} {of}");
            left
        });
        assert!(long > short && sent["certificates.expires_in"] == short, "{version:?}");
        assert_eq!((sent["certificates.count"], sent["certificates.expired"]), (2.0, 0.0));
        // Resolvers: every column.
        let csv = read(&snapshot, "_resolvers");
        let header: Vec<&str> = csv.lines().next().unwrap().trim_start_matches("# ").split(',').collect();
        let row: Vec<&str> = csv.lines().find(|line| line.starts_with("silent,dns,")).unwrap().split(',').collect();
        let silent = below(&sent, "nameserver.dns.silent.");
        for (field, cell) in header.iter().zip(row).skip(2).filter(|(field, _)| !field.is_empty()) {
            assert_eq!(silent[field], cell.parse::<f64>().unwrap(), "{version:?} {field}");
        }
        assert!(silent["sent"] > 0.0 && silent.len() == header.len() - 3, "{version:?}");
        // Threads: every line that is a figure.
        for line in read(&snapshot, "_activity").lines().filter(|line| line.contains(" [ ")) {
            let (field, values) = line.split_once(": ").unwrap();
            let values: Vec<f64> = values.split_whitespace().filter_map(|word| word.parse().ok()).collect();
            assert_eq!(sent[&format!("threads.{field}")], values[0], "{version:?} {line}");
            for (thread, value) in (1..).zip(&values[1..]) {
                assert_eq!(sent[&format!("thread.{thread}.{field}")], *value, "{version:?} {line}");
            }
        }
        assert_eq!(sent["threads.count"], 2.0);
        // Pools.
        let text = read(&snapshot, "_pools");
        let total = text.lines().find(|line| line.starts_with("Total: ")).unwrap();
        assert_eq!(sent["pools.count"], figure(total, "Total"), "{version:?}");
        assert_eq!(sent["pools.allocated_bytes"], figure(total, "pools, "), "{version:?}");
        let largest: f64 =
            text.lines().filter(|l| l.contains(" allocated (")).map(|l| figure(l, "allocated (")).fold(0.0, f64::max);
        let pools = below(&sent, "pool.").into_iter().filter(|(name, _)| name.ends_with(".allocated_bytes"));
        assert!(pools.map(|(_, value)| value).fold(0.0, f64::max) >= largest, "{version:?}");
        // Peers.
        let peer = below(&sent, "peer.mesh.two.");
        let text = read(&snapshot, "_peers");
        let of_two = &text[text.find("id=two(").unwrap()..];
        assert_eq!((peer["connected"], peer["status"]), (1.0, 3.0), "{version:?}\n{text}");
        let flags = text.split_once("flags=0x").and_then(|(_, rest)| rest.split(' ').next()).unwrap();
        let flags = u64::from_str_radix(flags, 16).unwrap();
        assert_eq!(sent["peers.mesh.resync"], f64::from(u8::from(flags & 3 == 3)), "{version:?}\n{text}");
        for field in ["tx_hbt", "rx_hbt", "no_hbt", "new_conn", "proto_err", "coll"] {
            assert_eq!(peer[field], figure(of_two, field), "{version:?} {field}");
        }
        assert_eq!(table["localupdate"], figure(&text, "localupdate"), "{version:?}");
        assert!(!sent.keys().any(|path| path.starts_with("peer.mesh.one.")), "the local peer is none");
        // Version, node, description.
        let version_text = read(&snapshot, "_info");
        let version_text = version_text.lines().find_map(|line| line.strip_prefix("Version: ")).unwrap();
        assert_eq!(sent[&format!("build.{}.processes", version_text.replace('.', "_"))], 1.0);
        assert_eq!((sent["node.node-one.processes"], sent["description.lab_of_one.processes"]), (1.0, 1.0));
        assert!(sent["haproxystats.MetricsFamilies"] > 50.0);
    }
}

/// The rows of a snapshot, field by name.
fn rows(snapshot: &Path) -> Vec<BTreeMap<String, String>> {
    let text = read(snapshot, "_stat");
    let mut reader = csv::Reader::from_reader(text.trim_start_matches("# ").as_bytes());
    reader.deserialize().map(|row| row.unwrap()).collect()
}

#[test]
fn listeners_and_states_come_with_the_rows() {
    for haproxy in haproxies() {
        let site = Site::start(&haproxy);
        site.traffic(6);
        wait_until(SOON, "the server is down by its check and by its agent", || {
            site.ask("show stat")
                .lines()
                .any(|line| line.starts_with("web,down,") && line.contains("L4CON") && line.contains("DOWN"))
        });
        let snapshot = site.snapshot("listeners states");
        let options = format!("{}\n[process]\nfrontend-metrics = all", families("listeners states"));
        let sent = sent(site.directory.path(), &snapshot, &options);
        let version = site.haproxy.version;
        let rows = rows(&snapshot);
        let listeners: Vec<_> = rows.iter().filter(|row| row["type"] == "3" && row["pxname"] == "www").collect();
        assert_eq!(listeners.len(), 3, "{version:?}");
        for row in listeners {
            let path = format!("frontend.www.listener.{}.", row["svname"].replace('.', "_"));
            let listener = below(&sent, &path);
            for field in ["scur", "smax", "slim", "stot", "bin", "bout", "dreq", "dresp", "ereq"] {
                assert_eq!(listener[field], row[field].parse::<f64>().unwrap(), "{version:?} {path}{field}");
            }
            assert_eq!((listener["status"], listener["status_up"]), (1.0, 1.0), "{version:?}");
        }
        assert_eq!(sent["frontend.www.listener.other.stot"], 2.0, "{version:?}");
        // As many sessions as the frontend.
        let all: f64 =
            ["plain", "other", "tls"].iter().map(|name| sent[&format!("frontend.www.listener.{name}.stot")]).sum();
        assert_eq!(all, sent["frontend.www.stot"]);
        assert_eq!((sent["frontend.www.status"], sent["frontend.www.status_up"]), (1.0, 1.0));
        assert_eq!((sent["backend.web.status"], sent["backend.web.status_up"]), (0.0, 0.0), "{version:?}");
        assert_eq!(sent["backend.web.server.down.agent_status"], 5.0, "L4CON");
        assert_eq!((sent["backend.web.server.down.status"], sent["backend.web.servers_nolb"]), (0.0, 0.0));
        // Of a backend without servers there are none, in any state.
        for metric in ["TotalServers", "servers_up", "servers_down", "servers_nolb", "servers_maint"] {
            assert_eq!(sent[&format!("backend.empty.{metric}")], 0.0, "{version:?} {metric}");
        }
        // Each state by itself.
        let series = self::sent(site.directory.path(), &snapshot, &format!("{options}\nstate-series = true"));
        for (path, value) in [
            ("frontend.www.status_is_open", 1.0),
            ("frontend.www.listener.tls.status_is_paused", 0.0),
            ("backend.web.status_is_down", 1.0),
            ("backend.web.server.down.status_is_up_n_m", 0.0),
            ("backend.web.server.down.check_status_is_l4con", 1.0),
            ("backend.web.server.down.agent_status_is_l4con", 1.0),
        ] {
            assert_eq!(series[path], value, "{version:?} {path}");
        }
        assert!(sent.iter().all(|(path, value)| path.contains("haproxystats") || series.get(path) == Some(value)));
        // Without them nothing of it is there.
        let without = self::sent(site.directory.path(), &snapshot, "");
        assert!(!without.keys().any(|path| path.contains(".listener.") || path.contains("status")), "{version:?}");
    }
}

/// A page of the exporter inside HAProxy: values by name and labels.
fn exporter(port: u16) -> BTreeMap<String, f64> {
    let reply = exchange(port, "GET /metrics HTTP/1.0\r\n\r\n").unwrap();
    let line = |line: &str| {
        let (key, value) = line.rsplit_once(' ')?;
        Some((key.to_owned(), value.trim().parse().ok()?))
    };
    reply.lines().filter(|text| text.starts_with("haproxy_")).filter_map(line).collect()
}

fn label<'a>(key: &'a str, name: &str) -> &'a str {
    let rest = key.split_once(&format!("{name}=\"")).map_or("", |(_, rest)| rest);
    rest.split('"').next().unwrap_or_default()
}

/// Fields of the exporter that are called otherwise there; `None` is one that is not a field of ours, with the reason in
/// docs/families.md.
fn field_of(family: &str) -> Option<&str> {
    Some(match family {
        "haproxy_listener_current_sessions" => "scur",
        "haproxy_listener_max_sessions" => "smax",
        "haproxy_listener_limit_sessions" => "slim",
        "haproxy_listener_sessions_total" => "stot",
        "haproxy_listener_bytes_in_total" => "bin",
        "haproxy_listener_bytes_out_total" => "bout",
        "haproxy_listener_requests_denied_total" => "dreq",
        "haproxy_listener_responses_denied_total" => "dresp",
        "haproxy_listener_request_errors_total" => "ereq",
        "haproxy_listener_connections_total" => "conn_tot",
        "haproxy_listener_denied_connections_total" => "dcon",
        "haproxy_listener_denied_sessions_total" => "dses",
        "haproxy_listener_failed_header_rewriting_total" => "wrew",
        "haproxy_listener_internal_errors_total" => "eint",
        "haproxy_listener_req_bytes_in_total" => "reqbin",
        "haproxy_listener_req_bytes_out_total" => "reqbout",
        "haproxy_listener_res_bytes_in_total" => "resbin",
        "haproxy_listener_res_bytes_out_total" => "resbout",
        "haproxy_sticktable_size" => "size",
        "haproxy_sticktable_used" => "used",
        "haproxy_sticktable_local_updates" => "localupdate",
        _ => family.strip_prefix("haproxy_resolver_")?,
    })
}

#[test]
fn everything_about_listeners_tables_and_resolvers_in_haproxys_own_exporter_is_sent() {
    let options = format!("{}\n[process]\nfrontend-metrics = all", families(ALL));
    for haproxy in haproxies() {
        let site = Site::start(&haproxy);
        site.traffic(5);
        let before = exporter(site.exporter);
        let snapshot = site.snapshot(ALL);
        let after = exporter(site.exporter);
        let sent = sent(site.directory.path(), &snapshot, &options);
        let mut compared = 0;
        for (key, value) in &before {
            let family = key.split('{').next().unwrap();
            let path = match family.split('_').nth(1).unwrap() {
                // What asks the exporter is a session of its listener.
                "listener" if label(key, "proxy") == "exporter" => continue,
                "listener" => {
                    let name = label(key, "listener");
                    let name = if name.is_empty() { label(key, "instance") } else { name };
                    format!("frontend.{}.listener.{name}", label(key, "proxy"))
                }
                "sticktable" => format!("table.{}", label(key, "name")),
                "resolver" => {
                    format!("nameserver.{}.{}", label(key, "resolver"), label(key, "nameserver").replace('.', "_"))
                }
                _ => continue,
            };
            // One series for each state, of which one is 1.
            if family == "haproxy_listener_status" {
                let up = label(key, "state") == "UP" || label(key, "state") == "OPEN";
                assert!(!up || sent[&format!("{path}.status_up")] == *value, "{key}");
                continue;
            }
            let field = field_of(family).unwrap_or_else(|| panic!("{:?}: {family} has no name here", haproxy.version));
            let ours = *sent
                .get(&format!("{path}.{}", if field.is_empty() { "-" } else { field }))
                .unwrap_or_else(|| panic!("{:?}: {key} is missing as {path}.{field}", haproxy.version));
            // Figures move: ours was taken between the two pages.
            let (low, high) = (value.min(after[key]), value.max(after[key]));
            assert!((low..=high).contains(&ours), "{:?}: {key}: {low} to {high}, here {ours}", haproxy.version);
            compared += usize::from(low == high);
        }
        let has_exporter = haproxy.version >= (2, 6) && !before.is_empty();
        assert!(!has_exporter || compared > 20, "{:?}: {compared} of {}", haproxy.version, before.len());
    }
}

const NEW_INFO: &str =
    "Name: HAProxy\nVersion: 3.9.1\nProcess_num: 1\nPid: 7\nnode: lb\nStart_time_sec: 9\nMaxconn: 10\n";

/// A reply with twenty columns and twenty lines that nobody knows, and what `typed` says of them.
fn invented() -> Vec<(&'static str, &'static str)> {
    let leak = |text: String| -> &'static str { Box::leak(text.into_boxed_str()) };
    let columns: String = (0..20).map(|n| format!("new_{n},")).collect();
    let cells = |add: u64| (0..20).map(|n| format!("{},", n + add)).collect::<String>();
    let lines: String = (0..20).map(|n| format!("New_{n}: {n}\n")).collect();
    let tags = ["MGP", "MCP", "CLP", "MMP", "MRP"];
    let typed =
        |row: &str| (0..20).map(|n| format!("{row}.{}.new_{n}.1:{}:u64:1\n", 200 + n, tags[n % 5])).collect::<String>();
    vec![
        ("show info", leak(format!("{NEW_INFO}{lines}\n"))),
        (
            "show stat",
            leak(format!(
                "# pxname,svname,scur,type,{columns}\nweb,FRONTEND,3,0,{}\nweb,s1,1,2,{}\nweb,BACKEND,2,1,{}\n\n",
                cells(100),
                cells(200),
                cells(300)
            )),
        ),
        (
            "show info typed",
            leak(format!(
                "0.Name.1:POS:str:HAProxy\n{}\n",
                (0..20).map(|n| format!("{}.New_{n}.1:MCP:u64:1\n", 90 + n)).collect::<String>()
            )),
        ),
        ("show stat typed", leak(format!("F.2.0.0.pxname.1:KNS:str:web\n{}{}\n", typed("F.2.0"), typed("S.2.1")))),
    ]
}

#[test]
fn fields_that_nobody_knows_are_told_counted_and_sent_when_asked_for() {
    let place = tempfile::tempdir().unwrap();
    let base = place.path();
    fs::create_dir(base.join("s")).unwrap();
    let fake = Fake::start(&base.join("s"), "one.sock", Script::Further(invented()));
    let run = |wanted: &str, snapshots: usize| -> (PathBuf, String) {
        let _ = fs::remove_dir_all(base.join("in"));
        let text = format!(
            "[pull]\nsocket-dir = {0}/s\npull-interval = 1\npull-timeout = 0.9\ndst-dir = {0}/in\ntmp-dst-dir = {0}/tmp\n\
             unknown-fields = {wanted}\n",
            base.display()
        );
        let mut pull = Daemon::spawn(with_config(pull(), &write(base, "pull.conf", text)));
        let found = poll(SOON, || {
            let all = names(&base.join("in")).into_iter().filter(|name| !name.starts_with('.'));
            all.map(|name| base.join("in").join(name)).nth(snapshots)
        });
        let found = found.unwrap_or_else(|| panic!("no snapshot:\n{}", pull.output()));
        pull.stop(SOON);
        (found, pull.output())
    };
    let (snapshot, output) = run("report", 3);
    assert_eq!(output.matches("does not know; unknown-fields = send").count(), 1, "{output}");
    assert!(output.contains("new_19") && output.contains("New_0") && output.contains("3.9.1"), "{output}");
    assert!(fs::read_to_string(snapshot.join(".pull")).unwrap().contains("PullUnknownFields 40\n"));
    assert!(fake.lines().iter().all(|line| line == "show info;show stat"), "{:?}", fake.lines());
    let known = sent(base, &snapshot, "");
    assert!(!known.keys().any(|path| path.to_lowercase().contains("new_")));
    let (snapshot, _) = run("send", 3);
    let typed = fake.lines().into_iter().filter(|line| line.ends_with(" typed"));
    assert_eq!(typed.collect::<Vec<_>>().len(), 2, "{:?}", fake.lines());
    let all = sent(base, &snapshot, "");
    for n in 0..20 {
        for (path, base) in [("frontend.web", 100), ("backend.web", 300), ("backend.web.server.s1", 200)] {
            assert_eq!(all[&format!("{path}.new_{n}")], f64::from(base + n));
        }
        assert_eq!(all[&format!("daemon.New_{n}")], f64::from(n));
    }
    let new = |path: &&String| path.to_lowercase().contains("new_");
    assert_eq!(all.keys().filter(new).count(), 80);
    assert!(known.iter().all(|(path, _)| all.contains_key(path)));
    // Another process of the same socket: figures are combined as their natures say.
    for suffix in ["_info", "_stat"] {
        let text = fs::read_to_string(snapshot.join(format!("one.sock{suffix}"))).unwrap();
        fs::write(snapshot.join(format!("two.sock{suffix}")), text.replace("Pid: 7", "Pid: 8")).unwrap();
    }
    let both = sent(base, &snapshot, "");
    // In turn gauge, counter, limit: sums; the largest; rate.
    assert_eq!((both["frontend.web.new_0"], both["frontend.web.new_3"]), (200.0, 103.0));
    assert_eq!(both["daemon.New_5"], 10.0);
}

#[test]
fn every_family_is_tried_on_every_socket_when_asked() {
    for haproxy in haproxies() {
        let site = Site::start(&haproxy);
        let base = site.directory.path();
        let text = format!("[pull]\nsocket-dir = {0}/s\ndst-dir = {0}/in\ntmp-dst-dir = {0}/tmp\n", base.display());
        let config = write(base, "check.conf", text);
        let mut command = with_config(pull(), &config);
        let output = harness::output(command.args(["--check", "--ask"])).unwrap();
        let table = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success(), "{table}{}", String::from_utf8_lossy(&output.stderr));
        let answered = table.lines().filter(|line| line.starts_with("one.sock ") && line.ends_with(" answered"));
        assert_eq!(answered.count(), 6, "{:?}\n{table}", haproxy.version);
        assert!(!table.contains("haproxy.cfg"), "{table}");
    }
}
