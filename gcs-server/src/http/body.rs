//! Bodies of requests. They have limits of size and pace, and are never repeated in an answer.

use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use actix_web::dev::Payload;
use actix_web::error::PayloadError;
use actix_web::http::header;
use actix_web::{FromRequest, HttpRequest, web};
use bytes::{Bytes, BytesMut};
use futures_util::{Stream, StreamExt as _};
use gcs_core::json;
use serde::de::DeserializeOwned;
use tokio::time::{Instant, timeout_at};

use super::budget::{Budget, Share};
use super::connection::Connection;
use crate::domain::problem::Problem;
use crate::service::Service;

/// Largest body in bytes, of all requests but reports and exact match.
const SMALL: usize = 16 << 10;

/// What a larger body takes besides its own bytes while it arrives: some 35 KiB of buffers in actix, in bytes.
const READ_BUFFER: usize = 48 << 10;

/// A body of at most `MAX` bytes, and its share of the memory for bodies.
#[derive(Debug)]
pub(crate) struct Raw<const MAX: usize>(pub(crate) Bytes, pub(crate) Share);

/// A small JSON body; an empty one counts as `{}`.
#[derive(Debug)]
pub(crate) struct Json<T>(pub(crate) T);

/// Bytes a second at which a body must arrive on average, after a grace. A report of 640 KiB may
/// take eleven minutes, and no client can hold a connection for longer with one body.
const LEAST_RATE: u32 = 1024;

/// As [`LEAST_RATE`], of a body that is taken piece by piece: 64 MiB may take an hour.
const LEAST_LARGE_RATE: u32 = 16 << 10;

/// How slowly a body may arrive.
#[derive(Clone, Copy, Debug)]
struct Pace {
    /// Longest time without a byte, and the grace before the rate counts.
    patience: Duration,
    /// Bytes a second, on average.
    rate: u32,
}

impl Pace {
    /// When the next bytes must be there, after so many in the time from `began` to `last`.
    fn deadline(self, began: Instant, last: Instant, received: usize) -> Instant {
        let earned = Duration::from_secs_f64(received as f64 / f64::from(self.rate));
        (began + earned).min(last) + self.patience
    }
}

type Extraction<T> = Pin<Box<dyn Future<Output = Result<T, Problem>>>>;

impl<const MAX: usize> FromRequest for Raw<MAX> {
    type Error = Problem;
    type Future = Extraction<Self>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let body = read(request, payload, MAX);
        Box::pin(async { body.await.map(|(body, share)| Raw(body, share)) })
    }
}

impl<T: DeserializeOwned + 'static> FromRequest for Json<T> {
    type Error = Problem;
    type Future = Extraction<Self>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let body = read(request, payload, SMALL);
        Box::pin(async {
            let (body, _share) = body.await?;
            Ok(Json(json::from_slice(if body.is_empty() { b"{}" } else { &body })?))
        })
    }
}

fn read(
    request: &HttpRequest,
    payload: &mut Payload,
    max: usize,
) -> impl Future<Output = Result<(Bytes, Share), Problem>> + use<> {
    let (arrival, payload) = (Arrival::of(request), web::Payload::from_request(request, payload));
    async move {
        let payload = payload.await.map_err(|_| Problem::Internal)?;
        let mut body = BytesMut::new();
        let share = arrival?.take(payload, max, |bytes| Ok(extend(&mut body, &bytes))).await?;
        Ok((body.freeze(), share))
    }
}

/// Takes a body piece by piece as it comes: at most `max` bytes in all. `take` says how much memory
/// is taken by what it keeps. Returns the body's share of the memory for bodies.
pub(super) async fn take_pieces(
    request: &HttpRequest,
    payload: web::Payload,
    max: usize,
    mut take: impl FnMut(Bytes) -> Result<usize, Problem>,
) -> Result<Share, Problem> {
    let mut arrival = Arrival::of(request)?;
    arrival.pace.rate = LEAST_LARGE_RATE;
    arrival.take(payload, max, |bytes| Ok(take(bytes)? + READ_BUFFER)).await
}

/// What the arrival of a body depends on.
struct Arrival {
    budget: Arc<Budget>,
    /// The length that the head declares.
    declared: Option<usize>,
    pace: Pace,
    connection: Option<Rc<Connection>>,
}

impl Arrival {
    fn of(request: &HttpRequest) -> Result<Arrival, Problem> {
        let budget = request.app_data::<web::Data<Budget>>().cloned().ok_or(Problem::Internal)?;
        let declared = request.headers().get(header::CONTENT_LENGTH);
        let declared = declared.and_then(|length| length.to_str().ok()?.parse::<usize>().ok());
        let service = request.app_data::<web::Data<Service>>();
        let patience = service.map_or(Duration::ZERO, |service| service.body_patience);
        let connection = request.conn_data::<Rc<Connection>>().cloned();
        let pace = Pace { patience, rate: LEAST_RATE };
        Ok(Arrival { budget: budget.into_inner(), declared, pace, connection })
    }

