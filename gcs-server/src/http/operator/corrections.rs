//! The routes of corrections: a preview of what would change, and the change itself.

use std::sync::Arc;

use actix_web::web::Data;
use actix_web::{HttpResponse, post};
use gcs_core::Date;
use serde::Deserialize;
use utoipa::ToSchema;

use crate::domain::events::Act;
use crate::domain::judge;
use crate::domain::judge::Selection;
use crate::http::Answer;
use crate::http::auth::{Caller, Operator};
use crate::http::body::Json;
use crate::service::Service;

/// A correction to preview before it is made.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct PreviewRequest {
    /// What would be done to the reports.
    #[schema(value_type = ActName)]
    act: Act,
    /// The reports to correct.
    #[schema(value_type = SelectionFields)]
    select: Selection,
}

/// A correction to make.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct CorrectionRequest {
    /// What is done to the reports.
    #[schema(value_type = ActName)]
    act: Act,
    /// The reports to correct.
    #[schema(value_type = SelectionFields)]
    select: Selection,
    /// The `position` from the answer to the preview. Reports that came later are left alone.
    position: u64,
}

/// What is done to reports: `retract` (their elements are taken out of what is published, unless
/// another report has them too) or `reinstate` (the elements come back).
#[derive(ToSchema)]
#[schema(as = Act, rename_all = "snake_case")]
#[expect(dead_code, reason = "for the document: gcs-core reads it")]
enum ActName {
    Retract,
    Reinstate,
}

/// Which reports: those that fit every member that is given. At least one of `report`, `code`,
/// `provider`, `received_from` and `received_until` must be there.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = Selection)]
#[expect(dead_code, reason = "for the document: the domain reads it")]
struct SelectionFields {
    /// The report of this tracking id.
    #[schema(example = "6f1ed002ab5595859014ebf0951522d9")]
    report: Option<String>,
    /// The report that was made with this one-time code.
    #[schema(example = "01A0-0Z92-6H3S-GEV5")]
    code: Option<String>,
    /// Reports made with codes of the provider of this number.
    #[schema(example = 1)]
    provider: Option<u16>,
    /// Reports made with codes of the range that begins with this serial number. The range is of
    /// the key of `generation`, or of the provider's present key. It needs `provider`.
    #[schema(maximum = 1_048_575, example = 0)]
    range: Option<u32>,
    /// Reports made with codes of the provider's key of this generation. It needs `provider`.
    #[schema(example = 1)]
    generation: Option<u32>,
    /// Reports accepted at this Unix time, in seconds, or later.
    #[schema(example = 1_768_910_400)]
    received_from: Option<u64>,
    /// Reports accepted before this Unix time, in seconds.
    #[schema(example = 1_768_996_800)]
    received_until: Option<u64>,
}

/// What a correction changes.
#[derive(ToSchema)]
#[expect(dead_code, reason = "for the document: the domain writes it")]
struct CorrectionAnswer {
    /// The position in the log, counted in events, up to which reports were looked at. Send it
    /// back to make the correction to just these reports.
    position: u64,
    /// Number of reports that the correction changes.
    reports: u64,
    /// Number of selected reports that are retracted, or not retracted, already.
    unchanged: u64,
    /// What changes for phones, by date.
    dates: Vec<DateChange>,
}

/// What a correction changes for phones on one date.
#[derive(ToSchema)]
#[expect(dead_code, reason = "for the document: the domain writes it")]
struct DateChange {
    /// The UTC date on which the elements were broadcast, as YYYY-MM-DD.
    #[schema(value_type = String, format = Date, example = "2026-01-05")]
    date: Date,
    /// Number of changed reports that have elements for this date.
    reports: u64,
    /// Number of elements that are taken out of what is published.
    elements_out: u64,
    /// Number of elements that come back into what is published.
    elements_back: u64,
    /// Number of elements of these reports for which nothing changes, because another report
    /// has them too or they have not been published yet.
    unchanged: u64,
}

/// Count what a correction would change
///
/// Nothing is changed yet.
#[utoipa::path(
    operation_id = "preview_correction",
    request_body = PreviewRequest,
    responses(
        (status = 200, description = "What the correction would change", body = CorrectionAnswer),
        (status = 403, description = "forbidden, code_invalid"),
        (status = 404, description = "report_unknown, provider_unknown, range_unknown"),
        (status = 422, description = "selection_empty, selection_range, selection_none"),
    ),
)]
#[post("/v1/admin/corrections/preview")]
pub(super) async fn preview(
    service: Data<Service>,
    caller: Caller<Operator>,
    Json(PreviewRequest { act, select }): Json<PreviewRequest>,
) -> Answer {
    let state = service.node.state();
    caller.expect(&state)?;
    let answer = judge::preview(&state, &service.keys, act, &select, None)?;
    Ok(HttpResponse::Ok().json(answer))
}

/// Retract or reinstate reports
///
/// Phones get the change with the next tick. Nothing is deleted: a retracted report can be
/// reinstated.
#[utoipa::path(
    operation_id = "make_correction",
    request_body = CorrectionRequest,
    responses(
        (status = 200, description = "What the correction changes", body = CorrectionAnswer),
        (status = 403, description = "forbidden, code_invalid"),
        (status = 404, description = "report_unknown, provider_unknown, range_unknown"),
        (status = 409, description = "position_ahead"),
        (status = 422, description = "selection_empty, selection_range, selection_none"),
    ),
)]
#[post("/v1/admin/corrections")]
pub(super) async fn correct(
    service: Data<Service>,
    caller: Caller<Operator>,
    Json(CorrectionRequest { act, select, position }): Json<CorrectionRequest>,
) -> Answer {
    let keys = Arc::clone(&service.keys);
    let judge = move |state: &_, _| judge::correct(state, &keys, act, &select, position);
    let answer = caller.act(&service, judge).await?;
    Ok(HttpResponse::Ok().json(answer))
}
