//! Who users and authorities are.

use core::fmt;
use core::str::FromStr;

use data_encoding::BASE64_NOPAD;

use super::error::{HaiError, UserIdError};

/// Who a user is to an authority: 21 bytes, shown and parsed as 28 characters of base64 without
/// padding (RFC 4648, section 4). `Debug` hides it.
///
/// ```
/// use gcs_core::identifiers::bluetrace::UserId;
///
/// let text = "AbCdEfGhIjKlMnOpQrStUvWxYz01";
/// assert_eq!(text.parse::<UserId>()?.to_string(), text);
/// # Ok::<(), gcs_core::identifiers::bluetrace::UserIdError>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UserId(pub [u8; 21]);

impl fmt::Display for UserId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&BASE64_NOPAD.encode(&self.0))
    }
}

impl fmt::Debug for UserId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("UserId(..)")
    }
}

impl FromStr for UserId {
    type Err = UserIdError;

    fn from_str(text: &str) -> Result<UserId, UserIdError> {
        let bytes = BASE64_NOPAD.decode(text.as_bytes()).ok();
        let bytes = bytes.and_then(|bytes| bytes.try_into().ok());
        bytes.map(UserId).ok_or(UserIdError { length: text.len() })
    }
}

/// A health authority identifier: 1 to 32 of A–Z, 0–9 and `_`, such as `SG_OTC`.
///
/// ```
/// use gcs_core::identifiers::bluetrace::Hai;
///
/// assert_eq!("SG_OTC".parse::<Hai>()?.as_str(), "SG_OTC");
/// assert!("sg otc".parse::<Hai>().is_err());
/// # Ok::<(), gcs_core::identifiers::bluetrace::HaiError>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Hai {
    length: u8,
    /// Zeros behind the text.
    bytes: [u8; Hai::MAX_LEN],
}

impl Hai {
    /// Most characters.
    pub const MAX_LEN: usize = 32;

    /// The text.
    pub fn as_str(&self) -> &str {
        // Made from a text of ASCII alone.
        str::from_utf8(&self.bytes[..usize::from(self.length)]).unwrap_or_default()
    }
}

impl FromStr for Hai {
    type Err = HaiError;

    fn from_str(text: &str) -> Result<Hai, HaiError> {
        let legal = |byte: u8| matches!(byte, b'A'..=b'Z' | b'0'..=b'9' | b'_');
        if !(1..=Hai::MAX_LEN).contains(&text.len()) || !text.bytes().all(legal) {
            return Err(HaiError { length: text.len() });
        }
        let mut bytes = [0; Hai::MAX_LEN];
        bytes[..text.len()].copy_from_slice(text.as_bytes());
        Ok(Hai { length: text.len() as u8, bytes })
    }
}

impl fmt::Display for Hai {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for Hai {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::{String, ToString};
    use proptest::prelude::*;

    proptest! {
        /// Research check 2: a UserID has one spelling.
        #[test]
        fn a_user_id_round_trips(bytes: [u8; 21]) {
            let user = UserId(bytes);
            prop_assert_eq!(user.to_string().len(), 28);
            prop_assert_eq!(user.to_string().parse(), Ok(user));
        }

        #[test]
        fn an_hai_is_what_its_pattern_says(text in "[A-Z0-9_a-z ]{0,34}") {
            let legal = text.chars().all(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_');
            let hai = text.parse::<Hai>();
            prop_assert_eq!(hai.is_ok(), legal && (1..=32).contains(&text.len()));
            prop_assert!(hai.map_or(true, |hai| hai.to_string() == text));
        }
    }

    #[test]
    fn a_user_id_of_20_or_22_bytes_is_refused() {
        for length in [0, 20, 22, 28] {
            let text = BASE64_NOPAD.encode(&alloc::vec![1; length]);
            assert_eq!(text.parse::<UserId>(), Err(UserIdError { length: text.len() }));
        }
        for text in [
            "AbCdEfGhIjKlMnOpQrStUvWxYz0-",
            "AbCdEfGhIjKlMnOpQrStUvWxYz0=",
            " bCdEfGhIjKlMnOpQrStUvWxYz01",
        ] {
            assert!(text.parse::<UserId>().is_err(), "{text}");
        }
        assert_eq!(String::new().parse::<Hai>(), Err(HaiError { length: 0 }));
    }
}
