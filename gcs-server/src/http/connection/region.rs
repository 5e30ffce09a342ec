//! Bodies that the system sends as they are: parts of sealed files, which nobody copies.
//!
//! actix copies every body behind the head of its answer. So a [`Direct`] body gives actix nothing: when it is
//! asked, its region is put at the stream of the connection, and it waits. What actix has written then is
//! flushed, which is when the stream sends the region behind it, and wakes the body when all of it is sent.

use std::convert::Infallible;
use std::fs::File;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};

use actix_web::HttpResponse;
use actix_web::HttpResponseBuilder;
use actix_web::body::{BodySize, MessageBody};
use bytes::Bytes;

use super::Connection;
use crate::publishing::Sealed;

/// A stream that may be able to send parts of files.
pub(in crate::http) trait SendFile {
    /// Whether it can send parts of files.
    fn sends_files(&self) -> bool;

    /// How many bytes the system takes beyond those that are on the way.
    fn allow_unsent(&mut self, bytes: u32);

    /// Writes bytes that those of a file will follow at once, so that both go in one packet.
    fn poll_write_before(
        &mut self,
        bytes: &[u8],
        context: &mut Context<'_>,
    ) -> Poll<io::Result<usize>>;

    /// Writes bytes of a file, at most so many from a place on.
    fn poll_send_file(
        &mut self,
        file: &File,
        place: u64,
        most: u64,
        context: &mut Context<'_>,
    ) -> Poll<io::Result<usize>>;
}

/// What is still to be sent of a part of a file.
#[derive(Debug)]
pub(in crate::http) struct Region {
    pub(super) file: Arc<Sealed>,
    pub(super) next: u64,
    pub(super) end: u64,
}

/// The body of an answer that is a part of a file.
struct Direct {
    connection: Rc<Connection>,
    /// `None` once it is at the stream.
    region: Option<Region>,
}

impl Connection {
    /// Answers with a part of a file; `None` if this connection has to copy it.
    pub(in crate::http) fn send(
        self: Rc<Connection>,
        response: &mut HttpResponseBuilder,
        file: &Arc<Sealed>,
        range: std::ops::Range<u64>,
    ) -> Option<HttpResponse> {
        if !self.sends_files.get() {
            return None;
        }
        let region = Region { file: Arc::clone(file), next: range.start, end: range.end };
        let body = Direct { connection: self, region: Some(region) };
        // The length is in the head, but actix must not count what passes it by.
        Some(response.no_chunking(range.end - range.start).body(body))
    }
}

impl MessageBody for Direct {
    type Error = Infallible;

    fn size(&self) -> BodySize {
        BodySize::Stream
    }

    fn poll_next(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, Infallible>>> {
        if let Some(region) = self.region.take() {
            *self.connection.region.borrow_mut() = Some(region);
        }
        // The flush that follows this call goes on with the region, and wakes whoever asks.
        match *self.connection.region.borrow() {
            Some(_) => Poll::Pending,
            None => Poll::Ready(None),
        }
    }
}

impl Drop for Direct {
    fn drop(&mut self) {
        // If it is at the stream, the answer ends in the middle.
        if self.region.is_none() {
            self.connection.region.borrow_mut().take();
        }
    }
}
