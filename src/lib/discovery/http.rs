//! HTTP/1.1 for stores and sources: several base URLs asked in turn, over TCP or TLS, one connection kept between
//! requests.

use crate::config::discovery::Tls;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Bytes;
use hyper::client::conn::http1::{self, SendRequest};
use hyper::header::{HOST, HeaderMap, HeaderName, HeaderValue, USER_AGENT};
use hyper::{Method, Request, Uri};
use hyper_util::rt::TokioIo;
use std::cell::{Cell, RefCell};
use std::fmt::Display;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore, crypto};

/// Most bytes of a reply: a page of DynamoDB has 1 MiB, a service of Consul with thousands of instances has more.
const LARGEST: usize = 32 << 20;

/// Why a client cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// A file cannot be read.
    #[error("{} cannot be read", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file is not what it should be. Its content is not shown.
    #[error("{} holds no {what}", path.display())]
    Content {
        /// The file.
        path: PathBuf,
        /// What it should hold.
        what: &'static str,
    },
    /// A URL cannot be used.
    #[error("{url} cannot be used: {reason}")]
    Url {
        /// The URL.
        url: String,
        /// Why.
        reason: String,
    },
    /// Certificate and key do not fit, or there are no authorities to trust.
    #[error("TLS cannot be set up: {0}")]
    Tls(String),
}

/// Why there is no reply.
#[derive(Debug, thiserror::Error)]
pub enum HttpError {
    /// Nobody accepts the connection.
    #[error("{peer} cannot be reached: {reason}")]
    Connect {
        /// Host and port.
        peer: String,
        /// Why.
        reason: String,
    },
    /// The connection was accepted; what followed was no reply.
    #[error("no reply from {peer}: {reason}")]
    Reply {
        /// Host and port.
        peer: String,
        /// Why.
        reason: String,
    },
    /// The time is over.
    #[error("no reply from {peer} after {} s", time.as_secs_f64())]
    Timeout {
        /// Host and port.
        peer: String,
        /// The limit.
        time: Duration,
    },
    /// The request cannot be made from what it was given.
    #[error("a request cannot be made: {0}")]
    Request(String),
}

/// A reply.
#[derive(Debug)]
pub struct Reply {
    /// HTTP status.
    pub status: u16,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its body.
    pub body: Bytes,
}

impl Reply {
    /// The text of a header.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// The beginning of the body, for messages.
    #[must_use]
    pub fn excerpt(&self) -> String {
        let text = String::from_utf8_lossy(&self.body);
        let line: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(200).collect();
        line.trim().to_owned()
    }
}

/// A base URL, taken apart.
struct Endpoint {
    host: String,
    port: u16,
    /// Host and port as the URL has them.
    authority: String,
    /// Path before that of each request, without a slash at its end.
    base: String,
    tls: Option<(TlsConnector, ServerName<'static>)>,
}

/// A service at one of several addresses.
pub struct Http {
    endpoints: Vec<Endpoint>,
    current: Cell<usize>,
    idle: RefCell<Option<SendRequest<Full<Bytes>>>>,
}

impl Http {
    /// Reads certificates; connects to nobody.
    ///
    /// # Errors
    /// URLs or files that cannot be used.
    pub fn open(urls: &[String], tls: &Tls) -> Result<Self, SetupError> {
        let mut endpoints = Vec::new();
        for url in urls {
            let wrong = |reason: String| SetupError::Url { url: url.clone(), reason };
            let uri: Uri = url.parse().map_err(|error| wrong(format!("{error}")))?;
            let host = uri.host().ok_or_else(|| wrong("it has no host".to_owned()))?;
            let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host).to_owned();
            let secure = uri.scheme_str() == Some("https");
            let authority = uri.authority().map_or_else(String::new, ToString::to_string);
            let connector = if secure { Some(connector(tls, &host)?) } else { None };
            endpoints.push(Endpoint {
                host,
                port: uri.port_u16().unwrap_or(if secure { 443 } else { 80 }),
                authority,
                base: uri.path().trim_end_matches('/').to_owned(),
                tls: connector,
            });
        }
        if endpoints.is_empty() {
            return Err(SetupError::Url { url: String::new(), reason: "there is none".to_owned() });
        }
        Ok(Self { endpoints, current: Cell::new(0), idle: RefCell::new(None) })
    }

