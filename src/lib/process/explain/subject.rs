//! What a name turned out to be of.

use super::asked::Asked;
use super::rows::{self, Row};
use crate::haproxy::columns::{self, Kind};
use crate::haproxy::traffic::Counter;
use crate::names::sanitize;
use crate::process::pipeline::Holding;
use crate::render::objects::SERVER_COUNTS;
use crate::render::path::About;
use std::io;
use std::path::Path;

/// Number of a backend's servers.
pub(super) const TOTAL_SERVERS: &str = "TotalServers";

/// States as numbers, and the fields that they are made of.
pub(super) const STATES: [(&str, &str); 3] =
    [("status_up", "status"), ("status", "status"), ("check_status", "check_status")];

/// An object, by the elements of its path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Of {
    /// haproxystats itself.
    Own,
    /// All processes.
    Daemon,
    /// One, and its file.
    Process(String, String),
    Frontend(String),
    Backend(String),
    Server(String, String),
    ServerTotal(String),
}

impl Of {
    pub(super) fn about(&self) -> About<'_> {
        match self {
            Self::Own => About::Own,
            Self::Daemon => About::Daemon,
            Self::Process(name, _) => About::Process(name),
            Self::Frontend(name) => About::Frontend(name),
            Self::Backend(name) => About::Backend(name),
            Self::Server(backend, server) => About::Server(backend, server),
            Self::ServerTotal(server) => About::ServerTotal(server),
        }
    }

    /// The kind of the rows that it is made of.
    pub(super) fn kind(&self) -> Option<Kind> {
        match self {
            Self::Own | Self::Daemon | Self::Process(..) => None,
            Self::Frontend(_) => Some(Kind::Frontend),
            Self::Backend(_) => Some(Kind::Backend),
            Self::Server(..) | Self::ServerTotal(_) => Some(Kind::Server),
        }
    }

    /// The proxy whose exclusion leaves it out.
    pub(super) fn proxy(&self) -> Option<&str> {
        match self {
            Self::Frontend(name) | Self::Backend(name) | Self::Server(name, _) => Some(name),
            Self::Own | Self::Daemon | Self::Process(..) | Self::ServerTotal(_) => None,
        }
    }

    pub(super) fn words(&self) -> String {
        match self {
            Self::Own => "haproxystats itself".to_owned(),
            Self::Daemon => "all HAProxy processes together (show info)".to_owned(),
            Self::Process(name, file) => format!("HAProxy process {name} (show info, {file})"),
            Self::Frontend(name) => format!("frontend {name}"),
            Self::Backend(name) => format!("backend {name}"),
            Self::Server(backend, server) => format!("server {server} of backend {backend}"),
            Self::ServerTotal(server) => format!("server {server} over all backends"),
        }
    }
}

/// See the module.
#[derive(Debug)]
pub(super) struct Subject {
    /// Whose it is, by number.
    pub(super) holding: usize,
    pub(super) of: Of,
    pub(super) metric: String,
    /// The rows that have a part in it.
    pub(super) rows: Vec<Row>,
}

/// Whether a metric of a backend is made of the rows of its servers.
pub(super) fn is_of_servers(metric: &str) -> bool {
    metric == TOTAL_SERVERS || SERVER_COUNTS.iter().any(|(name, _)| *name == metric)
}

/// Finds it in the snapshot in `dir`. The holdings have every name that an object could have.
///
/// # Errors
/// A file cannot be read.
pub(super) fn find(asked: &Asked, dir: &Path, holdings: &[Holding]) -> io::Result<Option<Subject>> {
    for (number, holding) in holdings.iter().enumerate() {
        let processes = holding.processes.iter().map(|(name, file)| Of::Process(name.clone(), file.clone()));
        for of in [Of::Own, Of::Daemon].into_iter().chain(processes) {
            if let Some(metric) = asked.metric(&holding.paths.of(of.about())) {
                let metric = metric.to_owned();
                return Ok(Some(Subject { holding: number, of, metric, rows: Vec::new() }));
            }
        }
        let mut found: Option<(Of, String)> = None;
        let mut all = Vec::new();
        for (part, file) in &holding.stat {
            let rows = rows::read(dir, (*part, file), |kind, proxy, server| {
                let (of, metric) = objects(kind, &sanitize(proxy), &sanitize(server)).into_iter().find_map(|of| {
                    let prefixes = holding.paths.of(of.about());
                    let metric = asked.metric(&prefixes)?.to_owned();
                    // The row of a server has a part in little of its backend.
                    let is = of.kind() == Some(kind) || is_of_servers(&metric);
                    is.then_some((of, metric))
                })?;
                let fields = fields(kind, &metric);
                found.get_or_insert((of, metric));
                Some(fields)
            })?;
            all.extend(rows);
        }
        if let Some((of, metric)) = found {
            // Of a backend the rows of its servers, or its own.
            let kind = if is_of_servers(&metric) { Some(Kind::Server) } else { of.kind() };
            let rows = all.into_iter().filter(|row| Some(row.kind) == kind).collect();
            return Ok(Some(Subject { holding: number, of, metric, rows }));
        }
    }
    Ok(None)
}

/// The objects that a row has a part in.
fn objects(kind: Kind, proxy: &str, server: &str) -> Vec<Of> {
    match kind {
        Kind::Frontend => vec![Of::Frontend(proxy.to_owned())],
        Kind::Backend => vec![Of::Backend(proxy.to_owned())],
        Kind::Server => vec![
            Of::Server(proxy.to_owned(), server.to_owned()),
            Of::ServerTotal(server.to_owned()),
            Of::Backend(proxy.to_owned()),
        ],
    }
}

/// The fields of a row that matter for a metric.
fn fields(kind: Kind, metric: &str) -> Vec<String> {
    let mut fields: Vec<&str> = Vec::new();
    if let Some((_, field)) = STATES.iter().find(|(name, _)| *name == metric) {
        fields.push(field);
    } else if is_of_servers(metric) {
        fields.push("status");
    } else {
        fields.push(metric);
        let combine = columns::find(metric).and_then(|column| column.combine(kind));
        if combine.is_some_and(columns::Combine::is_of_times) {
            fields.extend(Counter::ALL.map(Counter::field));
        }
    }
    if kind == Kind::Server {
        fields.extend(["status", "addr"]);
    }
    let mut once: Vec<String> = Vec::new();
    for field in fields {
        if !once.iter().any(|known| known == field) {
            once.push(field.to_owned());
        }
    }
    once
}
