//! The elements of a date in the order in which they came, each with the support that it has.
//!
//! ```text
//! chunks   1024 elements each: their bytes one after the other, where each ends, their supports
//! shards   64 hash tables of indices with the hashes of their elements, by some bits of the hash
//! ```
//!
//! Chunks and shards are shared between clones until one of them changes. So a clone is cheap to
//! make, and afterwards a change copies a chunk or a shard, not the whole. A shard that grows moves
//! a 64th of the indices: no single change takes long.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;

use hashbrown::HashTable;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::filler::TableHasher;
use super::stored::{Bytes, BytesOf};

/// Elements of a chunk.
const CHUNK: usize = 1024;

/// Number of hash tables.
const SHARDS: usize = 64;

/// An element in a hash table. Its hash is kept, so that a table grows without a look at elements.
#[derive(Clone, Copy, Debug)]
struct Entry {
    hash: ShortHash,
    index: u32,
}

/// 32 bits of an element's hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct ShortHash(u32);

impl ShortHash {
    /// The number of the table.
    fn shard(self) -> usize {
        self.0 as usize % SHARDS
    }

    /// What the table places the element by: it uses the lowest bits, of which the number of the
    /// table takes none here, and the highest 7 bits.
    fn place(self) -> u64 {
        let low = u64::from(self.0 / SHARDS as u32);
        low | u64::from(self.0) << 32
    }
}

/// The support that reports give to an element.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Support(u32);

impl Support {
    /// Of filler, which belongs to no report and is published for good.
    const FILLER: Support = Support(3);

    /// Number of reports that have the element and are not retracted.
    pub(super) fn reports(self) -> u32 {
        self.0 >> 1
    }

    /// Whether it has been released: it is published as long as a report supports it.
    pub(super) fn is_released(self) -> bool {
        self.0 & 1 == 1
    }

    pub(super) fn is_published(self) -> bool {
        self.is_released() && self.reports() > 0
    }

    pub(super) fn released(self) -> Support {
        Support(self.0 | 1)
    }

    pub(super) fn with_reports(self, reports: u32) -> Support {
        Support(reports.min(u32::MAX >> 1) << 1 | self.0 & 1)
    }
}

/// Up to [`CHUNK`] elements.
#[derive(Clone, Debug, Default)]
pub(super) struct Chunk {
    bytes: Vec<u8>,
    /// Where each element ends.
    ends: Vec<u32>,
    supports: Vec<Support>,
}

impl Chunk {
    fn push(&mut self, element: &[u8], support: Support) {
        self.bytes.extend_from_slice(element);
        // A published element has at most 64 bytes, so that this is far from its limit.
        self.ends.push(u32::try_from(self.bytes.len()).unwrap_or(u32::MAX));
        self.supports.push(support);
        if self.ends.len() == CHUNK {
            self.bytes.shrink_to_fit();
        }
    }

    fn get(&self, place: usize) -> Option<&[u8]> {
        let end = *self.ends.get(place)? as usize;
        let start = place.checked_sub(1).map_or(0, |before| self.ends[before] as usize);
        self.bytes.get(start..end)
    }

    fn published(&self) -> impl Iterator<Item = &[u8]> {
        let supports = self.supports.iter().enumerate();
        supports.filter(|(_, support)| support.is_published()).filter_map(|(at, _)| self.get(at))
    }
}

/// Distinct elements, each with an index that stays.
#[derive(Clone)]
pub(super) struct Elements {
    hasher: TableHasher,
    chunks: Vec<Arc<Chunk>>,
    shards: Vec<Arc<HashTable<Entry>>>,
    len: u32,
    /// Number of elements that are published.
    published: u32,
}

impl fmt::Debug for Elements {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Elements").field("chunks", &self.chunks).finish_non_exhaustive()
    }
}

impl Elements {
    pub(super) fn new(hasher: TableHasher) -> Elements {
        Elements { hasher, chunks: Vec::new(), shards: Vec::new(), len: 0, published: 0 }
    }

    /// Number of elements that are published.
    pub(super) fn published_len(&self) -> u32 {
        self.published
    }

    /// The published elements in order, in memory that does not change.
    pub(super) fn share(&self) -> Vec<Arc<Chunk>> {
        if self.published == 0 { Vec::new() } else { self.chunks.clone() }
    }

    /// The same elements without the tables, to be serialised and nothing else.
    pub(super) fn image(&self) -> Elements {
        let Elements { len, published, .. } = *self;
        let (hasher, chunks) = (self.hasher.clone(), self.chunks.clone());
        Elements { hasher, chunks, shards: Vec::new(), len, published }
    }

    fn hash(&self, element: &[u8]) -> ShortHash {
        ShortHash(self.hasher.hash(element) as u32)
    }

    pub(super) fn support(&self, index: u32) -> Option<Support> {
        let index = index as usize;
        self.chunks.get(index / CHUNK)?.supports.get(index % CHUNK).copied()
    }

    pub(super) fn find(&self, element: &[u8]) -> Option<u32> {
        let hash = self.hash(element);
        let shard = self.shards.get(hash.shard())?;
        find(&self.chunks, shard, hash, element)
    }

    /// The index of an element, which is added without support if it is not there. `None` if there
    /// are 2^32 elements already.
    pub(super) fn insert(&mut self, element: &[u8]) -> Option<u32> {
        let hash = self.hash(element);
        if self.shards.is_empty() {
            self.shards.resize_with(SHARDS, Arc::default);
        }
        let shard = &mut self.shards[hash.shard()];
        if let Some(index) = find(&self.chunks, shard, hash, element) {
            return Some(index);
        }
        let index = self.len;
        self.len = index.checked_add(1)?;
        push(&mut self.chunks, element, Support::default());
        insert(Arc::make_mut(shard), Entry { hash, index });
        Some(index)
    }