    /// Host and port of the first URL, as a signature needs them.
    #[must_use]
    pub fn authority(&self) -> &str {
        self.endpoints.first().map_or("", |endpoint| endpoint.authority.as_str())
    }

    /// Path of the first URL.
    #[must_use]
    pub fn base(&self) -> &str {
        self.endpoints.first().map_or("", |endpoint| endpoint.base.as_str())
    }

    /// Sends one request within `time`, to the address that answered last, or else to the others in turn. A request
    /// may reach the service twice: its sender must be able to live with that.
    ///
    /// # Errors
    /// Nobody replies. Any status is a reply.
    pub async fn send(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: impl Into<Bytes>,
        time: Duration,
    ) -> Result<Reply, HttpError> {
        let body = body.into();
        let started = tokio::time::Instant::now();
        let mut failure = None;
        for _ in 0..self.endpoints.len() {
            let Some(endpoint) = self.endpoints.get(self.current.get()) else { break };
            let left = time.saturating_sub(started.elapsed());
            let attempt = self.attempt(endpoint, &method, path, headers, &body);
            match timeout(left, attempt).await {
                Ok(Ok(reply)) => return Ok(reply),
                Ok(Err(error @ HttpError::Request(_))) => return Err(error),
                Ok(Err(error)) => failure = Some(error),
                Err(_) => failure = Some(HttpError::Timeout { peer: endpoint.authority.clone(), time }),
            }
            self.idle.take();
            self.current.set((self.current.get() + 1) % self.endpoints.len());
            if started.elapsed() >= time {
                break;
            }
        }
        Err(failure.unwrap_or_else(|| HttpError::Request("there is no address".to_owned())))
    }

    async fn attempt(
        &self,
        endpoint: &Endpoint,
        method: &Method,
        path: &str,
        headers: &[(&str, &str)],
        body: &Bytes,
    ) -> Result<Reply, HttpError> {
        let make = || request(endpoint, method, path, headers, body.clone());
        let kept = self.idle.take().filter(|sender| !sender.is_closed());
        if let Some(mut sender) = kept
            && sender.ready().await.is_ok()
        {
            // The peer may close a connection that nobody uses just as it is used.
            if let Ok(reply) = exchange(endpoint, &mut sender, make()?).await {
                self.idle.replace(Some(sender));
                return Ok(reply);
            }
        }
        let mut sender = endpoint.connect().await?;
        let reply = exchange(endpoint, &mut sender, make()?).await?;
        self.idle.replace(Some(sender));
        Ok(reply)
    }
}

impl Endpoint {
    async fn connect(&self) -> Result<SendRequest<Full<Bytes>>, HttpError> {
        let failed = |reason: String| HttpError::Connect { peer: self.authority.clone(), reason };
        let stream =
            TcpStream::connect((self.host.as_str(), self.port)).await.map_err(|error| failed(error.to_string()))?;
        // Requests are small and wait for their replies.
        let _ = stream.set_nodelay(true);
        match &self.tls {
            None => self.handshake(stream).await,
            Some((connector, name)) => {
                let stream = connector.connect(name.clone(), stream).await;
                self.handshake(stream.map_err(|error| failed(format!("TLS: {error}")))?).await
            }
        }
    }

    async fn handshake<S>(&self, stream: S) -> Result<SendRequest<Full<Bytes>>, HttpError>
    where
        S: AsyncRead + AsyncWrite + Unpin + 'static,
    {
        let (sender, connection) =
            http1::handshake(TokioIo::new(stream)).await.map_err(|error| self.no_reply(&error))?;
        // It ends with its sender; what goes wrong is seen by whoever waits for the reply.
        tokio::task::spawn_local(async move { drop(connection.await) });
        Ok(sender)
    }

    fn no_reply(&self, error: &dyn std::error::Error) -> HttpError {
        let reason = crate::logging::Chain(error).to_string();
        HttpError::Reply { peer: self.authority.clone(), reason }
    }
}

