//! Building sets that are larger than memory: sorted runs on disk, then their union.

use alloc::format;
use alloc::vec::Vec;
use core::fmt;
use core::sync::atomic::{AtomicU64, Ordering};
use std::fs::{self, File};
use std::io::{self, Read, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};
use std::process;

use thiserror::Error;

use super::algebra::Operation;
use super::ascending::{AscendingBuilder, MAX_LEN};
use super::error::BuildError;
use super::hash::{ElementHasher, Salt};
use super::hash_range::HashRange;
use super::info::SetInfo;
use super::merge::Lengths;
use super::output::{self, SetOutput};
use super::set::Set;
use super::sink::{SinkError, write_sorted};
use super::sort;
use super::streams::{CombinedReader, StreamError};

/// Most runs that are merged at once.
const FAN_IN: usize = 64;

/// Memory that merging takes besides the buffers of the runs: values and the tree over them,
/// 7 KiB a run, and the writer.
const MERGING: usize = FAN_IN * 7 * 1024 + (1 << 19);

/// Least memory limit.
const LEAST_LIMIT: usize = 1 << 22;

/// Bytes of memory for each value that is waiting: the value, and as much to sort it.
const VALUE_BYTES: usize = 2 * size_of::<u64>();

/// Why a set cannot be built with runs on disk.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ExternalError {
    /// The memory limit is too small to merge anything.
    #[error("the memory limit is at least {least} bytes, got {got}")]
    MemoryLimit {
        /// The least limit.
        least: usize,
        /// The limit asked for.
        got: usize,
    },
    /// There is less memory than the limit says. Nothing is lost but the element that was being
    /// pushed: it may be pushed again when there is more.
    #[error("cannot get {bytes} bytes of memory, which are within the limit")]
    Memory {
        /// How many bytes were asked for.
        bytes: usize,
    },
    /// A fingerprint is not below F, or there are `2^32` distinct ones or more.
    #[error(transparent)]
    Build(#[from] BuildError),
    /// A run cannot be written, as on a full disk.
    #[error("cannot write a sorted run to {folder}: {error}", folder = folder.display())]
    Spill {
        /// The folder for runs.
        folder: PathBuf,
        /// What is wrong.
        error: io::Error,
    },
    /// A run cannot be read back, or is not what was written.
    #[error("cannot read a sorted run back from {folder}: {error}", folder = folder.display())]
    Run {
        /// The folder for runs.
        folder: PathBuf,
        /// What is wrong.
        error: StreamError,
    },
    /// The result cannot be written.
    #[error(transparent)]
    Sink(SinkError),
}

/// Builds a set in a stated amount of memory, whatever its size.
///
/// Fingerprints wait in memory. When the memory limit is reached they are sorted, merged where
/// they are equal, and written to a folder as a *run*, which is a compressed set; at the end the
/// union of the runs is the set, byte for byte what [`Set::build`] gives. If everything fits in
/// memory the folder is not touched.
///
/// Time: O(n log n). Disk: about as much as the result, plus some bits an element. Runs have no
/// names in the folder, so they are gone when the builder is, even if the program is killed. (On a
/// file system without nameless files, each has a name `.gcs-run-...` for a moment.)
///
/// What fails for want of room, on disk or in memory, can be tried again; nothing is lost by it.
///
/// ```
/// use std::io::Cursor; // Or a `std::fs::File` that is open for reading and writing.
///
/// use gcs_core::set::ExternalBuilder;
/// use gcs_core::{HashRange, Salt, Set};
///
/// let (salt, hash_range) = (Salt([0; 16]), HashRange::for_expected(1_000, 20)?);
/// let mut builder = ExternalBuilder::new(salt, hash_range, 64 << 20, std::env::temp_dir())?;
/// for element in 0..1_000u64 {
///     builder.push(element.to_le_bytes())?;
/// }
/// let (file, info) = builder.finish_to(Cursor::new(Vec::new()))?;
/// let set = Set::build(salt, hash_range, (0..1_000u64).map(u64::to_le_bytes))?;
/// assert_eq!((&file.into_inner()[..], info), (set.as_bytes(), set.info()));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct ExternalBuilder {
    salt: Salt,
    hash_range: HashRange,
    hasher: ElementHasher,
    folder: PathBuf,
    /// Most values that wait in memory.
    capacity: usize,
    values: Vec<u64>,
    scratch: Vec<u64>,
    /// How many values were pushed.
    pushed: u64,
    /// Bytes for the buffers of all runs that are merged at once.
    buffers: usize,
    /// Runs by how often their values were merged: each level but the last has fewer than
    /// [`FAN_IN`].
    levels: Vec<Vec<File>>,
}

