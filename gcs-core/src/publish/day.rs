//! One date's set and checks from its elements.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::any::Any;

use sha2::{Digest as _, Sha256};

use super::error::PublishError;
use super::{File, LeftOut, PublisherSettings};
use crate::date::Date;
use crate::digest::Digest;
use crate::element::DayElements;
use crate::files::{CheckFile, HashedElement, Path, RecordShape, Row, Table, most_extras};
use crate::keys::DerivationKey;
use crate::set::{ELEMENT_LEN, ElementHasher, HashRange, ParamsError, Salt, Set, sort_by};

/// The inputs from which salts are derived.
#[derive(Clone, Copy)]
pub(super) struct TickContext<'k> {
    pub derivation: &'k DerivationKey,
    pub series: u32,
    pub tick: u32,
}

impl TickContext<'_> {
    /// A date's salt, which depends on the tick and so cannot be known earlier.
    fn salt(&self, date: Date) -> Salt {
        let context: [&[u8]; 3] =
            [&self.series.to_le_bytes(), &self.tick.to_le_bytes(), &date.days().to_le_bytes()];
        let derived = self.derivation.derive("salt", &context);
        let mut salt = Salt([0; 16]);
        salt.0.copy_from_slice(&derived[..16]);
        salt
    }
}

/// A date ready for publication.
#[derive(Clone)]
pub(super) struct BuiltDay {
    pub row: Row,
    pub set: Arc<Set>,
    /// Empty if the file was published before.
    checks: Vec<u8>,
    pub left_out: Vec<LeftOut>,
    pub content: Content,
    most_extras: usize,
}

/// What a publisher remembers of a date, so that it need not compute it again while the date's
/// elements stay the same.
#[derive(Clone, Debug)]
pub(super) struct KnownDay {
    content: Content,
    row: Row,
    most_extras: usize,
    left_out: Vec<LeftOut>,
}

/// Builds dates for one tick. The settings, the keys and the table before are the same for all of them.
#[derive(Clone, Copy)]
pub(super) struct DayBuilder<'b> {
    /// The table of the publication before.
    pub before: Option<&'b Table>,
    pub settings: PublisherSettings,
    pub context: TickContext<'b>,
}

impl DayBuilder<'_> {
    /// The shape that the records of these dates most likely have.
    pub(super) fn likely_shape<D: DayElements>(&self, days: &[&D]) -> RecordShape {
        let largest = days.iter().map(|day| day.len()).max().unwrap_or(0);
        let shape = RecordShape::for_dates(u32::try_from(largest).unwrap_or(u32::MAX), |_| 0);
        let before = self.before.and_then(|table| table.rows().first());
        let before = before.map(|row| row.record_shape);
        before.filter(|before| before.ranks == shape.ranks).unwrap_or(shape)
    }

    /// Builds a date's set and check records, under the salt and hash range that it had before, or
    /// under new ones if it was not there or has outgrown them.
    pub(super) fn build<D: DayElements>(
        &self,
        day: &D,
        content: Content,
        shape: RecordShape,
    ) -> Result<BuiltDay, PublishError> {
        let (date, derivation) = (day.date(), self.context.derivation);
        content.expect_lengths(day)?;
        let hashed = self.hash(day)?;
        let set = Set::from_distinct(hashed.salt, hashed.hash_range, &hashed.values);
        let Hashed { entries, values, .. } = hashed;
        drop(values);
        let checks = CheckFile::build(date, set.identity(), &entries, shape, derivation);
        let row = Row::of(date, &set, checks.root, shape);
        let left_out = left_out(day, &set, &checks.left_out);
        let most_extras = most_extras(&entries, shape.ranks);
        let (set, checks) = (Arc::new(set), checks.bytes);
        Ok(BuiltDay { row, set, checks, left_out, content, most_extras })
    }

    fn hash<D: DayElements>(&self, day: &D) -> Result<Hashed, PublishError> {
        let (date, got) = (day.date(), day.len());
        let count = u32::try_from(got);
        let count = count.map_err(|_| PublishError::TooManyElements { date, got })?;
        let before = self.before.and_then(|table| table.row(date));
        let kept = before.map(|row| Hashed::new(day, row.salt, row.hash_range));
        let rate_bits = self.settings.rate_bits;
        let fits =
            |hashed: &Hashed| hashed.values.len() as u64 <= hashed.hash_range.capacity(rate_bits);
        match kept {
            Some(hashed) if fits(&hashed) => Ok(hashed),
            kept => {
                let hash_range = plan_of_date(date, count, before, self.settings)?;
                // If the new hash range is no larger, re-basing does not help.
                match kept.filter(|kept| kept.hash_range.get() >= hash_range.get()) {
                    Some(kept) => Ok(kept),
                    None => Ok(Hashed::new(day, self.context.salt(date), hash_range)),
                }
            }
        }
    }
}

