//! A listener: its workers, and how each takes connections.

use std::fmt::Debug;
use std::io;
use std::net::TcpListener;
use std::num::NonZero;
use std::rc::Rc;
use std::thread;
use std::time::Duration;

use actix_http::body::{BoxBody, MessageBody};
use actix_http::error::DispatchError;
use actix_http::{HttpService, KeepAlive, Protocol, Request, Response};
use actix_service::{
    IntoServiceFactory, ServiceFactory, ServiceFactoryExt as _, fn_service, map_config,
};
use actix_web::dev::{AppConfig, Server, ServiceResponse};
use actix_web::rt::net::TcpStream;

#[cfg(target_os = "linux")]
use super::connection::UNSENT;
use super::connection::{Crowd, Guarded, LINGER_PATIENCE, STALL_PATIENCE};
use super::tls::Tls;
use super::transport::Transport;

/// Seconds that requests may take to end after the server is stopped.
const SHUTDOWN_SECONDS: u64 = 10;

/// Serves a socket with one worker for each core, which share the places for connections, until it
/// is stopped.
pub(super) fn listen<F, A, S, B>(
    socket: TcpListener,
    places: usize,
    tls: Option<Tls>,
    app: F,
) -> io::Result<Server>
where
    F: Fn() -> A + Send + Clone + 'static,
    A: IntoServiceFactory<S, Request>,
    S: ServiceFactory<
            Request,
            Config = AppConfig,
            Response = ServiceResponse<B>,
            Error = actix_web::Error,
        > + 'static,
    S::InitError: Debug,
    S::Service: 'static,
    B: MessageBody + 'static,
{
    let workers = thread::available_parallelism().map_or(1, NonZero::get);
    let most = (with_ending(places) / workers).max(2);
    let places = (places / workers).clamp(1, most - 1);
    let builder = Server::build()
        .workers(workers)
        .max_concurrent_connections(most)
        .shutdown_timeout(SHUTDOWN_SECONDS)
        .disable_signals();
    let stopping = builder.graceful_shutdown_signal();
    let server = builder.listen("http", socket, move || {
        let (stopping, crowd, tls) = (stopping.clone(), Crowd::new(places), tls.clone());
        let app =
            app().into_factory().map_err(|error| Response::<BoxBody>::from(error.error_response()));
        let http = HttpService::build()
            .graceful_shutdown_signal(move || {
                let stopping = stopping.clone();
                async move { stopping.notified().await }
            })
            // These are the affair of the guarded stream.
            .keep_alive(KeepAlive::Os)
            .client_request_timeout(Duration::ZERO)
            .client_disconnect_timeout(LINGER_PATIENCE)
            .on_connect_ext(|stream: &Guarded<Transport>, data| {
                data.insert(stream.connection());
            })
            .finish(map_config(app, |()| AppConfig::default()));
        fn_service(move |stream: TcpStream| {
            let (crowd, tls) = (Rc::clone(&crowd), tls.clone());
            async move {
                prepare(&stream);
                let (transport, whose) = Transport::new(stream, tls.as_ref());
                let is_tls = tls.is_some();
                let stream = Guarded::new(transport, &crowd);
                let stream = stream
                    .ok_or_else(|| DispatchError::Io(io::ErrorKind::ConnectionRefused.into()))?;
                if is_tls {
                    stream.connection().begin_handshake();
                    *whose.borrow_mut() = Some(stream.connection());
                }
                // The address of the client is nobody's business.
                Ok((stream, Protocol::Http1, None))
            }
        })
        .and_then(http)
    })?;
    Ok(server.run())
}

/// Connections that there are at most: those that are ending have no place any more.
pub(crate) const fn with_ending(places: usize) -> usize {
    places + places / 8 + 8
}

/// Sets options of a socket; one that does not know an option works without it.
fn prepare(stream: &TcpStream) {
    // The end of an answer would wait for the client's delayed acknowledgement of its beginning.
    let _unknown = stream.set_nodelay(true);
    #[cfg(target_os = "linux")]
    {
        let socket = socket2::SockRef::from(stream);
        let _unknown = socket.set_tcp_notsent_lowat(UNSENT);
        // Ends a connection whose client is gone while the system has bytes for it.
        let _unknown = socket.set_tcp_user_timeout(Some(STALL_PATIENCE));
    }
}
