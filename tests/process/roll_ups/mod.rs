//! The roll-ups that docs/scaling.md promises: the documents' own statements, run by ClickHouse itself, read our topic and
//! give, figure by figure, what `cluster-metrics` sends to Graphite.

mod hosts;

use crate::harness::graphite::Recorder;
use crate::harness::kafka::{Brokers, Reader};
use crate::harness::{self, Daemon, SOON, process, python_tool, wait_until, with_config, write};
use serde_json::Value;
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

/// Figures by time, cluster, kind, proxy, server and field.
type Figures = BTreeMap<[String; 6], f64>;

/// ClickHouse, embedded in Python.
struct ClickHouse {
    child: Child,
    statements: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl ClickHouse {
    fn start() -> Option<Self> {
        let python = python_tool("python3", "HAPROXYSTATS_CLICKHOUSE_PYTHON")?;
        let mut command = Command::new(python);
        command.arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/process/roll_ups/clickhouse.py"));
        let mut child = harness::spawn(command.stdin(Stdio::piped()).stdout(Stdio::piped())).unwrap();
        let (statements, answers) = (child.stdin.take().unwrap(), BufReader::new(child.stdout.take().unwrap()));
        let mut clickhouse = Self { child, statements, answers };
        let answer = clickhouse.ask("SELECT 1");
        if answer.is_none() {
            harness::missing("chdb");
        }
        answer.and(Some(clickhouse))
    }

    /// `None` where it has ended, which it does at once where chdb is not installed.
    fn ask(&mut self, statement: &str) -> Option<Value> {
        writeln!(self.statements, "{}", Value::from(statement)).ok()?;
        let mut line = String::new();
        self.answers.read_line(&mut line).ok()?;
        serde_json::from_str(&line).ok()
    }

    #[track_caller]
    fn run(&mut self, statement: &str) -> Vec<Value> {
        let answer = self.ask(statement).expect("an answer");
        assert!(answer["error"].is_null(), "{statement}\n{}", answer["error"]);
        answer["rows"].as_array().unwrap().clone()
    }
}

impl Drop for ClickHouse {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The SQL of a document under a heading or after some words, statement by statement.
fn statements(document: &str, after: &str) -> Vec<String> {
    let text = std::fs::read_to_string(format!("{}/docs/{document}", env!("CARGO_MANIFEST_DIR"))).unwrap();
    let (_, rest) = text.split_once(after).expect("the words are there");
    let (_, rest) = rest.split_once("```sql\n").unwrap();
    let (sql, _) = rest.split_once("```").unwrap();
    sql.split(";\n").map(str::trim).filter(|statement| !statement.is_empty()).map(str::to_owned).collect()
}

/// What Graphite got for clusters.
fn sent(graphite: &Recorder) -> Figures {
    let mut figures = Figures::new();
    for line in graphite.record().lines.keys() {
        let Some(rest) = line.strip_prefix("lb.cluster.") else { continue };
        let [path, value, time] = rest.split(' ').collect::<Vec<_>>()[..] else { panic!("not a line: {line}") };
        let (cluster, path) = path.split_once(".haproxy.").unwrap();
        let (kind, proxy, server, field) = match path.split('.').collect::<Vec<_>>()[..] {
            ["daemon", field] => ("daemon", "", "", field),
            ["server", server, field] => ("server-total", "", server, field),
            ["backend", proxy, "server", server, field] => ("server", proxy, server, field),
            [kind, proxy, field] => (kind, proxy, "", field),
            _ => panic!("not a path: {path}"),
        };
        let key = [time, cluster, kind, proxy, server, field].map(str::to_owned);
        figures.insert(key, value.parse().unwrap());
    }
    figures
}

fn rolled_up(rows: &[Value]) -> Figures {
    let names = ["time", "cluster", "kind", "proxy", "server", "field"];
    let key = |row: &Value| names.map(|name| row[name].as_str().unwrap_or_default().to_owned());
    rows.iter().map(|row| (key(row), row["value"].as_f64().unwrap())).collect()
}

#[track_caller]
fn assert_same(found: &Figures, expected: &Figures) {
    let near = |one: f64, other: f64| (one - other).abs() <= one.abs().max(1.0) * 1e-9;
    for (key, value) in expected {
        let other = found.get(key);
        assert!(other.is_some_and(|other| near(*value, *other)), "{key:?}: {value} is sent, the roll-up has {other:?}");
    }
    let more = found.keys().find(|key| !expected.contains_key(*key));
    assert_eq!(more, None, "the roll-up has what is not sent");
}

#[test]
fn clickhouse_makes_of_the_topic_what_cluster_metrics_sends() {
    let Some(mut clickhouse) = ClickHouse::start() else { return };
    let brokers = Brokers::start(1);
    brokers.create_topic("haproxystats", 4);
    let Some(reader) = Reader::start(&brokers.address(), "haproxystats") else { return };
    let graphite = Recorder::start();
    let base = tempfile::tempdir().unwrap();
    let incoming = base.path().join("incoming");
    std::fs::create_dir(&incoming).unwrap();
    let config = format!(
        "[process]\nsrc-dir = {}\nworkers = 2\n{}[graphite]\nserver = 127.0.0.1\nport = {}\nnamespace = lb\nsettle = 0.5\n\
         [kafka]\nbrokers = {}\n",
        incoming.display(),
        hosts::OPTIONS.replace("{metrics}", &hosts::metrics()),
        graphite.port(),
        brokers.address(),
    );
    let mut daemon = Daemon::spawn(with_config(process(), &write(base.path(), "haproxystats.conf", config)));
    // Twice: what arrives again must not count again.
    for _ in 0..2 {
        hosts::publish(base.path(), &incoming);
        wait_until(SOON, "an empty source directory", || std::fs::read_dir(&incoming).unwrap().next().is_none());
    }
    daemon.stop(SOON);
    let expected = sent(&graphite);
    assert!(expected.len() > 2000, "{} figures of clusters prove too little", expected.len());

    let mut documents: Vec<String> = Vec::new();
    wait_until(SOON, "all documents", || {
        documents = reader.messages().into_iter().map(|message| message.payload).collect();
        documents.iter().filter(|document| !document.contains("\"kind\":\"haproxystats\"")).count()
            == 2 * hosts::documents()
    });
    let topic = write(base.path(), "topic", documents.join("\n"));
    if let Some(directory) = std::env::var_os("HAPROXYSTATS_KEEP_TOPIC") {
        let figure = |(key, value): (&[String; 6], &f64)| format!("{}\n", serde_json::json!([key, value]));
        std::fs::copy(&topic, Path::new(&directory).join("topic")).unwrap();
        write(Path::new(&directory), "sent", expected.iter().map(figure).collect::<String>());
    }

    let [queue, table, view] = statements("kafka.md", "### ClickHouse").try_into().unwrap();
    // Embedded, ClickHouse runs nothing in the background: what kcat has read takes the place of the topic, and what the
    // view selects is inserted from here.
    let (columns, _) = queue.split_once("ENGINE = Kafka").unwrap();
    clickhouse.run(&format!("{columns} ENGINE = File(JSONEachRow, '{}')", topic.display()));
    clickhouse.run(&table);
    let (_, select) = view.split_once(" AS\n").unwrap();
    clickhouse.run(&format!("INSERT INTO haproxy {select}"));
    let [roll_up] = statements("scaling.md", "\nClickHouse, over the table").try_into().unwrap();
    let rows = clickhouse.run(&format!("SELECT * REPLACE (toString(toUnixTimestamp(time)) AS time) FROM ({roll_up})"));
    assert_same(&rolled_up(&rows), &expected);
}
