//! DP-3T in its three designs.

use gcs_core::identifiers::dp3t::{
    self, DayKey, EPOCH_SECONDS, EPOCHS_A_DAY, HybridSeed, HybridWindow,
};
use gcs_core::{Date, Element};
use gcs_examples::Checked;

use crate::design::{Dated, Design, number, numbered};
use crate::random::{Random, secret};

/// One key a day, each made from the one before.
#[derive(Debug)]
pub(crate) struct LowCost {
    /// The date of the first key.
    pub(crate) first: Date,
}

/// One seed for some hours.
#[derive(Debug)]
pub(crate) struct Hybrid;

/// One seed for each epoch.
#[derive(Debug)]
pub(crate) struct Unlinkable;

const WINDOW: HybridWindow = HybridWindow::FourHours;

impl LowCost {
    fn key(&self, person: u64, date: Date) -> Option<DayKey> {
        let first = DayKey::new(self.first, secret("low-cost", &[person]));
        std::iter::successors(Some(first), DayKey::next).find(|key| key.date() == date)
    }
}

impl Design for LowCost {
    fn name(&self) -> &'static str {
        "DP-3T low-cost"
    }

    fn identifiers(&self, person: u64, date: Date) -> Vec<[u8; 16]> {
        let mut ids: Vec<_> =
            self.key(person, date).iter().flat_map(DayKey::ephemeral_ids).collect();
        Random::of("low-cost order", &[person, date.start()]).shuffle(&mut ids);
        ids
    }

    fn sighting(&self, identifier: &[u8; 16], clock: u64) -> Vec<Vec<u8>> {
        dp3t::low_cost_sighting_elements(identifier, clock).map(Vec::from).collect()
    }

    /// The key of the first date, from which all later ones follow.
    fn messages(&self, person: u64, first: Date, _clock: u64) -> Checked<Vec<Vec<u8>>> {
        let key = self.key(person, first).ok_or("no key of that date")?;
        Ok(vec![numbered(first.days(), &key.to_bytes())])
    }

    fn expand(&self, message: &[u8], received: Date) -> Checked<Dated> {
        let (days, key) = number(message)?;
        let first = DayKey::new(Date::from_days(days)?, key.try_into()?);
        let keys = std::iter::successors(Some(first), DayKey::next);
        let keys = keys.take_while(|key| key.date() <= received);
        let dated = |key: DayKey| {
            let elements = key.elements().map(|element| Element::from_slice(&element));
            elements.map(move |element| (key.date(), element)).collect::<Vec<_>>()
        };
        Ok(keys.flat_map(dated).collect())
    }
}

fn hybrid_seed(person: u64, window: u32) -> HybridSeed {
    HybridSeed::new(secret("hybrid", &[person, window.into()]))
}

/// The windows from one time to another, both included.
fn windows(from: u64, to: u64) -> impl Iterator<Item = u32> {
    let window = |time| WINDOW.of_time(time).unwrap_or(u32::MAX);
    window(from)..=window(to)
}

impl Design for Hybrid {
    fn name(&self) -> &'static str {
        "DP-3T hybrid, 4 h"
    }

    fn identifiers(&self, person: u64, date: Date) -> Vec<[u8; 16]> {
        let of_window = |window| {
            let mut ids: Vec<_> = hybrid_seed(person, window).ephemeral_ids(WINDOW).collect();
            Random::of("hybrid order", &[person, window.into()]).shuffle(&mut ids);
            ids
        };
        windows(date.start(), date.end() - 1).flat_map(of_window).collect()
    }

    fn sighting(&self, identifier: &[u8; 16], clock: u64) -> Vec<Vec<u8>> {
        WINDOW.sighting_elements(identifier, clock).map(Vec::from).collect()
    }

    fn messages(&self, person: u64, first: Date, clock: u64) -> Checked<Vec<Vec<u8>>> {
        let message = |window| numbered(window, &hybrid_seed(person, window).to_bytes());
        Ok(windows(first.start(), clock).map(message).collect())
    }

    fn expand(&self, message: &[u8], _received: Date) -> Checked<Dated> {
        let (window, seed) = number(message)?;
        let date = Date::of_time(u64::from(window) * WINDOW.seconds());
        let elements = HybridSeed::new(seed.try_into()?).elements(WINDOW, window);
        Ok(elements.map(|element| (date, Element::from_slice(&element))).collect())
    }
}

fn seed(person: u64, epoch: u32) -> [u8; 32] {
    secret("unlinkable", &[person, epoch.into()])
}

impl Design for Unlinkable {
    fn name(&self) -> &'static str {
        "DP-3T unlinkable"
    }

    fn identifiers(&self, person: u64, date: Date) -> Vec<[u8; 16]> {
        let first = date.days() * EPOCHS_A_DAY;
        let epochs = first..first + EPOCHS_A_DAY;
        epochs.map(|epoch| dp3t::ephemeral_id(&seed(person, epoch))).collect()
    }

    fn sighting(&self, identifier: &[u8; 16], clock: u64) -> Vec<Vec<u8>> {
        dp3t::sighting_elements(identifier, clock).map(Vec::from).collect()
    }

    fn messages(&self, person: u64, first: Date, clock: u64) -> Checked<Vec<Vec<u8>>> {
        let last = dp3t::epoch_of(clock).ok_or("a clock beyond all epochs")?;
        let epochs = first.days() * EPOCHS_A_DAY..=last;
        Ok(epochs.map(|epoch| numbered(epoch, &seed(person, epoch))).collect())
    }

    fn expand(&self, message: &[u8], _received: Date) -> Checked<Dated> {
        let (epoch, seed) = number(message)?;
        let date = Date::of_time(u64::from(epoch) * EPOCH_SECONDS);
        Ok(vec![(date, dp3t::unlinkable_element(seed.try_into()?, epoch).into())])
    }
}
