//! The policy: every setting that changes a published byte or what is accepted. It is in the
//! log, so that every node that has the log does the same.

mod earlier;
mod exports;

use gcs_core::identifiers::dp3t::HybridWindow;
use gcs_core::live::LiveSettings;
use gcs_core::report::{ItemRules, Kind, Kinds};
use gcs_core::{DAY_SECONDS, ENTRY_DELAY, HashRange, publish};
use serde::{Deserialize, Serialize};
use thiserror::Error;

pub use self::earlier::{FirstPolicy, FourthPolicy, SecondPolicy, ThirdPolicy};
pub use self::exports::ExportPolicy;

/// The settings of a deployment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Policy {
    /// The false-positive rate of every date stays below 2^-rate_bits; 1 to 32.
    pub rate_bits: u32,
    /// Elements that a new date is planned for at least; 1 to 100 million.
    pub expected_per_date: u32,
    /// Seconds from one tick to the next; 60 to 21600.
    pub interval: u64,
    /// Number of reports that must have elements for a date before these are published; 1 to 1000.
    pub min_reports: u32,
    /// Seconds for which elements wait for `min_reports`, at most. Then random filler takes the
    /// place of the missing reports. 0 to 86400; less where `retention_days` is 1.
    pub max_hold: u64,
    /// Days for which a date is published after its end; 1 to 28.
    pub retention_days: u32,
    /// The kinds of items that are accepted, at least one. Anyone who heard a raw element could report it.
    pub kinds: Kinds,
    /// Length of the windows of DP-3T's hybrid design in hours, 2 or 4.
    pub hybrid_hours: u32,
    /// Number of elements of one date in one report, at most; 1 to 4096.
    pub max_elements_per_date: u32,
    /// Days for which a new range of codes may be valid, at most; 1 to 730.
    pub max_code_days: u32,
    /// Number of unused codes that a provider may have at once, at most; 1 to 1000000.
    pub max_open_codes: u32,
    /// Number of filler elements that a date may have, at most; 0 to 10 million. Once it has them,
    /// elements that have waited for `max_hold` are published without more filler.
    pub max_filler: u32,
    /// The health authority whose apps publish keys as they do to the key server of Apple and Google; none
    /// does if it is empty. At most 100 bytes.
    pub gaen_authority: String,
    /// The kinds of items whose seeds are published too, beside the sets, for phones that expand seeds
    /// themselves. Everybody sees then which identifiers are one patient's. Of reports that were
    /// accepted before a kind was among them, no seeds are published.
    pub seeds: Kinds,
    /// How export files of the keys of Exposure Notification are published, for phones whose system takes only
    /// these; `None` if none are. Everybody sees then which identifiers are one patient's. Of reports that were
    /// accepted while neither this was set nor `gaen` among `seeds`, no keys are published.
    #[serde(deserialize_with = "Option::deserialize")]
    pub exports: Option<ExportPolicy>,
}

/// A setting that is out of its bounds.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{setting} is {got}; it must be {least} to {most}")]
pub struct PolicyError {
    /// Name of the setting.
    pub setting: &'static str,
    /// The smallest value that is allowed.
    pub least: u64,
    /// The largest value that is allowed.
    pub most: u64,
    /// The value that was given.
    pub got: u64,
}

impl Default for Policy {
    fn default() -> Policy {
        Policy {
            rate_bits: 20,
            expected_per_date: 1000,
            interval: 900,
            min_reports: 10,
            max_hold: 2 * 3600,
            retention_days: 14,
            kinds: Kinds::of(&[Kind::Dp3tUnlinkable]),
            hybrid_hours: HybridWindow::FourHours.hours(),
            max_elements_per_date: 512,
            max_code_days: 400,
            max_open_codes: 100_000,
            max_filler: 100_000,
            gaen_authority: String::new(),
            seeds: Kinds::default(),
            exports: None,
        }
    }
}

