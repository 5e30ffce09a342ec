//! The operator's routes about ticks, the clock, the series and the settings.

#![allow(unused_qualifications, reason = "in code that utoipa makes for queries")]

use actix_web::web::Data;
use actix_web::{HttpResponse, get, post, put, web};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::domain::judge;
use crate::domain::policy::Policy;
use crate::http::auth::{Caller, Operator, Reader};
use crate::http::body::Json;
use crate::http::{Answer, PublishedVersion};
use crate::service::Service;

/// Publish now
///
/// The answer comes when phones can fetch the publication.
#[utoipa::path(
    operation_id = "publish_now",
    responses(
        (status = 200, description = "The publication that phones fetch now", body = PublishedVersion),
        (status = 409, description = "tick_pending, clock_leap, clock_behind, clock_moved"),
        (status = 503, description = "storage_unavailable, read_only, log_unusable, unavailable: try again"),
    ),
)]
#[post("/v1/admin/tick")]
pub(super) async fn tick(service: Data<Service>, _: Caller<Operator>) -> Answer {
    Ok(HttpResponse::Ok().json(service.tick().await?))
}

/// Say that the clock is right, so that everything goes on
///
/// Publishing stops when the clock is more than a day after the last tick, since a wrong clock
/// would drop dates; and publishing and reports wait when the clock was set by more than five minutes while
/// the machine ran. After `clock_behind` reports go on, and publishing when the clock is as late as the last
/// tick.
#[utoipa::path(
    params(DropQuery),
    responses(
        (status = 204, description = "Everything goes on"),
        (status = 400, description = "parameter_invalid"),
        (status = 409, description = "clock_behind, dates_dropped"),
    ),
)]
#[post("/v1/admin/clock/resume")]
pub(super) async fn resume_clock(
    service: Data<Service>,
    caller: Caller<Operator>,
    web::Query(DropQuery { drop_dates }): web::Query<DropQuery>,
) -> Answer {
    service.resume_clock(move |state| caller.expect(state), drop_dates).await?;
    Ok(HttpResponse::NoContent().finish())
}

/// Whether dates may be dropped.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct DropQuery {
    /// Whether to go on even if the next tick drops dates with all their reports, for good.
    #[serde(default)]
    #[param(default = false)]
    drop_dates: bool,
}

/// The series of the next publications.
#[derive(Serialize, ToSchema)]
struct Series {
    /// The series of the next tick.
    #[schema(example = 2)]
    series: u32,
}

/// Begin a new series, to recall what is published
///
/// After the next tick every phone compares all its sets with the published ones, and fetches
/// those that differ.
#[utoipa::path(
    params(DropQuery),
    responses(
        (status = 200, description = "The new series", body = Series),
        (status = 400, description = "parameter_invalid"),
        (status = 409, description = "dates_dropped, clock_moved: the clock jumped"),
    ),
)]
#[post("/v1/admin/series")]
pub(super) async fn start_series(
    service: Data<Service>,
    caller: Caller<Operator>,
    web::Query(DropQuery { drop_dates }): web::Query<DropQuery>,
) -> Answer {
    let start = move |state: &_, context| judge::start_series(state, context, drop_dates);
    let series = caller.act(&service, start).await?;
    Ok(HttpResponse::Ok().json(Series { series }))
}

