//! Upload tokens.

use alloc::format;
use alloc::string::{String, ToString};
use core::fmt;

use data_encoding::BASE64;
use serde::Deserialize;

use super::cipher::Cipher;
use super::error::TokenError;
use super::keys::TokenKey;
use super::user::UserId;
use crate::{base64, json};

/// How long an upload token is good for, in seconds.
pub const TOKEN_SECONDS: u64 = 7200;

/// Most characters of a token.
const MAX_TEXT: usize = 1024;

/// What allows a phone to upload, for two hours: who may, since when, and by which upload code.
/// `Debug` shows only since when.
///
/// As text it is base64 of what AES-256-GCM makes of the JSON
/// `{"uid":UserID,"createdAt":seconds,"upload":code}`, as in a [`TempId`](super::TempId) under
/// another key. Nothing in it says that it was used: an authority that wants a token to be used
/// once must remember it.
///
/// ```
/// use gcs_core::identifiers::bluetrace::{TokenKey, UploadToken, UserId};
///
/// let key = TokenKey::new([7; 32]);
/// let token = UploadToken {
///     user: UserId([1; 21]),
///     created_ms: 1_586_000_000_123,
///     upload_code: "123456".to_string(),
/// };
/// let text = token.seal(&key, [9; 16])?; // In a real server: a random IV, never twice.
/// assert_eq!(UploadToken::open(&key, &text, 1_586_007_200_123), Ok(token));
/// # assert!(UploadToken::open(&key, &text, 1_586_007_200_124).is_err());
/// # Ok::<(), gcs_core::identifiers::bluetrace::TokenError>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct UploadToken {
    /// Who may upload.
    pub user: UserId,
    /// Unix time in milliseconds at which it was made.
    pub created_ms: u64,
    /// The upload code that it was given for.
    pub upload_code: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Members {
    uid: String,
    #[serde(rename = "createdAt")]
    created_at: f64,
    upload: String,
}

