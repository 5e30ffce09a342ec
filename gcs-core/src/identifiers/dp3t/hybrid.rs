//! The hybrid design: one seed for some hours.

use super::{CLOCK_TOLERANCE, EPOCH_SECONDS, expand, numbered};
use crate::identifiers::secret::Secret;

/// How long a seed of the hybrid design is used. An app and its backend agree on one for ever:
/// windows of another length have other numbers.
///
/// ```
/// use gcs_core::identifiers::dp3t::{HybridSeed, HybridWindow};
///
/// let windows = HybridWindow::FourHours;
/// let time = 1_586_502_900;
/// let seed = HybridSeed::new([7; 16]);
/// let heard = seed.ephemeral_ids(windows).nth(5).unwrap();
/// let published: Vec<_> = seed.elements(windows, windows.of_time(time).unwrap()).collect();
/// assert_eq!(published.len(), 16);
/// assert!(windows.sighting_elements(&heard, time).any(|probe| published.contains(&probe)));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum HybridWindow {
    /// Two hours: 8 EphIDs a seed.
    TwoHours,
    /// Four hours: 16 EphIDs a seed.
    FourHours,
}

impl HybridWindow {
    /// Its length in seconds.
    pub const fn seconds(self) -> u64 {
        match self {
            HybridWindow::TwoHours => 7_200,
            HybridWindow::FourHours => 14_400,
        }
    }

    /// Its length in hours: 2 or 4.
    pub const fn hours(self) -> u32 {
        (self.seconds() / 3_600) as u32
    }

    /// Number of epochs in it, and so of EphIDs of a seed.
    pub const fn epochs(self) -> u32 {
        (self.seconds() / EPOCH_SECONDS) as u32
    }

    /// The window of a Unix time in seconds, counted from 1970; `None` beyond the
    /// year 980000, or 1960000 for windows of four hours.
    pub fn of_time(self, time: u64) -> Option<u32> {
        u32::try_from(time / self.seconds()).ok()
    }

    /// The element of an EphID heard in a window: the window as a big-endian u32, then the EphID.
    /// A phone keeps the EphID and the window, which is the same.
    pub fn element(self, ephemeral_id: &[u8; 16], window: u32) -> [u8; 20] {
        numbered(window, ephemeral_id)
    }

    /// The elements that an EphID heard at a Unix time may stand for: one, or two if a window
    /// begins or ends within [`CLOCK_TOLERANCE`] of it.
    pub fn sighting_elements(
        self,
        ephemeral_id: &[u8; 16],
        time: u64,
    ) -> impl Iterator<Item = [u8; 20]> + use<> {
        let id = *ephemeral_id;
        let first = self.of_time(time.saturating_sub(CLOCK_TOLERANCE)).unwrap_or(u32::MAX);
        let last = self.of_time(time.saturating_add(CLOCK_TOLERANCE)).unwrap_or(u32::MAX);
        (first..=last).map(move |window| self.element(&id, window))
    }
}

/// The seed of one window in the hybrid design. Seeds of two windows have nothing in common, so a
/// patient can leave some out. Its memory is wiped when dropped; `Debug` shows nothing of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HybridSeed(Secret<16>);

impl HybridSeed {
    /// The seed of these 16 bytes.
    pub fn new(seed: [u8; 16]) -> HybridSeed {
        HybridSeed(Secret(seed))
    }

    /// The 16 bytes of the seed.
    pub fn to_bytes(&self) -> [u8; 16] {
        self.0.0
    }

    /// Its EphIDs, in the order in which they are derived, which is not that of the broadcast:
    /// AES-256-CTR under HMAC-SHA256(seed, "DP3T-HYBRID").
    pub fn ephemeral_ids(&self, windows: HybridWindow) -> impl Iterator<Item = [u8; 16]> + use<> {
        expand(&self.0.0, b"DP3T-HYBRID", windows.epochs() as usize)
    }

    /// Its elements, if it was used in this window.
    pub fn elements(
        &self,
        windows: HybridWindow,
        window: u32,
    ) -> impl Iterator<Item = [u8; 20]> + use<> {
        self.ephemeral_ids(windows).map(move |id| windows.element(&id, window))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::format;
    use alloc::vec::Vec;
    use data_encoding::HEXLOWER;
    use proptest::prelude::*;

    /// From the white paper's formula, as another program computes it; the reference
    /// implementation has no hybrid design.
    #[test]
    fn hybrid_ephids_are_those_of_another_program() {
        let seed = HybridSeed::new(core::array::from_fn(|at| at as u8));
        let ids: Vec<_> = seed.ephemeral_ids(HybridWindow::TwoHours).collect();
        assert_eq!(ids.len(), 8);
        assert_eq!(HEXLOWER.encode(&ids[0]), "81ca1d81363b72270daf987c79bf5e02");
        assert_eq!(HEXLOWER.encode(&ids[1]), "7f46f1e1e9a6206ed1fdda91fff194b1");
        assert_eq!(HEXLOWER.encode(&ids[7]), "14644c38a085d048a4d1fd7d0cc55625");
        let long: Vec<_> = seed.ephemeral_ids(HybridWindow::FourHours).collect();
        assert_eq!((long.len(), &long[..8]), (16, &ids[..]));
        assert_eq!(format!("{seed:?}"), "HybridSeed(..)");
        // The vector of FORMAT.md, section 13.
        let element = seed.elements(HybridWindow::TwoHours, 220_348).next().unwrap();
        assert_eq!(HEXLOWER.encode(&element), "00035cbc81ca1d81363b72270daf987c79bf5e02");
    }

    #[test]
    fn a_sighting_near_the_edge_of_a_window_has_two_elements() {
        for windows in [HybridWindow::TwoHours, HybridWindow::FourHours] {
            let of = |time| {
                let number = |e: [u8; 20]| u32::from_be_bytes(e[..4].try_into().unwrap());
                windows.sighting_elements(&[3; 16], time).map(number).collect::<Vec<_>>()
            };
            let start = 200_000 * windows.seconds();
            assert_eq!(of(start + 119), [199_999, 200_000]);
            assert_eq!(of(start + 120), [200_000]);
            assert_eq!(of(start + windows.seconds() - 121), [200_000]);
            assert_eq!(of(start + windows.seconds() - 120), [200_000, 200_001]);
            assert_eq!(of(0), [0]);
            assert_eq!(of(u64::MAX), [u32::MAX]);
        }
    }

    proptest! {
        #[test]
        fn what_is_heard_is_found(seed: [u8; 16], four: bool, window in 1u32..400_000, at in 0usize..8, seconds in 0u64..7_200, skew in 0u64..240) {
            let windows = if four { HybridWindow::FourHours } else { HybridWindow::TwoHours };
            let seed = HybridSeed::new(seed);
            let heard = seed.ephemeral_ids(windows).nth(at).unwrap();
            let time = u64::from(window) * windows.seconds() + seconds + skew - 120;
            let elements: Vec<_> = seed.elements(windows, window).collect();
            prop_assert!(windows.sighting_elements(&heard, time).any(|probe| elements.contains(&probe)));
            prop_assert!(!elements.contains(&windows.element(&heard, window + 1)));
        }
    }
}
