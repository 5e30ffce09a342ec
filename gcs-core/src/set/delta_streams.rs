//! Deltas of sets that are files: made and applied in memory that depends on the changes alone.

use std::io::{Read, Seek, Write};

use super::changes;
use super::delta::Delta;
use super::error::DeltaError;
use super::hash::Salt;
use super::hash_range::HashRange;
use super::info::SetInfo;
use super::reader::SetReader;
use super::sink::SetSink;
use super::streams::{Input, StreamError};

/// Positions of the files in errors.
const BASE: usize = 0;
const TARGET: usize = 1;

impl Delta {
    /// [`Delta::between`] two sets that are read in pieces. Both files are validated to their
    /// ends. O(n) time; memory: 8 bytes a change, besides the delta.
    ///
    /// # Errors
    /// [`StreamError::Read`] with position 0 for the base and 1 for the target;
    /// [`StreamError::Delta`] as [`Delta::between`], once both files are known to be whole.
    ///
    /// ```
    /// use gcs_core::set::SetReader;
    /// use gcs_core::{Delta, HashRange, Salt, Set};
    ///
    /// let (salt, hash_range) = (Salt([0; 16]), HashRange::new(1_000_000)?);
    /// let base = Set::from_fingerprints(salt, hash_range, [7, 21])?;
    /// let target = Set::from_fingerprints(salt, hash_range, [21, 42])?;
    /// let files = [SetReader::open(base.as_bytes())?, SetReader::open(target.as_bytes())?];
    /// let [base_file, target_file] = files; // Or readers of `std::fs::File`s.
    /// let delta = Delta::between_readers(base_file, target_file)?;
    /// assert_eq!(delta.as_bytes(), Delta::between(&base, &target)?.as_bytes());
    ///
    /// let out = std::io::Cursor::new(Vec::new());
    /// let (out, info) = delta.apply_to_reader(SetReader::open(base.as_bytes())?, out)?;
    /// assert_eq!((&out.into_inner()[..], info), (target.as_bytes(), target.info()));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn between_readers<A: Read, B: Read>(
        base: SetReader<A>,
        target: SetReader<B>,
    ) -> Result<Delta, StreamError> {
        let expected = expect_hashing((base.salt(), base.hash_range()), &target);
        let mut base = Input { position: BASE, reader: base };
        let mut target = Input { position: TARGET, reader: target };
        if let Err(error) = expected {
            // A damaged header looks like that of another set.
            base.drain()?;
            target.drain()?;
            return Err(error.into());
        }
        let (removed, added) = changes::between(&mut base, &mut target)?;
        Ok(Delta::of_changes(&base.drain()?, &target.drain()?, &removed, &added))
    }
}

impl<D: AsRef<[u8]>> Delta<D> {
    /// [`Delta::apply`] to a base that is read in pieces: writes the target's file to `out`, from
    /// its present position on, where nothing may follow; returns `out` and what was written.
    /// The base is validated to its end, and the result has the identity that the delta
    /// declares, before this returns. O(n) time; memory: what [`SetReader`] and
    /// [`SetSink`] take.
    ///
    /// # Errors
    /// [`StreamError::Read`] when the base is no set; [`StreamError::Delta`] as
    /// [`Delta::apply`]; [`StreamError::Sink`]. What `out` holds then must not be used.
    pub fn apply_to_reader<R: Read, W: Read + Write + Seek>(
        &self,
        base: SetReader<R>,
        out: W,
    ) -> Result<(W, SetInfo), StreamError> {
        let expected = expect_hashing((self.salt(), self.hash_range()), &base);
        let mut base = Input { position: BASE, reader: base };
        if let Err(error) = expected {
            base.drain()?;
            return Err(error.into());
        }
        let got = base.reader.len();
        if got != self.base_len() {
            self.expect_base(&mut base)?;
            return Err(DeltaError::BaseLength { expected: self.base_len(), got }.into());
        }
        let len = self.target_len();
        let mut sink = SetSink::new(out, self.salt(), self.hash_range(), len..=len)?;
        let applied = self.apply_chunks(&mut base, &mut sink);
        if matches!(applied, Ok(()) | Err(StreamError::Delta(_))) {
            // Another base is the error, whatever came of applying the delta to it.
            self.expect_base(&mut base)?;
        }
        applied?;
        let (out, info) = sink.finish()?;
        if info.identity != self.target() {
            let (expected, got) = (self.target(), info.identity);
            return Err(DeltaError::Target { expected, got }.into());
        }
        Ok((out, info))
    }

    /// Fails unless the base, which is read to its end, is that of the delta.
    fn expect_base<R: Read>(&self, base: &mut Input<R>) -> Result<(), StreamError> {
        let (expected, got) = (self.base(), base.drain()?.identity);
        if expected == got { Ok(()) } else { Err(DeltaError::Base { expected, got }.into()) }
    }

    /// Writes the base with its changes.
    fn apply_chunks<R: Read, W: Read + Write + Seek>(
        &self,
        base: &mut Input<R>,
        sink: &mut SetSink<W>,
    ) -> Result<(), StreamError> {
        let write = |values: &[u64]| sink.extend(values).map_err(StreamError::from);
        changes::apply(base, self.changes(), write)
    }
}

