//! Writing a set's file value by value, in constant memory.

use alloc::vec::Vec;
use core::fmt;
use core::ops::RangeInclusive;
use std::io::{self, Read, Seek, SeekFrom, Write};

use sha2::{Digest as _, Sha256};
use thiserror::Error;

use super::ascending::{Ascending, SAMPLE, guess};
use super::error::BuildError;
use super::hash::Salt;
use super::hash_range::HashRange;
use super::info::SetInfo;
use super::merge::Lengths;
use super::output::{self, Check};
use super::rice::{CHUNK, RiceWriter, Shape};
use super::set::{HEADER_LEN, Header};
use crate::digest::Digest;

/// Bytes that are written or read back with one call.
const PIECE: usize = 1 << 16;

/// Most ones of a quotient that are coded at once. A quotient alone can have `2^32` and more.
const MOST_ONES: u64 = 4 * PIECE as u64;

/// Why a set's file cannot be written.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum SinkError {
    /// A first attempt wrote more than the second, which had another Rice parameter, and the rest
    /// of it stands behind the set. Begin again with an empty file and the exact length.
    #[error("{bytes} bytes of a first attempt are left behind the set")]
    LeftOver {
        /// How many bytes.
        bytes: u64,
    },
    /// The file cannot be written or read back, as on a full disk, or when it is not open for
    /// reading too, or is open to append.
    #[error("cannot write the set: {0}")]
    Io(io::Error),
    /// The file does not read back as it was written: the disk or its driver is broken.
    #[error(
        "the set does not read back as it was written: expected checksum {expected:#x}, got {got:#x}"
    )]
    ReadBack {
        /// Checksum of what was written.
        expected: u64,
        /// Checksum of what was read.
        got: u64,
    },
    /// The fingerprints do not ascend, are out of range, or are too many.
    #[error(transparent)]
    Build(#[from] BuildError),
    /// The file was begun with the Rice parameter of the expected length, and the length turned
    /// out to need another. Write it once more, with the length that is known now.
    #[error("the set has {len} fingerprints and needs Rice parameter {needed}, not {used}")]
    Parameter {
        /// Exact number of fingerprints.
        len: u32,
        /// The Rice parameter of that number.
        needed: u32,
        /// The Rice parameter that the file was begun with.
        used: u32,
    },
}

impl From<io::Error> for SinkError {
    fn from(error: io::Error) -> SinkError {
        SinkError::Io(error)
    }
}

/// Writes a set's file value by value, in constant memory: at most 300 KiB, whatever its size.
///
/// Header and trailer depend on all values. So at the end it writes the header, reads everything back once for the SHA-256, and appends
/// the trailer. Until then the file is not a set: write it under a temporary name.
///
/// ```
/// use std::io::Cursor; // Or a `std::fs::File` that is open for reading and writing.
///
/// use gcs_core::set::SetSink;
/// use gcs_core::{HashRange, Salt, Set};
///
/// let (salt, hash_range) = (Salt([0; 16]), HashRange::new(1_000_000)?);
/// let mut sink = SetSink::new(Cursor::new(Vec::new()), salt, hash_range, 3..=3)?;
/// for fingerprint in [7, 21, 42] {
///     sink.push(fingerprint)?;
/// }
/// let (file, info) = sink.finish()?;
/// let set = Set::from_fingerprints(salt, hash_range, [42, 7, 21])?;
/// assert_eq!((&file.into_inner()[..], info), (set.as_bytes(), set.info()));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct SetSink<W> {
    out: W,
    /// Where in `out` the file begins.
    start: u64,
    salt: Salt,
    hash_range: HashRange,
    lengths: Lengths,
    ascending: Ascending,
    /// The first values, until P is chosen.
    sample: Vec<u64>,
    code: Option<CodeOutput>,
    /// A write has failed, so that nobody knows what `out` holds.
    is_broken: bool,
}

