//! Check records, which tell contacts from false positives.
//!
//! A client fetches the one record that holds the rank it matched, and compares the checks
//! itself. The server learns only that the rank is one of at least 2048, or of all ranks of a
//! smaller set. All records of a publication have one length, whatever their date. A record is
//! authenticated by its Merkle path (RFC 6962's hashing) to the root in the table.

use alloc::vec::Vec;

use sha2::{Digest as _, Sha256};

use super::table::{CHECK_LEN, MAX_RECORDS, NODE_LEN, RecordShape, Row, SPARE_LEN, SPARE_SLOTS};
use crate::bytes::{Cursor, Put, expect_at_most, expect_equal, expect_len};
use crate::date::Date;
use crate::digest::Digest;
use crate::error::ParseError;
use crate::keys::{DerivationKey, Stream};

const MAGIC: &[u8; 6] = b"GCSCHK";

/// The value in the main slot of a rank that has more checks than its record holds.
const INCOMPLETE: u64 = 0;

/// What a check record says about a candidate.
#[must_use]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The element itself is in the set.
    Confirmed,
    /// Another element has the same fingerprint; this one is not in the set.
    FalsePositive,
    /// The record cannot tell, or there is no record that can be trusted.
    Unknown,
}

fn leaf_hash(body: &[u8]) -> Digest {
    Digest::of_parts(&[&[0], body])
}

fn node_hash(left: Digest, right: Digest) -> Digest {
    Digest::of_parts(&[&[1], &left.0, &right.0])
}

/// An authenticated check record of one set.
///
/// ```text
///  0  magic "GCSCHK"       40  date             u32
///  6  version u16          44  record number r  u32
///  8  set identity 32      48  ranks k          u32
///                          52  spare slots s    u32
/// 56  k checks u64: of ranks r·k, r·k + 1, …
///     s spare slots, ascending: rank within the record u32, check u64
///     Merkle path, lowest node first, 32 bytes each
/// ```
#[derive(Clone, Copy, Debug)]
pub struct CheckRecord<'a> {
    number: u32,
    ranks: u32,
    /// Length of the set.
    len: u32,
    checks: &'a [u8],
    spares: &'a [u8],
}

