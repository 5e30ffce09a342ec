//! People: patients, strangers, and one phone with Exposure Notification.

use gcs_core::identifiers::dp3t::{self, EPOCH_SECONDS};
use gcs_core::report::{GaenKey, Item};
use gcs_core::{Date, Digest};

use crate::Checked;

/// A patient whose phone runs DP-3T's unlinkable design, with a fresh seed for every epoch
/// of 15 minutes, and reports the seeds of some epochs in a row.
#[derive(Clone, Copy, Debug)]
pub struct Patient {
    /// The number that identifies the patient.
    pub number: u32,
    /// The date on which the report begins, with the first epoch.
    pub first: Date,
    /// For how many epochs the phone reports its seeds.
    pub epochs: u64,
}

impl Patient {
    fn epoch(self, at: u64) -> u32 {
        (self.first.start() / EPOCH_SECONDS + at) as u32
    }

    /// Stands for 32 random bytes, so that every run is the same.
    fn seed(self, epoch: u32) -> [u8; 32] {
        let (number, epoch) = (self.number.to_be_bytes(), epoch.to_be_bytes());
        Digest::of(&[b"demo patient".as_slice(), &number, &epoch].concat()).0
    }

    /// Everything the patient reports.
    pub fn items(self) -> Vec<Item> {
        let item = |epoch| Item::Dp3tUnlinkable { epoch, seed: self.seed(epoch) };
        (0..self.epochs).map(|at| item(self.epoch(at))).collect()
    }

    /// The time at which one of the patient's epochs began, and the element that others heard in
    /// it.
    pub fn broadcast(self, at: u64) -> (u64, [u8; 32]) {
        let epoch = self.epoch(at);
        // What a phone computes from what it hears, without the seed.
        let heard = dp3t::ephemeral_id(&self.seed(epoch));
        (u64::from(epoch) * EPOCH_SECONDS, dp3t::heard_element(&heard, epoch))
    }
}

/// The element of a person who is not infected, which is never reported.
pub fn stranger(number: u64) -> [u8; 32] {
    Digest::of(&[b"demo stranger".as_slice(), &number.to_be_bytes()].concat()).0
}

/// One day of a phone with Apple's and Google's Exposure Notification: the 144 rolling
/// proximity identifiers of the official test vectors, each with the time it was first
/// broadcast.
///
/// # Errors
/// If the file cannot be read, which cannot happen: it is a part of the program.
pub fn exposure_notification_day() -> Checked<Vec<(u64, [u8; 16])>> {
    let file = vectors()?;
    let start = file["rolling_start_interval"].as_u64().ok_or("no start interval")?;
    let identifiers = file["rpis"].as_array().ok_or("no identifiers")?;
    let element = |(at, hex): (u64, &serde_json::Value)| Some(((start + at) * 600, bytes(hex)?));
    let day: Option<Vec<_>> = (0u64..).zip(identifiers).map(element).collect();
    Ok(day.ok_or("an identifier is not 16 bytes of hex")?)
}

/// The key of that day as an item of a report.
///
/// # Errors
/// As [`exposure_notification_day`].
pub fn exposure_notification_key() -> Checked<Item> {
    let file = vectors()?;
    let start = file["rolling_start_interval"].as_u64().ok_or("no start interval")?;
    let key = bytes(&file["tek"]).ok_or("the key is not 16 bytes of hex")?;
    Ok(Item::Gaen(GaenKey::new(key, u32::try_from(start)?, 144)))
}

fn vectors() -> Checked<serde_json::Value> {
    Ok(serde_json::from_str(include_str!("../data/gaen-rpi-144.json"))?)
}

fn bytes(hex: &serde_json::Value) -> Option<[u8; 16]> {
    Some(u128::from_str_radix(hex.as_str()?, 16).ok()?.to_be_bytes())
}
