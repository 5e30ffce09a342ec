//! The stream of a connection: it gives actix one request at a time, and minds the deadlines.

use std::future::Future as _;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use bytes::{Buf as _, Bytes};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep_until};

use super::chunked::Piece;
use super::crowd::Place;
use super::head::HeadScan;
use super::{
    Connection, Crowd, HEAD_PATIENCE, IDLE_PATIENCE, LINGER_BYTES, LINGER_PATIENCE, Left, MAX_HEAD,
    Phase, SendFile, UNSENT,
};

/// Bytes that are read of a head at once. Most heads are shorter, and what follows a head has to be
/// copied.
const HEAD_PIECE: usize = 4 << 10;

/// Bytes that do not begin a head if they are an empty line: some clients send one behind a body.
const EMPTY_LINE: u64 = 2;

/// Bytes that are given of a body at once. Actix would hold 128 KiB that no handler has asked for.
const BODY_PIECE: usize = 32 << 10;

/// Bytes that are given of a body without end at once: what follows it may count as requests.
const OPEN_BODY_PIECE: usize = 1 << 10;

/// A stream with a place in the crowd.
#[derive(Debug)]
pub(in crate::http) struct Guarded<S> {
    pub(super) stream: S,
    pub(super) place: Place,
    scan: HeadScan,
    /// What was read beyond the present request.
    spare: Bytes,
    /// Whether a piece of a body was just given, which actix has to look at first.
    has_given: bool,
    /// Whether nothing was read since the client does not take what is to be written.
    pub(super) withholds: bool,
    /// How much the system takes beyond what is on the way.
    pub(super) unsent: u32,
    /// When the client last took a part of an answer, or could.
    pub(super) taken: Instant,
    /// Wakes at the next deadline, or before.
    alarm: Pin<Box<Sleep>>,
}

impl<S: AsyncRead + AsyncWrite + SendFile + Unpin> Guarded<S> {
    /// `None` if there is no place for it.
    pub(in crate::http) fn new(stream: S, crowd: &Rc<Crowd>) -> Option<Guarded<S>> {
        let place = Rc::clone(crowd).enter()?;
        place.connection.sends_files.set(stream.sends_files());
        let (now, scan) = (Instant::now(), HeadScan::default());
        let alarm = Box::pin(sleep_until(now + IDLE_PATIENCE));
        Some(Guarded {
            stream,
            place,
            scan,
            spare: Bytes::new(),
            has_given: false,
            withholds: false,
            unsent: UNSENT,
            taken: now,
            alarm,
        })
    }

    pub(in crate::http) fn connection(&self) -> Rc<Connection> {
        Rc::clone(&self.place.connection)
    }

    /// Waits until a deadline.
    pub(super) fn poll_deadline(
        &mut self,
        deadline: Instant,
        context: &mut Context<'_>,
    ) -> Poll<()> {
        loop {
            if Instant::now() >= deadline {
                return Poll::Ready(());
            }
            // An alarm that comes too early is cheaper than a new one for each request.
            if self.alarm.deadline() > deadline {
                self.alarm.as_mut().reset(deadline);
            }
            match self.alarm.as_mut().poll(context) {
                Poll::Ready(()) => self.alarm.as_mut().reset(deadline),
                Poll::Pending => return Poll::Pending,
            }
        }
    }

