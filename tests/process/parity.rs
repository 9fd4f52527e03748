//! The program against the output of the Python program that it replaces: every capture with every configuration, the
//! same set of (path, value, timestamp), save the deviations named in [`DEVIATIONS`].
//!
//! A case without deviation must agree completely: a missing and a surplus path are equally wrong. A case that a
//! deviation touches is compared with what the deviation says, and where the whole output differs (the Python program
//! died) with a golden file of our own; `HAPROXYSTATS_ACCEPT=1 cargo test --test process parity` rewrites those.

use crate::harness;
use crate::harness::made::{accepting, is_made_between};
use haproxystats::haproxy::columns::{self, Kind, Mode};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A deviation: its name, what the Python program does, what we do, and why. The same table stands in
/// docs/migration.md.
struct Deviation {
    name: &'static str,
    original: &'static str,
    ours: &'static str,
    why: &'static str,
}

const fn deviation(name: &'static str, original: &'static str, ours: &'static str, why: &'static str) -> Deviation {
    Deviation { name, original, ours, why }
}

const DEVIATIONS: &[Deviation] = &[
    deviation(
        "not-a-number",
        "sends `nan` as the value of a time without traffic, of an average of nothing, and -9223372036854775808 as the percentage of a process without the figure",
        "sends no line; the metric still counts in `Metrics*`",
        "carbon drops `nan` without a word, other stores count errors",
    ),
    deviation(
        "selected-and-averaged",
        "sends a metric that is selected and also averaged as `act_x` (sum) and `act_y` (mean)",
        "sends it once, by its own rule, as `act`; it counts once in `Metrics*`",
        "the two names are an accident of a join, and a sum of averages means nothing",
    ),
    deviation(
        "colliding-process-numbers",
        "sends several processes with the same `Process_num` on the same path",
        "puts the name of the socket in the number's place where numbers collide",
        "every HAProxy since 2.5 says 1: the values overwrote each other",
    ),
    deviation(
        "refused-at-start",
        "dies or goes on with a part of the configuration when a group's pattern or an interpolation is wrong",
        "refuses to start, exit status 78, and names file, section and option",
        "a mistake in a configuration is found before it costs data",
    ),
    deviation(
        "names-that-look-missing-or-numeric",
        "dies on proxies or servers called `NA`, `null`, `nan` and the like, or when all names of a file are numbers",
        "they are names like any other",
        "HAProxy accepts them",
    ),
    deviation(
        "bad-row-costs-only-itself",
        "dies, drops the whole file, drops a metric of all objects, or takes the missing cells as 0 when a row is cut off, has an open quote, or holds text or more than 64 bits in a numeric field",
        "leaves the row out, counts and logs it; the rest of the file counts",
        "wrong numbers are worse than missing ones, and one bad row must not cost the others",
    ),
    deviation(
        "a-sum-needs-all-its-parts",
        "combines the other processes when a file of one cannot be read, or a figure of `show info` or its end, as if there were fewer",
        "leaves out, counts and logs what is combined with its part: the objects of `show stat`, the figures of `show info`",
        "a sum without one of its parts is a dip in every graph",
    ),
    deviation(
        "big-counters-with-blanks",
        "drops a metric of all objects when it holds a value above 2^63 and a blank cell",
        "sends it",
        "HAProxy's counters are unsigned 64-bit numbers",
    ),
    deviation(
        "one-process-once",
        "adds a process once for each of its sockets",
        "counts it once, as the files of the first of its sockets say",
        "a process is what it says of itself (node, `Pid`, `Start_time_sec`), not the path to it",
    ),
    deviation(
        "absent-figures",
        "dies without `lbtot` or `Idle_pct`, and drops all metrics of the daemon when processes do not print the same figures",
        "combines each figure over the processes that print it",
        "HAProxy of different versions and builds stand side by side during every upgrade",
    ),
    deviation(
        "traffic-is-requests",
        "takes rows with `lbtot` above 0 for those with traffic: no times of what only cookies, stick tables or `use-server` pick, and those processes left out of the mean",
        "rows in which `req_tot` (or, where it is blank, `stot`) or `lbtot` is above 0",
        "HAProxy's averages are over requests, whatever picked the server",
    ),
    deviation(
        "weighted-server-totals",
        "sends as the times of a server over all backends (`aggr-server-metrics`) the plain mean of its rows",
        "weighs each row by the requests that it is over, at most 1,024",
        "a backend with one request a day is not half of a server's answer times",
    ),
    deviation(
        "blank-is-not-zero",
        "takes a blank cell for 0 in figures that HAProxy always prints; HAProxy 2.3.0 to 2.3.2 left some blank",
        "leaves the figure out, and the sums that it is a part of",
        "0 would be a reset of the counter in every graph",
    ),
    deviation(
        "no-servers-are-zero-servers",
        "sends no `TotalServers` of a backend without servers",
        "sends 0, with `status-metrics` also of the servers in each state; each counts in `MetricsServer`",
        "an alarm on the number of servers has to fire when the last one is gone",
    ),
    deviation(
        "no-limit-is-no-number",
        "adds 0, which means no limit, to the limits of other processes (`ConnRateLimit`, `SessRateLimit`, `SslRateLimit`, `MaxSslConns`, `CompressBpsRateLim`, `MaxZlibMemUsage`, `Memmax_MB`; `slim`, `rate_lim`)",
        "sends 0 where one of the processes has no limit, and no percentage of it",
        "100 and no limit are no limit",
    ),
    deviation(
        "a-share-is-no-sum",
        "adds `SslFrontendSessionReuse_pct` of all processes",
        "sends their mean, weighted by `SslRate`, and the plain one where that is 0 everywhere",
        "two processes that resume half of their sessions do not resume all",
    ),
];

