//! Algebra of the aggregation: against a slow and obvious implementation, and over any split of rows into processes.

use crate::harness;
use haproxystats::haproxy::columns::{self, Combine, Kind, Mode};
use haproxystats::process::pipeline::Pipeline;
use haproxystats::snapshot::Epoch;
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// The fields of the made-up HAProxy: some of every nature, in an order of its own.
const FIELDS: [&str; 26] = [
    "scur",
    "smax",
    "stot",
    "bin",
    "dreq",
    "weight",
    "act",
    "bck",
    "throttle",
    "lbtot",
    "qtime",
    "ctime",
    "rtime",
    "ttime",
    "downtime",
    "lastchg",
    "lastsess",
    "check_code",
    "qtime_max",
    "wrew",
    "uweight",
    "check_health",
    "req_tot",
    "eint",
    "slim",
    "qlimit",
];

#[derive(Debug, Clone)]
struct Row {
    kind: Kind,
    proxy: String,
    server: String,
    /// Of HTTP, not of TCP.
    http: bool,
    cells: Vec<Option<i64>>,
}

impl Row {
    fn cell(&self, name: &str) -> Option<i64> {
        FIELDS.iter().position(|field| *field == name).and_then(|index| self.cells[index])
    }

    fn text(&self) -> String {
        let cells: Vec<_> =
            self.cells.iter().map(|cell| cell.map_or(String::new(), |value| value.to_string())).collect();
        let server = match self.kind {
            Kind::Frontend => "FRONTEND",
            Kind::Backend => "BACKEND",
            Kind::Server => &self.server,
        };
        let mode = if self.http { "http" } else { "tcp" };
        format!("{},{server},{},{mode},{},\n", self.proxy, cells.join(","), self.kind as usize)
    }

    /// How many requests its averages of times are over.
    fn weight(&self) -> f64 {
        let requests = self.cell("req_tot").or(self.cell("stot")).or(self.cell("lbtot"));
        let balanced = self.cell("lbtot").unwrap_or(0) > 0;
        match requests {
            Some(requests) if requests > 0 => requests.min(1024) as f64,
            Some(_) => f64::from(u8::from(balanced)),
            None => 1.0,
        }
    }

    /// A cell is blank that this HAProxy always fills, or that of a limit which there is not.
    fn lacks(&self, column: &columns::Column) -> bool {
        let mode = if self.http { Mode::Http } else { Mode::Other };
        let printed = FIELDS.contains(&column.name);
        let is_limit = column.combine(self.kind) == Some(Combine::LimitOrBlank);
        let means_something = is_limit || column.is_always_filled(self.kind, mode, |_| true);
        printed && self.cell(column.name).is_none() && means_something
    }
}

fn rows() -> impl Strategy<Value = Vec<Row>> {
    let cell = prop_oneof![
        1 => Just(None),
        1 => Just(Some(0)),
        4 => (0_i64..1_000).prop_map(Some),
        1 => (0_i64..i64::MAX / 64).prop_map(Some),
    ];
    let flags = (any::<bool>(), any::<bool>());
    let row = (0_usize..3, 0_usize..4, 0_usize..4, proptest::collection::vec(cell, FIELDS.len()), flags).prop_map(
        |(kind, proxy, server, mut cells, (never, http))| {
            if never {
                cells[FIELDS.iter().position(|f| *f == "lastsess").unwrap()] = Some(-1);
            }
            // Two spellings of one path element.
            let proxy = ["a.b", "a_b", "c", "d-1"][proxy].to_owned();
            let server = ["s1", "s.2", "s_2", "BACKEND"][server].to_owned();
            Row { kind: Kind::ALL[kind], proxy, server, http, cells }
        },
    );
    proptest::collection::vec(row, 1..40)
}

/// The output for these rows, spread over files by `split`, without times.
fn output(options: &str, rows: &[Row], split: &[usize]) -> BTreeMap<String, f64> {
    let place = tempfile::tempdir().unwrap();
    publish(rows, split, place.path());
    lines(options, place.path(), "host", u64::MAX)
}

fn publish(rows: &[Row], split: &[usize], place: &Path) {
    let mut files: BTreeMap<usize, String> = BTreeMap::new();
    for (row, file) in rows.iter().zip(split.iter().cycle()) {
        let header = || format!("# pxname,svname,{},mode,type,\n", FIELDS.join(","));
        files.entry(*file).or_insert_with(header).push_str(&row.text());
    }
    for (file, text) in files {
        std::fs::write(place.join(format!("{file}_stat")), text + "\n").unwrap();
    }
}

