//! Sends requests to the receiver, over persistent connections.

use super::body::Format;
use super::credentials::{self, CredentialsError};
use crate::config::Remote;
use crate::dispatch::resolve::{ResolveError, Resolver};
use crate::http::{Endpoint, Reply, SetupError};
use crate::logging::Chain;
use crate::looked;
use crate::prometheus::request::Protocol;
use http_body_util::Full;
use hyper::body::Bytes;
use hyper::client::conn::http1::{self, SendRequest};
use hyper::header::{CONTENT_ENCODING, CONTENT_TYPE, HOST, HeaderMap, HeaderName, HeaderValue, USER_AGENT};
use hyper::{Method, Request, Uri};
use hyper_util::rt::TokioIo;
use std::cell::RefCell;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::sync::Mutex;

/// Maximum size of an answer; receivers send short ones.
const LARGEST: usize = 1 << 20;

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SendError {
    /// The name of the receiver cannot be resolved.
    #[error(transparent)]
    Resolve(#[from] ResolveError),
    /// The connection was not accepted.
    #[error("{peer} cannot be reached: {reason}")]
    Connect {
        /// Host and port.
        peer: String,
        /// Why.
        reason: String,
    },
    /// The connection was accepted, but no valid answer followed.
    #[error("no answer from {peer}: {reason}")]
    Answer {
        /// Host and port.
        peer: String,
        /// Why.
        reason: String,
    },
    /// There was no answer in time.
    #[error("no answer from {peer} within {limit:?}")]
    Timeout {
        /// Host and port.
        peer: String,
        /// `timeout`
        limit: Duration,
    },
    /// The files with secrets cannot be used.
    #[error(transparent)]
    Credentials(#[from] CredentialsError),
}

/// Why no requests can be sent at all.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ClientError {
    /// The URL, or a file for TLS, cannot be used.
    #[error(transparent)]
    Setup(#[from] SetupError),
    /// The URL is not valid in a request.
    #[error("{url} cannot be used")]
    Url {
        /// The URL.
        url: String,
    },
    /// A file with a secret cannot be used.
    #[error(transparent)]
    Credentials(#[from] CredentialsError),
}

/// A receiver, and the idle connections to it.
pub(super) struct Client {
    config: Remote,
    endpoint: Endpoint,
    resolver: Mutex<Resolver>,
    path: Uri,
    /// Headers of all requests, except secrets.
    headers: HeaderMap,
    /// Headers from secret files; `None` before they are read, and when they must be read again.
    secrets: RefCell<Option<HeaderMap>>,
    idle: RefCell<Vec<SendRequest<Full<Bytes>>>>,
}

impl Client {
    /// Reads the TLS files; does not connect.
    pub(super) fn open(format: Format, config: &Remote) -> Result<Self, ClientError> {
        let endpoint = Endpoint::open(&config.url, &config.tls)?;
        let wrong = || ClientError::Url { url: config.url.clone() };
        let path = endpoint.path.parse().map_err(|_| wrong())?;
        let host = HeaderValue::from_str(&endpoint.authority).map_err(|_| wrong())?;
        let mut headers = HeaderMap::new();
        headers.insert(HOST, host);
        headers.insert(USER_AGENT, HeaderValue::from_static(concat!("haproxystats/", env!("CARGO_PKG_VERSION"))));
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/x-protobuf"));
        if let Some(encoding) = format.compression().word() {
            headers.insert(CONTENT_ENCODING, HeaderValue::from_static(encoding));
        }
        if format.protocol == Protocol::RemoteWrite {
            let version = HeaderName::from_static("x-prometheus-remote-write-version");
            headers.insert(version, HeaderValue::from_static("0.1.0"));
        }
        let resolver = Mutex::new(Resolver::new(&endpoint.host, endpoint.port));
        let (secrets, idle) = (RefCell::default(), RefCell::default());
        Ok(Self { config: config.clone(), endpoint, resolver, path, headers, secrets, idle })
    }

    /// Sends a body, and waits for the answer.
    pub(super) async fn send(&self, body: Bytes) -> Result<Reply, SendError> {
        let limit = self.config.timeout;
        let answer = looked::timeout(limit, self.attempt(body)).await;
        answer.unwrap_or_else(|| Err(SendError::Timeout { peer: self.endpoint.authority.clone(), limit }))
    }

    /// Makes the next request read the secret files again.
    pub(super) fn forget_secrets(&self) {
        self.secrets.take();
    }

    async fn attempt(&self, body: Bytes) -> Result<Reply, SendError> {
        while let Some(mut sender) = self.pop() {
            // The peer may close an idle connection at the moment when it is used.
            if sender.ready().await.is_err() {
                continue;
            }
            if let Ok(reply) = self.exchange(&mut sender, body.clone()).await {
                self.idle.borrow_mut().push(sender);
                return Ok(reply);
            }
        }
        self.forget_secrets();
        let mut sender = self.connect().await?;
        let reply = self.exchange(&mut sender, body).await?;
        self.idle.borrow_mut().push(sender);
        Ok(reply)
    }

    /// Takes the connection that was used last, so that the receiver eventually closes those that are no longer needed.
    fn pop(&self) -> Option<SendRequest<Full<Bytes>>> {
        let mut idle = self.idle.borrow_mut();
        idle.retain(|sender| !sender.is_closed());
        idle.pop()
    }

    async fn exchange(&self, sender: &mut SendRequest<Full<Bytes>>, body: Bytes) -> Result<Reply, SendError> {
        let reply = sender.send_request(self.request(body)?).await.map_err(|error| self.no_answer(&error))?;
        Reply::read(reply, LARGEST).await.map_err(|error| self.no_answer(error.as_ref()))
    }

    fn request(&self, body: Bytes) -> Result<Request<Full<Bytes>>, SendError> {
        let mut request = Request::new(Full::new(body));
        *request.method_mut() = Method::POST;
        request.uri_mut().clone_from(&self.path);
        request.headers_mut().clone_from(&self.headers);
        let mut secrets = self.secrets.borrow_mut();
        let secrets = match &mut *secrets {
            Some(secrets) => secrets,
            none => none.insert(credentials::read(&self.config)?),
        };
        request.headers_mut().extend(secrets.clone());
        Ok(request)
    }

    async fn connect(&self) -> Result<SendRequest<Full<Bytes>>, SendError> {
        let addresses = self.resolver.lock().await.addresses(self.config.timeout).await?;
        let mut reason = "the name has no address".to_owned();
        let mut open = None;
        for address in addresses {
            match TcpStream::connect(address).await {
                Ok(stream) => {
                    open = Some(stream);
                    break;
                }
                Err(error) => reason = error.to_string(),
            }
        }
        let failed = |reason| SendError::Connect { peer: self.endpoint.authority.clone(), reason };
        let stream = open.ok_or_else(|| failed(reason))?;
        // Each request waits for its answer. If this fails, requests only take longer.
        let _ = stream.set_nodelay(true);
        let stream = self.endpoint.secure(stream).await.map_err(|error| failed(format!("TLS: {}", Chain(&error))))?;
        let (sender, connection) =
            http1::handshake(TokioIo::new(stream)).await.map_err(|error| self.no_answer(&error))?;
        // Ends with its sender. Errors are seen by whichever request waits for an answer.
        tokio::task::spawn_local(async move { drop(connection.await) });
        Ok(sender)
    }

    fn no_answer(&self, error: &dyn std::error::Error) -> SendError {
        SendError::Answer { peer: self.endpoint.authority.clone(), reason: Chain(error).to_string() }
    }
}