/// The settings that change what is published or accepted. They are in the log, so they are the
/// same on every server with this log.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = Policy)]
#[expect(dead_code, reason = "for the document: the domain reads and writes it")]
struct PolicyFields {
    /// The false-positive rate of every date's set is below 2^-rate_bits: with 20, at most about
    /// one in a million tested elements is a false positive. 1 to 32.
    #[schema(minimum = 1, maximum = 32, example = 20)]
    rate_bits: u32,
    /// Number of elements that a new date's set is made for, at least. 1 to 100000000; less where
    /// `rate_bits` is large.
    #[schema(minimum = 1, maximum = 100_000_000, example = 1000)]
    expected_per_date: u32,
    /// Seconds from one publication to the next. 60 to 21600.
    #[schema(minimum = 60, maximum = 21_600, example = 900)]
    interval: u64,
    /// Number of reports that must have elements for a date before these are published, so that it
    /// cannot be seen which elements belong together. 1 to 1000.
    #[schema(minimum = 1, maximum = 1000, example = 10)]
    min_reports: u32,
    /// Seconds for which elements wait for `min_reports`, at most. Then random filler takes the
    /// place of the missing reports. 0 to 86400; less where `retention_days` is 1, since what is
    /// accepted on its date must be published before the date expires.
    #[schema(minimum = 0, maximum = 86_400, example = 7200)]
    max_hold: u64,
    /// Days for which a date is published after its end. 1 to 28.
    #[schema(minimum = 1, maximum = 28, example = 14)]
    retention_days: u32,
    /// The kinds of items that are accepted, at least one. Whoever heard a `raw` element can report it as
    /// their own.
    #[schema(min_items = 1, example = json!(["dp3t-unlinkable"]))]
    kinds: Vec<KindName>,
    /// Length of the windows of `dp3t-hybrid` in hours: 2 or 4. Apps and server agree on one for ever.
    #[schema(minimum = 2, maximum = 4, multiple_of = 2, example = 4)]
    hybrid_hours: u32,
    /// Number of elements of one date in one report, at most. 1 to 4096.
    #[schema(minimum = 1, maximum = 4096, example = 512)]
    max_elements_per_date: u32,
    /// Days for which a new range of codes may be valid, at most. 1 to 730.
    #[schema(minimum = 1, maximum = 730, example = 400)]
    max_code_days: u32,
    /// Number of unused codes that a provider may have at once, at most. 1 to 1000000.
    #[schema(minimum = 1, maximum = 1_000_000, example = 100_000)]
    max_open_codes: u32,
    /// Number of random filler elements that a date may have, at most. Once it has them, elements that
    /// have waited for `max_hold` are published without more filler. 0 to 10000000.
    #[schema(minimum = 0, maximum = 10_000_000, example = 100_000)]
    max_filler: u32,
    /// The `healthAuthorityID` of the apps that publish keys with `POST /v1/publish`. None does if it is
    /// empty. At most 100 bytes.
    #[schema(max_length = 100, example = "")]
    gaen_authority: String,
    /// The kinds of items whose seeds are published too, beside the sets, for phones that expand seeds
    /// themselves: `dp3t-low-cost`, `dp3t-hybrid` and `gaen` have some. Everybody sees then which
    /// identifiers are one patient's.
    #[schema(example = json!([]))]
    seeds: Vec<KindName>,
    /// How export files (`export.zip`) of keys of Exposure Notification are published, for phones whose system
    /// takes only these; null if none are. Everybody sees then which identifiers are one patient's.
    #[schema(required = true, example = json!(null))]
    exports: Option<ExportFields>,
}

/// How export files are published.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = ExportPolicy)]
#[expect(dead_code, reason = "for the document: the domain reads and writes it")]
struct ExportFields {
    /// Where the keys come from, as agreed with Apple and Google.
    #[schema(pattern = "^[0-9A-Za-z_-]{1,32}$", example = "NL")]
    region: String,
    /// Seconds from one time of export files to the next. 3600 to 86400.
    #[schema(minimum = 3600, maximum = 86_400, example = 14_400)]
    interval: u64,
    /// The id under which Apple and Google know the key that signs the files, mostly the country's number for
    /// telephones (MCC).
    #[schema(pattern = "^[0-9A-Za-z_]{1,64}$", example = "204")]
    key_id: String,
    /// The version of that key. Another version is another key: see `gcs-server export-key`.
    #[schema(pattern = "^[0-9A-Za-z_]{1,64}$", example = "v1")]
    key_version: String,
}

/// A kind of item.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
#[schema(as = Kind)]
enum KindName {
    #[serde(rename = "dp3t-unlinkable")]
    Dp3tUnlinkable,
    Raw,
    #[serde(rename = "dp3t-low-cost")]
    Dp3tLowCost,
    #[serde(rename = "dp3t-hybrid")]
    Dp3tHybrid,
    Tcn,
    Gaen,
}

/// Get the settings
#[utoipa::path(
    responses((status = 200, description = "All settings", body = PolicyFields)),
)]
#[get("/v1/admin/policy")]
pub(super) async fn get_policy(service: Data<Service>, _: Reader<Operator>) -> HttpResponse {
    HttpResponse::Ok().json(&service.node.state().policy)
}

/// Replace the settings
///
/// All of them must be in the body: get them, change some, and send them back.
#[utoipa::path(
    params(DropQuery),
    request_body = PolicyFields,
    responses(
        (status = 200, description = "The settings from now on", body = PolicyFields),
        (status = 400, description = "json_shape: a setting is missing, unknown or of another type. json_invalid, \
         body_incomplete, parameter_invalid"),
        (status = 409, description = "dates_dropped, clock_moved"),
        (status = 422, description = "policy_invalid: a setting is out of its bounds"),
    ),
)]
#[put("/v1/admin/policy")]
pub(super) async fn set_policy(
    service: Data<Service>,
    caller: Caller<Operator>,
    web::Query(DropQuery { drop_dates }): web::Query<DropQuery>,
    Json(policy): Json<Policy>,
) -> Answer {
    let wanted = policy.clone();
    caller
        .act(&service, move |state, context| judge::set_policy(state, context, &wanted, drop_dates))
        .await?;
    Ok(HttpResponse::Ok().json(policy))
}
