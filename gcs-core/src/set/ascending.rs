//! Building a set from values that ascend already, whose number is not known before.

use alloc::vec::Vec;

use super::error::BuildError;
use super::hash::Salt;
use super::hash_range::HashRange;
use super::merge::Lengths;
use super::rice::CHUNK;
use super::set::{Set, SetWriter};

/// How many values are looked at before P is chosen: 128 KiB. From 16,384 random values
/// the number of all is known to within 2 % nearly always.
pub(crate) const SAMPLE: usize = 1 << 14;

/// Most fingerprints in a set.
pub(crate) const MAX_LEN: u64 = u32::MAX as u64;

impl Set {
    /// Builds the set of fingerprints that ascend strictly, as sorted files and other sets give
    /// them. O(n) time, no memory besides the result (nearly always: P depends on the exact
    /// length and is guessed from the first values; a wrong guess, likely only when the
    /// fingerprints are no hashes, codes the set again).
    ///
    /// # Errors
    /// [`BuildError::NotAscending`] and [`BuildError::OutOfRange`] with the position of the first
    /// wrong fingerprint; [`BuildError::TooMany`].
    ///
    /// ```
    /// use gcs_core::{HashRange, Salt, Set};
    ///
    /// let (salt, hash_range) = (Salt([0; 16]), HashRange::new(1_000_000)?);
    /// let set = Set::from_ascending(salt, hash_range, [7, 21, 42])?;
    /// assert_eq!(set, Set::from_fingerprints(salt, hash_range, [42, 7, 21])?);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn from_ascending(
        salt: Salt,
        hash_range: HashRange,
        fingerprints: impl IntoIterator<Item = u64>,
    ) -> Result<Set, BuildError> {
        let mut values = fingerprints.into_iter();
        let (least, most) = values.size_hint();
        let most = most.map_or(u64::MAX, |most| most as u64);
        let lengths = Lengths { least: least as u64, most };
        let mut builder = AscendingBuilder::new(salt, hash_range, lengths)?;
        let mut chunk = Vec::with_capacity(CHUNK);
        loop {
            chunk.extend(values.by_ref().take(CHUNK));
            if chunk.is_empty() {
                return Ok(builder.finish());
            }
            builder.extend(&chunk)?;
            chunk.clear();
        }
    }
}

/// Builds a set from ascending values, of which only a range of lengths is known.
pub(crate) struct AscendingBuilder {
    salt: Salt,
    hash_range: HashRange,
    lengths: Lengths,
    ascending: Ascending,
    /// The first values, until there are enough to choose P.
    sample: Vec<u64>,
    writer: Option<SetWriter>,
}

impl AscendingBuilder {
    pub(crate) fn new(
        salt: Salt,
        hash_range: HashRange,
        lengths: Lengths,
    ) -> Result<AscendingBuilder, BuildError> {
        if lengths.least > MAX_LEN {
            return Err(BuildError::TooMany { got: lengths.least });
        }
        let ascending = Ascending::new(hash_range);
        Ok(AscendingBuilder {
            salt,
            hash_range,
            lengths,
            ascending,
            sample: Vec::new(),
            writer: None,
        })
    }

    /// Appends values above all before.
    pub(crate) fn extend(&mut self, values: &[u64]) -> Result<(), BuildError> {
        self.ascending.extend(values)?;
        if let Some(writer) = &mut self.writer {
            writer.extend(values);
            return Ok(());
        }
        self.sample.extend_from_slice(values);
        if self.sample.len() >= SAMPLE {
            let guess = guess(self.hash_range, self.lengths, &self.sample);
            self.writer = Some(self.start(guess));
        }
        Ok(())
    }

    /// A writer that has P for `len` values, and codes the sample.
    fn start(&self, len: u32) -> SetWriter {
        let parameter = self.hash_range.rice_parameter(len);
        // The guess is not trusted with memory: the writer grows as values come.
        let least = self.lengths.least.max(self.sample.len() as u64);
        let room = len.min(u32::try_from(4 * least).unwrap_or(u32::MAX));
        let mut writer = SetWriter::with_parameter(self.salt, self.hash_range, parameter, room);
        writer.extend(&self.sample);
        writer
    }

    pub(crate) fn finish(mut self) -> Set {
        let writer = self.writer.take();
        writer.unwrap_or_else(|| self.start(self.ascending.len())).finish_recoded()
    }
}

/// The likely number of values of which `sample` holds the first: fingerprints are hashes, so
/// they are as dense in the whole hash range as in the part of it that the sample covers.
pub(crate) fn guess(hash_range: HashRange, lengths: Lengths, sample: &[u64]) -> u32 {
    let count = sample.len() as u64;
    let covered = sample.last().map_or(1, |last| u128::from(*last) + 1);
    let all = u128::from(count) * u128::from(hash_range.get()) / covered;
    let all = u64::try_from(all).unwrap_or(u64::MAX).max(lengths.least).max(count);
    all.min(lengths.most).min(hash_range.get()).min(MAX_LEN) as u32
}

/// Checks that values ascend strictly and lie below F, and counts them.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ascending {
    hash_range: u64,
    /// One more than the last value: the smallest value that may come next.
    next: u64,
    len: u64,
}

impl Ascending {
    pub(crate) fn new(hash_range: HashRange) -> Ascending {
        Ascending { hash_range: hash_range.get(), next: 0, len: 0 }
    }

    /// How many values were right.
    pub(crate) fn len(&self) -> u32 {
        self.len as u32
    }

