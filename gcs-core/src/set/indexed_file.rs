//! Answering from a set's file and its index file, without decoding the set.

mod open;
mod run;

use alloc::vec::Vec;
use core::borrow::Borrow;
use core::fmt;

use super::hash::{ElementHasher, Salt};
use super::hash_range::HashRange;
use super::index_file::{
    Blocks, Checks, ENTRY_LEN, INDEX_HEADER_LEN, IndexError, IndexHeader, IndexWriter,
};
use super::info::SetInfo;
use super::matches::{Matches, Method, Queries, Scan};
use super::read_at::{ReadAt, Window};
use super::rice::Values;
use crate::digest::Digest;
use crate::error::ParseError;

use self::open::{expect_whole, open_index, open_set};

/// Most blocks that are read with one call: 45 kB of a set of elements.
const MOST_BLOCKS: u64 = 64;

/// A set's file and its index file, ready for queries: a query of a set of gigabytes reads 64
/// bytes of the index and some 700 bytes of the set, and decodes half of these.
///
/// [`write_index`](super::write_index) makes the index file, and validates the whole set for it.
/// That is worth its time when a set is too large to be held in memory, or to be read at each
/// start. Otherwise [`IndexedSet`](super::IndexedSet) is faster.
///
/// **Every answer rests on checked bytes.** Opening compares identity and header of the set with
/// those that were indexed, and reads no further. A query then checks just the bytes that it
/// needs, of both files: a byte that has changed since, in either, is an [`IndexError`], and never
/// "not in the set". The check has 64 bits and no secret: it finds accidents, such as bad disks and
/// torn copies, and no forgery. If the files come from elsewhere, [`IndexedFile::verify`] them
/// first, and compare the identity with one that you trust.
///
/// `S` and `I` are what the files are read from: `std::fs::File`, bytes, or a memory map in
/// [`Mapped`](super::Mapped). Nothing is cached, and queries from several threads at once do not
/// wait for each other.
///
/// ```
/// use std::fs::File;
///
/// use gcs_core::set::write_index;
/// use gcs_core::{HashRange, IndexedFile, Salt, Set};
///
/// # let folder = tempfile::tempdir()?;
/// # let path = |name: &str| folder.path().join(name);
/// let hash_range = HashRange::for_expected(1_000, 20)?;
/// let set = Set::build(Salt([0; 16]), hash_range, (0..1_000u64).map(|i| i.to_le_bytes()))?;
/// std::fs::write(path("heard.gcs"), set.as_bytes())?;
///
/// // Once:
/// write_index(&File::open(path("heard.gcs"))?, File::create(path("heard.gcs.index"))?)?;
///
/// // At each start:
/// let open = |name: &str| File::open(path(name));
/// let indexed = IndexedFile::open(open("heard.gcs")?, open("heard.gcs.index")?)?;
/// assert!(indexed.contains(17u64.to_le_bytes())?);
/// let hits = indexed.matches([17u64.to_le_bytes(), [0xff; 8]])?;
/// assert_eq!(hits[..], set.matches([17u64.to_le_bytes()])[..]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct IndexedFile<S, I> {
    set: S,
    index: I,
    header: IndexHeader,
    blocks: Blocks,
    checks: Checks,
    hasher: ElementHasher,
}

impl<S: ReadAt, I: ReadAt> IndexedFile<S, I> {
    /// Opens a set's file with its index file. Reads 176 bytes: the headers, and the set's
    /// trailer.
    ///
    /// # Errors
    /// [`IndexError`] when a file cannot be read, is of another kind or version, has another
    /// length than its header says, or when the index is not that of this set. Before it says so
    /// it reads the whole index, so that a damaged one is [`IndexError::Index`], and no index of
    /// another set.
    pub fn open(set: S, index: I) -> Result<IndexedFile<S, I>, IndexError> {
        let (set_header, got) = open_set(&set)?;
        let header = open_index(&index)?;
        if header.identity != got {
            expect_whole(&index, &header)?;
            return Err(IndexError::OtherSet { expected: header.identity, got });
        }
        if header.set != set_header {
            expect_whole(&index, &header)?;
            IndexWriter::of_file(&set)?;
            return Err(IndexError::Header);
        }
        let hasher = ElementHasher::new(set_header.salt, set_header.hash_range);
        let (blocks, checks) = (header.blocks(), header.checks());
        Ok(IndexedFile { set, index, header, blocks, checks, hasher })
    }

    /// Number of fingerprints N of the set.
    pub fn len(&self) -> u32 {
        self.header.set.shape.len
    }

    /// Whether the set has no fingerprint.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The salt that keys its hashes.
    pub fn salt(&self) -> Salt {
        self.header.set.salt
    }

    /// The hash range F.
    pub fn hash_range(&self) -> HashRange {
        self.header.set.hash_range
    }

    /// Gives back the set's file and the index file.
    pub fn into_inner(self) -> (S, I) {
        (self.set, self.index)
    }

    /// The statistics of the set, from its header.
    pub fn info(&self) -> SetInfo {
        self.header.set.info(self.header.identity)
    }

    /// The hasher of this set's salt and hash range.
    pub fn hasher(&self) -> ElementHasher {
        self.hasher
    }

    /// Whether the element may be in the set; see [`Set::contains`](super::Set::contains). For
    /// elements O(1): two reads, 2 kB of memory.
    ///
    /// # Errors
    /// As [`IndexedFile::rank_of`].
    pub fn contains(&self, element: impl AsRef<[u8]>) -> Result<bool, IndexError> {
        self.contains_fingerprint(self.hasher.fingerprint(element.as_ref()))
    }

