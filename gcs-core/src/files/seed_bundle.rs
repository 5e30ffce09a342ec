//! Bundles of lists of seeds: what changed between two publications.

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;

use super::error::BundleError;
use super::index::expect_span;
use super::seed_table::{MAX_SEED_LISTS, SeedRow, SeedTable, expect_ascending};
use crate::bytes::{Cursor, Put, expect_at_most, expect_equal};
use crate::date::Date;
use crate::digest::Digest;
use crate::error::ParseError;
use crate::seeds::{ApplyError, SeedKind};

const MAGIC: &[u8; 6] = b"GCSSDB";

/// How a changed list is given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    /// A delta from the list of the base table.
    Delta = 1,
    /// The whole list.
    Whole = 2,
}

/// One changed list.
#[derive(Clone, Copy, Debug)]
struct ChangedList<'a> {
    row: SeedRow,
    form: Form,
    payload: &'a [u8],
}

/// The change from one table of lists of seeds, and its lists, to another.
///
/// ```text
///  0  magic "GCSSDB"   8  series u32   16  span u32            24  state before 32 bytes
///  6  version u16     12  to     u32   20  dropped lists u16   56  state after  32 bytes
///                                      22  changed lists u16
/// 88  dropped lists, ascending: date u32, kind u16, 2 zero bytes
///     changed lists, ascending:
///       0  row of the table after, 48 bytes
///      48  form u8 (1 delta, 2 whole list), 7 zero bytes
///      56  length of the payload u64, then the payload: a delta or a list, with its header
/// ```
#[derive(Clone, Debug)]
pub struct SeedBundle<'a> {
    series: u32,
    to: u32,
    span: u32,
    before: Digest,
    after: Digest,
    dropped: Vec<(Date, u16)>,
    changes: Vec<ChangedList<'a>>,
}

/// A table, and those of its lists that have changed.
type Applied = (SeedTable, Vec<(SeedRow, Vec<u8>)>);