    /// Reads at most so many bytes, of what is spare or of the stream.
    fn poll_some(
        &mut self,
        most: usize,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<usize>> {
        let most = most.min(buffer.remaining());
        if !self.spare.is_empty() {
            let now = self.spare.split_to(most.min(self.spare.len()));
            buffer.put_slice(&now);
            return Poll::Ready(Ok(now.len()));
        }
        let before = buffer.filled().len();
        let read = if most == buffer.remaining() {
            Pin::new(&mut self.stream).poll_read(context, buffer)
        } else {
            let mut part = ReadBuf::new(buffer.initialize_unfilled_to(most));
            let read = Pin::new(&mut self.stream).poll_read(context, &mut part);
            let read_now = part.filled().len();
            buffer.advance(read_now);
            read
        };
        read.map_ok(|()| buffer.filled().len() - before)
    }

    /// Reads of a head, and nothing of what follows it.
    fn poll_head(
        &mut self,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let connection = self.connection();
        let is_idle = matches!(connection.phase.get(), Phase::Idle);
        if connection.is_blocked.get() {
            // The answer before is not even taken; writing goes on by itself.
            self.withholds = true;
            return Poll::Pending;
        }
        let begin = buffer.filled().len();
        match self.poll_some(HEAD_PIECE, context, buffer) {
            Poll::Ready(Ok(0)) => Poll::Ready(Ok(())),
            Poll::Ready(Ok(_)) => {
                self.divide(begin, buffer);
                Poll::Ready(Ok(()))
            }
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            Poll::Pending => {
                let patience = if is_idle { IDLE_PATIENCE } else { HEAD_PATIENCE };
                // As if the client had closed the connection.
                self.poll_deadline(connection.since.get() + patience, context).map(Ok)
            }
        }
    }

    /// Keeps what follows a head. What was read of this stream begins at `begin` in the buffer.
    fn divide(&mut self, begin: usize, buffer: &mut ReadBuf<'_>) {
        let connection = &self.place.connection;
        let read = &buffer.filled()[begin..];
        let end = self.scan.end(read);
        let given = end.unwrap_or(read.len());
        let sent = connection.moved.get() + given as u64;
        let has_begun = !matches!(self.scan, HeadScan::Before) || sent > EMPTY_LINE;
        if has_begun && matches!(connection.phase.get(), Phase::Idle) {
            connection.enter(Phase::Head);
        }
        self.keep(begin + given, buffer);
        let connection = &self.place.connection;
        connection.count(given);
        if connection.moved.get() > MAX_HEAD {
            // A byte that no head has: actix answers 400 and closes.
            buffer.set_filled(begin);
            buffer.put_slice(b"\0");
            connection.phase.set(Phase::Parsing);
        } else if end.is_some() {
            connection.phase.set(Phase::Parsing);
        }
    }

    /// Reads of a body, and nothing of what follows it.
    fn poll_body(
        &mut self,
        left: Left,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.place.connection.is_blocked.get() {
            // The answer is there, and so nobody wants the rest. Writing goes on by itself.
            self.withholds = true;
            return Poll::Pending;
        }
        if std::mem::take(&mut self.has_given) {
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        let most = match left {
            Left::Bytes(left) => BODY_PIECE.min(usize::try_from(left).unwrap_or(BODY_PIECE)),
            Left::Chunks(_) => BODY_PIECE,
            Left::Open => OPEN_BODY_PIECE,
        };
        let begin = buffer.filled().len();
        let read = ready!(self.poll_some(most, context, buffer))?;
        self.has_given = true;
        let (given, left) = rest(left, &buffer.filled()[begin..]);
        self.keep(begin + given, buffer);
        let connection = &self.place.connection;
        connection.count(given);
        match left {
            Some(left) => connection.phase.set(Phase::Body(left)),
            None => connection.body_done(),
        }
        debug_assert!(given <= read);
        Poll::Ready(Ok(()))
    }

    /// Keeps for later what the buffer has behind so many bytes.
    fn keep(&mut self, given: usize, buffer: &mut ReadBuf<'_>) {
        let surplus = &buffer.filled()[given..];
        if !surplus.is_empty() {
            self.spare = Bytes::from([surplus, &self.spare].concat());
            buffer.set_filled(given);
        }
    }

    /// Reads what nobody wants, and then behaves as if the client had closed the connection.
    fn poll_rest(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let connection = self.connection();
        let mut bin = [0; 4 << 10];
        self.spare.advance(self.spare.len());
        while connection.moved.get() < LINGER_BYTES {
            match self.poll_some(bin.len(), context, &mut ReadBuf::new(&mut bin)) {
                Poll::Ready(Ok(0) | Err(_)) => return Poll::Ready(Ok(())),
                Poll::Ready(Ok(read)) => connection.count(read),
                Poll::Pending => {
                    let deadline = connection.since.get() + LINGER_PATIENCE;
                    return self.poll_deadline(deadline, context).map(Ok);
                }
            }
        }
        Poll::Ready(Ok(()))
    }

    pub(super) fn expect_a_place(&self, context: &Context<'_>) -> io::Result<()> {
        let connection = &self.place.connection;
        connection.wait(context);
        if connection.is_over.get() { Err(io::ErrorKind::ConnectionAborted.into()) } else { Ok(()) }
    }
}

/// How many of the bytes that were read belong to a body, and what is missing of it then; `None` if it is
/// complete.
fn rest(left: Left, read: &[u8]) -> (usize, Option<Left>) {
    match left {
        Left::Bytes(left) => {
            let left = left.saturating_sub(read.len() as u64);
            (read.len(), (left > 0).then_some(Left::Bytes(left)))
        }
        Left::Chunks(mut scan) => match scan.piece(read) {
            Piece::Open => (read.len(), Some(Left::Chunks(scan))),
            Piece::End(end) => (end, None),
            // The parser refuses it too.
            Piece::Broken => (read.len(), Some(Left::Open)),
        },
        Left::Open => (read.len(), Some(Left::Open)),
    }
}

impl<S: AsyncRead + AsyncWrite + SendFile + Unpin> AsyncRead for Guarded<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        this.expect_a_place(context)?;
        let connection = this.connection();
        match connection.phase.get() {
            Phase::Idle | Phase::Head => this.poll_head(context, buffer),
            Phase::Parsing => {
                let deadline = connection.since.get() + HEAD_PATIENCE;
                this.poll_deadline(deadline, context).map(Ok)
            }
            Phase::Body(left) => this.poll_body(left, context, buffer),
            Phase::Busy => Poll::Pending,
            Phase::Closing => this.poll_rest(context),
        }
    }
}
