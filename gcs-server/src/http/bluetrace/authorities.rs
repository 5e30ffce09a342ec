//! The table of other health authorities, which the operator keeps, and how it stands with what waits for them.

use actix_web::{HttpResponse, delete, get, put, web};
use gcs_core::PublicKey;
use gcs_core::identifiers::bluetrace::Hai;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_actix_web::service_config::ServiceConfig;

use super::{Services, authority};
use crate::bluetrace::{expect_url, waits_since};
use crate::domain::judge;
use crate::domain::problem::Problem;
use crate::http::auth::{Caller, Operator};
use crate::http::body::Json;
use crate::http::{Answer, not_stored};

pub(super) fn routes(config: &mut ServiceConfig<'_>) {
    config.service(list_authorities).service(set_authority).service(remove_authority);
}

/// This authority, and the others.
#[derive(Serialize, ToSchema)]
struct AuthorityList {
    /// The HAI of this authority.
    #[schema(example = "SG_OTC")]
    hai: String,
    /// The key of this authority, which the operators of the others enter.
    #[schema(pattern = "^[0-9a-f]{64}$")]
    key: String,
    /// The others, by HAI.
    authorities: Vec<AuthorityEntry>,
    /// Uploads that wait with records of authorities that are not known, by HAI.
    unknown: Vec<UnknownAuthority>,
}

/// Another authority, and how it stands with what waits for it.
#[derive(Serialize, ToSchema)]
struct AuthorityEntry {
    /// Its HAI.
    #[schema(example = "NZ_MOH")]
    hai: String,
    /// The URL below which its paths are.
    #[schema(example = "https://bluetrace.example")]
    url: String,
    /// The key that its messages are signed with.
    #[schema(pattern = "^[0-9a-f]{64}$")]
    key: String,
    /// Messages that wait for it.
    waiting: u64,
    /// Unix time, in seconds, since which the oldest of them waits; null if none does.
    waiting_since: Option<u64>,
    /// Attempts of this server that failed since the last that did not.
    failures: u32,
    /// Why the last one failed; null if it did not.
    #[schema(example = "it does not answer in time")]
    error: Option<String>,
    /// Unix time, in seconds, of the next attempt; null if the last one did not fail.
    next_attempt: Option<u64>,
    /// Messages that wait each for an attempt of its own, because the authority has refused them or failed over them.
    /// If it takes others, `failures`, `error` and `next_attempt` are those of the one that is tried next.
    refused: u64,
    /// Its batches and follow-ups here that have not expired.
    received: u64,
    /// Records of its batches that have not expired, of those too that it has withdrawn.
    records: u64,
    /// Records among these for which it was told whom they are of, by a PseudoID.
    valid: u64,
    /// Contacts of its follow-ups that have not expired, of those too that it has withdrawn.
    contacts: u64,
    /// Messages that it has withdrawn, and that have not expired.
    withdrawn: u64,
}

/// An authority that nobody has entered.
#[derive(Serialize, ToSchema)]
struct UnknownAuthority {
    /// Its HAI, as a phone recorded it.
    #[schema(example = "NZ_MOH")]
    hai: String,
    /// Pieces of uploads that have records of it.
    waiting: u64,
}

