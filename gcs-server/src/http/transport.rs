//! The stream of a connection, with or without TLS.

use std::cell::RefCell;
use std::fs::File;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use actix_web::rt::net::TcpStream;
#[cfg(target_os = "linux")]
use rustix::{
    fs::sendfile,
    net::{SendFlags, send},
};
#[cfg(target_os = "linux")]
use tokio::io::Interest;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_rustls::server::TlsStream;
use tokio_rustls::{Accept, TlsAcceptor};

use super::connection::{Connection, SendFile};
use super::tls::Tls;

/// Bytes that are encrypted and not sent yet, at most, on one connection.
const UNSENT: usize = 32 << 10;

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

impl Transport {
    /// Gives the system bytes through its own calls, as soon as it takes some. Without TLS only.
    #[cfg(target_os = "linux")]
    fn poll_give(
        &self,
        context: &mut Context<'_>,
        give: impl Fn(&TcpStream) -> rustix::io::Result<usize>,
    ) -> Poll<io::Result<usize>> {
        let Transport::Plain(stream) = self else {
            return Poll::Ready(Err(io::ErrorKind::Unsupported.into()));
        };
        loop {
            ready!(stream.poll_write_ready(context))?;
            match stream.try_io(Interest::WRITABLE, || Ok(give(stream)?)) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                given => return Poll::Ready(given),
            }
        }
    }
}

#[cfg(target_os = "linux")]
impl SendFile for Transport {
    fn sends_files(&self) -> bool {
        // Behind TLS the bytes have to be encrypted.
        matches!(self, Transport::Plain(_))
    }

    fn allow_unsent(&mut self, bytes: u32) {
        if let Transport::Plain(stream) = self {
            let _unknown = socket2::SockRef::from(&*stream).set_tcp_notsent_lowat(bytes);
        }
    }

    fn poll_write_before(
        &mut self,
        bytes: &[u8],
        context: &mut Context<'_>,
    ) -> Poll<io::Result<usize>> {
        self.poll_give(context, |stream| send(stream, bytes, SendFlags::MORE | SendFlags::NOSIGNAL))
    }

    fn poll_send_file(
        &mut self,
        file: &File,
        place: u64,
        most: u64,
        context: &mut Context<'_>,
    ) -> Poll<io::Result<usize>> {
        let most = usize::try_from(most).unwrap_or(usize::MAX);
        self.poll_give(context, |stream| sendfile(stream, file, Some(&mut { place }), most))
    }
}

#[cfg(not(target_os = "linux"))]
impl SendFile for Transport {
    fn sends_files(&self) -> bool {
        false
    }

    fn allow_unsent(&mut self, _: u32) {}

    fn poll_write_before(&mut self, _: &[u8], _: &mut Context<'_>) -> Poll<io::Result<usize>> {
        Poll::Ready(Err(io::ErrorKind::Unsupported.into()))
    }

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
