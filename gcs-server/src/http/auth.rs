//! Bearer tokens (RFC 6750): which role a request has.

use std::marker::PhantomData;

use actix_web::dev::Payload;
use actix_web::http::header;
use actix_web::{FromRequest, HttpRequest, web};
use futures_util::future::LocalBoxFuture;

use crate::domain::judge::{Judgement, RequestContext};
use crate::domain::problem::Problem;
use crate::domain::state::State;
use crate::domain::token::{self, Holder};
use crate::service::Service;

/// The sender of a request that has a token of the role `R`, by the log as it is now: another server may have
/// replaced the token a moment ago. Without the log there is no caller.
#[derive(Clone, Copy)]
pub(crate) struct Caller<R> {
    pub(crate) role: R,
    /// SHA-256 of the token.
    token: [u8; 32],
}

impl<R: Role + Copy + Send + 'static> Caller<R> {
    /// Makes sure that the token still has its role: it may have been replaced while the request arrived.
    pub(crate) fn expect(&self, state: &State) -> Result<(), Problem> {
        role::<R>(state, &self.token).map(drop)
    }

    /// As [`Node::act`](crate::node::Node::act), if the token still has its role when the request is judged.
    pub(crate) async fn act<T: Send + 'static>(
        self,
        service: &Service,
        mut judge: impl FnMut(&State, RequestContext) -> Judgement<T> + Send + 'static,
    ) -> Result<T, Problem> {
        let judge = move |state: &State, context| {
            self.expect(state)?;
            judge(state, context)
        };
        service.node.act(judge).await
    }
}

/// The sender of a request that changes nothing and is shown no secret, who has a token of the role `R`: by the
/// log as it is now, or, if it cannot be reached, as it was when it could be.
#[derive(Clone, Copy)]
pub(crate) struct Reader<R> {
    /// SHA-256 of the token.
    token: [u8; 32],
    role: PhantomData<R>,
}

impl<R: Role> Reader<R> {
    /// Makes sure that the token still has its role: it may have been replaced while the request arrived.
    pub(crate) fn expect(&self, state: &State) -> Result<(), Problem> {
        role::<R>(state, &self.token).map(drop)
    }
}

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

/// The role of tracers.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Tracer;

impl Role for Tracer {
    const WHOSE: &'static str = "the tracers'";

    fn of(holder: Holder) -> Option<Tracer> {
        (holder == Holder::Tracer).then_some(Tracer)
    }
}

impl<R: Role> FromRequest for Caller<R> {
    type Error = Problem;
    type Future = LocalBoxFuture<'static, Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let request = request.clone();
        Box::pin(async move {
            let (service, token) = sent(&request)?;
            service.look().await?;
            let role = role(&service.node.state(), &token)?;
            Ok(Caller { role, token })
        })
    }
}

impl<R: Role> FromRequest for Reader<R> {
    type Error = Problem;
    type Future = LocalBoxFuture<'static, Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let request = request.clone();
        Box::pin(async move {
            let (service, token) = sent(&request)?;
            service.try_look().await?;
            let reader = Reader { token, role: PhantomData };
            reader.expect(&service.node.state())?;
            Ok(reader)
        })
    }
}

/// What a request is judged by, and SHA-256 of its token.
pub(super) fn sent(request: &HttpRequest) -> Result<(&Service, [u8; 32]), Problem> {
    let service = request.app_data::<web::Data<Service>>().ok_or(Problem::Internal)?;
    // An older state may have tokens that have been replaced since.
    service.node.expect_current()?;
    Ok((service, token::hash(bearer_token(request).ok_or(Problem::TokenMissing)?)))
}

fn role<R: Role>(state: &State, token: &[u8; 32]) -> Result<R, Problem> {
    let holder = token::holder(state, token).ok_or(Problem::TokenUnknown)?;
    R::of(holder).ok_or(Problem::Forbidden { role: R::WHOSE })
}

/// The token of the `Authorization` header. The case of the scheme does not matter (RFC 9110, 11.1).
fn bearer_token(request: &HttpRequest) -> Option<&str> {
    let sent = request.headers().get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = sent.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim_matches(' '))
}