impl<'a> CheckRecord<'a> {
    /// Verifies that `bytes` is record `number` of the set that `row` describes. O(length of the
    /// record) time, no allocation.
    ///
    /// # Errors
    /// A [`ParseError`] for any other bytes: cut, changed, of another set, date or rank.
    pub fn verify(bytes: &'a [u8], row: &Row, number: u32) -> Result<CheckRecord<'a>, ParseError> {
        if number >= row.records() {
            let max = u64::from(row.records().saturating_sub(1));
            return Err(ParseError::Limit { field: "record number", max, got: u64::from(number) });
        }
        let RecordShape { ranks, spare_slots } = row.record_shape;
        expect_len(bytes, row.record_shape.record_len())?;
        let mut cursor = Cursor::open(bytes, MAGIC)?;
        let identity = cursor.digest()?;
        if identity != row.identity {
            let (expected, got) = (row.identity, identity);
            return Err(ParseError::Digest { field: "set identity", expected, got });
        }
        let date = cursor.date()?;
        if date != row.date {
            return Err(ParseError::Date { expected: row.date, got: date });
        }
        expect_equal("record number", u64::from(cursor.u32()?), u64::from(number))?;
        expect_equal("ranks of a record", u64::from(cursor.u32()?), u64::from(ranks))?;
        expect_equal("spare slots", u64::from(cursor.u32()?), u64::from(spare_slots))?;
        let checks = cursor.take(u64::from(ranks) * CHECK_LEN as u64)?;
        let spares = cursor.take(u64::from(spare_slots) * SPARE_LEN as u64)?;
        let body = &bytes[..cursor.position() as usize];
        verify_path(body, cursor.rest(), number, row.check_root)?;
        let record = CheckRecord { number, ranks, len: row.len, checks, spares };
        record.expect_order()?;
        Ok(record)
    }

    /// Its number within its date.
    pub(crate) fn number(&self) -> u32 {
        self.number
    }

    /// What the record says about an element of this rank and check: [`Verdict::Unknown`] for
    /// a rank of another record or beyond the set, and for a check of 0, which no element has.
    pub fn verdict(&self, rank: u32, check: u64) -> Verdict {
        if rank >= self.len || rank / self.ranks != self.number || check == INCOMPLETE {
            return Verdict::Unknown;
        }
        let slot = rank % self.ranks;
        let first = self.first_check(slot);
        if first == check || self.spares().any(|spare| spare == (slot, check)) {
            Verdict::Confirmed
        } else if first == INCOMPLETE {
            Verdict::Unknown
        } else {
            Verdict::FalsePositive
        }
    }

    fn first_check(&self, slot: u32) -> u64 {
        let at = slot as usize * CHECK_LEN;
        le_u64(&self.checks[at..at + CHECK_LEN])
    }

    fn spares(&self) -> impl Iterator<Item = (u32, u64)> {
        self.spares.chunks_exact(SPARE_LEN).map(|spare| {
            let rank = [spare[0], spare[1], spare[2], spare[3]];
            (u32::from_le_bytes(rank), le_u64(&spare[4..]))
        })
    }

    /// Fails unless the checks of each rank ascend, the first of them in the main slot.
    fn expect_order(&self) -> Result<(), ParseError> {
        let mut previous = (0, 0);
        for (position, (rank, check)) in (0u64..).zip(self.spares()) {
            expect_at_most("rank of a spare slot", u64::from(rank), u64::from(self.ranks) - 1)?;
            if (rank, check) < previous || check < self.first_check(rank) {
                return Err(ParseError::Order { field: "spare slot", position });
            }
            previous = (rank, check);
        }
        Ok(())
    }
}

fn le_u64(bytes: &[u8]) -> u64 {
    bytes.iter().rev().fold(0, |value, byte| (value << 8) | u64::from(*byte))
}

/// Verifies the Merkle path from a record to the root.
fn verify_path(body: &[u8], path: &[u8], number: u32, root: Digest) -> Result<(), ParseError> {
    let mut node = leaf_hash(body);
    let mut position = number;
    for sibling in path.chunks_exact(NODE_LEN) {
        let mut digest = Digest::ZERO;
        digest.0.copy_from_slice(sibling);
        node = if position & 1 == 0 { node_hash(node, digest) } else { node_hash(digest, node) };
        position >>= 1;
    }
    if node == root {
        Ok(())
    } else {
        Err(ParseError::Digest { field: "check root", expected: root, got: node })
    }
}

/// Fingerprint and check of one element.
pub(crate) type HashedElement = (u64, u64);

impl RecordShape {
    /// The shape for a largest date of `len` fingerprints and a fullest record of `most_extras`
    /// entries that are not the first of their rank: with as many spare slots as that needs, or
    /// the most that there may be.
    pub(crate) fn for_dates(len: u32, most_extras: impl Fn(u32) -> usize) -> RecordShape {
        let [small, medium, large] = SPARE_SLOTS;
        let shape = RecordShape::new(len, small);
        let spare_slots = match most_extras(shape.ranks) {
            0..=16 => small,
            17..=64 => medium,
            _ => large,
        };
        RecordShape { spare_slots, ..shape }
    }
}

/// How many entries of a date's fullest record are not the first of their rank, when records
/// have this many ranks.
pub(crate) fn most_extras(entries: &[HashedElement], ranks: u32) -> usize {
    let (mut most, mut extras, mut rank) = (0, 0, 0);
    for pair in entries.windows(2) {
        if pair[0].0 == pair[1].0 {
            extras += 1;
            most = most.max(extras);
        } else {
            rank += 1;
            if rank == ranks {
                (extras, rank) = (0, 0);
            }
        }
    }
    most
}

/// All records of one date.
#[derive(Debug)]
pub(crate) struct CheckFile {
    pub bytes: Vec<u8>,
    pub root: Digest,
    /// Entries for which no slot was left, ascending.
    pub left_out: Vec<HashedElement>,
}

impl CheckFile {
    /// Writes the records of the set `identity`, whose `entries` are distinct and ascend.
    ///
    /// Unused slots hold noise derived from `key` and from the entries, so that one publication
    /// does not show how many elements share a fingerprint. All noise is new whenever the
    /// date's entries or the shape change.
    pub(crate) fn build(
        date: Date,
        identity: Digest,
        entries: &[HashedElement],
        shape: RecordShape,
        key: &DerivationKey,
    ) -> CheckFile {
        if entries.is_empty() {
            return CheckFile { bytes: Vec::new(), root: Digest::ZERO, left_out: Vec::new() };
        }
        let mut ranks = entries.chunk_by(|a, b| a.0 == b.0);
        let checks = digest_of_checks(entries);
        let mut left_out = Vec::new();
        let length = shape.record_len() as usize;
        let most = entries.len() / shape.ranks as usize + 1;
        let (mut bytes, mut leaves) = (Vec::with_capacity(most * length), Vec::with_capacity(most));
        let mut members = Vec::new();
        for number in 0u32.. {
            members.clear();
            members.extend(ranks.by_ref().take(shape.ranks as usize));
            if members.is_empty() {
                break;
            }
            let start = bytes.len();
            bytes.put(MAGIC).put_u16(crate::bytes::VERSION).put(&identity.0);
            bytes.put_u32(date.days()).put_u32(number);
            bytes.put_u32(shape.ranks).put_u32(shape.spare_slots);
            let mut noise = key.stream("check noise", &[&bytes[start..], &checks.0]);
            Slots::fill(&members, shape, &mut noise, &mut left_out).append_to(&mut bytes);
            leaves.push(leaf_hash(&bytes[start..]));
            bytes.resize(start + length, 0);
        }
        let root = write_paths(&mut bytes, length, leaves);
        left_out.sort_unstable();
        CheckFile { bytes, root, left_out }
    }
}

/// What noise depends on besides the set: the checks, those of one fingerprint joined by a 0, which
/// is no check.
fn digest_of_checks(entries: &[HashedElement]) -> Digest {
    let mut hasher = Sha256::new();
    let mut block = Vec::new();
    let mut before = None;
    // In blocks, since a call for each number takes longer than its hash.
    for entries in entries.chunks(256) {
        block.clear();
        for &(fingerprint, check) in entries {
            if before == Some(fingerprint) {
                block.put_u64(INCOMPLETE);
            }
            block.put_u64(check);
            before = Some(fingerprint);
        }
        hasher.update(&block);
    }
    Digest(hasher.finalize().into())
}

/// Writes each record's path behind it; returns the root.
fn write_paths(bytes: &mut [u8], length: usize, leaves: Vec<Digest>) -> Digest {
    let mut level = leaves;
    let records = level.len();
    level.resize(MAX_RECORDS as usize, Digest::ZERO);
    let depth = MAX_RECORDS.ilog2() as usize;
    for height in 0..depth {
        for number in 0..records {
            let sibling = level[(number >> height) ^ 1];
            let at = (number + 1) * length - (depth - height) * NODE_LEN;
            bytes[at..at + NODE_LEN].copy_from_slice(&sibling.0);
        }
        level = level.chunks_exact(2).map(|pair| node_hash(pair[0], pair[1])).collect();
    }
    level[0]
}

/// The slots of one record.
struct Slots {
    first: Vec<u64>,
    spares: Vec<(u32, u64)>,
}

impl Slots {
    /// Places the entries of the record's ranks, then noise in all other slots.
    fn fill(
        members: &[&[HashedElement]],
        shape: RecordShape,
        noise: &mut Stream,
        left_out: &mut Vec<HashedElement>,
    ) -> Slots {
        let RecordShape { ranks, spare_slots } = shape;
        let first = members.iter().map(|rank| rank[0].1).collect();
        let mut slots = Slots { first, spares: Vec::with_capacity(spare_slots as usize) };
        slots.first.resize_with(ranks as usize, || noise.next_u64().max(1));
        slots.place_extras(members, spare_slots as usize, left_out);
        while slots.spares.len() < spare_slots as usize {
            let rank = noise.below(u64::from(ranks)) as u32;
            let mut check = noise.next_u64().max(1);
            let first = &mut slots.first[rank as usize];
            if *first != INCOMPLETE && check < *first {
                core::mem::swap(first, &mut check);
            }
            slots.spares.push((rank, check));
        }
        slots.spares.sort_unstable();
        slots
    }

