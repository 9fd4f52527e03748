//! One HTTP request: one attempt, one connection, over TCP, TLS or a UNIX socket. Its time is limited by the caller, who
//! also says how many redirects may follow.

use super::finding::{Failure, Finding};
use super::inflate::decoded;
use crate::config::Tls;
use crate::config::agent::Http;
use crate::http::{Endpoint, SetupError, Stream};
use crate::logging::Chain;
use crate::secrets::{self, FileError};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http_body_util::Empty;
use hyper::body::Bytes;
use hyper::header::{ACCEPT, ACCEPT_ENCODING, AUTHORIZATION, HOST, HeaderMap, HeaderName, HeaderValue, USER_AGENT};
use hyper::{Request, Uri};
use hyper_util::rt::TokioIo;
use std::cell::RefCell;
use std::error::Error;
use std::io;
use std::path::PathBuf;
use std::rc::Rc;
use tokio::net::{TcpStream, UnixStream};

pub(crate) use crate::http::Reply;

/// Most bytes of a reply.
const LARGEST: usize = 1 << 20;

/// Why there is no reply.
#[derive(Debug)]
pub(crate) enum GetError {
    /// The connection is refused.
    Connect(String),
    /// The connection was accepted; what followed was no reply.
    Reply(String),
}

impl GetError {
    /// What it means for a check.
    pub(crate) fn finding(self) -> Finding {
        match self {
            Self::Connect(reason) => Finding::Failure(Failure::Down, reason),
            Self::Reply(reason) => Finding::Failure(Failure::Error, reason),
        }
    }
}

/// An endpoint and how to reach it.
pub(crate) struct Client {
    endpoint: Rc<Endpoint>,
    /// `http://host:port` of the endpoint, as a redirect would write it.
    origin: String,
    tls: Tls,
    socket: Option<PathBuf>,
    headers: HeaderMap,
    /// The other host that a redirect led to last: its TLS need not be set up for every check.
    other: RefCell<Option<(String, Rc<Endpoint>)>>,
}

impl Client {
    /// Reads certificates and credentials; opens no connection.
    ///
    /// # Errors
    /// A URL or files that cannot be used.
    pub(crate) fn open(config: &Http, default_url: &str) -> Result<Self, SetupError> {
        let url = config.url.as_deref().unwrap_or(default_url);
        let endpoint = Endpoint::open(url, &config.tls)?;
        let mut headers = plain_headers();
        let host = HeaderValue::from_str(&endpoint.authority);
        headers.insert(HOST, host.map_err(|error| SetupError::Url { url: url.to_owned(), reason: error.to_string() })?);
        add_secrets(config, &mut headers)?;
        let origin = origin(&url.parse().unwrap_or_default());
        let (socket, tls, other) = (config.socket.clone(), config.tls.clone(), RefCell::default());
        Ok(Self { endpoint: Rc::new(endpoint), origin, tls, socket, headers, other })
    }

    /// Asks for the URL with `suffix` after its path.
    ///
    /// # Errors
    /// There is no answer, or it is not a reply.
    pub(crate) async fn get(&self, suffix: &str) -> Result<Reply, GetError> {
        self.get_following(suffix, 0).await
    }

    /// As [`Client::get`], and follows up to `redirects` redirects. Headers and credentials of the configuration go to no
    /// other host than its own.
    ///
    /// # Errors
    /// As [`Client::get`], and a redirect that leads nowhere, or one too many.
    pub(crate) async fn get_following(&self, suffix: &str, redirects: usize) -> Result<Reply, GetError> {
        let base = &self.endpoint.path;
        let path = if suffix.is_empty() { base.clone() } else { format!("{}{suffix}", base.trim_end_matches('/')) };
        let mut place = Place { endpoint: Rc::clone(&self.endpoint), origin: self.origin.clone(), path };
        for _ in 0..redirects {
            let reply = self.ask(&place).await?;
            let Some(location) = redirected(&reply) else { return Ok(reply) };
            place = self.follow(&place, location)?;
        }
        match self.ask(&place).await? {
            reply if redirects > 0 && redirected(&reply).is_some() => {
                Err(GetError::Reply(format!("more than {redirects} redirects")))
            }
            reply => Ok(reply),
        }
    }

