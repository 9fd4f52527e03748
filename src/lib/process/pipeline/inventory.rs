//! Whose files a snapshot has, without processing them: for `--explain`.

use super::Pipeline;
use super::daemon::process_names;
use super::files::Files;
use crate::config::Config;
use crate::haproxy::columns::Kind;
use crate::parse::info::Info;
use crate::parse::part::Part;
use crate::render::path::Paths;
use crate::snapshot::members::Members;
use crate::snapshot::{INFO_SUFFIX, STAT_SUFFIX};
use std::collections::BTreeMap;
use std::io;
use std::path::Path;

/// The files of a host, or of all hosts of a cluster.
#[derive(Debug)]
pub(crate) struct Holding {
    /// Whose they are, in words.
    pub of: String,
    /// What its metrics are called.
    pub paths: Paths,
    /// Replies to `show info`.
    pub info: Vec<(Part, String)>,
    /// Replies to `show stat`.
    pub stat: Vec<(Part, String)>,
    /// Path element and file of each process.
    pub processes: Vec<(String, String)>,
    /// Sockets that do not count, since another one leads to the same process.
    pub twins: Vec<String>,
}

impl Pipeline {
    /// The hosts of the snapshot in `dir`, and their clusters. `config` is that of this pipeline.
    ///
    /// # Errors
    /// The directory cannot be read.
    pub(crate) fn inventory(&mut self, config: &Config, hostname: &str, dir: &Path) -> io::Result<Vec<Holding>> {
        let files = Files::list(dir)?;
        self.sites.members = Members::read(dir)?;
        let mut holdings = Vec::new();
        let mut clusters: BTreeMap<String, Holding> = BTreeMap::new();
        for (host, mut files) in self.sites.divide(&files) {
            let sockets = files.clone();
            self.twins.leave_out(dir, &mut files);
            let paths = match &host {
                Some(host) => Paths::of_host(config, &host.name),
                None => Paths::new(config, hostname),
            };
            let of = host.as_ref().map_or_else(|| format!("host {hostname}"), |host| format!("host {}", host.name));
            let mut holding = Holding::new(of, paths, &files, &sockets);
            holding.processes = processes(dir, &files);
            if let Some(cluster) =
                host.as_ref().and_then(|host| host.cluster.as_ref()).filter(|_| config.process.cluster_metrics)
            {
                let total = clusters.entry(cluster.to_owned()).or_insert_with(|| {
                    let none = Files::default();
                    Holding::new(format!("cluster {cluster}"), Paths::of_cluster(config, cluster), &none, &none)
                });
                total.add(&holding);
            }
            holdings.push(holding);
        }
        holdings.extend(clusters.into_values());
        Ok(holdings)
    }

    /// Whether `exclude-frontends` or `exclude-backends` leaves this path element out; servers are left out with their backends.
    pub(crate) fn excludes(&mut self, kind: Kind, name: &str) -> bool {
        let excluded = match kind {
            Kind::Frontend => &mut self.exclude_frontends,
            Kind::Backend | Kind::Server => &mut self.exclude_backends,
        };
        excluded.read().has(name)
    }
}

/// What the processes are called that can be read.
fn processes(dir: &Path, files: &Files) -> Vec<(String, String)> {
    let read = |file: &String| {
        let input = std::fs::File::open(dir.join(file)).ok()?;
        let info = Info::read(input, |_, _| {}).ok()?;
        Some((file.strip_suffix(INFO_SUFFIX).unwrap_or(file).to_owned(), info))
    };
    let infos: Vec<(String, Info)> = files.info.iter().filter_map(read).collect();
    let by_socket: Vec<(&str, Info)> = infos.iter().map(|(socket, info)| (socket.as_str(), info.clone())).collect();
    let sockets = infos.iter().map(|(socket, _)| format!("{socket}{INFO_SUFFIX}"));
    process_names(&by_socket).into_iter().zip(sockets).collect()
}

impl Holding {
    fn new(of: String, paths: Paths, files: &Files, all: &Files) -> Self {
        let live = |names: &[String]| names.iter().map(|name| (Part::Live, name.clone())).collect::<Vec<_>>();
        let left_out = |before: &[String], after: &[String], suffix: &str| {
            let gone = before.iter().filter(|name| !after.contains(name));
            gone.filter_map(|name| Some(name.strip_suffix(suffix)?.to_owned())).collect::<Vec<_>>()
        };
        let mut twins = left_out(&all.info, &files.info, INFO_SUFFIX);
        twins.extend(left_out(&all.stat, &files.stat, STAT_SUFFIX));
        twins.sort_unstable();
        twins.dedup();
        Self {
            of,
            paths,
            info: [live(&files.info), files.other_info.clone()].concat(),
            stat: [live(&files.stat), files.other_stat.clone()].concat(),
            processes: Vec::new(),
            twins,
        }
    }

    fn add(&mut self, other: &Self) {
        self.info.extend_from_slice(&other.info);
        self.stat.extend_from_slice(&other.stat);
        self.twins.extend_from_slice(&other.twins);
    }
}
