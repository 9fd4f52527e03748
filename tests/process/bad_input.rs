//! What comes from outside may be anything: the rest of it counts, and what is left out is said with file and line.

use crate::harness;
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

const HEADER: &str = "# pxname,svname,scur,bin,lbtot,rtime,status,type,last_chk,\n";

struct Once {
    status: Option<i32>,
    points: BTreeMap<String, f64>,
    log: String,
}

/// Runs `--once` over a snapshot of these files.
fn once(options: &str, files: &[(&str, &[u8])]) -> Once {
    let place = tempfile::tempdir().unwrap();
    let config = harness::write(place.path(), "haproxystats.conf", options);
    let snapshot = place.path().join("1500000000");
    fs::create_dir(&snapshot).unwrap();
    for (name, bytes) in files {
        fs::write(snapshot.join(name), bytes).unwrap();
    }
    let mut command = harness::with_config(harness::process(), &config);
    let output = harness::output(command.arg("--once").arg(&snapshot)).unwrap();
    assert!(snapshot.is_dir(), "--once removes nothing");
    let text = String::from_utf8(output.stdout).expect("lines are UTF-8");
    let mut points = BTreeMap::new();
    for line in text.lines() {
        let [path, value, "1500000000"] = line.split(' ').collect::<Vec<_>>()[..] else {
            panic!("malformed: {line:?}")
        };
        assert!(value.parse::<f64>().unwrap().is_finite(), "{line}");
        let path = path.split_once(".haproxy.").unwrap().1;
        points.insert(path.to_owned(), value.parse().unwrap());
    }
    Once { status: output.status.code(), points, log: String::from_utf8_lossy(&output.stderr).into_owned() }
}

/// One `_stat` file with these rows below the usual header; the good backend must always come through.
fn rows(rows: &[u8]) -> Once {
    let good = b"good,BACKEND,5,6,7,8,UP,1,,\n";
    let text = [HEADER.as_bytes(), good, rows, good, b"\n"].concat();
    let once = once("", &[("a_stat", &text)]);
    assert_eq!(once.status, Some(0), "{}", once.log);
    assert_eq!((once.points["backend.good.scur"], once.points["backend.good.rtime"]), (10.0, 8.0), "{}", once.log);
    once
}

#[track_caller]
fn refused(once: &Once, line: usize) {
    assert!(once.log.contains("a_stat") && once.log.contains(&format!("line={line}")), "{}", once.log);
    assert_eq!(once.points.keys().filter(|path| path.contains("bad")).count(), 0);
}

#[test]
fn a_bad_row_costs_only_itself_and_is_named() {
    for row in [
        b"garbage\n".as_slice(),
        b"\x00\xff\xfe\x01,,,\n",
        b"bad,BACKEND,1,2\n",
        b"bad,BACKEND,1,2,3,4,UP,1,,,,,more,columns,\n",
        b"bad,BACKEND,one,2,3,4,UP,1,,\n",
        b"bad,BACKEND,1.5,2,3,4,UP,1,,\n",
        b"bad,BACKEND,1,99999999999999999999999,3,4,UP,1,,\n",
        b"bad,BACKEND,1,2,3,4,UP,9,,\n",
        b",BACKEND,1,2,3,4,UP,1,,\n",
        b"bad,\"BACKEND,1,2,3,4,UP,1,,\n",
    ] {
        refused(&rows(row), 3);
    }
}

#[test]
fn a_stray_quote_does_not_swallow_its_neighbours() {
    let once =
        rows(b"bad,BACKEND,1,2,3,4,UP,1,say \"hi,\nfine,BACKEND,1,2,3,4,UP,1,,\nbad2,BACKEND,1,2,3,4,UP,1,\",\n");
    assert_eq!(once.points["backend.fine.scur"], 1.0, "{}", once.log);
}

#[test]
fn quoted_fields_are_read() {
    let once = rows(b"fine,BACKEND,1,2,3,4,UP,1,\"a, \"\"b\"\",\nand more\",\n\"quo,ted\",BACKEND,2,2,3,4,UP,1,,\n");
    assert_eq!((once.points["backend.fine.scur"], once.points["backend.quo,ted.scur"]), (1.0, 2.0));
    assert!(!once.log.contains("left out"), "{}", once.log);
}

#[test]
fn an_endless_line_is_left_out() {
    let long = [b"bad,BACKEND,".as_slice(), &vec![b'1'; 300_000], b",2,3,4,UP,1,,\n"].concat();
    refused(&rows(&long), 3);
}

