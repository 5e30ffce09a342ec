//! One published state: a table and its sets.

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use alloc::vec::Vec;

use super::day::BuiltDay;
use super::error::PublishError;
use crate::digest::Digest;
use crate::error::ParseError;
use crate::files::{BundleSide, SeedSide, Table};
use crate::set::Set;

#[derive(Clone, Debug)]
pub(super) struct Snapshot {
    pub tick: u32,
    pub table: Table,
    /// The lists of seeds, if any were published; also shared.
    pub seeds: Option<Arc<SeedSide>>,
    /// The sets by identity, shared between snapshots.
    sets: BTreeMap<Digest, Arc<Set>>,
}

impl Snapshot {
    pub(super) fn of(tick: u32, days: &[BuiltDay]) -> Result<Snapshot, PublishError> {
        let table = Table::from_rows(days.iter().map(|day| day.row).collect())?;
        let sets = days.iter().map(|day| (day.row.identity, Arc::clone(&day.set))).collect();
        Ok(Snapshot { tick, table, seeds: None, sets })
    }

    /// A snapshot whose sets are among `sets`.
    pub(super) fn restore(
        tick: u32,
        table: Table,
        seeds: Option<Arc<SeedSide>>,
        sets: &BTreeMap<Digest, Arc<Set>>,
    ) -> Result<Snapshot, ParseError> {
        let mut own = BTreeMap::new();
        for row in table.rows() {
            let set = sets.get(&row.identity).filter(|set| row.describes(set));
            let (date, expected) = (row.date, row.identity);
            let error = ParseError::Digest { field: "set", expected, got: Digest::ZERO };
            let set = set.ok_or(ParseError::Part { date, error: Box::new(error) })?;
            own.insert(row.identity, Arc::clone(set));
        }
        Ok(Snapshot { tick, table, seeds, sets: own })
    }

    pub(super) fn sets(&self) -> impl Iterator<Item = &Arc<Set>> {
        self.sets.values()
    }

    /// The lists of seeds, each with the SHA-256 of its file.
    pub(super) fn lists(&self) -> impl Iterator<Item = (Digest, &Arc<Vec<u8>>)> {
        let sides = self.seeds.iter();
        sides.flat_map(|side| side.table.rows().iter().map(|row| row.sha256).zip(&side.lists))
    }

    pub(super) fn set(&self, identity: Digest) -> Option<&Set> {
        self.sets.get(&identity).map(Arc::as_ref)
    }

    pub(super) fn shared_set(&self, identity: Digest) -> Option<&Arc<Set>> {
        self.sets.get(&identity)
    }

    pub(super) fn side<'s>(&'s self) -> BundleSide<'s, impl Fn(Digest) -> Option<&'s Set>> {
        BundleSide { table: &self.table, set_of: |identity| self.set(identity) }
    }
}
