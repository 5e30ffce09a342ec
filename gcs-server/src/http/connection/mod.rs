//! What a connection may do, how long, and how much of the machine it may have. actix-web has no
//! deadline for a second head on a connection, for a body that no handler reads, or for answers that nobody reads;
//! here every phase has one:
//!
//! | phase | what the client may send | ends after |
//! |---|---|---|
//! | [`Phase::Idle`] | the first byte of a head | [`IDLE_PATIENCE`] |
//! | [`Phase::Head`] | one head of at most [`MAX_HEAD`] bytes, or a TLS handshake | [`HEAD_PATIENCE`] |
//! | [`Phase::Body`] | the body of this request | what the handler grants (`body`) |
//! | [`Phase::Busy`] | nothing: what it sends stays in the socket | [`STALL_PATIENCE`] without reading the answer |
//! | [`Phase::Closing`] | what is left of a body that nobody wanted | [`LINGER_PATIENCE`], or [`LINGER_BYTES`] |
//!
//! So a connection has one request at a time, and an answer to it is taken before the next is
//! looked at. When all places are taken, the connection that does least gives its own up ([`Crowd`]).

mod crowd;
mod head;
mod stream;

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::task::{Context, Waker};
use std::time::Duration;

use actix_web::dev::ServiceRequest;
use actix_web::http::{ConnectionType, Method, header};
use tokio::time::Instant;

pub(super) use self::crowd::Crowd;
pub(super) use self::stream::Guarded;

/// How long a connection may wait for a request. As nginx does it: proxies and CDNs keep theirs.
const IDLE_PATIENCE: Duration = Duration::from_secs(75);

/// How long a client may take to send the head of a request.
const HEAD_PATIENCE: Duration = Duration::from_secs(5);

/// How long a client may take nothing of an answer. The system tells only when it has room for more,
/// which takes long on a slow link.
pub(super) const STALL_PATIENCE: Duration = Duration::from_secs(120);

/// How long the server goes on reading a body that it does not want. If it closed the connection at
/// once, the client might lose the answer.
pub(super) const LINGER_PATIENCE: Duration = Duration::from_secs(5);

/// Bytes of such a body that it reads at most: a client that sends a somewhat too large report still reads why it is refused.
const LINGER_BYTES: u64 = 2 << 20;

/// Largest head in bytes.
const MAX_HEAD: u64 = 32 << 10;

/// Where a connection is in its present request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// Between two requests, or before the first.
    Idle,
    /// The head is arriving; or, at first, the TLS handshake.
    Head,
    /// The head is there, and is being parsed.
    Parsing,
    /// The body is arriving: so many bytes of it are missing, if that is known.
    Body(Option<u64>),
    /// The request is there, and its answer is not yet complete.
    Busy,
    /// Answered without the whole body. The connection ends.
    Closing,
}

/// A connection, as the stream and the handlers of its requests know it.
#[derive(Debug)]
pub(super) struct Connection {
    phase: Cell<Phase>,
    /// Since when it has been in this phase.
    since: Cell<Instant>,
    /// Bytes that went either way in this phase.
    moved: Cell<u64>,
    /// Whether the client does not take what is to be written.
    is_blocked: Cell<bool>,
    /// Whether it must give its place up.
    is_over: Cell<bool>,
    /// Wakes what serves the connection.
    waker: RefCell<Option<Waker>>,
}

impl Connection {
    fn new() -> Connection {
        Connection {
            phase: Cell::new(Phase::Idle),
            since: Cell::new(Instant::now()),
            moved: Cell::new(0),
            is_blocked: Cell::new(false),
            is_over: Cell::new(false),
            waker: RefCell::new(None),
        }
    }

    /// The connection of a request; `None` in a test without one.
    pub(super) fn of(request: &ServiceRequest) -> Option<Rc<Connection>> {
        request.conn_data::<Rc<Connection>>().cloned()
    }

    fn enter(&self, phase: Phase) {
        self.phase.set(phase);
        self.since.set(Instant::now());
        self.moved.set(0);
    }

    /// The client begins with a TLS handshake, for which it has the time of a head.
    pub(super) fn begin_handshake(&self) {
        self.enter(Phase::Head);
    }

    /// The TLS handshake is done, and the first request may come.
    pub(super) fn handshake_done(&self) {
        self.enter(Phase::Idle);
    }

    /// A request begins, whose head has been parsed. It lasts until what is returned is dropped.
    pub(super) fn begin(self: Rc<Connection>, request: &ServiceRequest) -> Request {
        match body_length(request) {
            Some(0) => self.enter(Phase::Busy),
            length => {
                self.enter(Phase::Body(length));
                self.wake();
            }
        }
        Request(self)
    }

    /// Whether a part of the body has not been read.
    pub(super) fn has_body_left(&self) -> bool {
        matches!(self.phase.get(), Phase::Body(_))
    }

    /// The whole body has been read.
    pub(super) fn body_done(&self) {
        if self.has_body_left() {
            self.enter(Phase::Busy);
        }
    }

    fn end(&self) {
        self.enter(match self.phase.get() {
            Phase::Body(_) => Phase::Closing,
            _ => Phase::Idle,
        });
        self.wake();
    }

    /// Remembers whom to wake.
    fn wait(&self, context: &Context<'_>) {
        let mut waker = self.waker.borrow_mut();
        match &mut *waker {
            Some(waker) => waker.clone_from(context.waker()),
            None => *waker = Some(context.waker().clone()),
        }
    }

    fn wake(&self) {
        if let Some(waker) = &*self.waker.borrow() {
            waker.wake_by_ref();
        }
    }

    /// Makes it give its place up.
    fn give_up(&self) {
        self.is_over.set(true);
        self.wake();
    }
}

/// A request from its head to the end of its answer.
#[derive(Debug)]
pub(super) struct Request(Rc<Connection>);

impl Drop for Request {
    fn drop(&mut self) {
        self.0.end();
    }
}

/// Bytes of the body that follows a head; `None` if the head does not say.
fn body_length(request: &ServiceRequest) -> Option<u64> {
    let headers = request.headers();
    // Whatever follows a CONNECT or an upgrade may count as body to actix.
    let is_open = headers.contains_key(header::TRANSFER_ENCODING)
        || headers.contains_key(header::UPGRADE)
        || *request.method() == Method::CONNECT
        || request.head().connection_type() == ConnectionType::Upgrade;
    if is_open {
        return None;
    }
    let Some(length) = headers.get(header::CONTENT_LENGTH) else { return Some(0) };
    length.to_str().ok()?.trim().parse().ok()
}
