//! Snapshots of several hosts in two clusters, with every field that HAProxy has.

use haproxystats::haproxy::columns::{COLUMNS, Kind};
use haproxystats::haproxy::info::FIELDS;
use std::collections::hash_map::DefaultHasher;
use std::fmt::Write;
use std::hash::{Hash, Hasher};
use std::path::Path;
use std::sync::LazyLock;
use std::time::SystemTime;

const HOSTS: [&str; 6] = ["edge1", "edge2", "edge3", "core1", "core2", "stray"];
const SERVERS: [&str; 3] = ["s1", "s2", "s3"];
/// Of the last one no host has any traffic now.
const BACKENDS: [&str; 3] = ["shop", "blog", "idle"];

/// `{metrics}` stands for the selection of everything.
pub(crate) const OPTIONS: &str = "cluster-metrics = true\naggr-server-metrics = true\ncalculate-percentages = true\n{metrics}\
    [hosts]\nedge1 = lb-1 edge\nedge2 = lb-2 edge\nedge3 = lb-3 edge\ncore1 = lb-4 core\ncore2 = lb-5 core\nstray = lb-6\n";

/// Of the last minute: ClickHouse forgets what is old.
fn epochs() -> [u64; 2] {
    static NOW: LazyLock<u64> = LazyLock::new(|| {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs();
        now - now % 10
    });
    [*NOW - 20, *NOW - 10]
}

/// Options that select every field.
pub(crate) fn metrics() -> String {
    let mut text = String::new();
    for (option, kind) in
        [("frontend-metrics", Kind::Frontend), ("backend-metrics", Kind::Backend), ("server-metrics", Kind::Server)]
    {
        let names: Vec<&str> = COLUMNS.iter().filter(|column| column.on(kind)).map(|column| column.name).collect();
        writeln!(text, "{option} = {}", names.join(" ")).unwrap();
    }
    let names = FIELDS.iter().filter(|field| field.is_numeric()).map(|field| field.name.replace(' ', "_"));
    writeln!(text, "daemon-metrics = {}", names.collect::<Vec<_>>().join(" ")).unwrap();
    text
}

/// Documents of one time: of every host the daemon, a frontend, backends, servers, and servers over all backends.
pub(crate) fn documents() -> usize {
    epochs().len() * HOSTS.len() * (1 + 1 + BACKENDS.len() + BACKENDS.len() * SERVERS.len() + SERVERS.len())
}

/// A number that depends on all of this, and a blank now and then.
fn number(of: impl Hash) -> String {
    let mut hasher = DefaultHasher::new();
    of.hash(&mut hasher);
    match hasher.finish() {
        hash if hash % 11 == 0 => String::new(),
        hash if hash % 7 == 0 => "0".to_owned(),
        hash => (hash % 997).to_string(),
    }
}

fn row(host: &str, epoch: u64, (proxy, name, kind): (&str, &str, Kind)) -> String {
    let mut row = format!("{proxy},{name},{}", kind as u8);
    for column in COLUMNS.iter().filter(|column| column.is_numeric()) {
        let value = match column.name {
            _ if !column.on(kind) => String::new(),
            "rate" if proxy == "idle" => "0".to_owned(),
            name => number((host, epoch, proxy, kind as u8, name, row.len())),
        };
        write!(row, ",{value}").unwrap();
    }
    row + ",\n"
}

/// Publishes every snapshot in `incoming`, by way of `base`.
pub(crate) fn publish(base: &Path, incoming: &Path) {
    for epoch in epochs() {
        let staged = base.join(epoch.to_string());
        std::fs::create_dir(&staged).unwrap();
        for host in HOSTS {
            let names = COLUMNS.iter().filter(|column| column.is_numeric()).map(|column| column.name);
            let header = ["pxname", "svname", "type"].into_iter().chain(names).collect::<Vec<_>>().join(",");
            let mut stat = format!("# {header},\n") + &row(host, epoch, ("www", "FRONTEND", Kind::Frontend));
            for backend in BACKENDS {
                for server in SERVERS {
                    stat += &row(host, epoch, (backend, server, Kind::Server));
                }
                stat += &row(host, epoch, (backend, "BACKEND", Kind::Backend));
            }
            std::fs::write(staged.join(format!("{host}_stat")), stat).unwrap();
            let mut info = String::new();
            for field in FIELDS.iter().filter(|field| field.is_numeric()) {
                let value = number((host, epoch, field.name));
                if !value.is_empty() {
                    writeln!(info, "{}: {value}", field.name).unwrap();
                }
            }
            std::fs::write(staged.join(format!("{host}_info")), info).unwrap();
        }
        std::fs::rename(staged, incoming.join(epoch.to_string())).unwrap();
    }
}
