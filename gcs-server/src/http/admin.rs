//! What the operator does.

#![allow(unused_qualifications, reason = "in code that utoipa makes for queries")]

use std::sync::Arc;

use actix_web::http::header;
use actix_web::{HttpResponse, get, post, put, web};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::auth::Operator;
use super::body::Json;
use super::problem::Problem;
use super::provider::parse_number;
use crate::code::Code;
use crate::judge::{self, NewProvider};
use crate::log::event::{BackendTokenSet, OperatorTokenSet, Standing};
use crate::policy::Policy;
use crate::rejection::Rejection;
use crate::service::Service;
use crate::state::Version;
use crate::token::{Role, Token};

/// A provider to add.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct ProviderRequest {
    /// Its name: 1 to 200 printable characters.
    #[schema(example = "City hospital", min_length = 1, max_length = 200)]
    name: String,
}

/// Add a provider
#[utoipa::path(
    tag = "operator",
    request_body = ProviderRequest,
    security(("operator" = [])),
    responses(
        (status = 201, description = "With its token, which is shown only here", body = NewProvider),
        (status = 401, description = "unauthorized", body = Problem),
        (status = 409, description = "providers_exhausted", body = Problem),
        (status = 422, description = "provider_name", body = Problem),
    ),
)]
#[post("/v1/admin/providers")]
pub(super) async fn add_provider(
    service: web::Data<Service>,
    _: Operator,
    Json(request): Json<ProviderRequest>,
) -> Result<HttpResponse, Rejection> {
    let added = service.node.act(move |state, _| judge::add_provider(state, &request.name)).await?;
    Ok(HttpResponse::Created().insert_header((header::CACHE_CONTROL, "no-store")).json(added))
}

/// All providers.
#[derive(Serialize, ToSchema)]
struct ProviderList {
    /// By number.
    providers: Vec<ProviderEntry>,
}

/// One provider.
#[derive(Serialize, ToSchema)]
struct ProviderEntry {
    /// Its number.
    provider: u16,
    /// Its name.
    name: String,
    /// What it may do.
    state: Standing,
    /// Generation of its key.
    generation: u32,
    /// Unused codes that count.
    open_codes: u64,
    /// Codes that brought a report, of ranges that have not been forgotten.
    used_codes: u64,
}

/// List the providers
#[utoipa::path(
    tag = "operator",
    security(("operator" = [])),
    responses(
        (status = 200, description = "All of them", body = ProviderList),
        (status = 401, description = "unauthorized", body = Problem),
    ),
)]
#[get("/v1/admin/providers")]
pub(super) async fn list_providers(service: web::Data<Service>, _: Operator) -> HttpResponse {
    let now = service.clock.now();
    let state = service.node.state();
    let providers = state.providers.iter().map(|(number, provider)| {
        let (open_codes, used_codes) = provider.code_counts(now);
        ProviderEntry {
            provider: *number,
            name: provider.name.clone(),
            state: provider.standing,
            generation: provider.generation,
            open_codes,
            used_codes,
        }
    });
    HttpResponse::Ok().json(ProviderList { providers: providers.collect() })
}

/// What can be done to a provider: `suspend` (its codes wait), `resume` (it is active again),
/// `revoke` (its codes are revoked for good), `token` (it gets a new token, and the old one is
/// void), `rotate` (it gets a new key, and its unused codes are void), `key` (its present key
/// is shown, to print codes offline).
#[derive(Clone, Copy, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum ProviderAct {
    /// Its codes wait.
    Suspend,
    /// It is active again.
    Resume,
    /// Its codes are revoked for good.
    Revoke,
    /// It gets a new token, and the old one is void.
    Token,
    /// It gets a new key, and its unused codes are void.
    Rotate,
    /// Its present key is shown, to print codes offline.
    Key,
}

/// A provider's key, as secret as the codes that it can make.
#[derive(Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ExportedKey {
    /// The provider.
    pub(crate) provider: u16,
    /// The key's generation.
    pub(crate) generation: u32,
    /// 64 hexadecimal digits.
    #[schema(pattern = "^[0-9a-f]{64}$")]
    pub(crate) key: String,
}

/// What is shown of a provider: after `token` its number and new token, after `key` its present
/// key.
#[derive(Serialize, ToSchema)]
#[serde(untagged)]
#[expect(dead_code, reason = "for the document")]
enum ShownProvider {
    Token(NewProvider),
    Key(ExportedKey),
}

