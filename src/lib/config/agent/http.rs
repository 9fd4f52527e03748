//! The checks `http` and `datawave`, and how endpoints are asked.

use crate::config::option::options;
use crate::config::program::AGENT;
use crate::config::reading::{Reading, Refusal, Type};
use crate::config::section::{Section, gather};
use crate::config::tls::Tls;
use crate::config::value;
use std::path::PathBuf;

options! {
    pub(crate) static ROWS: AGENT, Agent {
        CHECK_URL: String = Reading::new(Type::Text, url), "check-url", None,
            "URL to query for the checks http, datawave and patroni; unset: \
             http://localhost:8080/DataWave/Common/Health/health (datawave), http://localhost:8008 (patroni).";
        CHECK_SOCKET: PathBuf = value::FILE, "check-socket", None,
            "UNIX socket to connect to instead of the host in check-url.";
        HEADERS_FILE: PathBuf = value::FILE, "headers-file", None,
            "File with request headers, one Name: value per line; read when the agent starts.";
        CREDENTIALS_FILE: PathBuf = value::FILE, "credentials-file", None,
            "File with user:password on its first line, for basic authentication.";
        TLS_CA_FILE: PathBuf = value::FILE, "tls-ca-file", None,
            "Certificates (PEM) of the certificate authorities to trust instead of the system's.";
        TLS_CERTIFICATE_FILE: PathBuf = value::FILE, "tls-certificate-file", None,
            "Client certificate (PEM), for endpoints that require one; together with tls-key-file.";
        TLS_KEY_FILE: PathBuf = value::FILE, "tls-key-file", None,
            "Private key (PEM) of tls-certificate-file.";
        EXPECT_STATUS: Vec<u16> = Reading::new(Type::Text, statuses), "expect-status", Some("200"),
            "HTTP status codes that count as healthy, separated by spaces.";
        STATUS_POINTER: String = Reading::new(Type::Text, pointer), "status-pointer", None,
            "JSON pointer to the state in the response: up, ready, drain, maint, down, stopped, fail.";
        REDUCTIONS: Vec<Reduction> = Reading::new(Type::Text, reductions), "reductions", None,
            "Numbers in the response that lower the weight, one per line: JSON pointer, factor, and the range over \
             which the reduction grows from none to that factor (default 0 1).";
    }
}

/// How endpoints are asked.
#[derive(Debug, Clone, Default)]
pub struct Http {
    /// `None`: the check's own default.
    pub url: Option<String>,
    /// Connect there rather than to the host in the URL.
    pub socket: Option<PathBuf>,
    /// `Name: value` lines.
    pub headers_file: Option<PathBuf>,
    /// `user:password`.
    pub credentials_file: Option<PathBuf>,
    /// How an endpoint is asked whose URL begins with `https`.
    pub tls: Tls,
}

/// A number that lowers the weight.
#[derive(Debug, Clone, PartialEq)]
pub struct Reduction {
    /// JSON pointer to it.
    pub pointer: String,
    /// Part of the weight that it takes off at `to` and beyond.
    pub factor: f64,
    /// Value at which it begins to take something off.
    pub from: f64,
    /// Value at which it takes off `factor`; may be below `from`, for numbers of which more is better.
    pub to: f64,
    /// Whether values beyond `to` take off more.
    pub open: bool,
}

/// How the replies of `http` are understood.
#[derive(Debug, Clone, Default)]
pub struct Rules {
    /// Statuses that are good.
    pub expect_status: Vec<u16>,
    /// Where the state stands; `None`: a good status is up.
    pub status_pointer: Option<String>,
    /// Numbers that lower the weight.
    pub reductions: Vec<Reduction>,
    /// Numbers that are missing count in full, and redirects are followed, as in the agent of Datawave: the state is in the
    /// reply. Otherwise both are errors.
    pub lenient: bool,
}

impl Http {
    pub(super) fn read(section: &mut Section<'_>) -> Option<Self> {
        gather!(Self {
            url: section.optional(&CHECK_URL),
            socket: section.optional(&CHECK_SOCKET),
            headers_file: section.optional(&HEADERS_FILE),
            credentials_file: section.optional(&CREDENTIALS_FILE),
            tls: Tls::read(section, &TLS_CA_FILE, &TLS_CERTIFICATE_FILE, &TLS_KEY_FILE),
        })
    }
}

impl Rules {
    pub(super) fn read(section: &mut Section<'_>) -> Option<Self> {
        gather!(Self {
            expect_status: section.get(&EXPECT_STATUS),
            status_pointer: section.optional(&STATUS_POINTER),
            reductions: section.or_default(&REDUCTIONS),
            lenient: Some(false),
        })
    }
}

fn url(text: &str) -> Result<String, Refusal> {
    let good = ["http://", "https://"].iter().any(|scheme| text.starts_with(scheme) && text.len() > scheme.len());
    if !good || text.contains(|c: char| c.is_whitespace() || c.is_control() || !c.is_ascii()) {
        return Err("not a URL; write http://host:port/path or https://host/path".to_owned());
    }
    let authority = text.split("://").nth(1).and_then(|rest| rest.split(['/', '?']).next()).unwrap_or_default();
    if authority.contains('@') {
        return Err("contains credentials; move them to credentials-file".to_owned());
    }
    Ok(text.to_owned())
}

fn statuses(text: &str) -> Result<Vec<u16>, Refusal> {
    let status = |word: &str| word.parse().ok().filter(|status| (100..600).contains(status));
    let statuses: Option<Vec<u16>> = text.split_whitespace().map(status).collect();
    statuses
        .filter(|statuses| !statuses.is_empty())
        .ok_or_else(|| "not a list of statuses; write for example 200 204".to_owned())
}

fn pointer(text: &str) -> Result<String, Refusal> {
    if text.starts_with('/') {
        return Ok(text.to_owned());
    }
    Err("not a JSON pointer; write for example /status or /data/0/load".to_owned())
}

fn reductions(text: &str) -> Result<Vec<Reduction>, Refusal> {
    let line = |line: &str| {
        let words: Vec<&str> = line.split_whitespace().collect();
        let (name, factor, range) = match words.as_slice() {
            [name, factor] => (name, factor, (0.0, 1.0)),
            [name, factor, from, to] => (name, factor, (value::float(from)?, value::float(to)?)),
            _ => return None,
        };
        let good = range.0 < range.1 || range.1 < range.0;
        let factor = value::fraction(factor).ok()?;
        let pointer = pointer(name).ok().filter(|_| good)?;
        Some(Reduction { pointer, factor, from: range.0, to: range.1, open: false })
    };
    text.lines()
        .map(str::trim)
        .filter(|text| !text.is_empty())
        .map(|text| line(text).ok_or_else(|| format!("{text:?} is not a reduction; write for example /load 0.4 0 8")))
        .collect()
}
