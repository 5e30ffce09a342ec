//! The same elements at a rate at which every phone meets false positives. This scene uses
//! gcs-core without a server.

use std::collections::BTreeMap;

use gcs_core::publish::{Day, Keys, Publisher, PublisherSettings};
use gcs_core::sync::ClientSettings;
use gcs_core::{DAY_SECONDS, Date};
use gcs_examples::memory::{Files, MemoryFetch};
use gcs_examples::phone::{HEARD, Phone};
use gcs_examples::{Checked, ensure};

use crate::story::{DATES, OFTEN, Story};
use crate::voice::{doing, progress, say};

/// The false-positive rate stays below `2^-RATE_BITS`.
const RATE_BITS: u32 = 8;

/// False positives that each phone meets at least.
const LEAST: u64 = 5;

impl Story {
    /// Phones recognise false positives, and confirm true contacts.
    pub(crate) fn a_coarse_filter(&mut self) -> Checked<()> {
        doing(format!("a filter at rate 2^-{RATE_BITS}"));
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
        let settings = PublisherSettings { rate_bits: RATE_BITS, ..PublisherSettings::default() };
        let publication = Publisher::new(settings, 1).publish_next(now, &days, &keys)?;
        let table = publication.publisher.table().ok_or("nothing is published")?;
        let rate: f64 = table.rows().iter().map(|row| 1.0 / row.hash_range.modulus(row.len)).sum();
        let expected = HEARD as f64 / DATES as f64 * rate;
        let files = publication.files.into_iter();
        let files: Files = files.map(|file| (file.path.to_string(), file.bytes)).collect();

        let often = ClientSettings { confirm_every: OFTEN, ..ClientSettings::new(keys.root) };
        let phones = self.scale.coarse_phones;
        for number in 0..phones {
            let mut phone = Phone::new(300 + number, often, MemoryFetch(&files));
            self.live_a_fortnight(&mut phone, number);
            phone.confirm_all(now + 500)?;
            let got = phone.false_positives;
            ensure(got > LEAST, || format!("only {got} false positives at rate 2^-{RATE_BITS}"))?;
            self.figures.false_positives += got;
            self.figures.false_positives_expected += expected;
            progress(format!("{} of {phones} phones", 1 + number));
        }
        say(format!(
            "At rate 2^-{RATE_BITS}, without a server, {phones} phones recognise {} false \
             positives, and confirm all of their contacts.",
            self.figures.false_positives
        ))?;
        Ok(())
    }
}
