//! TLS: trusted authorities, and the program's own certificate. The files are read once, at startup.

use crate::config;
use crate::secrets::{self, FileError};
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio_rustls::rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use tokio_rustls::rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use tokio_rustls::rustls::{
    ClientConfig, DigitallySignedStruct, Error as RustlsError, RootCertStore, ServerConfig, SignatureScheme,
};
use tokio_rustls::{TlsAcceptor, TlsConnector};

const CA_FILE: &str = "tls-ca-file";
const CERTIFICATE_FILE: &str = "tls-certificate-file";
const KEY_FILE: &str = "tls-key-file";

/// Why TLS cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be used.
    #[error("{option} cannot be used")]
    File {
        /// Where it is named.
        option: &'static str,
        /// Why.
        source: FileError,
    },
    /// A certificate is not that of an authority.
    #[error("tls-ca-file {} contains something that is not a CA certificate", path.display())]
    Authority {
        /// The file.
        path: PathBuf,
        /// What rustls says.
        source: Box<RustlsError>,
    },
    /// The system has no authorities.
    #[error("the system has no trusted certificate authorities; set tls-ca-file")]
    NoAuthority,
    /// Certificate and key do not fit.
    #[error("tls-certificate-file {} cannot be used with tls-key-file {}", certificate.display(), key.display())]
    Identity {
        /// The file with the certificate.
        certificate: PathBuf,
        /// The file with the key.
        key: PathBuf,
        /// What rustls says.
        source: Box<RustlsError>,
    },
    /// rustls has no use for its own defaults.
    #[error("TLS cannot be set up")]
    Defaults(#[source] Box<RustlsError>),
}

impl TlsError {
    /// The option that has to be put right.
    #[must_use]
    pub fn option(&self) -> Option<&'static str> {
        match self {
            Self::File { option, .. } => Some(option),
            Self::Authority { .. } | Self::NoAuthority => Some(CA_FILE),
            Self::Identity { .. } => Some(KEY_FILE),
            Self::Defaults(_) => None,
        }
    }
}

/// Opens TLS sessions.
#[derive(Clone)]
pub struct Tls(TlsConnector);

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Tls")
    }
}

impl Tls {
    /// Reads the files.
    ///
    /// # Errors
    /// One of them cannot be used.
    pub fn open(config: &config::Tls) -> Result<Self, TlsError> {
        let provider = Arc::new(ring::default_provider());
        let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .map_err(|error| TlsError::Defaults(Box::new(error)))?;
        let builder = if config.verify {
            builder.with_root_certificates(roots(config.ca_file.as_deref())?)
        } else {
            builder.dangerous().with_custom_certificate_verifier(Arc::new(Anybody(provider)))
        };
        let client = match &config.identity {
            None => builder.with_no_client_auth(),
            Some((certificate, key)) => {
                let wrong = |source| TlsError::Identity {
                    certificate: certificate.clone(),
                    key: key.clone(),
                    source: Box::new(source),
                };
                let certificates = certificates(CERTIFICATE_FILE, certificate)?;
                builder.with_client_auth_cert(certificates, private_key(key)?).map_err(wrong)?
            }
        };
        Ok(Self(TlsConnector::from(Arc::new(client))))
    }

    /// The connector, and the name that `host` has to prove.
    ///
    /// # Errors
    /// No certificate can be for such a name.
    pub fn to(&self, host: &str) -> io::Result<(TlsConnector, ServerName<'static>)> {
        let name = ServerName::try_from(host.to_owned()).map_err(io::Error::other)?;
        Ok((self.0.clone(), name))
    }
}

/// Accepts TLS sessions of any client.
///
/// # Errors
/// One of the files cannot be used, or they do not go together.
pub fn acceptor(certificate: &Path, key: &Path) -> Result<TlsAcceptor, TlsError> {
    let builder = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| TlsError::Defaults(Box::new(error)))?;
    let wrong = |source| TlsError::Identity {
        certificate: certificate.to_owned(),
        key: key.to_owned(),
        source: Box::new(source),
    };
    let certificates = certificates(CERTIFICATE_FILE, certificate)?;
    let server = builder.with_no_client_auth().with_single_cert(certificates, private_key(key)?).map_err(wrong)?;
    Ok(TlsAcceptor::from(Arc::new(server)))
}

/// What is wrong with the files, each by itself; whether they go together, [`Tls::open`] tells.
#[must_use]
pub fn check(config: &config::Tls) -> Vec<TlsError> {
    let mut found = Vec::new();
    if let Some(path) = &config.ca_file {
        found.extend(certificates(CA_FILE, path).err());
    }
    if let Some((certificate, key)) = &config.identity {
        found.extend(certificates(CERTIFICATE_FILE, certificate).err());
        found.extend(private_key(key).err());
    }
    found
}

fn roots(file: Option<&Path>) -> Result<RootCertStore, TlsError> {
    let mut roots = RootCertStore::empty();
    match file {
        Some(path) => {
            for certificate in certificates(CA_FILE, path)? {
                let wrong = |source| TlsError::Authority { path: path.to_owned(), source: Box::new(source) };
                roots.add(certificate).map_err(wrong)?;
            }
        }
        None => {
            roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        }
    }
    if roots.is_empty() { Err(TlsError::NoAuthority) } else { Ok(roots) }
}

fn certificates(option: &'static str, path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let failed = |source| TlsError::File { option, source };
    let bytes = secrets::bytes(path).map_err(failed)?;
    let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&bytes).collect();
    let content = || FileError::Content { path: path.to_owned(), what: "certificates (PEM)" };
    certificates.ok().filter(|certificates| !certificates.is_empty()).ok_or_else(|| failed(content()))
}

fn private_key(path: &Path) -> Result<PrivateKeyDer<'static>, TlsError> {
    let failed = |source| TlsError::File { option: KEY_FILE, source };
    let bytes = secrets::bytes(path).map_err(failed)?;
    let content = |_| failed(FileError::Content { path: path.to_owned(), what: "private key (PEM)" });
    PrivateKeyDer::from_pem_slice(&bytes).map_err(content)
}

/// `tls-verify = false`: accepts any certificate, but still checks that the peer has its key.
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
