//! Tokens of the operator and of backends.

use super::{Decision, Judgement, RequestContext};
use crate::domain::events::{BackendTokenSet, OperatorTokenSet};
use crate::domain::token::{Role, Token};

/// Replaces the operator's token; the one before is void.
pub fn replace_operator_token(context: RequestContext) -> Judgement<Token> {
    let token = Token::new(Role::Operator, &context.random);
    Ok(Decision::one(OperatorTokenSet { token: token.hash() }, token))
}

/// Replaces the token of backends and back offices; the one before is void.
pub fn replace_backend_token(context: RequestContext) -> Judgement<Token> {
    let token = Token::new(Role::Backend, &context.random);
    Ok(Decision::one(BackendTokenSet { token: token.hash() }, token))
}
