//! The body of `POST /v1/publish`, as apps send it to Apple's and Google's key server, and its answer.
//!
//! Source: google/exposure-notifications-server, `pkg/api/v1` (Apache-2.0). Two things differ, since this
//! backend has one-time codes where that one has certificates of a verification server:
//!
//! - `verificationPayload` is a one-time code. No certificate is accepted, and so there is no `tekmac` to
//!   compare the keys with: `hmacKey` is not used.
//! - `reportType`, which the certificate had, is a member of the body. Without it, it is `confirmed`.

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::ReceivedReport;
use super::code::CodeError;
use super::item::{Diagnosis, GaenKey, Item, ItemProblem, MAX_ONSET_DAYS, MAX_PER_UNIT};
use crate::base64;
use crate::digest::Digest;
use crate::identifiers::gaen::INTERVALS_A_DAY;
use crate::json::{self, JsonError};

/// Most bytes of a body.
pub const MAX_PUBLISH_BYTES: usize = 64_000;

/// Most keys of a body.
pub const MAX_PUBLISH_KEYS: usize = 30;

/// What apps publish keys for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ReportType {
    /// A test was positive.
    #[default]
    Confirmed,
    /// A physician says that the person is infected.
    Likely,
    /// The person is not infected: keys that were published as `likely` are taken back.
    Negative,
}

/// A body as a backend reads it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublishRequest {
    /// The health authority that the app names.
    pub authority: String,
    /// What the keys are published for.
    pub report_type: ReportType,
    /// What the answer to an earlier publication gave.
    pub revision_token: String,
    /// The code and the keys, as a report. Its payload also covers the report type.
    pub report: ReceivedReport,
    /// What the app should know, without being refused.
    pub warnings: Vec<String>,
}

