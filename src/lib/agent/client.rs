//! One HTTP request: one attempt, one connection, over TCP, TLS or a UNIX socket. Its time is limited by the caller.

use super::check::{Failure, Finding};
use crate::config::agent::Http;
use http_body_util::{BodyExt, Empty, Limited};
use hyper::body::Bytes;
use hyper::header::{ACCEPT, AUTHORIZATION, HOST, HeaderMap, HeaderName, HeaderValue, USER_AGENT};
use hyper::{Request, Uri};
use hyper_util::rt::TokioIo;
use std::fmt::Display;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore, crypto};

/// Most bytes of a reply.
const LARGEST: usize = 1 << 20;

/// Why a client cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
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
    /// The URL cannot be used.
    #[error("check-url cannot be used: {0}")]
    Url(String),
    /// Certificate and key do not fit, or the system has no authorities.
    #[error("TLS cannot be set up: {0}")]
    Tls(String),
}

/// Status and body.
#[derive(Debug)]
pub struct Reply {
    /// HTTP status.
    pub status: u16,
    /// At most 1 MiB.
    pub body: Bytes,
}

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
    host: String,
    port: u16,
    /// Path and query of the URL.
    path: String,
    socket: Option<PathBuf>,
    headers: HeaderMap,
    tls: Option<(TlsConnector, ServerName<'static>)>,
}

