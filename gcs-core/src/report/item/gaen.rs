//! `gaen`: a temporary exposure key, for up to 144 elements of one or two dates.

use core::fmt;

use serde::{Deserialize, Serialize};

use super::{Item, ItemProblem, Members, Spread};
use crate::date::Date;
use crate::element::Element;
use crate::identifiers::gaen::{ExposureKey, ExposureKeyError, INTERVAL_SECONDS, INTERVALS_A_DAY};

/// Largest transmission risk.
const MAX_RISK: u8 = 8;

/// Days between the onset of symptoms and the start of a key, at most, before or after it.
pub(crate) const MAX_ONSET_DAYS: i8 = 14;

/// Why a person counts as infected.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Diagnosis {
    /// A test was positive.
    #[default]
    Confirmed,
    /// A physician says so.
    Likely,
}

impl Diagnosis {
    /// Its name in JSON.
    pub const fn name(self) -> &'static str {
        match self {
            Diagnosis::Confirmed => "confirmed",
            Diagnosis::Likely => "likely",
        }
    }

    fn of_name(name: &str) -> Option<Diagnosis> {
        [Diagnosis::Confirmed, Diagnosis::Likely].into_iter().find(|known| known.name() == name)
    }
}

/// A temporary exposure key as it is reported. `Debug` shows only its intervals.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct GaenKey {
    /// The 16 bytes of the key.
    pub key: [u8; 16],
    /// The first interval in which it was used.
    pub rolling_start: u32,
    /// The number of intervals in which it was used, 1 to 144.
    pub rolling_period: u32,
    /// The transmission risk, 0 to 8; 0 if there is none.
    pub transmission_risk: u8,
    /// Why its owner counts as infected.
    pub diagnosis: Diagnosis,
    /// Days from the onset of symptoms to the start of the key, -14 to 14.
    pub days_since_onset: Option<i8>,
}

pub(super) const MEMBERS: &[&str] = &[
    "key",
    "rolling_start",
    "rolling_period",
    "transmission_risk",
    "diagnosis",
    "days_since_onset",
];

pub(super) fn read(members: &mut Members) -> Result<Item, ItemProblem> {
    let key = members.bytes("key").ok_or(ItemProblem::KeyInvalid)?;
    let key = key.try_into().map_err(|_| ItemProblem::KeyLength)?;
    let rolling_start = members.number("rolling_start").ok_or(ItemProblem::RollingStartInvalid)?;
    let rolling_period =
        members.number("rolling_period").ok_or(ItemProblem::RollingPeriodInvalid)?;
    let mut key = GaenKey::new(key, rolling_start, rolling_period);
    if members.has("transmission_risk") {
        let risk = members.number("transmission_risk").and_then(|risk| risk.try_into().ok());
        key.transmission_risk = risk.ok_or(ItemProblem::TransmissionRiskInvalid)?;
    }
    if members.has("diagnosis") {
        let diagnosis = members.text("diagnosis");
        let diagnosis = diagnosis.as_deref().and_then(Diagnosis::of_name);
        key.diagnosis = diagnosis.ok_or(ItemProblem::DiagnosisInvalid)?;
    }
    if members.has("days_since_onset") {
        let days = members.integer("days_since_onset").and_then(|days| days.try_into().ok());
        key.days_since_onset = Some(days.ok_or(ItemProblem::DaysSinceOnsetInvalid)?);
    }
    Ok(Item::Gaen(key))
}

impl fmt::Debug for GaenKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GaenKey")
            .field("rolling_start", &self.rolling_start)
            .field("rolling_period", &self.rolling_period)
            .finish_non_exhaustive()
    }
}

impl GaenKey {
    /// A key of a person with a positive test, used for `rolling_period` intervals from
    /// `rolling_start` on.
    pub fn new(key: [u8; 16], rolling_start: u32, rolling_period: u32) -> GaenKey {
        GaenKey {
            key,
            rolling_start,
            rolling_period,
            transmission_risk: 0,
            diagnosis: Diagnosis::Confirmed,
            days_since_onset: None,
        }
    }

    /// The key with its intervals.
    ///
    /// # Errors
    /// [`ExposureKeyError`].
    pub fn exposure_key(&self) -> Result<ExposureKey, ExposureKeyError> {
        ExposureKey::new(self.key, self.rolling_start, self.rolling_period)
    }

    /// The Unix time at which it was first used.
    pub(super) fn start(&self) -> u64 {
        u64::from(self.rolling_start) * INTERVAL_SECONDS
    }

    pub(super) fn validate(&self) -> Result<(), ItemProblem> {
        let onset = self.days_since_onset.unwrap_or(0);
        match self.exposure_key() {
            Err(ExposureKeyError::RollingPeriod { .. }) => Err(ItemProblem::RollingPeriodInvalid),
            Err(ExposureKeyError::RollingStart { .. }) => Err(ItemProblem::RollingStartInvalid),
            Ok(_) if self.transmission_risk > MAX_RISK => Err(ItemProblem::TransmissionRiskInvalid),
            Ok(_) if !(-MAX_ONSET_DAYS..=MAX_ONSET_DAYS).contains(&onset) => {
                Err(ItemProblem::DaysSinceOnsetInvalid)
            }
            Ok(_) => Ok(()),
        }
    }

    /// What is left of the first date bounds what is of it.
    pub(super) fn spread(&self) -> Spread {
        let period = self.rolling_period.min(INTERVALS_A_DAY);
        let of_first = period.min(INTERVALS_A_DAY - self.rolling_start % INTERVALS_A_DAY);
        let end = self.rolling_start.saturating_add(period.saturating_sub(1));
        let last = if period == of_first { self.rolling_start } else { end };
        Spread {
            first: date_of(self.rolling_start),
            last: date_of(last),
            counts: [of_first, period - of_first],
        }
    }

    pub(super) fn elements(&self) -> impl Iterator<Item = (Date, Element)> + use<> {
        let key = self.exposure_key().ok();
        key.into_iter().flat_map(|key| {
            let dates = key.intervals().map(date_of);
            dates.zip(key.identifiers()).map(|(date, element)| (date, Element::from(element)))
        })
    }
}

/// The UTC date of an interval.
fn date_of(interval: u32) -> Date {
    Date::of_time(u64::from(interval) * INTERVAL_SECONDS)
}
