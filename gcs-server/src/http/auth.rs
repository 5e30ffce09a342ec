//! Who asks: bearer tokens (RFC 6750).

use std::future::{Ready, ready};

use actix_web::dev::Payload;
use actix_web::http::header;
use actix_web::{FromRequest, HttpRequest, web};

use crate::domain::problem::Problem;
use crate::domain::state::State;
use crate::domain::token;
use crate::service::Service;

/// The operator asks.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Operator;

/// This provider asks.
#[derive(Clone, Copy, Debug)]
pub(crate) struct AsProvider(pub(crate) u16);

/// A backend or a back office asks.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Backend;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Role {
    Operator,
    Backend,
    Provider(u16),
}

impl FromRequest for Operator {
    type Error = Problem;
    type Future = Ready<Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(role(request).and_then(|role| match role {
            Role::Operator => Ok(Operator),
            Role::Provider(_) | Role::Backend => Err(Problem::Forbidden { role: "the operator's" }),
        }))
    }
}

impl FromRequest for AsProvider {
    type Error = Problem;
    type Future = Ready<Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(role(request).and_then(|role| match role {
            Role::Provider(provider) => Ok(AsProvider(provider)),
            Role::Operator | Role::Backend => Err(Problem::Forbidden { role: "a provider's" }),
        }))
    }
}

impl FromRequest for Backend {
    type Error = Problem;
    type Future = Ready<Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(role(request).and_then(|role| match role {
            Role::Backend => Ok(Backend),
            Role::Operator | Role::Provider(_) => Err(Problem::Forbidden { role: "the backends'" }),
        }))
    }
}

fn role(request: &HttpRequest) -> Result<Role, Problem> {
    let service = request.app_data::<web::Data<Service>>().ok_or(Problem::Internal)?;
    let header = request.headers().get(header::AUTHORIZATION).ok_or(Problem::Unauthorized)?;
    let token = header.to_str().ok().and_then(|text| text.strip_prefix("Bearer "));
    let hash = token::hash(token.ok_or(Problem::Unauthorized)?.trim());
    find(&service.node.state(), &hash).ok_or(Problem::Unauthorized)
}

/// Looks at every token there is, so that time tells nothing.
fn find(state: &State, hash: &[u8; 32]) -> Option<Role> {
    let providers = state.providers.iter().map(|(number, provider)| {
        token::same(&provider.token, hash).then_some(Role::Provider(*number))
    });
    let operator = token::same(&state.operator, hash).then_some(Role::Operator);
    let is_backend = state.backend.is_some_and(|token| token::same(&token, hash));
    let backend = is_backend.then_some(Role::Backend);
    providers.fold(operator.or(backend), Option::or)
}