/// Why a body is not a publication. The names that the answer gives them are `bad_request`, and
/// `health_authority_verification_certificate_invalid` of a wrong code.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum PublishRequestError {
    /// It is too long.
    #[error("a publication has at most {MAX_PUBLISH_BYTES} bytes, got {got}")]
    TooLarge {
        /// Its length.
        got: usize,
    },
    /// It is not JSON, or JSON of another shape.
    #[error(transparent)]
    Json(#[from] JsonError),
    /// Its `verificationPayload` is not a one-time code.
    #[error("verificationPayload is no one-time code: {0}")]
    Code(CodeError),
    /// It has no keys, or too many.
    #[error("a publication has 1 to {MAX_PUBLISH_KEYS} keys, got {got}")]
    Keys {
        /// How many it has.
        got: usize,
    },
    /// Keys overlap that do not start together.
    #[error("the key that starts at {start} overlaps one that starts earlier and ends at {end}")]
    Overlap {
        /// Where the later one starts.
        start: u32,
        /// Where the earlier one ends.
        end: u32,
    },
    /// Too many keys start together.
    #[error("at most {MAX_PER_UNIT} keys start together, got {got} that start at {start}")]
    SameStart {
        /// Where they start.
        start: u32,
        /// How many there are.
        got: u32,
    },
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Body {
    temporary_exposure_keys: Vec<BodyKey>,
    #[serde(rename = "healthAuthorityID", default)]
    authority: String,
    #[serde(default)]
    verification_payload: String,
    /// Not used.
    #[serde(default, rename = "hmacKey")]
    _hmac_key: String,
    #[serde(default)]
    symptom_onset_interval: i32,
    /// Not used.
    #[serde(default, rename = "traveler")]
    _traveler: bool,
    #[serde(default)]
    revision_token: String,
    /// Not used.
    #[serde(default, rename = "padding")]
    _padding: String,
    #[serde(default)]
    report_type: ReportType,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct BodyKey {
    key: String,
    rolling_start_number: i32,
    rolling_period: i32,
    #[serde(default)]
    transmission_risk: i32,
}

impl BodyKey {
    fn read(&self) -> Result<GaenKey, ItemProblem> {
        let key = base64::decode(&self.key).ok_or(ItemProblem::KeyInvalid)?;
        let key = key.try_into().map_err(|_| ItemProblem::KeyLength)?;
        let start = self.rolling_start_number.try_into();
        let start = start.map_err(|_| ItemProblem::RollingStartInvalid)?;
        let period: Option<u32> = self.rolling_period.try_into().ok();
        let period = period.filter(|period| (1..=INTERVALS_A_DAY).contains(period));
        let period = period.ok_or(ItemProblem::RollingPeriodInvalid)?;
        let risk = self.transmission_risk.try_into();
        let transmission_risk = risk.map_err(|_| ItemProblem::TransmissionRiskInvalid)?;
        Ok(GaenKey { transmission_risk, ..GaenKey::new(key, start, period) })
    }
}

impl PublishRequest {
    /// Reads a body. Keys are read one by one, so that a bad one does not affect the others.
    ///
    /// # Errors
    /// A [`PublishRequestError`] when the body as a whole is wrong.
    pub fn from_json(json: &[u8]) -> Result<PublishRequest, PublishRequestError> {
        if json.len() > MAX_PUBLISH_BYTES {
            return Err(PublishRequestError::TooLarge { got: json.len() });
        }
        let body: Body = json::from_slice(json)?;
        let got = body.temporary_exposure_keys.len();
        if !(1..=MAX_PUBLISH_KEYS).contains(&got) {
            return Err(PublishRequestError::Keys { got });
        }
        let code = body.verification_payload.parse().map_err(PublishRequestError::Code)?;
        let mut keys: Vec<_> = body.temporary_exposure_keys.iter().map(BodyKey::read).collect();
        expect_aligned(keys.iter().filter_map(|key| key.as_ref().ok()))?;
        let warnings = set_onset(&mut keys, body.symptom_onset_interval);
        let diagnosis = match body.report_type {
            ReportType::Likely => Diagnosis::Likely,
            ReportType::Confirmed | ReportType::Negative => Diagnosis::Confirmed,
        };
        let item = |key: GaenKey| Item::Gaen(GaenKey { diagnosis, ..key });
        let items = keys.into_iter().map(|key| key.map(item)).collect();
        let mut report = ReceivedReport::new(code, items);
        if body.report_type == ReportType::Negative {
            // It is another report than that which publishes the same keys.
            report.payload = Digest::of_parts(&[b"negative", &report.payload]).0;
        }
        Ok(PublishRequest {
            authority: body.authority,
            report_type: body.report_type,
            revision_token: body.revision_token,
            report,
            warnings,
        })
    }
}

/// Makes sure that keys follow one another, but for some that start together.
fn expect_aligned<'k>(keys: impl Iterator<Item = &'k GaenKey>) -> Result<(), PublishRequestError> {
    let mut starts: BTreeMap<u32, (u32, u32)> = BTreeMap::new();
    for key in keys {
        let (count, end) = starts.entry(key.rolling_start).or_default();
        *count += 1;
        *end = (*end).max(key.rolling_start.saturating_add(key.rolling_period));
    }
    let mut end = 0;
    for (start, (got, last)) in starts {
        if got > MAX_PER_UNIT {
            return Err(PublishRequestError::SameStart { start, got });
        }
        if start < end {
            return Err(PublishRequestError::Overlap { start, end });
        }
        end = last;
    }
    Ok(())
}

/// Gives keys their days since the onset of symptoms. Those of more than 14 days before or after it are left
/// out with a warning; an onset that is too far from all of them, as apps send it that know none, does not
/// count.
fn set_onset(keys: &mut [Result<GaenKey, ItemProblem>], onset: i32) -> Vec<String> {
    let Some(onset) = u32::try_from(onset).ok().filter(|onset| *onset > 0) else {
        return Vec::new();
    };
    let day = |interval: u32| i64::from(interval / INTERVALS_A_DAY);
    let since = |key: &GaenKey| {
        let days = day(key.rolling_start) - day(onset);
        i8::try_from(days).ok().filter(|days| (-MAX_ONSET_DAYS..=MAX_ONSET_DAYS).contains(days))
    };
    if !keys.iter().flatten().any(|key| since(key).is_some()) {
        return Vec::new();
    }
    let mut warnings = Vec::new();
    for (index, key) in keys.iter_mut().enumerate() {
        let Ok(found) = key else { continue };
        found.days_since_onset = since(found);
        if found.days_since_onset.is_none() {
            warnings.push(format!(
                "key {index} is more than {MAX_ONSET_DAYS} days from the onset of symptoms, and is left out"
            ));
            *key = Err(ItemProblem::DaysSinceOnsetInvalid);
        }
    }
    warnings
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;
    use alloc::vec;
    use serde_json::{Value, json};

    const CODE: &str = "01A0-0Z92-6H3S-GEV5";
    const START: u32 = 2_946_240;

    fn key(start: u32, period: u32) -> Value {
        let key = data_encoding::BASE64.encode(&[period as u8; 16]);
        json!({ "key": key, "rollingStartNumber": start, "rollingPeriod": period, "transmissionRisk": 3 })
    }

    fn body(keys: &[Value]) -> Value {
        json!({
            "temporaryExposureKeys": keys,
            "healthAuthorityID": "nl.example",
            "verificationPayload": CODE,
            "hmacKey": "AAAA",
            "traveler": true,
            "revisionToken": "",
            "padding": "AAAA",
        })
    }

    fn read(body: &Value) -> Result<PublishRequest, PublishRequestError> {
        PublishRequest::from_json(body.to_string().as_bytes())
    }

    #[test]
    fn a_body_is_a_report_of_its_keys() {
        let mut body = body(&[key(START, 144), key(START + 144, 80)]);
        let read_body = read(&body).unwrap();
        let key = |start, period| GaenKey {
            transmission_risk: 3,
            ..GaenKey::new([period as u8; 16], start, period)
        };
        let items = [key(START, 144), key(START + 144, 80)].map(|key| Ok(Item::Gaen(key)));
        assert_eq!(read_body.report.items, items);
        assert_eq!(read_body.report, ReceivedReport::new(CODE.parse().unwrap(), items.to_vec()));
        assert_eq!((read_body.authority.as_str(), read_body.warnings.len()), ("nl.example", 0));
        // Random padding, and whatever else is not used, make no other report.
        body["padding"] = json!("BBBB");
        body["hmacKey"] = json!("");
        body["revisionToken"] = json!("x");
        assert_eq!(read(&body).unwrap().report, read_body.report);
        for report_type in ["likely", "negative"] {
            body["reportType"] = json!(report_type);
            assert_ne!(read(&body).unwrap().report.payload, read_body.report.payload);
        }
        body["reportType"] = json!("user-report");
        assert!(matches!(read(&body), Err(PublishRequestError::Json(_))));
    }

    #[test]
    fn limits_of_a_body() {
        let days = |count: u32| {
            body(&(0..count).map(|day| key(START + 144 * day, 144)).collect::<Vec<_>>())
        };
        assert_eq!(read(&days(0)), Err(PublishRequestError::Keys { got: 0 }));
        assert_eq!(read(&days(30)).unwrap().report.items.len(), 30);
        assert_eq!(read(&days(31)), Err(PublishRequestError::Keys { got: 31 }));
        let same = |count| body(&(0..count).map(|at| key(START, 100 + at)).collect::<Vec<_>>());
        assert!(read(&same(3)).is_ok());
        let many = PublishRequestError::SameStart { start: START, got: 4 };
        assert_eq!(read(&same(4)), Err(many));
        let overlap = read(&body(&[key(START + 100, 44), key(START, 101), key(START, 10)]));
        let (start, end) = (START + 100, START + 101);
        assert_eq!(overlap, Err(PublishRequestError::Overlap { start, end }));
        assert!(read(&body(&[key(START + 100, 44), key(START, 100)])).is_ok());
        let mut long = body(&[key(START, 144)]);
        long["padding"] = json!("A".repeat(MAX_PUBLISH_BYTES));
        assert!(matches!(read(&long), Err(PublishRequestError::TooLarge { .. })));
        let mut unknown = body(&[key(START, 144)]);
        unknown["regions"] = json!([]);
        assert!(matches!(read(&unknown), Err(PublishRequestError::Json(_))));
        for payload in ["", "eyJhbGciOiJFUzI1NiJ9.e30.AAAA"] {
            let mut body = body(&[key(START, 144)]);
            body["verificationPayload"] = json!(payload);
            assert!(matches!(read(&body), Err(PublishRequestError::Code(_))));
        }
    }

    #[test]
    fn a_bad_key_does_not_affect_the_others() {
        let changed = |member: &str, value: Value| {
            let mut changed = key(START, 144);
            changed[member] = value;
            changed
        };
        let keys = vec![
            key(START, 144),
            changed("key", json!("AAAA")),
            changed("key", json!("?")),
            changed("rollingStartNumber", json!(-1)),
            changed("rollingPeriod", json!(0)),
            changed("rollingPeriod", json!(145)),
            changed("transmissionRisk", json!(-1)),
        ];
        let report = read(&body(&keys)).unwrap().report;
        let problems: Vec<_> =
            report.items.iter().skip(1).cloned().map(Result::unwrap_err).collect();
        assert!(report.items[0].is_ok());
        assert_eq!(
            problems,
            [
                ItemProblem::KeyLength,
                ItemProblem::KeyInvalid,
                ItemProblem::RollingStartInvalid,
                ItemProblem::RollingPeriodInvalid,
                ItemProblem::RollingPeriodInvalid,
                ItemProblem::TransmissionRiskInvalid,
            ]
        );
    }

    #[test]
    fn days_since_the_onset_of_symptoms() {
        let onset = |interval: u32| {
            let mut body = body(&[key(START, 144), key(START + 144 * 5, 80)]);
            body["symptomOnsetInterval"] = json!(interval);
            let read = read(&body).unwrap();
            let days = |item: &Result<Item, _>| match item {
                Ok(Item::Gaen(key)) => Some(key.days_since_onset),
                _ => None,
            };
            (read.report.items.iter().map(days).collect::<Vec<_>>(), read.warnings.len())
        };
        assert_eq!(onset(START + 143), (vec![Some(Some(0)), Some(Some(5))], 0));
        assert_eq!(onset(START + 144 * 2), (vec![Some(Some(-2)), Some(Some(3))], 0));
        assert_eq!(onset(START - 144 * 10), (vec![Some(Some(10)), None], 1));
        // Apps that know no onset send whatever they like.
        for none in [0, 1, START - 144 * 15, START + 144 * 20] {
            assert_eq!(onset(none), (vec![Some(None), Some(None)], 0), "{none}");
        }
    }

    #[test]
    fn errors_show_no_values() {
        let mut body = body(&[key(START, 144)]);
        body["verificationPayload"] = json!("SECRET-SECRET");
        let error = read(&body).unwrap_err().to_string();
        assert!(!error.contains("SECRET"), "{error}");
    }
}
