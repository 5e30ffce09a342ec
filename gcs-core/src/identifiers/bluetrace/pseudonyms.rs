//! What follows from a UserID under a key of the authority.

use core::fmt;
use core::str::FromStr;

use data_encoding::BASE64URL_NOPAD;

use super::error::PseudoIdError;
use super::keys::{PinKey, PseudoIdKey};
use super::user::UserId;
use crate::identifiers::secret::{Secret, hmac};

/// Crockford's alphabet: no I, L, O, U, which are misread and misheard.
const PIN_ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";

/// The PIN by which a user knows that a caller is from the authority: both see the same six
/// characters. It is always the same for one user, and nothing of the UserID shows in it.
/// `Debug` hides it.
///
/// The characters are the first 30 bits of HMAC-SHA256(key, "bt-pin/v1" ‖ UserID) in Crockford's
/// base 32.
///
/// ```
/// use gcs_core::identifiers::bluetrace::{PinKey, HandshakePin, UserId};
///
/// let pin = HandshakePin::of(&PinKey::new([7; 32]), &UserId([1; 21]));
/// assert_eq!(pin.as_str().len(), 6);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HandshakePin(Secret<6>);

impl HandshakePin {
    /// The PIN of a user.
    pub fn of(key: &PinKey, user: &UserId) -> HandshakePin {
        let mac = hmac(&key.0.0, &[b"bt-pin/v1", &user.0]);
        let bits = mac.0[..4].iter().fold(0u32, |bits, byte| bits << 8 | u32::from(*byte));
        let symbol = |at: usize| PIN_ALPHABET[(bits >> (27 - 5 * at) & 31) as usize];
        HandshakePin(Secret(core::array::from_fn(symbol)))
    }

    /// The six characters.
    pub fn as_str(&self) -> &str {
        str::from_utf8(&self.0.0).unwrap_or_default() // They are of the alphabet.
    }
}

/// What another authority knows a user by: the first 16 bytes of
/// HMAC-SHA256(key, "bt-pseudo/v1" ‖ UserID), shown and parsed as 22 characters of base64url.
///
/// Only whoever has the key can tell whose it is, by computing it for every user. With one key
/// for each asking authority, two of them cannot join what they know.
///
/// ```
/// use gcs_core::identifiers::bluetrace::{PseudoIdKey, PseudoId, UserId};
///
/// let pseudo_id = PseudoId::of(&PseudoIdKey::new([7; 32]), &UserId([1; 21]));
/// assert_eq!(pseudo_id.to_string().len(), 22);
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PseudoId(pub [u8; 16]);

impl PseudoId {
    /// The PseudoID of a user.
    pub fn of(key: &PseudoIdKey, user: &UserId) -> PseudoId {
        let mac = hmac(&key.0.0, &[b"bt-pseudo/v1", &user.0]);
        PseudoId(core::array::from_fn(|at| mac.0[at]))
    }
}

impl fmt::Display for PseudoId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&BASE64URL_NOPAD.encode(&self.0))
    }
}

impl FromStr for PseudoId {
    type Err = PseudoIdError;

    fn from_str(text: &str) -> Result<PseudoId, PseudoIdError> {
        let bytes = BASE64URL_NOPAD.decode(text.as_bytes()).ok();
        let bytes = bytes.and_then(|bytes| bytes.try_into().ok());
        bytes.map(PseudoId).ok_or(PseudoIdError { length: text.len() })
    }
}

impl fmt::Debug for PseudoId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::collections::BTreeSet;
    use alloc::format;
    use alloc::string::ToString;

    #[test]
    fn a_pseudo_id_has_one_spelling() {
        let id = PseudoId::of(&PseudoIdKey::new([7; 32]), &UserId([1; 21]));
        let text = id.to_string();
        assert_eq!(text.parse(), Ok(id));
        for wrong in [&text[1..], &format!("{text}="), &format!("{}_", &text[..21]), ""] {
            assert_eq!(wrong.parse::<PseudoId>(), Err(PseudoIdError { length: wrong.len() }));
        }
    }

    #[test]
    fn a_pin_is_stable_and_shows_nothing_of_the_user_id() {
        let (key, other) = (PinKey::new([7; 32]), PinKey::new([8; 32]));
        let user: UserId = "AbCdEfGhIjKlMnOpQrStUvWxYz01".parse().unwrap();
        let pin = HandshakePin::of(&key, &user);
        assert_eq!(pin, HandshakePin::of(&key, &user));
        assert_ne!(pin, HandshakePin::of(&other, &user));
        assert!(!user.to_string().to_uppercase().contains(pin.as_str()));
        assert!(pin.as_str().bytes().all(|byte| PIN_ALPHABET.contains(&byte)));
        assert_eq!(format!("{pin:?} {key:?}"), "HandshakePin(..) PinKey(..)");
        let users = (0..1000u32).map(|number| {
            let mut user = [0; 21];
            user[..4].copy_from_slice(&number.to_be_bytes());
            UserId(user)
        });
        let pins: BTreeSet<_> = users.map(|user| HandshakePin::of(&key, &user).0.0).collect();
        assert!(pins.len() > 990);
        // Every place takes every symbol.
        for at in 0..6 {
            assert_eq!(pins.iter().map(|pin| pin[at]).collect::<BTreeSet<_>>().len(), 32);
        }
    }
}