impl ExternalBuilder {
    /// A builder that takes at most about `memory_limit` bytes of memory, at least 4 MiB, and
    /// writes runs to `folder`, which must be there when it is needed.
    ///
    /// # Errors
    /// [`ExternalError::MemoryLimit`] below 4 MiB.
    pub fn new(
        salt: Salt,
        hash_range: HashRange,
        memory_limit: usize,
        folder: impl Into<PathBuf>,
    ) -> Result<ExternalBuilder, ExternalError> {
        if memory_limit < LEAST_LIMIT {
            return Err(ExternalError::MemoryLimit { least: LEAST_LIMIT, got: memory_limit });
        }
        // Runs are merged while values wait.
        let buffers = (memory_limit / 16).min(FAN_IN << 16);
        let capacity = (memory_limit - buffers - MERGING) / VALUE_BYTES;
        let capacity = capacity.min(MAX_LEN as usize);
        Ok(ExternalBuilder::with_capacity(salt, hash_range, capacity, buffers, folder.into()))
    }

    fn with_capacity(
        salt: Salt,
        hash_range: HashRange,
        capacity: usize,
        buffers: usize,
        folder: PathBuf,
    ) -> ExternalBuilder {
        ExternalBuilder {
            salt,
            hash_range,
            hasher: ElementHasher::new(salt, hash_range),
            folder,
            capacity,
            values: Vec::new(),
            scratch: Vec::new(),
            pushed: 0,
            buffers,
            levels: Vec::new(),
        }
    }

    /// Adds an element; elements of equal fingerprint are merged.
    ///
    /// # Errors
    /// [`ExternalError::Spill`] when memory is full and a run cannot be written. Nothing is
    /// lost then but this element: it may be added again when there is room.
    pub fn push(&mut self, element: impl AsRef<[u8]>) -> Result<(), ExternalError> {
        self.push_value(self.hasher.fingerprint(element.as_ref()))
    }

    /// Adds elements, faster than one by one.
    ///
    /// # Errors
    /// As [`ExternalBuilder::push`]. All elements that were taken from the iterator are added then,
    /// so with `by_ref` it goes on where it stopped.
    pub fn extend<E: AsRef<[u8]>>(
        &mut self,
        elements: impl IntoIterator<Item = E>,
    ) -> Result<(), ExternalError> {
        let hasher = self.hasher;
        let mut elements = elements.into_iter();
        loop {
            // Hashing takes elements in pairs: none is taken that has no room yet.
            let room = self.room()?;
            let before = self.values.len();
            self.values.extend(hasher.fingerprints(elements.by_ref().take(room)));
            let count = self.values.len() - before;
            self.pushed += count as u64;
            if count < room {
                return Ok(());
            }
        }
    }

    /// Adds a fingerprint under this builder's salt and hash range; equal ones are merged.
    ///
    /// # Errors
    /// [`ExternalError::Build`] for a fingerprint not below F, with its position among those
    /// added; and as [`ExternalBuilder::push`].
    pub fn push_fingerprint(&mut self, fingerprint: u64) -> Result<(), ExternalError> {
        let hash_range = self.hash_range.get();
        if fingerprint >= hash_range {
            let (position, got) = (self.pushed, fingerprint);
            return Err(BuildError::OutOfRange { position, hash_range, got }.into());
        }
        self.push_value(fingerprint)
    }

    /// How many elements and fingerprints were pushed, those included that were merged.
    pub fn pushed(&self) -> u64 {
        self.pushed
    }

