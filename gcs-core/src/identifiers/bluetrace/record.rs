//! One record or event of an upload file.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use serde::de::{Error as _, Unexpected};
use serde::{Deserialize, Deserializer};

use super::error::RecordError;
use crate::json;

/// Times above this are milliseconds, as OpenTrace's server has it.
const LARGEST_SECONDS: u64 = 10_000_000_000;

/// A meeting as a phone recorded it. Both apps of OpenTrace write these members; any but the time
/// may be missing or null, and other members are ignored. `Debug` shows only the time, and which
/// members are there.
#[derive(Clone, PartialEq, Eq)]
pub struct UploadRecord {
    /// Unix time in milliseconds. In the file it is an integer in seconds; above 10^10 it is
    /// milliseconds.
    pub time_ms: u64,
    /// The TempID heard, as text. Of another authority it may be anything.
    pub msg: Option<String>,
    /// The authority of the TempID.
    pub org: Option<String>,
    /// Model of the phone that was the peripheral.
    pub model_p: Option<String>,
    /// Model of the phone that was the central.
    pub model_c: Option<String>,
    /// Signal strength in dBm, in 8 bits as in Bluetooth: a record with another is refused. iOS
    /// writes a fraction, which is rounded.
    pub rssi: Option<i8>,
    /// Transmission power in dBm, likewise.
    pub tx_power: Option<i8>,
}

/// What a phone's scanner did and when, as the phone recorded it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UploadEvent {
    /// Unix time in milliseconds, as in a record.
    pub time_ms: u64,
    /// What it was, such as that scanning began.
    pub msg: Option<String>,
}

#[derive(Deserialize)]
struct Members {
    timestamp: u64,
    msg: Option<String>,
    org: Option<String>,
    #[serde(rename = "modelP")]
    model_p: Option<String>,
    #[serde(rename = "modelC")]
    model_c: Option<String>,
    #[serde(default, deserialize_with = "whole")]
    rssi: Option<i8>,
    #[serde(default, rename = "txPower", deserialize_with = "whole")]
    tx_power: Option<i8>,
}

#[derive(Deserialize)]
struct EventMembers {
    timestamp: u64,
    msg: Option<String>,
}

impl UploadRecord {
    pub(super) fn from_json(json: &[u8]) -> Result<UploadRecord, RecordError> {
        let Members { timestamp, msg, org, model_p, model_c, rssi, tx_power } =
            json::from_slice(json)?;
        let time_ms = milliseconds(timestamp);
        Ok(UploadRecord { time_ms, msg, org, model_p, model_c, rssi, tx_power })
    }
}

impl fmt::Debug for UploadRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let UploadRecord { time_ms, msg, org, model_p, model_c, rssi, tx_power } = self;
        let members = [
            ("msg", msg.is_some()),
            ("org", org.is_some()),
            ("model_p", model_p.is_some()),
            ("model_c", model_c.is_some()),
            ("rssi", rssi.is_some()),
            ("tx_power", tx_power.is_some()),
        ];
        let there: Vec<_> = members.iter().filter(|(_, is)| *is).map(|(name, _)| name).collect();
        write!(f, "UploadRecord({time_ms} ms, {there:?})")
    }
}

impl UploadEvent {
    pub(super) fn from_json(json: &[u8]) -> Result<UploadEvent, RecordError> {
        let EventMembers { timestamp, msg } = json::from_slice(json)?;
        Ok(UploadEvent { time_ms: milliseconds(timestamp), msg })
    }
}

fn milliseconds(timestamp: u64) -> u64 {
    if timestamp > LARGEST_SECONDS { timestamp } else { timestamp * 1000 }
}

/// A number rounded to a whole one of 8 bits, halves away from zero; null is none.
pub(super) fn whole<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<i8>, D::Error> {
    let Some(number) = Option::<f64>::deserialize(deserializer)? else { return Ok(None) };
    // Casts cut the fraction off, and end at the ends of the range.
    let rounded = (number + if number < 0.0 { -0.5 } else { 0.5 }) as i64;
    let whole = i8::try_from(rounded).map(Some);
    whole.map_err(|_| D::Error::invalid_value(Unexpected::Float(number), &"-128 to 127"))
}
