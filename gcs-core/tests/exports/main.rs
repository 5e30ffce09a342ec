//! Export files: those that we write, and how they are published beside sets.
#![cfg(all(feature = "gaen-export", feature = "protocol"))]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod crash;
mod law;
mod other_program;
mod phone;
mod publication;

use gcs_core::Date;
use gcs_core::identifiers::gaen::export::ExportSigningKey;
use gcs_core::identifiers::gaen::{ExportKey, ExposureKey};
use gcs_core::publish::ExportSettings;
use gcs_core::seeds::{SeedDay, SeedList};

const FIRST: u32 = 20_000;

/// A date, counted from the first one.
fn date(at: u32) -> Date {
    Date::from_days(FIRST + at).unwrap()
}

/// The authority's key.
fn signing_key() -> ExportSigningKey {
    ExportSigningKey::from_bytes(&[9; 32], "310", "v1").unwrap()
}

fn settings(interval: u64) -> ExportSettings {
    ExportSettings { region: "US".to_string(), interval, keys: vec![signing_key()] }
}

/// The key of a date.
fn key_of(at: u32, secret: u8) -> ExportKey {
    let start = (date(at).start() / 600) as u32;
    ExposureKey::new([secret; 16], start, 144).unwrap().into()
}

/// The list of some keys of a date.
fn list_of(at: u32, secrets: &[u8]) -> SeedDay {
    let keys = secrets.iter().map(|secret| key_of(at, *secret));
    SeedDay::new(date(at), SeedList::<ExportKey>::build(keys).unwrap())
}