/// What is sent for `host`, or for `cluster.` and the name of a cluster; of files above so many bytes, proxy by proxy.
fn lines(options: &str, directory: &Path, host: &str, batch: u64) -> BTreeMap<String, f64> {
    let config = harness::config(options);
    let mut text = Vec::new();
    let mut pipeline = Pipeline::new(&config, "host").in_batches_of(batch);
    pipeline.run(directory, Epoch(1), &mut text).unwrap();
    let text = String::from_utf8(text).unwrap();
    let mut found = BTreeMap::new();
    for line in text.lines().filter(|line| !line.contains("WallClockTime")) {
        let (path, rest) = line.split_once(' ').unwrap();
        let value = rest.strip_suffix(" 1").unwrap().parse().unwrap();
        let Some(path) = path.strip_prefix(&format!("loadbalancers.{host}.haproxy.")) else { continue };
        assert_eq!(found.insert(path.to_owned(), value), None, "{path} is sent twice");
    }
    found
}

/// What should be sent, computed without polars, hashing or typed columns.
fn reference(rows: &[Row], weighted: bool) -> BTreeMap<String, f64> {
    let mut objects: BTreeMap<(usize, String), (Kind, Vec<&Row>)> = BTreeMap::new();
    let safe = |name: &str| name.replace('.', "_");
    for row in rows {
        let path = match row.kind {
            Kind::Server => format!("backend.{}.server.{}", safe(&row.proxy), safe(&row.server)),
            kind => format!("{}.{}", kind.word(), safe(&row.proxy)),
        };
        objects.entry((row.kind as usize, path)).or_insert((row.kind, Vec::new())).1.push(row);
    }
    let mut found = BTreeMap::new();
    for ((_, path), (kind, rows)) in &objects {
        for column in columns::COLUMNS {
            let Some(rule) = column.combine(*kind) else { continue };
            let default = columns::is_default(*kind, column.name);
            let present = FIELDS.contains(&column.name);
            // Not asked for: `all` selects what HAProxy has, but a sum of the default list.
            if !(present || default && matches!(rule, Combine::Sum | Combine::Limit)) {
                continue;
            }
            if matches!(rule, Combine::Sum | Combine::LimitOrBlank) && rows.iter().any(|row| row.lacks(column)) {
                continue;
            }
            let rows =
                rows.iter().filter(|row| !row.lacks(column) && (rule != Combine::BusyMean || row.weight() > 0.0));
            let (values, weights): (Vec<f64>, Vec<f64>) = rows
                .filter_map(|row| Some((row.cell(column.name).or(default.then_some(0))?, row.weight())))
                .filter(|(value, _)| rule != Combine::MinPresent || *value >= 0)
                .map(|(value, weight)| (value as f64, if weighted { weight } else { 1.0 }))
                .unzip();
            if values.is_empty() {
                continue;
            }
            let sum: f64 = values.iter().sum();
            let value = match rule {
                Combine::Limit if values.contains(&0.0) => 0.0,
                Combine::Sum | Combine::Limit | Combine::LimitOrBlank => sum,
                Combine::Mean => sum / values.len() as f64,
                Combine::BusyMean | Combine::WeightedMean => {
                    let products: f64 = values.iter().zip(&weights).map(|(value, weight)| value * weight).sum();
                    products / weights.iter().sum::<f64>()
                }
                Combine::Max => values.iter().copied().fold(f64::MIN, f64::max),
                Combine::Min | Combine::MinPresent => values.iter().copied().fold(f64::MAX, f64::min),
            };
            found.insert(format!("{path}.{}", column.name), value);
        }
    }
    let backends: Vec<String> = objects
        .keys()
        .filter(|(kind, _)| *kind == Kind::Server as usize)
        .map(|(_, path)| path.split_once(".server.").unwrap().0.to_owned())
        .collect();
    for (kind, path) in objects.keys() {
        if *kind == Kind::Backend as usize {
            found.insert(format!("{path}.TotalServers"), 0.0);
        }
    }
    for backend in backends {
        *found.entry(format!("{backend}.TotalServers")).or_default() += 1.0;
    }
    found
}

fn agree(ours: &BTreeMap<String, f64>, reference: &BTreeMap<String, f64>) -> Result<(), TestCaseError> {
    let ours: BTreeMap<_, _> = ours.iter().filter(|(path, _)| !path.starts_with("haproxystats.")).collect();
    let keys: Vec<_> = ours.keys().map(|key| key.as_str()).collect();
    prop_assert_eq!(keys, reference.keys().map(String::as_str).collect::<Vec<_>>());
    for (path, value) in ours {
        let expected = reference[path];
        prop_assert!((value - expected).abs() <= 1e-9 * expected.abs(), "{path}: {value} for {expected}");
    }
    Ok(())
}

