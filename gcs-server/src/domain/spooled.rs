//! Reports that wait in a spool because the log could not be reached, and their tracking ids.
//!
//! A server that answers 202 makes the tracking id so that every server of the deployment knows it for
//! one: 16 bytes, the last of which only the master key gives.
//!
//! ```text
//! day     u16  days since 1970, little-endian
//! random  8
//! check   6    the beginning of HKDF over the above, under the master key
//! ```

use gcs_core::DAY_SECONDS;
use gcs_core::report::{Code, Item, ItemProblem, ReceivedReport};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

use crate::domain::events::{CodeId, TrackingId};
use crate::domain::keys::DeploymentKeys;

/// Days for which a tracking id of a 202 is known for one, before the log has the report. It is less than
/// the time after which a purge may erase the report: from then on the log does not have it any more.
const KNOWN_DAYS: u64 = 3;

/// Bytes of such a tracking id before its check.
const CHECKED: usize = 10;

/// A report that was taken while the log could not be reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SpooledReport {
    /// The tracking id that the 202 gives.
    pub tracking: TrackingId,
    /// Unix time, in seconds, at which the report arrived.
    pub arrived: u64,
    /// Whether the clock could be trusted then.
    pub is_time_trusted: bool,
    /// The identity of the code.
    pub code: CodeId,
    /// Whether the last state that was known let the code bring a report.
    pub was_open: bool,
    /// The report as it was sent.
    pub report: ReceivedReport,
}

/// A report as it is kept: the payload follows from the items.
#[derive(Serialize, Deserialize)]
struct Kept<'a> {
    tracking: TrackingId,
    arrived: u64,
    is_time_trusted: bool,
    code: CodeId,
    was_open: bool,
    typed: &'a str,
    items: Vec<Result<Item, ItemProblem>>,
}

impl SpooledReport {
    /// What tells this report from every other: the same code with the same items is the same report.
    pub fn identity(&self) -> [u8; 32] {
        identity(&self.report)
    }

    /// The report as bytes.
    pub fn encode(&self) -> Vec<u8> {
        let SpooledReport { tracking, arrived, is_time_trusted, code, was_open, report } = self;
        let kept = Kept {
            tracking: *tracking,
            arrived: *arrived,
            is_time_trusted: *is_time_trusted,
            code: *code,
            was_open: *was_open,
            typed: &report.code.to_string(),
            items: report.items.clone(),
        };
        postcard::to_allocvec(&kept).expect("writing to memory does not fail")
    }

    /// Reads a report; `None` if these are not the bytes of one.
    pub fn decode(bytes: &[u8]) -> Option<SpooledReport> {
        let (kept, rest) = postcard::take_from_bytes::<Kept<'_>>(bytes).ok()?;
        let Kept { tracking, arrived, is_time_trusted, code, was_open, typed, items } = kept;
        let typed: Code = typed.parse().ok().filter(|_| rest.is_empty())?;
        let report = ReceivedReport::new(typed, items);
        Some(SpooledReport { tracking, arrived, is_time_trusted, code, was_open, report })
    }
}

/// What tells a report from every other: see [`SpooledReport::identity`].
pub fn identity(report: &ReceivedReport) -> [u8; 32] {
    let code = report.code.to_string();
    Sha256::new().chain_update(code).chain_update(report.payload).finalize().into()
}

/// The tracking id of a 202 that is given at a Unix time.
pub fn spooled_tracking(keys: &DeploymentKeys, now: u64, random: [u8; 8]) -> TrackingId {
    let day = u16::try_from(now / DAY_SECONDS).unwrap_or(u16::MAX);
    let mut tracking = TrackingId::default();
    tracking[..2].copy_from_slice(&day.to_le_bytes());
    tracking[2..CHECKED].copy_from_slice(&random);
    let check = keys.spool_tracking(&tracking[..CHECKED]);
    tracking[CHECKED..].copy_from_slice(&check[..TrackingId::default().len() - CHECKED]);
    tracking
}

/// Whether a server of this deployment made this tracking id for a 202, not long before `now`.
pub fn is_spooled_tracking(keys: &DeploymentKeys, tracking: &TrackingId, now: u64) -> bool {
    let (start, check) = tracking.split_at(CHECKED);
    let made: bool = keys.spool_tracking(start)[..check.len()].ct_eq(check).into();
    let day = u64::from(u16::from_le_bytes([tracking[0], tracking[1]]));
    made && day.saturating_add(KNOWN_DAYS) > now / DAY_SECONDS
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::keys::Secrets;
    use gcs_core::report::GaenKey;

    const NOW: u64 = 1_767_571_200;

    fn keys(master: u8) -> DeploymentKeys {
        DeploymentKeys::new(Secrets::new([1; 32], [2; 32], [master; 32]))
    }

    #[test]
    fn a_report_is_read_as_it_was_kept() {
        let code = Code::issue(&keys(3).provider(300, 1), 300, 5).unwrap();
        let items = vec![
            Ok(Item::Dp3tUnlinkable { epoch: 1_762_781, seed: [2; 32] }),
            Err(ItemProblem::SeedLength),
            Ok(Item::Dp3tLowCost { date: gcs_core::Date::of_time(NOW), key: [3; 32] }),
            Ok(Item::Tcn { date: gcs_core::Date::of_time(NOW), report: vec![4; 134] }),
            Ok(Item::Gaen(GaenKey::new([5; 16], 2_946_240, 144))),
            Err(ItemProblem::DaysSinceOnsetInvalid),
        ];
        let report = ReceivedReport::new(code, items);
        let spooled = SpooledReport {
            tracking: [4; 16],
            arrived: NOW,
            is_time_trusted: true,
            code: CodeId { provider: 300, generation: 1, serial: 5 },
            was_open: false,
            report,
        };
        let bytes = spooled.encode();
        assert_eq!(SpooledReport::decode(&bytes), Some(spooled.clone()));
        for length in 0..bytes.len() {
            assert_eq!(SpooledReport::decode(&bytes[..length]), None, "{length}");
        }
        assert_eq!(SpooledReport::decode(&[bytes.as_slice(), &[0]].concat()), None);
        let fewer = ReceivedReport::new(code, vec![Err(ItemProblem::SeedLength)]);
        assert_ne!(identity(&fewer), spooled.identity());
    }

    #[test]
    fn only_this_deployment_makes_tracking_ids_that_it_knows_and_for_three_days() {
        let tracking = spooled_tracking(&keys(3), NOW, [9; 8]);
        let is_known = |now| is_spooled_tracking(&keys(3), &tracking, now);
        assert!(is_known(NOW) && is_known(NOW - DAY_SECONDS) && is_known(NOW + 2 * DAY_SECONDS));
        assert!(!is_known(NOW + KNOWN_DAYS * DAY_SECONDS));
        assert!(!is_spooled_tracking(&keys(4), &tracking, NOW));
        for at in 0..tracking.len() {
            let mut other = tracking;
            other[at] ^= 1;
            assert!(!is_spooled_tracking(&keys(3), &other, NOW), "{at}");
        }
        assert_ne!(tracking, spooled_tracking(&keys(3), NOW, [8; 8]));
    }
}
