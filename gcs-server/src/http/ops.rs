//! For those who watch the server, and backends.

use actix_web::{HttpResponse, get, post, web};
use gcs_core::exact::{MAX_REQUEST_BYTES, Request};

use serde::Deserialize;
use utoipa::ToSchema;

use super::auth::Backend;
use super::body::Raw;
use super::problem::ProblemDetails;
use crate::domain::problem::Problem;
use crate::domain::state::Day;
use crate::service::Service;

/// Whether the process lives
#[utoipa::path(operation_id = "get_health", tag = "operations", responses((status = 200, description = "It does", body = String)))]
#[get("/healthz")]
pub(super) async fn healthz() -> &'static str {
    "ok\n"
}

/// Whether the server can do its work
#[utoipa::path(
    operation_id = "get_readiness",
    tag = "operations",
    responses(
        (status = 200, description = "It can", body = String),
        (status = 503, description = "unavailable: nothing is published yet, or the last tick is not out. files_missing", body = ProblemDetails),
    ),
)]
#[get("/readyz")]
pub(super) async fn readyz(service: web::Data<Service>) -> Result<&'static str, Problem> {
    let published = service.published.borrow();
    let published = published.as_ref().ok_or(Problem::Unavailable)?;
    let logged = service.node.state().last_tick.map(|last| last.version);
    let interval = service.node.state().policy.interval;
    let is_late =
        service.clock.now() > published.position_of_tick.time.saturating_add(2 * interval);
    match published.missing {
        0 if is_late
            || Some(published.position_of_tick.version) < logged
            || !service.node.is_writable() =>
        {
            Err(Problem::Unavailable)
        }
        0 => Ok("ready\n"),
        count => Err(Problem::FilesMissing { count }),
    }
}

/// Metrics in the OpenMetrics text format
#[utoipa::path(operation_id = "get_metrics", tag = "operations", responses((status = 200, description = "For Prometheus", body = String,
    content_type = "application/openmetrics-text; version=1.0.0; charset=utf-8")))]
#[get("/metrics")]
pub(super) async fn metrics(service: web::Data<Service>) -> HttpResponse {
    HttpResponse::Ok()
        .content_type("application/openmetrics-text; version=1.0.0; charset=utf-8")
        .body(service.metrics.encode(gauges(&service)))
}

/// One element on one date.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "for the document")]
struct ExactQuery {
    /// The UTC date on which it was broadcast.
    #[schema(format = Date, example = "2020-04-10")]
    date: String,
    /// The element, 16 to 64 bytes in base64, padded with `=`. Of a dp3t-unlinkable seed:
    /// SHA-256(EphID ‖ epoch as a big-endian u32), where EphID = the first 16 bytes of
    /// SHA-256(seed) and series = Unix time divided by 900.
    #[schema(
        content_encoding = "base64",
        min_length = 24,
        max_length = 88,
        example = "k+jP+0+Ci6+eNrZYq4mIua/Tm+yflbJJMHaBVxSK3Mk="
    )]
    element: String,
}

/// What is asked.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "for the document")]
struct ExactRequest {
    /// At most 1000 questions.
    #[schema(max_items = 1000)]
    queries: Vec<ExactQuery>,
}

/// What is answered.
#[derive(ToSchema)]
#[expect(dead_code, reason = "for the document")]
struct ExactResponse {
    /// Whether each element is published, in the order of the queries.
    #[schema(example = json!([true]))]
    present: Vec<bool>,
}

/// Exact match, for backends and back offices
///
/// Whoever answers learns which elements were asked for: it is not for phones.
#[utoipa::path(
    operation_id = "match_exactly",
    tag = "operations",
    request_body = ExactRequest,
    security(("backend" = [])),
    responses(
        (status = 200, description = "Yes or no to each query", body = ExactResponse),
        (status = 400, description = "body_incomplete", body = ProblemDetails),
        (status = 401, description = "unauthorized", body = ProblemDetails),
        (status = 413, description = "too_large: at most 200000 bytes", body = ProblemDetails),
        (status = 422, description = "exact_invalid: no JSON, of another shape, or out of bounds", body = ProblemDetails),
    ),
)]
#[post("/v1/exact")]
pub(super) async fn exact(
    service: web::Data<Service>,
    _: Backend,
    Raw(body): Raw<MAX_REQUEST_BYTES>,
) -> Result<HttpResponse, Problem> {
    let request = Request::from_json(&body).map_err(Problem::from)?;
    let state = service.node.state();
    let response = request.answer(|date, element| state.is_published(date, element));
    Ok(HttpResponse::Ok().json(response))
}

fn gauges(service: &Service) -> Vec<(&'static str, &'static str, i64)> {
    let missing = service.published.borrow().as_ref().map_or(0, |published| published.missing);
    let published = service.published.borrow().as_ref().map(|published| published.position_of_tick);
    let state = service.node.state();
    let days = state.days.values();
    let number = |value: u64| i64::try_from(value).unwrap_or(i64::MAX);
    let tick = |time: Option<u64>| number(time.unwrap_or(0));
    vec![
        ("log_position", "Position of the last event of the log", number(state.position)),
        ("reports", "Reports that have not been purged", number(state.reports.len() as u64)),
        ("providers", "Providers", number(state.providers.len() as u64)),
        (
            "elements_published",
            "Elements at the last tick, filler included",
            number(days.clone().map(Day::published_len).sum()),
        ),
        ("filler_published", "Filler among them", number(days.clone().map(Day::filler_len).sum())),
        (
            "additions_waiting",
            "Additions of reports to dates that wait",
            number(days.map(Day::waiting_len).sum()),
        ),
        (
            "files_missing",
            "Files of the last tick that somebody deleted",
            i64::try_from(missing).unwrap_or(i64::MAX),
        ),
        ("series", "Series of the log", i64::from(state.series)),
        (
            "tick_logged",
            "Last tick in the log",
            state.last_tick.map_or(0, |last| i64::from(last.version.tick)),
        ),
        (
            "tick_published",
            "Last tick that is out",
            published.map_or(0, |position_of_tick| i64::from(position_of_tick.version.tick)),
        ),
        (
            "tick_published_timestamp_seconds",
            "Unix time of the last tick that is out",
            tick(published.map(|position_of_tick| position_of_tick.time)),
        ),
    ]
}