const ALL: &str = "[process]\nfrontend-metrics = all\nbackend-metrics = all\nserver-metrics = all\n";

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_field_is_combined_as_the_catalogue_says(rows in rows()) {
        // A blank cell of a summed default counts as 0, absent elsewhere; servers called BACKEND are servers.
        agree(&output(ALL, &rows, &[0]), &reference(&rows, false))?;
        agree(&output(&format!("{ALL}time-averages = weighted\n"), &rows, &[0]), &reference(&rows, true))?;
    }

    /// Processes, servers over all backends, hosts of a cluster: whatever is combined first, counters and averages of
    /// times come out the same.
    #[test]
    fn it_does_not_matter_to_sums_and_times_whose_processes_they_are(
        mut rows in rows(),
        split in proptest::collection::vec(0_usize..4, 1..40),
    ) {
        // HAProxy prints all of them in every row.
        for time in ["qtime", "ctime", "rtime", "ttime"] {
            let place = FIELDS.iter().position(|field| *field == time).unwrap();
            for row in &mut rows {
                row.cells[place].get_or_insert(0);
            }
        }
        let place = tempfile::tempdir().unwrap();
        publish(&rows, &split, place.path());
        let options = "aggr-server-metrics = true\n";
        let one_host = format!("[process]\ntime-averages = weighted\n{options}");
        let hosts: String = (0..4).map(|host| format!("{host} = lb-{host} edge\n")).collect();
        let cluster = format!("[process]\ncluster-metrics = true\n{options}[hosts]\n{hosts}");
        let kept = |points: BTreeMap<String, f64>| -> BTreeMap<String, f64> {
            let kept = |path: &String| {
                let leaf = path.rsplit('.').next().unwrap();
                let sum = columns::find(leaf).is_some_and(|column| column.nature == columns::Nature::Counter);
                sum || leaf.ends_with("time") && leaf != "downtime"
            };
            points.into_iter().filter(|(path, _)| kept(path)).collect()
        };
        let expected = kept(lines(&one_host, place.path(), "host", u64::MAX));
        for (options, host, batch) in [(&one_host, "host", 1), (&cluster, "cluster.edge", u64::MAX), (&cluster, "cluster.edge", 1)] {
            agree(&kept(lines(options, place.path(), host, batch)), &expected)?;
        }
    }

    #[test]
    fn a_server_in_one_backend_has_the_times_of_that_server(rows in rows()) {
        let mut row = rows[0].clone();
        (row.kind, row.server) = (Kind::Server, "alone".to_owned());
        let found = output("[process]\naggr-server-metrics = true\n", &[row.clone()], &[0]);
        for time in ["qtime", "ctime", "rtime", "ttime"] {
            let (total, server) = (format!("server.alone.{time}"), format!("backend.{}.server.alone.{time}", row.proxy.replace('.', "_")));
            match (found.get(&total), found.get(&server)) {
                (Some(total), Some(server)) => prop_assert!((total - server).abs() <= 1e-12 * server.abs()),
                (total, server) => prop_assert_eq!(total, server),
            }
        }
    }

    #[test]
    fn any_split_over_processes_gives_the_same(rows in rows(), split in proptest::collection::vec(0_usize..5, 1..40)) {
        prop_assert_eq!(output(ALL, &rows, &[0]), output(ALL, &rows, &split));
    }

    /// The same objects in the same order in every process, which takes a shorter way, but for the last process, which
    /// may lack some.
    #[test]
    fn processes_with_the_same_objects_are_combined_all_the_same(
        rows in rows(),
        processes in 1_usize..5,
        turn in 1_usize..FIELDS.len(),
        lacking in 0_usize..3,
    ) {
        let safe = |name: &str| name.replace('.', "_");
        let mut objects = BTreeSet::new();
        let objects: Vec<Row> = rows
            .into_iter()
            .filter(|row| {
                let server = if row.kind == Kind::Server { safe(&row.server) } else { String::new() };
                objects.insert((row.kind as usize, safe(&row.proxy), server))
            })
            .collect();
        let mut rows = Vec::new();
        let mut split = Vec::new();
        for process in 0..processes {
            for row in &objects {
                let mut row = row.clone();
                row.cells.rotate_left(process * turn % FIELDS.len());
                rows.push(row);
                split.push(process);
            }
        }
        let kept = rows.len() - lacking.min(objects.len() - 1);
        rows.truncate(kept);
        agree(&output(ALL, &rows, &split), &reference(&rows, false))?;
        agree(&output(&format!("{ALL}time-averages = weighted\n"), &rows, &split), &reference(&rows, true))?;
    }

    /// A row that cannot be read takes the object away that it is of, and changes nothing else.
    #[test]
    fn a_garbled_row_takes_its_object_with_it(
        rows in rows(),
        split in proptest::collection::vec(0_usize..4, 1..40),
        garbled in any::<proptest::sample::Index>(),
        batch in prop_oneof![Just(u64::MAX), Just(1)],
    ) {
        let garbled = garbled.index(rows.len());
        let row = &rows[garbled];
        prop_assume!(row.server != "BACKEND" || row.kind != Kind::Server);
        let options = format!("{ALL}aggr-server-metrics = true\n");
        let place = tempfile::tempdir().unwrap();
        publish(&rows, &split, place.path());
        let mut expected = lines(&options, place.path(), "host", batch);
        let file = place.path().join(format!("{}_stat", split[garbled % split.len()]));
        let before = rows.iter().zip(split.iter().cycle()).take(garbled);
        let line = 1 + before.filter(|(_, of)| **of == split[garbled % split.len()]).count();
        let text = std::fs::read_to_string(&file).unwrap();
        let mut text: Vec<String> = text.split('\n').map(str::to_owned).collect();
        // The first figure of it.
        text[line] = text[line].splitn(3, ',').enumerate().map(|(place, cell)| if place == 2 { format!("x{cell}") } else { cell.to_owned() }).collect::<Vec<_>>().join(",");
        std::fs::write(&file, text.join("\n")).unwrap();
        let safe = |name: &str| name.replace('.', "_");
        let (proxy, server) = (safe(&row.proxy), safe(&row.server));
        let others = |kind: Kind| {
            let same = |other: &Row| other.kind == kind && safe(&other.proxy) == proxy && (kind != Kind::Server || safe(&other.server) == server);
            rows.iter().enumerate().any(|(place, other)| place != garbled && same(other))
        };
        let has_servers = rows.iter().any(|other| other.kind == Kind::Server && safe(&other.proxy) == proxy);
        let is_gone = |path: &str| match row.kind {
            Kind::Frontend => path.starts_with(&format!("frontend.{proxy}.")),
            // The name may be that of a server, too.
            Kind::Backend => {
                let own = path.strip_prefix(&format!("backend.{proxy}.")).is_some_and(|leaf| !leaf.contains('.') && (leaf != "TotalServers" || !has_servers));
                let of_server = rows.iter().any(|other| other.kind == Kind::Server && safe(&other.proxy) == proxy && other.server == "BACKEND");
                own || of_server && (path.starts_with(&format!("backend.{proxy}.server.BACKEND.")) || path.starts_with("server.BACKEND."))
            }
            Kind::Server => {
                path.starts_with(&format!("backend.{proxy}.server.{server}.")) || path.starts_with(&format!("server.{server}."))
                    || path == format!("backend.{proxy}.TotalServers") && !others(Kind::Server)
            }
        };
        expected.retain(|path, _| !is_gone(path));
        agree(&lines(&options, place.path(), "host", batch), &expected.into_iter().filter(|(path, _)| !path.starts_with("haproxystats.")).collect())?;
    }

    #[test]
    fn servers_over_all_backends_sum_to_the_same(mut rows in rows()) {
        for row in &mut rows {
            row.cells[0].get_or_insert(0);
        }
        let options = "[process]\naggr-server-metrics = true\n";
        let found = output(options, &rows, &[0, 1]);
        let total = |prefix: &str, inner: &str| -> f64 {
            found.iter().filter(|(path, _)| path.starts_with(prefix) && path.contains(inner) && path.ends_with(".scur"))
                .map(|(_, value)| value).sum()
        };
        let (apart, together) = (total("backend.", ".server."), total("server.", "."));
        prop_assert!((apart - together).abs() <= 1e-9 * apart);
    }
}

