//! TLS on a listener: certificates from PEM files.

use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::{self, PemObject as _};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::{InconsistentKeys, ServerConfig};
use thiserror::Error;

/// The files of a certificate and its key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsFiles {
    /// PEM file with the certificate, and those that lead to the root after it.
    pub certificate: PathBuf,
    /// PEM file with the certificate's private key.
    pub key: PathBuf,
}

/// A certificate that cannot be used.
#[derive(Debug, Error)]
pub enum TlsError {
    /// A file cannot be read, or has something else.
    #[error("{path}: {what}")]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        what: String,
    },
    /// The key is another certificate's.
    #[error("the key in {key} is not that of the first certificate in {certificate}")]
    Mismatch {
        /// The file of the certificate.
        certificate: PathBuf,
        /// The file of the key.
        key: PathBuf,
    },
}

/// What a listener identifies itself with, which may change while it runs.
#[derive(Clone, Debug)]
pub struct Tls {
    current: Arc<Current>,
    pub(super) acceptor: Arc<ServerConfig>,
}

#[derive(Debug)]
struct Current(RwLock<Arc<CertifiedKey>>);

impl ResolvesServerCert for Current {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner)))
    }
}

impl Tls {
    /// Reads a certificate and its key.
    ///
    /// # Errors
    /// A [`TlsError`] that names the file.
    pub fn load(files: &TlsFiles) -> Result<Tls, TlsError> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let current = Arc::new(Current(RwLock::new(read(files, &provider)?)));
        let unusable = |error: rustls::Error| TlsError::File {
            path: files.key.clone(),
            what: error.to_string(),
        };
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(unusable)?
            .with_no_client_auth()
            .with_cert_resolver(Arc::<Current>::clone(&current));
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        // Phones that come again go on with a ticket that they keep, and nothing is kept here.
        config.ticketer = rustls::crypto::ring::Ticketer::new().map_err(unusable)?;
        Ok(Tls { current, acceptor: Arc::new(config) })
    }

    /// Reads the files again. Connections that are open go on as they are.
    ///
    /// # Errors
    /// A [`TlsError`]; what was read before stays.
    pub fn reload(&self, files: &TlsFiles) -> Result<(), TlsError> {
        let new = read(files, self.acceptor.crypto_provider())?;
        *self.current.0.write().unwrap_or_else(PoisonError::into_inner) = new;
        Ok(())
    }
}

fn read(files: &TlsFiles, provider: &CryptoProvider) -> Result<Arc<CertifiedKey>, TlsError> {
    let TlsFiles { certificate, key } = files;
    let chain = CertificateDer::pem_file_iter(certificate)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .and_then(|chain| if chain.is_empty() { Err(pem::Error::NoItemsFound) } else { Ok(chain) });
    let chain = chain.map_err(|error| wrong(certificate, "certificate", &error))?;
    let secret = PrivateKeyDer::from_pem_file(key);
    let secret = secret.map_err(|error| wrong(key, "private key", &error))?;
    let both = CertifiedKey::from_der(chain, secret, provider);
    both.map(Arc::new).map_err(|error| match error {
        rustls::Error::InconsistentKeys(InconsistentKeys::KeyMismatch) => {
            TlsError::Mismatch { certificate: certificate.clone(), key: key.clone() }
        }
        rustls::Error::InvalidCertificate(error) => {
            let what = format!("the first certificate cannot be used: {error}");
            TlsError::File { path: certificate.clone(), what }
        }
        error => {
            TlsError::File { path: key.clone(), what: format!("the key cannot be used: {error}") }
        }
    })
}

fn wrong(path: &Path, of: &str, error: &pem::Error) -> TlsError {
    let what = match error {
        pem::Error::NoItemsFound => format!("there is no {of} in PEM form in this file"),
        pem::Error::Io(error) => error.to_string(),
        error => format!("the {of} cannot be read: {error}"),
    };
    TlsError::File { path: path.to_owned(), what }
}
