//! Items as bytes: for a report's hash, and in binary formats such as that of the log.

use alloc::vec::Vec;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::json::{self, Members};
use super::{GaenKey, Item, hybrid};
use crate::date::Date;
use crate::element::Element;

impl Item {
    /// Its canonical bytes: the number of its kind, then the members one after the other. Numbers are
    /// LEB128: seven bits a byte, the lowest first; dates are days since 1970; bytes of any length
    /// have it before them.
    ///
    /// | kind | bytes |
    /// |---|---|
    /// | `dp3t-unlinkable` | 0, epoch, seed |
    /// | `raw` | 1, date, element with its length |
    /// | `dp3t-low-cost` | 2, date, key |
    /// | `dp3t-hybrid` | 3, hours, window, seed |
    /// | `tcn` | 4, date, report with its length |
    /// | `gaen` | 5, key, rolling start, rolling period, transmission risk, diagnosis (0 confirmed, 1 likely), 0 or 1 and the days since onset as a signed byte |
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        match self {
            Item::Dp3tUnlinkable { epoch, seed } => {
                put_numbers(&mut bytes, &[0, *epoch]);
                bytes.extend_from_slice(seed);
            }
            Item::Raw { date, element } => {
                put_numbers(&mut bytes, &[1, date.days(), element.len() as u32]);
                bytes.extend_from_slice(element);
            }
            Item::Dp3tLowCost { date, key } => {
                put_numbers(&mut bytes, &[2, date.days()]);
                bytes.extend_from_slice(key);
            }
            Item::Dp3tHybrid { windows, window, seed } => {
                put_numbers(&mut bytes, &[3, windows.hours(), *window]);
                bytes.extend_from_slice(seed);
            }
            Item::Tcn { date, report } => {
                put_numbers(&mut bytes, &[4, date.days(), report.len() as u32]);
                bytes.extend_from_slice(report);
            }
            Item::Gaen(key) => put_key(&mut bytes, key),
        }
        bytes
    }
}

fn put_key(bytes: &mut Vec<u8>, key: &GaenKey) {
    bytes.push(5);
    bytes.extend_from_slice(&key.key);
    put_numbers(bytes, &[key.rolling_start, key.rolling_period]);
    bytes.extend_from_slice(&[key.transmission_risk, key.diagnosis as u8]);
    match key.days_since_onset {
        None => bytes.push(0),
        Some(days) => bytes.extend_from_slice(&[1, days as u8]),
    }
}

fn put_numbers(bytes: &mut Vec<u8>, numbers: &[u32]) {
    for mut number in numbers.iter().copied() {
        while number >= 0x80 {
            bytes.push(number as u8 | 0x80);
            number >>= 7;
        }
        bytes.push(number as u8);
    }
}

/// The form of an item in binary formats, in which the date is a number.
#[derive(Serialize, Deserialize)]
enum CompactItem {
    Dp3tUnlinkable { epoch: u32, seed: [u8; 32] },
    Raw { days: u32, element: Element },
    Dp3tLowCost { days: u32, key: [u8; 32] },
    Dp3tHybrid { hours: u8, window: u32, seed: [u8; 16] },
    Tcn { days: u32, report: Vec<u8> },
    Gaen(GaenKey),
}

impl Serialize for Item {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            return json::write(self, serializer);
        }
        match self.clone() {
            Item::Dp3tUnlinkable { epoch, seed } => CompactItem::Dp3tUnlinkable { epoch, seed },
            Item::Raw { date, element } => CompactItem::Raw { days: date.days(), element },
            Item::Dp3tLowCost { date, key } => CompactItem::Dp3tLowCost { days: date.days(), key },
            Item::Dp3tHybrid { windows, window, seed } => {
                CompactItem::Dp3tHybrid { hours: windows.hours() as u8, window, seed }
            }
            Item::Tcn { date, report } => CompactItem::Tcn { days: date.days(), report },
            Item::Gaen(key) => CompactItem::Gaen(key),
        }
        .serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Item {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Item, D::Error> {
        if deserializer.is_human_readable() {
            let item = Members::deserialize(deserializer)?.read();
            return item.map_err(|problem| D::Error::custom(format_args!("{problem:?}")));
        }
        let date = |days| Date::from_days(days).map_err(D::Error::custom);
        Ok(match CompactItem::deserialize(deserializer)? {
            CompactItem::Dp3tUnlinkable { epoch, seed } => Item::Dp3tUnlinkable { epoch, seed },
            CompactItem::Raw { days, element } => Item::Raw { date: date(days)?, element },
            CompactItem::Dp3tLowCost { days, key } => Item::Dp3tLowCost { date: date(days)?, key },
            CompactItem::Dp3tHybrid { hours, window, seed } => {
                let windows = hybrid::of_hours(hours.into());
                let windows = windows.ok_or_else(|| D::Error::custom("windows are of 2 or 4 h"))?;
                Item::Dp3tHybrid { windows, window, seed }
            }
            CompactItem::Tcn { days, report } => Item::Tcn { date: date(days)?, report },
            CompactItem::Gaen(key) => Item::Gaen(key),
        })
    }
}
