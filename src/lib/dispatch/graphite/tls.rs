//! TLS to Graphite: what is trusted, and who this client is. Read once, at the start.

use crate::config;
use std::fmt::{self, Display};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use tokio_rustls::rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use tokio_rustls::rustls::{ClientConfig, DigitallySignedStruct, Error as RustlsError, RootCertStore, SignatureScheme};

/// Why TLS cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read.
    #[error("[graphite] {option}: {} cannot be read", path.display())]
    Read {
        /// Where it is named.
        option: &'static str,
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file is not what it should be. Its content is not shown.
    #[error("[graphite] {option}: {} holds no {what} (PEM)", path.display())]
    Content {
        /// Where it is named.
        option: &'static str,
        /// The file.
        path: PathBuf,
        /// What it should hold.
        what: &'static str,
    },
    /// The system has no authorities.
    #[error("there is no certificate authority to trust; set tls-ca-file in [graphite]")]
    NoAuthority,
    /// Certificate and key do not fit.
    #[error("[graphite] TLS cannot be set up: {0}")]
    SetUp(String),
}

/// Opens TLS sessions.
#[derive(Clone)]
pub(crate) struct Tls(TlsConnector);

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Tls")
    }
}

impl Tls {
    /// Reads the files.
    pub(crate) fn open(config: &config::Tls) -> Result<Self, TlsError> {
        let provider = Arc::new(ring::default_provider());
        let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .map_err(set_up)?;
        let builder = if config.verify {
            builder.with_root_certificates(roots(config.ca_file.as_deref())?)
        } else {
            builder.dangerous().with_custom_certificate_verifier(Arc::new(Anybody(provider)))
        };
        let client = match &config.identity {
            None => builder.with_no_client_auth(),
            Some((certificate, key)) => {
                let bytes = read("tls-key-file", key)?;
                let content = |_| TlsError::Content { option: "tls-key-file", path: key.clone(), what: "private key" };
                let key = PrivateKeyDer::from_pem_slice(&bytes).map_err(content)?;
                builder
                    .with_client_auth_cert(certificates("tls-certificate-file", certificate)?, key)
                    .map_err(set_up)?
            }
        };
        Ok(Self(TlsConnector::from(Arc::new(client))))
    }

    /// The connector, and the name that the server has to prove.
    pub(crate) fn to(&self, host: &str) -> io::Result<(TlsConnector, ServerName<'static>)> {
        let name = ServerName::try_from(host.to_owned()).map_err(io::Error::other)?;
        Ok((self.0.clone(), name))
    }
}

fn set_up(error: impl Display) -> TlsError {
    TlsError::SetUp(error.to_string())
}

fn roots(file: Option<&Path>) -> Result<RootCertStore, TlsError> {
    let mut roots = RootCertStore::empty();
    match file {
        Some(path) => {
            for certificate in certificates("tls-ca-file", path)? {
                roots.add(certificate).map_err(set_up)?;
            }
        }
        None => {
            roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        }
    }
    if roots.is_empty() { Err(TlsError::NoAuthority) } else { Ok(roots) }
}

fn certificates(option: &'static str, path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let content = || TlsError::Content { option, path: path.to_owned(), what: "certificates" };
    let bytes = read(option, path)?;
    let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&bytes).collect();
    certificates.ok().filter(|certificates| !certificates.is_empty()).ok_or_else(content)
}

fn read(option: &'static str, path: &Path) -> Result<Vec<u8>, TlsError> {
    std::fs::read(path).map_err(|source| TlsError::Read { option, path: path.to_owned(), source })
}

/// `tls-verify = false`: any certificate will do. That whoever shows it has its key is checked all the same.
#[derive(Debug)]
struct Anybody(Arc<CryptoProvider>);

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, RustlsError> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, RustlsError> {
        verify_tls12_signature(message, cert, dss, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, RustlsError> {
        verify_tls13_signature(message, cert, dss, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
