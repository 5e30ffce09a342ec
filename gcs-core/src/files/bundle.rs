//! Bundles: what changed between two publications.

use alloc::boxed::Box;
use alloc::vec::Vec;

use super::error::BundleError;
use super::index::expect_span;
use super::table::{MAX_DATES, Row, Table};
use crate::bytes::{Cursor, Put, expect_at_most, expect_equal};
use crate::date::Date;
use crate::digest::Digest;
use crate::error::ParseError;
use crate::set::Set;
use crate::set::{DeltaBody as Body, append_delta_body};

const MAGIC: &[u8; 6] = b"GCSBDL";

/// How a changed row's set is given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ChangeKind {
    /// The set is the same; only its checks changed.
    Same = 0,
    /// A delta body from the set that the base table has for the date.
    Delta = 1,
    /// The whole set: of a new date, or of one with a new salt or hash range.
    Whole = 2,
}

/// One changed date.
#[derive(Clone, Copy, Debug)]
struct ChangedDate<'a> {
    row: Row,
    kind: ChangeKind,
    payload: &'a [u8],
}

/// The change from one table, and its sets, to another.
///
/// ```text
///  0  magic "GCSBDL"   8  series u32   16  span u32            24  state before 32 bytes
///  6  version u16     12  to     u32   20  dropped dates u16   56  state after  32 bytes
///                                      22  changed dates u16
/// 88  dropped dates, ascending, u32 each
///     changed dates, ascending:
///       0  row of the table after, 112 bytes
///     112  kind u8 (0 same set, 1 delta body, 2 whole set), 7 zero bytes
///     120  length of the payload u64, then the payload
/// ```
#[derive(Clone, Debug)]
pub struct Bundle<'a> {
    series: u32,
    to: u32,
    span: u32,
    before: Digest,
    after: Digest,
    dropped: Vec<Date>,
    changes: Vec<ChangedDate<'a>>,
}