/// A deviation that no capture shows: a unit test of `aggregate::daemon` does.
const SHOWN_ELSEWHERE: [&str; 1] = ["no-limit-is-no-number"];

/// Cases in which the output as a whole follows a deviation, compared with a golden file.
const GOLDEN: &[(&str, &str)] = &[
    ("edge/all-names-numeric", "names-that-look-missing-or-numeric"),
    ("edge/all-server-names-numeric", "names-that-look-missing-or-numeric"),
    ("edge/big-over-uint64", "bad-row-costs-only-itself"),
    ("edge/big-uint64-blank-mixed", "big-counters-with-blanks"),
    ("edge/column-missing-lbtot", "absent-figures"),
    ("edge/hex-plus-underscore-values", "bad-row-costs-only-itself"),
    ("edge/info-extra-int-key-in-one", "absent-figures"),
    ("edge/info-missing-Idle_pct", "absent-figures"),
    ("edge/info-mixed-versions", "absent-figures"),
    ("edge/info-truncated-one-of-two", "a-sum-needs-all-its-parts"),
    ("edge/info-value-forms", "a-sum-needs-all-its-parts"),
    ("edge/one-empty-info-of-two", "a-sum-needs-all-its-parts"),
    ("edge/one-empty-stat-of-two", "a-sum-needs-all-its-parts"),
    ("edge/name--nan", "names-that-look-missing-or-numeric"),
    ("edge/name-1.hashQNAN", "names-that-look-missing-or-numeric"),
    ("edge/name-NA", "names-that-look-missing-or-numeric"),
    ("edge/name-NULL", "names-that-look-missing-or-numeric"),
    ("edge/name-hashN_A", "names-that-look-missing-or-numeric"),
    ("edge/name-n_a", "names-that-look-missing-or-numeric"),
    ("edge/name-nan", "names-that-look-missing-or-numeric"),
    ("edge/name-null", "names-that-look-missing-or-numeric"),
    ("edge/server-name-NA", "names-that-look-missing-or-numeric"),
    ("edge/other-files-in-directory", "one-process-once"),
    ("edge/stat-truncated-inside-name", "bad-row-costs-only-itself"),
    ("edge/stat-truncated-mid-row", "bad-row-costs-only-itself"),
    ("edge/stat-unbalanced-quote", "bad-row-costs-only-itself"),
    ("edge/text-in-numeric-column", "bad-row-costs-only-itself"),
];

/// Configurations that are refused at start.
const REFUSED: &[&str] = &["groups-bad-regex", "groups-unescaped-dollar"];

/// Values by path and timestamp. One path may carry several values in the Python program's output.
type Points = BTreeMap<(String, String), Vec<f64>>;

