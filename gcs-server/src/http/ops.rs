//! Health, readiness and metrics, and exact match for backends.

use actix_web::web::Data;
use actix_web::{HttpResponse, get, post};
use gcs_core::exact::{MAX_REQUEST_BYTES, Request};
use gcs_core::live::LiveDate;
use serde::Deserialize;
use utoipa::ToSchema;
use utoipa_actix_web::service_config::ServiceConfig;

use super::Answer;
use super::auth::{Backend, Reader};
use super::body::Raw;
use crate::bluetrace;
use crate::domain::problem::Problem;
use crate::domain::state::bluetrace::BlueTrace;
use crate::service::Service;
use crate::spool::SpoolStatus;

/// Media type of the metrics.
const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

pub(super) fn routes(config: &mut ServiceConfig<'_>) {
    config.service(healthz).service(readyz).service(metrics).service(exact);
}

/// Ask whether the process runs
#[utoipa::path(
    operation_id = "get_health",
    tag = "operations",
    responses((status = 200, description = "It runs", body = String)),
)]
#[get("/healthz")]
async fn healthz() -> &'static str {
    "ok\n"
}

/// Ask whether the server works
///
/// It works when the last tick is published and not late, no file is damaged or missing, the log can be
/// written, and the clock lets the next tick be made. The files of a tick may be written for 30 seconds.
#[utoipa::path(
    operation_id = "get_readiness",
    tag = "operations",
    responses(
        (status = 200, description = "It works", body = String),
        (status = 503, description = "not_ready: `detail` says everything that does not work"),
    ),
)]
#[get("/readyz")]
async fn readyz(service: Data<Service>) -> Result<&'static str, Problem> {
    service.readiness().map(|()| "ready\n")
}

/// Get metrics in the OpenMetrics text format, for Prometheus
#[utoipa::path(
    operation_id = "get_metrics",
    tag = "operations",
    responses((status = 200, description = "The metrics", body = String, content_type = OPEN_METRICS)),
)]
#[get("/metrics")]
async fn metrics(service: Data<Service>) -> HttpResponse {
    HttpResponse::Ok()
        .content_type(OPEN_METRICS)
        .body(service.metrics.encode(&service.shelf.mended, gauges(&service)))
}

/// One element, and the date on which it was broadcast.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "for the document: gcs-core reads it")]
struct ExactQuery {
    /// The UTC date on which the element was broadcast, as YYYY-MM-DD.
    #[schema(format = Date, example = "2020-04-10")]
    date: String,
    /// The element: 16 to 64 bytes in base64, padded with `=`. For a reported dp3t-unlinkable seed
    /// it is SHA-256(EphID ‖ epoch as a big-endian u32), where EphID is the first 16 bytes of
    /// SHA-256(seed) and epoch is Unix time in seconds divided by 900, rounded down.
    #[schema(
        content_encoding = "base64",
        min_length = 24,
        max_length = 88,
        example = "k+jP+0+Ci6+eNrZYq4mIua/Tm+yflbJJMHaBVxSK3Mk="
    )]
    element: String,
}

/// Elements to look for.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "for the document: gcs-core reads it")]
struct ExactRequest {
    /// The elements with their dates: at most 1000.
    #[schema(max_items = 1000)]
    queries: Vec<ExactQuery>,
}

/// The answer to an exact-match request.
#[derive(ToSchema)]
#[expect(dead_code, reason = "for the document: gcs-core writes it")]
struct ExactResponse {
    /// Whether each element is published for its date, in the order of the queries.
    #[schema(example = json!([true]))]
    present: Vec<bool>,
}

/// Ask whether elements are published, without false positives
///
/// For backends and back offices, not for phones: the server learns which elements are asked for.
#[utoipa::path(
    operation_id = "match_exactly",
    tag = "operations",
    request_body = ExactRequest,
    security(("backend" = [])),
    responses(
        (status = 200, description = "Yes or no to each query", body = ExactResponse),
        (status = 413, description = "too_large: at most 200000 bytes"),
        (status = 422, description = "exact_invalid: too many queries, or an element of a wrong length"),
    ),
)]
#[post("/v1/exact")]
async fn exact(
    service: Data<Service>,
    reader: Reader<Backend>,
    Raw(body, _share): Raw<MAX_REQUEST_BYTES>,
) -> Answer {
    let request = Request::from_json(&body).map_err(Problem::from)?;
    let state = service.node.state();
    reader.expect(&state)?;
    let response = request.answer(|date, element| state.live.is_published(date, element));
    Ok(HttpResponse::Ok().json(response))
}