#[test]
fn names_are_made_safe() {
    let once = rows(b"a.b c;d/e\xff\x07,BACKEND,1,2,3,4,UP,1,,\n\xc5\xbc,BACKEND,1,2,3,4,UP,1,,\n");
    assert!(once.points.contains_key("backend.a_b_c_d_e__.scur"), "{:?}", once.points.keys());
    assert!(once.points.contains_key("backend.\u{17c}.scur"));
    let long = format!("{},BACKEND,1,2,3,4,UP,1,,\n", "x".repeat(5000));
    let once = rows(long.as_bytes());
    let path = once.points.keys().find(|path| path.contains("xxx")).unwrap();
    assert!(path.split('.').all(|element| element.len() <= 200), "{path}");
}

#[test]
fn a_newline_in_a_quoted_name_makes_no_line_of_its_own() {
    let once = rows(b"\"evil 1 1\nx.y\",BACKEND,1,2,3,4,UP,1,,\n");
    assert!(once.points.contains_key("backend.evil_1_1_x_y.scur"), "{:?}", once.points.keys());
}

const INFO: &[u8] = b"Name: HAProxy\nProcess_num: 1\nIdle_pct: 90\nMaxconn: 10\n";

#[test]
fn what_was_never_a_reply_of_a_process_costs_only_itself() {
    let stat = [HEADER.as_bytes(), b"good,BACKEND,5,6,7,8,UP,1,,\n\n"].concat();
    // What another pull took for replies: a master process, a frontend, a socket without rights.
    let words =
        ["Permission denied\n\n", "Unknown command: 'show', but maybe\n", "HTTP/1.1 400 Bad request\r\n\r\nno\n"];
    for bad in words.map(str::as_bytes) {
        let files: &[(&str, &[u8])] =
            &[("a_info", INFO), ("a_stat", &stat), ("b_info", bad), ("b_stat", bad), ("readme", bad), (".c_stat", bad)];
        let once = once("", files);
        assert_eq!(once.status, Some(0));
        assert_eq!((once.points["backend.good.scur"], once.points["daemon.Maxconn"]), (5.0, 10.0), "{}", once.log);
        assert!(once.log.contains("b_info") && once.log.contains("b_stat"), "{}", once.log);
        assert!(!once.log.contains("readme") && !once.log.contains(".c_stat"), "{}", once.log);
        assert!(once.log.contains("refused_files=2 unknown_objects=0"), "{}", once.log);
    }
}

/// A file that is empty or garbled, as a power failure leaves it, was the reply of a process. Without its part every sum
/// would dip.
#[test]
fn figures_of_all_processes_need_every_process() {
    let stat = [HEADER, "good,BACKEND,5,6,7,8,UP,1,,\ngood,s,5,6,7,8,UP,2,,\n\n"].concat();
    let options = "[process]\nper-process-metrics = true\naggr-server-metrics = true\nstatus-metrics = true\n";
    let own =
        |points: &BTreeMap<String, f64>, begin: &str| points.keys().filter(|path| path.starts_with(begin)).count();
    let garbage: [&[u8]; 6] = [b"", b"\n\n", b"\x00\x01\x02", &[0; 4096], &[0xff; 70_000], b"# pxname,svname,sc"];
    for bad in garbage {
        let of = |info, stat| once(options, &[("a_info", INFO), ("a_stat", stat), ("b_info", info), ("b_stat", bad)]);
        let both = of(bad, stat.as_bytes());
        assert_eq!(both.status, Some(0), "{}", both.log);
        assert!(both.log.contains("b_info") && both.log.contains("b_stat"), "{}", both.log);
        assert_eq!((own(&both.points, "backend."), own(&both.points, "server.")), (0, 0), "{:?}", both.points);
        assert!(both.log.contains("refused_files=2 unknown_objects=2"), "{}", both.log);
        assert!(both.log.contains("some=\"backend good, server good/s\""), "{}", both.log);
        assert!(own(&both.points, "daemon.") > 0);
        assert_eq!(own(&both.points, "daemon."), own(&both.points, "daemon.process.1."), "{:?}", both.points);
        // A good reply to one of the commands says that there is a process.
        let stat_alone = of(INFO, stat.as_bytes());
        assert_eq!((own(&stat_alone.points, "backend."), stat_alone.points["daemon.Maxconn"]), (0, 20.0));
        let cut = "Permission denied\n";
        let info_alone = once(
            options,
            &[("a_info", INFO), ("a_stat", stat.as_bytes()), ("b_info", INFO), ("b_stat", cut.as_bytes())],
        );
        assert_eq!(own(&info_alone.points, "backend."), 0, "{}", info_alone.log);
    }
}

