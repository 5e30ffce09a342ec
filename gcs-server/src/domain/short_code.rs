//! Short codes: six characters that stand for a one-time code, for one user alone.

use gcs_core::identifiers::bluetrace::{HandshakePin, PinKey, UserId};
use hkdf::Hkdf;
use sha2::Sha256;
use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

use crate::domain::events::CodeId;

/// Number of characters of a short code.
pub const SHORT_CODE_LEN: usize = 6;

/// The key that short codes follow from.
#[derive(Clone)]
pub struct ShortCodeKey(Zeroizing<[u8; 32]>);

impl ShortCodeKey {
    /// The key of these secret bytes.
    pub fn new(secret: [u8; 32]) -> ShortCodeKey {
        ShortCodeKey(Zeroizing::new(secret))
    }

    /// The short code of a user and a one-time code: always the same, and of Crockford's alphabet.
    pub fn short_code(&self, user: &UserId, code: CodeId) -> String {
        let CodeId { provider, generation, serial } = code;
        let info = [
            b"gcs short code v1".as_slice(),
            &provider.to_be_bytes(),
            &generation.to_be_bytes(),
            &serial.to_be_bytes(),
        ];
        let mut key = [0; 32];
        Hkdf::<Sha256>::new(None, self.0.as_slice())
            .expand_multi_info(&info, &mut key)
            .expect("HKDF-SHA256 gives up to 8160 bytes");
        HandshakePin::of(&PinKey::new(key), user).as_str().to_owned()
    }

    /// Whether what was typed is this short code. It takes the same time wherever they differ.
    pub fn is(&self, typed: &str, user: &UserId, code: CodeId) -> bool {
        self.short_code(user, code).as_bytes().ct_eq(typed.as_bytes()).into()
    }
}

impl std::fmt::Debug for ShortCodeKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ShortCodeKey(..)")
    }
}

/// What was typed as a short code, in the one spelling; `None` if it has another number of
/// characters. Spaces and dashes are ignored; I and L count as 1, O as 0.
pub fn typed_short_code(text: &str) -> Option<String> {
    if text.len() > 4 * SHORT_CODE_LEN {
        return None;
    }
    let symbols = text.chars().filter(|c| !matches!(c, ' ' | '-'));
    let symbols: String = symbols
        .map(|symbol| match symbol.to_ascii_uppercase() {
            'I' | 'L' => '1',
            'O' => '0',
            other => other,
        })
        .collect();
    (symbols.len() == SHORT_CODE_LEN).then_some(symbols)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_short_code_is_of_one_user_and_one_code() {
        let key = ShortCodeKey::new([7; 32]);
        let code = CodeId { provider: 1, generation: 1, serial: 5 };
        let (user, other) = (UserId([1; 21]), UserId([2; 21]));
        let short = key.short_code(&user, code);
        assert_eq!(short.len(), SHORT_CODE_LEN);
        assert!(key.is(&short, &user, code));
        assert!(!key.is(&short, &other, code));
        for code in [
            CodeId { provider: 2, ..code },
            CodeId { generation: 2, ..code },
            CodeId { serial: 6, ..code },
        ] {
            assert!(!key.is(&short, &user, code));
        }
        assert!(!ShortCodeKey::new([8; 32]).is(&short, &user, code));
    }

    #[test]
    fn typed_codes_have_one_spelling() {
        assert_eq!(typed_short_code("ab-1 io"), None);
        assert_eq!(typed_short_code("abc-1iO").as_deref(), Some("ABC110"));
        assert_eq!(typed_short_code("1234567"), None);
        assert_eq!(typed_short_code(&" ".repeat(100)), None);
    }
}