/// Suspend, resume or revoke a provider, or give it a new token or key
///
/// `token` and `key` are answered with 200 and what they show, `suspend`, `resume`, `revoke`
/// and `rotate` with 204.
#[utoipa::path(
    tag = "operator",
    params(
        ("provider" = u16, Path, description = "Its number", example = 1),
        ("act" = inline(ProviderAct), Path, description = "What is done"),
    ),
    security(("operator" = [])),
    responses(
        (status = 200, description = "After `token`: the new token. After `key`: the present key",
         body = ShownProvider),
        (status = 204, description = "After `suspend`, `resume`, `revoke`, `rotate`: done"),
        (status = 400, description = "parameter_invalid", body = Problem),
        (status = 401, description = "unauthorized", body = Problem),
        (status = 403, description = "forbidden, provider_inactive", body = Problem),
        (status = 404, description = "provider_unknown; not_found: no such act", body = Problem),
    ),
)]
#[post("/v1/admin/providers/{provider}/{act}")]
pub(super) async fn change_provider(
    service: web::Data<Service>,
    _: Operator,
    path: web::Path<(String, String)>,
) -> Result<HttpResponse, Rejection> {
    let (provider, act) = path.into_inner();
    let provider = parse_number(&provider)?;
    let act: ProviderAct = serde_json::from_value(act.into()).map_err(|_| Rejection::NotFound)?;
    let node = &service.node;
    let standing =
        |standing| node.act(move |state, _| judge::set_standing(state, provider, standing));
    match act {
        ProviderAct::Suspend => standing(Standing::Suspended).await?,
        ProviderAct::Resume => standing(Standing::Active).await?,
        ProviderAct::Revoke => standing(Standing::Revoked).await?,
        ProviderAct::Token => {
            let set = node.act(move |state, _| judge::set_provider_token(state, provider)).await?;
            return Ok(secret(&set));
        }
        ProviderAct::Rotate => {
            node.act(move |state, _| judge::raise_key(state, provider)).await?;
        }
        ProviderAct::Key => return export_key(&service, provider),
    }
    Ok(HttpResponse::NoContent().finish())
}

fn secret(body: &impl Serialize) -> HttpResponse {
    HttpResponse::Ok().insert_header((header::CACHE_CONTROL, "no-store")).json(body)
}

fn export_key(service: &Service, provider: u16) -> Result<HttpResponse, Rejection> {
    let state = service.node.state();
    let known = state.providers.get(&provider).ok_or(Rejection::ProviderUnknown { provider })?;
    let generation = known.generation;
    let key = service.keys.provider(provider, generation).to_bytes();
    let key = data_encoding::HEXLOWER.encode(&key);
    Ok(secret(&ExportedKey { provider, generation, key }))
}

/// A code.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct CodeRequest {
    /// As printed.
    code: String,
}

/// Revoke one unused code
#[utoipa::path(
    tag = "operator",
    request_body = CodeRequest,
    security(("operator" = [])),
    responses(
        (status = 204, description = "It counts no more"),
        (status = 401, description = "unauthorized", body = Problem),
        (status = 403, description = "forbidden, code_invalid, code_not_open", body = Problem),
        (status = 409, description = "code_spent: retract its report instead", body = Problem),
        (status = 410, description = "code_expired", body = Problem),
    ),
)]
#[post("/v1/admin/codes/revoke")]
pub(super) async fn revoke_code(
    service: web::Data<Service>,
    _: Operator,
    Json(request): Json<CodeRequest>,
) -> Result<HttpResponse, Rejection> {
    let code: Code = request.code.parse().map_err(|_| Rejection::CodeInvalid)?;
    let keys = Arc::clone(&service.keys);
    service.node.act(move |state, now| judge::revoke_code(state, &keys, now, &code)).await?;
    Ok(HttpResponse::NoContent().finish())
}

/// Publish now
#[utoipa::path(
    operation_id = "publish_now",
    tag = "operator",
    security(("operator" = [])),
    responses(
        (status = 200, description = "What is out", body = Version),
        (status = 401, description = "unauthorized", body = Problem),
        (status = 409, description = "tick_pending, clock_leap, clock_behind", body = Problem),
        (status = 503, description = "Try again", body = Problem),
    ),
)]
#[post("/v1/admin/tick")]
pub(super) async fn tick(
    service: web::Data<Service>,
    _: Operator,
) -> Result<HttpResponse, Rejection> {
    Ok(HttpResponse::Ok().json(service.tick().await?))
}

