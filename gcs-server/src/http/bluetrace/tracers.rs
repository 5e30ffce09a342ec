//! What tracers see, and their token.

#![allow(unused_qualifications, reason = "in code that utoipa makes for queries")]

use actix_web::http::header;
use actix_web::{HttpResponse, get, post, web};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_actix_web::service_config::ServiceConfig;

use super::uploads::UploadAnswer;
use super::{Services, authority};
use crate::bluetrace::{
    Encounter, ForeignMeetings, Wanted, encounters, foreign_encounters, to_csv,
};
use crate::domain::events::Sighting;
use crate::domain::judge;
use crate::domain::problem::Problem;
use crate::domain::state::bluetrace::Upload;
use crate::domain::token::Token;
use crate::http::auth::{Caller, Operator, Tracer};
use crate::http::{Answer, not_stored};

pub(super) fn routes(config: &mut ServiceConfig<'_>) {
    config.service(list_cases).service(see_encounters).service(new_tracer_token);
}

/// The cases of the last 21 days.
#[derive(Serialize, ToSchema)]
struct CaseList {
    /// The cases, the oldest first.
    cases: Vec<CaseEntry>,
}

/// A user who has used an upload code.
#[derive(Serialize, ToSchema)]
struct CaseEntry {
    /// Number of the case.
    #[schema(example = 1234)]
    case: u64,
    /// Unix time, in seconds, at which the code was used.
    #[schema(example = 1_770_206_400)]
    since: u64,
    /// Unix time, in seconds, of the upload; null if there is none.
    #[schema(example = 1_770_206_500)]
    uploaded: Option<u64>,
    /// Whether the code was revoked afterwards. Then nothing of the upload is left.
    undone: bool,
    /// The verdicts on the upload; null if there is none.
    verdicts: Option<UploadAnswer>,
}

/// List the cases
///
/// Nobody's number is shown.
#[utoipa::path(
    operation_id = "list_cases",
    responses((status = 200, description = "The cases of the last 21 days", body = CaseList)),
)]
#[get("/bluetrace/v1/tracer/cases")]
async fn list_cases(service: Services, _: Caller<Tracer>) -> Answer {
    authority(&service)?;
    let state = service.node.state();
    let cases = state.bluetrace.iter().flat_map(|bluetrace| bluetrace.cases.iter());
    let cases = cases.map(|(case, entry)| CaseEntry {
        case,
        since: entry.since,
        uploaded: entry.upload.as_ref().map(|upload| upload.time),
        undone: entry.undone,
        verdicts: entry.upload.as_ref().map(|upload| upload.counts.into()),
    });
    Ok(not_stored(HttpResponse::Ok(), &CaseList { cases: cases.collect() }))
}

/// The form of the answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum EncounterFormat {
    #[default]
    Json,
    Csv,
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct EncounterQuery {
    /// The form of the answer: `json` (the default), or `csv`.
    #[serde(default)]
    #[param(inline)]
    format: EncounterFormat,
}

/// Whom a case has met.
#[derive(Serialize, ToSchema)]
struct EncounterList {
    /// The encounters: with our users, by date and then number; then with those of other authorities.
    encounters: Vec<Encounter>,
    /// Records of other authorities that have not answered yet.
    waiting: u32,
    /// Records of authorities that are not known here. They are kept, and sent if the operator enters the authority.
    unknown_authority: u32,
}

/// See whom a case has met
///
/// By person and date, with numbers; users of other authorities with their PseudoIDs. That you have looked is written to the log before you are answered. Who has
/// withdrawn is left out.
#[utoipa::path(
    operation_id = "see_encounters",
    params(("case" = u64, Path, description = "Number of the case", example = 1234), EncounterQuery),
    responses(
        (status = 200, description = "The encounters", content(
            (EncounterList = "application/json"), (String = "text/csv"))),
        (status = 400, description = "parameter_invalid"),
        (status = 404, description = "case_unknown"),
    ),
)]
#[post("/bluetrace/v1/tracer/cases/{case}/encounters")]
async fn see_encounters(
    service: Services,
    caller: Caller<Tracer>,
    case: web::Path<u64>,
    web::Query(EncounterQuery { format }): web::Query<EncounterQuery>,
) -> Answer {
    authority(&service)?;
    let upload = caller.act(&service, move |state, _| judge::see_case(state, *case)).await?;
    let (sightings, meetings) = read(&service, upload).await?;
    let mut encounters = {
        let state = service.node.state();
        let bluetrace = state.bluetrace.as_ref().ok_or(Problem::CaseUnknown)?;
        encounters(&sightings, &bluetrace.users)
    };
    encounters.extend(foreign_encounters(&meetings));
    if format == EncounterFormat::Json {
        let ForeignMeetings { waiting, unknown_authority, .. } = meetings;
        let list = EncounterList { encounters, waiting, unknown_authority };
        return Ok(not_stored(HttpResponse::Ok(), &list));
    }
    Ok(HttpResponse::Ok()
        .insert_header((header::CACHE_CONTROL, "no-store"))
        .content_type("text/csv; charset=utf-8")
        .body(to_csv(&encounters)))
}

/// Reads from the log whom a case met. What is erased meanwhile has nobody.
pub(super) async fn read(
    service: &Services,
    upload: Upload,
) -> Result<(Vec<Sighting>, ForeignMeetings), Problem> {
    let wanted = {
        let state = service.node.state();
        let bluetrace = state.bluetrace.as_ref().ok_or(Problem::CaseUnknown)?;
        Wanted::of(upload, &bluetrace.federation)
    };
    let log = service.log.clone();
    web::block(move || wanted.read(&log)).await.map_err(|_| Problem::Internal)?
}

/// A new token.
#[derive(Serialize, ToSchema)]
struct NewTracerToken {
    /// The token, for `Authorization: Bearer TOKEN`. It is shown only in this answer.
    #[schema(example = "gcs_tracer_R2h5cG90aGV0aWNhbCB0b2tlbiwgb25seSBhIHNhbXBsZQ")]
    token: String,
}

/// Replace the token of tracers
///
/// With it they see whom cases have met. The token before, if there was one, is void from now on. It is there only
/// with BlueTrace.
#[utoipa::path(
    operation_id = "replace_tracer_token",
    responses((status = 200, description = "The new token", body = NewTracerToken)),
)]
#[post("/bluetrace/v1/admin/tracer-token")]
async fn new_tracer_token(service: Services, caller: Caller<Operator>) -> Answer {
    let authority = authority(&service)?;
    let replace =
        move |state: &_, context| judge::replace_tracer_token(state, context, authority.identity());
    let token: Token = caller.act(&service, replace).await?;
    Ok(not_stored(HttpResponse::Ok(), &NewTracerToken { token: token.to_string() }))
}
