//! Bearer tokens: 256 random bits, of which the log keeps only SHA-256.

use std::fmt;

use data_encoding::BASE64URL_NOPAD;
use gcs_core::Digest;
use subtle::ConstantTimeEq as _;

/// Who a token is for; the text begins with it, so that a leaked one can be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// The operator.
    Operator,
    /// A provider.
    Provider,
    /// Backends and back offices.
    Backend,
}

impl Role {
    fn prefix(self) -> &'static str {
        match self {
            Role::Operator => "gcs_operator_",
            Role::Provider => "gcs_provider_",
            Role::Backend => "gcs_backend_",
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

    /// What the log keeps of it.
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

/// What the log keeps of a token.
pub fn hash(token: &str) -> [u8; 32] {
    Digest::of(token.as_bytes()).0
}

/// Whether two hashes are equal, in the same time either way.
pub fn same(a: &[u8; 32], b: &[u8; 32]) -> bool {
    a.ct_eq(b).into()
}
