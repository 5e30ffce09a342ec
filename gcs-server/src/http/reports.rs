//! Reports of patients.

use std::sync::Arc;
use std::time::Instant;

use actix_web::http::header;
use actix_web::{HttpResponse, get, post, web};
use data_encoding::BASE64;
use gcs_core::Date;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use sha2::{Digest as _, Sha256};
use utoipa::ToSchema;

use super::body::{self, Raw};
use super::problem::ProblemDetails;
use gcs_core::report::Code;
use gcs_core::Element;
use gcs_core::report::{Item, ItemProblem};
use crate::domain::judge;
use crate::domain::judge::{MAX_ITEMS, ReportAnswer, Submission};
use crate::domain::problem::Problem;
use crate::domain::state::{Report, ReportDay, State};
use gcs_core::Version;
use crate::service::Service;

/// A report.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct ReportRequest<'a> {
    /// The one-time code, as it was typed: 16 symbols of Crockford's base 32, shown in fours.
    /// Case, spaces and hyphens do not matter; I and L count as 1, O as 0.
    #[schema(example = "000A-0002-5XYZ-JK7Q")]
    code: String,
    /// 1 to 4096 items.
    #[serde(borrow)]
    #[schema(value_type = Vec<WireItem>, min_items = 1, max_items = 4096)]
    items: Vec<&'a RawValue>,
}

/// What is reported. An item with other fields is refused (`shape`).
#[derive(Deserialize, ToSchema)]
#[serde(tag = "kind", deny_unknown_fields)]
enum WireItem {
    /// A seed of DP-3T's unlinkable design.
    ///
    /// The phone broadcast EphID = the first 16 bytes of SHA-256(seed). The element that is
    /// published, and that phones test, is SHA-256(EphID ‖ epoch as a big-endian u32), 32
    /// bytes. The seed and epoch of the examples give
    /// `k+jP+0+Ci6+eNrZYq4mIua/Tm+yflbJJMHaBVxSK3Mk=` in base64.
    #[serde(rename = "dp3t-unlinkable")]
    Dp3tUnlinkable {
        /// Its epoch: Unix time divided by 900, rounded down. It gives the UTC date as well.
        #[schema(example = 1_762_781)]
        epoch: u32,
        /// 32 bytes in base64, padded with `=`.
        #[schema(
            content_encoding = "base64",
            min_length = 44,
            max_length = 44,
            example = "6qIFRjcAl1e5mIsomYIJ0lPu3mk0X4NbuRs7MzEI0ik="
        )]
        seed: String,
    },
    /// An element as it was broadcast, if the policy allows. It is published as it is.
    #[serde(rename = "raw")]
    Raw {
        /// The UTC date on which it was broadcast.
        #[schema(value_type = String, format = Date, example = "2026-01-05")]
        date: Date,
        /// 16 to 64 bytes in base64, padded with `=`.
        #[schema(
            content_encoding = "base64",
            min_length = 24,
            max_length = 88,
            example = "aWRlbnRpZmllciBoZWFyZA=="
        )]
        element: String,
    },
}

impl WireItem {
    fn read(raw: &RawValue) -> Result<Item, ItemProblem> {
        let decode = |text: &str| BASE64.decode(text.as_bytes()).map_err(|_| ItemProblem::Shape);
        match serde_json::from_str(raw.get()).map_err(|_| ItemProblem::Shape)? {
            WireItem::Dp3tUnlinkable { epoch, seed } => {
                let seed = decode(&seed)?.try_into().map_err(|_| ItemProblem::SeedLength)?;
                Ok(Item::Dp3tUnlinkable { epoch, seed })
            }
            WireItem::Raw { date, element } => {
                Ok(Item::Raw { date, element: Element::from_vec(decode(&element)?) })
            }
        }
    }
}

/// Reads the body of a report. Items are read one by one, so that a bad one spoils no other.
///
/// # Errors
/// What is wrong with all of it; what is wrong with an item stands in its place.
pub fn read_report(json: &[u8]) -> Result<Submission, Problem> {
    let request: ReportRequest<'_> = body::parse(json)?;
    let code: Code = request.code.parse().map_err(|_| Problem::CodeInvalid)?;
    if request.items.len() > MAX_ITEMS {
        return Err(Problem::TooManyItems { max: MAX_ITEMS, got: request.items.len() });
    }
    let items: Vec<_> = request.items.iter().map(|raw| WireItem::read(raw)).collect();
    let payload = payload(&items, &request.items);
    Ok(Submission { code, items, payload })
}

/// SHA-256 of what the items say, so that a retry is known however its JSON is written.
fn payload(items: &[Result<Item, ItemProblem>], raw: &[&RawValue]) -> [u8; 32] {
    let mut hasher = Sha256::new();
    for (item, raw) in items.iter().zip(raw) {
        let (tag, bytes) = match item {
            Ok(item) => (0u8, postcard::to_allocvec(item).unwrap_or_default()),
            Err(_) => (1, raw.get().as_bytes().to_vec()),
        };
        hasher.update([tag]);
        hasher.update((bytes.len() as u64).to_le_bytes());
        hasher.update(bytes);
    }
    hasher.finalize().into()
}

