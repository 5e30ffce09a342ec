//! Providers and their codes.

use std::collections::BTreeMap;

use bitvec::prelude::{BitVec, Lsb0};
use gcs_core::report::MAX_SERIAL;
use serde::{Deserialize, Serialize};

use super::InconsistentEvent;
use crate::domain::events::{CodeId, ProviderStatus, RangeOpened};

/// One bit for each code of a range.
type Bits = BitVec<u64, Lsb0>;

/// A healthcare provider.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Provider {
    /// The provider's name.
    pub name: String,
    /// SHA-256 of the provider's token.
    pub token: [u8; 32],
    /// What it may do.
    pub status: ProviderStatus,
    /// Generation of the key of its next codes.
    pub generation: u32,
    /// The oldest generation whose codes can bring reports.
    pub oldest: u32,
    /// The serial number that the next range begins with.
    pub next_serial: u32,
    /// Ranges by generation and first serial number, until 30 days after they expired.
    pub ranges: BTreeMap<(u32, u32), CodeRange>,
}

/// A range of codes.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct CodeRange {
    /// Number of codes.
    pub count: u32,
    /// Unix time, in seconds, from which the codes cannot bring reports any more.
    pub expires: u64,
    /// Whether the unused codes of the range were revoked.
    pub closed: bool,
    used: Bits,
    revoked: Bits,
}

/// How many codes of a range were used, and how many can still be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RangeCounts {
    /// Number of codes that brought a report.
    pub used: u64,
    /// Number of codes that can still bring a report.
    pub open: u64,
    /// Whether the unused codes were revoked: with the range, or with their key.
    pub closed: bool,
}

/// Whether an authentic code can bring a report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CodeStatus {
    /// The code can bring a report.
    Open,
    /// The code has brought a report already.
    Used,
    /// The code's range has expired.
    Expired,
    /// The code, its range, its key or its provider was revoked.
    Revoked,
    /// The code's provider is suspended, so the code cannot bring a report for now.
    Suspended,
    /// The code is in no range that was opened, so it cannot bring a report yet.
    NotOpen,
}

/// Seconds for which ranges are kept after they expired: 30 days.
const REMEMBERED: u64 = 30 * 86_400;

impl Provider {
    pub(super) fn new(name: String, token: [u8; 32], generation: u32) -> Provider {
        Provider {
            name,
            token,
            status: ProviderStatus::Active,
            generation,
            oldest: generation,
            next_serial: 0,
            ranges: BTreeMap::new(),
        }
    }

    /// Gives the next codes another key. Codes of the keys before stay valid.
    pub(super) fn renew_key(&mut self, generation: u32) {
        (self.generation, self.next_serial) = (generation, 0);
    }

    /// Number of codes that can still be opened under the present key.
    pub fn serials_left(&self) -> u32 {
        (MAX_SERIAL + 1).saturating_sub(self.next_serial)
    }

    /// Makes void all codes of keys before the present one.
    pub(super) fn void_earlier_keys(&mut self) {
        self.oldest = self.generation;
    }

    /// Generations of the keys whose codes are remembered, the newest first.
    pub(crate) fn generations(&self) -> impl Iterator<Item = u32> {
        let before = |generation: &u32| {
            let earlier = self.ranges.range(..(*generation, 0)).next_back();
            earlier.map(|((generation, _), _)| *generation)
        };
        std::iter::successors(Some(self.generation), before)
    }

    pub(super) fn open(&mut self, opened: &RangeOpened) {
        let bits = Bits::repeat(false, opened.count as usize);
        let range = CodeRange {
            count: opened.count,
            expires: opened.expires,
            closed: false,
            used: bits.clone(),
            revoked: bits,
        };
        self.ranges.insert((opened.generation, opened.first), range);
        self.next_serial = opened.first.saturating_add(opened.count);
    }

    /// Makes void the unused codes of a range.
    pub(super) fn close(&mut self, generation: u32, first: u32) -> Result<(), InconsistentEvent> {
        let range = self.ranges.get_mut(&(generation, first));
        range.ok_or(InconsistentEvent("a range that is not there"))?.closed = true;
        Ok(())
    }

