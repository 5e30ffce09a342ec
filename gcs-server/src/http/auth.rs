//! Bearer tokens (RFC 6750): which role a request has.

use std::future::{Ready, ready};

use actix_web::dev::Payload;
use actix_web::http::header;
use actix_web::{FromRequest, HttpRequest, web};

use crate::domain::problem::Problem;
use crate::domain::token::{self, Holder};
use crate::service::Service;

/// The sender of a request that has a token of the role `R`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Caller<R>(pub(crate) R);

/// The role of the operator.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Operator;

/// The role of a provider, with its number.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ProviderRole(pub(crate) u16);

/// The role of backends and back offices.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Backend;

impl TryFrom<Holder> for Operator {
    type Error = Problem;

    fn try_from(holder: Holder) -> Result<Operator, Problem> {
        match holder {
            Holder::Operator => Ok(Operator),
            _ => Err(Problem::Forbidden { role: "the operator's" }),
        }
    }
}

impl TryFrom<Holder> for ProviderRole {
    type Error = Problem;

    fn try_from(holder: Holder) -> Result<ProviderRole, Problem> {
        match holder {
            Holder::Provider(number) => Ok(ProviderRole(number)),
            _ => Err(Problem::Forbidden { role: "a provider's" }),
        }
    }
}

impl TryFrom<Holder> for Backend {
    type Error = Problem;

    fn try_from(holder: Holder) -> Result<Backend, Problem> {
        match holder {
            Holder::Backend => Ok(Backend),
            _ => Err(Problem::Forbidden { role: "the backends'" }),
        }
    }
}

impl<R: TryFrom<Holder, Error = Problem>> FromRequest for Caller<R> {
    type Error = Problem;
    type Future = Ready<Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(holder(request).and_then(R::try_from).map(Caller))
    }
}

fn holder(request: &HttpRequest) -> Result<Holder, Problem> {
    let service = request.app_data::<web::Data<Service>>().ok_or(Problem::Internal)?;
    let token = bearer_token(request).ok_or(Problem::TokenMissing)?;
    token::holder(&service.node.state(), token).ok_or(Problem::TokenUnknown)
}

/// The token of the `Authorization` header. The case of the scheme does not matter (RFC 9110, 11.1).
fn bearer_token(request: &HttpRequest) -> Option<&str> {
    let sent = request.headers().get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = sent.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim_matches(' '))
}
