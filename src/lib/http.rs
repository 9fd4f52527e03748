//! What every HTTP/1.1 request needs: a URL taken apart, TLS where the URL wants it, and a reply of bounded size. When
//! connections are made and kept is up to the caller.

use crate::config;
use crate::net::unbracketed;
use crate::secrets::FileError;
use crate::tls::{Tls, TlsError};
use http_body_util::{BodyExt, Limited};
use hyper::Uri;
use hyper::body::{Bytes, Incoming};
use hyper::header::HeaderMap;
use std::error::Error;
use std::io;
use std::pin::Pin;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::ServerName;

/// Why a client cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// A file with a secret cannot be used.
    #[error(transparent)]
    File(#[from] FileError),
    /// A URL cannot be used.
    #[error("{url} cannot be used: {reason}")]
    Url {
        /// The URL.
        url: String,
        /// Why.
        reason: String,
    },
    /// TLS cannot be set up.
    #[error(transparent)]
    Tls(#[from] TlsError),
}

/// A connection, encrypted or not.
pub trait Connection: AsyncRead + AsyncWrite {}

impl<S: AsyncRead + AsyncWrite> Connection for S {}

/// A connection of either kind.
pub type Stream = Pin<Box<dyn Connection>>;

/// A URL, taken apart.
pub struct Endpoint {
    /// Name or address, without brackets.
    pub host: String,
    /// The port; that of the scheme where the URL has none.
    pub port: u16,
    /// Host and port as the URL has them.
    pub authority: String,
    /// Path and query; `/` where the URL has none.
    pub path: String,
    tls: Option<(TlsConnector, ServerName<'static>)>,
}

impl Endpoint {
    /// Reads the files for TLS, if the URL needs them; connects to nobody.
    ///
    /// # Errors
    /// The URL or a file cannot be used.
    pub fn open(url: &str, tls: &config::Tls) -> Result<Self, SetupError> {
        let wrong = |reason: String| SetupError::Url { url: url.to_owned(), reason };
        let uri: Uri = url.parse().map_err(|error| wrong(format!("{error}")))?;
        let host = uri.host().ok_or_else(|| wrong("the URL has no host".to_owned()))?;
        let host = unbracketed(host).to_owned();
        let secure = uri.scheme_str() == Some("https");
        let tls =
            if secure { Some(Tls::open(tls)?.to(&host).map_err(|error| wrong(error.to_string()))?) } else { None };
        Ok(Self {
            host,
            port: uri.port_u16().unwrap_or(if secure { 443 } else { 80 }),
            authority: uri.authority().map_or_else(String::new, ToString::to_string),
            path: uri.path_and_query().map_or("/", |path| path.as_str()).to_owned(),
            tls,
        })
    }

    /// The path without its query, and without slashes at its end: what other paths are put behind.
    #[must_use]
    pub fn base(&self) -> &str {
        self.path.split('?').next().unwrap_or_default().trim_end_matches('/')
    }

    /// Begins TLS on a connection, if the URL wants it.
    ///
    /// # Errors
    /// The peer has no TLS, or not the right certificate.
    pub(crate) async fn secure<S>(&self, stream: S) -> io::Result<Stream>
    where
        S: AsyncRead + AsyncWrite + Unpin + 'static,
    {
        Ok(match &self.tls {
            None => Box::pin(stream),
            Some((connector, name)) => Box::pin(connector.connect(name.clone(), stream).await?),
        })
    }
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
    /// Reads a body of at most `most` bytes.
    ///
    /// # Errors
    /// It is longer, or breaks off.
    pub async fn read(reply: hyper::Response<Incoming>, most: usize) -> Result<Self, Box<dyn Error + Send + Sync>> {
        let (head, body) = reply.into_parts();
        let body = Limited::new(body, most).collect().await?.to_bytes();
        Ok(Self { status: head.status.as_u16(), headers: head.headers, body })
    }

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_taken_apart() {
        for (url, wanted) in
            [("http://[::1]:8080/x?y=1", ("::1", 8080, "[::1]:8080", "/x?y=1")), ("http://a", ("a", 80, "a", "/"))]
        {
            let endpoint = Endpoint::open(url, &config::Tls::default()).unwrap();
            let found = (endpoint.host.as_str(), endpoint.port, endpoint.authority.as_str(), endpoint.path.as_str());
            assert_eq!(found, wanted, "{url}");
        }
        for wrong in ["/path", "http://", "http://a b/"] {
            let Err(error) = Endpoint::open(wrong, &config::Tls::default()) else { panic!("{wrong}") };
            assert!(matches!(error, SetupError::Url { .. }), "{error:?}");
        }
    }
}
