//! Tokens of the operator and of backends.

use actix_web::{HttpResponse, post, web};
use serde::Serialize;
use utoipa::ToSchema;

use super::secret;
use crate::domain::judge;
use crate::domain::events::{BackendTokenSet, OperatorTokenSet};
use crate::domain::problem::Problem;
use crate::domain::token::{Role, Token};
use crate::http::auth::Operator;
use crate::http::problem::ProblemDetails;
use crate::service::Service;

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
        (status = 401, description = "unauthorized", body = ProblemDetails),
    ),
)]
#[post("/v1/admin/token")]
pub(in crate::http) async fn new_token(
    service: web::Data<Service>,
    _: Operator,
) -> Result<HttpResponse, Problem> {
    let token = Token::draw(Role::Operator).map_err(|_| Problem::Internal)?;
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
        (status = 401, description = "unauthorized", body = ProblemDetails),
    ),
)]
#[post("/v1/admin/backend-token")]
pub(in crate::http) async fn new_backend_token(
    service: web::Data<Service>,
    _: Operator,
) -> Result<HttpResponse, Problem> {
    let token = Token::draw(Role::Backend).map_err(|_| Problem::Internal)?;
    let hash = token.hash();
    service
        .node
        .act(move |_, _| Ok(judge::Decision::one(BackendTokenSet { token: hash }, ())))
        .await?;
    Ok(secret(&NewToken { token: token.to_string() }))
}
