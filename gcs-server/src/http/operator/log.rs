//! The operator's route to the log, for copies of it. With BlueTrace they have phone numbers and sightings, and no event
//! says who has read them.

#![allow(unused_qualifications, reason = "in code that utoipa makes for queries")]

use actix_web::web::Data;
use actix_web::{HttpResponse, get, web};
use data_encoding::BASE64;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::domain::problem::Problem;
use crate::http::auth::{Caller, Operator};
use crate::http::{Answer, not_stored};
use crate::service::Service;
use crate::store::{Batch, Page, StoredBody, StoredEvent};

/// Bytes of the log in one answer, about. A batch is never divided.
const PAGE_BYTES: usize = 1 << 20;

/// Where to begin.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct FromQuery {
    /// The position of an event. The answer begins with the batch that has it.
    #[serde(default = "first")]
    #[param(default = 1, minimum = 1)]
    from: u64,
}

fn first() -> u64 {
    1
}

/// A part of the log.
#[derive(Serialize, Deserialize, ToSchema)]
pub(crate) struct LogPage {
    /// Position in the log, counted in events, of the last event there is.
    last: u64,
    /// Batches in order. None if the log ends before the position that was asked for.
    batches: Vec<LogBatch>,
}

/// Events that were stored together.
#[derive(Serialize, Deserialize, ToSchema)]
struct LogBatch {
    /// Position of the first event.
    first: u64,
    /// Random number of the batch, as base64 of 16 bytes.
    #[schema(min_length = 24, max_length = 24)]
    id: String,
    /// The events, one at least.
    events: Vec<LogEvent>,
}

/// An event of the log.
#[derive(Serialize, Deserialize, ToSchema)]
struct LogEvent {
    /// Its header, as base64 of 85 bytes: the position as u64, the SHA-256 of the header before it,
    /// the Unix time as u64, the kind as u16, the outcome as u8, the version of the rules as u16, and
    /// SHA-256(salt, all of the header before, body), or SHA-256(salt, body) up to version 1 of the rules. Numbers
    /// are little-endian.
    header: String,
    /// 32 random bytes as base64; null if the body has been erased, or is lost.
    salt: Option<String>,
    /// Its body as base64; null if it has been erased, or is lost.
    body: Option<String>,
}

impl From<&Page> for LogPage {
    fn from(Page { last, batches }: &Page) -> LogPage {
        let event = |StoredEvent { header, body }: &StoredEvent| LogEvent {
            header: BASE64.encode(header),
            salt: body.as_ref().map(|body| BASE64.encode(&body.salt)),
            body: body.as_ref().map(|body| BASE64.encode(&body.bytes)),
        };
        let batch = |Batch { first, id, events }: &Batch| LogBatch {
            first: *first,
            id: BASE64.encode(id),
            events: events.iter().map(event).collect(),
        };
        LogPage { last: *last, batches: batches.iter().map(batch).collect() }
    }
}

impl LogPage {
    /// What the page says; `None` if something in it is no base64, or has another length.
    pub(crate) fn decode(&self) -> Option<Page> {
        let batches = self.batches.iter().map(LogBatch::decode).collect::<Option<_>>()?;
        Some(Page { last: self.last, batches })
    }
}

impl LogBatch {
    fn decode(&self) -> Option<Batch> {
        let events = self.events.iter().map(LogEvent::decode).collect::<Option<_>>()?;
        Some(Batch { first: self.first, id: array(&self.id)?, events })
    }
}

impl LogEvent {
    fn decode(&self) -> Option<StoredEvent> {
        let body = match (&self.salt, &self.body) {
            (None, None) => None,
            (salt, body) => Some(StoredBody {
                salt: array(salt.as_ref()?)?,
                bytes: BASE64.decode(body.as_ref()?.as_bytes()).ok()?,
            }),
        };
        Some(StoredEvent { header: BASE64.decode(self.header.as_bytes()).ok()?, body })
    }
}

fn array<const N: usize>(text: &str) -> Option<[u8; N]> {
    BASE64.decode(text.as_bytes()).ok()?.try_into().ok()
}

/// Read the log, to keep a copy of it
///
/// An answer has about a mebibyte of the log. For the next one, ask from the position after its last event.
/// Reports are in it, and hashes of tokens, but no key. `gcs-server backup` verifies what comes and keeps it.
#[utoipa::path(
    operation_id = "read_log",
    params(FromQuery),
    responses(
        (status = 200, description = "A part of the log", body = LogPage),
        (status = 400, description = "parameter_invalid"),
        (status = 503, description = "storage_unavailable: the log cannot be read; read_only, log_unusable"),
    ),
)]
#[get("/v1/admin/log")]
pub(super) async fn read_log(
    service: Data<Service>,
    _: Caller<Operator>,
    web::Query(FromQuery { from }): web::Query<FromQuery>,
) -> Answer {
    let page =
        web::block(move || service.log.page(from, PAGE_BYTES).map(|page| LogPage::from(&page)));
    let page = page.await.map_err(|_| Problem::Internal)?.map_err(|error| {
        tracing::error!(%error, "the log cannot be read");
        Problem::StorageUnavailable
    })?;
    Ok(not_stored(HttpResponse::Ok(), &page))
}
