//! Writing to the stream of a connection, as long as the client takes what is written.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::Instant;

use super::{Guarded, STALL_PATIENCE, SendFile, UNSENT};

/// Most bytes of a file that the system takes beyond those that are on the way: a client that was fast and has become
/// slow has to take half of them within [`STALL_PATIENCE`].
const MOST_UNSENT: u32 = 1 << 20;

/// Bytes of a file that are sent before others have their turn.
const TURN: u64 = 2 << 20;

impl<S: AsyncRead + AsyncWrite + SendFile + Unpin> Guarded<S> {
    /// Notes whether the client takes what is written, and ends a connection that does not.
    fn mind<T>(
        &mut self,
        written: Poll<io::Result<T>>,
        moved: impl Fn(&T) -> usize,
        context: &mut Context<'_>,
    ) -> Poll<io::Result<T>> {
        let connection = self.connection();
        match written {
            Poll::Ready(written) => {
                if let Ok(written) = &written {
                    connection.count(moved(written));
                }
                if connection.is_blocked.replace(false) && std::mem::take(&mut self.withholds) {
                    // Reading may go on.
                    connection.wake();
                }
                Poll::Ready(written)
            }
            Poll::Pending => {
                if !connection.is_blocked.replace(true) {
                    self.taken = Instant::now();
                }
                let stalled = self.poll_deadline(self.taken + STALL_PATIENCE, context);
                stalled.map(|()| Err(io::ErrorKind::TimedOut.into()))
            }
        }
    }

    /// Whether a part of a file is to be sent behind what is written.
    fn has_region(&self) -> bool {
        self.place.connection.region.borrow().is_some()
    }

    /// How much the system takes beyond what is on the way.
    fn allow_unsent(&mut self, bytes: u32) {
        if bytes != self.unsent {
            self.unsent = bytes;
            self.stream.allow_unsent(bytes);
        }
    }

    /// Sends what there is of a file, behind what has been written: a stream that sends files holds nothing back.
    fn poll_region(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let connection = self.connection();
        let Some(mut region) = connection.region.take() else { return Poll::Ready(Ok(())) };
        self.allow_unsent(unsent(connection.recent.get().speed(Instant::now())));
        let turn = region.end.min(region.next + TURN);
        while region.next < turn {
            let (file, most) = (region.file.as_file(), turn - region.next);
            let sent = self.stream.poll_send_file(file, region.next, most, context);
            match self.mind(sent, |sent| *sent, context) {
                Poll::Ready(Ok(0)) => return Poll::Ready(Err(io::ErrorKind::UnexpectedEof.into())),
                Poll::Ready(Ok(sent)) => region.next += sent as u64,
                Poll::Ready(Err(error)) => {
                    if !has_left(&error) {
                        tracing::warn!(%error, "an answer was cut off");
                    }
                    return Poll::Ready(Err(error));
                }
                Poll::Pending => {
                    connection.region.replace(Some(region));
                    return Poll::Pending;
                }
            }
        }
        // The rest, or the end of the body, after others.
        context.waker().wake_by_ref();
        if region.next < region.end {
            connection.region.replace(Some(region));
            return Poll::Pending;
        }
        Poll::Ready(Ok(()))
    }
}

/// Whether it is the other side, or its deadline, that ended a connection.
fn has_left(error: &io::Error) -> bool {
    use io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, NotConnected, TimedOut};
    matches!(
        error.kind(),
        BrokenPipe | ConnectionAborted | ConnectionReset | NotConnected | TimedOut
    )
}

/// What a client takes in two seconds at its speed of late.
fn unsent(speed: f64) -> u32 {
    // As a power of two, so that it seldom changes.
    ((speed * 2.0) as u32).clamp(UNSENT, MOST_UNSENT).next_power_of_two()
}

