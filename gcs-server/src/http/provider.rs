//! The routes of providers: open ranges of codes, print and close them.

#![allow(unused_qualifications, reason = "in code that utoipa makes for queries")]

use actix_web::http::header;
use actix_web::web::Data;
use actix_web::{HttpResponse, get, post, web};
use serde::{Deserialize, Serialize};
use tokio::sync::Semaphore;
use utoipa::{IntoParams, ToSchema};
use utoipa_actix_web::service_config::ServiceConfig;

use super::Answer;
use super::auth::{Caller, ProviderRole};
use super::body::Json;
use crate::code_sheet::{Format, Sheet};
use crate::domain::judge;
use crate::domain::problem::Problem;
use crate::service::Service;

pub(super) fn routes(config: &mut ServiceConfig<'_>) {
    config.service(open_range).service(list_ranges).service(print_codes).service(close_range);
}

/// A range of codes to open.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct RangeRequest {
    /// Number of codes, 1 to 10000.
    #[schema(minimum = 1, maximum = 10000)]
    count: u32,
    /// Days for which the codes are valid: 1 to the setting `max_code_days`.
    #[serde(default = "thirty")]
    #[schema(default = 30, minimum = 1)]
    valid_days: u32,
}

fn thirty() -> u32 {
    30
}

/// A range of codes that was opened.
#[derive(Serialize, Deserialize, ToSchema)]
pub(crate) struct OpenedRange {
    /// The provider's number.
    #[schema(example = 1)]
    pub(crate) provider: u16,
    /// Generation of the key that the codes are made with.
    #[schema(example = 1)]
    pub(crate) generation: u32,
    /// Serial number of the first code.
    #[schema(maximum = 1_048_575, example = 0)]
    pub(crate) first: u32,
    /// Number of codes.
    #[schema(example = 500)]
    pub(crate) count: u32,
    /// Unix time, in seconds, from which the codes are not accepted any more.
    #[schema(example = 1_770_206_400)]
    pub(crate) expires: u64,
}

/// Open a range of codes
///
/// When the serial numbers of your key are used up, the range is of another key; codes that are out
/// stay valid.
#[utoipa::path(
    request_body = RangeRequest,
    responses(
        (status = 201, description = "The range. Its codes are accepted from now on", body = OpenedRange),
        (status = 403, description = "forbidden; provider_inactive: you are suspended or revoked"),
        (status = 409, description = "quota_exceeded"),
        (status = 422, description = "range_count, range_days"),
    ),
)]
#[post("/v1/provider/ranges")]
async fn open_range(
    service: Data<Service>,
    caller: Caller<ProviderRole>,
    Json(RangeRequest { count, valid_days }): Json<RangeRequest>,
) -> Answer {
    let ProviderRole(provider) = caller.role;
    let judge =
        move |state: &_, context| judge::open_range(state, context, provider, count, valid_days);
    Ok(HttpResponse::Created().json(caller.act(&service, judge).await?))
}

/// The ranges of a provider.
#[derive(Serialize, ToSchema)]
struct RangeList {
    /// The ranges: those of earlier keys first, then by serial number.
    ranges: Vec<RangeEntry>,
}

/// One range of codes.
#[derive(Serialize, ToSchema)]
struct RangeEntry {
    /// Generation of the key that the codes are made with.
    #[schema(example = 1)]
    generation: u32,
    /// Serial number of the first code.
    #[schema(maximum = 1_048_575, example = 0)]
    first: u32,
    /// Number of codes.
    #[schema(example = 500)]
    count: u32,
    /// Unix time, in seconds, from which the codes are not accepted any more.
    #[schema(example = 1_770_206_400)]
    expires: u64,
    /// Whether the unused codes are void, because the range was closed or the key replaced.
    closed: bool,
    /// Number of codes that brought a report.
    used: u64,
    /// Number of codes that can still bring a report.
    open: u64,
}

