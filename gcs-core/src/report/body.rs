//! The JSON body of a report, and its answer.

use alloc::collections::BTreeSet;
use alloc::string::{String, ToString};
use alloc::vec;
use alloc::vec::Vec;

use data_encoding::HEXLOWER;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use thiserror::Error;

use super::code::{Code, CodeError};
use super::item::{Item, ItemProblem};
use crate::digest::Digest;
use crate::json::{self, JsonError};

/// Most items of a report.
pub const MAX_ITEMS: usize = 4096;

/// Most bytes of a report's body: room for [`MAX_ITEMS`] items, or for some 1000 of the longest, which are TCN
/// reports.
pub const MAX_REPORT_BYTES: usize = 640 << 10;

/// A report as an app sends it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReportBody {
    /// The one-time code that authorises the report.
    pub code: Code,
    /// What is reported, up to [`MAX_ITEMS`].
    pub items: Vec<Item>,
}

/// A report as a backend reads it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReceivedReport {
    /// The code, whose check symbol is right. It still has to be verified with the key of its
    /// provider: see [`Code::is_authentic`].
    pub code: Code,
    /// Every item in order, or the problem with its shape.
    pub items: Vec<Result<Item, ItemProblem>>,
    /// SHA-256 of the set of items. The same code with the same payload is a retry, whatever the
    /// order of the items, their repetition and the way in which their JSON is written.
    ///
    /// It is over the distinct [canonical bytes](Item::to_bytes) of the items, sorted, one after
    /// the other. What is no item counts as the one byte 255, however it is written.
    pub payload: [u8; 32],
}

/// The JSON object of a body.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Members<I> {
    code: String,
    items: Vec<I>,
}

impl ReportBody {
    /// The body as JSON.
    pub fn to_json(&self) -> Vec<u8> {
        let body = Members { code: self.code.to_string(), items: self.items.iter().collect() };
        match serde_json::to_vec(&body) {
            Ok(json) => json,
            Err(_) => unreachable!("strings and numbers can be written as JSON"),
        }
    }
}

impl ReceivedReport {
    /// A report of these items.
    pub fn new(code: Code, items: Vec<Result<Item, ItemProblem>>) -> ReceivedReport {
        let canonical = |item: &Result<Item, _>| item.as_ref().map_or(vec![255], Item::to_bytes);
        let canonical: BTreeSet<Vec<u8>> = items.iter().map(canonical).collect();
        let parts: Vec<&[u8]> = canonical.iter().map(Vec::as_slice).collect();
        let payload = Digest::of_parts(&parts).0;
        ReceivedReport { code, items, payload }
    }

    /// Reads a body. Items are read one by one, so that a bad one does not affect the others.
    ///
    /// # Errors
    /// A [`ReportError`] when the body as a whole is wrong.
    pub fn from_json(json: &[u8]) -> Result<ReceivedReport, ReportError> {
        if json.len() > MAX_REPORT_BYTES {
            return Err(ReportError::TooLarge { max: MAX_REPORT_BYTES, got: json.len() });
        }
        let body: Members<&RawValue> = json::from_slice(json)?;
        let code: Code = body.code.parse()?;
        if body.items.len() > MAX_ITEMS {
            return Err(ReportError::TooManyItems { max: MAX_ITEMS, got: body.items.len() });
        }
        let items = body.items.iter().map(|raw| Item::from_json(raw.get())).collect();
        Ok(ReceivedReport::new(code, items))
    }
}

/// Why a body is not a report.
///
/// Errors name the member that is wrong and its place, never a value, since values may be secrets.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ReportError {
    /// It is longer than any report.
    #[error("a report has at most {max} bytes, got {got}")]
    TooLarge {
        /// The limit.
        max: usize,
        /// Its length.
        got: usize,
    },
    /// It is not JSON, or JSON of another shape.
    #[error(transparent)]
    Json(#[from] JsonError),
    /// Its code is not a one-time code.
    #[error(transparent)]
    Code(#[from] CodeError),
    /// It has more items than a report may have.
    #[error("a report has at most {max} items, got {got}")]
    TooManyItems {
        /// The limit.
        max: usize,
        /// How many it has.
        got: usize,
    },
}

/// The answer to an app whose report is accepted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReportAnswer {
    /// 32 hexadecimal digits, with which the app asks for the status of the report.
    pub tracking_id: String,
    /// Number of items accepted, duplicates counted once.
    pub accepted: u32,
    /// The items that were not accepted.
    pub problems: Vec<ProblemItem>,
}