/// Gauges of the present state, if it is that of the log, and of published files: name, help, value.
fn gauges(service: &Service) -> Vec<(&'static str, &'static str, i64)> {
    let published = service.published.borrow().clone();
    let (tick, time) = published
        .map_or((0, 0), |published| (published.position.version.tick, published.position.time));
    let state = service.node.state();
    let sum = |count: fn(&LiveDate) -> u64| state.live.dates().map(|(_, live)| count(live)).sum();
    let logged = state.last_tick.map_or(0, |last| last.version.tick);
    let of_state: [(&str, &str, u64); 8] = [
        ("log_position", "Position in the log of the last event", state.position),
        ("reports", "Reports whose items have not been erased yet", state.reports.len() as u64),
        ("providers", "Providers", state.providers.len() as u64),
        (
            "elements_published",
            "Elements at the last tick, filler included",
            sum(LiveDate::published_len),
        ),
        (
            "filler_published",
            "Filler among the elements at the last tick",
            sum(LiveDate::filler_len),
        ),
        (
            "additions_waiting",
            "Reports that wait for their publication, counted once for each date",
            sum(LiveDate::waiting_len),
        ),
        ("series", "Series of the publications", state.series.into()),
        ("tick_logged", "Last tick in the log", logged.into()),
    ];
    let is_on = service.bluetrace.is_some();
    let now = service.clock.now();
    let of_bluetrace =
        state.bluetrace.iter().filter(|_| is_on).flat_map(|of| bluetrace_gauges(of, now));
    let of_files: [(&str, &str, u64); 3] = [
        (
            "files_wrong",
            "Published files that are damaged or missing on disk, and not mended yet",
            service.shelf.unmended().len() as u64,
        ),
        ("tick_published", "Last tick that phones can fetch", tick.into()),
        (
            "tick_published_timestamp_seconds",
            "Unix time of the last tick that phones can fetch",
            time,
        ),
    ];
    let of_spool = service.spool.iter().flat_map(|spool| spool_gauges(&spool.status()));
    let signed = |(name, help, value)| (name, help, i64::try_from(value).unwrap_or(i64::MAX));
    // An older state than the log's would only mislead.
    let is_current = service.node.expect_current().is_ok();
    of_state
        .into_iter()
        .chain(of_bluetrace)
        .filter(|_| is_current)
        .chain(of_files)
        .chain(of_spool)
        .map(signed)
        .collect()
}

/// Gauges of BlueTrace: name, help, value.
fn bluetrace_gauges(bluetrace: &BlueTrace, now: u64) -> [(&'static str, &'static str, u64); 5] {
    let known = &bluetrace.federation;
    let waiting = || known.authorities.keys().map(|hai| bluetrace::waits_since(known, hai, now));
    let messages = waiting().map(|(count, _)| count).sum();
    let since = waiting().filter_map(|(_, since)| since).min().unwrap_or(0);
    [
        ("bluetrace_messages_waiting", "Messages that wait for other authorities", messages),
        (
            "bluetrace_messages_waiting_since_timestamp_seconds",
            "Unix time since which the oldest message waits for another authority, 0 if none waits",
            since,
        ),
        ("bluetrace_users", "Users who are registered", bluetrace.users.len() as u64),
        (
            "bluetrace_cases",
            "Users who have used an upload code in the last 21 days",
            bluetrace.cases.iter().count() as u64,
        ),
        (
            "bluetrace_bodies_waiting",
            "Bodies of events that are over, and not erased yet",
            bluetrace.unneeded.len() as u64,
        ),
    ]
}

/// Gauges of the reports that wait for the log: name, help, value.
fn spool_gauges(status: &SpoolStatus) -> [(&'static str, &'static str, u64); 4] {
    [
        ("spool_waiting", "Reports that wait in the spool of this server", status.reports),
        ("spool_waiting_bytes", "Bytes of the reports that wait in the spool", status.bytes),
        (
            "spool_waiting_since_timestamp_seconds",
            "Unix time at which the first report that waits in the spool arrived, 0 if none waits",
            status.since.unwrap_or(0),
        ),
        (
            "spool_files_wrong",
            "Files of the spool that are damaged, or of another deployment or release",
            status.damaged + status.foreign,
        ),
    ]
}
