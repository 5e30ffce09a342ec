//! The operator's routes about providers and their codes.

use std::sync::Arc;

use actix_web::web::Data;
use actix_web::{HttpResponse, get, post, web};
use gcs_core::report::Code;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::domain::events::ProviderStatus;
use crate::domain::judge;
use crate::domain::problem::Problem;
use crate::domain::token::Token;
use crate::http::auth::{Caller, Operator, Reader};
use crate::http::body::Json;
use crate::http::{Answer, not_stored};
use crate::service::Service;

/// A provider to add.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct ProviderRequest {
    /// The provider's name: 1 to 200 printable characters.
    #[schema(example = "City hospital", min_length = 1, max_length = 200)]
    name: String,
}

/// A provider and its token.
#[derive(Serialize, ToSchema)]
struct NewProvider {
    /// The provider's number.
    #[schema(example = 1)]
    provider: u16,
    /// The provider's token, for `Authorization: Bearer TOKEN`. It is shown only in this answer.
    #[schema(example = "gcs_provider_R2h5cG90aGV0aWNhbCB0b2tlbiwgb25seSBhIHNhbXBsZQ")]
    token: String,
}

impl From<(u16, Token)> for NewProvider {
    fn from((provider, token): (u16, Token)) -> NewProvider {
        NewProvider { provider, token: token.to_string() }
    }
}

/// Add a healthcare provider
#[utoipa::path(
    request_body = ProviderRequest,
    responses(
        (status = 201, description = "The provider's number and token", body = NewProvider),
        (status = 409, description = "providers_exhausted"),
        (status = 422, description = "provider_name"),
    ),
)]
#[post("/v1/admin/providers")]
pub(super) async fn add_provider(
    service: Data<Service>,
    caller: Caller<Operator>,
    Json(ProviderRequest { name }): Json<ProviderRequest>,
) -> Answer {
    let added = caller
        .act(&service, move |state, context| judge::add_provider(state, context, &name))
        .await?;
    Ok(not_stored(HttpResponse::Created(), &NewProvider::from(added)))
}

/// All providers.
#[derive(Serialize, ToSchema)]
struct ProviderList {
    /// The providers, by number.
    providers: Vec<ProviderEntry>,
}

/// One provider.
#[derive(Serialize, ToSchema)]
struct ProviderEntry {
    /// The provider's number.
    #[schema(example = 1)]
    provider: u16,
    /// The provider's name.
    #[schema(example = "City hospital")]
    name: String,
    /// What the provider and its codes may do.
    #[schema(value_type = StatusName)]
    status: ProviderStatus,
    /// Generation of the key that the provider's next codes are made with. A newer key has a larger
    /// number: one more after each `rotate` and when all serial numbers are used up, and the Unix time
    /// after a recovery of the log.
    #[schema(example = 1)]
    generation: u32,
    /// Number of codes that can still be opened under this key. After that the provider gets another
    /// key by itself; whoever prints codes offline then needs that.
    serials_left: u32,
    /// Number of unused codes that can bring a report.
    open_codes: u64,
    /// Number of codes that brought a report. Codes of a range that expired more than 30 days ago
    /// are not counted any more.
    used_codes: u64,
}

/// What a provider may do: `active` (open ranges, and its codes can bring reports), `suspended`
/// (neither, for now) or `revoked` (neither, for good).
#[derive(ToSchema)]
#[schema(as = ProviderStatus, rename_all = "snake_case")]
#[expect(dead_code, reason = "for the document: the domain writes it")]
enum StatusName {
    Active,
    Suspended,
    Revoked,
}

/// List the providers
#[utoipa::path(
    responses((status = 200, description = "All providers", body = ProviderList)),
)]
#[get("/v1/admin/providers")]
pub(super) async fn list_providers(service: Data<Service>, _: Reader<Operator>) -> HttpResponse {
    let now = service.clock.now();
    let state = service.node.state();
    let providers = state.providers.iter().map(|(number, provider)| {
        let (open_codes, used_codes) = provider.code_counts(now);
        ProviderEntry {
            provider: *number,
            name: provider.name.clone(),
            status: provider.status,
            generation: provider.generation,
            serials_left: provider.serials_left(),
            open_codes,
            used_codes,
        }
    });
    HttpResponse::Ok().json(ProviderList { providers: providers.collect() })
}