    #[inline]
    pub(crate) fn next(&mut self, value: u64) -> Result<(), BuildError> {
        if value < self.next || value >= self.hash_range || self.len >= MAX_LEN {
            return Err(self.error(value));
        }
        self.next = value + 1;
        self.len += 1;
        Ok(())
    }

    /// Checks all of the values; counts none of them if one is wrong.
    pub(crate) fn extend(&mut self, values: &[u64]) -> Result<(), BuildError> {
        let mut ascending = *self;
        values.iter().try_for_each(|&value| ascending.next(value))?;
        *self = ascending;
        Ok(())
    }

    #[cold]
    fn error(&self, got: u64) -> BuildError {
        let Ascending { hash_range, next, len: position } = *self;
        if got >= hash_range {
            BuildError::OutOfRange { position, hash_range, got }
        } else if got < next {
            BuildError::NotAscending { position, previous: next - 1, got }
        } else {
            BuildError::TooMany { got: position + 1 }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    const SALT: Salt = Salt([5; 16]);

    fn range(hash_range: u64) -> HashRange {
        HashRange::new(hash_range).unwrap()
    }

    proptest! {
        #[test]
        fn equals_a_build(
            hash_range in prop_oneof![1u64..2_000, 1u64..1 << 57, Just((1 << 57) - 1)],
            picks in prop::collection::vec(any::<u64>(), 0..600),
        ) {
            let model: BTreeSet<u64> = picks.iter().map(|pick| pick % hash_range).collect();
            let built = Set::from_fingerprints(SALT, range(hash_range), picks.iter().map(|pick| pick % hash_range)).unwrap();
            // With an exact length, with none, and with a wrong one.
            let ascending = model.iter().copied();
            prop_assert_eq!(&Set::from_ascending(SALT, range(hash_range), ascending.clone()).unwrap(), &built);
            let unknown = ascending.clone().filter(|_| true);
            prop_assert_eq!(&Set::from_ascending(SALT, range(hash_range), unknown).unwrap(), &built);
            let endless = core::iter::repeat(()).map_while({ let mut values = ascending; move |()| values.next() });
            prop_assert_eq!(&Set::from_ascending(SALT, range(hash_range), endless).unwrap(), &built);
        }
    }

    /// Longer than the sample, so that P is guessed: rightly for spread values, wrongly for
    /// values that crowd at either end.
    #[test]
    fn a_wrong_guess_is_made_good() {
        let (hash_range, len) = (range(1 << 40), SAMPLE as u64 * 2 + 77);
        let spread = |i: u64| i * ((1 << 40) / len);
        let low = |i: u64| i;
        let high = |i: u64| if i < SAMPLE as u64 { spread(i) } else { (1 << 40) - len + i };
        let late = |i: u64| (1 << 40) - len + i;
        let mut guesses = BTreeSet::new();
        for (name, value) in [
            ("spread", &spread as &dyn Fn(u64) -> u64),
            ("low", &low),
            ("high", &high),
            ("late", &late),
        ] {
            let values: Vec<u64> = (0..len).map(value).collect();
            let built = Set::from_fingerprints(SALT, hash_range, values.iter().copied()).unwrap();
            let lengths = Lengths { least: 0, most: u64::MAX };
            guesses.insert(hash_range.rice_parameter(guess(
                hash_range,
                lengths,
                &values[..SAMPLE],
            )));
            let unknown = values.iter().copied().filter(|_| true);
            assert!(Set::from_ascending(SALT, hash_range, unknown).unwrap() == built, "{name}");
        }
        assert_eq!(guesses.len(), 3, "one right, two wrong, one of these twice: {guesses:?}");
    }

    /// Every other value of the first part of the hash range, so every other one of all.
    #[test]
    fn the_guess_is_as_dense_as_the_sample() {
        let odd: Vec<u64> = (0..SAMPLE as u64).map(|i| 2 * i + 1).collect();
        let guess = |least, most| guess(range(1 << 20), Lengths { least, most }, &odd);
        assert_eq!(guess(0, u64::MAX), 1 << 19);
        assert_eq!(guess(600_000, u64::MAX), 600_000);
        assert_eq!(guess(0, 500_000), 500_000);
    }

    #[test]
    fn what_is_wrong_is_named_with_its_position() {
        let wrong = |values: &[u64]| {
            Set::from_ascending(SALT, range(100), values.iter().copied()).unwrap_err()
        };
        let descends =
            |position, previous, got| BuildError::NotAscending { position, previous, got };
        assert_eq!(wrong(&[3, 2]), descends(1, 3, 2));
        assert_eq!(wrong(&[0, 0]), descends(1, 0, 0));
        assert_eq!(wrong(&[1, 2, 99, 99]), descends(3, 99, 99));
        let beyond = |position, got| BuildError::OutOfRange { position, hash_range: 100, got };
        assert_eq!(wrong(&[100]), beyond(0, 100));
        assert_eq!(wrong(&[5, u64::MAX]), beyond(1, u64::MAX));

        // The same behind the sample.
        let len = SAMPLE as u64 + 300;
        let values = (0..len).chain([len - 1]);
        let error = Set::from_ascending(SALT, range(1 << 30), values).unwrap_err();
        assert_eq!(error, descends(len, len - 1, len - 1));

        let too_many = Set::from_ascending(SALT, HashRange::MAX, 0..1 << 32).unwrap_err();
        assert_eq!(too_many, BuildError::TooMany { got: 1 << 32 });
        let mut full = Ascending::new(HashRange::MAX);
        (full.len, full.next) = (MAX_LEN, 7);
        assert_eq!(full.next(7), Err(BuildError::TooMany { got: 1 << 32 }));
    }
}