fn request(
    endpoint: &Endpoint,
    method: &Method,
    path: &str,
    headers: &[(&str, &str)],
    body: Bytes,
) -> Result<Request<Full<Bytes>>, HttpError> {
    let wrong = |error: &dyn Display| HttpError::Request(error.to_string());
    let mut request = Request::new(Full::new(body));
    *request.method_mut() = method.clone();
    *request.uri_mut() = format!("{}{path}", endpoint.base).parse().map_err(|error| wrong(&error))?;
    let host = HeaderValue::from_str(&endpoint.authority).map_err(|error| wrong(&error))?;
    request.headers_mut().insert(HOST, host);
    request.headers_mut().insert(USER_AGENT, HeaderValue::from_static("haproxystats-discovery"));
    for (name, value) in headers {
        let name: HeaderName = name.parse().map_err(|error| wrong(&error))?;
        let mut value = HeaderValue::from_str(value).map_err(|error| wrong(&error))?;
        value.set_sensitive(true);
        request.headers_mut().insert(name, value);
    }
    Ok(request)
}

async fn exchange(
    endpoint: &Endpoint,
    sender: &mut SendRequest<Full<Bytes>>,
    request: Request<Full<Bytes>>,
) -> Result<Reply, HttpError> {
    let reply = sender.send_request(request).await.map_err(|error| endpoint.no_reply(&error))?;
    let (status, headers) = (reply.status().as_u16(), reply.headers().clone());
    let body = Limited::new(reply.into_body(), LARGEST).collect().await;
    let body = body.map_err(|error| endpoint.no_reply(error.as_ref()))?.to_bytes();
    Ok(Reply { status, headers, body })
}

/// The first line of a file with a secret.
///
/// # Errors
/// It cannot be read, or has no first line.
pub fn secret(path: &Path, what: &'static str) -> Result<String, SetupError> {
    let text = read(path)?;
    let line = text.lines().next().map(str::trim).filter(|line| !line.is_empty());
    line.map(str::to_owned).ok_or_else(|| SetupError::Content { path: path.to_owned(), what })
}

fn read(path: &Path) -> Result<String, SetupError> {
    std::fs::read_to_string(path).map_err(|source| SetupError::Read { path: path.to_owned(), source })
}

fn connector(config: &Tls, host: &str) -> Result<(TlsConnector, ServerName<'static>), SetupError> {
    let wrong = |error: &dyn Display| SetupError::Tls(error.to_string());
    let mut roots = RootCertStore::empty();
    match &config.ca_file {
        Some(path) => {
            for certificate in certificates(path)? {
                roots.add(certificate).map_err(|error| wrong(&error))?;
            }
        }
        None => {
            roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        }
    }
    if roots.is_empty() {
        return Err(SetupError::Tls("there is no certificate authority to trust; set tls-ca-file".to_owned()));
    }
    let builder = ClientConfig::builder_with_provider(Arc::new(crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| wrong(&error))?
        .with_root_certificates(roots);
    let client = match &config.identity {
        None => builder.with_no_client_auth(),
        Some((certificate, key)) => builder
            .with_client_auth_cert(certificates(certificate)?, private_key(key)?)
            .map_err(|error| wrong(&error))?,
    };
    let name = ServerName::try_from(host.to_owned()).map_err(|error| wrong(&error))?;
    Ok((TlsConnector::from(Arc::new(client)), name))
}

/// The private key in a file.
///
/// # Errors
/// It cannot be read, or holds none.
pub(super) fn private_key(path: &Path) -> Result<PrivateKeyDer<'static>, SetupError> {
    let content = |_| SetupError::Content { path: path.to_owned(), what: "private key (PEM)" };
    PrivateKeyDer::from_pem_slice(read(path)?.as_bytes()).map_err(content)
}

/// The certificates in a file.
///
/// # Errors
/// It cannot be read, or holds none.
pub(super) fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, SetupError> {
    let content = || SetupError::Content { path: path.to_owned(), what: "certificates (PEM)" };
    let text = read(path)?;
    let certificates: Vec<_> =
        CertificateDer::pem_slice_iter(text.as_bytes()).collect::<Result<_, _>>().map_err(|_| content())?;
    if certificates.is_empty() { Err(content()) } else { Ok(certificates) }
}

/// Bytes of a path or a query that mean nothing but themselves.
#[must_use]
pub fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'~') {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}