/// One capture with one configuration.
struct Case {
    /// `<capture>/<configuration>`
    name: String,
    expected: PathBuf,
    capture: PathBuf,
}

fn data() -> PathBuf {
    crate::harness::root().join("tests/data")
}

fn subdirectories(directory: &Path) -> Vec<PathBuf> {
    let mut found: Vec<_> = fs::read_dir(directory)
        .unwrap_or_else(|error| panic!("{}: {error}", directory.display()))
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.is_dir())
        .collect();
    found.sort();
    found
}

fn file_name(path: &Path) -> String {
    path.file_name().unwrap().to_string_lossy().into_owned()
}

fn cases() -> Vec<Case> {
    let corpus = data().join("corpus");
    let mut cases = Vec::new();
    for capture in subdirectories(&corpus.join("expected")) {
        for expected in subdirectories(&capture) {
            let name = format!("{}/{}", file_name(&capture), file_name(&expected));
            let edge = file_name(&capture) == "edge";
            let capture = corpus.join("captures").join(if edge { name.clone() } else { file_name(&capture) });
            cases.push(Case { name, expected, capture });
        }
    }
    assert!(cases.len() > 100, "the corpus is not complete: {} cases", cases.len());
    cases
}

/// The points in a text, without those that hold wall-clock times; the host's name becomes a placeholder.
fn points(text: &str, host: &str) -> Points {
    let (whole, short) = (host.replace('.', "_"), host.split('.').next().unwrap_or(host));
    let mut points = Points::new();
    for line in text.lines() {
        let fields: Vec<&str> = line.split(' ').collect();
        let [path, value, timestamp] = fields[..] else { panic!("malformed line: {line:?}") };
        if path.contains(".haproxystats.") && path.contains("WallClockTime") {
            continue;
        }
        // Which form of the name `fqdn` selects is tested where paths are made: this machine's may have no dot.
        let path = path.replacen(&format!(".{whole}.haproxy."), ".HOST.haproxy.", 1);
        let path = path.replacen(&format!(".{short}.haproxy."), ".HOST.haproxy.", 1);
        let value = value.parse().unwrap_or_else(|_| panic!("no number: {line:?}"));
        points.entry((path, timestamp.to_owned())).or_default().push(value);
    }
    for values in points.values_mut() {
        values.sort_by(f64::total_cmp);
        values.dedup();
    }
    points
}

struct Output {
    status: Option<i32>,
    stdout: String,
    stderr: String,
}

/// Runs the program over the directories of a case.
fn run(case: &Case, timestamps: &BTreeSet<String>, batch: Option<&str>) -> Output {
    let place = tempfile::tempdir().unwrap();
    let base = place.path().to_str().unwrap();
    for entry in fs::read_dir(&case.expected).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "txt") {
            fs::copy(&path, place.path().join(file_name(&path))).unwrap();
        }
    }
    let text = fs::read_to_string(case.expected.join("haproxystats.conf")).unwrap();
    let config = place.path().join("haproxystats.conf");
    fs::write(&config, text.replace("/var/lib/haproxystats", base)).unwrap();
    let mut snapshots: Vec<PathBuf> = if case.capture.is_dir() { subdirectories(&case.capture) } else { Vec::new() };
    if snapshots.is_empty() {
        // git keeps no empty directory.
        assert_eq!(case.name, "edge/empty-directory");
        let empty = place.path().join("1500000000");
        fs::create_dir(&empty).unwrap();
        snapshots.push(empty);
    }
    // The output belongs to the directories whose timestamps it carries, or to the last one.
    let wanted: Vec<_> = snapshots.iter().filter(|path| timestamps.contains(&file_name(path))).cloned().collect();
    let snapshots = if wanted.is_empty() { vec![snapshots.last().unwrap().clone()] } else { wanted };
    let mut all = Output { status: Some(0), stdout: String::new(), stderr: String::new() };
    for snapshot in snapshots {
        let mut command = Command::new(env!("CARGO_BIN_EXE_haproxystats-process"));
        command.arg("-f").arg(&config).arg("--once").arg(snapshot);
        command.envs(batch.map(|bytes| ("HAPROXYSTATS_TEST_BATCH", bytes)));
        let output = harness::output(&mut command).unwrap();
        if !output.status.success() {
            all.status = output.status.code();
        }
        all.stdout += &String::from_utf8(output.stdout).expect("lines are UTF-8");
        all.stderr += &String::from_utf8_lossy(&output.stderr);
    }
    all
}

