//! What is new since the last question: the fingerprints among which the next one hides.

use alloc::vec::Vec;

use super::ClientSettings;
use crate::date::Date;
use crate::files::Row;
use crate::keys::Stream;
use crate::set::Set;

/// How many times longer than for a crowd a question waits if nothing at all is new.
const NOTHING_NEW: u64 = 3;

/// A place in a date's set: a fingerprint, or where it would be. Of a question it is the middle of
/// the record that was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Question {
    pub date: Date,
    pub fingerprint: u64,
}

/// The publications since the last question was drawn, and what they added.
///
/// A hit is always among what is new, so a dummy is drawn from it too: otherwise its date, and
/// the record that it lies in, would tell it from a real question.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Window {
    /// Time of issue of the publication at which it begins; 0 before the first question.
    pub since: u64,
    /// How many fingerprints were added.
    pub added: u64,
    /// One of them, each with the same probability.
    pub sample: Option<Question>,
}

impl Window {
    /// Counts what a date's new set adds to its old one, and lets it into the sample.
    pub(super) fn extend(&mut self, row: &Row, set: &Set, old: Option<&Set>, random: &mut Stream) {
        let comparable =
            old.filter(|old| (old.salt(), old.hash_range()) == (set.salt(), set.hash_range()));
        let (added, fingerprint) = match (comparable, old) {
            (Some(old), _) => {
                let added = additions(old, set);
                let at = random.below(added.len() as u64) as usize;
                (added.len() as u64, added.get(at).copied())
            }
            // A date under a new salt does not show what was added, only how much.
            (None, old) => {
                let at = random.below(u64::from(set.len())) as usize;
                let before = old.map_or(0, Set::len);
                (u64::from(set.len().saturating_sub(before)), set.iter().nth(at))
            }
        };
        self.added = self.added.saturating_add(added);
        if let Some(fingerprint) = fingerprint
            && random.below(self.added) < added
        {
            self.sample = Some(Question { date: row.date, fingerprint });
        }
    }

    /// Whether a question may be asked after the publication that was issued at this time:
    /// enough is new to hide among, or enough time of the publisher's has passed. Both are
    /// signed, so that nobody else can choose what a question hides among. If nothing at all is
    /// new, a question would surely be a dummy, and it takes [`NOTHING_NEW`] times as long.
    pub(super) fn is_wide(&self, issued: u64, settings: &ClientSettings) -> bool {
        let span = issued.saturating_sub(self.since);
        let is_crowded = self.added >= settings.crowd && span >= settings.confirm_every / 2;
        let wait = if self.added > 0 { 1 } else { NOTHING_NEW };
        is_crowded || span >= settings.crowd_wait.saturating_mul(wait)
    }
}

/// The fingerprints of a set that an older one of the same salt and hash range lacks.
fn additions(old: &Set, new: &Set) -> Vec<u64> {
    let mut old = old.iter().peekable();
    let mut added = Vec::new();
    for fingerprint in new {
        while old.next_if(|before| *before < fingerprint).is_some() {}
        if old.next_if_eq(&fingerprint).is_none() {
            added.push(fingerprint);
        }
    }
    added
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::digest::Digest;
    use crate::files::{RecordShape, Table};
    use crate::set::{HashRange, Salt};
    use alloc::collections::BTreeSet;
    use proptest::prelude::*;

    const RANGE: u64 = 1000;

    fn set_of(salt: u8, fingerprints: &BTreeSet<u64>) -> Set {
        let range = HashRange::new(RANGE).unwrap();
        Set::from_fingerprints(Salt([salt; 16]), range, fingerprints.iter().copied()).unwrap()
    }

    fn row_of(set: &Set) -> Row {
        let root = if set.is_empty() { Digest::ZERO } else { Digest::of(b"root") };
        let date = Date::from_days(20_000).unwrap();
        let row = Row::of(date, set, root, RecordShape::for_dates(0, |_| 0));
        Table::from_rows(alloc::vec![row]).unwrap().rows()[0]
    }

    proptest! {
        #[test]
        fn what_is_new_is_counted_and_sampled(
            old in prop::collection::btree_set(0..RANGE, 0..100),
            new in prop::collection::btree_set(0..RANGE, 0..100),
            seed in any::<[u8; 32]>(),
        ) {
            let (before, after) = (set_of(1, &old), set_of(1, &new));
            let mut window = Window::default();
            window.extend(&row_of(&after), &after, Some(&before), &mut Stream::new(seed));
            let added: BTreeSet<u64> = new.difference(&old).copied().collect();
            prop_assert_eq!(window.added, added.len() as u64);
            let sample = window.sample.map(|sample| sample.fingerprint);
            prop_assert!(sample.map_or(added.is_empty(), |sample| added.contains(&sample)));

            let mut window = Window::default();
            window.extend(&row_of(&after), &after, None, &mut Stream::new(seed));
            prop_assert_eq!(window.added, new.len() as u64);
        }
    }

    #[test]
    fn every_addition_is_sampled_alike() {
        let set = |values: &[u64]| set_of(1, &values.iter().copied().collect());
        let (first, second, third) = (set(&[1]), set(&[1, 2, 3]), set(&[1, 2, 3, 4, 5, 6]));
        let mut counts = [0u32; 7];
        for seed in 0..6000u32 {
            let mut entropy = [0; 32];
            entropy[..4].copy_from_slice(&seed.to_le_bytes());
            let (mut random, mut window) = (Stream::new(entropy), Window::default());
            for (old, new) in [(None, &first), (Some(&first), &second), (Some(&second), &third)] {
                window.extend(&row_of(new), new, old, &mut random);
            }
            counts[window.sample.unwrap().fingerprint as usize] += 1;
        }
        // 1000 each on average, with a standard deviation of 29.
        assert!(counts[1..].iter().all(|count| (850..1150).contains(count)), "{counts:?}");
    }

    #[test]
    fn a_question_waits_for_a_crowd_or_for_the_publisher() {
        let settings = ClientSettings {
            confirm_every: 6000,
            crowd: 10,
            crowd_wait: 80_000,
            ..ClientSettings::new(crate::SigningKey::from_seed([1; 32]).public())
        };
        let window = |added| Window { since: 1_000_000, added, sample: None };
        for (added, span, wide) in [
            (9, 0, false),
            (9, 79_999, false),
            (9, 80_000, true),
            (0, 239_999, false),
            (0, 240_000, true),
            (10, 2999, false),
            (10, 3000, true),
        ] {
            assert_eq!(window(added).is_wide(1_000_000 + span, &settings), wide, "{added} {span}");
        }
        assert!(!window(10).is_wide(999_999, &settings), "a clock that went back");
    }
}
