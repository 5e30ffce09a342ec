//! One date's set and checks from its elements.

use alloc::sync::Arc;
use alloc::vec::Vec;

use super::{Day, ELEMENT_LEN, File, LeftOut, Path, Policy};
use crate::date::Date;
use crate::error::PublishError;
use crate::hash::{ElementHasher, Salt};
use crate::keys::DerivationKey;
use crate::params::HashRange;
use crate::set::Set;
use crate::wire::checks::{CheckFile, Entry};
use crate::wire::table::{Row, Table};

/// What salts are derived from.
#[derive(Clone, Copy)]
pub(super) struct Context<'k> {
    pub derivation: &'k DerivationKey,
    pub epoch: u32,
    pub tick: u32,
}

impl Context<'_> {
    /// A salt that nobody can know before this tick.
    fn salt(&self, date: Date) -> Salt {
        let context: [&[u8]; 3] =
            [&self.epoch.to_le_bytes(), &self.tick.to_le_bytes(), &date.days().to_le_bytes()];
        let derived = self.derivation.derive("salt", &context);
        let mut salt = Salt([0; 16]);
        salt.0.copy_from_slice(&derived[..16]);
        salt
    }
}

/// A date ready for publication.
pub(super) struct BuiltDay {
    pub row: Row,
    pub set: Arc<Set>,
    checks: Vec<u8>,
    pub left_out: Vec<LeftOut>,
}

impl BuiltDay {
    /// Builds a date's set under the salt and range it had in `before`, or under new ones
    /// if it was not there or has outgrown them.
    pub(super) fn build<E: AsRef<[u8]>>(
        day: &Day<E>,
        before: Option<&Table>,
        policy: Policy,
        context: &Context<'_>,
    ) -> Result<BuiltDay, PublishError> {
        check_lengths(day)?;
        let count = u32::try_from(day.elements.len()).map_err(|_| {
            PublishError::TooManyElements { date: day.date, got: day.elements.len() }
        })?;
        let before = before.and_then(|table| table.row(day.date));
        let kept = before.map(|row| Hashed::new(day, row.salt, row.range));
        let fits = |hashed: &Hashed| hashed.distinct <= hashed.range.capacity(policy.rate_bits);
        let hashed = match kept.filter(fits) {
            Some(hashed) => hashed,
            None => {
                // A re-based date has grown beyond its plan, and may go on growing.
                let expected = if before.is_some() { count.saturating_mul(2) } else { count };
                let expected = expected.max(policy.expected_per_date).max(1);
                let range = HashRange::for_expected(expected, policy.rate_bits)
                    .map_err(|error| PublishError::Params { date: day.date, error })?;
                Hashed::new(day, context.salt(day.date), range)
            }
        };
        hashed.finish(day, context.derivation)
    }

    /// Its set and its check records.
    pub(super) fn into_files(self) -> impl Iterator<Item = File> {
        let Row { date, identity, check_root: root, .. } = self.row;
        let set = File { path: Path::Set { date, identity }, bytes: self.set.as_bytes().to_vec() };
        let checks = File { path: Path::Checks { date, root }, bytes: self.checks };
        [set, checks].into_iter().filter(|file| !file.bytes.is_empty())
    }
}

fn check_lengths<E: AsRef<[u8]>>(day: &Day<E>) -> Result<(), PublishError> {
    let lengths = day.elements.iter().map(|element| element.as_ref().len());
    match lengths.enumerate().find(|(_, length)| !ELEMENT_LEN.contains(length)) {
        Some((index, got)) => Err(PublishError::ElementLength { date: day.date, index, got }),
        None => Ok(()),
    }
}

/// The elements of one date as fingerprints and checks, distinct and ascending.
struct Hashed {
    salt: Salt,
    range: HashRange,
    entries: Vec<Entry>,
    /// Number of distinct fingerprints.
    distinct: u64,
}

impl Hashed {
    fn new<E: AsRef<[u8]>>(day: &Day<E>, salt: Salt, range: HashRange) -> Hashed {
        let hasher = ElementHasher::new(salt, range);
        let entry = |element: &E| entry(&hasher, element.as_ref());
        let mut entries: Vec<Entry> = day.elements.iter().map(entry).collect();
        entries.sort_unstable();
        entries.dedup();
        let distinct = entries.chunk_by(|a, b| a.0 == b.0).count() as u64;
        Hashed { salt, range, entries, distinct }
    }

    fn finish<E: AsRef<[u8]>>(
        self,
        day: &Day<E>,
        derivation: &DerivationKey,
    ) -> Result<BuiltDay, PublishError> {
        let date = day.date;
        let values = self.entries.chunk_by(|a, b| a.0 == b.0).map(|entries| entries[0].0);
        let set = Set::from_ascending(self.salt, self.range, self.distinct as u32, values);
        let checks = CheckFile::build(date, set.identity(), set.len(), &self.entries, derivation);
        let left_out = if checks.left_out.is_empty() {
            Vec::new()
        } else {
            let hasher = set.hasher();
            let is_left_out = |element: &E| {
                checks.left_out.binary_search(&entry(&hasher, element.as_ref())).is_ok()
            };
            let positions = (0..day.elements.len()).filter(|&at| is_left_out(&day.elements[at]));
            positions.map(|index| LeftOut { date, index }).collect()
        };
        let row = Row::of(date, &set, checks.root, checks.spare_slots);
        Ok(BuiltDay { row, set: Arc::new(set), checks: checks.bytes, left_out })
    }
}

fn entry(hasher: &ElementHasher, element: &[u8]) -> Entry {
    (hasher.fingerprint(element), hasher.check(element))
}