    /// Gives spare slots to the ranks with the fewest extra entries first, so that one
    /// overfull rank cannot push out the others.
    fn place_extras(
        &mut self,
        members: &[&[HashedElement]],
        spare_slots: usize,
        left_out: &mut Vec<HashedElement>,
    ) {
        let mut crowded: Vec<u32> =
            (0..members.len() as u32).filter(|&rank| members[rank as usize].len() > 1).collect();
        crowded.sort_by_key(|&rank| members[rank as usize].len());
        for rank in crowded {
            let entries = members[rank as usize];
            let free = spare_slots - self.spares.len();
            let (kept, lost) = if entries.len() - 1 <= free {
                (&entries[1..], &[][..])
            } else {
                self.first[rank as usize] = INCOMPLETE;
                entries.split_at(free.min(entries.len()))
            };
            self.spares.extend(kept.iter().map(|entry| (rank, entry.1)));
            left_out.extend(lost);
        }
    }

    fn append_to(&self, bytes: &mut Vec<u8>) {
        for check in &self.first {
            bytes.put_u64(*check);
        }
        for (rank, check) in &self.spares {
            bytes.put_u32(*rank).put_u64(*check);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::set::HashRange;
    use crate::set::Salt;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    /// A date whose fingerprints are 0, 1, 2, … and have the given checks each.
    fn date_of(checks: &[Vec<u64>]) -> (CheckFile, Row, Vec<HashedElement>) {
        let pairs = (0u64..).zip(checks);
        let pairs = pairs.flat_map(|(value, checks)| checks.iter().map(move |c| (value, *c)));
        let entries: Vec<HashedElement> =
            pairs.collect::<BTreeSet<HashedElement>>().into_iter().collect();
        let date = Date::of_time(1_700_000_000);
        let (len, identity) = (checks.len() as u32, Digest::of(b"a set"));
        let record_shape =
            RecordShape::for_dates(checks.len() as u32, |ranks| most_extras(&entries, ranks));
        let key = DerivationKey::new([5; 32]);
        let file = CheckFile::build(date, identity, &entries, record_shape, &key);
        let row = Row {
            date,
            salt: Salt([0; 16]),
            hash_range: HashRange::MAX_PUBLISHED,
            len,
            identity,
            bytes: 0,
            check_root: file.root,
            record_shape,
        };
        (file, row, entries)
    }

    /// Asks the right record for one rank and check.
    fn verdict(file: &CheckFile, row: &Row, rank: u32, check: u64) -> Verdict {
        let (number, length) = (row.record_of(rank), row.record_shape.record_len() as usize);
        let bytes = &file.bytes[number as usize * length..][..length];
        CheckRecord::verify(bytes, row, number).unwrap().verdict(rank, check)
    }

    /// Every entry is confirmed, or left out and then Unknown; anything else is a false
    /// positive, or Unknown where its rank is incomplete.
    fn assert_answers(checks: &[Vec<u64>]) -> (CheckFile, Row) {
        let (file, row, entries) = date_of(checks);
        let left_out: BTreeSet<HashedElement> = file.left_out.iter().copied().collect();
        for entry in entries {
            let expected =
                if left_out.contains(&entry) { Verdict::Unknown } else { Verdict::Confirmed };
            assert_eq!(verdict(&file, &row, entry.0 as u32, entry.1), expected);
        }
        for rank in 0..checks.len() as u64 {
            let incomplete = left_out.iter().any(|entry| entry.0 == rank);
            let expected = if incomplete { Verdict::Unknown } else { Verdict::FalsePositive };
            assert_eq!(verdict(&file, &row, rank as u32, 0x1234_5678_9abc), expected);
        }
        (file, row)
    }

    /// `count` checks that no other rank has.
    fn some(rank: u64, count: u64) -> Vec<u64> {
        (0..count).map(|at| 1 + rank * 1_000_003 + at * 100_000_007).collect()
    }

    #[test]
    fn spare_slots_grow_with_the_fullest_record() {
        for (extras, slots) in [(0, 16), (16, 16), (17, 64), (64, 64), (65, 256), (256, 256)] {
            let count = |rank| 1 + u64::from(rank < extras);
            let checks: Vec<_> = (0..300).map(|rank| some(rank, count(rank))).collect();
            let (file, row) = assert_answers(&checks);
            assert_eq!((row.record_shape.spare_slots, file.left_out.len()), (slots, 0));
        }
    }

    #[test]
    fn extras_are_counted_for_each_record() {
        // Ranks of 1, 3, 2 and 2 entries.
        let entries = [(0, 5), (4, 1), (4, 2), (4, 3), (7, 1), (7, 2), (9, 1), (9, 2)];
        for (ranks, most) in [(1, 2), (2, 2), (3, 3), (4, 4)] {
            assert_eq!(most_extras(&entries, ranks), most, "{ranks}");
        }
    }

    #[test]
    fn an_overfull_rank_leaves_out_only_its_own_elements() {
        let mut checks: Vec<_> = (0..100).map(|rank| some(rank, 2)).collect();
        checks[40] = some(40, 1000);
        let (file, row) = assert_answers(&checks);
        assert_eq!(row.record_shape.spare_slots, 256);
        // 99 slots for the others, 157 for rank 40.
        assert_eq!(file.left_out.len(), 1000 - 157);
        assert!(file.left_out.iter().all(|entry| entry.0 == 40));
    }

    #[test]
    fn more_crowded_ranks_than_slots_are_left_out_one_by_one() {
        let checks: Vec<_> = (0..1000).map(|rank| some(rank, 2)).collect();
        let (file, _) = assert_answers(&checks);
        assert_eq!(file.left_out.len(), 2 * (1000 - 256));
    }

    #[test]
    fn trees_of_every_shape_lead_to_their_root() {
        for records in [1u64, 2, 3, 4, 5, 7, 8, 9, 63, 64] {
            let checks: Vec<_> = (0..records * 2048 - 5).map(|rank| some(rank, 1)).collect();
            let (file, row, _) = date_of(&checks);
            assert_eq!(u64::from(row.records()), records);
            let length = row.record_shape.record_len() as usize;
            assert_eq!(file.bytes.len(), length * records as usize);
            for (number, bytes) in (0..).zip(file.bytes.chunks(length)) {
                assert!(CheckRecord::verify(bytes, &row, number).is_ok());
                let other = (number + 1) % records as u32;
                assert!(records == 1 || CheckRecord::verify(bytes, &row, other).is_err());
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(40))]

        #[test]
        fn every_element_gets_its_answer(
            crowd in prop::collection::vec((0usize..200, 2u64..40), 0..40),
        ) {
            let mut checks: Vec<_> = (0..200).map(|rank| some(rank, 1)).collect();
            for (rank, count) in crowd {
                checks[rank] = some(rank as u64, count);
            }
            assert_answers(&checks);
        }

        #[test]
        fn one_changed_byte_never_passes(at in any::<prop::sample::Index>(), flip in 1u8..) {
            let checks: Vec<_> = (0..2100).map(|rank| some(rank, 1)).collect();
            let (file, row, _) = date_of(&checks);
            let mut bytes = file.bytes[..row.record_shape.record_len() as usize].to_vec();
            let at = at.index(bytes.len());
            bytes[at] ^= flip;
            prop_assert!(CheckRecord::verify(&bytes, &row, 0).is_err());
        }
    }
}
