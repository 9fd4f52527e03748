//! `[otlp]` and `[remote-write]`: receivers of metrics that are sent to by HTTP requests. The URL switches each of them on.

mod authentication;
mod headers;
mod labels;
mod otlp;
mod remote_write;
mod rows;
mod url;

use super::ini::Ini;
use super::naming::Naming;
use super::option::OptionSpec;
use super::problem::Report;
use super::program::{OTLP, REMOTE_WRITE};
use super::section::{Section, gather};
use super::tls::Tls;
pub use authentication::Authentication;
#[cfg(feature = "process")]
pub(crate) use headers::parse as parse_headers;
use rows::Rows;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

/// The lists of rows of both sections.
pub(super) static TABLES: &[&[&OptionSpec]] = &[otlp::ROWS, remote_write::ROWS];

/// `[otlp]` or `[remote-write]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Remote {
    /// Where requests go.
    pub url: String,
    /// Further headers of each request, none of them secret.
    pub headers: Vec<(String, String)>,
    /// File with further headers, `Name: value` lines.
    pub headers_file: Option<PathBuf>,
    /// The credentials, if there are any.
    pub authentication: Option<Authentication>,
    /// How a receiver is reached whose URL begins with `https`.
    pub tls: Tls,
    /// Time for a request, from the connection to the end of the answer.
    pub timeout: Duration,
    /// Pause before a request that failed is sent again.
    pub delay: Duration,
    /// Requests that are under way at the same time.
    pub parallel: NonZeroUsize,
    /// Most samples in one request.
    pub max_samples: NonZeroUsize,
    /// Most metrics that one worker holds in memory.
    pub queue_size: NonZeroUsize,
    /// What metrics are called, and the labels that all of them have.
    pub naming: Naming,
    /// Whether bodies are compressed; those of remote write always are.
    pub compress: bool,
}

/// Reads `[otlp]`; `None` when a value cannot be right, which is in the report then.
pub(super) fn read_otlp(ini: &Ini, report: &mut Report) -> Option<Option<Remote>> {
    if !ini.has_section(OTLP) {
        return Some(None);
    }
    let section = &mut Section::new(OTLP, ini, report);
    let compress = otlp::compress(section);
    read(section, &otlp::rows(), "/v1/metrics", compress)
}

/// Reads `[remote-write]`; `None` when a value cannot be right, which is in the report then.
pub(super) fn read_remote_write(ini: &Ini, report: &mut Report) -> Option<Option<Remote>> {
    if !ini.has_section(REMOTE_WRITE) {
        return Some(None);
    }
    read(&mut Section::new(REMOTE_WRITE, ini, report), &remote_write::rows(), "/api/v1/write", Some(true))
}

/// `usual` is the path that most receivers have.
fn read(section: &mut Section<'_>, rows: &Rows, usual: &str, compress: Option<bool>) -> Option<Option<Remote>> {
    let url = section.optional(rows.url);
    if url == Some(None) {
        section
            .warn(rows.url.name(), format!("is not set: nothing is sent; write for example http://host:port{usual}"));
    }
    let remote = gather!(Remote {
        url: url.map(Option::unwrap_or_default),
        headers: section.or_default(rows.headers),
        headers_file: section.optional(rows.headers_file),
        authentication: Authentication::read(section, rows),
        tls: tls(section, rows),
        timeout: section.get(rows.timeout),
        delay: section.get(rows.delay),
        parallel: section.get(rows.parallel),
        max_samples: section.get(rows.max_samples),
        queue_size: section.get(rows.queue_size),
        naming: naming(section, rows),
        compress,
    })?;
    if remote.url.is_empty() {
        return Some(None);
    }
    warn(section, rows, &remote, usual);
    Some(Some(remote))
}

fn naming(section: &mut Section<'_>, rows: &Rows) -> Option<Naming> {
    gather!(Naming { style: section.get(rows.names), labels: section.or_default(rows.labels) })
}

fn tls(section: &mut Section<'_>, rows: &Rows) -> Option<Tls> {
    let verify = section.get(rows.tls_verify);
    let tls = Tls::read(section, rows.tls_ca_file, rows.tls_certificate_file, rows.tls_key_file);
    Some(Tls { verify: verify?, ..tls? })
}

/// What is allowed, and seldom meant.
fn warn(section: &mut Section<'_>, rows: &Rows, remote: &Remote, usual: &str) {
    let encrypted = url::is_encrypted(&remote.url);
    if url::has_no_path(&remote.url) {
        section.warn(rows.url.name(), format!("has no path; most receivers expect {usual}"));
    }
    if !encrypted && (remote.authentication.is_some() || remote.headers_file.is_some()) && !url::is_local(&remote.url) {
        section.warn(rows.url.name(), "sends credentials unencrypted; write https://");
    }
    let files = [
        (rows.tls_ca_file.name(), remote.tls.ca_file.is_some()),
        (rows.tls_certificate_file.name(), remote.tls.identity.is_some()),
        (rows.tls_verify.name(), !remote.tls.verify),
    ];
    for (option, _) in files.into_iter().filter(|(_, written)| *written && !encrypted) {
        section.warn(option, "has no effect without https:// in url");
    }
    for (name, _) in remote.headers.iter().filter(|(name, _)| headers::sounds_secret(name)) {
        section.warn(rows.headers.name(), format!("{name} looks like a secret; move it to headers-file"));
    }
}

#[cfg(test)]
mod tests;
