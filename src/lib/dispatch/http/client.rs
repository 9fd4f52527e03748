//! Requests to the receiver, over connections that are kept.

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

/// Most bytes of an answer: a receiver says little.
const LARGEST: usize = 1 << 20;

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SendError {
    /// The name of the receiver leads nowhere.
    #[error(transparent)]
    Resolve(#[from] ResolveError),
    /// Nobody accepts the connection.
    #[error("{peer} cannot be reached: {reason}")]
    Connect {
        /// Host and port.
        peer: String,
        /// Why.
        reason: String,
    },
    /// The connection was accepted; what followed was no answer.
    #[error("no answer from {peer}: {reason}")]
    Answer {
        /// Host and port.
        peer: String,
        /// Why.
        reason: String,
    },
    /// The time is over.
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

/// Why requests cannot be made at all.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ClientError {
    /// The URL, or a file for TLS, cannot be used.
    #[error(transparent)]
    Setup(#[from] SetupError),
    /// The URL cannot stand in a request.
    #[error("{url} cannot be used")]
    Url {
        /// The URL.
        url: String,
    },
}

/// A receiver, and the connections to it that nobody uses at present.
pub(super) struct Client {
    config: Remote,
    endpoint: Endpoint,
    resolver: Mutex<Resolver>,
    path: Uri,
    /// What all requests say, secrets excepted.
    headers: HeaderMap,
    /// What stands in files; `None` until it is read, again.
    secrets: RefCell<Option<HeaderMap>>,
    idle: RefCell<Vec<SendRequest<Full<Bytes>>>>,
}

impl Client {
    /// Reads the files for TLS; connects to nobody.
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

    /// What stands in files is read again, for the next request.
    pub(super) fn forget_secrets(&self) {
        self.secrets.take();
    }

    async fn attempt(&self, body: Bytes) -> Result<Reply, SendError> {
        while let Some(mut sender) = self.pop() {
            // The peer may close a connection that nobody uses just as it is used.
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

    /// The connection that was used last: those of busier times are closed by the receiver in the end.
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
        // A request waits for its answer. Without it that only takes longer.
        let _ = stream.set_nodelay(true);
        let stream = self.endpoint.secure(stream).await.map_err(|error| failed(format!("TLS: {}", Chain(&error))))?;
        let (sender, connection) =
            http1::handshake(TokioIo::new(stream)).await.map_err(|error| self.no_answer(&error))?;
        // It ends with its sender; what goes wrong is seen where the answer is waited for.
        tokio::task::spawn_local(async move { drop(connection.await) });
        Ok(sender)
    }

    fn no_answer(&self, error: &dyn std::error::Error) -> SendError {
        SendError::Answer { peer: self.endpoint.authority.clone(), reason: Chain(error).to_string() }
    }
}