fn hostname() -> String {
    nix::unistd::gethostname().unwrap().into_string().unwrap()
}

fn near(a: f64, b: f64) -> bool {
    // A mean or a deviation may differ in the last bit, since sums are made in another order.
    a == b || (a - b).abs() <= 1e-12 * a.abs().max(b.abs())
}

fn same(a: &[f64], b: &[f64]) -> bool {
    a.len() == b.len() && a.iter().zip(b).all(|(a, b)| near(*a, *b))
}

/// Takes what both have out of both.
fn cancel(expected: &mut Points, ours: &mut Points) {
    expected.retain(|key, values| match ours.get(key) {
        Some(found) if same(values, found) => {
            ours.remove(key);
            false
        }
        _ => true,
    });
}

/// `not-a-number`: takes such values out of what is expected; returns whether there were any.
fn explain_not_a_number(expected: &mut Points) -> bool {
    let before = expected.len();
    expected.retain(|(path, _), values| {
        // The smallest 64-bit integer is what a cast made of not-a-number.
        values.retain(|v| !(v.is_nan() || path.ends_with("Percentage") && *v == i64::MIN as f64));
        !values.is_empty()
    });
    expected.len() != before
}

/// `selected-and-averaged`: `<metric>_x` and `_y` became `<metric>` with the value of `_y`.
fn explain_selected_and_averaged(expected: &mut Points, ours: &mut Points) -> bool {
    let mut merged: BTreeMap<&str, f64> = BTreeMap::new();
    let sums: Vec<_> = expected.keys().filter(|(path, _)| path.ends_with("_x")).cloned().collect();
    for key in &sums {
        let (stem, timestamp) = (key.0.trim_end_matches("_x"), &key.1);
        let mean = expected.remove(&(format!("{stem}_y"), timestamp.clone()));
        let found = ours.remove(&(stem.to_owned(), timestamp.clone()));
        match (mean, found) {
            (Some(mean), Some(found)) if same(&mean, &found) => {}
            // The mean was not a number.
            (None, None) => {}
            // Left to the deviations of means.
            (mean, found) => {
                let key = (stem.to_owned(), timestamp.clone());
                expected.extend(mean.map(|mean| (key.clone(), mean)));
                ours.extend(found.map(|found| (key, found)));
            }
        }
        expected.remove(key);
        let kind = if stem.contains(".server.") { "MetricsServer" } else { "MetricsBackend" };
        *merged.entry(kind).or_default() += 1.0;
    }
    for (kind, count) in &merged {
        let key = expected.keys().find(|(path, _)| path.ends_with(kind)).cloned().unwrap();
        let (was, is) = (expected.remove(&key).unwrap(), ours.remove(&key).unwrap());
        assert!(same(&[was[0] - count], &is), "{kind}: {was:?} less {count} became {is:?}");
    }
    !sums.is_empty()
}

/// `colliding-process-numbers`: the values of one number became those of several sockets.
fn explain_colliding_process_numbers(expected: &mut Points, ours: &mut Points) -> bool {
    const PATH: &str = ".daemon.process.";
    let parts = |path: &str| {
        let (base, rest) = path.split_once(PATH)?;
        let (process, metric) = rest.split_once('.')?;
        Some((base.to_owned(), process.to_owned(), metric.to_owned()))
    };
    let keys: Vec<_> = expected.keys().filter(|(path, _)| path.contains(PATH)).cloned().collect();
    for key in &keys {
        let values = expected.remove(key).unwrap();
        let (base, _, metric) = parts(&key.0).unwrap();
        let sockets: Vec<_> = ours
            .keys()
            .filter(|(path, time)| {
                *time == key.1
                    && parts(path).is_some_and(|(b, process, m)| {
                        b == base && m == metric && process.parse::<u64>().is_err() && process.contains("sock")
                    })
            })
            .cloned()
            .collect();
        assert!(sockets.len() > 1, "{}: only {sockets:?}", key.0);
        let mut found: Vec<f64> = sockets.iter().flat_map(|key| ours.remove(key).unwrap()).collect();
        found.sort_by(f64::total_cmp);
        found.dedup();
        assert!(same(&values, &found), "{}: {values:?} became {found:?}", key.0);
    }
    !keys.is_empty()
}