impl Policy {
    /// Whether every setting is within its bounds.
    ///
    /// # Errors
    /// The first setting that is out of its bounds.
    pub fn validate(&self) -> Result<(), PolicyError> {
        let kinds = self.kinds.iter().count() as u64;
        let authority = self.gaen_authority.len() as u64;
        let unlisted = self.seeds.iter().filter(|kind| kind.seeds().is_none()).count() as u64;
        let bounds: [(&'static str, u64, u64, u64); 14] = [
            ("rate_bits", self.rate_bits.into(), 1, 32),
            ("expected_per_date", self.expected_per_date.into(), 1, 100_000_000),
            ("interval", self.interval, 60, 21_600),
            ("min_reports", self.min_reports.into(), 1, 1000),
            ("max_hold", self.max_hold, 0, 86_400),
            ("retention_days", self.retention_days.into(), 1, 28),
            ("kinds (their number)", kinds, 1, Kind::ALL.len() as u64),
            ("hybrid_hours (2 or 4)", self.hybrid_hours.into(), 2, 4),
            ("max_elements_per_date", self.max_elements_per_date.into(), 1, 4096),
            ("max_code_days", self.max_code_days.into(), 1, 730),
            ("max_open_codes", self.max_open_codes.into(), 1, 1_000_000),
            ("max_filler", self.max_filler.into(), 0, 10_000_000),
            ("gaen_authority (its length)", authority, 0, 100),
            ("seeds (the number of kinds without seeds)", unlisted, 0, 0),
        ];
        match bounds.into_iter().find(|(_, got, least, most)| !(least..=most).contains(&got)) {
            Some((setting, got, least, most)) => Err(PolicyError { setting, least, most, got }),
            None if self.hybrid_hours == 3 => {
                let setting = "hybrid_hours (2 or 4)";
                Err(PolicyError { setting, least: 2, most: 4, got: 3 })
            }
            None => {
                self.validate_plan()?;
                self.validate_delay()?;
                self.exports.iter().try_for_each(ExportPolicy::validate)
            }
        }
    }

    /// The kinds of items whose seeds are kept of new reports.
    pub(crate) fn listed(&self) -> Kinds {
        let exported = self.exports.as_ref().map(|_| Kind::Gaen);
        let listed: Vec<Kind> = self.seeds.iter().chain(exported).collect();
        Kinds::of(&listed)
    }

    /// Makes sure that what is accepted on its date can be published before the date expires.
    fn validate_delay(&self) -> Result<(), PolicyError> {
        let kept = u64::from(self.retention_days) * DAY_SECONDS;
        if ENTRY_DELAY + self.publication_delay() < kept {
            return Ok(());
        }
        Err(PolicyError {
            setting: "max_hold (at this interval and retention_days)",
            least: 0,
            most: kept - ENTRY_DELAY - 2 * self.interval - 1,
            got: self.max_hold,
        })
    }

    /// Seconds that pass at most until an element is published: the longest hold, and the time
    /// from one tick to the next. That is up to two intervals, since every slot of an interval has
    /// a tick, somewhere in it.
    fn publication_delay(&self) -> u64 {
        self.live().longest_hold() + 2 * self.interval
    }

    /// Makes sure that the hash range of a date of twice the planned size is below 2^53.
    fn validate_plan(&self) -> Result<(), PolicyError> {
        let fits = |expected: u32| {
            let planned = HashRange::for_expected(expected, self.rate_bits);
            planned.is_ok_and(|planned| planned <= HashRange::MAX_PUBLISHED)
        };
        if fits(self.expected_per_date.saturating_mul(2)) {
            return Ok(());
        }
        let most = (0..32).rev().map(|bits| (1u32 << bits) / 2).find(|most| fits(most * 2));
        Err(PolicyError {
            setting: "expected_per_date (at this rate_bits)",
            least: 1,
            most: most.unwrap_or(1).into(),
            got: self.expected_per_date.into(),
        })
    }

    /// The settings that decide which items of a report are accepted.
    pub(crate) fn items(&self) -> ItemRules {
        ItemRules {
            retention_days: self.retention_days,
            publication_delay: self.publication_delay(),
            kinds: self.kinds,
            hybrid: match self.hybrid_hours {
                2 => HybridWindow::TwoHours,
                _ => HybridWindow::FourHours,
            },
            max_elements_per_date: self.max_elements_per_date,
        }
    }

    /// The settings that decide when elements are published, and for how long.
    pub(crate) fn live(&self) -> LiveSettings {
        LiveSettings {
            min_reports: self.min_reports,
            max_hold: self.max_hold,
            retention_days: self.retention_days,
            max_filler: self.max_filler,
        }
    }

    /// Number of filler elements that one report alone can bring to a date, at most.
    pub fn filler_of_one_report(&self) -> u64 {
        let missing = u64::from(self.min_reports.saturating_sub(1));
        (missing * u64::from(self.max_elements_per_date)).min(self.max_filler.into())
    }

    /// The settings that the publisher needs.
    pub(crate) fn publish(&self) -> publish::PublisherSettings {
        publish::PublisherSettings {
            rate_bits: self.rate_bits,
            expected_per_date: self.expected_per_date,
            interval: self.interval,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_are_named() {
        assert_eq!(Policy::default().validate(), Ok(()));
        let error = Policy { retention_days: 29, ..Policy::default() }.validate().unwrap_err();
        assert_eq!(error.to_string(), "retention_days is 29; it must be 1 to 28");
        for hybrid_hours in [0, 1, 3, 5] {
            let error = Policy { hybrid_hours, ..Policy::default() }.validate().unwrap_err();
            assert_eq!(error.got, u64::from(hybrid_hours));
        }
        assert!(Policy { kinds: Kinds::default(), ..Policy::default() }.validate().is_err());
        assert!(
            Policy { gaen_authority: "x".repeat(101), ..Policy::default() }.validate().is_err()
        );
        let lists = [Kind::Dp3tLowCost, Kind::Dp3tHybrid, Kind::Gaen];
        for kind in Kind::ALL {
            let policy = Policy { seeds: Kinds::of(&[kind]), ..Policy::default() };
            assert_eq!(policy.validate().is_ok(), lists.contains(&kind), "{kind}");
        }
        let fine = Policy { rate_bits: 32, expected_per_date: 500_000, ..Policy::default() };
        assert_eq!(fine.validate(), Ok(()));
        let error = Policy { expected_per_date: 1_500_000, ..fine }.validate().unwrap_err();
        assert!(error.to_string().starts_with("expected_per_date (at this rate_bits)"), "{error}");
        let short = Policy { retention_days: 1, max_hold: 77_399, ..Policy::default() };
        assert_eq!(short.validate(), Ok(()));
        let error = Policy { max_hold: 77_400, ..short.clone() }.validate().unwrap_err();
        assert_eq!(
            error.to_string(),
            "max_hold (at this interval and retention_days) is 77400; it must be 0 to 77399"
        );
        assert_eq!(Policy { max_hold: 86_400, min_reports: 1, ..short }.validate(), Ok(()));
    }
}