impl<'a> Bundle<'a> {
    /// Validates the frame of a bundle; the payloads are validated as they are applied. No
    /// allocation beyond [`MAX_DATES`] changes.
    ///
    /// # Errors
    /// The first thing that is wrong, as a [`ParseError`].
    pub fn parse(bytes: &'a [u8]) -> Result<Bundle<'a>, ParseError> {
        let mut cursor = Cursor::open(bytes, MAGIC)?;
        let (series, to, span) = (cursor.u32()?, cursor.u32()?, cursor.u32()?);
        expect_span(span, to, to)?;
        let (dropped, changed) = (cursor.u16()?, cursor.u16()?);
        expect_at_most("dropped dates", u64::from(dropped), MAX_DATES as u64)?;
        expect_at_most("changed dates", u64::from(changed), MAX_DATES as u64)?;
        let (before, after) = (cursor.digest()?, cursor.digest()?);
        let dropped = (0..dropped).map(|_| cursor.date()).collect::<Result<Vec<_>, _>>()?;
        expect_ascending("dropped date", dropped.iter().copied())?;
        let changes =
            (0..changed).map(|_| ChangedDate::parse(&mut cursor)).collect::<Result<Vec<_>, _>>()?;
        expect_ascending("changed date", changes.iter().map(|change| change.row.date))?;
        cursor.finish()?;
        Ok(Bundle { series, to, span, before, after, dropped, changes })
    }

    /// Series of both ticks.
    pub fn series(&self) -> u32 {
        self.series
    }

    /// The tick that it leads to.
    pub fn to(&self) -> u32 {
        self.to
    }

    /// How many ticks it spans.
    pub fn span(&self) -> u32 {
        self.span
    }

    /// State of the table that it applies to.
    pub fn before(&self) -> Digest {
        self.before
    }

    /// State of the table that it leads to.
    pub fn after(&self) -> Digest {
        self.after
    }

    /// Applies the bundle to a table, whose sets `set_of` looks up by identity: gives
    /// the table after it, and every set of that table which the table before it lacks. O(n)
    /// time and memory for n fingerprints in the changed sets.
    ///
    /// # Errors
    /// A [`BundleError`] when table or sets are not the bundle's base, or when the result is
    /// not the one that the bundle declares.
    pub fn apply<'s, D: AsRef<[u8]> + 's>(
        &self,
        table: &Table,
        set_of: impl Fn(Digest) -> Option<&'s Set<D>>,
    ) -> Result<(Table, Vec<Set>), BundleError> {
        let got = table.state();
        if got != self.before {
            return Err(BundleError::Before { expected: self.before, got });
        }
        let mut rows: Vec<Row> = table.rows().to_vec();
        for date in &self.dropped {
            let at = rows.iter().position(|row| row.date == *date);
            rows.remove(at.ok_or(BundleError::NoSuchDate { date: *date })?);
        }
        let mut sets = Vec::new();
        for change in &self.changes {
            let place = rows.binary_search_by_key(&change.row.date, |row| row.date);
            let base = place.ok().map(|at| rows[at]);
            sets.extend(change.set(base.as_ref(), &set_of)?);
            match place {
                Ok(at) => rows[at] = change.row,
                Err(at) => rows.insert(at, change.row),
            }
        }
        let table = Table::from_rows(rows)?;
        let got = table.state();
        if got != self.after {
            return Err(BundleError::After { expected: self.after, got });
        }
        Ok((table, sets))
    }
}

impl<'a> ChangedDate<'a> {
    fn parse(cursor: &mut Cursor<'a>) -> Result<ChangedDate<'a>, ParseError> {
        let row = Row::parse(cursor)?;
        let kind = match cursor.u8()? {
            0 => ChangeKind::Same,
            1 => ChangeKind::Delta,
            2 => ChangeKind::Whole,
            got => {
                let got = u64::from(got);
                return Err(ParseError::Limit { field: "kind of change", max: 2, got });
            }
        };
        cursor.zeros(7)?;
        let length = cursor.u64()?;
        match kind {
            ChangeKind::Same => expect_equal("payload of an unchanged set", length, 0)?,
            ChangeKind::Whole => expect_equal("payload of a whole set", length, row.bytes)?,
            ChangeKind::Delta => {}
        }
        Ok(ChangedDate { row, kind, payload: cursor.take(length)? })
    }

    /// The set of this date, unless the table before has it; `base` is the date's row there.
    fn set<'s, D: AsRef<[u8]> + 's>(
        &self,
        base: Option<&Row>,
        set_of: impl Fn(Digest) -> Option<&'s Set<D>>,
    ) -> Result<Option<Set>, BundleError> {
        let row = &self.row;
        let date = row.date;
        let in_date = |error| BundleError::from(ParseError::Part { date, error: Box::new(error) });
        let set = match self.kind {
            ChangeKind::Same => {
                let base = base.ok_or(BundleError::NoSuchDate { date })?;
                let unchanged =
                    Row { check_root: row.check_root, record_shape: row.record_shape, ..*base };
                return if unchanged == *row { Ok(None) } else { Err(BundleError::Row { date }) };
            }
            ChangeKind::Delta => {
                let base = base.ok_or(BundleError::NoSuchDate { date })?;
                let set = set_of(base.identity).ok_or(BundleError::NoSuchSet { date })?;
                if (base.salt, base.hash_range) != (row.salt, row.hash_range)
                    || !base.describes(set)
                {
                    return Err(BundleError::Row { date });
                }
                let body = Body::parse(self.payload, base.len, base.hash_range).map_err(in_date)?;
                let applied = body.apply(set, row.identity);
                applied.map_err(|error| BundleError::Delta { date, error })?
            }
            ChangeKind::Whole => {
                let set = Set::parse(self.payload).map_err(in_date)?;
                if set.identity() != row.identity {
                    let (expected, got) = (row.identity, set.identity());
                    return Err(in_date(ParseError::Digest {
                        field: "set identity",
                        expected,
                        got,
                    }));
                }
                set.to_owned_set()
            }
        };
        if row.describes(&set) { Ok(Some(set)) } else { Err(BundleError::Row { date }) }
    }
}

fn expect_ascending(
    field: &'static str,
    dates: impl Iterator<Item = Date> + Clone,
) -> Result<(), ParseError> {
    let pairs = dates.clone().zip(dates.skip(1));
    match pairs.zip(1u64..).find(|((earlier, later), _)| earlier >= later) {
        Some((_, position)) => Err(ParseError::Order { field, position }),
        None => Ok(()),
    }
}

/// The table and sets from which, or to which, a bundle leads.
#[derive(Clone, Copy)]
pub(crate) struct BundleSide<'s, F> {
    pub table: &'s Table,
    /// Looks up one of the table's sets.
    pub set_of: F,
}

/// Writes the bundle from one table to another, over `span` ticks to tick `to`.
pub(crate) fn write<'s>(
    series: u32,
    to: u32,
    span: u32,
    before: &BundleSide<'s, impl Fn(Digest) -> Option<&'s Set>>,
    after: &BundleSide<'s, impl Fn(Digest) -> Option<&'s Set>>,
) -> Result<Vec<u8>, BundleError> {
    let (old, new) = (before.table, after.table);
    let dropped: Vec<Date> =
        old.rows().iter().map(|row| row.date).filter(|date| new.row(*date).is_none()).collect();
    let changed: Vec<&Row> =
        new.rows().iter().filter(|row| old.row(row.date) != Some(*row)).collect();
    let mut bytes = Vec::open(MAGIC);
    bytes.put_u32(series).put_u32(to).put_u32(span);
    bytes.put_u16(dropped.len() as u16).put_u16(changed.len() as u16);
    bytes.put(&old.state().0).put(&new.state().0);
    for date in dropped {
        bytes.put_u32(date.days());
    }
    for row in changed {
        let (kind, payload) = encode_change(old.row(row.date), row, &before.set_of, &after.set_of)?;
        row.append_to(&mut bytes);
        bytes.put_u8(kind as u8).put(&[0; 7]).put_u64(payload.len() as u64).put(&payload);
    }
    Ok(bytes)
}