    /// The key of a code's range among the ranges, and the code's place in it.
    fn place(&self, code: CodeId) -> Option<((u32, u32), usize)> {
        let until = (code.generation, code.serial);
        let (key, range) = self.ranges.range(..=until).next_back()?;
        let at = code.serial - key.1.min(code.serial);
        (key.0 == code.generation && at < range.count).then_some((*key, at as usize))
    }

    /// The range of a code, and the code's place in it.
    fn range_of(&self, code: CodeId) -> Option<(&CodeRange, usize)> {
        self.place(code).and_then(|(key, at)| Some((self.ranges.get(&key)?, at)))
    }

    fn range_of_mut(&mut self, code: CodeId) -> Option<(&mut CodeRange, usize)> {
        self.place(code).and_then(|(key, at)| Some((self.ranges.get_mut(&key)?, at)))
    }

    /// Whether a code's range has not expired.
    pub(crate) fn is_in_force(&self, code: CodeId, now: u64) -> bool {
        self.range_of(code).is_some_and(|(range, _)| range.expires > now)
    }

    /// Nothing happens if the range has been forgotten: it has expired, so its codes cannot be used.
    pub(super) fn set_used(&mut self, code: CodeId, used: bool) {
        if let Some((range, at)) = self.range_of_mut(code) {
            range.used.set(at, used);
        }
    }

    pub(super) fn revoke(&mut self, code: CodeId) -> Result<(), InconsistentEvent> {
        let (range, at) = self.range_of_mut(code).ok_or(InconsistentEvent("a code of no range"))?;
        range.revoked.set(at, true);
        Ok(())
    }

    pub(super) fn code_status(&self, code: CodeId, now: u64) -> CodeStatus {
        match self.range_of(code) {
            Some((range, at)) if range.used[at] => CodeStatus::Used,
            Some((range, at)) if range.closed || range.revoked[at] => CodeStatus::Revoked,
            _ if code.generation < self.oldest => CodeStatus::Revoked,
            Some((range, _)) if range.expires <= now => CodeStatus::Expired,
            Some(_) => CodeStatus::Open,
            None if code.generation == self.generation && code.serial >= self.next_serial => {
                CodeStatus::NotOpen
            }
            // A range that was forgotten had expired, and no range of an earlier key is opened now.
            None => CodeStatus::Expired,
        }
    }

    pub(super) fn forget_expired(&mut self, now: u64) {
        self.ranges.retain(|_, range| range.expires.saturating_add(REMEMBERED) > now);
    }

    /// Every range with its generation, first serial number and counts.
    pub fn counted_ranges(
        &self,
        now: u64,
    ) -> impl Iterator<Item = (u32, u32, &CodeRange, RangeCounts)> {
        self.ranges.iter().map(move |((generation, first), range)| {
            let closed = range.closed || *generation < self.oldest;
            let open = if closed { 0 } else { range.open_codes(now) };
            let counts = RangeCounts { used: range.used_codes(), open, closed };
            (*generation, *first, range, counts)
        })
    }

    /// Number of codes that can bring a report, and of those that have.
    pub fn code_counts(&self, now: u64) -> (u64, u64) {
        self.counted_ranges(now).fold((0, 0), |(open, used), (_, _, _, counts)| {
            (open + counts.open, used + counts.used)
        })
    }
}

impl CodeRange {
    /// Number of codes that can bring a report.
    pub fn open_codes(&self, now: u64) -> u64 {
        if self.closed || self.expires <= now {
            return 0;
        }
        (self.used.clone() | &self.revoked).count_zeros() as u64
    }

    /// Number of codes that brought a report.
    pub fn used_codes(&self) -> u64 {
        self.used.count_ones() as u64
    }

    /// Whether the code at a place is neither used nor revoked.
    pub fn is_unspent(&self, at: u32) -> bool {
        let is_set = |bits: &Bits| bits.get(at as usize).is_none_or(|bit| *bit);
        !self.closed && !is_set(&self.used) && !is_set(&self.revoked)
    }
}