/// The elements of these entries, which ascend.
fn left_out<D: DayElements>(day: &D, set: &Set, entries: &[HashedElement]) -> Vec<LeftOut> {
    if entries.is_empty() {
        return Vec::new();
    }
    let hasher = set.hasher();
    let is_left_out = |element| entries.binary_search(&hashed(&hasher, element)).is_ok();
    let elements = day.elements().enumerate();
    elements
        .filter(|(_, element)| is_left_out(element))
        .map(|(index, _)| LeftOut { date: day.date(), index })
        .collect()
}

impl KnownDay {
    /// Remembers a date.
    pub(super) fn of(built: &BuiltDay) -> KnownDay {
        let BuiltDay { row, most_extras, .. } = *built;
        let (content, left_out) = (built.content.clone(), built.left_out.clone());
        KnownDay { content, row, most_extras, left_out }
    }

    /// The date as it was published, if building it again would give the same: with this
    /// content, from this row, at this rate.
    pub(super) fn built(
        &self,
        content: &Content,
        row: &Row,
        set: &Arc<Set>,
        rate_bits: u32,
    ) -> Option<BuiltDay> {
        let same = self.content.is(content)
            && self.row == *row
            && u64::from(row.len) <= row.hash_range.capacity(rate_bits);
        same.then(|| BuiltDay {
            row: *row,
            set: Arc::clone(set),
            checks: Vec::new(),
            left_out: self.left_out.clone(),
            content: self.content.clone(),
            most_extras: self.most_extras,
        })
    }
}

impl BuiltDay {
    /// The shape that all records must have; what has another one must be built again.
    pub(super) fn shape(days: &[BuiltDay]) -> RecordShape {
        let largest = days.iter().map(|day| day.row.len).max().unwrap_or(0);
        // Where records have other ranks than these, this is not what is asked for, and asked again.
        let most_extras = days.iter().map(|day| day.most_extras).max().unwrap_or(0);
        RecordShape::for_dates(largest, |_| most_extras)
    }

    /// Its set and its check records, if they are new.
    pub(super) fn into_files(self) -> impl Iterator<Item = File> {
        let Row { date, identity, check_root: root, .. } = self.row;
        let set = File { path: Path::Set { date, identity }, bytes: self.set.as_bytes().to_vec() };
        let checks = File { path: Path::Checks { date, root }, bytes: self.checks };
        [set, checks].into_iter().filter(|file| !file.bytes.is_empty())
    }
}

/// The hash range of a date that is new, or that has outgrown the one that it had in `before`.
fn plan_of_date(
    date: Date,
    count: u32,
    before: Option<&Row>,
    settings: PublisherSettings,
) -> Result<HashRange, PublishError> {
    // A re-based date has grown beyond its plan, and may go on growing.
    let expected = if before.is_some() { count.saturating_mul(2) } else { count };
    let expected = expected.max(settings.expected_per_date).max(1);
    plan(expected, settings.rate_bits).map_err(|error| PublishError::Params { date, error })
}

/// The row of a date that is not built: salt and hash range as [`DayBuilder::build`] chooses them, and
/// nothing else.
pub(super) fn skipped_row<D: DayElements>(
    day: &D,
    before: Option<&Table>,
    settings: PublisherSettings,
    context: &TickContext<'_>,
) -> Result<Row, PublishError> {
    let (date, got) = (day.date(), day.len());
    let count = u32::try_from(got).map_err(|_| PublishError::TooManyElements { date, got })?;
    let before = before.and_then(|table| table.row(date));
    let fits = |row: &Row| {
        let most = row.hash_range.capacity(settings.rate_bits);
        let distinct = || Hashed::new(day, row.salt, row.hash_range).values.len() as u64;
        got as u64 <= most || distinct() <= most
    };
    let kept = before.map(|row| (row.salt, row.hash_range));
    let (salt, hash_range) = match kept {
        Some(kept) if before.is_some_and(fits) => kept,
        kept => {
            let hash_range = plan_of_date(date, count, before, settings)?;
            let kept = kept.filter(|(_, kept)| kept.get() >= hash_range.get());
            kept.unwrap_or((context.salt(date), hash_range))
        }
    };
    let empty = Set::from_distinct(salt, hash_range, &[]);
    Ok(Row::of(date, &empty, Digest::ZERO, RecordShape::new(0, SKIPPED_SPARE_SLOTS)))
}

/// Spare slots of check records that are not made; any number that a table may have.
const SKIPPED_SPARE_SLOTS: u32 = 16;

/// The largest `rate_bits` of a publication.
const MAX_RATE_BITS: u32 = 52;

/// The hash range for `expected` elements, or the largest one if none is large enough. Such a
/// date is published all the same, at the lowest false-positive rate that is possible.
fn plan(expected: u32, rate_bits: u32) -> Result<HashRange, ParamsError> {
    if rate_bits > MAX_RATE_BITS {
        return Err(ParamsError::Rate { expected, rate_bits });
    }
    match HashRange::for_expected(expected, rate_bits) {
        Err(ParamsError::Rate { .. }) => Ok(HashRange::MAX_PUBLISHED),
        planned => planned.map(|planned| planned.min(HashRange::MAX_PUBLISHED)),
    }
}

