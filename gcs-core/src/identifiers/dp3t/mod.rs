//! DP-3T: how elements are made of reported seeds and of identifiers heard, in its three designs
//! (white paper of 25 May 2020).
//!
//! | design | a patient reports | a phone hears | it keeps | element |
//! |---|---|---|---|---|
//! | unlinkable (section 3) | a seed for each epoch | EphID | the element | SHA-256(EphID ‖ epoch) |
//! | low-cost (section 2) | the key of one day, from which later ones follow | EphID | EphID and date | day ‖ EphID |
//! | hybrid (section 4) | a seed for each window of 2 or 4 hours | EphID | EphID and window | window ‖ EphID |
//!
//! In all of them a phone broadcasts ephemeral identifiers (EphIDs) of 16 bytes, one for each
//! epoch of 15 minutes. A patient reports what only the phone knows that broadcast, so identifiers
//! that somebody else recorded cannot be reported.
//!
//! In the unlinkable design nobody can tell which identifiers are one patient's. In the others
//! whoever has the reported key or seed can: for a window in the hybrid design, for all days from the
//! first on in the low-cost design, whose key gives all later ones. A set of their elements does not show it.
//!
//! ```
//! use gcs_core::identifiers::dp3t;
//!
//! let seed = [7; 32];
//! let epoch = dp3t::epoch_of(1_586_502_900).unwrap();
//! // A phone computes from what it hears the same element as a backend from the seed.
//! let heard = dp3t::ephemeral_id(&seed);
//! assert_eq!(dp3t::heard_element(&heard, epoch), dp3t::unlinkable_element(&seed, epoch));
//! ```

mod hybrid;
mod low_cost;
mod seed;

pub use self::hybrid::{HybridSeed, HybridWindow};
pub use self::low_cost::{DayKey, low_cost_element, low_cost_sighting_elements};
pub use self::seed::{DayKeys, WindowSeed};

use super::secret::hmac;
use crate::digest::Digest;

/// Length of an epoch in seconds.
pub const EPOCH_SECONDS: u64 = 900;

/// Number of epochs in a day.
pub const EPOCHS_A_DAY: u32 = 96;

/// How far the clocks of two phones may be apart in seconds, for
/// [`sighting_elements`].
pub const CLOCK_TOLERANCE: u64 = 120;

/// The epoch of a Unix time in seconds, counted from 1970; `None` beyond the year 124000.
pub fn epoch_of(time: u64) -> Option<u32> {
    u32::try_from(time / EPOCH_SECONDS).ok()
}

/// EphID = LEFTMOST128(SHA-256(seed)): what a phone broadcasts.
pub fn ephemeral_id(seed: &[u8; 32]) -> [u8; 16] {
    let mut id = [0; 16];
    id.copy_from_slice(&Digest::of(seed).0[..16]);
    id
}

/// SHA-256(EphID ‖ epoch as a big-endian u32): the element that a phone keeps and tests
/// when it has heard an identifier in an epoch.
pub fn heard_element(ephemeral_id: &[u8; 16], epoch: u32) -> [u8; 32] {
    Digest::of_parts(&[ephemeral_id, &epoch.to_be_bytes()]).0
}

/// The elements that an identifier heard at a Unix time may stand for: one, or two if an epoch
/// begins or ends within [`CLOCK_TOLERANCE`] of it. The clock of the phone that broadcast decides
/// which epoch counts, and the other phone cannot know it. A phone keeps all of them, and gives
/// each to a client as heard at that time.
///
/// ```
/// use gcs_core::identifiers::dp3t;
///
/// let (seed, epoch) = ([7; 32], dp3t::epoch_of(1_586_502_900).unwrap());
/// let element = dp3t::unlinkable_element(&seed, epoch);
/// // A phone whose clock is 30 seconds ahead hears the identifier in its own next epoch.
/// let heard_at = (u64::from(epoch) + 1) * dp3t::EPOCH_SECONDS + 29;
/// let elements: Vec<_> =
///     dp3t::sighting_elements(&dp3t::ephemeral_id(&seed), heard_at).collect();
/// assert!(elements.len() == 2 && elements.contains(&element));
/// ```
pub fn sighting_elements(
    ephemeral_id: &[u8; 16],
    time: u64,
) -> impl Iterator<Item = [u8; 32]> + use<> {
    let id = *ephemeral_id;
    let first = epoch_of(time.saturating_sub(CLOCK_TOLERANCE)).unwrap_or(u32::MAX);
    let last = epoch_of(time.saturating_add(CLOCK_TOLERANCE)).unwrap_or(u32::MAX);
    (first..=last).map(move |epoch| heard_element(&id, epoch))
}

