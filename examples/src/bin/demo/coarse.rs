//! The same elements at other rates: one at which every phone meets false positives, and one at
//! which false alarms are so rare that no phone needs to ask. These scenes use gcs-core without a
//! server.

use std::collections::BTreeMap;

use gcs_core::publish::{Day, Keys, Publisher, PublisherSettings};
use gcs_core::sync::ClientSettings;
use gcs_core::{DAY_SECONDS, Date};
use gcs_examples::memory::{Files, MemoryFetch};
use gcs_examples::phone::{HEARD, Phone, hurried};
use gcs_examples::{Checked, ensure};

use crate::story::{DATES, Story};
use crate::voice::{doing, progress, say};

/// The false-positive rate of the coarse filter stays below `2^-COARSE_BITS`.
const COARSE_BITS: u32 = 8;

/// False positives that each phone meets at least in the coarse filter.
const LEAST: u64 = 5;

/// The false-positive rate of the fine filter stays below `2^-FINE_BITS`.
const FINE_BITS: u32 = 32;

/// A publication of the patients' elements.
struct Filter {
    keys: Keys,
    files: Files,
    /// Sum of the false-positive rates of all dates.
    rate: f64,
    /// Bytes of all sets.
    bytes: u64,
    now: u64,
}

impl Story {
    /// Phones recognise false positives, and confirm true contacts.
    pub(crate) fn a_coarse_filter(&mut self) -> Checked<()> {
        doing(format!("a filter at rate 2^-{COARSE_BITS}"));
        let filter = self.filter(COARSE_BITS)?;
        let expected = HEARD as f64 / DATES as f64 * filter.rate;
        let often = hurried(ClientSettings::new(filter.keys.root));
        let phones = self.scale.coarse_phones;
        for number in 0..phones {
            let mut phone = Phone::new(300 + number, often, MemoryFetch(&filter.files));
            self.live_a_fortnight(&mut phone, number);
            phone.confirm_all(filter.now + 500)?;
            let got = phone.false_positives;
            ensure(got > LEAST, || format!("only {got} false positives at rate 2^-{COARSE_BITS}"))?;
            self.figures.false_positives += got;
            self.figures.false_positives_expected += expected;
            progress(format!("{} of {phones} phones", 1 + number));
        }
        say(format!(
            "At rate 2^-{COARSE_BITS}, without a server, {phones} phones recognise {} false \
             positives, and confirm all of their contacts.",
            self.figures.false_positives
        ))?;
        Ok(())
    }

    /// Phones know their contacts after one sync, and ask nothing.
    pub(crate) fn a_fine_filter(&mut self) -> Checked<()> {
        doing(format!("a filter at rate 2^-{FINE_BITS}"));
        let (usual, fine) = (self.filter(20)?, self.filter(FINE_BITS)?);
        let settings = ClientSettings::new(fine.keys.root);
        let phones = self.scale.coarse_phones;
        let mut contacts = 0;
        for number in 0..phones {
            let mut phone = Phone::new(400 + number, settings, MemoryFetch(&fine.files));
            self.live_a_fortnight(&mut phone, number);
            // Two wakes: the second is in a confirmation slot.
            let outcome = phone.sync(fine.now + 500)?;
            contacts += phone.expect_true(outcome.contacts.as_deref().unwrap_or_default())?;
            let outcome = phone.sync(fine.now + 500 + settings.confirm_every)?;
            let silent = outcome.asked.is_none() && phone.traffic().confirmations == 0;
            ensure(silent, || format!("a phone asked at rate 2^-{FINE_BITS}"))?;
        }
        self.figures.fine_size = fine.bytes as f64 / usual.bytes as f64;
        self.figures.unasked = contacts;
        say(format!(
            "At rate 2^-{FINE_BITS}, {phones} phones know all {contacts} contacts at once and ask \
             nothing. The sets are {:.2} times as large as at 2^-20.",
            self.figures.fine_size
        ))?;
        Ok(())
    }

    /// Publishes everything that the patients broadcast.
    fn filter(&self, rate_bits: u32) -> Checked<Filter> {
        let now = self.first.start() + DATES * DAY_SECONDS + 2 * 3600;
        let mut days: BTreeMap<Date, Vec<[u8; 32]>> = BTreeMap::new();
        for patient in &self.patients {
            for (time, element) in (0..patient.epochs).map(|at| patient.broadcast(at)) {
                days.entry(Date::of_time(time)).or_default().push(element);
            }
        }
        let day = |(date, elements)| Day { date, elements };
        let days: Vec<Day<[u8; 32]>> = days.into_iter().map(day).collect();

        let keys = Keys::from_secret([1; 32], now + 90 * DAY_SECONDS);
        let settings = PublisherSettings { rate_bits, ..PublisherSettings::default() };
        let publication = Publisher::new(settings, 1).publish_next(now, &days, &keys)?;
        let table = publication.publisher.table().ok_or("nothing is published")?;
        let rate = table.rows().iter().map(|row| 1.0 / row.hash_range.modulus(row.len)).sum();
        let bytes = table.rows().iter().map(|row| row.bytes).sum();
        let files = publication.files.into_iter();
        let files = files.map(|file| (file.path.to_string(), file.bytes)).collect();
        Ok(Filter { keys, files, rate, bytes, now })
    }
}
