//! Ticks, the clock, the series, the settings.

#![allow(unused_qualifications, reason = "in code that utoipa makes for queries")]

use actix_web::{HttpResponse, get, post, put, web};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::domain::judge;
use crate::domain::policy::Policy;
use crate::domain::problem::Problem;
use gcs_core::Version;
use crate::http::auth::Operator;
use crate::http::body::Json;
use crate::http::problem::ProblemDetails;
use crate::service::Service;

/// Publish now
#[utoipa::path(
    operation_id = "publish_now",
    tag = "operator",
    security(("operator" = [])),
    responses(
        (status = 200, description = "What is out", body = Version),
        (status = 401, description = "unauthorized", body = ProblemDetails),
        (status = 409, description = "tick_pending, clock_leap, clock_behind", body = ProblemDetails),
        (status = 503, description = "Try again", body = ProblemDetails),
    ),
)]
#[post("/v1/admin/tick")]
pub(in crate::http) async fn tick(
    service: web::Data<Service>,
    _: Operator,
) -> Result<HttpResponse, Problem> {
    Ok(HttpResponse::Ok().json(service.tick().await?))
}

/// Take the clock for right, after a leap
#[utoipa::path(
    tag = "operator",
    params(DropQuery),
    security(("operator" = [])),
    responses(
        (status = 204, description = "Ticks go on"),
        (status = 400, description = "parameter_invalid", body = ProblemDetails),
        (status = 401, description = "unauthorized", body = ProblemDetails),
        (status = 409, description = "clock_behind, dates_dropped", body = ProblemDetails),
    ),
)]
#[post("/v1/admin/clock/resume")]
pub(in crate::http) async fn resume_clock(
    service: web::Data<Service>,
    _: Operator,
    web::Query(query): web::Query<DropQuery>,
) -> Result<HttpResponse, Problem> {
    let DropQuery { drop_dates } = query;
    service.node.act(move |state, now| judge::resume_clock(state, now, drop_dates)).await?;
    Ok(HttpResponse::NoContent().finish())
}

/// Whether dates may be dropped.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct DropQuery {
    /// Go on even if the next tick drops dates, for good
    #[serde(default)]
    #[param(default = false)]
    drop_dates: bool,
}

/// The series.
#[derive(Serialize, ToSchema)]
struct Series {
    /// From the next tick on.
    series: u32,
}

/// Raise the series, after a restore or to recall what is published
#[utoipa::path(
    tag = "operator",
    security(("operator" = [])),
    responses(
        (status = 200, description = "Phones fetch whole whatever differs", body = Series),
        (status = 401, description = "unauthorized", body = ProblemDetails),
    ),
)]
#[post("/v1/admin/series")]
pub(in crate::http) async fn start_series(
    service: web::Data<Service>,
    _: Operator,
) -> Result<HttpResponse, Problem> {
    let series = service.node.act(|state, _| judge::start_series(state)).await?;
    Ok(HttpResponse::Ok().json(Series { series }))
}

/// The settings
#[utoipa::path(
    tag = "operator",
    security(("operator" = [])),
    responses(
        (status = 200, description = "All of them", body = Policy),
        (status = 401, description = "unauthorized", body = ProblemDetails),
    ),
)]
#[get("/v1/admin/policy")]
pub(in crate::http) async fn get_policy(service: web::Data<Service>, _: Operator) -> HttpResponse {
    HttpResponse::Ok().json(&service.node.state().policy)
}

/// Replace the settings
#[utoipa::path(
    tag = "operator",
    params(DropQuery),
    request_body = Policy,
    security(("operator" = [])),
    responses(
        (status = 200, description = "They hold from now on", body = Policy),
        (status = 400, description = "json_shape: all of them are asked for. json_invalid, \
         body_incomplete, parameter_invalid", body = ProblemDetails),
        (status = 401, description = "unauthorized", body = ProblemDetails),
        (status = 409, description = "dates_dropped", body = ProblemDetails),
        (status = 422, description = "policy_invalid", body = ProblemDetails),
    ),
)]
#[put("/v1/admin/policy")]
pub(in crate::http) async fn set_policy(
    service: web::Data<Service>,
    _: Operator,
    web::Query(query): web::Query<DropQuery>,
    Json(policy): Json<Policy>,
) -> Result<HttpResponse, Problem> {
    let (wanted, DropQuery { drop_dates }) = (policy.clone(), query);
    service.node.act(move |state, now| judge::set_policy(state, now, &wanted, drop_dates)).await?;
    Ok(HttpResponse::Ok().json(policy))
}
