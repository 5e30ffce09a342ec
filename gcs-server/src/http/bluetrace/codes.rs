//! Short codes, which providers make.

use std::sync::Arc;

use actix_web::{HttpResponse, post};
use gcs_core::report::Code;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_actix_web::service_config::ServiceConfig;

use super::{Services, authority};
use crate::domain::judge;
use crate::domain::phone_number::PhoneNumber;
use crate::domain::problem::Problem;
use crate::http::auth::{Caller, ProviderRole};
use crate::http::body::Json;
use crate::http::{Answer, not_stored};

pub(super) fn routes(config: &mut ServiceConfig<'_>) {
    config.service(make_short_code);
}

/// For whom, and for which code.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct ShortCodeRequest {
    /// The user's phone number.
    #[schema(pattern = r"^\+[1-9][0-9]{6,14}$", example = "+6591234567")]
    number: String,
    /// An unused code of yours.
    #[schema(example = "01A0-0Z92-6H3S-GEV5")]
    code: String,
}

/// A short code.
#[derive(Serialize, ToSchema)]
struct ShortCodeAnswer {
    /// Six characters that this user alone can use in place of the code.
    #[schema(pattern = "^[0-9A-HJKMNP-TV-Z]{6}$", example = "7K2M9A")]
    short_code: String,
    /// Unix time, in seconds, from which it cannot be used any more.
    #[schema(example = 1_770_206_400)]
    expires: u64,
}

/// Make a short code for one user
///
/// OpenTrace's apps take upload codes of six characters. The short code stands for one of your codes, for the user
/// with this number alone, for a day. The same user and code give the same short code. A user has at most three.
#[utoipa::path(
    operation_id = "make_short_code",
    request_body = ShortCodeRequest,
    responses(
        (status = 201, description = "The short code", body = ShortCodeAnswer),
        (status = 403, description = "forbidden; provider_inactive; code_invalid: it is no code of yours; code_suspended, code_not_open"),
        (status = 404, description = "user_unknown"),
        (status = 409, description = "code_used, too_many_short_codes"),
        (status = 410, description = "code_expired, code_revoked"),
        (status = 422, description = "number_invalid"),
    ),
)]
#[post("/bluetrace/v1/provider/short-codes")]
async fn make_short_code(
    service: Services,
    caller: Caller<ProviderRole>,
    Json(ShortCodeRequest { number, code }): Json<ShortCodeRequest>,
) -> Answer {
    let authority = authority(&service)?;
    let number: PhoneNumber = number.parse()?;
    let code: Code = code.parse().map_err(|_| Problem::CodeInvalid)?;
    let (ProviderRole(provider), keys) = (caller.role, Arc::clone(&service.keys));
    let make = move |state: &_, context| {
        let short_codes = &authority.keys().short_code;
        judge::make_short_code(state, &keys, short_codes, context, provider, (number, &code))
    };
    let (short_code, expires) = caller.act(&service, make).await?;
    Ok(not_stored(HttpResponse::Created(), &ShortCodeAnswer { short_code, expires }))
}
