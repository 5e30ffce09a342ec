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

mod chunked;
mod crowd;
mod head;
mod region;
mod stream;
mod write;

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::task::{Context, Waker};
use std::time::Duration;

use actix_web::dev::ServiceRequest;
use actix_web::http::header::{self, HeaderValue};
use actix_web::http::{ConnectionType, Method};
use tokio::time::Instant;

use self::chunked::ChunkScan;
pub(super) use self::crowd::Crowd;
use self::region::Region;
pub(super) use self::region::SendFile;
pub(super) use self::stream::Guarded;
use super::recent::Recent;

/// How long a connection may wait for a request. As nginx does it: proxies and CDNs keep theirs.
const IDLE_PATIENCE: Duration = Duration::from_secs(75);

/// How long a client may take to send the head of a request.
const HEAD_PATIENCE: Duration = Duration::from_secs(5);

/// How long a client may take nothing of an answer. The system tells only when it has room for more,
/// which takes long on a slow link.
pub(super) const STALL_PATIENCE: Duration = Duration::from_secs(120);

/// Bytes of an answer that the system takes beyond those that are on the way. With more, it would seem for
/// minutes as if a slow client took nothing.
pub(super) const UNSENT: u32 = 32 << 10;

/// How long the server goes on reading a body that it does not want. If it closed the connection at
/// once, the client might lose the answer.
pub(super) const LINGER_PATIENCE: Duration = Duration::from_secs(5);

/// Bytes of such a body that it reads at most: a client that sends a somewhat too large report still reads why it is refused.
const LINGER_BYTES: u64 = 2 << 20;

/// Largest head in bytes.
const MAX_HEAD: u64 = 32 << 10;

/// Where a connection is in its present request.
#[derive(Clone, Copy, Debug)]
enum Phase {
    /// Between two requests, or before the first.
    Idle,
    /// The head is arriving; or, at first, the TLS handshake.
    Head,
    /// The head is there, and is being parsed.
    Parsing,
    /// The body is arriving.
    Body(Left),
    /// The request is there, and its answer is not yet complete.
    Busy,
    /// Answered without the whole body. The connection ends.
    Closing,
}

/// What is missing of a body.
#[derive(Clone, Copy, Debug)]
enum Left {
    /// So many bytes.
    Bytes(u64),
    /// Whatever comes until its last chunk.
    Chunks(ChunkScan),
    /// Nobody knows: it may never end.
    Open,
}

/// A connection, as the stream and the handlers of its requests know it.
#[derive(Debug)]
pub(super) struct Connection {
    phase: Cell<Phase>,
    /// Since when it has been in this phase.
    since: Cell<Instant>,
    /// Bytes that went either way in this phase.
    moved: Cell<u64>,
    /// How fast they went lately, in any phase.
    recent: Cell<Recent>,
    /// Whether it has had a request.
    has_asked: Cell<bool>,
    /// Whether no request can come after the present one.
    is_last: Cell<bool>,
    /// Whether the client does not take what is to be written.
    is_blocked: Cell<bool>,
    /// Whether it must give its place up.
    is_over: Cell<bool>,
    /// Whether its stream can send parts of files.
    sends_files: Cell<bool>,
    /// What its stream has to send behind what was written.
    region: RefCell<Option<Region>>,
    /// Wakes what serves the connection.
    waker: RefCell<Option<Waker>>,
}

impl Connection {
    fn new() -> Connection {
        let now = Instant::now();
        Connection {
            phase: Cell::new(Phase::Idle),
            since: Cell::new(now),
            moved: Cell::new(0),
            recent: Cell::new(Recent::new(now)),
            has_asked: Cell::new(false),
            is_last: Cell::new(false),
            is_blocked: Cell::new(false),
            is_over: Cell::new(false),
            sends_files: Cell::new(false),
            region: RefCell::new(None),
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
        self.has_asked.set(true);
        // Actix lets no connection go on after it, whatever the answer.
        self.is_last.set(request.head().connection_type() == ConnectionType::Upgrade);
        match body(request) {
            Left::Bytes(0) => self.enter(Phase::Busy),
            left => {
                self.enter(Phase::Body(left));
                self.wake();
            }
        }
        Request(self)
    }

    /// Bytes went one way or the other.
    fn count(&self, bytes: usize) {
        self.moved.set(self.moved.get() + bytes as u64);
        let mut recent = self.recent.get();
        recent.add(bytes as u64, Instant::now());
        self.recent.set(recent);
    }

    fn has_body_left(&self) -> bool {
        matches!(self.phase.get(), Phase::Body(_))
    }

    /// Whether the connection ends with the present request, although the client may not expect it: a part of the
    /// body has not been read, or the client asked for an upgrade.
    pub(super) fn ends(&self) -> bool {
        self.has_body_left() || self.is_last.get()
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

/// The body that follows a head. The parser has refused heads that contradict themselves.
fn body(request: &ServiceRequest) -> Left {
    let headers = request.headers();
    let coding = headers.get(header::TRANSFER_ENCODING);
    if coding.is_some_and(|coding| coding.as_bytes().eq_ignore_ascii_case(b"chunked")) {
        return Left::Chunks(ChunkScan::default());
    }
    // Whatever follows a CONNECT or the wish for a WebSocket may count as body to actix. To other upgrades it
    // pays no attention, and answers as if nobody had asked for one (RFC 9110, 7.8).
    let is_open = coding.is_some()
        || headers.get_all(header::UPGRADE).any(names_websocket)
        || *request.method() == Method::CONNECT;
    if is_open {
        return Left::Open;
    }
    let Some(length) = headers.get(header::CONTENT_LENGTH) else { return Left::Bytes(0) };
    let length = length.to_str().ok().and_then(|length| length.trim().parse().ok());
    length.map_or(Left::Open, Left::Bytes)
}

fn names_websocket(upgrade: &HeaderValue) -> bool {
    upgrade.as_bytes().to_ascii_lowercase().windows(9).any(|name| name == b"websocket")
}
