//! Arguments and settings that only those who gave them may see.

use std::fmt;

use serde::Deserialize;

/// A token, a code, or a URL that may have a password. `Debug` does not show it.
#[derive(Clone, Deserialize)]
pub struct Secret(pub String);

impl From<String> for Secret {
    fn from(text: String) -> Secret {
        Secret(text)
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}