/// Take the clock for right, after a leap
#[utoipa::path(
    tag = "operator",
    params(DropQuery),
    security(("operator" = [])),
    responses(
        (status = 204, description = "Ticks go on"),
        (status = 400, description = "parameter_invalid", body = Problem),
        (status = 401, description = "unauthorized", body = Problem),
        (status = 409, description = "clock_behind, dates_dropped", body = Problem),
    ),
)]
#[post("/v1/admin/clock/resume")]
pub(super) async fn resume_clock(
    service: web::Data<Service>,
    _: Operator,
    web::Query(query): web::Query<DropQuery>,
) -> Result<HttpResponse, Rejection> {
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

/// The epoch.
#[derive(Serialize, ToSchema)]
struct Epoch {
    /// From the next tick on.
    epoch: u32,
}

/// Raise the epoch, after a restore or to recall what is published
#[utoipa::path(
    tag = "operator",
    security(("operator" = [])),
    responses(
        (status = 200, description = "Phones fetch whole whatever differs", body = Epoch),
        (status = 401, description = "unauthorized", body = Problem),
    ),
)]
#[post("/v1/admin/epoch")]
pub(super) async fn raise_epoch(
    service: web::Data<Service>,
    _: Operator,
) -> Result<HttpResponse, Rejection> {
    let epoch = service.node.act(|state, _| judge::raise_epoch(state)).await?;
    Ok(HttpResponse::Ok().json(Epoch { epoch }))
}

/// The settings
#[utoipa::path(
    tag = "operator",
    security(("operator" = [])),
    responses(
        (status = 200, description = "All of them", body = Policy),
        (status = 401, description = "unauthorized", body = Problem),
    ),
)]
#[get("/v1/admin/policy")]
pub(super) async fn get_policy(service: web::Data<Service>, _: Operator) -> HttpResponse {
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
         body_incomplete, parameter_invalid", body = Problem),
        (status = 401, description = "unauthorized", body = Problem),
        (status = 409, description = "dates_dropped", body = Problem),
        (status = 422, description = "policy_invalid", body = Problem),
    ),
)]
#[put("/v1/admin/policy")]
pub(super) async fn set_policy(
    service: web::Data<Service>,
    _: Operator,
    web::Query(query): web::Query<DropQuery>,
    Json(policy): Json<Policy>,
) -> Result<HttpResponse, Rejection> {
    let (wanted, DropQuery { drop_dates }) = (policy.clone(), query);
    service.node.act(move |state, now| judge::set_policy(state, now, &wanted, drop_dates)).await?;
    Ok(HttpResponse::Ok().json(policy))
}

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
        (status = 401, description = "unauthorized", body = Problem),
    ),
)]
#[get("/v1/admin/digest")]
pub(super) async fn state_digest(
    service: web::Data<Service>,
    _: Operator,
) -> Result<HttpResponse, Rejection> {
    let digest = web::block(move || {
        let state = service.node.state();
        DigestAnswer { position: state.position, state: state.digest().to_string() }
    });
    let digest = digest.await.map_err(|_| Rejection::Internal)?;
    Ok(HttpResponse::Ok().json(digest))
}

/// A new token.
#[derive(Serialize, ToSchema)]
struct NewToken {
    /// It is shown only here.
    token: String,
}

/// Replace the operator token
#[utoipa::path(
    operation_id = "replace_operator_token",
    tag = "operator",
    security(("operator" = [])),
    responses(
        (status = 200, description = "The old one is void", body = NewToken),
        (status = 401, description = "unauthorized", body = Problem),
    ),
)]
#[post("/v1/admin/token")]
pub(super) async fn new_token(
    service: web::Data<Service>,
    _: Operator,
) -> Result<HttpResponse, Rejection> {
    let token = Token::draw(Role::Operator).map_err(|_| Rejection::Internal)?;
    let hash = token.hash();
    service
        .node
        .act(move |_, _| Ok(judge::Decision::one(OperatorTokenSet { token: hash }, ())))
        .await?;
    Ok(secret(&NewToken { token: token.to_string() }))
}

/// Replace the token of backends and back offices, which may ask for exact matches
#[utoipa::path(
    operation_id = "replace_backend_token",
    tag = "operator",
    security(("operator" = [])),
    responses(
        (status = 200, description = "The old one is void", body = NewToken),
        (status = 401, description = "unauthorized", body = Problem),
    ),
)]
#[post("/v1/admin/backend-token")]
pub(super) async fn new_backend_token(
    service: web::Data<Service>,
    _: Operator,
) -> Result<HttpResponse, Rejection> {
    let token = Token::draw(Role::Backend).map_err(|_| Rejection::Internal)?;
    let hash = token.hash();
    service
        .node
        .act(move |_, _| Ok(judge::Decision::one(BackendTokenSet { token: hash }, ())))
        .await?;
    Ok(secret(&NewToken { token: token.to_string() }))
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
        (status = 401, description = "unauthorized", body = Problem),
    ),
)]
#[get("/v1/admin/status")]
pub(super) async fn server_status(service: web::Data<Service>, _: Operator) -> HttpResponse {
    let published = service.version();
    let state = service.node.state();
    let date = |(date, day): (&gcs_core::Date, &crate::state::Day)| DateEntry {
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
