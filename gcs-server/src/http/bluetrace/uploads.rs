//! Upload codes, tokens and uploads.

use std::sync::Arc;

use actix_web::{HttpRequest, HttpResponse, post, web};
use gcs_core::Date;
use gcs_core::identifiers::bluetrace::TOKEN_SECONDS;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_actix_web::service_config::ServiceConfig;

use super::{Phone, Services};
use crate::bluetrace::{JudgedUpload, MAX_UPLOAD_BYTES, UploadJudge};
use crate::domain::events::VerdictCounts;
use crate::domain::judge::{self, CodeKeys, DerivedDate, Judgement, RequestContext, TypedCode};
use crate::domain::problem::Problem;
use crate::domain::state::State;
use crate::http::body::{Json, take_pieces};
use crate::http::budget::Share;
use crate::http::{Answer, not_stored};

pub(super) fn routes(config: &mut ServiceConfig<'_>) {
    config.service(new_upload_token).service(upload).service(publish);
}

/// An upload code.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct UploadTokenRequest {
    /// The code as it was typed: 16 symbols, or the 6 of a short code.
    #[schema(example = "01A0-0Z92-6H3S-GEV5")]
    code: String,
}

/// What an upload needs.
#[derive(Serialize, ToSchema)]
struct UploadTokenAnswer {
    /// The upload token.
    token: String,
    /// Seconds for which it is good.
    #[schema(example = 7200)]
    valid_seconds: u64,
}

/// Judges what was typed as an upload code, within the limits of its user.
async fn use_code<T: Send + 'static>(
    service: &Services,
    phone: &Phone,
    typed: String,
    judge: impl Fn(&State, CodeKeys<'_>, RequestContext, TypedCode<'_>) -> Judgement<T> + Send + 'static,
) -> Result<T, Problem> {
    let Phone { authority, token, place, .. } = phone;
    authority.try_code(*place, service.clock.now())?;
    let (keys, token, of) = (Arc::clone(&service.keys), *token, Arc::clone(authority));
    let judge = move |state: &State, context| {
        let keys = CodeKeys { keys: &keys, short_codes: &of.keys().short_code };
        judge(state, keys, context, TypedCode { token: &token, text: &typed })
    };
    let judged = service.node.act(judge).await;
    if !matches!(judged, Err(Problem::UploadCodeInvalid)) {
        authority.take_back_try(*place);
    }
    judged
}

/// The upload token of a phone's user, for a code that was typed.
pub(super) async fn upload_token(
    service: &Services,
    phone: &Phone,
    typed: String,
) -> Result<String, Problem> {
    let (user, code) = use_code(service, phone, typed, judge::bind).await?;
    let now_ms = service.clock.now_ms();
    let made = phone.authority.upload_token(user, code, now_ms, &service.random);
    made.map_err(|_| Problem::Internal)
}

/// Get a token for an upload
///
/// The code is bound to you, and used up. Until you have uploaded something, it gives you another token. Whatever is
/// wrong with a code, the answer is `upload_code_invalid`; five wrong codes an hour can be tried.
#[utoipa::path(
    operation_id = "new_upload_token",
    tag = "bluetrace",
    security(("user" = [])),
    request_body = UploadTokenRequest,
    responses(
        (status = 200, description = "The token", body = UploadTokenAnswer),
        (status = 403, description = "upload_code_invalid"),
        (status = 429, description = "limit_reached: `Retry-After` says when to try again"),
        (status = 503, description = "storage_unavailable, clock_doubt, bluetrace_keys, read_only, log_unusable, unavailable"),
    ),
)]
#[post("/bluetrace/v1/upload-tokens")]
async fn new_upload_token(
    service: Services,
    phone: Phone,
    Json(UploadTokenRequest { code }): Json<UploadTokenRequest>,
) -> Answer {
    let token = upload_token(&service, &phone, code).await?;
    let answer = UploadTokenAnswer { token, valid_seconds: TOKEN_SECONDS };
    Ok(not_stored(HttpResponse::Ok(), &answer))
}

