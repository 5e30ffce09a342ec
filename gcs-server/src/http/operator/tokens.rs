//! The operator's routes that replace tokens.

use actix_web::web::Data;
use actix_web::{HttpResponse, post};
use serde::Serialize;
use utoipa::ToSchema;

use crate::domain::judge;
use crate::domain::token::Token;
use crate::http::auth::{Caller, Operator};
use crate::http::{Answer, not_stored};
use crate::service::Service;

/// A new token.
#[derive(Serialize, ToSchema)]
struct NewToken {
    /// The token, for `Authorization: Bearer TOKEN`. It is shown only in this answer.
    #[schema(example = "gcs_backend_R2h5cG90aGV0aWNhbCB0b2tlbiwgb25seSBhIHNhbXBsZQ")]
    token: String,
}

fn shown(token: &Token) -> HttpResponse {
    not_stored(HttpResponse::Ok(), &NewToken { token: token.to_string() })
}

/// Replace the operator's token
///
/// The token of this request is void from now on.
#[utoipa::path(
    operation_id = "replace_operator_token",
    responses((status = 200, description = "The new token", body = NewToken)),
)]
#[post("/v1/admin/token")]
pub(super) async fn new_token(service: Data<Service>, caller: Caller<Operator>) -> Answer {
    Ok(shown(&caller.act(&service, |_, context| judge::replace_operator_token(context)).await?))
}

/// Replace the token of backends and back offices
///
/// With it they may ask for exact matches. The token before, if there was one, is void from now
/// on.
#[utoipa::path(
    operation_id = "replace_backend_token",
    responses((status = 200, description = "The new token", body = NewToken)),
)]
#[post("/v1/admin/backend-token")]
pub(super) async fn new_backend_token(service: Data<Service>, caller: Caller<Operator>) -> Answer {
    Ok(shown(&caller.act(&service, |_, context| judge::replace_backend_token(context)).await?))
}