#[test]
fn a_row_that_one_process_garbles_leaves_its_object_out_and_nothing_else() {
    let row = |proxy: &str, server: &str, kind: u32| format!("{proxy},{server},5,6,7,8,UP,{kind},,\n");
    let rows = [
        row("web", "FRONTEND", 0),
        row("web", "s1", 2),
        row("web", "s2", 2),
        row("web", "BACKEND", 1),
        row("db", "s1", 2),
    ];
    let options = "[process]\naggr-server-metrics = true\nstatus-metrics = true\n";
    let whole = [HEADER, &rows.concat(), "\n"].concat();
    let expected = once(options, &[("a_stat", whole.as_bytes()), ("b_stat", whole.as_bytes())]);
    assert_eq!((expected.points["backend.web.server.s1.scur"], expected.points["server.s1.bin"]), (10.0, 24.0));
    let is_own = |path: &str| path.starts_with("haproxystats.");
    for (place, object, gone) in [
        (0, "frontend web", &["frontend.web."][..]),
        (1, "server web/s1", &["backend.web.server.s1.", "server.s1.", "backend.web.servers_"]),
        (3, "backend web", &["backend.web."]),
    ] {
        let row = &rows[place];
        let cut = &row[..row.len() - 4];
        for garbled in [
            row.replacen(",5,", ",five,", 1),
            row.replacen(",5,", ",5.0,", 1),
            row.replacen(",6,", ",99999999999999999999999,", 1),
            row.replacen(",UP,", ",UP,more,", 1),
            row.replacen(",8,UP,", ",8,UP,9", 1),
            format!("{cut}\n"),
        ] {
            let other = whole.replacen(row, &garbled, 1);
            for files in [[&whole, &other], [&other, &whole]] {
                let found = once(options, &[("a_stat", files[0].as_bytes()), ("b_stat", files[1].as_bytes())]);
                for (path, value) in expected.points.iter().filter(|(path, _)| !is_own(path)) {
                    // A backend's own figures, and not those of its servers and about them.
                    let own =
                        !path.contains(".server.") && !path.contains("servers_") && !path.ends_with("TotalServers");
                    let is_gone = gone.iter().any(|gone| path.starts_with(gone)) && (place != 3 || own);
                    let value = Some(value).filter(|_| !is_gone);
                    assert_eq!(found.points.get(path), value, "{garbled:?}: {path}\n{}", found.log);
                }
                assert!(found.points.keys().all(|path| is_own(path) || expected.points.contains_key(path)));
                let told = found.log.contains("unknown_objects=1") && found.log.contains(&format!("some=\"{object}\""));
                assert!(told, "{}", found.log);
            }
        }
    }
}

#[test]
fn a_file_that_is_cut_off_leaves_out_what_may_have_followed() {
    let rows = "a,s1,5,6,7,8,UP,2,,\na,BACKEND,5,6,7,8,UP,1,,\nb,s1,5,6,7,8,UP,2,,\nb,BACKEND,5,6,7,8,UP,1,,\n";
    let whole = [HEADER, rows, "\n"].concat();
    for cut in ["a,BACKEND,5,6,7", "a,BACK", "a,", "a"] {
        let other = [HEADER, "a,s1,5,6,7,8,UP,2,,\n", cut].concat();
        let once = once("", &[("a_stat", whole.as_bytes()), ("b_stat", other.as_bytes())]);
        let points: Vec<_> = once.points.keys().filter(|path| !path.starts_with("haproxystats.")).collect();
        assert!(points.iter().all(|path| path.starts_with("backend.a.server.s1.")), "{cut:?}: {points:?}");
        assert_eq!(once.points["backend.a.server.s1.scur"], 10.0);
        assert!(once.log.contains("unknown_objects=3") && once.log.contains("left out server counts"), "{}", once.log);
    }
    // How many servers there are is not known of a process alone either.
    let alone = once("", &[("a_stat", [HEADER, "a,s1,5,6,7,8,UP,2,,\na,s2,5,6"].concat().as_bytes())]);
    assert_eq!(alone.points["backend.a.server.s1.scur"], 5.0);
    assert!(!alone.points.contains_key("backend.a.TotalServers"), "{:?}", alone.points);
}

