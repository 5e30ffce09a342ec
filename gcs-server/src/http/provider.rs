//! What providers do: open ranges, print codes.

#![allow(unused_qualifications, reason = "in code that utoipa makes for queries")]

use actix_web::http::header;
use actix_web::{HttpResponse, get, post, web};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::auth::AsProvider;
use super::body::Json;
use super::problem::ProblemDetails;
use crate::code_sheet::{Format, Sheet};
use gcs_core::report::Code;
use crate::domain::judge;
use crate::domain::judge::OpenedRange;
use crate::domain::events::ProviderStatus;
use crate::domain::problem::Problem;
use crate::service::Service;

/// A range to open.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct RangeRequest {
    /// Number of codes, 1 to 10000.
    #[schema(minimum = 1, maximum = 10000)]
    count: u32,
    /// Days for which they are valid, 1 to the policy's `max_code_days`.
    #[serde(default = "thirty")]
    #[schema(default = 30, minimum = 1)]
    valid_days: u32,
}

fn thirty() -> u32 {
    30
}

/// Open a range of codes
#[utoipa::path(
    tag = "providers",
    request_body = RangeRequest,
    security(("provider" = [])),
    responses(
        (status = 201, description = "Its codes count from now on", body = OpenedRange),
        (status = 401, description = "unauthorized", body = ProblemDetails),
        (status = 403, description = "forbidden, provider_inactive", body = ProblemDetails),
        (status = 409, description = "quota_exceeded, serials_exhausted", body = ProblemDetails),
        (status = 422, description = "range_count, range_days", body = ProblemDetails),
    ),
)]
#[post("/v1/provider/ranges")]
pub(super) async fn open_range(
    service: web::Data<Service>,
    AsProvider(provider): AsProvider,
    Json(request): Json<RangeRequest>,
) -> Result<HttpResponse, Problem> {
    let RangeRequest { count, valid_days } = request;
    let range = service
        .node
        .act(move |state, now| judge::open_range(state, now, provider, count, valid_days));
    Ok(HttpResponse::Created().json(range.await?))
}

/// A provider's ranges.
#[derive(Serialize, ToSchema)]
struct RangeList {
    /// In order of their serial numbers, those of earlier keys first.
    ranges: Vec<RangeEntry>,
}

/// One range.
#[derive(Serialize, ToSchema)]
struct RangeEntry {
    /// Generation of the key.
    generation: u32,
    /// First serial number.
    first: u32,
    /// Number of codes.
    count: u32,
    /// Unix time from which they do not count any more.
    expires: u64,
    /// Whether unused codes were revoked.
    closed: bool,
    /// Codes that brought a report.
    used: u64,
    /// Codes that could still bring one.
    open: u64,
}

/// List one's ranges
#[utoipa::path(
    tag = "providers",
    security(("provider" = [])),
    responses(
        (status = 200, description = "All that have not been forgotten", body = RangeList),
        (status = 401, description = "unauthorized", body = ProblemDetails),
    ),
)]
#[get("/v1/provider/ranges")]
pub(super) async fn list_ranges(
    service: web::Data<Service>,
    AsProvider(number): AsProvider,
) -> Result<HttpResponse, Problem> {
    let now = service.clock.now();
    let state = service.node.state();
    let provider = state.providers.get(&number).ok_or(Problem::Internal)?;
    let ranges = provider.ranges.iter().map(|((generation, first), range)| RangeEntry {
        generation: *generation,
        first: *first,
        count: range.count,
        expires: range.expires,
        closed: range.closed || *generation < provider.generation,
        used: range.used_codes(),
        open: if *generation == provider.generation { range.open_codes(now) } else { 0 },
    });
    Ok(HttpResponse::Ok().json(RangeList { ranges: ranges.collect() }))
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct SheetQuery {
    /// Form of the answer: text (the default), csv or json.
    #[param(inline)]
    format: Option<Format>,
}

/// Print the unspent codes of a range
#[utoipa::path(
    tag = "providers",
    params(("first" = u32, Path, description = "The range's first serial number", maximum = 1_048_575, example = 0), SheetQuery),
    security(("provider" = [])),
    responses(
        (status = 200, description = "Codes with their expiry, in the form that was asked for", content(
            (String = "text/plain"), (String = "text/csv"), (Sheet = "application/json"),
        )),
        (status = 401, description = "unauthorized", body = ProblemDetails),
        (status = 403, description = "forbidden, provider_inactive", body = ProblemDetails),
        (status = 400, description = "parameter_invalid", body = ProblemDetails),
        (status = 404, description = "range_unknown", body = ProblemDetails),
    ),
)]
#[get("/v1/provider/ranges/{first}/codes")]
pub(super) async fn print_codes(
    service: web::Data<Service>,
    AsProvider(number): AsProvider,
    first: web::Path<String>,
    web::Query(query): web::Query<SheetQuery>,
) -> Result<HttpResponse, Problem> {
    let first = parse_number(&first)?;
    let format = query.format.unwrap_or_default();
    let sheet = sheet(&service, number, first)?;
    Ok(HttpResponse::Ok()
        .insert_header((header::CACHE_CONTROL, "no-store"))
        .content_type(format.mime())
        .body(sheet.print(format)))
}

fn sheet(service: &Service, number: u16, first: u32) -> Result<Sheet, Problem> {
    let state = service.node.state();
    let provider = state.providers.get(&number).ok_or(Problem::Internal)?;
    if provider.status != ProviderStatus::Active {
        return Err(Problem::ProviderInactive { status: "suspended or revoked" });
    }
    let range = provider.ranges.get(&(provider.generation, first));
    let range = range.ok_or(Problem::RangeUnknown { first })?;
    let key = service.keys.provider(number, provider.generation);
    let unspent = (0..range.count).filter(|at| range.is_unspent(*at));
    let codes = unspent.filter_map(|at| Code::issue(&key, number, first + at));
    Ok(Sheet::new(codes, range.expires))
}

/// Revoke the unused codes of a range
#[utoipa::path(
    tag = "providers",
    params(("first" = u32, Path, description = "The range's first serial number", maximum = 1_048_575, example = 0)),
    security(("provider" = [])),
    responses(
        (status = 204, description = "They count no more"),
        (status = 401, description = "unauthorized", body = ProblemDetails),
        (status = 400, description = "parameter_invalid", body = ProblemDetails),
        (status = 404, description = "range_unknown", body = ProblemDetails),
    ),
)]
#[post("/v1/provider/ranges/{first}/close")]
pub(super) async fn close_range(
    service: web::Data<Service>,
    AsProvider(provider): AsProvider,
    first: web::Path<String>,
) -> Result<HttpResponse, Problem> {
    let first = parse_number(&first)?;
    service.node.act(move |state, _| judge::close_range(state, provider, first)).await?;
    Ok(HttpResponse::NoContent().finish())
}

pub(super) fn parse_number<T: std::str::FromStr>(text: &str) -> Result<T, Problem> {
    text.parse()
        .map_err(|_| Problem::ParameterInvalid { what: "a number is asked for in the path" })
}
