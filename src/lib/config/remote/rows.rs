//! The options that both sections have.

use crate::config::naming::NameStyle;
use crate::config::option::Opt;
use crate::config::reading::Refusal;
use crate::config::value;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

/// The options of one of the sections.
pub(super) struct Rows {
    pub(super) url: &'static Opt<String>,
    pub(super) headers: &'static Opt<Vec<(String, String)>>,
    pub(super) headers_file: &'static Opt<PathBuf>,
    pub(super) bearer_token_file: &'static Opt<PathBuf>,
    pub(super) user: &'static Opt<String>,
    pub(super) password_file: &'static Opt<PathBuf>,
    pub(super) tls_ca_file: &'static Opt<PathBuf>,
    pub(super) tls_verify: &'static Opt<bool>,
    pub(super) tls_certificate_file: &'static Opt<PathBuf>,
    pub(super) tls_key_file: &'static Opt<PathBuf>,
    pub(super) timeout: &'static Opt<Duration>,
    pub(super) delay: &'static Opt<Duration>,
    pub(super) parallel: &'static Opt<NonZeroUsize>,
    pub(super) max_samples: &'static Opt<NonZeroUsize>,
    pub(super) queue_size: &'static Opt<NonZeroUsize>,
    pub(super) names: &'static Opt<NameStyle>,
    pub(super) labels: &'static Opt<Vec<(String, String)>>,
}

/// Requests that one worker may have under way.
pub(super) fn parallel(text: &str) -> Result<NonZeroUsize, Refusal> {
    at_most(text, 64, "requests")
}

/// Samples of one request: some ten megabytes at the most.
pub(super) fn samples(text: &str) -> Result<NonZeroUsize, Refusal> {
    at_most(text, 50_000, "samples")
}

fn at_most(text: &str, most: usize, what: &str) -> Result<NonZeroUsize, Refusal> {
    let count = value::count(text)?;
    if count.get() <= most { Ok(count) } else { Err(format!("more than {most} {what}")) }
}

/// The rows of a section: those that both have, and `own` ones. What is called labels in one is called attributes in the
/// other.
macro_rules! rows {
    ($section:expr, $url_about:literal, $labels:literal = $labels_parse:path, $labels_about:literal, {$($own:tt)*}) => {
        $crate::config::option::options! {
            pub(crate) static ROWS: $section, Process {
                URL: String = Reading::new(Type::Text, super::url::parse), "url", None, $url_about;
                HEADERS: Vec<(String, String)> = Reading::new(Type::Text, super::headers::option), "headers", None,
                    "Additional request headers, one Name: value per line, such as X-Scope-OrgID: team-a.";
                HEADERS_FILE: PathBuf = value::FILE, "headers-file", None,
                    "File with additional request headers that are secrets, one Name: value per line.";
                BEARER_TOKEN_FILE: PathBuf = value::FILE, "bearer-token-file", None,
                    "File with a bearer token on its first line; read again for each connection, and when the receiver \
                     rejects it.";
                USER: String = value::TEXT, "user", None,
                    "User name for basic authentication.";
                PASSWORD_FILE: PathBuf = value::FILE, "password-file", None,
                    "File with the password of user on its first line; read again like bearer-token-file.";
                TLS_CA_FILE: PathBuf = value::FILE, "tls-ca-file", None,
                    "Certificates (PEM) of the certificate authorities to trust instead of the system's.";
                TLS_VERIFY: bool = value::BOOLEAN, "tls-verify", Some("true"),
                    "Verify the receiver's certificate and name.";
                TLS_CERTIFICATE_FILE: PathBuf = value::FILE, "tls-certificate-file", None,
                    "Client certificate (PEM), for receivers that require one; together with tls-key-file.";
                TLS_KEY_FILE: PathBuf = value::FILE, "tls-key-file", None,
                    "Private key (PEM) of tls-certificate-file.";
                TIMEOUT: Duration = value::TIME_LIMIT, "request-timeout", Some("30"),
                    "Time allowed for a request, from connecting to the end of the response.";
                DELAY: Duration = value::PAUSE, "delay", Some("1"),
                    "Pause before a failed request is sent again; doubled each time, up to a minute. Retry-After of the \
                     receiver takes precedence.";
                PARALLEL_REQUESTS: NonZeroUsize = Reading::new(Type::Count, super::rows::parallel), "parallel-requests",
                    Some("4"), "Most requests for a snapshot that are in flight at the same time.";
                MAX_SAMPLES: NonZeroUsize = Reading::new(Type::Count, super::rows::samples), "max-samples-per-request",
                    Some("2000"), "Most samples in one request.";
                QUEUE_SIZE: NonZeroUsize = value::COUNT, "queue-size", Some("1000000"),
                    "Most metrics that a worker holds in memory while the receiver does not accept them; further snapshots \
                     stay on disk.";
                NAMES: NameStyle = choice![("promex", NameStyle::Promex), ("haproxystats", NameStyle::Haproxystats)], "names",
                    Some("promex"), "Names and labels of metrics: those of HAProxy's own exporter (promex), or the field \
                     names of HAProxy's statistics (haproxystats).";
                LABELS: Vec<(String, String)> = Reading::new(Type::Text, $labels_parse), $labels, None, $labels_about;
                $($own)*
            }
        }

        pub(super) fn rows() -> super::rows::Rows {
            super::rows::Rows {
                url: &URL,
                headers: &HEADERS,
                headers_file: &HEADERS_FILE,
                bearer_token_file: &BEARER_TOKEN_FILE,
                user: &USER,
                password_file: &PASSWORD_FILE,
                tls_ca_file: &TLS_CA_FILE,
                tls_verify: &TLS_VERIFY,
                tls_certificate_file: &TLS_CERTIFICATE_FILE,
                tls_key_file: &TLS_KEY_FILE,
                timeout: &TIMEOUT,
                delay: &DELAY,
                parallel: &PARALLEL_REQUESTS,
                max_samples: &MAX_SAMPLES,
                queue_size: &QUEUE_SIZE,
                names: &NAMES,
                labels: &LABELS,
            }
        }
    };
}

pub(super) use rows;
