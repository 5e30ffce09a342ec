//! A key as it is published: with what is known of its report.

use super::ExposureKey;
use crate::seeds::{NoteError, Seed};

/// The largest transmission risk.
pub(super) const MAX_RISK: u8 = 8;

/// The last variant of concern.
pub(super) const MAX_VARIANT: u8 = 4;

/// Most days, before or after, that a note of a list of seeds can hold.
const MAX_ONSET_DAYS: i64 = 127;

/// A key of an export file or of a list of seeds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExportKey {
    /// The key.
    pub key: ExposureKey,
    /// The transmission risk, 0 to 8.
    pub transmission_risk: Option<u8>,
    /// Why it was published.
    pub report_type: Option<ReportType>,
    /// Days from the begin of symptoms to the key's use.
    pub days_since_onset: Option<i32>,
    /// The variant of concern, 0 to 4.
    pub variant: Option<u8>,
}

/// Why a key was published.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum ReportType {
    /// Not known.
    Unknown,
    /// A test was positive.
    ConfirmedTest,
    /// A physician diagnosed it.
    ConfirmedClinicalDiagnosis,
    /// The patient says so.
    SelfReport,
    /// A contact of a patient.
    Recursive,
    /// It should not have been published.
    Revoked,
}

const REPORT_TYPES: [ReportType; 6] = [
    ReportType::Unknown,
    ReportType::ConfirmedTest,
    ReportType::ConfirmedClinicalDiagnosis,
    ReportType::SelfReport,
    ReportType::Recursive,
    ReportType::Revoked,
];

impl ReportType {
    pub(super) fn of_number(number: u8) -> Option<ReportType> {
        REPORT_TYPES.get(usize::from(number)).copied()
    }
}

impl From<ExposureKey> for ExportKey {
    /// The key, and nothing more about it.
    fn from(key: ExposureKey) -> ExportKey {
        let (transmission_risk, report_type) = (None, None);
        ExportKey { key, transmission_risk, report_type, days_since_onset: None, variant: None }
    }
}

/// What stands for a field that is missing; for the days since onset it is -128.
const NONE: u8 = 255;

/// The note: rolling start as a big-endian u32, rolling period, report type, variant, transmission
/// risk and days since onset as bytes.
impl Seed for ExportKey {
    const KIND: u16 = 3;
    type Note = [u8; 9];
    type Bytes = [u8; 16];
    const TIME_LEN: usize = 5;

    fn to_parts(&self) -> Result<([u8; 9], [u8; 16]), NoteError> {
        let onset = self.days_since_onset.map_or(Ok(i8::MIN), |days| {
            let bounds = -MAX_ONSET_DAYS..=MAX_ONSET_DAYS;
            NoteError::unless_within("days since onset", bounds, days.into()).map(|()| days as i8)
        })?;
        let [a, b, c, d] = self.key.rolling_start().to_be_bytes();
        let period = self.key.rolling_period() as u8;
        let report_type = self.report_type.map_or(NONE, |report_type| report_type as u8);
        let variant = written("variant", MAX_VARIANT, self.variant)?;
        let risk = written("transmission risk", MAX_RISK, self.transmission_risk)?;
        Ok(([a, b, c, d, period, report_type, variant, risk, onset as u8], self.key.to_bytes()))
    }

    fn from_parts(note: [u8; 9], bytes: [u8; 16]) -> Result<ExportKey, NoteError> {
        let [a, b, c, d, period, report_type, variant, risk, onset] = note;
        let start = u32::from_be_bytes([a, b, c, d]);
        let max_start = i64::from(ExposureKey::MAX_ROLLING_START);
        let max_period = i64::from(super::INTERVALS_A_DAY);
        NoteError::unless_within("rolling start", 0..=max_start, start.into())?;
        NoteError::unless_within("rolling period", 1..=max_period, period.into())?;
        let error =
            NoteError { field: "rolling period", least: 1, most: max_period, none: None, got: 0 };
        let report_type = read("report type", ReportType::Revoked as u8, report_type)?;
        Ok(ExportKey {
            key: ExposureKey::new(bytes, start, period.into()).map_err(|_| error)?,
            transmission_risk: read("transmission risk", MAX_RISK, risk)?,
            report_type: report_type.and_then(ReportType::of_number),
            days_since_onset: Some(onset as i8).filter(|days| *days != i8::MIN).map(i32::from),
            variant: read("variant", MAX_VARIANT, variant)?,
        })
    }
}