const HEADER: &str = "# pxname,svname,type,mode,stot,bin,lbtot,req_tot,qtime,ctime,rtime,ttime,rate,";

/// What the program prints of a backend, and of a server in it, that several processes have, under these options: of this
/// host, and of the cluster of as many hosts as there are files.
fn of_backend(files: &[&str], averages: &str) -> [BTreeMap<String, f64>; 2] {
    let place = tempfile::tempdir().unwrap();
    let snapshot = place.path().join("1500000000");
    std::fs::create_dir(&snapshot).unwrap();
    for (number, cells) in files.iter().enumerate() {
        let text = format!("{HEADER}\nbe,BACKEND,1,http,{cells},\nbe,s,2,http,{cells},\n\n");
        std::fs::write(snapshot.join(format!("{number}_stat")), text).unwrap();
    }
    let hosts: String = (0..files.len()).map(|host| format!("{host} = lb-{host} edge\n")).collect();
    let options = format!("[process]\ntime-averages = {averages}\naggr-server-metrics = true\n");
    let cluster = format!("{options}cluster-metrics = true\n[hosts]\n{hosts}");
    [(options, None), (cluster, Some(".cluster.edge"))].map(|(options, part)| {
        let config = harness::write(place.path(), "haproxystats.conf", options);
        let mut command = harness::with_config(harness::process(), &config);
        let output = harness::output(command.arg("--once").arg(&snapshot)).unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let text = String::from_utf8(output.stdout).unwrap();
        let mut found = BTreeMap::new();
        for line in text.lines().filter(|line| !line.contains(".haproxystats.")) {
            let (path, value) = line.strip_suffix(" 1500000000").unwrap().split_once(' ').unwrap();
            let (before, path) = path.split_once(".haproxy.").unwrap();
            if part.is_none_or(|part| before.ends_with(part)) {
                found.insert(path.to_owned(), value.parse().unwrap());
            }
        }
        assert!(!found.is_empty(), "{text}");
        found
    })
}

