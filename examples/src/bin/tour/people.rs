//! Patients and the identifiers that their phones broadcast.

use gcs_core::identifiers::dp3t;
pub(crate) use gcs_core::identifiers::dp3t::EPOCH_SECONDS;
use gcs_core::{DAY_SECONDS, Date};
use sha2::{Digest as _, Sha256};

/// Epochs of a day.
pub(crate) const EPOCHS_A_DAY: u64 = DAY_SECONDS / EPOCH_SECONDS;

/// Days for which a patient reports.
pub(crate) const CONTAGIOUS_DAYS: u64 = 5;

/// What a phone can hear and test: 16 or 32 bytes here.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct Element {
    bytes: [u8; 32],
    length: u8,
}

impl AsRef<[u8]> for Element {
    fn as_ref(&self) -> &[u8] {
        &self.bytes[..usize::from(self.length)]
    }
}

impl From<[u8; 32]> for Element {
    fn from(bytes: [u8; 32]) -> Element {
        Element { bytes, length: 32 }
    }
}

fn sha256(parts: &[&[u8]]) -> [u8; 32] {
    let mut hasher = Sha256::new();
    for part in parts {
        hasher.update(part);
    }
    hasher.finalize().into()
}

/// A patient: a number, and the epochs for which the phone reports its seeds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Patient {
    pub(crate) number: u32,
    pub(crate) first: Date,
    pub(crate) epochs: u64,
}

impl Patient {
    /// Everything the patient reports: the time at which each epoch began, and its element.
    pub(crate) fn reports(self) -> impl Iterator<Item = (u64, Element)> {
        (0..self.epochs).map(move |at| self.report(at))
    }

    /// One of the patient's epochs.
    pub(crate) fn report(self, at: u64) -> (u64, Element) {
        let time = self.first.start() + at * EPOCH_SECONDS;
        let epoch = (time / EPOCH_SECONDS) as u32;
        // Stands for 32 random bytes, so that every tour is the same.
        let number = self.number.to_be_bytes();
        let seed = sha256(&[b"tour patient", &number, &epoch.to_be_bytes()]);
        (time, Element::from(dp3t::unlinkable_element(&seed, epoch)))
    }
}

/// Someone who is not infected: an element that nobody reports.
pub(crate) fn stranger(number: u64) -> Element {
    Element::from(sha256(&[b"tour stranger", &number.to_be_bytes()]))
}

/// One day of a phone with Apple's and Google's Exposure Notification: the 144 rolling
/// proximity identifiers of the official test vectors, each with the time it was first
/// broadcast.
pub(crate) fn exposure_notification_day() -> Result<Vec<(u64, Element)>, Box<dyn std::error::Error>>
{
    let file = include_str!("../../../data/gaen-rpi-144.json");
    let file: serde_json::Value = serde_json::from_str(file)?;
    let start = file["rolling_start_interval"].as_u64().ok_or("no start interval")?;
    let identifiers = file["rpis"].as_array().ok_or("no identifiers")?;
    let element = |(at, hex): (u64, &serde_json::Value)| {
        let bytes = u128::from_str_radix(hex.as_str()?, 16).ok()?.to_be_bytes();
        let mut element = Element { bytes: [0; 32], length: 16 };
        element.bytes[..16].copy_from_slice(&bytes);
        Some(((start + at) * 600, element))
    };
    let day: Option<Vec<_>> = (0u64..).zip(identifiers).map(element).collect();
    Ok(day.ok_or("an identifier is not 16 bytes of hex")?)
}