/// List the other authorities
///
/// With the key of this one, which the others need.
#[utoipa::path(
    operation_id = "list_authorities",
    responses((status = 200, description = "The authorities", body = AuthorityList)),
)]
#[get("/bluetrace/v1/admin/authorities")]
async fn list_authorities(service: Services, _: Caller<Operator>) -> Answer {
    let authority = authority(&service)?;
    let (hai, key) = (authority.hai().to_string(), authority.public_key().to_string());
    let state = service.node.state();
    let Some(bluetrace) = &state.bluetrace else {
        let (authorities, unknown) = (Vec::new(), Vec::new());
        let list = AuthorityList { hai, key, authorities, unknown };
        return Ok(not_stored(HttpResponse::Ok(), &list));
    };
    let (known, now) = (&bluetrace.federation, service.clock.now());
    let entry = |(hai, other): (&String, &crate::domain::state::bluetrace::Authority)| {
        let (waiting, waiting_since) = waits_since(known, hai, now);
        let received = known.received_of(hai, 0);
        let delivery = authority.deliveries.of(hai, other);
        let pause = delivery.pause();
        AuthorityEntry {
            hai: hai.clone(),
            url: other.url.clone(),
            key: PublicKey(other.key).to_string(),
            waiting,
            waiting_since,
            failures: pause.map_or(0, |pause| pause.failures),
            error: pause.map(|pause| pause.error.clone()),
            next_attempt: pause.map(|pause| pause.next),
            refused: delivery.refused() as u64,
            received: received.messages,
            records: received.records,
            valid: received.valid,
            contacts: received.contacts,
            withdrawn: received.withdrawn,
        }
    };
    let authorities = known.authorities.iter().map(entry).collect();
    let counts = known.waiting.counts().into_iter();
    let unknown = counts.filter(|(hai, _)| !known.authorities.contains_key(*hai));
    let unknown = unknown.map(|(hai, waiting)| UnknownAuthority { hai: hai.to_owned(), waiting });
    let list = AuthorityList { hai, key, authorities, unknown: unknown.collect() };
    drop(state);
    Ok(not_stored(HttpResponse::Ok(), &list))
}

/// Where an authority is, and its key.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct AuthorityRequest {
    /// The URL of its server: https://HOST or https://HOST/PATH, without a slash at the end.
    #[schema(example = "https://bluetrace.example")]
    url: String,
    /// Its key, from its operator.
    #[schema(pattern = "^[0-9a-f]{64}$")]
    key: String,
}

/// Set URL and key of another authority
///
/// Records of its users that wait are sent from now on, and its messages are accepted.
#[utoipa::path(
    operation_id = "set_authority",
    params(("hai" = String, Path, description = "The authority's HAI", example = "NZ_MOH")),
    request_body = AuthorityRequest,
    responses(
        (status = 204, description = "It is set"),
        (status = 409, description = "too_many_authorities"),
        (status = 422, description = "authority_invalid"),
    ),
)]
#[put("/bluetrace/v1/admin/authorities/{hai}")]
async fn set_authority(
    service: Services,
    caller: Caller<Operator>,
    hai: web::Path<String>,
    Json(AuthorityRequest { url, key }): Json<AuthorityRequest>,
) -> Answer {
    let authority = authority(&service)?;
    let invalid = |what| move || Problem::AuthorityInvalid { what };
    let hai: Hai = hai.parse().ok().ok_or_else(invalid("an HAI is 1 to 32 of A-Z, 0-9 and _"))?;
    let key: PublicKey =
        key.parse().ok().ok_or_else(invalid("a key is 64 lower-case hexadecimal digits"))?;
    expect_url(&url)?;
    let set =
        move |state: &_, _| judge::set_authority(state, authority.identity(), &hai, &url, key);
    caller.act(&service, set).await?;
    Ok(HttpResponse::NoContent().finish())
}

/// Remove another authority
///
/// Nothing more is sent to it, and nothing of it accepted. Records of its users are kept as those of an unknown
/// authority.
#[utoipa::path(
    operation_id = "remove_authority",
    params(("hai" = String, Path, description = "The authority's HAI", example = "NZ_MOH")),
    responses(
        (status = 204, description = "It is removed"),
        (status = 404, description = "authority_unknown"),
    ),
)]
#[delete("/bluetrace/v1/admin/authorities/{hai}")]
async fn remove_authority(
    service: Services,
    caller: Caller<Operator>,
    hai: web::Path<String>,
) -> Answer {
    authority(&service)?;
    caller.act(&service, move |state, _| judge::remove_authority(state, &hai)).await?;
    Ok(HttpResponse::NoContent().finish())
}