/// The cheapest way to give a changed row's set.
fn encode_change<'s>(
    old: Option<&Row>,
    row: &Row,
    old_set: impl Fn(Digest) -> Option<&'s Set>,
    new_set: impl Fn(Digest) -> Option<&'s Set>,
) -> Result<(ChangeKind, Vec<u8>), BundleError> {
    let no_such_set = BundleError::NoSuchSet { date: row.date };
    if old.is_some_and(|old| old.identity == row.identity) {
        return Ok((ChangeKind::Same, Vec::new()));
    }
    let set = new_set(row.identity).ok_or(no_such_set.clone())?;
    let whole = set.as_bytes();
    let comparable = old.filter(|old| (old.salt, old.hash_range) == (row.salt, row.hash_range));
    if let Some(old) = comparable {
        let base = old_set(old.identity).ok_or(no_such_set)?;
        let mut body = Vec::new();
        append_delta_body(&mut body, base, set)
            .map_err(|error| BundleError::Delta { date: row.date, error })?;
        if body.len() < whole.len() {
            return Ok((ChangeKind::Delta, body));
        }
    }
    Ok((ChangeKind::Whole, whole.to_vec()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::files::RecordShape;
    use crate::set::{HashRange, Salt};

    fn set_of(fingerprints: core::ops::Range<u64>) -> Set {
        let hash_range = HashRange::new(1 << 20).unwrap();
        Set::from_fingerprints(Salt([1; 16]), hash_range, fingerprints).unwrap()
    }

    fn row_of(set: &Set) -> Row {
        let date = Date::from_days(20_000).unwrap();
        Row::of(date, set, Digest::of(b"root"), RecordShape::for_dates(0, |_| 0))
    }

    /// A removal of everything takes a bit for each fingerprint; 52 bytes of them make the body of
    /// the delta as long as the set.
    #[test]
    fn a_delta_that_is_no_shorter_is_given_as_a_whole_set() {
        let new = set_of(1_000..1_100);
        for (removed, kind) in [(408, ChangeKind::Delta), (416, ChangeKind::Whole)] {
            let old = set_of(0..removed);
            let (old_row, row) = (row_of(&old), row_of(&new));
            let change = encode_change(Some(&old_row), &row, |_| Some(&old), |_| Some(&new));
            let (got, payload) = change.unwrap();
            assert_eq!(got, kind);
            let whole = new.as_bytes().len();
            assert_eq!(payload.len(), if kind == ChangeKind::Delta { whole - 1 } else { whole });
        }
    }

    #[test]
    fn a_bundle_tells_whence_and_where_it_leads() {
        let (old, new) = (set_of(0..10), set_of(0..11));
        let table_of = |set| Table::from_rows(alloc::vec![row_of(set)]).unwrap();
        let (before, after) = (table_of(&old), table_of(&new));
        let sides = (
            BundleSide { table: &before, set_of: |_| Some(&old) },
            BundleSide { table: &after, set_of: |_| Some(&new) },
        );
        let bytes = write(7, 12, 4, &sides.0, &sides.1).unwrap();
        let bundle = Bundle::parse(&bytes).unwrap();
        assert_eq!((bundle.series(), bundle.to(), bundle.span()), (7, 12, 4));
        assert_eq!((bundle.before(), bundle.after()), (before.state(), after.state()));
        assert_eq!(bundle.apply(&before, |_| Some(&old)), Ok((after, alloc::vec![new.clone()])));
    }
}
