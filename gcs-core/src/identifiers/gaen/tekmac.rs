//! The MAC that binds the keys of a report to a certificate of their verification.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use data_encoding::BASE64;

use super::key::ExposureKey;
use crate::identifiers::secret::{Secret, hmac};

/// A key as a phone reports it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReportedKey {
    /// The key.
    pub key: ExposureKey,
    /// The transmission risk, 0 to 8; 0 if there is none.
    pub transmission_risk: u8,
}

/// The MAC of keys, `tekmac` in the certificate of a verification server: HMAC-SHA256 of
/// `key.start.period.risk` of each key, the key in base64, sorted and joined by commas.
///
/// ```
/// use gcs_core::identifiers::gaen::{ExposureKey, ReportedKey, is_tekmac, tekmac};
///
/// let key = ExposureKey::new([7; 16], 2_642_976, 144)?;
/// let keys = [ReportedKey { key, transmission_risk: 3 }];
/// let secret = [9; 16]; // The phone draws it, and sends it as `hmacKey` with the keys.
/// let mac = tekmac(&secret, &keys);
/// assert!(is_tekmac(&secret, &keys, &mac));
/// # Ok::<(), gcs_core::identifiers::gaen::ExposureKeyError>(())
/// ```
pub fn tekmac(secret: &[u8], keys: &[ReportedKey]) -> [u8; 32] {
    mac(secret, keys, true).0
}

/// Whether `mac` is the MAC of these keys. If no key has a transmission risk, the MAC may also
/// have been made without the risks, as old apps do. Without any key, nothing is. Takes the same
/// time for every MAC.
pub fn is_tekmac(secret: &[u8], keys: &[ReportedKey], mac: &[u8; 32]) -> bool {
    let without_risks = keys.iter().all(|key| key.transmission_risk == 0);
    let given = Secret(*mac);
    let is_mac = self::mac(secret, keys, true) == given;
    let is_old_mac = self::mac(secret, keys, false) == given;
    !keys.is_empty() && (is_mac | (without_risks & is_old_mac))
}

fn mac(secret: &[u8], keys: &[ReportedKey], with_risks: bool) -> Secret<32> {
    let item = |reported: &ReportedKey| {
        let ReportedKey { key, transmission_risk } = reported;
        let (data, start) = (BASE64.encode(&key.to_bytes()), key.rolling_start());
        let item = format!("{data}.{start}.{}", key.rolling_period());
        if with_risks { format!("{item}.{transmission_risk}") } else { item }
    };
    let mut items: Vec<String> = keys.iter().map(item).collect();
    items.sort_unstable();
    hmac(secret, &[items.join(",").as_bytes()])
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The keys of pkg/verification/utils_test.go of google/exposure-notifications-server.
    fn keys(risks: [u8; 2]) -> [ReportedKey; 2] {
        let key = |text: &str, start, transmission_risk| {
            let data = BASE64.decode(text.as_bytes()).unwrap().try_into().unwrap();
            ReportedKey { key: ExposureKey::new(data, start, 144).unwrap(), transmission_risk }
        };
        [
            key("z2Cx9hdz2SlxZ8GEgqTYpA==", 1, risks[0]),
            key("dPCphLzfG4uzXneNimkPRQ==", 144, risks[1]),
        ]
    }

    fn secret() -> [u8; 16] {
        core::array::from_fn(|at| at as u8 + 1)
    }

    #[test]
    fn macs_are_those_of_the_reference_implementation() {
        let decode = |text: &str| -> [u8; 32] {
            BASE64.decode(text.as_bytes()).unwrap().try_into().unwrap()
        };
        let mac = decode("2u1nHt5WWurJytFLF3xitNzM99oNrad2y4YGOL53AeY=");
        let [first, second] = keys([3, 5]);
        assert_eq!(tekmac(&secret(), &[first.clone(), second.clone()]), mac);
        assert!(is_tekmac(&secret(), &[second, first], &mac));
        let with = decode("mFNI9zhTA17n4ndd1Vu5tsn4XQX0gPrIKyjeh/9noUE=");
        let without = decode("J9S7xVebH/66dm14wGsIcAnSUR3PHD4NtDQEOGZbDUo=");
        assert_eq!(tekmac(&secret(), &keys([0, 0])), with);
        assert!(is_tekmac(&secret(), &keys([0, 0]), &with));
        assert!(is_tekmac(&secret(), &keys([0, 0]), &without));
    }

    #[test]
    fn other_macs_are_refused() {
        let mac = tekmac(&secret(), &keys([3, 5]));
        for at in 0..32 {
            let mut other = mac;
            other[at] ^= 0x10;
            assert!(!is_tekmac(&secret(), &keys([3, 5]), &other));
        }
        assert!(!is_tekmac(&[1; 16], &keys([3, 5]), &mac));
        assert!(!is_tekmac(&secret(), &keys([5, 3]), &mac));
        assert!(!is_tekmac(&secret(), &keys([3, 5])[..1], &mac));
        // Without risks only if there are none.
        let without = self::mac(&secret(), &keys([3, 0]), false).0;
        assert!(!is_tekmac(&secret(), &keys([3, 0]), &without));
        assert!(!is_tekmac(&secret(), &[], &tekmac(&secret(), &[])));
    }
}