/// What the files of a date depend on besides its row and the key: its elements, in their order.
#[derive(Clone, Debug)]
pub(super) enum Content {
    /// A hash of them under the key.
    Hashed(Digest),
    /// The memory that they are in, which is kept here, so that no other elements get its place.
    Shared(Arc<dyn Any + Send + Sync>),
}

impl Content {
    /// # Errors
    /// An element of a length that is not published, if all had to be looked at.
    pub(super) fn of<D: DayElements>(
        day: &D,
        derivation: &DerivationKey,
    ) -> Result<Content, PublishError> {
        match day.shared() {
            Some(memory) => Ok(Content::Shared(memory)),
            None => Ok(Content::Hashed(hash_of(day, derivation)?)),
        }
    }

    /// Whether the elements are certainly the same.
    fn is(&self, other: &Content) -> bool {
        match (self, other) {
            (Content::Hashed(one), Content::Hashed(other)) => one == other,
            (Content::Shared(one), Content::Shared(other)) => Arc::ptr_eq(one, other),
            _ => false,
        }
    }

    /// Makes sure that all elements have lengths that are published, unless that was seen already.
    fn expect_lengths<D: DayElements>(&self, day: &D) -> Result<(), PublishError> {
        match self {
            Content::Hashed(_) => Ok(()),
            Content::Shared(_) => {
                let mut elements = day.elements().enumerate();
                elements.try_for_each(|(index, element)| expect_length(day, index, element))
            }
        }
    }
}

fn expect_length<D: DayElements>(
    day: &D,
    index: usize,
    element: &[u8],
) -> Result<(), PublishError> {
    let got = element.len();
    if ELEMENT_LEN.contains(&got) {
        return Ok(());
    }
    Err(PublishError::ElementLength { date: day.date(), index, got })
}

fn hash_of<D: DayElements>(day: &D, derivation: &DerivationKey) -> Result<Digest, PublishError> {
    let mut hasher = Sha256::new();
    let mut block = Vec::with_capacity(CONTENT_BLOCK + *ELEMENT_LEN.end() + 1);
    for (index, element) in day.elements().enumerate() {
        expect_length(day, index, element)?;
        block.push(element.len() as u8);
        block.extend_from_slice(element);
        if block.len() >= CONTENT_BLOCK {
            hasher.update(&block);
            block.clear();
        }
    }
    hasher.update(&block);
    Ok(Digest(derivation.derive("content of a date", &[&hasher.finalize()])))
}

/// Bytes that are hashed at once.
const CONTENT_BLOCK: usize = 4096;

/// The elements of one date as fingerprints and checks, distinct and ascending.
struct Hashed {
    salt: Salt,
    hash_range: HashRange,
    entries: Vec<HashedElement>,
    /// The distinct fingerprints, ascending.
    values: Vec<u64>,
}

impl Hashed {
    fn new<D: DayElements>(day: &D, salt: Salt, hash_range: HashRange) -> Hashed {
        let hasher = ElementHasher::new(salt, hash_range);
        let mut entries: Vec<HashedElement> = Vec::with_capacity(day.len());
        entries.extend(day.elements().map(|element| hashed(&hasher, element)));
        let bits = u64::BITS - hash_range.get().leading_zeros();
        sort_by(&mut entries, &mut Vec::new(), bits, |entry| entry.0);
        entries.dedup();
        let mut values: Vec<u64> = entries.iter().map(|entry| entry.0).collect();
        values.dedup();
        Hashed { salt, hash_range, entries, values }
    }
}

fn hashed(hasher: &ElementHasher, element: &[u8]) -> HashedElement {
    hasher.fingerprint_and_check(element)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::element::Day;

    #[test]
    fn there_is_a_plan_for_any_number_of_elements() {
        assert_eq!(plan(1000, 20), HashRange::for_expected(1000, 20));
        assert_eq!(plan(2_000_000, 32), Ok(HashRange::MAX_PUBLISHED));
        assert_eq!(plan(u32::MAX, 52), Ok(HashRange::MAX_PUBLISHED));
        assert!(plan(1, 53).is_err() && plan(0, 20).is_err());
    }

    #[test]
    fn a_date_beyond_every_plan_keeps_its_hash_range() {
        let settings = PublisherSettings { rate_bits: 52, expected_per_date: 1, interval: 900 };
        let date = Date::from_days(20_000).unwrap();
        let derivation = DerivationKey::new([1; 32]);
        let context = TickContext { derivation: &derivation, series: 1, tick: 1 };
        let day = |count: u8| {
            let elements: Vec<[u8; 16]> = (0..count).map(|byte| [byte; 16]).collect();
            Day { date, elements }
        };
        let build = |count, before: Option<&Table>| {
            let (day, content) = (day(count), Content::Hashed(Digest::ZERO));
            let builder = DayBuilder { before, settings, context };
            builder.build(&day, content, builder.likely_shape(&[&day])).unwrap().row
        };
        let row = build(40, None);
        let table = Table::from_rows(alloc::vec![row]).unwrap();
        let second = build(41, Some(&table));
        assert_eq!((second.salt, second.hash_range), (row.salt, row.hash_range));
    }
}