impl<W: Read + Write + Seek> SetSink<W> {
    /// A sink that writes a set of a number of fingerprints within `len` to `out`, from its
    /// present position on, where nothing may follow. It writes and reads the place of the header
    /// once, so that an output that cannot be read back fails here and not after all the work.
    ///
    /// Give the exact number if it is known (`n..=n`). Else the Rice parameter is chosen from
    /// the range and from the first 16,384 fingerprints, which is right nearly always; when it
    /// is not, [`SetSink::finish`] says so.
    ///
    /// # Errors
    /// [`SinkError::Io`] when `out` has no position, cannot be written or read, appends to its end,
    /// or has something behind its position.
    pub fn new(
        mut out: W,
        salt: Salt,
        hash_range: HashRange,
        len: RangeInclusive<u32>,
    ) -> Result<SetSink<W>, SinkError> {
        output::expect_end(&mut out)?;
        SetSink::over(out, salt, hash_range, len)
    }

    /// [`SetSink::new`] over an earlier attempt, of which something may be left behind the set.
    pub(super) fn over(
        mut out: W,
        salt: Salt,
        hash_range: HashRange,
        len: RangeInclusive<u32>,
    ) -> Result<SetSink<W>, SinkError> {
        let start = out.stream_position()?;
        output::probe::<HEADER_LEN>(&mut out)?;
        let lengths = Lengths { least: u64::from(*len.start()), most: u64::from(*len.end()) };
        // An empty set has no code, so that its P does not matter until the end.
        let parameters =
            [*len.start(), *len.end()].map(|len| hash_range.rice_parameter(len.max(1)));
        let ascending = Ascending::new(hash_range);
        let sample = Vec::new();
        let mut sink = SetSink {
            out,
            start,
            salt,
            hash_range,
            lengths,
            ascending,
            sample,
            code: None,
            is_broken: false,
        };
        if parameters[0] == parameters[1] {
            sink.begin(parameters[0])?;
        }
        Ok(sink)
    }

    /// Writes a fingerprint above all before it.
    ///
    /// # Errors
    /// [`SinkError::Build`] when it is not above the one before or not below F, with its position;
    /// it is not written then, and the next may follow. After [`SinkError::Io`] every call fails.
    pub fn push(&mut self, fingerprint: u64) -> Result<(), SinkError> {
        self.extend(&[fingerprint])
    }

    /// Writes ascending fingerprints.
    pub(crate) fn extend(&mut self, values: &[u64]) -> Result<(), SinkError> {
        self.expect_whole()?;
        self.ascending.extend(values)?;
        let Some(code) = &mut self.code else {
            self.sample.extend_from_slice(values);
            if self.sample.len() >= SAMPLE {
                let guess = guess(self.hash_range, self.lengths, &self.sample);
                self.begin(self.hash_range.rice_parameter(guess))?;
            }
            return Ok(());
        };
        let written = code.extend(values, |piece| self.out.write_all(piece));
        self.is_broken = written.is_err();
        Ok(written?)
    }

    fn expect_whole(&self) -> io::Result<()> {
        if self.is_broken { Err(io::Error::other("an earlier write has failed")) } else { Ok(()) }
    }

    /// Chooses P, and codes what there is.
    fn begin(&mut self, parameter: u32) -> Result<(), SinkError> {
        self.is_broken = true;
        let mut code = CodeOutput::new(parameter);
        code.extend(&core::mem::take(&mut self.sample), |piece| self.out.write_all(piece))?;
        self.code = Some(code);
        self.is_broken = false;
        Ok(())
    }