/// Rows of the statistics in a snapshot, field by name.
fn rows(snapshot: &Path) -> Vec<BTreeMap<String, String>> {
    let mut rows = Vec::new();
    for entry in fs::read_dir(snapshot).into_iter().flatten() {
        let path = entry.unwrap().path();
        if !file_name(&path).ends_with("_stat") {
            continue;
        }
        let text = fs::read(&path).unwrap();
        let text = text.strip_prefix(b"# ").unwrap_or(&text);
        let mut reader = csv::ReaderBuilder::new().flexible(true).from_reader(text);
        rows.extend(reader.deserialize().filter_map(Result::ok));
    }
    rows
}

/// An object, and the rows that a path is made of.
struct PathRows {
    field: String,
    kind: Kind,
    total: bool,
    rows: Vec<BTreeMap<String, String>>,
}

fn rows_of((path, time): &(String, String), case: &Case) -> Option<PathRows> {
    let parts: Vec<&str> = path.split('.').collect();
    let (kind, names) = match parts[..] {
        [.., "backend", backend, "server", server, _] => (Kind::Server, (Some(backend), Some(server))),
        [.., "backend", backend, _] => (Kind::Backend, (Some(backend), None)),
        [.., "frontend", frontend, _] => (Kind::Frontend, (Some(frontend), None)),
        [.., "server", server, _] => (Kind::Server, (None, Some(server))),
        _ => return None,
    };
    let snapshot = if case.capture.join(time).is_dir() { case.capture.join(time) } else { case.capture.clone() };
    let safe = |row: &BTreeMap<String, String>, name: &str| row.get(name).map(|name| name.replace('.', "_"));
    let is = |row: &BTreeMap<String, String>| {
        row.get("type").is_some_and(|of| *of == (kind as usize).to_string())
            && names.0.is_none_or(|name| safe(row, "pxname").as_deref() == Some(name))
            && names.1.is_none_or(|name| safe(row, "svname").as_deref() == Some(name))
    };
    let rows = rows(&snapshot).into_iter().filter(is).collect();
    Some(PathRows { field: parts.last()?.to_string(), kind, total: names.0.is_none(), rows })
}

/// `traffic-is-requests` and `weighted-server-totals`: times of objects in which the two rules disagree, worked out here.
fn explain_times(case: &Case, expected: &mut Points, ours: &mut Points) -> BTreeSet<&'static str> {
    let mut shown = BTreeSet::new();
    let number = |row: &BTreeMap<String, String>, field: &str| row.get(field)?.parse::<f64>().ok();
    let keys: BTreeSet<_> = expected.keys().chain(ours.keys()).cloned().collect();
    for key in keys {
        let Some(PathRows { field, total, rows, .. }) = rows_of(&key, case) else { continue };
        if !["qtime", "ctime", "rtime", "ttime"].contains(&field.as_str()) {
            continue;
        }
        let (mut sum, mut divisor, mut odd) = (0.0, 0.0, false);
        for row in &rows {
            let balanced = number(row, "lbtot").is_some_and(|balanced| balanced > 0.0);
            let requests = number(row, "req_tot").or(number(row, "stot")).or(number(row, "lbtot")).unwrap_or(0.0);
            odd |= requests > 0.0 && !balanced;
            let weight = if requests > 0.0 { requests.min(1024.0) } else { f64::from(u8::from(balanced)) };
            let weight = if total { weight } else { weight.min(1.0) };
            sum += number(row, &field).unwrap_or(0.0) * weight;
            divisor += weight;
        }
        if !(odd || total) || divisor == 0.0 {
            continue;
        }
        if ours.get(&key).is_some_and(|found| found.len() == 1 && near(found[0], sum / divisor)) {
            shown.insert(if total { "weighted-server-totals" } else { "traffic-is-requests" });
            ours.remove(&key);
            expected.remove(&key);
        }
    }
    shown
}