    /// For how many values there is room, after making some: at least one.
    #[inline]
    fn room(&mut self) -> Result<usize, ExternalError> {
        if self.values.len() == self.values.capacity() {
            self.make_room()?;
        }
        Ok(self.values.capacity() - self.values.len())
    }

    #[inline]
    fn push_value(&mut self, value: u64) -> Result<(), ExternalError> {
        self.room()?;
        self.values.push(value);
        self.pushed += 1;
        Ok(())
    }

    /// The set of everything that was pushed, in memory, where it may take more than the memory
    /// limit. The builder goes on as it was.
    ///
    /// # Errors
    /// [`ExternalError`]. Nothing is lost then: it may be called again.
    pub fn finish(&mut self) -> Result<Set, ExternalError> {
        self.sort();
        if self.levels.is_empty() {
            let lengths = Lengths::exact(self.values.len() as u64);
            let mut builder = AscendingBuilder::new(self.salt, self.hash_range, lengths)?;
            builder.extend(&self.values)?;
            return Ok(builder.finish());
        }
        self.spill_all()?;
        let mut union = self.union_of_runs()?;
        let mut builder = AscendingBuilder::new(self.salt, self.hash_range, union.bounds())?;
        loop {
            let chunk = union.next_chunk().map_err(|error| self.not_read(error))?;
            if chunk.is_empty() {
                return Ok(builder.finish());
            }
            builder.extend(chunk)?;
        }
    }

    /// Writes the file of the set of everything that was pushed to `out`, from its present position
    /// on, where nothing may follow; returns `out` and what was written. Within the memory limit.
    /// The builder goes on as it was.
    ///
    /// # Errors
    /// [`ExternalError`]. Nothing is lost then: it may be called again, with another output, or with
    /// the same when there is room on the disk. `out` is where it was, and what was written is cut
    /// off if it can be.
    pub fn finish_to<W: SetOutput>(&mut self, mut out: W) -> Result<(W, SetInfo), ExternalError> {
        let not_begun = |error: io::Error| not_written(error.into());
        let start = out.stream_position().map_err(not_begun)?;
        output::expect_end(&mut out).map_err(not_begun)?;
        match self.write_to(&mut out) {
            Ok(info) => Ok((out, info)),
            Err(error) => {
                // The first error is the one to tell. Bytes that stay behind are an error next time.
                let _ = out.cut(start);
                let _ = out.seek(SeekFrom::Start(start));
                Err(error)
            }
        }
    }

    fn write_to<W: SetOutput>(&mut self, out: &mut W) -> Result<SetInfo, ExternalError> {
        self.sort();
        if self.levels.is_empty() {
            let info = write_sorted(&mut *out, self.salt, self.hash_range, &self.values);
            return info.map_err(not_written);
        }
        self.spill_all()?;
        let written = self.union_of_runs()?.write(out).map_err(|error| match error {
            StreamError::Sink(error) => not_written(error),
            error => self.not_read(error),
        });
        Ok(written?.1)
    }

    /// Makes room for at least one value.
    #[cold]
    fn make_room(&mut self) -> Result<(), ExternalError> {
        if self.values.capacity() == 0 {
            let bytes = self.capacity * VALUE_BYTES;
            // Both or none, so that it can be tried again.
            let (mut values, mut scratch) = (Vec::new(), Vec::new());
            let reserved = values.try_reserve_exact(self.capacity);
            let reserved = reserved.and_then(|()| scratch.try_reserve_exact(self.capacity));
            reserved.map_err(|_| ExternalError::Memory { bytes })?;
            (self.values, self.scratch) = (values, scratch);
            return Ok(());
        }
        self.sort();
        // Where most elements occur more than once, merging them is enough.
        if self.values.len() > self.capacity / 2 {
            self.spill()?;
        }
        Ok(())
    }

