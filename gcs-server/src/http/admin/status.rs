//! Where the server stands.

use actix_web::{HttpResponse, get, web};
use serde::Serialize;
use utoipa::ToSchema;

use crate::domain::problem::Problem;
use gcs_core::Version;
use crate::http::auth::Operator;
use crate::http::problem::ProblemDetails;
use crate::service::Service;

/// What the log adds up to.
#[derive(Serialize, ToSchema)]
struct DigestAnswer {
    /// Position of the last event.
    position: u64,
    /// SHA-256 of the state: equal on every node at this position, and after a rebuild.
    #[schema(pattern = "^[0-9a-f]{64}$")]
    state: String,
}

/// What the log adds up to, to compare with another node or a rebuild
///
/// Takes a tenth of a second or more for a million elements, and nothing is accepted meanwhile.
#[utoipa::path(
    operation_id = "get_state_digest",
    tag = "operator",
    security(("operator" = [])),
    responses(
        (status = 200, description = "The state's digest", body = DigestAnswer),
        (status = 401, description = "unauthorized", body = ProblemDetails),
    ),
)]
#[get("/v1/admin/digest")]
pub(in crate::http) async fn state_digest(
    service: web::Data<Service>,
    _: Operator,
) -> Result<HttpResponse, Problem> {
    let digest = web::block(move || {
        let state = service.node.state();
        DigestAnswer { position: state.position, state: state.digest().to_string() }
    });
    let digest = digest.await.map_err(|_| Problem::Internal)?;
    Ok(HttpResponse::Ok().json(digest))
}

/// Where the server stands.
#[derive(Serialize, ToSchema)]
struct StatusAnswer {
    /// Position of the last event.
    position: u64,
    /// Hash of its header.
    #[schema(pattern = "^[0-9a-f]{64}$")]
    head: String,
    /// The last tick that is out.
    published: Option<Version>,
    /// Reports that have not been purged.
    reports: usize,
    /// By date.
    dates: Vec<DateEntry>,
}

/// One date.
#[derive(Serialize, ToSchema)]
struct DateEntry {
    /// The date.
    #[schema(value_type = String, format = Date, example = "2026-01-05")]
    date: gcs_core::Date,
    /// Whether it is published.
    listed: bool,
    /// Elements that phones test, filler included.
    elements: u64,
    /// Filler among them.
    filler: u64,
    /// Reports whose additions wait.
    waiting: u64,
}

/// Where the server stands
#[utoipa::path(
    operation_id = "get_status",
    tag = "operator",
    security(("operator" = [])),
    responses(
        (status = 200, description = "Log, state and dates", body = StatusAnswer),
        (status = 401, description = "unauthorized", body = ProblemDetails),
    ),
)]
#[get("/v1/admin/status")]
pub(in crate::http) async fn server_status(
    service: web::Data<Service>,
    _: Operator,
) -> HttpResponse {
    let published = service.version();
    let state = service.node.state();
    let date = |(date, day): (&gcs_core::Date, &crate::domain::state::Day)| DateEntry {
        date: *date,
        listed: day.listed,
        elements: day.published_len(),
        filler: day.filler_len(),
        waiting: day.waiting_len(),
    };
    HttpResponse::Ok().json(StatusAnswer {
        position: state.position,
        head: data_encoding::HEXLOWER.encode(&state.head),
        published,
        reports: state.reports.len(),
        dates: state.days.iter().map(date).collect(),
    })
}