    /// Whether the fingerprint is in the set. Reads one block.
    ///
    /// # Errors
    /// As [`IndexedFile::rank_of`].
    pub fn contains_fingerprint(&self, fingerprint: u64) -> Result<bool, IndexError> {
        Ok(self.rank_of(fingerprint)?.is_some())
    }

    /// The fingerprint's rank, which is the number of fingerprints below it, if it is in the
    /// set. Reads one block, which has about 256 fingerprints if they are those of elements.
    /// Fingerprints of another origin may crowd into one block, which is then as long as they make
    /// it: time and memory are those of its bytes.
    ///
    /// # Errors
    /// [`IndexError::Block`] when bytes of this block have changed in either file,
    /// [`IndexError::ReadSet`] and [`IndexError::ReadIndex`] when they cannot be read.
    pub fn rank_of(&self, fingerprint: u64) -> Result<Option<u32>, IndexError> {
        if fingerprint >= self.header.set.shape.bound {
            return Ok(None);
        }
        let block = self.blocks.block_of(fingerprint);
        let run = self.read(block, block)?;
        Ok(run.blocks.first().and_then(|block| {
            let steps = run.code_of(block).steps_to(fingerprint, block.len())?;
            Some(block.from.rank + steps)
        }))
    }

    /// Which of the elements may be in the set, as [`Set::matches`](super::Set::matches). Each
    /// block is read once, blocks beside each other together: at most once the bytes of the set.
    /// O(q log q) for q elements; memory: 16 bytes an element and 150 kB besides the matches, or
    /// a block if one has more.
    ///
    /// # Errors
    /// As [`IndexedFile::rank_of`]: one damaged block that is needed, and there is no answer.
    pub fn matches<E: AsRef<[u8]>>(
        &self,
        elements: impl IntoIterator<Item = E>,
    ) -> Result<Matches, IndexError> {
        self.look_up(&Queries::of_fingerprints(self.hasher.fingerprints(elements)))
    }

    /// [`IndexedFile::matches`] for fingerprints under this set's salt and hash range, in any
    /// order.
    ///
    /// # Errors
    /// As [`IndexedFile::matches`].
    pub fn matches_fingerprints<F: Borrow<u64>>(
        &self,
        fingerprints: impl IntoIterator<Item = F>,
    ) -> Result<Matches, IndexError> {
        self.look_up(&Queries::of_fingerprints(fingerprints))
    }

    /// Validates every byte of both files: the set as [`Set::parse`](super::Set::parse) does, and
    /// that the index is the one that [`write_index`](super::write_index) makes of it. O(n) time
    /// and memory, as making it.
    ///
    /// # Errors
    /// [`IndexError::Set`] when the set is damaged. Else the index is: [`IndexError::Block`]
    /// names the block, [`IndexError::Header`] or [`IndexError::Index`] what is wrong; make the
    /// index again.
    pub fn verify(&self) -> Result<SetInfo, IndexError> {
        let writer = IndexWriter::of_file(&self.set)?;
        let mut index = Window::new(&self.index, self.header.file_len());
        let mut at = 0;
        writer.write(&self.set, |expected| {
            let mut got = Vec::with_capacity(expected.len());
            let end = at + expected.len() as u64;
            let shown = index.show(at..end, |piece| got.extend_from_slice(piece));
            shown.map_err(IndexError::ReadIndex)?;
            if got != expected {
                return Err(self.difference(at, expected, &got));
            }
            at = end;
            Ok(())
        })?;
        Ok(writer.info())
    }

    /// The error of an index that is another one from `at` on.
    fn difference(&self, at: u64, computed: &[u8], stored: &[u8]) -> IndexError {
        let entry = at.checked_sub(INDEX_HEADER_LEN as u64).map(|at| at / ENTRY_LEN as u64);
        match (entry, computed.try_into(), stored.try_into()) {
            (None, ..) => IndexError::Header,
            (Some(entry), Ok(computed), Ok(stored)) if entry > self.blocks.count => {
                let (expected, got) = (Digest(stored), Digest(computed));
                IndexError::Index(ParseError::Digest { field: "trailer", expected, got })
            }
            // The last entry ends the last block.
            (Some(entry), ..) => IndexError::Block { block: entry.min(self.blocks.count - 1) },
        }
    }

    fn look_up(&self, queries: &Queries) -> Result<Matches, IndexError> {
        let mut scan = queries.begin_scan();
        while let Some((first, last)) = self.next_run(&scan) {
            let run = self.read(first, last)?;
            for block in &run.blocks {
                scan.go_on_at(block.from.rank);
                let mut values = Values::new(run.code_of(block), block.len());
                while scan.take(values.next_chunk()) {}
                scan.skip_while(|fingerprint| self.blocks.block_of(fingerprint) <= block.number);
            }
        }
        Ok(Matches::new(scan.finish().into_vec(), Method::Index))
    }

    /// The blocks to read next: first and last of some beside each other, each with a query.
    fn next_run(&self, scan: &Scan<'_>) -> Option<(u64, u64)> {
        let bound = self.header.set.shape.bound;
        let mut wanted = scan
            .left()
            .take_while(|&fingerprint| fingerprint < bound)
            .map(|fingerprint| self.blocks.block_of(fingerprint));
        let first = wanted.next()?;
        let mut last = first;
        for block in wanted {
            if block > last + 1 || block >= first + MOST_BLOCKS {
                break;
            }
            last = block;
        }
        Some((first, last))
    }
}

impl<S, I> fmt::Debug for IndexedFile<S, I> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IndexedFile")
            .field("info", &self.header.set.info(self.header.identity))
            .field("blocks", &self.blocks.count)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