#[test]
fn a_figure_that_one_process_garbles_is_not_that_of_all() {
    let info = |conns: &str| {
        format!("Name: HAProxy\nProcess_num: 1\nMaxconn: 10\nCurrConns: {conns}\nIdle_pct: 90\nCumReq: 70")
    };
    let options = "[process]\ncalculate-percentages = true\nper-process-metrics = true\n";
    let of = |other: String| {
        once(options, &[("a_info", format!("{}\n\n", info("4")).as_bytes()), ("b_info", other.as_bytes())])
    };
    let garbled = of(format!("{}\n\n", info("four")));
    assert_eq!((garbled.points["daemon.Maxconn"], garbled.points["daemon.CumReq"]), (20.0, 140.0));
    for name in ["CurrConns", "ConnPercentage"] {
        assert!(!garbled.points.contains_key(&format!("daemon.{name}")), "{name}: {:?}", garbled.points);
        assert!(garbled.points.contains_key(&format!("daemon.process.a.{name}")), "{:?}", garbled.points);
    }
    assert!(garbled.log.contains("figures=\"CurrConns ConnPercentage\""), "{}", garbled.log);
    // The end of a file that was cut off: 70, of what may have been 7012.
    let cut = of(info("4"));
    assert_eq!((cut.points.get("daemon.CumReq"), cut.points["daemon.CurrConns"]), (None, 8.0), "{}", cut.log);
}

#[test]
fn a_haproxy_without_proxies_is_no_error() {
    let info = b"Name: HAProxy\nProcess_num: 1\nIdle_pct: 90\nMaxconn: 10\n";
    let (bare, stat) = ([HEADER, "\n"].concat(), [HEADER, "good,BACKEND,5,6,7,8,UP,1,,\n\n"].concat());
    let alone = once("", &[("a_info", info), ("a_stat", bare.as_bytes())]);
    assert_eq!((alone.status, alone.points["daemon.Maxconn"]), (Some(0), 10.0));
    assert!(!alone.log.contains("ERROR") && !alone.log.contains("WARN"), "{}", alone.log);
    assert!(
        alone.log.contains("neither a frontend nor a backend") && alone.log.contains("refused_files=0"),
        "{}",
        alone.log
    );
    // As the original does: nothing is counted of which there is nothing.
    assert!(!alone.points.keys().any(|path| path.contains("MetricsFrontend")), "{:?}", alone.points.keys());
    let beside = once("", &[("a_stat", bare.as_bytes()), ("b_stat", stat.as_bytes())]);
    assert_eq!(beside.points["backend.good.scur"], 5.0, "{}", beside.log);
    // Rows of which none can be read are something else, and so is a file without a header, or with a part of one.
    for text in [[HEADER, "cut,off\n"].concat(), String::new(), "# pxname,svname,sc".to_owned()] {
        let bad = once("", &[("a_info", info), ("a_stat", text.as_bytes())]);
        assert!(bad.log.contains("ERROR") && bad.log.contains("refused_files=1"), "{}", bad.log);
    }
}

#[test]
fn links_are_not_followed() {
    let place = tempfile::tempdir().unwrap();
    let config = harness::write(place.path(), "haproxystats.conf", "");
    let outside = harness::write(place.path(), "outside", [HEADER, "bad,BACKEND,1,2,3,4,UP,1,,\n"].concat());
    let snapshot = place.path().join("1500000000");
    fs::create_dir(&snapshot).unwrap();
    std::os::unix::fs::symlink(outside, snapshot.join("a_stat")).unwrap();
    let mut command = harness::with_config(harness::process(), &config);
    let output = harness::output(command.arg("--once").arg(&snapshot)).unwrap();
    assert!(output.status.success());
    assert!(!String::from_utf8_lossy(&output.stdout).contains("bad"));
}

#[test]
fn fields_that_not_every_file_has_are_combined_over_those_that_have_them() {
    let old = b"# pxname,svname,scur,weight,lbtot,type,\nb,BACKEND,1,10,1,1,\n\n";
    let new = b"# pxname,svname,type,lbtot,eint,scur,uweight,\nb,BACKEND,1,1,7,2,30,\n\n";
    let options = "[process]\nbackend-metrics = scur eint uweight weight\nexact-selection = true\n";
    let once = once(options, &[("a_stat", old), ("b_stat", new), ("a_info", b"Idle_pct: 10\nJobs: 4\n")]);
    let value = |name: &str| once.points[&format!("backend.b.{name}")];
    assert_eq!((value("scur"), value("eint"), value("uweight"), value("weight")), (3.0, 7.0, 30.0, 10.0));
}

