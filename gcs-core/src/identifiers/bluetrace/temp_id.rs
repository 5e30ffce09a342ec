//! TempIDs: what phones broadcast, and what is in them.

use core::fmt;
use core::str::FromStr;

use data_encoding::BASE64;

use super::cipher::{Cipher, IV_LEN, TAG_LEN};
use super::error::TempIdError;
use super::keys::TempIdKey;
use super::user::UserId;
use crate::base64;

/// Length of a TempID's content in bytes.
const CONTENT_LEN: usize = 29;

/// A TempID as it is broadcast, 61 bytes:
///
/// ```text
///  0  29  content, encrypted
/// 29  16  IV
/// 45  16  tag
/// ```
///
/// Shown and parsed as 84 characters of padded base64 (RFC 4648, section 4), of which there is
/// exactly one for each TempID. OpenTrace's decoder reads more spellings, and so do not compare
/// texts, but these bytes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TempId(pub [u8; TempId::LEN]);

/// What an authority reads in a TempID, 29 bytes:
///
/// ```text
///  0  21  UserID
/// 21   4  start, big-endian
/// 25   4  expiry, big-endian
/// ```
///
/// OpenTrace has the times signed, so it mints none that expire after 2038-01-19. The same bytes
/// are read as unsigned here, and last until 2106.
///
/// ```
/// use gcs_core::identifiers::bluetrace::{TempIdKey, TempIdContent, UserId};
///
/// let key = TempIdKey::new([7; 32]);
/// let content =
///     TempIdContent { user: UserId([1; 21]), start: 1_585_999_940, expiry: 1_586_000_840 };
/// let temp_id = content.encrypt(&key, [9; 16]); // In a real server: a random IV, never twice.
/// assert_eq!(temp_id.to_string().len(), 84);
/// assert_eq!(temp_id.decrypt(&key), Some(content));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TempIdContent {
    /// Whose it is.
    pub user: UserId,
    /// Unix time in seconds from which it is valid.
    pub start: u32,
    /// Unix time in seconds until which it is valid, inclusive.
    pub expiry: u32,
}

impl TempIdContent {
    /// The TempID of this content, encrypted with AES-256-GCM. Under one key, no IV may be used
    /// for two contents. ([`KeyRing`](super::KeyRing) chooses keys and IVs itself.)
    pub fn encrypt(&self, key: &TempIdKey, iv: [u8; 16]) -> TempId {
        self.seal(&Cipher::new(&key.0.0), iv)
    }

    pub(super) fn seal(&self, cipher: &Cipher, iv: [u8; IV_LEN]) -> TempId {
        match cipher.seal(iv, &self.to_bytes()).try_into() {
            Ok(bytes) => TempId(bytes),
            Err(_) => unreachable!("what is sealed is 32 bytes longer"),
        }
    }

    /// Whether it is valid at a Unix time in milliseconds; both ends are.
    pub fn is_valid_at(&self, time_ms: u64) -> bool {
        (u64::from(self.start) * 1000..=u64::from(self.expiry) * 1000).contains(&time_ms)
    }

    pub(super) fn to_bytes(self) -> [u8; CONTENT_LEN] {
        let mut bytes = [0; CONTENT_LEN];
        bytes[..21].copy_from_slice(&self.user.0);
        bytes[21..25].copy_from_slice(&self.start.to_be_bytes());
        bytes[25..].copy_from_slice(&self.expiry.to_be_bytes());
        bytes
    }

    fn from_bytes(bytes: &[u8]) -> Option<TempIdContent> {
        let (user, times) = bytes.split_first_chunk()?;
        let (start, expiry) = times.split_first_chunk()?;
        Some(TempIdContent {
            user: UserId(*user),
            start: u32::from_be_bytes(*start),
            expiry: u32::from_be_bytes(expiry.try_into().ok()?),
        })
    }
}

impl TempId {
    /// Length in bytes.
    pub const LEN: usize = CONTENT_LEN + IV_LEN + TAG_LEN;

    /// Length of its text in characters.
    pub const TEXT_LEN: usize = TempId::LEN.div_ceil(3) * 4;

    /// Its content; `None` if it was not made with this key.
    pub fn decrypt(&self, key: &TempIdKey) -> Option<TempIdContent> {
        self.open(&Cipher::new(&key.0.0))
    }

    pub(super) fn open(&self, cipher: &Cipher) -> Option<TempIdContent> {
        TempIdContent::from_bytes(&cipher.open(&self.0)?)
    }
}

impl fmt::Display for TempId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&BASE64.encode(&self.0))
    }
}