impl<'a> SeedBundle<'a> {
    /// Validates the frame of a bundle; the payloads are validated as they are applied. No
    /// allocation beyond [`MAX_SEED_LISTS`] changes.
    ///
    /// # Errors
    /// The first thing that is wrong, as a [`ParseError`].
    pub fn parse(bytes: &'a [u8]) -> Result<SeedBundle<'a>, ParseError> {
        let mut cursor = Cursor::open(bytes, MAGIC)?;
        let (series, to, span) = (cursor.u32()?, cursor.u32()?, cursor.u32()?);
        expect_span(span, to, to)?;
        let (dropped, changed) = (cursor.u16()?, cursor.u16()?);
        expect_at_most("dropped lists", dropped.into(), MAX_SEED_LISTS as u64)?;
        expect_at_most("changed lists", changed.into(), MAX_SEED_LISTS as u64)?;
        let (before, after) = (cursor.digest()?, cursor.digest()?);
        let mut place = || {
            let place = (cursor.date()?, cursor.u16()?);
            cursor.zeros(2).map(|()| place)
        };
        let dropped = (0..dropped).map(|_| place()).collect::<Result<Vec<_>, _>>()?;
        expect_ascending(dropped.iter().copied())?;
        let changes = (0..changed).map(|_| ChangedList::parse(&mut cursor));
        let changes = changes.collect::<Result<Vec<_>, _>>()?;
        expect_ascending(changes.iter().map(|change| change.row.place()))?;
        cursor.finish()?;
        Ok(SeedBundle { series, to, span, before, after, dropped, changes })
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

    /// Applies the bundle to a table, whose lists `list_of` looks up: gives the table after it, and
    /// every list of `kinds` that has changed, each validated. Lists of other kinds are passed over.
    /// O(n) time and memory for n seeds in the changed lists.
    ///
    /// # Errors
    /// A [`BundleError`] when table or lists are not the bundle's base, or when the result is not
    /// the one that the bundle declares.
    pub fn apply<'l>(
        &self,
        table: &SeedTable,
        kinds: &[SeedKind],
        list_of: impl Fn(&SeedRow) -> Option<&'l [u8]>,
    ) -> Result<Applied, BundleError> {
        let got = table.state();
        if got != self.before {
            return Err(BundleError::Before { expected: self.before, got });
        }
        let mut rows: Vec<SeedRow> = table.rows().to_vec();
        for place in &self.dropped {
            let at = rows.iter().position(|row| row.place() == *place);
            rows.remove(at.ok_or(BundleError::NoSuchList { date: place.0, kind: place.1 })?);
        }
        let mut lists = Vec::new();
        for change in &self.changes {
            let place = rows.binary_search_by_key(&change.row.place(), SeedRow::place);
            let base = place.ok().map(|at| rows[at]);
            if let Some(kind) = kinds.iter().find(|kind| kind.number() == change.row.kind) {
                lists.push((change.row, change.list(*kind, base.as_ref(), &list_of)?));
            }
            match place {
                Ok(at) => rows[at] = change.row,
                Err(at) => rows.insert(at, change.row),
            }
        }
        let table = SeedTable::from_rows(rows)?;
        let got = table.state();
        if got != self.after {
            return Err(BundleError::After { expected: self.after, got });
        }
        Ok((table, lists))
    }
}

impl<'a> ChangedList<'a> {
    fn parse(cursor: &mut Cursor<'a>) -> Result<ChangedList<'a>, ParseError> {
        let row = SeedRow::parse(cursor)?;
        let form = match cursor.u8()? {
            1 => Form::Delta,
            2 => Form::Whole,
            got => {
                let (field, got) = ("form of a changed list (1 or 2)", u64::from(got));
                return Err(ParseError::Limit { field, max: 2, got });
            }
        };
        cursor.zeros(7)?;
        let length = cursor.u64()?;
        if form == Form::Whole {
            expect_equal("payload of a whole list", length, row.bytes)?;
        }
        Ok(ChangedList { row, form, payload: cursor.take(length)? })
    }

    /// The list; `base` is its row in the table before.
    fn list<'l>(
        &self,
        kind: SeedKind,
        base: Option<&SeedRow>,
        list_of: impl Fn(&SeedRow) -> Option<&'l [u8]>,
    ) -> Result<Vec<u8>, BundleError> {
        let SeedRow { date, .. } = self.row;
        let in_date = |error| BundleError::from(ParseError::Part { date, error: Box::new(error) });
        let list = match self.form {
            Form::Whole => {
                kind.validate(self.payload).map_err(in_date)?;
                self.payload.to_vec()
            }
            Form::Delta => {
                let missing = BundleError::NoSuchList { date, kind: self.row.kind };
                let list = base.and_then(list_of).ok_or(missing)?;
                kind.apply(list, self.payload).map_err(|error| match error {
                    ApplyError::Parse(error) => in_date(error),
                    ApplyError::Delta(error) => BundleError::SeedDelta { date, error },
                })?
            }
        };
        self.row.expect(&list).map_err(in_date)?;
        Ok(list)
    }
}

/// A table of lists of seeds with its lists.
#[derive(Clone, Debug, Default)]
pub(crate) struct SeedSide {
    pub table: SeedTable,
    /// The lists, in the order of the table's rows.
    pub lists: Vec<Arc<Vec<u8>>>,
}

impl SeedSide {
    /// The list of a row of the table.
    pub(crate) fn list(&self, row: &SeedRow) -> Option<&Arc<Vec<u8>>> {
        let at = self.table.rows().iter().position(|own| own == row)?;
        self.lists.get(at)
    }
}

/// Writes the bundle from some lists to others, over `span` ticks to tick `to`; `kind_of` gives the
/// kinds of the lists afterwards.
pub(crate) fn write(
    series: u32,
    to: u32,
    span: u32,
    before: &SeedSide,
    after: &SeedSide,
    kind_of: impl Fn(&SeedRow) -> Option<SeedKind>,
) -> Result<Vec<u8>, BundleError> {
    let (old, new) = (&before.table, &after.table);
    let is_dropped = |row: &&SeedRow| new.row(row.date, row.kind).is_none();
    let dropped: Vec<&SeedRow> = old.rows().iter().filter(is_dropped).collect();
    let is_changed = |row: &&SeedRow| old.row(row.date, row.kind) != Some(*row);
    let changed: Vec<&SeedRow> = new.rows().iter().filter(is_changed).collect();
    let mut bytes = Vec::open(MAGIC);
    bytes.put_u32(series).put_u32(to).put_u32(span);
    bytes.put_u16(dropped.len() as u16).put_u16(changed.len() as u16);
    bytes.put(&old.state().0).put(&new.state().0);
    for row in dropped {
        bytes.put_u32(row.date.days()).put_u16(row.kind).put_u16(0);
    }
    for row in changed {
        let missing = BundleError::NoSuchList { date: row.date, kind: row.kind };
        let whole = after.list(row).ok_or(missing)?;
        let base = old.row(row.date, row.kind).and_then(|old| before.list(old));
        let delta = match (base, kind_of(row)) {
            (Some(base), Some(kind)) => Some(kind.delta(base, whole)?),
            _ => None,
        };
        let (form, payload) = match &delta {
            Some(delta) if delta.len() < whole.len() => (Form::Delta, delta),
            _ => (Form::Whole, &**whole),
        };
        row.append_to(&mut bytes);
        bytes.put_u8(form as u8).put(&[0; 7]).put_u64(payload.len() as u64).put(payload);
    }
    Ok(bytes)
}
