//! Registration, withdrawal, TempIDs and PINs.

use std::sync::Arc;

use actix_web::{HttpRequest, HttpResponse, get, post};
use gcs_core::identifiers::bluetrace::{Batch, MintedTempId};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_actix_web::service_config::ServiceConfig;

use super::{Phone, Services, authority};
use crate::bluetrace::{PASSWORD_SECONDS, RESEND_SECONDS};
use crate::domain::judge::{self, Registered};
use crate::domain::phone_number::PhoneNumber;
use crate::http::auth;
use crate::http::body::Json;
use crate::http::{Answer, not_stored};

pub(super) fn routes(config: &mut ServiceConfig<'_>) {
    config
        .service(send_password)
        .service(register)
        .service(withdraw)
        .service(get_temp_ids)
        .service(get_pin);
}

/// Where to send a password.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct PasswordRequest {
    /// The phone number as ITU-T E.164 has it: a plus and 7 to 15 digits, of which the first is not 0.
    #[schema(pattern = r"^\+[1-9][0-9]{6,14}$", example = "+6591234567")]
    number: String,
}

/// What a phone shows together with the password.
#[derive(Serialize, ToSchema)]
struct PasswordAnswer {
    /// The challenge.
    challenge: String,
    /// Seconds for which the password is good.
    #[schema(example = 600)]
    valid_seconds: u64,
    /// Seconds after which another password is sent to this number.
    #[schema(example = 60)]
    resend_seconds: u64,
}

/// Have a one-time password sent to a phone
///
/// It has 6 digits. One password a minute and five an hour are sent to a number.
#[utoipa::path(
    operation_id = "send_password",
    tag = "bluetrace",
    request_body = PasswordRequest,
    responses(
        (status = 200, description = "The password is on its way", body = PasswordAnswer),
        (status = 422, description = "number_invalid"),
        (status = 429, description = "limit_reached: `Retry-After` says when to try again"),
        (status = 503, description = "sender_failed, bluetrace_keys, read_only, log_unusable, unavailable"),
    ),
)]
#[post("/bluetrace/v1/passwords")]
async fn send_password(
    service: Services,
    Json(PasswordRequest { number }): Json<PasswordRequest>,
) -> Answer {
    let (authority, number) = (authority(&service)?, number.parse()?);
    let now = service.clock.now();
    let challenge = authority.send_password(number, now, &service.random).await?;
    let (valid_seconds, resend_seconds) = (PASSWORD_SECONDS, RESEND_SECONDS);
    let answer = PasswordAnswer { challenge, valid_seconds, resend_seconds };
    Ok(not_stored(HttpResponse::Ok(), &answer))
}

/// A password, and what it was sent with.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct RegistrationRequest {
    /// The phone number.
    #[schema(pattern = r"^\+[1-9][0-9]{6,14}$", example = "+6591234567")]
    number: String,
    /// The challenge that the password was sent with.
    challenge: String,
    /// The password: 6 digits.
    #[schema(pattern = "^[0-9]{6}$", example = "012345")]
    password: String,
}

/// A user who has registered.
#[derive(Serialize, ToSchema)]
struct RegistrationAnswer {
    /// The UserID: 21 bytes in base64 without padding.
    #[schema(min_length = 28, max_length = 28, example = "AbCdEfGhIjKlMnOpQrStUvWxYz01")]
    user_id: String,
    /// The token, for `Authorization: Bearer TOKEN`. It is shown only in this answer.
    #[schema(example = "gcs_user_R2h5cG90aGV0aWNhbCB0b2tlbiwgb25seSBhIHNhbXBsZQ")]
    token: String,
}

/// Register with a one-time password
///
/// A number that is registered keeps its UserID; its token of before is void. A password registers once, and can be tried
/// five times; ten wrong ones a day for a number. Whatever is wrong with it, the answer is `password_invalid`.
#[utoipa::path(
    operation_id = "register_user",
    tag = "bluetrace",
    request_body = RegistrationRequest,
    responses(
        (status = 201, description = "The user is registered, and that is on disk", body = RegistrationAnswer),
        (status = 403, description = "password_invalid"),
        (status = 422, description = "number_invalid"),
        (status = 429, description = "limit_reached: too many wrong passwords; `Retry-After` says when to try again"),
        (status = 503, description = "storage_unavailable, bluetrace_keys, read_only, log_unusable, unavailable"),
    ),
)]
#[post("/bluetrace/v1/users")]
async fn register(
    service: Services,
    Json(RegistrationRequest { number, challenge, password }): Json<RegistrationRequest>,
) -> Answer {
    let authority = authority(&service)?;
    let number: PhoneNumber = number.parse()?;
    authority.expect_password(number, &challenge, &password, service.clock.now())?;
    let of = Arc::clone(&authority);
    let judge = move |state: &_, context| judge::register(state, context, of.identity(), number);
    let registered = service.node.act_on_number(number, judge).await;
    if registered.is_err() {
        authority.take_back_password(number, &challenge);
    }
    let Registered { user, token } = registered?;
    let answer = RegistrationAnswer { user_id: user.to_string(), token: token.to_string() };
    Ok(not_stored(HttpResponse::Created(), &answer))
}