#[test]
fn many_requests_count_for_more_than_few() {
    // stot, bin, lbtot, req_tot, qtime, ctime, rtime, ttime, rate: only the process with three requests has one now.
    let files = ["100000,1,100000,10000000,0,0,10,10,0", "100000,1,3,3,0,0,1000,1000,1"];
    let weighted = (1024.0 * 10.0 + 3.0 * 1000.0) / 1027.0;
    for (averages, of_host) in [("plain", 505.0), ("weighted", weighted)] {
        let [host, cluster] = of_backend(&files, averages);
        for path in ["backend.be", "backend.be.server.s"] {
            assert_eq!(host[&format!("{path}.rtime")], of_host, "{averages}");
            assert!((cluster[&format!("{path}.rtime")] - weighted).abs() < 1e-9, "clusters are always weighted");
            assert_eq!(cluster[&format!("{path}.ctime")], 0.0, "nothing is waited for, and that is told");
        }
        assert_eq!(host["server.s.rtime"], weighted, "servers over all backends as well");
    }
}

#[test]
fn requests_count_whatever_picked_their_server() {
    // A cookie, a stick table or use-server: nothing was balanced.
    let files = ["100000,1,0,10000,0,0,500,10,0", "100000,1,1,1,0,0,1,10,1"];
    let weighted = (1024.0 * 500.0 + 1.0) / 1025.0;
    assert!((499.5..499.6).contains(&weighted));
    for (averages, of_host) in [("plain", 250.5), ("weighted", weighted)] {
        let [host, cluster] = of_backend(&files, averages);
        assert_eq!(host["backend.be.rtime"], of_host, "{averages}");
        assert!((cluster["backend.be.rtime"] - weighted).abs() < 1e-9);
    }
    let [alone, _] = of_backend(&["100,1,0,100,0,0,151,160,0"], "plain");
    assert_eq!((alone["backend.be.rtime"], alone["backend.be.server.s.ttime"]), (151.0, 160.0));
    let [idle, _] = of_backend(&["7,1,0,0,0,0,151,160,0"], "weighted");
    assert_eq!(idle.get("backend.be.rtime"), None, "connections without a request have no times");
}

#[test]
fn a_counter_that_is_not_printed_is_no_reset() {
    let files = ["30,2929,30,30,0,0,5,5,1", ",,,40,0,0,7,7,1"];
    let [alone, _] = of_backend(&files[1..], "weighted");
    let [both, cluster] = of_backend(&files, "weighted");
    for points in [alone, both, cluster] {
        for path in ["backend.be", "backend.be.server.s", "server.s"] {
            for counter in ["stot", "bin", "lbtot"] {
                assert_eq!(points.get(&format!("{path}.{counter}")), None, "{path}");
            }
            assert!(points.contains_key(&format!("{path}.rtime")));
            // No column of the file: as ever.
            assert_eq!(points[&format!("{path}.eresp")], 0.0);
        }
        assert!(points["backend.be.req_tot"] >= 40.0);
    }
}