/// What a phone has recorded, as both of OpenTrace's apps write it.
#[derive(Deserialize, ToSchema)]
#[expect(dead_code, reason = "for the document: gcs-core reads it")]
struct UploadFile {
    /// The upload token.
    token: String,
    /// The meetings. Wrong ones do not spoil the others.
    records: Vec<UploadRecord>,
    /// What the phone's scanner did. It is not kept.
    events: Option<Vec<serde_json::Value>>,
}

/// A meeting. Other members are ignored.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[expect(dead_code, reason = "for the document: gcs-core reads it")]
struct UploadRecord {
    /// Unix time in seconds; above 10^10 in milliseconds.
    timestamp: u64,
    /// The TempID heard.
    msg: Option<String>,
    /// The HAI of its authority.
    org: Option<String>,
    /// Model of the phone that was the peripheral.
    model_p: Option<String>,
    /// Model of the phone that was the central.
    model_c: Option<String>,
    /// Signal strength in dBm.
    rssi: Option<f64>,
    /// Transmission power in dBm.
    tx_power: Option<f64>,
}

/// The verdicts on an upload, as numbers of records. Equal records count once.
#[derive(Serialize, ToSchema)]
pub(super) struct UploadAnswer {
    /// Records of real meetings.
    valid: u32,
    /// Records without a TempID.
    no_msg: u32,
    /// Records of TempIDs that were not valid then.
    expired_id: u32,
    /// Records of TempIDs that no key opens.
    failed_decryption: u32,
    /// Records of other authorities.
    other_authority: u32,
    /// Records that cannot be read.
    unreadable: u32,
}

impl From<VerdictCounts> for UploadAnswer {
    fn from(counts: VerdictCounts) -> UploadAnswer {
        let VerdictCounts { valid, no_msg, expired_id, failed_decryption, .. } = counts;
        let VerdictCounts { other_authority, unreadable, .. } = counts;
        UploadAnswer { valid, no_msg, expired_id, failed_decryption, other_authority, unreadable }
    }
}

/// Takes an upload as it comes, from a user who has a code for one. `read` gives the judge the bytes of
/// the file.
pub(super) async fn take(
    (request, payload): (&HttpRequest, web::Payload),
    service: &Services,
    phone: &Phone,
    mut read: impl FnMut(&mut UploadJudge, &[u8]) -> Result<(), Problem>,
) -> Result<(JudgedUpload, Share), Problem> {
    expect_upload(service, phone).await?;
    let mut judge = phone.authority.upload_judge(service.clock.now())?;
    let share = take_pieces(request, payload, MAX_UPLOAD_BYTES, |bytes| {
        read(&mut judge, &bytes)?;
        Ok(judge.memory())
    })
    .await?;
    Ok((judge.finish()?, share))
}

async fn expect_upload(service: &Services, phone: &Phone) -> Result<(), Problem> {
    let now = service.clock.now();
    let expect = || judge::expect_upload(&service.node.state(), phone.place, now);
    match expect() {
        // Another node may have taken the code.
        Err(_) if service.log.is_shared() => {
            service.look().await?;
            expect()
        }
        expected => expected,
    }
}

/// Accepts an upload whose records are judged.
pub(super) async fn accept(
    service: &Services,
    phone: &Phone,
    judged: JudgedUpload,
) -> Result<UploadAnswer, Problem> {
    let now_ms = service.clock.now_ms();
    let code = phone.authority.open_upload_token(phone.user, &judged.token, now_ms)?;
    // A copy, so that nobody waits until all are found and sorted.
    let users = service.node.state().bluetrace.as_ref().map(|bluetrace| bluetrace.users.clone());
    let received = judged.resolve(&users.ok_or(Problem::TokenUnknown)?);
    let token = phone.token;
    let accept = move |state: &_, context| judge::upload(state, context, &token, code, &received);
    Ok(service.node.act(accept).await?.into())
}