    async fn take(
        self,
        payload: web::Payload,
        max: usize,
        take: impl FnMut(Bytes) -> Result<usize, Problem>,
    ) -> Result<Share, Problem> {
        if self.declared.is_some_and(|length| length > max) {
            return Err(Problem::TooLarge { max });
        }
        let share = self.budget.share();
        tokio::select! {
            taken = each(payload, max, self.pace, &share, take) => taken?,
            () = share.ended() => return Err(Problem::Unavailable),
        }
        share.complete()?;
        if let Some(connection) = self.connection {
            connection.body_done();
        }
        Ok(share)
    }
}

/// Adds bytes to a body, and says how much memory it takes.
fn extend(body: &mut BytesMut, bytes: &[u8]) -> usize {
    body.extend_from_slice(bytes);
    let read_buffer = if body.len() < SMALL { 0 } else { READ_BUFFER };
    body.capacity() + read_buffer
}

async fn each(
    mut payload: impl Stream<Item = Result<Bytes, PayloadError>> + Unpin,
    max: usize,
    pace: Pace,
    share: &Share,
    mut take: impl FnMut(Bytes) -> Result<usize, Problem>,
) -> Result<(), Problem> {
    let (mut received, began) = (0, Instant::now());
    let mut last = began;
    loop {
        let deadline = pace.deadline(began, last, received);
        let Ok(next) = timeout_at(deadline, payload.next()).await else {
            let Pace { patience, rate } = pace;
            return Err(Problem::Timeout { seconds: patience.as_secs(), rate });
        };
        let Some(bytes) = next else { return Ok(()) };
        let bytes = bytes.map_err(|_| Problem::BodyIncomplete)?;
        let length = bytes.len();
        received += length;
        if received > max {
            return Err(Problem::TooLarge { max });
        }
        share.grow(take(bytes)?, length)?;
        last = Instant::now();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::stream;

    async fn collect(
        payload: impl Stream<Item = Result<Bytes, PayloadError>> + Unpin,
        max: usize,
        pace: Pace,
        share: &Share,
    ) -> Result<Bytes, Problem> {
        let mut body = BytesMut::new();
        each(payload, max, pace, share, |bytes| Ok(extend(&mut body, &bytes))).await?;
        Ok(body.freeze())
    }

    fn after(began: Instant, milliseconds: u64) -> Instant {
        began + Duration::from_millis(milliseconds)
    }

    #[test]
    fn the_deadline_is_what_the_bytes_have_earned() {
        let began = Instant::now();
        let pace = Pace { patience: Duration::from_secs(10), rate: 1000 };
        let deadline = |last, received| pace.deadline(began, after(began, last), received);
        assert_eq!(deadline(0, 0), after(began, 10_000));
        // The rate counts after the grace,
        assert_eq!(deadline(9000, 500), after(began, 10_500));
        assert_eq!(deadline(60_000, 60_000), after(began, 70_000));
        // and whoever was fast may still not pause for long.
        assert_eq!(deadline(2000, 500_000), after(began, 12_000));
        // No body of this size takes longer.
        assert_eq!(deadline(u64::from(u32::MAX), 640 << 10), after(began, 665_360));
    }

    /// Pieces of some bytes, each after some milliseconds.
    fn trickle(
        pieces: usize,
        bytes: usize,
        milliseconds: u64,
    ) -> impl Stream<Item = Result<Bytes, PayloadError>> + Unpin {
        Box::pin(stream::iter(0..pieces).then(move |_| async move {
            tokio::time::sleep(Duration::from_millis(milliseconds)).await;
            Ok(Bytes::from(vec![7; bytes]))
        }))
    }

    /// These give the same on a machine that is slow: only the trickle takes time.
    #[actix_web::test]
    async fn a_slow_body_arrives_and_one_that_is_too_slow_is_given_up() {
        let patience = Duration::from_millis(10);
        let share = Arc::new(Budget::new(1 << 20)).share();
        let share = &share;
        let steady = Pace { patience: Duration::from_secs(60), rate: 1 };
        // Here the whole takes longer than the patience, and has earned that.
        let body = collect(trickle(4, 100_000, 1), 400_000, steady, share).await.unwrap();
        assert_eq!(body.len(), 400_000);
        let slow =
            collect(trickle(usize::MAX, 1, 1), 1 << 20, Pace { patience, rate: 1 << 20 }, share);
        assert!(matches!(slow.await, Err(Problem::Timeout { rate: 1_048_576, .. })));
        let silent = collect(stream::pending(), 1, Pace { patience, rate: 1 }, share);
        assert!(matches!(silent.await, Err(Problem::Timeout { .. })));
        let large = collect(trickle(2, 10, 0), 19, steady, share);
        assert!(matches!(large.await, Err(Problem::TooLarge { max: 19 })));
        let broken = collect(stream::iter([Err(PayloadError::Incomplete(None))]), 1, steady, share);
        assert!(matches!(broken.await, Err(Problem::BodyIncomplete)));
    }
}