/// Fails unless a file has this salt and hash range.
fn expect_hashing<R: Read>(
    (salt, hash_range): (Salt, HashRange),
    reader: &SetReader<R>,
) -> Result<(), DeltaError> {
    if reader.salt() != salt {
        return Err(DeltaError::Salt { expected: salt, got: reader.salt() });
    }
    if reader.hash_range() != hash_range {
        let (expected, got) = (hash_range.get(), reader.hash_range().get());
        return Err(DeltaError::HashRange { expected, got });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::set::Set;
    use crate::set::pieces::Pieces;
    use crate::set::reader::ReadError;
    use crate::set::sink::SinkError;
    use alloc::vec::Vec;
    use proptest::prelude::*;
    use std::io::Cursor;

    const SALT: Salt = Salt([1; 16]);

    fn set_of(hash_range: u64, values: impl IntoIterator<Item = u64>) -> Set {
        Set::from_fingerprints(SALT, HashRange::new(hash_range).unwrap(), values).unwrap()
    }

    fn open(set: &Set) -> SetReader<&[u8]> {
        SetReader::open(set.as_bytes()).unwrap()
    }

    fn apply(delta: &Delta, base: &Set) -> Result<Vec<u8>, StreamError> {
        let (out, info) = delta.apply_to_reader(open(base), Cursor::new(Vec::new()))?;
        let set = Set::parse(out.into_inner()).unwrap();
        assert_eq!(set.info(), info);
        Ok(set.into_inner())
    }

    proptest! {
        /// The same as in memory, which is tested against a fresh build.
        #[test]
        fn equals_deltas_in_memory(
            hash_range in prop_oneof![1u64..3_000, 1u64..1 << 57],
            picks in prop::collection::vec((any::<u64>(), 0u8..20), 0..1_500),
            most in 3u8..=20,
            sizes in prop::collection::vec(0usize..2_000, 1..6),
        ) {
            // Values of pick 0 are only in the base, of pick 1 only in the target.
            let side = |other: u8| picks.iter().filter(move |pick| pick.1 % most != other).map(|pick| pick.0 % hash_range);
            let (base, target) = (set_of(hash_range, side(1)), set_of(hash_range, side(0)));
            let expected = Delta::between(&base, &target).unwrap();
            let open = |set: &Set| SetReader::with_capacity(0, Pieces::new(set.as_bytes(), &sizes)).unwrap();
            let delta = Delta::between_readers(open(&base), open(&target)).unwrap();
            prop_assert_eq!(delta.as_bytes(), expected.as_bytes());
            prop_assert_eq!((delta.base_len(), delta.target_len()), (base.len(), target.len()));
            let (out, info) = delta.apply_to_reader(open(&base), Pieces::new(&[], &sizes)).unwrap();
            prop_assert_eq!(&out.bytes[..], target.as_bytes());
            prop_assert_eq!(info, target.info());
        }

        /// To any base, right or wrong, it does what it does in memory.
        #[test]
        fn errors_are_those_in_memory(
            sets in prop::collection::vec(prop::collection::btree_set(0u64..600, 0..400), 3),
            range in 0u64..2,
        ) {
            let [base, target, other] = [0, 1, 2].map(|at| set_of(600, sets[at].iter().copied()));
            let delta = Delta::between(&base, &target).unwrap();
            let other = if range == 0 { other } else { set_of(601, sets[2].iter().copied()) };
            for set in [&base, &target, &other] {
                match (apply(&delta, set), delta.apply(set)) {
                    (Ok(got), Ok(expected)) => prop_assert_eq!(got, expected.into_inner()),
                    (Err(StreamError::Delta(got)), Err(expected)) => prop_assert_eq!(got, expected),
                    (got, expected) => panic!("{got:?}, in memory {expected:?}"),
                }
            }
        }
    }

    #[test]
    fn other_salts_and_ranges_are_refused() {
        let set = set_of(100, [1, 2]);
        let other_range = set_of(101, [1, 2]);
        let other_salt =
            Set::from_fingerprints(Salt([9; 16]), HashRange::new(100).unwrap(), [1, 2]).unwrap();
        let delta = Delta::between(&set, &set).unwrap();
        for other in [&other_range, &other_salt] {
            let between = Delta::between_readers(open(&set), open(other)).unwrap_err();
            let StreamError::Delta(error) = between else { panic!("{between}") };
            assert_eq!(error, Delta::between(&set, other).unwrap_err());
            let applied = apply(&delta, other).unwrap_err();
            let StreamError::Delta(error) = applied else { panic!("{applied}") };
            assert_eq!(error, delta.apply(other).unwrap_err());
        }
    }

    /// Every changed byte, in the base and in the target, those of salt and hash range among them.
    #[test]
    fn damage_is_found_and_named() {
        let sets =
            [set_of(1 << 30, (0..60).map(|i| i * 99)), set_of(1 << 30, (0..60).map(|i| i * 66))];
        let delta = Delta::between(&sets[0], &sets[1]).unwrap();
        for position in [BASE, TARGET] {
            for at in 0..sets[position].as_bytes().len() {
                let mut bytes = sets.each_ref().map(|set| set.as_bytes().to_vec());
                bytes[position][at] ^= 4;
                let [Ok(base), Ok(target)] =
                    bytes.each_ref().map(|bytes| SetReader::open(&bytes[..]))
                else {
                    assert!(at < 48);
                    continue;
                };
                let error = Delta::between_readers(base, target).unwrap_err();
                assert!(
                    matches!(error, StreamError::Read { position: got, error: ReadError::Parse(_) } if got == position)
                );
                if position == BASE {
                    let base = SetReader::open(&bytes[BASE][..]).unwrap();
                    let error = delta.apply_to_reader(base, Cursor::new(Vec::new())).unwrap_err();
                    assert!(matches!(
                        error,
                        StreamError::Read { position: BASE, error: ReadError::Parse(_) }
                    ));
                }
            }
        }
        for full_at in 0..sets[1].as_bytes().len() {
            let error =
                delta.apply_to_reader(open(&sets[0]), Pieces::failing(&[], full_at)).unwrap_err();
            assert!(matches!(error, StreamError::Sink(SinkError::Io(_))));
        }
    }
}
