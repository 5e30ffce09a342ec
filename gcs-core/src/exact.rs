//! Exact match: whether an element is published, without false positives.
//!
//! It is for backends and back offices, over a private listener with a token. It is not for
//! phones: the server learns which element was asked for, and so who met whom. Phones use
//! [`crate::sync`].
//!
//! ```
//! use gcs_core::exact::Request;
//!
//! let request = Request::from_json(
//!     br#"{"queries":[{"date":"2026-01-05","element":"aWRlbnRpZmllciBoZWFyZA=="}]}"#,
//! )?;
//! let response = request.answer(|_date, element| element == b"identifier heard");
//! assert_eq!(serde_json::to_string(&response)?, r#"{"present":[true]}"#);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use alloc::string::String;
use alloc::vec::Vec;

use data_encoding::BASE64;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use thiserror::Error;

use crate::base64;
use crate::date::Date;
use crate::json::{self, JsonError};
use crate::set::ELEMENT_LEN;

/// Most queries in a request.
pub const MAX_QUERIES: usize = 1000;

/// Most bytes of a request as JSON: more than [`MAX_QUERIES`] of the longest elements take.
pub const MAX_REQUEST_BYTES: usize = 200_000;

/// One element on one date.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Query {
    /// The UTC date on which it was broadcast.
    pub date: Date,
    /// The element, 16 to 64 bytes; standard base64 in JSON.
    #[serde(serialize_with = "to_base64", deserialize_with = "from_base64")]
    pub element: Vec<u8>,
}

/// A request of up to [`MAX_QUERIES`] queries.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Request {
    /// The queries.
    pub queries: Vec<Query>,
}

/// The answers, in the order of the queries.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Response {
    /// Whether each element is published.
    pub present: Vec<bool>,
}

impl Request {
    /// Reads and validates a request. Time and memory are bounded by its length.
    ///
    /// # Errors
    /// An [`ExactError`] for JSON of another shape, too many queries, or an element that
    /// is too short or too long.
    pub fn from_json(json: &[u8]) -> Result<Request, ExactError> {
        if json.len() > MAX_REQUEST_BYTES {
            return Err(ExactError::TooLarge { max: MAX_REQUEST_BYTES, got: json.len() });
        }
        let request: Request = json::from_slice(json)?;
        request.validate()?;
        Ok(request)
    }

    /// Validates a request that was not read with [`Request::from_json`].
    ///
    /// # Errors
    /// An [`ExactError`] for too many queries, or an element that is too short or too long.
    pub fn validate(&self) -> Result<(), ExactError> {
        let got = self.queries.len();
        if got > MAX_QUERIES {
            return Err(ExactError::TooMany { max: MAX_QUERIES, got });
        }
        let lengths = self.queries.iter().map(|query| query.element.len());
        match lengths.enumerate().find(|(_, length)| !ELEMENT_LEN.contains(length)) {
            Some((index, got)) => Err(ExactError::ElementLength { index, got }),
            None => Ok(()),
        }
    }

    /// Answers every query by looking its element up.
    pub fn answer(&self, mut is_present: impl FnMut(Date, &[u8]) -> bool) -> Response {
        let present = |query: &Query| is_present(query.date, &query.element);
        Response { present: self.queries.iter().map(present).collect() }
    }
}

/// Why an exact-match request cannot be answered.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ExactError {
    /// It is larger than a request may be.
    #[error("a request has at most {max} bytes, got {got}")]
    TooLarge {
        /// The limit.
        max: usize,
        /// Its length.
        got: usize,
    },
    /// It is not JSON, or JSON of another shape.
    #[error(transparent)]
    Json(#[from] JsonError),
    /// It has too many queries.
    #[error("a request has at most {max} queries, got {got}")]
    TooMany {
        /// The limit.
        max: usize,
        /// How many it has.
        got: usize,
    },
    /// An element is too short or too long.
    #[error("query {index}: expected an element of 16 to 64 bytes, got {got}")]
    ElementLength {
        /// Position of the query.
        index: usize,
        /// Length of its element.
        got: usize,
    },
}

fn to_base64<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&BASE64.encode(bytes))
}

fn from_base64<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
    let text = String::deserialize(deserializer)?;
    base64::decode(&text).ok_or_else(|| serde::de::Error::custom("not base64"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::format;
    use alloc::string::ToString as _;

    #[test]
    fn errors_name_what_is_wrong() {
        let query = |element: &str| {
            format!(r#"{{"queries":[{{"date":"2026-01-05","element":"{element}"}}]}}"#)
        };
        let good = query("AAAAAAAAAAAAAAAAAAAAAA==");
        let request = Request::from_json(good.as_bytes()).unwrap();
        assert_eq!(serde_json::to_string(&request).unwrap(), good);
        assert_eq!(
            Request::from_json(query("AAAA").as_bytes()),
            Err(ExactError::ElementLength { index: 0, got: 3 })
        );
        for bad in
            ["", "[]", r#"{"queries":[],"more":1}"#, &query("?"), &good.replace("01-05", "02-30")]
        {
            let error = Request::from_json(bad.as_bytes()).unwrap_err();
            assert!(matches!(error, ExactError::Json { .. }), "{bad}");
        }
        let error = Request::from_json(query("SECRET").as_bytes()).unwrap_err().to_string();
        assert!(error.starts_with("`queries[0].element` is of another type or has"), "{error}");
        let many = Request { queries: alloc::vec![request.queries[0].clone(); 1001] };
        assert_eq!(many.validate(), Err(ExactError::TooMany { max: 1000, got: 1001 }));
        let most = Request {
            queries: alloc::vec![Query { element: alloc::vec![0; 64], date: request.queries[0].date }; 1000],
        };
        assert!(Request::from_json(&serde_json::to_vec(&most).unwrap()).is_ok());
        let large = alloc::vec![b' '; MAX_REQUEST_BYTES + 1];
        assert!(matches!(Request::from_json(&large), Err(ExactError::TooLarge { .. })));
    }
}