/// Withdraw
///
/// Number, UserID, token and PIN, and what was uploaded, are forgotten, and erased from the log soon after. Old
/// TempIDs are of nobody from now on. Whoever registers again gets another UserID.
#[utoipa::path(
    operation_id = "withdraw_user",
    tag = "bluetrace",
    security(("user" = [])),
    responses((status = 204, description = "The user is forgotten")),
)]
#[post("/bluetrace/v1/withdrawal")]
async fn withdraw(request: HttpRequest) -> Answer {
    // It needs no keys, so it works with a wrong key file too.
    let (service, token) = auth::sent(&request)?;
    service.node.act(move |state, _| judge::withdraw(state, &token)).await?;
    Ok(HttpResponse::NoContent().finish())
}

/// The TempIDs of a user for the next 25 hours.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct TempIds {
    /// Always `SUCCESS`.
    #[schema(example = "SUCCESS")]
    status: &'static str,
    /// 100 TempIDs without a gap, the first of which is valid now.
    #[serde(rename = "tempIDs")]
    temp_ids: Vec<TempIdEntry>,
    /// Unix time, in seconds, from which the phone asks again.
    #[schema(example = 1_586_043_200)]
    pub(super) refresh_time: u64,
}

/// A TempID, and when it is valid.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct TempIdEntry {
    /// What the phone broadcasts: 61 bytes in base64, padded with `=`.
    #[serde(rename = "tempID")]
    #[schema(min_length = 84, max_length = 84)]
    temp_id: String,
    /// Unix time in seconds.
    #[schema(example = 1_585_999_800)]
    start_time: u32,
    /// Unix time in seconds.
    #[schema(example = 1_586_000_700)]
    expiry_time: u32,
}

impl TempIds {
    /// The first TempID, which is valid now.
    pub(super) fn current(&self) -> &str {
        self.temp_ids.first().map_or("", |entry| &entry.temp_id)
    }
}

impl From<Batch> for TempIds {
    fn from(Batch { temp_ids, refresh_time }: Batch) -> TempIds {
        let entry = |MintedTempId { temp_id, start, expiry }: MintedTempId| TempIdEntry {
            temp_id: temp_id.to_string(),
            start_time: start,
            expiry_time: expiry,
        };
        let temp_ids = temp_ids.into_iter().map(entry).collect();
        TempIds { status: "SUCCESS", temp_ids, refresh_time }
    }
}

/// The TempIDs of a phone's user.
pub(super) fn temp_ids(
    service: &Services,
    phone: &Phone,
) -> Result<TempIds, crate::domain::problem::Problem> {
    let batch = phone.authority.keys().batch(&phone.user, service.clock.now())?;
    Ok(batch.into())
}

/// Get your TempIDs
///
/// The same again within a quarter of an hour.
#[utoipa::path(
    operation_id = "get_temp_ids",
    tag = "bluetrace",
    security(("user" = [])),
    responses(
        (status = 200, description = "The TempIDs", body = TempIds),
        (status = 503, description = "clock_doubt, bluetrace_keys, read_only, log_unusable, unavailable"),
    ),
)]
#[get("/bluetrace/v1/temp-ids")]
async fn get_temp_ids(service: Services, phone: Phone) -> Answer {
    Ok(not_stored(HttpResponse::Ok(), &temp_ids(&service, &phone)?))
}

/// A PIN.
#[derive(Serialize, ToSchema)]
pub(super) struct Pin {
    /// Always `SUCCESS`.
    #[schema(example = "SUCCESS")]
    status: &'static str,
    /// Six characters.
    #[schema(pattern = "^[0-9A-HJKMNP-TV-Z]{6}$", example = "7K2M9A")]
    pin: String,
}

impl Pin {
    pub(super) fn of(phone: &Phone) -> Pin {
        Pin { status: "SUCCESS", pin: phone.authority.pin(&phone.user).as_str().to_owned() }
    }
}

/// Get your PIN
///
/// A caller from the authority can say it: so you know who calls. It is always the same.
#[utoipa::path(
    operation_id = "get_pin",
    tag = "bluetrace",
    security(("user" = [])),
    responses((status = 200, description = "The PIN", body = Pin)),
)]
#[get("/bluetrace/v1/pin")]
async fn get_pin(phone: Phone) -> Answer {
    Ok(not_stored(HttpResponse::Ok(), &Pin::of(&phone)))
}