/// The element of a reported seed.
pub fn unlinkable_element(seed: &[u8; 32], epoch: u32) -> [u8; 32] {
    heard_element(&ephemeral_id(seed), epoch)
}

/// The EphIDs that follow from a secret: AES-256-CTR under HMAC-SHA256(secret, label), whose
/// counter begins at 0, gives 16 bytes for each. Their order is not that of the broadcast: phones
/// shuffle them.
fn expand(secret: &[u8], label: &[u8], count: usize) -> impl Iterator<Item = [u8; 16]> + use<> {
    use aes::cipher::{KeyIvInit as _, StreamCipher as _};
    let key = hmac(secret, &[label]);
    let mut stream = ctr::Ctr128BE::<aes::Aes256>::new((&key.0).into(), &[0; 16].into());
    (0..count).map(move |_| {
        let mut id = [0; 16];
        stream.apply_keystream(&mut id);
        id
    })
}

/// A number as a big-endian u32, then an EphID: an element of the low-cost and hybrid designs.
fn numbered(number: u32, ephemeral_id: &[u8; 16]) -> [u8; 20] {
    let mut element = [0; 20];
    element[..4].copy_from_slice(&number.to_be_bytes());
    element[4..].copy_from_slice(ephemeral_id);
    element
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;

    /// From DP-3T's reference implementation.
    #[test]
    fn elements_are_those_of_the_reference_implementation() {
        let hex = data_encoding::HEXLOWER;
        let seed = b"eaa2054637009757b9988b28998209d253eede69345f835bb91b3b333108d229";
        let seed: [u8; 32] = hex.decode(seed).unwrap().try_into().unwrap();
        assert_eq!(hex.encode(&ephemeral_id(&seed)), "b7b1d06cd81686669aeea51e9f4723b5");
        assert_eq!(
            hex.encode(&unlinkable_element(&seed, 1_762_781)),
            "93e8cffb4f828baf9e36b658ab8988b9afd39bec9f95b24930768157148adcc9"
        );
        assert_eq!(
            hex.encode(&unlinkable_element(&seed, 1_763_386)),
            "db1e699e198e3cc2791416dcb2db7b97b2b7f783b93534910bee1d74f02d9921"
        );
    }
    #[test]
    fn a_sighting_near_the_edge_of_an_epoch_has_two_elements() {
        let id = [3; 16];
        let start = 1_762_781 * EPOCH_SECONDS;
        let epochs = |time: u64| {
            let found: Vec<_> = sighting_elements(&id, time).collect();
            let of = |element| {
                (1_762_779..1_762_784).find(|epoch| heard_element(&id, *epoch) == element)
            };
            found.into_iter().map(|element| of(element).unwrap()).collect::<Vec<_>>()
        };
        assert_eq!(epochs(start), [1_762_780, 1_762_781]);
        assert_eq!(epochs(start + 119), [1_762_780, 1_762_781]);
        assert_eq!(epochs(start + 120), [1_762_781]);
        assert_eq!(epochs(start + 779), [1_762_781]);
        assert_eq!(epochs(start + 780), [1_762_781, 1_762_782]);
        assert_eq!(sighting_elements(&id, 0).count(), 1);
        assert_eq!(sighting_elements(&id, u64::MAX).count(), 1);
    }
}