/// `blank-is-not-zero`: figures that are gone because a cell is blank that never is.
fn explain_blanks(case: &Case, expected: &mut Points, ours: &Points) -> bool {
    let before = expected.len();
    expected.retain(|key, _| {
        let Some(PathRows { field, kind, rows, .. }) = rows_of(key, case) else { return true };
        let blank = rows.iter().any(|row| {
            let mode = row.get("mode").map_or(Mode::Unsaid, |mode| Mode::of(mode.as_bytes()));
            let always =
                columns::find(&field).is_some_and(|c| c.is_always_filled(kind, mode, |name| row.contains_key(name)));
            always && row.get(&field).is_some_and(String::is_empty)
        });
        !blank || ours.contains_key(key)
    });
    expected.len() != before
}

/// `no-servers-are-zero-servers`: a number of servers, 0, of each backend without any, and its count.
fn explain_no_servers(expected: &mut Points, ours: &mut Points) -> bool {
    let surplus =
        |((path, _), values): (&(String, String), &Vec<f64>)| path.ends_with(".TotalServers") && values == &[0.0];
    let keys: Vec<_> = ours
        .iter()
        .filter(|entry| surplus(*entry) && !expected.contains_key(entry.0))
        .map(|(key, _)| key.clone())
        .collect();
    let mut backends: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (path, time) in &keys {
        // With groups a backend has two paths, and counts once.
        let name = path.rsplit('.').nth(1).unwrap_or_default().to_owned();
        backends.entry(time.clone()).or_default().insert(name);
        ours.remove(&(path.clone(), time.clone()));
    }
    for (time, backends) in backends {
        // Without them it is the number that other deviations speak of.
        let is_count = |(path, of): &(String, String)| path.ends_with(".haproxystats.MetricsServer") && *of == time;
        let counts = ours.iter_mut().filter(|(key, _)| is_count(key));
        counts.for_each(|(_, values)| values.iter_mut().for_each(|value| *value -= backends.len() as f64));
    }
    cancel(expected, ours);
    !keys.is_empty()
}

/// `a-share-is-no-sum`: the mean of the processes, weighted by their TLS sessions.
fn explain_share(case: &Case, expected: &mut Points, ours: &mut Points) -> bool {
    const SHARE: &str = "SslFrontendSessionReuse_pct";
    let keys = ours.keys().filter(|(path, _)| path.ends_with(&format!(".daemon.{SHARE}")));
    let keys: Vec<_> = keys.filter(|key| expected.contains_key(*key)).cloned().collect();
    for key in &keys {
        let snapshot =
            if case.capture.join(&key.1).is_dir() { case.capture.join(&key.1) } else { case.capture.clone() };
        let files = fs::read_dir(snapshot).unwrap().map(|entry| entry.unwrap().path());
        let figures: Vec<[f64; 2]> = files
            .filter(|path| file_name(path).ends_with("_info"))
            .map(|path| {
                let text = fs::read_to_string(path).unwrap();
                [SHARE, "SslRate"].map(|name| {
                    let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
                    value.and_then(|value| value.parse().ok()).unwrap_or(0.0)
                })
            })
            .collect();
        let weights: f64 = figures.iter().map(|[_, weight]| weight).sum();
        let weight = |of: f64| if weights > 0.0 { of / weights } else { 1.0 / figures.len() as f64 };
        let mean: f64 = figures.iter().map(|[share, of]| share * weight(*of)).sum();
        let (was, is) = (expected.remove(key).unwrap(), ours.remove(key).unwrap());
        assert!(same(&[mean], &is), "{}: {was:?} became {is:?}, not {mean}", key.0);
    }
    !keys.is_empty()
}

/// What is left, for the message of a failing test.
fn report(expected: &Points, ours: &Points) -> String {
    let list = |points: &Points, sign: char| {
        points.iter().take(20).map(|((path, time), v)| format!("  {sign} {path} {v:?} {time}\n")).collect::<String>()
    };
    format!("{} missing, {} surplus\n{}{}", expected.len(), ours.len(), list(expected, '-'), list(ours, '+'))
}

