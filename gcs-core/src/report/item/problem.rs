//! What can be wrong with an item.

use serde::{Deserialize, Serialize};

#[cfg(doc)]
use super::{MAX_PER_UNIT, MAX_TCN_NUMBERS};

/// Why an item was not accepted. The other items of its report may still be accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ItemProblem {
    /// It is not an object, or has members that its kind does not have.
    Shape,
    /// `seed` is not as long as a seed of its kind.
    SeedLength,
    /// `element` is not 16 to 64 bytes.
    ElementLength,
    /// Raw elements are not accepted here. Reports of before there were [`Kinds`](super::Kinds) have
    /// it; today it is [`KindNotAllowed`](ItemProblem::KindNotAllowed).
    RawNotAllowed,
    /// The date has expired, or may have before the item could be published.
    DateTooOld,
    /// It begins in the future.
    DateInFuture,
    /// The elements of the report would be more for one date than are allowed.
    TooManyForDate,
    /// The report has more than [`MAX_PER_UNIT`] seeds of the epoch.
    TooManyForEpoch,
    /// `kind` is missing or not known.
    KindUnknown,
    /// `epoch` is missing or not a whole number below 2^32.
    EpochInvalid,
    /// `seed` is missing or not base64.
    SeedInvalid,
    /// `date` is missing or not a date as YYYY-MM-DD.
    DateInvalid,
    /// `element` is missing or not base64.
    ElementInvalid,
    /// Items of this kind are not accepted here.
    KindNotAllowed,
    /// `key` is missing or not base64.
    KeyInvalid,
    /// `key` is not as long as a key of its kind.
    KeyLength,
    /// `window` is missing or not a whole number below 2^32.
    WindowInvalid,
    /// `hours` is missing or neither 2 nor 4.
    HoursInvalid,
    /// Windows of so many hours are not accepted here.
    HoursNotAllowed,
    /// The window has not ended.
    WindowOpen,
    /// The report has more than [`MAX_PER_UNIT`] seeds of the window.
    TooManyForWindow,
    /// The report has more than [`MAX_PER_UNIT`] keys for one date, or keys that start together.
    TooManyKeys,
    /// `report` is missing, not base64, or not the bytes of a TCN report.
    ReportInvalid,
    /// The TCN report is of more than [`MAX_TCN_NUMBERS`] numbers.
    SpanTooLong,
    /// The signature of the TCN report is wrong.
    SignatureWrong,
    /// `rolling_start` is missing or no interval at which a key may start.
    RollingStartInvalid,
    /// `rolling_period` is missing or not 1 to 144.
    RollingPeriodInvalid,
    /// `transmission_risk` is not 0 to 8.
    TransmissionRiskInvalid,
    /// `diagnosis` is neither `confirmed` nor `likely`.
    DiagnosisInvalid,
    /// `days_since_onset` is not -14 to 14.
    DaysSinceOnsetInvalid,
}