impl Client {
    /// Reads certificates and credentials; connects to nobody.
    ///
    /// # Errors
    /// Files that cannot be used.
    pub fn open(config: &Http, default_url: &str) -> Result<Self, ClientError> {
        let url = config.url.as_deref().unwrap_or(default_url);
        let uri: Uri = url.parse().map_err(|error| ClientError::Url(format!("{error}")))?;
        let host = uri.host().ok_or_else(|| ClientError::Url("it has no host".to_owned()))?;
        let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host).to_owned();
        let secure = uri.scheme_str() == Some("https");
        let tls = if secure { Some(tls(config, &host)?) } else { None };
        let mut headers = HeaderMap::new();
        let authority = uri.authority().map_or("", |authority| authority.as_str());
        for (name, value) in [(HOST, authority), (ACCEPT, "application/json"), (USER_AGENT, "haproxystats-agent")] {
            headers.insert(name, HeaderValue::from_str(value).map_err(|error| ClientError::Url(error.to_string()))?);
        }
        secrets(config, &mut headers)?;
        let port = uri.port_u16().unwrap_or(if secure { 443 } else { 80 });
        let path = uri.path_and_query().map_or("/", |path| path.as_str()).to_owned();
        Ok(Self { host, port, path, socket: config.socket.clone(), headers, tls })
    }

    /// Asks for the URL with `suffix` behind its path.
    ///
    /// # Errors
    /// Nobody answers, or what comes is no reply.
    pub async fn get(&self, suffix: &str) -> Result<Reply, GetError> {
        let connect = |error: io::Error| GetError::Connect(format!("{} port {}: {error}", self.host, self.port));
        if let Some(path) = &self.socket {
            let failed = |error| GetError::Connect(format!("{}: {error}", path.display()));
            return self.over(UnixStream::connect(path).await.map_err(failed)?, suffix).await;
        }
        let stream = TcpStream::connect((self.host.as_str(), self.port)).await.map_err(connect)?;
        self.over(stream, suffix).await
    }

    async fn over<S>(&self, stream: S, suffix: &str) -> Result<Reply, GetError>
    where
        S: AsyncRead + AsyncWrite + Unpin + 'static,
    {
        match &self.tls {
            None => self.exchange(stream, suffix).await,
            Some((connector, name)) => {
                let stream = connector.connect(name.clone(), stream).await;
                self.exchange(stream.map_err(|error| GetError::Reply(format!("TLS: {error}")))?, suffix).await
            }
        }
    }

    async fn exchange<S>(&self, stream: S, suffix: &str) -> Result<Reply, GetError>
    where
        S: AsyncRead + AsyncWrite + Unpin + 'static,
    {
        let (mut sender, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(no_reply)?;
        let path =
            if suffix.is_empty() { self.path.clone() } else { format!("{}{suffix}", self.path.trim_end_matches('/')) };
        let mut request = Request::get(path).body(Empty::<Bytes>::new()).map_err(no_reply)?;
        *request.headers_mut() = self.headers.clone();
        let reply = async {
            let reply = sender.send_request(request).await.map_err(no_reply)?;
            let status = reply.status().as_u16();
            let body = Limited::new(reply.into_body(), LARGEST).collect().await.map_err(no_reply)?;
            Ok(Reply { status, body: body.to_bytes() })
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

fn no_reply(error: impl Display) -> GetError {
    GetError::Reply(format!("no reply: {error}"))
}

fn read(path: &Path) -> Result<String, ClientError> {
    std::fs::read_to_string(path).map_err(|source| ClientError::Read { path: path.to_owned(), source })
}

/// Headers and credentials, marked so that nothing prints them.
fn secrets(config: &Http, headers: &mut HeaderMap) -> Result<(), ClientError> {
    if let Some(path) = &config.headers_file {
        let wrong = || ClientError::Content { path: path.clone(), what: "headers, one per line as Name: value" };
        for line in read(path)?.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')) {
            let (name, value) = line.split_once(':').ok_or_else(wrong)?;
            let name: HeaderName = name.trim().parse().map_err(|_| wrong())?;
            let mut value: HeaderValue = value.trim().parse().map_err(|_| wrong())?;
            value.set_sensitive(true);
            headers.insert(name, value);
        }
    }
    if let Some(path) = &config.credentials_file {
        let wrong = || ClientError::Content { path: path.clone(), what: "user:password" };
        let text = read(path)?;
        let pair = text.lines().next().filter(|line| line.contains(':')).ok_or_else(wrong)?;
        let mut value: HeaderValue = format!("Basic {}", base64(pair.as_bytes())).parse().map_err(|_| wrong())?;
        value.set_sensitive(true);
        headers.insert(AUTHORIZATION, value);
    }
    Ok(())
}

/// Base64 with padding (RFC 4648).
fn base64(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let byte = |at: usize| u32::from(chunk.get(at).copied().unwrap_or(0));
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        for position in 0..4 {
            let index = usize::try_from(bits >> (18 - 6 * position) & 63).unwrap_or(0);
            let letter = LETTERS.get(index).copied().unwrap_or(b'=');
            out.push(char::from(if position > chunk.len() { b'=' } else { letter }));
        }
    }
    out
}

fn tls(config: &Http, host: &str) -> Result<(TlsConnector, ServerName<'static>), ClientError> {
    let wrong = |error: &dyn Display| ClientError::Tls(error.to_string());
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
        return Err(ClientError::Tls("there is no certificate authority to trust; set tls-ca-file".to_owned()));
    }
    let builder = ClientConfig::builder_with_provider(Arc::new(crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| wrong(&error))?
        .with_root_certificates(roots);
    let client = match &config.identity {
        None => builder.with_no_client_auth(),
        Some((certificate, key)) => {
            let content = || ClientError::Content { path: key.clone(), what: "private key (PEM)" };
            let bytes = read(key)?;
            let private = PrivateKeyDer::from_pem_slice(bytes.as_bytes()).map_err(|_| content())?;
            builder.with_client_auth_cert(certificates(certificate)?, private).map_err(|error| wrong(&error))?
        }
    };
    let name = ServerName::try_from(host.to_owned()).map_err(|error| wrong(&error))?;
    Ok((TlsConnector::from(Arc::new(client)), name))
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, ClientError> {
    let content = || ClientError::Content { path: path.to_owned(), what: "certificates (PEM)" };
    let text = read(path)?;
    let certificates: Vec<_> =
        CertificateDer::pem_slice_iter(text.as_bytes()).collect::<Result<_, _>>().map_err(|_| content())?;
    if certificates.is_empty() { Err(content()) } else { Ok(certificates) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_of_the_standard() {
        for (text, wanted) in [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("foob", "Zm9vYg=="),
            ("fooba", "Zm9vYmE="),
            ("foobar", "Zm9vYmFy"),
        ] {
            assert_eq!(base64(text.as_bytes()), wanted);
        }
    }

    #[test]
    fn credentials_are_never_printed() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("credentials");
        std::fs::write(&path, "user:geheim\n").unwrap();
        let config = Http { credentials_file: Some(path.clone()), ..Http::default() };
        let client = Client::open(&config, "http://[::1]:8080/x").unwrap();
        assert_eq!((client.host.as_str(), client.port, client.path.as_str()), ("::1", 8080, "/x"));
        let printed = format!("{:?}", client.headers);
        assert!(printed.contains("Sensitive") && !printed.contains(&base64(b"user:geheim")), "{printed}");
        std::fs::write(&path, "geheim").unwrap();
        let Err(error) = Client::open(&config, "http://a/") else { panic!() };
        assert!(!error.to_string().contains("geheim"), "{error}");
    }
}
