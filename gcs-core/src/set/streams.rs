//! The algebra of sets that are files: from readers to a file, in constant memory for each.

use alloc::vec::Vec;
use core::fmt;
use core::ops::RangeInclusive;
use std::io::{Read, Seek, SeekFrom, Write};

use thiserror::Error;

use super::algebra::{AlgebraError, Operation, expect_one_hashing};
use super::ascending::MAX_LEN;
use super::error::{BuildError, DeltaError};
use super::hash::Salt;
use super::hash_range::HashRange;
use super::info::SetInfo;
use super::merge::{Lengths, Source, Tree};
use super::output::SetOutput;
use super::reader::{CAPACITY, ReadError, SetReader};
use super::sink::{SetSink, SinkError};

/// Bytes for the buffers of all files together. Each has 4 KiB at least.
const BUFFERS: usize = 1 << 22;

/// Why an operation on files fails.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum StreamError {
    /// A file cannot be read, or is not a set.
    #[error("set {position}: {error}")]
    Read {
        /// Which of the files given, from 0.
        position: usize,
        /// What is wrong with it.
        error: ReadError,
    },
    /// The sets cannot be combined.
    #[error(transparent)]
    Algebra(#[from] AlgebraError),
    /// A delta cannot be made of the sets or applied to the set.
    #[error(transparent)]
    Delta(#[from] DeltaError),
    /// The result cannot be written.
    #[error(transparent)]
    Sink(#[from] SinkError),
}

/// Sets in files combined by an [`Operation`], in constant memory: up to 75 KiB for each file,
/// and 15 KiB for each of a thousand.
///
/// Each file is validated to its end, also where the result does not depend on it any more;
/// until then nothing is vouched for ([`SetReader`]).
///
/// ```
/// use std::io::Cursor; // Or `std::fs::File`s; the last one open for reading and writing.
///
/// use gcs_core::set::algebra::{self, Operation};
/// use gcs_core::{HashRange, Salt, Set};
///
/// let (salt, hash_range) = (Salt([0; 16]), HashRange::new(1_000_000)?);
/// let parts = [Set::from_fingerprints(salt, hash_range, [7, 21])?,
///     Set::from_fingerprints(salt, hash_range, [21, 42])?];
/// let files = parts.iter().map(|part| Cursor::new(part.as_bytes()));
/// let combined = Operation::Union.of_readers(files)?;
/// let (file, info) = combined.write(Cursor::new(Vec::new()))?;
/// assert_eq!(info.len, 3);
/// assert_eq!(file.into_inner(), algebra::union(&parts)?.to_set()?.into_inner());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct CombinedReader<R> {
    salt: Salt,
    hash_range: HashRange,
    tree: Tree<Input<R>>,
    /// How many values of the present chunk were handed out.
    handed_out: usize,
    /// Whether nothing was read but the headers.
    is_fresh: bool,
}

impl Operation {
    /// Combines the files of sets by this operation. Reads the header of each.
    ///
    /// # Errors
    /// [`StreamError::Read`] when a file has no header of a set, and
    /// [`StreamError::Algebra`] when there is no file, or when two sets differ in salt or hash
    /// range; both with the position of the file. Before it says that sets differ, it reads all
    /// files to their ends, so that a damaged header is [`StreamError::Read`] and no other salt.
    pub fn of_readers<R: Read>(
        self,
        readers: impl IntoIterator<Item = R>,
    ) -> Result<CombinedReader<R>, StreamError> {
        let readers: Vec<R> = readers.into_iter().collect();
        CombinedReader::new(self, readers, BUFFERS)
    }
}

impl<R: Read> CombinedReader<R> {
    /// Combines files, with `buffers` bytes for the buffers of all together.
    pub(crate) fn new(
        operation: Operation,
        readers: Vec<R>,
        buffers: usize,
    ) -> Result<CombinedReader<R>, StreamError> {
        let capacity = (buffers / readers.len().max(1)).min(CAPACITY);
        let open = |(position, reader)| match SetReader::with_capacity(capacity, reader) {
            Ok(reader) => Ok(Input { position, reader }),
            Err(error) => Err(StreamError::Read { position, error }),
        };
        let mut inputs =
            readers.into_iter().enumerate().map(open).collect::<Result<Vec<_>, _>>()?;
        let hashing = inputs.iter().map(|input| (input.reader.salt(), input.reader.hash_range()));
        let (salt, hash_range) = match expect_one_hashing(hashing) {
            Ok(hashing) => hashing,
            Err(error) => {
                // A damaged header looks like that of another set.
                inputs.iter_mut().try_for_each(|input| input.drain().map(drop))?;
                return Err(error.into());
            }
        };
        let tree = operation.tree(inputs).ok_or(AlgebraError::NoSets)?;
        Ok(CombinedReader { salt, hash_range, tree, handed_out: 0, is_fresh: true })
    }

    /// The salt of the sets and of the result.
    pub fn salt(&self) -> Salt {
        self.salt
    }

    /// The hash range F of the sets and of the result.
    pub fn hash_range(&self) -> HashRange {
        self.hash_range
    }

    /// The next fingerprints of the result in ascending order, up to a few hundred. None at all
    /// means that the end is reached and that every file is valid to its end.
    ///
    /// # Errors
    /// [`StreamError::Read`] with the position of the file.
    pub fn next_chunk(&mut self) -> Result<&[u64], StreamError> {
        self.is_fresh = false;
        self.tree.consume(core::mem::take(&mut self.handed_out));
        if self.tree.chunk()?.is_empty() {
            self.tree.for_each(&mut |input: &mut Input<R>| input.drain().map(drop))?;
        }
        let chunk = self.tree.chunk()?;
        self.handed_out = chunk.len();
        Ok(chunk)
    }

    /// Writes what is still to come to a sink that was made for it.
    pub(crate) fn write_rest<W: Read + Write + Seek>(
        &mut self,
        mut sink: SetSink<W>,
    ) -> Result<(W, SetInfo), StreamError> {
        loop {
            let chunk = self.next_chunk()?;
            if chunk.is_empty() {
                return Ok(sink.finish()?);
            }
            sink.extend(chunk)?;
        }
    }

    /// The possible lengths of what is still to come.
    pub(crate) fn bounds(&self) -> Lengths {
        let Lengths { least, most } = self.tree.lengths();
        Lengths { least, most: most.min(self.hash_range.get()).max(least) }
    }

    /// [`Self::bounds`] in the range that is legal for a set.
    fn lengths(&self) -> Result<RangeInclusive<u32>, StreamError> {
        let Lengths { least, most } = self.bounds();
        let most = most.min(MAX_LEN) as u32;
        match u32::try_from(least) {
            Ok(least) => Ok(least..=most),
            Err(_) => Err(SinkError::from(BuildError::TooMany { got: least }).into()),
        }
    }
}

impl<R: Read + Seek> CombinedReader<R> {
    /// Writes the whole result as a set's file to `out`, from its present position on, where
    /// nothing may follow; returns `out` and what was written. The bytes are those of one build.
    ///
    /// O(log k) time for each fingerprint of each of k files, and for the result what
    /// [`SetSink`] takes. Reads the files once, or twice when the length of the result was
    /// guessed wrong, which is rare.
    ///
    /// # Errors
    /// [`StreamError::Read`] with the position of the file; [`StreamError::Sink`], also when the
    /// result has `2^32` fingerprints or more, and [`SinkError::LeftOver`] when a length was guessed
    /// wrong, for fingerprints that are not evenly spread, and `out` cannot be cut off. What `out`
    /// holds then is no set.
    pub fn write<W: SetOutput>(mut self, mut out: W) -> Result<(W, SetInfo), StreamError> {
        if !self.is_fresh {
            self.rewind()?;
        }
        let start = out.stream_position().map_err(SinkError::from)?;
        let lengths = self.lengths()?;
        let sink = SetSink::new(&mut out, self.salt, self.hash_range, lengths)?;
        let info = match self.write_rest(sink) {
            Err(StreamError::Sink(SinkError::Parameter { len, .. })) => {
                self.rewind()?;
                let written = out.seek(SeekFrom::End(0)).map_err(SinkError::from)?;
                let is_cut = out.cut(start).map_err(SinkError::from)?;
                out.seek(SeekFrom::Start(start)).map_err(SinkError::from)?;
                let sink = match is_cut {
                    true => SetSink::new(&mut out, self.salt, self.hash_range, len..=len)?,
                    false => SetSink::over(&mut out, self.salt, self.hash_range, len..=len)?,
                };
                let info = self.write_rest(sink)?.1;
                let left_over = written.saturating_sub(start + info.bytes);
                if !is_cut && left_over > 0 {
                    return Err(SinkError::LeftOver { bytes: left_over }.into());
                }
                info
            }
            result => result?.1,
        };
        Ok((out, info))
    }

    /// Goes back to the first value.
    pub(crate) fn rewind(&mut self) -> Result<(), StreamError> {
        (self.handed_out, self.is_fresh) = (0, true);
        self.tree.for_each(&mut |input: &mut Input<R>| {
            let position = input.position;
            input.reader.rewind().map_err(|error| StreamError::Read { position, error })
        })
    }
}

/// One of the files, which knows its position for errors.
pub(crate) struct Input<R> {
    pub(crate) position: usize,
    pub(crate) reader: SetReader<R>,
}

impl<R: Read> Input<R> {
    /// Reads to the end.
    pub(crate) fn drain(&mut self) -> Result<SetInfo, StreamError> {
        let position = self.position;
        self.reader.drain().map_err(|error| StreamError::Read { position, error })
    }
}

impl<R: Read> Source for Input<R> {
    type Error = StreamError;

    fn chunk(&mut self) -> Result<&[u64], StreamError> {
        let position = self.position;
        self.reader.chunk().map_err(|error| StreamError::Read { position, error })
    }

    fn consume(&mut self, count: usize) {
        self.reader.consume(count);
    }

    fn lengths(&self) -> Lengths {
        self.reader.lengths()
    }
}

impl<R> fmt::Debug for CombinedReader<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CombinedReader")
            .field("salt", &self.salt)
            .field("hash_range", &self.hash_range.get())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ParseError;
    use crate::set::Set;
    use crate::set::ascending::SAMPLE;
    use crate::set::pieces::Pieces;
    use proptest::prelude::*;
    use std::io::{self, Cursor};

    const SALT: Salt = Salt([2; 16]);
    const ALL: [Operation; 4] = [
        Operation::Union,
        Operation::Intersection,
        Operation::Difference,
        Operation::SymmetricDifference,
    ];

    fn set_of(hash_range: u64, values: impl IntoIterator<Item = u64>) -> Set {
        Set::from_fingerprints(SALT, HashRange::new(hash_range).unwrap(), values).unwrap()
    }

    proptest! {
        /// From files to a file is the same as in memory, which is tested against the definition.
        #[test]
        fn equals_the_algebra_in_memory(
            hash_range in prop_oneof![1u64..3_000, 1u64..1 << 57],
            picks in prop::collection::vec((any::<u64>(), any::<u16>()), 0..1_500),
            count in prop_oneof![1usize..5, 1usize..=16],
            sizes in prop::collection::vec(0usize..2_000, 1..6),
        ) {
            // Each value is in the sets whose bits are set.
            let values = |set: usize| picks.iter().filter(move |pick| pick.1 >> set & 1 == 1).map(|pick| pick.0 % hash_range);
            let sets: Vec<Set> = (0..count).map(|set| set_of(hash_range, values(set))).collect();
            for operation in ALL {
                let expected = operation.of(&sets).unwrap().to_set().unwrap();
                let files = || sets.iter().map(|set| Pieces::new(set.as_bytes(), &sizes));
                let (out, info) = operation.of_readers(files()).unwrap().write(Pieces::new(&[], &sizes)).unwrap();
                prop_assert_eq!(&out.bytes[..], expected.as_bytes());
                prop_assert_eq!(info, expected.info());

                let mut combined = operation.of_readers(files()).unwrap();
                let mut values = Vec::new();
                loop {
                    let chunk = combined.next_chunk().unwrap();
                    if chunk.is_empty() {
                        break;
                    }
                    values.extend_from_slice(chunk);
                }
                prop_assert!(expected.iter().eq(values));
                prop_assert!(combined.next_chunk().unwrap().is_empty());
                // Reading does not change what is written afterwards.
                let (out, _) = combined.write(Cursor::new(Vec::new())).unwrap();
                prop_assert_eq!(&out.into_inner()[..], expected.as_bytes());
            }
        }
    }

    /// An output that cannot be cut off, and that counts how often it begins.
    struct Uncut(Cursor<Vec<u8>>, usize);

    impl Read for Uncut {
        fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
            self.0.read(into)
        }
    }

    impl Write for Uncut {
        fn write(&mut self, from: &[u8]) -> io::Result<usize> {
            // The probe of an output writes this where a set begins.
            self.1 += usize::from(from == [0xff; 48]);
            self.0.write(from)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl Seek for Uncut {
        fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
            self.0.seek(to)
        }
    }

    impl SetOutput for Uncut {}

    /// Values in no random order at all, so that the guess of P is wrong, and everything is read
    /// and written a second time. The second writing is longer than the first.
    #[test]
    fn a_wrong_guess_is_made_good() {
        let hash_range = 1 << 40;
        let set =
            set_of(hash_range, (0..SAMPLE as u64 + 5).chain(hash_range - 300_000..hash_range));
        let files = || [&set, &set].map(|set| Cursor::new(set.as_bytes()));
        let combined = Operation::Union.of_readers(files()).unwrap();
        let len = set.len();
        assert_eq!(combined.lengths().unwrap(), len..=2 * len);
        let p = |len| set.hash_range().rice_parameter(len);
        assert_ne!(p(len), p(2 * len), "the lengths must not determine P");
        let mut out = Uncut(Cursor::new(std::vec![9; 3]), 0);
        out.seek(SeekFrom::End(0)).unwrap();
        let (out, info) = combined.write(out).unwrap();
        assert_eq!((out.1, info), (2, set.info()), "a second writing");
        assert!(out.0.into_inner()[3..] == *set.as_bytes());
    }

    /// Every cut and every changed byte of any input is named, also where the result does not
    /// need it: behind the end of an intersection or a difference.
    #[test]
    fn damage_is_found_and_named() {
        let sets = [
            set_of(1 << 30, (0..40).map(|i| i * 1_000)),
            set_of(1 << 30, (500..530).map(|i| i * 1_000)),
            set_of(1 << 30, []),
        ];
        for operation in ALL {
            for position in 0..sets.len() {
                let bytes = sets[position].as_bytes();
                for at in 0..bytes.len() {
                    for cut in [true, false] {
                        let mut files: Vec<Vec<u8>> =
                            sets.iter().map(|set| set.as_bytes().to_vec()).collect();
                        if cut {
                            files[position].truncate(at);
                        } else {
                            files[position][at] ^= 1;
                        }
                        let mut out = Cursor::new(Vec::new());
                        let files = files.into_iter().map(Cursor::new);
                        let written = operation
                            .of_readers(files)
                            .and_then(|combined| combined.write(&mut out));
                        match written.map(drop) {
                            Err(StreamError::Read {
                                position: got,
                                error: ReadError::Parse(_),
                            }) => assert_eq!(got, position),
                            other => panic!("{operation:?}, {position}, {at}: {other:?}"),
                        }
                        assert!(Set::parse(out.into_inner()).is_err());
                    }
                }
            }
        }
    }

    #[test]
    fn what_fails_is_told() {
        let set = set_of(1 << 40, (0..3_000).map(|i| i * 1_000_000));
        let none = Operation::Union.of_readers::<&[u8]>([]).unwrap_err();
        assert!(matches!(none, StreamError::Algebra(AlgebraError::NoSets)));

        // A file that cannot be read in its middle.
        let whole = Pieces::new(set.as_bytes(), &[usize::MAX]);
        let failing = Pieces::failing(set.as_bytes(), 2_000);
        let files = [whole.clone(), failing];
        let error = Operation::Intersection
            .of_readers(files)
            .unwrap()
            .write(Cursor::new(Vec::new()))
            .unwrap_err();
        let StreamError::Read { position: 1, error: ReadError::Io(error) } = error else {
            panic!("{error}")
        };
        assert_eq!(error.kind(), io::ErrorKind::StorageFull);

        // A full disk at any byte.
        let size = set.as_bytes().len();
        for full_at in (0..size).step_by(97).chain([size - 1]) {
            let mut out = Pieces::failing(&[], full_at);
            let files = [whole.clone(), whole.clone()];
            let error = Operation::Union.of_readers(files).unwrap().write(&mut out).unwrap_err();
            assert!(matches!(error, StreamError::Sink(SinkError::Io(_))), "{error}");
            assert!(Set::parse(&out.bytes[..]).is_err());
        }

        let wrong = Operation::Union.of_readers([set.as_bytes(), b"GCSDLT\x01\x00"]).unwrap_err();
        let StreamError::Read { position: 1, error: ReadError::Parse(error) } = wrong else {
            panic!("{wrong}")
        };
        assert!(matches!(error, ParseError::Magic { .. }));
    }

    /// The first values tell nothing of the others, so P is guessed wrong, and the second writing is
    /// shorter than the first. What is left of the first is cut off; where that cannot be done it
    /// is an error, and never a file that goes on behind the set.
    #[test]
    fn what_a_wrong_guess_leaves_behind_is_cut_off_or_an_error() {
        let hash_range = HashRange::new(1 << 40).unwrap();
        let set = |odd: u64| {
            let many = (0..400_000).map(|i| (1 << 39) + 2 * i + odd);
            let values = (0..16_384).chain(many).chain([(1 << 40) - 1]);
            Set::from_fingerprints(Salt([1; 16]), hash_range, values).unwrap()
        };
        let sets = [set(0), set(1)];
        let combined = || {
            let files = sets.iter().map(|set| Cursor::new(set.as_bytes()));
            Operation::Intersection.of_readers(files).unwrap()
        };
        let mut uncut = Cursor::new(std::vec![9; 3]);
        uncut.set_position(3);
        let mut uncut = Uncut(uncut, 0);
        let error = combined().write(&mut uncut).map(drop).unwrap_err();
        let StreamError::Sink(SinkError::LeftOver { bytes }) = error else { panic!("{error}") };
        let expected = Operation::Intersection.of(&sets).unwrap().to_set().unwrap();
        let written = uncut.0.into_inner().len() - 3;
        assert_eq!(bytes as usize, written - expected.as_bytes().len());
        let mut in_memory = Cursor::new(std::vec![9; 3]);
        in_memory.set_position(3);
        let (out, info) = combined().write(in_memory).unwrap();
        assert!(out.into_inner()[3..] == *expected.as_bytes() && info == expected.info());
        let mut file = tempfile::tempfile().unwrap();
        combined().write(&mut file).unwrap();
        let mut bytes = Vec::new();
        file.rewind().unwrap();
        file.read_to_end(&mut bytes).unwrap();
        assert!(bytes == expected.as_bytes());
    }
}
