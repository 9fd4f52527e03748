//! One HTTP request: one attempt, one connection, over TCP, TLS or a UNIX socket. Its time is limited by the caller.

use super::check::{Failure, Finding};
use crate::config::agent::Http;
use crate::http::{Endpoint, SetupError, Stream};
use crate::logging::Chain;
use crate::secrets::{self, FileError};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http_body_util::Empty;
use hyper::Request;
use hyper::body::Bytes;
use hyper::header::{ACCEPT, AUTHORIZATION, HOST, HeaderMap, HeaderName, HeaderValue, USER_AGENT};
use hyper_util::rt::TokioIo;
use std::error::Error;
use std::io;
use std::path::PathBuf;
use tokio::net::{TcpStream, UnixStream};

pub use crate::http::Reply;

/// Most bytes of a reply.
const LARGEST: usize = 1 << 20;

/// Why there is no reply.
#[derive(Debug)]
pub enum GetError {
    /// Nobody accepts the connection.
    Connect(String),
    /// The connection was accepted; what followed was no reply.
    Reply(String),
}

impl GetError {
    /// What it means for a check.
    #[must_use]
    pub fn finding(self) -> Finding {
        match self {
            Self::Connect(reason) => Finding::Failure(Failure::Down, reason),
            Self::Reply(reason) => Finding::Failure(Failure::Error, reason),
        }
    }
}

/// An endpoint and how to reach it.
pub struct Client {
    endpoint: Endpoint,
    socket: Option<PathBuf>,
    headers: HeaderMap,
}

impl Client {
    /// Reads certificates and credentials; connects to nobody.
    ///
    /// # Errors
    /// A URL or files that cannot be used.
    pub fn open(config: &Http, default_url: &str) -> Result<Self, SetupError> {
        let url = config.url.as_deref().unwrap_or(default_url);
        let endpoint = Endpoint::open(url, &config.tls)?;
        let mut headers = HeaderMap::new();
        let host = HeaderValue::from_str(&endpoint.authority);
        headers.insert(HOST, host.map_err(|error| SetupError::Url { url: url.to_owned(), reason: error.to_string() })?);
        headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
        headers.insert(USER_AGENT, HeaderValue::from_static("haproxystats-agent"));
        add_secrets(config, &mut headers)?;
        Ok(Self { endpoint, socket: config.socket.clone(), headers })
    }

    /// Asks for the URL with `suffix` behind its path.
    ///
    /// # Errors
    /// Nobody answers, or what comes is no reply.
    pub async fn get(&self, suffix: &str) -> Result<Reply, GetError> {
        let Endpoint { host, port, .. } = &self.endpoint;
        let stream = if let Some(path) = &self.socket {
            let failed = |error| GetError::Connect(format!("{}: {error}", path.display()));
            self.endpoint.secure(UnixStream::connect(path).await.map_err(failed)?).await
        } else {
            let failed = |error: io::Error| GetError::Connect(format!("{host} port {port}: {error}"));
            self.endpoint.secure(TcpStream::connect((host.as_str(), *port)).await.map_err(failed)?).await
        };
        self.exchange(stream.map_err(|error| GetError::Reply(format!("TLS: {error}")))?, suffix).await
    }

    async fn exchange(&self, stream: Stream, suffix: &str) -> Result<Reply, GetError> {
        let (mut sender, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(|error| no_reply(&error))?;
        let base = &self.endpoint.path;
        let path = if suffix.is_empty() { base.clone() } else { format!("{}{suffix}", base.trim_end_matches('/')) };
        let mut request = Request::get(path).body(Empty::<Bytes>::new()).map_err(|error| no_reply(&error))?;
        *request.headers_mut() = self.headers.clone();
        let reply = async {
            let reply = sender.send_request(request).await.map_err(|error| no_reply(&error))?;
            Reply::read(reply, LARGEST).await.map_err(|error| no_reply(error.as_ref()))
        };
        // Both in this task: what is given up leaves no connection behind.
        tokio::pin!(reply);
        tokio::pin!(connection);
        tokio::select! {
            biased;
            reply = &mut reply => reply,
            _ = &mut connection => reply.await,
        }
    }
}

fn no_reply(error: &(dyn Error + 'static)) -> GetError {
    GetError::Reply(format!("no reply: {}", Chain(error)))
}

/// Headers and credentials, marked so that nothing prints them.
fn add_secrets(config: &Http, headers: &mut HeaderMap) -> Result<(), FileError> {
    if let Some(path) = &config.headers_file {
        let wrong = || FileError::Content { path: path.clone(), what: "headers, one per line as Name: value" };
        let text = secrets::text(path)?;
        for line in text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')) {
            let (name, value) = line.split_once(':').ok_or_else(wrong)?;
            let name: HeaderName = name.trim().parse().map_err(|_| wrong())?;
            let mut value: HeaderValue = value.trim().parse().map_err(|_| wrong())?;
            value.set_sensitive(true);
            headers.insert(name, value);
        }
    }
    if let Some(path) = &config.credentials_file {
        let (user, password) = secrets::credentials(path)?;
        let mut value = HeaderValue::try_from(format!("Basic {}", STANDARD.encode(format!("{user}:{password}"))))
            .map_err(|_| FileError::Content { path: path.clone(), what: "user:password" })?;
        value.set_sensitive(true);
        headers.insert(AUTHORIZATION, value);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_are_never_printed() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("credentials");
        std::fs::write(&path, "user:geheim\n").unwrap();
        let config = Http { credentials_file: Some(path), ..Http::default() };
        let client = Client::open(&config, "http://[::1]:8080/x").unwrap();
        assert_eq!(client.headers[AUTHORIZATION], "Basic dXNlcjpnZWhlaW0=");
        let printed = format!("{:?}", client.headers);
        assert!(printed.contains("Sensitive") && !printed.contains("dXNlcjpnZWhlaW0"), "{printed}");
    }
}