/// An item that was not accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProblemItem {
    /// Its index among the items sent.
    pub index: u32,
    /// What is wrong with it.
    pub code: ItemProblem,
}

impl ReportAnswer {
    /// The answer to a report whose tracking id is made of these 16 random bytes.
    pub fn new(
        tracking: &[u8; 16],
        accepted: u32,
        problems: &[(u32, ItemProblem)],
    ) -> ReportAnswer {
        let tracking_id = HEXLOWER.encode(tracking);
        ReportAnswer { tracking_id, accepted, problems: ProblemItem::list(problems) }
    }
}

impl ProblemItem {
    /// The items that were not accepted, from their indices and problems.
    pub fn list(problems: &[(u32, ItemProblem)]) -> Vec<ProblemItem> {
        let item = |(index, code): &(u32, ItemProblem)| ProblemItem { index: *index, code: *code };
        problems.iter().map(item).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::element::Element;
    use crate::report::ProviderKey;
    use alloc::format;

    fn body() -> ReportBody {
        let code = Code::issue(&ProviderKey::derive(&[7; 32], 42, 1), 42, 1001).unwrap();
        let date = "2026-01-05".parse().unwrap();
        let raw = Item::Raw { date, element: Element::from(*b"identifier heard") };
        ReportBody { code, items: vec![Item::Dp3tUnlinkable { epoch: 9, seed: [2; 32] }, raw] }
    }

    #[test]
    fn a_body_is_the_json_of_the_api_and_is_read_as_it_was_built() {
        let body = body();
        let json = String::from_utf8(body.to_json()).unwrap();
        let seed = data_encoding::BASE64.encode(&[2; 32]);
        assert_eq!(
            json,
            format!(
                r#"{{"code":"01A0-0Z92-6H3S-GEV5","items":[{{"kind":"dp3t-unlinkable","epoch":9,"seed":"{seed}"}},{{"kind":"raw","date":"2026-01-05","element":"aWRlbnRpZmllciBoZWFyZA=="}}]}}"#
            )
        );
        let read = ReceivedReport::from_json(json.as_bytes()).unwrap();
        assert_eq!(read.code, body.code);
        assert_eq!(read.items, body.items.iter().cloned().map(Ok).collect::<Vec<_>>());
    }

    /// A retry must be known by every release: the hash never changes.
    #[test]
    fn the_payload_is_what_the_items_say_and_a_golden_hash() {
        let json = String::from_utf8(body().to_json()).unwrap();
        let payload = |json: &str| ReceivedReport::from_json(json.as_bytes()).unwrap().payload;
        let golden = HEXLOWER.encode(&payload(&json));
        assert_eq!(golden, "6d4e3e790b854fa97032662678356e74c3c27c9af2673f0d6370df19a09c191a");
        assert_eq!(payload(&json), payload(&json.replace(',', " ,\n ")));
        assert_eq!(payload(&json), payload(&json.replace("01A0-", "01a0 ")));
        assert_ne!(payload(&json), payload(&json.replace(":9", ":10")));
    }

    /// A report is the set of its items.
    #[test]
    fn the_payload_is_that_of_the_set_of_items() {
        let code = body().code;
        let payload = |items: &[&str]| {
            let json = format!(r#"{{"code":"{code}","items":[{}]}}"#, items.join(","));
            ReceivedReport::from_json(json.as_bytes()).unwrap().payload
        };
        let [seed, raw] = [0, 1].map(|at| serde_json::to_string(&body().items[at]).unwrap());
        let turned = r#"{ "element" : "aWRlbnRpZmllciBoZWFyZA\u003d=", "date": "2026-01-05", "kind":"\u0072aw" }"#;
        let both = payload(&[&seed, &raw]);
        for same in
            [&[&*raw, &*seed][..], &[&seed, &raw, &seed], &[turned, &seed], &[turned, &seed, &raw]]
        {
            assert_eq!(payload(same), both, "{same:?}");
        }
        for other in [&[&*seed][..], &[&raw], &[], &[&seed, &raw, "7"]] {
            assert_ne!(payload(other), both, "{other:?}");
        }
        // However a refused item is written.
        let refused = payload(&["7", &seed]);
        let long = r#"{"kind":"raw","date":"2026-02-30","element":"AAAA"}"#;
        for same in [&[&*seed, "[ ]"][..], &[&seed, "7", "8"], &[long, &seed]] {
            assert_eq!(payload(same), refused, "{same:?}");
        }
    }

    #[test]
    fn errors_show_no_values() {
        let json = String::from_utf8(body().to_json()).unwrap();
        let read = |json: &str| ReceivedReport::from_json(json.as_bytes()).map(|read| read.items);
        let wrong = |json: &str| match read(json) {
            Err(ReportError::Json(error)) => error.to_string(),
            other => panic!("{other:?}"),
        };
        assert_eq!(wrong(""), "the body is not JSON: line 1, column 0");
        assert!(
            wrong("[]").starts_with("`code` is missing") || wrong("[]").starts_with("the body")
        );
        assert!(wrong(&json.replace("items", "item")).starts_with("the body has a member"));
        assert!(wrong(r#"{"code":"SECRET"}"#).starts_with("`items` is missing: line 1"));
        assert!(
            wrong(r#"{"code":["SECRET"],"items":[]}"#).starts_with("`code` is of another type")
        );
        let wrong = read(&json.replace("GEV5", "GEV6"));
        assert_eq!(wrong, Err(ReportError::Code(CodeError::Check)));
        let many =
            format!(r#"{{"code":"01A0-0Z92-6H3S-GEV5","items":[{}]}}"#, vec!["1"; 4097].join(","));
        assert_eq!(read(&many), Err(ReportError::TooManyItems { max: 4096, got: 4097 }));
        let large = " ".repeat(MAX_REPORT_BYTES + 1);
        assert!(matches!(read(&large), Err(ReportError::TooLarge { .. })));

        let items =
            |items: &str| read(&format!(r#"{{"code":"01A0-0Z92-6H3S-GEV5","items":[{items}]}}"#));
        assert_eq!(
            items(r#"7,{"kind":"x"},{"kind":"dp3t-unlinkable","epoch":1,"seed":"AAAA"}"#),
            Ok(vec![
                Err(ItemProblem::Shape),
                Err(ItemProblem::KindUnknown),
                Err(ItemProblem::SeedLength)
            ])
        );
        let extra = r#"{"kind":"raw","date":"2026-01-05","element":"AAAA","more":1}"#;
        assert_eq!(items(extra), Ok(vec![Err(ItemProblem::Shape)]));
        let short = items(&extra.replace(r#","more":1"#, "")).unwrap();
        let element = |item: &Item| item.elements(0).next().map(|(_, element)| element.len());
        assert_eq!(short[0].as_ref().map(element), Ok(Some(3)));
    }

    #[test]
    fn answers_are_read_as_written() {
        let answer = ReportAnswer::new(&[0xab; 16], 2, &[(3, ItemProblem::DateTooOld)]);
        let json = serde_json::to_string(&answer).unwrap();
        let tracking = "ab".repeat(16);
        let expected = format!(
            r#"{{"tracking_id":"{tracking}","accepted":2,"problems":[{{"index":3,"code":"date_too_old"}}]}}"#
        );
        assert_eq!(json, expected);
        assert_eq!(serde_json::from_str::<ReportAnswer>(&json).unwrap(), answer);
    }
}
