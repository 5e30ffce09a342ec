//! Patients and the identifiers that their phones broadcast.

use data_encoding::BASE64;
use gcs_core::identifiers::dp3t;
use gcs_core::identifiers::dp3t::EPOCH_SECONDS;
use gcs_core::{Date, Digest};
use serde::Serialize;

use super::Checked;

/// What is reported: a seed, or an element as it was broadcast.
#[derive(Serialize)]
#[serde(tag = "kind")]
pub(super) enum Item {
    #[serde(rename = "dp3t-unlinkable")]
    Seed { epoch: u32, seed: String },
    #[serde(rename = "raw")]
    Raw { date: Date, element: String },
}

/// A body for `POST /v1/reports`.
#[derive(Serialize)]
pub(super) struct Body<'a> {
    pub(super) code: &'a str,
    pub(super) items: &'a [Item],
}

impl Body<'_> {
    pub(super) fn to_json(&self) -> Checked<Vec<u8>> {
        Ok(serde_json::to_vec(self)?)
    }
}

/// A patient, and for how many epochs of 15 minutes the phone reports its seeds.
#[derive(Clone, Copy)]
pub(super) struct Patient {
    pub(super) number: u32,
    pub(super) first: Date,
    pub(super) epochs: u64,
}

impl Patient {
    fn epoch(self, at: u64) -> u32 {
        (self.first.start() / EPOCH_SECONDS + at) as u32
    }

    /// Stands for 32 random bytes, so that every demonstration is the same.
    fn seed(self, epoch: u32) -> [u8; 32] {
        let mut text = b"demo patient".to_vec();
        text.extend(self.number.to_be_bytes());
        text.extend(epoch.to_be_bytes());
        Digest::of(&text).0
    }

    /// Everything the patient reports.
    pub(super) fn items(self) -> Vec<Item> {
        let item = |epoch| Item::Seed { epoch, seed: BASE64.encode(&self.seed(epoch)) };
        (0..self.epochs).map(|at| item(self.epoch(at))).collect()
    }

    /// When one of the patient's epochs began, and what others heard in it.
    pub(super) fn broadcast(self, at: u64) -> (u64, [u8; 32]) {
        let epoch = self.epoch(at);
        // What a phone computes from what it hears, without the seed.
        let heard = dp3t::ephemeral_id(&self.seed(epoch));
        (u64::from(epoch) * EPOCH_SECONDS, dp3t::heard_element(&heard, epoch))
    }
}

/// Someone who is not infected: an element that nobody reports.
pub(super) fn stranger(number: u64) -> [u8; 32] {
    Digest::of(&[b"demo stranger".as_slice(), &number.to_be_bytes()].concat()).0
}

/// One day of a phone with Apple's and Google's Exposure Notification: the 144 rolling
/// proximity identifiers of the official test vectors, each with the time it was first
/// broadcast.
pub(super) fn exposure_notification_day() -> Checked<Vec<(u64, [u8; 16])>> {
    let file = include_str!("../../../examples/data/gaen-rpi-144.json");
    let file: serde_json::Value = serde_json::from_str(file)?;
    let start = file["rolling_start_interval"].as_u64().ok_or("no start interval")?;
    let identifiers = file["rpis"].as_array().ok_or("no identifiers")?;
    let element = |(at, hex): (u64, &serde_json::Value)| {
        let element = u128::from_str_radix(hex.as_str()?, 16).ok()?.to_be_bytes();
        Some(((start + at) * 600, element))
    };
    let day: Option<Vec<_>> = (0u64..).zip(identifiers).map(element).collect();
    Ok(day.ok_or("an identifier is not 16 bytes of hex")?)
}

/// The same as items.
pub(super) fn raw_items(day: &[(u64, [u8; 16])]) -> Vec<Item> {
    let item = |(time, element): &(u64, [u8; 16])| Item::Raw {
        date: Date::of_time(*time),
        element: BASE64.encode(element),
    };
    day.iter().map(item).collect()
}
