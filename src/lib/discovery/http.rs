//! HTTP/1.1 for stores and sources: several base URLs asked in turn, over TCP or TLS, one connection kept between
//! requests.

use crate::config::Tls;
use crate::http::{Endpoint, Reply, SetupError};
use crate::logging::Chain;
use http_body_util::Full;
use hyper::body::Bytes;
use hyper::client::conn::http1::{self, SendRequest};
use hyper::header::{HOST, HeaderName, HeaderValue, USER_AGENT};
use hyper::{Method, Request};
use hyper_util::rt::TokioIo;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use std::cell::{Cell, RefCell};
use std::fmt::Display;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::time::timeout;

/// Most bytes of a reply: a page of DynamoDB has 1 MiB, a service of Consul with thousands of instances has more.
const LARGEST: usize = 32 << 20;

/// Why there is no reply.
#[derive(Debug, thiserror::Error)]
pub enum HttpError {
    /// The connection is refused.
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
    #[error("cannot make a request: {0}")]
    Request(String),
}

/// A reply that says no.
#[derive(Debug, thiserror::Error)]
#[error("{request} was answered with {status}: {text}")]
pub struct Refused {
    /// What was asked.
    pub request: String,
    /// The HTTP status.
    pub status: u16,
    /// The beginning of the answer.
    pub text: String,
}

impl Refused {
    /// What `reply` says to `request`.
    #[must_use]
    pub fn by(reply: &Reply, request: String) -> Self {
        Self { request, status: reply.status, text: reply.excerpt() }
    }
}

/// A service at one of several addresses.
pub struct Http {
    endpoints: Vec<Endpoint>,
    current: Cell<usize>,
    idle: RefCell<Option<SendRequest<Full<Bytes>>>>,
}

impl Http {
    /// Reads certificates; opens no connection.
    ///
    /// # Errors
    /// URLs or files that cannot be used.
    pub fn open(urls: &[String], tls: &Tls) -> Result<Self, SetupError> {
        let endpoints: Vec<_> = urls.iter().map(|url| Endpoint::open(url, tls)).collect::<Result<_, _>>()?;
        if endpoints.is_empty() {
            return Err(SetupError::Url { url: String::new(), reason: "no URL is configured".to_owned() });
        }
        Ok(Self { endpoints, current: Cell::new(0), idle: RefCell::new(None) })
    }

    /// Host and port of the first URL, as a signature needs them.
    #[must_use]
    pub fn authority(&self) -> &str {
        self.endpoints.first().map_or("", |endpoint| endpoint.authority.as_str())
    }

    /// Sends one request within `time`, to the address that answered last, or else to the others in turn. A request
    /// may reach the service twice: its sender must be able to live with that.
    ///
    /// # Errors
    /// There is no reply. Any status is a reply.
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
        Err(failure.unwrap_or_else(|| HttpError::Request("no address".to_owned())))
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
        let mut sender = connect(endpoint).await?;
        let reply = exchange(endpoint, &mut sender, make()?).await?;
        self.idle.replace(Some(sender));
        Ok(reply)
    }
}

async fn connect(endpoint: &Endpoint) -> Result<SendRequest<Full<Bytes>>, HttpError> {
    let failed = |reason: String| HttpError::Connect { peer: endpoint.authority.clone(), reason };
    let stream = TcpStream::connect((endpoint.host.as_str(), endpoint.port)).await;
    let stream = stream.map_err(|error| failed(error.to_string()))?;
    // Requests are small and wait for their replies. Without it they are only slower.
    let _ = stream.set_nodelay(true);
    let stream = endpoint.secure(stream).await.map_err(|error| failed(format!("TLS: {error}")))?;
    let (sender, connection) =
        http1::handshake(TokioIo::new(stream)).await.map_err(|error| no_reply(endpoint, &error))?;
    // It ends with its sender; what goes wrong is seen where the reply is waited for.
    tokio::task::spawn_local(async move { drop(connection.await) });
    Ok(sender)
}

fn no_reply(endpoint: &Endpoint, error: &dyn std::error::Error) -> HttpError {
    HttpError::Reply { peer: endpoint.authority.clone(), reason: Chain(error).to_string() }
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
    *request.uri_mut() = format!("{}{path}", endpoint.base()).parse().map_err(|error| wrong(&error))?;
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
    let reply = sender.send_request(request).await.map_err(|error| no_reply(endpoint, &error))?;
    Reply::read(reply, LARGEST).await.map_err(|error| no_reply(endpoint, error.as_ref()))
}

/// Bytes of a path or a query that mean nothing but themselves (RFC 3986, section 2.3); all others are escaped.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

/// A text as a part of a path or a query.
#[must_use]
pub fn escaped(text: &str) -> String {
    utf8_percent_encode(text, RESERVED).to_string()
}