fn check_golden(case: &Case, ours: &Points) -> Result<(), String> {
    let text: String = ours.iter().map(|((path, time), values)| format!("{path} {} {time}\n", values[0])).collect();
    let file = data().join("golden/parity").join(format!("{}.txt", case.name.replace('/', "--")));
    if accepting() {
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(&file, &text).unwrap();
    }
    let golden = fs::read_to_string(&file).map_err(|error| format!("{}: {error}", file.display()))?;
    let (mut golden, mut ours) = (points(&golden, "HOST"), ours.clone());
    cancel(&mut golden, &mut ours);
    if golden.is_empty() && ours.is_empty() { Ok(()) } else { Err(report(&golden, &ours)) }
}

/// Compares one case, with files read in batches of so many bytes; returns the deviations that it showed.
fn check(case: &Case, batch: Option<&str>) -> Result<BTreeSet<&'static str>, String> {
    let mut shown = BTreeSet::new();
    let mut expected = points(&fs::read_to_string(case.expected.join("expected.txt")).unwrap(), "lb-01.example.com");
    let timestamps = expected.keys().map(|(_, time)| time.clone()).collect();
    let output = run(case, &timestamps, batch);
    if REFUSED.iter().any(|name| case.name.ends_with(name)) {
        let named = output.stderr.contains("-groups");
        return match (output.status, named) {
            (Some(78), true) => Ok(BTreeSet::from(["refused-at-start"])),
            _ => Err(format!("not refused: {:?}\n{}", output.status, output.stderr)),
        };
    }
    if output.status != Some(0) {
        return Err(format!("exit status {:?}\n{}", output.status, output.stderr));
    }
    let mut ours = points(&output.stdout, &hostname());
    if let Some(values) = ours.values().find(|values| values.iter().any(|value| !value.is_finite())) {
        return Err(format!("not finite: {values:?}"));
    }
    if let Some((_, name)) = GOLDEN.iter().find(|(case_name, _)| *case_name == case.name) {
        let (mut was, mut is) = (expected.clone(), ours.clone());
        explain_not_a_number(&mut was);
        cancel(&mut was, &mut is);
        if was.is_empty() && is.is_empty() {
            return Err(format!("agrees, and does not show {name}"));
        }
        check_golden(case, &ours)?;
        return Ok(BTreeSet::from([*name]));
    }
    if explain_not_a_number(&mut expected) {
        shown.insert("not-a-number");
    }
    cancel(&mut expected, &mut ours);
    if explain_no_servers(&mut expected, &mut ours) {
        shown.insert("no-servers-are-zero-servers");
    }
    if explain_selected_and_averaged(&mut expected, &mut ours) {
        shown.insert("selected-and-averaged");
    }
    if explain_colliding_process_numbers(&mut expected, &mut ours) {
        shown.insert("colliding-process-numbers");
    }
    shown.extend(explain_times(case, &mut expected, &mut ours));
    if explain_share(case, &mut expected, &mut ours) {
        shown.insert("a-share-is-no-sum");
    }
    if explain_blanks(case, &mut expected, &ours) {
        shown.insert("blank-is-not-zero");
    }
    if expected.is_empty() && ours.is_empty() { Ok(shown) } else { Err(report(&expected, &ours)) }
}

#[test]
fn the_python_programs_output_is_met() {
    let mut shown = BTreeSet::new();
    let mut failures = String::new();
    let cases = cases();
    for case in &cases {
        for batch in [None, Some("1")] {
            match check(case, batch) {
                Ok(names) => shown.extend(names),
                Err(why) => failures += &format!("{}, in batches of {batch:?}: {why}\n", case.name),
            }
        }
    }
    assert!(failures.is_empty(), "{failures}");
    let named = DEVIATIONS.iter().map(|deviation| deviation.name);
    let named: BTreeSet<_> = named.filter(|name| !SHOWN_ELSEWHERE.contains(name)).collect();
    assert_eq!(shown, named, "every named deviation is shown by some case, and no other");
    println!("{} cases agree, {} deviations", cases.len(), named.len());
}

#[test]
fn the_migration_guide_lists_every_deviation() {
    let marks = ["<!-- begin: deviations -->\n", "<!-- end: deviations -->"];
    let mut table = String::from("| name | the Python program | this program | why |\n|---|---|---|---|\n");
    for deviation in DEVIATIONS {
        let Deviation { name, original, ours, why } = deviation;
        table += &format!("| {name} | {original} | {ours} | {why} |\n");
    }
    is_made_between("docs/migration.md", marks, &table);
}
