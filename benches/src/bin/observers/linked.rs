//! Attack 6: questions that add up.
//!
//! The attacker is the server. It links the requests of a phone, knows that they are real and of
//! one patient, which is more than it can know, and counts the patients who have an element in
//! all of the records. This needs no publications: places are drawn.

use crate::deployment::{DATES, EPOCHS};
use crate::random::Random;

/// Ranks of a record for dates of so many elements, if a date has at most so many records.
pub(crate) fn ranks(per_date: u64, most_records: u64) -> u64 {
    per_date.div_ceil(most_records).next_power_of_two().max(2048)
}

/// Patients who fit the first 1, 4 and 8 records on average, if so many reported at the time of
/// the true one and each date has so many records. The true one is among them.
pub(crate) fn fitting(patients: u64, records: u64, seed: u64) -> [f64; 3] {
    const ROUNDS: u64 = 200;
    let mut sums = [0; 3];
    for round in 0..ROUNDS {
        let mut random = Random::of(&[seed, 6, patients, records, round]);
        let asked: Vec<u64> = (0..8).map(|_| random.below(records)).collect();
        for _ in 1..patients {
            let mut fits = |record: &u64| (0..EPOCHS).any(|_| random.below(records) == *record);
            let run = asked.iter().take_while(|record| fits(record)).count();
            sums.iter_mut().zip([1, 4, 8]).for_each(|(sum, least)| *sum += u64::from(run >= least));
        }
    }
    sums.map(|sum| 1.0 + sum as f64 / ROUNDS as f64)
}

/// Reports in so many hours.
pub(crate) fn reports(per_date: u64, hours: u64) -> u64 {
    (per_date * hours).div_ceil(DATES * EPOCHS * 24).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everybody_fits_one_record_and_few_fit_many() {
        assert_eq!(fitting(10, 1, 1), [10.0; 3]);
        assert_eq!(fitting(1, 244, 1), [1.0; 3]);
        // A patient misses a record with (1 - 1/244)^96 = 0.674.
        let [one, four, eight] = fitting(1000, 244, 1);
        assert!((320.0..334.0).contains(&one), "{one}");
        assert!((11.0..14.5).contains(&four) && (1.0..1.4).contains(&eight), "{four} {eight}");
    }

    #[test]
    fn records_are_as_the_format_has_them() {
        assert_eq!([10_000, 100_000, 1_000_000].map(|n| ranks(n, 64)), [2048, 2048, 16_384]);
        assert_eq!([10_000, 100_000, 1_000_000].map(|n| ranks(n, 256)), [2048, 2048, 4096]);
    }
}
