//! What an app sends: a report of infected identifiers, authorised by a one-time code.
//!
//! An app builds the body in a few lines:
//!
//! ```
//! use gcs_core::identifiers::dp3t;
//! use gcs_core::report::{Code, Item, ReportBody};
//!
//! let code: Code = "01a0 0z92 6h3s gev5".parse()?; // As the patient typed it.
//! let epoch = dp3t::epoch_of(1_767_600_000).unwrap();
//! let seed = [7; 32]; // The seed from which this phone broadcast in that epoch.
//! let body = ReportBody { code, items: vec![Item::Dp3tUnlinkable { epoch, seed }] };
//! let json = body.to_json(); // POST it to /v1/reports as application/json.
//! # use gcs_core::report::ReceivedReport;
//! # assert_eq!(ReceivedReport::from_json(&json)?.items, [Ok(body.items[0].clone())]);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! | type | what it is |
//! |---|---|
//! | [`Code`], [`ProviderKey`] | one-time codes, and the key that makes them |
//! | [`Item`], [`Kind`] | what is reported: a seed or key of some protocol, or an element as it was broadcast |
//! | [`ReportBody`] | a report as an app sends it |
//! | [`ReceivedReport`], [`ItemRules`] | a report as a backend reads it, and which items the backend accepts |
//! | [`ReportAnswer`] | the answer to the app |
//! | [`PublishRequest`] | a report as apps send it to Apple's and Google's key server |

mod body;
mod code;
mod item;
mod publication;

pub use self::body::{
    MAX_ITEMS, MAX_REPORT_BYTES, ProblemItem, ReceivedReport, ReportAnswer, ReportBody, ReportError,
};
pub use self::code::{Code, CodeError, MAX_PROVIDER, MAX_SERIAL, ProviderKey};
pub use self::item::{
    AcceptedItems, CLOCK_SKEW, Diagnosis, GaenKey, Item, ItemProblem, ItemRules, ItemSeed, Kind,
    KindError, Kinds, MAX_PER_UNIT, MAX_TCN_NUMBERS, MAX_TCN_REPORTS,
};
pub use self::publication::{
    MAX_PUBLISH_BYTES, MAX_PUBLISH_KEYS, PublishRequest, PublishRequestError, ReportType,
};
