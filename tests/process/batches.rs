//! A snapshot that is read in batches of whole proxies gives the lines that it gives when it is read at once, in another
//! order.

use crate::files::file;
use crate::harness;
use haproxystats::process::pipeline::{Pipeline, PipelineError, Report};
use haproxystats::snapshot::Epoch;
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::path::Path;

/// What a snapshot became: values by path, in their order where a path is there several times.
#[derive(Debug, PartialEq)]
struct Outcome {
    points: BTreeMap<String, Vec<String>>,
    report: Report,
}

fn outcome(pipeline: &mut Pipeline, directory: &Path) -> Result<Outcome, PipelineError> {
    let mut text = Vec::new();
    let (lines, report) = pipeline.run(directory, Epoch(1), &mut text)?;
    let text = String::from_utf8(text).unwrap();
    assert_eq!(lines, text.lines().count());
    let mut points: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for line in text.lines().filter(|line| !line.contains("WallClockTime")) {
        let (path, value) = line.strip_suffix(" 1").unwrap().split_once(' ').unwrap();
        points.entry(path.to_owned()).or_default().push(value.to_owned());
    }
    points.values_mut().for_each(|values| values.sort());
    Ok(Outcome { points, report })
}

/// Beyond 2^53 the last digits depend on the order of additions, and on whether some other object is as large. Averages of
/// times are worked out of products with up to 1024 requests.
fn near(one: &str, other: &str) -> bool {
    let (a, b): (f64, f64) = (one.parse().unwrap(), other.parse().unwrap());
    one == other || a.abs() > 9e15 / 1024.0 && (a - b).abs() <= 1e-12 * a.abs()
}

fn assert_same(at_once: &Outcome, in_batches: &Outcome) {
    let missing: Vec<_> = at_once.points.iter().filter(|(path, _)| !in_batches.points.contains_key(*path)).collect();
    let surplus: Vec<_> = in_batches.points.iter().filter(|(path, _)| !at_once.points.contains_key(*path)).collect();
    assert!(missing.is_empty() && surplus.is_empty(), "missing: {missing:?}\nsurplus: {surplus:?}");
    assert_eq!(at_once.report, in_batches.report);
    for ((path, one), other) in at_once.points.iter().zip(in_batches.points.values()) {
        let same = one.len() == other.len() && one.iter().zip(other).all(|(one, other)| near(one, other));
        assert!(same, "{path}: {one:?} at once, {other:?} in batches");
    }
}

const OPTIONS: [&str; 5] = [
    "[process]\ntime-averages = weighted\naggr-server-metrics = true\n",
    "[process]\n",
    "[process]\nfrontend-metrics = all\nbackend-metrics = all\nserver-metrics = all\nstatus-metrics = true\n",
    "[process]\naggr-server-metrics = true\nskip-unused-slots = true\nskip-zero = true\n",
    "[process]\ncluster-metrics = true\naggr-server-metrics = true\nserver-metrics = rtime stot\n[hosts]\n0 = lb-0 edge\n\
     1 = lb-1 edge\n",
];

fn pipelines(options: &str, bytes: u64) -> [Pipeline; 2] {
    let config = harness::config(options);
    let batches = Pipeline::new(&config, "host").in_batches_of(bytes);
    [Pipeline::new(&config, "host").in_batches_of(u64::MAX), batches]
}

fn snapshot(files: &[impl AsRef<[u8]>]) -> tempfile::TempDir {
    let place = tempfile::tempdir().unwrap();
    for (number, file) in files.iter().enumerate() {
        harness::write(place.path(), &format!("{number}_stat"), file);
    }
    place
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn batches_change_nothing(
        files in proptest::collection::vec(file(), 1..4),
        options in 0..OPTIONS.len(),
        bytes in prop_oneof![0_u64..200, 0_u64..20_000],
    ) {
        let [mut at_once, mut in_batches] = pipelines(OPTIONS[options], bytes);
        // What is kept from one snapshot to the next must not matter.
        for files in [&files[..], &files[1..], &files[..1]] {
            let place = snapshot(files);
            let expected = outcome(&mut at_once, place.path()).unwrap();
            assert_same(&expected, &outcome(&mut in_batches, place.path()).unwrap());
        }
    }
}

const HEADER: &str = "# pxname,svname,type,scur,lbtot,rtime,last_chk,\n";

