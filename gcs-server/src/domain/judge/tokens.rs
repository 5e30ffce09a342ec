//! Tokens of the operator and of backends.

use super::{Decision, Judgement};
use crate::domain::log::event::{BackendTokenSet, OperatorTokenSet};
use crate::domain::problem::Problem;
use crate::domain::token::{Role, Token};

/// Replaces the operator's token; the one before is void.
///
/// # Errors
/// When the system gives no randomness.
pub fn replace_operator_token() -> Judgement<Token> {
    let token = Token::draw(Role::Operator).map_err(|_| Problem::Internal)?;
    Ok(Decision::one(OperatorTokenSet { token: token.hash() }, token))
}

/// Replaces the token of backends and back offices; the one before is void.
///
/// # Errors
/// When the system gives no randomness.
pub fn replace_backend_token() -> Judgement<Token> {
    let token = Token::draw(Role::Backend).map_err(|_| Problem::Internal)?;
    Ok(Decision::one(BackendTokenSet { token: token.hash() }, token))
}