/// Report infected identifiers with a one-time code
///
/// Durable before the answer. The same code with the same items gets the first answer again,
/// whatever happened in between. Items that cannot be accepted are named; the others are
/// kept. A code is spent once an item was accepted.
#[utoipa::path(
    tag = "reports",
    request_body = ReportRequest,
    responses(
        (status = 201, description = "Accepted and durable", body = ReportAnswer,
         headers(("Location" = String, description = "Path of the report's status"))),
        (status = 400, description = "json_invalid, json_shape, body_incomplete", body = ProblemDetails),
        (status = 403, description = "code_invalid, code_suspended, code_not_open", body = ProblemDetails),
        (status = 408, description = "timeout: the body took too long", body = ProblemDetails),
        (status = 409, description = "code_used: by another report", body = ProblemDetails),
        (status = 410, description = "code_expired, code_revoked", body = ProblemDetails),
        (status = 413, description = "too_large: at most 640 KiB", body = ProblemDetails),
        (status = 422, description = "too_many_items, no_items: `problems` says what is wrong with each", body = ProblemDetails),
        (status = 503, description = "storage_unavailable, unavailable: send the same again", body = ProblemDetails),
    ),
)]
#[post("/v1/reports")]
pub(super) async fn post_report(
    service: web::Data<Service>,
    Raw(body): Raw<MAX_BYTES>,
) -> Result<HttpResponse, Problem> {
    let arrived = Instant::now();
    let submission = read_report(&body)?;
    let (provider, serial) = (submission.code.provider(), submission.code.serial());
    let keys = Arc::clone(&service.keys);
    let answer: ReportAnswer = service
        .node
        .act_on_code(provider, serial, move |state, now| {
            judge::report(state, &keys, now, &submission)
        })
        .await?;
    service.metrics.report_seconds.0.observe(arrived.elapsed().as_secs_f64());
    let location = format!("/v1/reports/{}", answer.tracking_id);
    Ok(HttpResponse::Created()
        .insert_header((header::LOCATION, location))
        .insert_header((header::CACHE_CONTROL, "no-store"))
        .json(answer))
}

/// What became of a report.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum Status {
    /// It waits for its publication.
    Held,
    /// All of it that has not expired is published.
    Published,
    /// It was retracted.
    Retracted,
    /// All its dates have expired.
    Expired,
}

/// What became of a report.
#[derive(Debug, Serialize, ToSchema)]
struct ReportStatus {
    /// Of all of it.
    state: Status,
    /// By date.
    dates: Vec<DateStatus>,
}

/// What became of a report's elements of one date.
#[derive(Debug, Serialize, ToSchema)]
struct DateStatus {
    /// The UTC date.
    #[schema(value_type = String, format = Date, example = "2026-01-05")]
    date: Date,
    /// What became of them.
    state: Status,
    /// The publication that first had them.
    #[serde(skip_serializing_if = "Option::is_none")]
    since: Option<Version>,
}

/// What became of a report
#[utoipa::path(
    tag = "reports",
    params(("tracking_id" = String, Path, description = "From the answer to the report",
        pattern = "^[0-9a-f]{32}$", example = "6f1ed002ab5595859014ebf0951522d9")),
    responses(
        (status = 200, description = "Its status", body = ReportStatus),
        (status = 404, description = "report_unknown", body = ProblemDetails),
    ),
)]
#[get("/v1/reports/{tracking_id}")]
pub(super) async fn get_report(
    service: web::Data<Service>,
    tracking: web::Path<String>,
) -> Result<HttpResponse, Problem> {
    let tracking = judge::parse_tracking(&tracking)?;
    let out = service.version();
    let state = service.node.state();
    let (position, report) = state.reports.by_tracking(&tracking).ok_or(Problem::ReportUnknown)?;
    let status = status_of(&state, position, report, out);
    Ok(HttpResponse::Ok().insert_header((header::CACHE_CONTROL, "no-store")).json(status))
}

fn status_of(state: &State, position: u64, report: &Report, out: Option<Version>) -> ReportStatus {
    let date = |day: &ReportDay| {
        // The log may be ahead of what is out.
        let since = day.since.filter(|since| out >= Some(*since));
        let status = match since {
            _ if !state.has(position, day.date) => Status::Expired,
            _ if report.retracted => Status::Retracted,
            Some(_) => Status::Published,
            None => Status::Held,
        };
        let since = since.filter(|_| status == Status::Published);
        DateStatus { date: day.date, state: status, since }
    };
    let dates: Vec<DateStatus> = report.days.iter().map(date).collect();
    let any = |status| dates.iter().any(|date| date.state == status);
    let state = if report.retracted {
        Status::Retracted
    } else if any(Status::Held) {
        Status::Held
    } else if any(Status::Published) {
        Status::Published
    } else {
        Status::Expired
    };
    ReportStatus { state, dates }
}