#[test]
fn what_is_no_snapshot_is_refused_with_a_word() {
    let place = tempfile::tempdir().unwrap();
    let config = harness::write(place.path(), "haproxystats.conf", "");
    for name in ["nowhere", "backup"] {
        let path = place.path().join(name);
        if name == "backup" {
            fs::create_dir(&path).unwrap();
        }
        let mut command = harness::with_config(harness::process(), &config);
        let output = harness::output(command.arg("--once").arg(&path)).unwrap();
        let log = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(66), "{log}");
        assert!(log.contains(name) && output.stdout.is_empty(), "{log}");
        assert!(Path::new(place.path()).exists());
    }
}

/// A snapshot of one HAProxy with two stats sockets, as earlier versions of pull wrote it.
fn two_sockets() -> Vec<(String, Vec<u8>)> {
    let place = crate::harness::root().join("tests/data/sockets/two-sockets");
    let files = harness::names(&place);
    assert_eq!(files.len(), 4, "{files:?}");
    files.into_iter().map(|name| (name.clone(), fs::read(place.join(&name)).unwrap())).collect()
}

fn borrowed(files: &[(String, Vec<u8>)]) -> Vec<(&str, &[u8])> {
    files.iter().map(|(name, bytes)| (name.as_str(), bytes.as_slice())).collect()
}

#[test]
fn a_process_is_counted_once_however_many_sockets_it_has() {
    let all = "[process]\nper-process-metrics = true\ndaemon-metrics = all\n";
    let files = two_sockets();
    let both = once(all, &borrowed(&files));
    let one: Vec<_> = files.iter().filter(|(name, _)| name.starts_with("admin")).cloned().collect();
    let alone = once(all, &borrowed(&one));
    let timeless = |points: &BTreeMap<String, f64>| -> BTreeMap<String, f64> {
        let kept = points.iter().filter(|(path, _)| !path.contains("WallClockTime"));
        kept.map(|(path, value)| (path.clone(), *value)).collect()
    };
    assert_eq!(timeless(&both.points), timeless(&alone.points));
    assert_eq!((both.points["backend.web.stot"], both.points["daemon.CumReq"]), (10.0, 16.0), "{:?}", both.points);
    let line = "sockets=\"admin.sock, stats_ro.sock\"";
    assert_eq!(both.log.matches(line).count(), 1, "{}", both.log);
    assert!(both.log.contains("counted_once=1") && alone.log.contains("counted_once=0"), "{}", both.log);
    // Containers may share all of it: hosts tell them apart.
    let hosts = "[hosts]\nadmin.sock = one\nstats_ro.sock = two\n";
    let apart = once(hosts, &borrowed(&files));
    assert!(apart.log.contains("counted_once=0"), "{}", apart.log);
    // So do counters that no time between two replies explains.
    let mut far = files;
    let info = String::from_utf8(far[2].1.clone()).unwrap().replace("\nCumReq: 16\n", "\nCumReq: 90000000\n");
    far[2].1 = info.into_bytes();
    let doubtful = once(all, &borrowed(&far));
    assert_eq!(doubtful.points["backend.web.stot"], 20.0);
    assert!(doubtful.log.contains("counted_once=0") && doubtful.log.contains("both are counted"), "{}", doubtful.log);
}

#[test]
fn processes_that_share_one_socket_are_told() {
    let info = b"Name: HAProxy\nVersion: 2.4.0\nNbproc: 2\nProcess_num: 1\nPid: 4001\nUptime_sec: 3\nnode: lb\n\n";
    let shared = once("", &[("one.sock_info", info)]);
    let lines = "stats socket /run/haproxy/1.sock process 1; stats socket /run/haproxy/2.sock process 2";
    assert_eq!(shared.log.matches(lines).count(), 1, "{}", shared.log);
    let second = String::from_utf8_lossy(info).replace("_num: 1", "_num: 2").replace("4001", "4002");
    let each = once("", &[("1.sock_info", info), ("2.sock_info", second.as_bytes())]);
    assert!(!each.log.contains("nbproc"), "{}", each.log);
}