impl UploadToken {
    /// Its text. Under one key, no IV may be used for two tokens.
    ///
    /// # Errors
    /// [`TokenError::TooLong`] if its upload code makes it longer than 1024 characters.
    pub fn seal(&self, key: &TokenKey, iv: [u8; 16]) -> Result<String, TokenError> {
        let uid = self.user;
        let created_at = seconds(self.created_ms);
        let upload = serde_json::Value::from(self.upload_code.as_str());
        let json = format!(r#"{{"uid":"{uid}","createdAt":{created_at},"upload":{upload}}}"#);
        let text = BASE64.encode(&Cipher::new(&key.0.0).seal(iv, json.as_bytes()));
        expect_length(&text).map(|()| text)
    }

    /// The token of a text that comes at a Unix time in milliseconds.
    ///
    /// # Errors
    /// [`TokenError::TooLong`] if it has more than 1024 characters; [`TokenError::Foreign`] if it
    /// was not sealed with this key; [`TokenError::Expired`] if it is older than
    /// [`TOKEN_SECONDS`]. A token from the future, by another node's clock, is new.
    pub fn open(key: &TokenKey, text: &str, now_ms: u64) -> Result<UploadToken, TokenError> {
        expect_length(text)?;
        let token = UploadToken::decrypt(key, text).ok_or(TokenError::Foreign)?;
        let (max, got) = (TOKEN_SECONDS * 1000, now_ms.saturating_sub(token.created_ms));
        if got > max { Err(TokenError::Expired { max, got }) } else { Ok(token) }
    }

    fn decrypt(key: &TokenKey, text: &str) -> Option<UploadToken> {
        let sealed = base64::decode(text)?;
        let json = Cipher::new(&key.0.0).open(&sealed)?;
        let members: Members = json::from_slice(&json).ok()?;
        Some(UploadToken {
            user: members.uid.parse().ok()?,
            // The nearest millisecond; a cast ends at the ends of the range.
            created_ms: (members.created_at * 1000.0 + 0.5) as u64,
            upload_code: members.upload,
        })
    }
}

fn expect_length(text: &str) -> Result<(), TokenError> {
    let (max, got) = (MAX_TEXT, text.len());
    if got > max { Err(TokenError::TooLong { max, got }) } else { Ok(()) }
}

/// Seconds as JavaScript writes them: without zeros at their end.
fn seconds(ms: u64) -> String {
    match ms % 1000 {
        0 => (ms / 1000).to_string(),
        rest => format!("{}.{rest:03}", ms / 1000).trim_end_matches('0').to_string(),
    }
}

impl fmt::Debug for UploadToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UploadToken").field("created_ms", &self.created_ms).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn key() -> TokenKey {
        TokenKey::new(core::array::from_fn(|at| at as u8))
    }

    proptest! {
        #[test]
        fn tokens_round_trip(user: [u8; 21], created_ms in 0..1u64 << 45, upload_code in "\\PC{0,12}", iv: [u8; 16]) {
            let token = UploadToken { user: UserId(user), created_ms, upload_code };
            let text = token.seal(&key(), iv).unwrap();
            prop_assert_eq!(UploadToken::open(&key(), &text, created_ms), Ok(token.clone()));
            prop_assert_eq!(UploadToken::open(&key(), &text, 0), Ok(token));
            prop_assert_eq!(UploadToken::open(&TokenKey::new([9; 32]), &text, 0), Err(TokenError::Foreign));
        }
    }

    #[test]
    fn a_token_is_good_for_7200_seconds_and_no_millisecond_more() {
        let created_ms = 1_586_000_000_123;
        let token = UploadToken { user: UserId([1; 21]), created_ms, upload_code: "A".to_string() };
        let text = token.seal(&key(), [3; 16]).unwrap();
        assert_eq!(UploadToken::open(&key(), &text, created_ms + 7_200_000), Ok(token));
        assert_eq!(
            UploadToken::open(&key(), &text, created_ms + 7_200_001),
            Err(TokenError::Expired { max: 7_200_000, got: 7_200_001 })
        );
    }

    #[test]
    fn a_token_has_at_most_1024_characters() {
        let of = |length: usize| {
            let json = r#"{"uid":"AbCdEfGhIjKlMnOpQrStUvWxYz01","createdAt":1,"upload":"1"}"#;
            let padded = [json, &" ".repeat(length - json.len())].concat();
            let text = BASE64.encode(&Cipher::new(&key().0.0).seal([1; 16], padded.as_bytes()));
            UploadToken::open(&key(), &text, 0).map(|token| token.upload_code)
        };
        assert_eq!(of(736), Ok("1".to_string()));
        let error = TokenError::TooLong { max: 1024, got: 1028 };
        assert_eq!(of(737), Err(error));
        // What is sealed can be opened. Its JSON has 64 characters besides the code.
        let sealed = |length| {
            let upload_code = "x".repeat(length);
            let token = UploadToken { user: UserId([1; 21]), created_ms: 1000, upload_code };
            (token.clone(), token.seal(&key(), [3; 16]))
        };
        let (token, text) = sealed(736 - 64);
        assert_eq!(UploadToken::open(&key(), &text.unwrap(), 0), Ok(token));
        assert_eq!(sealed(736 - 63).1, Err(error));
    }

    #[test]
    fn what_is_no_token_is_refused() {
        let sealed =
            |json: &str| BASE64.encode(&Cipher::new(&key().0.0).seal([1; 16], json.as_bytes()));
        let good =
            r#"{"uid":"AbCdEfGhIjKlMnOpQrStUvWxYz01","createdAt":1586000000.5,"upload":"1"}"#;
        assert_eq!(
            UploadToken::open(&key(), &sealed(good), 0).unwrap().created_ms,
            1_586_000_000_500
        );
        for json in [
            "",
            "{}",
            "[]",
            &good.replace("01\"", "0\""),
            &good.replace("1586000000.5", "\"x\""),
            &good.replace("1586000000.5", "1e999"),
            &good.replace("}", ",\"more\":1}"),
            &good.replace("\"1\"", "1"),
        ] {
            assert_eq!(
                UploadToken::open(&key(), &sealed(json), 0),
                Err(TokenError::Foreign),
                "{json}"
            );
        }
        for text in ["", "AAAA", "x", &sealed(good)[1..]] {
            assert_eq!(UploadToken::open(&key(), text, 0), Err(TokenError::Foreign));
        }
        for created_at in ["-1", "1e300"] {
            let text = sealed(&good.replace("1586000000.5", created_at));
            assert!(
                UploadToken::open(&key(), &text, 0).is_ok(),
                "no panic, and only the authority seals"
            );
        }
    }
}
