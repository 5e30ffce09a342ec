//! Corrections: first what would change, then the change.

use std::sync::Arc;

use actix_web::{HttpResponse, post, web};
use serde::Deserialize;
use utoipa::ToSchema;

use super::auth::Operator;
use super::body::Json;
use super::problem::ProblemDetails;
use crate::domain::judge;
use crate::domain::judge::{CorrectionAnswer, Selection};
use crate::domain::events::Act;
use crate::domain::problem::Problem;
use crate::service::Service;

/// A correction to look at.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct PreviewRequest {
    /// What would be done.
    act: Act,
    /// To which reports.
    select: Selection,
}

/// A correction to make.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct CorrectionRequest {
    /// What is done.
    act: Act,
    /// To which reports.
    select: Selection,
    /// The log position that the preview looked at: later reports are left alone.
    position: u64,
}

/// What a correction would change
#[utoipa::path(
    operation_id = "preview_correction",
    tag = "operator",
    request_body = PreviewRequest,
    security(("operator" = [])),
    responses(
        (status = 200, description = "Nothing has changed yet", body = CorrectionAnswer),
        (status = 401, description = "unauthorized", body = ProblemDetails),
        (status = 404, description = "report_unknown, provider_unknown, range_unknown", body = ProblemDetails),
        (status = 422, description = "selection_empty, selection_range, selection_none", body = ProblemDetails),
    ),
)]
#[post("/v1/admin/corrections/preview")]
pub(super) async fn preview(
    service: web::Data<Service>,
    _: Operator,
    Json(request): Json<PreviewRequest>,
) -> Result<HttpResponse, Problem> {
    let PreviewRequest { act, select } = request;
    let answer = judge::preview(&service.node.state(), &service.keys, act, &select, None)?;
    Ok(HttpResponse::Ok().json(answer))
}

/// Retract or reinstate reports
///
/// The next tick carries it to phones. Corrections never wait for company.
#[utoipa::path(
    operation_id = "make_correction",
    tag = "operator",
    request_body = CorrectionRequest,
    security(("operator" = [])),
    responses(
        (status = 200, description = "Done", body = CorrectionAnswer),
        (status = 401, description = "unauthorized", body = ProblemDetails),
        (status = 404, description = "report_unknown, provider_unknown, range_unknown", body = ProblemDetails),
        (status = 409, description = "position_ahead", body = ProblemDetails),
        (status = 422, description = "selection_empty, selection_range, selection_none", body = ProblemDetails),
    ),
)]
#[post("/v1/admin/corrections")]
pub(super) async fn correct(
    service: web::Data<Service>,
    _: Operator,
    Json(request): Json<CorrectionRequest>,
) -> Result<HttpResponse, Problem> {
    let keys = Arc::clone(&service.keys);
    let CorrectionRequest { act, select, position } = request;
    let answer = service
        .node
        .act(move |state, _| judge::correct(state, &keys, act, &select, position))
        .await?;
    Ok(HttpResponse::Ok().json(answer))
}