/// List your ranges of codes
#[utoipa::path(
    responses(
        (status = 200, description = "All ranges, until 30 days after they expired", body = RangeList),
        (status = 403, description = "forbidden; provider_inactive: you are suspended or revoked"),
    ),
)]
#[get("/v1/provider/ranges")]
async fn list_ranges(service: Data<Service>, caller: Caller<ProviderRole>) -> Answer {
    let ProviderRole(number) = caller.role;
    let now = service.clock.now();
    let state = service.node.state();
    let ranges = judge::active(&state, number)?.counted_ranges(now);
    let ranges = ranges.map(|(generation, first, range, counts)| RangeEntry {
        generation,
        first,
        count: range.count,
        expires: range.expires,
        closed: counts.closed,
        used: counts.used,
        open: counts.open,
    });
    Ok(HttpResponse::Ok().json(RangeList { ranges: ranges.collect() }))
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct KeyQuery {
    /// Generation of the range's key, as the list of ranges has it. It is needed only where ranges of two
    /// keys begin with the same serial number.
    generation: Option<u32>,
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct SheetQuery {
    /// Generation of the range's key, as the list of ranges has it. It is needed only where ranges of two
    /// keys begin with the same serial number.
    generation: Option<u32>,
    /// The form of the answer: `text` (one code a line; the default), `csv` (columns code and
    /// expires) or `json`.
    #[param(inline)]
    format: Option<Format>,
}

/// Codes that expire together. Each of them can be used for one report, by whoever has it: show
/// it to its patient only.
#[derive(ToSchema)]
#[expect(dead_code, reason = "for the document: a Sheet writes itself")]
struct CodeSheet {
    /// UTC time from which the codes are not accepted any more, as RFC 3339 has it.
    #[schema(format = DateTime, example = "2026-02-04T12:00:00Z")]
    expires: String,
    /// The codes, by serial number.
    #[schema(example = json!(["01A0-0Z92-6H3S-GEV5"]))]
    codes: Vec<String>,
}

/// Whose turn it is to have a sheet made.
static SHEETS: Semaphore = Semaphore::const_new(1);

/// Print the unused codes of a range
#[utoipa::path(
    params(("first" = u32, Path, description = "Serial number of the range's first code", maximum = 1_048_575, example = 0), SheetQuery),
    responses(
        (status = 200, description = "The codes and their expiry, in the form that was asked for", content(
            (String = "text/plain"), (String = "text/csv"), (CodeSheet = "application/json"),
        )),
        (status = 403, description = "forbidden; provider_inactive: you are suspended or revoked"),
        (status = 400, description = "parameter_invalid"),
        (status = 404, description = "range_unknown"),
        (status = 409, description = "range_ambiguous: name the key's generation"),
    ),
)]
#[get("/v1/provider/ranges/{first}/codes")]
async fn print_codes(
    service: Data<Service>,
    caller: Caller<ProviderRole>,
    first: web::Path<u32>,
    web::Query(SheetQuery { generation, format }): web::Query<SheetQuery>,
) -> Answer {
    // One sheet at a time: the codes of many large ones would keep reports waiting.
    let _turn = SHEETS.acquire().await;
    let ProviderRole(number) = caller.role;
    let unspent = {
        let state = service.node.state();
        caller.expect(&state)?;
        judge::unspent_codes(&state, &service.keys, number, generation, *first)?
    };
    let format = format.unwrap_or_default();
    let sheet =
        web::block(move || Sheet::new(unspent.codes(), unspent.expires).print(format)).await;
    let mime = match format {
        Format::Text => "text/plain; charset=utf-8",
        Format::Csv => "text/csv; charset=utf-8",
        Format::Json => "application/json",
    };
    Ok(HttpResponse::Ok()
        .insert_header((header::CACHE_CONTROL, "no-store"))
        .content_type(mime)
        .body(sheet.map_err(|_| Problem::Unavailable)?))
}

/// Revoke the unused codes of a range
///
/// Used codes stay used.
#[utoipa::path(
    params(
        ("first" = u32, Path, description = "Serial number of the range's first code", maximum = 1_048_575, example = 0),
        KeyQuery,
    ),
    responses(
        (status = 204, description = "The unused codes cannot bring a report any more"),
        (status = 400, description = "parameter_invalid"),
        (status = 403, description = "forbidden; provider_inactive: you are suspended or revoked"),
        (status = 404, description = "range_unknown"),
        (status = 409, description = "range_ambiguous: name the key's generation"),
    ),
)]
#[post("/v1/provider/ranges/{first}/close")]
async fn close_range(
    service: Data<Service>,
    caller: Caller<ProviderRole>,
    first: web::Path<u32>,
    web::Query(KeyQuery { generation }): web::Query<KeyQuery>,
) -> Answer {
    let ProviderRole(provider) = caller.role;
    let close = move |state: &_, _| judge::close_range(state, provider, generation, *first);
    caller.act(&service, close).await?;
    Ok(HttpResponse::NoContent().finish())
}