    /// Writes the values that wait, which are sorted, as a run.
    fn spill(&mut self) -> Result<(), ExternalError> {
        let spilled = self.write_run();
        let mut run = spilled.map_err(|error| self.not_spilled(error))?;
        self.values.clear();
        for level in 0.. {
            if self.levels.len() == level {
                self.levels.push(Vec::new());
            }
            self.levels[level].push(run);
            if self.levels[level].len() < FAN_IN {
                break;
            }
            // If that fails the runs stay, and one more of them is there the next time.
            run = self.merge(&self.levels[level][..FAN_IN])?;
            self.levels[level].drain(..FAN_IN);
        }
        Ok(())
    }

    /// Sorts the values that wait, and merges those that are equal.
    fn sort(&mut self) {
        let bits = u64::BITS - (self.hash_range.get() - 1).leading_zeros();
        sort::sort(&mut self.values, &mut self.scratch, bits);
        self.values.dedup();
    }

    fn write_run(&self) -> Result<File, SinkError> {
        let mut file = create_nameless(&self.folder)?;
        write_sorted(&mut file, self.salt, self.hash_range, &self.values)?;
        Ok(file)
    }

    /// Merges runs to one.
    fn merge(&self, runs: &[File]) -> Result<File, ExternalError> {
        for mut run in runs {
            run.rewind().map_err(|error| self.not_spilled(error.into()))?;
        }
        let union = self.union(runs.iter().collect())?;
        let file = create_nameless(&self.folder).map_err(|error| self.not_spilled(error.into()))?;
        let written = union.write(file).map_err(|error| match error {
            StreamError::Sink(error) => self.not_spilled(error),
            error => self.not_read(error),
        });
        Ok(written?.0)
    }

    /// Spills the rest and gives back its memory; merges runs until the last merge can be made.
    fn spill_all(&mut self) -> Result<(), ExternalError> {
        if !self.values.is_empty() {
            self.spill()?;
        }
        (self.values, self.scratch) = (Vec::new(), Vec::new());
        // Those that were merged least, and so are the shortest, come first.
        let runs = core::mem::take(&mut self.levels).into_iter().flatten().collect();
        self.levels.push(runs);
        while self.levels[0].len() > FAN_IN {
            let count = (self.levels[0].len() - FAN_IN + 1).min(FAN_IN);
            let merged = self.merge(&self.levels[0][..count])?;
            self.levels[0].drain(..count);
            self.levels[0].push(merged);
        }
        Ok(())
    }

    /// All runs together.
    fn union_of_runs(&self) -> Result<CombinedReader<&File>, ExternalError> {
        let runs: Vec<&File> = self.levels.iter().flatten().collect();
        for mut run in runs.iter().copied() {
            run.rewind().map_err(|error| self.not_spilled(error.into()))?;
        }
        self.union(runs)
    }

    fn union<R: Read>(&self, runs: Vec<R>) -> Result<CombinedReader<R>, ExternalError> {
        CombinedReader::new(Operation::Union, runs, self.buffers)
            .map_err(|error| self.not_read(error))
    }

    fn not_spilled(&self, error: SinkError) -> ExternalError {
        match error {
            SinkError::Io(error) => ExternalError::Spill { folder: self.folder.clone(), error },
            error => not_written(error),
        }
    }

    fn not_read(&self, error: StreamError) -> ExternalError {
        ExternalError::Run { folder: self.folder.clone(), error }
    }
}

fn not_written(error: SinkError) -> ExternalError {
    match error {
        SinkError::Build(error) => ExternalError::Build(error),
        error => ExternalError::Sink(error),
    }
}

/// Makes a file that has no name, so that it is gone once it is closed, however the program
/// ends.
fn create_nameless(folder: &Path) -> io::Result<File> {
    #[cfg(target_os = "linux")]
    if let Some(file) = open_nameless(folder) {
        return Ok(file);
    }
    static NUMBER: AtomicU64 = AtomicU64::new(0);
    loop {
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let path = folder.join(format!(".gcs-run-{}-{number}", process::id()));
        match File::options().read(true).write(true).create_new(true).open(&path) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error),
            Ok(file) => {
                fs::remove_file(&path)?;
                return Ok(file);
            }
        }
    }
}