    /// Ends the file: writes the header, reads everything back for the SHA-256, writes the
    /// trailer. Returns `out`, which stands at the end of the file, and what was written.
    ///
    /// # Errors
    /// [`SinkError::Parameter`] when the range of lengths was no help and the file must be
    /// written once more, with the exact length; [`SinkError::Io`]; [`SinkError::ReadBack`].
    pub fn finish(mut self) -> Result<(W, SetInfo), SinkError> {
        self.expect_whole()?;
        let len = self.ascending.len();
        let needed = self.hash_range.rice_parameter(len);
        if self.code.is_none() {
            self.begin(needed)?;
        }
        let SetSink { mut out, start, salt, hash_range, .. } = self;
        let Some(code) = self.code else { return Err(io::Error::other("not begun").into()) };
        if len > 0 && code.parameter != needed {
            return Err(SinkError::Parameter { len, needed, used: code.parameter });
        }
        let (bits, expected) = code.finish(|piece| out.write_all(piece))?;
        let shape = Shape { bound: hash_range.get(), len, parameter: needed, bits };
        let header = Header { salt, hash_range, shape };
        out.seek(SeekFrom::Start(start))?;
        out.write_all(&header.to_bytes())?;
        out.seek(SeekFrom::Start(start))?;
        let (identity, got) = read_back(&mut out, &header.to_bytes(), shape.bytes())?;
        if got != expected {
            return Err(SinkError::ReadBack { expected, got });
        }
        out.write_all(&identity.0)?;
        out.flush()?;
        Ok((out, header.info(identity)))
    }
}

/// A code that is written in pieces.
struct CodeOutput {
    writer: RiceWriter,
    parameter: u32,
    /// Bytes of code that are written.
    written: u64,
    check: Check,
}

impl CodeOutput {
    fn new(parameter: u32) -> CodeOutput {
        let writer = RiceWriter::append_to(Vec::new(), parameter, 0);
        CodeOutput { writer, parameter, written: 0, check: Check::default() }
    }

    /// Codes ascending values, and writes what is coded whenever it is a piece or more.
    fn extend(
        &mut self,
        values: &[u64],
        mut write: impl FnMut(&[u8]) -> io::Result<()>,
    ) -> io::Result<()> {
        for chunk in values.chunks(CHUNK) {
            // The quotients of a chunk together are at most that of its last value.
            let Some(&last) = chunk.last() else { break };
            if self.writer.ones_of(last) <= MOST_ONES {
                self.writer.extend(chunk);
            } else {
                for &value in chunk {
                    while self.writer.push_ones(value, MOST_ONES) {
                        self.write(&mut write)?;
                    }
                    self.writer.push(value);
                }
            }
            if self.writer.whole_len() >= PIECE {
                self.write(&mut write)?;
            }
        }
        Ok(())
    }

    fn write(&mut self, write: &mut impl FnMut(&[u8]) -> io::Result<()>) -> io::Result<()> {
        let whole = self.writer.take_whole();
        self.written += whole.len() as u64;
        self.check.add(whole);
        write(whole)
    }

    /// Writes the rest, and returns the length of the whole code in bits, and its checksum.
    fn finish(mut self, mut write: impl FnMut(&[u8]) -> io::Result<()>) -> io::Result<(u64, u64)> {
        let (rest, _, bits) = self.writer.finish();
        self.check.add(&rest);
        write(&rest)?;
        Ok((8 * self.written + bits, self.check.finish()))
    }
}

/// Reads a file's header, which must be this one, and `len` bytes of code: the SHA-256 of all, and
/// the checksum of the code.
fn read_back(source: &mut impl Read, header: &[u8], len: u64) -> io::Result<(Digest, u64)> {
    let mut hasher = Sha256::new();
    let mut piece = alloc::vec![0; PIECE];
    let got = &mut piece[..header.len()];
    source.read_exact(got)?;
    if got != header {
        return Err(io::Error::other("the header does not read back as it was written"));
    }
    hasher.update(got);
    let mut check = Check::default();
    let mut left = len;
    while left > 0 {
        let now = left.min(PIECE as u64) as usize;
        source.read_exact(&mut piece[..now])?;
        hasher.update(&piece[..now]);
        check.add(&piece[..now]);
        left -= now as u64;
    }
    Ok((Digest(hasher.finalize().into()), check.finish()))
}

