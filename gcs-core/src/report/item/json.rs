//! Items in JSON: objects whose member `kind` says which other members they have.

use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use data_encoding::BASE64;
use serde::de::{Error as _, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;

use super::{
    Diagnosis, GaenKey, Item, ItemProblem, Kind, gaen, hybrid, low_cost, raw, tcn, unlinkable,
};
use crate::base64;
use crate::date::Date;

impl Item {
    /// Reads an item of a report. Its error is an [`ItemProblem`], since a bad item does not
    /// affect the others.
    pub(in crate::report) fn from_json(json: &str) -> Result<Item, ItemProblem> {
        if !json.starts_with('{') {
            return Err(ItemProblem::Shape);
        }
        serde_json::from_str::<Members>(json).map_err(|_| ItemProblem::Shape)?.read()
    }
}

/// Reads an item of one kind.
type Read = fn(&mut Members) -> Result<Item, ItemProblem>;

/// The members of an item: each is looked at on its own, so that the problem names the one that is
/// wrong. None is there twice.
pub(super) struct Members(BTreeMap<String, Value>);

impl Members {
    pub(super) fn read(mut self) -> Result<Item, ItemProblem> {
        let kind = self.text("kind").and_then(|kind| kind.parse().ok());
        let kind = kind.ok_or(ItemProblem::KindUnknown)?;
        let (members, read): (&[&str], Read) = match kind {
            Kind::Dp3tUnlinkable => (unlinkable::MEMBERS, unlinkable::read),
            Kind::Raw => (raw::MEMBERS, raw::read),
            Kind::Dp3tLowCost => (low_cost::MEMBERS, low_cost::read),
            Kind::Dp3tHybrid => (hybrid::MEMBERS, hybrid::read),
            Kind::Tcn => (tcn::MEMBERS, tcn::read),
            Kind::Gaen => (gaen::MEMBERS, gaen::read),
        };
        if self.0.keys().all(|name| members.contains(&name.as_str())) {
            read(&mut self)
        } else {
            Err(ItemProblem::Shape)
        }
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    pub(super) fn text(&mut self, name: &str) -> Option<String> {
        match self.0.remove(name)? {
            Value::String(text) => Some(text),
            _ => None,
        }
    }

    pub(super) fn number(&mut self, name: &str) -> Option<u32> {
        self.integer(name)?.try_into().ok()
    }

    pub(super) fn integer(&mut self, name: &str) -> Option<i64> {
        self.0.remove(name)?.as_i64()
    }

    pub(super) fn date(&mut self) -> Option<Date> {
        self.text("date")?.parse().ok()
    }

    /// The bytes of a member in standard base64, padded.
    pub(super) fn bytes(&mut self, name: &str) -> Option<Vec<u8>> {
        base64::decode(&self.text(name)?)
    }
}

impl<'de> Deserialize<'de> for Members {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Members, D::Error> {
        struct Visit;
        impl<'de> Visitor<'de> for Visit {
            type Value = Members;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an item")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members, A::Error> {
                let mut members = BTreeMap::new();
                while let Some((name, value)) = map.next_entry()? {
                    if members.insert(name, value).is_some() {
                        return Err(A::Error::custom("a member twice"));
                    }
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(Visit)
    }
}

/// The JSON form of an item as it is written.
#[derive(Serialize)]
#[serde(tag = "kind")]
enum JsonItem {
    #[serde(rename = "dp3t-unlinkable")]
    Dp3tUnlinkable { epoch: u32, seed: String },
    #[serde(rename = "raw")]
    Raw { date: Date, element: String },
    #[serde(rename = "dp3t-low-cost")]
    Dp3tLowCost { date: Date, key: String },
    #[serde(rename = "dp3t-hybrid")]
    Dp3tHybrid { hours: u32, window: u32, seed: String },
    #[serde(rename = "tcn")]
    Tcn { date: Date, report: String },
    #[serde(rename = "gaen")]
    Gaen(JsonKey),
}

#[derive(Serialize)]
struct JsonKey {
    key: String,
    rolling_start: u32,
    rolling_period: u32,
    transmission_risk: u8,
    diagnosis: Diagnosis,
    #[serde(skip_serializing_if = "Option::is_none")]
    days_since_onset: Option<i8>,
}

impl From<&GaenKey> for JsonKey {
    fn from(key: &GaenKey) -> JsonKey {
        JsonKey {
            key: BASE64.encode(&key.key),
            rolling_start: key.rolling_start,
            rolling_period: key.rolling_period,
            transmission_risk: key.transmission_risk,
            diagnosis: key.diagnosis,
            days_since_onset: key.days_since_onset,
        }
    }
}

pub(super) fn write<S: Serializer>(item: &Item, serializer: S) -> Result<S::Ok, S::Error> {
    match item {
        Item::Dp3tUnlinkable { epoch, seed } => {
            JsonItem::Dp3tUnlinkable { epoch: *epoch, seed: BASE64.encode(seed) }
        }
        Item::Raw { date, element } => {
            JsonItem::Raw { date: *date, element: BASE64.encode(element) }
        }
        Item::Dp3tLowCost { date, key } => {
            JsonItem::Dp3tLowCost { date: *date, key: BASE64.encode(key) }
        }
        Item::Dp3tHybrid { windows, window, seed } => JsonItem::Dp3tHybrid {
            hours: windows.hours(),
            window: *window,
            seed: BASE64.encode(seed),
        },
        Item::Tcn { date, report } => JsonItem::Tcn { date: *date, report: BASE64.encode(report) },
        Item::Gaen(key) => JsonItem::Gaen(key.into()),
    }
    .serialize(serializer)
}