/// Makes a file that never had a name, so that no moment is left in which the program can end and
/// leave one. `None` where the file system has no such files, or the folder is not there.
#[cfg(target_os = "linux")]
fn open_nameless(folder: &Path) -> Option<File> {
    use std::os::unix::fs::OpenOptionsExt as _;
    // O_TMPFILE, which contains O_DIRECTORY: an older kernel opens no folder for writing.
    let flags = match std::env::consts::ARCH {
        "x86_64" | "x86" | "riscv64" => 0o20_200_000,
        "aarch64" | "arm" => 0o20_040_000,
        _ => return None,
    };
    File::options().read(true).write(true).custom_flags(flags).open(folder).ok()
}

impl fmt::Debug for ExternalBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ExternalBuilder")
            .field("hash_range", &self.hash_range.get())
            .field("pushed", &self.pushed)
            .field("runs", &self.levels.iter().map(Vec::len).sum::<usize>())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::io::{Cursor, Write as _};

    const SALT: Salt = Salt([4; 16]);

    fn builder(hash_range: u64, capacity: usize, folder: &Path) -> ExternalBuilder {
        let hash_range = HashRange::new(hash_range).unwrap();
        ExternalBuilder::with_capacity(SALT, hash_range, capacity, 0, folder.into())
    }

    fn entries(folder: &Path) -> usize {
        fs::read_dir(folder).unwrap().count()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn equals_a_build_in_memory(
            hash_range in prop_oneof![1u64..3_000, 1u64..1 << 57],
            picks in prop::collection::vec(any::<u64>(), 0..1_200),
            capacity in prop_oneof![1usize..4, 5usize..2_000],
        ) {
            let folder = tempfile::tempdir().unwrap();
            let values: Vec<u64> = picks.iter().map(|pick| pick % hash_range).collect();
            let set = Set::from_fingerprints(SALT, HashRange::new(hash_range).unwrap(), values.iter().copied()).unwrap();
            let fill = || {
                let mut builder = builder(hash_range, capacity, folder.path());
                values.iter().for_each(|value| builder.push_fingerprint(*value).unwrap());
                builder
            };
            prop_assert_eq!(&fill().finish().unwrap(), &set);
            let (out, info) = fill().finish_to(Cursor::new(Vec::new())).unwrap();
            prop_assert_eq!(&out.into_inner()[..], set.as_bytes());
            prop_assert_eq!(info, set.info());
            prop_assert_eq!(entries(folder.path()), 0);
        }
    }

    /// So many runs that they are merged to longer ones, twice, and some more before the end.
    #[test]
    fn runs_of_runs() {
        let folder = tempfile::tempdir().unwrap();
        let hash_range = 1 << 45;
        let value = |i: u64| i.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 19;
        for (runs, expected) in [(64 * 64 + 65, [1, 1, 1]), (64 * 30 + 60, [60, 30, 0])] {
            let mut builder = builder(hash_range, 2, folder.path());
            let count = 2 * runs + 1;
            for i in 0..count {
                builder.push_fingerprint(value(i)).unwrap();
            }
            let levels: Vec<usize> = builder.levels.iter().map(Vec::len).collect();
            assert_eq!(levels, expected[..levels.len()]);
            assert_eq!(entries(folder.path()), 0, "runs have no names");
            let hash_range = HashRange::new(hash_range).unwrap();
            let set = Set::from_fingerprints(SALT, hash_range, (0..count).map(value)).unwrap();
            let (out, info) = builder.finish_to(Cursor::new(Vec::new())).unwrap();
            assert!(out.into_inner() == set.as_bytes() && info == set.info());
        }
    }

    #[test]
    fn elements_that_repeat_are_merged_in_memory() {
        let folder = tempfile::tempdir().unwrap();
        let mut builder = builder(1 << 40, 100, folder.path());
        for i in 0..10_000u64 {
            builder.push((i % 50).to_le_bytes()).unwrap();
        }
        assert!(builder.levels.is_empty(), "no run was needed");
        let elements = (0..50u64).map(u64::to_le_bytes);
        let set = Set::build(SALT, HashRange::new(1 << 40).unwrap(), elements).unwrap();
        assert_eq!(builder.finish().unwrap(), set);
    }

    #[test]
    fn limits_are_told() {
        let hash_range = HashRange::new(1000).unwrap();
        let build = |limit| ExternalBuilder::new(SALT, hash_range, limit, "/");
        let error = build(LEAST_LIMIT - 1).unwrap_err();
        assert!(
            matches!(error, ExternalError::MemoryLimit { least: LEAST_LIMIT, got } if got == LEAST_LIMIT - 1)
        );
        let smallest = build(LEAST_LIMIT).unwrap();
        assert!(smallest.capacity > 150_000);
        // Values, the buffers of 64 runs, and what merging takes stay below the limit.
        for limit in [LEAST_LIMIT, 1 << 26, 1 << 30] {
            let builder = build(limit).unwrap();
            assert!(builder.capacity * 16 + builder.buffers.max(FAN_IN << 12) + MERGING <= limit);
            assert!(builder.capacity * 16 > limit / 2);
        }

        let mut builder = build(usize::MAX / 4).unwrap();
        let error = builder.push("an element").unwrap_err();
        assert!(
            matches!(error, ExternalError::Memory { .. }) || builder.capacity == MAX_LEN as usize
        );

        let mut builder = build(LEAST_LIMIT).unwrap();
        builder.push_fingerprint(999).unwrap();
        let expected = BuildError::OutOfRange { position: 1, hash_range: 1000, got: 1000 };
        assert!(
            matches!(builder.push_fingerprint(1000), Err(ExternalError::Build(error)) if error == expected)
        );
    }

    /// A folder that runs cannot be written to: nothing is lost, and it goes on when they can.
    #[test]
    fn a_failed_spill_can_be_tried_again() {
        let home = tempfile::tempdir().unwrap();
        let folder = home.path().join("runs");
        let mut builder = builder(1 << 40, 10, &folder);
        for i in 0..10 {
            builder.push_fingerprint(i * i).unwrap();
        }
        for _ in 0..3 {
            let error = builder.push_fingerprint(100).unwrap_err();
            let ExternalError::Spill { folder: named, error } = error else { panic!("{error}") };
            assert_eq!((named, error.kind()), (folder.clone(), io::ErrorKind::NotFound));
        }
        fs::create_dir(&folder).unwrap();
        for i in 10..35 {
            builder.push_fingerprint(i * i).unwrap();
        }
        let hash_range = HashRange::new(1 << 40).unwrap();
        let set = Set::from_fingerprints(SALT, hash_range, (0..35).map(|i| i * i)).unwrap();
        assert_eq!(builder.finish().unwrap(), set);
    }

    /// Elements are hashed in pairs, and a spill that fails loses neither of a pair.
    #[test]
    fn extending_goes_on_where_a_failed_spill_stopped() {
        for capacity in 1..12 {
            let home = tempfile::tempdir().unwrap();
            let folder = home.path().join("runs");
            let mut builder = builder(1 << 40, capacity, &folder);
            let mut elements = (0..50u32).map(|i| u64::from(i).to_le_bytes());
            for _ in 0..3 {
                let error = builder.extend(elements.by_ref()).unwrap_err();
                assert!(matches!(error, ExternalError::Spill { .. }), "{error}");
                let taken = 50 - elements.len() as u64;
                assert_eq!((taken, builder.pushed()), (capacity as u64, taken));
            }
            fs::create_dir(&folder).unwrap();
            builder.extend(elements).unwrap();
            assert_eq!(builder.pushed(), 50);
            let elements = (0..50u64).map(u64::to_le_bytes);
            let set = Set::build(SALT, HashRange::new(1 << 40).unwrap(), elements).unwrap();
            assert_eq!(builder.finish().unwrap(), set);
        }
    }

    /// An output on a full disk costs nothing but that output, and a builder that has made its set
    /// goes on.
    #[test]
    fn an_output_that_fails_can_be_replaced_by_another() {
        use crate::set::pieces::Pieces;
        let folder = tempfile::tempdir().unwrap();
        let hash_range = HashRange::new(1 << 40).unwrap();
        for (capacity, count) in [(1_000, 60), (10, 60), (2, 300)] {
            let mut builder = builder(1 << 40, capacity, folder.path());
            (0..count).for_each(|i| builder.push_fingerprint(i * i).unwrap());
            for _ in 0..2 {
                let error = builder.finish_to(Pieces::failing(&[], 100)).map(drop).unwrap_err();
                assert!(matches!(error, ExternalError::Sink(SinkError::Io(_))), "{error}");
            }
            let set = |count| {
                Set::from_fingerprints(SALT, hash_range, (0..count).map(|i| i * i)).unwrap()
            };
            // The same output again, when there is room: it is cut, or it is an error.
            for can_be_cut in [true, false] {
                let mut out = Pieces::failing(&[], 100);
                out.can_be_cut = can_be_cut;
                assert!(builder.finish_to(&mut out).is_err());
                out.fails_at = None;
                let again = builder.finish_to(&mut out).is_ok();
                assert_eq!(again, can_be_cut);
                assert!(!again || out.bytes == set(count).as_bytes());
            }
            let full = builder.finish_to(Cursor::new(alloc::vec![1; 10_000]));
            assert!(matches!(full, Err(ExternalError::Sink(SinkError::Io(_)))));
            let (out, info) = builder.finish_to(Cursor::new(Vec::new())).unwrap();
            assert!(out.into_inner() == set(count).as_bytes() && info == set(count).info());
            assert_eq!(builder.finish().unwrap(), set(count));
            (count..2 * count).for_each(|i| builder.push_fingerprint(i * i).unwrap());
            assert_eq!(builder.finish().unwrap(), set(2 * count));
            assert_eq!(builder.pushed(), 2 * count);
        }
    }

    /// Memory that is not there is asked for again, whole: values and what sorts them.
    #[test]
    fn memory_that_is_not_there_can_be_asked_for_again() {
        let mut builder = builder(1 << 40, usize::MAX / 32, Path::new("/"));
        for _ in 0..2 {
            let error = builder.push("an element").unwrap_err();
            assert!(matches!(error, ExternalError::Memory { .. }), "{error}");
            assert_eq!((builder.values.capacity(), builder.scratch.capacity()), (0, 0));
        }
        builder.capacity = 10;
        builder.push("an element").unwrap();
        assert_eq!((builder.pushed(), builder.finish().unwrap().len()), (1, 1));
    }

    /// A run never has a name, where the system can do without: making one does not even touch the
    /// folder.
    #[cfg(target_os = "linux")]
    #[test]
    fn a_run_never_has_a_name() {
        let folder = tempfile::tempdir().unwrap();
        if open_nameless(folder.path()).is_none() {
            return;
        }
        let changed = || fs::metadata(folder.path()).unwrap().modified().unwrap();
        let past = changed() - std::time::Duration::from_secs(1_000);
        File::open(folder.path()).unwrap().set_modified(past).unwrap();
        let before = changed();
        let mut file = create_nameless(folder.path()).unwrap();
        file.write_all(b"a run").unwrap();
        assert_eq!((changed(), entries(folder.path())), (before, 0));
        fs::write(folder.path().join("named"), "").unwrap();
        assert_ne!(changed(), before);
    }

    #[test]
    fn a_damaged_run_is_found() {
        use std::io::SeekFrom;
        let folder = tempfile::tempdir().unwrap();
        for finish_to in [true, false] {
            let mut builder = builder(1 << 40, 10, folder.path());
            for i in 0..25 {
                builder.push_fingerprint(i * i).unwrap();
            }
            let run = &mut builder.levels[0][1];
            run.seek(SeekFrom::Start(60)).unwrap();
            run.write_all(b"!").unwrap();
            let result = if finish_to {
                builder.finish_to(Cursor::new(Vec::new())).map(drop)
            } else {
                builder.finish().map(drop)
            };
            let Err(ExternalError::Run { error: StreamError::Read { position: 1, .. }, .. }) =
                result
            else {
                panic!("{result:?}")
            };
        }
        assert_eq!(entries(folder.path()), 0);
    }
}