/// What can be done to a provider: `suspend` (its codes wait, it can open no ranges), `resume` (it
/// is active again), `revoke` (all its unused codes are void, for good), `token` (it gets a new
/// token, and the old one is void), `rotate` (it gets a new key, and its unused codes are void),
/// `key` (its present key is shown, to print codes offline).
#[derive(Clone, Copy, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum ProviderAct {
    Suspend,
    Resume,
    Revoke,
    Token,
    Rotate,
    Key,
}

/// A provider's key. Keep it secret: anyone who has it can make the provider's codes.
#[derive(Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ExportedKey {
    /// The provider's number.
    #[schema(example = 1)]
    pub(crate) provider: u16,
    /// The key's generation.
    #[schema(example = 1)]
    pub(crate) generation: u32,
    /// The key: 32 bytes as 64 hexadecimal digits.
    #[schema(pattern = "^[0-9a-f]{64}$")]
    pub(crate) key: String,
}

/// The answer to `token` or `key`: the provider's number with its new token, or with its present
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
/// `token` and `key` are answered with 200 and the token or key; `suspend`, `resume`, `revoke` and
/// `rotate` with 204.
#[utoipa::path(
    params(
        ("provider" = u16, Path, description = "The provider's number", example = 1),
        ("act" = inline(ProviderAct), Path, description = "What is done to the provider"),
    ),
    responses(
        (status = 200, description = "After `token`: the new token. After `key`: the present key",
         body = ShownProvider),
        (status = 204, description = "After `suspend`, `resume`, `revoke` or `rotate`: it is done"),
        (status = 400, description = "parameter_invalid: the provider's number is not a number"),
        (status = 403, description = "forbidden; provider_inactive: the provider is revoked"),
        (status = 404, description = "provider_unknown; not_found: there is no such act"),
    ),
)]
#[post("/v1/admin/providers/{provider}/{act}")]
pub(super) async fn change_provider(
    service: Data<Service>,
    caller: Caller<Operator>,
    path: web::Path<(u16, String)>,
) -> Answer {
    let (provider, act) = path.into_inner();
    let act: ProviderAct = serde_json::from_value(act.into()).map_err(|_| Problem::NotFound)?;
    let set =
        |status| caller.act(&service, move |state, _| judge::set_status(state, provider, status));
    match act {
        ProviderAct::Suspend => set(ProviderStatus::Suspended).await?,
        ProviderAct::Resume => set(ProviderStatus::Active).await?,
        ProviderAct::Revoke => set(ProviderStatus::Revoked).await?,
        ProviderAct::Token => {
            let judge =
                move |state: &_, context| judge::set_provider_token(state, context, provider);
            let set = caller.act(&service, judge).await?;
            return Ok(not_stored(HttpResponse::Ok(), &NewProvider::from(set)));
        }
        ProviderAct::Rotate => {
            caller.act(&service, move |state, _| judge::raise_key(state, provider)).await?;
        }
        ProviderAct::Key => {
            let generation = judge::provider(&service.node.state(), provider)?.generation;
            let key = service.keys.provider(provider, generation).to_bytes();
            let key = data_encoding::HEXLOWER.encode(&key);
            let exported = ExportedKey { provider, generation, key };
            return Ok(not_stored(HttpResponse::Ok(), &exported));
        }
    }
    Ok(HttpResponse::NoContent().finish())
}

/// A one-time code.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct CodeRequest {
    /// The code, as printed or typed: case, spaces and hyphens do not matter.
    #[schema(example = "01A0-0Z92-6H3S-GEV5")]
    code: String,
}

/// Revoke one unused code
#[utoipa::path(
    request_body = CodeRequest,
    responses(
        (status = 204, description = "The code cannot bring a report any more"),
        (status = 403, description = "forbidden, code_invalid, code_not_open"),
        (status = 409, description = "code_spent: it has brought a report; retract that instead"),
        (status = 410, description = "code_expired"),
    ),
)]
#[post("/v1/admin/codes/revoke")]
pub(super) async fn revoke_code(
    service: Data<Service>,
    caller: Caller<Operator>,
    Json(CodeRequest { code }): Json<CodeRequest>,
) -> Answer {
    let code: Code = code.parse().map_err(|_| Problem::CodeInvalid)?;
    let keys = Arc::clone(&service.keys);
    caller
        .act(&service, move |state, context| judge::revoke_code(state, &keys, context, &code))
        .await?;
    Ok(HttpResponse::NoContent().finish())
}