impl<S: AsyncRead + AsyncWrite + SendFile + Unpin> AsyncWrite for Guarded<S> {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        this.expect_a_place(context)?;
        let written = if this.has_region() {
            this.stream.poll_write_before(bytes, context)
        } else {
            this.allow_unsent(UNSENT);
            Pin::new(&mut this.stream).poll_write(context, bytes)
        };
        this.mind(written, |written| *written, context)
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        this.expect_a_place(context)?;
        if this.has_region() {
            return this.poll_region(context);
        }
        // With TLS, all may be written here and not be taken yet.
        let flushed = Pin::new(&mut this.stream).poll_flush(context);
        this.mind(flushed, |()| 0, context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        this.expect_a_place(context)?;
        Pin::new(&mut this.stream).poll_shutdown(context)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        this.expect_a_place(context)?;
        let written = Pin::new(&mut this.stream).poll_write_vectored(context, bytes);
        this.mind(written, |written| *written, context)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::fs::File;
    use std::future::poll_fn;
    use std::sync::Arc;

    use tokio::io::ReadBuf;

    use super::super::{Crowd, Region};
    use super::*;
    use crate::publishing::Sealed;

    /// A client that takes so many bytes of a file, and then nothing any more.
    struct Taking(usize);

    impl AsyncRead for Taking {
        fn poll_read(
            self: Pin<&mut Self>,
            _: &mut Context<'_>,
            _: &mut ReadBuf<'_>,
        ) -> Poll<io::Result<()>> {
            Poll::Pending
        }
    }

    impl AsyncWrite for Taking {
        fn poll_write(
            self: Pin<&mut Self>,
            _: &mut Context<'_>,
            bytes: &[u8],
        ) -> Poll<io::Result<usize>> {
            Poll::Ready(Ok(bytes.len()))
        }

        fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }

        fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }
    }

    impl SendFile for Taking {
        fn sends_files(&self) -> bool {
            true
        }

        fn allow_unsent(&mut self, _: u32) {}

        fn poll_write_before(
            &mut self,
            bytes: &[u8],
            _: &mut Context<'_>,
        ) -> Poll<io::Result<usize>> {
            Poll::Ready(Ok(bytes.len()))
        }

        fn poll_send_file(
            &mut self,
            _: &File,
            _: u64,
            most: u64,
            _: &mut Context<'_>,
        ) -> Poll<io::Result<usize>> {
            let taken = self.0.min(most as usize);
            self.0 -= taken;
            if taken > 0 { Poll::Ready(Ok(taken)) } else { Poll::Pending }
        }
    }

    #[test]
    fn only_who_is_fast_gets_much_at_once() {
        assert_eq!(unsent(0.0), UNSENT);
        // What a slow client is given at first.
        assert_eq!(unsent(50_000.0 / 4.0), UNSENT);
        assert_eq!(unsent(100_000.0), 1 << 18);
        assert_eq!(unsent(1e12), MOST_UNSENT);
    }

    /// However often it is looked at.
    #[actix_web::test]
    async fn a_connection_whose_client_takes_nothing_of_a_file_ends() {
        let mut guarded = Guarded::new(Taking(70_000), &Crowd::new(1)).unwrap();
        let file = Arc::new(Sealed::new(&[7; 100_000]).unwrap());
        let region = Region { file, next: 0, end: 100_000 };
        guarded.connection().region.replace(Some(region));
        poll_fn(|context| {
            let mut flush = |guarded: &mut Guarded<_>| Pin::new(guarded).poll_flush(context);
            assert!(flush(&mut guarded).is_pending());
            guarded.taken -= STALL_PATIENCE / 2;
            assert!(flush(&mut guarded).is_pending());
            // It takes a little, which gives it new time.
            guarded.stream.0 = 1;
            assert!(flush(&mut guarded).is_pending());
            assert_eq!(guarded.connection().region.borrow().as_ref().unwrap().next, 70_001);
            guarded.taken -= STALL_PATIENCE / 2;
            assert!(flush(&mut guarded).is_pending());
            guarded.taken -= STALL_PATIENCE / 2;
            let Poll::Ready(Err(error)) = flush(&mut guarded) else { panic!("it goes on") };
            assert_eq!(error.kind(), io::ErrorKind::TimedOut);
            Poll::Ready(())
        })
        .await;
    }
}