/// Writes the file of a set that is in memory as sorted values, once and from front to back:
/// the header's bit length is computed before the code is.
pub(crate) fn write_sorted(
    mut out: impl Write,
    salt: Salt,
    hash_range: HashRange,
    sorted: &[u64],
) -> Result<SetInfo, SinkError> {
    let mut ascending = Ascending::new(hash_range);
    let mut quotients = 0;
    let len = u32::try_from(sorted.len())
        .map_err(|_| BuildError::TooMany { got: sorted.len() as u64 })?;
    let parameter = hash_range.rice_parameter(len);
    let mut next = 0;
    ascending.extend(sorted)?;
    for &value in sorted {
        quotients += (value - next) >> parameter;
        next = value + 1;
    }
    let bits = quotients + u64::from(len) * u64::from(parameter + 1);
    let header =
        Header { salt, hash_range, shape: Shape { bound: hash_range.get(), len, parameter, bits } };
    let mut hasher = Sha256::new();
    let mut write = |bytes: &[u8]| {
        hasher.update(bytes);
        out.write_all(bytes)
    };
    write(&header.to_bytes())?;
    let mut code = CodeOutput::new(parameter);
    code.extend(sorted, &mut write)?;
    code.finish(&mut write)?;
    let identity = Digest(hasher.finalize().into());
    out.write_all(&identity.0)?;
    out.flush()?;
    Ok(header.info(identity))
}

