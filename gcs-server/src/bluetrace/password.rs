//! One-time passwords that show who has a phone number.
//!
//! A challenge is the authority's own word, and nothing is stored for it:
//!
//! ```text
//! nonce     16   random
//! expiry    u64  Unix time in seconds, big-endian
//! mac       16   HKDF-SHA256 of the key over "challenge", number, nonce, expiry
//! ```
//!
//! The password follows from number, nonce and expiry under the same key: any node can check it.

use data_encoding::BASE64URL_NOPAD;
use hkdf::Hkdf;
use sha2::Sha256;
use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

use crate::domain::phone_number::PhoneNumber;

/// Seconds for which a password is good.
pub const PASSWORD_SECONDS: u64 = 600;

/// Number of digits of a password.
const DIGITS: usize = 6;

/// Random number of a challenge.
pub(super) type Nonce = [u8; 16];

/// What a phone shows together with the password.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Challenge {
    pub(super) nonce: Nonce,
    pub(super) expiry: u64,
}

/// What makes and checks passwords.
pub(super) struct Passwords(pub(super) Zeroizing<[u8; 32]>);

impl Passwords {
    /// A challenge as text, and its password.
    pub(super) fn make(&self, number: PhoneNumber, challenge: Challenge) -> (String, String) {
        let Challenge { nonce, expiry } = challenge;
        let mac = self.mac(number, challenge);
        let text = BASE64URL_NOPAD.encode(&[&nonce[..], &expiry.to_be_bytes(), &mac].concat());
        (text, self.password(number, challenge))
    }

    /// The challenge of a text, if it was made here for this number.
    pub(super) fn open(&self, number: PhoneNumber, text: &str) -> Option<Challenge> {
        let bytes: [u8; 40] = BASE64URL_NOPAD.decode(text.as_bytes()).ok()?.try_into().ok()?;
        let (nonce, rest) = bytes.split_first_chunk()?;
        let (expiry, mac) = rest.split_first_chunk()?;
        let challenge = Challenge { nonce: *nonce, expiry: u64::from_be_bytes(*expiry) };
        bool::from(self.mac(number, challenge).ct_eq(mac)).then_some(challenge)
    }

    /// Whether this is the password of a challenge.
    pub(super) fn is_right(&self, number: PhoneNumber, challenge: Challenge, typed: &str) -> bool {
        self.password(number, challenge).as_bytes().ct_eq(typed.as_bytes()).into()
    }

    fn mac(&self, number: PhoneNumber, challenge: Challenge) -> [u8; 16] {
        self.expand("challenge", number, challenge)
    }

    fn password(&self, number: PhoneNumber, challenge: Challenge) -> String {
        let random = u128::from_be_bytes(self.expand("password", number, challenge));
        format!("{:0width$}", random % 10u128.pow(DIGITS as u32), width = DIGITS)
    }

    fn expand<const N: usize>(
        &self,
        label: &str,
        number: PhoneNumber,
        Challenge { nonce, expiry }: Challenge,
    ) -> [u8; N] {
        let (number, expiry) = (number.digits().to_be_bytes(), expiry.to_be_bytes());
        let mut bytes = [0; N];
        Hkdf::<Sha256>::new(None, self.0.as_slice())
            .expand_multi_info(&[label.as_bytes(), &number, &nonce, &expiry], &mut bytes)
            .expect("HKDF-SHA256 gives up to 8160 bytes");
        bytes
    }
}

impl std::fmt::Debug for Passwords {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Passwords(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_challenge_is_good_for_one_number_alone_and_as_it_was_made() {
        let passwords = Passwords(Zeroizing::new([7; 32]));
        let [number, other] = ["+6591234567", "+6591234568"].map(|text| text.parse().unwrap());
        let challenge = Challenge { nonce: [9; 16], expiry: 1_800_000_000 };
        let (text, password) = passwords.make(number, challenge);
        assert_eq!(password.len(), DIGITS);
        assert!(password.bytes().all(|digit| digit.is_ascii_digit()));
        assert_eq!(passwords.open(number, &text), Some(challenge));
        assert_eq!(passwords.open(other, &text), None);
        assert_eq!(Passwords(Zeroizing::new([8; 32])).open(number, &text), None);
        assert!(passwords.is_right(number, challenge, &password));
        assert!(!passwords.is_right(other, challenge, &password));
        for wrong in ["", "12345", &format!("{password}0"), &format!(" {password}")] {
            assert!(!passwords.is_right(number, challenge, wrong));
        }
        for at in 0..text.len() {
            let mut bad = text.clone().into_bytes();
            bad[at] = if bad[at] == b'A' { b'B' } else { b'A' };
            assert_eq!(passwords.open(number, str::from_utf8(&bad).unwrap()), None, "{at}");
        }
        assert_eq!(passwords.open(number, &text[1..]), None);
    }

    /// No password is more likely than another, as far as a thousand show.
    #[test]
    fn passwords_differ() {
        let passwords = Passwords(Zeroizing::new([7; 32]));
        let number = "+6591234567".parse().unwrap();
        let password = |expiry| {
            let challenge = Challenge { nonce: [9; 16], expiry };
            passwords.make(number, challenge).1
        };
        let all: std::collections::BTreeSet<String> = (0..1000).map(password).collect();
        assert!(all.len() > 990);
    }
}