    /// Adds filler, unless it is there. Returns whether it was added.
    pub(super) fn insert_filler(&mut self, element: &[u8]) -> bool {
        let index = self.insert(element);
        index.is_some_and(|index| self.change(index, |_| Support::FILLER))
    }

    /// Changes the support of an element. Returns whether it is published now and was not before,
    /// or the other way round.
    pub(super) fn change(&mut self, index: u32, change: impl FnOnce(Support) -> Support) -> bool {
        let Some(before) = self.support(index) else { return false };
        let after = change(before);
        if after == before {
            return false;
        }
        let index = index as usize;
        Arc::make_mut(&mut self.chunks[index / CHUNK]).supports[index % CHUNK] = after;
        match (before.is_published(), after.is_published()) {
            (false, true) => self.published += 1,
            (true, false) => self.published -= 1,
            _ => return false,
        }
        true
    }

    /// Elements that were serialised, with the tables that are not.
    pub(super) fn restore<E: serde::de::Error>(
        stored: StoredElements,
        hasher: TableHasher,
    ) -> Result<Elements, E> {
        let mut elements = Elements::new(hasher);
        let chunks: Vec<Chunk> = stored.0;
        let is_full = |chunk: &Chunk| chunk.ends.len() == CHUNK;
        if chunks.split_last().is_some_and(|(_, others)| !others.iter().all(is_full)) {
            return Err(E::custom("a chunk is not full"));
        }
        let len: usize = chunks.iter().map(|chunk| chunk.ends.len()).sum();
        elements.len = u32::try_from(len).map_err(|_| E::custom("too many elements"))?;
        let supports = chunks.iter().flat_map(|chunk| &chunk.supports);
        elements.published = supports.filter(|support| support.is_published()).count() as u32;
        elements.chunks = chunks.into_iter().map(Arc::new).collect();
        elements.fill_shards()?;
        Ok(elements)
    }

    fn fill_shards<E: serde::de::Error>(&mut self) -> Result<(), E> {
        let mut sorted: Vec<Vec<Entry>> = Vec::new();
        sorted.resize_with(SHARDS, Vec::new);
        for index in 0..self.len {
            let hash = self.hash(get(&self.chunks, index).unwrap_or_default());
            sorted[hash.shard()].push(Entry { hash, index });
        }
        let mut shards = Vec::with_capacity(SHARDS);
        for entries in sorted {
            let mut shard = HashTable::with_capacity(entries.len());
            for entry in entries {
                let element = get(&self.chunks, entry.index).unwrap_or_default();
                if find(&self.chunks, &shard, entry.hash, element).is_some() {
                    return Err(E::custom("an element twice"));
                }
                insert(&mut shard, entry);
            }
            shards.push(Arc::new(shard));
        }
        self.shards = shards;
        Ok(())
    }
}

fn find(
    chunks: &[Arc<Chunk>],
    shard: &HashTable<Entry>,
    hash: ShortHash,
    element: &[u8],
) -> Option<u32> {
    let is_it = |entry: &Entry| entry.hash == hash && get(chunks, entry.index) == Some(element);
    shard.find(hash.place(), is_it).map(|entry| entry.index)
}

fn insert(shard: &mut HashTable<Entry>, entry: Entry) {
    shard.insert_unique(entry.hash.place(), entry, |entry| entry.hash.place());
}

fn get(chunks: &[Arc<Chunk>], index: u32) -> Option<&[u8]> {
    let index = index as usize;
    chunks.get(index / CHUNK)?.get(index % CHUNK)
}

fn push(chunks: &mut Vec<Arc<Chunk>>, element: &[u8], support: Support) {
    match chunks.last_mut().filter(|last| last.ends.len() < CHUNK) {
        Some(last) => Arc::make_mut(last).push(element, support),
        None => {
            let mut chunk = Chunk::default();
            chunk.push(element, support);
            chunks.push(Arc::new(chunk));
        }
    }
}

/// The published elements of chunks, in order.
pub(super) fn published(chunks: &[Arc<Chunk>]) -> impl Iterator<Item = &[u8]> {
    chunks.iter().flat_map(|chunk| chunk.published())
}

impl Serialize for Elements {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.chunks.iter().map(|chunk| &**chunk))
    }
}

/// Elements as they were serialised.
#[derive(Deserialize)]
pub(super) struct StoredElements(Vec<Chunk>);

impl Serialize for Chunk {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let starts = [0].into_iter().chain(self.ends.iter().copied());
        let lengths = starts.zip(&self.ends).map(|(start, end)| end - start);
        let first = self.ends.first().copied().unwrap_or(0);
        let is_uniform = lengths.clone().all(|length| length == first);
        let lengths = if is_uniform { Vec::new() } else { lengths.collect() };
        (first, lengths, BytesOf(&self.bytes), &self.supports).serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Chunk {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Chunk, D::Error> {
        type Parts = (u32, Vec<u32>, Bytes, Vec<Support>);
        let (first, mut lengths, Bytes(bytes), supports) = Parts::deserialize(deserializer)?;
        if !(1..=CHUNK).contains(&supports.len()) {
            return Err(D::Error::custom("a chunk of another size"));
        }
        if lengths.is_empty() {
            lengths.resize(supports.len(), first);
        }
        let mut end = 0u32;
        let end_of = |length: u32| {
            end = end.saturating_add(length);
            end
        };
        let ends: Vec<u32> = lengths.into_iter().map(end_of).collect();
        if ends.len() != supports.len() || end as usize != bytes.len() {
            return Err(D::Error::custom("a chunk with other lengths than its elements"));
        }
        Ok(Chunk { bytes, ends, supports })
    }
}
