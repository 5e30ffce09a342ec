//! Providers and their codes.

use std::sync::Arc;

use actix_web::http::header;
use actix_web::{HttpResponse, get, post, web};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::secret;
use gcs_core::report::Code;
use crate::domain::judge;
use crate::domain::judge::NewProvider;
use crate::domain::events::ProviderStatus;
use crate::domain::problem::Problem;
use crate::http::auth::Operator;
use crate::http::body::Json;
use crate::http::problem::ProblemDetails;
use crate::http::provider::parse_number;
use crate::service::Service;

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
        (status = 401, description = "unauthorized", body = ProblemDetails),
        (status = 409, description = "providers_exhausted", body = ProblemDetails),
        (status = 422, description = "provider_name", body = ProblemDetails),
    ),
)]
#[post("/v1/admin/providers")]
pub(in crate::http) async fn add_provider(
    service: web::Data<Service>,
    _: Operator,
    Json(request): Json<ProviderRequest>,
) -> Result<HttpResponse, Problem> {
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
    state: ProviderStatus,
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
        (status = 401, description = "unauthorized", body = ProblemDetails),
    ),
)]
#[get("/v1/admin/providers")]
pub(in crate::http) async fn list_providers(
    service: web::Data<Service>,
    _: Operator,
) -> HttpResponse {
    let now = service.clock.now();
    let state = service.node.state();
    let providers = state.providers.iter().map(|(number, provider)| {
        let (open_codes, used_codes) = provider.code_counts(now);
        ProviderEntry {
            provider: *number,
            name: provider.name.clone(),
            state: provider.status,
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
        (status = 400, description = "parameter_invalid", body = ProblemDetails),
        (status = 401, description = "unauthorized", body = ProblemDetails),
        (status = 403, description = "forbidden, provider_inactive", body = ProblemDetails),
        (status = 404, description = "provider_unknown; not_found: no such act", body = ProblemDetails),
    ),
)]
#[post("/v1/admin/providers/{provider}/{act}")]
pub(in crate::http) async fn change_provider(
    service: web::Data<Service>,
    _: Operator,
    path: web::Path<(String, String)>,
) -> Result<HttpResponse, Problem> {
    let (provider, act) = path.into_inner();
    let provider = parse_number(&provider)?;
    let act: ProviderAct = serde_json::from_value(act.into()).map_err(|_| Problem::NotFound)?;
    let node = &service.node;
    let status = |status| node.act(move |state, _| judge::set_status(state, provider, status));
    match act {
        ProviderAct::Suspend => status(ProviderStatus::Suspended).await?,
        ProviderAct::Resume => status(ProviderStatus::Active).await?,
        ProviderAct::Revoke => status(ProviderStatus::Revoked).await?,
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

fn export_key(service: &Service, provider: u16) -> Result<HttpResponse, Problem> {
    let state = service.node.state();
    let known = state.providers.get(&provider).ok_or(Problem::ProviderUnknown { provider })?;
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
        (status = 401, description = "unauthorized", body = ProblemDetails),
        (status = 403, description = "forbidden, code_invalid, code_not_open", body = ProblemDetails),
        (status = 409, description = "code_spent: retract its report instead", body = ProblemDetails),
        (status = 410, description = "code_expired", body = ProblemDetails),
    ),
)]
#[post("/v1/admin/codes/revoke")]
pub(in crate::http) async fn revoke_code(
    service: web::Data<Service>,
    _: Operator,
    Json(request): Json<CodeRequest>,
) -> Result<HttpResponse, Problem> {
    let code: Code = request.code.parse().map_err(|_| Problem::CodeInvalid)?;
    let keys = Arc::clone(&service.keys);
    service.node.act(move |state, now| judge::revoke_code(state, &keys, now, &code)).await?;
    Ok(HttpResponse::NoContent().finish())
}
