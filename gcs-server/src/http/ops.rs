//! For those who watch the server, and backends.

use actix_web::{HttpResponse, get, post, web};
use gcs_core::exact::{MAX_REQUEST_BYTES, Request};

use super::auth::Backend;
use super::body::Raw;
use super::problem::Problem;
use crate::rejection::Rejection;
use crate::service::Service;

/// Whether the process lives
#[utoipa::path(tag = "operations", responses((status = 200, description = "It does", body = String)))]
#[get("/healthz")]
pub(super) async fn healthz() -> &'static str {
    "ok\n"
}

/// Whether the server can do its work
#[utoipa::path(
    tag = "operations",
    responses(
        (status = 200, description = "It can", body = String),
        (status = 503, description = "Nothing is published yet, or the last tick is not out", body = Problem),
    ),
)]
#[get("/readyz")]
pub(super) async fn readyz(service: web::Data<Service>) -> Result<&'static str, Rejection> {
    let out = service.version();
    let logged = service.node.state().last_tick.map(|last| last.version);
    if out.is_some() && out >= logged { Ok("ready\n") } else { Err(Rejection::Unavailable) }
}

/// Metrics in the OpenMetrics text format
#[utoipa::path(tag = "operations", responses((status = 200, description = "For Prometheus", body = String)))]
#[get("/metrics")]
pub(super) async fn metrics(service: web::Data<Service>) -> HttpResponse {
    HttpResponse::Ok()
        .content_type("application/openmetrics-text; version=1.0.0; charset=utf-8")
        .body(service.metrics.encode(&service))
}

/// Exact match, for backends and back offices
///
/// Whoever answers learns which elements were asked for: it is not for phones.
#[utoipa::path(
    tag = "operations",
    request_body(content = String, content_type = "application/json",
        description = "`{\"queries\":[{\"date\":\"2026-01-05\",\"element\":\"<base64>\"}]}`, at most 1000"),
    security(("backend" = [])),
    responses(
        (status = 200, description = "`{\"present\":[true]}`, in the order of the queries", body = String,
         content_type = "application/json"),
        (status = 401, description = "unauthorized", body = Problem),
        (status = 413, description = "too_large", body = Problem),
        (status = 422, description = "exact_invalid", body = Problem),
    ),
)]
#[post("/v1/exact")]
pub(super) async fn exact(
    service: web::Data<Service>,
    _: Backend,
    Raw(body): Raw<MAX_REQUEST_BYTES>,
) -> Result<HttpResponse, Rejection> {
    let request = Request::from_json(&body).map_err(Rejection::from)?;
    let state = service.node.state();
    let response = request.answer(|date, element| state.is_published(date, element));
    Ok(HttpResponse::Ok().json(response))
}