/// Upload what your phone has recorded
///
/// All of it is accepted or nothing. The token can be used for one upload; the same upload again gets the same answer.
#[utoipa::path(
    operation_id = "upload_records",
    tag = "bluetrace",
    security(("user" = [])),
    request_body = UploadFile,
    responses(
        (status = 201, description = "The upload is accepted and on disk", body = UploadAnswer),
        (status = 403, description = "upload_token_invalid"),
        (status = 413, description = "too_large: an upload has at most 64 MiB"),
        (status = 422, description = "upload_invalid"),
        (status = 503, description = "storage_unavailable, clock_doubt, bluetrace_keys, read_only, log_unusable, unavailable"),
    ),
)]
#[post("/bluetrace/v1/uploads")]
async fn upload(
    request: HttpRequest,
    service: Services,
    phone: Phone,
    payload: web::Payload,
) -> Answer {
    let read = |judge: &mut UploadJudge, bytes: &[u8]| judge.read(bytes);
    let (judged, _share) = take((&request, payload), &service, &phone, read).await?;
    let answer = accept(&service, &phone, judged).await?;
    Ok(not_stored(HttpResponse::Created(), &answer))
}

/// What to publish of a user, and by which code.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct PublicationRequest {
    /// An upload code, as it was typed.
    #[schema(example = "01A0-0Z92-6H3S-GEV5")]
    code: String,
    /// The UTC dates, as YYYY-MM-DD: 1 to 21 of them, each once.
    #[schema(value_type = Vec<String>, min_items = 1, max_items = 21, example = json!(["2026-01-05"]))]
    dates: Vec<Date>,
}

/// Largest number of dates of a publication.
const MOST_DATES: usize = 21;

/// Publish what your phone has broadcast
///
/// Nothing that your phone heard is sent: the authority derives your TempIDs of these dates, until now, and publishes
/// them as a report. Phones that heard them find that out themselves. With this you consent to that. When you withdraw,
/// or the code is revoked, they are retracted. The same code and dates get the same answer; the same code may bring one upload too.
/// `problems` names dates by their index.
#[utoipa::path(
    operation_id = "publish_ids",
    tag = "bluetrace",
    security(("user" = [])),
    request_body = PublicationRequest,
    responses(
        (status = 201, description = "It is accepted and on disk; `GET /v1/reports/{tracking_id}` says when it is published",
         body = crate::http::public::reports::ReportAnswer),
        (status = 400, description = "json_invalid, json_shape, body_incomplete; parameter_invalid: none, too many, or a date twice"),
        (status = 403, description = "upload_code_invalid"),
        (status = 422, description = "no_items: none of the dates can be published, and `problems` says why"),
        (status = 429, description = "limit_reached: `Retry-After` says when to try again"),
        (status = 503, description = "storage_unavailable, clock_doubt, bluetrace_keys, read_only, log_unusable, unavailable"),
    ),
)]
#[post("/bluetrace/v1/publications")]
async fn publish(
    service: Services,
    phone: Phone,
    Json(PublicationRequest { code, mut dates }): Json<PublicationRequest>,
) -> Answer {
    let sent = dates.len();
    dates.sort_unstable();
    dates.dedup();
    if dates.is_empty() || dates.len() != sent || sent > MOST_DATES {
        let what = "`dates` has 1 to 21 dates, each once";
        return Err(Problem::ParameterInvalid { what });
    }
    let now = service.clock.now();
    let derive = |date| phone.authority.derive(&phone.user, date, now);
    let derived = dates.into_iter().map(derive).collect::<Result<Vec<DerivedDate>, _>>()?;
    let publish = move |state: &State, keys: CodeKeys<'_>, context, typed: TypedCode<'_>| {
        judge::publish_ids(state, keys, context, typed, &derived)
    };
    let answer = use_code(&service, &phone, code, publish).await?;
    Ok(not_stored(HttpResponse::Created(), &answer))
}