impl fmt::Debug for TempId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for TempId {
    type Err = TempIdError;

    fn from_str(text: &str) -> Result<TempId, TempIdError> {
        if text.len() != TempId::TEXT_LEN {
            return Err(TempIdError::Length { expected: TempId::TEXT_LEN, got: text.len() });
        }
        let bytes = base64::decode(text).and_then(|bytes| bytes.try_into().ok());
        bytes.map(TempId).ok_or(TempIdError::Base64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::format;
    use alloc::string::{String, ToString};
    use proptest::prelude::*;

    fn key() -> TempIdKey {
        TempIdKey::new(core::array::from_fn(|at| at as u8))
    }

    const TEXT: &str =
        "+TSeXRWD9t5A6QtkT9bHOa8XXHh4zk5PpsW59aY3Es0zji5DGcW6JA6QZ+xQNNND48qVehi/zX4JYnRTQQ==";

    #[test]
    fn every_one_of_61_bytes_flipped_is_refused() {
        let id: TempId = TEXT.parse().unwrap();
        let content = id.decrypt(&key()).unwrap();
        assert_eq!((content.start, content.expiry), (1_585_999_940, 1_586_000_840));
        for (at, bit) in (0..TempId::LEN).flat_map(|at| (0..8).map(move |bit| (at, bit))) {
            let mut other = id;
            other.0[at] ^= 1 << bit;
            assert_eq!(other.decrypt(&key()), None, "bit {bit} of byte {at}");
        }
    }

    #[test]
    fn a_tempid_has_one_spelling() {
        let length = |got| Err(TempIdError::Length { expected: 84, got });
        let of_length = |length| BASE64.encode(&alloc::vec![5; length]).parse::<TempId>();
        assert!(of_length(61).is_ok());
        assert_eq!(of_length(60), length(80)); // 60 bytes need no padding,
        assert_eq!(of_length(62), Err(TempIdError::Base64)); // 62 bytes need as much text.
        assert_eq!(of_length(63), Err(TempIdError::Base64));
        assert_eq!(of_length(64), length(88));
        let unpadded = TEXT.trim_end_matches('=');
        for (text, error) in [
            (TEXT.replace('+', "-").replace('/', "_"), Err(TempIdError::Base64)),
            (unpadded.to_string(), length(82)),
            (format!("{unpadded}=A"), Err(TempIdError::Base64)),
            (format!("{unpadded}=\n"), Err(TempIdError::Base64)),
            (format!("{TEXT}AA=="), length(88)),
            (format!("{TEXT}\n"), length(85)),
            (TEXT.replace("QQ==", "QR=="), Err(TempIdError::Base64)),
            (TEXT.replacen('+', " ", 1), Err(TempIdError::Base64)),
            (TEXT.replacen("+TSe", "+T==", 1), Err(TempIdError::Base64)),
            (String::new(), length(0)),
        ] {
            assert_eq!(text.parse::<TempId>(), error, "{text}");
        }
    }

    #[test]
    fn times_after_2038_are_read_without_a_panic() {
        for (start, expiry) in [(2_147_483_000, 2_147_483_900), (u32::MAX - 900, u32::MAX), (9, 3)]
        {
            let content = TempIdContent { user: UserId([1; 21]), start, expiry };
            assert_eq!(content.encrypt(&key(), [0; 16]).decrypt(&key()), Some(content));
            assert_eq!(content.is_valid_at(u64::from(start) * 1000), start < expiry);
        }
    }

    proptest! {
        #[test]
        fn contents_round_trip(user: [u8; 21], start: u32, expiry: u32, iv: [u8; 16], key: [u8; 32]) {
            let (content, key) = (TempIdContent { user: UserId(user), start, expiry }, TempIdKey::new(key));
            let id = content.encrypt(&key, iv);
            prop_assert_eq!(&id.0[29..45], &iv);
            prop_assert_eq!(id.decrypt(&key), Some(content));
            prop_assert_eq!(id.to_string().parse(), Ok(id));
            prop_assert_eq!(id.decrypt(&TempIdKey::new([0; 32])), None);
        }

        #[test]
        fn both_edges_are_valid(start in 1u32..u32::MAX - 900, before in 1u64..1000) {
            let content = TempIdContent { user: UserId([1; 21]), start, expiry: start + 900 };
            let (from, to) = (u64::from(start) * 1000, u64::from(start + 900) * 1000);
            prop_assert!(content.is_valid_at(from) && content.is_valid_at(to));
            prop_assert!(!content.is_valid_at(from - before) && !content.is_valid_at(to + before));
        }
    }
}