fn written(field: &'static str, most: u8, value: Option<u8>) -> Result<u8, NoteError> {
    let Some(value) = value else { return Ok(NONE) };
    NoteError::unless_within(field, 0..=most.into(), value.into()).map(|()| value)
}

fn read(field: &'static str, most: u8, byte: u8) -> Result<Option<u8>, NoteError> {
    match byte {
        NONE => Ok(None),
        byte => written(field, most, Some(byte))
            .map(Some)
            .map_err(|error| NoteError { none: Some(NONE), ..error }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bytes::{TRAILER_LEN, seal};
    use crate::error::ParseError;
    use crate::seeds::{SeedBuildError, SeedList};
    use alloc::vec::Vec;

    fn key(start: u32, period: u32) -> ExportKey {
        ExposureKey::new([7; 16], start, period).unwrap().into()
    }

    #[test]
    fn lists_hold_everything_of_a_key() {
        let full = |report_type, days| ExportKey {
            transmission_risk: Some(8),
            report_type: Some(report_type),
            days_since_onset: Some(days),
            variant: Some(4),
            ..key(2_649_888, 144)
        };
        let mut keys: Vec<ExportKey> = REPORT_TYPES.map(|of| full(of, -14)).to_vec();
        keys.extend([-127, 0, 127].map(|days| full(ReportType::Unknown, days)));
        keys.extend([key(0, 1), key(ExposureKey::MAX_ROLLING_START, 144)]);
        let list = SeedList::<ExportKey>::build(&keys).unwrap();
        assert_eq!(list.len() as usize, keys.len());
        assert!(keys.iter().all(|key| list.iter().any(|listed| listed == *key)));
        let parsed = SeedList::<ExportKey, _>::parse(list.as_bytes()).unwrap();
        assert!(parsed.iter().eq(list.iter()));
    }

    #[test]
    fn what_has_no_place_in_a_note_is_refused() {
        let built = |key: ExportKey| SeedList::<ExportKey>::build([key]).unwrap_err();
        let error = |field, least, most, got| {
            let error = NoteError { field, least, most, none: None, got };
            SeedBuildError::Note { position: 0, error }
        };
        let days = |days| ExportKey { days_since_onset: Some(days), ..key(1, 1) };
        assert_eq!(built(days(128)), error("days since onset", -127, 127, 128));
        assert_eq!(built(days(-128)), error("days since onset", -127, 127, -128));
        let risk = ExportKey { transmission_risk: Some(255), ..key(1, 1) };
        assert_eq!(built(risk), error("transmission risk", 0, 8, 255));
        let variant = ExportKey { variant: Some(5), ..key(1, 1) };
        assert_eq!(built(variant), error("variant", 0, 4, 5));
    }

    /// What a reader says of a list with this note, whose code and tails are those of one zero seed.
    fn text_error(mut note: [u8; 9], at: usize, byte: u8) -> ParseError {
        let list = SeedList::build([ExportKey::from_parts(note, [0; 16]).unwrap()]).unwrap();
        note[at] = byte;
        let mut bytes = list.into_inner();
        bytes.truncate(bytes.len() - TRAILER_LEN);
        bytes[25..34].copy_from_slice(&note);
        seal(&mut bytes);
        SeedList::<ExportKey, _>::parse(bytes).unwrap_err()
    }

    #[test]
    fn notes_of_no_key_are_refused() {
        let (right, _) = key(5, 144).to_parts().unwrap();
        let with = |at: usize, byte: u8| {
            let mut note = right;
            note[at] = byte;
            ExportKey::from_parts(note, [1; 16]).map_err(|error| error.field)
        };
        for (at, byte, field) in [
            (4, 0, "rolling period"),
            (4, 145, "rolling period"),
            (5, 6, "report type"),
            (6, 5, "variant"),
            (7, 9, "transmission risk"),
        ] {
            assert_eq!(with(at, byte), Err(field));
        }
        let text = |at, byte| alloc::format!("{}", text_error(right, at, byte));
        assert_eq!(text(4, 0), "rolling period is 1 to 144 here, got 0");
        assert_eq!(text(6, 5), "variant is 0 to 4 or 255 for none here, got 5");
        let mut late = right;
        late[..4].copy_from_slice(&(ExposureKey::MAX_ROLLING_START + 1).to_be_bytes());
        assert_eq!(ExportKey::from_parts(late, [1; 16]).unwrap_err().field, "rolling start");
        assert!((0..=255).all(|onset| with(8, onset).is_ok()));
    }
}