impl<W> fmt::Debug for SetSink<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SetSink")
            .field("salt", &self.salt)
            .field("hash_range", &self.hash_range.get())
            .field("len", &self.ascending.len())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::set::Set;
    use crate::set::pieces::Pieces;
    use proptest::prelude::*;
    use std::collections::BTreeSet;
    use std::io::Cursor;
    use std::string::ToString as _;

    const SALT: Salt = Salt([6; 16]);

    fn set_of(hash_range: HashRange, values: impl IntoIterator<Item = u64>) -> Set {
        Set::from_fingerprints(SALT, hash_range, values).unwrap()
    }

    fn write<W: Read + Write + Seek>(
        out: W,
        hash_range: HashRange,
        len: RangeInclusive<u32>,
        values: impl IntoIterator<Item = u64>,
    ) -> Result<(W, SetInfo), SinkError> {
        let mut sink = SetSink::new(out, SALT, hash_range, len)?;
        for value in values {
            sink.push(value)?;
        }
        sink.finish()
    }

    proptest! {
        #[test]
        fn writes_what_a_build_gives(
            hash_range in prop_oneof![1u64..2_000, 1u64..1 << 57, Just((1 << 57) - 1)],
            picks in prop::collection::vec(any::<u64>(), 0..2_500),
            before in 0usize..3,
            sizes in prop::collection::vec(0usize..3_000, 1..6),
        ) {
            let model: BTreeSet<u64> = picks.iter().map(|pick| pick % hash_range).collect();
            let hash_range = HashRange::new(hash_range).unwrap();
            let set = set_of(hash_range, model.iter().copied());
            for len in [set.len()..=set.len(), 0..=u32::MAX, 0..=set.len()] {
                let mut out = Pieces::new(&[7; 2][..before.min(2)], &sizes);
                out.seek(SeekFrom::End(0)).unwrap();
                let (out, info) = write(out, hash_range, len, model.iter().copied()).unwrap();
                prop_assert_eq!(&out.bytes[before.min(2)..], set.as_bytes());
                prop_assert_eq!(info, set.info());
            }
            let sorted: Vec<u64> = model.into_iter().collect();
            let mut out = Pieces::new(&[], &sizes);
            prop_assert_eq!(write_sorted(&mut out, SALT, hash_range, &sorted).unwrap(), set.info());
            prop_assert_eq!(&out.bytes[..], set.as_bytes());
        }
    }

    #[test]
    fn long_files_and_long_runs() {
        let hash_range = HashRange::new(1 << 45).unwrap();
        let random = (0..120_000u64).map(|i| i.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 19);
        let random: BTreeSet<u64> = random.collect();
        // One run of ones of half a million bits, which is written in pieces.
        let high: BTreeSet<u64> = (0..300_000).map(|i| (1 << 45) - 300_000 + i).collect();
        let middle: BTreeSet<u64> =
            (0..300_000).map(|i| (1 << 44) + i).chain([(1 << 45) - 1]).collect();
        for model in [random, high, middle] {
            let set = set_of(hash_range, model.iter().copied());
            let out = Cursor::new(Vec::new());
            let exact = set.len()..=set.len();
            let (out, info) = write(out, hash_range, exact, model.iter().copied()).unwrap();
            assert!(out.into_inner() == set.as_bytes() && info == set.info());
            let sorted: Vec<u64> = model.into_iter().collect();
            let mut out = Vec::new();
            assert_eq!(write_sorted(&mut out, SALT, hash_range, &sorted).unwrap(), set.info());
            assert!(out == set.as_bytes());
        }
    }

    /// P of the length that was promised, and of the length that was guessed, is not P of the
    /// length that came.
    #[test]
    fn a_wrong_length_is_told() {
        let hash_range = HashRange::new(1 << 40).unwrap();
        let out = || Cursor::new(Vec::new());
        let error = write(out(), hash_range, 1_000..=1_000, 0..10).unwrap_err();
        let (needed, used) = (hash_range.rice_parameter(10), hash_range.rice_parameter(1_000));
        assert!(
            matches!(error, SinkError::Parameter { len: 10, needed: n, used: u } if (n, u) == (needed, used))
        );

        // Within the length of one P it does not matter.
        assert!(write(out(), hash_range, 1_000..=1_000, 0..1_001).is_ok());

        let count = SAMPLE as u64 + 1;
        let crowded = || 0..count;
        let error = write(out(), hash_range, 0..=u32::MAX, crowded()).unwrap_err();
        let SinkError::Parameter { len, .. } = error else { panic!("{error}") };
        assert_eq!(u64::from(len), count);
        assert!(write(out(), hash_range, len..=len, crowded()).is_ok());
    }

    /// P of an empty set is 0, whatever P the file was begun with.
    #[test]
    fn an_empty_set() {
        for hash_range in [1, 1000, 1 << 40].map(|hash_range| HashRange::new(hash_range).unwrap()) {
            for len in [0..=0, 0..=1, 5..=5, 0..=u32::MAX] {
                let (out, info) = write(Cursor::new(Vec::new()), hash_range, len, []).unwrap();
                let set = set_of(hash_range, []);
                assert_eq!((&out.into_inner()[..], info), (set.as_bytes(), set.info()));
            }
        }
    }

    #[test]
    fn wrong_values_are_refused_and_not_written() {
        let hash_range = HashRange::new(100).unwrap();
        let mut sink = SetSink::new(Cursor::new(Vec::new()), SALT, hash_range, 0..=9).unwrap();
        sink.push(5).unwrap();
        for wrong in [5, 4, 0] {
            let expected = BuildError::NotAscending { position: 1, previous: 5, got: wrong };
            assert!(matches!(sink.push(wrong), Err(SinkError::Build(error)) if error == expected));
        }
        let expected = BuildError::OutOfRange { position: 1, hash_range: 100, got: 100 };
        assert!(matches!(sink.push(100), Err(SinkError::Build(error)) if error == expected));
        sink.push(99).unwrap();
        let (out, _) = sink.finish().unwrap();
        assert_eq!(out.into_inner(), set_of(hash_range, [5, 99]).as_bytes());

        assert!(write_sorted(Vec::new(), SALT, hash_range, &[3, 3]).is_err());
        assert!(write_sorted(Vec::new(), SALT, hash_range, &[100]).is_err());
    }

    /// Outputs that cannot hold a set fail before a value is written.
    #[test]
    fn an_output_that_cannot_be_read_back_fails_at_once() {
        use std::fs::File;
        let folder = tempfile::tempdir().unwrap();
        let hash_range = HashRange::new(1 << 30).unwrap();
        let path = |name: &str| folder.path().join(name);
        std::fs::write(path("old"), b"something of a set before").unwrap();
        std::fs::write(path("empty"), b"").unwrap();
        let options = |read: bool, write: bool, append: bool| {
            let mut options = File::options();
            options.read(read).write(write).append(append);
            options
        };
        for (name, options, wanted) in [
            ("empty", options(false, true, false), "open for reading too"),
            ("empty", options(true, false, true), "open to append"),
            ("old", options(true, false, true), "expected the output to end at byte 0, got 25"),
            ("empty", options(true, false, false), "cannot write the set"),
        ] {
            if name == "empty" {
                std::fs::write(path(name), b"").unwrap();
            }
            let out = options.open(path(name)).unwrap();
            let error = SetSink::new(out, SALT, hash_range, 5..=5).unwrap_err();
            assert!(matches!(error, SinkError::Io(_)), "{error}");
            assert!(error.to_string().contains(wanted), "{name}: {error}");
        }
        assert_eq!(std::fs::read(path("old")).unwrap(), b"something of a set before");
        let mut out = options(true, false, true).open(path("old")).unwrap();
        out.seek(SeekFrom::End(0)).unwrap();
        let error = SetSink::new(out, SALT, hash_range, 5..=5).unwrap_err();
        assert!(error.to_string().contains("open to append"), "{error}");
        let mut whole = options(true, true, false).truncate(true).open(path("old")).unwrap();
        write(&mut whole, hash_range, 3..=3, [1, 2, 3]).unwrap();
        assert_eq!(std::fs::read(path("old")).unwrap(), set_of(hash_range, [1, 2, 3]).as_bytes());
    }

    /// A disk that gives other bytes than it was given: they are not sealed by a trailer.
    #[test]
    fn what_reads_back_otherwise_is_an_error() {
        struct Flips(Cursor<Vec<u8>>, u64);
        impl Read for Flips {
            fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
                let from = self.0.position();
                let count = self.0.read(into)?;
                if (from..from + count as u64).contains(&self.1)
                    && into[..count].iter().any(|&byte| byte != 0)
                {
                    into[(self.1 - from) as usize] ^= 1;
                }
                Ok(count)
            }
        }
        impl Write for Flips {
            fn write(&mut self, from: &[u8]) -> io::Result<usize> {
                self.0.write(from)
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        impl Seek for Flips {
            fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
                self.0.seek(to)
            }
        }
        let hash_range = HashRange::new(1 << 30).unwrap();
        let values = || (0..100u64).map(|i| i * 1_000_003);
        let end = set_of(hash_range, values()).as_bytes().len() as u64 - 32;
        for at in 0..end {
            let out = Flips(Cursor::new(Vec::new()), at);
            let error = write(out, hash_range, 100..=100, values()).map(drop).unwrap_err();
            match error {
                SinkError::ReadBack { expected, got } => assert!(at >= 48 && expected != got),
                error => assert!(at < 48, "{at}: {error}"),
            }
        }
        assert!(
            write(Flips(Cursor::new(Vec::new()), end), hash_range, 100..=100, values()).is_ok()
        );
    }

    /// A disk that is full after any number of bytes: an error, never a file that is taken for
    /// a set, and no use of the sink afterwards.
    #[test]
    fn a_full_disk() {
        let hash_range = HashRange::new(1 << 30).unwrap();
        let values = || (0..700u64).map(|i| i * 1_000_000);
        let whole = set_of(hash_range, values()).into_inner();
        for full_at in 0..whole.len() {
            let mut out = Pieces::failing(&[], full_at);
            let error = write(&mut out, hash_range, 700..=700, values()).unwrap_err();
            assert!(matches!(error, SinkError::Io(_)));
            assert!(Set::parse(&out.bytes[..]).is_err());
            let sorted: Vec<u64> = values().collect();
            let mut out = Pieces::failing(&[], full_at);
            assert!(write_sorted(&mut out, SALT, hash_range, &sorted).is_err());
            assert!(Set::parse(&out.bytes[..]).is_err());
        }
        // It fails while values come, and goes on failing when there is room again.
        let values = (0..200_000u64).map(|i| i * 5_000);
        let out = Pieces::failing(&[], PIECE + 1_000);
        let mut sink = SetSink::new(out, SALT, hash_range, 200_000..=200_000).unwrap();
        let failed = values.map(|value| sink.push(value)).filter(Result::is_err).count();
        assert!(failed > 1_000, "{failed}");
        sink.out.fails_at = None;
        assert!(sink.push((1 << 30) - 1).is_err());
        assert!(sink.finish().is_err());
    }
}
