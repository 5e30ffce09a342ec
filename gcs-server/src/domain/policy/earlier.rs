//! The policy as earlier releases wrote it.

use gcs_core::report::{Kind, Kinds};
use serde::{Deserialize, Serialize};

use super::Policy;

/// The settings as they were before `exports`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "they are those of `Policy`")]
pub struct FourthPolicy {
    pub rate_bits: u32,
    pub expected_per_date: u32,
    pub interval: u64,
    pub min_reports: u32,
    pub max_hold: u64,
    pub retention_days: u32,
    pub kinds: Kinds,
    pub hybrid_hours: u32,
    pub max_elements_per_date: u32,
    pub max_code_days: u32,
    pub max_open_codes: u32,
    pub max_filler: u32,
    pub gaen_authority: String,
    pub seeds: Kinds,
}

impl From<FourthPolicy> for Policy {
    fn from(fourth: FourthPolicy) -> Policy {
        Policy {
            rate_bits: fourth.rate_bits,
            expected_per_date: fourth.expected_per_date,
            interval: fourth.interval,
            min_reports: fourth.min_reports,
            max_hold: fourth.max_hold,
            retention_days: fourth.retention_days,
            kinds: fourth.kinds,
            hybrid_hours: fourth.hybrid_hours,
            max_elements_per_date: fourth.max_elements_per_date,
            max_code_days: fourth.max_code_days,
            max_open_codes: fourth.max_open_codes,
            max_filler: fourth.max_filler,
            gaen_authority: fourth.gaen_authority,
            seeds: fourth.seeds,
            ..Policy::default()
        }
    }
}

/// The settings as they were before `seeds`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "they are those of `Policy`")]
pub struct ThirdPolicy {
    pub rate_bits: u32,
    pub expected_per_date: u32,
    pub interval: u64,
    pub min_reports: u32,
    pub max_hold: u64,
    pub retention_days: u32,
    pub kinds: Kinds,
    pub hybrid_hours: u32,
    pub max_elements_per_date: u32,
    pub max_code_days: u32,
    pub max_open_codes: u32,
    pub max_filler: u32,
    pub gaen_authority: String,
}

impl From<ThirdPolicy> for Policy {
    fn from(third: ThirdPolicy) -> Policy {
        Policy {
            rate_bits: third.rate_bits,
            expected_per_date: third.expected_per_date,
            interval: third.interval,
            min_reports: third.min_reports,
            max_hold: third.max_hold,
            retention_days: third.retention_days,
            kinds: third.kinds,
            hybrid_hours: third.hybrid_hours,
            max_elements_per_date: third.max_elements_per_date,
            max_code_days: third.max_code_days,
            max_open_codes: third.max_open_codes,
            max_filler: third.max_filler,
            gaen_authority: third.gaen_authority,
            ..Policy::default()
        }
    }
}

/// The settings as they were before `kinds`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "they are those of `Policy`")]
pub struct SecondPolicy {
    pub rate_bits: u32,
    pub expected_per_date: u32,
    pub interval: u64,
    pub min_reports: u32,
    pub max_hold: u64,
    pub retention_days: u32,
    pub raw: bool,
    pub max_items_per_date: u32,
    pub max_code_days: u32,
    pub max_open_codes: u32,
    pub max_filler: u32,
}

impl From<SecondPolicy> for Policy {
    /// Every item had one element then.
    fn from(second: SecondPolicy) -> Policy {
        let seeds = Kinds::of(&[Kind::Dp3tUnlinkable]);
        let all = Kinds::of(&[Kind::Dp3tUnlinkable, Kind::Raw]);
        Policy {
            rate_bits: second.rate_bits,
            expected_per_date: second.expected_per_date,
            interval: second.interval,
            min_reports: second.min_reports,
            max_hold: second.max_hold,
            retention_days: second.retention_days,
            kinds: if second.raw { all } else { seeds },
            max_elements_per_date: second.max_items_per_date,
            max_code_days: second.max_code_days,
            max_open_codes: second.max_open_codes,
            max_filler: second.max_filler,
            ..Policy::default()
        }
    }
}

/// The settings as they were before `max_filler`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "they are those of `Policy`")]
pub struct FirstPolicy {
    pub rate_bits: u32,
    pub expected_per_date: u32,
    pub interval: u64,
    pub min_reports: u32,
    pub max_hold: u64,
    pub retention_days: u32,
    pub raw: bool,
    pub max_items_per_date: u32,
    pub max_code_days: u32,
    pub max_open_codes: u32,
}

impl From<FirstPolicy> for Policy {
    fn from(first: FirstPolicy) -> Policy {
        SecondPolicy {
            rate_bits: first.rate_bits,
            expected_per_date: first.expected_per_date,
            interval: first.interval,
            min_reports: first.min_reports,
            max_hold: first.max_hold,
            retention_days: first.retention_days,
            raw: first.raw,
            max_items_per_date: first.max_items_per_date,
            max_code_days: first.max_code_days,
            max_open_codes: first.max_open_codes,
            // What was published then must be computed again byte for byte.
            max_filler: u32::MAX,
        }
        .into()
    }
}