fn rows(proxies: &[&str], kinds: &[(&str, u32)], value: usize) -> String {
    let row = |proxy: &&str| {
        let row = |(server, kind): &(&str, u32)| format!("{proxy},{server},{kind},{value},1,{value},,\n");
        kinds.iter().map(row).collect::<String>()
    };
    proxies.iter().map(row).collect()
}

const FRONTEND: &[(&str, u32)] = &[("FRONTEND", 0)];
const BACKEND: &[(&str, u32)] = &[("s1", 2), ("s.2", 2), ("s_2", 2), ("BACKEND", 1)];

/// What files may be like, each with what is special about it.
fn cases() -> Vec<(&'static str, Vec<Vec<u8>>)> {
    let of = |parts: &[&str]| [&[HEADER], parts].concat().concat().into_bytes();
    let (all, few) = (["a", "b", "c", "d"], ["d", "a"]);
    let one = rows(&all, BACKEND, 1);
    let other = rows(&few, BACKEND, 2);
    let many: Vec<String> = (0..40).map(|number| format!("web{number}")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    let long = format!("a,{},2,1,1,1,,\n", "x".repeat(70_000));
    vec![
        ("the same proxies everywhere", vec![of(&[&one]), of(&[&one]), of(&[&one])]),
        ("another order, and some are missing", vec![of(&[&one]), of(&[&other]), of(&[&rows(&["e"], BACKEND, 3)])]),
        (
            "rows of a proxy apart from each other",
            vec![of(&[&one, &other, &rows(&["b"], &[("s9", 2)], 5)]), of(&[&one])],
        ),
        (
            "all frontends in front of the backends of the same names",
            vec![of(&[&rows(&many, FRONTEND, 1), &rows(&many, BACKEND, 1)]); 2],
        ),
        ("two spellings of one name", vec![of(&[&rows(&["x.y", "a", "x_y", "x;y"], BACKEND, 2)]), of(&[&one])]),
        (
            "texts of several lines",
            vec![
                of(&["a,s1,2,1,1,1,\"one\n\nb,s1,2,7,7,7,,\ntwo\",\n", &one]),
                of(&[&other, "\"b\",s1,2,1,1,1,\"x\ny\",\n", "b,\"s1\",2,1,1,1,,\n", &one]),
            ],
        ),
        (
            "stray quotes, one of which could close another",
            vec![of(&["a,s1,2,1,1,1,\"open,\n", &rows(&["b"], BACKEND, 1), "a,s3,2,1,\"1,1,,\n", &one]), of(&[&one])],
        ),
        ("a quote inside of a text", vec![of(&["a,s\"1,2,1,1,1,,\n", &one, "b,s\"1,2,1,1,1,,\n"])]),
        ("lines that are too long", vec![of(&[&rows(&["a"], BACKEND, 1), &long, &one]), of(&[&long])]),
        ("a row that was cut off", vec![of(&[&one, "d,s7,2,1"]), of(&[&other, "a,s1,2,1,1,1,,"])]),
        (
            "rows that cannot be read",
            vec![of(&["garbage\n", &one, "a,s1,2,x,,,,\n,s1,2,1,1,1,,\nb,s1,9,1,1,1,,\n"]); 2],
        ),
        (
            "nothing that can be read",
            vec![of(&["garbage\n"]), b"Permission denied\n".to_vec(), Vec::new(), of(&[&one])],
        ),
        ("no proxies", vec![of(&[]), of(&[]), HEADER.trim_end_matches(",\n").as_bytes().to_vec()]),
        ("a HAProxy without proxies next to another", vec![of(&[]), of(&[&one])]),
        (
            "blank lines and line ends of Windows",
            vec![format!("\n\n{HEADER}{one}\n\n{other}").replace('\n', "\r\n").into_bytes(), of(&[&one, "\n\n\n"])],
        ),
        (
            "other columns in one file",
            vec![
                of(&[&one]),
                b"# stot,svname,type,pxname,scur,\n7,s1,2,a,5,\n7,BACKEND,1,d,5,\n7,s1,2,zz,5,\n".to_vec(),
                b"# pxname,svname,smax,\na,s1,5,\na,FRONTEND,6,\n".to_vec(),
            ],
        ),
        (
            "a last row without an end, of a proxy that others follow",
            vec![
                of(&[&rows(&many, BACKEND, 1), "web0,s7,2,1,1,1,,"]),
                of(&[&rows(&many, BACKEND, 2), "web0,s7,2,1,1"]),
            ],
        ),
        ("names that begin with each other", vec![of(&[&rows(&["a", "aa", "a,a", "aaa"], BACKEND, 1)]), of(&[&one])]),
        ("counters of 64 bits", vec![of(&["a,s1,2,18446744073709551615,1,,,\n", &one]), of(&[&other])]),
        (
            "bytes of no encoding",
            vec![[of(&[&one]), b"\xef\xbb\xbfa,s1,2,1,1,1,,\nb\xff,s1,2,1,1,1,\"\xff\",\n".to_vec()].concat()],
        ),
    ]
}

#[test]
fn every_difficulty_is_met_in_batches_of_every_size() {
    for (what, files) in cases() {
        let place = snapshot(&files);
        for options in OPTIONS {
            for bytes in [0, 300, 2000] {
                println!("{what}, batches of {bytes}, {options:?}");
                let [mut at_once, mut in_batches] = pipelines(options, bytes);
                for _ in 0..2 {
                    let expected = outcome(&mut at_once, place.path()).unwrap();
                    assert_same(&expected, &outcome(&mut in_batches, place.path()).unwrap());
                }
            }
        }
    }
}

#[test]
fn excluded_proxies_stay_excluded() {
    let (place, names) = (snapshot(&cases()[1].1), tempfile::tempdir().unwrap());
    let list = harness::write(names.path(), "backends", "b\ne\n");
    let options = format!("[process]\nexclude-backends = {}\n", list.display());
    let [mut at_once, mut in_batches] = pipelines(&options, 1);
    let expected = outcome(&mut at_once, place.path()).unwrap();
    assert!(expected.points.keys().any(|path| path.contains(".backend.a.")));
    assert!(!expected.points.keys().any(|path| path.contains(".backend.b.") || path.contains(".backend.e.")));
    assert_same(&expected, &outcome(&mut in_batches, place.path()).unwrap());
}

/// The lines of the log about rows, of the program itself.
fn log(snapshot: &Path, bytes: &str) -> Vec<String> {
    let mut command = harness::process();
    command.arg("--once").arg(snapshot).env("HAPROXYSTATS_TEST_BATCH", bytes);
    let output = harness::output(&mut command).unwrap();
    assert!(output.status.success());
    let log = String::from_utf8(output.stderr).unwrap();
    let about_rows = log.lines().filter(|line| line.contains("row left out") || line.contains("rows left out"));
    // Without the time.
    let mut lines: Vec<String> = about_rows.map(|line| line.split_once("row").unwrap().1.to_owned()).collect();
    lines.sort();
    lines
}

#[test]
fn rows_are_left_out_by_their_lines_in_the_file() {
    let place = tempfile::tempdir().unwrap();
    let directory = place.path().join("1500000000");
    std::fs::create_dir(&directory).unwrap();
    let backend = |name: &str| rows(&[name], BACKEND, 1);
    let text = format!(
        "{HEADER}{}\n\na,s3,2,x,,,,\nb,s1,2,1,1,1,\"two\nlines\",\n{}garbage\na,s4,2,\"1,1,1,,\n{}d,s1,2",
        backend("a"),
        backend("b"),
        backend("a"),
    );
    harness::write(&directory, "0_stat", &text);
    let expected = log(&directory, "999999");
    let numbers: Vec<usize> = ["x,,,,", "garbage", "a,s4", "d,s1"]
        .iter()
        .map(|row| text[..text.find(row).unwrap()].matches('\n').count() + 1)
        .collect();
    assert_eq!(expected.len(), 4, "{expected:?}");
    for number in numbers {
        assert!(expected.iter().any(|line| line.contains(&format!("line={number} "))), "{number}: {expected:?}");
    }
    for bytes in ["0", "1", "200"] {
        assert_eq!(log(&directory, bytes), expected);
    }
    harness::write(&directory, "0_stat", format!("{HEADER}{}", "a,s1,2,x,,,,\nb,s1,2,x,,,,\n".repeat(9)));
    for bytes in ["999999", "0"] {
        let lines = log(&directory, bytes);
        assert_eq!((lines.len(), lines.iter().filter(|line| line.contains("rows=18")).count()), (6, 1), "{lines:?}");
    }
}