    /// Where a redirect leads.
    fn follow(&self, from: &Place, location: &str) -> Result<Place, GetError> {
        let wrong = |reason: String| GetError::Reply(format!("redirected to {location:?}: {reason}"));
        let (scheme, _) = from.origin.split_once("://").unwrap_or_default();
        let target = if location.starts_with("//") {
            format!("{scheme}:{location}")
        } else if location.starts_with('/') {
            format!("{}{location}", from.origin)
        } else if location.contains("://") {
            location.to_owned()
        } else {
            // Beside the path that was asked for.
            let folder = from.path.split(['?', '#']).next().unwrap_or_default();
            let folder = folder.rsplit_once('/').map_or("", |(folder, _)| folder);
            format!("{}{folder}/{location}", from.origin)
        };
        let target = target.split('#').next().unwrap_or_default();
        let uri: Uri = target.parse().map_err(|error| wrong(format!("{error}")))?;
        if !matches!(uri.scheme_str(), Some("http" | "https")) {
            return Err(wrong("not HTTP".to_owned()));
        }
        let path = uri.path_and_query().map_or("/", |path| path.as_str()).to_owned();
        let origin = origin(&uri);
        if origin == self.origin {
            return Ok(Place { endpoint: Rc::clone(&self.endpoint), origin, path });
        }
        if self.socket.is_some() {
            return Err(wrong("another host, which cannot be reached through check-socket".to_owned()));
        }
        let known =
            self.other.borrow().as_ref().filter(|(known, _)| *known == origin).map(|(_, known)| Rc::clone(known));
        let endpoint = match known {
            Some(endpoint) => endpoint,
            None => Rc::new(Endpoint::open(target, &self.tls).map_err(|error| wrong(Chain(&error).to_string()))?),
        };
        *self.other.borrow_mut() = Some((origin.clone(), Rc::clone(&endpoint)));
        Ok(Place { endpoint, origin, path })
    }

    async fn ask(&self, place: &Place) -> Result<Reply, GetError> {
        let Endpoint { host, port, .. } = &*place.endpoint;
        let stream = if let Some(path) = &self.socket {
            let failed = |error| GetError::Connect(format!("{}: {error}", path.display()));
            place.endpoint.secure(UnixStream::connect(path).await.map_err(failed)?).await
        } else {
            let failed = |error: io::Error| GetError::Connect(format!("{host} port {port}: {error}"));
            place.endpoint.secure(TcpStream::connect((host.as_str(), *port)).await.map_err(failed)?).await
        };
        let mut headers = self.headers.clone();
        if place.origin != self.origin {
            headers = plain_headers();
            let host = HeaderValue::from_str(&place.endpoint.authority);
            headers.insert(HOST, host.map_err(|error| GetError::Reply(error.to_string()))?);
        }
        let stream = stream.map_err(|error| GetError::Reply(format!("TLS: {error}")))?;
        let reply = exchange(stream, &place.path, headers).await?;
        let encoding = reply.header("content-encoding").unwrap_or_default();
        match decoded(encoding, &reply.body, LARGEST) {
            None => Ok(reply),
            Some(Some(body)) => Ok(Reply { body: body.into(), ..reply }),
            Some(None) => Err(GetError::Reply(format!("the body is not valid {encoding}"))),
        }
    }
}

/// What is asked for, and where.
struct Place {
    endpoint: Rc<Endpoint>,
    origin: String,
    path: String,
}

/// Where a reply redirects to.
fn redirected(reply: &Reply) -> Option<&str> {
    reply.header("location").filter(|_| matches!(reply.status, 301 | 302 | 303 | 307 | 308))
}

/// Scheme, host and port of a URL.
fn origin(uri: &Uri) -> String {
    let scheme = uri.scheme_str().unwrap_or("http");
    let port = uri.port_u16().unwrap_or(if scheme == "https" { 443 } else { 80 });
    format!("{scheme}://{}:{port}", uri.host().unwrap_or_default())
}

async fn exchange(stream: Stream, path: &str, headers: HeaderMap) -> Result<Reply, GetError> {
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(|error| no_reply(&error))?;
    let mut request = Request::get(path).body(Empty::<Bytes>::new()).map_err(|error| no_reply(&error))?;
    *request.headers_mut() = headers;
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

fn no_reply(error: &(dyn Error + 'static)) -> GetError {
    GetError::Reply(format!("no reply: {}", Chain(error)))
}

/// What every request says.
fn plain_headers() -> HeaderMap {
    let plain = [
        (ACCEPT, "application/json"),
        // Who compresses nevertheless is understood.
        (ACCEPT_ENCODING, "identity"),
        (USER_AGENT, "haproxystats-agent"),
    ];
    plain.into_iter().map(|(name, value)| (name, HeaderValue::from_static(value))).collect()
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
