//! TLS on a listener: certificates from PEM files, and the stream of a connection.

use std::cell::RefCell;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::{Arc, PoisonError, RwLock};
use std::task::{Context, Poll, ready};

use actix_web::rt::net::TcpStream;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::{self, PemObject as _};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::{InconsistentKeys, ServerConfig};
use thiserror::Error;
use tokio::io::{AsyncRead, AsyncWrite, Interest, ReadBuf};
use tokio_rustls::server::TlsStream;
use tokio_rustls::{Accept, TlsAcceptor};

use super::connection::{Connection, SendFile};

/// Bytes that are encrypted and not sent yet, at most, on one connection.
const UNSENT: usize = 32 << 10;

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
    acceptor: Arc<ServerConfig>,
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

/// The bytes of a connection, with or without TLS.
#[derive(Debug)]
pub(super) enum Transport {
    /// As they are on the wire.
    Plain(TcpStream),
    /// The TLS handshake is not done yet.
    Greeting(Box<Greeting>),
    /// Encrypted.
    Tls(Box<TlsStream<TcpStream>>),
}

/// A TLS handshake.
pub(super) struct Greeting {
    accept: Accept<TcpStream>,
    /// Whose handshake it is, once that is known.
    connection: Rc<RefCell<Option<Rc<Connection>>>>,
}

impl std::fmt::Debug for Greeting {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Greeting").finish_non_exhaustive()
    }
}

impl Transport {
    /// A new connection's, and where to put the connection when it is there.
    pub(super) fn new(
        stream: TcpStream,
        tls: Option<&Tls>,
    ) -> (Transport, Rc<RefCell<Option<Rc<Connection>>>>) {
        let connection = Rc::default();
        let Some(tls) = tls else { return (Transport::Plain(stream), connection) };
        let acceptor = TlsAcceptor::from(Arc::clone(&tls.acceptor));
        let accept = acceptor.accept_with(stream, |session| session.set_buffer_limit(Some(UNSENT)));
        let greeting = Greeting { accept, connection: Rc::clone(&connection) };
        (Transport::Greeting(Box::new(greeting)), connection)
    }

    /// Goes on with the handshake, if there is one.
    fn poll_greeting(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Transport::Greeting(greeting) = self else { return Poll::Ready(Ok(())) };
        let stream = ready!(Pin::new(&mut greeting.accept).poll(context))?;
        let connection = greeting.connection.borrow_mut().take();
        *self = Transport::Tls(Box::new(stream));
        if let Some(connection) = connection {
            connection.handshake_done();
        }
        // The deadline is another one from now on.
        context.waker().wake_by_ref();
        Poll::Pending
    }
}

impl AsyncRead for Transport {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        ready!(self.poll_greeting(context))?;
        match &mut *self {
            Transport::Plain(stream) => Pin::new(stream).poll_read(context, buffer),
            Transport::Tls(stream) => Pin::new(stream).poll_read(context, buffer),
            Transport::Greeting(_) => Poll::Pending,
        }
    }
}

impl AsyncWrite for Transport {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        ready!(self.poll_greeting(context))?;
        match &mut *self {
            Transport::Plain(stream) => Pin::new(stream).poll_write(context, bytes),
            Transport::Tls(stream) => Pin::new(stream).poll_write(context, bytes),
            Transport::Greeting(_) => Poll::Pending,
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut *self {
            Transport::Plain(stream) => Pin::new(stream).poll_flush(context),
            Transport::Tls(stream) => Pin::new(stream).poll_flush(context),
            // Nothing has been written.
            Transport::Greeting(_) => Poll::Ready(Ok(())),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut *self {
            Transport::Plain(stream) => Pin::new(stream).poll_shutdown(context),
            Transport::Tls(stream) => Pin::new(stream).poll_shutdown(context),
            Transport::Greeting(greeting) => match greeting.accept.get_mut() {
                Some(stream) => Pin::new(stream).poll_shutdown(context),
                None => Poll::Ready(Ok(())),
            },
        }
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        ready!(self.poll_greeting(context))?;
        match &mut *self {
            Transport::Plain(stream) => Pin::new(stream).poll_write_vectored(context, bytes),
            Transport::Tls(stream) => Pin::new(stream).poll_write_vectored(context, bytes),
            Transport::Greeting(_) => Poll::Pending,
        }
    }

    fn is_write_vectored(&self) -> bool {
        true
    }
}

impl SendFile for Transport {
    fn sends_files(&self) -> bool {
        // Behind TLS the bytes have to be encrypted.
        cfg!(target_os = "linux") && matches!(self, Transport::Plain(_))
    }

    #[cfg(target_os = "linux")]
    fn poll_send_file(
        &mut self,
        file: &File,
        place: u64,
        most: u64,
        context: &mut Context<'_>,
    ) -> Poll<io::Result<usize>> {
        let Transport::Plain(stream) = self else {
            return Poll::Ready(Err(io::ErrorKind::Unsupported.into()));
        };
        let most = usize::try_from(most).unwrap_or(usize::MAX);
        loop {
            ready!(stream.poll_write_ready(context))?;
            let sent = stream.try_io(Interest::WRITABLE, || {
                let mut place = place;
                Ok(rustix::fs::sendfile(&*stream, file, Some(&mut place), most)?)
            });
            match sent {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                sent => return Poll::Ready(sent),
            }
        }
    }

    #[cfg(not(target_os = "linux"))]
    fn poll_send_file(
        &mut self,
        _: &File,
        _: u64,
        _: u64,
        _: &mut Context<'_>,
    ) -> Poll<io::Result<usize>> {
        Poll::Ready(Err(io::ErrorKind::Unsupported.into()))
    }
}
