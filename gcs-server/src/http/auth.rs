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

/// What a token allows.
pub(crate) trait Role: Sized {
    /// Whose token is needed.
    const WHOSE: &'static str;

    /// The role, if the holder of the token has it.
    fn of(holder: Holder) -> Option<Self>;
}

/// The role of the operator.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Operator;

impl Role for Operator {
    const WHOSE: &'static str = "the operator's";

    fn of(holder: Holder) -> Option<Operator> {
        (holder == Holder::Operator).then_some(Operator)
    }
}

/// The role of a provider, with its number.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ProviderRole(pub(crate) u16);

impl Role for ProviderRole {
    const WHOSE: &'static str = "a provider's";

    fn of(holder: Holder) -> Option<ProviderRole> {
        if let Holder::Provider(number) = holder { Some(ProviderRole(number)) } else { None }
    }
}

/// The role of backends and back offices.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Backend;

impl Role for Backend {
    const WHOSE: &'static str = "the backends'";

    fn of(holder: Holder) -> Option<Backend> {
        (holder == Holder::Backend).then_some(Backend)
    }
}

impl<R: Role> FromRequest for Caller<R> {
    type Error = Problem;
    type Future = Ready<Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let role = |holder| R::of(holder).ok_or(Problem::Forbidden { role: R::WHOSE });
        ready(holder(request).and_then(role).map(Caller))
    }
}

fn holder(request: &HttpRequest) -> Result<Holder, Problem> {
    let service = request.app_data::<web::Data<Service>>().ok_or(Problem::Internal)?;
    // An older state may have tokens that have been replaced since.
    service.node.expect_current()?;
    let token = bearer_token(request).ok_or(Problem::TokenMissing)?;
    token::holder(&service.node.state(), token).ok_or(Problem::TokenUnknown)
}

/// The token of the `Authorization` header. The case of the scheme does not matter (RFC 9110, 11.1).
fn bearer_token(request: &HttpRequest) -> Option<&str> {
    let sent = request.headers().get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = sent.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim_matches(' '))
}
