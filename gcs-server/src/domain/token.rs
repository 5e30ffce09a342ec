//! Bearer tokens: 256 random bits, of which the log keeps only SHA-256.

use std::fmt;

use data_encoding::BASE64URL_NOPAD;
use gcs_core::Digest;
use subtle::ConstantTimeEq as _;

use crate::domain::state::State;

/// Who a token is for. The text of a token begins with the role, so that a leaked token is
/// recognised.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// The operator.
    Operator,
    /// A provider.
    Provider,
    /// Backends and back offices.
    Backend,
    /// Tracers of contacts.
    Tracer,
    /// A user of BlueTrace.
    User,
}

impl Role {
    fn prefix(self) -> &'static str {
        match self {
            Role::Operator => "gcs_operator_",
            Role::Provider => "gcs_provider_",
            Role::Backend => "gcs_backend_",
            Role::Tracer => "gcs_tracer_",
            Role::User => "gcs_user_",
        }
    }
}

/// A new token. `Display` shows the secret; it is shown once.
pub struct Token(String);

impl Token {
    /// The token of 32 random bytes.
    pub fn new(role: Role, secret: &[u8; 32]) -> Token {
        Token(format!("{}{}", role.prefix(), BASE64URL_NOPAD.encode(secret)))
    }

    /// SHA-256 of the token, which is all that the log keeps of it.
    pub fn hash(&self) -> [u8; 32] {
        hash(&self.0)
    }
}

impl fmt::Display for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(..)")
    }
}

/// SHA-256 of a token's text, which is all that the log keeps of it.
pub fn hash(token: &str) -> [u8; 32] {
    Digest::of(token.as_bytes()).0
}

/// Who has a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Holder {
    /// The operator.
    Operator,
    /// The provider of this number.
    Provider(u16),
    /// Backends and back offices.
    Backend,
    /// Tracers of contacts.
    Tracer,
}

/// The holder of the token with a [`hash`]; `None` if the token is unknown. It is compared with all known tokens in
/// constant time, so that the duration reveals nothing.
pub fn holder(state: &State, hash: &[u8; 32]) -> Option<Holder> {
    let held = |known: &[u8; 32], holder| bool::from(known.ct_eq(hash)).then_some(holder);
    let operator = held(&state.operator, Holder::Operator);
    let backend = state.backend.as_ref().and_then(|known| held(known, Holder::Backend));
    let tracer = state.bluetrace.as_ref().and_then(|bluetrace| bluetrace.tracer.as_ref());
    let tracer = tracer.and_then(|known| held(known, Holder::Tracer));
    let providers = state.providers.iter();
    let providers = providers.map(|(number, known)| held(&known.token, Holder::Provider(*number)));
    providers.fold(operator.or(backend).or(tracer), Option::or)
}
